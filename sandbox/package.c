#include "sandbox/package.h"

#include <stdlib.h>
#include <string.h>

#include "sandbox/elf.h"
#include "sandbox/manifest.h"

static const char magic[8] = PACKAGE_MAGIC;

/* RFC 9162 section 2.1.1, leaf by leaf: the roots of the complete subtrees so far, largest first. */
struct merkle {
	uint8_t roots[32][SHA256_SIZE];
	unsigned n;
	uint32_t leaves;
};

static void merkle_join(struct merkle *m)
{
	struct sha256 h;

	sha256_init(&h);
	sha256_add(&h, "\1", 1);
	sha256_add(&h, m->roots[m->n - 2], 2 * SHA256_SIZE);
	sha256_end(&h, m->roots[m->n - 2]);
	m->n--;
}

static void merkle_add(struct merkle *m, const struct entry *entry)
{
	struct sha256 h;
	uint8_t head[3] = { 0 }, tail[3], content[SHA256_SIZE];

	sha256_once(entry->content, content);
	set_u16(head + 1, (uint16_t)entry->path.left);
	tail[0] = (uint8_t)entry->type;
	set_u16(tail + 1, entry->mode);
	sha256_init(&h);
	sha256_add(&h, head, sizeof head);
	sha256_add(&h, entry->path.p, entry->path.left);
	sha256_add(&h, tail, sizeof tail);
	sha256_add(&h, content, sizeof content);
	sha256_end(&h, m->roots[m->n++]);
	for (uint32_t i = m->leaves++; i & 1; i >>= 1)
		merkle_join(m);
}

static void merkle_root(struct merkle *m, uint8_t root[SHA256_SIZE])
{
	while (m->n > 1)
		merkle_join(m);
	memcpy(root, m->roots[0], SHA256_SIZE);
}

/* What the entries before told about the one at hand. Entries are sorted, so all directories above
 * it are prefixes of its path: which lengths name a directory is all that need be kept. */
struct walk {
	struct slice last;
	bool directory[PACKAGE_PATH_MAX + 1];
	struct slice program; /* path of the program, without its / */
	bool found;
	bool scratch; /* /tmp is taken */
	struct merkle merkle;
};

static enum err take_entry(struct slice *in, struct entry *entry)
{
	uint16_t path_n;
	uint8_t type;
	uint64_t content_n;
	enum err e;

	if ((e = slice_take_u16(in, &path_n)) || (e = slice_take(in, path_n, &entry->path)) ||
	    (e = slice_take_u8(in, &type)) || (e = slice_take_u16(in, &entry->mode)) ||
	    (e = slice_take_u64(in, &content_n)))
		return e;
	entry->type = (enum entry_type)type;
	if (content_n > in->left)
		return failed(ERR_FORMAT, "content of %llu bytes, %zu left",
			      (unsigned long long)content_n, in->left);
	return slice_take(in, (size_t)content_n, &entry->content);
}

bool package_next(struct slice *cursor, struct entry *entry)
{
	return cursor->left && take_entry(cursor, entry) == OK;
}

/* A link may go up with "..", as far as the root of the image and no further. */
static enum err check_target(struct slice path, struct slice target)
{
	long depth = 0;
	size_t start = 0;

	if (target.left == 0 || target.left > PACKAGE_PATH_MAX || memchr(target.p, 0, target.left))
		return failed(ERR_FORMAT, "a link's target of %zu bytes, or with a NUL",
			      target.left);
	if (target.p[0] == '/')
		return failed(ERR_FORMAT, "an absolute link");
	for (size_t i = 0; i < path.left; i++)
		depth += path.p[i] == '/';
	for (size_t i = 0; i <= target.left; i++) {
		if (i < target.left && target.p[i] != '/')
			continue;
		struct slice part = slice_of(target.p + start, i - start);
		if (slice_is(part, ".."))
			depth--;
		else if (part.left && !slice_is(part, "."))
			depth++;
		if (depth < 0)
			return failed(ERR_FORMAT, "a link that leaves the image");
		start = i + 1;
	}
	return OK;
}

static enum err check_kind(const struct entry *entry)
{
	struct elf elf;

	switch (entry->type) {
	case ENTRY_DIRECTORY:
		if (entry->mode != 0555 || entry->content.left)
			return failed(ERR_FORMAT, "a directory with mode %o and %zu bytes",
				      entry->mode, entry->content.left);
		return OK;
	case ENTRY_FILE:
		if (entry->mode != 0444 && entry->mode != 0555)
			return failed(ERR_FORMAT, "a file with mode %o", entry->mode);
		/* No system call asks for it, so that the filter would not see it. */
		if (elf_open(entry->content, &elf) && elf_executable_stack(&elf))
			return failed(ERR_FORMAT, "asks for an executable stack (PT_GNU_STACK); "
						  "link it with -z noexecstack");
		return OK;
	case ENTRY_LINK:
		if (entry->mode != 0777)
			return failed(ERR_FORMAT, "a link with mode %o", entry->mode);
		return check_target(entry->path, entry->content);
	}
	return failed(ERR_FORMAT, "type %d: devices, pipes and sockets have no place here",
		      (int)entry->type);
}

