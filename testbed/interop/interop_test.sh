#!/bin/bash
# Lets tools written by others check evidence that Assay wrote: interop_test.sh [DIRECTORY...]
#
# A DIRECTORY holds proof.cbor, checkpoint, ca.pem and vkey, and maybe compact.cbor, keys.cbor with the
# files input and output, leaf.json and entries; it is not changed. Without one, samples are made.
# The npm packages are installed into $BUILD/interop once; Go and Python come from Debian.
set -uo pipefail
cd "$(dirname "$0")" || exit 2
build=${BUILD:-$PWD/../../build}/interop
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$build"

report() { if [ "$1" -eq 0 ]; then echo "ok $2"; else echo "not ok $2"; fi; }

# Under a lock, and only when the pinned list changed: several runs may start at once.
install_tools() (
	exec 9>"$build/lock"
	flock 9
	cmp -s package.json "$build/package.json.installed" && exit 0
	cp package.json "$build/package.json"
	(cd "$build" && npm install --silent --no-audit --no-fund --no-package-lock >"$build/npm.log" 2>&1) ||
		{ tail -5 "$build/npm.log"; exit 1; }
	cp package.json "$build/package.json.installed"
)

build_checkpoint() {
	GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE=${GOCACHE:-$build/go} GOFLAGS="" \
		go build -o "$work/checkpoint" checkpoint.go verifier.go
}

make_samples() {
	local size index
	while read -r size index; do
		"$build/sample" "$work/sample-$size" "$size" "$index" || return 1
		printf '<Document>pain.001</Document>' >"$work/sample-$size/input"
		printf 'accepted\n' >"$work/sample-$size/output"
		: >"$work/sample-$size/stderr"
	done <<-'END'
		2 0
		7 6
		300 255
	END
}

check_chain() {
	openssl x509 -inform DER -in "$1/certificate.der" -out "$1/certificate.pem" &&
		openssl verify -x509_strict -no_check_time -CAfile "$1/ca.pem" "$1/certificate.pem" >/dev/null
	report $? "openssl accepts the chain"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=Assay test CA" \
		-keyout "$1/other.key" -out "$1/other.pem" 2>/dev/null
	! openssl verify -no_check_time -CAfile "$1/other.pem" "$1/certificate.pem" >/dev/null 2>&1
	report $? "openssl refuses another CA of the same name"
}

# openssl signs and checks DER over the text's SHA-256, which is what a note of type 2 is.
check_note_signature() {
	sed '/^$/q' "$1/checkpoint" | sed '$d' >"$1/text"
	sed '1,/^$/d' "$1/checkpoint" | head -1 | awk '{print $3}' | base64 -d | tail -c +5 >"$1/signature"
	openssl x509 -in "$1/certificate.pem" -noout -pubkey >"$1/key.pem"
	openssl dgst -sha256 -verify "$1/key.pem" -signature "$1/signature" "$1/text" >/dev/null
	report $? "openssl accepts the checkpoint's signature"
	echo more >>"$1/text"
	! openssl dgst -sha256 -verify "$1/key.pem" -signature "$1/signature" "$1/text" >/dev/null 2>&1
	report $? "openssl refuses it over a changed text"
}

# $1: where the evidence is, $2: its name in what is printed.
check_evidence() {
	{
		/usr/bin/python3 split.py "$1"
		check_chain "$1"
		check_note_signature "$1"
		"$work/checkpoint" "$1"
		INTEROP_MODULES=$build node receipt.cjs "$1"
	} 2>&1 | sed -E "s/^(not ok|ok) /&$2: /"
}

run() {
	install_tools
	report $? "npm installs the tools"
	build_checkpoint
	report $? "go builds the checkpoint's check"
	if [ $# -eq 0 ]; then
		make_samples
		report $? "samples are made"
		set -- "$work"/sample-*
	fi
	local directory copy
	for directory; do
		copy=$work/copy-${directory##*/}
		cp -r "$directory" "$copy" && check_evidence "$copy" "${directory##*/}"
	done
}

run "$@" | tee "$work/lines"
passed=$(grep -c '^ok ' "$work/lines")
failed=$(grep -c '^not ok ' "$work/lines")
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 3 ]
