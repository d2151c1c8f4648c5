#include "plugin/cli/audit_export.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/shard.h"
#include "config/base/io.h"
#include "plugin/cli/audit_copy.h"

#define INCOMING "incoming"

/* ---- checking ---- */

struct last {
	const char *origin;
	char next[SHARD_ORIGIN_MAX + 1];
	uint64_t closed_at; /* index of the record that closes it, and names the next shard */
	bool closed;
};

static enum err on_record(void *context, const char *origin, uint64_t index, struct slice raw,
			  const struct leaf *leaf)
{
	struct last *last = context;

	(void)raw;
	if (strcmp(origin, last->origin) != 0)
		return OK;
	last->closed = leaf->type == LEAF_CLOSE && slice_is(leaf->shard_origin, last->next);
	last->closed_at = index;
	return OK;
}

MUST static enum err take_head(const struct auditor_report *report, const struct last *last,
			       struct audit_head *out)
{
	for (size_t i = 0; i < report->trees_n; i++) {
		const struct auditor_tree *tree = &report->trees[i];

		if (strcmp(tree->origin, last->origin) != 0)
			continue;
		if (!last->closed || last->closed_at + 1 != tree->size)
			return failed(ERR_STATE,
				      "%s is not closed, or not to its end in its folder yet",
				      last->origin);
		snprintf(out->origin, sizeof out->origin, "%s", last->origin);
		out->size = tree->size;
		memcpy(out->root, tree->root, SHA256_SIZE);
		return OK;
	}
	return failed(ERR_NOT_FOUND, "there is no %s", last->origin);
}

enum err export_check(const char *directory, const char *origin, struct slice ca,
		      struct audit_head *out)
{
	struct trail trail = { .copy = true };
	struct auditor_report report = { 0 };
	struct last last = { .origin = origin };
	enum err e;

	if (snprintf(trail.path, sizeof trail.path, "%s", directory) >= (int)sizeof trail.path)
		return failed(ERR_RANGE, "%s: a path that is too long", directory);
	buf_put_slice(&trail.ca_der, ca);
	if (!(e = buf_check(&trail.ca_der)) && !(e = shard_next(origin, last.next)) &&
	    !(e = trail_walk(&trail, NULL, on_record, &last, &report)))
		e = take_head(&report, &last, out);
	auditor_report_free(&report);
	trail_cleanup(&trail);
	return e;
}

/* ---- copying ---- */

struct shard_export {
	const char *origin, *to;
	char name[PUBLIC_NAME]; /* of its folder */
	char staged[4096];      /* TO/incoming */
	int folder, trees;      /* TO, TO/trees */
	struct trail trail;     /* the log */
	struct audit_head head;
};

static void shard_export_cleanup(struct shard_export *export)
{
	fd_cleanup(&export->folder);
	fd_cleanup(&export->trees);
	trail_cleanup(&export->trail);
}

MUST static enum err open_place(struct shard_export *export)
{
	enum err e;

	public_name(export->origin, export->name);
	if (snprintf(export->staged, sizeof export->staged, "%s/" INCOMING, export->to) >=
	    (int)sizeof export->staged)
		return failed(ERR_RANGE, "%s: a path that is too long", export->to);
	if ((e = io_open_dir(AT_FDCWD, export->to, true, &export->folder)) ||
	    (e = io_open_dir(export->folder, "trees", true, &export->trees)))
		return e;
	if (!faccessat(export->trees, export->name, F_OK, 0))
		return failed(ERR_EXISTS, "%s: it was exported there before", export->to);
	return copy_remove(export->staged);
}

MUST static enum err copy(const struct shard_export *export)
{
	CLEANUP(fd) int incoming = -1;
	CLEANUP(fd) int trees = -1;
	char from[4096 + 64];
	enum err e;

	snprintf(from, sizeof from, "%s/trees/%s", export->trail.path, export->name);
	if ((e = io_open_dir(export->folder, INCOMING, true, &incoming)) ||
	    (e = io_open_dir(incoming, "trees", true, &trees)))
		return e;
	return copy_log(from, trees, export->name);
}

/* A folder that changes its place must be writable for a moment; its files are not. */
MUST static enum err put_in_place(const struct shard_export *export)
{
	CLEANUP(buf) struct buf pem = BUF_INIT;
	char from[64];
	enum err e;

	snprintf(from, sizeof from, INCOMING "/trees/%s", export->name);
	certificate_put_pem(buf_slice(&export->trail.ca_der), &pem);
	if ((e = buf_check(&pem)) ||
	    (e = io_replace_file(export->folder, "ca.pem", 0444, buf_slice(&pem))))
		return e;
	if (fchmodat(export->folder, from, 0700, 0) ||
	    renameat(export->folder, from, export->trees, export->name) ||
	    fchmodat(export->trees, export->name, 0555, 0))
		return failed(ERR_IO, "%s/trees/%s: %m", export->to, export->name);
	if ((e = io_sync_dir(export->trees)) || (e = io_sync_dir(export->folder)))
		return e;
	return copy_remove(export->staged);
}

int cmd_audit_export(struct cli *cli)
{
	CLEANUP(shard_export) struct shard_export export = { .folder = -1, .trees = -1 };
	const struct cli_option options[] = {
		TRAIL_CA(&export.trail),
	};
	enum cli_exit code = cli_options(cli, options, sizeof options / sizeof *options);
	enum err e;

	if (code)
		return code;
	export.origin = cli->args[0];
	export.to = cli->args[1];
	if ((e = trail_find(cli, NULL, &export.trail)) || (e = open_place(&export)) ||
	    (e = copy(&export)))
		return cli_failed(cli, e);
	if ((e = export_check(export.staged, export.origin, buf_slice(&export.trail.ca_der),
			      &export.head)) ||
	    (e = put_in_place(&export))) {
		code = e == ERR_STATE ? cli_failed(cli, e) : trail_refuse(cli, &export.trail, e);
		return (e = copy_remove(export.staged)) ? cli_failed(cli, e) : code;
	}
	buf_printf(&cli->out, "%s, with %llu records and root ", export.origin,
		   (unsigned long long)export.head.size);
	buf_put_hex(&cli->out, SLICE(export.head.root));
	buf_printf(&cli->out,
		   ", is in %s, and holds. Check it there with: assay audit verify %s --copy --ca "
		   "%s/ca.pem\n",
		   export.to, export.to, export.to);
	return EXIT_HOLDS;
}
