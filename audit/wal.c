#include "audit/wal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "config/base/io.h"

#define ZEROS ((size_t)1 << 20)
#define TRY_AGAIN_MS 1000 /* between attempts to make a segment on a full disk */
#define TEMPORARY "next.tmp"

/* A segment's file, not yet or no longer begun. */
struct ready {
	int fd;
	struct segment header;
	struct secret key;
};

struct wal {
	int dir;
	const struct audit_signer *signer;
	uint64_t segment_bytes;

	/* The current segment: the writer's alone, but at and bytes are written under lock. */
	struct ready now;
	bool begun; /* its header is written; else it goes with the first frame */
	uint64_t at, bytes;
	struct stat identity;
	uint64_t sequence, first;
	uint8_t previous[SHA256_SIZE];

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t change;
	pthread_t thread;
	bool has_thread, stop;
	bool settled; /* the current segment holds something durable: the next may be made */
	bool has_next;
	uint64_t snapshot;        /* bytes to keep free for one */
	char why[ERR_REASON_MAX]; /* the last attempt to make it ready failed; else empty */
	struct ready next;
	uint64_t wanted; /* number of the segment to make ready */
};

static unsigned long long ull(uint64_t v)
{
	return v;
}

static void ready_free(struct ready *ready)
{
	fd_cleanup(&ready->fd);
	secret_free(&ready->key);
}

enum err wal_unwrap(void *context, const struct segment *segment, struct secret *key)
{
	const struct audit_signer *signer = context;
	enum err e;

	if ((e = secret_new(key, FRAME_KEY)))
		return e;
	e = signer->unwrap(signer->context, slice_of(segment->wrapped, segment->wrapped_n), key->p,
			   FRAME_KEY);
	if (e)
		secret_free(key);
	return e;
}

/* A fresh key for a segment, and its wrapped form for the header. */
static enum err fresh_key(const struct audit_signer *signer, struct ready *ready)
{
	CLEANUP(buf) struct buf wrapped = BUF_INIT;
	enum err e;

	if ((e = secret_new(&ready->key, FRAME_KEY)) || (e = io_random(ready->key.p, FRAME_KEY)) ||
	    (e = signer->wrap(signer->context, slice_of(ready->key.p, FRAME_KEY), &wrapped)) ||
	    (e = buf_check(&wrapped)))
		return e;
	if (wrapped.len > FRAME_WRAPPED_MAX)
		return failed(ERR_RANGE, "a wrapped key of %zu bytes", wrapped.len);
	memcpy(ready->header.wrapped, wrapped.data, wrapped.len);
	ready->header.wrapped_n = wrapped.len;
	return OK;
}

static enum err zeros_to(int fd, uint64_t from, uint64_t bytes)
{
	uint8_t *zeros = calloc(1, ZEROS);
	enum err e = zeros ? OK : failed(ERR_MEMORY, "a block of zeros");

	for (uint64_t at = from; !e && at < bytes; at += ZEROS)
		e = io_write_at(fd, at, slice_of(zeros, bytes - at < ZEROS ? bytes - at : ZEROS));
	free(zeros);
	return e;
}

/* Gives the temporary file its name, both durably. */
static enum err settle(int dir, int fd, uint64_t number)
{
	char name[24];

	snprintf(name, sizeof name, SCAN_NAME, ull(number));
	if (fsync(fd))
		return failed(ERR_IO, "a new segment: fsync: %m");
	if (renameat(dir, TEMPORARY, dir, name))
		return failed(ERR_IO, "a new segment: rename: %m");
	return io_sync_dir(dir);
}

