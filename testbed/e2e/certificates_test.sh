#!/bin/bash
# Certificates: a vendor's PKI certifies the appliance's CA, and each certificate of its chain will do to
# check a proof by; keys roll over without a gap, also when the daemon is killed in the middle of it.
. "$(dirname "$0")/lib.sh" certificates
instance_make "$place"
pin_files
W=$D/work PKI=$D/pki
install -d -m 0755 "$PKI"

# A vendor's PKI: an RSA root, and below it a CA on P-384 for appliances.
extensions() {
	printf 'basicConstraints=critical,CA:TRUE%s\nkeyUsage=critical,keyCertSign,cRLSign\n' "$1"
	printf 'subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid:always\n'
}
pki() {
	(cd "$PKI" && openssl req -x509 -newkey rsa:3072 -nodes -days 3650 -subj "/O=Vendor/CN=Root" -keyout root.key -out root.pem \
		-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign &&
		openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-384 -nodes -subj "/O=Vendor/CN=Appliances" -keyout mid.key -out mid.csr &&
		openssl x509 -req -in mid.csr -CA root.pem -CAkey root.key -CAcreateserial -days 1825 -out mid.pem -extfile <(extensions ,pathlen:1) &&
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=Other -keyout other.key -out other.pem) 2>&1
}
# certify REQUEST CERTIFICATE OPTION...: what the vendor does with a request.
certify() {
	local request=$1 to=$2
	shift 2
	(cd "$PKI" && openssl x509 -req -in "$request" -CA mid.pem -CAkey mid.key -CAcreateserial -out "$to" "$@") 2>&1
}
check "a vendor has a PKI" pki
check "a request is made" assay init --csr "$D/ca.csr"
says "its signature is that of its key" "verify OK" openssl req -in "$D/ca.csr" -verify -noout
says "it asks for a CA with none below it" "CA:TRUE, pathlen:0" openssl req -in "$D/ca.csr" -noout -text
says "which signs certificates" "Certificate Sign, CRL Sign" openssl req -in "$D/ca.csr" -noout -text
cp "$D/ca.csr" "$D/first.csr"
check "asked for again" assay init --csr "$D/ca.csr"
check "it is the same" cmp "$D/first.csr" "$D/ca.csr"
refuses "nothing starts before the certificate came" "not initialised" instance_start
refuses "nor is another CA made meanwhile" "waits for the certificate that was requested" assay init
certify "$D/ca.csr" "$PKI/plain.pem" -days 1000 >/dev/null
certify "$D/ca.csr" "$PKI/late.pem" -days -1 -extfile <(extensions ,pathlen:0) >/dev/null
check "the vendor certifies it" certify "$D/ca.csr" "$PKI/ca.pem" -days 1000 -extfile <(extensions ,pathlen:0)
refuses "a certificate that is no CA's is refused" "not one of a CA" assay init --certificate "$PKI/plain.pem" --chain <(cat "$PKI/mid.pem" "$PKI/root.pem")
refuses "one for another key" "another key" assay init --certificate "$PKI/other.pem"
refuses "one without its chain" "does not end with a root" assay init --certificate "$PKI/ca.pem"
refuses "one with a gap in its chain" "not issued by the next one" assay init --certificate "$PKI/ca.pem" --chain "$PKI/root.pem"
refuses "one that is not valid now" "expired" assay init --certificate "$PKI/late.pem" --chain <(cat "$PKI/mid.pem" "$PKI/root.pem")
refuses "and nothing starts yet" "not initialised" instance_start
cat "$PKI/mid.pem" "$PKI/root.pem" >"$PKI/chain.pem"
check "its certificate is taken" assay init --certificate "$PKI/ca.pem" --chain "$PKI/chain.pem" -o "$D/ca.pem"
refuses "after which nothing is made anew" "initialised already" assay init
check "launcher and daemon start" instance_start
check "bank-a is enrolled" instance_enroll_one a
check "an application is loaded" load bank_a_so "$D/samples/screen.pkg"
cp "$D/samples/payment.xml" "$W/in"

