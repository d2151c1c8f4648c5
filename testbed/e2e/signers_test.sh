#!/bin/bash
# Who must have approved a package before it is loaded, and as long as it runs: keys in files, of others'
# tools and of an HSM; revoked, too few, forged, older; and what a proof and a relying party make of it.
. "$(dirname "$0")/lib.sh" signers
appliance
W=$D/work K=$D/developers
mkdir "$K"
behave echo "$W/in"

policy() { cat >"$D/policy.yaml" && chmod 0644 "$D/policy.yaml"; }
set_policy() { as_admin "$D/bin/assay" partition policy bank-a "$D/policy.yaml"; }
# policy_of APPROVALS [LINE...]: of the three developers.
policy_of() {
	local approvals=$1
	shift
	{ printf 'packages:\n  signers: [%s, %s, %s]\n  approvals: %s\n' "$ada" "$bob" "$eve" "$approvals" && printf '  %s\n' "$@"; } | policy
	check "the policy asks for $approvals of three: $*" set_policy
}
pack() { assay pack "$BUILD/samples/unruly" --id unruly --version "$1" --refuse-code 65 --wall-ms 20000 -o "$2"; }
# The members of claim 273's image that say who approved, of the last record of a type.
approvers() {
	assay audit show --json --type "$1" 2>/dev/null | grep -vE '^(\[|\])$' | tail -1 | /usr/bin/python3 -c 'import json, sys
print(*[s for c in json.load(sys.stdin)["measurements"] if c["name"] == "image" for s in c.get("approved_by", [])])'
}
sorted() { printf '%s\n' "$@" | sort | tr '\n' ' ' | sed 's/ $//'; }
same() { [ "$1" = "$2" ] || { echo "$1, and not $2"; return 1; }; }

