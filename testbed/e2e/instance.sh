# instance.sh - an Assay appliance of one's own, in one directory: sourced by the demonstration and
# the end-to-end tests. Needs root, because launcher, daemon and front end are different users.
#
#   instance_make DIRECTORY   lays it out: programs, configuration, tokens; sets $D and what follows
#   instance_start            assay start, and waits until the daemon answers
#   instance_end              stops it and undoes the mounts; the directory is the caller's to remove
#
# Users (numeric, no account need exist): the front end, where the bank's client loads assay.so; the
# daemon; an administrator who enrols partitions. SoftHSM keeps each file of a token to one user,
# which no HSM does, so daemon and administrator see the partitions through an id-mapped mount (lend).
FRONT_UID=64001 DAEMON_UID=64002 CLIENT_GID=64003 ADMIN_UID=64004
SOFTHSM=${SOFTHSM:-/usr/lib/softhsm/libsofthsm2.so}
A_PIN=1234 A_SO_PIN=12345678 B_PIN=4321 B_SO_PIN=87654321

# What this module adds: the loader (its CKA_ID) and CKM_VENDOR_DEFINED | 0x4159xxxx.
LOADER_ID=a55a
EXECUTE=0xC1590001 EXECUTE_FULL=0xC1590002 RUN=0xC1590003 LOAD=0xC1590004

# Says what this machine lacks, one line each; nothing when all is there.
instance_lacks() {
	local version
	[ "$(id -u)" -eq 0 ] || echo "root: launcher, daemon and client run as different users"
	[ "$(uname -m)" = x86_64 ] || echo "an x86_64 machine (this is $(uname -m))"
	version=$(uname -r)
	IFS=.- read -r major minor _ <<<"$version"
	[ "$major" -gt 6 ] || { [ "$major" -eq 6 ] && [ "$minor" -ge 1 ]; } ||
		echo "Linux 6.1 or newer (this is $version)"
	[ -e /proc/self/ns/user ] && [ "$(cat /proc/sys/user/max_user_namespaces 2>/dev/null)" != 0 ] ||
		echo "user namespaces (user.max_user_namespaces is 0)"
	[ -e /proc/sys/kernel/seccomp/actions_avail ] || echo "seccomp filters in this kernel"
	grep -qs landlock /sys/kernel/security/lsm || landlock_answers ||
		echo "Landlock (start the kernel with lsm=landlock,...)"
	mount_works || echo "the right to mount file systems (in a container, run it privileged)"
}

# securityfs need not be mounted: ask the kernel for the version of its Landlock.
landlock_answers() {
	command -v python3 >/dev/null || return 0
	/usr/bin/env python3 -c 'import ctypes, sys
sys.exit(ctypes.CDLL(None).syscall(444, None, 0, 1) < 1)' 2>/dev/null
}

mount_works() { [ "$(id -u)" -ne 0 ] || unshare --mount true 2>/dev/null; }

# Whether others may not change what is in a directory's place, all users can walk there, and the
# path is one that a socket's name and a plain command line can hold.
place_suits() {
	local part=$1
	[[ $part =~ ^[a-zA-Z0-9_./+-]{1,80}$ ]] || return 1
	while [ "$part" != / ]; do
		part=$(dirname "$part")
		[ "$(stat -c %u "$part")" = 0 ] && [ $((0$(stat -c %a "$part") & 023)) -eq 1 ] || return 1
	done
}

# The directory wanted, or else a temporary one, when for example the clone lies in /root.
instance_place() {
	if place_suits "$1"; then
		mkdir -p "$1"
		echo "$1"
	else
		mktemp -d "/var/lib/assay-$(basename "$1").XXXXXX"
	fi
}

