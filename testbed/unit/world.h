/* world.h - a whole appliance for a test: two private SoftHSM stores (one with the daemon's own
 * token, one with two partitions), launcher and daemon in development mode, a client's link.
 *
 * world_golden() once per program; then world_make(), which initialises and starts, and world_end()
 * in each test. The programs are those beside the test: $BUILD.
 */
#ifndef TESTBED_UNIT_WORLD_H
#define TESTBED_UNIT_WORLD_H

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "pkcs11/p11.h"
#include "plugin/link.h"
#include "plugin/role.h"
#include "testbed/softhsm/harness.h"
#include "testbed/unit/check.h"

enum { BANK_A, BANK_B, BANKS };

/* One partition, from its client's side. */
struct bank {
	CK_SLOT_ID slot;
	char serial[17], origin[257];
	uint64_t generation;
	uint8_t key_id[ROLE_KEY_ID_SIZE];
	struct buf certificate;
};

struct world {
	char dir[128], build[PATH_MAX], self[PATH_MAX + 16];
	struct softhsm token, partitions;
	struct config *config;
	CK_FUNCTION_LIST *hsm;
	struct bank banks[BANKS];
	struct link *link;
	struct buf ca;
	uint32_t wall_ms; /* the limit in world_package's manifest; 0: 1000 */
	bool park;        /* its programs may be started ahead of their requests */
	/* What world_execute sends along; empty and 0: nothing. */
	struct slice nonce, request;
	uint32_t time_limit;
	uint64_t run;
};
extern struct world world;

void world_golden(void);
void world_make(void);
/* The same with the programs of a folder below the build directory. */
void world_make_with(const char *programs);
void world_end(void);

/* Starts launcher and daemon, and connects; ends the link, stops, waits for the end. */
void world_start(void);
void world_stop(void);
/* The daemon's process, and the launcher's. */
pid_t world_daemon(void);
pid_t world_launcher(void);
/* Waits until a process has gone; aborts after ten seconds. */
void world_await_end(pid_t pid);
void world_connect(void);

/* Enrols with both roles' proofs; again: the next generation. */
enum err world_enrol(unsigned bank);
/* Logs in on the token, leaving one session open. */
CK_SESSION_HANDLE world_login(unsigned bank, enum wire_role role);
void world_logout(unsigned bank);
/* Has the HSM prove the role that is logged in to the daemon. */
enum err world_prove(struct link *link, unsigned bank, enum wire_role role);
/* world_login and world_prove, over the world's own link. */
void world_become(unsigned bank, enum wire_role role);

/* Ends the grants of a link, as a module does when it sees a logout. */
void world_revoke(struct link *link, unsigned bank, enum wire_role role);

/* The application "unruly" of testbed/samples as a package. */
void world_package(const char *id, struct buf *package);
/* Loads it, with the SO's grant. */
enum err world_load_package(unsigned bank, struct slice package);
/* Becomes the SO, loads "unruly", logs out again. */
enum err world_load(unsigned bank, const char *id);
/* What an execution answered. */
struct outcome {
	struct buf compact, returned;
	char label[256];
};
enum err world_execute(struct link *link, unsigned bank, const char *id, enum wire_operation op,
		       struct slice input, struct outcome *out);
void outcome_cleanup(struct outcome *outcome);
/* Fetches the newest result with this label and CKA_APPLICATION. */
enum err world_fetch(struct link *link, unsigned bank, const char *label, const char *application,
		     struct buf *out);

#endif
