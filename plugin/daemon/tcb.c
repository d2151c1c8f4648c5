#include "plugin/daemon/tcb.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "config/base/io.h"
#include "config/base/log.h"
#include "plugin/daemon/record.h"

#define NAME_ROOM 320

/* Claim 273 while it is being put together; owns the texts. */
struct parts {
	struct leaf_component list[LEAF_COMPONENTS_MAX];
	char names[LEAF_COMPONENTS_MAX][NAME_ROOM];
	char versions[LEAF_COMPONENTS_MAX][72];
	size_t n;
};

void tcb_init(struct tcb *tcb)
{
	*tcb = (struct tcb){ 0 };
	pthread_mutex_init(&tcb->lock, NULL);
}

struct tcb_record *tcb_hold(struct tcb *tcb)
{
	pthread_mutex_lock(&tcb->lock);
	struct tcb_record *record = tcb->current;
	if (record)
		atomic_fetch_add(&record->refs, 1);
	pthread_mutex_unlock(&tcb->lock);
	return record;
}

void tcb_record_release(struct tcb_record *record)
{
	if (!record || atomic_fetch_sub(&record->refs, 1) != 1)
		return;
	buf_free(&record->leaf);
	buf_free(&record->receipt);
	free(record);
}

void tcb_record_cleanup(struct tcb_record **record)
{
	tcb_record_release(STEAL(*record));
}

static enum err add_digest(struct parts *parts, const char *name, const char *version,
			   const uint8_t digest[SHA256_SIZE])
{
	size_t i = parts->n;

	if (i == LEAF_COMPONENTS_MAX)
		return failed(ERR_LIMIT, "more than %d measured parts", LEAF_COMPONENTS_MAX);
	snprintf(parts->names[i], sizeof parts->names[i], "%s", name);
	snprintf(parts->versions[i], sizeof parts->versions[i], "%s", version);
	parts->list[i].name = slice_text(parts->names[i]);
	parts->list[i].version = slice_text(parts->versions[i]);
	memcpy(parts->list[i].sha256, digest, SHA256_SIZE);
	parts->n++;
	return OK;
}

static enum err add_bytes(struct parts *parts, const char *name, const char *version,
			  struct slice bytes)
{
	uint8_t digest[SHA256_SIZE];

