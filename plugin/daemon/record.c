#include "plugin/daemon/record.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "config/base/io.h"
#include "config/base/log.h"
#include "plugin/daemon/clock.h"

/* More than a record has room for: leaf_encode() cuts it between characters. */
#define WORDS_MAX 480

bool record_development(const struct daemon *daemon, const struct record_caller *caller)
{
	return daemon->unprivileged || (caller && caller->uid == geteuid());
}

static void fill_time(struct leaf *leaf)
{
	struct clock_reading now;
	struct timespec up;

	clock_read(&now);
	leaf->time = now.time;
	leaf->time_source = now.source;
	leaf->time_error_us = now.error_us;
	if (!clock_gettime(CLOCK_BOOTTIME, &up)) {
		leaf->has_uptime = true;
		leaf->uptime = (uint64_t)up.tv_sec;
	}
}

static void fill_hsm(const struct daemon *daemon, struct leaf *leaf)
{
	const struct token_info *info = attest_token(daemon->attest);

	leaf->has_hsm = true;
	leaf->hsm = (struct leaf_hsm){ slice_text(info->manufacturer),
				       slice_text(info->model),
				       slice_text(info->serial),
				       slice_text(info->firmware),
				       info->flags,
				       { 0 } };
}

static void fill_caller(const struct record_caller *caller, struct leaf *leaf)
{
	leaf->has_caller = true;
	leaf->role = caller->role;
	leaf->has_roleproof = true;
	leaf->roleproof = caller->proof;
	leaf->has_frontend = caller->has_frontend;
	memcpy(leaf->frontend, caller->frontend, sizeof leaf->frontend);
}

enum err record_fill(struct daemon *daemon, const struct partition *partition,
		     const struct record_caller *caller, enum leaf_type type, struct leaf *leaf)
{
	bool development = record_development(daemon, caller);

	if (atomic_load(&daemon->closed) && type != LEAF_CLOSE)
		return failed(ERR_GONE, "the daemon has ended");
	memset(leaf, 0, sizeof *leaf);
	leaf->type = type;
	leaf->issuer = slice_text(partition ? partition->origin : attest_origin(daemon->attest));
	leaf->ueid = slice_of(attest_ueid(daemon->attest), STATE_UEID_SIZE);
	leaf->profile = slice_text(development ? LEAF_PROFILE_DEVELOPMENT : LEAF_PROFILE_ES256);
	leaf->dbgstat = development ? LEAF_DEBUG_ENABLED : LEAF_DEBUG_DISABLED;
	leaf->has_bootcount = true;
	leaf->bootcount = daemon->bootcount;
	if (daemon->has_bootseed)
		leaf->bootseed = SLICE(daemon->bootseed);
	if (partition) {
		leaf->partition_serial = slice_text(partition->serial);
		leaf->partition_label = slice_text(partition->label);
		leaf->has_policy = true;
		partition_rules_digest(partition, leaf->policy);
	}
	fill_time(leaf);
	fill_hsm(daemon, leaf);
	if (caller)
		fill_caller(caller, leaf);
	return io_random(leaf->cti, sizeof leaf->cti);
}

void record_fill_app(const struct app *app, uint64_t epoch, struct slice authorities,
		     struct leaf *leaf)
{
	leaf->subject = slice_text(app->id);
	leaf->swname = slice_text(app->label);
	leaf->swversion = slice_text(app->version);
	leaf->components[0].name = slice_text("image");
	leaf->components[0].authorities = authorities;
	memcpy(leaf->components[0].sha256, app->image, SHA256_SIZE);
	leaf->components[1].name = slice_text("profile");
	leaf->components[1].version = slice_text(app->purity);
	memcpy(leaf->components[1].sha256, app->profile, SHA256_SIZE);
	leaf->components_n = 2;
	leaf->has_epoch = true;
	leaf->epoch = epoch;
}

struct audit_tree *record_tree(struct daemon *daemon, const struct partition *partition)
{
	return partition ? partition->tree : daemon->tree;
}

enum err record_write(struct daemon *daemon, const struct partition *partition,
		      const struct record_caller *caller, enum leaf_type type, struct slice subject,
		      const char *format, ...)
{
	char words[WORDS_MAX];
	struct leaf leaf;
	va_list args;
	enum err e = record_fill(daemon, partition, caller, type, &leaf);

	if (e)
		return e;
	va_start(args, format);
	vsnprintf(words, sizeof words, format, args);
	va_end(args);
	leaf.subject = subject;
	leaf.reason = slice_text(words);
	return audit_record(record_tree(daemon, partition), &leaf);
}

enum err record_clock_behind(struct daemon *daemon, int64_t newest)
{
	struct clock_reading now;
	int64_t unused;

	(void)clock_was_set(&daemon->clock, &unused); /* looked at from here on */
	clock_read(&now);
	long long behind = newest - now.time;
	if (behind <= 1)
		return OK;
	log_error(
		"the system clock is %lld s behind the log's newest time: new records stay at the "
		"time of the one before, not synchronised, until it has caught up",
		behind);
	return record_write(daemon, NULL, NULL, LEAF_RECOVERY, slice_of(NULL, 0),
			    "the system clock was %lld s behind the log's newest time", behind);
}

void record_clock(struct daemon *daemon)
{
	int64_t by_us;

	if (!clock_was_set(&daemon->clock, &by_us))
		return;
	bool back = by_us < 0;
	double seconds = (double)(back ? -by_us : by_us) / 1e6;
	log_warning("the system clock was set %.3f s %s", seconds, back ? "back" : "forward");
	if (record_write(daemon, NULL, NULL, LEAF_CONFIGURATION, slice_of(NULL, 0),
			 "the system clock was set %.3f s %s", seconds, back ? "back" : "forward"))
		log_error("%s", err_reason());
}
