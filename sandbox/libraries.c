#include "sandbox/libraries.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/base/io.h"
#include "sandbox/elf.h"

#define CACHE_FILE "/etc/ld.so.cache"
#define CACHE_MAX ((size_t)16 << 20)

/* The file as glibc 2.32 and newer write it; offsets count from its start. */
static const char cache_magic[20] = "glibc-ld.so.cache1.1"; /* without a 0 */

struct cache_head {
	char magic[20];
	uint32_t n, strings_n;
	uint8_t flags, padding[3]; /* flags: byte order */
	uint32_t unused[4];
};

struct cache_entry {
	int32_t flags; /* kind of library, and processor */
	uint32_t name, path, version;
	uint64_t capabilities; /* of a processor that it takes; 0: any */
};

/* A search: whose libraries they are, and the machine's own list. */
struct search {
	struct libraries *found;
	uint16_t machine;
	const char *loader; /* its own name */
	struct slice cache;
	struct slice program_rpath; /* of the program; counts for its libraries too */
	const char *program_origin;
};

void libraries_cleanup(struct libraries *libraries)
{
	for (size_t i = 0; i < libraries->n; i++) {
		buf_free(&libraries->list[i].content);
		free(libraries->list[i].path);
		free(libraries->list[i].origin);
	}
	buf_free(&libraries->cache);
	*libraries = (struct libraries){ 0 };
}

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static enum err read_library(const char *from, struct buf *content)
{
	CLEANUP(fd) int fd = open(from, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) || !S_ISREG(status.st_mode))
		return failed(ERR_NOT_FOUND, "%s: %s", from, fd < 0 ? strerror(errno) : "no file");
	return io_read_all(fd, PACKAGE_MAX, content);
}

/* False: there is nothing, or it is another processor's: the search goes on, as the loader's does. */
static bool take(struct search *s, const char *from, const char *directory, const char *name,
		 enum err *e)
{
	struct library *library = &s->found->list[s->found->n];
	CLEANUP(buf) struct buf content = BUF_INIT;
	struct elf elf;

	if (read_library(from, &content) || !elf_open(buf_slice(&content), &elf) ||
	    elf.machine != s->machine)
		return false;
	*library = (struct library){ .content = content,
				     .origin = strndup(from, (size_t)(name_of(from) - from)) };
	content = BUF_INIT;
	s->found->n++;
	*e = asprintf(&library->path, "%s%s", directory, name) < 0 || !library->origin
		     ? failed(ERR_MEMORY, "%s", from)
		     : OK;
	return true;
}

/* The next directory of a list with colons, $ORIGIN filled in; false at the end. What has another
 * variable in it, or does not fit, comes out empty. */
static bool next_directory(struct slice *list, const char *origin, char out[PATH_MAX])
{
	static const char *const names[] = { "$ORIGIN", "${ORIGIN}" };
	const uint8_t *colon = list->left ? memchr(list->p, ':', list->left) : NULL;
	struct slice one = slice_of(list->p, colon ? (size_t)(colon - list->p) : list->left);
	const char *above = "";

	if (!list->left)
		return false;
	*list = slice_of(list->p + one.left + (colon != NULL),
			 list->left - one.left - (colon != NULL));
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (one.left >= strlen(names[i]) &&
		    memcmp(one.p, names[i], strlen(names[i])) == 0) {
			above = origin;
			one = slice_of(one.p + strlen(names[i]), one.left - strlen(names[i]));
		}
	if (memchr(one.p, '$', one.left) || snprintf(out, PATH_MAX, "%s%.*s", above, (int)one.left,
						     (const char *)one.p) >= PATH_MAX)
		*out = '\0';
	return true;
}

static bool in_directories(struct search *s, struct slice list, const char *origin,
			   const char *name, enum err *e)
{
	char directory[PATH_MAX], path[PATH_MAX + NAME_MAX + 2];

	while (next_directory(&list, origin, directory)) {
		snprintf(path, sizeof path, "%s/%s", directory, name);
		if (*directory == '/' && take(s, path, LIBRARIES_DIRECTORY, name, e))
			return true;
	}
	return false;
}

static const char *cache_text(struct slice cache, uint32_t at)
{
	return at < cache.left && memchr(cache.p + at, 0, cache.left - at)
		       ? (const char *)cache.p + at
		       : "";
}

