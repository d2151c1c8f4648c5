#include <stdlib.h>
#include <string.h>

#include "audit/leaf_text.h"
#include "audit/proof.h"
#include "plugin/cli/report.h"

enum err report_start(struct report *report)
{
	report->apps = calloc(REPORT_APPS_MAX, sizeof *report->apps);
	report->acts = calloc(REPORT_ACTS_MAX, sizeof *report->acts);
	report->reasons = calloc(REPORT_REASONS_MAX, sizeof *report->reasons);
	return report->apps && report->acts && report->reasons ? OK
							       : failed(ERR_MEMORY, "the report");
}

void report_cleanup(struct report *report)
{
	free(report->samples);
	free(report->apps);
	free(report->acts);
	free(report->reasons);
	auditor_report_free(&report->audited);
	published_free(&report->checkpoints);
}

static int64_t time_of(const struct leaf *leaf)
{
	return leaf->time < REPORT_TIME_MAX ? leaf->time : REPORT_TIME_MAX;
}

static void copy(char *to, size_t n, struct slice from)
{
	snprintf(to, n, "%.*s", (int)(from.left < n ? from.left : n - 1), (const char *)from.p);
}
#define COPY(to, from) copy(to, sizeof(to), from)

MUST static enum err add_sample(struct report *report, const struct leaf *leaf,
				enum sample_kind kind)
{
	uint64_t us = leaf->has_times && leaf->end_us > leaf->start_us
			      ? leaf->end_us - leaf->start_us
			      : 0;

	if (report->samples_n == report->samples_room) {
		size_t room = report->samples_room ? 2 * report->samples_room : 1024;
		struct sample *more = reallocarray(report->samples, room, sizeof *more);

		if (!more)
			return failed(ERR_MEMORY, "the report's figures");
		report->samples = more;
		report->samples_room = room;
	}
	report->samples[report->samples_n++] =
		(struct sample){ .time = time_of(leaf),
				 .us = us > UINT32_MAX ? UINT32_MAX : (uint32_t)us,
				 .kind = (uint8_t)kind };
	return OK;
}

static const struct leaf_component *image_of(const struct leaf *leaf)
{
	for (size_t i = 0; i < leaf->components_n; i++)
		if (slice_is(leaf->components[i].name, "image"))
			return &leaf->components[i];
	return NULL;
}

static void describe_app(const struct leaf *leaf, struct report_app *app)
{
	const struct leaf_component *image = image_of(leaf);

	memset(app, 0, sizeof *app);
	COPY(app->partition,
	     leaf->partition_label.left ? leaf->partition_label : leaf->partition_serial);
	COPY(app->id, leaf->subject);
	COPY(app->label, leaf->swname);
	COPY(app->version, leaf->swversion);
	app->measured = proof_measurement(leaf, app->measurement) == OK;
	if (image)
		memcpy(app->image, image->sha256, sizeof app->image);
	app->first = app->last = leaf->time;
}

static bool same_app(const struct report_app *a, const struct report_app *b)
{
	return !strcmp(a->id, b->id) && !strcmp(a->partition, b->partition) &&
	       !strcmp(a->version, b->version) && !strcmp(a->label, b->label) &&
	       !memcmp(a->measurement, b->measurement, sizeof a->measurement) &&
	       !memcmp(a->image, b->image, sizeof a->image);
}

static struct report_app *find_app(struct report *report, const struct leaf *leaf)
{
	struct report_app app;

	describe_app(leaf, &app);
	for (size_t i = report->apps_n; i-- > 0;)
		if (same_app(&report->apps[i], &app))
			return &report->apps[i];
	if (report->apps_n == REPORT_APPS_MAX) {
		report->apps_full = true;
		return NULL;
	}
	report->apps[report->apps_n] = app;
	return &report->apps[report->apps_n++];
}

MUST static enum err add_execution(struct report *report, const struct leaf *leaf)
{
	bool good = leaf->has_status && leaf->status_kind == LEAF_ENDED_EXIT && !leaf->status_code;
	struct report_app *app = find_app(report, leaf);

	report->failed += !good;
	if (leaf->has_status)
		report->outcomes[leaf->status_kind]++;
	if (app) {
		app->runs++;
		app->failed += !good;
		app->first = leaf->time < app->first ? leaf->time : app->first;
		app->last = leaf->time > app->last ? leaf->time : app->last;
	}
	return add_sample(report, leaf, good ? SAMPLE_OK : SAMPLE_FAILED);
}