static enum err temporary(int dir, int *out)
{
	if (unlinkat(dir, TEMPORARY, 0) && errno != ENOENT)
		return failed(ERR_IO, "%s: %m", TEMPORARY);
	fd_cleanup(out);
	*out = openat(dir, TEMPORARY, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return *out < 0 ? failed(ERR_IO, "%s: %m", TEMPORARY) : OK;
}

/* Left over from the last time, of the right size and all zeros? */
static bool unused_file(const struct wal *wal, uint64_t number, int *out)
{
	CLEANUP(buf) struct buf block = BUF_INIT;
	char name[24];
	struct stat st;

	snprintf(name, sizeof name, SCAN_NAME, ull(number));
	CLEANUP(fd) int fd = openat(wal->dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	uint8_t *to = buf_add(&block, ZEROS);
	if (fd < 0 || !to || fstat(fd, &st) || (uint64_t)st.st_size != wal->segment_bytes)
		return false;
	for (uint64_t at = 0; at < wal->segment_bytes; at += ZEROS) {
		uint64_t left = wal->segment_bytes - at;
		size_t n = left < ZEROS ? (size_t)left : ZEROS;

		if (io_read_at(fd, at, to, n) || !all_zero(to, n))
			return false;
	}
	*out = fd_steal(&fd);
	return true;
}

static enum err make_ready(const struct wal *wal, uint64_t number, struct ready *out)
{
	CLEANUP(fd) int fd = -1;
	enum err e;

	*out = (struct ready){ .fd = -1 };
	out->header.number = number;
	out->header.bytes = wal->segment_bytes;
	if (!unused_file(wal, number, &fd) &&
	    ((e = temporary(wal->dir, &fd)) || (e = zeros_to(fd, 0, wal->segment_bytes)) ||
	     (e = settle(wal->dir, fd, number)))) {
		bool full = errno == ENOSPC || errno == EDQUOT;

		unlinkat(wal->dir, TEMPORARY, 0);
		return full ? failed(e, "the log's disk is full") : e;
	}
	if ((e = fresh_key(wal->signer, out))) {
		ready_free(out);
		return e;
	}
	out->fd = fd_steal(&fd);
	return OK;
}

static void wait_a_while(struct wal *wal)
{
	struct timespec until = io_timespec(io_monotonic_ms() + TRY_AGAIN_MS);

	pthread_cond_timedwait(&wal->change, &wal->lock, &until);
}

static void *preparer(void *argument)
{
	struct wal *wal = argument;

	pthread_mutex_lock(&wal->lock);
	while (!wal->stop) {
		if (wal->has_next || !wal->settled) {
			pthread_cond_wait(&wal->change, &wal->lock);
			continue;
		}
		uint64_t number = wal->wanted;
		struct ready made;
		pthread_mutex_unlock(&wal->lock);
		enum err e = make_ready(wal, number, &made);
		pthread_mutex_lock(&wal->lock);
		snprintf(wal->why, sizeof wal->why, "%s", e ? err_reason() : "");
		wal->has_next = e == OK;
		if (!e)
			wal->next = made;
		pthread_cond_broadcast(&wal->change);
		if (e && !wal->stop)
			wait_a_while(wal);
	}
	pthread_mutex_unlock(&wal->lock);
	return NULL;
}

/* The segment goes on being used: its frames' end is where the scan stopped. */
static enum err go_on(struct wal *wal, const struct scan *scan)
{
	char name[24];
	enum err e;

	snprintf(name, sizeof name, SCAN_NAME, ull(scan->number));
	wal->now.fd = openat(wal->dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (wal->now.fd < 0)
		return failed(ERR_IO, "segment %s: %m", name);
	if ((e = secret_new(&wal->now.key, FRAME_KEY)))
		return e;
	memcpy(wal->now.key.p, scan->frame_key.p, FRAME_KEY);
	wal->now.header = scan->segment;
	wal->begun = true;
	wal->at = scan->at;
	wal->bytes = scan->bytes;
	return OK;
}

/* Appends a frame of the new segment to what will be its first blocks. */
static enum err seal_next(struct wal *wal, struct slice payload, uint32_t count, struct buf *out)
{
	struct frame frame = { .epoch = wal->now.header.epoch,
			       .sequence = wal->sequence,
			       .first = wal->first,
			       .count = count };
	CLEANUP(buf) struct buf raw = BUF_INIT;
	enum err e;

	memcpy(frame.previous, wal->previous, SHA256_SIZE);
	uint8_t *header = buf_add(&raw, FRAME_HEADER);
	buf_put_slice(&raw, payload);
	if (!header || (e = buf_check(&raw)))
		return ERR_MEMORY;
	if ((e = frame_seal(&frame, wal->now.key.p, &raw)))
		return e;
	buf_put_slice(out, buf_slice(&raw));
	wal->sequence++;
	memcpy(wal->previous, frame.hash, SHA256_SIZE);
	return buf_check(out);
}

static enum err seal_first(struct wal *wal, const struct scan *scan, const struct wal_start *start,
			   struct buf *out)
{
	const struct frame *last = start->last;
	enum err e;

	wal->sequence = wal->now.header.sequence;
	wal->first = last ? last->first : scan->first;
	memcpy(wal->previous, wal->now.header.previous, SHA256_SIZE);
	if ((e = seal_next(wal, start->snapshot, start->snapshot_entries, out)))
		return e;
	if (start->repeat && (e = seal_next(wal, last->payload, last->count, out)))
		return e;
	wal->first = scan->first;
	return OK;
}

/* The temporary file for a segment, zeros from @from on. One that was made ready before is taken
 * for it, once it has surely lost its name: recovery must not fail for want of space just after a
 * crash. */
static enum err blank_file(struct wal *wal, const struct segment *header, uint64_t from, int *out)
{
	char name[24];
	enum err e;

	snprintf(name, sizeof name, SCAN_NAME, ull(header->number));
	if (header->bytes == wal->segment_bytes && unused_file(wal, header->number, out) &&
	    !renameat(wal->dir, name, wal->dir, TEMPORARY))
		return io_sync_dir(wal->dir);
	if ((e = temporary(wal->dir, out)))
		return e;
	return zeros_to(*out, from, header->bytes);
}

/* A new segment, whole before it gets its name, so that a crash here changes nothing. */
static enum err begin_anew(struct wal *wal, const struct scan *scan, const struct wal_start *start)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct segment *header = &wal->now.header;
	const struct frame *last = start->last;
	uint8_t block[FRAME_BLOCK];
	enum err e;

	*header = (struct segment){ .epoch = scan->epoch + (scan->fd >= 0),
				    .number = scan->fd < 0 ? 0 : scan->number + (scan->frames > 0),
				    .flags = SEGMENT_RECOVERED,
				    .sequence = last ? last->sequence : scan->sequence };
	memcpy(header->previous, last ? last->previous : scan->previous, SHA256_SIZE);
	if ((e = fresh_key(wal->signer, &wal->now)) || (e = seal_first(wal, scan, start, &raw)))
		return e;
	header->bytes = wal->segment_bytes;
	if (header->bytes < FRAME_BLOCK + raw.len + WAL_SEGMENT_MIN / 2)
		header->bytes = FRAME_BLOCK + raw.len + WAL_SEGMENT_MIN;
	segment_seal(header, wal->now.key.p, block);
	if ((e = blank_file(wal, header, FRAME_BLOCK + raw.len, &wal->now.fd)) ||
	    (e = io_write_at(wal->now.fd, 0, SLICE(block))) ||
	    (e = io_write_at(wal->now.fd, FRAME_BLOCK, buf_slice(&raw))) ||
	    (e = settle(wal->dir, wal->now.fd, header->number))) {
		unlinkat(wal->dir, TEMPORARY, 0);
		return failed(e, "the log needs a new segment: %s", err_reason());
	}
	wal->begun = true;
	wal->at = FRAME_BLOCK + raw.len;
	wal->bytes = header->bytes;
	return OK;
}

static enum err start_thread(struct wal *wal)
{
	pthread_condattr_t monotonic;

	pthread_mutex_init(&wal->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&wal->change, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (pthread_create(&wal->thread, NULL, preparer, wal))
		return failed(ERR_MEMORY, "no thread for the log");
	wal->has_thread = true;
	return OK;
}

enum err wal_open(int dir, const struct audit_signer *signer, uint64_t segment_bytes,
		  const struct scan *scan, const struct wal_start *start, struct wal **out)
{
	struct wal *wal = calloc(1, sizeof *wal);
	enum err e;

	if (!wal)
		return failed(ERR_MEMORY, "the log");
	wal->dir = dir;
	wal->signer = signer;
	wal->segment_bytes =
		(segment_bytes ? segment_bytes : WAL_SEGMENT_DEFAULT) / FRAME_BLOCK * FRAME_BLOCK;
	wal->now.fd = wal->next.fd = -1;
	wal->sequence = scan->sequence;
	wal->first = scan->first;
	memcpy(wal->previous, scan->previous, SHA256_SIZE);
	if (wal->segment_bytes < WAL_SEGMENT_MIN || wal->segment_bytes > WAL_SEGMENT_MAX)
		e = failed(ERR_USAGE, "a segment of %llu bytes", ull(wal->segment_bytes));
	else
		e = start->keep ? go_on(wal, scan) : begin_anew(wal, scan, start);
	if (!e && fstat(wal->now.fd, &wal->identity))
		e = failed(ERR_IO, "the log's segment: %m");
	wal->wanted = wal->now.header.number + 1;
	wal->settled = true;
	if (e || (e = start_thread(wal))) {
		wal_close(wal);
		return e;
	}
	*out = wal;
	return OK;
}

void wal_close(struct wal *wal)
{
	if (!wal)
		return;
	if (wal->has_thread) {
		pthread_mutex_lock(&wal->lock);
		wal->stop = true;
		pthread_cond_broadcast(&wal->change);
		pthread_mutex_unlock(&wal->lock);
		pthread_join(wal->thread, NULL);
	}
	ready_free(&wal->now);
	ready_free(&wal->next);
	free(wal);
}

uint64_t wal_budget(struct wal *wal, char why[ERR_REASON_MAX])
{
	pthread_mutex_lock(&wal->lock);
	uint64_t left = wal->bytes - wal->at;
	if (wal->has_next)
		left = wal->segment_bytes - FRAME_BLOCK - wal->snapshot;
	memcpy(why, wal->why, ERR_REASON_MAX);
	pthread_mutex_unlock(&wal->lock);
	return left;
}

static enum err await_next(struct wal *wal)
{
	enum err e = OK;

	pthread_mutex_lock(&wal->lock);
	while (!wal->has_next && !*wal->why)
		pthread_cond_wait(&wal->change, &wal->lock);
	if (!wal->has_next)
		e = failed(ERR_IO, "no new segment: %s", wal->why);
	pthread_mutex_unlock(&wal->lock);
	return e;
}

enum err wal_reserve(struct wal *wal, size_t snapshot)
{
	uint64_t bytes = FRAME_BYTES(snapshot);

	if (bytes > wal->segment_bytes / 2 || snapshot > FRAME_PAYLOAD_MAX)
		return failed(ERR_RANGE, "too many trees for segments of %llu bytes",
			      ull(wal->segment_bytes));
	pthread_mutex_lock(&wal->lock);
	wal->snapshot = bytes;
	pthread_mutex_unlock(&wal->lock);
	return OK;
}

uint64_t wal_segment(const struct wal *wal)
{
	return wal->now.header.number;
}

uint64_t wal_sequence(const struct wal *wal)
{
	return wal->sequence;
}

static size_t payload_in(uint64_t bytes)
{
	if (bytes < FRAME_HEADER)
		return 0;
	return bytes - FRAME_HEADER < FRAME_PAYLOAD_MAX ? (size_t)(bytes - FRAME_HEADER)
							: FRAME_PAYLOAD_MAX;
}

/* Leaves the rest of the current segment as zeros and takes the next one. */
static enum err rotate(struct wal *wal)
{
	enum err e;

	if ((e = await_next(wal)))
		return e;
	pthread_mutex_lock(&wal->lock);
	uint64_t epoch = wal->now.header.epoch;
	ready_free(&wal->now);
	wal->now = wal->next;
	wal->next = (struct ready){ .fd = -1 };
	wal->has_next = wal->settled = false;
	wal->wanted = wal->now.header.number + 1;
	wal->at = FRAME_BLOCK;
	wal->bytes = wal->now.header.bytes;
	pthread_cond_broadcast(&wal->change);
	pthread_mutex_unlock(&wal->lock);
	wal->begun = false;
	wal->now.header.epoch = epoch;
	wal->now.header.sequence = wal->sequence;
	memcpy(wal->now.header.previous, wal->previous, SHA256_SIZE);
	if (fstat(wal->now.fd, &wal->identity))
		return failed(ERR_IO, "the log's segment: %m");
	return OK;
}

enum err wal_room(struct wal *wal, size_t least, size_t *room, bool *fresh)
{
	enum err e;

	*room = payload_in(wal->bytes - wal->at);
	*fresh = least > *room;
	if (!*fresh)
		return OK;
	if ((e = rotate(wal)))
		return e;
	*room = payload_in(wal->bytes - wal->at);
	return *room < least ? failed(ERR_RANGE, "a record larger than a segment") : OK;
}

/* The header of a segment becomes durable together with its first frame. */
static enum err write_header(struct wal *wal)
{
	uint8_t block[FRAME_BLOCK];

	segment_seal(&wal->now.header, wal->now.key.p, block);
	wal->begun = true;
	return io_write_at(wal->now.fd, 0, SLICE(block));
}

enum err wal_write(struct wal *wal, struct buf *raw, uint32_t entries, uint32_t leaves)
{
	size_t bytes = FRAME_BYTES(raw->len - FRAME_HEADER);
	enum err e;

	if (bytes > wal->bytes - wal->at)
		return failed(ERR_RANGE, "a batch larger than the room that was given");
	struct frame frame = { .epoch = wal->now.header.epoch,
			       .sequence = wal->sequence,
			       .first = wal->first,
			       .count = entries };
	memcpy(frame.previous, wal->previous, SHA256_SIZE);
	if ((e = frame_seal(&frame, wal->now.key.p, raw)) ||
	    (!wal->begun && (e = write_header(wal))) ||
	    (e = io_write_at(wal->now.fd, wal->at, buf_slice(raw))))
		return e;
	pthread_mutex_lock(&wal->lock);
	wal->at += bytes;
	pthread_mutex_unlock(&wal->lock);
	wal->sequence++;
	wal->first += leaves;
	memcpy(wal->previous, frame.hash, SHA256_SIZE);
	return OK;
}

/* Others have kept on serving into a file that was deleted under them. */
static enum err still_there(const struct wal *wal)
{
	struct stat st;
	char name[24];

	snprintf(name, sizeof name, SCAN_NAME, ull(wal->now.header.number));
	if (fstat(wal->now.fd, &st) || st.st_nlink != 1 || (uint64_t)st.st_size != wal->bytes ||
	    fstatat(wal->dir, name, &st, AT_SYMLINK_NOFOLLOW) ||
	    st.st_ino != wal->identity.st_ino || st.st_dev != wal->identity.st_dev)
		return failed(ERR_STATE, "segment %s of the log was removed, replaced or cut",
			      name);
	return OK;
}

/* Only now may the segment after this one get its name: where a crash leaves that name and nothing
 * of this segment, it looks as if this one had been wiped. */
static void settle_segment(struct wal *wal)
{
	pthread_mutex_lock(&wal->lock);
	if (!wal->settled) {
		wal->settled = true;
		pthread_cond_broadcast(&wal->change);
	}
	pthread_mutex_unlock(&wal->lock);
}

enum err wal_sync(struct wal *wal)
{
	if (fdatasync(wal->now.fd))
		return failed(ERR_IO, "the log: fdatasync: %m");
	settle_segment(wal);
	return still_there(wal);
}
