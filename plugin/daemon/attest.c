#include "plugin/daemon/attest_inner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/cose.h"
#include "config/base/cbor.h"
#include "config/base/log.h"

#define ANCHOR "assay-anchor"
#define ANCHOR_NAME "assay-anchor-1"
#define ANCHOR_MAX (1 << 20)
#define ANCHORS_MAX 64 /* more than one: left by a crash */

void attest_close(struct attest *attest)
{
	if (!attest)
		return;
	token_close(attest->token);
	buf_free(&attest->chain);
	buf_free(&attest->appliance_der);
	for (struct kept *next; attest->kept; attest->kept = next) {
		next = attest->kept->next;
		buf_free(&attest->kept->der);
		free(attest->kept);
	}
	pthread_mutex_destroy(&attest->lock);
	free(attest);
}

void attest_cleanup(struct attest **attest)
{
	attest_close(STEAL(*attest));
}

const struct token_info *attest_token(const struct attest *attest)
{
	return &attest->info;
}

struct token *attest_device(const struct attest *attest)
{
	return attest->token;
}

const uint8_t *attest_ueid(const struct attest *attest)
{
	return attest->ueid;
}

const char *attest_origin(const struct attest *attest)
{
	return attest->origin;
}

static enum err check_settings(const struct config *config, const char *module)
{
	if (!*module)
		return failed(ERR_USAGE, "neither token.module nor hsm.module is set");
	if (!*config->token_pin_file)
		return failed(ERR_USAGE, "token.pin_file is not set");
	return OK;
}

enum err attest_open(const struct config *config, struct attest **out)
{
	CLEANUP(attest) struct attest *attest = calloc(1, sizeof *attest);
	CLEANUP(secret) struct secret pin = { 0 };
	const char *module = *config->token_module ? config->token_module : config->hsm_module;
	enum err e;

	if (!attest)
		return failed(ERR_MEMORY, "token");
	pthread_mutex_init(&attest->lock, NULL);
	if ((e = check_settings(config, module)) ||
	    (e = secret_from_file(&pin, config->token_pin_file)) ||
	    (e = config_environment(&config->token_environment, true)) ||
	    (e = token_open(module, config->token_label, NULL, &attest->token)) ||
	    (e = token_login(attest->token, CKU_USER, &pin)))
		return e;
	token_info(attest->token, &attest->info);
	*out = STEAL(attest);
	return OK;
}

/* What audit_signer asks for. */
static enum err signer_sign(void *context, unsigned long handle, const uint8_t digest[SHA256_SIZE],
			    struct buf *signature)
{
	struct attest *attest = context;

	return token_sign(attest->token, handle, digest, signature);
}

static enum err signer_wrap(void *context, struct slice key, struct buf *wrapped)
{
	struct attest *attest = context;

	return token_seal(attest->token, attest->wrap, key, wrapped);
}

static enum err signer_unwrap(void *context, struct slice wrapped, uint8_t *key, size_t key_n)
{
	struct attest *attest = context;

	return token_unseal(attest->token, attest->wrap, wrapped, key, key_n);
}

struct audit_signer attest_signer(struct attest *attest)
{
	return (struct audit_signer){ attest, signer_sign, signer_wrap, signer_unwrap,
				      attest_sign_ed25519 };
}

void attest_appliance_key(struct attest *attest, struct audit_key *out)
{
	pthread_mutex_lock(&attest->lock);
	*out = attest->appliance;
	pthread_mutex_unlock(&attest->lock);
}

struct slice attest_chain(const struct attest *attest)
{
	return buf_slice(&attest->chain);
}

void attest_name_origin(struct attest *attest)
{
	char hex[2 * STATE_UEID_SIZE + 1];

	hex_put(hex, attest->ueid, STATE_UEID_SIZE);
	snprintf(attest->origin, sizeof attest->origin, "assay/%s", hex);
}

enum err attest_keep(struct attest *attest, const char *name, struct buf *der, struct slice *out)
{
	struct kept *kept = calloc(1, sizeof *kept);

	if (!kept || buf_check(der)) {
		free(kept);
		return failed(ERR_MEMORY, "certificate");
	}
	snprintf(kept->name, sizeof kept->name, "%s", name);
	kept->der = *der;
	*der = BUF_INIT;
	*out = buf_slice(&kept->der);
	pthread_mutex_lock(&attest->lock);
	kept->next = attest->kept;
	attest->kept = kept;
	pthread_mutex_unlock(&attest->lock);
	return OK;
}

/* ---- keys by their names ---- */

