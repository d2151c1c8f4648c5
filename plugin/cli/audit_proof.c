#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "audit/chain.h"
#include "audit/cose.h"
#include "audit/ledger.h"
#include "audit/leaf_text.h"
#include "audit/past.h"
#include "audit/proof.h"
#include "audit/public.h"
#include "audit/quote.h"
#include "audit/scan.h"
#include "config/base/io.h"
#include "plugin/cli/audit.h"
#include "plugin/cli/json.h"

#define TCBS_MAX 4096

/* A record as it lies in the log. */
struct found {
	const struct ledger_tree *tree; /* NULL: none yet */
	uint64_t index;
	struct buf raw;
};

struct tcb {
	uint8_t digest[SHA256_SIZE];
	struct found at;
};

struct search {
	struct trail trail;
	const char *tree; /* --tree */
	bool by_id;
	uint8_t id[16];
	uint64_t index;

	int folder; /* of the trees; -1: not opened yet */
	struct ledger ledger;
	struct leaf *leaf; /* of what is read; in the end, of what was found */
	struct found found;
	struct tcb *tcbs; /* the platforms on record */
	size_t tcbs_n;
};

static void search_cleanup(struct search *search)
{
	trail_cleanup(&search->trail);
	fd_cleanup(&search->folder);
	ledger_free(&search->ledger);
	free(search->leaf);
	buf_free(&search->found.raw);
	for (size_t i = 0; i < search->tcbs_n; i++)
		buf_free(&search->tcbs[i].at.raw);
	free(search->tcbs);
}

/* An index has few digits, all decimal; an id has 32 of any kind. */
MUST static enum err read_name(struct search *search, const char *name)
{
	char *end;

	search->by_id = strlen(name) == 2 * sizeof search->id;
	if (search->by_id)
		return hex_take(name, search->id, sizeof search->id);
	search->index = strtoull(name, &end, 10);
	return *name && strspn(name, "0123456789") == strlen(name) && strlen(name) < 19
		       ? OK
		       : failed(ERR_USAGE,
				"a record's index, or the 32 hexadecimal digits of a proof's id, "
				"expected, found \"%s\"",
				name);
}

static bool is_wanted(const struct search *search, const struct ledger_tree *tree)
{
	if (search->tree && !strstr(tree->origin, search->tree))
		return false;
	return search->by_id ? !memcmp(search->leaf->cti, search->id, sizeof search->id)
			     : search->leaf->pos == search->index;
}

MUST static enum err keep(struct found *found, const struct ledger_tree *tree,
			  const struct entry *entry)
{
	found->tree = tree;
	found->index = entry->index;
	buf_reset(&found->raw);
	buf_put_slice(&found->raw, entry->leaf);
	return buf_check(&found->raw);
}

MUST static enum err keep_tcb(struct search *search, const struct ledger_tree *tree,
			      const struct entry *entry)
{
	uint8_t digest[SHA256_SIZE];
	enum err e = leaf_components_digest(search->leaf, digest);

	if (e)
		return e;
	for (size_t i = 0; i < search->tcbs_n; i++)
		if (!memcmp(search->tcbs[i].digest, digest, sizeof digest))
			return OK;
	if (search->tcbs_n == TCBS_MAX)
		return failed(ERR_RANGE, "too many platforms are on record");
	struct tcb *more = reallocarray(search->tcbs, search->tcbs_n + 1, sizeof *more);
	if (!more)
		return failed(ERR_MEMORY, "the list of platforms");
	search->tcbs = more;
	more += search->tcbs_n++;
	memset(more, 0, sizeof *more);
	memcpy(more->digest, digest, sizeof digest);
	return keep(&more->at, tree, entry);
}

static enum err on_entry(void *context, struct ledger_tree *tree, const struct entry *entry)
{
	struct search *search = context;
	enum err e;

	if (entry->kind != ENTRY_LEAF)
		return OK;
	if ((e = leaf_decode(entry->leaf, search->leaf)))
		return e;
	if (search->leaf->type == LEAF_TCB && (e = keep_tcb(search, tree, entry)))
		return e;
	if (!is_wanted(search, tree))
		return OK;
	if (search->found.tree)
		return failed(ERR_USAGE,
			      "several trees have such a record: which one, --tree says");
	return keep(&search->found, tree, entry);
}

