/* report.h - what `assay audit report` says of a log: gathered in one walk over its records, then
 * written as one page of HTML that needs nothing else. One thread.
 */
#ifndef PLUGIN_CLI_REPORT_H
#define PLUGIN_CLI_REPORT_H

#include "audit/published.h"
#include "plugin/cli/audit.h"
#include "plugin/cli/audit_filter.h"

#define REPORT_APPS_MAX 500
#define REPORT_ACTS_MAX 1000
#define REPORT_REASONS_MAX 100

/* The end of the year 9999: later times count as this one. */
#define REPORT_TIME_MAX ((int64_t)253402300799)

/* What is drawn over time. */
enum sample_kind { SAMPLE_OK, SAMPLE_FAILED, SAMPLE_REFUSED };
struct sample {
	int64_t time;
	uint32_t us; /* a run's; the longest is 71 minutes */
	uint8_t kind;
};

struct report_app {
	char partition[65], id[257], label[129], version[129];
	bool measured;
	uint8_t measurement[SHA256_SIZE], image[SHA256_SIZE];
	uint64_t runs, failed;
	int64_t first, last;
};

/* A change to keys, policy, applications, or the daemon itself. */
struct report_act {
	int64_t time;
	uint64_t order; /* as the log has them */
	enum leaf_type type;
	char origin[AUDITOR_ORIGIN], role[16], subject[257], words[257];
};

struct report_reason {
	char words[257];
	uint64_t count;
	int64_t last;
};

struct report {
	struct filter filter;

	struct sample *samples;
	size_t samples_n, samples_room;
	struct report_app *apps;
	struct report_act *acts; /* the latest; in a ring */
	struct report_reason *reasons;
	size_t apps_n, reasons_n;
	uint64_t acts_n;              /* all of them, REPORT_ACTS_MAX are kept */
	bool apps_full, reasons_full; /* there were more */
	uint64_t records, types[LEAF_TCB + 1], outcomes[LEAF_OUTCOMES_N];
	uint64_t failed, development;
	int64_t first, last; /* of the records that passed */

	/* Of the log as a whole. */
	bool holds;
	char reason[512]; /* why it does not */
	struct auditor_report audited;
	struct trail_facts facts;
	struct published checkpoints;
	uint8_t ca_sha256[SHA256_SIZE];
	int64_t made;
};

MUST enum err report_start(struct report *report);
MUST enum err report_add(struct report *report, const char *origin, const struct leaf *leaf);
/* Sorts what was gathered, once all of it is there. */
void report_settle(struct report *report);
/* Appends the page. */
void report_put_page(const struct report *report, struct buf *out);
void report_cleanup(struct report *report);

/* The @p-th percentile (nearest rank; 1 to 100) of the runs among these samples, in microseconds; 0: no runs. */
uint64_t report_percentile(const struct sample *samples, size_t n, unsigned p);

/* Appends the tables: applications, changes, refusals, ends, types, trees with their checkpoints. */
void report_put_tables(const struct report *report, struct buf *out);
/* Appends the plots: executions, refusals, latencies over time. */
void report_put_plots(const struct report *report, struct buf *out);

#endif
