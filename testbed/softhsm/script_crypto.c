#include <string.h>

#include "testbed/softhsm/script.h"

#define TEXT ((CK_BYTE *)"sixteen byte wordsixteen byte word")
#define BLOCK 16
#define AES_VALUE "0123456789abcdef0123456789abcdef"

static CK_MECHANISM plain(CK_MECHANISM_TYPE type)
{
	return (CK_MECHANISM){ type, NULL, 0 };
}

void chapter_digest(void)
{
	static const CK_MECHANISM_TYPE types[] = { CKM_MD5, CKM_SHA_1, CKM_SHA256, CKM_SHA512,
						   CKM_AES_CBC };
	CK_SESSION_HANDLE s = script_user();
	CK_OBJECT_HANDLE key = script_secret(s, CKK_GENERIC_SECRET, AES_VALUE, 32);
	struct out out;

	for (size_t i = 0; i < COUNT(types); i++) {
		CK_MECHANISM m = plain(types[i]);

		CALL(DigestInit, s, &m);
		CALL(DigestInit, s, &m);
		OUTPUT(Digest, out_show, 5, s, TEXT, 20);
		CALL(DigestInit, s, &m);
		CALL(DigestUpdate, s, TEXT, 10);
		CALL(DigestUpdate, s, TEXT, 0);
		CALL(DigestUpdate, s, NULL, 10);
		CALL(DigestKey, s, key);
		CALL(DigestKey, s, 4711);
		OUTPUT(DigestFinal, out_show, 5, s);
		CALL(DigestInit, s, &m);
		CALL(DigestUpdate, s, TEXT, 10);
		OUTPUT(Digest, out_show, 0, s, TEXT, 20);
	}
	CALL(DigestInit, s, NULL);
	CALL(DigestInit, 999, &(CK_MECHANISM){ CKM_SHA256, NULL, 0 });
	CALL(DigestUpdate, s, TEXT, 10);
	CALL(DigestFinal, s, NULL, NULL);
	out_reset(&out, OUT_ROOM);
	CALL(Digest, s, TEXT, 10, out.bytes, NULL);
	CALL(DigestInit, s, &(CK_MECHANISM){ CKM_SHA256, NULL, 0 });
	CALL(Digest, s, TEXT, 10, out.bytes, NULL);
	CALL(Digest, s, NULL, 0, out.bytes, &out.n);
	out_show(&out);
	CALL(DigestEncryptUpdate, s, TEXT, 10, out.bytes, &out.n);
	CALL(DecryptDigestUpdate, s, TEXT, 10, out.bytes, &out.n);
	out_show(&out);
}

static const struct signer {
	CK_MECHANISM_TYPE type;
	CK_KEY_TYPE key;
	bool random, parts;
} signers[] = {
	{ CKM_SHA256_HMAC, CKK_GENERIC_SECRET, false, true },
	{ CKM_AES_CMAC, CKK_AES, false, true },
	{ CKM_RSA_PKCS, CKK_RSA, false, false },
	{ CKM_SHA256_RSA_PKCS, CKK_RSA, false, true },
	{ CKM_ECDSA, CKK_EC, true, false },
	{ CKM_RSA_X_509, CKK_RSA, false, false },
};

static CK_OBJECT_HANDLE key_for(CK_SESSION_HANDLE s, CK_KEY_TYPE type, CK_OBJECT_CLASS half)
{
	if (type == CKK_RSA)
		return script_find(s, half, SCRIPT_RSA);
	if (type == CKK_EC)
		return script_find(s, half, SCRIPT_EC);
	return script_secret(s, type, AES_VALUE, 32);
}

void chapter_sign(void)
{
	CK_SESSION_HANDLE s = script_user();

	for (size_t i = 0; i < COUNT(signers); i++) {
		const struct signer *k = &signers[i];
		CK_MECHANISM m = plain(k->type);
		CK_OBJECT_HANDLE key = key_for(s, k->key, CKO_PRIVATE_KEY);

		CALL(SignInit, s, &m, key);
		CALL(SignInit, s, &m, key);
		if (k->random)
			OUTPUT(Sign, out_show_random, 7, s, TEXT, 32);
		else
			OUTPUT(Sign, out_show, 7, s, TEXT, 32);
		CALL(Sign, s, TEXT, 32, NULL, NULL);
		CALL(SignInit, s, &m, key);
		CALL(SignUpdate, s, TEXT, 10);
		CALL(SignUpdate, s, TEXT, 0);
		if (k->parts)
			CALL(SignUpdate, s, TEXT + 10, 22);
		OUTPUT(SignFinal, out_show, 7, s);
		CALL(SignInit, s, &m, key);
		CALL(SignUpdate, s, TEXT, 10);
		OUTPUT(Sign, out_show_random, 0, s, TEXT, 32);
	}
}

