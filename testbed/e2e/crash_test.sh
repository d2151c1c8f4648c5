#!/bin/bash
# kill -9 of daemon or launcher in the middle of a load, of an execution, of a commit: after a
# restart the log verifies, and every result that a client received is in it.
. "$(dirname "$0")/lib.sh" crash
appliance
W=$D/work
cp "$D/samples/payment.xml" "$W/in"
check "an application is loaded" load bank_a_so "$D/samples/screen.pkg"
check "and another" load bank_a_so "$D/samples/unruly.pkg"

restart() {
	local i
	for i in $(seq 50); do
		[ -n "$(instance_daemon)$(instance_launcher)" ] || break
		sleep 0.1
	done
	check "it starts again" instance_start
	log_holds "after the restart"
}
# The full proof of a compact one's execution is in the log: its leaf's cti is.
received=()
keep() {
	execute bank_a screen "$W/in" "$1" >/dev/null 2>&1 || return 1
	received+=("$1")
}
in_the_log() {
	local proof cti lost=0
	assay audit show --json >"$D/records"
	for proof in "${received[@]}"; do
		cti=$(cti_of "$proof")
		[ -n "$cti" ] && grep -q "$cti" "$D/records" || lost=$((lost + 1))
	done
	if [ ${#received[@]} -gt 0 ] && [ $lost -eq 0 ]; then
		ok "all ${#received[@]} results that the client received are in the log"
	else
		not_ok "$lost of ${#received[@]} results are not in the log"
	fi
}
# The 16 bytes that name the proof, as hex: found in the compact proof's CWT claims (key 7).
cti_of() { xxd -p "$1" | tr -d '\n' | grep -oE '0750[0-9a-f]{32}' | head -1 | cut -c5-; }

# Results come in while the daemon dies at any moment: mostly in a commit.
for round in 1 2 3; do
	rm -f "$W/done.$round"
	( for i in $(seq 40); do
		execute bank_a screen "$W/in" "$W/got.$round.$i" >/dev/null 2>&1 && echo "$i" >>"$W/done.$round"
	done ) &
	clients=$!
	sleep 0.$((4 + round * 2))
	kill -9 "$(instance_daemon)"
	kill $clients 2>/dev/null
	wait $clients 2>/dev/null
	for i in $(cat "$W/done.$round" 2>/dev/null); do received+=("$W/got.$round.$i"); done
	restart
done
in_the_log

# In the middle of an execution.
behave sleep "$W/sleep"
execute bank_a unruly "$W/sleep" "$W/out" >"$W/said" 2>&1 &
client=$!
sleep 0.7
kill -9 "$(instance_daemon)"
wait $client
status=$?
if [ $status -ne 0 ] && grep -q CKR_DEVICE_ERROR "$W/said"; then ok "the client of a daemon that died gets CKR_DEVICE_ERROR"; else
	not_ok "status $status: $(cat "$W/said")"; fi
check "the HSM's own work goes on without a daemon" bank_a --keypairgen --key-type EC:prime256v1 --label alone --id 61
restart
execute bank_a unruly "$W/sleep" "$W/out" >"$W/said" 2>&1 &
client=$!
sleep 0.7
kill -9 "$(instance_launcher)"
wait $client
if grep -q CKR_DEVICE_ERROR "$W/said"; then ok "the client of a launcher that died gets CKR_DEVICE_ERROR"; else
	not_ok "$(cat "$W/said")"; fi
assay stop >/dev/null 2>&1
restart

# In the middle of a load.
for delay in 0.05 0.15 0.3; do
	load bank_b_so "$D/samples/screen-awk.pkg" >/dev/null 2>&1 &
	client=$!
	sleep $delay
	kill -9 "$(instance_daemon)"
	wait $client
	restart
done
check "the load can be done again" load bank_b_so "$D/samples/screen-awk.pkg"
check "and runs" execute bank_b screen-awk "$W/in" "$W/out"
check "bank-a's application still runs" execute bank_a screen "$W/in" "$W/out"
log_holds "at the end"
done_testing
