#!/bin/bash
# Checkpoints carry a line of Ed25519 where the daemon's token can sign it: checked with openssl and by a
# witness that knows the log by it alone; what is wrong is told, what is absent is no offence; and a token
# that can't, or can't any more, holds nobody up.
. "$(dirname "$0")/lib.sh" ed25519

folder_of() { # the tree's folder, of the newest partition, or of the appliance
	local origin
	for origin in "$D"/state/log/trees/*/origin; do
		case $1:$(head -1 "$origin") in
		bank:*/*/* | appliance:*[!/]) [ "$1" = bank ] || [[ $(head -1 "$origin") != */*/* ]] || continue
			dirname "$origin" ;;
		esac
	done | tail -1
}
signatures() { grep -c '^— ' "$1"; }
carries() { [ -s "$1/checkpoint" ] && [ "$(signatures "$1/checkpoint")" = "$2" ]; }
size_of() { sed -n 2p "$1/checkpoint"; }
grown() { [ "$(size_of "$1")" -gt "$2" ]; }
run() { execute bank_a screen "$D/samples/payment.xml" "$D/work/$1"; }
# One more record, and the checkpoint with it.
grow() {
	local before
	before=$(size_of "$T")
	check "it runs" run "${1:-more}"
	await "the checkpoint grows" grown "$T" "$before"
}

line_by_openssl() {
	openssl x509 -inform DER -in "$1/ed25519.der" -noout -pubkey >"$D/key.pem" &&
		sed '/^$/,$d' "$1/checkpoint" >"$D/text" &&
		tail -1 "$1/checkpoint" | awk '{print $3}' | base64 -d | tail -c 64 >"$D/signature" &&
		openssl pkeyutl -verify -pubin -inkey "$D/key.pem" -rawin -in "$D/text" -sigfile "$D/signature"
}
chain_by_openssl() {
	openssl x509 -inform DER -in "$1/ed25519.der" -out "$D/ed25519.pem" &&
		openssl verify -x509_strict -CAfile "$D/ca.pem" "$D/ed25519.pem"
}

instance_make "$place"
pin_files
check "the appliance is initialised" assay init -o "$D/ca.pem"
check "launcher and daemon start" instance_start
check "bank-a is enrolled" instance_enroll_one a
check "an application is loaded" load bank_a_so "$D/samples/screen.pkg"
check "and runs" run first
T=$(folder_of bank)
await "checkpoints of the partition carry two lines" carries "$T" 2
await "those of the appliance too" carries "$(folder_of appliance)" 2
says "the published key is of the appliance's CA" ": OK" chain_by_openssl "$T"
says "for this log" "URI:assay:$(cat "$T/origin")" openssl x509 -inform DER -in "$T/ed25519.der" -noout -text
says "openssl verifies the line" "Verified Successfully" line_by_openssl "$T"
says "its verifier key is printed" "^log $(cat "$T/origin")\+[0-9a-f]{8}\+A" assay witness log "$T/ed25519.der"
log_holds "with it"

# A witness that knows the log by its Ed25519 key alone.
check "a witness gets a key" sh -c "'$BUILD/assay' witness init --state '$D/w' --name w.example >'$D/w.vkey'"
assay witness log "$T/ed25519.der" >"$D/w/logs"
request() { assay witness request "$(cat "$T/origin")" 2>/dev/null >"$D/request"; }
check "a request is written" request
sed '$d' "$D/request" >"$D/less"
head -c -30 "$D/request" >"$D/wrong"
printf 'AAAAAAAAAAAAAAAAAAAAAAAAAAA==\n' >>"$D/wrong"
refuses "it refuses a checkpoint with a wrong line" "not signed: a signature of .* does not verify" \
	"$BUILD/assay" witness sign --state "$D/w" "$D/wrong"
refuses "and one without it" "the log's keys did not sign the checkpoint" \
	"$BUILD/assay" witness sign --state "$D/w" "$D/less"
says "it signs what the key signed" "^— w.example " "$BUILD/assay" witness sign --state "$D/w" "$D/request"

# What auditors say of a wrong line, and of none.
copy=$D/copy
copied() { rm -rf "$copy" && cp -a "$D/state/log" "$copy" && C=$copy/trees/${T##*/}; }
told() { # told WORDS PATTERN: by each command that reads checkpoints
	refuses "$1: audit verify" "$2" assay audit verify "$copy" --ca "$D/ca.pem"
	refuses "$1: audit checkpoint" "$2" assay audit checkpoint --log "$copy" --ca "$D/ca.pem"
	refuses "$1: audit import" "$2" assay audit import "$copy" "$D/imported.$RANDOM" --ca "$D/ca.pem"
}
assay stop >/dev/null
copied
sed -i '$s/....$/AA==/' "$C/checkpoint"
told "a wrong line" "does not verify"
copied
cp "$(folder_of appliance)/ed25519.der" "$C/ed25519.der"
told "another log's key" "is not for the log"
copied
sed -i '$d' "$C/checkpoint"
check "no line is no offence: audit verify" assay audit verify "$copy" --ca "$D/ca.pem"
check "nor to audit import" assay audit import "$copy" "$D/imported" --ca "$D/ca.pem"
check "it starts again" instance_start
grow second
check "and its checkpoints carry two lines" carries "$T" 2
check "the import goes on" assay audit import "$D/state/log" "$D/imported"

# Rollover: four lines, two, and what was kept of before.
assay audit checkpoint >"$D/kept"
check "the key is rolled over" as_admin "$D/bin/assay" rollover bank-a
await "checkpoints carry four lines" carries "$T" 4
check "the former key is kept" test -s "$T/former-ed25519.der"
log_holds "in the overlap"
check "the rollover is finished" as_admin "$D/bin/assay" rollover bank-a --finish
await "then two" carries "$T" 2
says "by the new key" "Verified Successfully" line_by_openssl "$T"
check "the log goes on from what was kept" assay audit verify --against "$D/kept"

# The token loses the mechanism, and gets it back.
# SoftHSM 2.6.1 passes over the first name after the sign.
without() { echo "slots.mechanisms = -NONE,CKM_EDDSA" >>"$D/token.conf"; }
with() { sed -i '/^slots/d' "$D/token.conf"; }
assay stop >/dev/null
without
check "it starts with a token that can't sign it" instance_start
grow third
grow fourth
check "checkpoints carry the one line" carries "$T" 1
if [ "$(grep -c "checkpoints of $(cat "$T/origin") are without a line of Ed25519" "$D/daemon.log")" = 1 ]; then
	ok "which is told once"
else
	not_ok "which is not told once"
fi
log_holds "without it"
check "a key is rolled over without it" as_admin "$D/bin/assay" rollover bank-a
check "and finished" as_admin "$D/bin/assay" rollover bank-a --finish
assay stop >/dev/null
with
check "it starts with the token of before" instance_start
grow fifth
check "a tree whose key was made without has none" carries "$T" 1
check "the next rollover gives it one" as_admin "$D/bin/assay" rollover bank-a
check "and is finished" as_admin "$D/bin/assay" rollover bank-a --finish
await "checkpoints carry two lines" carries "$T" 2
says "by the newest key" "Verified Successfully" line_by_openssl "$T"
log_holds "to the end"

done_testing
