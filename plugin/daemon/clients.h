/* clients.h - who is connected: connections, and the links that they belong to.
 *
 * A link is one client process: its first connection greets (HELLO) and owns it, further ones attach
 * as lanes by the link's secret. Grants belong to the link. When the owner goes the link has ended:
 * grants are void and the lanes are shut. One thread serves one connection.
 */
#ifndef PLUGIN_DAEMON_CLIENTS_H
#define PLUGIN_DAEMON_CLIENTS_H

#include <stdatomic.h>
#include <sys/socket.h>

#include "plugin/daemon/auth.h"

#define CLIENT_SECRET 32
#define CLIENT_CANCELS 64 /* remembered; as many as a link has lanes */

/* An enrolment that a link began; the thread of that connection owns it. */
struct pending_enrolment {
	bool open;
	char serial[WIRE_SERIAL_MAX + 1], label[33];
	uint64_t generation, begun_ms;
	uint8_t nonce[32];
};

struct client {
	atomic_uint refs;
	uint8_t id[16], secret[CLIENT_SECRET];
	uid_t uid;
	bool has_frontend;
	uint8_t frontend[32];
	struct auth auth;
	atomic_ullong cancelled[CLIENT_CANCELS]; /* numbers of runs */
	atomic_uint cancels;
	atomic_bool ended;
	struct client *next; /* this and the next under the lock of struct clients */
	bool probing;
};

struct connection {
	int fd;
	struct ucred peer;
	struct client *client; /* NULL until it greeted or attached */
	bool owner;
	struct pending_enrolment enrolment;
	struct connection *next; /* under the lock of struct clients */
};

struct clients {
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t gone;  /* signalled when a connection has gone */
	struct connection *connections;
	size_t connections_n;
	struct client *links;
	size_t most, most_per_user;
	bool hung_up;
	pthread_cond_t probed; /* signalled when a look at a token is over */
	unsigned probes;
};

void clients_init(struct clients *all, size_t most);
/* Takes the socket over when OK. ERR_LIMIT: too many, in all or of this user. */
MUST enum err connection_add(struct clients *all, int fd, struct connection **out);
/* Closes, and ends the link when this one owned it. */
void connection_remove(struct clients *all, struct connection *connection);
/* A new link owned by this connection; or a lane of an existing one: ERR_DENIED when there is none
 * with that secret of the same user. ERR_STATE when it has one already. */
MUST enum err connection_greet(struct clients *all, struct connection *connection,
			       struct slice frontend);
MUST enum err connection_attach(struct clients *all, struct connection *connection,
				const uint8_t secret[CLIENT_SECRET]);
/* Asks for leave to have a token looked at, by a process: one at a time for each link, few in all.
 * ERR_STATE: not within @wait_ms. To be followed by clients_probed. */
MUST enum err clients_probe(struct clients *all, struct client *client, uint64_t wait_ms);
void clients_probed(struct clients *all, struct client *client);
/* Whether whoever asked has gone, or the link that the connection belongs to has ended. */
bool connection_hung_up(const struct connection *connection);
/* That a run of the link, begun or about to, is cancelled; and whether it is. */
void client_cancel(struct client *client, uint64_t run);
bool client_cancelled(const struct client *client, uint64_t run);
/* Ends reading on every connection, so that each thread ends after what it does now. */
void clients_hang_up(struct clients *all);
/* Waits until all are gone; false after @wait_ms. */
bool clients_wait(struct clients *all, uint64_t wait_ms);
size_t clients_count(struct clients *all);

#endif
