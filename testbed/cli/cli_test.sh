#!/bin/bash
# The program assay as scripts see it: exit codes, what goes to stdout and what to stderr. Needs no
# HSM, no daemon and no privileges.
set -uo pipefail
BUILD=${BUILD:-build}
assay=$BUILD/assay
D=$(mktemp -d -t assay-cli.XXXXXX)
trap 'rm -rf "$D"' EXIT
unset ASSAY_CONFIG ASSAY_HSM_MODULE

# expect CODE STDOUT STDERR WORDS... : both are extended regular expressions; "" means empty.
matches() { if [ -z "$1" ]; then [ ! -s "$2" ]; else grep -qE -- "$1" "$2"; fi; }
expect() {
	local code=$1 out=$2 err=$3 rc=0
	shift 3
	"$assay" "$@" >"$D/out" 2>"$D/err" </dev/null || rc=$?
	if [ $rc -eq "$code" ] && matches "$out" "$D/out" && matches "$err" "$D/err"; then
		echo "ok assay $*"
	else
		echo "not ok assay $* (exit code $rc, $code expected)"
		sed 's/^/    out: /' "$D/out" | head -5
		sed 's/^/    err: /' "$D/err" | head -5
	fi
}

cat >"$D/good.yaml" <<YAML
state: $D/state
socket: $D/assayd.sock
limits: {wall_ms: 1500}
YAML
printf 'mode: appliance\nlimits:\n  wall_ms: soon\n' >"$D/bad.yaml"
cp "$D/good.yaml" "$D/open.yaml"
chmod 0644 "$D/good.yaml" "$D/bad.yaml"
chmod 0666 "$D/open.yaml"

# Every command explains itself, and refuses what it does not know.
expect 0 "usage: assay COMMAND" "" --help
expect 0 "usage: assay COMMAND" "" help
expect 2 "" "usage: assay COMMAND"
expect 2 "" "no command \"explode\"" explode
expect 2 "" "config check" config
expect 0 "config check" "" config --help
while read -r words; do
	expect 0 "^usage: assay $words" "" $words --help
	expect 2 "" "$words: no option \"--explode\"" $words --explode
done < <("$assay" --help | sed -n 's/^  \([a-z]*\( [a-z]*\)\?\)  .*/\1/p')

expect 0 "^assay [0-9.]+$" "" version
expect 0 '"version": "[0-9.]+"' "" version --json
expect 2 "" "one argument too many" version now
expect 2 "" "json takes no value" version --json=yes

expect 0 "good.yaml: valid" "" config check "$D/good.yaml"
expect 0 "good.yaml: valid" "" config check --config "$D/good.yaml"
expect 0 "good.yaml: valid" "" config check --config="$D/good.yaml"
expect 1 "" "bad.yaml:3: limits.wall_ms: a whole number from 1 to 3600000 expected, found \"soon\"" \
	config check "$D/bad.yaml"
expect 1 "" "open.yaml:1: a file that only its owner may write expected" config check "$D/open.yaml"
expect 3 "" "No such file" config check "$D/missing.yaml"
expect 2 "" "config needs a value" config check --config
expect 2 "" "config is given twice" config check --config a --config b
expect 0 "^limits.wall_ms$" "" config describe
expect 0 "wall_ms: 1500" "" config show --config "$D/good.yaml"
expect 0 '"wall_ms": 1500' "" config show --config "$D/good.yaml" --json
ASSAY_CONFIG=$D/good.yaml expect 0 "wall_ms: 1500" "" config show
ASSAY_CONFIG=$D/missing.yaml expect 3 "" "No such file" config show
# What it shows is a configuration.
"$assay" config show --config "$D/good.yaml" >"$D/shown.yaml"
expect 0 "valid" "" config check "$D/shown.yaml"

# No daemon, no file: the environment's fault, not the caller's.
expect 3 "" "status: .*is the daemon running\\? \\(assay start\\)" status --config "$D/good.yaml"
expect 3 "" "stop: .*is the daemon running" stop --config "$D/good.yaml"
expect 3 "" "app list: .*is the daemon running" app list --config "$D/good.yaml"
expect 3 "" "partition list: .*is the daemon running" partition list --config "$D/good.yaml"
expect 3 "" "No such file" measure "$D/missing.pkg"
expect 3 "" "No such file" verify "$D/missing" --ca "$D/missing.pem"
expect 3 "" "No such file" audit verify "$D/missing" --ca "$D/missing.pem"
expect 125 "" "No such file" run --local "$D/missing.pkg"