static size_t common_length(struct slice a, struct slice b)
{
	size_t n = 0;

	while (n < a.left && n < b.left && a.p[n] == b.p[n])
		n++;
	return n;
}

static enum err check_place(struct walk *walk, const struct entry *entry)
{
	struct slice path = entry->path;
	size_t common = common_length(walk->last, path), parent = path.left;

	if (walk->last.p && slice_compare(walk->last, path) >= 0)
		return failed(ERR_FORMAT, "out of order, or there twice");
	memset(walk->directory + common + 1, 0, sizeof walk->directory - common - 1);
	while (parent && path.p[parent - 1] != '/')
		parent--;
	if (parent && !walk->directory[parent - 1])
		return failed(ERR_FORMAT, "its directory is missing");
	/* The launcher puts the devices there. */
	if ((slice_is(path, "dev") && entry->type != ENTRY_DIRECTORY) ||
	    (path.left > 4 && memcmp(path.p, "dev/", 4) == 0))
		return failed(ERR_FORMAT, "/dev is the sandbox's own");
	if (walk->scratch && ((slice_is(path, "tmp") && entry->type != ENTRY_DIRECTORY) ||
			      (path.left > 4 && memcmp(path.p, "tmp/", 4) == 0)))
		return failed(ERR_FORMAT, "/tmp is scratch space");
	walk->directory[path.left] = entry->type == ENTRY_DIRECTORY;
	walk->last = path;
	return OK;
}

static enum err check_entry(struct walk *walk, const struct entry *entry)
{
	enum err e = package_path_check(entry->path);

	if (e)
		return e;
	if ((e = check_kind(entry)) || (e = check_place(walk, entry)))
		return failed(e, "\"%.*s\": %s", (int)entry->path.left, (const char *)entry->path.p,
			      err_reason());
	if (slice_equal(entry->path, walk->program))
		walk->found = entry->type == ENTRY_LINK ||
			      (entry->type == ENTRY_FILE && entry->mode == 0555);
	merkle_add(&walk->merkle, entry);
	return OK;
}

static enum err parse_entries(struct slice in, struct package *out)
{
	struct walk walk = { .program = slice_of(out->manifest.argv[0].p + 1,
						 out->manifest.argv[0].left - 1),
			     .scratch = out->manifest.limits.scratch_bytes };
	struct entry entry;
	enum err e;

	if ((e = slice_take_u32(&in, &out->entries_n)))
		return e;
	if (out->entries_n == 0 || out->entries_n > PACKAGE_ENTRIES_MAX)
		return failed(ERR_FORMAT, "%u entries", out->entries_n);
	out->entries = in;
	for (uint32_t i = 0; i < out->entries_n; i++)
		if ((e = take_entry(&in, &entry)) || (e = check_entry(&walk, &entry)))
			return failed(e, "entry %u: %s", i, err_reason());
	if (in.left)
		return failed(ERR_FORMAT, "%zu bytes after the last entry", in.left);
	if (!walk.found)
		return failed(ERR_FORMAT, "the program \"%.*s\" is not in the image",
			      (int)out->manifest.argv[0].left,
			      (const char *)out->manifest.argv[0].p);
	merkle_root(&walk.merkle, out->image);
	return OK;
}

static enum err parse_header(struct slice *in)
{
	struct slice text, hash;
	uint64_t length;
	uint8_t digest[SHA256_SIZE];
	size_t whole = in->left;
	enum err e;

	if (whole > PACKAGE_MAX)
		return failed(ERR_FORMAT, "%zu bytes, at most %zu allowed", whole, PACKAGE_MAX);
	if ((e = slice_take(in, sizeof magic, &text)) || (e = slice_take_u64(in, &length)) ||
	    (e = slice_take(in, SHA256_SIZE, &hash)))
		return e;
	if (memcmp(text.p, magic, sizeof magic) != 0)
		return failed(ERR_FORMAT, "not an application package");
	if (length != whole)
		return failed(ERR_FORMAT, "cut or lengthened: %llu bytes announced, %zu here",
			      (unsigned long long)length, whole);
	sha256_once(*in, digest);
	return memcmp(digest, hash.p, SHA256_SIZE) == 0
		       ? OK
		       : failed(ERR_FORMAT, "changed: its hash differs");
}

