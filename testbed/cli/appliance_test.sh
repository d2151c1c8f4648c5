#!/bin/bash
# The commands of assay that need an appliance: init, start, stop, partition, app list, verify, audit.
. "$(dirname "$0")/../e2e/lib.sh" cli

instance_make "$place"
pin_files
W=$D/work
# exits CODE WORDS PATTERN COMMAND...: with that code, saying something that matches.
exits() {
	local code=$1 words=$2 pattern=$3
	shift 3
	try "$@"
	if [ $rc -eq "$code" ] && grep -qE -- "$pattern" <<<"$said"; then
		ok "$words"
	else
		not_ok "$words (status $rc, $code expected)"
	fi
}
pem_names() { openssl x509 -in "$1" -noout -subject; }

# init
sed "s/daemon: $DAEMON_UID/daemon: 0/" "$D/assay.yaml" >"$D/root.yaml"
exits 1 "a daemon that is root is refused" "users.daemon: an id other than 0" assay init --config "$D/root.yaml"
exits 1 "init is for root" "initialised by root" as_front "$D/bin/assay" init
sed "s/daemon: $DAEMON_UID/daemon: 64009/" "$D/assay.yaml" >"$D/other.yaml"
exits 1 "a state directory of another user is refused" "belongs to user $DAEMON_UID" assay init --config "$D/other.yaml"
mkdir "$D/full" && touch "$D/full/something"
sed "s,^state: .*,state: $D/full," "$D/assay.yaml" >"$D/full.yaml"
exits 1 "a directory with something in it is not handed over" "an empty directory" assay init --config "$D/full.yaml"
sed "s,^state: .*,state: $D/fresh/state,; s,^socket: .*,socket: $D/fresh/run/sock," "$D/assay.yaml" >"$D/fresh.yaml"
exits 3 "directories above are not made up" "No such file" assay init --config "$D/fresh.yaml"
exits 1 "no start before init" "the state directory is not initialised: run assay init" assay start
exits 0 "init" "certificate of this appliance's CA: $D/ca.pem" assay init -o "$D/ca.pem"
says "its certificate is a certificate" "subject" pem_names "$D/ca.pem"
exits 1 "init again" "" assay init

# start, stop
exits 1 "start is for root" "started by root" as_front "$D/bin/assay" start
exits 3 "no daemon yet" "status: .*is the daemon running" assay status
exits 3 "a start that fails says how, where to look and what was said last" \
	"ended with exit status [1-9][0-9]*; see $D/failed.log" assay start --config "$D/other.yaml" --log "$D/failed.log"
says "which is the cause" "its last words: assayd: .*/state: Permission denied" echo "$said"
exits 0 "start" "the daemon answers at $D/run/assayd.sock" assay start --log "$D/daemon.log"
exits 0 "start again changes nothing" "the daemon answers" assay start --log "$D/daemon.log"
exits 1 "start in the foreground when it runs already" "runs already" assay start --foreground
exits 0 "status" "^mode: appliance$" assay status
says "status for machines" '"mode": "appliance"' assay status --json
exits 1 "stop is for administrators" "no administrator" as_front "$D/bin/assay" stop
exits 0 "stop, by one" "stopped" as_admin "$D/bin/assay" stop
exits 3 "stop again" "stop: " assay stop

foreground() { # HOW TO END IT: its exit code
	ASSAY_CONFIG=$D/assay.yaml "$D/bin/assay" start --foreground --log "$D/daemon.log" &
	local pid=$! tries=0
	until assay status >/dev/null 2>&1 || [ $((tries += 1)) -gt 100 ]; do sleep 0.1; done
	case $1 in
	term) kill -TERM $pid ;;
	stop) assay stop ;;
	kill) kill -KILL "$(pgrep -f "^$D/bin/assayd")" ;;
	esac
	wait $pid
}
exits 0 "in the foreground, ended by SIGTERM" "" foreground term
exits 0 "in the foreground, ended by stop" "stopped" foreground stop
exits 3 "in the foreground, daemon killed" "the launcher ended with exit status [1-9]" foreground kill
check "nothing of it is left" bash -c "! pgrep -f '^$D/bin/'"
check "start" assay start --log "$D/daemon.log"

# partition
enroll() { as_admin "$D/bin/assay" partition enroll "$@"; }
role_keys() { as_front pkcs11-tool --module $SOFTHSM --token-label bank-a --login --pin $A_PIN -O |
	grep -c "label: *assay-role-key"; }
