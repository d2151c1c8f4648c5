#include "plugin/link.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/base/secret.h"
#include "plugin/lanes.h"

#define HANDSHAKE_SECONDS 10
#define START_MS 15000
#define SECRET_SIZE 32
#define SHORT_WAIT_MS 2000 /* for a lane; the caller may hold up an ordinary call meanwhile */
#define RUN_WAIT_MS 60000

struct link {
	/* Set once, in link_open. */
	struct sockaddr_un address;
	uid_t daemon_uid;
	bool own_uid_may; /* development mode */
	uint8_t boot[16], connection[16], secret[SECRET_SIZE];
	enum config_mode mode;
	char token_serial[WIRE_SERIAL_MAX + 1];

	struct lanes lanes;
};

static enum err check_peer(const struct link *link, int fd)
{
	struct ucred peer;
	socklen_t n = sizeof peer;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n))
		return failed(ERR_IO, "SO_PEERCRED: %m");
	if (peer.uid == 0 || peer.uid == link->daemon_uid ||
	    (link->own_uid_may && peer.uid == geteuid()))
		return OK;
	return failed(ERR_DENIED, "%s: its owner is user %u, not the daemon's",
		      link->address.sun_path, (unsigned)peer.uid);
}

static enum err set_timeout(int fd, int option, int seconds)
{
	struct timeval time = { .tv_sec = seconds };

	return setsockopt(fd, SOL_SOCKET, option, &time, sizeof time)
		       ? failed(ERR_IO, "socket time limit: %m")
		       : OK;
}

/* The connection's first exchange has a time limit, so that a process which holds the socket but
 * does not serve can't hang its clients; later ones take as long as an application runs. */
static enum err connect_daemon(const struct link *link, int *out)
{
	CLEANUP(fd) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	enum err e;
	int result;

	if (fd < 0)
		return failed(ERR_IO, "socket: %m");
	if ((e = set_timeout(fd, SO_SNDTIMEO, HANDSHAKE_SECONDS)) ||
	    (e = set_timeout(fd, SO_RCVTIMEO, HANDSHAKE_SECONDS)))
		return e;
	do
		result = connect(fd, (const struct sockaddr *)&link->address, sizeof link->address);
	while (result && errno == EINTR);
	if (result)
		return failed(errno == ENOENT || errno == ECONNREFUSED ? ERR_GONE
			      : errno == EACCES || errno == EPERM      ? ERR_DENIED
								       : ERR_IO,
			      "%s: %m", link->address.sun_path);
	if ((e = check_peer(link, fd)))
		return e;
	*out = fd_steal(&fd);
	return OK;
}

/* Takes the head of an answer; @in is left at its first result. */
static enum err take_result(struct wire_message *answer, struct slice *in)
{
	struct slice rest = buf_slice(&answer->bytes), reason;
	size_t items;
	uint64_t result;

	if (cbor_take_array(&rest, 64, &items) || items < 2 || cbor_take_uint(&rest, &result) ||
	    result >= ERR_COUNT || cbor_take_text(&rest, ERR_REASON_MAX, &reason))
		return failed(ERR_FORMAT, "the daemon's answer is malformed");
	*in = rest;
	return result ? failed((enum err)result, "%.*s", (int)reason.left, (const char *)reason.p)
		      : OK;
}

static enum err exchange(int fd, struct wire_message *request, struct wire_message *answer)
{
	enum err e = wire_send(fd, request);

	return e ? e : wire_recv(fd, answer);
}

static uint64_t request_number(const struct wire_message *request)
{
	struct slice in = buf_slice(&request->bytes);
	uint64_t number;
	size_t items;

	return cbor_take_array(&in, 64, &items) || cbor_take_uint(&in, &number) ? 0 : number;
}

/* How long the daemon may take. */
enum pace { SHORT, LONG, RUN };

static enum pace pace_of(const struct wire_message *request)
{
	switch (request_number(request)) {
#define REQUEST(name, number, who, pace) \
	case number:                     \
		return pace;
#include "plugin/requests.def"
#undef REQUEST
	default:
		return LONG;
	}
}

/* A daemon that leaves a short question unanswered has stopped, and must not stop its clients. */
static enum err await_answer(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n;

	do
		n = poll(&p, 1, HANDSHAKE_SECONDS * 1000);
	while (n < 0 && errno == EINTR);
	return n > 0 ? OK : failed(ERR_TIMEOUT, "the daemon does not answer");
}

static enum err ask(int fd, struct wire_message *request, struct wire_message *answer)
{
	enum err e = wire_send(fd, request);

	if (!e && pace_of(request) == SHORT)
		e = await_answer(fd);
	return e ? e : wire_recv(fd, answer);
}

static enum err take_greeting(struct link *link, struct slice in)
{
	struct slice serial;
	uint64_t mode;

	if (cbor_take_fixed(&in, link->boot, sizeof link->boot) ||
	    cbor_take_fixed(&in, link->connection, sizeof link->connection) ||
	    cbor_take_fixed(&in, link->secret, sizeof link->secret) || cbor_take_uint(&in, &mode) ||
	    mode > MODE_APPLIANCE || cbor_take_text(&in, WIRE_SERIAL_MAX, &serial) ||
	    cbor_take_end(in))
		return failed(ERR_FORMAT, "the daemon's greeting is malformed");
	link->mode = (enum config_mode)mode;
	memcpy(link->token_serial, serial.p, serial.left);
	return OK;
}

