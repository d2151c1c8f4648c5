/* banks.h - for tests of the whole daemon over the wire: two banks, an application of the first, and
 * what the log has of refusals.
 */
#ifndef TESTBED_UNIT_BANKS_H
#define TESTBED_UNIT_BANKS_H

#include "audit/auditor.h"
#include "testbed/unit/world.h"

static inline void banks_setup(void)
{
	world_make();
	ck_assert_ok(world_enrol(BANK_A));
	ck_assert_ok(world_enrol(BANK_B));
	ck_assert_ok(world_load(BANK_A, "unruly"));
}

/* A second client of the same user. */
static inline struct link *another_link(void)
{
	struct link *link;

	ck_assert_ok(link_open(world.config, world.self, false, slice_of(NULL, 0), &link));
	return link;
}

struct banks_sought {
	const char *origin, *words;
	size_t n;
};

static inline enum err banks_look(void *context, const char *origin, uint64_t index,
				  struct slice raw, const struct leaf *leaf)
{
	struct banks_sought *found = context;
	(void)index;
	(void)raw;

	if ((leaf->type == LEAF_REFUSAL || leaf->type == LEAF_AUTHORIZATION) &&
	    !strcmp(origin, found->origin) &&
	    memmem(leaf->reason.p, leaf->reason.left, found->words, strlen(found->words)))
		found->n++;
	return OK;
}

/* How many refusals with these words stand in a partition's tree. */
static inline size_t refusals(unsigned bank, const char *words)
{
	struct banks_sought found = { world.banks[bank].origin, words, 0 };
	struct auditor_report report;
	char path[256];

	snprintf(path, sizeof path, "%s/state/log", world.dir);
	ck_assert_ok(auditor_verify(path, buf_slice(&world.ca), banks_look, &found, &report));
	auditor_report_free(&report);
	return found.n;
}

static inline enum err run(struct link *link, unsigned bank, const char *id)
{
	CLEANUP(outcome) struct outcome out = { 0 };
	enum err e = world_execute(link, bank, id, OP_RUN, slice_text("echo\n"), &out);

	if (e)
		ck_assert_str_eq(out.label, "");
	return e;
}

#endif
