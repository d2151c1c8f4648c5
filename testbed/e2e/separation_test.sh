#!/bin/bash
# Appliance mode keeps its users apart: what the front end, a stranger and the daemon itself can reach.
. "$(dirname "$0")/lib.sh" separation
instance_make "$place"
pin_files
check "the appliance is initialised" assay init -o "$D/ca.pem"
check "launcher and daemon start" instance_start
check "the administrator enrols bank-a" instance_enroll_one a

as_stranger() { ASSAY_CONFIG=$D/assay.yaml setpriv --reuid 64099 --regid 64099 --clear-groups "$@"; }

# The front end parses hostile input: whoever takes it over is its user.
for secret in state state/log state/ca.der token token.pin; do
	refuses "the front end can't read $secret" "[Pp]ermission denied" as_front cat "$D/$secret"
done
refuses "the front end can't write where the socket is" "[Pp]ermission denied" as_front touch "$D/run/x"
for role in b.pin b.so; do
	install -m 0600 -o $FRONT_UID -g $FRONT_UID "$D/$role" "$D/work/$role"
done
refuses "the front end can't enrol, even with both PINs" "no administrator" as_front "$D/bin/assay" \
	partition enroll --token bank-b --pin-file "$D/work/b.pin" --so-pin-file "$D/work/b.so"
refuses "nor stop the daemon" "no administrator" as_front "$D/bin/assay" stop
[ "$(records "STOP by user $FRONT_UID, who is no administrator")" -eq 1 ] && ok "and the attempt is in the log" ||
	not_ok "the attempt is not in the log"
refuses "a user outside the group does not get to the daemon" "[Pp]ermission denied|denied" as_stranger "$D/bin/assay" status
[ "$(stat -c '%a %g' "$D/run/assayd.sock")" = "660 $CLIENT_GID" ] && ok "the socket is its group's" ||
	not_ok "the socket has other rights"

# What kind of evidence each gets.
says "the front end gets an appliance's evidence" "^evidence: appliance" as_front "$D/bin/assay" status
says "the daemon's own user would get development evidence" "^evidence: development" as_daemon "$D/bin/assay" status

# The daemon, as the kernel sees it.
pid=$(instance_daemon)
status() { grep -qE "^$1:[[:space:]]*$2\$" "/proc/$pid/status"; }
check "the daemon runs as its user alone" status Uid "$DAEMON_UID	$DAEMON_UID	$DAEMON_UID	$DAEMON_UID"
check "in its group alone" status Gid "$CLIENT_GID	$CLIENT_GID	$CLIENT_GID	$CLIENT_GID"
check "without other groups" status Groups " *"
check "without capabilities" status CapEff 0000000000000000
check "and can gain none" status NoNewPrivs 1
# A sanitizer's look for leaks traces its own process.
[ ${#SANITIZED[@]} -gt 0 ] || check "it is not dumpable" [ "$(stat -c %u "/proc/$pid/environ")" -eq 0 ]
[ "$(tr -d '\0' <"/proc/$pid/environ" | wc -c)" -eq 0 ] && ok "its environment was empty" || not_ok "it was given an environment"
check "it leaves no core" grep -qE '^Max core file size +0 +0' "/proc/$pid/limits"
[ "$(readlink "/proc/$pid/cwd")" = / ] && ok "it stands in /" || not_ok "it stands in $(readlink "/proc/$pid/cwd")"

# A state directory or a PIN that others may read or write is refused at the start.
check "assay stop" assay stop
for i in $(seq 50); do [ -z "$(instance_daemon)" ] || sleep 0.1; done
chmod 0770 "$D/state"
refuses "a state directory that others may write is refused" "others may write" instance_start
chmod 0700 "$D/state"
chmod 0644 "$D/token.pin"
refuses "a PIN that others may read is refused" "token.pin" instance_start
chmod 0600 "$D/token.pin"
check "then it starts" instance_start
log_holds
done_testing
