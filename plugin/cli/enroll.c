#include <stdlib.h>
#include <string.h>

#include "audit/chain.h"
#include "pkcs11/token.h"
#include "plugin/cli/cli.h"
#include "plugin/cli/json.h"
#include "plugin/cli/pin.h"
#include "plugin/cli/remote.h"
#include "plugin/role.h"

/* One enrolment, from the token's and the daemon's side. */
struct enrolment {
	const char *label, *serial, *module, *out;
	struct pin_source user_source, so_source;
	struct secret user_pin, so_pin;
	struct remote remote;
	struct token *token;
	struct token_info info;
	uint64_t generation;
	char origin[257];
	uint8_t nonce[32], challenge[32];
	uint8_t key_id[ROLE_KEY_ID_SIZE], certificate_id[ROLE_CERTIFICATE_ID_SIZE];
	uint8_t point[65];
	bool key_made;
	struct buf old_key_id;             /* of the generation before; empty: none */
	struct buf signature, certificate; /* with those above it */
};

static void enrolment_cleanup(struct enrolment *en)
{
	token_cleanup(&en->token);
	remote_cleanup(&en->remote);
	secret_free(&en->user_pin);
	secret_free(&en->so_pin);
	buf_free(&en->old_key_id);
	buf_free(&en->signature);
	buf_free(&en->certificate);
}

/* hsm.environment says where the daemon's probe finds the token: a default for what the caller's
 * own environment leaves open. */
static enum err open_token(struct enrolment *en)
{
	const struct config *config = en->remote.config;
	const char *module = en->module ? en->module : getenv(HSM_MODULE_VARIABLE);
	enum err e;

	if (!module || !*module)
		module = config->hsm_module;
	if (!*module)
		return failed(ERR_USAGE, "no HSM module: --module, %s or hsm.module expected",
			      HSM_MODULE_VARIABLE);
	if ((e = config_environment(&config->hsm_environment, false)) ||
	    (e = token_open(module, en->label, en->serial, &en->token)))
		return e;
	token_info(en->token, &en->info);
	return OK;
}

/* The role key of an earlier enrolment, to be destroyed once the new one counts. */
static enum err note_old_key(void *context, const struct wire_partition *p)
{
	struct enrolment *en = context;

	if (slice_is(p->serial, en->info.serial))
		buf_put_slice(&en->old_key_id, p->key_id);
	return buf_check(&en->old_key_id);
}

static enum err begin(struct enrolment *en)
{
	struct slice in, origin;
	enum err e;

	remote_request(&en->remote, REQ_ENROLL_BEGIN, 2);
	cbor_put_text(&en->remote.request.bytes, en->info.serial);
	cbor_put_text(&en->remote.request.bytes, en->info.label);
	if ((e = remote_call(&en->remote, &in)))
		return e;
	if ((e = cbor_take_fixed(&in, en->nonce, sizeof en->nonce)) ||
	    (e = cbor_take_uint(&in, &en->generation)) ||
	    (e = cbor_take_text(&in, sizeof en->origin - 1, &origin)))
		return failed(e, "the daemon's answer is malformed");
	memcpy(en->origin, origin.p, origin.left);
	en->origin[origin.left] = '\0';
	return OK;
}

/* As the user: the role key, and its signature over the challenge, which names its public half. */
static enum err prove_user(struct enrolment *en)
{
	CK_OBJECT_HANDLE key;
	enum err e;

	if ((e = token_login(en->token, CKU_USER, &en->user_pin)))
		return failed(e, "the user's login: %s", err_reason());
	if (!(e = role_new_key_id(en->key_id)) &&
	    !(e = token_make_ec(en->token, ROLE_KEY_LABEL, SLICE(en->key_id), &key, en->point)))
		en->key_made = true;
	if (!e)
		e = wire_enroll_challenge(slice_text(en->origin), slice_text(en->info.serial),
					  en->generation, en->point, en->nonce, en->challenge);
	if (!e)
		e = token_sign(en->token, key, en->challenge, &en->signature);
	enum err out = token_logout(en->token);
	return e ? e : out;
}

static enum err send(struct enrolment *en)
{
	struct slice in, certificate, above;
	struct buf *b = &en->remote.request.bytes;
	enum err e;

	remote_request(&en->remote, REQ_ENROLL, 5);
	cbor_put_text(b, en->info.serial);
	cbor_put_bytes(b, SLICE(en->point));
	cbor_put_bytes(b, SLICE(en->key_id));
	cbor_put_bytes(b, buf_slice(&en->signature));
	cbor_put_bytes(b, SLICE(en->certificate_id));
	if ((e = remote_call(&en->remote, &in)))
		return e;
	if ((e = cbor_take_bytes(&in, CERTIFICATE_MAX, &certificate)) ||
	    (e = cbor_take_bytes(&in, CERTIFICATE_MAX, &above)))
		return failed(e, "the daemon's answer is malformed");
	buf_put_slice(&en->certificate, certificate);
	buf_put_slice(&en->certificate, above);
	return buf_check(&en->certificate);
}

