/* launcher.h - the privileged half of the sandbox: one thread, one socket, images and cells.
 *
 * It never sees payload: a cell's control socket goes to the daemon, which talks to init itself.
 */
#ifndef SANDBOX_LAUNCHER_LAUNCHER_H
#define SANDBOX_LAUNCHER_LAUNCHER_H

#include <sys/types.h>

#include "sandbox/launcher/cgroup.h"
#include "sandbox/package.h"
#include "sandbox/protocol.h"

#define IMAGES_MAX 256
#define CELL_END_MS 5                /* between looks at a cell that ends */
#define CELL_UIDS 2                  /* host ids per cell: init's and the application's */
#define UIDS (CELLS_MAX * CELL_UIDS) /* of one launcher */
#define UIDS_LAUNCHERS 64            /* at most, from one uid_base on */

/* Directories of the launcher's own root. */
#define PATH_IMAGES "/images"
#define PATH_CELL "/cell"
#define PATH_INIT "/init"
#define PATH_SCRATCH "/tmp" /* in a cell that has some */

struct image {
	bool used;
	uint8_t *manifest_raw; /* manifest points into it */
	struct manifest manifest;
};

struct cell {
	bool used, ending; /* ending: told to, and not gone */
	uint32_t image;
	pid_t init;
	struct cgroup_cell groups;
};

/* Optional steps of steps.def that this machine has. */
struct have {
	bool time_namespace, memfd_noexec, keyring, mdwe;
	uint32_t landlock_abi;
};

struct launcher {
	int sock; /* to the daemon */
	bool privileged;
	uint32_t uid_base; /* of the ids that it has claimed */
	uint32_t cells_max;
	const char *allow_missing;
	struct have have;
	struct cgroups groups;
	char absent[512];
	uint8_t launcher_hash[SHA256_SIZE], init_hash[SHA256_SIZE];
	struct image images[IMAGES_MAX];
	struct cell cells[CELLS_MAX];
#ifdef ASSAY_FAULTS
	const char *fault, *without;
#endif
};

/* Steps of steps.def, by name; programs of the tests have answers of their own. */
#ifndef ASSAY_FAULTS
#define step_taken(launcher, step) true
#define step_enter(launcher, step) OK
#endif

/* host.c */
/* Takes ids that no other launcher of this machine has, from uid_base on, as long as it lives. */
MUST enum err host_claim_uids(struct launcher *launcher);
MUST enum err host_probe(struct launcher *launcher);
/* Leaves the host's file system for a small one of its own, which holds @init and no more. */
MUST enum err host_leave(struct launcher *launcher, struct slice init);

/* Whether @list, words with spaces or commas between, has @word. */
bool has_word(const char *list, const char *word);
/* A detached copy of the mount at @path, with these attributes set (flags: AT_RECURSIVE); -1 with
 * errno. mount_put attaches it, and closes it. */
int mount_copy(const char *path, unsigned flags, uint64_t attributes);
int mount_put(int tree, const char *path);
/* The whole text, into a file that is there; @dir as in openat(2). */
MUST enum err write_text(int dir, const char *name, const char *text);

/* confine.c: keeps the capabilities and system calls that cells and images take; for good. */
MUST enum err launcher_confine(const struct launcher *launcher);
/* Leaves no other capability that a process could gain; 0, or -1 with errno. */
int drop_bounding(uint64_t kept);

/* image.c */
MUST enum err image_add(struct launcher *launcher, int package_fd,
			const uint8_t measurement[SHA256_SIZE], uint32_t *id);
MUST enum err image_drop(struct launcher *launcher, uint32_t id);

/* cell.c */
MUST enum err cell_make(struct launcher *launcher, uint32_t image, uint64_t memory,
			uint32_t processes, uint32_t *id, int fds[CELL_FDS]);
/* Tells it to end and does not wait; its place and its ids are taken again when it is gone. */
MUST enum err cell_end(struct launcher *launcher, uint32_t id);
/* Takes away what is gone of cells that end; true while something is left. */
bool cell_reap(struct launcher *launcher);
/* Waits for those of the image that end; whether it has others. */
bool cell_any(struct launcher *launcher, uint32_t image);
void cell_end_all(struct launcher *launcher);

/* build.c: the new cell's first process. */
void build_cell(const struct launcher *launcher, const struct cell *cell, int control)
	__attribute__((noreturn));

/* requests.c: takes one and answers it. @refused: with the reason why there is no launcher. */
MUST enum err requests_serve_one(struct launcher *launcher, enum err refused);

#endif
