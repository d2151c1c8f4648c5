#include "sandbox/pack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/base/io.h"
#include "sandbox/elf.h"
#include "sandbox/libraries.h"

#define LINKS_MAX 16

/* Entries with paths and contents of their own. */
struct tree {
	struct entry *entries;
	size_t n, room;
	uint64_t bytes;
};

static void tree_cleanup(struct tree *tree)
{
	for (size_t i = 0; i < tree->n; i++) {
		free((void *)tree->entries[i].path.p);
		free((void *)tree->entries[i].content.p);
	}
	free(tree->entries);
	*tree = (struct tree){ 0 };
}

static enum err tree_add(struct tree *tree, const char *path, enum entry_type type, mode_t mode,
			 struct buf *content)
{
	if (tree->n == PACKAGE_ENTRIES_MAX)
		return failed(ERR_RANGE, "more than %d files", PACKAGE_ENTRIES_MAX);
	if (tree->n == tree->room) {
		size_t room = tree->room ? 2 * tree->room : 256;
		struct entry *more = realloc(tree->entries, room * sizeof *more);

		if (!more)
			return failed(ERR_MEMORY, "%zu files", room);
		tree->entries = more;
		tree->room = room;
	}
	char *name = strdup(path);
	if (!name)
		return failed(ERR_MEMORY, "%s", path);
	tree->entries[tree->n++] =
		(struct entry){ slice_text(name), type, mode & 0777,
				content ? buf_slice(content) : slice_of(NULL, 0) };
	if (content)
		*content = BUF_INIT; /* the tree has it now */
	return OK;
}

static const struct entry *tree_find(const struct tree *tree, struct slice path)
{
	for (size_t i = 0; i < tree->n; i++)
		if (slice_equal(tree->entries[i].path, path))
			return &tree->entries[i];
	return NULL;
}

/* Names and text of ELF files: what decides whether executable mappings are needed. */
enum kind { KIND_STATIC, KIND_DYNAMIC, KIND_SCRIPT, KIND_OTHER };

static enum kind kind_of(struct slice content)
{
	struct elf elf;
	Elf64_Phdr part;
	size_t i = 0;

	if (content.left >= 2 && memcmp(content.p, "#!", 2) == 0)
		return KIND_SCRIPT;
	if (!elf_open(content, &elf) || content.p[EI_CLASS] != ELFCLASS64)
		return KIND_OTHER;
	return elf_next(&elf, PT_INTERP, &i, &part) ? KIND_DYNAMIC : KIND_STATIC;
}

static enum err read_regular(int dir, const char *name, const char *shown, struct stat *status,
			     struct buf *content)
{
	CLEANUP(fd) int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (fd < 0 || fstat(fd, status))
		return failed(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %m", shown);
	if (!S_ISREG(status->st_mode))
		return failed(ERR_FORMAT, "%s: not a regular file", shown);
	if (status->st_mode & (S_ISUID | S_ISGID))
		return failed(ERR_FORMAT,
			      "%s: a set-user-id or set-group-id file has no place in a package",
			      shown);
	enum err e = io_read_all(fd, PACKAGE_MAX, content);
	return e ? failed(e, "%s: %s", shown, err_reason()) : OK;
}

static enum err add_link(struct tree *tree, int dir, const char *name, const char *path)
{
	CLEANUP(buf) struct buf target = BUF_INIT;
	char text[PACKAGE_PATH_MAX + 1];
	ssize_t n = readlinkat(dir, name, text, sizeof text);

	if (n < 0)
		return failed(ERR_IO, "%s: %m", path);
	if ((size_t)n == sizeof text)
		return failed(ERR_FORMAT, "%s: a link over %d bytes", path, PACKAGE_PATH_MAX);
	buf_put(&target, text, (size_t)n);
	enum err e = buf_check(&target);
	return e ? e : tree_add(tree, path, ENTRY_LINK, 0777, &target);
}

static enum err add_file(struct tree *tree, int dir, const char *name, const char *path)
{
	CLEANUP(buf) struct buf content = BUF_INIT;
	struct stat status;
	enum err e = read_regular(dir, name, path, &status, &content);

	if (e)
		return e;
	tree->bytes += content.len;
	if (tree->bytes > PACKAGE_MAX)
		return failed(ERR_RANGE, "more than %zu bytes in all", PACKAGE_MAX);
	return tree_add(tree, path, ENTRY_FILE, status.st_mode, &content);
}

static enum err walk(struct tree *tree, int dir, const char *above);

static enum err add_directory(struct tree *tree, int dir, const char *name, const char *path)
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	enum err e;

