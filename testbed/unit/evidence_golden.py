#!/usr/bin/python3
"""Prints evidence_golden.h's vectors: the leaf of appliance.h, encoded without any code of ours.

cbor2 encodes the strings and checks the result; the map order of RFC 8949 section 4.2.1 is made
here, because cbor2's canonical mode has the older order (shorter keys first)."""
import hashlib

import cbor2

TIME = 1764000000
COUNTING = bytes(range(128))


def head(major, n):
    for extra, limit in enumerate((24, 1 << 8, 1 << 16, 1 << 32, 1 << 64)):
        if n < limit:
            if extra == 0:
                return bytes([major << 5 | n])
            return bytes([major << 5 | 23 + extra]) + n.to_bytes(1 << (extra - 1), "big")
    raise ValueError(n)


def encode(v):
    if isinstance(v, dict):
        pairs = sorted((encode(key), encode(value)) for key, value in v.items())
        return head(5, len(v)) + b"".join(key + value for key, value in pairs)
    if isinstance(v, list):
        return head(4, len(v)) + b"".join(encode(item) for item in v)
    return cbor2.dumps(v)


def count(first, n=32):
    return COUNTING[first : first + n]


def component(name, version, digest, *signers):
    approved = {3: list(signers)} if signers else {}
    return [295, encode({1: [name] + ([[version]] if version else []), 2: [1, digest]} | approved)]


CLAIMS = {
    1: "bank-a",
    2: "screen",
    6: TIME,
    7: count(1, 16),
    10: count(0),
    256: b"\x010123456789abcdef",
    259: b"virtual machine",
    260: ["1.0"],
    261: 4711,
    263: 1,
    265: "tag:assay.dev,2026:es256/1",
    266: {
        "hsm": {
            "manufacturer": "SoftHSM project",
            "model": "SoftHSM v2",
            "serial": "0123456789abcdef",
            "firmware": "2.6",
            "flags": 1069,
        }
    },
    267: 7,
    268: count(0),
    270: "Payment screening \u00a7 25h",
    271: ["1.2.3"],
    273: [component("image", None, count(2), count(10), count(11)), component("profile", "2", count(3))],
    -70001: 0,
    -70002: "assay.example/test/bank-a/1",
    -70003: [5, count(4)],
    -70004: [5, count(5)],
    -70005: [5, count(6)],
    -70006: [0, 0],
    -70007: [TIME * 10**6, TIME * 10**6 + 1500, 0, 0],
    -70008: [1, "clerk 9"],
    -70009: count(7),
    -70011: ["0123456789abcdef", "bank-a"],
    -70012: 1,
    -70013: count(8),
    -70014: 3,
    -70015: count(64, 16),
    -70016: [0, "mdwe landlock_scope", 1, 250],
    -70017: 1,
    -70018: count(9),
    -70019: "executed",
}
MINIMAL = {1: "a", 6: 0, 7: bytes(16), 263: 0, 265: "p", -70001: 0, -70002: "o", -70012: 11}
COMPACT = (6, 7, 10, 263, -70001, -70003, -70004, -70006, -70009, -70012, -70014)


def show(name, value):
    digits = value.hex()
    print(f"static const char golden_{name}[] __attribute__((unused)) =")
    rows = [digits[at : at + 76] for at in range(0, len(digits), 76)]
    print("\n".join(f'\t"{row}"' for row in rows) + ";")


full = head(6, 601) + encode(CLAIMS)
assert cbor2.loads(full).value == CLAIMS
leaf_hash = hashlib.sha256(b"\0" + full).digest()
compact = {key: CLAIMS[key] for key in COMPACT} | {-70020: count(2), -70021: leaf_hash}
show("full", full)
show("minimal", head(6, 601) + encode(MINIMAL))
show("hash", leaf_hash)
show("components", hashlib.sha256(encode(CLAIMS[273])).digest())
show("compact_payload", encode(compact))