static void add_act(struct report *report, const char *origin, const struct leaf *leaf)
{
	struct report_act *act = &report->acts[report->acts_n % REPORT_ACTS_MAX];

	memset(act, 0, sizeof *act);
	act->order = report->acts_n++;
	act->time = leaf->time;
	act->type = leaf->type;
	COPY(act->origin, slice_text(origin));
	COPY(act->role, slice_text(leaf->has_caller ? leaf_role_name(leaf->role) : ""));
	COPY(act->subject, leaf->subject);
	COPY(act->words, leaf->reason);
	if (leaf->type == LEAF_TCB)
		snprintf(act->words, sizeof act->words, "the platform's %zu parts, as measured",
			 leaf->components_n);
}

MUST static enum err add_refusal(struct report *report, const struct leaf *leaf)
{
	struct report_reason *r = NULL;
	char words[sizeof r->words];

	COPY(words, leaf->reason);
	for (size_t i = 0; !r && i < report->reasons_n; i++)
		if (!strcmp(report->reasons[i].words, words))
			r = &report->reasons[i];
	if (!r && report->reasons_n < REPORT_REASONS_MAX) {
		r = &report->reasons[report->reasons_n++];
		COPY(r->words, leaf->reason);
	}
	if (r) {
		r->count++;
		r->last = leaf->time > r->last ? leaf->time : r->last;
	} else {
		report->reasons_full = true;
	}
	return add_sample(report, leaf, SAMPLE_REFUSED);
}

enum err report_add(struct report *report, const char *origin, const struct leaf *leaf)
{
	int64_t time = time_of(leaf);

	if (!report->records++)
		report->first = report->last = time;
	report->first = time < report->first ? time : report->first;
	report->last = time > report->last ? time : report->last;
	report->types[leaf->type]++;
	report->development += leaf->dbgstat == LEAF_DEBUG_ENABLED;
	switch (leaf->type) {
	case LEAF_EXECUTION:
		return add_execution(report, leaf);
	case LEAF_REFUSAL:
		return add_refusal(report, leaf);
	case LEAF_AUTHORIZATION: /* logins: counted */
		return OK;
	default:
		add_act(report, origin, leaf);
		return OK;
	}
}

static int samples_by_time(const void *one, const void *other)
{
	const struct sample *a = one, *b = other;

	return a->time < b->time ? -1 : a->time > b->time;
}

static int acts_by_time(const void *one, const void *other)
{
	const struct report_act *a = one, *b = other;

	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

static int apps_by_name(const void *one, const void *other)
{
	const struct report_app *a = one, *b = other;
	int order = strcmp(a->partition, b->partition);

	if (!order)
		order = strcmp(a->id, b->id);
	return order ? order : a->first < b->first ? -1 : a->first > b->first;
}

static int reasons_by_count(const void *one, const void *other)
{
	const struct report_reason *a = one, *b = other;

	return a->count != b->count ? (a->count > b->count ? -1 : 1) : strcmp(a->words, b->words);
}

void report_settle(struct report *report)
{
	size_t acts = report->acts_n < REPORT_ACTS_MAX ? report->acts_n : REPORT_ACTS_MAX;

	if (report->samples_n)
		qsort(report->samples, report->samples_n, sizeof *report->samples, samples_by_time);
	qsort(report->apps, report->apps_n, sizeof *report->apps, apps_by_name);
	qsort(report->acts, acts, sizeof *report->acts, acts_by_time);
	qsort(report->reasons, report->reasons_n, sizeof *report->reasons, reasons_by_count);
	if (report->filter.given[FILTER_FROM])
		report->first = report->filter.from;
	if (report->filter.given[FILTER_TO])
		report->last = report->filter.to - 1;
}

static int by_span(const void *one, const void *other)
{
	const uint32_t *a = one, *b = other;

	return *a < *b ? -1 : *a > *b;
}

uint64_t report_percentile(const struct sample *samples, size_t n, unsigned p)
{
	uint32_t *spans = calloc(n ? n : 1, sizeof *spans);
	size_t runs = 0;
	uint64_t found = 0;

	if (!spans)
		return 0;
	for (size_t i = 0; i < n; i++)
		if (samples[i].kind != SAMPLE_REFUSED)
			spans[runs++] = samples[i].us;
	if (runs) {
		qsort(spans, runs, sizeof *spans, by_span);
		found = spans[(runs * p + 99) / 100 - 1];
	}
	free(spans);
	return found;
}
