/* Sealed payloads: destroyed, or handed to their auditor. */
#include <stdlib.h>
#include <string.h>

#include "plugin/cli/cli.h"
#include "plugin/cli/json.h"
#include "plugin/cli/remote.h"

#define CTI_SIZE 16

static enum err shred(struct cli *cli, struct remote *remote)
{
	char serial[WIRE_SERIAL_MAX + 1];
	uint64_t days;
	struct slice in;
	enum err e;

	if (strlen(cli->args[1]) > 10)
		return failed(ERR_USAGE, "a period is 2026, 2026-11, 2026-11-25 or all, in UTC");
	if ((e = remote_find(remote, cli->args[0], serial)))
		return e;
	remote_request(remote, REQ_SHRED, 2);
	cbor_put_text(&remote->request.bytes, serial);
	cbor_put_text(&remote->request.bytes, cli->args[1]);
	if ((e = remote_call(remote, &in)))
		return e;
	if ((e = cbor_take_uint(&in, &days)))
		return failed(e, "the daemon's answer is malformed");
	if (cli->json)
		buf_printf(&cli->out, "{\"days\": %llu}\n", (unsigned long long)days);
	else
		buf_printf(&cli->out, "sealed payloads of %llu days can't be read any more\n",
			   (unsigned long long)days);
	return OK;
}

int cmd_audit_shred(struct cli *cli)
{
	return remote_command(cli, shred);
}

static enum err fetch(struct cli *cli, struct remote *remote, const uint8_t cti[CTI_SIZE],
		      const char *to)
{
	char serial[WIRE_SERIAL_MAX + 1];
	struct slice in, cms;
	bool mapped = false;
	enum err e = remote_find(remote, cli->args[0], serial);

	if (e)
		return e;
	remote_request(remote, REQ_SEALED, 2);
	cbor_put_text(&remote->request.bytes, serial);
	cbor_put_bytes(&remote->request.bytes, slice_of(cti, CTI_SIZE));
	if ((e = remote_call(remote, &in)))
		return e;
	if ((e = wire_take_payload(&remote->answer, &in, WIRE_PAYLOAD_MAX, &cms, &mapped)))
		return failed(e, "the daemon's answer is malformed");
	e = cli_write(cli, to, 0600, cms);
	if (mapped)
		io_unmap(&cms);
	return e;
}

int cmd_audit_payload(struct cli *cli)
{
	CLEANUP(remote) struct remote remote = { 0 };
	const char *to = NULL;
	const struct cli_option options[] = {
		CLI_TEXT("o", "FILE", &to,
			 "write the CMS message there; the auditor opens it with "
			 "openssl cms -decrypt -inform DER"),
	};
	enum cli_exit code = cli_options(cli, options, 1);
	uint8_t cti[CTI_SIZE];
	enum err e;

	if (code)
		return code;
	if (!to)
		return cli_usage(cli, "-o FILE expected");
	if (hex_take(cli->args[1], cti, sizeof cti))
		return cli_usage(cli, "%s: the id of a proof (cti) has 32 hexadecimal digits",
				 cli->args[1]);
	if ((e = remote_open(cli, &remote)))
		return cli_failed(cli, e);
	return (e = fetch(cli, &remote, cti, to)) ? cli_answered(cli, e) : EXIT_HOLDS;
}