exits 1 "a wrong user PIN" "the user's login: .*CKR_PIN_INCORRECT" enroll --token bank-a --pin-file "$D/a.so" --so-pin-file "$D/a.so"
exits 1 "a wrong SO PIN" "the SO's login: .*CKR_PIN_INCORRECT" enroll --token bank-a --pin-file "$D/a.pin" --so-pin-file "$D/a.pin"
check "leaves no key on the token" [ "$(role_keys)" = 0 ]
exits 1 "no such token" "bank-x" enroll --token bank-x --pin-file "$D/a.pin" --so-pin-file "$D/a.so"
exits 2 "no PIN and no terminal" "user PIN: name a file" setsid env SOFTHSM2_CONF="$D/front.conf" "$D/bin/assay" partition enroll \
	--config "$D/assay.yaml" --token bank-a
chmod 0644 "$D/a.pin"
exits 1 "a PIN that others may read" "mode 0600" enroll --token bank-a --pin-file "$D/a.pin" --so-pin-file "$D/a.so"
chmod 0600 "$D/a.pin"
exits 1 "who enrols is an administrator" "administrator" as_front "$D/bin/assay" partition enroll --token bank-a \
	--pin-fd 5 --so-pin-fd 6 5< <(echo $A_PIN) 6< <(echo $A_SO_PIN)
exits 3 "nobody is enrolled whose certificate has no place" "$D/bank-a.pem: Permission denied" \
	enroll --token bank-a --pin-file "$D/a.pin" --so-pin-file "$D/a.so" -o "$D/bank-a.pem"
install -d -m 0755 -o $ADMIN_UID "$D/admin"
exits 0 "enrol" "partition bank-a \(serial [0-9a-f]+, generation 1\) is enrolled" \
	enroll --token bank-a --pin-file "$D/a.pin" --so-pin-file "$D/a.so" -o "$D/admin/bank-a.pem"
says "its certificate is a certificate" "subject" pem_names "$D/admin/bank-a.pem"
serial=$(assay partition list | cut -f2)
enroll_by_descriptors() { enroll --serial "$serial" --pin-fd 5 --so-pin-fd 6 -o "$D/admin/bank-a.pem" \
	5< <(echo $A_PIN) 6< <(echo $A_SO_PIN); }
exits 0 "enrol again, by serial, PINs from descriptors" "generation 2" enroll_by_descriptors
check "the earlier role key is gone" [ "$(role_keys)" = 2 ]
says "partition list" "bank-a	$serial	generation 2	active" assay partition list
says "partition list for machines" '"generation": 2, "active": true' assay partition list --json