expect 2 "" "PACKAGE is missing" measure
expect 1 "" "measure: .*good.yaml: " measure "$D/good.yaml"
expect 2 "" "ca is missing" verify "$D/good.yaml"
expect 2 "" "local is missing" run "$D/good.yaml"
expect 125 "" "run: .*good.yaml: " run --local "$D/good.yaml"
expect 2 "" "one of them expected" partition enroll --config "$D/good.yaml"
expect 2 "" "a whole number expected, found \"1x\"" audit show --limit 1x
expect 2 "" "no records are called \"nonsense\"" audit show --type nonsense
expect 2 "" "no roles are called \"clerk\"" audit show --role user,clerk
expect 2 "" "no ends of a run are called \"so-so\"" audit show --status ok,so-so
expect 2 "" "from: a time expected .*, found \"soon\"" audit show --from soon
expect 2 "" "to: a time expected" audit show --to 2026-13-01
expect 2 "" "from: a time expected" audit show --from 2026-11-25T16:00:00+1
expect 2 "" "proof: 4 to 32 hexadecimal digits expected" audit show --proof abc
expect 2 "" "one of them expected" audit show --csv --json
expect 2 "" "one of them expected" audit verify "$D" --imported "$D"

# Packing: what is refused, and that the same files make the same package.
printf '#include <unistd.h>\nint main(void) { char c; while (read(0, &c, 1) == 1) write(1, &c, 1); return 7; }\n' |
	gcc -xc -static -O1 -w -o "$D/cat" -
mkdir -p "$D/tree/bin"
cp "$D/cat" "$D/tree/bin/cat"
expect 2 "" "o is missing" pack "$D/cat"
expect 1 "" "not a 64-bit ELF program" pack "$0" -o "$D/script.pkg"
expect 0 "^id: +true$" "" pack /bin/true -o "$D/true.pkg"
expect 2 "" "exec expected" pack "$D/tree" -o "$D/tree.pkg"
expect 2 "" "makes no sense" pack "$D/cat" --exec /bin/cat -o "$D/cat.pkg"
expect 3 "" "no such file in the tree" pack "$D/tree" --exec /bin/dog -o "$D/tree.pkg"
expect 1 "" "limits.wall_ms" pack "$D/cat" --wall-ms 0 -o "$D/cat.pkg"
expect 2 "" "refuse-code: a whole number from 1 to 255" pack "$D/cat" --refuse-code 256 -o "$D/cat.pkg"
expect 2 "" "park: on, auto or off" pack "$D/cat" --park yes -o "$D/cat.pkg"
expect 0 "^measurement: " "" pack "$D/cat" --park auto -o "$D/cat.pkg"
expect 0 "^measurement: [0-9a-f]{64}$" "" pack "$D/cat" --arg x --env A=b -o "$D/cat.pkg"
expect 0 '"id": "cat"' "" pack "$D/cat" --arg x --env A=b -o "$D/again.pkg" --json
cmp -s "$D/cat.pkg" "$D/again.pkg" && echo "ok the same bytes again" || echo "not ok the same bytes again"
expect 0 "^id: +cat$" "" pack "$D/tree" --exec /bin/cat -o "$D/tree.pkg"
expect 0 '"entries": 2' "" measure "$D/tree.pkg" --json
expect 0 "^ASSAYPK1" "" pack "$D/cat" -o -
head -c 1000 "$D/cat.pkg" >"$D/cut.pkg"
expect 1 "" "measure: .*cut.pkg: " measure "$D/cut.pkg"

# Approving a package: with a key in a file, with one that only openssl sees, with an encrypted one; what
# comes of it can be checked without assay.
for key in one two three; do
	openssl ecparam -name prime256v1 -genkey -noout -out "$D/$key.pem" 2>/dev/null
	openssl pkey -in "$D/$key.pem" -pubout -out "$D/$key.pub"
	openssl pkey -in "$D/$key.pem" -pubout -outform DER -out "$D/$key.der"
	chmod 0600 "$D/$key.pem"
