// Checks a receipt and a compact proof with @transmute/cose, @transmute/rfc9162 and @auth0/cose:
// node receipt.cjs DIRECTORY, where DIRECTORY holds what split.py wrote. For each tool:
// what Assay wrote is accepted, and everything with one byte changed is refused.
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { createRequire } = require("node:module");
const crypto = require("node:crypto");
// Node 18 has it, but not as a global; two of the tools ask for the global.
globalThis.crypto ??= crypto.webcrypto;

// The tools are installed below the build directory, not here.
const tools = createRequire(join(process.env.INTEROP_MODULES, "package.json"));
const transmute = tools("@transmute/cose");
const { CoMETRE } = tools("@transmute/rfc9162");
const auth0 = tools("@auth0/cose");

const directory = process.argv[2];
const load = (name) => {
  try {
    return readFileSync(join(directory, name));
  } catch {
    return null;
  }
};
const leaf = load("leaf.cbor");
const receipt = load("receipt.cbor");
const compact = load("compact.cbor");
const certificate = new crypto.X509Certificate(load("certificate.der"));
const jwk = { ...certificate.publicKey.export({ format: "jwk" }), alg: "ES256" };

let failed = 0;
function report(good, words) {
  console.log(`${good ? "ok" : "not ok"} ${words}`);
  if (!good) failed++;
}

const bytes = (b) => new Uint8Array(b);
const changed = (b, at) => {
  const copy = Buffer.from(b);
  copy[at] ^= 1 << at % 8;
  return copy;
};

// A receipt, by tool: resolves when it holds, rejects when it does not.
const verifier = transmute.detached.verifier({ resolver: { resolve: async () => jwk } });
const leafHash = (l) => CoMETRE.RFC9162_SHA256.leaf(bytes(l));
async function byTransmute(l, r) {
  await transmute.receipt.inclusion.verify({ entry: await leafHash(l), receipt: bytes(r), verifier });
}
async function byAuth0(l, r) {
  const sign1 = auth0.Sign1.decode(bytes(r));
  const [proof] = sign1.unprotectedHeaders.get(396).get(-1);
  const [tree_size, leaf_index, inclusion_path] = transmute.cbor.decode(proof);
  const root = await CoMETRE.RFC9162_SHA256.verify_inclusion_proof(await leafHash(l), {
    log_id: "",
    tree_size,
    leaf_index,
    inclusion_path,
  });
  await sign1.verify(certificate.publicKey, { detachedPayload: bytes(root) });
}

// A compact proof has its payload inside.
async function compactByAuth0(c) {
  await auth0.Sign1.decode(bytes(c)).verify(certificate.publicKey);
}
const attached = transmute.attached.verifier({ resolver: { resolve: async () => jwk } });
async function compactByTransmute(c) {
  await attached.verify({ coseSign1: bytes(c) });
}

async function holds(check, ...args) {
  try {
    await check(...args);
    return true;
  } catch {
    return false;
  }
}

// Positions spread over a file: enough to meet every part of it, in little time.
const positions = (b) => Array.from({ length: 64 }, (_, i) => Math.floor((i * (b.length - 1)) / 63));

async function refusesChanges(check, file, call) {
  for (const at of positions(file)) if (await holds(check, ...call(changed(file, at)))) return at;
  return -1;
}

(async () => {
  const rootOf = receipt.subarray(receipt.length - 64);
  for (const [name, check] of [["@transmute/cose", byTransmute], ["@auth0/cose", byAuth0]]) {
    report(await holds(check, leaf, receipt), `${name} accepts the receipt`);
    let at = await refusesChanges(check, leaf, (l) => [l, receipt]);
    report(at < 0, `${name} refuses it for a changed leaf${at < 0 ? "" : `: byte ${at}`}`);
    at = await refusesChanges(check, rootOf, (s) => [
      leaf,
      Buffer.concat([receipt.subarray(0, receipt.length - 64), s]),
    ]);
    report(at < 0, `${name} refuses a changed signature${at < 0 ? "" : `: byte ${at}`}`);
    // The protected header starts behind the tag, the array's head and its own length.
    const header = receipt.subarray(5, 5 + 100);
    at = await refusesChanges(check, header, (h) => [
      leaf,
      Buffer.concat([receipt.subarray(0, 5), h, receipt.subarray(105)]),
    ]);
    report(at < 0, `${name} refuses a changed protected header${at < 0 ? "" : `: byte ${at}`}`);
  }
  for (const [name, check] of [["@transmute/cose", compactByTransmute], ["@auth0/cose", compactByAuth0]]) {
    if (!compact) break;
    report(await holds(check, compact), `${name} accepts the compact proof`);
    // Past tag, array and length: the unprotected map and the heads are encoding, not content.
    const body = compact.subarray(24);
    const at = await refusesChanges(check, body, (b) => [Buffer.concat([compact.subarray(0, 24), b])]);
    report(at < 0, `${name} refuses a changed compact proof${at < 0 ? "" : `: byte ${at + 24}`}`);
  }
  process.exitCode = failed ? 1 : 0;
})();
