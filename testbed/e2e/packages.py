#!/usr/bin/python3
"""Makes broken packages out of a good one: packages.py GOOD.pkg DIRECTORY

Each has a right length and hash, unless that is what is broken, so that the rule that its name says
is the one that refuses it. See sandbox/package.h for the form. Prints their names.
"""
import hashlib
import os
import struct
import sys

MAGIC = b"ASSAYPK1"
DIRECTORY, FILE, LINK = 1, 2, 3


def read(raw):
    assert raw[:8] == MAGIC
    at = 48
    (n,) = struct.unpack_from(">I", raw, at)
    manifest = raw[at + 4 : at + 4 + n]
    at += 4 + n
    (count,) = struct.unpack_from(">I", raw, at)
    at += 4
    entries = []
    for _ in range(count):
        (n,) = struct.unpack_from(">H", raw, at)
        path = raw[at + 2 : at + 2 + n]
        at += 2 + n
        kind, mode, size = struct.unpack_from(">BHQ", raw, at)
        at += 11
        entries.append((path, kind, mode, raw[at : at + size]))
        at += size
    assert at == len(raw)
    return manifest, entries


def write(manifest, entries, count=None, sort=True):
    if sort:
        entries = sorted(entries, key=lambda e: e[0])
    body = struct.pack(">I", len(manifest)) + manifest
    body += struct.pack(">I", len(entries) if count is None else count)
    for path, kind, mode, content in entries:
        body += struct.pack(">H", len(path)) + path
        body += struct.pack(">BHQ", kind, mode, len(content)) + content
    return MAGIC + struct.pack(">Q", 48 + len(body)) + hashlib.sha256(body).digest() + body


def main():
    good = open(sys.argv[1], "rb").read()
    out = sys.argv[2]
    manifest, entries = read(good)
    assert write(manifest, entries) == good
    first = entries[0]
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1

    broken = {
        "empty": b"",
        "cut-in-header": good[:40],
        "cut-at-5000": good[:5000],
        "cut-by-one": good[:-1],
        "changed-byte": bytes(flipped),
        "longer-by-one": good + b"x",
        "other-magic": b"ASSAYPK9" + good[8:],
        "no-archive-at-all": os.urandom(20000),
        "dot-dot": write(manifest, entries + [(b"../evil", FILE, 0o444, b"x")]),
        "dot-dot-inside": write(manifest, entries + [(b"zz", DIRECTORY, 0o555, b""), (b"zz/../../evil", FILE, 0o444, b"x")]),
        "absolute-path": write(manifest, entries + [(b"/evil", FILE, 0o444, b"x")]),
        "empty-path": write(manifest, entries + [(b"", FILE, 0o444, b"x")]),
        "nul-in-path": write(manifest, entries + [(b"ev\0il", FILE, 0o444, b"x")]),
        "parent-missing": write(manifest, entries + [(b"zz/evil", FILE, 0o444, b"x")]),
        "below-a-file": write(manifest, entries + [(b"zz", FILE, 0o444, b"x"), (b"zz/evil", FILE, 0o444, b"x")]),
        "duplicate-path": write(manifest, entries + [first]),
        "unsorted": write(manifest, entries[::-1] + [(b"0", FILE, 0o444, b"x")], sort=False),
        "absolute-link": write(manifest, entries + [(b"zz", LINK, 0o777, b"/etc/passwd")]),
        "link-out": write(manifest, entries + [(b"zz", LINK, 0o777, b"../../etc/passwd")]),
        "device": write(manifest, entries + [(b"zz", 4, 0o666, b"\x01\x03")]),
        "type-nought": write(manifest, entries + [(b"zz", 0, 0o444, b"")]),
        "set-user-id": write(manifest, entries + [(b"zz", FILE, 0o4555, b"x")]),
        "writable-file": write(manifest, entries + [(b"zz", FILE, 0o666, b"x")]),
        "too-many-announced": write(manifest, entries, count=0xFFFFFFFF),
        "manifest-of-nothing": write(b"", entries),
        "manifest-of-noise": write(os.urandom(100), entries),
        "content-wraps-around": None,
    }
    body = struct.pack(">I", len(manifest)) + manifest + struct.pack(">I", 1)
    body += struct.pack(">H", 1) + b"a" + struct.pack(">BHQ", FILE, 0o444, 0xFFFFFFFFFFFFFFFF) + b"x"
    broken["content-wraps-around"] = (
        MAGIC + struct.pack(">Q", 48 + len(body)) + hashlib.sha256(body).digest() + body
    )
    for name, raw in broken.items():
        with open(os.path.join(out, name + ".pkg"), "wb") as f:
            f.write(raw)
        print(name)


main()
