/* audit.h - what the commands `assay audit ...` share: which log is meant, whom it must be signed by,
 * and what is said of it once it was checked. One thread.
 */
#ifndef PLUGIN_CLI_AUDIT_H
#define PLUGIN_CLI_AUDIT_H

#include "audit/auditor.h"
#include "audit/public.h"
#include "audit/published.h"
#include "plugin/cli/cli.h"

/* A log on disk, and the CA to which everything in it must lead. */
struct trail {
	const char *ca;       /* --ca */
	const char *imported; /* --imported */
	bool copy;            /* --copy, or imported */
	struct buf ca_der;
	char path[4096];
	char remembered[4096]; /* the checkpoints that an import keeps; empty: none */
};

#define TRAIL_CA(trail)                      \
	CLI_TEXT("ca", "FILE", &(trail)->ca, \
		 "certificate of the appliance's CA; default: STATE/ca.pem")
#define TRAIL_LOG(directory) \
	CLI_TEXT("log", "DIR", directory, "a copy of a log, in place of the configured")
#define TRAIL_OPTIONS(trail)                                                              \
	TRAIL_CA(trail),                                                                  \
		CLI_TEXT("imported", "DIR", &(trail)->imported,                           \
			 "a log that `assay audit import` keeps in DIR, with the CA that" \
			 " it has there"),                                                \
		CLI_FLAG("copy", &(trail)->copy,                                          \
			 "a copy of a log that was live: to its last checkpoints")
#define TRAIL_OPTIONS_N 3

/* What an import has beside the log and ca.pem. */
#define TRAIL_CHECKPOINTS "checkpoints"

/* The log of the command line's @directory (NULL: none was given), else the imported one, else the
 * configured daemon's; its CA likewise. */
MUST enum err trail_find(struct cli *cli, const char *directory, struct trail *trail);
void trail_cleanup(struct trail *trail);
/* Opens the log's directory, and what it shows (public.h). */
MUST enum err trail_open(const struct trail *trail, int *root, int *trees);

/* The checkpoints that the log shows, or to which a copy can be checked (covered.h), by origin. Read them
 * before the log, which only grows. */
MUST enum err trail_published(const struct trail *trail, struct published *out);
/* Are they signed by their trees' keys, whose certificates the CA issued? ERR_CRYPTO. */
MUST enum err trail_signed(const struct trail *trail, const struct published *list);

struct against;
/* Checks the whole log, with a bar on a terminal, and tells @visit (NULL: nobody) every record.
 * ERR_MISMATCH and ERR_CRYPTO as of auditor_verify(). @against may be NULL. */
MUST enum err trail_walk(const struct trail *trail, struct against *against, auditor_visit *visit,
			 void *context, struct auditor_report *report);
/* After that: nothing is UNSIGNED, but in a log that is live; and the log goes on from all of
 * @against. */
MUST enum err trail_settled(const struct against *against, const struct auditor_report *report);

/* A line for each tree of a copy whose newest checkpoint could not be used. */
void trail_print_behind(const struct auditor_report *report, struct buf *out);
/* Says why the log does not hold, and gives the exit code. */
enum cli_exit trail_refuse(struct cli *cli, const struct trail *trail, enum err e);

/* What a check of a log looked at, and what it can't have looked at: sentences, one after the
 * other. @at starts at 0 and is moved on; NULL when there are no more. */
struct trail_facts {
	bool live;      /* the log was being written */
	size_t against; /* checkpoints that somebody kept, and that it is a continuation of */
	bool copy;      /* only to its checkpoints */
	size_t behind;  /* trees of a copy whose newest checkpoint could not be used */
};
const char *trail_checked(const struct trail_facts *facts, size_t *at);
const char *trail_unchecked(const struct trail_facts *facts, size_t *at);

#endif