	sha256_once(bytes, digest);
	return add_digest(parts, name, version, digest);
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

static enum err add_file(struct parts *parts, const char *name, const char *path)
{
	CLEANUP(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t digest[SHA256_SIZE];

	if (fd < 0)
		return failed(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %m", path);
	enum err e = hash_fd(fd, path, digest);
	return e ? e : add_digest(parts, name, "", digest);
}

/* What the kernel says about itself is measured where this kernel says it. */
static enum err add_if_there(struct parts *parts, const char *name, const char *version,
			     const char *path)
{
	CLEANUP(buf) struct buf bytes = BUF_INIT;
	enum err e = io_read_file(path, 1 << 20, &bytes);

	if (e)
		return e == ERR_MEMORY ? e : OK;
	return add_bytes(parts, name, version, buf_slice(&bytes));
}

struct mapping {
	unsigned major, minor;
	unsigned long long inode;
	char path[NAME_ROOM];
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

static bool known(const struct parts *parts, const char *name)
{
	for (size_t i = 0; i < parts->n; i++)
		if (!strcmp(parts->names[i], name))
			return true;
	return false;
}

struct mapped_parts {
	struct parts *parts;
	const char *self;
};

static enum err add_mapping(void *context, const struct mapping *m)
{
	struct mapped_parts *to = context;
	char name[NAME_ROOM + 8];
	uint8_t digest[SHA256_SIZE];

	if (!strcmp(m->path, to->self))
		snprintf(name, sizeof name, "daemon");
	else
		snprintf(name, sizeof name, "mapped:%s", m->path);
	if (strlen(name) >= NAME_ROOM)
		return failed(ERR_RANGE, "%s: path too long", m->path);
	if (known(to->parts, name))
		return OK;
	CLEANUP(fd) int fd = open(m->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return failed(ERR_IO, "%s: %m", m->path);
	enum err e = check_same_file(fd, m);
	if (e || (e = hash_fd(fd, m->path, digest)))
		return e;
	return add_digest(to->parts, name, "", digest);
}

static enum err add_to_fingerprint(void *context, const struct mapping *m)
{
	struct sha256 *hash = context;

	sha256_add(hash, m, offsetof(struct mapping, path));
	sha256_add(hash, m->path, strlen(m->path));
	return OK;
}

static enum err fingerprint(uint64_t *out)
{
	uint8_t digest[SHA256_SIZE];
	struct sha256 hash;

	sha256_init(&hash);
	enum err e = walk_mappings(add_to_fingerprint, &hash);
	sha256_end(&hash, digest);
	*out = get_u64(digest);
	return e;
}

static enum err add_vulnerabilities(struct parts *parts)
{
	static const char folder[] = "/sys/devices/system/cpu/vulnerabilities";
	struct dirent **names = NULL;
	CLEANUP(buf) struct buf all = BUF_INIT;
	int n = scandir(folder, &names, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char path[512];

		snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
		if (names[i]->d_name[0] != '.') {
			CLEANUP(buf) struct buf state = BUF_INIT;

			if (!io_read_file(path, 4096, &state)) {
				buf_printf(&all, "%s: ", names[i]->d_name);
				buf_put_slice(&all, buf_slice(&state));
			}
		}
		free(names[i]);
	}
	free(names);
	if (n <= 0)
		return OK;
	enum err e = buf_check(&all);
	return e ? e : add_bytes(parts, "kernel:cpu-vulnerabilities", "", buf_slice(&all));
}

static enum err add_microcode(struct parts *parts)
{
	CLEANUP(buf) struct buf cpu = BUF_INIT;
	const char *text, *line, *colon;

	if (io_read_file("/proc/cpuinfo", 4 << 20, &cpu) || !(text = buf_text(&cpu)) ||
	    !(line = strstr(text, "\nmicrocode")) || !(colon = strchr(line, ':')))
		return OK;
	struct slice value = slice_of(colon + 1, strcspn(colon + 1, "\n"));
	while (value.left && value.p[0] == ' ')
		value = slice_of(value.p + 1, value.left - 1);
	char version[72];
	snprintf(version, sizeof version, "%.*s", (int)value.left, value.p);
	return add_bytes(parts, "cpu:microcode", version, value);
}

static enum err add_kernel(struct parts *parts)
{
	struct utsname kernel;
	enum err e;

	if (uname(&kernel))
		return failed(ERR_IO, "uname: %m");
	if ((e = add_if_there(parts, "kernel:notes", kernel.release, "/sys/kernel/notes")) ||
	    (e = add_if_there(parts, "kernel:version", "", "/proc/version")) ||
	    (e = add_if_there(parts, "kernel:command-line", "", "/proc/cmdline")) ||
	    (e = add_vulnerabilities(parts)))
		return e;
	return add_microcode(parts);
}

static enum err add_front_end(const struct daemon *daemon, struct parts *parts)
{
	const char *hsm = daemon->config->hsm_module;
	char path[512];
	enum err e = config_program(daemon->config, daemon->self, "assay.so", path, sizeof path);

	if (e)
		return e;
	if (!access(path, R_OK) && (e = add_file(parts, "as-installed:module", path)))
		return e;
	if (*hsm && !access(hsm, R_OK))
		return add_file(parts, "as-installed:hsm-module", hsm);
	return OK;
}

static enum err measure(const struct daemon *daemon, struct parts *parts)
{
	const struct sandbox_facts *facts = sandbox_facts(daemon->box);
	struct mapped_parts mapped = { parts, daemon->self };
	enum err e;

	if ((e = walk_mappings(add_mapping, &mapped)) ||
	    (e = add_digest(parts, "launcher", "", facts->launcher)) ||
	    (e = add_digest(parts, "init", "", facts->init)) ||
	    (e = add_digest(parts, "configuration", "", daemon->config->digest)) ||
	    (e = add_kernel(parts)))
		return e;
	return add_front_end(daemon, parts);
}

static enum err write_record(struct daemon *daemon, const struct parts *parts,
			     struct tcb_record *record)
{
	CLEANUP(audit_ticket) struct audit_ticket *ticket = NULL;
	struct leaf leaf;
	enum err e = record_fill(daemon, NULL, NULL, LEAF_TCB, &leaf);

	if (e)
		return e;
	memcpy(leaf.components, parts->list, parts->n * sizeof *parts->list);
	leaf.components_n = parts->n;
	if ((e = audit_begin(daemon->tree, &leaf, &ticket)) ||
	    (e = audit_finish(ticket, &record->receipt)) ||
	    (e = leaf_components_digest(&leaf, record->digest)))
		return e;
	buf_put_slice(&record->leaf, audit_ticket_leaf(ticket));
	return buf_check(&record->leaf);
}

static void put_in_force(struct tcb *tcb, struct tcb_record *record, uint64_t mapped)
{
	pthread_mutex_lock(&tcb->lock);
	struct tcb_record *old = tcb->current;
	tcb->current = record;
	tcb->mapped = mapped;
	pthread_mutex_unlock(&tcb->lock);
	tcb_record_release(old);
}

static void parts_cleanup(struct parts **parts)
{
	free(*parts);
}

static enum err renew(struct daemon *daemon)
{
	CLEANUP(parts) struct parts *parts = NULL;
	uint64_t mapped;
	enum err e = fingerprint(&mapped);

	if (e)
		return e;
	pthread_mutex_lock(&daemon->tcb.lock);
	bool same = daemon->tcb.current && daemon->tcb.mapped == mapped;
	pthread_mutex_unlock(&daemon->tcb.lock);
	if (same)
		return OK;
	CLEANUP(tcb_record) struct tcb_record *record = calloc(1, sizeof *record);
	if (!record || !(parts = calloc(1, sizeof *parts)))
		return failed(ERR_MEMORY, "TCB record");
	record->refs = 1;
	if ((e = measure(daemon, parts)) || (e = write_record(daemon, parts, record)))
		return e;
	put_in_force(&daemon->tcb, STEAL(record), mapped);
	return OK;
}

enum err tcb_renew(struct daemon *daemon)
{
	struct tcb *tcb = &daemon->tcb;
	enum err e = renew(daemon);

	pthread_mutex_lock(&tcb->lock);
	bool news = e && !tcb->unknown;
	tcb->unknown = e != OK;
	pthread_mutex_unlock(&tcb->lock);
	if (news)
		log_error("the platform can't be measured, nothing is run: %s", err_reason());
	return e;
}

bool tcb_unknown(struct tcb *tcb)
{
	pthread_mutex_lock(&tcb->lock);
	bool unknown = tcb->unknown;
	pthread_mutex_unlock(&tcb->lock);
	return unknown;
}
