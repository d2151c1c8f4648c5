#!/bin/bash
# The platform is measured part by part; a program that changed holds the appliance until an
# administrator accepts it, as a record; proofs are explained and compared.
. "$(dirname "$0")/lib.sh" platform
appliance
W=$D/work
cp "$D/samples/payment.xml" "$W/in"
check "an application is loaded" load bank_a_so "$D/samples/screen.pkg"
check "it runs" execute bank_a screen "$W/in" "$W/first"
check "its proof is fetched" fetch bank_a "$(result_label "$W/first")" proof "$W/first.proof"

platform() { assay tcb show | sed -n 's/^platform \([0-9a-f]\{64\}\).*/\1/p'; }
accepted=$(platform)
says "the first platform was accepted, as a record" "platform accepted at the first start: $accepted" \
	assay audit show
for part in daemon launcher init configuration as-installed:module as-installed:hsm-module \
	as-installed:probe as-installed:feeder as-installed:tpm \
	mapped:.*/libcrypto kernel:version kernel:command-line; do
	says "$part is measured" "^ +[0-9a-f]{64}  $part" assay tcb show
done
hides "all of it is accepted" "NOT ACCEPTED|Nothing is run" assay tcb show
says "the digests are those of the files" "$(sha256sum <"$D/bin/assay-launcher" | cut -c1-64)  launcher" assay tcb show
says "a proof is explained" "on the platform $accepted" "$D/bin/assay" tcb explain "$W/first.proof"
says "the explanation names the HSM" "SoftHSM" "$D/bin/assay" tcb explain "$W/first.proof"
refuses "a package can't be explained as a proof" "not an assay-proof" "$D/bin/assay" tcb explain "$D/samples/screen.pkg"

# A module, a launcher and a daemon that are other ones than before.
renew_program() {
	cp "$D/bin/$1" "$D/bin/new" && printf x >>"$D/bin/new" && mv "$D/bin/new" "$D/bin/$1"
}
for program in assay.so assay-launcher assayd assay-probe; do
	case $program in
	assay.so) part=as-installed:module ;;
	assay-launcher) part=launcher ;;
	assayd) part=daemon ;;
	assay-probe) part=as-installed:probe ;;
	esac
	check "it stops" assay stop
	renew_program "$program"
	check "it starts with another $program" instance_start
	says "status says what holds it" "held: .*$part" assay status
	refuses "nothing runs" CKR_ execute bank_a screen "$W/in" "$W/out"
	says "why is in the log" "refusal.*not the one that was accepted: $part" assay audit show
	refuses "nothing is loaded" CKR_ load bank_a_so "$D/samples/unruly.pkg"
	says "it is marked" "$part  NOT ACCEPTED" assay tcb show
	check "it stops and starts again" eval 'assay stop && instance_start'
	refuses "it is still held" CKR_ execute bank_a screen "$W/in" "$W/out"
	refuses "an earlier platform can't be accepted" "another platform" assay tcb accept "$accepted"
	refuses "the front end's user may not accept" "no administrator" as_front "$D/bin/assay" tcb accept "$(platform)"
	accepted=$(platform)
	check "an administrator accepts it" as_admin "$D/bin/assay" tcb accept "$accepted"
	says "by a record" "platform accepted by user $ADMIN_UID: $accepted" assay audit show
	check "it runs again" execute bank_a screen "$W/in" "$W/second"
done

# The list goes with the state directory, and is the daemon's alone to write.
check "it stops" assay stop
mv "$D/state/platform/accepted" "$D/kept"
check "it starts without its list" instance_start
says "a list that was removed is no first start" "held: .*list of accepted programs is missing" assay status
check "it stops" assay stop
change_byte "$D/kept" "$D/state/platform/accepted" 40
chown $DAEMON_UID:$DAEMON_UID "$D/state/platform/accepted"
refuses "a list that was changed is refused" "not written by this daemon" instance_start
cp -p "$D/kept" "$D/state/platform/accepted"
check "it starts with its own list" instance_start
check "and runs" execute bank_a screen "$W/in" "$W/second"
check "the proof is fetched" fetch bank_a "$(result_label "$W/second")" proof "$W/second.proof"

refuses "two proofs are compared" "^changed +daemon" "$D/bin/assay" tcb diff "$W/first.proof" "$W/second.proof"
hides "a part that is the same is not named" "configuration" eval "\"$D/bin/assay\" tcb diff \"$W/first.proof\" \"$W/second.proof\"; true"
says "a proof is like itself" "the same in every part" "$D/bin/assay" tcb diff "$W/first.proof" "$W/first.proof"
# A relying party's policy, learned from a proof that it trusts.
appraise() { "$D/bin/assay" verify --ca "$D/ca.pem" "$@"; }
check "a policy is learned from a proof" appraise "$W/first.proof" --learn "$D/learned"
says "it accepts that proof" "ok +policy: application.measurements" appraise "$W/first.proof" --policy "$D/learned"
refuses "it refuses one of another platform, part by part" "REFUSED +policy: platform.parts: daemon: [0-9a-f]{64}" \
	appraise "$W/second.proof" --policy "$D/learned"
refuses "and says so in one sentence" "holds, but the policy refuses it: platform.parts" \
	appraise "$W/second.proof" --policy "$D/learned"
refuses "and for machines" '"holds": true.*"status": "contraindicated".*"claim": "executables"' \
	appraise "$W/second.proof" --policy "$D/learned" --json
# Limits stand in the package, which the proof names.
printf 'limits: { wall_ms: 3600000, open_files: 4 }\n' >"$D/limits"
"$D/bin/assay" measure "$D/samples/screen.pkg" --profile "$D/profile" >/dev/null
refuses "without the package a rule about limits is missed" "limits.wall_ms: .*nobody knows them" \
	appraise "$W/first.proof" --policy "$D/limits"
refuses "with it the limits are compared" "^ok +policy: limits.wall_ms: [0-9]+, at most 3600000" \
	appraise "$W/first.proof" --policy "$D/limits" --package "$D/samples/screen.pkg"
refuses "and a missed one is told" "the policy refuses it: limits.open_files: [0-9]+, at most 4" \
	appraise "$W/first.proof" --policy "$D/limits" --profile "$D/profile"
change_byte "$W/first.proof" "$W/changed.proof" 300
refuses "no policy makes a changed proof hold" "does not hold" appraise "$W/changed.proof" --policy "$D/learned"
echo 'aplication: {}' >"$D/wrong"
refuses "a policy with a mistake is refused, with its line" "wrong:1: one of the settings" \
	appraise "$W/first.proof" --policy "$D/wrong"
[ $rc -eq 2 ] && ok "as a mistake of the caller's" || not_ok "status $rc"
mkdir -p "$W/image/etc" && cp "$BUILD/samples/screen" "$W/image/screen" && chmod 755 "$W/image/screen" && echo one >"$W/image/etc/names"
"$D/bin/assay" pack "$W/image" --exec /screen -o "$W/one.pkg" >/dev/null
echo two >"$W/image/etc/names"
"$D/bin/assay" pack "$W/image" --exec /screen -o "$W/two.pkg" >/dev/null
refuses "of two packages it names the file" "^changed +etc/names" "$D/bin/assay" tcb diff "$W/one.pkg" "$W/two.pkg"
hides "and no other" "screen" eval "\"$D/bin/assay\" tcb diff \"$W/one.pkg\" \"$W/two.pkg\"; true"
log_holds
done_testing
