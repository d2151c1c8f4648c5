#include "plugin/cli/service.h"

#include <time.h>

#define STOP_WAIT_MS 30000

enum err service_config(struct cli *cli, struct config **out)
{
	enum err e = cli_config(cli, out);

	if (!e && !(*out)->path)
		e = failed(ERR_NOT_FOUND, "no configuration: name a file with --config or "
					  "$ASSAY_CONFIG");
	return e;
}

enum err service_open(struct cli *cli, struct service *service)
{
	wire_init(&service->request);
	wire_init(&service->answer);
	service->ready = true;
	enum err e = cli_config(cli, &service->config);

	return e ? e
		 : link_open(service->config, cli->self, false, slice_of(NULL, 0), &service->link);
}

void service_cleanup(struct service *service)
{
	/* A zeroed message would close descriptor 0. */
	if (service->ready) {
		wire_cleanup(&service->request);
		wire_cleanup(&service->answer);
	}
	if (service->link)
		link_close(service->link);
	config_cleanup(&service->config);
}

void service_request(struct service *service, enum wire_request request, size_t arguments)
{
	wire_cleanup(&service->request);
	wire_cleanup(&service->answer);
	wire_init(&service->request);
	wire_init(&service->answer);
	link_request(&service->request, request, arguments);
}

enum err service_call(struct service *service, struct slice *in)
{
	return link_call(service->link, &service->request, &service->answer, in);
}

enum err service_take_partition(struct slice *in, struct service_partition *out)
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

enum err service_stop(struct cli *cli, struct service *service)
{
	struct slice in;
	enum err e;

	service_request(service, REQ_STOP, 0);
	if ((e = service_call(service, &in)))
		return e;
	link_close(service->link);
	service->link = NULL;
	return wait_until_gone(cli, service->config);
}
