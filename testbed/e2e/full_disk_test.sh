#!/bin/bash
# The state directory on a small file system that fills up: calls fail, nothing received is missing,
# the log verifies, and with room again the work goes on.
. "$(dirname "$0")/lib.sh" full_disk
also=unmount
unmount() { assay stop >/dev/null 2>&1; umount "$D/state" 2>/dev/null || umount -l "$D/state"; }
instance_make "$place"
pin_files
mount -t tmpfs -o "size=12m,mode=0700,uid=$DAEMON_UID,gid=$DAEMON_UID" assay-full "$D/state"
sed -i '$a audit:\n    segment_bytes: 1048576' "$D/assay.yaml"
W=$D/work
cp "$D/samples/payment.xml" "$W/in"
check "the appliance is initialised" assay init -o "$D/ca.pem"
check "launcher and daemon start" instance_start
check "bank-a is enrolled" instance_enroll_one a
check "an application is loaded" load bank_a_so "$D/samples/screen.pkg"
check "it runs" execute bank_a screen "$W/in" "$W/out"

# Filled up but for some kilobytes, so that it fails in the middle of work.
head -c 64M /dev/zero | as_daemon tee "$D/state/filler" >/dev/null 2>&1
refuses "with a full disk no package can be stored" "CKR_" load bank_a_so "$D/samples/unruly.pkg"
good=0 bad=0
for i in $(seq 400); do
	if execute bank_a screen "$W/in" "$W/got.$i" >"$W/said" 2>&1; then good=$((good + 1)); else bad=1; break; fi
done
say_good="$good more executions were recorded before"
if [ $bad -eq 1 ]; then
	ok "executions end when the log can't grow ($say_good)"
	said=$(cat "$W/said")
	grep -q CKR_DEVICE_ERROR <<<"$said" && ok "with CKR_DEVICE_ERROR" || not_ok "with another code"
else
	ok "the log had room for all of $good executions"
fi
check "the HSM's own work goes on" bank_a --keypairgen --key-type EC:prime256v1 --label alone --id 61
log_holds "with a full disk"

rm "$D/state/filler"
assay stop >/dev/null 2>&1
check "with room again it starts" instance_start
check "and works" execute bank_a screen "$W/in" "$W/out"
log_holds "after that"

done_testing
