#!/bin/bash
# A TPM's quote over the boot goes into every TCB record: made by a software TPM here, verified by
# assay and by tpm2-tools, refused when anything of it was changed; without the TPM nothing starts.
. "$(dirname "$0")/lib.sh" tpm
also=end_tpm
T=$place/tpm
start_tpm() {
	mkdir -p "$T/state"
	swtpm socket --tpm2 --tpmstate "dir=$T/state" --server "type=unixio,path=$T/sock,mode=0666" \
		--ctrl "type=unixio,path=$T/sock.ctrl,mode=0666" --flags startup-clear >"$T/log" 2>&1 &
	tpm=$!
	for i in $(seq 100); do [ -S "$T/sock" ] && return; sleep 0.05; done
}
end_tpm() { [ -z "${tpm:-}" ] || kill "$tpm" 2>/dev/null; }
chmod 0755 "$place"
start_tpm

instance_make "$place"
printf 'tpm:\n    tcti: "swtpm:path=%s"\n    quote_seconds: 60\n' "$T/sock" >>"$D/assay.yaml"
pin_files
check "the appliance is initialised" assay init -o "$D/ca.pem"
check "launcher and daemon start" instance_start
check "bank-a is enrolled" instance_enroll_one a
W=$D/work
cp "$D/samples/payment.xml" "$W/in"
check "an application is loaded" load bank_a_so "$D/samples/screen.pkg"
run() {
	check "$1: it runs" execute bank_a screen "$W/in" "$W/$1.compact"
	check "$1: its proof is fetched" fetch bank_a "$(result_label "$W/$1.compact")" proof "$W/$1"
}
verify() { "$D/bin/assay" verify --ca "$D/ca.pem" "$@"; }
run first
says "the quote is verified" "ok +tpm +over the registers of the boot" verify "$W/first"
says "the registers are parts of the platform" "^ +[0-9a-f]{64}  tpm:pcr-7" assay tcb show

# What a changed proof would have to get past: the digest of the parts, and the record's signature.
# tpm2-tools see the TPM's part of it without any of ours.
cat >"$D/split.py" <<'PY'
import cbor2, hashlib, subprocess, sys
proof, ca, out = sys.argv[1:]
_, _, _, leaf, receipt = cbor2.load(open(proof, "rb"))
claims = cbor2.loads(leaf).value
format_, public, attest, signature = cbor2.loads(claims[266]["tpm"])
certificate = cbor2.loads(receipt).value[1][33][0]
challenge = cbor2.dumps([format_, claims[7], claims[-70002], hashlib.sha256(certificate).digest()])
open(out + ".challenge", "w").write(hashlib.sha256(challenge).hexdigest())
open(out + ".attest", "wb").write(attest)
open(out + ".signature", "wb").write(signature)
spki = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200") + b"\x04" + public[-66:-34] + public[-32:]
open(out + ".der", "wb").write(spki)
PY
check "the quote is taken out of the proof" /usr/bin/python3 "$D/split.py" "$W/first" "$D/ca.pem" "$T/quote"
openssl pkey -pubin -inform DER -in "$T/quote.der" -out "$T/quote.pem"
check "tpm2-tools accept it" tpm2_checkquote -Q -u "$T/quote.pem" -m "$T/quote.attest" -s "$T/quote.signature" \
	-q "$(cat "$T/quote.challenge")"
refuses "and for no other record" "qualification|nonce|extraData|ERROR" tpm2_checkquote -Q -u "$T/quote.pem" -m "$T/quote.attest" \
	-s "$T/quote.signature" -q "$(tr 0123 1230 <"$T/quote.challenge")"

# The boot is another one: a policy that knows the first refuses it.
check "a policy is learned" verify "$W/first" --learn "$D/learned"
says "it accepts a further run" "The proof holds" verify "$W/first" --policy "$D/learned"
check "it stops" assay stop
TPM2TOOLS_TCTI="swtpm:path=$T/sock" tpm2_pcrextend 4:sha256="$(printf boot | sha256sum | cut -c1-64)"
check "it starts after another boot" instance_start
run second
says "its quote holds" "ok +tpm" verify "$W/second"
refuses "the policy names the register" "platform.parts: tpm:pcr-4" verify "$W/second" --policy "$D/learned"
refuses "so does a comparison" "^changed +tpm:pcr-4" "$D/bin/assay" tcb diff "$W/first" "$W/second"
hides "the TPM's key is the same one" "tpm:key" eval '"$D/bin/assay" tcb diff "$W/first" "$W/second"; true'
log_holds

check "it stops" assay stop
mv "$D/bin/assay-tpm" "$D/bin/asked"
printf '#!/bin/sh\nexec "%s" "$1" %064d\n' "$D/bin/asked" 0 >"$D/bin/assay-tpm"
chmod 0755 "$D/bin/assay-tpm"
refuses "a quote for another record is not written into one" "quote was made for another record" instance_start
mv "$D/bin/asked" "$D/bin/assay-tpm"
end_tpm
refuses "without its TPM nothing starts" "TPM" instance_start
tpm=
done_testing