done
one=$(sha256sum <"$D/one.der" | cut -c1-64)
two=$(sha256sum <"$D/two.der" | cut -c1-64)
expect 0 "^$one\$" "" signer "$D/one.pub"
expect 0 "^$one\$" "" signer "$D/one.der"
expect 1 "" "no public key in PEM or DER" signer "$D/one.pem"
expect 2 "" "--key, or --signature and --public" sign "$D/cat.pkg"
expect 2 "" "--key, or --signature and --public" sign "$D/cat.pkg" --signature "$D/s"
expect 2 "" "--key, or --signature and --public" sign "$D/cat.pkg" --key "$D/one.pem" --signature "$D/s" --public "$D/one.pub"
expect 1 "" "others may read it" sign "$D/cat.pkg" --key "$D/one.pub"
measured=$("$assay" measure "$D/cat.pkg" | sed -n 's/^measurement: //p')
expect 0 "^signer: +$one\$" "" sign "$D/cat.pkg" --key "$D/one.pem" -o "$D/signed.pkg"
expect 0 "^measurement: $measured\$" "" measure "$D/signed.pkg"
openssl dgst -sha256 -sign "$D/two.pem" -out "$D/s" "$D/cat.pkg"
expect 1 "" "the signature is not by this key" sign "$D/signed.pkg" --signature "$D/s" --public "$D/one.pub"
expect 0 "^signer: +$two\$" "" sign "$D/signed.pkg" --signature "$D/s" --public "$D/two.der"
expect 0 "\"signers\": \[\"($one\", \"$two|$two\", \"$one)\"\]" "" measure "$D/signed.pkg" --json
expect 0 "^signer: +$one\$" "" sign "$D/signed.pkg" --key "$D/one.pem"
[ "$("$assay" measure "$D/signed.pkg" | grep -c ^signer)" -eq 2 ] && echo "ok a key signs once" || echo "not ok a key signs once"
checked=$(/usr/bin/python3 - "$D/signed.pkg" "$D" <<'PY'
import hashlib, struct, subprocess, sys
raw, folder = open(sys.argv[1], "rb").read(), sys.argv[2]
size, = struct.unpack(">Q", raw[8:16])
package, trailer = raw[:size], raw[size:]
assert trailer[:8] == b"ASSAYSG1" and struct.unpack(">H", trailer[8:10])[0] == len(trailer)
open(folder + "/p", "wb").write(package)
at, names = 11, []
def part():
    global at
    n, = struct.unpack(">H", trailer[at:at + 2])
    at += 2 + n
    return trailer[at - n:at]
for _ in range(trailer[10]):
    key, signature = part(), part()
    names.append(hashlib.sha256(key).hexdigest())
    open(folder + "/k", "wb").write(key)
    open(folder + "/g", "wb").write(signature)
    subprocess.run(["openssl", "pkey", "-pubin", "-inform", "DER", "-in", folder + "/k", "-out", folder + "/kp"], check=True)
    subprocess.run(["openssl", "dgst", "-sha256", "-verify", folder + "/kp", "-signature", folder + "/g", folder + "/p"], check=True)
assert at == len(trailer) and names == sorted(names)
PY
)
[ "$checked" = $'Verified OK\nVerified OK' ] && echo "ok others can check who signed" || echo "not ok others can check who signed: $checked"
cmp -s "$D/p" "$D/cat.pkg" && echo "ok the package is as it was" || echo "not ok the package is as it was"
n=$(($(stat -c %s "$D/signed.pkg") - 1))
head -c $n "$D/signed.pkg" >"$D/damaged.pkg"
expect 1 "" "after the package: cut or lengthened" measure "$D/damaged.pkg"
cat "$D/signed.pkg" "$D/s" >"$D/damaged.pkg"
expect 1 "" "after the package: cut or lengthened" measure "$D/damaged.pkg"
cat "$D/cat.pkg" "$D/s" >"$D/damaged.pkg"
expect 1 "" "bytes that are no signatures" measure "$D/damaged.pkg"
cp "$D/signed.pkg" "$D/damaged.pkg"
last=$(tail -c 1 "$D/signed.pkg" | xxd -p)
printf %02x $((0x$last ^ 1)) | xxd -r -p | dd of="$D/damaged.pkg" bs=1 seek=$n conv=notrunc status=none
expect 1 "^signer: " "signature 2: the signature is not by this key over this package" measure "$D/damaged.pkg"
cp "$D/damaged.pkg" "$D/p"
expect 1 "^signer: " "the signature is not by this key" sign "$D/damaged.pkg" --key "$D/three.pem"
cmp -s "$D/p" "$D/damaged.pkg" && echo "ok nothing was added" || echo "not ok nothing was added"
openssl pkey -in "$D/one.pem" -aes256 -passout pass:word -out "$D/locked.pem"
chmod 0600 "$D/locked.pem"
# typed WORD FILE: signs, with the word typed at a terminal of its own.
typed() {
	/usr/bin/python3 - "$assay" "$1" "$2" "$D/locked.pem" <<'PY'
import os, pty, sys
assay, word, package, key = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(assay, [assay, "sign", package, "--key", key])
shown = b""
while b"passphrase of the key: " not in shown:
    shown += os.read(terminal, 1024)
os.write(terminal, word.encode() + b"\n")
try:
    while more := os.read(terminal, 1024):
        shown += more
except OSError:
    pass
print(shown.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
}
cp "$D/cat.pkg" "$D/typed.pkg"
said=$(typed word "$D/typed.pkg") && grep -q "^signer: *$one" <<<"$said" && ! grep -q word <<<"$said" &&
	echo "ok a passphrase is asked for, and not shown" || echo "not ok a passphrase is asked for, and not shown: $said"
said=$(typed sword "$D/typed.pkg") && echo "not ok another passphrase" ||
	{ grep -q "no private key in PEM, or another passphrase" <<<"$said" && echo "ok another passphrase is refused"; } ||
	echo "not ok another passphrase is refused: $said"

# A certificate, but no proof.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=x \
	-out "$D/ca.pem" 2>/dev/null
openssl x509 -in "$D/ca.pem" -outform DER -out "$D/ca.der"
expect 1 "The proof does not hold" "" verify "$D/good.yaml" --ca "$D/ca.pem"
expect 1 '"holds": false' "" verify "$D/good.yaml" --ca "$D/ca.der" --json
expect 2 "" "the CA.s certificate: not a certificate in PEM or DER" verify "$D/good.yaml" --ca "$D/good.yaml"
expect 2 "" "64 hexadecimal digits expected" verify "$D/good.yaml" --ca "$D/ca.pem" --measurement 12
expect 2 "" "hexadecimal digits expected" verify "$D/good.yaml" --ca "$D/ca.pem" --nonce zz
expect 2 "" "commitment keys are missing" verify "$D/good.yaml" --ca "$D/ca.pem" --output "$D/good.yaml"
expect 2 "" "a compact proof names neither" verify "$D/good.yaml" --ca "$D/ca.pem" --certificate "$D/ca.pem" --partition 17
printf '\xd2\x84' >"$D/compact"
expect 2 "" "is a compact proof: the partition.s certificate is missing" verify "$D/compact" --ca "$D/ca.pem"
expect 2 "" "is a compact proof: the partition.s certificate is missing" verify "$D/compact" --ca "$D/ca.pem" --receipt
mkdir "$D/log"
expect 3 "" "$D/log: " audit verify "$D/log" --ca "$D/ca.pem"

# A start that fails says how the launcher ended, and the last of what was said, once.
sed '1i mode: development' "$D/good.yaml" >"$D/dev.yaml"
echo "programs: $D/programs" >>"$D/dev.yaml"
expect 1 "" "the state directory is not initialised: run assay init" start --config "$D/dev.yaml"
mkdir -p "$D/state" "$D/programs"
touch "$D/state/initialised"
echo "of an earlier start" >"$D/state/assayd.log"
expect 2 "" "log is for appliance mode; .* $D/state/assayd.log" start --config "$D/dev.yaml" --log "$D/ignored.log"
for name in assay-init assayd; do ln -s /bin/true "$D/programs/$name"; done
printf '#!/bin/sh\nexit 3\n' >"$D/programs/assay-launcher"
chmod 0755 "$D/programs/assay-launcher"
expect 3 "" "did not start: its launcher ended with exit status 3; see $D/state/assayd.log$" start --config "$D/dev.yaml"
grep -q "last words" "$D/err" && echo "not ok an earlier start's words" || echo "ok no words of an earlier start"
printf '#!/bin/sh\necho one >&2\necho no cells here >&2\nkill -9 $$\n' >"$D/programs/assay-launcher"
expect 3 "" "its launcher ended with signal 9; see" start --config "$D/dev.yaml"
grep -q "its last words: no cells here$" "$D/err" && echo "ok its last words" || echo "not ok its last words"

# A full disk is told, not lost.
rc=0
"$assay" config describe >/dev/full 2>"$D/err" || rc=$?
if [ $rc -eq 3 ] && grep -q "standard output" "$D/err"; then
	echo "ok a full disk is told"
else
	echo "not ok a full disk is told (exit code $rc)"
fi
