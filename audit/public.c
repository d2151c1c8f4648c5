#include "audit/public.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/chain.h"
#include "audit/note.h"
#include "audit/tiles.h"
#include "audit/vkey.h"
#include "config/base/io.h"

void public_name(const char *origin, char name[PUBLIC_NAME])
{
	uint8_t digest[SHA256_SIZE];

	sha256_once(slice_text(origin), digest);
	hex_put(name, digest, (PUBLIC_NAME - 1) / 2);
}

static enum err read_small(int folder, const char *name, size_t max, struct buf *out)
{
	CLEANUP(fd) int fd = openat(folder, name, IO_READ);

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

enum err public_root(int trees, const struct ledger_tree *tree, uint64_t size, tree_hash root)
{
	CLEANUP(fd) int folder = -1;
	enum err e;

	if (size >= tree->tree.base)
		return tree_root(&tree->tree, size, root);
	e = public_folder(trees, tree->origin, false, &folder);
	if (e == ERR_NOT_FOUND)
		return failed(ERR_MISMATCH, "%s: its tiles are gone", tree->origin);
	return e ? e : tiles_root(folder, size, root);
}

/* A ledger's tree, and its tiles for what lies before that. */
struct nodes {
	const struct ledger_tree *tree;
	struct tiles *tiles;
};

static enum err read_node(void *context, unsigned level, uint64_t i, tree_hash out)
{
	const struct nodes *nodes = context;
	enum err e = tree_kept(&nodes->tree->tree, level, i, out);
	struct tree_nodes tiles = tiles_nodes(nodes->tiles);

	return e == ERR_NOT_FOUND ? tiles.read(tiles.context, level, i, out) : e;
}

enum err public_inclusion(int trees, const struct ledger_tree *tree, uint64_t index, uint64_t size,
			  struct tree_path *path)
{
	CLEANUP(tiles) struct tiles *tiles = NULL;
	CLEANUP(fd) int folder = -1;
	enum err e;

	if ((e = public_folder(trees, tree->origin, false, &folder)) ||
	    (e = tiles_new(folder, tree->tree.base, &tiles)))
		return e;
	struct nodes nodes = { tree, tiles };
	struct tree_nodes from = { read_node, &nodes };
	return tree_nodes_inclusion(&from, index, size, path);
}

static enum err walk_tree(int trees, struct ledger_tree *tree, ledger_visit *visit, void *context)
{
	CLEANUP(buf) struct buf bundle = BUF_INIT;
	CLEANUP(fd) int folder = -1;
	struct slice leaves[TILE_WIDTH];
	struct tile tile;
	enum err e = public_folder(trees, tree->origin, false, &folder);

	for (uint64_t n = 0; !e && tile_in_tree(TILE_ENTRIES, n, tree->tree.base, &tile); n++) {
		e = tiles_entries(folder, &tile, &bundle, leaves);
		for (unsigned i = 0; i < tile.width && !e; i++) {
			struct entry entry = { .kind = ENTRY_LEAF,
					       .tree = tree->number,
					       .index = n * TILE_WIDTH + i,
					       .leaf = leaves[i] };
			e = visit(context, tree, &entry);
		}
	}
	return e;
}

enum err public_walk(int trees, const struct ledger *ledger, ledger_visit *visit, void *context)
{
	enum err e = OK;

	for (size_t i = 0; i < ledger->n && !e; i++)
		if (ledger->trees[i]->tree.base)
			e = walk_tree(trees, ledger->trees[i], visit, context);
	return e;
}

static enum err read_former(int folder, const char *name, struct buf *out)
{
	enum err e = read_small(folder, name, (size_t)PUBLIC_FORMER * FRAME_CERTIFICATE_MAX, out);

	return e == ERR_NOT_FOUND ? OK : e;
}

/* The earlier keys' certificates, newest first: checkpoints that somebody kept are theirs, and a TPM's
 * quotes are for them. */
static enum err put_former(int folder, const char *name, const char *before,
			   struct slice certificate)
{
	CLEANUP(buf) struct buf now = BUF_INIT, former = BUF_INIT, all = BUF_INIT;
	enum err e = read_small(folder, name, FRAME_CERTIFICATE_MAX, &now);
	struct slice left, one;

