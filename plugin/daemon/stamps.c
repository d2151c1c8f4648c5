#include "plugin/daemon/stamps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "audit/receipt.h"
#include "audit/stamped.h"
#include "audit/timestamp.h"
#include "config/base/io.h"
#include "config/base/log.h"
#include "config/guard.h"
#include "plugin/daemon/post.h"
#include "plugin/daemon/record.h"

#define FIRST_MS 2000
#define ANSWER_MS 15000
#define CERTIFICATE_MAX_BYTES 65536
#define HTTP_OK 200

/* One tree, by its origin; the thread's. */
struct anchored {
	char origin[AUDIT_ORIGIN_MAX + 1];
	uint64_t done; /* so many records are stamped, or are about stamps only */
};

struct stamps {
	struct daemon *daemon;
	struct buf ca; /* DER */
	struct anchored *trees;
	size_t trees_n;
	char said[ERR_REASON_MAX]; /* the last failure, told once */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stopping; /* under lock */
};

/* What an earlier start had stamped is stamped. */
static enum err find(struct stamps *s, const char *origin, struct anchored **out)
{
	enum err e;

	for (size_t i = 0; i < s->trees_n; i++)
		if (!strcmp(s->trees[i].origin, origin)) {
			*out = &s->trees[i];
			return OK;
		}
	struct anchored *more = reallocarray(s->trees, s->trees_n + 1, sizeof *more);
	if (!more)
		return failed(ERR_MEMORY, "the list of trees");
	s->trees = more;
	*out = &more[s->trees_n];
	**out = (struct anchored){ .done = 0 };
	snprintf((*out)->origin, sizeof(*out)->origin, "%s", origin);
	if (!(e = audit_stamped_newest(s->daemon->audit, origin, &(*out)->done)))
		s->trees_n++;
	return e;
}

/* ---- one time stamp ---- */

static enum err ask(struct stamps *s, struct slice signature, struct buf *token)
{
	const struct config *config = s->daemon->config;
	CLEANUP(buf) struct buf request = BUF_INIT;
	CLEANUP(post_reply) struct post_reply reply = { 0 };
	enum err e = timestamp_request(signature, &request);

	if (e)
		return e;
	const struct post post = { .url = config->time_tsa,
				   .type = "application/timestamp-query",
				   .body = buf_slice(&request),
				   .ca = "",
				   .ms = ANSWER_MS,
				   .answer_max = TIMESTAMP_MAX };
	if ((e = post_run(config, s->daemon->self, &post, &reply)))
		return e;
	if (reply.status != HTTP_OK)
		return failed(ERR_DENIED, "the authority answers %d", reply.status);
	return timestamp_take(buf_slice(&reply.body), token);
}

/* The signature was there before the authority's time, and its time was taken before the answer: more
 * than a second beyond either is the clock's. */
static long long clock_is_off(int64_t head, int64_t stamped)
{
	int64_t now = (int64_t)(io_realtime_us() / 1000000);

	if (head > stamped + 1)
		return head - stamped;
	return now < stamped - 1 ? now - stamped : 0;
}

static enum err write_record(struct stamps *s, const struct receipt *head,
			     const struct timestamp *stamp, struct slice token)
{
	long long off = clock_is_off(head->time, stamp->time);
	char when[32] = "", apart[64] = "", hex[2 * SHA256_SIZE + 1];
	uint8_t digest[SHA256_SIZE];
	struct tm parts;

	if (gmtime_r(&stamp->time, &parts))
		strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &parts);
	sha256_once(token, digest);
	hex_put(hex, digest, sizeof digest);
	if (off) {
		snprintf(apart, sizeof apart, "; the system clock is %lld s %s", llabs(off),
			 off > 0 ? "ahead" : "behind");
		log_warning("time anchor%s of %s", apart, stamp->authority);
	}
	return record_write(s->daemon, NULL, NULL, LEAF_TIME, head->origin,
			    "%llu records were there before %s, says %s%s; token SHA-256 %s",
			    (unsigned long long)head->size, when, stamp->authority, apart, hex);
}

/* @receipt is one under the head, and of a tree by that name. */
static enum err stamp(struct stamps *s, struct slice receipt, const struct receipt *head,
		      const char *origin)
{
	CLEANUP(buf) struct buf token = BUF_INIT, stamped = BUF_INIT;
	struct timestamp says;
	enum err e;

	if ((e = ask(s, head->signature, &token)) ||
	    (e = timestamp_verify(buf_slice(&token), head->signature, buf_slice(&s->ca), &says)) ||
	    (e = receipt_stamp(receipt, buf_slice(&token), &stamped)) ||
	    (e = audit_stamped(s->daemon->audit, origin, head->size, buf_slice(&stamped))))
		return e;
	return write_record(s, head, &says, buf_slice(&token));
}

