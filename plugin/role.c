#include "plugin/role.h"

#include <string.h>

#include "pkcs11/p11.h"
#include "pkcs11/token.h"

static enum err new_id(const char *prefix, uint8_t *id, size_t n)
{
	size_t fixed = strlen(prefix);

	memcpy(id, prefix, fixed);
	return io_random(id + fixed, n - fixed);
}

enum err role_new_key_id(uint8_t id[ROLE_KEY_ID_SIZE])
{
	return new_id(ROLE_KEY_ID_PREFIX, id, ROLE_KEY_ID_SIZE);
}

enum err role_new_certificate_id(uint8_t id[ROLE_CERTIFICATE_ID_SIZE])
{
	return new_id(ROLE_CERTIFICATE_ID_PREFIX, id, ROLE_CERTIFICATE_ID_SIZE);
}

static bool starts_with(struct slice s, const char *prefix, size_t size)
{
	return s.left == size && memcmp(s.p, prefix, strlen(prefix)) == 0;
}

bool role_owns_id(struct slice id)
{
	return starts_with(id, ROLE_KEY_ID_PREFIX, ROLE_KEY_ID_SIZE) ||
	       starts_with(id, ROLE_CERTIFICATE_ID_PREFIX, ROLE_CERTIFICATE_ID_SIZE);
}

void role_certificate(const uint8_t challenge[32], uint8_t der[ROLE_CERTIFICATE_SIZE])
{
	static const uint8_t head[] = { 0x30, 0x22, 0x04, 0x20 };

	memcpy(der, head, sizeof head);
	memcpy(der + sizeof head, challenge, 32);
}

/* Asks for a challenge and makes it, from what this side knows and the daemon's nonce. */
static enum err get_challenge(struct link *link, const struct role_claim *claim, uint8_t digest[32])
{
	CLEANUP(wire) struct wire_message request, answer;
	struct wire_challenge c = { .origin = claim->origin,
				    .serial = claim->serial,
				    .generation = claim->generation,
				    .role = claim->role,
				    .epoch = claim->epoch };
	struct slice in;
	enum err e;

	wire_init(&request);
	wire_init(&answer);
	memcpy(c.boot, link_boot_id(link), sizeof c.boot);
	memcpy(c.connection, link_connection_id(link), sizeof c.connection);
	if ((e = io_random(c.client_nonce, sizeof c.client_nonce)))
		return e;
	link_request(&request, REQ_CHALLENGE, 4);
	cbor_put_text_slice(&request.bytes, claim->serial);
	cbor_put_uint(&request.bytes, claim->role);
	cbor_put_uint(&request.bytes, claim->epoch);
	cbor_put_bytes(&request.bytes, SLICE(c.client_nonce));
	if ((e = link_call(link, &request, &answer, &in)))
		return e;
	if (cbor_take_fixed(&in, c.daemon_nonce, sizeof c.daemon_nonce) || cbor_take_end(in))
		return failed(ERR_FORMAT, "the daemon's challenge is malformed");
	return wire_role_challenge(&c, digest);
}

static enum err send_proof(struct link *link, const struct role_claim *claim, struct slice proof,
			   uint64_t *seconds)
{
	CLEANUP(wire) struct wire_message request, answer;
	struct slice in;
	enum err e;

	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_PROVE, 3);
	cbor_put_text_slice(&request.bytes, claim->serial);
	cbor_put_uint(&request.bytes, claim->role);
	cbor_put_bytes(&request.bytes, proof);
	if ((e = link_call(link, &request, &answer, &in)))
		return e;
	if (cbor_take_uint(&in, seconds) || cbor_take_end(in))
		return failed(ERR_FORMAT, "the daemon's grant is malformed");
	return OK;
}

/* The daemon decides by its own look at the token; the reason stays that of the missing key. */
static enum err tell_missing(struct link *link, const struct role_claim *claim)
{
	CLEANUP(wire) struct wire_message request, answer;
	struct slice in;

	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_SUSPEND, 1);
	cbor_put_text_slice(&request.bytes, claim->serial);
	if (link_call(link, &request, &answer, &in))
		return failed(ERR_NOT_FOUND, "the token lacks the partition's role key (%s)",
			      err_reason());
	return failed(ERR_NOT_FOUND, "the token lacks the partition's role key");
}

/* Private objects are hidden from others than the user: looking for the key without this check
 * would report a key as missing that is only hidden. */
static enum err check_state(struct p11 at, enum wire_role role)
{
	CK_SESSION_INFO info;
	enum err e = p11_result(at.f->C_GetSessionInfo(at.session, &info), "C_GetSessionInfo");

	if (e)
		return e;
	bool good = role == WIRE_SO ? info.state == CKS_RW_SO_FUNCTIONS
				    : info.state == CKS_RO_USER_FUNCTIONS ||
					      info.state == CKS_RW_USER_FUNCTIONS;
	return good ? OK
		    : failed(ERR_LOGIN, "the %s is not logged in", role == WIRE_SO ? "SO" : "user");
}

static enum err prove_user(struct link *link, struct p11 at, const struct role_claim *claim,
			   uint64_t *seconds)
{
	CLEANUP(buf) struct buf signature = BUF_INIT;
	CK_OBJECT_HANDLE key;
	uint8_t digest[32];
	enum err e = p11_find(at, CKO_PRIVATE_KEY, claim->key_id, &key);

	if (e == ERR_NOT_FOUND)
		return tell_missing(link, claim);
	if (e || (e = get_challenge(link, claim, digest)) ||
	    (e = p11_sign(at, key, digest, &signature)))
		return e;
	return send_proof(link, claim, buf_slice(&signature), seconds);
}

static enum err prove_so(struct link *link, struct p11 at, const struct role_claim *claim,
			 uint64_t *seconds)
{
	uint8_t digest[32], id[ROLE_CERTIFICATE_ID_SIZE], der[ROLE_CERTIFICATE_SIZE];
	CK_OBJECT_HANDLE certificate;
	enum err e;

	if ((e = get_challenge(link, claim, digest)) || (e = role_new_certificate_id(id)))
		return e;
	role_certificate(digest, der);
	if ((e = p11_put_certificate(at, SLICE(id), ROLE_CERTIFICATE_LABEL, SLICE(der), true,
				     &certificate)))
		return e;
	e = send_proof(link, claim, SLICE(id), seconds);
	CK_RV rv = at.f->C_DestroyObject(at.session, certificate);
	return e ? e : p11_result(rv, "C_DestroyObject");
}

enum err role_prove(struct link *link, CK_FUNCTION_LIST *hsm, CK_SLOT_ID slot,
		    const struct role_claim *claim, uint64_t *seconds)
{
	struct p11 at = { .f = hsm };
	CK_FLAGS flags = CKF_SERIAL_SESSION | (claim->role == WIRE_SO ? CKF_RW_SESSION : 0);
	CK_RV rv = hsm->C_OpenSession(slot, flags, NULL, NULL, &at.session);

	/* Read-only sessions and the SO exclude each other. */
	if (rv == CKR_SESSION_READ_WRITE_SO_EXISTS || rv == CKR_SESSION_READ_ONLY_EXISTS)
		return failed(ERR_LOGIN, "C_OpenSession: %s", ckr_name(rv));
	enum err e = p11_result(rv, "C_OpenSession");
	if (e)
		return e;
	if (!(e = check_state(at, claim->role)))
		e = claim->role == WIRE_SO ? prove_so(link, at, claim, seconds)
					   : prove_user(link, at, claim, seconds);
	(void)hsm->C_CloseSession(at.session);
	return e;
}
