#include "pkcs11/p11.h"

#include <stdio.h>
#include <string.h>

#include "pkcs11/token.h"

#define SIGNATURE_MAX 132 /* P-521 */
#define SEARCH_MAX 65536
#define MECHANISMS_MAX 1024

const char *ckr_name(CK_RV rv)
{
	static __thread char other[32];

	switch (rv) {
#define RESULT(name, value) \
	case value:         \
		return #name;
#include "pkcs11/results.def"
#undef RESULT
	}
	snprintf(other, sizeof other, "CKR_0x%lx", (unsigned long)rv);
	return other;
}

/* What the HSM's module leaks is not ours to mend: SoftHSM 2.6 does the name of an Edwards curve at each
 * use of such a key, and a sanitizer's look for leaks would take it for ours. */
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#define THEIRS(call) (__lsan_disable(), theirs(call))
static CK_RV theirs(CK_RV rv)
{
	__lsan_enable();
	return rv;
}
#else
#define THEIRS(call) (call)
#endif

enum err p11_result(CK_RV rv, const char *call)
{
	switch (rv) {
	case CKR_OK:
		return OK;
	case CKR_TOKEN_NOT_PRESENT:
	case CKR_DEVICE_REMOVED:
		return failed(ERR_GONE, "%s: %s", call, ckr_name(rv));
	case CKR_PIN_INCORRECT:
	case CKR_PIN_INVALID:
	case CKR_PIN_LEN_RANGE:
	case CKR_PIN_EXPIRED:
	case CKR_PIN_LOCKED:
	case CKR_USER_PIN_NOT_INITIALIZED:
	case CKR_USER_NOT_LOGGED_IN:
		return failed(ERR_LOGIN, "%s: %s", call, ckr_name(rv));
	default:
		return failed(ERR_CRYPTO, "%s: %s", call, ckr_name(rv));
	}
}

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

#define ATTRIBUTE(type, value)                  \
	{                                       \
		(type), &(value), sizeof(value) \
	}
#define ATTRIBUTE_BYTES(type, p, n)      \
	{                                \
		(type), (void *)(p), (n) \
	}
#define COUNT(array) (sizeof(array) / sizeof *(array))

enum err p11_find(struct p11 at, CK_OBJECT_CLASS class, struct slice id, CK_OBJECT_HANDLE *out)
{
	CK_ATTRIBUTE wanted[] = {
		ATTRIBUTE(CKA_CLASS, class),
		ATTRIBUTE(CKA_TOKEN, yes),
		ATTRIBUTE_BYTES(CKA_ID, id.p, id.left),
	};
	CK_OBJECT_HANDLE found[2];
	CK_ULONG n = 0;
	enum err e = p11_result(at.f->C_FindObjectsInit(at.session, wanted, COUNT(wanted)),
				"C_FindObjectsInit");

	if (e)
		return e;
	CK_RV rv = at.f->C_FindObjects(at.session, found, COUNT(found), &n);
	CK_RV end = at.f->C_FindObjectsFinal(at.session);
	if ((e = p11_result(rv, "C_FindObjects")) || (e = p11_result(end, "C_FindObjectsFinal")))
		return e;
	if (n == 0)
		return failed(ERR_NOT_FOUND, "no object with this CKA_ID on the token");
	if (n > 1)
		return failed(ERR_EXISTS, "more than one object with this CKA_ID on the token");
	*out = found[0];
	return OK;
}

static bool has_point(struct p11 at, CK_OBJECT_HANDLE key, const uint8_t point[P11_POINT])
{
	uint8_t found[P11_POINT];

	return !p11_ec_point(at, key, found) && !memcmp(found, point, P11_POINT);
}

/* One by one to the end: how many there are is for others to say. */
static CK_RV look_for_point(struct p11 at, const uint8_t point[P11_POINT], CK_ULONG *seen,
			    bool *found)
{
	CK_OBJECT_HANDLE some[32];
	CK_ULONG n = 0;
	CK_RV rv;

	do {
		if ((rv = at.f->C_FindObjects(at.session, some, COUNT(some), &n)) != CKR_OK)
			break;
		for (CK_ULONG i = 0; i < n && !*found; i++)
			*found = has_point(at, some[i], point);
		*seen += n;
	} while (n > 0 && !*found && *seen < SEARCH_MAX);
	CK_RV end = at.f->C_FindObjectsFinal(at.session);
	return rv ? rv : end;
}

enum err p11_has_point(struct p11 at, struct slice id, const uint8_t point[P11_POINT])
{
	CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
	CK_ATTRIBUTE wanted[] = {
		ATTRIBUTE(CKA_CLASS, class),
		ATTRIBUTE(CKA_TOKEN, yes),
		ATTRIBUTE_BYTES(CKA_ID, id.p, id.left),
	};
	CK_ULONG seen = 0;
	bool found = false;
	enum err e = p11_result(at.f->C_FindObjectsInit(at.session, wanted, COUNT(wanted)),
				"C_FindObjectsInit");