	if (fd < 0)
		return failed(ERR_IO, "%s: %m", path);
	if ((e = tree_add(tree, path, ENTRY_DIRECTORY, 0555, NULL))) {
		close(fd);
		return e;
	}
	if (strcmp(path, "dev") == 0) {
		close(fd);
		return OK;
	}
	return walk(tree, fd, path);
}

static enum err add_any(struct tree *tree, int dir, const char *name, const char *above)
{
	char path[PACKAGE_PATH_MAX + 1];
	struct stat status;

	if (snprintf(path, sizeof path, "%s%s%s", above, *above ? "/" : "", name) >=
	    (int)sizeof path)
		return failed(ERR_FORMAT, "%s/%s: a path over %d bytes", above, name,
			      PACKAGE_PATH_MAX);
	if (fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW))
		return failed(ERR_IO, "%s: %m", path);
	switch (status.st_mode & S_IFMT) {
	case S_IFDIR:
		return add_directory(tree, dir, name, path);
	case S_IFREG:
		return add_file(tree, dir, name, path);
	case S_IFLNK:
		return add_link(tree, dir, name, path);
	}
	return failed(ERR_FORMAT, "%s: devices, pipes and sockets have no place in a package",
		      path);
}

/* Closes @dir. */
static enum err walk(struct tree *tree, int dir, const char *above)
{
	DIR *list = fdopendir(dir);
	enum err e = OK;

	if (!list) {
		close(dir);
		return failed(ERR_IO, "%s: %m", above);
	}
	errno = 0;
	for (struct dirent *d; !e && (d = readdir(list)); errno = 0)
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			e = add_any(tree, dirfd(list), d->d_name, above);
	if (!e && errno)
		e = failed(ERR_IO, "%s: %m", above);
	closedir(list);
	return e;
}

/* Appends the parts of @more to @path, ".." going up; as far as a package's paths may go. */
static bool path_join(char path[PACKAGE_PATH_MAX + 1], struct slice more)
{
	size_t n = strlen(path);

	while (more.left) {
		const uint8_t *slash = memchr(more.p, '/', more.left);
		size_t part = slash ? (size_t)(slash - more.p) : more.left;

		if (part == 2 && memcmp(more.p, "..", 2) == 0) {
			while (n && path[--n] != '/')
				;
		} else if (part && !(part == 1 && *more.p == '.')) {
			if (n + 1 + part > PACKAGE_PATH_MAX)
				return false;
			if (n)
				path[n++] = '/';
			memcpy(path + n, more.p, part);
			n += part;
		}
		path[n] = '\0';
		more.p += part + (slash != NULL);
		more.left -= part + (slash != NULL);
	}
	return true;
}

/* The file behind an absolute path of the tree, through links on the way; NULL when there is none. */
static const struct entry *resolve(const struct tree *tree, struct slice path)
{
	char done[PACKAGE_PATH_MAX + 1] = "", rest[PACKAGE_PATH_MAX + 1] = "";
	const struct entry *at = NULL;

	if (!path_join(rest, path))
		return NULL;
	for (int links = 0; *rest && links < LINKS_MAX;) {
		size_t part = strcspn(rest, "/");
		char above[PACKAGE_PATH_MAX + 1], after[PACKAGE_PATH_MAX + 1];

		snprintf(above, sizeof above, "%s", done);
		snprintf(after, sizeof after, "%s", rest + part + (rest[part] == '/'));
		if (!path_join(done, slice_of(rest, part)) ||
		    !(at = tree_find(tree, slice_text(done))))
			return NULL;
		if (at->type == ENTRY_LINK) {
			links++;
			if (!path_join(above, at->content) || !path_join(above, slice_text(after)))
				return NULL;
			*done = '\0';
			snprintf(rest, sizeof rest, "%s", above);
			at = NULL;
		} else {
			snprintf(rest, sizeof rest, "%s", after);
		}
	}
	return at && at->type == ENTRY_FILE ? at : NULL;
}

/* "#!/usr/bin/perl -w": the path without what follows. */
static struct slice interpreter(struct slice script)
{
	size_t start = 2, end;

	while (start < script.left && (script.p[start] == ' ' || script.p[start] == '\t'))
		start++;
	for (end = start; end < script.left && !strchr(" \t\n", script.p[end]); end++)
		;
	return slice_of(script.p + start, end - start);
}

