#!/bin/bash
# A stock client, pkcs11-tool, uses everything; two partitions don't see each other; ordinary keys
# work as if nothing were there.
. "$(dirname "$0")/lib.sh" clients
appliance
cp "$D/samples/payment.xml" "$D/work/in"
W=$D/work

# Loading is the SO's, running the user's.
refuses "a user may not load" "CKR_|error" load bank_a "$D/samples/screen.pkg"
check "the SO of bank-a loads" load bank_a_so "$D/samples/screen.pkg"
check "and a second application" load bank_a_so "$D/samples/unruly.pkg"
says "app list names it" "screen" assay app list
says "the user sees it as a key" "label: +Payment screening" bank_a --list-objects
refuses "with a wrong PIN nothing is seen" "CKR_PIN_INCORRECT" \
	client --token-label bank-a --login --pin 0000 --list-objects

# EXECUTE: one execution per call, whatever the client asks for before.
before=$(records '^.*execution')
check "EXECUTE runs it" execute bank_a screen "$W/in" "$W/proof.bin"
after=$(records '^.*execution')
if [ $((after - before)) -eq 1 ]; then ok "once: pkcs11-tool asks for the length first"; else
	not_ok "one execution was expected in the log, $((after - before)) found"; fi
size=$(stat -c %s "$W/proof.bin" 2>/dev/null || echo 0)
if [ "$size" -gt 0 ] && [ "$size" -le 512 ]; then ok "its proof is $size bytes, at most 512"; else
	not_ok "its proof is $size bytes"; fi
check "the compact proof verifies" assay verify "$W/proof.bin" --ca "$D/ca.pem" --certificate "$D/certificates/bank-a.pem"
refuses "but not with bank-b's certificate" "" assay verify "$W/proof.bin" --ca "$D/ca.pem" \
	--certificate "$D/certificates/bank-b.pem"
label=$(result_label "$W/proof.bin")
for kind in output proof keys; do
	check "another process of the user fetches $kind" fetch bank_a "$label" $kind "$W/$kind"
done
says "the decision is there" "^REJECT INV-1003" cat "$W/output"
check "the proof verifies" assay verify "$W/proof" --ca "$D/ca.pem" --input "$W/in" --output "$W/output" \
	--keys "$W/keys" --package "$D/samples/screen.pkg"
check "two identical payments are two executions" execute bank_a screen "$W/in" "$W/proof-2.bin"
if ! cmp -s "$W/proof.bin" "$W/proof-2.bin"; then ok "with a proof of its own each"; else
	not_ok "the second payment got the first one's proof"; fi

# What Debian's pkcs11-tool has no room or no name for: it says so, and nothing runs twice.
before=$(records '^.*execution')
refuses "EXECUTE_FULL is more than its buffer holds" "CKR_OPERATION_ACTIVE|CKR_BUFFER_TOO_SMALL" \
	bank_a --sign -m $EXECUTE_FULL --id "$(app_id screen)" -i "$W/in" -o "$W/full"
after=$(records '^.*execution')
if [ $((after - before)) -eq 1 ]; then ok "and it ran once"; else
	not_ok "one execution was expected in the log, $((after - before)) found"; fi
refuses "RUN is a mechanism that it does not encrypt with" "" \
	bank_a --encrypt -m $RUN --id "$(app_id screen)" -i "$W/in" -o "$W/run"
if [ "$(records '^.*execution')" -eq "$after" ]; then ok "and nothing ran"; else
	not_ok "something ran"; fi

# The way of data objects.
check "a data object runs it too" bank_a --write-object "$W/in" --type data --label order-77 \
	--application-label assay:run:screen
check "its output has the caller's label" fetch bank_a order-77 output "$W/output-77"
check "and is the same decision" cmp "$W/output-77" "$W/output"
check "so has its proof" fetch bank_a order-77 proof "$W/proof-77"
check "which verifies" assay verify "$W/proof-77" --ca "$D/ca.pem"

