/* Keys and certificates are made here: at --init, by an enrolment, by a rollover. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/base/io.h"
#include "plugin/daemon/attest_inner.h"

#define YEARS(n) ((int64_t)(n)*365 * 86400)
#define CERTIFICATE_YEARS 30 /* proofs are read years later; rollover is an act of its own */
#define GRACE 3600           /* the verifier's clock and ours differ */

enum err attest_destroy_keys(struct attest *attest, struct slice id)
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

static enum err make_pair(struct attest *attest, const char *name, CK_OBJECT_HANDLE *key,
			  uint8_t point[CERTIFICATE_POINT])
{
	enum err e = attest_destroy_keys(attest, slice_text(name));

	return e ? e : token_make_ec(attest->token, name, slice_text(name), key, point);
}

/* ---- a tree's key ---- */

static enum err make_key(struct attest *attest, const char *name, const char *unit,
			 const char *serial, const char *origin, struct buf *certificate)
{
	int64_t now = (int64_t)time(NULL);
	struct certificate_spec spec = { .name = name,
					 .unit = unit,
					 .serial = serial,
					 .origin = origin,
					 .not_before = now - GRACE,
					 .not_after = now + YEARS(CERTIFICATE_YEARS) };
	struct audit_signer signer = attest_signer(attest);
	CK_OBJECT_HANDLE key;
	struct chain chain;
	enum err e;

	if ((e = chain_read(buf_slice(&attest->chain), &chain)) ||
	    (e = make_pair(attest, name, &key, spec.point)))
		return e;
	spec.issuer = chain.of[0];
	if ((e = certificate_make(&spec, &signer, attest->ca, certificate)))
		return e;
	return attest_make_ed25519(attest, &spec);
}

static enum err make_appliance_key(struct attest *attest, const char *name, struct buf *certificate)
{
	return make_key(attest, name, attest->info.label, attest->info.serial, attest->origin,
			certificate);
}

static enum err make_partition_key(struct attest *attest, const struct attest_partition *p,
				   const char *name, struct buf *certificate)
{
	char origin[AUDIT_ORIGIN_MAX];
	enum err e = attest_partition_origin(attest, slice_text(p->serial), p->generation, origin);

	return e ? e : make_key(attest, name, p->label, p->serial, origin, certificate);
}

enum err attest_make_partition(struct attest *attest, const struct attest_partition *p,
			       struct buf *certificate)
{
	char name[KEY_ID_MAX];
	enum err e = attest_first_name(slice_text(p->serial), p->generation, name);

	return e ? e : make_partition_key(attest, p, name, certificate);
}

/* ---- rollover ---- */

static enum err turn_of(const struct attest_partition *p, struct slice certificate,
			char first[KEY_ID_MAX], uint64_t *turn)
{
	enum err e =
		attest_first_name(slice_text(p ? p->serial : ""), p ? p->generation : 0, first);

	return e ? e : attest_turn(first, certificate, turn);
}

enum err attest_roll(struct attest *attest, const struct attest_partition *p,
		     struct slice certificate, struct buf *next)
{
	char first[KEY_ID_MAX], name[KEY_ID_MAX];
	uint64_t turn;
	enum err e;

	if ((e = turn_of(p, certificate, first, &turn)) ||
	    (e = attest_turn_name(first, turn + 1, name)))
		return e;
	return p ? make_partition_key(attest, p, name, next)
		 : make_appliance_key(attest, name, next);
}

enum err attest_forget_former(struct attest *attest, const struct attest_partition *p,
			      struct slice certificate)
{
	char first[KEY_ID_MAX], name[KEY_ID_MAX];
	uint64_t turn;
	enum err e;

	if ((e = turn_of(p, certificate, first, &turn)) ||
	    (e = attest_turn_name(first, turn - 1, name)))
		return e;
	if (turn < 2)
		return OK;
	e = attest_destroy_ed25519(attest, name);
	return e ? e : attest_destroy_keys(attest, slice_text(name));
}

/* Readers of the old certificate may be anywhere: each stays until the end. */
enum err attest_use_appliance(struct attest *attest, const struct state *state,
			      struct slice certificate)
{
	CLEANUP(buf) struct buf der = BUF_INIT;
	struct audit_key key;
	struct slice kept;
	enum err e;

