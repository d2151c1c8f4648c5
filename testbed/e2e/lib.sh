# lib.sh - what every end-to-end test stands on: an appliance (instance.sh), and checks that print
# "ok WORDS" or "not ok WORDS". Sourced with the test's name: . testbed/e2e/lib.sh NAME

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
export BUILD=${BUILD:-$PWD/build}
ROOT=$PWD
. testbed/e2e/instance.sh

test_name=$1
failures=0
said=
rc=0

ok() { echo "ok $*"; }
not_ok() {
	echo "not ok $*"
	[ -z "$said" ] || sed 's/^/  | /' <<<"$said"
	failures=$((failures + 1))
}
# Runs a command, keeps what it says and its status.
try() {
	rc=0
	said=$("$@" 2>&1 </dev/null) || rc=$?
}
# check WORDS COMMAND...: it succeeds.
check() {
	local words=$1
	shift
	try "$@"
	if [ $rc -eq 0 ]; then ok "$words"; else not_ok "$words (status $rc)"; fi
}
# refuses WORDS PATTERN COMMAND...: it fails, and says something that matches.
refuses() {
	local words=$1 pattern=$2
	shift 2
	try "$@"
	if [ $rc -eq 0 ]; then
		not_ok "$words: it was not refused"
	elif grep -qE -- "$pattern" <<<"$said"; then
		ok "$words"
	else
		not_ok "$words: no \"$pattern\" in what it says"
	fi
}
# says WORDS PATTERN COMMAND...: it succeeds, and says something that matches; hides WORDS PATTERN...:
# and nothing that matches.
says() {
	local words=$1 pattern=$2
	shift 2
	try "$@"
	if [ $rc -eq 0 ] && grep -qE -- "$pattern" <<<"$said"; then
		ok "$words"
	else
		not_ok "$words (status $rc)"
	fi
}
hides() {
	local words=$1 pattern=$2
	shift 2
	try "$@"
	if [ $rc -eq 0 ] && ! grep -qE -- "$pattern" <<<"$said"; then
		ok "$words"
	else
		not_ok "$words (status $rc)"
	fi
}
# await WORDS COMMAND...: it holds within 20 s.
await() {
	local words=$1 i
	shift
	for i in $(seq 200); do
		if "$@"; then ok "$words"; return; fi
		sleep 0.1
	done
	said=$(tail -5 "$D/daemon.log")
	not_ok "$words"
}
# The whole log verifies, live or not.
log_holds() { check "the log verifies $*" assay audit verify; }
# How many records of the log match.
records() { assay audit show 2>/dev/null | grep -cE -- "$1"; }

# execute WHO APPLICATION INPUT PROOF: the status and words of pkcs11-tool.
execute() { "$1" --sign -m $EXECUTE --id "$(app_id "$2")" -i "$3" -o "$4"; }
# load WHO PACKAGE
load() { "$1" --sign -m $LOAD --id "$LOADER_ID" -i "$2" -o "$D/work/receipt"; }
# fetch WHO LABEL KIND FILE
fetch() {
	"$1" --read-object --type data --label "$2" --application-label "assay:$3" -o "$4"
}
# behave LINE FILE: an input that tells the application how to behave.
behave() { printf '%s\n' "$1" >"$2" && chmod 0644 "$2"; }

finish() {
	local status=$?
	trap - EXIT
	[ -z "${also:-}" ] || $also
	instance_end
	if [ $status -ne 0 ] && [ -s "${D:-/nonexistent}/daemon.log" ]; then tail -20 "$D/daemon.log"; fi
	[ -z "${place:-}" ] || rm -rf "$place"
	exit $status
}
# Ends the test: its status says whether all held.
done_testing() { exit $((failures > 0)); }

lacks=$(instance_lacks)
if [ -n "$lacks" ]; then
	echo "not ok $test_name: this machine lacks: $lacks"
	exit 1
fi
trap finish EXIT
trap 'exit 130' INT TERM HUP
place=$(instance_place "$BUILD/e2e/$test_name.$$")

# An appliance with both partitions enrolled, and no application yet.
appliance() {
	instance_make "$place"
	pin_files
	check "the appliance is initialised" assay init -o "$D/ca.pem"
	check "launcher and daemon start" instance_start
	check "bank-a is enrolled" instance_enroll_one a
	check "bank-b is enrolled" instance_enroll_one b
}
