#include "plugin/cli/audit.h"
#include "plugin/cli/audit_against.h"
#include "plugin/cli/json.h"
#include "plugin/cli/progress.h"

struct walk {
	struct against *against;
	auditor_visit *visit;
	void *context;
};

static enum err on_record(void *context, const char *origin, uint64_t index, struct slice raw,
			  const struct leaf *leaf)
{
	struct walk *walk = context;

	if (walk->against)
		against_record(walk->against, origin, index, raw);
	return walk->visit ? walk->visit(walk->context, origin, index, raw, leaf) : OK;
}

static void on_progress(void *context, uint64_t done, uint64_t all)
{
	progress_show(context, done, all);
}

enum err trail_walk(const struct trail *trail, struct against *against, auditor_visit *visit,
		    void *context, struct auditor_report *report)
{
	struct walk walk = { against, visit, context };
	struct progress progress;
	/* Without anybody to tell, all processors take part. */
	const struct auditor_options options = {
		.path = trail->path,
		.ca = buf_slice(&trail->ca_der),
		.visit = visit || (against && against->n) ? on_record : NULL,
		.context = &walk,
		.progress = on_progress,
		.progress_context = &progress,
		.copy = trail->copy,
	};

	progress_start(&progress, "records");
	enum err e = auditor_run(&options, report);
	progress_end(&progress);
	return e;
}

void trail_print_behind(const struct auditor_report *report, struct buf *out)
{
	for (size_t i = 0; i < report->trees_n; i++) {
		const struct auditor_tree *t = &report->trees[i];

		if (!t->newest)
			continue;
		plain_put_text(out, slice_text(t->origin));
		buf_printf(out,
			   ": it had %llu records, and this copy lacks tiles or the checkpoint of "
			   "them; an earlier checkpoint, of %llu, stands for it\n",
			   (unsigned long long)t->newest, (unsigned long long)t->checkpoint);
	}
}

enum err trail_settled(const struct against *against, const struct auditor_report *report)
{
	enum err e = auditor_settled(report);

	return e || !against ? e : against_check(against);
}
