#include "plugin/daemon/attest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "audit/cose.h"
#include "config/base/cbor.h"
#include "config/base/io.h"
#include "config/base/log.h"

#define KEY_CA "assay-ca"
#define KEY_APPLIANCE "assay-appliance"
#define KEY_WRAP "assay-wrap"
#define KEY_ID_MAX 64
#define ANCHOR "assay-anchor"
#define ANCHOR_NAME "assay-anchor-1"
#define ANCHOR_MAX (1 << 20)
#define ANCHORS_MAX 64 /* more than one: left by a crash */
#define YEARS(n) ((int64_t)(n)*365 * 86400)
#define CERTIFICATE_YEARS 30 /* proofs are read years later; rollover is an act of its own */

struct attest {
	struct token *token;
	struct token_info info;
	CK_OBJECT_HANDLE ca, appliance, wrap;
	struct buf ca_der, appliance_der;
	uint8_t ueid[STATE_UEID_SIZE];
	char origin[AUDIT_ORIGIN_MAX];
	uint64_t anchors; /* counter of the newest anchor */
};

void attest_close(struct attest *attest)
{
	if (!attest)
		return;
	token_close(attest->token);
	buf_free(&attest->ca_der);
	buf_free(&attest->appliance_der);
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
	return (struct audit_signer){ attest, signer_sign, signer_wrap, signer_unwrap };
}

void attest_appliance_key(const struct attest *attest, struct audit_key *out)
{
	*out = (struct audit_key){ attest->appliance, COSE_ES256, buf_slice(&attest->appliance_der),
				   buf_slice(&attest->ca_der) };
}

static void name_origin(struct attest *attest)
{
	char hex[2 * STATE_UEID_SIZE + 1];

	hex_put(hex, attest->ueid, STATE_UEID_SIZE);
	snprintf(attest->origin, sizeof attest->origin, "assay/%s", hex);
}

/* What an attempt that did not come to its end left under this CKA_ID. */
static enum err destroy_keys(struct attest *attest, struct slice id)
{
	static const CK_OBJECT_CLASS classes[] = { CKO_PRIVATE_KEY, CKO_PUBLIC_KEY,
						   CKO_SECRET_KEY };

	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
		CK_OBJECT_HANDLE key;
		enum err e = token_find(attest->token, classes[i], id, &key);

		if (!e)
			e = token_destroy(attest->token, key);
		if (e && e != ERR_NOT_FOUND)
			return e;
	}
	return OK;
}

static enum err make_key(struct attest *attest, const char *name, const char *origin,
			 CK_OBJECT_HANDLE *key, struct buf *certificate)
{
	struct certificate_spec spec = { .ca = !origin, .name = name, .origin = origin };
	struct audit_signer signer = attest_signer(attest);
	struct slice id = slice_text(name);
	time_t now = time(NULL);
	enum err e;

	/* An hour of grace: the verifier's clock and ours differ. */
	spec.not_before = now - 3600;
	spec.not_after = now + YEARS(CERTIFICATE_YEARS);
	if (origin)
		spec.issuer = buf_slice(&attest->ca_der);
	if ((e = destroy_keys(attest, id)) ||
	    (e = token_make_ec(attest->token, name, id, key, spec.point)))
		return e;
	return certificate_make(&spec, &signer, origin ? attest->ca : *key, certificate);
}

/* A state directory that was lost while its token was kept leaves keys behind that old proofs name:
 * they are not ours to destroy. Those of an --init that was cut short are: the marker says so. */
static enum err refuse_old_keys(struct attest *attest, const struct state *state)
{
	CLEANUP(buf) struct buf marker = BUF_INIT;
	CK_OBJECT_HANDLE old;

	if (!state_read(state, STATE_INITIALISING, 16, &marker))
		return OK;
	enum err e = token_find(attest->token, CKO_PRIVATE_KEY, slice_text(KEY_CA), &old);

	if (e == ERR_NOT_FOUND)
		return state_write(state, STATE_INITIALISING, slice_text("1\n"));
	if (e && e != ERR_EXISTS)
		return e;
	return failed(ERR_EXISTS,
		      "token %s holds the keys of an appliance already; use an empty token",
		      attest->info.label);
}

static enum err make_store_key(struct attest *attest, struct state *state)
{
	CLEANUP(secret) struct secret key = { 0 };
	CLEANUP(buf) struct buf sealed = BUF_INIT;
	enum err e;

	if ((e = secret_new(&key, 32)) || (e = io_random(key.p, key.len)) ||
	    (e = token_seal(attest->token, attest->wrap, slice_of(key.p, key.len), &sealed)))
		return e;
	return state_write(state, STATE_STORE_KEY, buf_slice(&sealed));
}

