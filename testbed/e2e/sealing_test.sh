#!/bin/bash
# A partition's policy: who sets it, what it forbids, how it shows; and sealed payloads: who can read
# them, how they are shredded, and that every proof still verifies.
. "$(dirname "$0")/lib.sh" sealing
also=unmount_sealed
unmount_sealed() {
	local place
	for place in "$D"/state/sealed/* "$D/state/sealed"; do ! mountpoint -q "$place" || umount "$place"; done
}
appliance
W=$D/work
cp "$D/samples/payment.xml" "$W/in"
check "an application is loaded" load bank_a_so "$D/samples/screen.pkg"
check "and another" load bank_a_so "$D/samples/unruly.pkg"
behave echo "$W/echo"

policy() { cat >"$D/policy.yaml" && chmod 0644 "$D/policy.yaml"; }
set_policy() { as_admin "$D/bin/assay" partition policy bank-a "$D/policy.yaml"; }
shown() { as_admin "$D/bin/assay" partition policy bank-a; }
measurement() { assay measure "$1" --json | grep -oE '"measurement": *"[0-9a-f]{64}"' | grep -oE '[0-9a-f]{64}'; }
# claim FILTER: the claims of the last record of a type, as JSON.
last() { assay audit show --json --type "$1" 2>/dev/null | grep -vE '^(\[|\])$' | tail -1; }

# ---- the policy ----
says "a partition that was given none has the empty policy" "^# SHA-256 e3b0c442.*none was set" shown
policy <<<"keep: something"
refuses "a policy with a wrong word is refused" "keep: nothing or sealed expected" set_policy
policy <<<"retain: 5"
refuses "an unknown key is refused" "one of the settings .* expected" set_policy
policy <<<"execute: {per_minute: 1000}"
refuses "the bank's client may not set it" "no administrator" as_front "$D/bin/assay" partition policy bank-a "$D/policy.yaml"
says "and that is a record" "no administrator" assay audit show --type refusal
says "an administrator may" "policy in force: SHA-256 $(sha256sum <"$D/policy.yaml" | cut -c1-64)" set_policy
says "it is shown as it was set" "^execute: {per_minute: 1000}" shown
says "the change is a record" "policy 1 set by user $ADMIN_UID" assay audit show --type configuration
check "an execution is under it" execute bank_a screen "$W/in" "$W/proof"
digest=$(sha256sum <"$D/policy.yaml" | cut -c1-64)
says "and its record says so" "$digest" last execution

policy <<<"execute: {applications: [screen]}"
check "only one application may run" set_policy
check "it does" execute bank_a screen "$W/in" "$W/proof"
refuses "the other does not" "CKR_KEY_FUNCTION_NOT_PERMITTED" execute bank_a unruly "$W/echo" "$W/out"
says "and that is a record" "the policy does not let unruly run" assay audit show --type refusal

policy <<<"execute: {users: [1]}"
check "only one user may execute" set_policy
refuses "another does not" "CKR_KEY_FUNCTION_NOT_PERMITTED" execute bank_a screen "$W/in" "$W/out"

policy <<<"limits: {input_bytes: 4}"
check "inputs are limited" set_policy
refuses "a longer one is refused" "CKR_DATA_LEN_RANGE" execute bank_a screen "$W/in" "$W/out"

policy <<<"execute: {per_minute: 2}"
check "executions are limited" set_policy
check "one is allowed" execute bank_a screen "$W/in" "$W/out"
check "and another" execute bank_a screen "$W/in" "$W/out"
refuses "a third is not" "CKR_DEVICE_MEMORY" execute bank_a screen "$W/in" "$W/out"
says "and that is a record" "the policy allows 2 executions in a minute" assay audit show --type refusal

policy </dev/null
check "and without limit" set_policy
behave sleep "$W/sleep"
begun() { assay status | grep -oE 'executions[^0-9]*[0-9]+'; }
before=$(begun)
execute bank_a unruly "$W/sleep" "$W/out" >"$W/said" 2>&1 &
client=$!
for i in $(seq 200); do
	[ "$(begun)" = "$before" ] || break
	sleep 0.05
done
policy <<<"revoked: [$(measurement "$D/samples/unruly.pkg")]"
check "a version is revoked" set_policy
wait $client
# It may have waited for its cell still.
if grep -qE "CKR_FUNCTION_CANCELED|CKR_KEY_FUNCTION_NOT_PERMITTED" "$W/said"; then ok "what runs of it is ended"; else not_ok "$(cat "$W/said")"; fi
says "and the log says why" "unruly.* is revoked by the policy" assay audit show
says "which is a record" "is revoked" assay audit show --type management
refuses "it does not run" "CKR_KEY_FUNCTION_NOT_PERMITTED" execute bank_a unruly "$W/echo" "$W/out"
refuses "nor is it loaded again" "CKR_" load bank_a_so "$D/samples/unruly.pkg"
check "another one runs" execute bank_a screen "$W/in" "$W/out"
# A load beside the revocation of what is loaded: whichever is first, none comes behind.
load_beside_revocation() {
	policy </dev/null
	set_policy >/dev/null
	policy <<<"revoked: [$(measurement "$D/samples/unruly.pkg")]"
	load bank_a_so "$D/samples/unruly.pkg" >/dev/null 2>&1 &
	set_policy >/dev/null
	wait $!
}
for _ in 1 2 3 4; do load_beside_revocation; done
assay audit show --json --type management >"$W/acts"
check "nothing is loaded that is revoked" python3 -c 'import json, sys
revoked = False
for r in map(json.loads, open(sys.argv[1])):
    words = r.get("reason", "")
    if "is revoked" in words:
        revoked = "no longer" not in words
    assert not (revoked and words == "application loaded" and r.get("sub") == "unruly"), r["pos"]
assert revoked' "$W/acts"

# ---- sealed payloads ----
A=$D/auditor
install -d -m 0755 "$A" "$A/open"
openssl req -x509 -newkey rsa:3072 -nodes -keyout "$A/key.pem" -out "$A/certificate.pem" -subj /CN=auditor 2>/dev/null
openssl req -x509 -newkey rsa:1024 -nodes -keyout "$A/weak.key" -out "$A/weak.pem" -subj /CN=auditor 2>/dev/null
chmod 0644 "$A"/*.pem
policy <<<"keep: sealed"
refuses "sealed payloads need an auditor" "sealed.auditor: a certificate's file expected" set_policy
policy <<<"{keep: sealed, sealed: {auditor: $A/weak.pem}}"
refuses "one with a good key" "an RSA key of 1024 bits" set_policy
policy <<<"{keep: sealed, sealed: {auditor: $A/certificate.pem, retention_days: 30}}"
check "payloads are sealed to an auditor" set_policy
openssl x509 -in "$A/certificate.pem" -outform DER -out "$A/certificate.der"
digest=$(cat "$D/policy.yaml" "$A/certificate.der" | sha256sum | cut -c1-64)
says "the digest is that of policy and certificate" "$digest" shown

check "a sealed execution" execute bank_a screen "$W/in" "$W/proof"
check "its proof is fetched" fetch bank_a "$(result_label "$W/proof")" proof "$W/full"
check "and its output" fetch bank_a "$(result_label "$W/proof")" output "$W/output"
cti=$(last execution | grep -oE '"cti": *"[0-9a-f]{32}"' | grep -oE '[0-9a-f]{32}')
sealed=$(last execution | grep -oE '"sealed": *"[0-9a-f]{64}"' | grep -oE '[0-9a-f]{64}')
if grep -qa "Dbtr" "$W/in" && ! grep -rqa "Dbtr" "$D/state"; then ok "nothing of the input lies in the state directory"; else
	not_ok "the input can be read in the state directory"; fi
refuses "the bank's client gets no payload" "no administrator" \
	as_front "$D/bin/assay" audit payload bank-a "$cti" -o "$W/cms"
check "an administrator hands it out" assay audit payload bank-a "$cti" -o "$A/payload.cms"
says "which is a record" "sealed payload of proof $cti handed out" assay audit show --type management
if [ "$(sha256sum <"$A/payload.cms" | cut -c1-64)" = "$sealed" ]; then ok "its SHA-256 is the claim in the leaf"; else
	not_ok "SHA-256 of the payload is not $sealed"; fi

# The command that README.md tells an auditor.
opens() {
	openssl cms -decrypt -inform DER -in "$1" -recip "$A/certificate.pem" -inkey "$A/key.pem" | tar -xC "$A/open"
}
check "the auditor opens it with openssl and tar" opens "$A/payload.cms"
check "and finds the input" cmp "$A/open/input" "$W/in"
check "the output" cmp "$A/open/output" "$W/output"
check "the messages" test -f "$A/open/stderr"
verifies() {
	assay verify "$W/full" --ca "$D/ca.pem" --package "$D/samples/screen.pkg" \
		--input "$A/open/input" --output "$A/open/output" --keys "$A/open/keys"
}
check "and keys under which the proof holds for both" verifies
cp "$A/payload.cms" "$A/changed.cms"
change_byte "$A/payload.cms" "$A/changed.cms" 2000
changed_opens() { openssl cms -decrypt -inform DER -in "$A/changed.cms" -recip "$A/certificate.pem" -inkey "$A/key.pem" -out "$A/out"; }
refuses "a changed payload is refused" "." changed_opens
file=$(find "$D/state/sealed" -name "$cti")
outer_opens() { openssl cms -decrypt -inform DER -in "$file" -recip "$A/certificate.pem" -inkey "$A/key.pem" -out "$A/out"; }
refuses "the file on the disk is none that the auditor opens alone" "." outer_opens

# A payload that can't be written: what ran is kept back, and the record says why.
partition=$(echo "$D"/state/sealed/*)
mv "$partition" "$D/aside" && install -m 0600 -o $DAEMON_UID /dev/null "$partition"
refuses "a result whose payload can't be sealed is kept back" "CKR_DEVICE_ERROR" execute bank_a screen "$W/in" "$W/out"
says "and its record says why" "the payload can't be sealed" last execution
rm "$partition" && mv "$D/aside" "$partition"
# The disk is full after the look at it, before the run's payload is there: nothing is released unsealed.
mount -t tmpfs -o size=16k,mode=0700,uid=$DAEMON_UID none "$partition"
head -c 16384 /dev/zero >"$partition/filler"
before=$(records " execution ")
refuses "when the disk fills meanwhile a result is kept back" "CKR_DEVICE_ERROR" execute bank_a screen "$W/in" "$W/out"
says "its record says why" "the payload can't be sealed" last execution
check "it ran" test "$(records " execution ")" -gt "$before"
hides "and names no payload" '"sealed"' last execution
hides "its output is not to be had" "assay:output.*$(date -u +%Y)|label:.*out" bank_a --list-objects --type data
hides "no piece of a payload is left" "." find "$partition" -type f ! -name filler
umount "$partition"

# A quota of what is kept.
policy <<<"{keep: sealed, sealed: {auditor: $A/certificate.pem, retention_days: 30, most_bytes: 1000}}"
check "the policy bounds what is kept" set_policy
before=$(records " execution ")
refuses "over it nothing runs" "CKR_DEVICE_MEMORY" execute bank_a screen "$W/in" "$W/out"
says "and that is a record" "bytes of sealed payloads are kept, and the policy allows 1000" assay audit show --type refusal
check "and no execution" test "$(records " execution ")" -eq "$before"
policy <<<"{keep: sealed, sealed: {auditor: $A/certificate.pem, retention_days: 30, most_bytes: 1000000000}}"
check "with more it does" set_policy
mount -t tmpfs -o size=16m,mode=0700,uid=$DAEMON_UID none "$D/state/sealed"
refuses "nothing runs when the disk has no room for payloads" "CKR_DEVICE_MEMORY" execute bank_a screen "$W/in" "$W/out"
umount "$D/state/sealed"
says "and that is a record" "the disk would have less than" assay audit show --type refusal
check "with room it does" execute bank_a screen "$W/in" "$W/out"

# What a copy of the disk, made before, is worth afterwards.
assay stop >/dev/null
cp -a "$D/state" "$D/earlier"
check "it starts again" instance_start
check "after a restart it is there" assay audit payload bank-a "$cti" -o "$A/payload.cms"
check "the next execution goes on with the same day" execute bank_a screen "$W/in" "$W/proof2"
refuses "there is nothing of another year" "no sealed payloads are of that period" assay audit shred bank-a 1999
refuses "a period has a form" "a period is 2026" assay audit shred bank-a yesterday
refuses "the bank's client shreds nothing" "no administrator" as_front "$D/bin/assay" audit shred bank-a all
says "an administrator shreds the day" "of 1 days" assay audit shred bank-a "$(date -u +%Y-%m-%d)"
says "which is a record" "keys of sealed payloads destroyed: 1 periods, from $(date -u +%Y-%m-%d)" assay audit show --type shred
refuses "the payload is gone" "it was shredded" assay audit payload bank-a "$cti" -o "$A/gone.cms"
check "the proof still verifies" assay verify "$W/full" --ca "$D/ca.pem" --package "$D/samples/screen.pkg"
log_holds "after the shredding"
gone=no
for i in $(seq 100); do
	[ -e "$file" ] || { gone=yes; break; }
	sleep 0.3
done
if [ $gone = yes ]; then ok "its file is removed"; else not_ok "its file is still there"; fi
check "the day goes on under a new key" execute bank_a screen "$W/in" "$W/proof3"
cti3=$(last execution | grep -oE '"cti": *"[0-9a-f]{32}"' | grep -oE '[0-9a-f]{32}')
check "which opens" assay audit payload bank-a "$cti3" -o "$A/payload3.cms"
check "for the auditor too" opens "$A/payload3.cms"

assay stop >/dev/null
cp -a "$D/state/sealing" "$D/sealing"
rm -rf "$D/state/sealing" "$D/state/sealed"
cp -a "$D/earlier/sealing" "$D/earlier/sealed" "$D/state"
check "with keys and payloads of an earlier day it starts" instance_start
refuses "but nothing shredded comes back" "put back to an earlier state" assay audit payload bank-a "$cti" -o "$A/gone.cms"
refuses "and nothing runs unsealed" "CKR_DEVICE_ERROR" execute bank_a screen "$W/in" "$W/out"
says "which is a record" "payloads can't be sealed" assay audit show --type refusal
check "until all of it is shredded" assay audit shred bank-a all
check "then executions go on" execute bank_a screen "$W/in" "$W/out"

# A policy is not put back unseen.
cp -a "$D/state/partitions" "$D/partitions"
policy <<<"keep: nothing"
check "nothing is kept any more" set_policy
check "an execution without a payload" execute bank_a screen "$W/in" "$W/out"
hides "says so" '"sealed"' last execution

log_holds "at the end"
assay stop >/dev/null
mv "$D/state/partitions" "$D/later" && mv "$D/partitions" "$D/state/partitions"
refuses "with an earlier policy it does not start" "policy .* put back" instance_start
rm -rf "$D/state/partitions" && mv "$D/later" "$D/state/partitions"
check "with its own it does" instance_start
done_testing
