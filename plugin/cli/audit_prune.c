#include <string.h>

#include "plugin/cli/audit_export.h"
#include "plugin/cli/remote.h"

static enum err ask(struct remote *remote, const struct audit_head *head)
{
	struct slice in;

	remote_request(remote, REQ_PRUNE, 3);
	cbor_put_text(&remote->request.bytes, head->origin);
	cbor_put_uint(&remote->request.bytes, head->size);
	cbor_put_bytes(&remote->request.bytes, SLICE(head->root));
	return remote_call(remote, &in);
}

/* The copy is checked now, not when it was made: it is all that will be left. */
int cmd_audit_prune(struct cli *cli)
{
	CLEANUP(remote) struct remote remote = { 0 };
	CLEANUP(trail) struct trail trail = { 0 };
	struct audit_head head = { 0 };
	const struct cli_option options[] = {
		TRAIL_CA(&trail),
	};
	enum cli_exit code = cli_options(cli, options, sizeof options / sizeof *options);
	enum err e;

	if (code)
		return code;
	if ((e = trail_find(cli, NULL, &trail)))
		return cli_failed(cli, e);
	if ((e = export_check(cli->args[1], cli->args[0], buf_slice(&trail.ca_der), &head))) {
		snprintf(trail.path, sizeof trail.path, "%s", cli->args[1]);
		return trail_refuse(cli, &trail, e);
	}
	if ((e = remote_open(cli, &remote)))
		return cli_failed(cli, e);
	if ((e = ask(&remote, &head)))
		return cli_answered(cli, e);
	buf_printf(&cli->out, "%s, with %llu records, is pruned: %s has it\n", head.origin,
		   (unsigned long long)head.size, cli->args[1]);
	return EXIT_HOLDS;
}