static enum err write_certificates(const struct attest *attest, const struct state *state)
{
	CLEANUP(buf) struct buf pem = BUF_INIT;
	enum err e;

	certificate_put_pem(buf_slice(&attest->ca_der), &pem);
	if ((e = buf_check(&pem)) || (e = state_write(state, STATE_CA_PEM, buf_slice(&pem))) ||
	    (e = state_write(state, STATE_CA_DER, buf_slice(&attest->ca_der))))
		return e;
	return state_write(state, STATE_APPLIANCE_DER, buf_slice(&attest->appliance_der));
}

enum err attest_initialise(struct attest *attest, struct state *state)
{
	bool done;
	enum err e;

	if ((e = state_initialised(state, &done)))
		return e;
	if (done)
		return failed(ERR_EXISTS, "%s is initialised already", state_path(state));
	attest->ueid[0] = 0x01; /* RFC 9711 section 4.2.1: type RAND */
	if ((e = refuse_old_keys(attest, state)) ||
	    (e = io_random(attest->ueid + 1, STATE_UEID_SIZE - 1)))
		return e;
	name_origin(attest);
	if ((e = destroy_keys(attest, slice_text(KEY_WRAP))) ||
	    (e = token_make_aes(attest->token, KEY_WRAP, slice_text(KEY_WRAP), &attest->wrap)) ||
	    (e = make_key(attest, KEY_CA, NULL, &attest->ca, &attest->ca_der)) ||
	    (e = make_key(attest, KEY_APPLIANCE, attest->origin, &attest->appliance,
			  &attest->appliance_der)) ||
	    (e = make_store_key(attest, state)) || (e = write_certificates(attest, state)) ||
	    (e = state_write(state, STATE_UEID, SLICE(attest->ueid))) ||
	    (e = attest_write_anchor(attest, slice_of(NULL, 0))))
		return e;
	return state_write(state, STATE_INITIALISED, slice_text("1\n"));
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

enum err attest_load(struct attest *attest, struct state *state)
{
	CLEANUP(buf) struct buf ueid = BUF_INIT;
	struct token *token = attest->token;
	bool done;
	enum err e;

	if ((e = state_initialised(state, &done)))
		return e;
	if (!done)
		return failed(ERR_STATE, "%s is not initialised: run \"assay init\"",
			      state_path(state));
	if ((e = state_read(state, STATE_UEID, STATE_UEID_SIZE, &ueid)))
		return e;
	if (ueid.len != STATE_UEID_SIZE)
		return failed(ERR_FORMAT, "%s: %zu bytes", STATE_UEID, ueid.len);
	memcpy(attest->ueid, ueid.data, STATE_UEID_SIZE);
	name_origin(attest);
	if ((e = token_find(token, CKO_PRIVATE_KEY, slice_text(KEY_CA), &attest->ca)) ||
	    (e = token_find(token, CKO_PRIVATE_KEY, slice_text(KEY_APPLIANCE),
			    &attest->appliance)) ||
	    (e = token_find(token, CKO_SECRET_KEY, slice_text(KEY_WRAP), &attest->wrap)) ||
	    (e = state_read(state, STATE_CA_DER, CERTIFICATE_MAX, &attest->ca_der)) ||
	    (e = state_read(state, STATE_APPLIANCE_DER, CERTIFICATE_MAX, &attest->appliance_der)))
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

static enum err partition_key_id(struct slice serial, uint64_t generation, char id[KEY_ID_MAX])
{
	int n = snprintf(id, KEY_ID_MAX, "assay-partition %.*s %llu", (int)serial.left, serial.p,
			 (unsigned long long)generation);

	return n > 0 && n < KEY_ID_MAX ? OK
				       : failed(ERR_RANGE, "a serial of %zu bytes", serial.left);
}

enum err attest_make_partition(struct attest *attest, struct slice serial, uint64_t generation,
			       struct buf *certificate)
{
	char id[KEY_ID_MAX], origin[AUDIT_ORIGIN_MAX];
	CK_OBJECT_HANDLE key;
	enum err e;

	if ((e = partition_key_id(serial, generation, id)) ||
	    (e = attest_partition_origin(attest, serial, generation, origin)))
		return e;
	return make_key(attest, id, origin, &key, certificate);
}

enum err attest_partition_key(struct attest *attest, struct slice serial, uint64_t generation,
			      struct slice certificate, struct audit_key *out)
{
	char id[KEY_ID_MAX];
	CK_OBJECT_HANDLE key;
	enum err e;

	if ((e = partition_key_id(serial, generation, id)) ||
	    (e = token_find(attest->token, CKO_PRIVATE_KEY, slice_text(id), &key)))
		return e;
	*out = (struct audit_key){ key, COSE_ES256, certificate, buf_slice(&attest->ca_der) };
	return OK;
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
