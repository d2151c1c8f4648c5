#include "plugin/cli/cli.h"
#include "plugin/cli/json.h"
#include "plugin/cli/remote.h"

static void print_json(const struct wire_partition *p, bool first, struct buf *out)
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

static void print_plain(const struct wire_partition *p, struct buf *out)
{
	plain_put_text(out, p->label);
	buf_put_text(out, "\t");
	plain_put_text(out, p->serial);
	buf_printf(out, "\tgeneration %llu\t%s\t", (unsigned long long)p->generation,
		   p->active ? "active" : "suspended");
	plain_put_text(out, p->origin);
	buf_put_text(out, "\n");
}

struct listing {
	struct cli *cli;
	size_t n;
};

static enum err print(void *context, const struct wire_partition *p)
{
	struct listing *listing = context;
	struct cli *cli = listing->cli;

	if (cli->json)
		print_json(p, listing->n == 0, &cli->out);
	else
		print_plain(p, &cli->out);
	listing->n++;
	return OK;
}

static enum err list(struct cli *cli, struct remote *remote)
{
	struct listing listing = { cli, 0 };

	buf_put_text(&cli->out, cli->json ? "[" : "");
	enum err e = remote_partitions(remote, print, &listing);
	buf_put_text(&cli->out, cli->json ? "]\n" : "");
	return e;
}

int cmd_partition_list(struct cli *cli)
{
	return remote_command(cli, list);
}
