#!/bin/bash
# Time: a clock that goes back, under a running daemon and between two, makes records and no proof that
# goes back; and an authority's time stamps bound the log's time from above, checked with openssl.
. "$(dirname "$0")/lib.sh" time
T=$place/tsa
server=
end_server() { [ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server" 2>/dev/null; }; }
also=end_server # run by lib.sh at the end

# An authority on loopback: openssl behind a port that the kernel chose. It is down while $T/down is there.
authority() {
	mkdir -p "$T" && printf 01 >"$T/serial"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=clock of $1" \
		-addext "extendedKeyUsage=critical,timeStamping" -keyout "$T/$1.key" -out "$T/$1.pem" 2>/dev/null
	cat >"$T/$1.conf" <<CONF
[tsa]
default_tsa = it
[it]
serial = $T/serial
signer_cert = $T/$1.pem
signer_key = $T/$1.key
signer_digest = sha256
digests = sha256
default_policy = 1.2.3.4
CONF
}
serve() {
	cat >"$T/server.py" <<'PY'
import http.server, os, subprocess, sys
place = sys.argv[1]
class Authority(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        query = self.rfile.read(int(self.headers["Content-Length"]))
        right = self.headers["Content-Type"] == "application/timestamp-query"
        if os.path.exists(place + "/down") or not right:
            self.send_error(503 if right else 415)
            return
        with open(place + "/query", "wb") as f:
            f.write(query)
        answer = subprocess.run(["openssl", "ts", "-reply", "-config", place + "/good.conf",
                                 "-queryfile", place + "/query"], capture_output=True).stdout
        self.send_response(200)
        self.send_header("Content-Type", "application/timestamp-reply")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    def log_message(self, *a):
        pass
s = http.server.HTTPServer(("127.0.0.1", 0), Authority)
with open(place + "/port.tmp", "w") as f:
    print(s.server_address[1], file=f)
os.rename(place + "/port.tmp", place + "/port")
s.serve_forever()
PY
	python3 "$T/server.py" "$T" 2>/dev/null &
	server=$!
	for _ in $(seq 200); do [ -e "$T/port" ] || sleep 0.05; done
}
gone() { [ -z "$(instance_daemon)$(instance_launcher)" ]; }
has_record() { assay audit show 2>/dev/null | grep -qE -- "$1"; }
run_once() { execute bank_a screen "$D/work/in" "$D/work/$1.bin" && fetch bank_a "$(result_label "$D/work/$1.bin")" proof "$D/work/$1"; }
# The claims of a proof: field NAME FILE.
field() {
	/usr/bin/python3 - "$D/work/$2" "$1" <<'PY'
import cbor2, io, sys
def leaf_of(value):
    if isinstance(value, bytes):
        try:
            inner = cbor2.loads(value)
        except Exception:
            return None
        return leaf_of(inner)
    if isinstance(value, cbor2.CBORTag):
        return value.value if value.tag == 601 else leaf_of(value.value)
    if isinstance(value, (list, tuple)):
        return next((x for x in map(leaf_of, value) if x), None)
    if isinstance(value, dict):
        return next((x for x in map(leaf_of, value.values()) if x), None)
claims = leaf_of(cbor2.loads(open(sys.argv[1], "rb").read()))
times = claims[-70007]
print({"iat": claims[6], "start": times[0], "end": times[1], "source": times[2], "error": times[3]}[sys.argv[2]])
PY
}
# Neither the records of a tree nor its heads, as proofs show them.
in_order() { [ "$(field iat "$1")" -le "$(field iat "$2")" ] && [ "$(field start "$2")" -le "$(field end "$2")" ]; }

instance_make "$place"
pin_files
# A daemon whose clock is off by so many seconds as a file beside it says.
install -m 0755 "$BUILD/e2e/assayd" "$D/bin/assayd"
echo 0 >"$D/bin/clock"
authority good
authority other
serve
cat >>"$D/assay.yaml" <<YAML
time:
    tsa: http://127.0.0.1:$(cat "$T/port")/tsr
    tsa_seconds: 1
    tsa_ca: $T/good.pem
YAML
touch "$T/down"
check "the appliance is initialised" assay init -o "$D/ca.pem"
check "launcher and daemon start" instance_start
check "bank-a is enrolled" instance_enroll_one a
check "an application is loaded" load bank_a_so "$D/samples/screen.pkg"
cp "$D/samples/payment.xml" "$D/work/in"
check "and runs" run_once before

echo -3600 >"$D/bin/clock"
await "a clock that was set back is a record" has_record "the system clock was set 3[56][0-9][0-9]\.[0-9]+ s back"
check "it runs on" run_once back
if in_order before back; then ok "the proof does not go back"; else not_ok "the proof goes back"; fi
[ "$(field source back)" = 0 ] && ok "it says that its clock is not synchronised" || not_ok "it claims a good clock"
[ "$(field error back)" -gt 3400000000 ] && ok "and by how much it may be off" || not_ok "its error is too small: $(field error back)"
check "it verifies" assay verify "$D/work/back" --ca "$D/ca.pem"
check "assay stop" assay stop
await "all have gone" gone
echo -7200 >"$D/bin/clock"
check "it starts with a clock that is further back" instance_start
await "which is a record" has_record "the system clock was 7[0-9]{3} s behind the log's newest time"
check "it runs" run_once again
if in_order back again; then ok "and the proof does not go back"; else not_ok "the proof goes back"; fi
[ "$(field error again)" -gt 7000000000 ] && ok "and says so" || not_ok "its error is too small: $(field error again)"
log_holds "with a clock that went back"
echo 0 >"$D/bin/clock"
await "set right again, that is a record" has_record "the system clock was set 7[0-9]{3}\.[0-9]+ s forward"
check "it runs" run_once right
if in_order again right; then ok "in order"; else not_ok "not in order"; fi
[ "$(field error right)" = "$(field error before)" ] || [ "$(field error right)" -lt 60000000 ] &&
	ok "with the kernel's own bound" || not_ok "its error is $(field error right)"

await "an authority that is down is told" grep -q "no time anchor: the authority answers 503" "$D/daemon.log"
rm "$T/down"
await "when it answers, there is a time anchor of the partition" has_record "time anchor.*/1 .*[0-9]+ records were there before 20.*says clock of good"
tree=$(for origin in "$D"/state/log/trees/*/origin; do grep -q /1$ "$origin" && dirname "$origin"; done | head -1)
size=$(ls "$tree/timestamp" | sort -n | tail -1)
[ -s "$tree/timestamp/$size" ] && ok "which lies beside the checkpoint" || not_ok "no time stamp is published"
# Signature and token of the published receipt, for openssl.
cat >"$T/parts.py" <<'PY'
import cbor2, sys
receipt = cbor2.loads(open(sys.argv[1], "rb").read()).value
open(sys.argv[2] + "/signature", "wb").write(cbor2.dumps(receipt[3]))
open(sys.argv[2] + "/token", "wb").write(receipt[1][270])
assert cbor2.loads(receipt[0])[-70101] == int(sys.argv[1].split("/")[-1])
PY
check "it is a COSE receipt of so many records" /usr/bin/python3 "$T/parts.py" "$tree/timestamp/$size" "$T"
openssl_accepts() { openssl ts -verify -in "$T/token" -token_in -data "$T/signature" -CAfile "$T/$1.pem"; }
says "whose time stamp openssl accepts" "Verification: OK" openssl_accepts good
refuses "and not as another authority's" "Verification: FAILED" openssl_accepts other
digest=$(sha256sum <"$T/token" | cut -c1-64)
await "its digest is in the log" sh -c "ASSAY_CONFIG='$D/assay.yaml' '$D/bin/assay' audit show --json | grep -q '$digest'"
log_holds "with time stamps beside it"
check "a copy of it is imported" sh -c "cp -r '$D/state/log' '$D/copy' && '$D/bin/assay' audit import '$D/copy' '$D/imported' --ca '$D/ca.pem'"
settled() { local n; n=$(records "time anchor"); sleep 3; [ "$(records "time anchor")" = "$n" ]; }
await "a log that does not grow is not stamped again" settled
check "assay stop" assay stop
await "all have gone" gone
sed -i "s|$T/good.pem|$T/other.pem|" "$D/assay.yaml"
check "with another authority's certificate it starts" instance_start
await "and takes no stamps of this one" grep -q "no time anchor: the time stamp does not hold" "$D/daemon.log"
check "assay stop" assay stop
await "all have gone" gone
sed -i "/tsa_ca/d" "$D/assay.yaml"
refuses "without its certificate it does not start" "" instance_start
grep -q "time.tsa_ca: a certificate expected" "$D/daemon.log" && ok "and says why" || not_ok "it does not say why"
done_testing
