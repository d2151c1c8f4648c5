/* registry.h - the applications of one partition: content-addressed packages, and an index.
 *
 * The index is a record (state.h) with the epoch, which any load or removal raises; packages are
 * verified when loaded, when the daemon starts, and again before the launcher unpacks one. Signatures are
 * kept in the index, and checked when a policy is about to be in force (approvals.h). Safe from
 * any thread; an application that was taken stays whole until it is released, also when it was
 * removed or replaced meanwhile.
 */
#ifndef PLUGIN_DAEMON_REGISTRY_H
#define PLUGIN_DAEMON_REGISTRY_H

#include <pthread.h>
#include <stdatomic.h>

#include "plugin/daemon/approvals.h"
#include "plugin/daemon/newest.h"
#include "plugin/daemon/state.h"
#include "plugin/wire.h"
#include "sandbox/sandbox.h"

#define REGISTRY_APPS_MAX 64
#define REGISTRY_PAGE_MAX 40000 /* and one application more: what APPS answers in a message */
#define REGISTRY_IMAGES_MAX 32  /* unpacked at a time */
#define APP_CKA_ID 8

struct app {
	atomic_uint refs;
	char id[APP_ID], label[65], version[APP_VERSION];
	struct approvals approvals;
	uint8_t package[SHA256_SIZE]; /* names the file */
	uint64_t package_n;           /* its bytes */
	uint8_t image[SHA256_SIZE], profile[SHA256_SIZE], measurement[SHA256_SIZE];
	uint8_t cka_id
		[APP_CKA_ID]; /* first bytes of SHA-256 of the id: the same for all versions */
	struct buf manifest;  /* as in the package */
	struct limits limits;
	uint8_t refuse_code;
	char purity[48];                /* what its manifest claims, in words; "": nothing */
	const void *group;              /* whose runs wait for cells in turn: the registry's */
	pthread_mutex_t lock;           /* guards the rest */
	struct sandbox_image *unpacked; /* made at the first run, and again when it was evicted */
	size_t users;
	uint64_t used_ms;
};

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

/* What a package may ask for at most. */
struct registry_ceiling {
	uint64_t memory_bytes, output_bytes, wall_ms;
};

/* Reads the index of this partition and generation, or starts an empty one; verifies each package:
 * ERR_MISMATCH when one was changed on disk. */
MUST enum err registry_open(struct registry *registry, struct state *state, struct slice serial,
			    uint64_t generation);
void registry_close(struct registry *registry);

/* Checks and measures a package, into an application of its own that is in no registry yet; @signers
 * (NULL: nobody) are kept with it, unchecked. ERR_FORMAT, ERR_RANGE: the package is not as it should be,
 * or asks for too much. */
MUST enum err registry_examine(struct slice package, const struct trailer *signers,
			       const struct registry_ceiling *ceiling, struct app **out);
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

/* The application as the launcher unpacked it, made when it is not there; it stays until app_done. */
MUST enum err app_unpacked(struct app *app, const struct state *state, struct sandbox *box,
			   struct sandbox_image **out);
void app_done(struct app *app);
void app_release(struct app *app); /* NULL is allowed */
void app_cleanup(struct app **app);

#endif
