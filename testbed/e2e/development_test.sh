#!/bin/bash
# Development mode: the module starts the daemon itself, once, however many race; it ends by itself
# when idle, and at once with assay stop; its evidence is refused unless a verifier is told to take it.
. "$(dirname "$0")/lib.sh" development
D=$place
umask 022
chmod 0755 "$D"
also=end_mine
end_mine() { mine "$D/bin/assay" stop >/dev/null 2>&1; }

# One user does everything here: client, daemon, administrator.
USER_ID=64011
mine() { SOFTHSM2_CONF=$D/tokens.conf ASSAY_CONFIG=$D/assay.yaml setpriv --reuid $USER_ID --regid $USER_ID --clear-groups "$@"; }
tool() { mine "${SANITIZED[@]}" pkcs11-tool --module "$D/bin/assay.so" "$@"; }
dev() { tool --token-label bank-a --login --pin $A_PIN "$@"; }
dev_so() { tool --token-label bank-a --login --login-type so --so-pin $A_SO_PIN --session-rw "$@"; }
# By path, since another run of this test has the same user.
daemons() { pgrep -f "^$D/bin/assayd" | wc -l; }

install -d -m 0755 "$D/bin" "$D/samples"
install -m 0755 "$BUILD"/{assay,assayd,assay-probe,assay-feeder,assay-launcher,assay-init,assay.so} "$D/bin"
install -m 0644 "$BUILD"/samples/*.{pkg,xml} "$D/samples"
install -d -m 0700 -o $USER_ID -g $USER_ID "$D/state" "$D/run" "$D/hsm" "$D/token" "$D/work"
softhsm_conf "$D/tokens.conf" "$D/hsm"
softhsm_conf "$D/token.conf" "$D/token"
for item in token.pin=9876 a.pin=$A_PIN a.so=$A_SO_PIN; do
	install -m 0600 -o $USER_ID -g $USER_ID /dev/null "$D/${item%%=*}"
	echo "${item#*=}" >"$D/${item%%=*}"
done
SOFTHSM2_CONF=$D/token.conf setpriv --reuid $USER_ID --regid $USER_ID --clear-groups \
	softhsm2-util --init-token --free --label assay --pin 9876 --so-pin 98765432 >/dev/null
mine softhsm2-util --init-token --free --label bank-a --pin $A_PIN --so-pin $A_SO_PIN >/dev/null
cat >"$D/assay.yaml" <<YAML
mode: development
state: $D/state
socket: $D/run/assayd.sock
programs: $D/bin
hsm:
    module: $SOFTHSM
    environment: [SOFTHSM2_CONF=$D/tokens.conf]
token:
    environment: [SOFTHSM2_CONF=$D/token.conf]
    pin_file: $D/token.pin
sandbox:
    allow_missing: [memory, pids, cpu]
daemon:
    idle_seconds: 8
YAML
cp "$D/samples/payment.xml" "$D/work/in"
chmod 0644 "$D/work/in"

says "without an enrolment the module is a plain pass-through" "bank-a" tool --list-slots
check "a user initialises a state directory" mine "$D/bin/assay" init -o "$D/work/ca.pem"
check "starts the daemon" mine "$D/bin/assay" start
says "whose status names the controllers that it lacks" "sandbox.absent: .*cgroup_memory cgroup_pids cgroup_cpu" mine "$D/bin/assay" status
says "of whose PIN the doctor finds that only they can read it" "^ok +token.pin_file" eval 'mine "$D/bin/assay" doctor; true'
check "and enrols a partition" mine "$D/bin/assay" partition enroll --token bank-a --pin-file "$D/a.pin" --so-pin-file "$D/a.so"
check "assay stop ends the daemon at once" mine "$D/bin/assay" stop
for i in $(seq 30); do [ "$(daemons)" -eq 0 ] || sleep 0.1; done
[ "$(daemons)" -eq 0 ] && ok "no daemon is left" || not_ok "a daemon is left"

check "the module starts it for a load" load dev_so "$D/samples/screen.pkg"
[ "$(daemons)" -eq 1 ] && ok "one daemon runs" || not_ok "$(daemons) daemons run"
check "an execution" execute dev screen "$D/work/in" "$D/work/proof.bin"
label=$(result_label "$D/work/proof.bin")
for kind in output proof keys; do check "its $kind is fetched" fetch dev "$label" $kind "$D/work/$kind"; done
refuses "a verifier refuses development evidence" "development evidence|development|debug status" "$D/bin/assay" verify "$D/work/proof" --ca "$D/work/ca.pem"
check "unless it is told to take it" "$D/bin/assay" verify "$D/work/proof" --ca "$D/work/ca.pem" --allow-dev \
	--input "$D/work/in" --output "$D/work/output" --keys "$D/work/keys"
says "and the proof names the same controllers" "cgroup_memory cgroup_pids cgroup_cpu" \
	"$D/bin/assay" verify "$D/work/proof" --ca "$D/work/ca.pem" --allow-dev --json

# Idle, it ends by itself.
for i in $(seq 250); do [ "$(daemons)" -eq 0 ] && break; sleep 0.1; done
[ "$(daemons)" -eq 0 ] && ok "idle, the daemon ended by itself" || not_ok "the idle daemon still runs"
says "and the log was closed" "close" mine "$D/bin/assay" audit show

# Ten clients at once, no login (SoftHSM survives no logins at a time): one daemon.
before=$(mine "$D/bin/assay" audit show --type open | grep -c "daemon started")
for i in $(seq 10); do tool --token-label bank-a --list-objects >"$D/work/race.$i" 2>&1 & pids[i]=$!; done
lost=0
for i in $(seq 10); do wait "${pids[i]}" || lost=$((lost + 1)); done
[ $lost -eq 0 ] && ok "ten clients at once all get an answer" || not_ok "$lost of ten clients got none"
[ "$(grep -l 'Payment screening' "$D"/work/race.* | wc -l)" -eq 10 ] && ok "and all see the application" ||
	not_ok "not all of them see the application"
# Those that lost the race for the state directory end without having opened it.
for i in $(seq 50); do [ "$(daemons)" -le 1 ] || sleep 0.1; done
[ "$(daemons)" -eq 1 ] && ok "one daemon is left of those that they started" || not_ok "$(daemons) daemons run"
starts=$(mine "$D/bin/assay" audit show --type open | grep -c "daemon started")
[ "$starts" -eq $((before + 1)) ] && ok "and one start is in the log" || not_ok "$starts starts are in the log, $before before"
check "the log verifies" mine "$D/bin/assay" audit verify
mine "$D/bin/assay" audit checkpoint >"$D/checkpoints"
[ "$(grep -c '^— ' "$D/checkpoints")" -eq $((2 * $(grep -c '^assay/' "$D/checkpoints"))) ] &&
	ok "its checkpoints carry lines of ECDSA and Ed25519" || not_ok "the checkpoints carry others: $(cat "$D/checkpoints")"
check "assay stop" mine "$D/bin/assay" stop
for i in $(seq 150); do [ -z "$(pgrep -f "$D/bin/")" ] || sleep 0.1; done
[ -z "$(pgrep -f "$D/bin/")" ] && ok "nothing of that user is left running" || not_ok "left running: $(pgrep -af "$D/bin/")"
done_testing
