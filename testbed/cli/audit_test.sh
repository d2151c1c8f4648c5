#!/bin/bash
# Reading a log: filters, forms, following, checkpoints that were kept, imported copies. The log is
# written by sample_log; no HSM, no daemon, no privileges.
cd "$(dirname "$0")/../.." || exit 2
. testbed/cli/lib.sh audit
# exits CODE WORDS PATTERN COMMAND...: with that code, saying something that matches.
exits() {
	local code=$1 words=$2 pattern=$3 rc=0
	shift 3
	"$@" >"$D/said" 2>&1 </dev/null || rc=$?
	if [ $rc -eq "$code" ] && grep -qE -- "$pattern" "$D/said"; then
		ok "$words"
	else
		not_ok "$words (status $rc, $code expected)"
		sed 's/^/    /' "$D/said" | head -5
	fi
}
assay() { "$BUILD/assay" "$@"; }
ca=$D/sample/ca.pem log=$D/sample/log
show() { assay audit show "$log" --ca "$ca" "$@"; }
verify() { assay audit verify "$log" --ca "$ca" "$@"; }

check "a log of a day" "$BUILD/cli/sample_log" "$D/sample" 400
show --json >"$D/all.json"

# Each filter lets through what a reader of the JSON would pick; the counts are of the whole log.
cat >"$D/pick.py" <<'PY'
import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
picked = [r for r in rows if eval(sys.argv[2], {"r": r, "get": lambda *k: __import__("functools").reduce(
    lambda d, i: d.get(i, {}) if isinstance(d, dict) else d, k, r)})]