/* As the SO: a trusted object with the same challenge, there while the daemon looks. */
static enum err prove_so(struct enrolment *en)
{
	uint8_t der[ROLE_CERTIFICATE_SIZE];
	CK_OBJECT_HANDLE object;
	enum err e, destroyed = OK;

	if ((e = token_login(en->token, CKU_SO, &en->so_pin)))
		return failed(e, "the SO's login: %s", err_reason());
	role_certificate(en->challenge, der);
	e = role_new_certificate_id(en->certificate_id);
	if (!e)
		e = token_put_certificate(en->token, SLICE(en->certificate_id),
					  ROLE_CERTIFICATE_LABEL, SLICE(der), true, &object);
	if (!e) {
		e = send(en);
		/* The reason of the daemon's refusal is the one to show. */
		if (e)
			(void)!token_destroy(en->token, object);
		else
			destroyed = token_destroy(en->token, object);
	}
	if (e) {
		char reason[ERR_REASON_MAX];

		snprintf(reason, sizeof reason, "%s", err_reason());
		(void)!token_logout(en->token);
		return failed(e, "%s", reason);
	}
	e = token_logout(en->token);
	return destroyed ? destroyed : e;
}

/* As the user: takes a role key off the token that no enrolment counts on. */
static enum err remove_key(struct enrolment *en, struct slice id)
{
	CK_OBJECT_HANDLE object;
	enum err e = token_login(en->token, CKU_USER, &en->user_pin);

	if (e)
		return e;
	if (!(e = token_find(en->token, CKO_PRIVATE_KEY, id, &object)))
		e = token_destroy(en->token, object);
	if (!e && !(e = token_find(en->token, CKO_PUBLIC_KEY, id, &object)))
		e = token_destroy(en->token, object);
	enum err out = token_logout(en->token);
	return e ? e : out;
}

static enum err enroll(struct cli *cli, struct enrolment *en)
{
	enum err e;

	if ((e = cli_can_write(en->out)) || (e = pin_read(&en->user_source, &en->user_pin)) ||
	    (e = pin_read(&en->so_source, &en->so_pin)) || (e = remote_open(cli, &en->remote)) ||
	    (e = open_token(en)) || (e = remote_partitions(&en->remote, note_old_key, en)) ||
	    (e = begin(en)))
		return e;
	if (!(e = prove_user(en)))
		e = prove_so(en);
	if (e && en->key_made) {
		char reason[ERR_REASON_MAX];

		snprintf(reason, sizeof reason, "%s", err_reason());
		if (remove_key(en, SLICE(en->key_id)))
			cli_say("the unused role key stays on the token: %s", err_reason());
		return failed(e, "%s", reason);
	}
	/* An initialised token has lost its old role key already. */
	if (!e && en->old_key_id.len) {
		enum err removed = remove_key(en, buf_slice(&en->old_key_id));

		if (removed && removed != ERR_NOT_FOUND)
			cli_say("the earlier role key stays on the token: %s", err_reason());
	}
	return e;
}

static enum err print(struct cli *cli, struct enrolment *en)
{
	CLEANUP(buf) struct buf pem = BUF_INIT;
	enum err e = chain_put_pem(buf_slice(&en->certificate), &pem);

	if (en->out && !e)
		e = cli_write(cli, en->out, 0644, buf_slice(&pem));
	buf_put_text(&cli->out, "partition ");
	plain_put_text(&cli->out, slice_text(en->info.label));
	buf_printf(&cli->out, " (serial %s, generation %llu) is enrolled; origin of its log: ",
		   en->info.serial, (unsigned long long)en->generation);
	plain_put_text(&cli->out, slice_text(en->origin));
	buf_put_text(&cli->out, "\n");
	return e;
}

int cmd_partition_enroll(struct cli *cli)
{
	CLEANUP(enrolment)
	struct enrolment en = { .user_source = { .what = "user PIN" },
				.so_source = { .what = "SO PIN" } };
	const struct cli_option options[] = {
		CLI_TEXT("token", "LABEL", &en.label, "the partition's token, by its label"),
		CLI_TEXT("serial", "SERIAL", &en.serial, "or by its serial number"),
		CLI_TEXT("module", "FILE", &en.module,
			 "the HSM's PKCS#11 module; default: $ASSAY_HSM_MODULE, else hsm.module"),
		CLI_TEXT("pin-file", "FILE", &en.user_source.file,
			 "user PIN: first line of a file of mode 0600"),
		CLI_TEXT("so-pin-file", "FILE", &en.so_source.file, "SO PIN, likewise"),
		CLI_NUMBER("pin-fd", "N", &en.user_source.fd, "user PIN: a line from a descriptor"),
		CLI_NUMBER("so-pin-fd", "N", &en.so_source.fd, "SO PIN, likewise"),
		CLI_TEXT("o", "FILE", &en.out,
			 "write the partition's certificate there, with those above it (PEM)"),
	};
	enum cli_exit code = cli_options(cli, options, sizeof options / sizeof *options);

	if (code)
		return code;
	if (!en.label == !en.serial)
		return cli_usage(cli, "--token or --serial: one of them expected");
	enum err e = enroll(cli, &en);
	if (!e)
		e = print(cli, &en);
	return e ? cli_answered(cli, e) : EXIT_HOLDS;
}
