#include "plugin/daemon/daemon.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "config/base/io.h"
#include "config/base/log.h"
#include "plugin/daemon/answering.h"
#include "plugin/daemon/record.h"
#include "plugin/daemon/rolling.h"
#include "plugin/daemon/shards.h"
#include "plugin/daemon/stamps.h"
#include "plugin/daemon/witnesses.h"

#define HEADS_MS 200

/* The machine's boot, as its random id: claim 268. Absent where the kernel does not say. */
static void read_bootseed(struct daemon *daemon)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	char hex[33];
	size_t n = 0;

	if (io_read_file("/proc/sys/kernel/random/boot_id", 64, &text))
		return;
	for (size_t i = 0; i < text.len && n < 32; i++)
		if (text.data[i] != '-')
			hex[n++] = (char)text.data[i];
	hex[n] = 0;
	daemon->has_bootseed = n == 32 && !hex_take(hex, daemon->bootseed, 16);
}

static enum err attach_sandbox(struct daemon *daemon, int launcher)
{
	enum err e;

	daemon->launcher = fcntl(launcher, F_DUPFD_CLOEXEC, 3);
	if (daemon->launcher < 0)
		return failed(ERR_IO, "the launcher's socket: %m");
	if ((e = sandbox_attach(launcher, &daemon->box)))
		return e;
	daemon->unprivileged =
		daemon->config->mode == MODE_DEVELOPMENT || !sandbox_facts(daemon->box)->privileged;
	return OK;
}

/* A record for each of the first few trees, and one for all others. */
static enum err record_ranges(struct daemon *daemon, const struct audit_recovery *found)
{
	enum err e = OK;

	for (size_t i = 0; !e && i < found->ranges_n && i < AUDIT_RANGES_MAX; i++)
		e = record_write(daemon, NULL, NULL, LEAF_RECOVERY, slice_of(NULL, 0),
				 "kept unsigned: records %llu to %llu of %s",
				 (unsigned long long)found->ranges[i].first,
				 (unsigned long long)found->ranges[i].last,
				 found->ranges[i].origin);
	if (!e && found->ranges_n > AUDIT_RANGES_MAX)
		e = record_write(daemon, NULL, NULL, LEAF_RECOVERY, slice_of(NULL, 0),
				 "kept unsigned: records of %zu more trees",
				 found->ranges_n - AUDIT_RANGES_MAX);
	return e;
}

static enum err record_recovery(struct daemon *daemon, const struct audit_recovery *found)
{
	char hex[2 * SHA256_SIZE + 1];

	if (!found->found || (!found->cut_bytes && !found->unsigned_kept))
		return OK;
	hex_put(hex, found->cut_sha256, SHA256_SIZE);
	log_warning("log recovered: %llu records, %llu of them unsigned; %llu bytes cut",
		    (unsigned long long)found->records, (unsigned long long)found->unsigned_kept,
		    (unsigned long long)found->cut_bytes);
	enum err e = record_write(
		daemon, NULL, NULL, LEAF_RECOVERY, slice_of(NULL, 0),
		"%llu records kept, %llu of them unsigned; %llu bytes cut, SHA-256 %s",
		(unsigned long long)found->records, (unsigned long long)found->unsigned_kept,
		(unsigned long long)found->cut_bytes, found->cut_bytes ? hex : "none");
	return e ? e : record_ranges(daemon, found);
}

static enum err open_appliance_tree(struct daemon *daemon)
{
	struct audit_key key;
	struct leaf genesis;
	enum err e = record_fill(daemon, NULL, NULL, LEAF_OPEN, &genesis);

	if (e)
		return e;
	genesis.reason = slice_text("appliance initialised");
	attest_appliance_key(daemon->attest, &key);
	if ((e = audit_tree(daemon->audit, attest_origin(daemon->attest), &key, &genesis,
			    &daemon->tree)))
		return e;
	return shards_resume(daemon, NULL, daemon->tree);
}