/* Entry @i of the machine's list; false after the last. */
static bool cache_next(struct slice cache, size_t *i, struct cache_entry *out)
{
	struct cache_head head;

	if (cache.left < sizeof head)
		return false;
	memcpy(&head, cache.p, sizeof head);
	if (memcmp(head.magic, cache_magic, sizeof cache_magic) != 0 || *i >= head.n ||
	    *i >= (cache.left - sizeof head) / sizeof *out)
		return false;
	memcpy(out, cache.p + sizeof head + (*i)++ * sizeof *out, sizeof *out);
	return true;
}

static bool in_cache(struct search *s, const char *name, enum err *e)
{
	struct cache_entry entry;

	for (size_t i = 0; cache_next(s->cache, &i, &entry);)
		if (!entry.capabilities && strcmp(cache_text(s->cache, entry.name), name) == 0 &&
		    take(s, cache_text(s->cache, entry.path), LIBRARIES_DIRECTORY, name, e))
			return true;
	return false;
}

static bool have(const struct search *s, const char *name)
{
	if (strcmp(name, s->loader) == 0)
		return true;
	for (size_t i = 0; i < s->found->n; i++)
		if (strcmp(name_of(s->found->list[i].path), name) == 0)
			return true;
	return false;
}

/* In the loader's order: paths of the library or program that wants it, then the machine's. */
static enum err find(struct search *s, struct slice rpath, struct slice runpath, const char *origin,
		     const char *name)
{
	enum err e = OK;

	if (strchr(name, '/') || !*name || strlen(name) > NAME_MAX)
		return failed(ERR_UNSUPPORTED, "it needs a library by its path, \"%s\"", name);
	if (have(s, name))
		return OK;
	if (s->found->n == LIBRARIES_MAX)
		return failed(ERR_RANGE, "more than %d libraries", LIBRARIES_MAX);
	if ((!runpath.left && (in_directories(s, rpath, origin, name, &e) ||
			       in_directories(s, s->program_rpath, s->program_origin, name, &e))) ||
	    in_directories(s, runpath, origin, name, &e) || in_cache(s, name, &e) ||
	    in_directories(s, slice_text("/lib:/usr/lib"), "", name, &e))
		return e;
	return failed(ERR_NOT_FOUND, "it needs %s, which is nowhere", name);
}

static struct slice path_of(struct elf_dynamic dynamic, int64_t tag)
{
	struct slice text = slice_of(NULL, 0);

	return elf_dynamic_next(&dynamic, tag, &text) ? text : slice_of(NULL, 0);
}

static enum err find_needed(struct search *s, struct slice file, const char *origin)
{
	struct elf elf;
	struct elf_dynamic dynamic;
	struct slice name;
	enum err e;

	if (!elf_open(file, &elf) || !elf_dynamic(&elf, &dynamic))
		return OK; /* it needs nothing */
	const struct slice rpath = path_of(dynamic, DT_RPATH),
			   runpath = path_of(dynamic, DT_RUNPATH);
	while (elf_dynamic_next(&dynamic, DT_NEEDED, &name)) {
		char text[NAME_MAX + 2];

		snprintf(text, sizeof text, "%.*s", (int)name.left, (const char *)name.p);
		if ((e = find(s, rpath, runpath, origin, text)))
			return e;
	}
	return OK;
}

/* As the loader's search in the list wants it: numbers by their value. */
static int name_order(const char *a, const char *b)
{
	while (*a && *b) {
		if (*a >= '0' && *a <= '9' && *b >= '0' && *b <= '9') {
			char *after_a, *after_b;
			unsigned long x = strtoul(a, &after_a, 10), y = strtoul(b, &after_b, 10);

			if (x != y)
				return x < y ? -1 : 1;
			a = after_a;
			b = after_b;
		} else if (*a != *b) {
			bool number_a = *a >= '0' && *a <= '9', number_b = *b >= '0' && *b <= '9';

			if (number_a != number_b)
				return number_a ? 1 : -1;
			return *a < *b ? -1 : 1;
		} else {
			a++, b++;
		}
	}
	return *a ? 1 : *b ? -1 : 0;
}

static int descending(const void *a, const void *b)
{
	return name_order(name_of((*(const struct library *const *)b)->path),
			  name_of((*(const struct library *const *)a)->path));
}

