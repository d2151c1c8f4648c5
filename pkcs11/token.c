#include "pkcs11/token.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/base/io.h"
#include "pkcs11/p11.h"

#define POOL_MAX 80 /* more than the log ever signs with at a time */
#define SLOTS_MAX 256
#define IV_SIZE 12
#define TAG_SIZE 16
#define SEAL_MAX (SECRET_MAX - TAG_SIZE)

struct token {
	void *library; /* never unloaded: HSM modules leave exit handlers behind */
	CK_FUNCTION_LIST *f;
	CK_SLOT_ID slot;
	struct token_info info;
	bool initialised;         /* by us: so we finalize */
	CK_FLAGS session_flags;   /* read-only until somebody logs in */
	CK_SESSION_HANDLE anchor; /* never used: keeps the login when others are closed */
	pthread_mutex_t lock;     /* guards what follows; not held during a call of the HSM */
	pthread_cond_t returned;
	CK_SESSION_HANDLE idle[POOL_MAX];
	size_t idle_n, open_n;
};

/* A session out of the pool, for one thread, until it is given back. */
struct lease {
	struct token *token;
	struct p11 at;
	bool broken; /* an operation may be left active in it: close it instead */
};

static void lease_cleanup(struct lease *lease)
{
	struct token *t = lease->token;

	if (!t)
		return;
	if (lease->broken)
		(void)t->f->C_CloseSession(lease->at.session);
	pthread_mutex_lock(&t->lock);
	if (lease->broken)
		t->open_n--;
	else
		t->idle[t->idle_n++] = lease->at.session;
	pthread_cond_signal(&t->returned);
	pthread_mutex_unlock(&t->lock);
}

static enum err lease_take(struct token *t, struct lease *lease)
{
	struct p11 at = { .f = t->f };
	bool have = false;

	pthread_mutex_lock(&t->lock);
	while (t->idle_n == 0 && t->open_n == POOL_MAX)
		pthread_cond_wait(&t->returned, &t->lock);
	if (t->idle_n) {
		at.session = t->idle[--t->idle_n];
		have = true;
	} else {
		t->open_n++;
	}
	pthread_mutex_unlock(&t->lock);
	if (!have) {
		enum err e = p11_result(
			t->f->C_OpenSession(t->slot, t->session_flags, NULL, NULL, &at.session),
			"C_OpenSession");
		if (e) {
			pthread_mutex_lock(&t->lock);
			t->open_n--;
			pthread_cond_signal(&t->returned);
			pthread_mutex_unlock(&t->lock);
			return e;
		}
	}
	*lease = (struct lease){ .token = t, .at = at };
	return OK;
}

/* The whole life of a call: a session from the pool, and its end as the call's result says. */
#define WITH_SESSION(token, call)                                 \
	({                                                        \
		CLEANUP(lease) struct lease lease = { 0 };        \
		enum err e_ = lease_take((token), &lease);        \
		if (!e_) {                                        \
			struct p11 at = lease.at;                 \
			e_ = (call);                              \
			lease.broken = e_ && e_ != ERR_NOT_FOUND; \
		}                                                 \
		e_;                                               \
	})

static void trim(char *out, const CK_UTF8CHAR *padded, size_t n)
{
	while (n && (padded[n - 1] == ' ' || padded[n - 1] == 0))
		n--;
	memcpy(out, padded, n);
	out[n] = 0;
}

static void fill_info(struct token_info *out, const CK_TOKEN_INFO *in)
{
	trim(out->label, in->label, sizeof in->label);
	trim(out->manufacturer, in->manufacturerID, sizeof in->manufacturerID);
	trim(out->model, in->model, sizeof in->model);
	trim(out->serial, in->serialNumber, sizeof in->serialNumber);
	snprintf(out->firmware, sizeof out->firmware, "%u.%u", in->firmwareVersion.major,
		 in->firmwareVersion.minor);
	out->flags = in->flags;
}

static enum err find_slot(struct token *t, const char *by_label, const char *by_serial)
{
	CK_SLOT_ID slots[SLOTS_MAX];
	CK_ULONG n = SLOTS_MAX;
	size_t matches = 0;
	enum err e = p11_result(t->f->C_GetSlotList(CK_TRUE, slots, &n), "C_GetSlotList");