	if (e || (e = p11_result(look_for_point(at, point, &seen, &found), "C_FindObjects")))
		return e;
	if (found)
		return OK;
	return seen ? failed(ERR_MISMATCH, "other objects have this CKA_ID")
		    : failed(ERR_NOT_FOUND, "no object with this CKA_ID on the token");
}

enum err p11_get(struct p11 at, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, size_t max,
		 struct buf *out)
{
	CK_ATTRIBUTE a = { type, NULL, 0 };
	enum err e = p11_result(at.f->C_GetAttributeValue(at.session, object, &a, 1),
				"C_GetAttributeValue");

	if (e)
		return e;
	if (a.ulValueLen == CK_UNAVAILABLE_INFORMATION || a.ulValueLen > max)
		return failed(ERR_RANGE, "an attribute of the token is over %zu bytes", max);
	size_t before = out->len, room = a.ulValueLen;
	if (!room)
		return OK;
	if (!(a.pValue = buf_add(out, room)))
		return buf_check(out);
	e = p11_result(at.f->C_GetAttributeValue(at.session, object, &a, 1), "C_GetAttributeValue");
	/* Another process may have changed the object between the two calls. */
	out->len = before + (!e && a.ulValueLen <= room ? a.ulValueLen : 0);
	return e;
}

/* A pair of which the private half signs, and can do nothing else. */
static CK_RV make_pair(struct p11 at, CK_MECHANISM_TYPE type, struct slice curve, const char *label,
		       struct slice id, CK_OBJECT_HANDLE *public_key, CK_OBJECT_HANDLE *private_key)
{
	CK_MECHANISM mechanism = { type, NULL, 0 };
	CK_ATTRIBUTE public_half[] = {
		ATTRIBUTE(CKA_TOKEN, yes),
		ATTRIBUTE(CKA_PRIVATE, no),
		ATTRIBUTE(CKA_VERIFY, yes),
		ATTRIBUTE(CKA_ENCRYPT, no),
		ATTRIBUTE(CKA_WRAP, no),
		ATTRIBUTE(CKA_MODIFIABLE, no),
		ATTRIBUTE_BYTES(CKA_LABEL, label, strlen(label)),
		ATTRIBUTE_BYTES(CKA_ID, id.p, id.left),
		ATTRIBUTE_BYTES(CKA_EC_PARAMS, curve.p, curve.left),
	};
	CK_ATTRIBUTE private_half[] = {
		ATTRIBUTE(CKA_TOKEN, yes),
		ATTRIBUTE(CKA_PRIVATE, yes),
		ATTRIBUTE(CKA_SENSITIVE, yes),
		ATTRIBUTE(CKA_EXTRACTABLE, no),
		ATTRIBUTE(CKA_SIGN, yes),
		ATTRIBUTE(CKA_DECRYPT, no),
		ATTRIBUTE(CKA_UNWRAP, no),
		ATTRIBUTE(CKA_DERIVE, no),
		ATTRIBUTE(CKA_MODIFIABLE, no),
		ATTRIBUTE_BYTES(CKA_LABEL, label, strlen(label)),
		ATTRIBUTE_BYTES(CKA_ID, id.p, id.left),
		ATTRIBUTE(CKA_COPYABLE, no), /* the last: HSMs of 2.20 do not know it */
	};
	CK_RV rv =
		at.f->C_GenerateKeyPair(at.session, &mechanism, public_half, COUNT(public_half),
					private_half, COUNT(private_half), public_key, private_key);
	return rv != CKR_ATTRIBUTE_TYPE_INVALID
		       ? rv
		       : at.f->C_GenerateKeyPair(at.session, &mechanism, public_half,
						 COUNT(public_half), private_half,
						 COUNT(private_half) - 1, public_key, private_key);
}

enum err p11_make_ec(struct p11 at, const char *label, struct slice id,
		     CK_OBJECT_HANDLE *private_key, uint8_t point[P11_POINT])
{
	static const uint8_t p256[] = {
		0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07
	};
	CK_OBJECT_HANDLE public_key;
	enum err e = p11_result(make_pair(at, CKM_EC_KEY_PAIR_GEN, SLICE(p256), label, id,
					  &public_key, private_key),
				"C_GenerateKeyPair");
	return e ? e : p11_ec_point(at, public_key, point);
}

static bool is_listed(CK_MECHANISM_TYPE type, const CK_MECHANISM_TYPE *list, CK_ULONG n)
{
	for (CK_ULONG i = 0; i < n; i++)
		if (list[i] == type)
			return true;
	return false;
}

