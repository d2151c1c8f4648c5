#!/bin/bash
# Nonce, request id and time limit, as a mechanism's parameter from C and from Python: the nonce is in
# what `assay verify` checks, a request that is repeated runs once, and a crash changes nothing of that.
. "$(dirname "$0")/lib.sh" requests
appliance
W=$D/work
cp "$D/samples/payment.xml" "$W/in"
cp "$D/samples/payment.xml" "$W/other" && echo >>"$W/other"
behave sleep "$W/sleep"
check "an application is loaded" load bank_a_so "$D/samples/screen.pkg"
check "and another" load bank_a_so "$D/samples/unruly.pkg"
install -m 0755 "$BUILD/e2e/request" testbed/e2e/request_client.py "$D/bin"

# request APPLICATION INPUT OUTPUT NONCE REQUEST [MILLISECONDS], in C
request() { as_front "${SANITIZED[@]}" "$D/bin/request" "$D/bin/assay.so" bank-a $A_PIN "$@"; }
hex() { printf %s "$1" | xxd -p -c 200; }
verifies() { # FILE NONCE [OPTION...]
	local file=$1 nonce=$2
	shift 2
	assay verify "$file" --ca "$D/ca.pem" --nonce "$(hex "$nonce")" "$@"
}
# How many executions in the log have this id.
executions_of() { assay audit show --json --type execution | grep -c "\"$(hex "$1")\""; }
once() {
	local n
	n=$(executions_of "$1")
	if [ "$n" -eq 1 ]; then ok "the log has one execution of $1"; else not_ok "$n executions of $1 in the log"; fi
}

# ---- nonce ----
check "a C program executes with a nonce and an id" request "Payment screening" "$W/in" "$W/c-full" "nonce of C" "C 1"
check "its result verifies with that nonce" verifies "$W/c-full" "nonce of C" --package "$D/samples/screen.pkg" --input "$W/in"
refuses "and not with another" "nonce" verifies "$W/c-full" "another nonce"
refuses "a nonce of 7 bytes is refused" "C_SignInit: CKR 0x71" request "Payment screening" "$W/in" "$W/out" "7777777" ""
refuses "an id of 65 bytes is" "C_SignInit: CKR 0x71" request "Payment screening" "$W/in" "$W/out" "" "$(printf %065d 1)"

# ---- the same again ----
check "the program repeats its request" request "Payment screening" "$W/in" "$W/c-again" "nonce of C" "C 1"
check "and gets the same, byte for byte" cmp "$W/c-full" "$W/c-again"
refuses "another input under this id is refused" "C_Sign: CKR 0x20" request "Payment screening" "$W/other" "$W/out" "nonce of C" "C 1"
says "which is a record" "request $(hex "C 1") was made before, with another input" assay audit show --type refusal
refuses "so is another application" "C_Sign: CKR 0x20" request unruly "$W/in" "$W/out" "nonce of C" "C 1"
kill -9 "$(instance_daemon)"
for i in $(seq 50); do
	[ -n "$(instance_daemon)$(instance_launcher)" ] || break
	sleep 0.1
done
check "the daemon is killed and starts again" instance_start
check "the program repeats its request" request "Payment screening" "$W/in" "$W/c-later" "nonce of C" "C 1"
check "and gets the same still" cmp "$W/c-full" "$W/c-later"
once "C 1"
refuses "another input is refused still" "C_Sign: CKR 0x20" request "Payment screening" "$W/other" "$W/out" "nonce of C" "C 1"

# ---- time limit ----
refuses "a run is ended at the request's time limit" "C_Sign: CKR 0x50" request unruly "$W/sleep" "$W/out" "" "slow" 200
says "its record says so" "longer than the request's time limit" assay audit show --type execution
refuses "the same request is answered the same" "C_Sign: CKR 0x50" request unruly "$W/sleep" "$W/out" "" "slow" 200
once "slow"

# ---- python ----
as_front "${SANITIZED[@]}" /usr/bin/python3 "$D/bin/request_client.py" "$D/bin/assay.so" bank-a $A_PIN "$W" || failures=1
check "its compact proof has the nonce" verifies "$W/py-compact" "nonce of python" --certificate "$D/certificates/bank-a.pem"
refuses "and no other" "nonce" verifies "$W/py-compact" "nonce of somebody" --certificate "$D/certificates/bank-a.pem"
check "so has its full result" verifies "$W/py-full" "nonce of python" --package "$D/samples/screen.pkg" --input "$W/in"
check "and the proof of an object" verifies "$W/py-proof-of-object" "nonce of python"
for id in 1 2 3 4; do once "python $id"; done
log_holds "at the end"
done_testing
