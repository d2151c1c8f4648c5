/* app.h - one application: what its package says, and its image while the launcher has it unpacked.
 *
 * What is said never changes, and may be read by whoever holds a reference: the one that made it, the
 * registry that it was put into (registry.h), and executions. Safe from any thread.
 */
#ifndef PLUGIN_DAEMON_APP_H
#define PLUGIN_DAEMON_APP_H

#include <pthread.h>
#include <stdatomic.h>

#include "plugin/daemon/approvals.h"
#include "plugin/daemon/newest.h"
#include "plugin/daemon/state.h"
#include "sandbox/sandbox.h"

#define APP_CKA_ID 8 /* bytes */

struct app {
	atomic_uint refs;
	char id[APP_ID], label[65], version[APP_VERSION];
	struct approvals approvals;
	uint8_t package[SHA256_SIZE]; /* names the file */
	uint64_t package_n;           /* its bytes */
	uint8_t image[SHA256_SIZE], profile[SHA256_SIZE], measurement[SHA256_SIZE];
	uint8_t cka_id[APP_CKA_ID]; /* of SHA-256 of the id: the same for all versions */
	struct buf manifest;        /* as in the package */
	struct limits limits;
	uint8_t refuse_code;
	char purity[48];                /* what its manifest claims, in words; "": nothing */
	const void *group;              /* whose runs wait for cells in turn: the registry's */
	pthread_mutex_t lock;           /* guards the rest */
	struct sandbox_image *unpacked; /* made at the first run, and again when it was evicted */
	size_t users;
	uint64_t used_ms;
};

/* What a package may ask for at most. */
struct app_ceiling {
	uint64_t memory_bytes, output_bytes, wall_ms;
};

/* Checks and measures a package, into an application that is in no registry yet; @signers (NULL:
 * nobody) are kept with it, unchecked. ERR_FORMAT, ERR_RANGE: the package is not as it should be, or
 * asks for more than @ceiling (NULL: none). */
MUST enum err app_examine(struct slice package, const struct trailer *signers,
			  const struct app_ceiling *ceiling, struct app **out);
void app_release(struct app *app); /* NULL is allowed */
void app_cleanup(struct app **app);

/* Appends it as APPS lists it. */
void app_put(const struct app *app, struct buf *out);

/* The application as the launcher unpacked it, made when it is not there; it stays until app_done.
 * ERR_MISMATCH: its package was changed on disk. ERR_LIMIT: the launcher has no room for it. */
MUST enum err app_unpacked(struct app *app, const struct state *state, struct sandbox *box,
			   struct sandbox_image **out);
void app_done(struct app *app);
/* Programs that wait for their input were started under an earlier epoch: none of them gets any. */
void app_drain(struct app *app);
/* Whether it is unpacked, and nobody uses it, since @used_ms. One that is being unpacked or dropped
 * counts as unpacked and is not idle; it is not waited for. */
bool app_idle(struct app *app, bool *unpacked, uint64_t *used_ms);
/* Drops the image; false when there is none, or it is in use. */
bool app_evict(struct app *app);

#endif