void chapter_sign_errors(void)
{
	CK_SESSION_HANDLE s = script_user();
	CK_OBJECT_HANDLE rsa = script_find(s, CKO_PRIVATE_KEY, SCRIPT_RSA),
			 public_half = script_find(s, CKO_PUBLIC_KEY, SCRIPT_RSA);
	CK_MECHANISM m = plain(CKM_SHA256_RSA_PKCS);
	struct out out;

	out_reset(&out, OUT_ROOM);
	CALL(Sign, s, TEXT, 5, out.bytes, &out.n);
	CALL(SignUpdate, s, TEXT, 5);
	CALL(SignFinal, s, out.bytes, &out.n);
	CALL(SignInit, s, NULL, rsa);
	CALL(SignInit, s, &m, 0);
	CALL(SignInit, s, &m, 4711);
	CALL(SignInit, s, &m, public_half);
	CALL(SignInit, 999, &m, rsa);
	m = plain(CKM_ECDSA);
	CALL(SignInit, s, &m, rsa);
	m = plain(0x7fffffff);
	CALL(SignInit, s, &m, rsa);
	m = (CK_MECHANISM){ CKM_SHA256_RSA_PKCS_PSS, TEXT, 3 };
	CALL(SignInit, s, &m, rsa);
	m = plain(CKM_RSA_PKCS);
	CALL(SignInit, s, &m, rsa);
	out_reset(&out, OUT_ROOM);
	static CK_BYTE too_long[300];
	CALL(Sign, s, too_long, sizeof too_long, out.bytes, &out.n);
	out_show(&out);
	CALL(SignInit, s, &m, rsa);
	CALL(SignInit, s, NULL, 0);
	CALL(Sign, s, NULL, 5, out.bytes, &out.n);
	CALL(Logout, s);
	CALL(Sign, s, TEXT, 5, out.bytes, &out.n);
	CALL(SignInit, s, &m, rsa);
	CALL(SignRecoverInit, s, &m, rsa);
	CALL(SignRecover, s, TEXT, 5, out.bytes, &out.n);
	CALL(SignEncryptUpdate, s, TEXT, 5, out.bytes, &out.n);
}

void chapter_verify(void)
{
	CK_SESSION_HANDLE s = script_user();

	for (size_t i = 0; i < COUNT(signers); i++) {
		const struct signer *k = &signers[i];
		CK_MECHANISM m = plain(k->type);
		CK_OBJECT_HANDLE signing = key_for(s, k->key, CKO_PRIVATE_KEY),
				 verifying = k->key == CKK_RSA || k->key == CKK_EC
						     ? key_for(s, k->key, CKO_PUBLIC_KEY)
						     : signing;
		struct out sig;

		out_reset(&sig, OUT_ROOM);
		CALL(SignInit, s, &m, signing);
		CALL(Sign, s, TEXT, 32, sig.bytes, &sig.n);
		script_number("n", sig.n);
		for (int wrong = 0; wrong < 2; wrong++) {
			sig.bytes[3] ^= (uint8_t)wrong;
			CALL(VerifyInit, s, &m, verifying);
			CALL(Verify, s, TEXT, 32, sig.bytes, sig.n);
			CALL(Verify, s, TEXT, 32, sig.bytes, sig.n);
			CALL(VerifyInit, s, &m, verifying);
			CALL(VerifyUpdate, s, TEXT, 12);
			CALL(VerifyUpdate, s, TEXT + 12, 20);
			CALL(VerifyFinal, s, sig.bytes, sig.n);
			CALL(VerifyFinal, s, sig.bytes, sig.n);
		}
		CALL(VerifyInit, s, &m, verifying);
		CALL(Verify, s, TEXT, 32, sig.bytes, sig.n - 1);
		CALL(VerifyInit, s, &m, verifying);
		CALL(Verify, s, NULL, 32, sig.bytes, sig.n);
		CALL(Verify, s, TEXT, 32, NULL, sig.n);
		CALL(VerifyInit, s, &m, verifying + 1000);
		CALL(VerifyRecoverInit, s, &m, verifying);
		CALL(VerifyRecover, s, sig.bytes, sig.n, NULL, NULL);
	}
}