/* Some modules describe mechanisms that they would not carry out: the list counts. */
static enum err check_ed25519(struct p11 at)
{
	CK_MECHANISM_TYPE list[MECHANISMS_MAX];
	CK_ULONG n = COUNT(list);
	CK_SESSION_INFO info;
	enum err e;

	if ((e = p11_result(at.f->C_GetSessionInfo(at.session, &info), "C_GetSessionInfo")) ||
	    (e = p11_result(at.f->C_GetMechanismList(info.slotID, list, &n), "C_GetMechanismList")))
		return e;
	return n <= COUNT(list) && is_listed(CKM_EC_EDWARDS_KEY_PAIR_GEN, list, n) &&
			       is_listed(CKM_EDDSA, list, n)
		       ? OK
		       : failed(ERR_UNSUPPORTED, "the token has no Ed25519");
}

/* As bare bytes, or in a DER OCTET STRING. */
static enum err ed25519_key(struct p11 at, CK_OBJECT_HANDLE object, uint8_t out[P11_ED25519])
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	enum err e = p11_get(at, object, CKA_EC_POINT, P11_ED25519 + 2, &b);

	if (e)
		return e;
	bool wrapped = b.len == P11_ED25519 + 2 && b.data[0] == 0x04 && b.data[1] == P11_ED25519;
	if (!wrapped && b.len != P11_ED25519)
		return failed(ERR_CRYPTO, "CKA_EC_POINT has %zu bytes: not an Ed25519 key", b.len);
	memcpy(out, b.data + b.len - P11_ED25519, P11_ED25519);
	return OK;
}

/* The standard's versions name the curve in two ways: by its OID (RFC 8410), or in a PrintableString. */
enum err p11_make_ed25519(struct p11 at, const char *label, struct slice id,
			  CK_OBJECT_HANDLE *private_key, uint8_t public_key[P11_ED25519])
{
	static const uint8_t oid[] = { 0x06, 0x03, 0x2b, 0x65, 0x70 };
	static const uint8_t name[] = { 0x13, 0x0c, 'e', 'd', 'w', 'a', 'r',
					'd',  's',  '2', '5', '5', '1', '9' };
	CK_OBJECT_HANDLE public_half;
	enum err e = check_ed25519(at);

	if (e)
		return e;
	CK_RV rv = THEIRS(make_pair(at, CKM_EC_EDWARDS_KEY_PAIR_GEN, SLICE(oid), label, id,
				    &public_half, private_key));
	if (rv == CKR_CURVE_NOT_SUPPORTED || rv == CKR_DOMAIN_PARAMS_INVALID ||
	    rv == CKR_ATTRIBUTE_VALUE_INVALID)
		rv = THEIRS(make_pair(at, CKM_EC_EDWARDS_KEY_PAIR_GEN, SLICE(name), label, id,
				      &public_half, private_key));
	e = p11_result(rv, "C_GenerateKeyPair");
	return e ? e : ed25519_key(at, public_half, public_key);
}

enum err p11_make_aes(struct p11 at, const char *label, struct slice id, CK_OBJECT_HANDLE *key)
{
	CK_MECHANISM mechanism = { CKM_AES_KEY_GEN, NULL, 0 };
	CK_ULONG bytes = 32;
	CK_ATTRIBUTE a[] = {
		ATTRIBUTE(CKA_TOKEN, yes),
		ATTRIBUTE(CKA_PRIVATE, yes),
		ATTRIBUTE(CKA_SENSITIVE, yes),
		ATTRIBUTE(CKA_EXTRACTABLE, no),
		ATTRIBUTE(CKA_ENCRYPT, yes),
		ATTRIBUTE(CKA_DECRYPT, yes),
		ATTRIBUTE(CKA_WRAP, no),
		ATTRIBUTE(CKA_UNWRAP, no),
		ATTRIBUTE(CKA_MODIFIABLE, no),
		ATTRIBUTE(CKA_VALUE_LEN, bytes),
		ATTRIBUTE_BYTES(CKA_LABEL, label, strlen(label)),
		ATTRIBUTE_BYTES(CKA_ID, id.p, id.left),
	};

	return p11_result(at.f->C_GenerateKey(at.session, &mechanism, a, COUNT(a), key),
			  "C_GenerateKey");
}

enum err p11_ec_point(struct p11 at, CK_OBJECT_HANDLE public_key, uint8_t point[P11_POINT])
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	enum err e = p11_get(at, public_key, CKA_EC_POINT, P11_POINT + 2, &b);
	const uint8_t *p = b.data;

	if (e)
		return e;
	/* The standard wants a DER OCTET STRING around it; some HSMs leave that out. */
	if (b.len == P11_POINT + 2 && p[0] == 0x04 && p[1] == P11_POINT)
		p += 2;
	else if (b.len != P11_POINT)
		return failed(ERR_CRYPTO, "CKA_EC_POINT has %zu bytes: not a P-256 key", b.len);
	if (p[0] != 0x04)
		return failed(ERR_CRYPTO, "CKA_EC_POINT is not an uncompressed point");
	memcpy(point, p, P11_POINT);
	return OK;
}

