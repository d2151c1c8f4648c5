#!/bin/bash
# A storm of refusals, varied in whatever can be varied, neither fills the disk nor stops the daemon;
# what it was is in the log, and others are served meanwhile.
. "$(dirname "$0")/lib.sh" refusals
appliance
W=$D/work
cp "$D/samples/payment.xml" "$W/in"
check "an application is loaded" load bank_a_so "$D/samples/screen.pkg"

# storm REQUESTS: as the front end's user, many connections that send what nobody would who means well.
storm() {
	as_front /usr/bin/python3 - "$D/run/assayd.sock" "$1" <<'PY'
import os, socket, sys, threading, time
path, most, sent, end = sys.argv[1], int(sys.argv[2]), [0], time.monotonic() + 120

def text(s): return bytes([0x60 + len(s)]) + s.encode()

def hello(s):
    s.send(b"\x83\x01\x02\x40")
    s.recv(65536)

def guess():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(5)
    s.connect(path)
    s.send(b"\x82\x02\x58\x20" + os.urandom(32))
    s.recv(65536)
    s.close()

def storm(n):
    while sent[0] < most and time.monotonic() < end:
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.settimeout(5)
        try:
            s.connect(path)
            hello(s)
            for i in range(20):
                serial, name = os.urandom(8).hex(), os.urandom(8).hex()
                s.send([bytes([0x81, 0x18, 200 + i]), os.urandom(40), b"\x84\x09" + text(serial) + text(name) + b"\x01",
                        b"\x83\x0d" + text(serial) + b"\x41x", b"\x81\x12", b"\x83\x16" + text(serial) + text("all")][(n + i) % 6])
                s.recv(65536)
                sent[0] += 1
                if sent[0] >= most: break
        except OSError:
            pass
        s.close()

guess()
threads = [threading.Thread(target=storm, args=(n,)) for n in range(24)]
for t in threads: t.start()
for t in threads: t.join()
print("sent", sent[0])
PY
}
before=$(assay audit show --json 2>/dev/null | wc -l)
storm 200 >"$D/sent" 2>&1 &
storming=$!
sleep 2
check "who means well is served during the storm" execute bank_a screen "$W/in" "$W/out"
wait $storming
sent=$(grep -oE '[0-9]+' "$D/sent")
if [ "${sent:-0}" -ge 200 ]; then ok "a storm of $sent requests"; else not_ok "no storm: $(cat "$D/sent")"; fi
says "a malformed request is a record" "malformed|arguments|expected" assay audit show --type refusal
says "an unknown one too" "request 2[0-9][0-9] is not known" assay audit show --type refusal
says "a guess at another's link too" "no link with that secret" assay audit show --type refusal
says "and one for another partition" "not an enrolled partition" assay audit show --type refusal
check "the daemon ends" assay stop
# 256 at once, one every ten seconds, and at the end one for each cause that was counted.
made=$(($(assay audit show --json "$D/state/log" --ca "$D/ca.pem" 2>/dev/null | wc -l) - before))
if [ $made -le 340 ]; then ok "$made records"; else not_ok "$made records of $sent requests"; fi
says "what was counted is told" "times more, by user $FRONT_UID" assay audit show --type refusal
log_holds "after the storm"
done_testing
