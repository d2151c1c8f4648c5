#include "plugin/daemon/clients.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "config/base/io.h"
#include "config/base/secret.h"

#define PROBES_MAX 4

void clients_init(struct clients *all, size_t most)
{
	pthread_condattr_t attributes;

	*all = (struct clients){ .most = most, .most_per_user = most - most / 4 };
	pthread_mutex_init(&all->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&all->gone, &attributes);
	pthread_cond_init(&all->probed, &attributes);
	pthread_condattr_destroy(&attributes);
}

/* One user may not take all places: an administrator gets through, to stop the daemon. */
static enum err add_locked(struct clients *all, struct connection *connection)
{
	size_t same = 0;

	for (struct connection *c = all->connections; c; c = c->next)
		same += c->peer.uid == connection->peer.uid;
	if (all->connections_n >= all->most || same >= all->most_per_user)
		return failed(ERR_LIMIT, "too many connections: %zu, %zu of user %u",
			      all->connections_n, same, connection->peer.uid);
	connection->next = all->connections;
	all->connections = connection;
	all->connections_n++;
	return OK;
}

enum err connection_add(struct clients *all, int fd, struct connection **out)
{
	struct connection *connection = calloc(1, sizeof *connection);
	socklen_t n = sizeof connection->peer;

	if (!connection)
		return failed(ERR_MEMORY, "connection");
	enum err e = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &connection->peer, &n)
			     ? failed(ERR_IO, "SO_PEERCRED: %m")
			     : OK;
	if (!e) {
		pthread_mutex_lock(&all->lock);
		e = add_locked(all, connection);
		pthread_mutex_unlock(&all->lock);
	}
	if (e) {
		free(connection);
		return e;
	}
	connection->fd = fd;
	*out = connection;
	return OK;
}

static void client_release(struct client *client)
{
	if (!client || atomic_fetch_sub(&client->refs, 1) != 1)
		return;
	pthread_mutex_destroy(&client->auth.lock);
	secret_wipe(client, sizeof *client);
	free(client);
}

/* The link ends with its owner: it can't be attached to any more, and its lanes are shut; but not when
 * it was this side that hung up, and what they still do comes to its end. */
static void end_link_locked(struct clients *all, struct client *client)
{
	atomic_store(&client->ended, true);
	for (struct client **at = &all->links; *at; at = &(*at)->next)
		if (*at == client) {
			*at = client->next;
			break;
		}
	for (struct connection *c = all->connections; c && !all->hung_up; c = c->next)
		if (c->client == client)
			shutdown(c->fd, SHUT_RDWR);
}

void connection_remove(struct clients *all, struct connection *connection)
{
	struct client *client = connection->client;

	pthread_mutex_lock(&all->lock);
	for (struct connection **at = &all->connections; *at; at = &(*at)->next)
		if (*at == connection) {
			*at = connection->next;
			all->connections_n--;
			break;
		}
	if (client && connection->owner)
		end_link_locked(all, client);
	close(connection->fd);
	pthread_cond_broadcast(&all->gone);
	pthread_mutex_unlock(&all->lock);
	client_release(client);
	free(connection);
}

enum err connection_greet(struct clients *all, struct connection *connection, struct slice frontend)
{
	enum err e;

	if (connection->client)
		return failed(ERR_STATE, "this connection has greeted already");
	struct client *client = calloc(1, sizeof *client);
	if (!client)
		return failed(ERR_MEMORY, "link");
	if ((e = io_random(client->id, sizeof client->id)) ||
	    (e = io_random(client->secret, sizeof client->secret))) {
		free(client);
		return e;
	}
	client->refs = 1;
	client->uid = connection->peer.uid;
	auth_init(&client->auth);
	if (frontend.left == sizeof client->frontend) {
		client->has_frontend = true;
		memcpy(client->frontend, frontend.p, frontend.left);
	}
	pthread_mutex_lock(&all->lock);
	client->next = all->links;
	all->links = client;
	connection->client = client;
	connection->owner = true;
	pthread_mutex_unlock(&all->lock);
	return OK;
}

enum err connection_attach(struct clients *all, struct connection *connection,
			   const uint8_t secret[CLIENT_SECRET])
{
	struct client *found = NULL;

	if (connection->client)
		return failed(ERR_STATE, "this connection has greeted already");
	pthread_mutex_lock(&all->lock);
	for (struct client *c = all->links; c; c = c->next)
		if (secret_equal(c->secret, secret, CLIENT_SECRET) &&
		    c->uid == connection->peer.uid)
			found = c;
	if (found) {
		atomic_fetch_add(&found->refs, 1);
		connection->client = found;
	}
	pthread_mutex_unlock(&all->lock);
	return found ? OK : failed(ERR_DENIED, "no link with that secret");
}

/* Not when it only has nothing more to say, nor when this side stopped reading. */
bool connection_hung_up(const struct connection *connection)
{
	struct pollfd p = { .fd = connection->fd };

	return poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR);
}

void client_cancel(struct client *client, uint64_t run)
{
	unsigned at = atomic_fetch_add(&client->cancels, 1) % CLIENT_CANCELS;

	atomic_store(&client->cancelled[at], run);
}

bool client_cancelled(const struct client *client, uint64_t run)
{
	for (size_t i = 0; run && i < CLIENT_CANCELS; i++)
		if (atomic_load(&client->cancelled[i]) == run)
			return true;
	return false;
}

enum err clients_probe(struct clients *all, struct client *client, uint64_t wait_ms)
{
	struct timespec until = io_timespec(io_monotonic_ms() + wait_ms);
	int rc = 0;

	pthread_mutex_lock(&all->lock);
	while ((client->probing || all->probes == PROBES_MAX) && wait_ms && rc == 0)
		rc = pthread_cond_timedwait(&all->probed, &all->lock, &until);
	bool free = !client->probing && all->probes < PROBES_MAX;
	if (free) {
		client->probing = true;
		all->probes++;
	}
	pthread_mutex_unlock(&all->lock);
	return free ? OK : failed(ERR_STATE, "too many look at tokens at the moment");
}

void clients_probed(struct clients *all, struct client *client)
{
	pthread_mutex_lock(&all->lock);
	client->probing = false;
	all->probes--;
	pthread_cond_broadcast(&all->probed);
	pthread_mutex_unlock(&all->lock);
}

void clients_hang_up(struct clients *all)
{
	pthread_mutex_lock(&all->lock);
	all->hung_up = true;
	for (struct connection *c = all->connections; c; c = c->next)
		shutdown(c->fd, SHUT_RD);
	pthread_mutex_unlock(&all->lock);
}

bool clients_wait(struct clients *all, uint64_t wait_ms)
{
	struct timespec until = io_timespec(io_monotonic_ms() + wait_ms);
	int rc = 0;

	pthread_mutex_lock(&all->lock);
	while (all->connections_n && rc == 0)
		rc = pthread_cond_timedwait(&all->gone, &all->lock, &until);
	bool none = all->connections_n == 0;
	pthread_mutex_unlock(&all->lock);
	return none;
}

size_t clients_count(struct clients *all)
{
	pthread_mutex_lock(&all->lock);
	size_t n = all->connections_n;
	pthread_mutex_unlock(&all->lock);
	return n;
}