/* The kind that the machine's own list has for its C library. Without one there is no list, and the
 * loader looks into /lib by itself. */
static bool kind_of_libraries(struct slice cache, int32_t *flags)
{
	struct cache_entry entry;

	for (size_t i = 0; cache_next(cache, &i, &entry);)
		if (strcmp(cache_text(cache, entry.name), "libc.so.6") == 0) {
			*flags = entry.flags;
			return true;
		}
	return false;
}

static enum err make_cache(struct libraries *found, struct slice cache)
{
	const struct library *sorted[LIBRARIES_MAX];
	struct cache_head head = { .flags = 2 /* little endian */ };
	size_t n = 0;
	int32_t flags;

	if (!kind_of_libraries(cache, &flags))
		return OK;
	for (size_t i = 0; i < found->n; i++)
		if (strncmp(found->list[i].path, LIBRARIES_DIRECTORY,
			    strlen(LIBRARIES_DIRECTORY)) == 0)
			sorted[n++] = &found->list[i];
	qsort(sorted, n, sizeof *sorted, descending);
	memcpy(head.magic, cache_magic, sizeof cache_magic);
	head.n = (uint32_t)n;
	for (size_t i = 0; i < n; i++)
		head.strings_n += (uint32_t)strlen(sorted[i]->path) + 2;
	buf_put(&found->cache, &head, sizeof head);
	uint32_t at = (uint32_t)(sizeof head + n * sizeof(struct cache_entry));
	for (size_t i = 0; i < n; i++) {
		const struct cache_entry entry = { .flags = flags,
						   .path = at,
						   .name = at + 1 +
							   (uint32_t)strlen(LIBRARIES_DIRECTORY) };

		buf_put(&found->cache, &entry, sizeof entry);
		at += (uint32_t)strlen(sorted[i]->path) + 2;
	}
	for (size_t i = 0; i < n; i++) {
		buf_put_u8(&found->cache, '/');
		buf_put(&found->cache, sorted[i]->path, strlen(sorted[i]->path) + 1);
	}
	return buf_check(&found->cache);
}

/* The loader is first of the list, at its own place. */
static enum err find_all(struct search *s, struct slice program, const char *path)
{
	struct elf elf;
	struct elf_dynamic dynamic;
	enum err e = OK;

	if (!elf_open(program, &elf))
		return failed(ERR_FORMAT, "not an ELF program");
	s->machine = elf.machine;
	struct slice loader = elf_interpreter(&elf);
	if (loader.left < 2 || loader.left >= PATH_MAX || loader.p[0] != '/')
		return failed(ERR_FORMAT, "its loader has no absolute path");
	if (!take(s, (const char *)loader.p, "", (const char *)loader.p + 1, &e))
		return failed(ERR_NOT_FOUND, "its loader, %s, is not here", (const char *)loader.p);
	if (e)
		return e;
	s->loader = name_of(s->found->list[0].path);
	if (elf_dynamic(&elf, &dynamic) && !path_of(dynamic, DT_RUNPATH).left)
		s->program_rpath = path_of(dynamic, DT_RPATH);
	if ((e = find_needed(s, program, s->program_origin)))
		return failed(e, "%s: %s", path, err_reason());
	for (size_t i = 1; i < s->found->n; i++) {
		const struct library *library = &s->found->list[i];

		if ((e = find_needed(s, buf_slice(&library->content), library->origin)))
			return failed(e, "%s: %s: %s", path, name_of(library->path), err_reason());
	}
	return make_cache(s->found, s->cache);
}

enum err libraries_find(const char *path, struct slice program, struct libraries *out)
{
	CLEANUP(buf) struct buf cache = BUF_INIT;
	char origin[PATH_MAX];

	*out = (struct libraries){ .cache = BUF_INIT };
	if (!realpath(path, origin))
		return failed(ERR_NOT_FOUND, "%s: %m", path);
	*strrchr(origin, '/') = '\0'; /* of a program it is where that really lies */
	/* A machine without one has its libraries where the loader looks anyway. */
	if (io_read_file(CACHE_FILE, CACHE_MAX, &cache))
		buf_reset(&cache);
	struct search search = { .found = out,
				 .cache = buf_slice(&cache),
				 .program_origin = origin };
	return find_all(&search, program, path);
}
