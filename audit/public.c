#include "audit/public.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/note.h"
#include "config/base/io.h"

#define FOLDER_NAME 17

static void folder_name(const char *origin, char name[FOLDER_NAME])
{
	uint8_t digest[SHA256_SIZE];

	sha256_once(slice_text(origin), digest);
	hex_put(name, digest, (FOLDER_NAME - 1) / 2);
}

static enum err read_small(int folder, const char *name, size_t max, struct buf *out)
{
	CLEANUP(fd) int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return failed(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %m", name);
	return io_read_all(fd, max, out);
}

static enum err put_if_new(int folder, const char *name, struct slice contents)
{
	CLEANUP(buf) struct buf now = BUF_INIT;

	if (!read_small(folder, name, FRAME_CERTIFICATE_MAX, &now) &&
	    slice_equal(buf_slice(&now), contents))
		return OK;
	return io_replace_file(folder, name, 0644, contents);
}

/* Folders are for everybody, unlike what io_open_dir makes. */
static enum err open_folder(int trees, const char *origin, int *out)
{
	char name[FOLDER_NAME];

	folder_name(origin, name);
	if (mkdirat(trees, name, 0755) && errno != EEXIST)
		return failed(ERR_IO, "trees/%s: %m", name);
	*out = openat(trees, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return *out < 0 ? failed(ERR_IO, "trees/%s: %m", name) : OK;
}

enum err public_tree(int trees, const char *origin, struct slice certificate, struct slice ca)
{
	CLEANUP(fd) int folder = -1;
	CLEANUP(buf) struct buf line = BUF_INIT;
	enum err e;

	buf_printf(&line, "%s\n", origin);
	if ((e = buf_check(&line)) || (e = open_folder(trees, origin, &folder)) ||
	    (e = put_if_new(folder, "origin", buf_slice(&line))) ||
	    (e = put_if_new(folder, "certificate.der", certificate)) ||
	    (e = put_if_new(folder, "ca.der", ca)))
		return e;
	return io_sync_dir(trees);
}

enum err public_checkpoint(int trees, const char *origin, struct slice note)
{
	CLEANUP(fd) int folder = -1;
	enum err e;

	if ((e = open_folder(trees, origin, &folder)))
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
	enum err e = open_folder(trees, origin, &folder);

	return e ? e : read_small(folder, file, NOTE_MAX, note);
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
	enum err e = open_folder(trees, origin, &folder);

	return e ? e : io_replace_file(folder, "witnessed", 0644, note);
}

static enum err read_folder(int trees, const char *name, struct public_found *found)
{
	CLEANUP(fd)
	int folder = openat(trees, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	CLEANUP(buf) struct buf origin = BUF_INIT;
	char right[FOLDER_NAME];
	enum err e;

	if (folder < 0)
		return failed(ERR_IO, "trees/%s: %m", name);
	e = read_small(folder, "origin", sizeof found->origin, &origin);
	if (e == ERR_NOT_FOUND) /* being made, or a crash left it so */
		return e;
	if (e)
		return e;
	if (origin.len < 2 || origin.data[origin.len - 1] != '\n' ||
	    origin.len - 1 > FRAME_ORIGIN_MAX)
		return failed(ERR_MISMATCH, "trees/%s/origin was changed", name);
	memcpy(found->origin, origin.data, origin.len - 1);
	folder_name(found->origin, right);
	if (strcmp(right, name))
		return failed(ERR_MISMATCH, "trees/%s/origin was changed", name);
	e = read_small(folder, "checkpoint", NOTE_MAX, &found->note);
	return e == ERR_NOT_FOUND ? OK : e;
}

static enum err read_one(int trees, const char *name, struct public_list *out)
{
	struct public_found *more = reallocarray(out->items, out->n + 1, sizeof *more);
	enum err e;

	if (!more)
		return failed(ERR_MEMORY, "the list of trees");
	out->items = more;
	out->items[out->n] = (struct public_found){ 0 };
	e = read_folder(trees, name, &out->items[out->n]);
	if (e)
		buf_free(&out->items[out->n].note);
	else
		out->n++;
	return e == ERR_NOT_FOUND ? OK : e;
}

enum err public_read(int trees, struct public_list *out)
{
	int fd = openat(trees, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	enum err e = OK;

	*out = (struct public_list){ 0 };
	if (!list) {
		fd_cleanup(&fd);
		return failed(ERR_IO, "trees: %m");
	}
	for (struct dirent *d; !e && (d = readdir(list));)
		if (d->d_name[0] != '.')
			e = out->n < LEDGER_TREES_MAX ? read_one(trees, d->d_name, out)
						      : failed(ERR_RANGE, "too many trees");
	closedir(list);
	if (e)
		public_list_free(out);
	return e;
}

static enum err check_one(const struct public_found *found, const struct ledger *ledger)
{
	const struct ledger_tree *tree = ledger_find(ledger, found->origin);
	struct note note;
	tree_hash root;
	enum err e;

	if (!tree)
		return failed(ERR_MISMATCH, "tree %s is published, but not in the log",
			      found->origin);
	if (!found->note.len)
		return OK;
	if ((e = note_read(buf_slice(&found->note), &note)))
		return failed(ERR_MISMATCH, "the checkpoint of %s: %s", found->origin,
			      err_reason());
	if (!slice_is(note.origin, found->origin))
		return failed(ERR_MISMATCH, "the checkpoint of %s is of another tree",
			      found->origin);
	if (note.size > tree->tree.size)
		return failed(ERR_MISMATCH,
			      "the checkpoint of %s has %llu records, the log only %llu: records "
			      "were removed",
			      found->origin, (unsigned long long)note.size,
			      (unsigned long long)tree->tree.size);
	if ((e = tree_root(&tree->tree, note.size, root)))
		return e;
	if (memcmp(root, note.root, SHA256_SIZE))
		return failed(ERR_MISMATCH, "the checkpoint of %s is not of these records",
			      found->origin);
	e = note_verify(&note, buf_slice(&tree->certificate));
	if (e == ERR_NOT_FOUND && tree->former.len) /* not replaced yet since the key changed */
		e = note_verify(&note, buf_slice(&tree->former));
	if (e)
		return failed(ERR_CRYPTO, "the checkpoint of %s is not signed by its key",
			      found->origin);
	return OK;
}

enum err public_check(const struct public_list *list, const struct ledger *ledger)
{
	enum err e = OK;

	for (size_t i = 0; !e && i < list->n; i++)
		e = check_one(&list->items[i], ledger);
	return e;
}

void public_list_free(struct public_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		buf_free(&list->items[i].note);
	free(list->items);
	*list = (struct public_list){ 0 };
}

void public_list_cleanup(struct public_list *list)
{
	public_list_free(list);
}