static void measure(struct package *package)
{
	static const char name[] = "assay-application-1"; /* with its 0 */
	struct sha256 h;

	sha256_init(&h);
	sha256_add(&h, name, sizeof name);
	sha256_add(&h, package->image, SHA256_SIZE);
	sha256_add(&h, package->profile, SHA256_SIZE);
	sha256_end(&h, package->measurement);
}

enum err package_parse(struct slice raw, struct package *out)
{
	struct slice in = raw;
	enum err e;

	memset(out, 0, sizeof *out);
	out->raw = raw;
	if ((e = parse_header(&in)) ||
	    (e = slice_take_bytes(&in, MANIFEST_MAX, &out->manifest_raw)) ||
	    (e = manifest_decode(out->manifest_raw, &out->manifest)) ||
	    (e = parse_entries(in, out)) || (e = manifest_profile(&out->manifest, out->profile)))
		return failed(e, "package: %s", err_reason());
	measure(out);
	return OK;
}

static int entry_order(const void *a, const void *b)
{
	return slice_compare(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

static size_t count_parents(struct slice path)
{
	size_t n = 0;

	for (size_t i = 0; i < path.left; i++)
		n += path.p[i] == '/';
	return n;
}

/* Entries and their parents, sorted; a parent that is named by several is kept once. */
static size_t complete(const struct entry *entries, size_t n, struct entry *all)
{
	size_t total = n, kept = 0;

	for (size_t i = 0; i < n; i++) {
		all[i] = entries[i];
		for (size_t j = 0; j < entries[i].path.left; j++)
			if (entries[i].path.p[j] == '/')
				all[total++] = (struct entry){ slice_of(entries[i].path.p, j),
							       ENTRY_DIRECTORY,
							       0555,
							       { NULL, 0 } };
	}
	qsort(all, total, sizeof *all, entry_order);
	for (size_t i = 0; i < total; i++) {
		if (kept && all[i].type == ENTRY_DIRECTORY &&
		    all[kept - 1].type == ENTRY_DIRECTORY &&
		    slice_equal(all[kept - 1].path, all[i].path))
			continue;
		all[kept++] = all[i];
	}
	return kept;
}

static uint16_t canonical_mode(const struct entry *entry)
{
	if (entry->type == ENTRY_LINK)
		return 0777;
	return entry->type == ENTRY_DIRECTORY || entry->mode & 0111 ? 0555 : 0444;
}

static void put_entry(struct buf *out, const struct entry *entry)
{
	buf_put_u16(out, (uint16_t)entry->path.left);
	buf_put_slice(out, entry->path);
	buf_put_u8(out, (uint8_t)entry->type);
	buf_put_u16(out, canonical_mode(entry));
	buf_put_u64(out, entry->content.left);
	buf_put_slice(out, entry->content);
}

static enum err put_entries(struct buf *out, const struct entry *entries, size_t n)
{
	size_t total = n;

	for (size_t i = 0; i < n; i++) {
		if (entries[i].path.left > PACKAGE_PATH_MAX)
			return failed(ERR_FORMAT, "a path of %zu bytes", entries[i].path.left);
		total += count_parents(entries[i].path);
	}
	struct entry *all = calloc(total + 1, sizeof *all);
	if (!all)
		return failed(ERR_MEMORY, "%zu entries", total);
	size_t kept = complete(entries, n, all);
	buf_put_u32(out, (uint32_t)kept);
	for (size_t i = 0; i < kept; i++)
		put_entry(out, &all[i]);
	free(all);
	return OK;
}

enum err package_build(const struct manifest *manifest, const struct entry *entries, size_t n,
		       struct buf *out)
{
	CLEANUP(buf) struct buf head = BUF_INIT;
	struct package check;
	enum err e;

	if (n == 0 || n > PACKAGE_ENTRIES_MAX)
		return failed(ERR_RANGE, "%zu files in a package", n);
	if ((e = manifest_encode(manifest, &head)))
		return e;
	buf_reset(out);
	out->max = PACKAGE_MAX;
	buf_put(out, magic, sizeof magic);
	buf_add(out, PACKAGE_HEADER - sizeof magic);
	buf_put_u32(out, (uint32_t)head.len);
	buf_put_slice(out, buf_slice(&head));
	if ((e = put_entries(out, entries, n)))
		return e;
	if ((e = buf_check(out)))
		return failed(ERR_RANGE, "a package over %zu bytes", PACKAGE_MAX);
	set_u64(out->data + sizeof magic, out->len);
	sha256_once(slice_of(out->data + PACKAGE_HEADER, out->len - PACKAGE_HEADER),
		    out->data + sizeof magic + 8);
	return package_parse(buf_slice(out), &check);
}