static enum err greet(struct link *link, int fd, struct slice frontend)
{
	CLEANUP(wire) struct wire_message request, answer;
	struct slice in;
	enum err e;

	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_HELLO, 2);
	cbor_put_uint(&request.bytes, WIRE_VERSION);
	cbor_put_bytes(&request.bytes, frontend);
	if ((e = exchange(fd, &request, &answer)) || (e = take_result(&answer, &in)) ||
	    (e = take_greeting(link, in)))
		return e;
	secret_wipe(answer.bytes.data, answer.bytes.len);
	return set_timeout(fd, SO_RCVTIMEO, 0);
}

static enum err attach(const struct link *link, int fd)
{
	CLEANUP(wire) struct wire_message request, answer;
	struct slice in;
	enum err e;

	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_ATTACH, 1);
	cbor_put_bytes(&request.bytes, SLICE(link->secret));
	e = exchange(fd, &request, &answer);
	secret_wipe(request.bytes.data, request.bytes.len);
	if (e || (e = take_result(&answer, &in)))
		return e;
	return set_timeout(fd, SO_RCVTIMEO, 0);
}

static struct link *new_link(const struct config *config)
{
	struct link *link = calloc(1, sizeof *link);

	if (!link)
		return NULL;
	link->address.sun_family = AF_UNIX;
	memcpy(link->address.sun_path, config->socket, strlen(config->socket) + 1);
	link->daemon_uid = (uid_t)config->users_daemon;
	link->own_uid_may = config->mode == MODE_DEVELOPMENT;
	lanes_init(&link->lanes);
	return link;
}

void link_close(struct link *link)
{
	if (!link)
		return;
	lanes_close(&link->lanes);
	secret_wipe(link->secret, sizeof link->secret);
	free(link);
}

void link_end(struct link *link)
{
	lanes_end(&link->lanes);
}

void link_abandon(struct link *link)
{
	if (!link)
		return;
	lanes_abandon(&link->lanes);
	secret_wipe(link->secret, sizeof link->secret);
	free(link);
}

static void link_cleanup(struct link **link)
{
	link_close(*link);
}

static enum err reach(struct link *link, struct slice frontend)
{
	int *fd = &link->lanes.lanes[0].fd;
	enum err e;

	fd_cleanup(fd);
	return (e = connect_daemon(link, fd)) ? e : greet(link, *fd, frontend);
}

enum err link_open(const struct config *config, const char *self, bool start, struct slice frontend,
		   struct link **out)
{
	enum err e;

	if (strlen(config->socket) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return failed(ERR_USAGE, "socket: %s is too long for a socket's path",
			      config->socket);
	CLEANUP(link) struct link *link = new_link(config);
	if (!link)
		return failed(ERR_MEMORY, "out of memory");
	e = reach(link, frontend);
	/* One that was just ending may have taken the connection and closed it unanswered. */
	if (e == ERR_GONE && start && config->mode == MODE_DEVELOPMENT) {
		if ((e = link_start_daemon(config, self, START_MS)))
			return e;
		e = reach(link, frontend);
	}
	if (e)
		return e;
	*out = STEAL(link);
	return OK;
}

const uint8_t *link_boot_id(const struct link *link)
{
	return link->boot;
}

const uint8_t *link_connection_id(const struct link *link)
{
	return link->connection;
}

enum config_mode link_mode(const struct link *link)
{
	return link->mode;
}

const char *link_token_serial(const struct link *link)
{
	return link->token_serial;
}

bool link_alive(const struct link *link)
{
	return lanes_alive(&link->lanes);
}

void link_request(struct wire_message *m, enum wire_request request, size_t arguments)
{
	cbor_put_array(&m->bytes, 1 + arguments);
	cbor_put_uint(&m->bytes, request);
}

static enum err connect_lane(struct link *link, struct lane *lane)
{
	CLEANUP(fd) int fd = -1;
	enum err e;

	if ((e = connect_daemon(link, &fd)) || (e = attach(link, fd)))
		return e;
	lanes_connected(&link->lanes, lane, fd_steal(&fd));
	return OK;
}

static enum err connected_lane(struct link *link, bool run, struct lane **out)
{
	uint64_t until = io_monotonic_ms() + (run ? RUN_WAIT_MS : SHORT_WAIT_MS);

	for (;;) {
		struct lane *lane;
		enum err e = lanes_take(&link->lanes, run, until, &lane);

		if (e)
			return e;
		if (lane->fd < 0 && connect_lane(link, lane)) {
			lanes_full(&link->lanes, lane);
			continue;
		}
		*out = lane;
		return OK;
	}
}

enum err link_call(struct link *link, struct wire_message *request, struct wire_message *answer,
		   struct slice *in)
{
	struct lane *lane;
	enum err e = buf_check(&request->bytes);

	if (e || (e = connected_lane(link, pace_of(request) == RUN, &lane)))
		return e;
	e = ask(lane->fd, request, answer);
	if (e) {
		lanes_break(&link->lanes, lane);
		return e;
	}
	lanes_give_back(&link->lanes, lane);
	return take_result(answer, in);
}
