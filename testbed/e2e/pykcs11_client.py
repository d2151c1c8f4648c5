#!/usr/bin/python3
"""What a Python program of the bank does: pykcs11_client.py MODULE TOKEN PIN DIRECTORY

Executes the screening application on DIRECTORY/in twice, fetches the results into DIRECTORY, then
does ordinary work. Prints "ok ..." or "not ok ..." for each check.
"""
import hashlib
import os
import sys

import PyKCS11

EXECUTE = PyKCS11.CKM_VENDOR_DEFINED | 0x41590001
EXECUTE_FULL = PyKCS11.CKM_VENDOR_DEFINED | 0x41590002
RUN = PyKCS11.CKM_VENDOR_DEFINED | 0x41590003
bad = 0


def check(words, holds):
    global bad
    print(("ok " if holds else "not ok ") + words, flush=True)
    bad += not holds


def find_one(session, template):
    found = session.findObjects(template)
    return found[0] if len(found) == 1 else None


def fetch(session, label, kind):
    data = find_one(session, [(PyKCS11.CKA_CLASS, PyKCS11.CKO_DATA), (PyKCS11.CKA_LABEL, label),
                              (PyKCS11.CKA_APPLICATION, "assay:" + kind)])
    if data is None:
        return b""
    return bytes(session.getAttributeValue(data, [PyKCS11.CKA_VALUE])[0])


def main():
    module, token, pin, directory = sys.argv[1:]
    payment = open(os.path.join(directory, "in"), "rb").read()
    lib = PyKCS11.PyKCS11Lib()
    lib.load(module)
    slot = next(s for s in lib.getSlotList(tokenPresent=True) if lib.getTokenInfo(s).label.strip() == token)
    session = lib.openSession(slot, PyKCS11.CKF_SERIAL_SESSION | PyKCS11.CKF_RW_SESSION)
    session.login(pin)

    check("every object can be listed with all its attributes",
          all(len(session.getAttributeValue(o, [PyKCS11.CKA_CLASS])) == 1 for o in session.findObjects()))
    app = find_one(session, [(PyKCS11.CKA_LABEL, "Payment screening")])
    check("a search by label alone finds the application once", app is not None)
    proof = bytes(session.sign(app, payment, PyKCS11.Mechanism(EXECUTE, None)))
    check("EXECUTE gives a proof of at most 512 bytes", 0 < len(proof) <= 512)
    label = hashlib.sha256(proof).hexdigest()[:32]
    for kind in ("output", "proof", "keys"):
        value = fetch(session, label, kind)
        check("the %s is fetched as an object" % kind, len(value) > 0)
        with open(os.path.join(directory, "py-" + kind), "wb") as f:
            f.write(value)
    full = bytes(session.sign(app, payment, PyKCS11.Mechanism(EXECUTE_FULL, None)))
    check("EXECUTE_FULL gives everything in one", len(full) > 1000)
    with open(os.path.join(directory, "py-full"), "wb") as f:
        f.write(full)
    output = bytes(session.encrypt(app, payment, PyKCS11.Mechanism(RUN, None)))
    check("RUN gives the output itself", output == open(os.path.join(directory, "py-output"), "rb").read())
    proof = fetch(session, hashlib.sha256(output).hexdigest()[:32], "proof")
    check("whose proof is fetched by the output's hash", len(proof) > 0)
    with open(os.path.join(directory, "py-proof-of-run"), "wb") as f:
        f.write(proof)

    public, private = session.generateKeyPair(
        [(PyKCS11.CKA_EC_PARAMS, bytes.fromhex("06082a8648ce3d030107")), (PyKCS11.CKA_TOKEN, True),
         (PyKCS11.CKA_VERIFY, True), (PyKCS11.CKA_LABEL, "python"), (PyKCS11.CKA_ID, (0x71,))],
        [(PyKCS11.CKA_TOKEN, True), (PyKCS11.CKA_PRIVATE, True), (PyKCS11.CKA_SENSITIVE, True),
         (PyKCS11.CKA_SIGN, True), (PyKCS11.CKA_LABEL, "python"), (PyKCS11.CKA_ID, (0x71,))],
        mecha=PyKCS11.Mechanism(PyKCS11.CKM_EC_KEY_PAIR_GEN, None))
    digest = hashlib.sha256(payment).digest()
    signature = session.sign(private, digest, PyKCS11.Mechanism(PyKCS11.CKM_ECDSA, None))
    check("an ordinary key signs and verifies",
          session.verify(public, digest, signature, PyKCS11.Mechanism(PyKCS11.CKM_ECDSA, None)))
    session.destroyObject(public)
    session.destroyObject(private)
    check("and is deleted", not session.findObjects([(PyKCS11.CKA_LABEL, "python")]))
    try:
        session.findObjects([(PyKCS11.CKA_LABEL, "no such")])
        check("a search that finds nothing is no error", True)
    except PyKCS11.PyKCS11Error:
        check("a search that finds nothing is no error", False)
    session.logout()
    session.closeSession()


main()
sys.exit(1 if bad else 0)
