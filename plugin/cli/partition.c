#include "plugin/cli/cli.h"
#include "plugin/cli/json.h"
#include "plugin/cli/remote.h"

static void print_json(const struct remote_partition *p, bool first, struct buf *out)
{
	buf_put_text(out, first ? "{" : ", {");
	json_put_field(out, "serial", p->serial, true);
	json_put_field(out, "label", p->label, false);
	buf_printf(out, ", \"generation\": %llu, \"active\": %s", (unsigned long long)p->generation,
		   p->active ? "true" : "false");
	json_put_field(out, "origin", p->origin, false);
	json_put_hex(out, "role_key_id", p->key_id, false);
	buf_put_text(out, "}");
}

static void print_plain(const struct remote_partition *p, struct buf *out)
{
	plain_put_text(out, p->label);
	buf_put_text(out, "\t");
	plain_put_text(out, p->serial);
	buf_printf(out, "\tgeneration %llu\t%s\t", (unsigned long long)p->generation,
		   p->active ? "active" : "suspended");
	plain_put_text(out, p->origin);
	buf_put_text(out, "\n");
}

static enum err list(struct cli *cli, struct remote *remote)
{
	struct slice in;
	size_t n;
	enum err e;

	remote_request(remote, REQ_PARTITIONS, 0);
	if ((e = remote_call(remote, &in)))
		return e;
	if ((e = cbor_take_array(&in, REMOTE_PARTITIONS_MAX, &n)))
		return failed(e, "the daemon's answer is malformed");
	buf_put_text(&cli->out, cli->json ? "[" : "");
	for (size_t i = 0; i < n; i++) {
		struct remote_partition p;

		if ((e = remote_take_partition(&in, &p)))
			return e;
		if (cli->json)
			print_json(&p, i == 0, &cli->out);
		else
			print_plain(&p, &cli->out);
	}
	buf_put_text(&cli->out, cli->json ? "]\n" : "");
	return OK;
}

int cmd_partition_list(struct cli *cli)
{
	return remote_command(cli, list);
}