# run NAME: executes, and fetches the full proof.
run() {
	execute bank_a screen "$W/in" "$W/$1.compact" && fetch bank_a "$(result_label "$W/$1.compact")" proof "$W/$1"
}
check "it runs" run first
for trusted in ca mid root; do
	check "its proof holds by the vendor's $trusted" assay verify "$W/first" --ca "$PKI/$trusted.pem" --package "$D/samples/screen.pkg"
	check "and the compact one" assay verify "$W/first.compact" --ca "$PKI/$trusted.pem" --certificate "$D/certificates/bank-a.pem"
	check "and the log" assay audit verify --ca "$PKI/$trusted.pem"
done
refuses "by another CA it does not" "another CA than the one given" assay verify "$W/first" --ca "$PKI/other.pem"
refuses "nor the log" "its CA is not this one" assay audit verify --ca "$PKI/other.pem"

# The vendor takes certificates back: what counts is when the proof was made.
crl() { # crl NAME CERTIFICATE OPTION...: a list with that certificate in it, of a fresh database
	local name=$1 revoked=$2
	shift 2
	rm -rf "$PKI/db" && mkdir "$PKI/db" && touch "$PKI/db/index" && echo 01 >"$PKI/db/number"
	printf '[ca]\ndefault_ca=x\n[x]\ndatabase=%s/db/index\ncrlnumber=%s/db/number\ndefault_md=sha256\ndefault_crl_days=30\n' \
		"$PKI" "$PKI" >"$PKI/db/conf"
	(cd "$PKI" && { [ -z "$revoked" ] || openssl ca -config db/conf -cert mid.pem -keyfile mid.key -revoke "$revoked" "$@"; } &&
		openssl ca -config db/conf -cert mid.pem -keyfile mid.key -gencrl -out "$name") 2>&1
}
check "a list without the appliance's CA" crl none.crl ""
says "says so" "nothing revoked before" assay verify "$W/first" --ca "$PKI/root.pem" --crl "$PKI/none.crl"
says "for the compact proof too" "nothing revoked before" assay verify "$W/first.compact" --ca "$PKI/root.pem" \
	--certificate "$D/certificates/bank-a.pem" --crl "$PKI/none.crl"
sleep 1
check "a list that revokes it now" crl later.crl ca.pem -crl_reason superseded
says "is told, and refuses nothing that was before" "revoked LATER, on 20" assay verify "$W/first" --ca "$PKI/root.pem" --crl "$PKI/later.crl"
check "a list by which its key was stolen now" crl stolen.crl ca.pem -crl_reason keyCompromise
refuses "leaves no proof whose time is its own" "only a time stamp shows" assay verify "$W/first" --ca "$PKI/root.pem" --crl "$PKI/stolen.crl"
check "a list by which it was stolen before" crl before.crl ca.pem -crl_compromise 20200101000000Z
refuses "leaves none" "was revoked on 2020-01-01.*before the proof" assay verify "$W/first" --ca "$PKI/root.pem" --crl "$PKI/before.crl"
refuses "and no list is no list" "the CRL: not fewer than" assay verify "$W/first" --ca "$PKI/root.pem" --crl "$PKI/ca.pem"

# What others see of it.
leaf=$D/certificates/bank-a.pem
openssl x509 -in "$leaf" -out "$PKI/leaf.pem"
says "openssl verifies the partition's certificate" "leaf.pem: OK" openssl verify -x509_strict -CAfile "$PKI/root.pem" -untrusted "$leaf" "$PKI/leaf.pem"
serial=$(openssl x509 -in "$leaf" -noout -subject -nameopt multiline | sed -n 's/ *serialNumber *= //p')
says "which names the token's serial" "\"serial\": *\"$serial\"" assay partition list --json
says "and the partition" "OU *= *bank-a" openssl x509 -in "$leaf" -noout -subject
says "and its log" "URI:assay:assay/.*/1" openssl x509 -in "$leaf" -noout -ext subjectAltName
end_of() { date -d "$(openssl x509 -in "$1" -noout -enddate | cut -d= -f2)" +%s; }
if [ "$(end_of "$leaf")" -le "$(end_of "$PKI/ca.pem")" ]; then ok "it ends no later than its CA"; else not_ok "it outlasts its CA"; fi