print("\n".join(r["cti"] for r in picked))
PY
picks() {
	local words=$1 expression=$2 wanted found
	shift 2
	wanted=$(python3 "$D/pick.py" "$D/all.json" "$expression" | sort)
	found=$(show --json "$@" | python3 -c 'import json, sys
for line in sys.stdin: print(json.loads(line)["cti"])' | sort)
	if [ -n "$wanted" ] && [ "$wanted" = "$found" ]; then ok "$words"; else not_ok "$words: $(wc -l <<<"$wanted") wanted, $(wc -l <<<"$found") found"; fi
}
middle=$(($(date +%s) - 36000))
picks "from a time on" "r['iat'] >= $middle" --from "@$middle"
picks "up to a time" "r['iat'] < $middle" --to "$(date -u -d "@$middle" +%Y-%m-%dT%H:%M:%SZ)"
picks "a time with an offset" "r['iat'] < $middle" --to "$(TZ=UTC-2 date -d "@$middle" +%Y-%m-%dT%H:%M:%S+02:00)"
picks "of types" "r['rectype'] in ('refusal', 'key rollover')" --type refusal,key-rollover
picks "of an application" "r.get('sub') == 'screen'" --application screen
picks "of an application with a hostile id" "r.get('sub', '').startswith('=')" --application '=HYPERLINK("http://x")'
picks "of roles" "get('caller', 'role') in ('SO', 'administrator')" --role so,administrator
picks "of nobody" "get('caller', 'role') == {}" --role none
picks "that went well" "get('status', 'code') == 0 and get('status', 'kind') == 'exit'" --status ok
picks "that failed" "r.get('status') and (get('status', 'code'), get('status', 'kind')) != (0, 'exit')" --status failed
picks "that ran out of time or memory" "get('status', 'kind') in ('time limit', 'memory limit')" --status time-limit,memory-limit
picks "of a partition by label" "get('partition', 'label') == 'bank-a'" --partition bank-a
picks "of a partition by serial" "get('partition', 'serial') == '=1+1'" --partition '=1+1'
picks "of a tree" "r['origin'].endswith('/bank-b/1')" --tree bank-b
picks "several at once" "r['rectype'] == 'execution' and get('partition', 'label') == 'bank-a' and r['iat'] >= $middle" \
	--type execution --partition bank-a --from "@$middle"
proof=$(sed -n '20s/.*"cti":"\([0-9a-f]*\)".*/\1/p' "$D/all.json")
picks "of a proof's id" "r['cti'] == '$proof'" --proof "${proof^^}"
picks "of the beginning of one" "r['cti'] == '$proof'" --proof "${proof:0:12}"
check "the last few" [ "$(show --limit 3 --type refusal | grep -c ' refusal ')" = 3 ]

# Order and forms.
check "records of all trees are in order of time" python3 -c 'import json, sys
times = [json.loads(line)["iat"] for line in open(sys.argv[1])]
trees = {json.loads(line)["origin"] for line in open(sys.argv[1])}
sys.exit(times != sorted(times) or len(trees) != 3)' "$D/all.json"
show --csv >"$D/all.csv"
cat >"$D/rows.py" <<'PY'
import csv, json, sys
raw = open(sys.argv[2], newline="").read()
assert raw.count("\r\n") == raw.count("\n") and raw.endswith("\r\n"), "CRLF"
rows = list(csv.DictReader(open(sys.argv[2], newline=""), strict=True))
records = [json.loads(line) for line in open(sys.argv[1])]
assert len(rows) == len(records), "as many"
for row, r in zip(rows, records):
    assert None not in row and None not in row.values(), "columns"
    assert row["proof_id"] == r["cti"] and row["tree"] == r["origin"] and int(row["index"]) == r["pos"]
    assert row["signed"] == "true" and row["type"] == r["rectype"]
    assert row["application"].lstrip("'") == r.get("sub", "")
    assert not any(part[:1] in "=+-@\t\r" for v in row.values() for part in v.split(";") if part), "formula"
    assert not any(ord(c) < 32 for v in row.values() for c in v), "controls"
PY
check "CSV has the same records, and no formula" python3 "$D/rows.py" "$D/all.json" "$D/all.csv"
check "no record moves the cursor or turns text around" bash -c "! '$BUILD/assay' audit show '$log' --ca '$ca' | grep -qP '\x1b|\x{202e}'"

# Following: what is written shows; SIGINT ends it as wanted.
mkfifo "$D/lines"
"$BUILD/cli/sample_log" "$D/live" 50 live <"$D/lines" >"$D/written" &
writer=$!
exec 7>"$D/lines"
await() { local i; for i in $(seq 300); do grep -q "$1" "$2" 2>/dev/null && return 0; sleep 0.1; done; return 1; }
await ready "$D/written"
published() { [ "$(find "$D/live/log" -name checkpoint | wc -l)" = 3 ]; }
for _ in $(seq 300); do published && break; sleep 0.1; done
cp -r "$D/live/log" "$D/earlier"
"$BUILD/assay" audit show "$D/live/log" --ca "$D/live/ca.pem" --follow --json --limit 1 >"$D/followed" 2>"$D/follow.err" &
follower=$!
await '"signed"' "$D/followed"
echo "the first line" >&7
await "the first line" "$D/followed"
echo "the second line" >&7
await "the second line" "$D/followed"
seq -f "line %g" 300 >&7
# The last line of one tree may show before those of the others.
lines_shown() { [ "$(grep -c '"reason":"line [0-9]*"' "$D/followed")" -ge 300 ]; }
for _ in $(seq 600); do lines_shown && break; sleep 0.1; done
check "records show as they come in" lines_shown
kill -INT $follower
wait $follower
rc=$?
check "interrupted, it ends as it should" [ $rc -eq 0 -a ! -s "$D/follow.err" ]
check "each once, in order, and signed" python3 -c 'import json, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
many = [r for r in rows if r["reason"].startswith("line ")]
trees = {o: [r["pos"] for r in many if r["origin"] == o] for o in {r["origin"] for r in many}}
sys.exit([r["reason"] for r in rows[1:3]] != ["the first line", "the second line"] or
         sorted(int(r["reason"][5:]) for r in many) != list(range(1, 301)) or
         any(p != sorted(p) for p in trees.values()) or not all(r["signed"] for r in rows))' "$D/followed"
exec 7>&-
wait $writer

# Checkpoints that somebody kept.
assay audit checkpoint --log "$log" --ca "$ca" >"$D/kept"
check "every tree's newest signed head" [ "$(grep -c '^— ' "$D/kept")" = 3 ]
check "one tree's" [ "$(assay audit checkpoint bank-a --log "$log" --ca "$ca" | head -1)" = assay.example/bank-a/1 ]
exits 3 "no such tree" "no checkpoint is published yet of a tree like bank-x" assay audit checkpoint bank-x --log "$log" --ca "$ca"
exits 0 "the log goes on from what was kept" "goes on from all 3 checkpoints" verify --against "$D/kept"
exits 0 "and says so to machines" '"against": 3, .*"checked": \["every record.*"not_checked": \[' verify --against "$D/kept" --json
exits 0 "what is not checked is said" "put back to an earlier day" verify
assay audit checkpoint --log "$D/live/log" --ca "$D/live/ca.pem" >"$D/later"
exits 1 "another log does not go on from it" "others than they once were" verify --against "$D/later"
exits 1 "nor a log that was cut back" "records were removed, or this is an older log" \
	assay audit verify "$D/earlier" --ca "$D/live/ca.pem" --against "$D/later"
sed '3s/^./A/' "$D/kept" >"$D/forged"
exits 1 "a checkpoint of other records" "others than they once were" verify --against "$D/forged"
head -c 20 "$D/kept" >"$D/cut"
exits 1 "no checkpoint at all" "no checkpoint" verify --against "$D/cut"
check "a bar on a terminal" bash -c "TERM=xterm script -qec '$BUILD/assay audit verify $log --ca $ca' /dev/null | grep -q 'The log holds'"
exits 1 "another appliance's CA" "The log does not hold: .*its CA is not this one" assay audit verify "$log" --ca "$D/live/ca.pem"

# The proof of an old record, made again from the log.
proof() { assay audit proof "$1" "$log" --ca "$ca" -o "$D/proof" "${@:2}"; }
exec_id=$(sed -n 's/.*"cti":"\([0-9a-f]*\)".*"status":{"kind":"exit","code":0}.*/\1/p' "$D/all.json" | sed -n 7p)
exits 0 "a proof by its id" "^assay.example/bank-./1 .* execution +user .* exit 0" proof "$exec_id"
exits 0 "which holds" "The proof holds" assay verify "$D/proof" --ca "$ca"
exits 0 "with its platform's record" "^ok +tcb receipt +leaf [0-9]+ of [0-9]+ in log assay.example/appliance" assay verify "$D/proof" --ca "$ca"
exits 0 "a proof by its index" "assay.example/bank-a/1 +20 " proof 20 --tree bank-a
exits 0 "which holds too" "ok +log +leaf 20 of " assay verify "$D/proof" --ca "$ca" --allow-failure
exits 2 "an index that several trees have" "which one, --tree says" proof 2
exits 1 "no such record" "no such record" proof 00112233445566778899aabbccddeeff
exits 2 "no name of a record" "the 32 hexadecimal digits of a proof's id, expected" proof 12ab

exits 0 "a copy of a live log verifies to its checkpoints" "Not checked:.*|write-ahead log of this copy" \
	assay audit verify "$D/earlier" --ca "$D/live/ca.pem" --copy

# One that was copied while the log went on, without saying so.
cp -r "$D/live/log" "$D/behind"
rm "$(testbed/e2e/newest_tile "$D/behind")"
exits 1 "one that lacks its last tiles does not hold by itself, and --copy is named" "^The log does not hold: .* missing; if this is a copy: --copy$" \
	assay audit verify "$D/behind" --ca "$D/live/ca.pem"
exits 0 "with --copy it holds to an earlier checkpoint" "lacks tiles|The log holds" assay audit verify "$D/behind" --ca "$D/live/ca.pem" --copy
exits 1 "where no tile is missing, nothing is said of copies" "its CA is not this one$" assay audit verify "$log" --ca "$D/live/ca.pem"

# A copy, brought up elsewhere: read-only, with the memory of how far it was.
import() { assay audit import "$@"; }
exits 2 "the first import needs the CA" "ca is missing" import "$D/earlier" "$D/kept-logs"
exits 0 "a copied log is imported" "The log holds, to its last checkpoints, and is in $D/kept-logs: [0-9]+ records in 3 trees" import "$D/earlier" "$D/kept-logs" --ca "$D/live/ca.pem"
check "read-only" bash -c "! find '$D/kept-logs/log' -perm /222 | grep -q ."
check "nothing else is left" [ "$(ls "$D/kept-logs" | tr '\n' ' ')" = "ca.pem checkpoints log " ]
exits 0 "it verifies with nothing but itself" "goes on from all 3 checkpoints" assay audit verify --imported "$D/kept-logs"
exits 0 "and shows" "the log begins" assay audit show --imported "$D/kept-logs"
check "and reports" assay audit report --imported "$D/kept-logs" -o "$D/report.html"
exits 0 "and gives checkpoints" "^assay.example/bank-a/1" assay audit checkpoint --imported "$D/kept-logs"
exits 0 "a later copy takes its place" "it goes on from what was there" import "$D/live/log" "$D/kept-logs"
exits 0 "with what was new" "the second line" assay audit show --imported "$D/kept-logs"
exits 1 "an earlier copy is refused" "behind what was imported before" import "$D/earlier" "$D/kept-logs"
exits 0 "and changes nothing" "the second line" assay audit show --imported "$D/kept-logs"
exits 1 "another appliance's log is refused" "holds a log of another appliance" import "$log" "$D/kept-logs" --ca "$ca"
exits 1 "also under the known CA" "The log does not hold: .*" import "$log" "$D/kept-logs"
check "nothing is left of them" [ "$(ls "$D/kept-logs" | tr '\n' ' ')" = "ca.pem checkpoints log " ]
mkdir "$D/state" && cp -r "$D/live/log" "$D/live/ca.pem" "$D/state"
exits 1 "a daemon's own directory is no place for an import" "an empty directory expected" import "$D/earlier" "$D/state" --ca "$D/live/ca.pem"
cp -r "$D/live/log" "$D/linked" && ln -s /etc/passwd "$D/linked/trees/passwd"
exits 3 "no link is followed" "passwd: " import "$D/linked" "$D/other" --ca "$D/live/ca.pem"
check "and nothing of it is left" [ ! -e "$D/other/incoming" ]
# Whoever hands over a log may have put a FIFO in the place of any file of it: nothing waits for it.
waits() {
	local file
	cd "$1" && find . -type f | while read -r file; do
		mv "$file" "$D/aside" && mkfifo "$file"
		timeout 10 "$BUILD/assay" audit verify . --ca "$ca" || [ $? -ne 124 ] || echo "$file"
		rm "$file" && mv "$D/aside" "$file"
	done 2>/dev/null | grep '^\./'
}
cp -r "$log" "$D/fifos"
check "no FIFO is waited for" eval '[ -z "$(waits "$D/fifos")" ]'
# A disk of 140 MiB would be full.
hole() {
	cp -r "$D/live/log" "$D/hole" && truncate -s 1T "$D/hole/trees/hole"
	unshare -rm bash -c "mount -t tmpfs -o size=140m none '$D/small' && '$BUILD/assay' audit import '$D/hole' '$D/small/import' --ca '$D/live/ca.pem'; code=\$?; ls '$D/small/import'; exit \$code"
}
mkdir "$D/small"
exits 1 "a file that is one hole does not fill the disk" "less than 128 MiB left" hole
check "and what was copied is gone" eval '! grep -qx incoming "$D/said"'
cp -r "$D/live/log" "$D/changed"
# In all of them: one that a fuller one superseded is not read.
for file in $(grep -rlaF "Payment screening" "$D/changed/trees"); do
	at=$(grep -obaF "Payment screening" "$file" | head -1 | cut -d: -f1)
	printf R | dd of="$file" bs=1 seek="$at" conv=notrunc status=none
done
exits 1 "a copy that was changed is refused" "The log does not hold" import "$D/changed" "$D/kept-logs"
chmod -R u+w "$D/kept-logs" && rm -r "$D/kept-logs/log" && cp -r "$D/earlier" "$D/kept-logs/log"
exits 1 "an import that was put back is noticed" "records were removed, or this is an older log" assay audit verify --imported "$D/kept-logs"
exit $((failures > 0))
