#include "plugin/daemon/server.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/base/io.h"
#include "config/base/log.h"
#include "plugin/daemon/answering.h"
#include "plugin/daemon/record.h"
#include "plugin/daemon/request.h"
#include "plugin/daemon/sealing.h"
#include "plugin/daemon/shards.h"

#define BACKLOG 128
#define TICK_MS 1000
#define ACCEPT_PAUSE_MS 100
#define SEND_SECONDS 30 /* a client that takes no answers loses its connection */
#define STACK_BYTES ((size_t)1 << 20)
#define DRAIN_EXTRA_MS 30000 /* beyond the longest run that is allowed */
#define DRAIN_LAST_MS 10000

struct job {
	struct daemon *daemon;
	struct connection *connection;
};

/* An answer that can't be sent, or a request that can't be read, ends the connection; whatever the
 * request made of it, the next one starts afresh. */
static bool serve_one(struct daemon *daemon, struct connection *connection,
		      struct wire_message *request)
{
	CLEANUP(wire) struct wire_message answer;

	wire_init(&answer);
	enum err e = request_serve(daemon, connection, request, &answer);
	if (!e)
		e = wire_send(connection->fd, &answer);
	if (e && e != ERR_GONE)
		log_debug("connection of user %u: %s", connection->peer.uid, err_reason());
	return !e;
}

static void *serve(void *context)
{
	struct job job = *(struct job *)context;
	struct wire_message request;

	free(context);
	wire_init(&request);
	while (!atomic_load(&job.daemon->stopping) && !wire_recv(job.connection->fd, &request))
		if (!serve_one(job.daemon, job.connection, &request))
			break;
	wire_cleanup(&request);
	connection_remove(&job.daemon->clients, job.connection);
	return NULL;
}

static enum err start_thread(struct job *job)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	int r = pthread_create(&thread, &attributes, serve, job);
	pthread_attr_destroy(&attributes);
	return r ? failed(ERR_MEMORY, "a thread: %s", strerror(r)) : OK;
}

/* In development mode the socket is its owner's alone, whatever the directory's rights say. */
static enum err check_peer(const struct daemon *daemon, const struct connection *connection)
{
	uid_t uid = connection->peer.uid;

	if (daemon->config->mode == MODE_APPLIANCE || uid == 0 || uid == geteuid())
		return OK;
	return failed(ERR_DENIED, "user %u may not use another's development daemon", uid);
}

static enum err accept_one(struct daemon *daemon, int listener)
{
	struct timeval patience = { SEND_SECONDS, 0 };
	struct connection *connection;
	CLEANUP(fd) int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	enum err e;

	if (fd < 0)
		return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED
			       ? OK
			       : failed(ERR_IO, "accept: %m");
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience))
		return failed(ERR_IO, "SO_SNDTIMEO: %m");
	if ((e = connection_add(&daemon->clients, fd, &connection)))
		return e;
	fd = -1;
	struct job *job = malloc(sizeof *job);
	if (job)
		*job = (struct job){ daemon, connection };
	if (!job || (e = check_peer(daemon, connection)) || (e = start_thread(job))) {
		free(job);
		connection_remove(&daemon->clients, connection);
	}
	return job ? e : failed(ERR_MEMORY, "connection");
}

/* Who is turned away may come again at once: the operator is told once a second, and a lack of
 * descriptors, which leaves the caller in the queue, is waited out. */
static void accept_next(struct daemon *daemon, int listener, uint64_t now_ms)
{
	static uint64_t told_ms; /* of the one thread that accepts */
	enum err e = accept_one(daemon, listener);

	if (!e)
		return;
	if (now_ms - told_ms >= TICK_MS) {
		told_ms = now_ms;
		log_warning("a connection was turned away: %s", err_reason());
	}
	if (e == ERR_IO)
		io_pause(ACCEPT_PAUSE_MS);
}

static bool somebody_listens(const struct sockaddr_un *address)
{
	CLEANUP(fd) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd >= 0 &&
	       (!connect(fd, (const struct sockaddr *)address, sizeof *address) || errno == EAGAIN);
}

/* The folder is usually made by whoever installs or starts the appliance. */
static enum err make_folder(const char *path)
{
	char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
	char *slash;

	snprintf(folder, sizeof folder, "%s", path);
	if (!(slash = strrchr(folder, '/')) || slash == folder)
		return OK;
	*slash = 0;
	if (mkdir(folder, 0755) && errno != EEXIST)
		return failed(ERR_IO, "%s: %m", folder);
	return OK;
}