# Rollover: nobody waits, old proofs hold, new ones are under the new key.
key_of() { python3 - "$1" <<'PY'
import hashlib, sys
raw = open(sys.argv[1], "rb").read()
at = raw.index(b"\x18\x22\x82\x2f\x58\x20")     # x5t: [-16, bytes 32]
print(raw[at + 6:at + 38].hex())
PY
}
fingerprint() { openssl x509 -in "$1" -outform DER | sha256sum | cut -c1-64; }
refuses "there is nothing to finish" "no rollover to finish" as_admin "$D/bin/assay" rollover bank-a --finish
refuses "a client rolls nothing over" "no administrator" as_front "$D/bin/assay" rollover bank-a
assay audit checkpoint >"$D/kept"
refuses "no key is rolled over whose certificate has no place" "Permission denied" \
	as_admin "$D/bin/assay" rollover bank-a -o "$D/second.pem"
check "bank-a's key is rolled over" as_admin "$D/bin/assay" rollover bank-a -o "$D/certificates/second.pem"
check "it runs" run second
check "the new proof holds" assay verify "$W/second" --ca "$PKI/root.pem"
check "the old one too" assay verify "$W/first" --ca "$PKI/root.pem"
if [ "$(key_of "$W/second")" = "$(fingerprint "$D/certificates/second.pem")" ] &&
	[ "$(key_of "$W/first")" = "$(fingerprint "$D/certificates/bank-a.pem")" ]; then
	ok "each under its key"; else not_ok "the keys are not those that were rolled over"; fi
check "the compact one by the new certificate" assay verify "$W/second.compact" --ca "$PKI/root.pem" --certificate "$D/certificates/second.pem"
says "the log names the new key" "key rollover" assay audit show --json
says "by its certificate" "$(fingerprint "$D/certificates/second.pem")" assay audit show --json
lines() { assay audit checkpoint "$1" | grep -c '^— '; }
tree=$(assay partition list --json | grep -o '"origin": *"[^"]*"' | head -1 | cut -d'"' -f4)
for i in $(seq 60); do [ "$(lines "$tree")" = 4 ] && break; sleep 0.1; done
if [ "$(lines "$tree")" = 4 ]; then ok "checkpoints carry signatures of both keys, ECDSA and Ed25519"; else not_ok "checkpoints carry $(lines "$tree")"; fi
refuses "a second rollover waits for the first to be finished" "not finished" as_admin "$D/bin/assay" rollover bank-a
assay stop >/dev/null
check "it starts again" instance_start
check "it runs" run third
log_holds "in the overlap"
check "the rollover is finished" as_admin "$D/bin/assay" rollover bank-a --finish
for i in $(seq 60); do [ "$(lines "$tree")" = 2 ] && break; sleep 0.1; done
if [ "$(lines "$tree")" = 2 ]; then ok "then of one"; else not_ok "then $(lines "$tree") of them"; fi
check "it is rolled over again" as_admin "$D/bin/assay" rollover bank-a -o "$D/certificates/third.pem"
check "and finished" as_admin "$D/bin/assay" rollover bank-a --finish
check "the appliance's own key too" assay rollover --appliance
check "and finished" assay rollover --appliance --finish
check "it runs" run fourth
check "the log goes on from what was kept before" assay audit verify --against "$D/kept" --ca "$PKI/root.pem"
check "a proof from the log, of before" assay audit proof 3 --tree "$tree" -o "$W/again"
for proof in first second third fourth; do
	check "the $proof proof holds" assay verify "$W/$proof" --ca "$PKI/root.pem" --package "$D/samples/screen.pkg"
done
cp -a "$D/state/log" "$D/copy"
check "a copy of the log is imported" assay audit import "$D/copy" "$D/imported" --ca "$PKI/ca.pem"

