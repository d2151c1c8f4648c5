#include "audit/public.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/chain.h"
#include "audit/frame.h"
#include "audit/note.h"
#include "config/base/io.h"

void public_name(const char *origin, char name[PUBLIC_NAME])
{
	uint8_t digest[SHA256_SIZE];

	sha256_once(slice_text(origin), digest);
	hex_put(name, digest, (PUBLIC_NAME - 1) / 2);
}

static enum err put_if_new(int folder, const char *name, struct slice contents)
{
	CLEANUP(buf) struct buf now = BUF_INIT;

	if (!io_read_in(folder, name, FRAME_CERTIFICATE_MAX, &now) &&
	    slice_equal(buf_slice(&now), contents))
		return OK;
	return io_replace_file(folder, name, 0644, contents);
}

/* Folders are for everybody, unlike what io_open_dir makes. */
enum err public_folder(int trees, const char *origin, bool make, int *out)
{
	char name[PUBLIC_NAME];

	public_name(origin, name);
	int made = make ? mkdirat(trees, name, 0755) : -1;
	if (make && made && errno != EEXIST)
		return failed(ERR_IO, "trees/%s: %m", name);
	*out = openat(trees, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (*out < 0)
		return failed(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "trees/%s: %m", name);
	return made ? OK : io_sync_dir(trees);
}

enum err public_former(int folder, const char *name, struct buf *out)
{
	enum err e = io_read_in(folder, name, (size_t)PUBLIC_FORMER * FRAME_CERTIFICATE_MAX, out);

	return e == ERR_NOT_FOUND ? OK : e;
}

/* The earlier keys' certificates, newest first: checkpoints that somebody kept are theirs, and a TPM's
 * quotes are for them. */
static enum err put_former(int folder, const char *name, const char *before,
			   struct slice certificate)
{
	CLEANUP(buf) struct buf now = BUF_INIT, former = BUF_INIT, all = BUF_INIT;
	enum err e = io_read_in(folder, name, FRAME_CERTIFICATE_MAX, &now);
	struct slice left, one;

	if (e == ERR_NOT_FOUND || (!e && slice_equal(buf_slice(&now), certificate)))
		return OK;
	if (e || (e = public_former(folder, before, &former)))
		return e;
	left = buf_slice(&former);
	buf_put_slice(&all, buf_slice(&now));
	for (size_t n = 1; left.left && n < PUBLIC_FORMER; n++) {
		if ((e = chain_take(&left, &one)))
			return failed(ERR_MISMATCH, "%s was changed: %s", before, err_reason());
		if (!slice_equal(one, buf_slice(&now)))
			buf_put_slice(&all, one);
	}
	e = buf_check(&all);
	return e ? e : io_replace_file(folder, before, 0644, buf_slice(&all));
}

static enum err put_key(int folder, const char *name, const char *before, struct slice certificate)
{
	enum err e = put_former(folder, name, before, certificate);

	return e ? e : put_if_new(folder, name, certificate);
}

enum err public_certificates(int trees, const char *origin, struct buf *out)
{
	CLEANUP(fd) int folder = -1;
	enum err e;

	if ((e = public_folder(trees, origin, false, &folder)) ||
	    (e = io_read_in(folder, "certificate.der", FRAME_CERTIFICATE_MAX, out)))
		return e;
	return public_former(folder, "former.der", out);
}

enum err public_tree(int trees, const char *origin, const struct public_keys *keys)
{
	CLEANUP(fd) int folder = -1;
	CLEANUP(buf) struct buf line = BUF_INIT;
	enum err e;

	buf_printf(&line, "%s\n", origin);
	if ((e = buf_check(&line)) || (e = public_folder(trees, origin, true, &folder)) ||
	    (e = put_if_new(folder, "origin", buf_slice(&line))) ||
	    (e = put_key(folder, "certificate.der", "former.der", keys->certificate)) ||
	    (e = put_if_new(folder, "ca.der", keys->ca)) ||
	    (keys->ed25519.left &&
	     (e = put_key(folder, "ed25519.der", "former-ed25519.der", keys->ed25519))))
		return e;
	return io_sync_dir(trees);
}

enum err public_checkpoint(int trees, const char *origin, struct slice note)
{
	CLEANUP(fd) int folder = -1;
	enum err e;

	if ((e = public_folder(trees, origin, true, &folder)))
		return e;
	CLEANUP(fd)
	int fd = openat(folder, "checkpoint.tmp",
			O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return failed(ERR_IO, "checkpoint of %s: %m", origin);
	if ((e = io_write_all(fd, note)))
		return e;
	if (fsync(fd)) /* else the name may last, and what it names be empty */
		return failed(ERR_IO, "checkpoint of %s: fsync: %m", origin);
	return renameat(folder, "checkpoint.tmp", folder, "checkpoint")
		       ? failed(ERR_IO, "checkpoint of %s: %m", origin)
		       : OK;
}

static enum err read_named(int trees, const char *origin, const char *file, struct buf *note)
{
	CLEANUP(fd) int folder = -1;
	enum err e = public_folder(trees, origin, false, &folder);

	return e ? e : io_read_in(folder, file, NOTE_MAX, note);
}

enum err public_newest(int trees, const char *origin, struct buf *note)
{
	return read_named(trees, origin, "checkpoint", note);
}

enum err public_witnessed(int trees, const char *origin, struct buf *note)
{
	return read_named(trees, origin, "witnessed", note);
}

enum err public_put_witnessed(int trees, const char *origin, struct slice note)
{
	CLEANUP(fd) int folder = -1;
	enum err e = public_folder(trees, origin, false, &folder);

	return e ? e : io_replace_file(folder, "witnessed", 0644, note);
}
