#include "plugin/cli/remote.h"

#include <poll.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define STOP_WAIT_MS 30000
#define STOP_POLL_MS 20

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

	if (e)
		return e;
	e = link_open(remote->config, cli->self, false, slice_of(NULL, 0), &remote->link);
	if (e == ERR_GONE)
		e = failed(e, "%s: is the daemon running? (assay start)", err_reason());
	return e;
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

enum err remote_partitions(struct remote *remote, remote_visit *visit, void *context)
{
	CLEANUP(buf) struct buf answer = BUF_INIT;
	struct wire_partition p;
	struct slice in;
	size_t n;
	enum err e;

	remote_request(remote, REQ_PARTITIONS, 0);
	if ((e = remote_call(remote, &in)))
		return e;
	/* The next call takes the answer's memory. */
	buf_put_slice(&answer, in);
	if ((e = buf_check(&answer)))
		return e;
	in = buf_slice(&answer);
	if ((e = cbor_take_array(&in, WIRE_PARTITIONS_MAX, &n)))
		return failed(e, "the daemon's answer is malformed");
	for (size_t i = 0; i < n; i++) {
		if ((e = wire_take_partition(&in, &p)))
			return failed(e, "the daemon's answer is malformed");
		if ((e = visit(context, &p)))
			return e;
	}
	return OK;
}

struct sought {
	const char *name;
	size_t found;
	char *serial;
};

static enum err note_partition(void *context, const struct wire_partition *p)
{
	struct sought *sought = context;
	bool exact = slice_is(p->serial, sought->name);

	if (!exact && !slice_is(p->label, sought->name))
		return OK;
	/* A serial is one partition's, whatever another one is called. */
	if (!exact && sought->found && !strcmp(sought->serial, sought->name))
		return OK;
	sought->found = exact ? 1 : sought->found + 1;
	memcpy(sought->serial, p->serial.p, p->serial.left);
	sought->serial[p->serial.left] = 0;
	return OK;
}

enum err remote_find(struct remote *remote, const char *name, char serial[WIRE_SERIAL_MAX + 1])
{
	struct sought sought = { name, 0, serial };
	enum err e = remote_partitions(remote, note_partition, &sought);

	if (e)
		return e;
	if (sought.found > 1)
		return failed(ERR_EXISTS, "%s: several partitions have this label; name the serial",
			      name);
	return sought.found ? OK
			    : failed(ERR_NOT_FOUND, "%s: no partition is enrolled under this name",
				     name);
}

/* The process at the other end of the socket; -1 when it can't be had. */
static int find_process(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	CLEANUP(fd) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct ucred peer;
	socklen_t n = sizeof peer;

	if (fd < 0 || strlen(path) >= sizeof address.sun_path)
		return -1;
	strcpy(address.sun_path, path);
	if (connect(fd, (const struct sockaddr *)&address, sizeof address) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n))
		return -1;
	return pidfd_open(peer.pid, 0);
}

/* Until the process has ended: what it had begun is finished, and the log is closed, so that it may
 * be copied. A socket that nobody answers any more says less. */
static enum err wait_until_gone(const struct cli *cli, const struct config *config, int process)
{
	struct pollfd ended = { process, POLLIN, 0 };

	if (process >= 0)
		return poll(&ended, 1, STOP_WAIT_MS) == 1
			       ? OK
			       : failed(ERR_TIMEOUT, "the daemon still runs after %d s",
					STOP_WAIT_MS / 1000);

	uint64_t end = io_monotonic_ms() + STOP_WAIT_MS;

	while (io_monotonic_ms() < end) {
		struct link *link = NULL;
		enum err e = link_open(config, cli->self, false, slice_of(NULL, 0), &link);

		if (e == ERR_GONE)
			return OK;
		if (!e)
			link_close(link);
		io_pause(STOP_POLL_MS);
	}
	return failed(ERR_TIMEOUT, "the daemon still answers after %d s", STOP_WAIT_MS / 1000);
}

enum err remote_stop(struct cli *cli, struct remote *remote)
{
	CLEANUP(fd) int process = find_process(remote->config->socket);
	struct slice in;
	enum err e;

	remote_request(remote, REQ_STOP, 0);
	if ((e = remote_call(remote, &in)))
		return e;
	link_close(remote->link);
	remote->link = NULL;
	return wait_until_gone(cli, remote->config, process);
}

int remote_command(struct cli *cli, enum err (*ask)(struct cli *cli, struct remote *remote))
{
	CLEANUP(remote) struct remote remote = { 0 };
	enum cli_exit code = cli_options(cli, NULL, 0);

	if (code)
		return code;
	enum err e = remote_open(cli, &remote);
	if (e)
		return cli_failed(cli, e);
	if ((e = ask(cli, &remote))) {
		buf_reset(&cli->out);
		return cli_answered(cli, e);
	}
	return EXIT_HOLDS;
}