static enum err open_log(struct daemon *daemon)
{
	struct audit_recovery recovery;
	char path[4096];
	struct audit_options options = { .path = path,
					 .signer = attest_signer(daemon->attest),
					 .segment_bytes = daemon->config->audit_segment_bytes,
					 .signers = (unsigned)daemon->config->audit_signers,
					 .issuer = attest_origin(daemon->attest),
					 .anchored = daemon->anchor.heads,
					 .anchored_n = daemon->anchor.heads_n };
	enum err e;

	if (snprintf(path, sizeof path, "%s/%s", state_path(daemon->state), STATE_LOG) >=
	    (int)sizeof path)
		return failed(ERR_RANGE, "the state directory's path is too long");
	if ((e = audit_open(&options, &recovery, &daemon->audit)))
		return e;
	int64_t newest = audit_newest(daemon->audit);
	if ((e = state_raise_bootcount(daemon->state, &daemon->bootcount)) ||
	    (e = open_appliance_tree(daemon)) ||
	    (e = record_write(daemon, NULL, NULL, LEAF_OPEN, slice_of(NULL, 0),
			      "daemon started, boot count %llu",
			      (unsigned long long)daemon->bootcount)) ||
	    (e = record_clock_behind(daemon, newest)))
		return e;
	return record_recovery(daemon, &recovery);
}

static enum err open_partition_tree(void *context, struct partition *p)
{
	struct daemon *daemon = context;
	struct audit_key key;
	enum err e = attest_partition_key(daemon->attest, slice_text(p->serial), p->generation,
					  buf_slice(&p->certificate), &key);

	/* Its tree was made before its enrolment was written: one that is missing was removed. */
	if (e || (e = audit_tree(daemon->audit, p->origin, &key, NULL, &p->tree)))
		return e;
	return shards_resume(daemon, p, p->tree);
}

/* A crash soon after an enrolment took another's place leaves records of the earlier generation
 * unsigned, whose tree nothing else opens. */
static enum err sign_superseded(void *context, struct partition *p)
{
	struct daemon *daemon = context;

	for (uint64_t g = 1; g < p->generation; g++) {
		CLEANUP(buf) struct buf certificate = BUF_INIT;
		char origin[AUDIT_ORIGIN_MAX];
		struct audit_tree *tree;
		struct audit_key key;
		enum err e =
			attest_partition_origin(daemon->attest, slice_text(p->serial), g, origin);

		if (e)
			return e;
		if ((e = audit_unsigned(daemon->audit, origin, &certificate)) == ERR_NOT_FOUND)
			continue;
		if (e ||
		    (e = attest_partition_key(daemon->attest, slice_text(p->serial), g,
					      buf_slice(&certificate), &key)) ||
		    (e = audit_tree(daemon->audit, origin, &key, NULL, &tree)))
			return e;
	}
	return OK;
}

/* Left by a crash between a package and its index, or by an enrolment that took another's place. */
static enum err sweep_package(void *context, const char *name)
{
	struct daemon *daemon = context;
	uint8_t sha256[SHA256_SIZE];

	if (!hex_take(name, sha256, sizeof sha256))
		partitions_drop_unused(&daemon->partitions, sha256);
	return OK;
}

static enum err open_partitions(struct daemon *daemon)
{
	const struct config *config = daemon->config;
	enum err e;

	partitions_init(&daemon->partitions, daemon->state, config->results_quota_bytes,
			config->results_ttl_seconds * 1000);
	daemon->partitions.packages = config->packages_quota_bytes;
	if ((e = partitions_load(&daemon->partitions)) ||
	    (e = anchor_check(&daemon->anchor, &daemon->partitions)) ||
	    (e = partitions_each(&daemon->partitions, open_partition_tree, daemon)) ||
	    (e = partitions_each(&daemon->partitions, sign_superseded, daemon)))
		return e;
	return state_each(daemon->state, STATE_PACKAGES, sweep_package, daemon);
}

enum err daemon_anchor(struct daemon *daemon, uint64_t every_ms)
{
	return anchor_renew(&daemon->anchor, daemon->audit, &daemon->partitions, io_monotonic_ms(),
			    every_ms);
}

static enum err open_parts(struct daemon *daemon, int launcher)
{
	const struct config *config = daemon->config;
	enum err e;

