/* Requests about policies: POLICY_SET, POLICY. */
#include <stdio.h>
#include <string.h>

#include "config/base/log.h"
#include "plugin/daemon/request.h"

#define DIGEST_HEX (2 * SHA256_SIZE + 1)

/* The record of a change is under the policy that it brings. */
static enum err record_change(struct call *call, const struct rules *rules)
{
	char before[SHA256_SIZE], hex[DIGEST_HEX], words[160];
	struct partition *p = call->partition;
	struct leaf leaf;
	enum err e = record_fill(call->daemon, p, &call->caller, LEAF_CONFIGURATION, &leaf);

	if (e)
		return e;
	memcpy(before, leaf.policy, sizeof before);
	memcpy(leaf.policy, rules->digest, sizeof leaf.policy);
	hex_put(hex, before, sizeof before);
	snprintf(words, sizeof words, "policy %llu set by user %u; before: SHA-256 %s",
		 (unsigned long long)rules->number, call->caller.uid, hex);
	leaf.reason = slice_text(words);
	return audit_record(p->tree, &leaf);
}

static enum err record_no_change(struct call *call, enum err e)
{
	char reason[ERR_REASON_MAX];

	snprintf(reason, sizeof reason, "%s", err_reason());
	if (record_write(call->daemon, call->partition, &call->caller, LEAF_CONFIGURATION,
			 slice_of(NULL, 0), "policy not set after all: %s", reason))
		log_error("a change that failed is recorded as done: %s", err_reason());
	return failed(e, "%s", reason);
}

/* One record for each digest that is on the one list and not on the other. */
static enum err record_listed(struct call *call, const struct config_list *in,
			      const struct config_list *out, const char *what, const char *words)
{
	for (size_t i = 0; i < in->n; i++) {
		uint8_t digest[SHA256_SIZE];
		enum err e = hex_take(in->items[i], digest, sizeof digest);

		if (!e && !policy_lists(out, digest))
			e = record_write(call->daemon, call->partition, &call->caller,
					 LEAF_MANAGEMENT, slice_of(NULL, 0), "%s %s %s", what,
					 in->items[i], words);
		if (e)
			return e;
	}
	return OK;
}

static enum err record_revoked(struct call *call, const struct rules *in, const struct rules *out,
			       const char *words)
{
	enum err e = record_listed(call, &in->says->revoked, &out->says->revoked,
				   "the package of measurement", words);

	return e ? e
		 : record_listed(call, &in->says->packages_revoked_signers,
				 &out->says->packages_revoked_signers, "the signer", words);
}

/* Record and change can't be one step. The record comes first, so nothing runs under a policy that
 * the log does not know; a crash between the two leaves the old one, and no answer. */
static enum err set_managing(struct call *call, struct slice text, struct slice auditor)
{
	CLEANUP(rules) struct rules *old = partition_rules(call->partition), *new = NULL;
	struct registry *registry = &call->partition->registry;
	enum err e;

	if ((e = rules_new(text, auditor, old->number + 1, (int64_t)(io_realtime_us() / 1000000),
			   &new)) ||
	    (e = record_change(call, new)))
		return e;
	registry_check(registry, new->says);
	if ((e = partition_set_rules(&call->daemon->partitions, call->partition, new)))
		return record_no_change(call, e);
	if ((e = registry_raise(registry)) || (e = record_revoked(call, new, old, "is revoked")) ||
	    (e = record_revoked(call, old, new, "is revoked no longer")))
		return e;
	log_info("partition %s: policy %llu", call->partition->serial,
		 (unsigned long long)new->number);
	cbor_put_bytes(&call->results.bytes, SLICE(new->digest));
	cbor_put_uint(&call->results.bytes, registry_epoch(registry));
	call->results_n = 2;
	return OK;
}

enum err request_POLICY_SET(struct call *call)
{
	struct slice text, auditor;
	enum err e;

	if ((e = call_arguments(call, 3)) || (e = call_partition(call, true)) ||
	    (e = cbor_take_bytes(&call->in, PARTITION_POLICY_MAX, &text)) ||
	    (e = cbor_take_bytes(&call->in, CERTIFICATE_MAX, &auditor)) || (e = call_end(call)))
		return e;
	call->caller.role = LEAF_ROLE_ADMIN;
	pthread_mutex_lock(&call->daemon->managing);
	e = set_managing(call, text, auditor);
	pthread_mutex_unlock(&call->daemon->managing);
	return e == ERR_FORMAT || e == ERR_RANGE || e == ERR_CRYPTO
		       ? call_refuse(call, e, slice_of(NULL, 0))
		       : e;
}

enum err request_POLICY(struct call *call)
{
	enum err e;

	if ((e = call_arguments(call, 1)) || (e = call_partition(call, false)) ||
	    (e = call_end(call)))
		return e;
	CLEANUP(rules) struct rules *rules = partition_rules(call->partition);
	cbor_put_bytes(&call->results.bytes, buf_slice(&rules->text));
	cbor_put_bytes(&call->results.bytes, buf_slice(&rules->auditor));
	cbor_put_bytes(&call->results.bytes, SLICE(rules->digest));
	cbor_put_uint(&call->results.bytes, rules->number);
	call->results_n = 4;
	return OK;
}
