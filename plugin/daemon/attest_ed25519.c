/* The Ed25519 key beside a tree's key, where the token has such keys. Its certificate lies on the token
 * with it, as private data: so no file of the state tells of it, and neither is there without the other. */
#include <stdio.h>
#include <string.h>

#include "config/base/log.h"
#include "plugin/daemon/attest_inner.h"

#define SUFFIX " ed25519"
#define COPIES_MAX 8 /* more than one: left by a crash */

static enum err name_of(const char *key, char name[KEY_ID_MAX])
{
	int n = snprintf(name, KEY_ID_MAX, "%s" SUFFIX, key);

	return n > 0 && n < KEY_ID_MAX ? OK : failed(ERR_RANGE, "a key's name of %d bytes", n);
}

/* ---- certificates that were read: whoever has a key has slices of them ---- */

static bool find_kept(struct attest *attest, const char *name, struct slice *out)
{
	pthread_mutex_lock(&attest->lock);
	struct kept *k = attest->kept;
	while (k && strcmp(k->name, name) != 0)
		k = k->next;
	if (k)
		*out = buf_slice(&k->der);
	pthread_mutex_unlock(&attest->lock);
	return k != NULL;
}

static enum err read_certificate(struct attest *attest, const char *name, struct slice *out)
{
	CLEANUP(buf) struct buf der = BUF_INIT;
	CK_OBJECT_HANDLE found[COPIES_MAX];
	size_t n;
	enum err e;

	if (find_kept(attest, name, out))
		return OK;
	if ((e = token_list_data(attest->token, name, found, COPIES_MAX, &n)))
		return e;
	if (!n)
		return failed(ERR_NOT_FOUND, "no certificate of \"%s\" on the token", name);
	if ((e = token_get_value(attest->token, found[0], CKA_VALUE, CERTIFICATE_MAX, &der)))
		return e;
	return attest_keep(attest, name, &der, out);
}

/* Half of one, from a crash while it was made, is none. */
enum err attest_find_ed25519(struct attest *attest, const char *key, struct audit_ed25519 *out)
{
	struct audit_ed25519 found;
	char name[KEY_ID_MAX];
	enum err e;

	*out = (struct audit_ed25519){ 0 };
	if ((e = name_of(key, name)))
		return e;
	if ((e = token_find(attest->token, CKO_PRIVATE_KEY, slice_text(name), &found.handle)) ||
	    (e = read_certificate(attest, name, &found.certificate)))
		return e == ERR_NOT_FOUND ? OK : e;
	*out = found;
	return OK;
}

/* ---- making ---- */

static enum err destroy_certificates(struct attest *attest, const char *name)
{
	CK_OBJECT_HANDLE found[COPIES_MAX];
	size_t n;
	enum err e = token_list_data(attest->token, name, found, COPIES_MAX, &n);

	for (size_t i = 0; !e && i < n; i++)
		e = token_destroy(attest->token, found[i]);
	return e;
}

enum err attest_destroy_ed25519(struct attest *attest, const char *key)
{
	char name[KEY_ID_MAX];
	enum err e = name_of(key, name);

	if (e || (e = destroy_certificates(attest, name)))
		return e;
	return attest_destroy_keys(attest, slice_text(name));
}

static enum err certify(struct attest *attest, const struct certificate_spec *spec)
{
	struct audit_signer signer = attest_signer(attest);
	CLEANUP(buf) struct buf der = BUF_INIT;
	CK_OBJECT_HANDLE object;
	struct slice kept;
	enum err e;

	if ((e = certificate_make(spec, &signer, attest->ca, &der)) ||
	    (e = token_put_data(attest->token, spec->name, buf_slice(&der), &object)))
		return e;
	return attest_keep(attest, spec->name, &der, &kept);
}

enum err attest_make_ed25519(struct attest *attest, const struct certificate_spec *other)
{
	struct certificate_spec spec = *other;
	uint8_t key[CERTIFICATE_ED25519];
	char name[KEY_ID_MAX];
	CK_OBJECT_HANDLE private;
	enum err e;

	if ((e = name_of(other->name, name)) || (e = attest_destroy_ed25519(attest, other->name)))
		return e;
	e = token_make_ed25519(attest->token, name, slice_text(name), &private, key);
	if (e == ERR_UNSUPPORTED)
		return OK;
	if (e) {
		log_warning("no Ed25519 key for \"%s\": %s", other->name, err_reason());
		return attest_destroy_ed25519(attest, other->name);
	}
	spec.name = name;
	spec.ed25519 = key;
	return certify(attest, &spec);
}

enum err attest_sign_ed25519(void *context, unsigned long handle, struct slice message,
			     struct buf *signature)
{
	struct attest *attest = context;

	return token_sign_ed25519(attest->token, handle, message, signature);
}