enum err attest_first_name(struct slice serial, uint64_t generation, char name[KEY_ID_MAX])
{
	int n = serial.left ? snprintf(name, KEY_ID_MAX, "assay-partition %.*s %llu",
				       (int)serial.left, serial.p, (unsigned long long)generation)
			    : snprintf(name, KEY_ID_MAX, "%s", KEY_APPLIANCE);

	return n > 0 && n < KEY_ID_MAX - ATTEST_MORE_MAX
		       ? OK
		       : failed(ERR_RANGE, "a serial of %zu bytes", serial.left);
}

enum err attest_turn_name(const char *first, uint64_t turn, char name[KEY_ID_MAX])
{
	int n = turn < 2 ? snprintf(name, KEY_ID_MAX, "%s", first)
			 : snprintf(name, KEY_ID_MAX, "%s #%llu", first, (unsigned long long)turn);

	return n > 0 && n < KEY_ID_MAX ? OK : failed(ERR_RANGE, "too many rollovers of a key");
}

enum err attest_turn(const char *first, struct slice certificate, uint64_t *turn)
{
	char name[CERTIFICATE_NAME], again[KEY_ID_MAX];
	size_t n = strlen(first);
	enum err e = certificate_name(certificate, name);

	if (e)
		return e;
	*turn = !strncmp(name, first, n) && !strncmp(name + n, " #", 2)
			? strtoull(name + n + 2, NULL, 10)
			: 1;
	if ((e = attest_turn_name(first, *turn, again)))
		return e;
	return strcmp(again, name) ? failed(ERR_MISMATCH,
					    "the certificate of \"%s\" in the place of "
					    "\"%s\"",
					    name, first)
				   : OK;
}

/* While the key before it is on the token too, checkpoints carry signatures of both. */
static enum err find_former(struct attest *attest, const char *first, uint64_t turn,
			    struct audit_key *out)
{
	char name[KEY_ID_MAX];
	enum err e = turn < 2 ? ERR_NOT_FOUND : attest_turn_name(first, turn - 1, name);

	if (!e)
		e = token_find(attest->token, CKO_PRIVATE_KEY, slice_text(name), &out->former);
	out->overlap = !e;
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	return attest_find_ed25519(attest, name, &out->former_ed25519);
}

enum err attest_named_key(struct attest *attest, const char *first, struct slice certificate,
			  struct audit_key *out)
{
	char name[KEY_ID_MAX];
	uint64_t turn;
	enum err e;

	*out = (struct audit_key){ .alg = COSE_ES256,
				   .certificate = certificate,
				   .chain = buf_slice(&attest->chain) };
	if ((e = attest_turn(first, certificate, &turn)) ||
	    (e = attest_turn_name(first, turn, name)) ||
	    (e = token_find(attest->token, CKO_PRIVATE_KEY, slice_text(name), &out->handle)) ||
	    (e = attest_find_ed25519(attest, name, &out->ed25519)))
		return e;
	return find_former(attest, first, turn, out);
}

static enum err load_store_key(struct attest *attest, struct state *state)
{
	CLEANUP(secret) struct secret key = { 0 };
	CLEANUP(buf) struct buf sealed = BUF_INIT;
	enum err e;

	if ((e = state_read(state, STATE_STORE_KEY, 256, &sealed)) || (e = secret_new(&key, 32)) ||
	    (e = token_unseal(attest->token, attest->wrap, buf_slice(&sealed), key.p, key.len)))
		return e;
	return state_use_key(state, &key);
}

enum err attest_read_ueid(struct attest *attest, const struct state *state)
{
	CLEANUP(buf) struct buf ueid = BUF_INIT;
	enum err e = state_read(state, STATE_UEID, STATE_UEID_SIZE, &ueid);

	if (e)
		return e;
	if (ueid.len != STATE_UEID_SIZE)
		return failed(ERR_FORMAT, "%s: %zu bytes", STATE_UEID, ueid.len);
	memcpy(attest->ueid, ueid.data, STATE_UEID_SIZE);
	attest_name_origin(attest);
	return OK;
}

static enum err check_initialised(const struct state *state)
{
	CLEANUP(buf) struct buf request = BUF_INIT;
	bool done;
	enum err e = state_initialised(state, &done);

	if (e || done)
		return e;
	return state_read(state, STATE_CA_REQUEST, CERTIFICATE_MAX, &request)
		       ? failed(ERR_STATE, "%s is not initialised: run \"assay init\"",
				state_path(state))
		       : failed(ERR_STATE,
				"%s waits for the CA's certificate: run \"assay init "
				"--certificate FILE\"",
				state_path(state));
}

enum err attest_load(struct attest *attest, struct state *state)
{
	struct token *token = attest->token;
	enum err e;

