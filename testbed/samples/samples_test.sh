#!/bin/bash
# The two screening applications decide alike, on good payments and on bad ones; packages are
# reproducible; what runs here measures as what runs on the appliance.
. "$(dirname "$0")/../e2e/lib.sh" samples
D=$place
S=$BUILD/samples
cat >"$D/assay.yaml" <<YAML
programs: $BUILD
sandbox:
    allow_missing: [$(missing_controllers)]
YAML
local_run() { assay_here run --local "$S/$1.pkg" <"$D/in" >"$D/$1.out" 2>"$D/$1.err"; }
assay_here() { ASSAY_CONFIG=$D/assay.yaml "$BUILD/assay" "$@"; }

# alike STATUS WORDS: both end with this status and say the same.
alike() {
	local wanted=$1 c awk
	shift
	local_run screen && c=0 || c=$?
	local_run screen-awk && awk=0 || awk=$?
	said=$(head -3 "$D/screen.err" "$D/screen-awk.err")
	if [ $c -ne "$wanted" ] || [ $awk -ne "$wanted" ]; then
		not_ok "$*: status $wanted was expected, C gave $c and awk $awk"
	elif ! cmp -s "$D/screen.out" "$D/screen-awk.out"; then
		said=$(diff "$D/screen.out" "$D/screen-awk.out")
		not_ok "$*: the decisions differ"
	else
		ok "$*"
	fi
}
payment() { testbed/samples/pain001 "$@" >"$D/in"; }
edit() {
	testbed/samples/pain001 >"$D/plain"
	sed "$1" "$D/plain" >"$D/in"
}

payment
alike 0 "the demonstration's message"
said=$(cat "$D/screen.out")
[ "$(grep -c ^ACCEPT "$D/screen.out")" -eq 2 ] && [ "$(grep -c ^REJECT "$D/screen.out")" -eq 3 ] &&
	ok "two are accepted and three rejected" || not_ok "two accepted and three rejected were expected"
payment -n 500
alike 0 "five hundred transfers"
payment 'A|50000.00|EUR|At The Limit|DE89370400440532013000' 'B|50000.01|EUR|Over It|DE89370400440532013000' \
	'C|1|JPY|No Limit|DE89370400440532013000' 'D|1.5|USD|  ivan   NEMO |DE89370400440532013000' \
	'E|1.05|USD|Divan Nemo|DE89370400440532013000' 'F|2|USD|Lower|de89370400440532013000'
alike 0 "limits, names, accounts"
edit 's/NbOfTxs>5/NbOfTxs>6/'; alike 65 "a wrong number of transfers"
edit 's/CtrlSum>1/CtrlSum>2/'; alike 65 "a wrong control sum"
edit 's/pain.001.001/pain.008.001/'; alike 65 "another message"
edit 's/&amp;/\&#65;/'; alike 65 "a character reference"
edit 's/<Dbtr>/<!-- --><Dbtr>/'; alike 65 "a comment"
edit 's/Maier/Ma\x00ier/'; alike 65 "a zero byte"
edit 's/<\/Dbtr>/<\/Dbtx>/'; alike 65 "elements that cross"
edit 's/1250.00/1250.005/'; alike 65 "three decimals"
edit 's/1250.00/-1250.00/'; alike 65 "a negative amount"
edit 's/INV-1001/INV 1;01/'; alike 0 "an identifier with other characters"
: >"$D/in"; alike 65 "nothing at all"
head -c 100000 /dev/urandom >"$D/in"; alike 65 "noise"

# A package is the same bytes from the same input.
check "packing again" assay_here pack "$S/screen.image" --exec /bin/screen --id screen \
	--label "Payment screening" --version 1.0 --refuse-code 65 -o "$D/again.pkg"
check "gives the same package" cmp "$D/again.pkg" "$S/screen.pkg"
cp "$D/again.pkg" "$D/changed.pkg"
change_byte "$D/again.pkg" "$D/changed.pkg" 5000
refuses "a changed package doesn't run" "hash|match|SHA-256|changed" assay_here run --local "$D/changed.pkg"
done_testing
