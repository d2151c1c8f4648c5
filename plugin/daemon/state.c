#include "plugin/daemon/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "audit/proof.h"
#include "config/base/cbor.h"
#include "config/base/dir.h"
#include "config/base/io.h"
#include "config/base/sha256.h"
#include "sandbox/package.h"

#define MAC_SIZE 32
#define LOCK_TRIES 50
#define LOCK_PAUSE_MS 20
#define BOOTCOUNT "bootcount"

struct state {
	char *path;
	int dir, lock;
	bool keyed;
	struct secret key;
};

static const char *const folders[] = { STATE_PARTITIONS, STATE_APPLICATIONS, STATE_PACKAGES,
				       STATE_PLATFORM,   STATE_SEALING,      STATE_SEALED,
				       STATE_REQUESTS };

void state_close(struct state *state)
{
	if (!state)
		return;
	secret_free(&state->key);
	fd_cleanup(&state->lock);
	fd_cleanup(&state->dir);
	free(state->path);
	free(state);
}

void state_cleanup(struct state **state)
{
	state_close(STEAL(*state));
}

const char *state_path(const struct state *state)
{
	return state->path;
}

static enum err check_owner(int dir, const char *path)
{
	struct stat status;

	if (fstat(dir, &status))
		return failed(ERR_IO, "%s: %m", path);
	if (status.st_uid != geteuid())
		return failed(ERR_DENIED, "%s belongs to user %u, the daemon runs as %u", path,
			      status.st_uid, geteuid());
	if (status.st_mode & (S_IWGRP | S_IWOTH))
		return failed(ERR_DENIED, "%s: others may write to it", path);
	return OK;
}

static enum err take_lock(struct state *state)
{
	state->lock = openat(state->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (state->lock < 0)
		return failed(ERR_IO, "%s/lock: %m", state->path);
	/* A daemon that is ending lets go in a moment. */
	for (unsigned i = 0; i < LOCK_TRIES; i++) {
		if (!flock(state->lock, LOCK_EX | LOCK_NB))
			return OK;
		if (errno != EWOULDBLOCK)
			return failed(ERR_IO, "%s/lock: %m", state->path);
		io_pause(LOCK_PAUSE_MS);
	}
	return failed(ERR_STATE, "%s: another daemon holds this state directory", state->path);
}

static enum err make_folders(const struct state *state)
{
	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		CLEANUP(fd) int folder = -1;
		enum err e = io_open_dir(state->dir, folders[i], true, &folder);

		if (e)
			return e;
	}
	return OK;
}

enum err state_open(const char *path, bool make, struct state **out)
{
	CLEANUP(state) struct state *state = calloc(1, sizeof *state);
	enum err e;

	if (!state)
		return failed(ERR_MEMORY, "state directory");
	state->dir = state->lock = -1;
	state->path = strdup(path);
	if ((e = state->path ? OK : failed(ERR_MEMORY, "state directory")) ||
	    (e = io_open_dir(AT_FDCWD, path, make, &state->dir)) ||
	    (e = check_owner(state->dir, path)) || (e = take_lock(state)) ||
	    (e = make_folders(state)))
		return e;
	*out = STEAL(state);
	return OK;
}

enum err state_initialised(const struct state *state, bool *out)
{
	*out = !faccessat(state->dir, STATE_INITIALISED, F_OK, AT_SYMLINK_NOFOLLOW);
	return *out || errno == ENOENT ? OK : failed(ERR_IO, "%s: %m", state->path);
}

enum err state_write(const struct state *state, const char *name, struct slice data)
{
	return io_replace_file(state->dir, name, 0600, data);
}

enum err state_read(const struct state *state, const char *name, size_t max, struct buf *out)
{
	return io_read_in(state->dir, name, max, out);
}

enum err state_raise_bootcount(const struct state *state, uint64_t *count)
{
	CLEANUP(buf) struct buf old = BUF_INIT;
	enum err e = state_read(state, BOOTCOUNT, 8, &old);
	uint8_t raw[8];

	if (e && e != ERR_NOT_FOUND)
		return e;
	if (!e && old.len != 8)
		return failed(ERR_FORMAT, "%s/%s: %zu bytes", state->path, BOOTCOUNT, old.len);
	*count = e ? 1 : get_u64(old.data) + 1;
	set_u64(raw, *count);
	return state_write(state, BOOTCOUNT, SLICE(raw));
}

enum err state_use_key(struct state *state, const struct secret *key)
{
	enum err e;

	if (key->len != 32)
		return failed(ERR_RANGE, "a key of %zu bytes", key->len);
	if ((e = secret_new(&state->key, key->len)))
		return e;
	memcpy(state->key.p, key->p, key->len);
	state->keyed = true;
	return OK;
}

/* Folder and name are part of what is authenticated: one record can't be put in another's place. */
static enum err record_mac(const struct state *state, const char *folder, const char *name,
			   struct slice data, uint8_t mac[MAC_SIZE])
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	enum err e;

	if (!state->keyed)
		return failed(ERR_STATE, "the key of the records is not known yet");
	cbor_put_array(&text, 4);
	cbor_put_text(&text, "assay-record-1");
	cbor_put_text(&text, folder);
	cbor_put_text(&text, name);
	cbor_put_bytes(&text, data);
	if ((e = buf_check(&text)))
		return e;
	return proof_commit(state->key.p, buf_slice(&text), mac);
}

