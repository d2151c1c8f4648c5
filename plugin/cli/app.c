#include "plugin/cli/cli.h"
#include "plugin/cli/json.h"
#include "plugin/cli/remote.h"

static void print_json(const struct wire_partition *p, const struct wire_app *app, bool first,
		       struct buf *out)
{
	buf_put_text(out, first ? "" : ", ");
	buf_put_text(out, "{");
	json_put_field(out, "partition", p->label, true);
	json_put_field(out, "serial", p->serial, false);
	json_put_field(out, "id", app->id, false);
	json_put_field(out, "label", app->label, false);
	json_put_field(out, "version", app->version, false);
	json_put_hex(out, "measurement", app->measurement, false);
	json_put_hex(out, "image", app->image, false);
	json_put_hex(out, "profile", app->profile, false);
	json_put_hex(out, "cka_id", app->cka_id, false);
	buf_put_text(out, "}");
}

static void print_plain(const struct wire_partition *p, const struct wire_app *app, struct buf *out)
{
	plain_put_text(out, p->label);
	buf_put_text(out, "\t");
	plain_put_text(out, app->id);
	buf_put_text(out, "\t");
	plain_put_text(out, app->version);
	buf_put_text(out, "\t");
	buf_put_hex(out, app->cka_id);
	buf_put_text(out, "\t");
	buf_put_hex(out, app->measurement);
	buf_put_text(out, "\t");
	plain_put_text(out, app->label);
	buf_put_text(out, "\n");
}

struct listing {
	struct cli *cli;
	struct remote *remote;
	size_t n;
};

static void print(struct listing *listing, const struct wire_partition *p,
		  const struct wire_app *app)
{
	struct cli *cli = listing->cli;

	if (cli->json)
		print_json(p, app, listing->n == 0, &cli->out);
	else
		print_plain(p, app, &cli->out);
	listing->n++;
}

static enum err list_page(struct listing *listing, const struct wire_partition *p, uint64_t *from)
{
	struct remote *remote = listing->remote;
	struct wire_app app;
	struct slice in;
	uint64_t epoch;
	size_t n;
	enum err e;

	remote_request(remote, REQ_APPS, *from ? 2 : 1);
	cbor_put_text_slice(&remote->request.bytes, p->serial);
	if (*from)
		cbor_put_uint(&remote->request.bytes, *from);
	if ((e = remote_call(remote, &in)))
		return e;
	if ((e = cbor_take_uint(&in, &epoch)) || (e = cbor_take_array(&in, WIRE_APPS_MAX, &n)))
		return failed(e, "the daemon's answer is malformed");
	for (size_t i = 0; i < n; i++) {
		if ((e = wire_take_app(&in, &app)))
			return failed(e, "the daemon's answer is malformed");
		print(listing, p, &app);
	}
	*from = 0;
	return in.left ? cbor_take_uint(&in, from) : OK;
}

/* The applications of one partition, over as many messages as it takes. */
static enum err list_partition(void *context, const struct wire_partition *p)
{
	struct listing *listing = context;
	size_t before = listing->n;
	uint64_t from = 0;
	enum err e;

	if (!p->active)
		return OK;
	do
		if ((e = list_page(listing, p, &from)))
			return e;
	while (from && listing->n - before < WIRE_APPS_MAX);
	return OK;
}

static enum err list(struct cli *cli, struct remote *remote)
{
	struct listing listing = { cli, remote, 0 };

	buf_put_text(&cli->out, cli->json ? "[" : "");
	enum err e = remote_partitions(remote, list_partition, &listing);
	buf_put_text(&cli->out, cli->json ? "]\n" : "");
	return e;
}

int cmd_app_list(struct cli *cli)
{
	return remote_command(cli, list);
}
