#!/bin/bash
# The same tools on evidence of a real appliance: pkcs11-tool runs an application through assay.so;
# what it fetches, and the log's checkpoint as it lies on disk, go to interop_test.sh.
set -uo pipefail
. "$(dirname "$0")/../e2e/lib.sh" log

evidence=$(mktemp -d)
clean_evidence() { rm -rf "$evidence"; }
also=clean_evidence # run by lib.sh at the end
appliance

# What the bank's client gets, under the names that interop_test.sh knows.
produce() {
	local work=$D/work label
	cp "$D/samples/payment.xml" "$evidence/input" &&
		load bank_a_so "$D/samples/screen.pkg" &&
		execute bank_a screen "$D/samples/payment.xml" "$work/compact.cbor" || return 1
	label=$(result_label "$work/compact.cbor")
	fetch bank_a "$label" output "$work/output" &&
		fetch bank_a "$label" proof "$work/proof.cbor" &&
		fetch bank_a "$label" keys "$work/keys.cbor" &&
		cp "$work"/{compact.cbor,output,proof.cbor,keys.cbor} "$D/ca.pem" "$evidence"
}

# The newest checkpoint is there when the daemon has stopped, at the latest. Of the trees, it is that of
# the partition whose origin the proof names.
take_checkpoint() {
	local origin
	while read -r origin; do
		grep -aqF "$(head -1 "$origin")" "$evidence/proof.cbor" || continue
		case $(head -1 "$origin") in
		*/*/*)
			cp "${origin%origin}checkpoint" "$evidence/checkpoint" &&
				assay witness log "${origin%origin}ed25519.der" >"$evidence/line" &&
				sed 's/^log //' "$evidence/line" >"$evidence/vkey"
			return
			;;
		esac
	done < <(find "$D/state" -path '*/trees/*/origin')
	return 1
}

check "the client gets output, proofs and keys" produce
check "the daemon stops" assay stop
check "the partition's checkpoint is there" take_checkpoint
testbed/interop/interop_test.sh "$evidence" | sed -E "s#(ok|not ok) ${evidence##*/}#\1 log#"
[ "${PIPESTATUS[0]}" -eq 0 ] || failures=$((failures + 1))
done_testing
