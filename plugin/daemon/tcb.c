#include "plugin/daemon/tcb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/base/io.h"
#include "config/base/log.h"
#include "plugin/daemon/accepted.h"
#include "plugin/daemon/platform.h"
#include "plugin/daemon/quoting.h"
#include "plugin/daemon/record.h"

#define RENEW_MS 1000

void tcb_init(struct tcb *tcb)
{
	pthread_condattr_t monotonic;

	*tcb = (struct tcb){ 0 };
	pthread_mutex_init(&tcb->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&tcb->stop, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

struct tcb_record *tcb_hold(struct tcb *tcb)
{
	pthread_mutex_lock(&tcb->lock);
	struct tcb_record *record = tcb->current;
	if (record)
		atomic_fetch_add(&record->refs, 1);
	pthread_mutex_unlock(&tcb->lock);
	return record;
}

void tcb_record_release(struct tcb_record *record)
{
	if (!record || atomic_fetch_sub(&record->refs, 1) != 1)
		return;
	buf_free(&record->leaf);
	buf_free(&record->receipt);
	free(record);
}

void tcb_record_cleanup(struct tcb_record **record)
{
	tcb_record_release(STEAL(*record));
}

/* What the TPM says of the boot, where one is configured: the registers become parts like others, and
 * the quote is for this record alone. */
static enum err add_quote(struct daemon *daemon, struct slice certificate, struct leaf *leaf,
			  struct platform *platform, struct buf *quote)
{
	uint8_t challenge[SHA256_SIZE], registers[QUOTE_REGISTERS][SHA256_SIZE];
	struct slice origin = slice_text(attest_origin(daemon->attest));
	struct quote_parts parts;
	enum err e;

	if (!*daemon->config->tpm_tcti)
		return OK;
	if ((e = quote_challenge(leaf->cti, origin, certificate, challenge)) ||
	    (e = quoting_ask(daemon->config, daemon->self, challenge, quote, registers)) ||
	    (e = quote_read(buf_slice(quote), &parts)) ||
	    (e = platform_add(platform, QUOTE_KEY, "", parts.public)))
		return e;
	for (unsigned i = 0; i < QUOTE_REGISTERS; i++) {
		char name[16];

		snprintf(name, sizeof name, QUOTE_REGISTER, i);
		if ((e = platform_add_digest(platform, name, "", registers[i])))
			return e;
	}
	leaf->hsm.tpm = buf_slice(quote);
	return OK;
}

/* One that does not hold would spoil every proof that brings the record along. */
static enum err check_quote(struct daemon *daemon, struct slice certificate, struct leaf *leaf)
{
	if (!leaf->hsm.tpm.left)
		return OK;
	leaf->origin = slice_text(attest_origin(daemon->attest));
	return quote_verify(leaf, certificate);
}

static enum err write_record(struct daemon *daemon, struct platform *platform,
			     struct tcb_record *record)
{
	CLEANUP(audit_ticket) struct audit_ticket *ticket = NULL;
	CLEANUP(buf) struct buf quote = BUF_INIT;
	struct audit_key key;
	struct leaf leaf;
	enum err e = record_fill(daemon, NULL, NULL, LEAF_TCB, &leaf);

	attest_appliance_key(daemon->attest, &key);
	if (e || (e = add_quote(daemon, key.certificate, &leaf, platform, &quote)))
		return e;
	memcpy(leaf.components, platform->list, platform->n * sizeof *platform->list);
	leaf.components_n = platform->n;
	if ((e = check_quote(daemon, key.certificate, &leaf)) ||
	    (e = audit_begin(daemon->tree, &leaf, &ticket)) ||
	    (e = audit_finish(ticket, &record->receipt)) ||
	    /* The key may have been rolled over while the TPM was asked. */
	    (e = quote_carry(&leaf, key.certificate, &record->receipt)) ||
	    (e = leaf_components_digest(&leaf, record->digest)))
		return e;
	buf_put_slice(&record->leaf, audit_ticket_leaf(ticket));
	return buf_check(&record->leaf);
}

/* Nothing runs on a platform that is in force and was not compared yet. */
static void put_in_force(struct daemon *daemon, struct tcb_record *record, uint64_t mapped)
{
	static const char why[] = "the platform has changed and is being compared";
	struct tcb *tcb = &daemon->tcb;

	pthread_mutex_lock(&tcb->lock);
	if (!daemon->unprivileged && !tcb->held[0] && tcb->current &&
	    memcmp(tcb->current->digest, record->digest, SHA256_SIZE) != 0)
		memcpy(tcb->held, why, sizeof why);
	struct tcb_record *old = tcb->current;
	tcb->current = record;
	tcb->mapped = mapped;
	tcb->measured_ms = io_monotonic_ms();
	pthread_mutex_unlock(&tcb->lock);
	tcb_record_release(old);
}

/* Written before the token hears of it: after a crash a list that is ahead of the token is right. */
static enum err write_accepted(struct daemon *daemon, const struct leaf_component *parts, size_t n)
{
	struct accepted_mark mark;
	enum err e;

	anchor_accepted(&daemon->anchor, &mark);
	mark.number++;
	if ((e = accepted_write(daemon->state, parts, n, &mark)))
		return e;
	anchor_accept(&daemon->anchor, &mark);
	return OK;
}

/* What the token remembers of the log tells the first start from one whose list was removed; and what was
 * accepted since, when that happens before the first end. */
static enum err accept_first(struct daemon *daemon, const struct platform *platform,
			     const struct accepted_mark *newest)
{
	char hex[2 * SHA256_SIZE + 1];
	enum err e;

	if (daemon->anchor.heads_n || newest->number)
		return failed(ERR_MISMATCH, "the list of accepted programs is missing");
	hex_put(hex, daemon->tcb.current->digest, SHA256_SIZE);
	if ((e = record_write(daemon, NULL, NULL, LEAF_CONFIGURATION, slice_of(NULL, 0),
			      "platform accepted at the first start: %s", hex)))
		return e;
	return write_accepted(daemon, platform->list, platform->n);
}

/* Development evidence says that nothing of this is promised. */
static enum err check_accepted(struct daemon *daemon, const struct platform *platform)
{
	CLEANUP(accepted) struct accepted list = { 0 };
	struct accepted_mark newest;
	enum err e;

	if (daemon->unprivileged)
		return OK;
	anchor_accepted(&daemon->anchor, &newest); /* before: one may be accepted meanwhile */
	e = accepted_read(daemon->state, &list);
	if (e == ERR_NOT_FOUND)
		return accept_first(daemon, platform, &newest);
	if (e || (e = accepted_check_mark(&list.mark, &newest)))
		return e;
	anchor_accept(&daemon->anchor, &list.mark);
	return accepted_check(&list, platform->list, platform->n);
}

static void platform_cleanup(struct platform **platform)
{
	free(*platform);
}

static enum err renew(struct daemon *daemon, bool *measured)
{
	CLEANUP(platform) struct platform *platform = NULL;
	CLEANUP(tcb_record) struct tcb_record *record = NULL;
	uint64_t mapped;
	enum err e;

	if (!(record = calloc(1, sizeof *record)) || !(platform = calloc(1, sizeof *platform)))
		return failed(ERR_MEMORY, "TCB record");
	record->refs = 1;
	if ((e = platform_fingerprint(&mapped)) || (e = platform_measure(daemon, platform)) ||
	    (e = write_record(daemon, platform, record)))
		return failed(e, "the platform can't be measured: %s", err_reason());
	put_in_force(daemon, STEAL(record), mapped);
	*measured = true;
	if ((e = check_accepted(daemon, platform)))
		return failed(e, "the platform is not the one that was accepted: %s", err_reason());
	return OK;
}

/* A quote is of the moment when it was made. */
static bool is_measured(const struct config *config, struct tcb *tcb)
{
	uint64_t mapped, now_ms = io_monotonic_ms();
	enum err e = platform_fingerprint(&mapped);

	pthread_mutex_lock(&tcb->lock);
	bool same = !e && tcb->current && tcb->mapped == mapped;
	if (*config->tpm_tcti && now_ms - tcb->measured_ms >= config->tpm_quote_seconds * 1000)
		same = false;
	pthread_mutex_unlock(&tcb->lock);
	return same;
}

static void hold(struct tcb *tcb, enum err e, bool measured)
{
	char why[ERR_REASON_MAX];

	snprintf(why, sizeof why, "%s", e ? err_reason() : "");
	pthread_mutex_lock(&tcb->lock);
	bool news = e && strcmp(tcb->held, why) != 0;
	memcpy(tcb->held, why, sizeof tcb->held);
	tcb->unaccepted = e && measured;
	pthread_mutex_unlock(&tcb->lock);
	if (news)
		log_error("nothing is run: %s", why);
}

enum err tcb_renew(struct daemon *daemon)
{
	if (is_measured(daemon->config, &daemon->tcb))
		return OK;
	bool measured = false;
	enum err e = renew(daemon, &measured);
	hold(&daemon->tcb, e, measured);
	return e == ERR_MISMATCH && daemon->tcb.current ? OK : e;
}

/* Measuring waits for the log and for the TPM, and so has a thread of its own. */
static void *keep_measured(void *argument)
{
	struct daemon *daemon = argument;
	struct tcb *tcb = &daemon->tcb;

	pthread_mutex_lock(&tcb->lock);
	while (!tcb->stopping) {
		struct timespec until = io_timespec(io_monotonic_ms() + RENEW_MS);

		pthread_cond_timedwait(&tcb->stop, &tcb->lock, &until);
		if (tcb->stopping)
			break;
		pthread_mutex_unlock(&tcb->lock);
		(void)!tcb_renew(daemon); /* keeps in mind that it failed */
		pthread_mutex_lock(&tcb->lock);
	}
	pthread_mutex_unlock(&tcb->lock);
	return NULL;
}

enum err tcb_start(struct daemon *daemon)
{
	int r = pthread_create(&daemon->tcb.thread, NULL, keep_measured, daemon);

	daemon->tcb.started = r == 0;
	return r ? failed(ERR_MEMORY, "a thread: %s", strerror(r)) : OK;
}

void tcb_stop(struct tcb *tcb)
{
	if (!tcb->started)
		return;
	pthread_mutex_lock(&tcb->lock);
	tcb->stopping = true;
	pthread_cond_signal(&tcb->stop);
	pthread_mutex_unlock(&tcb->lock);
	pthread_join(tcb->thread, NULL);
	tcb->started = false;
}

void tcb_outdate(struct tcb *tcb)
{
	pthread_mutex_lock(&tcb->lock);
	tcb->mapped++;
	pthread_mutex_unlock(&tcb->lock);
}

enum err tcb_ready(struct tcb *tcb)
{
	pthread_mutex_lock(&tcb->lock);
	enum err e = tcb->held[0] ? failed(ERR_STATE, "%s", tcb->held) : OK;
	pthread_mutex_unlock(&tcb->lock);
	return e;
}

/* The record comes first: an acceptance that nobody can read of must not hold. The token's word comes
 * last: nothing runs by a list that could be taken back. */
static enum err accept_leaf(struct daemon *daemon, const struct record_caller *caller,
			    const struct leaf *leaf, const uint8_t digest[SHA256_SIZE])
{
	char hex[2 * SHA256_SIZE + 1];
	enum err e;

	hex_put(hex, digest, SHA256_SIZE);
	if ((e = record_write(daemon, NULL, caller, LEAF_CONFIGURATION, slice_of(NULL, 0),
			      "platform accepted by user %u: %s", caller->uid, hex)))
		return e;
	return write_accepted(daemon, leaf->components, leaf->components_n);
}

enum err tcb_accept(struct daemon *daemon, const struct record_caller *caller,
		    const uint8_t digest[SHA256_SIZE])
{
	CLEANUP(tcb_record) struct tcb_record *record = tcb_hold(&daemon->tcb);
	CLEANUP(leaf) struct leaf *leaf = NULL;
	enum err e;

	if (memcmp(record->digest, digest, SHA256_SIZE))
		return failed(ERR_MISMATCH, "another platform is in force: see assay tcb show");
	if ((e = leaf_read(buf_slice(&record->leaf), &leaf)) ||
	    (e = accept_leaf(daemon, caller, leaf, digest)) || (e = daemon_anchor(daemon, 0)))
		return e;
	pthread_mutex_lock(&daemon->tcb.lock);
	/* What can't be measured is held for another reason, which stays. */
	if (daemon->tcb.current == record && daemon->tcb.unaccepted)
		daemon->tcb.held[0] = 0;
	pthread_mutex_unlock(&daemon->tcb.lock);
	return OK;
}