	if ((e = check_initialised(state)) || (e = attest_read_ueid(attest, state)) ||
	    (e = token_find(token, CKO_PRIVATE_KEY, slice_text(KEY_CA), &attest->ca)) ||
	    (e = token_find(token, CKO_SECRET_KEY, slice_text(KEY_WRAP), &attest->wrap)) ||
	    (e = state_read(state, STATE_CA_DER, CERTIFICATE_MAX, &attest->chain)) ||
	    (e = state_read(state, STATE_APPLIANCE_DER, CERTIFICATE_MAX, &attest->appliance_der)) ||
	    (e = attest_named_key(attest, KEY_APPLIANCE, buf_slice(&attest->appliance_der),
				  &attest->appliance)))
		return e;
	return load_store_key(attest, state);
}

enum err attest_partition_origin(const struct attest *attest, struct slice serial,
				 uint64_t generation, char out[AUDIT_ORIGIN_MAX])
{
	CLEANUP(buf) struct buf text = BUF_INIT;

	buf_printf(&text, "%s/", attest->origin);
	for (size_t i = 0; i < serial.left; i++) {
		uint8_t c = serial.p[i];
		bool plain =
			(c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		buf_printf(&text, plain ? "%c" : "%%%02x", c);
	}
	buf_printf(&text, "/%llu", (unsigned long long)generation);
	const char *origin = buf_text(&text);
	if (!origin)
		return failed(ERR_MEMORY, "origin");
	if (text.len >= AUDIT_ORIGIN_MAX)
		return failed(ERR_RANGE, "an origin of %zu bytes", text.len);
	memcpy(out, origin, text.len + 1);
	return OK;
}

enum err attest_partition_key(struct attest *attest, struct slice serial, uint64_t generation,
			      struct slice certificate, struct audit_key *out)
{
	char first[KEY_ID_MAX];
	enum err e = attest_first_name(serial, generation, first);

	return e ? e : attest_named_key(attest, first, certificate, out);
}

/* ---- the anchor: [name, counter, body] ---- */

static enum err take_anchor(struct slice in, uint64_t *counter, struct slice *body)
{
	struct slice name;
	size_t n;
	enum err e;

	if ((e = cbor_take_array(&in, 3, &n)) || (e = cbor_take_text(&in, 64, &name)) ||
	    (e = cbor_take_uint(&in, counter)) || (e = cbor_take_bytes(&in, ANCHOR_MAX, body)) ||
	    (e = cbor_take_end(in)))
		return e;
	return n == 3 && slice_is(name, ANCHOR_NAME) ? OK : failed(ERR_FORMAT, "no anchor");
}

/* One that can't be read was being made when the daemon was killed: an older one is there then. */
static bool read_one(struct attest *attest, CK_OBJECT_HANDLE object, struct buf *body)
{
	CLEANUP(buf) struct buf value = BUF_INIT;
	struct slice content;
	uint64_t counter;

	if (token_get_value(attest->token, object, CKA_VALUE, ANCHOR_MAX, &value) ||
	    take_anchor(buf_slice(&value), &counter, &content)) {
		log_warning("an anchor on the token is damaged: %s", err_reason());
		return false;
	}
	if (counter < attest->anchors)
		return false;
	attest->anchors = counter;
	buf_reset(body);
	buf_put_slice(body, content);
	return true;
}

enum err attest_read_anchor(struct attest *attest, struct buf *body)
{
	CK_OBJECT_HANDLE found[ANCHORS_MAX];
	bool any = false;
	size_t n;
	enum err e = token_list_data(attest->token, ANCHOR, found, ANCHORS_MAX, &n);

	if (e)
		return e;
	for (size_t i = 0; i < n; i++)
		any |= read_one(attest, found[i], body);
	return any ? buf_check(body)
		   : failed(ERR_NOT_FOUND,
			    "token %s holds no anchor of the log: it was put back, or is another",
			    attest->info.label);
}

enum err attest_write_anchor(struct attest *attest, struct slice body)
{
	CLEANUP(buf) struct buf value = BUF_INIT;
	CK_OBJECT_HANDLE old[ANCHORS_MAX], made;
	size_t n;
	enum err e;

	cbor_put_array(&value, 3);
	cbor_put_text(&value, ANCHOR_NAME);
	cbor_put_uint(&value, attest->anchors + 1);
	cbor_put_bytes(&value, body);
	if ((e = buf_check(&value)) ||
	    (e = token_list_data(attest->token, ANCHOR, old, ANCHORS_MAX, &n)) ||
	    (e = token_put_data(attest->token, ANCHOR, buf_slice(&value), &made)))
		return e;
	attest->anchors++;
	for (size_t i = 0; i < n; i++)
		if ((e = token_destroy(attest->token, old[i])))
			return e;
	return OK;
}
