/* statedir.h - a state directory of a test's own, with a store key, and small packages. */
#ifndef TESTBED_UNIT_STATEDIR_H
#define TESTBED_UNIT_STATEDIR_H

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "plugin/daemon/registry.h"
#include "plugin/daemon/state.h"
#include "testbed/unit/check.h"
#include "testbed/unit/place.h"

static char statedir[64];
static struct state *state;

static inline void statedir_open(void)
{
	CLEANUP(secret) struct secret key = { 0 };

	ck_assert_ok(secret_new(&key, 32));
	memset(key.p, 'k', 32);
	ck_assert_ok(state_open(statedir, true, &state));
	ck_assert_ok(state_use_key(state, &key));
}

static inline void statedir_make(void)
{
	place_make(statedir, sizeof statedir, "state");
	statedir_open();
}

static inline void statedir_reopen(void)
{
	state_close(state);
	statedir_open();
}

static inline void statedir_remove(void)
{
	state_close(state);
	state = NULL;
	place_remove(statedir);
}

/* Changes one byte of a file of the directory. */
static inline void statedir_spoil(const char *folder, const char *name, off_t at)
{
	char path[512];
	uint8_t byte;

	snprintf(path, sizeof path, "%s/%s/%s", statedir, folder, name);
	ck_assert_int_eq(chmod(path, 0600), 0);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	ck_assert_int_eq(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

/* An application of one small file. */
static inline void statedir_package(const char *id, const char *version, struct buf *out)
{
	struct entry entry = { .path = slice_text("bin/app"),
			       .type = ENTRY_FILE,
			       .mode = 0555,
			       .content = slice_text("not a program") };
	struct manifest manifest;

	manifest_default(&manifest);
	manifest.id = slice_text(id);
	manifest.label = slice_text("An application");
	manifest.version = slice_text(version);
	manifest.argv[0] = slice_text("/bin/app");
	manifest.argc = 1;
	ck_assert_ok(package_build(&manifest, &entry, 1, out));
}

#endif
