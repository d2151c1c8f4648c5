#include "plugin/daemon/platform.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "config/base/io.h"
#include "plugin/daemon/daemon.h"

#define FACT_MAX ((size_t)4 << 20)
#define FOLDER_NAMES_MAX 4096

enum err platform_add_digest(struct platform *parts, const char *name, const char *version,
			     const uint8_t digest[SHA256_SIZE])
{
	size_t i = parts->n;

	if (i == LEAF_COMPONENTS_MAX)
		return failed(ERR_LIMIT, "more than %d measured parts", LEAF_COMPONENTS_MAX);
	snprintf(parts->names[i], sizeof parts->names[i], "%s", name);
	snprintf(parts->versions[i], sizeof parts->versions[i], "%s", version);
	parts->list[i] = (struct leaf_component){ .name = slice_text(parts->names[i]),
						  .version = slice_text(parts->versions[i]) };
	memcpy(parts->list[i].sha256, digest, SHA256_SIZE);
	parts->n++;
	return OK;
}

enum err platform_add(struct platform *parts, const char *name, const char *version,
		      struct slice bytes)
{
	uint8_t digest[SHA256_SIZE];

	sha256_once(bytes, digest);
	return platform_add_digest(parts, name, version, digest);
}

static enum err hash_fd(int fd, const char *path, uint8_t digest[SHA256_SIZE])
{
	uint8_t block[65536];
	struct sha256 hash;
	ssize_t n;

