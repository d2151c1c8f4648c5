#!/bin/bash
# A partition's policy: who sets it, what it forbids, how it shows; and sealed payloads: who can read
# them, how they are shredded, and that every proof still verifies.
. "$(dirname "$0")/lib.sh" sealing
appliance
W=$D/work
cp "$D/samples/payment.xml" "$W/in"
check "an application is loaded" load bank_a_so "$D/samples/screen.pkg"
check "and another" load bank_a_so "$D/samples/unruly.pkg"
behave echo "$W/echo"

policy() { cat >"$D/policy.yaml" && chmod 0644 "$D/policy.yaml"; }
set_policy() { as_admin "$D/bin/assay" partition policy bank-a "$D/policy.yaml"; }
shown() { as_admin "$D/bin/assay" partition policy bank-a; }
measurement() { assay measure "$1" --json | grep -oE '"measurement": *"[0-9a-f]{64}"' | grep -oE '[0-9a-f]{64}'; }
# claim FILTER: the claims of the last record of a type, as JSON.
last() { assay audit show --json --type "$1" 2>/dev/null | grep -vE '^(\[|\])$' | tail -1; }

# ---- the policy ----
says "a partition that was given none has the empty policy" "^# SHA-256 e3b0c442.*none was set" shown
policy <<<"keep: something"
refuses "a policy with a wrong word is refused" "keep: nothing or sealed expected" set_policy
policy <<<"retain: 5"
refuses "an unknown key is refused" "one of the settings .* expected" set_policy
policy <<<"execute: {per_minute: 1000}"
refuses "the bank's client may not set it" "no administrator" as_front "$D/bin/assay" partition policy bank-a "$D/policy.yaml"
says "and that is a record" "no administrator" assay audit show --type refusal
says "an administrator may" "policy in force: SHA-256 $(sha256sum <"$D/policy.yaml" | cut -c1-64)" set_policy
says "it is shown as it was set" "^execute: {per_minute: 1000}" shown
says "the change is a record" "policy 1 set by user $ADMIN_UID" assay audit show --type configuration
check "an execution is under it" execute bank_a screen "$W/in" "$W/proof"
digest=$(sha256sum <"$D/policy.yaml" | cut -c1-64)
says "and its record says so" "$digest" last execution

policy <<<"execute: {applications: [screen]}"
check "only one application may run" set_policy
check "it does" execute bank_a screen "$W/in" "$W/proof"
refuses "the other does not" "CKR_KEY_FUNCTION_NOT_PERMITTED" execute bank_a unruly "$W/echo" "$W/out"
says "and that is a record" "the policy does not let unruly run" assay audit show --type refusal

policy <<<"execute: {users: [1]}"
check "only one user may execute" set_policy
refuses "another does not" "CKR_KEY_FUNCTION_NOT_PERMITTED" execute bank_a screen "$W/in" "$W/out"

policy <<<"limits: {input_bytes: 4}"
check "inputs are limited" set_policy
refuses "a longer one is refused" "CKR_DATA_LEN_RANGE" execute bank_a screen "$W/in" "$W/out"

policy <<<"execute: {per_minute: 2}"
check "executions are limited" set_policy
check "one is allowed" execute bank_a screen "$W/in" "$W/out"
check "and another" execute bank_a screen "$W/in" "$W/out"
refuses "a third is not" "CKR_DEVICE_MEMORY" execute bank_a screen "$W/in" "$W/out"
says "and that is a record" "the policy allows 2 executions in a minute" assay audit show --type refusal

policy <<<"revoked: [$(measurement "$D/samples/unruly.pkg")]"
check "a version is revoked" set_policy
says "which is a record" "is revoked" assay audit show --type management
refuses "it does not run" "CKR_KEY_FUNCTION_NOT_PERMITTED" execute bank_a unruly "$W/echo" "$W/out"
refuses "nor is it loaded again" "CKR_" load bank_a_so "$D/samples/unruly.pkg"
check "another one runs" execute bank_a screen "$W/in" "$W/out"

log_holds "at the end"
done_testing
