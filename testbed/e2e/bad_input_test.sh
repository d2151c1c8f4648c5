#!/bin/bash
# Bad input gets a clear error, and nothing is lost: broken packages, applications that misbehave,
# inputs of all sizes.
. "$(dirname "$0")/lib.sh" bad_input
appliance
W=$D/work
install -d -m 0755 "$D/broken"
mapfile -t broken < <(/usr/bin/python3 testbed/e2e/packages.py "$D/samples/screen.pkg" "$D/broken")
chmod 0644 "$D"/broken/*

for name in "${broken[@]}"; do
	refuses "a package is refused: $name" "CKR_|error|empty|Cannot" load bank_a_so "$D/broken/$name.pkg"
done
hides "none of them was loaded" "[Ss]creen" assay app list
refusals=$(records 'refusal|management')
if [ "$refusals" -gt 0 ]; then ok "refused packages are in the log"; else not_ok "no refused package is in the log"; fi
refuses "assay measure says which rule is broken" "\.\." assay measure "$D/broken/dot-dot.pkg"
check "a good one is loaded after all that" load bank_a_so "$D/samples/unruly.pkg"

# What the application does, and the code that its caller gets.
outcome() { # WORDS CODE LINE
	behave "$3" "$W/in"
	refuses "$1 is $2" "$2" execute bank_a unruly "$W/in" "$W/out"
}
outcome "refusing the input" CKR_DATA_INVALID refuse
outcome "a crash" CKR_FUNCTION_FAILED crash
outcome "an exit status of 3" CKR_FUNCTION_FAILED "exit 3"
outcome "a loop" CKR_FUNCTION_CANCELED loop
outcome "waiting for ever" CKR_FUNCTION_CANCELED sleep
outcome "flooding stdout" CKR_DEVICE_MEMORY flood
outcome "flooding stderr" CKR_DEVICE_MEMORY complain
outcome "taking all memory" CKR_DEVICE_MEMORY memory
says "each is in the log, with its reason" "time limit" assay audit show
refuses "an application that isn't there can't be run" "CKR_" bank_a --write-object "$W/in" --type data \
	--label none --application-label assay:run:nobody
refuses "nor found" "not found|error" execute bank_a nobody "$W/in" "$W/out"

# A crash that pkcs11-tool tries again in parts is one execution.
behave crash "$W/in"
before=$(records execution)
try execute bank_a unruly "$W/in" "$W/out"
after=$(records execution)
if [ $((after - before)) -eq 1 ]; then ok "a failure is run once, though the client tries again"; else
	not_ok "a failure was run $((after - before)) times"; fi

# It sees nothing of the machine.
behave probe "$W/in"
run_object() { # LABEL OUTPUT
	bank_a --write-object "$W/in" --type data --label "$1" --application-label assay:run:unruly &&
		fetch bank_a "$1" output "$2"
}
check "a probe of the cell runs" run_object probe "$W/seen"
hides "the cell has no /proc, no devices of the host" "self|sda|vda|mem$" cat "$W/seen"

# Sizes.
: >"$W/in" && chmod 0644 "$W/in"
try execute bank_a unruly "$W/in" "$W/out"
if [ $rc -eq 0 ]; then ok "an empty input runs"; else not_ok "an empty input: status $rc"; fi
{ echo echo; head -c $((64 * 1024 * 1024 - 5)) /dev/zero; } >"$W/in"
check "64 MiB are echoed" execute bank_a unruly "$W/in" "$W/proof.bin"
check "and fetched" fetch bank_a "$(result_label "$W/proof.bin")" output "$W/out"
check "unchanged" cmp <(tail -c +6 "$W/in") "$W/out"
echo more >>"$W/in"
refuses "more than 64 MiB is CKR_DATA_LEN_RANGE" "CKR_DATA_LEN_RANGE" execute bank_a unruly "$W/in" "$W/out"
rm -f "$W/in" "$W/out"

# After all that it still works, and the log knows all of it.
behave echo "$W/in"
check "the next execution works" execute bank_a unruly "$W/in" "$W/out"
log_holds "after all bad input"
done_testing