	sha256_init(&hash);
	while ((n = read(fd, block, sizeof block)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(ERR_IO, "%s: %m", path);
		sha256_add(&hash, block, (size_t)n);
	}
	sha256_end(&hash, digest);
	return OK;
}

static enum err add_file(struct platform *parts, const char *name, const char *path)
{
	CLEANUP(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t digest[SHA256_SIZE];

	if (fd < 0)
		return failed(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %m", path);
	enum err e = hash_fd(fd, path, digest);
	return e ? e : platform_add_digest(parts, name, "", digest);
}

struct mapping {
	unsigned major, minor;
	unsigned long long inode;
	char path[PLATFORM_NAME];
};

static const char deleted[] = " (deleted)";

/* One line of /proc/self/maps; true for an executable mapping of a file. */
static bool parse_mapping(const char *line, struct mapping *m)
{
	char rights[5];
	int path = 0;

	if (sscanf(line, "%*x-%*x %4s %*x %x:%x %llu %n", rights, &m->major, &m->minor, &m->inode,
		   &path) < 4 ||
	    path == 0 || rights[2] != 'x' || line[path] != '/')
		return false;
	snprintf(m->path, sizeof m->path, "%s", line + path);
	/* What is mapped does not change when its name goes, by an upgrade for example. */
	size_t n = strlen(m->path), tail = strlen(deleted);
	if (n > tail && !strcmp(m->path + n - tail, deleted))
		m->path[n - tail] = 0;
	return true;
}

typedef enum err each_mapping(void *context, const struct mapping *m);

static enum err walk_mappings(each_mapping *call, void *context)
{
	CLEANUP(buf) struct buf maps = BUF_INIT;
	struct mapping m;
	char *rest;
	enum err e = io_read_file("/proc/self/maps", 4 << 20, &maps);

	if (e)
		return e;
	if (!buf_text(&maps))
		return failed(ERR_MEMORY, "/proc/self/maps");
	for (char *line = strtok_r((char *)maps.data, "\n", &rest); line && !e;
	     line = strtok_r(NULL, "\n", &rest))
		if (parse_mapping(line, &m))
			e = call(context, &m);
	return e;
}

/* The file now under that path must be the one that is mapped, or the path says nothing. */
static enum err check_same_file(int fd, const struct mapping *m)
{
	struct stat status;

	if (fstat(fd, &status))
		return failed(ERR_IO, "%s: %m", m->path);
	if (status.st_ino != m->inode || major(status.st_dev) != m->major ||
	    minor(status.st_dev) != m->minor)
		return failed(ERR_MISMATCH, "%s was replaced since it was loaded: restart",
			      m->path);
	return OK;
}

static bool known(const struct platform *parts, const char *name)
{
	for (size_t i = 0; i < parts->n; i++)
		if (!strcmp(parts->names[i], name))
			return true;
	return false;
}

struct mapped_parts {
	struct platform *parts;
	const char *self;
};

static enum err add_mapping(void *context, const struct mapping *m)
{
	struct mapped_parts *to = context;
	char name[PLATFORM_NAME + 8];
	uint8_t digest[SHA256_SIZE];

	if (!strcmp(m->path, to->self))
		snprintf(name, sizeof name, "daemon");
	else
		snprintf(name, sizeof name, "mapped:%s", m->path);
	if (strlen(name) >= PLATFORM_NAME)
		return failed(ERR_RANGE, "%s: path too long", m->path);
	CLEANUP(fd) int fd = open(m->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return failed(ERR_IO, "%s: %m", m->path);
	/* Of each mapping: what has the same path need not be the same file. */
	enum err e = check_same_file(fd, m);
	if (e || known(to->parts, name))
		return e;
	if ((e = hash_fd(fd, m->path, digest)))
		return e;
	return platform_add_digest(to->parts, name, "", digest);
}

/* ---- what the kernel says, from the list ---- */

/* A fact that is a short line is shown as the component's version, for people; the digest decides. */
static enum err add_fact(struct platform *parts, const char *name, struct slice bytes)
{
	char words[sizeof *parts->versions] = "";
	size_t n = bytes.left;

	while (n && (bytes.p[n - 1] == '\n' || bytes.p[n - 1] == ' '))
		n--;
	bool plain = n && n < sizeof words;
	for (size_t i = 0; plain && i < n; i++)
		plain = isprint(bytes.p[i]);
	if (plain)
		snprintf(words, sizeof words, "%.*s", (int)n, bytes.p);
	return platform_add(parts, name, words, bytes);
}

static enum err fact_FILE(const char *path, struct buf *out)
{
	return io_read_file(path, FACT_MAX, out);
}

/* Calls for each name of a folder, in order of the bytes. */
static enum err each_name(const char *folder,
			  enum err (*call)(const char *, const char *, struct buf *),
			  struct buf *out)
{
	struct dirent **names = NULL;
	int n = scandir(folder, &names, NULL, alphasort);
	enum err e = n < 0                  ? failed(ERR_NOT_FOUND, "%s: %m", folder)
		     : n > FOLDER_NAMES_MAX ? failed(ERR_LIMIT, "%s: %d names", folder, n)
					    : OK;

	for (int i = 0; i < n; i++) {
		if (!e && names[i]->d_name[0] != '.')
			e = call(folder, names[i]->d_name, out);
		free(names[i]);
	}
	free(names);
	return e ? e : buf_check(out);
}

static enum err put_file(const char *folder, const char *name, struct buf *out)
{
	CLEANUP(buf) struct buf state = BUF_INIT;
	char path[512];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	if (io_read_file(path, 4096, &state))
		return OK; /* not for this user to read: the same every time */
	buf_printf(out, "%s: ", name);
	buf_put_slice(out, buf_slice(&state));
	return OK;
}

static enum err fact_FOLDER(const char *path, struct buf *out)
{
	return each_name(path, put_file, out);
}

/* Name and build id: where it lies, how often it is used and what it takes differ at each boot. */
static enum err put_module(const char *folder, const char *name, struct buf *out)
{
	CLEANUP(buf) struct buf notes = BUF_INIT;
	char path[512];

	snprintf(path, sizeof path, "%s/%s/initstate", folder, name);
	if (access(path, F_OK))
		return OK; /* built in */
	snprintf(path, sizeof path, "%s/%s/notes/.note.gnu.build-id", folder, name);
	buf_printf(out, "%s ", name);
	if (!io_read_file(path, 4096, &notes))
		buf_put_hex(out, buf_slice(&notes));
	buf_put_text(out, "\n");
	return OK;
}

static enum err fact_MODULES(const char *path, struct buf *out)
{
	enum err e = each_name(path, put_module, out);

	return e || out->len ? e : failed(ERR_NOT_FOUND, "no module is loaded");
}

/* The first line of /proc/cpuinfo with that name. */
static enum err fact_CPU(const char *name, struct buf *out)
{
	CLEANUP(buf) struct buf cpu = BUF_INIT;
	const char *text, *line, *colon;
	enum err e = io_read_file("/proc/cpuinfo", FACT_MAX, &cpu);

	if (e)
		return e;
	if (!(text = buf_text(&cpu)))
		return failed(ERR_MEMORY, "/proc/cpuinfo");
	if (!(line = strstr(text, name)) || !(colon = strchr(line, ':')))
		return failed(ERR_NOT_FOUND, "/proc/cpuinfo: no %s", name);
	colon += 1 + strspn(colon + 1, " ");
	buf_put(out, colon, strcspn(colon, "\n"));
	return buf_check(out);
}

/* What this kernel, machine or user is not told is left out, never made up. */
static enum err add_facts(struct platform *parts)
{
	static const struct {
		const char *name;
		enum err (*read)(const char *source, struct buf *out);
		const char *source;
	} facts[] = {
#define FACT(name, kind, source) { name, fact_##kind, source },
#include "plugin/daemon/platform.def"
#undef FACT
	};

	for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
		CLEANUP(buf) struct buf bytes = BUF_INIT;
		enum err e = facts[i].read(facts[i].source, &bytes);

		if (e == ERR_MEMORY || e == ERR_LIMIT)
			return e;
		if (!e && (e = add_fact(parts, facts[i].name, buf_slice(&bytes))))
			return e;
	}
	return OK;
}

/* What others run is left out where it is not installed. */
static enum err add_installed(const struct daemon *daemon, struct platform *parts)
{
	static const struct {
		const char *name, *file;
	} programs[] = {
		{ "as-installed:module", "assay.so" },
		{ "as-installed:probe", "assay-probe" },
		{ "as-installed:feeder", "assay-feeder" },
		{ "as-installed:tpm", "assay-tpm" },
	};
	const char *hsm = daemon->config->hsm_module;
	char path[512];
	enum err e;

	for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
		if ((e = config_program(daemon->config, daemon->self, programs[i].file, path,
					sizeof path)) ||
		    (!access(path, R_OK) && (e = add_file(parts, programs[i].name, path))))
			return e;
	}
	if (*hsm && !access(hsm, R_OK))
		return add_file(parts, "as-installed:hsm-module", hsm);
	return OK;
}

static enum err add_to_fingerprint(void *context, const struct mapping *m)
{
	struct sha256 *hash = context;

