#include <string.h>

#include "audit/leaf.h"
#include "audit/proof.h"
#include "audit/public.h"
#include "audit/published.h"
#include "audit/receipt.h"
#include "audit/witness.h"
#include "plugin/cli/audit.h"
#include "plugin/cli/audit_witnessed.h"

/* The tree that the checkpoint is of, grown from the log's records as they are read. */
struct growing {
	const struct note *note;
	struct tree tree;
};

static enum err grow(void *context, const char *origin, uint64_t index, struct slice raw,
		     const struct leaf *leaf)
{
	struct growing *growing = context;
	tree_hash hash;

	(void)leaf;
	if (index >= growing->note->size || !slice_is(growing->note->origin, origin))
		return OK;
	leaf_hash(raw, hash);
	return tree_append(&growing->tree, hash);
}

/* The one tree with a published checkpoint in whose origin @name occurs. */
static enum err find_tree(const struct published *list, const char *name,
			  const struct published_checkpoint **out)
{
	size_t found = 0;

	for (size_t i = 0; i < list->n; i++) {
		if (!list->items[i].note.len || !strstr(list->items[i].origin, name))
			continue;
		/* A whole origin may be a part of another one. */
		bool whole = !strcmp(list->items[i].origin, name);
		if (!found++ || whole)
			*out = &list->items[i];
		if (whole)
			return OK;
	}
	if (found == 1)
		return OK;
	return found ? failed(ERR_USAGE, "several trees have a name like %s", name)
		     : failed(ERR_NOT_FOUND, "no checkpoint is published of a tree like %s", name);
}

static enum err prove(const struct trail *trail, const struct note *note, uint64_t old,
		      struct tree_path *path)
{
	struct growing growing = { .note = note };
	struct auditor_report report = { 0 };
	enum err e;

	path->n = 0;
	if (old == 0)
		return OK;
	if (old > note->size)
		return failed(ERR_USAGE, "the checkpoint has %llu records only",
			      (unsigned long long)note->size);
	e = auditor_verify(trail->path, buf_slice(&trail->ca_der), grow, &growing, &report);
	auditor_report_free(&report);
	if (!e)
		e = tree_consistency(&growing.tree, old, note->size, path);
	tree_free(&growing.tree);
	return e;
}

/* The size of the tree that a proof's receipt is about. */
static enum err read_size(const char *path, uint64_t *size)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct proof_parts parts;
	struct receipt receipt;
	enum err e;

	if ((e = cli_read(path, PROOF_MAX, &raw)))
		return e;
	if ((e = proof_read(buf_slice(&raw), &parts)) ||
	    (e = receipt_read(parts.receipt, &receipt)))
		return failed(e, "%s: %s", path, err_reason());
	*size = receipt.size;
	return OK;
}

static enum err write_request(struct cli *cli, const struct trail *trail, uint64_t old,
			      const char *proof)
{
	CLEANUP(published) struct published list = { 0 };
	CLEANUP(buf) struct buf witnessed = BUF_INIT;
	const struct published_checkpoint *found = NULL;
	struct tree_path path;
	struct note note;
	enum err e;

	/* Before the log is read: it only grows. */
	if ((e = trail_published(trail, &list)) || (e = find_tree(&list, cli->args[0], &found)) ||
	    (proof && ((e = read_size(proof, &old)) ||
		       (e = trail_witnessed(trail, found->origin, &witnessed)))))
		return e;
	struct slice checkpoint = buf_slice(proof ? &witnessed : &found->note);
	if ((e = note_read(checkpoint, &note)) || (e = prove(trail, &note, old, &path)))
		return e;
	return witness_request_write(old, &path, checkpoint, &cli->out);
}

int cmd_witness_request(struct cli *cli)
{
	CLEANUP(trail) struct trail trail = { 0 };
	const char *directory = NULL, *proof = NULL;
	struct cli_number old = { 0 };
	const struct cli_option options[] = {
		CLI_NUMBER("old", "SIZE", &old, "what the witness last signed; default: nothing"),
		CLI_TEXT(
			"proof", "PROOF", &proof,
			"from the tree of this proof to the newest witnessed checkpoint: for assay "
			"verify --checkpoint"),
		TRAIL_LOG(&directory),
		TRAIL_OPTIONS(&trail),
	};
	enum cli_exit code = cli_options(cli, options, sizeof options / sizeof *options);
	enum err e;

	if (code)
		return code;
	if (old.given && proof)
		return cli_usage(cli, "--old or --proof: one of them expected");
	if ((e = trail_find(cli, directory, &trail)) ||
	    (e = write_request(cli, &trail, old.value, proof)))
		return cli_failed(cli, e);
	return EXIT_HOLDS;
}