	if (e)
		return e;
	for (CK_ULONG i = 0; i < n; i++) {
		CK_TOKEN_INFO raw;
		struct token_info info;

		if (t->f->C_GetTokenInfo(slots[i], &raw) != CKR_OK ||
		    !(raw.flags & CKF_TOKEN_INITIALIZED))
			continue;
		fill_info(&info, &raw);
		if ((by_label && strcmp(info.label, by_label) != 0) ||
		    (by_serial && strcmp(info.serial, by_serial) != 0))
			continue;
		t->slot = slots[i];
		t->info = info;
		matches++;
	}
	if (matches == 1)
		return OK;
	return failed(matches ? ERR_EXISTS : ERR_NOT_FOUND, "%s with the %s \"%s\"",
		      matches ? "more than one token" : "no token", by_label ? "label" : "serial",
		      by_label ? by_label : by_serial);
}

static enum err load(struct token *t, const char *path)
{
	CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
	CK_RV (*get_list)(CK_FUNCTION_LIST **);

	t->library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!t->library)
		return failed(ERR_NOT_FOUND, "%s", dlerror());
	*(void **)&get_list = dlsym(t->library, "C_GetFunctionList");
	if (!get_list || get_list(&t->f) != CKR_OK || !t->f)
		return failed(ERR_FORMAT, "%s is not a PKCS#11 module", path);
	CK_RV rv = t->f->C_Initialize(&args);
	if (rv == CKR_CRYPTOKI_ALREADY_INITIALIZED)
		return OK;
	t->initialised = rv == CKR_OK;
	return p11_result(rv, "C_Initialize");
}

static enum err open_anchor(struct token *t, CK_FLAGS flags)
{
	t->session_flags = CKF_SERIAL_SESSION | flags;
	return p11_result(t->f->C_OpenSession(t->slot, t->session_flags, NULL, NULL, &t->anchor),
			  "C_OpenSession");
}

enum err token_open(const char *module, const char *by_label, const char *by_serial,
		    struct token **out)
{
	CLEANUP(token) struct token *t = calloc(1, sizeof *t);
	enum err e;

	if (!t)
		return failed(ERR_MEMORY, "out of memory");
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->returned, NULL);
	if ((e = load(t, module)) || (e = find_slot(t, by_label, by_serial)) ||
	    (e = open_anchor(t, 0)))
		return e;
	*out = STEAL(t);
	return OK;
}

static void close_sessions(struct token *t)
{
	while (t->idle_n) {
		(void)t->f->C_CloseSession(t->idle[--t->idle_n]);
		t->open_n--;
	}
	if (t->anchor)
		(void)t->f->C_CloseSession(t->anchor);
	t->anchor = 0;
}

