#!/bin/bash
# What a relying party installs to verify with, from `make install`: header, libraries, pkg-config file
# and man page; a program of somebody else's, built with them and nothing of ours, on a real proof.
. "$(dirname "$0")/lib.sh" library
appliance
W=$D/work I=$D/installed
cp "$D/samples/payment.xml" "$W/in"
check "an application is loaded" load bank_a_so "$D/samples/screen.pkg"
check "it runs" execute bank_a screen "$W/in" "$W/compact"
for kind in proof output keys; do
	check "its $kind is fetched" fetch bank_a "$(result_label "$W/compact")" $kind "$W/$kind"
done
check "it is installed" make --no-print-directory BUILD="$BUILD" DESTDIR="$I" PREFIX=/usr install
for file in bin/assay lib/assay/assayd lib/assay/assay-launcher lib/assay/assay.so lib/libassay-verify.so include/assay-verify.h; do
	check "usr/$file is there" test -e "$I/usr/$file"
done
hides "the man page is one that groff accepts" "." groff -man -Tutf8 -ww -z "$I/usr/share/man/man3/assay_verify.3"

cat >"$D/check.c" <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <assay-verify.h>

static struct assay_bytes whole(const char *path)
{
	FILE *file = fopen(path, "rb");
	char *data = malloc(1 << 20);
	size_t n = file ? fread(data, 1, 1 << 20, file) : 0;

	return (struct assay_bytes){ data, n };
}

int main(int argc, char **argv)
{
	struct assay_expect expect = { .size = sizeof expect };
	struct assay_outcome *outcome;
	struct assay_bytes proof = whole(argv[1]);

	expect.ca = whole(argv[2]);
	if (argc > 3) {
		expect.keys = whole(argv[3]);
		expect.input = whole(argv[4]);
		expect.output = whole(argv[5]);
	}
	enum assay_verdict verdict = assay_verify(proof.data, proof.size, &expect, &outcome);
	/* What was given may be gone by now. */
	memset((void *)proof.data, 0, proof.size);
	for (size_t i = 0; i < assay_outcome_checks(outcome); i++)
		printf("%d %s\n", assay_outcome_check(outcome, i).state, assay_outcome_check(outcome, i).name);
	printf("%d %s\n%s\n", verdict, assay_outcome_reason(outcome), assay_outcome_json(outcome));
	assay_outcome_free(outcome);
	return verdict;
}
C
# What that program leaks is its own.
export ASAN_OPTIONS=detect_leaks=0
if [ ${#SANITIZED[@]} -gt 0 ]; then sanitized=(-fsanitize=address,undefined); else sanitized=(); fi
config() { PKG_CONFIG_SYSROOT_DIR=$I PKG_CONFIG_PATH=$I/usr/lib/pkgconfig pkg-config "$@" assay-verify; }
check "pkg-config knows it" config --exists
# shellcheck disable=SC2046
check "a program is built with it" gcc -std=c11 -Wall -Werror "${sanitized[@]}" $(config --cflags) "$D/check.c" -o "$D/shared" $(config --libs)
# shellcheck disable=SC2046
check "and statically" gcc -std=c11 -Wall -Werror "${sanitized[@]}" $(config --cflags) "$D/check.c" -o "$D/static" \
	"$I/usr/lib/libassay-verify.a" -lcrypto -lyaml
check "a C++ compiler takes the header" gcc -x c++ -fsyntax-only -Wall -Werror "$I/usr/include/assay-verify.h"
shared() { LD_LIBRARY_PATH=$I/usr/lib "$D/shared" "$@"; }
for how in shared "$D/static"; do
	says "${how##*/}: the proof holds" '"sub":"screen"' $how "$W/proof" "$D/ca.pem" "$W/keys" "$W/in" "$W/output"
	says "${how##*/}: input and output were compared" "^0 output" $how "$W/proof" "$D/ca.pem" "$W/keys" "$W/in" "$W/output"
	refuses "${how##*/}: another output is refused" "^3 the output does not match" $how "$W/proof" "$D/ca.pem" "$W/keys" "$W/in" "$W/in"
	refuses "${how##*/}: no CA is a mistake of the caller's" "^4 the CA's certificate" $how "$W/proof" "$W/in"
done
change_byte "$W/proof" "$W/changed" 400
refuses "a changed proof is refused" "^3 " shared "$W/changed" "$D/ca.pem"
hides "and shows no claims" '"sub"' eval 'LD_LIBRARY_PATH="$I/usr/lib" "$D/shared" "$W/changed" "$D/ca.pem"; true'

# The promise: these symbols, and nothing else of the inside.
cat >"$D/symbols" <<'SYMBOLS'
assay_cache_free
assay_cache_new
assay_outcome_check
assay_outcome_checks
assay_outcome_claims
assay_outcome_free
assay_outcome_json
assay_outcome_line
assay_outcome_policy
assay_outcome_reason
assay_outcome_rule
assay_outcome_rules
assay_verify
SYMBOLS
symbols() { sed 's/@.*//; /^ASSAY_/d' | sort -u | diff "$D/symbols" -; }
check "the shared library shows its symbols only" eval 'nm -D --defined-only "$I/usr/lib/libassay-verify.so.1" | awk "{ print \$3 }" | symbols'
check "so does the static one" eval 'nm -g --defined-only "$I/usr/lib/libassay-verify.a" 2>/dev/null | awk "NF == 3 { print \$3 }" | grep -v "^__\(a\|od\)" | symbols'
done_testing
