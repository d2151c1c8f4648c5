#!/usr/bin/python3
"""What a Python program of the bank does that wants its own nonce and request id:
request_client.py MODULE TOKEN PIN DIRECTORY

Executes the screening application on DIRECTORY/in and writes what came back into DIRECTORY. Prints
"ok ..." or "not ok ..." for each check.
"""
import os
import struct
import sys

import PyKCS11

EXECUTE = PyKCS11.CKM_VENDOR_DEFINED | 0x41590001
EXECUTE_FULL = PyKCS11.CKM_VENDOR_DEFINED | 0x41590002
RUN = PyKCS11.CKM_VENDOR_DEFINED | 0x41590003
LOAD = PyKCS11.CKM_VENDOR_DEFINED | 0x41590004
bad = 0


def check(words, holds):
    global bad
    print(("ok " if holds else "not ok ") + words, flush=True)
    bad += not holds


def options(nonce=b"", request=b"", milliseconds=0):
    """The parameter: version, then tag, length and value of each option, big-endian."""
    limit = struct.pack(">I", milliseconds) if milliseconds else b""
    fields = [(1, nonce), (2, request), (3, limit)]
    return b"\x01" + b"".join(struct.pack(">BH", tag, len(v)) + v for tag, v in fields if v)


def refused(words, wanted, call):
    try:
        call()
        check(words, False)
    except PyKCS11.PyKCS11Error as e:
        check("%s: %s" % (words, wanted), e.value == getattr(PyKCS11, wanted))


def main():
    module, token, pin, directory = sys.argv[1:]
    payment = open(os.path.join(directory, "in"), "rb").read()
    lib = PyKCS11.PyKCS11Lib()
    lib.load(module)
    slot = next(s for s in lib.getSlotList(tokenPresent=True) if lib.getTokenInfo(s).label.strip() == token)
    session = lib.openSession(slot, PyKCS11.CKF_SERIAL_SESSION | PyKCS11.CKF_RW_SESSION)
    session.login(pin)
    app = session.findObjects([(PyKCS11.CKA_LABEL, "Payment screening")])[0]

    def sign(mechanism, data, **what):
        return bytes(session.sign(app, data, PyKCS11.Mechanism(mechanism, options(**what))))

    def write(name, data):
        with open(os.path.join(directory, name), "wb") as f:
            f.write(data)

    write("py-compact", sign(EXECUTE, payment, nonce=b"nonce of python"))
    full = sign(EXECUTE_FULL, payment, nonce=b"nonce of python", request=b"python 1")
    write("py-full", full)
    again = sign(EXECUTE_FULL, payment, nonce=b"nonce of python", request=b"python 1")
    check("a repeated request gets the same result, byte for byte", again == full)
    check("another id gets another", sign(EXECUTE_FULL, payment, request=b"python 2") != full)
    refused("another input under the same id is refused", "CKR_DATA_INVALID",
            lambda: sign(EXECUTE_FULL, payment + b" ", nonce=b"nonce of python", request=b"python 1"))
    refused("another nonce too", "CKR_DATA_INVALID",
            lambda: sign(EXECUTE_FULL, payment, nonce=b"another nonce", request=b"python 1"))
    for name, what in (("a nonce of 7 bytes", {"nonce": b"7777777"}), ("one of 65", {"nonce": b"7" * 65}),
                       ("an id of 65", {"request": b"7" * 65})):
        refused(name + " is refused", "CKR_MECHANISM_PARAM_INVALID",
                lambda what=what: sign(EXECUTE, payment, **what))
    refused("a parameter that says something else is refused", "CKR_MECHANISM_PARAM_INVALID",
            lambda: session.sign(app, payment, PyKCS11.Mechanism(EXECUTE, b"hello")))
    run = PyKCS11.Mechanism(RUN, options(request=b"python 3"))
    output = bytes(session.encrypt(app, payment, run))
    check("RUN takes an id as well", bytes(session.encrypt(app, payment, run)) == output != b"")

    made = []
    for _ in range(2):
        handle = session.createObject([
            (PyKCS11.CKA_CLASS, PyKCS11.CKO_DATA), (PyKCS11.CKA_APPLICATION, "assay:run:screen"),
            (PyKCS11.CKA_LABEL, "python 4"), (PyKCS11.CKA_VALUE, payment),
            (PyKCS11.CKA_OBJECT_ID, options(nonce=b"nonce of python", request=b"python 4"))])
        made.append(bytes(session.getAttributeValue(handle, [PyKCS11.CKA_VALUE])[0]))
    check("an assay:run: object does, by its CKA_OBJECT_ID", made == [output, output])
    proof = session.findObjects([(PyKCS11.CKA_LABEL, "python 4"), (PyKCS11.CKA_APPLICATION, "assay:proof")])
    check("and has one proof", len(proof) == 1)
    write("py-proof-of-object", bytes(session.getAttributeValue(proof[0], [PyKCS11.CKA_VALUE])[0]))
    session.logout()
    session.closeSession()


main()
sys.exit(1 if bad else 0)
