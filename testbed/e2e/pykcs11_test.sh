#!/bin/bash
# PyKCS11 loads nothing, executes, fetches, and does ordinary work, through assay.so.
. "$(dirname "$0")/lib.sh" pykcs11
appliance
cp "$D/samples/payment.xml" "$D/work/in"
check "an application is loaded" load bank_a_so "$D/samples/screen.pkg"
before=$(records execution)
install -m 0755 testbed/e2e/pykcs11_client.py "$D/bin" # the clone may be out of the client's reach
as_front "${SANITIZED[@]}" /usr/bin/python3 "$D/bin/pykcs11_client.py" "$D/bin/assay.so" bank-a $A_PIN "$D/work" || failures=1
after=$(records execution)
if [ $((after - before)) -eq 3 ]; then ok "PyKCS11's three calls are three executions"; else
	not_ok "$((after - before)) executions in the log, 3 expected"; fi
check "what it fetched verifies" assay verify "$D/work/py-proof" --ca "$D/ca.pem" --input "$D/work/in" \
	--output "$D/work/py-output" --keys "$D/work/py-keys" --package "$D/samples/screen.pkg"
check "so does the result of EXECUTE_FULL, as it is" assay verify "$D/work/py-full" --ca "$D/ca.pem" \
	--input "$D/work/in" --package "$D/samples/screen.pkg"
redact() { "$D/bin/assay" proof redact "$D/work/py-full" -o "$D/redacted" "$@"; }
check "a result is redacted to its output" redact --keep output
says "the output is checked, messages are not" "ok +output .*" assay verify "$D/redacted" --ca "$D/ca.pem"
says "and nobody is told that they were" "not checked +stderr" assay verify "$D/redacted" --ca "$D/ca.pem"
refuses "the input's key is gone" "holds none for the input" assay verify "$D/redacted" --ca "$D/ca.pem" --input "$D/work/in"
check "a result is redacted to its input's key" redact --keep input
says "the input is checked, the output is not" "not checked +output" \
	assay verify "$D/redacted" --ca "$D/ca.pem" --input "$D/work/in"
check "a result is redacted to its proof" redact
hides "which shows no output" "ok +output|ok +input" assay verify "$D/redacted" --ca "$D/ca.pem"
if grep -qF "$(tail -c 20 "$D/work/py-output")" "$D/redacted"; then not_ok "the output is still in it"; else
	ok "nor holds it"; fi
check "a file of keys is redacted" "$D/bin/assay" proof redact "$D/work/py-keys" --keep output -o "$D/keys"
refuses "to the output's alone" "holds none for the input" assay verify "$D/work/py-proof" --ca "$D/ca.pem" \
	--input "$D/work/in" --keys "$D/keys"
refuses "a word that is none" "input, output or stderr expected" redact --keep all
check "and the proof of RUN" assay verify "$D/work/py-proof-of-run" --ca "$D/ca.pem"
log_holds "at the end"
done_testing