/* The state directory's lock is held, so a socket that nobody listens on is a dead daemon's. */
static enum err bind_socket(const struct config *config, int fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	bool appliance = config->mode == MODE_APPLIANCE;
	enum err e;

	if (strlen(config->socket) >= sizeof address.sun_path)
		return failed(ERR_USAGE, "socket: %s is too long for a socket's path",
			      config->socket);
	strcpy(address.sun_path, config->socket);
	if ((e = make_folder(config->socket)))
		return e;
	if (somebody_listens(&address))
		return failed(ERR_STATE, "%s: another daemon listens there", config->socket);
	if (unlink(config->socket) && errno != ENOENT)
		return failed(ERR_IO, "%s: %m", config->socket);
	mode_t old = umask(0177);
	int r = bind(fd, (struct sockaddr *)&address, sizeof address);
	umask(old);
	if (r)
		return failed(ERR_IO, "%s: %m", config->socket);
	if (appliance && (chown(config->socket, (uid_t)-1, (gid_t)config->users_group) ||
			  chmod(config->socket, 0660)))
		return failed(ERR_IO, "%s: %m", config->socket);
	return OK;
}

static enum err open_socket(const struct config *config, int *out)
{
	CLEANUP(fd) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	enum err e;

	if (fd < 0)
		return failed(ERR_IO, "socket: %m");
	if ((e = bind_socket(config, fd)))
		return e;
	if (listen(fd, BACKLOG))
		return failed(ERR_IO, "%s: %m", config->socket);
	*out = fd_steal(&fd);
	return OK;
}

static enum err expire(void *context, struct partition *partition)
{
	results_expire(&partition->results, *(uint64_t *)context);
	return OK;
}

/* What happens once a second; false when the daemon was idle for long enough. */
static bool tick(struct daemon *daemon, uint64_t now_ms, uint64_t *busy_ms)
{
	uint64_t idle_ms = daemon->config->daemon_idle_seconds * 1000;

	if (partitions_each(&daemon->partitions, expire, &now_ms))
		log_error("%s", err_reason());
	(void)!daemon_anchor(daemon, daemon->config->audit_anchor_seconds * 1000 -
					     TICK_MS / 2); /* keeps in mind that it failed */
	if (clients_count(&daemon->clients))
		*busy_ms = now_ms;
	return daemon->config->mode == MODE_APPLIANCE || idle_ms == 0 ||
	       now_ms - *busy_ms < idle_ms;
}

enum { LISTENER, LAUNCHER, STOP, SIGNALS, POLLED };

static enum err loop(struct daemon *daemon, struct pollfd polled[POLLED], const char **why)
{
	uint64_t busy_ms = io_monotonic_ms(), ticked_ms = busy_ms;

	for (;;) {
		if (poll(polled, POLLED, TICK_MS) < 0 && errno != EINTR)
			return failed(ERR_IO, "poll: %m");
		uint64_t now_ms = io_monotonic_ms();
		*why = "stopped";
		if (polled[LAUNCHER].revents) {
			*why = "the launcher was lost";
			return failed(ERR_GONE, "the launcher was lost");
		}
		if (polled[STOP].revents || polled[SIGNALS].revents)
			return OK;
		if (polled[LISTENER].revents) {
			busy_ms = now_ms;
			accept_next(daemon, polled[LISTENER].fd, now_ms);
		}
		if (now_ms - ticked_ms >= TICK_MS) {
			ticked_ms = now_ms;
			request_record_refusals(daemon, false);
			sealing_tick(daemon, now_ms);
			answering_tick(daemon, now_ms);
			shards_tick(daemon, now_ms);
			record_clock(daemon);
			*why = "idle";
			if (!tick(daemon, now_ms, &busy_ms))
				return OK;
		}
	}
}

/* Nobody new, nothing new, and what runs comes to its end, or is ended. False: threads are left. */
static bool drain(struct daemon *daemon)
{
	atomic_store(&daemon->stopping, true);
	clients_hang_up(&daemon->clients);
	if (clients_wait(&daemon->clients, daemon->config->limits_wall_ms + DRAIN_EXTRA_MS))
		return true;
	atomic_store(&daemon->ending, true);
	if (clients_wait(&daemon->clients, DRAIN_LAST_MS))
		return true;
	log_error("%zu connections are left behind", clients_count(&daemon->clients));
	return false;
}

enum err server_run(struct daemon *daemon, int signals, const char **why, bool *all_gone)
{
	CLEANUP(fd) int listener = -1;
	enum err e = open_socket(daemon->config, &listener);

	*why = "no socket";
	*all_gone = true;
	if (e)
		return e;
	struct pollfd polled[POLLED] = {
		[LISTENER] = { listener, POLLIN, 0 },
		[LAUNCHER] = { daemon->launcher, POLLRDHUP, 0 },
		[STOP] = { daemon->stop, POLLIN, 0 },
		[SIGNALS] = { signals, POLLIN, 0 },
	};
	log_info("%s, %s mode, listening on %s", attest_origin(daemon->attest),
		 daemon->config->mode == MODE_APPLIANCE ? "appliance" : "development",
		 daemon->config->socket);
	e = loop(daemon, polled, why);
	unlink(daemon->config->socket);
	*all_gone = drain(daemon);
	request_record_refusals(daemon, true);
	return e;
}
