#include "plugin/cli/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/proof.h"
#include "plugin/cli/cli.h"
#include "plugin/cli/json.h"
#include "sandbox/trailer.h"

/* By the name's beginning; a name that ends in ":" stands for all that go on from there. */
static const struct {
	const char *name, *group;
} groups[] = {
	{ "image", "the application: every file of its image (a Merkle tree)" },
	{ "profile", "the application: arguments, environment, limits, system calls" },
	{ "daemon", "the daemon, as it is mapped" },
	{ "mapped:", "libraries that the daemon has mapped" },
	{ "launcher", "executed from the descriptor that was hashed" },
	{ "init", "executed from the descriptor that was hashed" },
	{ "configuration", "the daemon's configuration in force" },
	{ "as-installed:", "the front end as installed: whether it is what ran is not known" },
	{ "tpm:", "what the TPM signed: registers of the boot, and its key" },
	{ "kernel:", "the kernel's own words on itself: self-reported" },
	{ "cpu:", "the kernel's words on the processor: self-reported" },
	{ "machine:", "the kernel's words on the machine: self-reported" },
};
#define GROUPS_N (sizeof groups / sizeof *groups)

static size_t group_of(struct slice name)
{
	for (size_t i = 0; i < GROUPS_N; i++) {
		bool open = groups[i].name[strlen(groups[i].name) - 1] == ':';

		if (open ? slice_starts(name, groups[i].name) : slice_is(name, groups[i].name))
			return i;
	}
	return GROUPS_N;
}

const char *parts_group(struct slice name)
{
	size_t i = group_of(name);

	return i < GROUPS_N ? groups[i].group : "others";
}

static void print_approvals(struct slice authorities, struct buf *out)
{
	for (const uint8_t *signer; (signer = leaf_next_authority(&authorities));) {
		buf_put_text(out, "      approved by ");
		buf_put_hex(out, slice_of(signer, SHA256_SIZE));
		buf_put_text(out, "\n");
	}
}

void parts_print(const struct leaf *leaf, parts_mark *mark, void *context, struct buf *out)
{
	const char *heading = "";

	for (size_t g = 0; g <= GROUPS_N; g++)
		for (size_t i = 0; i < leaf->components_n; i++) {
			const struct leaf_component *part = &leaf->components[i];
			const char *words = mark ? mark(context, part->name) : NULL;

			if (group_of(part->name) != g)
				continue;
			if (strcmp(heading, parts_group(part->name))) {
				heading = parts_group(part->name);
				buf_printf(out, "  %s\n", heading);
			}
			buf_put_text(out, "    ");
			buf_put_hex(out, SLICE(part->sha256));
			buf_put_text(out, "  ");
			plain_put_text(out, part->name);
			if (part->version.left) {
				buf_put_text(out, "  ");
				plain_put_text(out, part->version);
			}
			if (words)
				buf_printf(out, "  %s", words);
			buf_put_text(out, "\n");
			print_approvals(part->authorities, out);
		}
}

static struct part *add(struct parts *parts)
{
	struct part *more = reallocarray(parts->list, parts->n + 1, sizeof *more);

	if (!more)
		return NULL;
	parts->list = more;
	more[parts->n] = (struct part){ 0 };
	return &more[parts->n++];
}

static enum err add_components(struct parts *parts, struct slice raw)
{
	CLEANUP(leaf) struct leaf *leaf = NULL;
	enum err e = leaf_read(raw, &leaf);

	for (size_t i = 0; !e && i < leaf->components_n; i++) {
		const struct leaf_component *from = &leaf->components[i];
		struct part *part = add(parts);

		if (!part)
			return failed(ERR_MEMORY, "a list of parts");
		part->name = from->name;
		part->version = from->version;
		memcpy(part->sha256, from->sha256, SHA256_SIZE);
	}
	return e;
}

/* Mode and type are measured with the content: they are part of what may differ. */
static enum err add_file(struct parts *parts, const struct entry *entry)
{
	static const char *const types[] = {
		[ENTRY_DIRECTORY] = "directory", [ENTRY_FILE] = "file", [ENTRY_LINK] = "link"
	};
	struct part *part = add(parts);

	if (!part)
		return failed(ERR_MEMORY, "a list of files");
	part->name = entry->path;
	sha256_once(entry->content, part->sha256);
	/* Only a text that outlives its buffer's growth may be pointed to: see settle_texts. */
	part->version = slice_of(NULL, 0);
	buf_printf(&parts->texts, "%s %04o", types[entry->type], entry->mode);
	buf_put(&parts->texts, "", 1);
	return buf_check(&parts->texts);
}

static void settle_texts(struct parts *parts)
{
	const char *text = (const char *)parts->texts.data;

	for (size_t i = 0; i < parts->n; i++) {
		parts->list[i].version = slice_text(text);
		text += strlen(text) + 1;
	}
}

static enum err read_package(struct parts *parts)
{
	struct slice raw = buf_slice(&parts->raw);
	struct package package;
	struct trailer signers;
	struct entry entry;
	enum err e;

	if ((e = trailer_split(&raw, &signers)) || (e = package_parse(raw, &package)))
		return e;
	for (struct slice cursor = package.entries; package_next(&cursor, &entry);)
		if ((e = add_file(parts, &entry)))
			return e;
	settle_texts(parts);
	struct part *profile = add(parts);
	if (!profile)
		return failed(ERR_MEMORY, "a list of files");
	profile->name = slice_text("(profile)");
	memcpy(profile->sha256, package.profile, SHA256_SIZE);
	return OK;
}

static enum err read_proof(struct parts *parts)
{
	struct slice proof = buf_slice(&parts->raw), output, messages, keys;
	struct proof_parts inner;
	enum err e;

	(void)!proof_result_read(proof, &proof, &output, &messages, &keys);
	if ((e = proof_read(proof, &inner)) || (e = add_components(parts, inner.leaf)))
		return e;
	return inner.tcb_leaf.left ? add_components(parts, inner.tcb_leaf) : OK;
}

int part_order(const struct part *a, const struct part *b)
{
	return slice_compare(a->name, b->name);
}

static int by_name(const void *a, const void *b)
{
	return part_order(a, b);
}

enum err parts_read(const char *path, struct parts *out)
{
	enum err e = cli_read(path, CLI_FILE_MAX, &out->raw);

	if (e)
		return e;
	bool package = slice_starts(buf_slice(&out->raw), PACKAGE_MAGIC);
	if ((e = package ? read_package(out) : read_proof(out)))
		return failed(e, "%s: %s", path, err_reason());
	if (out->n)
		qsort(out->list, out->n, sizeof *out->list, by_name);
	return OK;
}

void parts_cleanup(struct parts *parts)
{
	buf_free(&parts->raw);
	buf_free(&parts->texts);
	free(parts->list);
}
