# lib.sh NAME - the frame of tests that need no appliance, HSM or privilege: sourced from the top of the
# clone. $D is a directory that goes at the end; $failures counts what did not hold.
set -uo pipefail
BUILD=$(realpath "${BUILD:-build}")
D=$(mktemp -d -t "assay-$1.XXXXXX")
trap 'chmod -R u+w "$D"; rm -rf "$D"' EXIT
unset ASSAY_CONFIG ASSAY_HSM_MODULE
failures=0
ok() { echo "ok $*"; }
not_ok() { echo "not ok $*"; failures=$((failures + 1)); }
# check WORDS COMMAND...: it succeeds.
check() {
	local words=$1
	shift
	if "$@" >"$D/said" 2>&1 </dev/null; then ok "$words"; else not_ok "$words"; sed 's/^/    /' "$D/said" | tail -5; fi
}
