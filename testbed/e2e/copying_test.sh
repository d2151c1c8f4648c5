#!/bin/bash
# A live log is copied file by file, slowly, under load and through turns of its shards: each copy
# verifies, in whatever order its files are taken.
. "$(dirname "$0")/lib.sh" copying
eval "plain_config() $(declare -f instance_config | tail -n +2)"
instance_config() { plain_config && printf 'audit:\n    shard_records: 12\n' >>"$D/assay.yaml"; }
appliance
W=$D/work
cp "$D/samples/payment.xml" "$W/in"
for so in bank_a_so bank_b_so; do check "an application is loaded by $so" load $so "$D/samples/screen.pkg"; done

# Both partitions, until the file goes.
: >"$W/load"
for who in bank_a bank_b; do
	(while [ -e "$W/load" ]; do execute $who screen "$W/in" "$W/proof-$who" || sleep 0.2; done) >/dev/null 2>&1 &
	loads+=($!)
done
sleep 3

# slow_copy TO ORDER...: the files are listed first, then put in order, then copied one by one.
slow_copy() {
	local to=$1 file
	shift
	(cd "$D/state/log" && find . -type f | "$@") | while read -r file; do
		mkdir -p "$(dirname "$to/$file")"
		cp -a "$D/state/log/$file" "$to/$file" 2>/dev/null
		sleep 0.02
	done
}
late() { sort | awk -F/ '$NF == "checkpoint" { last[++n] = $0; next } { print } END { for (i = 1; i <= n; i++) print last[i] }'; }
early() { late | tac; }
holds() { says "$1" "The log holds to (its last checkpoints|the last checkpoints that its tiles lead to)" assay audit verify "$2" --copy --ca "$D/ca.pem"; }

slow_copy "$D/by-name" sort
holds "a copy in the order of names" "$D/by-name"
slow_copy "$D/backwards" sort -r
holds "one the other way round" "$D/backwards"
slow_copy "$D/late" late
holds "one with checkpoints last" "$D/late"
slow_copy "$D/early" early
holds "one with checkpoints first" "$D/early"
for i in 1 2 3; do
	cp -a "$D/state/log" "$D/whole$i" 2>/dev/null
	holds "one by cp" "$D/whole$i"
done
says "each says how far it goes" '"behind": [0-9]+,.*"checkpoint": [0-9]+' assay audit verify "$D/late" --copy --ca "$D/ca.pem" --json

check "one is imported" assay audit import "$D/by-name" "$D/kept" --ca "$D/ca.pem"
says "and the live log after it" "goes on from what was there" assay audit import "$D/state/log" "$D/kept"
refuses "an earlier one is refused" "behind what was imported before" assay audit import "$D/backwards" "$D/kept"

rm "$W/load"
wait "${loads[@]}"
if grep -q '/s3$' "$D"/state/log/trees/*/origin; then ok "shards were turned meanwhile"; else not_ok "no shard was turned"; fi
log_holds "at the end"

# Tiles taken away, to hide what came last, are missed.
sleep 2 # for the last publication
newest=$(testbed/e2e/newest_tile "$D/state/log")
cp -a "$D/state/log" "$D/robbed"
rm "$D/robbed/${newest#"$D/state/log/"}"
says "a copy that lacks its last entries says so" "it had [0-9]+ records, and this copy lacks tiles" \
	assay audit verify "$D/robbed" --copy --ca "$D/ca.pem"
rm "$newest"
refuses "the log that is written, taken for a copy" "is missing" assay audit verify "$D/state/log" --copy --ca "$D/ca.pem"
refuses "or imported" "is missing|are missing" assay audit import "$D/state/log" "$D/other" --ca "$D/ca.pem"
done_testing