	sha256_add(hash, m, offsetof(struct mapping, path));
	sha256_add(hash, m->path, strlen(m->path));
	return OK;
}

enum err platform_fingerprint(uint64_t *out)
{
	uint8_t digest[SHA256_SIZE];
	struct sha256 hash;

	sha256_init(&hash);
	enum err e = walk_mappings(add_to_fingerprint, &hash);
	sha256_end(&hash, digest);
	*out = get_u64(digest);
	return e;
}

enum err platform_add_mapped(struct platform *parts, const char *self)
{
	struct mapped_parts mapped = { parts, self };

	return walk_mappings(add_mapping, &mapped);
}

enum err platform_measure(const struct daemon *daemon, struct platform *parts)
{
	const struct sandbox_facts *facts = sandbox_facts(daemon->box);
	enum err e;

	parts->n = 0;
	if ((e = platform_add_mapped(parts, daemon->self)) ||
	    (e = platform_add_digest(parts, "launcher", "", facts->launcher)) ||
	    (e = platform_add_digest(parts, "init", "", facts->init)) ||
	    (e = platform_add_digest(parts, "configuration", "", daemon->config->digest)) ||
	    (e = add_facts(parts)))
		return e;
	return add_installed(daemon, parts);
}

/* Programs and libraries: what an administrator installs, and nobody else changes. The kernel's own
 * word on itself, and the configuration, are for relying parties to judge. */
bool platform_is_program(struct slice name)
{
	static const char *const exact[] = { "daemon", "launcher", "init" };
	static const char *const prefixes[] = { "mapped:", "as-installed:" };

	for (size_t i = 0; i < sizeof exact / sizeof *exact; i++)
		if (slice_is(name, exact[i]))
			return true;
	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
		if (slice_starts(name, prefixes[i]))
			return true;
	return false;
}
