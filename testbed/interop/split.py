#!/usr/bin/python3
"""Takes a proof apart and checks its encoding with cbor2: split.py DIRECTORY

DIRECTORY holds proof.cbor, and maybe compact.cbor, leaf.json and keys.cbor; leaf.cbor, receipt.cbor,
certificate.der and chain.der are written there for the other tools."""
import hashlib
import hmac
import json
import os
import sys

import cbor2

directory = sys.argv[1]
failed = 0


def path(name):
    return os.path.join(directory, name)


def load(name):
    with open(path(name), "rb") as f:
        return f.read()


def save(name, data):
    with open(path(name), "wb") as f:
        f.write(data)


def report(good, words):
    global failed
    failed += not good
    print("ok" if good else "not ok", words)


def head(major, n):
    for extra in range(5):
        size = 1 << extra >> 1
        if n < (24 if extra == 0 else 1 << 8 * size):
            first = n if extra == 0 else 23 + extra
            return bytes([major << 5 | first]) + (n.to_bytes(size, "big") if size else b"")
    raise ValueError(n)


def encode(v):
    """RFC 8949 section 4.2.1. cbor2's canonical mode has the older order of map keys."""
    if isinstance(v, dict):
        pairs = sorted((encode(key), encode(value)) for key, value in v.items())
        return head(5, len(v)) + b"".join(key + value for key, value in pairs)
    if isinstance(v, (list, tuple)):
        return head(4, len(v)) + b"".join(encode(item) for item in v)
    if isinstance(v, cbor2.CBORTag):
        return head(6, v.tag) + encode(v.value)
    return cbor2.dumps(v)


def check_canonical(name, raw):
    report(encode(cbor2.loads(raw)) == raw, f"cbor2 writes {name} the same way")


def check_leaf(raw):
    check_canonical("the leaf", raw)
    leaf = cbor2.loads(raw)
    report(leaf.tag == 601, "the leaf is a claims set (tag 601)")
    for fmt, component in leaf.value.get(273, []):
        report(fmt == 295, "a measured component has content format 295")
        check_canonical("a measured component", component)
    return leaf.value


def check_receipt(raw, claims):
    check_canonical("the receipt", raw)
    receipt = cbor2.loads(raw)
    protected, unprotected, payload, signature = receipt.value
    check_canonical("the protected header", protected)
    header = cbor2.loads(protected)
    report(
        (receipt.tag, payload, header[1], header[395]) == (18, None, -7, 1),
        "the receipt is a COSE_Sign1 with ES256, nil payload and an RFC 9162 tree",
    )
    size, index, nodes = cbor2.loads(unprotected[396][-1][0])
    report(header[-70101] == size, "the signed tree size is the proof's")
    report(claims[-70001] == index, "the leaf's position is the proof's")
    report(claims[-70002] == header[15][2], "the leaf's origin is the receipt's")
    leaf_cert, chain = unprotected[33]
    report(header[34] == [-16, hashlib.sha256(leaf_cert).digest()], "x5t is the certificate's")
    report(len(signature) == 64 and all(len(n) == 32 for n in nodes), "hashes and signature fit")
    save("certificate.der", leaf_cert)
    save("chain.der", chain)


def check_commitments(claims):
    if not os.path.exists(path("keys.cbor")):
        return
    name, *keys = cbor2.loads(load("keys.cbor"))
    report(name == "assay-keys-1", "the keys file has its name")
    for claim, key, file in zip((-70003, -70004, -70005), keys, ("input", "output", "stderr")):
        if os.path.exists(path(file)) and claim in claims:
            mac = hmac.new(key, load(file), "sha256").digest()
            report(claims[claim] == [5, mac], f"Python's hmac makes the commitment to {file}")


name, leaf, receipt, tcb_leaf, tcb_receipt = cbor2.loads(load("proof.cbor"))
report(name == "assay-proof-1", "the proof has its name")
check_canonical("the proof", load("proof.cbor"))
leaf_claims = check_leaf(leaf)
check_receipt(receipt, leaf_claims)
check_commitments(leaf_claims)
if tcb_leaf:
    tcb = check_leaf(tcb_leaf)
    digest = hashlib.sha256(encode(tcb[273])).digest()
    report(digest == leaf_claims[-70009], "claim tcb is the digest of the TCB record's list")
if os.path.exists(path("compact.cbor")):
    compact = load("compact.cbor")
    check_canonical("the compact proof", compact)
    payload = cbor2.loads(cbor2.loads(compact).value[2])
    report(len(compact) <= 512, "the compact proof fits into 512 bytes")
    report(
        payload[-70021] == hashlib.sha256(b"\0" + leaf).digest(), "the compact proof names the leaf"
    )
if os.path.exists(path("leaf.json")):
    shown = json.loads(load("leaf.json"))
    report(
        shown["cti"] == leaf_claims[7].hex() and shown["pos"] == leaf_claims[-70001],
        "Python reads the record's JSON",
    )
save("leaf.cbor", leaf)
save("receipt.cbor", receipt)
sys.exit(1 if failed else 0)
