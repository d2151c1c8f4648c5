/* How it ran: for whom, under which policy, when, how it ended, and who vouches for that. */
#include "audit/appraise_inner.h"
#include "audit/leaf_text.h"
#include "audit/vouch.h"

#define TIME_SYNCHRONISED 1
#define SKEW_SECONDS 300 /* how far a proof may seem to lie in the future */

enum err rule_caller_roles(struct appraiser *a)
{
	return appraise_one_of(
		a, &a->policy->caller_roles,
		slice_text(a->leaf->has_caller ? leaf_role_name(a->leaf->role) : "none"));
}

enum err rule_caller_proofs(struct appraiser *a)
{
	bool has = a->leaf->has_roleproof;

	return appraise_one_of(a, &a->policy->caller_proofs,
			       slice_text(has ? leaf_roleproof_name(a->leaf->roleproof) : "none"));
}

enum err rule_policies(struct appraiser *a)
{
	return appraise_digest_of(a, &a->policy->policies, a->leaf->has_policy, a->leaf->policy);
}

enum err rule_least_epoch(struct appraiser *a)
{
	uint64_t least = a->policy->least_epoch;

	if (!least)
		return OK;
	return appraise_judge(a, a->leaf->has_epoch && a->leaf->epoch >= least, "%llu, least %llu",
			      (unsigned long long)a->leaf->epoch, (unsigned long long)least);
}

enum err rule_fresh_nonce(struct appraiser *a)
{
	if (!a->policy->fresh_nonce)
		return OK;
	return appraise_judge(a, a->evidence->nonce, "%s",
			      a->evidence->nonce ? "the verifier's" : "none was given to compare");
}

enum err rule_fresh_age_seconds(struct appraiser *a)
{
	uint64_t most = a->policy->fresh_age_seconds;
	int64_t age;

	if (!most)
		return OK;
	if (__builtin_sub_overflow(a->evidence->now, a->leaf->time, &age))
		return appraise_judge(a, false, "the proof's time is out of any range");
	return appraise_judge(a, age >= -SKEW_SECONDS && (age < 0 || (uint64_t)age <= most),
			      "%lld seconds old, at most %llu", (long long)age,
			      (unsigned long long)most);
}

enum err rule_time_source(struct appraiser *a)
{
	bool met = a->leaf->has_times && a->leaf->time_source == TIME_SYNCHRONISED;

	if (!a->policy->time_source)
		return OK;
	return appraise_judge(a, met, "%s", met ? "synchronised, it says" : "not synchronised");
}

enum err rule_time_error_ms(struct appraiser *a)
{
	uint64_t most = a->policy->time_error_ms;

	if (!most)
		return OK;
	/* A clock that nothing holds has no error to speak of: it says 0. */
	if (!a->leaf->has_times || a->leaf->time_source != TIME_SYNCHRONISED)
		return appraise_judge(a, false, "not synchronised, so it may be off by anything");
	return appraise_judge(a, a->leaf->time_error_us <= most * 1000, "%llu us, at most %llu ms",
			      (unsigned long long)a->leaf->time_error_us, (unsigned long long)most);
}

static enum err read_witnesses(const struct config_list *lines, struct trust **out)
{
	CLEANUP(buf) struct buf text = BUF_INIT;

	for (size_t i = 0; i < lines->n; i++)
		buf_printf(&text, "%s\n", lines->items[i]);
	enum err e = buf_check(&text);
	if (e || !(e = trust_read(buf_slice(&text), "witnesses", true, out)))
		return e;
	return e == ERR_MEMORY ? e : failed(ERR_USAGE, "the policy's %s", err_reason());
}

enum err rule_witnesses(struct appraiser *a)
{
	CLEANUP(trust) struct trust *trust = NULL;
	const struct appraise_evidence *evidence = a->evidence;
	struct trust_count count = { 0 };
	enum err e;

	if (!a->policy->witnesses.n)
		return OK;
	if ((e = read_witnesses(&a->policy->witnesses, &trust)))
		return e;
	if (!evidence->checkpoint.left)
		return appraise_judge(a, false, "no checkpoint came with the proof");
	if (vouch_check(trust, evidence->checkpoint, evidence->proof, &count))
		return appraise_judge(a, false, "%s", err_reason());
	return appraise_judge(a, true, "%zu cosigned a checkpoint that goes on from this tree",
			      count.n);
}

enum err rule_failures(struct appraiser *a)
{
	bool failed_run = a->leaf->status_kind != LEAF_ENDED_EXIT || a->leaf->status_code;

	if (a->policy->failures || a->leaf->type != LEAF_EXECUTION)
		return OK;
	if (!a->leaf->has_status)
		return appraise_judge(a, false, "the proof does not say how it ended");
	return appraise_judge(a, !failed_run, "%s %llu", leaf_status_words(a->leaf->status_kind),
			      (unsigned long long)a->leaf->status_code);
}
