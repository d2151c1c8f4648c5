#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/base/io.h"
#include "config/base/log.h"
#include "plugin/cli/cli.h"
#include "plugin/cli/witness_http.h"

#define CONNECTIONS_MAX 32
#define BACKLOG 64
#define BUSY_MS 50

struct server {
	struct witness *witness;
	atomic_int connections;
	atomic_bool full;
};

struct task {
	struct server *server;
	int fd;
};

/* ---- where it listens ---- */

static enum err listen_unix(const char *path, int *out)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	CLEANUP(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof address.sun_path)
		return failed(ERR_USAGE, "%s is too long for a socket's path", path);
	strcpy(address.sun_path, path);
	/* The state directory's lock is held, so this is what an earlier run left, if anything. */
	struct stat status;
	if (!lstat(path, &status) && S_ISSOCK(status.st_mode))
		unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, BACKLOG))
		return failed(ERR_IO, "%s: %m", path);
	*out = fd_steal(&fd);
	printf("listening on %s\n", path);
	return OK;
}

/* "HOST:PORT", where HOST is a number; an IPv6 one stands in brackets. */
static enum err split_address(const char *text, char host[64], const char **port)
{
	const char *colon = strrchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;

	if (n && text[0] == '[' && colon[-1] == ']') {
		text++;
		n -= 2;
	}
	if (n == 0 || n >= 64 || !colon[1])
		return failed(ERR_USAGE, "listen: ADDRESS:PORT, [ADDRESS]:PORT or a path expected");
	memcpy(host, text, n);
	host[n] = 0;
	*port = colon + 1;
	return OK;
}

static enum err bind_to(const struct addrinfo *to, int *out)
{
	CLEANUP(fd)
	int fd = socket(to->ai_family, to->ai_socktype | SOCK_CLOEXEC, to->ai_protocol);
	int on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) ||
	    bind(fd, to->ai_addr, to->ai_addrlen) || listen(fd, BACKLOG))
		return failed(ERR_IO, "listen: %m");
	*out = fd_steal(&fd);
	return OK;
}

/* With port 0 the kernel chose one: this is how anybody learns which. */
static void say_address(int fd)
{
	struct sockaddr_storage address;
	socklen_t n = sizeof address;
	char host[64], port[16];

	if (getsockname(fd, (struct sockaddr *)&address, &n) ||
	    getnameinfo((struct sockaddr *)&address, n, host, sizeof host, port, sizeof port,
			NI_NUMERICHOST | NI_NUMERICSERV))
		return;
	printf(address.ss_family == AF_INET6 ? "listening on http://[%s]:%s\n"
					     : "listening on http://%s:%s\n",
	       host, port);
}

static enum err listen_tcp(const char *text, int *out)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
					.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE };
	struct addrinfo *found = NULL;
	const char *port;
	char host[64];
	enum err e = split_address(text, host, &port);

	if (e)
		return e;
	if (getaddrinfo(host, port, &hints, &found) || !found)
		return failed(ERR_USAGE, "listen: %s is no address and port", text);
	if (!(e = bind_to(found, out)))
		say_address(*out);
	freeaddrinfo(found);
	return e;
}

/* ---- serving ---- */

static void *serve_one(void *argument)
{
	struct task task = *(struct task *)argument;

	free(argument);
	http_serve(task.server->witness, task.fd, &task.server->full);
	atomic_fetch_sub(&task.server->connections, 1);
	return NULL;
}

static enum err start_one(struct server *server, int fd)
{
	struct task *task = malloc(sizeof *task);
	pthread_t thread;
	int r = task ? 0 : ENOMEM;

	if (task) {
		*task = (struct task){ server, fd };
		atomic_fetch_add(&server->connections, 1);
		r = pthread_create(&thread, NULL, serve_one, task);
	}
	if (r == 0) {
		pthread_detach(thread);
		return OK;
	}
	if (task)
		atomic_fetch_sub(&server->connections, 1);
	free(task);
	return failed(ERR_MEMORY, "a connection: %s", strerror(r));
}

static void accept_one(struct server *server, int listener)
{
	CLEANUP(fd) int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno != EINTR && errno != EAGAIN && errno != ECONNABORTED) {
			log_warning("accept: %m");
			io_pause(BUSY_MS);
		}
		return;
	}
	if (start_one(server, fd))
		log_warning("%s", err_reason());
	else
		(void)fd_steal(&fd);
}

/* Until SIGTERM or SIGINT. While all connections are taken, others wait in the kernel. */
static enum err loop(struct server *server, int listener, int signals)
{
	for (;;) {
		bool full = atomic_load(&server->connections) >= CONNECTIONS_MAX;

		atomic_store(&server->full, full);
		struct pollfd polled[] = { { signals, POLLIN, 0 },
					   { full ? -1 : listener, POLLIN, 0 } };

		if (poll(polled, 2, full ? BUSY_MS : -1) < 0 && errno != EINTR)
			return failed(ERR_IO, "poll: %m");
		if (polled[0].revents)
			return OK;
		if (polled[1].revents)
			accept_one(server, listener);
	}
}

static enum err serve(struct witness *witness, const char *address)
{
	/* Threads of connections may outlive loop(); they end with the process. */
	static struct server server;
	CLEANUP(fd) int listener = -1;
	CLEANUP(fd) int signals = -1;
	sigset_t ends;
	enum err e;

	server.witness = witness;
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	if (pthread_sigmask(SIG_BLOCK, &ends, NULL) ||
	    (signals = signalfd(-1, &ends, SFD_CLOEXEC)) < 0)
		return failed(ERR_IO, "signals: %m");
	e = address[0] == '/' ? listen_unix(address, &listener) : listen_tcp(address, &listener);
	if (e)
		return e;
	fflush(stdout);
	return loop(&server, listener, signals);
}

int cmd_witness_serve(struct cli *cli)
{
	const char *state = NULL, *address = NULL;
	struct witness *witness = NULL;
	const struct cli_option options[] = {
		CLI_TEXT("state", "DIR", &state, "directory of the witness; required"),
		CLI_TEXT("listen", "ADDRESS", &address,
			 "ADDRESS:PORT (port 0: any), or the path of a Unix socket; required"),
	};
	enum cli_exit code = cli_options(cli, options, sizeof options / sizeof *options);
	enum err e;

	if (code)
		return code;
	if (!state || !address)
		return cli_usage(cli, "--%s is missing", state ? "listen" : "state");
	log_start("assay witness", LOG_LEVEL_INFO);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return cli_failed(cli, failed(ERR_IO, "no_new_privs: %m"));
	if ((e = witness_open(state, &witness)) || (e = serve(witness, address)))
		return cli_failed(cli, e);
	/* Not closed: threads may be at work with it, and what they sign is durable or not sent. */
	return EXIT_HOLDS;
}