# ---- three developers: a key for assay sign, a P-384 key that only openssl sees, a key in an HSM ----
openssl ecparam -name prime256v1 -genkey -noout -out "$K/ada.pem"
openssl ecparam -name secp384r1 -genkey -noout -out "$K/bob.pem"
chmod 0600 "$K"/*.pem
for name in ada bob; do openssl pkey -in "$K/$name.pem" -pubout -out "$K/$name.pub"; done
install -d -m 0700 "$K/hsm"
softhsm_conf "$K/softhsm.conf" "$K/hsm"
hsm() { SOFTHSM2_CONF=$K/softhsm.conf pkcs11-tool --module "$SOFTHSM" --token-label eve --login --pin 9876 "$@"; }
SOFTHSM2_CONF=$K/softhsm.conf softhsm2-util --init-token --free --label eve --pin 9876 --so-pin 98765432 >/dev/null
check "a developer's key is made in an HSM" hsm --keypairgen --key-type EC:prime256v1 --id 01
check "and its public half read" hsm --read-object --type pubkey --id 01 -o "$K/eve.der"
ada=$(assay signer "$K/ada.pub") bob=$(assay signer "$K/bob.pub") eve=$(assay signer "$K/eve.der")
says "a signer is the SHA-256 of its SubjectPublicKeyInfo" "^$ada " eval \
	"openssl pkey -pubin -in '$K/ada.pub' -outform DER | sha256sum"

check "a package is made" pack 1.1 "$K/app.pkg"
cp "$K/app.pkg" "$K/ada.pkg"
says "one developer signs it" "^signer: +$ada" assay sign "$K/ada.pkg" --key "$K/ada.pem"
openssl dgst -sha256 -sign "$K/bob.pem" -out "$K/bob.sig" "$K/app.pkg"
says "another signs it with openssl" "^signer: +$bob" assay sign "$K/app.pkg" --signature "$K/bob.sig" --public "$K/bob.pub" -o "$K/bob.pkg"
# SoftHSM 2.6 has no ECDSA-SHA256.
if hsm -M | grep -q ECDSA-SHA256; then
	cp "$K/app.pkg" "$K/to-sign" && how=ECDSA-SHA256
else
	openssl dgst -sha256 -binary "$K/app.pkg" >"$K/to-sign" && how=ECDSA
fi
check "a third in the HSM" hsm --sign -m $how --signature-format openssl --id 01 -i "$K/to-sign" -o "$K/eve.sig"
says "whose signature holds" "^signer: +$eve" assay sign "$K/app.pkg" --signature "$K/eve.sig" --public "$K/eve.der" -o "$K/eve.pkg"
check "two of them sign one" assay sign "$K/ada.pkg" --signature "$K/eve.sig" --public "$K/eve.der" -o "$K/two.pkg"

if nm "$BUILD/assayd" | grep -q " trailer_" && ! nm "$BUILD/assay-launcher" | grep -q " trailer_"; then
	ok "the daemon reads signatures, and the launcher has nothing that could"
else
	not_ok "the launcher can read signatures"
fi

# ---- without a policy ----
check "where nobody need sign, a signed package is loaded" load bank_a_so "$K/ada.pkg"
check "the record names nobody, since no key was looked at" same "$(approvers management)" ""
check "and an unsigned one" load bank_a_so "$K/app.pkg"

# ---- one of three ----
policy_of 1
refuses "what is loaded unsigned runs no more" CKR_KEY_FUNCTION_NOT_PERMITTED execute bank_a unruly "$W/in" "$W/out"
says "and the log says how many approvals it lacks" "unruly 1.1 has 0 of 1 approvals that the policy asks for" \
	assay audit show --type refusal
refuses "an unsigned package is refused" CKR_KEY_FUNCTION_NOT_PERMITTED load bank_a_so "$K/app.pkg"
for who in ada bob eve; do
	check "one that $who signed is loaded" load bank_a_so "$K/$who.pkg"
	check "its record names $who" same "$(approvers management)" "${!who}"
	check "it runs" execute bank_a unruly "$W/in" "$W/out"
	check "the execution's record names $who" same "$(approvers execution)" "${!who}"
done

# ---- forged, cut, lengthened ----
n=$(stat -c %s "$K/bob.pkg")
change_byte "$K/bob.pkg" "$K/bad.pkg" $((n - 1))
refuses "a changed signature is refused" CKR_DATA_INVALID load bank_a_so "$K/bad.pkg"
says "and the log says whose" "signer $bob: the signature is not by this key over this package" assay audit show --type refusal
pack 1.2 "$K/other.pkg" >/dev/null
{ cat "$K/other.pkg" && tail -c +$(($(stat -c %s "$K/app.pkg") + 1)) "$K/ada.pkg"; } >"$K/bad.pkg"
refuses "another package's signature is refused" CKR_DATA_INVALID load bank_a_so "$K/bad.pkg"
head -c $((n - 1)) "$K/bob.pkg" >"$K/bad.pkg"
refuses "a cut trailer is refused" CKR_DATA_INVALID load bank_a_so "$K/bad.pkg"
{ cat "$K/bob.pkg" && echo; } >"$K/bad.pkg"
refuses "bytes after the trailer are refused" CKR_DATA_INVALID load bank_a_so "$K/bad.pkg"
says "with words" "after the package: cut or lengthened" assay audit show --type refusal
{ cat "$K/app.pkg" && echo garbage; } >"$K/bad.pkg"
refuses "bytes after the package are refused" CKR_DATA_INVALID load bank_a_so "$K/bad.pkg"
says "with words" "8 bytes that are no signatures" assay audit show --type refusal

# ---- two of three, and a proof ----
policy_of 2
refuses "one of two approvals is too few" CKR_KEY_FUNCTION_NOT_PERMITTED load bank_a_so "$K/ada.pkg"
says "and the log says so" "unruly 1.1 has 1 of 2 approvals" assay audit show --type refusal
check "two of two are enough" load bank_a_so "$K/two.pkg"
check "the record names both, in order" same "$(approvers management)" "$(sorted "$ada" "$eve")"
check "it runs" execute bank_a unruly "$W/in" "$W/out"
check "its proof is fetched" fetch bank_a "$(result_label "$W/out")" proof "$W/proof"
appraise() { "$D/bin/assay" verify --ca "$D/ca.pem" "$@"; }
explained() { "$D/bin/assay" tcb explain "$W/proof" | sed -n 's/^ *approved by //p' | tr '\n' ' ' | sed 's/ $//'; }
check "which names both" same "$(explained)" "$(sorted "$ada" "$eve")"
check "a relying party learns from it" appraise "$W/proof" --learn "$D/learned"
says "that two must approve" "approvals: 2" cat "$D/learned"
says "and accepts it" "ok +policy: application.signers: approved by 2 of those listed, least 2" \
	appraise "$W/proof" --policy "$D/learned"
printf 'application: {signers: [%s, %s], approvals: 2}\n' "$ada" "$bob" >"$D/mine"
refuses "one that wants others to approve does not" "REFUSED +policy: application.signers: approved by 1 of those listed, least 2" \
	appraise "$W/proof" --policy "$D/mine"
says "the signed package is the one that ran" "holds" appraise "$W/proof" --package "$K/two.pkg"

# ---- restart ----
check "it stops and starts" eval 'assay stop && instance_start'
check "what was approved runs after a restart" execute bank_a unruly "$W/in" "$W/out"
check "its record names both" same "$(approvers execution)" "$(sorted "$ada" "$eve")"

# ---- revoked: at once, also what runs ----
epoch() { assay audit show --json --type execution 2>/dev/null | grep -oE '"epoch":[0-9]+' | tail -1 | cut -d: -f2; }
before=$(epoch)
behave sleep "$W/sleep"
begun() { assay status | grep -oE 'executions[^0-9]*[0-9]+'; }
count=$(begun)
execute bank_a unruly "$W/sleep" "$W/slept" >"$W/said" 2>&1 &
client=$!
running() { [ "$(begun)" != "$count" ]; }
await "a run begins" running
policy_of 1 "revoked_signers: [$ada]"
check "one revoked signer of two leaves the other" execute bank_a unruly "$W/in" "$W/out"
check "whom the record names alone" same "$(approvers execution)" "$eve"
after=$(epoch)
if [ "$after" -gt "$before" ]; then ok "the epoch rose"; else not_ok "epoch $before, then $after"; fi
says "the revocation is a record" "the signer $ada is revoked" assay audit show --type management
policy_of 1 "revoked_signers: [$ada, $eve]"
wait $client
if grep -qE "CKR_FUNCTION_CANCELED|CKR_KEY_FUNCTION_NOT_PERMITTED" "$W/said"; then ok "what runs is ended"; else not_ok "$(cat "$W/said")"; fi
refuses "and does not run again" CKR_KEY_FUNCTION_NOT_PERMITTED execute bank_a unruly "$W/in" "$W/out"
says "and the log says why" "0 of 1 approvals that the policy asks for; signer ($ada|$eve) is revoked" assay audit show
refuses "nor is it loaded again" CKR_KEY_FUNCTION_NOT_PERMITTED load bank_a_so "$K/two.pkg"
check "the one that was not revoked still approves" load bank_a_so "$K/bob.pkg"
check "it stops and starts" eval 'assay stop && instance_start'
refuses "a revoked signer stays revoked" CKR_KEY_FUNCTION_NOT_PERMITTED load bank_a_so "$K/two.pkg"

# ---- no rollback ----
policy_of 1 "rollback: refused"
says "the log says who counts again" "the signer $eve is revoked no longer" assay audit show --type management
for version in 1.2 1.10; do
	pack $version "$K/$version.pkg" >/dev/null
	assay sign "$K/$version.pkg" --key "$K/ada.pem" >/dev/null
done
check "a newer version is loaded" load bank_a_so "$K/1.10.pkg"
refuses "an older one is not" CKR_KEY_FUNCTION_NOT_PERMITTED load bank_a_so "$K/1.2.pkg"
says "and the log says why" "unruly 1.2 is older than 1.10, which was loaded before" assay audit show --type refusal
check "the same one is" load bank_a_so "$K/1.10.pkg"
check "it stops and starts" eval 'assay stop && instance_start'
refuses "nor after a restart" CKR_KEY_FUNCTION_NOT_PERMITTED load bank_a_so "$K/1.2.pkg"
policy_of 1 "rollback: allowed"
check "where the policy allows it, it is" load bank_a_so "$K/1.2.pkg"
policy_of 1 "rollback: refused"
refuses "which does not lower what was the newest" CKR_KEY_FUNCTION_NOT_PERMITTED load bank_a_so "$K/1.2.pkg"

# ---- mistakes ----
policy <<<"packages: {signers: [$ada]}"
refuses "signers of whom none need sign are a mistake" "1 or more expected, because of signers" set_policy
policy <<<"packages: {signers: [$ada], approvals: 2}"
refuses "and more approvals than signers" "as many signers as approvals expected" set_policy
log_holds "at the end"
done_testing
