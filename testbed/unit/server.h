/* server.h - a small daemon's end of the link for tests: a thread for each connection. */
#ifndef TESTBED_UNIT_SERVER_H
#define TESTBED_UNIT_SERVER_H

#include "testbed/unit/check.h"

#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "plugin/link.h"

static const uint8_t server_secret[32] = "the link's secret";
static const uint8_t server_boot[16] = "boot", server_connection[16] = "connection";

/* Answers a request in place: @in is left at its arguments. false ends the connection. NULL: hold
 * the connection and say nothing. */
static bool (*server_handler)(struct wire_message *m, uint64_t number, struct slice in);

static inline void server_answer(struct wire_message *m, size_t results, enum err e,
				 const char *reason)
{
	wire_cleanup(m);
	wire_init(m);
	cbor_put_array(&m->bytes, 2 + results);
	cbor_put_uint(&m->bytes, e);
	cbor_put_text(&m->bytes, reason);
}

static inline void server_greet(struct wire_message *m)
{
	server_answer(m, 5, OK, "");
	cbor_put_bytes(&m->bytes, SLICE(server_boot));
	cbor_put_bytes(&m->bytes, SLICE(server_connection));
	cbor_put_bytes(&m->bytes, SLICE(server_secret));
	cbor_put_uint(&m->bytes, MODE_DEVELOPMENT);
	cbor_put_text(&m->bytes, "0123456789abcdef");
}

static inline bool server_serve(struct wire_message *m)
{
	struct slice in = buf_slice(&m->bytes);
	size_t items;
	uint64_t number;

	ck_assert_ok(cbor_take_array(&in, 16, &items));
	ck_assert_ok(cbor_take_uint(&in, &number));
	return server_handler(m, number, in);
}

static inline void *server_connection_thread(void *fd_as_pointer)
{
	int fd = (int)(intptr_t)fd_as_pointer;
	CLEANUP(wire) struct wire_message m;

	wire_init(&m);
	/* A client may be gone before its answer comes: that is its own affair. */
	while (wire_recv(fd, &m) == OK && server_serve(&m) && wire_send(fd, &m) == OK)
		;
	close(fd);
	return NULL;
}

static inline int server_listen(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	ck_assert_uint_lt(strlen(path), sizeof a.sun_path);
	memcpy(a.sun_path, path, strlen(path) + 1);
	unlink(path);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(listen(fd, 64), 0);
	return fd;
}

static inline void *server_accept_thread(void *fd_as_pointer)
{
	for (;;) {
		int fd = accept4((int)(intptr_t)fd_as_pointer, NULL, NULL, SOCK_CLOEXEC);
		pthread_t t;

		if (fd < 0)
			return NULL;
		if (!server_handler)
			continue;
		pthread_create(&t, NULL, server_connection_thread, (void *)(intptr_t)fd);
		pthread_detach(t);
	}
}

static inline int server_start(const char *path)
{
	int fd = server_listen(path);
	pthread_t t;

	pthread_create(&t, NULL, server_accept_thread, (void *)(intptr_t)fd);
	pthread_detach(t);
	return fd;
}

#endif
