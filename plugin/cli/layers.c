#include "plugin/cli/layers.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>

#include "sandbox/manifest.h"

#define WHITEOUT ".wh."
#define WHITEOUT_ALL ".wh..wh..opq"
#define READ_AT_ONCE ((size_t)1 << 20)
#define HEADERS_MAX (4 * PACKAGE_ENTRIES_MAX) /* of all layers together */

/* One file, directory or link; a directory's children are sorted by their names. */
struct node {
	char *path;
	const char *name; /* the last part of path; the root's is "" */
	enum entry_type type;
	bool executable;
	unsigned layer;   /* that it came with */
	unsigned emptied; /* the one that took away all that was in it */
	struct buf content;
	struct node **children;
	size_t children_n, children_room;
};

struct layers {
	struct node *root;
	unsigned layer; /* the one at hand: 1, 2, ... */
	size_t nodes, headers;
	uint64_t bytes, read; /* of what there is; of all that was read */
};

/* Where a child of this name is, or belongs. */
static size_t place_of(const struct node *above, const char *name)
{
	size_t low = 0, high = above->children_n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(above->children[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct node *child(const struct node *above, const char *name)
{
	size_t i = place_of(above, name);

	return i < above->children_n && !strcmp(above->children[i]->name, name) ? above->children[i]
										: NULL;
}

/* ---- nodes ---- */

static void release(struct layers *layers, struct node *node)
{
	for (size_t i = 0; i < node->children_n; i++)
		release(layers, node->children[i]);
	layers->nodes--;
	layers->bytes -= node->content.len;
	buf_free(&node->content);
	free(node->children);
	free(node->path);
	free(node);
}

static void detach(struct layers *layers, struct node *above, struct node *node)
{
	size_t i = place_of(above, node->name);

	above->children_n--;
	memmove(above->children + i, above->children + i + 1,
		(above->children_n - i) * sizeof *above->children);
	release(layers, node);
}

static enum err new_node(struct layers *layers, const char *path, size_t path_n,
			 enum entry_type type, struct node **out)
{
	struct node *node = calloc(1, sizeof *node);

	if (layers->nodes == PACKAGE_ENTRIES_MAX) {
		free(node);
		return failed(ERR_RANGE, "more than %d files", PACKAGE_ENTRIES_MAX);
	}
	if (!node || !(node->path = strndup(path, path_n))) {
		free(node);
		return failed(ERR_MEMORY, "%s", path);
	}
	const char *slash = strrchr(node->path, '/');
	node->name = slash ? slash + 1 : node->path;
	node->type = type;
	node->layer = layers->layer;
	layers->nodes++;
	*out = node;
	return OK;
}

static enum err make_room(struct node *above)
{
	size_t room = above->children_room ? 2 * above->children_room : 8;

	if (above->children_n < above->children_room)
		return OK;
	struct node **more = reallocarray(above->children, room, sizeof *more);
	if (!more)
		return failed(ERR_MEMORY, "%zu files", room);
	above->children = more;
	above->children_room = room;
	return OK;
}

static enum err attach(struct layers *layers, struct node *above, struct node *node)
{
	size_t i = place_of(above, node->name);
	enum err e = make_room(above);

	if (e) {
		release(layers, node);
		return e;
	}
	memmove(above->children + i + 1, above->children + i,
		(above->children_n - i) * sizeof *above->children);
	above->children[i] = node;
	above->children_n++;
	return OK;
}

/* ---- whiteouts ---- */

static void prune(struct layers *layers, struct node *node);

/* A directory stays for what this layer put into it. */
static void prune_child(struct layers *layers, struct node *above, struct node *node)
{
	prune(layers, node);
	if (node->layer < layers->layer && !node->children_n)
		detach(layers, above, node);
}

/* Takes away what layers below put there. */
static void prune(struct layers *layers, struct node *node)
{
	if (node->emptied == layers->layer)
		return;
	node->emptied = layers->layer;
	for (size_t i = node->children_n; i--;)
		prune_child(layers, node, node->children[i]);
}

static enum err white_out(struct layers *layers, struct node *above, const char *name)
{
	const char *gone = name + strlen(WHITEOUT);
	struct node *node;

	if (strcmp(name, WHITEOUT_ALL) == 0) {
		prune(layers, above);
		return OK;
	}
	/* What else begins so is a note of the builder's file system. */
	if (strncmp(gone, WHITEOUT, strlen(WHITEOUT)) == 0)
		return OK;
	if (!*gone || !strcmp(gone, ".") || !strcmp(gone, ".."))
		return failed(ERR_FORMAT, "a whiteout of nothing");
	if ((node = child(above, gone)))
		prune_child(layers, above, node);
	return OK;
}

/* ---- paths ---- */

/* "./usr/bin/" is "usr/bin"; "" is the root. */
static enum err clean(const char *raw, char path[PACKAGE_PATH_MAX + 1])
{
	while (raw[0] == '.' && (raw[1] == '/' || !raw[1]))
		raw += raw[1] ? 2 : 1;
	size_t n = strlen(raw);
	while (n > 1 && raw[n - 1] == '/')
		n--;
	if (n > PACKAGE_PATH_MAX)
		return failed(ERR_FORMAT, "a path of %zu bytes", n);
	memcpy(path, raw, n);
	path[n] = '\0';
	return n ? package_path_check(slice_text(path)) : OK;
}

/* The directory that @path is in, made where @make says so; NULL: there is none. */
static enum err find_above(struct layers *layers, const char *path, bool make, struct node **out)
{
	struct node *at = layers->root;
	char part[PACKAGE_PATH_MAX + 1];
	enum err e;

	for (const char *p = path, *slash; at && (slash = strchr(p, '/')); p = slash + 1) {
		memcpy(part, p, (size_t)(slash - p));
		part[slash - p] = '\0';
		struct node *next = child(at, part);
		if (next && next->type != ENTRY_DIRECTORY)
			return failed(ERR_FORMAT, "it leads through \"%s\", which is no directory",
				      next->path);
		if (!next && make) {
			if ((e = new_node(layers, path, (size_t)(slash - path), ENTRY_DIRECTORY,
					  &next)) ||
			    (e = attach(layers, at, next)))
				return e;
		}
		at = next;
	}
	*out = at;
	return OK;
}

static struct node *find(const struct layers *layers, const char *path)
{
	struct node *above;
	const char *slash = strrchr(path, '/');

	if (find_above((struct layers *)layers, path, false, &above) || !above)
		return NULL;
	return child(above, slash ? slash + 1 : path);
}

/* ---- entries ---- */

/* Is it, or anything below it, of this layer? */
static bool is_new(const struct layers *layers, const struct node *node)
{
	bool found = node->layer == layers->layer;

	for (size_t i = 0; !found && i < node->children_n; i++)
		found = is_new(layers, node->children[i]);
	return found;
}

/* Makes place for a new node; a directory that is there already is taken as it is. */
static enum err replace(struct layers *layers, struct node *above, const char *path,
			enum entry_type type, struct node **out)
{
	const char *slash = strrchr(path, '/');
	struct node *old = child(above, slash ? slash + 1 : path);
	enum err e;

	if (old && old->type == ENTRY_DIRECTORY && type == ENTRY_DIRECTORY) {
		old->layer = layers->layer;
		*out = old;
		return OK;
	}
	if (old && is_new(layers, old))
		return failed(ERR_FORMAT, "there twice in one layer");
	if (old)
		detach(layers, above, old);
	return (e = new_node(layers, path, strlen(path), type, out)) ? e
								     : attach(layers, above, *out);
}

/* Counts what is read, and refuses it before there is memory for it. */
static enum err allow(struct layers *layers, uint64_t size)
{
	if (size > LAYERS_READ_MAX - layers->read)
		return failed(ERR_RANGE, "more than %llu bytes in all layers",
			      (unsigned long long)LAYERS_READ_MAX);
	layers->read += size;
	return OK;
}

/* What is passed over is read all the same. */
static enum err pass_over(struct layers *layers, struct archive_entry *entry)
{
	return allow(layers,
		     archive_entry_size(entry) > 0 ? (uint64_t)archive_entry_size(entry) : 0);
}

static enum err room_for(struct layers *layers, uint64_t size)
{
	enum err e = allow(layers, size);

	if (e)
		return e;
	return size > PACKAGE_MAX - layers->bytes
		       ? failed(ERR_RANGE, "more than %zu bytes in all", PACKAGE_MAX)
		       : OK;
}

enum err layers_failed(struct archive *archive, const char *what)
{
	const char *words = archive_error_string(archive);

	return failed(ERR_FORMAT, "%s: %s", what, words ? words : "it can't be read");
}

static enum err read_content(struct layers *layers, struct archive *tar, uint64_t size,
			     struct node *node)
{
	enum err e;

	while (size) {
		size_t n = size < READ_AT_ONCE ? (size_t)size : READ_AT_ONCE;
		uint8_t *to = buf_add(&node->content, n);

		if (!to)
			return buf_check(&node->content);
		layers->bytes += n;
		ssize_t got = archive_read_data(tar, to, n);
		if (got != (ssize_t)n)
			return got < 0 ? layers_failed(tar, "its content")
				       : failed(ERR_FORMAT, "cut");
		size -= n;
	}
	return (e = buf_check(&node->content)) ? e : OK;
}

static enum err add_file(struct layers *layers, struct archive *tar, struct archive_entry *entry,
			 struct node *above, const char *path)
{
	int64_t size = archive_entry_size(entry);
	struct node *node;
	enum err e;

	if (!archive_entry_size_is_set(entry) || size < 0)
		return failed(ERR_FORMAT, "it has no size");
	if ((e = replace(layers, above, path, ENTRY_FILE, &node)) ||
	    (e = room_for(layers, (uint64_t)size)))
		return e;
	node->executable = archive_entry_perm(entry) & 0111;
	return read_content(layers, tar, (uint64_t)size, node);
}

/* A package has no hard links. */
static enum err add_copy(struct layers *layers, const char *target, struct node *above,
			 const char *path)
{
	CLEANUP(buf) struct buf content = BUF_INIT;
	char clean_target[PACKAGE_PATH_MAX + 1];
	struct node *node;
	enum err e = clean(target, clean_target);

	if (e)
		return e;
	struct node *of = find(layers, clean_target);
	if (!of || of->type != ENTRY_FILE)
		return failed(ERR_FORMAT, "a hard link to \"%s\", which is no file before it",
			      clean_target);
	bool executable = of->executable;
	if ((e = room_for(layers, of->content.len)))
		return e;
	buf_put_slice(&content, buf_slice(&of->content));
	if ((e = buf_check(&content)) || (e = replace(layers, above, path, ENTRY_FILE, &node)))
		return e;
	node->executable = executable;
	node->content = content;
	layers->bytes += content.len;
	content = BUF_INIT;
	return OK;
}

/* A package's links are relative. All that is above a node is a directory, so going up as often as it
 * is deep ends at the image's root. */
static void put_target(struct buf *out, const char *path, const char *target)
{
	if (*target == '/') {
		for (const char *p = path; (p = strchr(p, '/')); p++)
			buf_put_text(out, "../");
		while (*target == '/')
			target++;
		if (!*target)
			target = ".";
	}
	buf_put_text(out, target);
}

static enum err add_link(struct layers *layers, const char *target, struct node *above,
			 const char *path)
{
	struct node *node;
	enum err e;

	if (!target || !*target || strlen(target) > PACKAGE_PATH_MAX)
		return failed(ERR_FORMAT, "a link to nowhere, or over %d bytes", PACKAGE_PATH_MAX);
	if ((e = room_for(layers, 4 * PACKAGE_PATH_MAX)) ||
	    (e = replace(layers, above, path, ENTRY_LINK, &node)))
		return e;
	put_target(&node->content, path, target);
	layers->bytes += node->content.len;
	return buf_check(&node->content);
}

static enum err add(struct layers *layers, struct archive *tar, struct archive_entry *entry,
		    const char *path)
{
	const char *target = archive_entry_hardlink(entry);
	struct node *above, *node;
	enum err e = find_above(layers, path, true, &above);

	if (e)
		return e;
	if (target)
		return add_copy(layers, target, above, path);
	switch (archive_entry_filetype(entry)) {
	case AE_IFDIR:
		return replace(layers, above, path, ENTRY_DIRECTORY, &node);
	case AE_IFREG:
		return add_file(layers, tar, entry, above, path);
	case AE_IFLNK:
		return add_link(layers, archive_entry_symlink(entry), above, path);
	}
	return failed(ERR_FORMAT, "devices, pipes and sockets have no place in a package");
}

static enum err take_entry(struct layers *layers, struct archive *tar, struct archive_entry *entry)
{
	const char *raw = archive_entry_pathname(entry);
	char path[PACKAGE_PATH_MAX + 1];
	struct node *above;
	enum err e;

	if (!raw)
		return failed(ERR_FORMAT, "a file without a name");
	if (++layers->headers > HEADERS_MAX)
		return failed(ERR_RANGE, "more than %d files in all layers", HEADERS_MAX);
	if ((e = clean(raw, path)))
		return e;
	if (!*path)
		return pass_over(layers, entry);
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	if (strncmp(name, WHITEOUT, strlen(WHITEOUT)) == 0) {
		if (!(e = pass_over(layers, entry)) &&
		    !(e = find_above(layers, path, false, &above)) && above)
			e = white_out(layers, above, name);
	} else if (!strncmp(path, "dev/", 4)) {
		e = pass_over(layers, entry);
	} else {
		e = add(layers, tar, entry, path);
	}
	return e ? failed(e, "%s: %s", path, err_reason()) : OK;
}

enum err layers_new(struct layers **out)
{
	struct layers *layers = calloc(1, sizeof *layers);
	enum err e;

	if (!layers)
		return failed(ERR_MEMORY, "no memory for an image");
	if ((e = new_node(layers, "", 0, ENTRY_DIRECTORY, &layers->root))) {
		free(layers);
		return e;
	}
	layers->nodes = 0; /* the root is no file of the package */
	*out = layers;
	return OK;
}

enum err layers_apply(struct layers *layers, struct archive *tar)
{
	struct archive_entry *entry;
	int status;
	enum err e;

	if (layers->layer == LAYERS_MAX)
		return failed(ERR_RANGE, "more than %d layers", LAYERS_MAX);
	layers->layer++;
	/* A warning is that something was not understood. */
	while ((status = archive_read_next_header(tar, &entry)) == ARCHIVE_OK)
		if ((e = take_entry(layers, tar, entry)))
			return e;
	return status == ARCHIVE_EOF ? OK : layers_failed(tar, "not a proper tar archive");
}

static void list_below(const struct node *node, struct entry *entries, size_t *n)
{
	for (size_t i = 0; i < node->children_n; i++) {
		const struct node *one = node->children[i];

		entries[(*n)++] =
			(struct entry){ slice_text(one->path), one->type,
					one->executable ? 0555 : 0444, buf_slice(&one->content) };
		list_below(one, entries, n);
	}
}

enum err layers_entries(const struct layers *layers, struct entry **entries, size_t *n)
{
	*n = 0;
	if (!(*entries = calloc(layers->nodes + 1, sizeof **entries)))
		return failed(ERR_MEMORY, "%zu files", layers->nodes);
	list_below(layers->root, *entries, n);
	return OK;
}

bool layers_have_program(const struct layers *layers, const char *path)
{
	const struct node *node = find(layers, path);

	return node && (node->type == ENTRY_LINK || (node->type == ENTRY_FILE && node->executable));
}

void layers_free(struct layers *layers)
{
	if (!layers)
		return;
	release(layers, layers->root);
	free(layers);
}

void layers_cleanup(struct layers **layers)
{
	layers_free(STEAL(*layers));
}