MUST static enum err walk(struct search *search)
{
	CLEANUP(fd) int root = open(search->trail.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(fd) int wal = -1;
	bool begun = false;
	CLEANUP(scan) struct scan scan = { .fd = -1 };
	struct frame frame;
	uint64_t leaves;
	enum err e;

	if (root < 0)
		return failed(ERR_IO, "%s: %m", search->trail.path);
	if ((e = io_open_dir(root, "wal", false, &wal)) ||
	    (e = io_open_dir(root, "trees", false, &search->folder)) ||
	    (e = scan_start(&scan, wal, NULL, NULL)) || (e = scan_to_present(&scan)))
		return e;
	while (!(e = scan_next(&scan, &frame))) {
		if ((e = ledger_apply(&search->ledger, &frame, on_entry, search, &leaves)) ||
		    (!begun && (e = past_walk(search->folder, &search->ledger, on_entry, search))))
			return e;
		begun = true;
		scan_advance(&scan, &frame, leaves);
	}
	return e == ERR_NOT_FOUND ? OK : e;
}

/* The certificate under which the tree's last head was signed: the key may have changed since. */
MUST static enum err find_certificate(const struct ledger_tree *tree, struct slice *out)
{
	enum err e;

	*out = buf_slice(&tree->certificate);
	e = receipt_head_verify(&tree->head, tree->origin, *out);
	if (e && tree->former.len) {
		*out = buf_slice(&tree->former);
		e = receipt_head_verify(&tree->head, tree->origin, *out);
	}
	return e;
}

/* Nothing is handed out that would not hold. */
MUST static enum err check(const struct search *search, const struct found *found,
			   struct slice receipt)
{
	uint8_t hash[SHA256_SIZE];
	struct receipt r;
	enum err e;

	leaf_hash(buf_slice(&found->raw), hash);
	if ((e = receipt_read(receipt, &r)) || (e = receipt_verify(&r, hash)))
		return e;
	return chain_verify(r.certificate, &r.chain, buf_slice(&search->trail.ca_der),
			    found->tree->origin, r.time);
}

MUST static enum err put_receipt(const struct search *search, const struct found *found,
				 struct buf *out)
{
	const struct ledger_tree *tree = found->tree;
	struct audit_key key = { .alg = COSE_ES256, .chain = buf_slice(&tree->ca) };
	struct tree_path path;
	enum err e;

	if (tree->head.size <= found->index)
		return failed(ERR_NOT_FOUND,
			      "%s: record %" PRIu64 " is not under a signed head yet", tree->origin,
			      found->index);
	if ((e = find_certificate(tree, &key.certificate)) ||
	    (e = past_inclusion(search->folder, tree, found->index, tree->head.size, &path)) ||
	    (e = receipt_write(&tree->head, &key, found->index, path.hash, path.n, out)) ||
	    (e = buf_check(out)))
		return e;
	return check(search, found, buf_slice(out));
}

/* A TPM's quote in the record is for the key of then. */
MUST static enum err put_tcb_receipt(const struct search *search, const struct found *tcb,
				     struct buf *out)
{
	CLEANUP(leaf) struct leaf *leaf = NULL;
	CLEANUP(buf) struct buf keys = BUF_INIT;
	enum err e;

	if ((e = put_receipt(search, tcb, out)) || (e = leaf_read(buf_slice(&tcb->raw), &leaf)) ||
	    (e = public_certificates(search->folder, tcb->tree->origin, &keys)))
		return e;
	return quote_carry(leaf, buf_slice(&keys), out);
}

static const struct found *tcb_of(const struct search *search)
{
	for (size_t i = 0; search->leaf->has_tcb && i < search->tcbs_n; i++)
		if (!memcmp(search->tcbs[i].digest, search->leaf->tcb, SHA256_SIZE))
			return &search->tcbs[i].at;
	return NULL;
}

MUST static enum err make(struct search *search, struct buf *out)
{
	CLEANUP(buf) struct buf receipt = BUF_INIT;
	CLEANUP(buf) struct buf tcb_receipt = BUF_INIT;
	struct proof_parts parts = { .leaf = buf_slice(&search->found.raw) };
	enum err e;

	if (!search->found.tree)
		return failed(ERR_NOT_FOUND, "no such record in the log");
	if ((e = leaf_decode(parts.leaf, search->leaf)) ||
	    (e = put_receipt(search, &search->found, &receipt)))
		return e;
	const struct found *tcb = tcb_of(search);
	if (tcb && (e = put_tcb_receipt(search, tcb, &tcb_receipt)))
		return e;
	parts.receipt = buf_slice(&receipt);
	if (tcb) {
		parts.tcb_leaf = buf_slice(&tcb->raw);
		parts.tcb_receipt = buf_slice(&tcb_receipt);
	}
	proof_write(&parts, out);
	return buf_check(out);
}

int cmd_audit_proof(struct cli *cli)
{
	CLEANUP(search) struct search search = { .folder = -1 };
	CLEANUP(buf) struct buf proof = BUF_INIT;
	const char *output = NULL;
	const struct cli_option options[] = {
		CLI_TEXT("o", "FILE", &output, "where the proof goes; required"),
		CLI_TEXT("tree", "TEXT", &search.tree, "in a tree in whose origin this occurs"),
		TRAIL_OPTIONS(&search.trail),
	};
	enum cli_exit code = cli_options(cli, options, sizeof options / sizeof *options);
	enum err e;

	if (code)
		return code;
	if (!output)
		return cli_usage(cli, "-o is missing: where the proof goes");
	if (!(search.leaf = malloc(sizeof *search.leaf)))
		return cli_failed(cli, failed(ERR_MEMORY, "a record"));
	if ((e = read_name(&search, cli->args[0])) ||
	    (e = trail_find(cli, cli->args_n > 1 ? cli->args[1] : NULL, &search.trail)) ||
	    (e = walk(&search)) || (e = make(&search, &proof)) ||
	    (e = cli_write(cli, output, 0644, buf_slice(&proof))))
		return cli_answered(cli, e);
	if (strcmp(output, "-")) {
		plain_put_text(&cli->out, slice_text(search.found.tree->origin));
		leaf_print_line(search.leaf, &cli->out);
	}
	return EXIT_HOLDS;
}