	if (e == ERR_NOT_FOUND || (!e && slice_equal(buf_slice(&now), certificate)))
		return OK;
	if (e || (e = read_former(folder, before, &former)))
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
	    (e = read_small(folder, "certificate.der", FRAME_CERTIFICATE_MAX, out)))
		return e;
	return read_former(folder, "former.der", out);
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
	enum err e = public_folder(trees, origin, false, &folder);

	return e ? e : io_replace_file(folder, "witnessed", 0644, note);
}

static enum err read_folder(int trees, const char *name, struct public_found *found)
{
	CLEANUP(fd)
	int folder = openat(trees, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	CLEANUP(buf) struct buf origin = BUF_INIT;
	char right[PUBLIC_NAME];
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
	public_name(found->origin, right);
	if (strcmp(right, name))
		return failed(ERR_MISMATCH, "trees/%s/origin was changed", name);
	e = read_small(folder, "checkpoint", NOTE_MAX, &found->note);
	return e == ERR_NOT_FOUND ? OK : e;
}

static void found_free(struct public_found *found)
{
	buf_free(&found->note);
	buf_free(&found->newest);
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
		found_free(&out->items[out->n]);
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

/* By one of these keys, if the appliance's CA vouches for it. */
static enum err by_one_of(const struct note *note, struct slice keys, const struct chain *above,
			  const char *origin, struct slice ca)
{
	int64_t now = (int64_t)(io_realtime_us() / 1000000);
	enum err e = ERR_NOT_FOUND;
	struct slice key;

	while (e == ERR_NOT_FOUND && keys.left)
		if (!(e = chain_take(&keys, &key)) &&
		    !(e = chain_verify(key, above, ca, origin, now)))
			e = note_verify(note, key);
	return e;
}

/* By the key whose certificate is published, or by one before it. */
static enum err by_published(const struct note *note, const char *origin, int trees,
			     struct slice ca)
{
	CLEANUP(fd) int folder = -1;
	CLEANUP(buf) struct buf keys = BUF_INIT, issuers = BUF_INIT;
	struct chain above;
	enum err e;

	if ((e = public_folder(trees, origin, false, &folder)) ||
	    (e = public_certificates(trees, origin, &keys)) ||
	    (e = read_small(folder, "ca.der", FRAME_CERTIFICATE_MAX, &issuers)) ||
	    (e = chain_read(buf_slice(&issuers), &above)))
		return e;
	return by_one_of(note, buf_slice(&keys), &above, origin, ca);
}

/* Of any time: these keys say nothing that the other line, whose key's times count, does not. */
static enum err vouched(struct slice certificate, const struct chain *above, struct slice ca,
			const char *origin)
{
	int64_t at, latest, end;
	enum err e = certificate_period(certificate, &latest, &end);

	for (size_t i = 0; !e && i < above->n; i++)
		if (!(e = certificate_period(above->of[i], &at, &end)) && at > latest)
			latest = at;
	return e ? e : chain_verify(certificate, above, ca, origin, latest);
}

/* If there is a line by this key, it must hold. */
static enum err check_line(const struct note *note, const char *origin, struct slice certificate)
{
	struct vkey key;
	enum err e = vkey_of_certificate(certificate, origin, &key);

	if (e)
		return e;
	if (key.type != VKEY_ED25519)
		return failed(ERR_CRYPTO, "it is not of an Ed25519 key");
	e = vkey_verify(&key, note, NULL);
	return e == ERR_NOT_FOUND ? OK : e;
}

/* Keys of before that nobody vouches for any more are strangers', whose lines are passed over. */
static enum err check_former(const struct note *note, const char *origin, int folder,
			     const struct chain *above, struct slice ca)
{
	CLEANUP(buf) struct buf former = BUF_INIT;
	enum err e = read_former(folder, "former-ed25519.der", &former);
	struct slice keys = buf_slice(&former), key;

	while (!e && keys.left)
		if (!(e = chain_take(&keys, &key)) && !vouched(key, above, ca, origin))
			e = check_line(note, origin, key);
	return e;
}

static enum err check_ed25519(const struct note *note, const char *origin, int trees,
			      struct slice ca)
{
	CLEANUP(fd) int folder = -1;
	CLEANUP(buf) struct buf now = BUF_INIT, issuers = BUF_INIT;
	struct chain above;
	enum err e = public_folder(trees, origin, false, &folder);

	if (!e)
		e = read_small(folder, "ed25519.der", FRAME_CERTIFICATE_MAX, &now);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	if ((e = read_small(folder, "ca.der", FRAME_CERTIFICATE_MAX, &issuers)) ||
	    (e = chain_read(buf_slice(&issuers), &above)) ||
	    (e = vouched(buf_slice(&now), &above, ca, origin)) ||
	    (e = check_line(note, origin, buf_slice(&now))) ||
	    (e = check_former(note, origin, folder, &above, ca)))
		return failed(ERR_CRYPTO, "the Ed25519 key or line of %s: %s", origin,
			      err_reason());
	return OK;
}

enum err public_signed(const struct note *note, const char *origin, int trees,
		       const struct ledger_tree *book, struct slice ca)
{
	enum err e = book ? note_verify(note, buf_slice(&book->certificate)) : ERR_NOT_FOUND;

	if (e == ERR_NOT_FOUND && book && book->former.len)
		e = note_verify(note, buf_slice(&book->former));
	if (e == ERR_NOT_FOUND && ca.left)
		e = by_published(note, origin, trees, ca);
	if (e)
		return failed(ERR_CRYPTO, "the checkpoint of %s is not signed by its key: %s",
			      origin, err_reason());
	if (ca.left || !book)
		return check_ed25519(note, origin, trees, ca);
	struct chain issuers;
	return (e = chain_read(buf_slice(&book->ca), &issuers))
		       ? e
		       : check_ed25519(note, origin, trees, issuers.of[0]);
}

static enum err verify_one(const struct public_found *found, struct slice raw, int trees,
			   struct slice ca)
{
	struct note note;
	enum err e;

	if (!raw.left)
		return OK;
	if ((e = note_read(raw, &note)))
		return e;
	if (!slice_is(note.origin, found->origin))
		return failed(ERR_MISMATCH, "the checkpoint of %s is of another tree",
			      found->origin);
	return public_signed(&note, found->origin, trees, NULL, ca);
}

enum err public_verify(const struct public_found *found, int trees, struct slice ca)
{
	enum err e = verify_one(found, buf_slice(&found->note), trees, ca);

	return e ? e : verify_one(found, buf_slice(&found->newest), trees, ca);
}

static enum err check_one(const struct public_found *found, int trees, const struct ledger *ledger)
{
	const struct ledger_tree *tree = ledger_find(ledger, found->origin);
	struct note note;
	tree_hash root;
	enum err e;

	if (!tree)
		return failed(ERR_MISMATCH, "tree %s is published, but not in the log",
			      found->origin);
	if (!found->note.len || tree->pruned)
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
	if ((e = public_root(trees, tree, note.size, root)))
		return e;
	if (memcmp(root, note.root, SHA256_SIZE))
		return failed(ERR_MISMATCH, "the checkpoint of %s is not of these records",
			      found->origin);
	return public_signed(&note, found->origin, trees, tree, slice_of(NULL, 0));
}

enum err public_check(const struct public_list *list, int trees, const struct ledger *ledger)
{
	enum err e = OK;

	for (size_t i = 0; !e && i < list->n; i++)
		e = check_one(&list->items[i], trees, ledger);
	return e;
}

void public_list_free(struct public_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		found_free(&list->items[i]);
	free(list->items);
	*list = (struct public_list){ 0 };
}

void public_list_cleanup(struct public_list *list)
{
	public_list_free(list);
}
