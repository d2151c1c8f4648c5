/* registry.h - the applications of one partition: content-addressed packages, and an index.
 *
 * The index is a record (state.h) with the epoch, which any load or removal raises, and with the
 * signatures, which are checked when a policy is about to be in force (approvals.h). Packages are
 * verified when loaded, when the daemon starts, and again before the launcher unpacks one. Safe from
 * any thread; an application that was taken stays whole until it is released (app.h), also when it was
 * removed or replaced meanwhile.
 */
#ifndef PLUGIN_DAEMON_REGISTRY_H
#define PLUGIN_DAEMON_REGISTRY_H

#include "plugin/daemon/app.h"
#include "plugin/daemon/state.h"
#include "plugin/wire.h"

#define REGISTRY_APPS_MAX 64
#define REGISTRY_PAGE_MAX 40000 /* and one application more: what APPS answers in a message */
#define REGISTRY_IMAGES_MAX 32  /* unpacked at a time */

struct registry {
	struct state *state;
	char name[2 * WIRE_SERIAL_MAX + 1]; /* of its record */
	uint64_t generation;
	uint64_t quota;           /* bytes of all packages; 0: no limit. Set before it is shared. */
	pthread_mutex_t changing; /* held during a load or a removal, with its writes */
	pthread_mutex_t lock;     /* guards what follows; taken after changing */
	uint64_t epoch;
	struct app *apps[REGISTRY_APPS_MAX];
	size_t apps_n;
	struct newest newest; /* only changing guards it */
};

/* Reads the index of this partition and generation, or starts an empty one; verifies each package:
 * ERR_MISMATCH when one was changed on disk. */
MUST enum err registry_open(struct registry *registry, struct state *state, struct slice serial,
			    uint64_t generation);
void registry_close(struct registry *registry);

/* Puts @app, of this package, into the registry, durably; one of the same id is replaced. ERR_LIMIT:
 * too many, now or ever in this generation, or over the quota. */
MUST enum err registry_put(struct registry *registry, struct slice package, struct app *app);
/* ERR_NOT_FOUND when there is none. */
MUST enum err registry_remove(struct registry *registry, struct slice id);

/* The newest version of an application that this generation loaded; "": none. */
void registry_newest(struct registry *registry, const char *id, char version[APP_VERSION]);
/* Checks the signatures of all applications by those whom the policy lists: before it is in force. One
 * that does not hold does not count, and is told the operator. */
void registry_check(struct registry *registry, const struct partition_policy *says);

/* Raises the epoch, durably, with the same applications: what waits for its input under the one before
 * gets none. */
MUST enum err registry_raise(struct registry *registry);

/* Takes the application for use; release it with app_release. @epoch may be NULL. */
MUST enum err registry_get(struct registry *registry, struct slice id, struct app **out,
			   uint64_t *epoch);
/* Whether this very version is still in it. */
bool registry_has(struct registry *registry, const struct app *app);
uint64_t registry_epoch(struct registry *registry);
/* Writes what APPS answers: the epoch, and the array of applications from the @from-th on, as many as
 * a message holds. @next: where to go on, or 0. */
void registry_list(struct registry *registry, size_t from, struct buf *out, size_t *next);
/* How many are unpacked, and when an idle one of them was used longest ago; UINT64_MAX: none is. */
size_t registry_unpacked(struct registry *registry, uint64_t *oldest_ms);
/* Drops that image; false when there is none. */
bool registry_evict(struct registry *registry);
/* Is this package named by this registry? */
bool registry_uses(struct registry *registry, const uint8_t package[SHA256_SIZE]);

#endif
