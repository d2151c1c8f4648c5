#!/bin/bash
# A proof gets a time stamp (RFC 3161) from an authority that this test makes with openssl, and is
# verified with it; what does not belong together is refused.
. "$(dirname "$0")/lib.sh" timestamp
appliance
W=$D/work T=$D/tsa
cp "$D/samples/payment.xml" "$W/in"
check "an application is loaded" load bank_a_so "$D/samples/screen.pkg"
for n in one two; do
	check "run $n" execute bank_a screen "$W/in" "$W/$n"
	check "its proof is fetched" fetch bank_a "$(result_label "$W/$n")" proof "$W/$n.proof"
done

# authority NAME EXTENSION: a key and a certificate of its own.
authority() {
	mkdir -p "$T/$1" && printf 01 >"$T/$1/serial"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj "/CN=$1" \
		-addext "extendedKeyUsage=$2" -keyout "$T/$1/key" -out "$T/$1/cert.pem" 2>/dev/null
	cat >"$T/$1/conf" <<CONF
[tsa]
default_tsa = it
[it]
serial = $T/$1/serial
signer_cert = $T/$1/cert.pem
signer_key = $T/$1/key
signer_digest = sha256
digests = sha256
default_policy = 1.2.3.4
accuracy = secs:1
CONF
}
stamp() { openssl ts -reply -config "$T/$1/conf" -queryfile "$2" -out "$3" 2>/dev/null; }
verify() { "$D/bin/assay" verify --ca "$D/ca.pem" "$@"; }
tool() { "$D/bin/assay" "$@"; }
authority clock critical,timeStamping
authority other critical,timeStamping
authority server serverAuth

check "a request is written" tool proof stamp "$W/one.proof" --request "$T/query"
says "openssl reads it" "Hash Algorithm: sha256" openssl ts -query -in "$T/query" -text
check "the authority answers" stamp clock "$T/query" "$T/answer"
check "the time stamp is put in" tool proof stamp "$W/one.proof" --response "$T/answer" -o "$T/stamped"
says "the proof holds with it" "ok +time stamp +signed before 20.*, says clock" \
	verify "$T/stamped" --tsa "$T/clock/cert.pem"
says "without the authority it says that it wasn't checked" "not checked +time stamp +a time stamp came along" \
	verify "$T/stamped"
says "openssl accepts the same token" "Verification: OK" openssl ts -verify -in "$T/answer" \
	-queryfile "$T/query" -CAfile "$T/clock/cert.pem"
check "stamping again replaces it" tool proof stamp "$T/stamped" --response "$T/answer" -o "$T/again"
check "by the same bytes" cmp "$T/stamped" "$T/again"
openssl ts -reply -in "$T/answer" -token_out -out "$T/token" 2>/dev/null
check "a bare token will do" tool proof stamp "$W/one.proof" --response "$T/token" -o "$T/again"
check "and gives the same" cmp "$T/stamped" "$T/again"

refuses "a proof without one, where one is wanted" "no time stamp came with the proof" \
	verify "$W/one.proof" --tsa "$T/clock/cert.pem"
refuses "another authority's" "time stamp does not hold" verify "$T/stamped" --tsa "$T/other/cert.pem"
check "a stamp for the first proof on the second" tool proof stamp "$W/two.proof" --response "$T/answer" -o "$T/wrong"
refuses "does not hold" "time stamp does not hold" verify "$T/wrong" --tsa "$T/clock/cert.pem"
change_byte "$T/token" "$T/changed" 200
tool proof stamp "$W/one.proof" --response "$T/changed" -o "$T/wrong" 2>/dev/null
refuses "a changed token is refused" "" verify "$T/wrong" --tsa "$T/clock/cert.pem"
refuses "garbage is no answer" "neither a time-stamp response nor a token" \
	tool proof stamp "$W/one.proof" --response "$W/in" -o "$T/wrong"
printf '\x30\x03\x02\x01\x02' >"$T/short"
refuses "a cut answer is none" "neither a time-stamp response nor a token" \
	tool proof stamp "$W/one.proof" --response "$T/short" -o "$T/wrong"
if openssl ts -reply -config "$T/server/conf" -queryfile "$T/query" -out "$T/server.answer" 2>/dev/null; then
	tool proof stamp "$W/one.proof" --response "$T/server.answer" -o "$T/wrong"
	refuses "a web server's certificate is no authority's" "" verify "$T/wrong" --tsa "$T/server/cert.pem"
else
	ok "openssl makes no stamps with a web server's certificate"
fi
refuses "a request and a response at once" "expected" tool proof stamp "$W/one.proof" --request a --response b
done_testing
