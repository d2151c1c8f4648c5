#!/bin/bash
# A log in shards: closed by itself, exported, checked elsewhere, pruned; and what is refused.
. "$(dirname "$0")/lib.sh" retention
eval "plain_config() $(declare -f instance_config | tail -n +2)"
instance_config() { plain_config && printf 'audit:\n    shard_records: 8\n' >>"$D/assay.yaml"; }
appliance
W=$D/work
cp "$D/samples/payment.xml" "$W/in"
check "an application is loaded" load bank_a_so "$D/samples/screen.pkg"

# trees PATTERN: origins of the log that match; await_tree PATTERN: until there is one.
trees() { cat "$D"/state/log/trees/*/origin 2>/dev/null | grep -E "$1"; }
await_tree() {
	for _ in $(seq 150); do
		trees "$1" >/dev/null && return 0
		sleep 0.1
	done
	trees .
	return 1
}
folder() { printf %s "$1" | sha256sum | cut -c1-16; }
run_some() {
	for _ in $(seq "$1"); do execute bank_a screen "$W/in" "$W/proof" || return 1; done
}

# Checkpoints follow within a second or so.
patiently() {
	for _ in $(seq 50); do
		"$@" && return 0
		sleep 0.2
	done
	return 1
}
shown() { [ "$(find "$D/state/log/trees" -name checkpoint | wc -l)" -ge 2 ]; }
check "appliance and partition have checkpoints" patiently shown
check "the log is imported while its first shard is open" assay audit import "$D/state/log" "$D/early" --ca "$D/ca.pem"
check "some executions fill a shard" run_some 6
check "it is closed, and another one begun" await_tree '/1/s2$'
first=$(trees '/1/s2$' | head -1)
first=${first%/s2}
check "executions go on" run_some 2
label=$(result_label "$W/proof")
check "with proofs" fetch bank_a "$label" proof "$W/full"
says "that name the new shard, and verify" "$first/s2" assay verify "$W/full" --ca "$D/ca.pem"
check "also for who asks for the partition's log" assay verify "$W/full" --ca "$D/ca.pem" --origin "$first"
check "a compact one under the partition's certificate" assay verify "$W/proof" --ca "$D/ca.pem" --certificate "$D/certificates/bank-a.pem"
log_holds "with its shards"
says "the end of a shard is a record" "shard closed" assay audit show --type close
says "and the beginning of the next" "\"shard\":.*\"origin\": *\"$first\"" assay audit show --type open --json

# ---- export ----
check "the new shard gets a checkpoint" patiently test -e "$D/state/log/trees/$(folder "$first/s2")/checkpoint"
key_of_shard() { assay witness log "$D/state/log/trees/$(folder "$first/s2")/ed25519.der" --shard "$1"; }
says "it has a verifier key of its own" "^log $first/s2\\+[0-9a-f]{8}\\+A" key_of_shard "$first/s2"
refuses "and another log has not" "is not a shard of $first" key_of_shard "$first/other"
refuses "a shard that is open is not exported" "^assay: audit export: .*is not closed" assay audit export "$first/s2" "$D/export"
says "a closed one is" "and holds" patiently assay audit export "$first" "$D/export"
refuses "once" "exported there before" assay audit export "$first" "$D/export"
says "and is checked there, without the log" "The log holds to its last checkpoints" assay audit verify "$D/export" --copy --ca "$D/export/ca.pem"

check "the log is imported with the shard whole" assay audit import "$D/state/log" "$D/kept" --ca "$D/ca.pem"

# ---- pruning ----
prune() { assay audit prune "$@"; }
refuses "what was not exported is not pruned" "there is no $first/s2" prune "$first/s2" "$D/export"
cp -a "$D/export" "$D/changed"
entries=$(find "$D/changed/trees" -path '*entries*' -type f | sort -V | tail -1)
chmod u+w "$entries" "$(dirname "$entries")"
change_byte "$entries" "$entries.new" 40 && mv "$entries.new" "$entries"
refuses "an export that was changed is none" "does not hold" prune "$first" "$D/changed"
refuses "nobody but an administrator prunes" "." as_front "$D/bin/assay" audit prune "$first" "$D/export"
log_holds "as before"
says "what was exported is" "is pruned" prune "$first" "$D/export"
if [ -e "$D/state/log/trees/$(folder "$first")" ]; then not_ok "its folder is gone"; else ok "its folder is gone"; fi
says "the log verifies without it, and says so" "^$first:.*pruned" assay audit verify
says "the pruning is a record" "shard pruned by user 0" assay audit show --type management
refuses "it is pruned once" "no such shard" prune "$first" "$D/export"
says "a later copy is imported, with what was pruned" "pruned since the last import are kept" patiently assay audit import "$D/state/log" "$D/kept"
says "and again" "pruned since the last import are kept" assay audit import "$D/state/log" "$D/kept"
says "all of it verifies there" "^$first: [0-9]+ records" assay audit verify --imported "$D/kept"
refuses "not where the shard was imported in part" "does not go on from what was imported|behind what was imported" assay audit import "$D/state/log" "$D/early"
cp -a "$D/state/log" "$D/cut"
rm -r "$D/cut/trees/$(folder "$first/s2")"
refuses "nor is a copy that lacks the next shard too" "does not go on from" assay audit import "$D/cut" "$D/kept"
cp -a "$D/export/trees/$(folder "$first")" "$D/state/log/../with-export" && cp -a "$D/state/log" "$D/whole" && mv "$D/state/with-export" "$D/whole/trees/$(folder "$first")"
says "one with the export in it is taken" "goes on from what was there" assay audit import "$D/whole" "$D/early"
says "the export still holds" "The log holds" assay audit verify "$D/export" --copy --ca "$D/export/ca.pem"
check "executions go on after a pruning" run_some 2

# ---- and for ever ----
check "the daemon is stopped" assay stop
says "the closed log verifies" "pruned" assay audit verify
check "it starts again" instance_start
check "executions go on after a restart" run_some 1
log_holds "then, too"
done_testing
