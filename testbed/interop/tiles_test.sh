#!/bin/bash
# Lets Go's sumdb read tiles and checkpoints that a log wrote, and changed copies of them.
set -uo pipefail
cd "$(dirname "$0")" || exit 2
build=${BUILD:-$PWD/../../build}/interop
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

check() {
	local words=$1
	shift
	if "$@" >"$work/said" 2>&1; then
		echo "ok $words"
		passed=$((passed + 1))
	else
		echo "not ok $words"
		cat "$work/said"
		failed=$((failed + 1))
	fi
}

build_tool() {
	GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE=${GOCACHE:-$build/go} GOFLAGS="" \
		go build -o "$work/tiles" tiles.go verifier.go
}

# Of a copy of $1 after the command $2 was run in it; $3: a file with another key.
refuses() {
	rm -rf "$work/copy" && cp -r "$1" "$work/copy" && (cd "$work/copy" && eval "$2") || return 1
	! "$work/tiles" "$work/copy" "${3:-$work/log-1500/vkey}"
}

check "go builds the tiles' check" build_tool
for records in 2 256 257 1500 70000; do
	check "a log of $records records is written" "$build/log" "$work/log-$records" "$records"
	tree=$(dirname "$work/log-$records"/trees/*/checkpoint)
	check "sumdb accepts the tiles of $records records" "$work/tiles" "$tree" "$work/log-$records/vkey"
done
tree=$(dirname "$work"/log-1500/trees/*/checkpoint)
change='conv=notrunc status=none bs=1'
check "sumdb refuses a changed record" \
	refuses "$tree" "printf x | dd of=tile/entries/001 seek=5000 $change"
check "sumdb refuses a changed record in a partial tile" \
	refuses "$tree" "printf x | dd of=tile/entries/005.p/220 seek=5000 $change"
check "sumdb refuses a changed hash" refuses "$tree" "printf xyz | dd of=tile/0/002 seek=64 $change"
check "sumdb refuses a changed hash above" \
	refuses "$tree" "printf xyz | dd of=tile/1/000.p/5 seek=64 $change"
check "sumdb refuses a tile that is gone" refuses "$tree" "rm tile/0/003"
check "sumdb refuses two tiles in each other's place" \
	refuses "$tree" "mv tile/0/001 x && mv tile/0/002 tile/0/001 && mv x tile/0/002"
check "sumdb refuses another size in the checkpoint" refuses "$tree" "sed -i 2s/1500/1499/ checkpoint"
check "sumdb refuses the checkpoint for another log's key" refuses "$tree" true "$work/log-257/vkey"
last_line() { tail -1 "$work/log-257/trees"/*/checkpoint; }
check "sumdb refuses another log's line" \
	refuses "$tree" "sed -i '\$d' checkpoint && echo '$(last_line)' >>checkpoint"
check "sumdb refuses a checkpoint without the line" refuses "$tree" "sed -i '\$d' checkpoint"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