# kill -9 at any moment of it: the log opens, and goes on under one of the two keys.
rolled=0
for delay in 0 0.005 0.01 0.02 0.03 0.04 0.06 0.1; do
	as_admin "$D/bin/assay" rollover bank-a -o "$D/certificates/killed.pem" >/dev/null 2>&1 &
	client=$!
	sleep $delay
	kill -9 "$(instance_daemon)"
	wait $client && rolled=$((rolled + 1))
	for i in $(seq 100); do [ -n "$(instance_daemon)$(instance_launcher)" ] || break; sleep 0.1; done
	check "killed after $delay s, it starts again" instance_start
	check "it runs" run "after$delay"
	check "the proof holds" assay verify "$W/after$delay" --ca "$PKI/root.pem"
	log_holds "after that"
	as_admin "$D/bin/assay" rollover bank-a --finish >/dev/null 2>&1
done
echo "# $rolled of 8 rollovers were answered before the kill"
check "a rollover still works" as_admin "$D/bin/assay" rollover bank-a
check "and is finished" as_admin "$D/bin/assay" rollover bank-a --finish
check "and the first proof still holds" assay verify "$W/first" --ca "$PKI/ca.pem"

# The vendor renews the CA's certificate: old proofs hold by the new one, and new ones by the old.
refuses "not while the daemon runs" "another daemon|holds the lock|already open|wrong state" assay init --csr "$D/renew.csr"
assay stop >/dev/null
check "a renewal is asked for" assay init --csr "$D/renew.csr"
same_key() { [ "$(openssl req -in "$D/renew.csr" -noout -pubkey)" = "$(openssl x509 -in "$PKI/ca.pem" -noout -pubkey)" ]; }
check "for the same key" same_key
check "the vendor certifies it" certify "$D/renew.csr" "$PKI/renewed.pem" -days 1500 -extfile <(extensions ,pathlen:0)
check "another name, too" certify "$D/renew.csr" "$PKI/renamed.pem" -days 1500 -subj /CN=renamed -extfile <(extensions ,pathlen:0)
refuses "which is refused" "none for what the CA issued" assay init --certificate "$PKI/renamed.pem" --chain "$PKI/chain.pem"
refuses "and the CA does not certify itself any more" "somebody else certified" assay init --renew
check "the renewed one is taken" assay init --certificate "$PKI/renewed.pem" --chain "$PKI/chain.pem" -o "$D/ca.pem"
check "it starts" instance_start
check "it runs" run renewed
for trusted in ca renewed root; do
	check "its proof holds by the vendor's $trusted" assay verify "$W/renewed" --ca "$PKI/$trusted.pem"
	check "and the first one" assay verify "$W/first" --ca "$PKI/$trusted.pem"
	check "and the log" assay audit verify --ca "$PKI/$trusted.pem"
done
check "the log tells" assay audit show --type management
if [ "$(records "CA's certificate was renewed")" = 1 ]; then ok "of the renewal, once"; else not_ok "of $(records renewed) renewals"; fi
check "keys are rolled over under it" as_admin "$D/bin/assay" rollover bank-a -o "$D/certificates/last.pem"
openssl x509 -in "$D/certificates/last.pem" -out "$PKI/last.pem"
says "and openssl verifies them" "last.pem: OK" openssl verify -x509_strict -CAfile "$PKI/root.pem" -untrusted "$D/certificates/last.pem" "$PKI/last.pem"

# In a browser, which knows no OpenSSL.
. testbed/browser.sh
for trusted in ca mid root other; do
	"$D/bin/assay" verify "$W/fourth" --ca "$PKI/$trusted.pem" --html "$D/$trusted.html" >/dev/null
	browser --virtual-time-budget=20000 --dump-dom "file://$D/$trusted.html" >"$D/$trusted.dom"
done
for trusted in ca mid root; do
	if grep -q 'The proof holds' "$D/$trusted.dom"; then ok "a browser says so too, by the vendor's $trusted"; else
		not_ok "a browser: $(grep -o 'does not hold[^<]*' "$D/$trusted.dom" | head -1)"; fi
done
if grep -q 'another CA than the one given' "$D/other.dom"; then ok "and refuses another"; else not_ok "a browser takes another CA"; fi
log_holds "at the end"
done_testing
