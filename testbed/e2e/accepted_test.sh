#!/bin/bash
# The list of accepted programs is in the token's anchor: with an older or another list on the disk the
# daemon does not start, and wherever an acceptance is cut off by a kill, what follows is right.
. "$(dirname "$0")/lib.sh" accepted
# As testbed/crash/moments.h has them.
before_list=6 after_list=7 after_acceptance=8
LIST=state/platform/accepted

instance_make "$place"
install -m 0755 "$BUILD/crash/programs/assayd" "$D/bin/assayd"
pin_files
check "the appliance is initialised" assay init -o "$D/ca.pem"

die_at() { echo "$1" >"$D/moment" && chmod 0644 "$D/moment"; }
await_end() {
	local i
	rm -f "$D/moment"
	for i in $(seq 100); do [ -n "$(instance_daemon)$(instance_launcher)" ] || return 0; sleep 0.05; done
	return 1
}
platform() { assay tcb show | sed -n 's/^platform \([0-9a-f]\{64\}\).*/\1/p'; }
accept() { as_admin "$D/bin/assay" tcb accept "$(platform)"; }
# Another program than before, as an update brings it; and the list and the programs of a moment.
update() { printf x >>"$D/bin/assay.so"; }
keep() { cp -p "$D/$LIST" "$D/$1.list" && cp "$D/bin/assay.so" "$D/$1.so"; }
put_back() { cp -p "$D/$1.list" "$D/$LIST" && cp "$D/$1.so" "$D/bin/assay.so"; }
is_held() { says "$1" "held: .*as-installed:module" assay status; }
is_free() { hides "$1" "held: ." assay status; }

# The first start accepts what is installed, wherever the one before it ended.
die_at $before_list
refuses "the first start is killed before its list" "" instance_start
check "it has ended" await_end
[ -e "$D/$LIST" ] && not_ok "there is a list" || ok "there is no list"
die_at $after_list
refuses "the next is killed before the token knows it" "" instance_start
check "it has ended" await_end
check "the third one starts" instance_start
is_free "and runs programs"

# It looks at the list again when its key is another one.
rm "$D/$LIST"
update
check "the list goes and a program changes before the first end, and the key is rolled over" \
	as_admin "$D/bin/assay" rollover --appliance
await "what is there then is not taken for the first" eval 'assay status | grep -q "held: .*list of accepted programs is missing"'
check "an administrator accepts it" accept
check "and the rollover is finished" as_admin "$D/bin/assay" rollover --appliance --finish
is_free "and it runs again"

check "bank-a is enrolled" instance_enroll_one a
check "an application is loaded" load bank_a_so "$D/samples/screen.pkg"
check "it runs" execute bank_a screen "$D/samples/payment.xml" "$D/work/first"
check "it stops" assay stop
keep first

# An acceptance that is cut off.
accept_killed_at() {
	update
	check "it starts after an update" instance_start
	is_held "nothing runs"
	die_at "$1"
	refuses "the acceptance is killed $2" "" accept
	check "it has ended" await_end
	check "it starts again" instance_start
}
accept_killed_at $before_list "before its list"
is_held "what has no list is not accepted"
check "it is accepted" accept
is_free "and runs"
check "it stops" assay stop
keep second
accept_killed_at $after_list "before the token knows it"
is_free "a list that is ahead of the token holds"
check "it stops" assay stop
accept_killed_at $after_acceptance "before it is answered"
is_free "what the token knows holds"
check "an application still runs" execute bank_a screen "$D/samples/payment.xml" "$D/work/second"
check "it stops" assay stop
keep newest

for old in first second; do
	put_back $old
	refuses "the $old list, put back with the programs of then, is refused" \
		"list of accepted programs is number [0-9]+, and was [0-9]+: it was put back" instance_start
	check "it has ended" await_end
done
put_back newest
check "with the newest it starts" instance_start
is_free "and runs"

# Put back while the daemon runs: what is there when it starts again counts.
cp -p "$D/first.list" "$D/$LIST"
check "it stops" assay stop
refuses "one put back under the daemon is refused" "put back to an earlier state" instance_start
check "it has ended" await_end
put_back newest

# Two lists of one number: the one of which the token was never told is not the other.
update
check "it starts after an update" instance_start
die_at $after_list
refuses "an acceptance is killed before the token knows it" "" accept
check "it has ended" await_end
keep other
cp -p "$D/newest.list" "$D/$LIST" && update
check "it starts with the list before" instance_start
check "another platform is accepted" accept
check "it stops" assay stop
keep newest
put_back other
refuses "the other list of that number is refused" "number [0-9]+, is another than the token remembers" instance_start
check "it has ended" await_end

# Without any, an administrator says what is right.
put_back newest
rm "$D/$LIST"
check "it starts without a list" instance_start
says "and is held" "held: .*list of accepted programs is missing" assay status
check "an administrator accepts what is there" accept
is_free "and it runs"
check "it stops and starts" eval 'assay stop && instance_start'
is_free "as before"
check "an application runs" execute bank_a screen "$D/samples/payment.xml" "$D/work/third"
check "it stops" assay stop
put_back newest
refuses "the list that was removed is an older one now" "put back to an earlier state" instance_start
check "it has ended" await_end
rm "$D/$LIST"
check "it starts" instance_start
log_holds
done_testing