	buf_put_slice(&der, certificate);
	if ((e = attest_keep(attest, "", &der, &kept)) ||
	    (e = attest_named_key(attest, KEY_APPLIANCE, kept, &key)) ||
	    (e = state_write(state, STATE_APPLIANCE_DER, certificate)))
		return e;
	pthread_mutex_lock(&attest->lock);
	attest->appliance = key;
	pthread_mutex_unlock(&attest->lock);
	return OK;
}

/* ---- --init ---- */

static enum err refuse_initialised(const struct state *state)
{
	bool done;
	enum err e = state_initialised(state, &done);

	return e      ? e
	       : done ? failed(ERR_EXISTS, "%s is initialised already", state_path(state))
		      : OK;
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

	if ((e = chain_put_pem(buf_slice(&attest->chain), &pem)) ||
	    (e = state_write(state, STATE_CA_PEM, buf_slice(&pem))) ||
	    (e = state_write(state, STATE_CA_DER, buf_slice(&attest->chain))))
		return e;
	return state_write(state, STATE_APPLIANCE_DER, buf_slice(&attest->appliance_der));
}

static enum err begin(struct attest *attest, struct state *state)
{
	enum err e;

	attest->ueid[0] = 0x01; /* RFC 9711 section 4.2.1: type RAND */
	if ((e = refuse_initialised(state)) || (e = refuse_old_keys(attest, state)) ||
	    (e = io_random(attest->ueid + 1, STATE_UEID_SIZE - 1)))
		return e;
	attest_name_origin(attest);
	return state_write(state, STATE_UEID, SLICE(attest->ueid));
}

/* All that the CA's certificate is needed for, and "initialised" last. */
static enum err finish(struct attest *attest, struct state *state)
{
	enum err e;

	if ((e = attest_destroy_keys(attest, slice_text(KEY_WRAP))) ||
	    (e = token_make_aes(attest->token, KEY_WRAP, slice_text(KEY_WRAP), &attest->wrap)) ||
	    (e = make_appliance_key(attest, KEY_APPLIANCE, &attest->appliance_der)) ||
	    (e = make_store_key(attest, state)) || (e = write_certificates(attest, state)) ||
	    (e = attest_write_anchor(attest, slice_of(NULL, 0))))
		return e;
	return state_write(state, STATE_INITIALISED, slice_text("1\n"));
}

/* The CA's name is the appliance's: no two have the same. */
static void describe_ca(const struct attest *attest, struct certificate_spec *spec,
			char serial[2 * STATE_UEID_SIZE + 1])
{
	int64_t now = (int64_t)time(NULL);

	hex_put(serial, attest->ueid, STATE_UEID_SIZE);
	*spec = (struct certificate_spec){ .ca = true,
					   .name = KEY_CA,
					   .serial = serial,
					   .not_before = now - GRACE,
					   .not_after = now + YEARS(CERTIFICATE_YEARS) };
}

static enum err make_ca(struct attest *attest, struct certificate_spec *spec,
			char serial[2 * STATE_UEID_SIZE + 1])
{
	describe_ca(attest, spec, serial);
	return make_pair(attest, KEY_CA, &attest->ca, spec->point);
}

enum err attest_initialise(struct attest *attest, struct state *state)
{
	struct audit_signer signer = attest_signer(attest);
	CLEANUP(buf) struct buf request = BUF_INIT;
	char serial[2 * STATE_UEID_SIZE + 1];
	struct certificate_spec spec;
	enum err e;

	if (!state_read(state, STATE_CA_REQUEST, CERTIFICATE_MAX, &request) &&
	    !refuse_initialised(state))
		return failed(ERR_STATE,
			      "%s waits for the certificate that was requested (--certificate); "
			      "remove its %s to begin anew",
			      state_path(state), STATE_CA_REQUEST);
	if ((e = begin(attest, state)) || (e = make_ca(attest, &spec, serial)) ||
	    (e = certificate_make(&spec, &signer, attest->ca, &attest->chain)))
		return e;
	return finish(attest, state);
}

static enum err find_ca(struct attest *attest, uint8_t point[CERTIFICATE_POINT])
{
	CK_OBJECT_HANDLE public;
	enum err e;

	if ((e = token_find(attest->token, CKO_PRIVATE_KEY, slice_text(KEY_CA), &attest->ca)) ||
	    (e = token_find(attest->token, CKO_PUBLIC_KEY, slice_text(KEY_CA), &public)))
		return failed(e, "the CA's key on the token: %s", err_reason());
	return token_ec_point(attest->token, public, point);
}

