#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/certificate.h"
#include "audit/covered.h"
#include "config/base/dir.h"
#include "config/base/io.h"
#include "plugin/cli/audit.h"
#include "plugin/cli/audit_against.h"
#include "plugin/cli/audit_copy.h"

#define INCOMING "incoming"

struct import {
	const char *from, *to;
	int folder;         /* of @to, locked */
	bool first;         /* nothing was imported there before */
	struct trail trail; /* the new copy */
	struct against against;
	struct published published; /* of the new copy */
	struct auditor_report report;
	char (*carried)
		[AUDITOR_ORIGIN]; /* shards that the new copy lacks, and the one before has */
	size_t carried_n;
};

static void import_cleanup(struct import *import)
{
	fd_cleanup(&import->folder);
	trail_cleanup(&import->trail);
	against_cleanup(&import->against);
	published_free(&import->published);
	auditor_report_free(&import->report);
	free(import->carried);
}

MUST static enum err check_empty(const struct import *import)
{
	CLEANUP(dir) DIR *list = dir_list(import->folder);
	bool empty = true;

	if (!list)
		return failed(ERR_IO, "%s: %m", import->to);
	for (const char *name; empty && (name = dir_next(list));)
		empty = name[0] == '.' || !strcmp(name, INCOMING);
	return empty ? OK
		     : failed(ERR_STATE, "%s: an empty directory expected, or one with an import",
			      import->to);
}

/* A folder of our own: a new one, an empty one, or one with an import in it. */
MUST static enum err open_folder(struct import *import)
{
	enum err e = io_open_dir(AT_FDCWD, import->to, true, &import->folder);

	if (e)
		return e;
	if (flock(import->folder, LOCK_EX | LOCK_NB))
		return failed(ERR_STATE, "%s: another import is under way", import->to);
	import->first = faccessat(import->folder, TRAIL_CHECKPOINTS, F_OK, 0) && errno == ENOENT;
	return import->first ? check_empty(import) : OK;
}

/* The CA of the first import stays the CA. */
MUST static enum err read_ca(struct import *import)
{
	CLEANUP(buf) struct buf known = BUF_INIT;
	char path[4096 + 16];
	enum err e;

	if (import->trail.ca && (e = cli_certificate(import->trail.ca, &import->trail.ca_der)))
		return e;
	if (import->first)
		return import->trail.ca ? OK : failed(ERR_USAGE, "--ca is missing");
	snprintf(path, sizeof path, "%s/ca.pem", import->to);
	if ((e = cli_certificate(path, &known)))
		return e;
	if (!import->trail.ca)
		buf_put_slice(&import->trail.ca_der, buf_slice(&known));
	else if (!slice_equal(buf_slice(&known), buf_slice(&import->trail.ca_der)))
		return failed(ERR_MISMATCH, "%s holds a log of another appliance", import->to);
	return buf_check(&import->trail.ca_der);
}

MUST static enum err read_memory(struct import *import)
{
	char path[4096 + 16];

	if (import->first)
		return OK;
	snprintf(path, sizeof path, "%s/" TRAIL_CHECKPOINTS, import->to);
	return against_read(&import->against, path);
}

static const struct published_checkpoint *published_of(const struct import *import,
						       const char *origin)
{
	for (size_t i = 0; i < import->published.n; i++)
		if (!strcmp(import->published.items[i].origin, origin) &&
		    import->published.items[i].note.len)
			return &import->published.items[i];
	return NULL;
}

/* A copy that was made later has later checkpoints: an earlier one would have us forget. */
MUST static enum err check_newer(const struct import *import)
{
	struct note note;
	bool any = false;

	for (size_t i = 0; i < import->published.n; i++)
		any |= import->published.items[i].note.len > 0;
	if (!any)
		return failed(ERR_FORMAT, "%s: no checkpoint is published in it yet", import->from);
	for (size_t i = 0; i < import->against.n; i++) {
		const struct against_head *head = &import->against.heads[i];
		const struct published_checkpoint *found = published_of(import, head->origin);
		enum err e = found ? note_read(buf_slice(&found->note), &note) : OK;

		if (e)
			return e;
		if (!found || note.size < head->size)
			return failed(ERR_MISMATCH,
				      "%s is behind what was imported before: its checkpoint of %s "
				      "has %llu records, and %llu are known",
				      import->from, head->origin,
				      found ? (unsigned long long)note.size : 0ULL,
				      (unsigned long long)head->size);
	}
	return OK;
}

/* ---- shards that were pruned since ---- */

MUST static enum err carry_one(struct import *import, int trees, const char *origin)
{
	char name[PUBLIC_NAME], from[4096 + 64];
	enum err e;

	public_name(origin, name);
	snprintf(from, sizeof from, "%s/log/trees/%s", import->to, name);
	if (!faccessat(trees, name, F_OK, 0) || access(from, F_OK))
		return OK; /* the new copy has it, or it came twice; or neither has it */
	void *more = reallocarray(import->carried, import->carried_n + 1, sizeof *import->carried);
	if (!more)
		return failed(ERR_MEMORY, "the list of shards");
	import->carried = more;
	if ((e = copy_log(from, trees, name)))
		return e;
	snprintf(import->carried[import->carried_n++], AUDITOR_ORIGIN, "%s", origin);
	return OK;
}

/* What the copy before has, and the new one has not, goes into it. */
MUST static enum err carry_over(struct import *import)
{
	CLEANUP(fd) int trees = -1;
	enum err e;

	if (import->first)
		return OK;
	if ((e = io_open_dir(import->folder, INCOMING "/trees", false, &trees)))
		return e;
	if (fchmod(trees, 0700))
		return failed(ERR_IO, "%s: %m", import->to);
	for (size_t i = 0; !e && i < import->against.n; i++)
		e = carry_one(import, trees, import->against.heads[i].origin);
	return e || !fchmod(trees, 0555) ? e : failed(ERR_IO, "%s: %m", import->to);
}