static uint8_t iv[BLOCK] = "initial vector!";
static CK_GCM_PARAMS gcm = { iv, 12, 96, iv, 4, 128 };

static CK_MECHANISM ciphers[] = {
	{ CKM_AES_ECB, NULL, 0 },       { CKM_AES_CBC, iv, BLOCK },
	{ CKM_AES_CBC_PAD, iv, BLOCK }, { CKM_AES_CBC, NULL, 0 },
	{ CKM_AES_CBC, iv, 3 },         { CKM_AES_GCM, &gcm, sizeof gcm },
	{ CKM_AES_GCM, iv, sizeof iv },
};

void chapter_encrypt(void)
{
	CK_SESSION_HANDLE s = script_user();
	CK_OBJECT_HANDLE key = script_secret(s, CKK_AES, AES_VALUE, 32),
			 rsa = script_find(s, CKO_PUBLIC_KEY, SCRIPT_RSA);
	CK_MECHANISM m = plain(CKM_RSA_PKCS);

	for (size_t i = 0; i < COUNT(ciphers); i++) {
		CALL(EncryptInit, s, &ciphers[i], key);
		CALL(EncryptInit, s, &ciphers[i], key);
		OUTPUT(Encrypt, out_show, 3, s, TEXT, 32);
		CALL(EncryptInit, s, &ciphers[i], key);
		OUTPUT(Encrypt, out_show, 0, s, TEXT, 31);
		CALL(EncryptInit, s, &ciphers[i], key);
		OUTPUT(EncryptUpdate, out_show, 3, s, TEXT, 5);
		OUTPUT(EncryptUpdate, out_show, 3, s, TEXT, 27);
		OUTPUT(EncryptUpdate, out_show, 3, s, TEXT, 0);
		OUTPUT(EncryptFinal, out_show, 3, s);
		CALL(EncryptInit, s, &ciphers[i], rsa);
	}
	CALL(EncryptInit, s, &m, rsa);
	OUTPUT(Encrypt, out_show_random, 3, s, TEXT, 20);
	CALL(EncryptInit, s, &m, rsa);
	OUTPUT(EncryptUpdate, out_show, 0, s, TEXT, 20);
	CALL(EncryptInit, s, NULL, key);
	CALL(EncryptInit, s, &ciphers[0], 4711);
	CALL(Encrypt, s, TEXT, 16, NULL, NULL);
	CALL(EncryptInit, s, &ciphers[0], key);
	CALL(Encrypt, s, TEXT, 16, NULL, NULL);
	CALL(EncryptUpdate, s, NULL, 16, NULL, NULL);
	CALL(EncryptFinal, s, NULL, NULL);
}