/* Asked for again, it is the same one, of the same key: a certificate may be on its way. */
enum err attest_request(struct attest *attest, struct state *state)
{
	struct audit_signer signer = attest_signer(attest);
	CLEANUP(buf) struct buf request = BUF_INIT;
	char serial[2 * STATE_UEID_SIZE + 1];
	struct certificate_spec spec;
	bool done;
	enum err e;

	if ((e = state_initialised(state, &done)))
		return e;
	if (!done && !state_read(state, STATE_CA_REQUEST, CERTIFICATE_MAX, &request))
		return OK;
	if (done) {
		if ((e = attest_read_ueid(attest, state)))
			return e;
		describe_ca(attest, &spec, serial);
		e = find_ca(attest, spec.point);
	} else if (!(e = begin(attest, state))) {
		e = make_ca(attest, &spec, serial);
	}
	if (e || (e = certificate_request(&spec, &signer, attest->ca, &request)))
		return e;
	return state_write(state, STATE_CA_REQUEST, buf_slice(&request));
}

static enum err check_ca(const struct attest *attest, const uint8_t point[CERTIFICATE_POINT])
{
	struct chain chain;
	enum err e;

	if (attest->chain.len > CERTIFICATE_MAX)
		return failed(ERR_RANGE, "a chain of %zu bytes, at most %d", attest->chain.len,
			      CERTIFICATE_MAX);
	if ((e = chain_read(buf_slice(&attest->chain), &chain)) ||
	    (e = certificate_check_ca(chain.of[0], point)))
		return e;
	return chain_check(&chain, (int64_t)time(NULL));
}

/* The CA's certificate anew, of the same name and key: what it issued must be its still. */
static enum err renew(struct attest *attest, const struct state *state)
{
	struct slice root;
	struct chain chain;
	enum err e;

	if ((e = state_read(state, STATE_APPLIANCE_DER, CERTIFICATE_MAX, &attest->appliance_der)) ||
	    (e = chain_read(buf_slice(&attest->chain), &chain)))
		return e;
	root = chain.of[chain.n - 1];
	if ((e = chain_verify(buf_slice(&attest->appliance_der), &chain, root, attest->origin,
			      (int64_t)time(NULL))))
		return failed(e, "it is none for what the CA issued: %s", err_reason());
	return write_certificates(attest, state);
}

static enum err take_ca(struct attest *attest, struct state *state, struct slice certificates,
			bool done)
{
	CLEANUP(buf) struct buf request = BUF_INIT;
	uint8_t point[CERTIFICATE_POINT];
	enum err e;

	if (!done && state_read(state, STATE_CA_REQUEST, CERTIFICATE_MAX, &request))
		return failed(ERR_STATE, "no certificate was requested: run \"assay init --csr\"");
	if ((e = attest_read_ueid(attest, state)) || (e = find_ca(attest, point)) ||
	    (e = chain_from_file(certificates, &attest->chain)) || (e = check_ca(attest, point)) ||
	    (done && (e = renew(attest, state))))
		return failed(e, "the CA's certificate: %s", err_reason());
	return OK;
}

enum err attest_certified(struct attest *attest, struct state *state, struct slice certificates)
{
	bool done;
	enum err e = state_initialised(state, &done);

	if (e || (e = take_ca(attest, state, certificates, done)))
		return e;
	return done ? OK : finish(attest, state);
}

enum err attest_renew(struct attest *attest, struct state *state)
{
	struct audit_signer signer = attest_signer(attest);
	CLEANUP(buf) struct buf now = BUF_INIT;
	char serial[2 * STATE_UEID_SIZE + 1];
	struct certificate_spec spec;
	struct chain chain;
	bool done;
	enum err e;

	if ((e = state_initialised(state, &done)))
		return e;
	if (!done)
		return failed(ERR_STATE, "%s is not initialised", state_path(state));
	if ((e = state_read(state, STATE_CA_DER, CERTIFICATE_MAX, &now)) ||
	    (e = chain_read(buf_slice(&now), &chain)) || (e = attest_read_ueid(attest, state)))
		return e;
	if (chain.n > 1)
		return failed(ERR_STATE, "somebody else certified the CA: ask there (--csr)");
	describe_ca(attest, &spec, serial);
	if ((e = find_ca(attest, spec.point)) ||
	    (e = certificate_make(&spec, &signer, attest->ca, &attest->chain)))
		return e;
	return renew(attest, state);
}