# app list, verify
says "no applications" '^\[\]$' assay app list --json
load bank_a_so "$D/samples/screen.pkg" >/dev/null 2>&1
says "app list" "bank-a	screen	1.0	[0-9a-f]{16}	[0-9a-f]{64}	Payment screening" assay app list
says "app list for machines" '"partition": "bank-a", .*"id": "screen"' assay app list --json
id=$(assay app list | cut -f4) measured=$(assay app list | cut -f5)
says "what is loaded is what was packed" "measurement: $measured" assay measure "$D/samples/screen.pkg"
cp "$BUILD/samples/payment.xml" "$W/in"
bank_a --sign -m $EXECUTE --id "$id" -i "$W/in" -o "$W/compact" >/dev/null 2>&1
label=$(sha256sum "$W/compact" | cut -c1-32)
for what in proof output keys stderr; do fetch bank_a "$label" $what "$W/$what" >/dev/null 2>&1; done
auditor() { env -i setpriv --reuid 65534 --regid 65534 --clear-groups "$D/bin/assay" "$@"; }
chmod 0644 "$W"/*
exits 0 "the compact proof holds" "The proof holds" auditor verify "$W/compact" --ca "$D/ca.pem" --certificate "$D/admin/bank-a.pem" --package "$D/samples/screen.pkg"
exits 1 "the compact proof of another application" "application does not match" auditor verify "$W/compact" --ca "$D/ca.pem" --certificate "$D/admin/bank-a.pem" --package "$D/samples/unruly.pkg"
exits 2 "a compact proof needs a certificate" "is a compact proof: the partition.s certificate is missing" auditor verify "$W/compact" --ca "$D/ca.pem"
exits 1 "a compact proof is no receipt" "no receipt of a load" auditor verify "$W/compact" --ca "$D/ca.pem" --certificate "$D/admin/bank-a.pem" --receipt
exits 0 "the proof holds" "The proof holds" auditor verify "$W/proof" --ca "$D/ca.pem" --input "$W/in" --output "$W/output" \
	--stderr "$W/stderr" --keys "$W/keys" --measurement "$measured"
says "and says so to machines, with its claims" '"holds": true, .*"claims": \{.*"sub":"screen"' auditor verify "$W/proof" \
	--ca "$D/ca.pem" --json
exits 1 "another output" "output does not match" auditor verify "$W/proof" --ca "$D/ca.pem" --output "$W/in" --keys "$W/keys"
exits 1 "another application" "application does not match" auditor verify "$W/proof" --ca "$D/ca.pem" --package "$D/samples/unruly.pkg"
exits 1 "a nonce that was not given" "nonce" auditor verify "$W/proof" --ca "$D/ca.pem" --nonce 0011223344556677
exits 1 "another appliance" "does not hold" auditor verify "$W/proof" --ca "$D/admin/bank-a.pem"
exits 0 "a receipt of a load" "The proof holds" auditor verify "$W/receipt" --ca "$D/ca.pem" --certificate "$D/admin/bank-a.pem" --receipt
exits 1 "a receipt is no proof of a run" "nothing ran" auditor verify "$W/receipt" --ca "$D/ca.pem" --certificate "$D/admin/bank-a.pem"
exits 0 "the partition asked for" "The proof holds" auditor verify "$W/proof" --ca "$D/ca.pem" --partition "$serial"
exits 1 "another partition" "partition does not match" auditor verify "$W/proof" --ca "$D/ca.pem" --partition "x$serial"
exits 1 "another log" "log does not match" auditor verify "$W/proof" --ca "$D/ca.pem" --origin assay/other
echo nonsense >"$W/nonsense"
fails() { bank_a --write-object "$W/nonsense" --type data --label failing --application-label assay:run:screen; }
fails >/dev/null 2>&1
fetch bank_a failing proof "$W/failure" >/dev/null 2>&1
chmod 0644 "$W"/*
exits 1 "the proof of a failed run" "the application failed: exit status" auditor verify "$W/failure" --ca "$D/ca.pem"
exits 0 "a failure that is allowed" "The proof holds" auditor verify "$W/failure" --ca "$D/ca.pem" --allow-failure
change() { python3 -c 'import sys
b = bytearray(open(sys.argv[1], "rb").read()); b[int(sys.argv[3])] ^= 1; open(sys.argv[2], "wb").write(b)' "$@"; }
change "$W/compact" "$W/changed" 100
exits 1 "a changed compact proof" "does not hold" auditor verify "$W/changed" --ca "$D/ca.pem" --certificate "$D/admin/bank-a.pem"
change "$W/proof" "$W/changed" 100
exits 1 "a changed proof" "does not hold" auditor verify "$W/changed" --ca "$D/ca.pem"
exits 1 "a changed proof, to machines" '"holds": false, "reason": ".+"' auditor verify "$W/changed" --ca "$D/ca.pem" --json

# audit
says "the log holds" "The log holds" assay audit verify
says "and says so to machines" '"holds": true' assay audit verify --json
exits 1 "the log of another appliance" "does not hold" assay audit verify --ca "$D/admin/bank-a.pem"
says "its records" "execution +user +screen" assay audit show
check "as many as asked for" [ "$(assay audit show --limit 2 | wc -l)" = 2 ]
check "of one type" [ "$(assay audit show --type execution | wc -l)" = 2 ]
check "JSON lines" bash -c "ASSAY_CONFIG=$D/assay.yaml $D/bin/assay audit show --json | python3 -m json.tool --json-lines"
says "the newest signed heads" "^assay/.+" assay audit checkpoint
check "kept elsewhere" bash -c "ASSAY_CONFIG=$D/assay.yaml $D/bin/assay audit checkpoint >$W/kept"
check "stop" as_admin "$D/bin/assay" stop
says "the log names who stopped it" "management +administrator +daemon told to stop by user $ADMIN_UID" assay audit show
says "the log goes on from what was kept" "It goes on from all [0-9]+ checkpoints given" assay audit verify --against "$W/kept"
says "offline, and of a copy" "The log holds" bash -c "cp -r $D/state/log $W/log && $D/bin/assay audit verify $W/log --ca $D/ca.pem"
says "the record of a run is proved again" "execution +user +screen" bash -c "id=\$(ASSAY_CONFIG=$D/assay.yaml $D/bin/assay audit show \
	--json --status ok | sed -n 's/.*\"cti\":\"\([0-9a-f]*\)\".*/\1/p' | head -1)
	ASSAY_CONFIG=$D/assay.yaml $D/bin/assay audit proof \$id -o $W/again"
chmod 0644 "$W/again"
exits 0 "which holds, for anybody" "The proof holds" auditor verify "$W/again" --ca "$D/ca.pem" --measurement "$measured"
exits 0 "a copy is imported" "The log holds, to its last checkpoints" "$D/bin/assay" audit import "$W/log" "$W/imported" --ca "$D/ca.pem"
check "and reported on" "$D/bin/assay" audit report --imported "$W/imported" -o "$W/report.html"
check "with what ran" grep -q "Payment screening" "$W/report.html"
done_testing
