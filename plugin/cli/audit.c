#include "plugin/cli/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/covered.h"
#include "config/base/io.h"
#include "plugin/cli/json.h"

void trail_cleanup(struct trail *trail)
{
	buf_free(&trail->ca_der);
}

MUST static enum err put_path(char path[4096], const char *folder, const char *name)
{
	int n = snprintf(path, 4096, "%s%s%s", folder, *name ? "/" : "", name);

	return n < 4096 ? OK : failed(ERR_RANGE, "%s: a path that is too long", folder);
}

enum err trail_find(struct cli *cli, const char *directory, struct trail *trail)
{
	CLEANUP(config) struct config *config = NULL;
	char ca[4096] = "";
	enum err e = OK;

	trail->copy |= trail->imported != NULL;
	if (directory && trail->imported)
		return failed(ERR_USAGE, "a directory or --imported: one of them expected");
	if (!trail->imported && !(directory && trail->ca) && (e = cli_config(cli, &config)))
		return e;
	const char *home = trail->imported ? trail->imported : config ? config->state : "";
	if ((e = directory ? put_path(trail->path, directory, "")
			   : put_path(trail->path, home, "log")) ||
	    (e = put_path(ca, home, "ca.pem")) ||
	    (trail->imported && (e = put_path(trail->remembered, home, TRAIL_CHECKPOINTS))))
		return e;
	if (access(trail->path, R_OK | X_OK))
		return failed(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %m", trail->path);
	return cli_certificate(trail->ca ? trail->ca : ca, &trail->ca_der);
}

static int by_origin(const void *one, const void *other)
{
	const struct published_checkpoint *a = one, *b = other;

	return strcmp(a->origin, b->origin);
}

enum err trail_open(const struct trail *trail, int *root, int *trees)
{
	*root = open(trail->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*root < 0)
		return failed(ERR_IO, "%s: %m", trail->path);
	return io_open_dir(*root, "trees", false, trees);
}

enum err trail_published(const struct trail *trail, struct published *out)
{
	CLEANUP(fd) int root = -1;
	CLEANUP(fd) int trees = -1;
	enum err e;

	if ((e = trail_open(trail, &root, &trees)) || (e = published_read(trees, out)) ||
	    (trail->copy && (e = covered_choose(root, trees, out))))
		return failed(e, "%s: %s", trail->path, err_reason());
	qsort(out->items, out->n, sizeof *out->items, by_origin);
	return OK;
}

enum err trail_signed(const struct trail *trail, const struct published *list)
{
	CLEANUP(fd) int root = -1;
	CLEANUP(fd) int trees = -1;
	enum err e = trail_open(trail, &root, &trees);

	for (size_t i = 0; !e && i < list->n; i++)
		if (list->items[i].note.len)
			e = published_verify(&list->items[i], trees, buf_slice(&trail->ca_der));
	return e;
}

enum cli_exit trail_refuse(struct cli *cli, const struct trail *trail, enum err e)
{
	buf_reset(&cli->out);
	if (e == ERR_NOT_FOUND || e == ERR_IO)
		e = failed(e, "%s: %s", trail->path, err_reason());
	if (e == ERR_IO || e == ERR_NOT_FOUND || e == ERR_MEMORY || e == ERR_USAGE)
		return cli_failed(cli, e);
	if (cli->json) {
		buf_put_text(&cli->out, "{\"holds\": false");
		json_put_field(&cli->out, "reason", slice_text(err_reason()), false);
		buf_put_text(&cli->out, "}\n");
	} else {
		buf_put_text(&cli->out, "The log does not hold: ");
		plain_put_text(&cli->out, slice_text(err_reason()));
		buf_put_text(&cli->out, "\n");
	}
	return EXIT_REFUSED;
}

/* ---- what was and was not checked ---- */

struct statement {
	enum { ALWAYS, AGAINST, ALONE, LIVE, COPY, BEHIND, WHOLE } when;
	const char *words;
};

static const struct statement checked[] = {
	{ ALWAYS, "every record: its encoding, and its place in its tree" },
	{ ALWAYS, "every tile: its hashes against the records, and against each other" },
	{ ALWAYS,
	  "every published checkpoint: that it is of these records, its signature, its key's "
	  "certificate, and that the appliance's CA issued it; and the same of its line of "
	  "Ed25519, where it has one" },
	{ WHOLE, "the write-ahead log: that it continues the tiles, and every signed head in it" },
	{ AGAINST, "every checkpoint given: that the log goes on from it" },
};

static const struct statement unchecked[] = {
	{ ALONE, "whether the log as a whole was put back to an earlier day: that shows only "
		 "against a checkpoint that somebody kept (--against)" },
	{ COPY, "the write-ahead log of this copy, and so whatever came after its checkpoints" },
	{ BEHIND,
	  "records of trees of this copy from there to their newest checkpoints, or to where "
	  "the next shard goes on, since their tiles or checkpoints are not in it: copy the log "
	  "once more to have them, and keep the checkpoints to compare with (--against)" },
	{ WHOLE, "records behind the last signed head (UNSIGNED): only the daemon's token can tell "
		 "whether the daemon wrote them" },
	{ WHOLE, "signed heads of segments that are gone: the last checkpoint stands for them" },
	{ LIVE, "what was written since: the log is live" },
	{ ALWAYS, "the appliance's clock: times are its own" },
	{ ALWAYS, "the CA's certificate itself: compare its fingerprint with the appliance's "
		  "operator" },
};

static const char *next(const struct statement *list, size_t n, const struct trail_facts *facts,
			size_t *at)
{
	const bool holds[] = { [ALWAYS] = true,
			       [AGAINST] = facts->against > 0,
			       [ALONE] = facts->against == 0,
			       [LIVE] = facts->live,
			       [COPY] = facts->copy,
			       [WHOLE] = !facts->copy,
			       [BEHIND] = facts->behind > 0 };

	while (*at < n) {
		const struct statement *s = &list[(*at)++];

		if (holds[s->when])
			return s->words;
	}
	return NULL;
}

const char *trail_checked(const struct trail_facts *facts, size_t *at)
{
	return next(checked, sizeof checked / sizeof *checked, facts, at);
}

const char *trail_unchecked(const struct trail_facts *facts, size_t *at)
{
	return next(unchecked, sizeof unchecked / sizeof *unchecked, facts, at);
}