enum err state_keyed_hash(const struct state *state, struct slice what, uint8_t out[32])
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	enum err e;

	if (!state->keyed)
		return failed(ERR_STATE, "the key of the records is not known yet");
	cbor_put_array(&text, 2);
	cbor_put_text(&text, "assay-hash-1");
	cbor_put_bytes(&text, what);
	if ((e = buf_check(&text)))
		return e;
	return proof_commit(state->key.p, buf_slice(&text), out);
}

enum err state_room(const struct state *state, const char *folder, uint64_t bytes)
{
	CLEANUP(fd) int dir = -1;
	struct statvfs disk;
	enum err e = io_open_dir(state->dir, folder, false, &dir);

	if (e)
		return e;
	if (fstatvfs(dir, &disk))
		return failed(ERR_IO, "%s: %m", folder);
	return (uint64_t)disk.f_bavail * disk.f_frsize >= STATE_RESERVE + bytes
		       ? OK
		       : failed(ERR_LIMIT, "the disk would have less than %llu MiB left",
				(unsigned long long)(STATE_RESERVE >> 20));
}

enum err state_put(const struct state *state, const char *folder, const char *name,
		   struct slice data)
{
	CLEANUP(fd) int dir = -1;
	CLEANUP(buf) struct buf record = BUF_INIT;
	uint8_t mac[MAC_SIZE];
	enum err e;

	if (data.left > STATE_RECORD_MAX)
		return failed(ERR_RANGE, "%s/%s: a record of %zu bytes", folder, name, data.left);
	if ((e = record_mac(state, folder, name, data, mac)))
		return e;
	buf_put_slice(&record, data);
	buf_put(&record, mac, sizeof mac);
	if ((e = buf_check(&record)) || (e = io_open_dir(state->dir, folder, false, &dir)))
		return e;
	return io_replace_file(dir, name, 0600, buf_slice(&record));
}

enum err state_get(const struct state *state, const char *folder, const char *name, struct buf *out)
{
	CLEANUP(fd) int dir = -1;
	CLEANUP(buf) struct buf record = BUF_INIT;
	uint8_t mac[MAC_SIZE];
	enum err e;

	if ((e = io_open_dir(state->dir, folder, false, &dir)) ||
	    (e = io_read_in(dir, name, STATE_RECORD_MAX + MAC_SIZE, &record)))
		return e;
	if (record.len < MAC_SIZE)
		return failed(ERR_FORMAT, "%s/%s: cut", folder, name);
	struct slice data = slice_of(record.data, record.len - MAC_SIZE);
	if ((e = record_mac(state, folder, name, data, mac)))
		return e;
	if (!secret_equal(mac, record.data + data.left, MAC_SIZE))
		return failed(ERR_CRYPTO, "%s/%s/%s was not written by this daemon", state->path,
			      folder, name);
	buf_put_slice(out, data);
	return buf_check(out);
}

enum err state_each(const struct state *state, const char *folder, state_each_name *call,
		    void *context)
{
	CLEANUP(fd) int dir = -1;
	enum err e = io_open_dir(state->dir, folder, false, &dir);

	if (e)
		return e;
	CLEANUP(dir) DIR *list = dir_list(dir);
	if (!list)
		return failed(ERR_IO, "%s: %m", folder);
	for (const char *name; !e && (name = dir_next(list));) {
		if (name[0] == '.')
			unlinkat(dir, name, 0);
		else
			e = call(context, name);
	}
	return e;
}

static void package_name(const uint8_t sha256[32], char name[65])
{
	hex_put(name, sha256, 32);
}

enum err state_put_package(const struct state *state, struct slice package, uint8_t sha256[32])
{
	CLEANUP(fd) int dir = -1;
	char name[65];
	enum err e = io_open_dir(state->dir, STATE_PACKAGES, false, &dir);

	if (e)
		return e;
	sha256_once(package, sha256);
	package_name(sha256, name);
	return io_replace_file(dir, name, 0400, package);
}

enum err state_get_package(const struct state *state, const uint8_t sha256[32], struct buf *out)
{
	CLEANUP(fd) int dir = -1;
	uint8_t found[32];
	char name[65];
	enum err e = io_open_dir(state->dir, STATE_PACKAGES, false, &dir);

	package_name(sha256, name);
	if (e || (e = io_read_in(dir, name, PACKAGE_MAX, out)))
		return e;
	sha256_once(buf_slice(out), found);
	if (memcmp(found, sha256, sizeof found))
		return failed(ERR_MISMATCH, "package %s was changed on disk", name);
	return OK;
}

void state_drop_package(const struct state *state, const uint8_t sha256[32])
{
	CLEANUP(fd) int dir = -1;
	char name[65];

	package_name(sha256, name);
	if (!io_open_dir(state->dir, STATE_PACKAGES, false, &dir))
		unlinkat(dir, name, 0);
}
