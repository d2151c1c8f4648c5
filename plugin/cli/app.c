#include "config/base/sha256.h"
#include "plugin/cli/cli.h"
#include "plugin/cli/json.h"
#include "plugin/cli/remote.h"

#define APPS_MAX 4096

/* One application, as APPS answers. */
struct app {
	struct slice id, label, version, manifest;
	uint8_t measurement[SHA256_SIZE], image[SHA256_SIZE], profile[SHA256_SIZE], object_id[8];
};

static enum err take_app(struct slice *in, struct app *app)
{
	size_t items;
	enum err e;

	if ((e = cbor_take_array(in, 8, &items)) || (e = items == 8 ? OK : ERR_FORMAT) ||
	    (e = cbor_take_text(in, 64, &app->id)) || (e = cbor_take_text(in, 64, &app->label)) ||
	    (e = cbor_take_text(in, 32, &app->version)) ||
	    (e = cbor_take_fixed(in, app->measurement, sizeof app->measurement)) ||
	    (e = cbor_take_fixed(in, app->image, sizeof app->image)) ||
	    (e = cbor_take_fixed(in, app->profile, sizeof app->profile)) ||
	    (e = cbor_take_bytes(in, WIRE_MESSAGE_MAX, &app->manifest)))
		return e;
	return cbor_take_fixed(in, app->object_id, sizeof app->object_id);
}

static void print_json(const struct remote_partition *p, const struct app *app, bool first,
		       struct buf *out)
{
	buf_put_text(out, first ? "" : ", ");
	buf_put_text(out, "{");
	json_put_field(out, "partition", p->label, true);
	json_put_field(out, "serial", p->serial, false);
	json_put_field(out, "id", app->id, false);
	json_put_field(out, "label", app->label, false);
	json_put_field(out, "version", app->version, false);
	json_put_hex(out, "measurement", SLICE(app->measurement), false);
	json_put_hex(out, "image", SLICE(app->image), false);
	json_put_hex(out, "profile", SLICE(app->profile), false);
	json_put_hex(out, "cka_id", SLICE(app->object_id), false);
	buf_put_text(out, "}");
}

static void print_plain(const struct remote_partition *p, const struct app *app, struct buf *out)
{
	plain_put_text(out, p->label);
	buf_put_text(out, "\t");
	plain_put_text(out, app->id);
	buf_put_text(out, "\t");
	plain_put_text(out, app->version);
	buf_put_text(out, "\t");
	buf_put_hex(out, SLICE(app->object_id));
	buf_put_text(out, "\t");
	buf_put_hex(out, SLICE(app->measurement));
	buf_put_text(out, "\t");
	plain_put_text(out, app->label);
	buf_put_text(out, "\n");
}

static enum err list_page(struct cli *cli, struct remote *remote, const struct remote_partition *p,
			  uint64_t *from, size_t *found)
{
	uint64_t epoch;
	struct slice in;
	size_t n;
	enum err e;

	remote_request(remote, REQ_APPS, *from ? 2 : 1);
	cbor_put_text_slice(&remote->request.bytes, p->serial);
	if (*from)
		cbor_put_uint(&remote->request.bytes, *from);
	if ((e = remote_call(remote, &in)))
		return e;
	if ((e = cbor_take_uint(&in, &epoch)) || (e = cbor_take_array(&in, APPS_MAX, &n)))
		return failed(e, "the daemon's answer is malformed");
	for (size_t i = 0; i < n; i++, ++*found) {
		struct app app;

		if ((e = take_app(&in, &app)))
			return failed(e, "the daemon's answer is malformed");
		if (cli->json)
			print_json(p, &app, *found == 0, &cli->out);
		else
			print_plain(p, &app, &cli->out);
	}
	*from = 0;
	return in.left ? cbor_take_uint(&in, from) : OK;
}

/* The applications of one partition, over as many messages as it takes. */
static enum err list(struct cli *cli, struct remote *remote, const struct remote_partition *p,
		     size_t *found)
{
	uint64_t from = 0;
	enum err e;

	do
		if ((e = list_page(cli, remote, p, &from, found)))
			return e;
	while (from && *found < APPS_MAX);
	return OK;
}

static enum err list_all(struct cli *cli, struct remote *remote)
{
	CLEANUP(buf) struct buf partitions = BUF_INIT;
	size_t n, found = 0;
	struct slice in;
	enum err e;

	remote_request(remote, REQ_PARTITIONS, 0);
	if ((e = remote_call(remote, &in)))
		return e;
	/* The next call takes the answer's memory. */
	buf_put_slice(&partitions, in);
	in = buf_slice(&partitions);
	if ((e = buf_check(&partitions)) || (e = cbor_take_array(&in, REMOTE_PARTITIONS_MAX, &n)))
		return e;
	buf_put_text(&cli->out, cli->json ? "[" : "");
	for (size_t i = 0; i < n; i++) {
		struct remote_partition p;

		if ((e = remote_take_partition(&in, &p)) ||
		    (e = p.active ? list(cli, remote, &p, &found) : OK))
			return e;
	}
	buf_put_text(&cli->out, cli->json ? "]\n" : "");
	return OK;
}

int cmd_app_list(struct cli *cli)
{
	return remote_command(cli, list_all);
}