static enum err sign(struct p11 at, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key,
		     struct slice input, struct buf *signature)
{
	CK_MECHANISM mechanism = { type, NULL, 0 };
	uint8_t out[SIGNATURE_MAX];
	CK_ULONG n = sizeof out;
	enum err e =
		p11_result(THEIRS(at.f->C_SignInit(at.session, &mechanism, key)), "C_SignInit");

	if (e || (e = p11_result(
			  THEIRS(at.f->C_Sign(at.session, (CK_BYTE *)input.p, input.left, out, &n)),
			  "C_Sign")))
		return e;
	buf_put(signature, out, n);
	return buf_check(signature);
}

enum err p11_sign(struct p11 at, CK_OBJECT_HANDLE key, const uint8_t digest[32],
		  struct buf *signature)
{
	return sign(at, CKM_ECDSA, key, slice_of(digest, 32), signature);
}

enum err p11_sign_ed25519(struct p11 at, CK_OBJECT_HANDLE key, struct slice message,
			  struct buf *signature)
{
	size_t before = signature->len;
	enum err e = sign(at, CKM_EDDSA, key, message, signature);

	if (e || signature->len - before == (size_t)2 * P11_ED25519)
		return e;
	return failed(ERR_CRYPTO, "C_Sign: an Ed25519 signature of %zu bytes",
		      signature->len - before);
}

enum err p11_put_certificate(struct p11 at, struct slice id, const char *label, struct slice der,
			     bool trusted, CK_OBJECT_HANDLE *out)
{
	static const uint8_t no_name[] = { 0x30, 0x00 };
	CK_OBJECT_CLASS class = CKO_CERTIFICATE;
	CK_CERTIFICATE_TYPE type = CKC_X_509;
	CK_ATTRIBUTE a[] = {
		ATTRIBUTE(CKA_CLASS, class),
		ATTRIBUTE(CKA_CERTIFICATE_TYPE, type),
		ATTRIBUTE(CKA_TOKEN, yes),
		ATTRIBUTE(CKA_PRIVATE, no),
		ATTRIBUTE_BYTES(CKA_LABEL, label, strlen(label)),
		ATTRIBUTE_BYTES(CKA_ID, id.p, id.left),
		ATTRIBUTE_BYTES(CKA_SUBJECT, no_name, sizeof no_name),
		ATTRIBUTE_BYTES(CKA_VALUE, der.p, der.left),
		ATTRIBUTE(CKA_TRUSTED, yes), /* the last: only for those who may */
	};

	return p11_result(at.f->C_CreateObject(at.session, a, COUNT(a) - !trusted, out),
			  "C_CreateObject");
}

enum err p11_put_data(struct p11 at, const char *label, struct slice value, CK_OBJECT_HANDLE *out)
{
	CK_OBJECT_CLASS class = CKO_DATA;
	CK_ATTRIBUTE a[] = {
		ATTRIBUTE(CKA_CLASS, class),
		ATTRIBUTE(CKA_TOKEN, yes),
		ATTRIBUTE(CKA_PRIVATE, yes),
		ATTRIBUTE(CKA_MODIFIABLE, no),
		ATTRIBUTE_BYTES(CKA_LABEL, label, strlen(label)),
		ATTRIBUTE_BYTES(CKA_VALUE, value.p, value.left),
	};

	return p11_result(at.f->C_CreateObject(at.session, a, COUNT(a), out), "C_CreateObject");
}

enum err p11_list_data(struct p11 at, const char *label, CK_OBJECT_HANDLE *out, size_t max,
		       size_t *n)
{
	CK_OBJECT_CLASS class = CKO_DATA;
	CK_ATTRIBUTE wanted[] = {
		ATTRIBUTE(CKA_CLASS, class),
		ATTRIBUTE(CKA_TOKEN, yes),
		ATTRIBUTE(CKA_PRIVATE, yes),
		ATTRIBUTE_BYTES(CKA_LABEL, label, strlen(label)),
	};
	CK_ULONG found = 0;
	enum err e = p11_result(at.f->C_FindObjectsInit(at.session, wanted, COUNT(wanted)),
				"C_FindObjectsInit");

	if (e)
		return e;
	CK_RV rv = at.f->C_FindObjects(at.session, out, max, &found);
	CK_RV end = at.f->C_FindObjectsFinal(at.session);
	if ((e = p11_result(rv, "C_FindObjects")) || (e = p11_result(end, "C_FindObjectsFinal")))
		return e;
	*n = found;
	return OK;
}