void chapter_decrypt(void)
{
	CK_SESSION_HANDLE s = script_user();
	CK_OBJECT_HANDLE key = script_secret(s, CKK_AES, AES_VALUE, 32),
			 rsa = script_find(s, CKO_PUBLIC_KEY, SCRIPT_RSA),
			 private_half = script_find(s, CKO_PRIVATE_KEY, SCRIPT_RSA);
	CK_MECHANISM m = plain(CKM_RSA_PKCS);
	struct out sealed;

	for (size_t i = 0; i < COUNT(ciphers); i++) {
		out_reset(&sealed, OUT_ROOM);
		CALL(EncryptInit, s, &ciphers[i], key);
		CALL(Encrypt, s, TEXT, 32, sealed.bytes, &sealed.n);
		CALL(DecryptInit, s, &ciphers[i], key);
		CALL(DecryptInit, s, &ciphers[i], key);
		OUTPUT(Decrypt, out_show, 3, s, sealed.bytes, sealed.n);
		CALL(DecryptInit, s, &ciphers[i], key);
		OUTPUT(DecryptUpdate, out_show, 0, s, sealed.bytes, 10);
		OUTPUT(DecryptUpdate, out_show, 0, s, sealed.bytes + 10, 22);
		OUTPUT(DecryptFinal, out_show, 3, s);
		sealed.bytes[20] ^= 1;
		CALL(DecryptInit, s, &ciphers[i], key);
		OUTPUT(Decrypt, out_show, 0, s, sealed.bytes, sealed.n);
		CALL(DecryptInit, s, &ciphers[i], key);
		OUTPUT(Decrypt, out_show, 0, s, sealed.bytes, 15);
	}
	out_reset(&sealed, OUT_ROOM);
	CALL(EncryptInit, s, &m, rsa);
	CALL(Encrypt, s, TEXT, 20, sealed.bytes, &sealed.n);
	CALL(DecryptInit, s, &m, private_half);
	OUTPUT(Decrypt, out_show, 3, s, sealed.bytes, sealed.n);
	CALL(DecryptInit, s, NULL, key);
	CALL(DecryptInit, s, &m, 4711);
	CALL(Decrypt, s, sealed.bytes, sealed.n, NULL, NULL);
	CALL(DecryptVerifyUpdate, s, sealed.bytes, 16, sealed.bytes, &sealed.n);
}

static void show_key(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key)
{
	static const CK_ATTRIBUTE_TYPE types[] = {
		CKA_CLASS,
		CKA_KEY_TYPE,
		CKA_TOKEN,
		CKA_PRIVATE,
		CKA_SENSITIVE,
		CKA_EXTRACTABLE,
		CKA_ALWAYS_SENSITIVE,
		CKA_NEVER_EXTRACTABLE,
		CKA_LOCAL,
		CKA_SIGN,
		CKA_DECRYPT,
		CKA_KEY_GEN_MECHANISM,
		CKA_VALUE_LEN,
		CKA_EC_PARAMS,
		CKA_ALWAYS_AUTHENTICATE,
		CKA_ID,
	};

	for (size_t i = 0; i < COUNT(types); i++) {
		uint8_t value[32];
		CK_ATTRIBUTE a = { types[i], value, sizeof value };

		memset(value, OUT_PATTERN, sizeof value);
		CALL(GetAttributeValue, s, key, &a, 1);
		script_number("type", types[i]);
		script_number("length", a.ulValueLen);
		SHOW(value);
	}
	CK_ATTRIBUTE secret = { CKA_VALUE, NULL, 0 };
	CALL(GetAttributeValue, s, key, &secret, 1);
	script_number("length", secret.ulValueLen);
}

static void derive(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE ec)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_GENERIC_SECRET;
	CK_OBJECT_HANDLE public_half = script_find(s, CKO_PUBLIC_KEY, SCRIPT_EC), made = 0;
	uint8_t point[67];
	CK_BBOOL no = CK_FALSE, yes = CK_TRUE;
	CK_ULONG length = 32;
	CK_ATTRIBUTE a = ATTRIBUTE(CKA_EC_POINT, point);
	CK_ATTRIBUTE wanted[] = { ATTRIBUTE(CKA_CLASS, class), ATTRIBUTE(CKA_KEY_TYPE, type),
				  ATTRIBUTE(CKA_SENSITIVE, no), ATTRIBUTE(CKA_EXTRACTABLE, yes),
				  ATTRIBUTE(CKA_VALUE_LEN, length) };
	uint8_t secret[32];
	CK_ATTRIBUTE value = ATTRIBUTE(CKA_VALUE, secret);

	CALL(GetAttributeValue, s, public_half, &a, 1);
	CK_ECDH1_DERIVE_PARAMS with = { .kdf = CKD_NULL,
					.ulPublicDataLen = sizeof point,
					.pPublicData = point };
	CK_MECHANISM m = { CKM_ECDH1_DERIVE, &with, sizeof with };
	memset(secret, OUT_PATTERN, sizeof secret);
	CALL(DeriveKey, s, &m, ec, wanted, COUNT(wanted), &made);
	script_number("made", made);
	CALL(GetAttributeValue, s, made, &value, 1);
	SHOW(secret);
	m.ulParameterLen = 3;
	CALL(DeriveKey, s, &m, ec, wanted, COUNT(wanted), &made);
	CALL(DeriveKey, s, &m, 4711, wanted, COUNT(wanted), &made);
	CALL(DeriveKey, s, &m, ec, NULL, 0, NULL);
	CALL(DeriveKey, s, NULL, ec, wanted, COUNT(wanted), &made);
}