as_front() {
	SOFTHSM2_CONF=$D/front.conf ASSAY_CONFIG=$D/assay.yaml \
		setpriv --reuid $FRONT_UID --regid $FRONT_UID --groups $CLIENT_GID --no-new-privs "$@"
}
as_admin() {
	SOFTHSM2_CONF=$D/admin.conf ASSAY_CONFIG=$D/assay.yaml \
		setpriv --reuid $ADMIN_UID --regid $ADMIN_UID --groups $CLIENT_GID --no-new-privs "$@"
}
as_daemon() {
	SOFTHSM2_CONF=$D/token.conf ASSAY_CONFIG=$D/assay.yaml \
		setpriv --reuid $DAEMON_UID --regid $DAEMON_UID --clear-groups --no-new-privs "$@"
}
assay() { ASSAY_CONFIG=$D/assay.yaml "$D/bin/assay" "$@"; }

# A module that was built with AddressSanitizer needs its library first in a client that was not; what
# client and HSM module leak is theirs. It hooks C++ exceptions when libstdc++ is there from the start.
if ldd "$BUILD/assay.so" 2>/dev/null | grep -q libasan; then
	SANITIZED=(env "LD_PRELOAD=$(gcc -print-file-name=libasan.so) libstdc++.so.6" ASAN_OPTIONS=detect_leaks=0)
else
	SANITIZED=()
fi

# pkcs11-tool as the bank's client would call it.
client() { as_front "${SANITIZED[@]}" pkcs11-tool --module "$D/bin/assay.so" "$@"; }
bank_a() { client --token-label bank-a --login --pin $A_PIN "$@"; }
bank_a_so() { client --token-label bank-a --login --login-type so --so-pin $A_SO_PIN --session-rw "$@"; }
bank_b() { client --token-label bank-b --login --pin $B_PIN "$@"; }
bank_b_so() { client --token-label bank-b --login --login-type so --so-pin $B_SO_PIN --session-rw "$@"; }

softhsm_conf() {
	printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$2" >"$1"
	chmod 0644 "$1"
}

# Where each user sees the tokens.
instance_tokens() {
	install -d -m 0700 -o $FRONT_UID -g $FRONT_UID "$D/hsm"
	install -d -m 0700 -o $DAEMON_UID -g $DAEMON_UID "$D/token"
	install -d -m 0755 "$D/hsm-daemon" "$D/hsm-admin"
	softhsm_conf "$D/front.conf" "$D/hsm"
	softhsm_conf "$D/token.conf" "$D/token"
	softhsm_conf "$D/daemon.conf" "$D/hsm-daemon"
	softhsm_conf "$D/admin.conf" "$D/hsm-admin"
	install -m 0600 -o $DAEMON_UID -g $DAEMON_UID /dev/null "$D/token.pin"
	head -c 18 /dev/urandom | base64 | tr -dc a-zA-Z0-9 >"$D/token.pin"
	as_daemon softhsm2-util --init-token --free --label assay --pin "$(cat "$D/token.pin")" \
		--so-pin "$(head -c 18 /dev/urandom | base64 | tr -dc a-zA-Z0-9)" >/dev/null
	as_front softhsm2-util --init-token --free --label bank-a --pin $A_PIN --so-pin $A_SO_PIN >/dev/null
	as_front softhsm2-util --init-token --free --label bank-b --pin $B_PIN --so-pin $B_SO_PIN >/dev/null
	"$BUILD/e2e/lend" "$D/hsm" "$D/hsm-daemon" $FRONT_UID $FRONT_UID $DAEMON_UID $DAEMON_UID
	"$BUILD/e2e/lend" "$D/hsm" "$D/hsm-admin" $FRONT_UID $FRONT_UID $ADMIN_UID $ADMIN_UID
}

# A controller that this machine doesn't have is named, and so appears in every proof.
missing_controllers() {
	local controller missing=
	for controller in memory pids cpu; do
		grep -qs "^$controller[[:space:]].*1$" /proc/cgroups ||
			grep -qsw $controller /sys/fs/cgroup/cgroup.controllers || missing+="$controller, "
	done
	echo "${missing%, }"
}