void token_close(struct token *t)
{
	if (!t)
		return;
	if (t->f)
		close_sessions(t);
	if (t->initialised)
		(void)t->f->C_Finalize(NULL);
	pthread_cond_destroy(&t->returned);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

void token_cleanup(struct token **t)
{
	token_close(*t);
	*t = NULL;
}

void token_info(const struct token *t, struct token_info *out)
{
	*out = t->info;
}

enum err token_login(struct token *t, CK_USER_TYPE role, const struct secret *pin)
{
	/* Read-only sessions keep the SO out. */
	close_sessions(t);
	enum err e = open_anchor(t, CKF_RW_SESSION);
	return e ? e : p11_result(t->f->C_Login(t->anchor, role, pin->p, pin->len), "C_Login");
}

enum err token_logout(struct token *t)
{
	return p11_result(t->f->C_Logout(t->anchor), "C_Logout");
}

enum err token_find(struct token *t, CK_OBJECT_CLASS class, struct slice id, CK_OBJECT_HANDLE *out)
{
	return WITH_SESSION(t, p11_find(at, class, id, out));
}

enum err token_has_point(struct token *t, struct slice id, const uint8_t point[65])
{
	return WITH_SESSION(t, p11_has_point(at, id, point));
}

enum err token_make_ec(struct token *t, const char *label, struct slice id,
		       CK_OBJECT_HANDLE *private_key, uint8_t point[65])
{
	return WITH_SESSION(t, p11_make_ec(at, label, id, private_key, point));
}

enum err token_make_aes(struct token *t, const char *label, struct slice id, CK_OBJECT_HANDLE *key)
{
	return WITH_SESSION(t, p11_make_aes(at, label, id, key));
}

enum err token_ec_point(struct token *t, CK_OBJECT_HANDLE public_key, uint8_t point[65])
{
	return WITH_SESSION(t, p11_ec_point(at, public_key, point));
}

enum err token_sign(struct token *t, CK_OBJECT_HANDLE key, const uint8_t digest[32],
		    struct buf *signature)
{
	return WITH_SESSION(t, p11_sign(at, key, digest, signature));
}

enum err token_make_ed25519(struct token *t, const char *label, struct slice id,
			    CK_OBJECT_HANDLE *private_key, uint8_t public_key[32])
{
	return WITH_SESSION(t, p11_make_ed25519(at, label, id, private_key, public_key));
}

enum err token_sign_ed25519(struct token *t, CK_OBJECT_HANDLE key, struct slice message,
			    struct buf *signature)
{
	return WITH_SESSION(t, p11_sign_ed25519(at, key, message, signature));
}

static enum err seal(struct p11 at, CK_OBJECT_HANDLE key, struct slice plain, struct buf *sealed)
{
	uint8_t *iv = buf_add(sealed, IV_SIZE + plain.left + TAG_SIZE);
	enum err e = iv ? io_random(iv, IV_SIZE) : buf_check(sealed);

	if (e)
		return e;
	CK_GCM_PARAMS gcm = { iv, IV_SIZE, 8 * IV_SIZE, NULL, 0, 8 * TAG_SIZE };
	CK_MECHANISM mechanism = { CKM_AES_GCM, &gcm, sizeof gcm };
	CK_ULONG n = plain.left + TAG_SIZE;
	if ((e = p11_result(at.f->C_EncryptInit(at.session, &mechanism, key), "C_EncryptInit")) ||
	    (e = p11_result(
		     at.f->C_Encrypt(at.session, (CK_BYTE *)plain.p, plain.left, iv + IV_SIZE, &n),
		     "C_Encrypt")))
		return e;
	return n == plain.left + TAG_SIZE ? OK : failed(ERR_CRYPTO, "C_Encrypt: wrong length");
}

enum err token_seal(struct token *t, CK_OBJECT_HANDLE key, struct slice plain, struct buf *sealed)
{
	size_t before = sealed->len;

	if (plain.left > SEAL_MAX)
		return failed(ERR_RANGE, "more than %zu bytes to seal", (size_t)SEAL_MAX);
	enum err e = WITH_SESSION(t, seal(at, key, plain, sealed));
	if (e)
		sealed->len = before;
	return e;
}

/* @out has room for the tag too: some modules ask for it before they take it off. */
static enum err unseal(struct p11 at, CK_OBJECT_HANDLE key, struct slice sealed, uint8_t *out,
		       CK_ULONG *n)
{
	uint8_t iv[IV_SIZE];
	CK_GCM_PARAMS gcm = { iv, IV_SIZE, 8 * IV_SIZE, NULL, 0, 8 * TAG_SIZE };
	CK_MECHANISM mechanism = { CKM_AES_GCM, &gcm, sizeof gcm };
	enum err e;

	memcpy(iv, sealed.p, IV_SIZE);
	if ((e = p11_result(at.f->C_DecryptInit(at.session, &mechanism, key), "C_DecryptInit")))
		return e;
	return p11_result(at.f->C_Decrypt(at.session, (CK_BYTE *)sealed.p + IV_SIZE,
					  sealed.left - IV_SIZE, out, n),
			  "C_Decrypt");
}

enum err token_unseal(struct token *t, CK_OBJECT_HANDLE key, struct slice sealed, uint8_t *plain,
		      size_t plain_n)
{
	CLEANUP(secret) struct secret out = { 0 };
	CK_ULONG n = plain_n + TAG_SIZE;
	enum err e;

	if (sealed.left != IV_SIZE + plain_n + TAG_SIZE)
		return failed(ERR_FORMAT, "%zu sealed bytes, not %zu", sealed.left,
			      IV_SIZE + plain_n + TAG_SIZE);
	if ((e = secret_new(&out, n)) || (e = WITH_SESSION(t, unseal(at, key, sealed, out.p, &n))))
		return e;
	if (n != plain_n)
		return failed(ERR_CRYPTO, "C_Decrypt: wrong length");
	memcpy(plain, out.p, plain_n);
	return OK;
}

enum err token_put_certificate(struct token *t, struct slice id, const char *label,
			       struct slice der, bool trusted, CK_OBJECT_HANDLE *out)
{
	return WITH_SESSION(t, p11_put_certificate(at, id, label, der, trusted, out));
}

enum err token_put_data(struct token *t, const char *label, struct slice value,
			CK_OBJECT_HANDLE *out)
{
	return WITH_SESSION(t, p11_put_data(at, label, value, out));
}

enum err token_list_data(struct token *t, const char *label, CK_OBJECT_HANDLE *out, size_t max,
			 size_t *n)
{
	return WITH_SESSION(t, p11_list_data(at, label, out, max, n));
}

enum err token_get_value(struct token *t, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
			 size_t max, struct buf *out)
{
	return WITH_SESSION(t, p11_get(at, object, type, max, out));
}

enum err token_destroy(struct token *t, CK_OBJECT_HANDLE object)
{
	return WITH_SESSION(
		t, p11_result(at.f->C_DestroyObject(at.session, object), "C_DestroyObject"));
}