static enum err needs_dynamic(const struct tree *tree, const char *exec, bool *dynamic)
{
	struct slice path = slice_text(exec);

	for (int depth = 0; depth < 4; depth++) {
		const struct entry *file = resolve(tree, path);
		if (!file)
			return failed(ERR_NOT_FOUND, "%.*s: no such file in the tree",
				      (int)path.left, (const char *)path.p);
		enum kind kind = kind_of(file->content);
		if (kind == KIND_OTHER)
			return failed(ERR_FORMAT, "%.*s: neither a 64-bit ELF program nor a script",
				      (int)path.left, (const char *)path.p);
		*dynamic = kind == KIND_DYNAMIC;
		if (kind != KIND_SCRIPT)
			return OK;
		path = interpreter(file->content);
	}
	return failed(ERR_FORMAT, "%s: a script of a script of a script", exec);
}

static enum err with_libraries(const char *path, struct manifest *manifest,
			       const struct entry *program, struct buf *out)
{
	CLEANUP(libraries) struct libraries found;
	struct entry entries[LIBRARIES_MAX + 2] = { *program };
	size_t n = 1;

	enum err e = libraries_find(path, program->content, &found);
	if (e)
		return e;
	for (size_t i = 0; i < found.n; i++)
		entries[n++] = (struct entry){ slice_text(found.list[i].path), ENTRY_FILE, 0555,
					       buf_slice(&found.list[i].content) };
	if (found.cache.len)
		entries[n++] = (struct entry){ slice_text("etc/ld.so.cache"), ENTRY_FILE, 0444,
					       buf_slice(&found.cache) };
	manifest->dynamic = true;
	return package_build(manifest, entries, n, out);
}

enum err package_from_program(const char *path, struct manifest *manifest, struct buf *out)
{
	CLEANUP(buf) struct buf content = BUF_INIT;
	/* The user names one program: a link to it is as good. */
	CLEANUP(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	enum err e;

	if (fd < 0 || fstat(fd, &status))
		return failed(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %m", path);
	if (!S_ISREG(status.st_mode))
		return failed(ERR_FORMAT, "%s: not a regular file", path);
	if ((e = io_read_all(fd, PACKAGE_MAX, &content)))
		return failed(e, "%s: %s", path, err_reason());
	enum kind kind = kind_of(buf_slice(&content));
	if (kind != KIND_STATIC && kind != KIND_DYNAMIC)
		return failed(
			ERR_UNSUPPORTED,
			"%s: not a 64-bit ELF program; pack a directory that has what it needs",
			path);
	if (manifest->argc == 0)
		manifest->argv[manifest->argc++] = slice_text("/app");
	if (manifest->argv[0].left < 2)
		return failed(ERR_FORMAT, "the program needs an absolute path");
	const struct entry program = { slice_of(manifest->argv[0].p + 1,
						manifest->argv[0].left - 1),
				       ENTRY_FILE, 0555, buf_slice(&content) };
	return kind == KIND_STATIC ? package_build(manifest, &program, 1, out)
				   : with_libraries(path, manifest, &program, out);
}

static enum err from_tree(const struct tree *tree, const char *exec, struct manifest *manifest,
			  struct buf *out)
{
	bool dynamic = false;
	enum err e = needs_dynamic(tree, exec, &dynamic);

	if (e)
		return e;
	manifest->dynamic |= dynamic;
	if (manifest->argc == 0)
		manifest->argv[manifest->argc++] = slice_text(exec);
	return package_build(manifest, tree->entries, tree->n, out);
}

enum err package_from_entries(const struct entry *entries, size_t n, const char *exec,
			      struct manifest *manifest, struct buf *out)
{
	const struct tree tree = { .entries = (struct entry *)entries, .n = n };

	return from_tree(&tree, exec, manifest, out);
}

enum err package_from_directory(const char *path, const char *exec, struct manifest *manifest,
				struct buf *out)
{
	CLEANUP(tree) struct tree tree = { 0 };
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum err e;

	if (dir < 0)
		return failed(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %m", path);
	if (exec[0] != '/') {
		close(dir);
		return failed(ERR_USAGE, "%s: the program's absolute path in the tree is needed",
			      exec);
	}
	if ((e = walk(&tree, dir, "")))
		return failed(e, "%s: %s", path, err_reason());
	return from_tree(&tree, exec, manifest, out);
}