/* ---- a round ---- */

static bool stopping(struct stamps *s)
{
	pthread_mutex_lock(&s->lock);
	bool is = s->stopping;
	pthread_mutex_unlock(&s->lock);
	return is;
}

/* @own: the appliance's, which grows by the record of its own stamp too. That one alone is no reason
 * for another. */
static enum err stamp_grown(struct stamps *s, struct audit_tree *tree, bool own)
{
	CLEANUP(buf) struct buf receipt = BUF_INIT;
	char origin[AUDIT_ORIGIN_MAX + 1] = "";
	struct anchored *known;
	struct receipt head;
	enum err e;

	if (stopping(s))
		return OK;
	if ((e = audit_stampable(tree, &receipt)) || !receipt.len)
		return e;
	if ((e = receipt_read(buf_slice(&receipt), &head)))
		return e;
	memcpy(origin, head.origin.p, head.origin.left);
	if ((e = find(s, origin, &known)) || head.size <= known->done)
		return e;
	if ((e = stamp(s, buf_slice(&receipt), &head, origin)))
		return e;
	known->done = head.size;
	if (own && audit_tree_size(tree) == head.size + 1)
		known->done++;
	return OK;
}

static enum err stamp_partition(void *context, struct partition *partition)
{
	return partition->tree ? stamp_grown(context, partition->tree, false) : OK;
}

/* The appliance's tree last: it grew by the round's own records. */
static enum err round_once(struct stamps *s)
{
	enum err e = partitions_each(&s->daemon->partitions, stamp_partition, s);

	return e ? e : stamp_grown(s, s->daemon->tree, true);
}

static void tell(struct stamps *s, enum err e)
{
	if (e && strcmp(s->said, err_reason()))
		log_warning("no time anchor: %s", err_reason());
	snprintf(s->said, sizeof s->said, "%s", e ? err_reason() : "");
}

/* False when the thread shall end. */
static bool wait_for(struct stamps *s, uint64_t ms)
{
	struct timespec until = io_timespec(io_monotonic_ms() + ms);

	pthread_mutex_lock(&s->lock);
	while (!s->stopping && !pthread_cond_timedwait(&s->wake, &s->lock, &until))
		;
	bool go_on = !s->stopping;
	pthread_mutex_unlock(&s->lock);
	return go_on;
}

static void *run(void *argument)
{
	struct stamps *s = argument;
	uint64_t ms = FIRST_MS;

	for (; wait_for(s, ms); ms = s->daemon->config->time_tsa_seconds * 1000)
		tell(s, round_once(s));
	return NULL;
}

/* ---- start and end ---- */

static enum err read_authority(const struct config *config, struct buf *der)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	CLEANUP(fd) int fd = -1;
	enum err e;

	if (!*config->time_tsa_ca)
		return failed(ERR_USAGE,
			      "time.tsa_ca: a certificate expected, because of time.tsa");
	if ((e = guard_open(config->time_tsa_ca, &fd)) ||
	    (e = io_read_all(fd, CERTIFICATE_MAX_BYTES, &text)) ||
	    (e = certificate_from_file(buf_slice(&text), der)))
		return failed(e, "time.tsa_ca: %s", err_reason());
	return OK;
}

static void free_all(struct stamps *s)
{
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->lock);
	buf_free(&s->ca);
	free(s->trees);
	free(s);
}

enum err stamps_start(struct daemon *daemon, struct stamps **out)
{
	pthread_condattr_t monotonic;

	*out = NULL;
	if (!*daemon->config->time_tsa)
		return OK;
	struct stamps *s = calloc(1, sizeof *s);
	if (!s)
		return failed(ERR_MEMORY, "time anchors");
	s->daemon = daemon;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	enum err e = read_authority(daemon->config, &s->ca);
	int r = e ? 0 : pthread_create(&s->thread, NULL, run, s);
	if (r)
		e = failed(ERR_MEMORY, "time anchors: %s", strerror(r));
	if (e)
		free_all(s);
	else
		*out = s;
	return e;
}

void stamps_stop(struct stamps *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	free_all(s);
}