	if ((e = io_random(daemon->boot_id, sizeof daemon->boot_id)) ||
	    (e = attach_sandbox(daemon, launcher)) ||
	    (e = state_open(config->state, false, &daemon->state)) ||
	    (e = attest_open(config, &daemon->attest)) ||
	    (e = attest_load(daemon->attest, daemon->state)) ||
	    (e = anchor_open(&daemon->anchor, daemon->attest)))
		return e;
	read_bootseed(daemon);
	seals_init(&daemon->seals, daemon->state, daemon->attest);
	answers_init(&daemon->answers, daemon->state, &daemon->seals, config->requests_ttl_seconds,
		     config->requests_quota_bytes);
	if ((e = open_log(daemon)) || (e = rolling_note_renewal(daemon)) ||
	    (e = tcb_renew(daemon)) || (e = open_partitions(daemon)) ||
	    (e = answering_settle(daemon)))
		return e;
	daemon->anchored = true;
	if ((e = daemon_anchor(daemon, 0)) || (e = tcb_start(daemon)) ||
	    (e = witnesses_start(daemon, &daemon->witnesses)))
		return e;
	return stamps_start(daemon, &daemon->stamps);
}

enum err daemon_open(const struct config *config, const char *self, int launcher,
		     struct daemon **out)
{
	struct daemon *daemon = calloc(1, sizeof *daemon);

	if (!daemon)
		return failed(ERR_MEMORY, "daemon");
	daemon->config = config;
	daemon->self = self;
	daemon->launcher = -1;
	daemon->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	tcb_init(&daemon->tcb);
	anchor_init(&daemon->anchor);
	refusals_init(&daemon->refused);
	clients_init(&daemon->clients, config->daemon_connections);
	pthread_mutex_init(&daemon->managing, NULL);
	enum err e =
		daemon->stop < 0 ? failed(ERR_IO, "eventfd: %m") : open_parts(daemon, launcher);
	if (e) {
		char reason[ERR_REASON_MAX];

		snprintf(reason, sizeof reason, "%s", err_reason());
		daemon_close(daemon, "start failed");
		return failed(e, "%s", reason);
	}
	*out = daemon;
	return OK;
}

void daemon_close(struct daemon *daemon, const char *why)
{
	if (!daemon)
		return;
	tcb_stop(&daemon->tcb);
	stamps_stop(daemon->stamps);
	witnesses_stop(daemon->witnesses);
	if (daemon->audit)
		audit_end(daemon->audit);
	if (daemon->tree && record_write(daemon, NULL, NULL, LEAF_CLOSE, slice_of(NULL, 0),
					 "daemon ended: %s", why))
		log_error("the record of the end could not be written: %s", err_reason());
	if (daemon->anchored)
		(void)!daemon_anchor(daemon, 0); /* said why not */
	anchor_close(&daemon->anchor);
	audit_close(daemon->audit);
	/* Images go before their sandbox, the token last: closing the log signs. */
	partitions_close(&daemon->partitions);
	seals_close(&daemon->seals);
	tcb_record_release(daemon->tcb.current);
	if (daemon->box)
		sandbox_close(daemon->box);
	attest_close(daemon->attest);
	state_close(daemon->state);
	fd_cleanup(&daemon->launcher);
	fd_cleanup(&daemon->stop);
	free(daemon);
}

void daemon_stop(struct daemon *daemon)
{
	uint64_t one = 1;

	atomic_store(&daemon->stopping, true);
	if (write(daemon->stop, &one, sizeof one) < 0)
		log_error("eventfd: %m");
}

/* The log's own threads sign and write the last head a moment after its record. */
void daemon_abandon(struct daemon *daemon, const char *why)
{
	atomic_store(&daemon->closed, true);
	if (record_write(daemon, NULL, NULL, LEAF_CLOSE, slice_of(NULL, 0),
			 "daemon ended with requests left: %s", why))
		log_error("the record of the end could not be written: %s", err_reason());
	io_pause(HEADS_MS);
	_exit(EXIT_FAILURE);
}
