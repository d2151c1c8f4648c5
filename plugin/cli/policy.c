#include "config/policy.h"

#include <stdlib.h>

#include "audit/certificate.h"
#include "plugin/cli/cli.h"
#include "plugin/cli/json.h"
#include "plugin/cli/remote.h"

/* A policy, from the daemon or on its way there. */
struct given {
	struct buf text, auditor;
	struct partition_policy *says;
};

static void given_cleanup(struct given *given)
{
	buf_free(&given->text);
	buf_free(&given->auditor);
	partition_policy_free(given->says);
}

/* The daemon checks both again; here the reasons name the file. */
static enum err read_policy(const char *path, struct given *given)
{
	enum err e = cli_read(path, PARTITION_POLICY_MAX, &given->text);

	if (e || (e = partition_policy_parse(buf_slice(&given->text), path, &given->says)))
		return e;
	if (given->says->keep != KEEP_SEALED)
		return OK;
	return cli_certificate(given->says->sealed_auditor, &given->auditor);
}

static enum err set_policy(struct cli *cli, struct remote *remote, struct slice serial,
			   const struct given *given)
{
	uint8_t digest[32];
	uint64_t epoch;
	struct slice in;
	enum err e;

	remote_request(remote, REQ_POLICY_SET, 3);
	cbor_put_text_slice(&remote->request.bytes, serial);
	cbor_put_bytes(&remote->request.bytes, buf_slice(&given->text));
	cbor_put_bytes(&remote->request.bytes, buf_slice(&given->auditor));
	if ((e = remote_call(remote, &in)))
		return e;
	if ((e = cbor_take_fixed(&in, digest, sizeof digest)) || (e = cbor_take_uint(&in, &epoch)))
		return failed(e, "the daemon's answer is malformed");
	if (cli->json) {
		buf_put_text(&cli->out, "{");
		json_put_hex(&cli->out, "sha256", SLICE(digest), true);
		buf_printf(&cli->out, ", \"epoch\": %llu}\n", (unsigned long long)epoch);
		return OK;
	}
	buf_put_text(&cli->out, "policy in force: SHA-256 ");
	buf_put_hex(&cli->out, SLICE(digest));
	buf_printf(&cli->out, ", epoch %llu\n", (unsigned long long)epoch);
	return OK;
}

struct shown {
	struct slice text, auditor;
	uint8_t digest[32];
	uint64_t number;
};

static void show_json(const struct shown *shown, const struct partition_policy *says,
		      struct buf *out)
{
	buf_put_text(out, "{");
	json_put_hex(out, "sha256", SLICE(shown->digest), true);
	buf_printf(out, ", \"number\": %llu", (unsigned long long)shown->number);
	json_put_name(out, "policy", false);
	partition_policy_show(says, true, out);
	out->len--; /* its line's end */
	if (shown->auditor.left)
		json_put_hex(out, "auditor_der", shown->auditor, false);
	buf_put_text(out, "}\n");
}

/* As it was set, between lines of comment, so that it can be edited and set again. */
static void show_plain(const struct shown *shown, struct buf *out)
{
	buf_put_text(out, "# SHA-256 ");
	buf_put_hex(out, SLICE(shown->digest));
	buf_printf(out, ", change %llu%s\n", (unsigned long long)shown->number,
		   shown->number ? "" : ": none was set");
	buf_put_slice(out, shown->text);
	if (shown->text.left && shown->text.p[shown->text.left - 1] != '\n')
		buf_put_text(out, "\n");
}

static enum err show_policy(struct cli *cli, struct remote *remote, struct slice serial)
{
	CLEANUP(partition_policy) struct partition_policy *says = NULL;
	struct shown shown;
	struct slice in;
	enum err e;

	remote_request(remote, REQ_POLICY, 1);
	cbor_put_text_slice(&remote->request.bytes, serial);
	if ((e = remote_call(remote, &in)))
		return e;
	if ((e = cbor_take_bytes(&in, PARTITION_POLICY_MAX, &shown.text)) ||
	    (e = cbor_take_bytes(&in, CERTIFICATE_MAX, &shown.auditor)) ||
	    (e = cbor_take_fixed(&in, shown.digest, sizeof shown.digest)) ||
	    (e = cbor_take_uint(&in, &shown.number)) ||
	    (e = partition_policy_parse(shown.text, "policy", &says)))
		return failed(e, "the daemon's answer is malformed: %s", err_reason());
	if (cli->json)
		show_json(&shown, says, &cli->out);
	else
		show_plain(&shown, &cli->out);
	return OK;
}

static enum err policy(struct cli *cli, struct remote *remote)
{
	CLEANUP(given) struct given given = { 0 };
	char serial[WIRE_SERIAL_MAX + 1];
	enum err e;

	if (cli->args_n == 2 && (e = read_policy(cli->args[1], &given)))
		return e;
	if ((e = remote_find(remote, cli->args[0], serial)))
		return e;
	return cli->args_n == 2 ? set_policy(cli, remote, slice_text(serial), &given)
				: show_policy(cli, remote, slice_text(serial));
}

int cmd_partition_policy(struct cli *cli)
{
	return remote_command(cli, policy);
}
