#include "plugin/cli/remote.h"

#include <time.h>

#define STOP_WAIT_MS 30000

enum err remote_config(struct cli *cli, struct config **out)
{
	enum err e = cli_config(cli, out);

	if (!e && !(*out)->path)
		e = failed(ERR_NOT_FOUND, "no configuration: name a file with --config or "
					  "$ASSAY_CONFIG");
	return e;
}

enum err remote_open(struct cli *cli, struct remote *remote)
{
	wire_init(&remote->request);
	wire_init(&remote->answer);
	remote->ready = true;
	enum err e = cli_config(cli, &remote->config);

	return e ? e
		 : link_open(remote->config, cli->self, false, slice_of(NULL, 0), &remote->link);
}

void remote_cleanup(struct remote *remote)
{
	/* A zeroed message would close descriptor 0. */
	if (remote->ready) {
		wire_cleanup(&remote->request);
		wire_cleanup(&remote->answer);
	}
	if (remote->link)
		link_close(remote->link);
	config_cleanup(&remote->config);
}

void remote_request(struct remote *remote, enum wire_request request, size_t arguments)
{
	wire_cleanup(&remote->request);
	wire_cleanup(&remote->answer);
	wire_init(&remote->request);
	wire_init(&remote->answer);
	link_request(&remote->request, request, arguments);
}

enum err remote_call(struct remote *remote, struct slice *in)
{
	return link_call(remote->link, &remote->request, &remote->answer, in);
}

enum err remote_take_partition(struct slice *in, struct remote_partition *out)
{
	size_t items;
	enum err e;

	if ((e = cbor_take_array(in, 6, &items)) || (e = items == 6 ? OK : ERR_FORMAT) ||
	    (e = cbor_take_text(in, WIRE_SERIAL_MAX, &out->serial)) ||
	    (e = cbor_take_uint(in, &out->generation)) ||
	    (e = cbor_take_text(in, 64, &out->label)) || (e = cbor_take_bool(in, &out->active)) ||
	    (e = cbor_take_bytes(in, 64, &out->key_id)) ||
	    (e = cbor_take_text(in, 256, &out->origin)))
		return failed(e, "the daemon's answer is malformed");
	return OK;
}

/* Until nobody answers: what the daemon had begun is finished, and the log is closed. */
static enum err wait_until_gone(const struct cli *cli, const struct config *config)
{
	uint64_t end = io_monotonic_ms() + STOP_WAIT_MS;

	while (io_monotonic_ms() < end) {
		struct link *link = NULL;
		enum err e = link_open(config, cli->self, false, slice_of(NULL, 0), &link);

		if (e == ERR_GONE)
			return OK;
		if (!e)
			link_close(link);
		nanosleep(&(struct timespec){ .tv_nsec = 20 * 1000 * 1000 }, NULL);
	}
	return failed(ERR_TIMEOUT, "the daemon still answers after %d s", STOP_WAIT_MS / 1000);
}

enum err remote_stop(struct cli *cli, struct remote *remote)
{
	struct slice in;
	enum err e;

	remote_request(remote, REQ_STOP, 0);
	if ((e = remote_call(remote, &in)))
		return e;
	link_close(remote->link);
	remote->link = NULL;
	return wait_until_gone(cli, remote->config);
}