/* That the new copy goes on from it is all that tells a pruning from a removal. */
MUST static enum err check_carried(const struct import *import)
{
	for (size_t i = 0; i < import->carried_n; i++) {
		bool linked = false;

		for (size_t j = 0; j < import->report.trees_n; j++)
			linked |= import->report.trees[j].linked &&
				  !strcmp(import->report.trees[j].origin, import->carried[i]);
		if (!linked)
			return failed(ERR_MISMATCH,
				      "%s is not in %s, which does not go on from what was "
				      "imported of it: it was removed, or pruned before it was "
				      "imported to its end; then put its export into the copy",
				      import->carried[i], import->from);
	}
	return OK;
}

/* A log that is written has all tiles of its newest checkpoints, and then so has a copy of our own; a tree
 * may have gone on in its next shard meanwhile. */
MUST static enum err check_live(const struct import *import)
{
	CLEANUP(fd) int from = open(import->from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool live = false;
	enum err e = from < 0 ? OK : covered_live(from, &live);

	if (e || !live || import->report.behind == import->report.turned)
		return e;
	return failed(ERR_MISMATCH,
		      "%s is a log that is being written, and tiles of its newest checkpoints are "
		      "missing: they were taken away, or went while they were copied; import again",
		      import->from);
}

/* It is the copy that is checked: nobody changes that. */
MUST static enum err check(struct import *import)
{
	struct trail *trail = &import->trail;
	enum err e;

	if (snprintf(trail->path, sizeof trail->path, "%s/" INCOMING, import->to) >=
	    (int)sizeof trail->path)
		return failed(ERR_RANGE, "%s: a path that is too long", import->to);
	trail->copy = true;
	if ((e = trail_published(trail, &import->published)) || (e = check_newer(import)) ||
	    (e = trail_walk(trail, &import->against, NULL, NULL, &import->report)) ||
	    (e = trail_settled(&import->against, &import->report)) || (e = check_carried(import)))
		return e;
	return check_live(import);
}

MUST static enum err remember(struct import *import)
{
	CLEANUP(buf) struct buf notes = BUF_INIT;
	enum err e;

	for (size_t i = 0; i < import->published.n; i++) {
		buf_put_text(&notes, notes.len && import->published.items[i].note.len ? "\n" : "");
		buf_put_slice(&notes, buf_slice(&import->published.items[i].note));
	}
	if ((e = buf_check(&notes)))
		return e;
	return io_replace_file(import->folder, TRAIL_CHECKPOINTS, 0444, buf_slice(&notes));
}

/* In the place of the copy that was there, which is removed later. */
MUST static enum err swap(struct import *import)
{
	bool there = !faccessat(import->folder, "log", F_OK, 0);

	if (renameat2(import->folder, INCOMING, import->folder, "log", there ? RENAME_EXCHANGE : 0))
		return failed(ERR_IO, "%s/log: %m", import->to);
	return io_sync_dir(import->folder);
}

/* Memory that is behind its log is harmless, the other way round is an alarm: it comes last, but for
 * the first time, when it says whose folder this is. */
MUST static enum err put_in_place(struct import *import)
{
	CLEANUP(buf) struct buf pem = BUF_INIT;
	enum err e;

	if (!import->first)
		return (e = swap(import)) ? e : remember(import);
	certificate_put_pem(buf_slice(&import->trail.ca_der), &pem);
	if ((e = buf_check(&pem)) ||
	    (e = io_replace_file(import->folder, "ca.pem", 0444, buf_slice(&pem))) ||
	    (e = remember(import)))
		return e;
	return swap(import);
}

static void print(const struct import *import, struct buf *out)
{
	trail_print_behind(&import->report, out);
	buf_printf(out,
		   "The log holds, to its last checkpoints, and is in %s: %llu records in %zu "
		   "trees%s.\n%s"
		   "Read it with: assay audit show|verify|report --imported %s\n",
		   import->to, (unsigned long long)import->report.records, import->report.trees_n,
		   import->first ? "" : "; it goes on from what was there",
		   import->carried_n ? "Shards that were pruned since the last import are kept.\n"
				     : "",
		   import->to);
}

int cmd_audit_import(struct cli *cli)
{
	CLEANUP(import) struct import import = { .folder = -1 };
	char incoming[4096 + 16];
	const struct cli_option options[] = {
		CLI_TEXT("ca", "FILE", &import.trail.ca,
			 "certificate of the appliance's CA; needed the first time"),
	};
	enum cli_exit code = cli_options(cli, options, sizeof options / sizeof *options);
	enum err e;

	if (code)
		return code;
	import.from = cli->args[0];
	import.to = cli->args[1];
	snprintf(incoming, sizeof incoming, "%s/" INCOMING, import.to);
	if ((e = open_folder(&import)) || (e = read_ca(&import)) || (e = read_memory(&import)) ||
	    (e = copy_remove(incoming)))
		return cli_failed(cli, e);
	if ((e = copy_log(import.from, import.folder, INCOMING)))
		code = cli_failed(cli, e);
	else if ((e = carry_over(&import)))
		code = cli_failed(cli, e);
	else if ((e = check(&import)) || (e = put_in_place(&import)))
		code = trail_refuse(cli, &import.trail, e);
	else
		print(&import, &cli->out);
	/* What was refused, or what was there before. */
	if ((e = copy_remove(incoming)))
		return cli_failed(cli, e);
	return code;
}
