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
printf 'tpm:\n    tcti: "swtpm:path=%s"\n    quote_seconds: 60\naudit:\n    shard_records: 14\n' "$T/sock" >>"$D/assay.yaml"
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

# The appliance's key is another one: what was quoted for the former keeps its worth, also in a proof that
# is made from the log anew.
roll_over() {
	check "the appliance's key is rolled over" as_admin "$D/bin/assay" rollover --appliance
	check "and the former destroyed" as_admin "$D/bin/assay" rollover --appliance --finish
}
cat >"$D/cti.py" <<'PY'
import cbor2, sys
print(cbor2.loads(cbor2.load(open(sys.argv[1], "rb"))[1]).value[7].hex())
PY
made_again() { check "$1: its proof is made again" assay audit proof "$(/usr/bin/python3 "$D/cti.py" "$W/$1")" -o "$W/$1.again"; }
# carry PROOF OUT [CERTIFICATE]: puts that certificate, or none, where the former key's was.
cat >"$D/carry.py" <<'PY'
import cbor2, sys
parts = cbor2.load(open(sys.argv[1], "rb"))
protected, header, payload, signature = cbor2.loads(parts[4]).value
header = {k: v for k, v in header.items() if k != 32}
if len(sys.argv) > 3:
    header = {32: open(sys.argv[3], "rb").read(), **header}
parts[4] = cbor2.dumps(cbor2.CBORTag(18, [protected, header, payload, signature]))
cbor2.dump(parts, open(sys.argv[2], "wb"))
PY
carry() { /usr/bin/python3 "$D/carry.py" "$@"; }
check "the certificate of now is kept" cp "$D/state/appliance.der" "$D/former.der"
quotes=$(records " TCB ")
roll_over
more_quotes() { [ $(records " TCB ") -gt "$quotes" ]; }
await "a quote is made for the new key" more_quotes
run third
says "it holds under the new key" "ok +tpm +over the registers" verify "$W/third"
hides "and needs no former one" "key of then" verify "$W/third"
roll_over
for proof in first second third; do
	says "the $proof proof holds after two rollovers" "ok +tpm" verify "$W/$proof"
	made_again $proof
	says "and holds, for the key of then" "ok +tpm +over the registers.*for the log's key of then" verify "$W/$proof.again"
done
carry "$W/first.again" "$W/without"
refuses "without the certificate of then it does not" "quote was made for another record" verify "$W/without"
openssl x509 -in "$D/certificates/bank-a.pem" -outform DER -out "$D/bank-a.der"
carry "$W/first.again" "$W/partition" "$D/bank-a.der"
refuses "nor with the certificate of another log" "former certificate: .*not for the log" verify "$W/partition"
carry "$W/first.again" "$W/now" "$D/state/appliance.der"
refuses "nor with that of now" "quote was made for another record" verify "$W/now"
subject=$(openssl x509 -inform DER -in "$D/former.der" -noout -ext subjectAltName | grep -o 'URI:.*')
mkdir "$T/ca" && : >"$T/ca/index" && echo 01 >"$T/ca/serial"
printf '[ca]\ndefault_ca=x\n[x]\ndatabase=%s/index\nserial=%s/serial\nnew_certs_dir=%s\ndefault_md=sha256\npolicy=p\nx509_extensions=e\n[p]\ncommonName=supplied\n[e]\nsubjectAltName=%s\nkeyUsage=critical,digitalSignature\nbasicConstraints=critical,CA:FALSE\n' \
	"$T/ca" "$T/ca" "$T/ca" "$subject" >"$T/ca/conf"
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=assay-appliance -keyout "$T/ca/key" -out "$T/ca/csr" 2>/dev/null
openssl ca -batch -config "$T/ca/conf" -selfsign -keyfile "$T/ca/key" -in "$T/ca/csr" -notext \
	-startdate 20200101000000Z -enddate 20400101000000Z -out "$T/ca/pem" 2>/dev/null
openssl x509 -in "$T/ca/pem" -outform DER -out "$D/forged.der"
carry "$W/first.again" "$W/forged" "$D/forged.der"
refuses "nor with one of the same name that nobody issued" "former certificate: .*not one of the appliance's CA" \
	verify "$W/forged"

# The appliance's log goes on in a new shard: quotes are for the tree.
shard_closed() { grep -q "is closed, with" "$D/daemon.log"; }
await "the log goes on in another shard" shard_closed
check "it stops" assay stop
check "it starts" instance_start
run fourth
says "a quote in a later shard holds" "ok +tcb receipt.*/s[2-9]" verify "$W/fourth"
says "for its record" "ok +tpm" verify "$W/fourth"
made_again first
says "and a proof from a shard that is closed" "ok +tpm" verify "$W/first.again"
log_holds "with shards and keys"

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