instance_config() {
	cat >"$D/assay.yaml" <<YAML
mode: appliance
state: $D/state
socket: $D/run/assayd.sock
programs: $D/bin
hsm:
    module: $SOFTHSM
    environment:
        - SOFTHSM2_CONF=$D/daemon.conf
token:
    environment:
        - SOFTHSM2_CONF=$D/token.conf
    label: assay
    pin_file: $D/token.pin
users:
    daemon: $DAEMON_UID
    group: $CLIENT_GID
    administrators: [$ADMIN_UID]
sandbox:
    cells: ${CELLS:-3}
    allow_missing: [$(missing_controllers)]
YAML
	chmod 0644 "$D/assay.yaml"
}

instance_make() {
	D=$1
	umask 022
	chmod 0755 "$D"
	install -d -m 0755 "$D/bin" "$D/samples"
	install -m 0755 "$BUILD"/{assay,assayd,assay-probe,assay-feeder,assay-tpm,assay-launcher,assay-init,assay.so} "$D/bin"
	install -m 0644 "$BUILD"/samples/*.{pkg,xml} "$D/samples"
	install -d -m 0700 -o $DAEMON_UID -g $DAEMON_UID "$D/state"
	install -d -m 0755 -o $DAEMON_UID -g $CLIENT_GID "$D/run"
	install -d -m 0755 -o $FRONT_UID -g $FRONT_UID "$D/work"
	install -d -m 0755 -o $ADMIN_UID -g $ADMIN_UID "$D/certificates"
	instance_config
	instance_tokens
}

# instance_enroll_one a: the administrator enrols bank-a, its user and SO present.
instance_enroll_one() {
	as_admin "$D/bin/assay" partition enroll --token "bank-$1" --pin-file "$D/$1.pin" \
		--so-pin-file "$D/$1.so" -o "$D/certificates/bank-$1.pem"
}
instance_enroll() { pin_files && instance_enroll_one a && instance_enroll_one b; }

instance_start() { assay start --log "$D/daemon.log" || { tail -3 "$D/daemon.log"; return 1; }; }
instance_daemon() { pgrep -f "^$D/bin/assayd" | head -1; }
instance_launcher() { pgrep -f "^$D/bin/assay-launcher" | head -1; }

instance_end() {
	[ -n "${D:-}" ] || return 0
	[ ! -e "$D/run/assayd.sock" ] || assay stop >/dev/null 2>&1
	local place i
	for i in $(seq 100); do
		[ -n "$(instance_daemon)$(instance_launcher)" ] || break
		sleep 0.05
	done
	for i in $(instance_daemon) $(instance_launcher); do kill -9 "$i" 2>/dev/null; done
	for place in "$D/hsm-daemon" "$D/hsm-admin"; do
		mountpoint -q "$place" 2>/dev/null && { umount "$place" || umount -l "$place"; }
	done
	return 0
}

# The CKA_ID of an application, as pkcs11-tool wants it: first 8 bytes of SHA-256 of its id.
app_id() { printf %s "$1" | sha256sum | cut -c1-16; }
# The label under which what a call gave back can be fetched.
result_label() { sha256sum <"$1" | cut -c1-32; }
# Changes the byte at an offset: change_byte FROM TO OFFSET
change_byte() {
	local byte
	cp "$1" "$2"
	byte=$(xxd -s "$3" -l 1 -p "$1")
	printf %02x $((0x$byte ^ 1)) | xxd -r -p | dd of="$2" bs=1 seek="$3" conv=notrunc status=none
}
# PINs in files that only the administrator may read.
pin_files() {
	local item
	for item in a.pin=$A_PIN a.so=$A_SO_PIN b.pin=$B_PIN b.so=$B_SO_PIN; do
		install -m 0600 -o $ADMIN_UID -g $ADMIN_UID /dev/null "$D/${item%%=*}"
		echo "${item#*=}" >"$D/${item%%=*}"
	done
}