void chapter_keys(void)
{
	static uint8_t p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
	CK_SESSION_HANDLE s = script_user();
	CK_BBOOL yes = CK_TRUE;
	CK_ULONG length = 32, odd = 5;
	CK_ATTRIBUTE good[] = { ATTRIBUTE(CKA_VALUE_LEN, length), ATTRIBUTE(CKA_TOKEN, yes),
				ATTRIBUTE_TEXT(CKA_ID, "made") };
	CK_ATTRIBUTE bad[] = { ATTRIBUTE(CKA_VALUE_LEN, odd) };
	CK_ATTRIBUTE curve[] = { ATTRIBUTE(CKA_EC_PARAMS, p256) };
	CK_ATTRIBUTE private_half[] = { ATTRIBUTE(CKA_SIGN, yes), ATTRIBUTE(CKA_TOKEN, yes) };
	CK_MECHANISM aes = plain(CKM_AES_KEY_GEN), ec = plain(CKM_EC_KEY_PAIR_GEN),
		     wrong = plain(CKM_SHA256);
	CK_OBJECT_HANDLE key = 0, other = 0;

	CALL(GenerateKey, s, &aes, good, COUNT(good), &key);
	script_number("key", key);
	show_key(s, key);
	CALL(GenerateKey, s, &aes, bad, COUNT(bad), &key);
	CALL(GenerateKey, s, &aes, good, 0, &key);
	CALL(GenerateKey, s, &aes, good, COUNT(good), NULL);
	CALL(GenerateKey, s, NULL, good, COUNT(good), &key);
	CALL(GenerateKey, s, &wrong, good, COUNT(good), &key);
	CALL(GenerateKeyPair, s, &ec, curve, COUNT(curve), private_half, COUNT(private_half), &key,
	     &other);
	script_number("key", key);
	script_number("other", other);
	show_key(s, key);
	show_key(s, other);
	CALL(GenerateKeyPair, s, &ec, curve, 0, private_half, COUNT(private_half), &key, &other);
	CALL(GenerateKeyPair, s, &ec, curve, 1, NULL, 1, &key, &other);
	CALL(GenerateKeyPair, s, &wrong, curve, 1, private_half, 1, &key, &other);
	derive(s, script_find(s, CKO_PRIVATE_KEY, SCRIPT_EC));
	CALL(Logout, s);
	CALL(GenerateKey, s, &aes, good, COUNT(good), &key);
	show_key(s, other);
}

void chapter_wrap(void)
{
	CK_SESSION_HANDLE s = script_user();
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_GENERIC_SECRET;
	CK_BBOOL no = CK_FALSE, yes = CK_TRUE;
	CK_OBJECT_HANDLE wrapping = script_secret(s, CKK_AES, AES_VALUE, 32),
			 inner = script_secret(s, CKK_GENERIC_SECRET, "an inner secret.", 16),
			 rsa = script_find(s, CKO_PRIVATE_KEY, SCRIPT_RSA), made = 0;
	CK_ATTRIBUTE wanted[] = { ATTRIBUTE(CKA_CLASS, class), ATTRIBUTE(CKA_KEY_TYPE, type),
				  ATTRIBUTE(CKA_SENSITIVE, no), ATTRIBUTE(CKA_EXTRACTABLE, yes) };
	CK_MECHANISM m = plain(CKM_AES_KEY_WRAP), wrong = plain(CKM_SHA256);
	uint8_t value[16];
	CK_ATTRIBUTE back = ATTRIBUTE(CKA_VALUE, value);
	struct out out;

	OUTPUT(WrapKey, out_show, 3, s, &m, wrapping, inner);
	out_reset(&out, OUT_ROOM);
	CALL(WrapKey, s, &m, wrapping, inner, out.bytes, &out.n);
	CALL(UnwrapKey, s, &m, wrapping, out.bytes, out.n, wanted, COUNT(wanted), &made);
	script_number("made", made);
	memset(value, OUT_PATTERN, sizeof value);
	CALL(GetAttributeValue, s, made, &back, 1);
	SHOW(value);
	CALL(WrapKey, s, &m, wrapping, rsa, out.bytes, &out.n);
	CALL(WrapKey, s, &m, 4711, inner, out.bytes, &out.n);
	CALL(WrapKey, s, &m, wrapping, 4711, out.bytes, &out.n);
	CALL(WrapKey, s, &wrong, wrapping, inner, out.bytes, &out.n);
	CALL(WrapKey, s, &m, wrapping, inner, out.bytes, NULL);
	CALL(UnwrapKey, s, &m, wrapping, out.bytes, 5, wanted, COUNT(wanted), &made);
	CALL(UnwrapKey, s, &m, 4711, out.bytes, 24, wanted, COUNT(wanted), &made);
	CALL(UnwrapKey, s, &m, wrapping, NULL, 24, wanted, COUNT(wanted), &made);
	CALL(UnwrapKey, s, &m, wrapping, out.bytes, 24, NULL, 0, NULL);
	CALL(UnwrapKey, s, &wrong, wrapping, out.bytes, 24, wanted, COUNT(wanted), &made);
}

