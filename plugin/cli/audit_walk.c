#include "plugin/cli/audit.h"
#include "plugin/cli/audit_against.h"
#include "plugin/cli/progress.h"

struct walk {
	struct against *against;
	struct progress progress;
	auditor_visit *visit;
	void *context;
	uint64_t records, expected;
};

/* About so many records are there: what the checkpoints say, which are a second behind at most. */
static uint64_t expect(const struct trail *trail)
{
	CLEANUP(public_list) struct public_list list = { 0 };
	struct note note;
	uint64_t n = 0;

	if (trail_published(trail, &list))
		return 0;
	for (size_t i = 0; i < list.n; i++)
		if (!note_read(buf_slice(&list.items[i].note), &note))
			n += note.size;
	return n;
}

static enum err on_record(void *context, const char *origin, uint64_t index, struct slice raw,
			  const struct leaf *leaf)
{
	struct walk *walk = context;

	if (walk->against)
		against_record(walk->against, origin, index, raw);
	progress_show(&walk->progress, ++walk->records, walk->expected);
	return walk->visit ? walk->visit(walk->context, origin, index, raw, leaf) : OK;
}

enum err trail_walk(const struct trail *trail, struct against *against, auditor_visit *visit,
		    void *context, struct auditor_report *report)
{
	struct walk walk = { .against = against, .visit = visit, .context = context };

	progress_start(&walk.progress, "records");
	if (walk.progress.on)
		walk.expected = expect(trail);
	enum err e =
		auditor_verify(trail->path, buf_slice(&trail->ca_der), on_record, &walk, report);
	progress_end(&walk.progress);
	return e;
}

enum err trail_settled(const struct trail *trail, const struct against *against,
		       const struct auditor_report *report)
{
	enum err e = trail->imported ? OK : auditor_settled(report);

	return e || !against ? e : against_check(against);
}