# Roles and partitions.
refuses "the SO can't fetch the user's results" "" fetch bank_a_so "$label" output "$W/stolen"
[ ! -s "$W/stolen" ] || not_ok "and yet it got something"
hides "nor see them" "$label" bank_a_so --list-objects
refuses "without login nothing is fetched" "" client --token-label bank-a --read-object --type data \
	--label "$label" --application-label assay:output -o "$W/stolen"
hides "bank-b doesn't see the application" "screening" bank_b --list-objects
hides "nor its results" "$label" bank_b --list-objects
refuses "bank-b can't name its key" "" execute bank_b screen "$W/in" "$W/stolen"
refusals=$(records 'refusal')
refuses "bank-b can't run it by its name" "CKR_" bank_b --write-object "$W/in" --type data --label theft \
	--application-label assay:run:screen
if [ "$(records 'refusal')" -gt "$refusals" ]; then ok "the refusal is in the log"; else
	not_ok "the refusal is not in the log"; fi
refuses "bank-b can't fetch the result" "" fetch bank_b "$label" output "$W/stolen"
if [ ! -s "$W/stolen" ]; then ok "nothing came out of any of these"; else not_ok "something came out"; fi
check "bank-b loads its own" load bank_b_so "$D/samples/screen-awk.pkg"
check "and runs it" execute bank_b screen-awk "$W/in" "$W/proof-b.bin"
check "fetches its own output" fetch bank_b "$(result_label "$W/proof-b.bin")" output "$W/output-b"
check "which is the same decision as the C program's" cmp "$W/output-b" "$W/output"

# Ordinary work, with applications loaded.
check "an EC key is generated" bank_a --keypairgen --key-type EC:prime256v1 --label ordinary --id 51
check "an RSA key is generated" bank_a --keypairgen --key-type rsa:2048 --label ordinary-rsa --id 52
check "an AES key is generated" bank_a --keygen --key-type AES:32 --label ordinary-aes --id 53
says "all are listed" "ordinary-aes" bank_a --list-objects
head -c 32 /dev/urandom >"$W/digest"
chmod 0644 "$W/digest"
check "ECDSA signs" bank_a --sign -m ECDSA --id 51 -i "$W/digest" -o "$W/signature"
says "and verifies" "Signature is valid" bank_a --verify -m ECDSA --id 51 -i "$W/digest" --signature-file "$W/signature"
check "RSA signs in parts" bank_a --sign -m SHA256-RSA-PKCS --id 52 -i "$D/samples/screen.pkg" -o "$W/signature"
says "and verifies" "Signature is valid" bank_a --verify -m SHA256-RSA-PKCS --id 52 -i "$D/samples/screen.pkg" \
	--signature-file "$W/signature"
check "AES encrypts" bank_a --encrypt -m AES-CBC-PAD --iv 00000000000000000000000000000000 --id 53 \
	-i "$W/in" -o "$W/cipher"
check "and decrypts" bank_a --decrypt -m AES-CBC-PAD --iv 00000000000000000000000000000000 --id 53 \
	-i "$W/cipher" -o "$W/plain"
check "to what it was" cmp "$W/plain" "$W/in"
check "a data object is written" bank_a --write-object "$W/digest" --type data --label ordinary-data
check "and read" bank_a --read-object --type data --label ordinary-data -o "$W/digest-2"
check "as it was" cmp "$W/digest" "$W/digest-2"
for kind in privkey pubkey; do
	check "$kind is deleted" bank_a --delete-object --type $kind --id 51
done
check "a secret key is deleted" bank_a --delete-object --type secrkey --id 53
hides "and is gone" "ordinary-aes" bank_a --list-objects
says "the HSM's mechanisms are all there" "ECDSA" client --token-label bank-a --list-mechanisms
hides "our own objects on the token are not shown" "assay-role" bank_a --list-objects

log_holds "at the end"
check "assay stop ends it" assay stop
for i in $(seq 100); do [ -z "$(pgrep -f "^$D/bin/")" ] || sleep 0.05; done
said=$(pgrep -af "^$D/bin/")
if [ -z "$said" ]; then ok "nothing of it is left running"; else not_ok "something is left running"; fi
done_testing