void chapter_random(void)
{
	CK_SESSION_HANDLE s = script_user();
	struct out out;

	out_reset(&out, 40);
	CALL(GenerateRandom, s, out.bytes, 40);
	out_show_random(&out);
	out_reset(&out, 0);
	CALL(GenerateRandom, s, out.bytes, 0);
	out_show(&out);
	CALL(GenerateRandom, s, NULL, 5);
	CALL(GenerateRandom, 999, out.bytes, 5);
	CALL(SeedRandom, s, TEXT, 16);
	CALL(SeedRandom, s, NULL, 16);
	CALL(SeedRandom, 999, TEXT, 16);
	out_show(&out);
}

void chapter_states(void)
{
	CK_SESSION_HANDLE s = script_user();
	CK_MECHANISM m = plain(CKM_SHA256);
	struct out out;

	CALL(DigestInit, s, &m);
	CALL(DigestUpdate, s, TEXT, 10);
	OUTPUT(GetOperationState, out_show, 3, s);
	CALL(SetOperationState, s, TEXT, 10, 0, 0);
	CALL(SetOperationState, s, NULL, 0, 4711, 4711);
	CALL(GetFunctionStatus, s);
	CALL(CancelFunction, s);
	CALL(GetFunctionStatus, 999);
	CALL(CancelFunction, 999);
	out_reset(&out, OUT_ROOM);
	CALL(DigestFinal, s, out.bytes, &out.n);
	out_show(&out);
}

/* What means something to Assay means no more than ever to the HSM. The last chapter: where a
 * configuration names a daemon, these calls are Assay's. */
void chapter_vendor(void)
{
	CK_SESSION_HANDLE s = script_user();
	CK_OBJECT_HANDLE key = script_secret(s, CKK_GENERIC_SECRET, AES_VALUE, 32);
	CK_MECHANISM_INFO info;
	struct out out;

	for (CK_MECHANISM_TYPE low = 0; low < 8; low++) {
		CK_MECHANISM m = plain(CKM_VENDOR_DEFINED | 0x41590000 | low);

		memset(&info, OUT_PATTERN, sizeof info);
		CALL(GetMechanismInfo, script_slot(SCRIPT_TOKEN), m.mechanism, &info);
		SHOW(info);
		CALL(SignInit, s, &m, key);
		CALL(EncryptInit, s, &m, key);
		CALL(DigestInit, s, &m);
		out_reset(&out, OUT_ROOM);
		CALL(Sign, s, TEXT, 10, out.bytes, &out.n);
		out_show(&out);
	}
	CK_OBJECT_CLASS class = CKO_DATA;
	CK_OBJECT_HANDLE made = 0;
	CK_ATTRIBUTE a[] = { ATTRIBUTE(CKA_CLASS, class),
			     ATTRIBUTE_TEXT(CKA_APPLICATION, "assay:run:payments"),
			     ATTRIBUTE_TEXT(CKA_VALUE, "an input") };
	CALL(CreateObject, s, a, COUNT(a), &made);
	script_number("made", made);
	script_find(s, CKO_SECRET_KEY, "payments");
	script_find(s, CKO_PRIVATE_KEY, "loader");
}
