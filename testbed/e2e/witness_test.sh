#!/bin/bash
# Witnesses on loopback cosign an appliance's checkpoints: a quorum, one that is down, one that is asked
# to sign a second history, an auditor's stick; checked with openssl and Go's sumdb too.
. "$(dirname "$0")/lib.sh" witness

witnesses=()
end_witnesses() {
	local pid
	for pid in "${witnesses[@]}"; do kill "$pid" 2>/dev/null; done
	wait "${witnesses[@]}" 2>/dev/null
}
also=end_witnesses # run by lib.sh at the end

# witness_start N: serves $D/wN on a port that the kernel chose, or on the one it had before.
witness_start() {
	local i out=$D/w$1.out address=127.0.0.1:0
	[ ! -s "$D/w$1.url" ] || address=$(sed 's|http://||' "$D/w$1.url")
	"$BUILD/assay" witness serve --state "$D/w$1" --listen "$address" >"$out" 2>>"$D/w$1.log" </dev/null &
	witnesses[$1]=$!
	for i in $(seq 100); do
		grep -q listening "$out" && break
		sleep 0.05
	done
	sed -n 's/^listening on //p' "$out" >"$D/w$1.url"
	if [ -s "$D/w$1.url" ]; then ok "witness $1 serves"; else not_ok "witness $1 does not serve"; fi
}
witness_end() {
	kill "${witnesses[$1]}"
	wait "${witnesses[$1]}" 2>/dev/null
	unset "witnesses[$1]"
}
watches() { "$BUILD/assay" witness log "$D/certificates/bank-$2.pem" >>"$D/w$1/logs"; }
# The folder of bank-a's tree, and how many lines of its file are by a witness.
tree_of() {
	local origin
	for origin in "$D"/state/log/trees/*/origin; do
		[ "$(head -1 "$origin")" != "$1" ] || dirname "$origin"
	done
}
cosigned() { grep -c '^— w\.example/' "$1" 2>/dev/null; }
has_lines() { [ "$(cosigned "$1")" = "$2" ]; }
size_of() { sed -n 2p "$1"; }
covers() { [ -s "$1" ] && [ "$(size_of "$1")" -ge "$2" ]; }

instance_make "$place"
pin_files
for n in 1 2; do
	check "witness $n gets a key" sh -c "'$BUILD/assay' witness init --state '$D/w$n' --name w.example/$n >'$D/w$n.vkey'"
done
[ "$(stat -c %a "$D/w1/key")" = 600 ] && ok "that only its owner may read" || not_ok "the key's mode"
check "the appliance is initialised" assay init -o "$D/ca.pem"
witness_start 1
witness_start 2
cat >"$D/witnesses" <<POLICY
# Two of ours; both must have signed.
witness one $(cat "$D/w1.vkey") $(cat "$D/w1.url")
witness two $(cat "$D/w2.vkey") $(cat "$D/w2.url")/
group both all one two
quorum both
POLICY
chmod 0644 "$D/witnesses"
cat >>"$D/assay.yaml" <<YAML
audit:
    witnesses: $D/witnesses
    witness_seconds: 1
    witness_ms: 3000
YAML
check "launcher and daemon start" instance_start
check "bank-a is enrolled" instance_enroll_one a
for n in 1 2; do
	witness_end $n
	watches $n a
	witness_start $n
done
check "an application is loaded" load bank_a_so "$D/samples/screen.pkg"
cp "$D/samples/payment.xml" "$D/work/in"
check "and runs" execute bank_a screen "$D/work/in" "$D/work/proof.bin"
origin=$("$BUILD/assay" witness log "$D/certificates/bank-a.pem" | sed 's/^log //; s/+.*//')
T=$(tree_of "$origin")
await "two witnesses cosign bank-a's checkpoint" has_lines "$T/checkpoint" 2
await "which is kept as witnessed" has_lines "$T/witnessed" 2
log_holds "with cosignatures"
cp "$T/witnessed" "$D/first"

policy_of() { grep -vE '^quorum|^group' "$D/witnesses"; printf '%s\n' "$@"; }
policy_of "$("$BUILD/assay" witness log "$D/certificates/bank-a.pem")" "group both all one two" "quorum both" >"$D/policy"
says "a verifier finds the quorum" "^$origin: [0-9]+ records are vouched for by 2 witnesses" \
	assay audit verify --witnesses "$D/policy"
policy_of "group both all one two" "quorum both" >"$D/all"
refuses "a policy about all logs wants it of each" "no checkpoint of it has the quorum" \
	assay audit verify --witnesses "$D/all"
"$BUILD/assay" witness init --state "$D/w5" --name w.example/5 >"$D/w5.vkey"
policy_of "$("$BUILD/assay" witness log "$D/certificates/bank-a.pem")" "witness five $(cat "$D/w5.vkey")" \
	"group three all one two five" "quorum three" >"$D/more"
refuses "a quorum of more witnesses is not there" "no checkpoint of it has the quorum" \
	assay audit verify --witnesses "$D/more"

# A proof, and whether witnesses vouch for the log that it is from: a checkpoint of a later tree, and the
# way there.
check "the full proof is fetched" fetch bank_a "$(result_label "$D/work/proof.bin")" proof "$D/work/proof"
vouched() { assay witness request "$origin" --proof "$D/work/proof" >"$D/vouched" 2>/dev/null; }
await "the log shows how it goes on to a witnessed checkpoint" vouched
says "the proof holds, and witnesses vouch for its log" "^ok +witnesses +2 cosigned" \
	assay verify "$D/work/proof" --ca "$D/ca.pem" --witnesses "$D/policy" --checkpoint "$D/vouched"
refuses "not by a policy that wants more of them" "witnesses cosigned the checkpoint, and the policy" \
	assay verify "$D/work/proof" --ca "$D/ca.pem" --witnesses "$D/more" --checkpoint "$D/vouched"
sed '/^— w.example/d' "$D/vouched" >"$D/alone"
refuses "nor when nobody cosigned" "0 of 2 witnesses" \
	assay verify "$D/work/proof" --ca "$D/ca.pem" --witnesses "$D/policy" --checkpoint "$D/alone"

{ echo witnesses:; sed '/^[a-z]/!d; s/^/    - /' "$D/policy"; } >"$D/accept"
says "an appraisal policy can require the quorum" "^ok +policy: witnesses: 2 cosigned" \
	assay verify "$D/work/proof" --ca "$D/ca.pem" --policy "$D/accept" --checkpoint "$D/vouched"
refuses "which is missed without a checkpoint" "the policy refuses it: witnesses: no checkpoint came" \
	assay verify "$D/work/proof" --ca "$D/ca.pem" --policy "$D/accept"
refuses "and with one that nobody cosigned" "the policy refuses it: witnesses: 0 of 2 witnesses" \
	assay verify "$D/work/proof" --ca "$D/ca.pem" --policy "$D/accept" --checkpoint "$D/alone"

# By others' tools. The message, rebuilt from the note and the line: openssl checks the signature.
cosignature_by_openssl() {
	local note=$1 n=$2
	grep "^— w.example/$n " "$note" | awk '{print $3}' | base64 -d >"$D/line"
	[ "$(wc -c <"$D/line")" -eq 76 ] || return 1
	local seconds=$((16#$(xxd -s 4 -l 8 -p "$D/line")))
	{ printf 'cosignature/v1\ntime %s\n' "$seconds"; sed '/^$/,$d' "$note"; } >"$D/message"
	tail -c 64 "$D/line" >"$D/signature"
	# SubjectPublicKeyInfo of Ed25519: a fixed head, then the key behind its type in the vkey.
	{ printf '302a300506032b6570032100' | xxd -r -p
	  cut -d+ -f3- "$D/w$n.vkey" | base64 -d | tail -c 32; } >"$D/public.der"
	openssl pkeyutl -verify -pubin -inkey "$D/public.der" -keyform DER -rawin -in "$D/message" \
		-sigfile "$D/signature" && [ $((seconds - $(date +%s))) -le 5 ]
}
check "openssl verifies the cosignature of witness 1" cosignature_by_openssl "$D/first" 1
check "and of witness 2" cosignature_by_openssl "$D/first" 2
sed '2s/.*/999/' "$D/first" >"$D/changed"
refuses "and not over another size" "Verification Failure" cosignature_by_openssl "$D/changed" 1
go_opens() {
	local folder=$D/go
	mkdir -p "$folder"
	cp "$1" "$folder/checkpoint"
	openssl x509 -in "$D/certificates/bank-a.pem" -outform DER -out "$folder/certificate.der"
	"$BUILD/assay" witness log "$T/ed25519.der" | sed 's/^log //' >"$folder/vkey"
	GOCACHE=$D/gocache GO111MODULE=off GOPATH=/usr/share/gocode go run testbed/interop/{checkpoint,verifier}.go "$folder"
}
says "Go's sumdb opens the cosigned note" "^ok sumdb/note accepts the checkpoint" go_opens "$D/first"
says "natively by its Ed25519 line" "^ok sumdb/note accepts the Ed25519 line natively" go_opens "$D/first"

# A witness serves what it signed, to anybody.
hash=$(printf %s "$origin" | sha256sum | cut -c1-64)
curl_witness() { printf 'GET /%s/checkpoint HTTP/1.0\r\n\r\n' "$2" | python3 -c '
import socket, sys
host, port = sys.argv[1].split("//")[1].split(":")
s = socket.create_connection((host, int(port)), 5)
s.sendall(sys.stdin.buffer.read())
while (b := s.recv(65536)): sys.stdout.buffer.write(b)
' "$(cat "$D/w$1.url")"; }
says "witness 1 shows the checkpoint that it signed" "^— w.example/1 " curl_witness 1 "$hash"
says "and none of other logs" "404 Not Found" curl_witness 1 "${hash//[0-9]/0}"

# One is down: no quorum, and nobody waits.
witness_end 2
size=$(size_of "$T/checkpoint")
check "with a witness down, the application runs" execute bank_a screen "$D/work/in" "$D/work/proof2.bin"
await "the checkpoint grows" covers "$T/checkpoint" $((size + 1))
await "the other one signs" has_lines "$T/checkpoint" 1
size=$(size_of "$T/checkpoint")
[ "$(size_of "$T/witnessed")" -lt "$size" ] && has_lines "$T/witnessed" 2 &&
	ok "and without a quorum, an earlier one stays the witnessed" || not_ok "it counts as witnessed without a quorum"
witness_start 2
await "and the quorum catches up" covers "$T/witnessed" "$size"
has_lines "$T/witnessed" 2 && ok "by both" || not_ok "not by both"

# A policy that wants witnesses: a call gets its result with the quorum, or else an error, and the
# result later.
cat >"$D/policy.yaml" <<YAML
witness:
    required: yes
    wait_ms: 20000
YAML
check "bank-a's policy wants witnesses" assay partition policy bank-a "$D/policy.yaml"
check "a call gets its result" execute bank_a screen "$D/work/in" "$D/work/witnessed.bin"
check "with its full proof" fetch bank_a "$(result_label "$D/work/witnessed.bin")" proof "$D/work/witnessed"
covers_proof() {
	local pos
	pos=$(assay verify "$D/work/witnessed" --ca "$D/ca.pem" --json | grep -oE '"pos": ?[0-9]+' | grep -oE '[0-9]+$')
	[ -n "$pos" ] && covers "$T/witnessed" $((pos + 1)) && has_lines "$T/witnessed" 2
}
check "and two witnesses have cosigned its record by then" covers_proof
sed -i 's/20000/1000/' "$D/policy.yaml"
check "the policy's patience becomes short" assay partition policy bank-a "$D/policy.yaml"
witness_end 2
run_labelled() {
	bank_a --write-object "$D/work/in" --type data --label "$1" --application-label assay:run:screen
}
listed() { bank_a --list-objects --type data 2>/dev/null | grep -q "label: *'$1'"; }
refuses "with a witness down, a call fails" "CKR_FUNCTION_CANCELED" run_labelled held-1
if listed held-1; then not_ok "its result is shown without witnesses"; else ok "its result is not shown"; fi
refuses "nor can it be fetched" "" fetch bank_a held-1 output "$D/work/held"
witness_start 2
await "when the quorum is there it is" listed held-1
check "and is fetched" fetch bank_a held-1 output "$D/work/held"
check "with a proof" fetch bank_a held-1 proof "$D/work/held.proof"
check "and keys" fetch bank_a held-1 keys "$D/work/held.keys"
check "all of which holds" assay verify "$D/work/held.proof" --ca "$D/ca.pem" --keys "$D/work/held.keys" --input "$D/work/in" --output "$D/work/held" --package "$D/samples/screen.pkg"
: >"$D/policy.yaml"
check "without that policy" assay partition policy bank-a "$D/policy.yaml"
check "a call does not wait" execute bank_a screen "$D/work/in" "$D/work/proof2b.bin"

# On a stick: the request is written here, signed there, with no network between them.
check "an auditor makes a witness on a stick" sh -c "'$BUILD/assay' witness init --state '$D/w3' --name w.example/stick >'$D/w3.vkey'"
watches 3 a
check "a request is written" sh -c "ASSAY_CONFIG='$D/assay.yaml' '$D/bin/assay' witness request '$origin' >'$D/request'"
says "it is signed, offline" "^— w.example/stick " "$BUILD/assay" witness sign --state "$D/w3" "$D/request"
refuses "once: what was signed is remembered" "size last signed" "$BUILD/assay" witness sign --state "$D/w3" "$D/request"
seen=$(sed -n '/^$/,$p' "$D/request" | sed -n 3p)
check "the log grows" execute bank_a screen "$D/work/in" "$D/work/proof3.bin"
await "and its checkpoint" covers "$T/checkpoint" $((seen + 1))
check "a request goes on from there" sh -c "ASSAY_CONFIG='$D/assay.yaml' '$D/bin/assay' witness request '$origin' --old $seen >'$D/request2'"
says "and is signed" "^— w.example/stick " "$BUILD/assay" witness sign --state "$D/w3" "$D/request2"
sed '2s/^./X/' "$D/request2" >"$D/forged"
"$BUILD/assay" witness init --state "$D/w4" --name w.example/4 >/dev/null
refuses "a witness that does not know the log does not" "no log of this origin" "$BUILD/assay" witness sign --state "$D/w4" "$D/request2"

# The state is put back to an earlier copy, token and all, and grows another way: the two histories
# are of one size soon, and no witness signs the second.
check "assay stop" assay stop
for i in $(seq 100); do [ -z "$(instance_daemon)$(instance_launcher)" ] || sleep 0.05; done
cp -a "$D/state" "$D/state.copy" && cp -a "$D/token" "$D/token.copy"
check "it starts again" instance_start
check "it runs" execute bank_a screen "$D/work/in" "$D/work/proof4.bin"
check "and again" execute bank_a screen "$D/work/in" "$D/work/proof5.bin"
size=$(size_of "$T/witnessed")
await "both sign" covers "$T/witnessed" $((size + 2))
cp "$T/witnessed" "$D/kept"
check "assay stop" assay stop
for i in $(seq 100); do [ -z "$(instance_daemon)$(instance_launcher)" ] || sleep 0.05; done
rm -rf "$D/state" "$D/token" && mv "$D/state.copy" "$D/state" && mv "$D/token.copy" "$D/token"
check "the copy starts: disk and token agree" instance_start
await "a witness remembers more than there is" grep -q "the log was rolled back" "$D/daemon.log"
for i in 1 2 3 4; do execute bank_a screen "$D/work/in" "$D/work/fork.$i" >/dev/null 2>&1; done
await "and signs no second history" grep -qE "witness (one|two), $origin: it answers 422" "$D/daemon.log"
await "which is in the log" sh -c "ASSAY_CONFIG='$D/assay.yaml' '$D/bin/assay' audit show | grep -q 'witness of $origin: it signed'"
has_lines "$T/checkpoint" 0 && ok "its checkpoints stay without cosignatures" || not_ok "a forked checkpoint is cosigned"
refuses "the kept checkpoint proves it" "rewritten|records were removed|others than" assay audit verify --against "$D/kept"
for n in 1 2; do
	grep -q "refused $origin" "$D/w$n.log" && ok "witness $n told its operator" || not_ok "witness $n said nothing"
done
done_testing
