#include "audit/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/base/dir.h"
#include "config/base/io.h"

#define CHUNK ((size_t)1 << 20)
#define HELD_MAX 1000
#define TORN_MAX (FRAME_BYTES(FRAME_PAYLOAD_MAX) + FRAME_BLOCK) /* one batch, and a header */

/* What a segment's file turned out to be. */
enum found { MISSING, UNUSED, TORN, IN_USE };

static unsigned long long ull(uint64_t v)
{
	return v;
}

/* The least and the greatest number that a file is named by; none: least is UINT64_MAX. */
static enum err list_numbers(int dir, uint64_t *least, uint64_t *greatest)
{
	CLEANUP(dir) DIR *list = dir_list(dir);

	*least = UINT64_MAX;
	*greatest = 0;
	if (!list)
		return failed(ERR_IO, "the log's directory: %m");
	for (const char *name; (name = dir_next(list));) {
		char *end;
		unsigned long long number = strtoull(name, &end, 10);

		if (*name < '0' || *name > '9' || *end)
			continue;
		*least = number < *least ? number : *least;
		*greatest = number > *greatest ? number : *greatest;
	}
	return OK;
}

enum err scan_start(struct scan *scan, int dir, scan_key *key, void *context)
{
	uint64_t greatest;

	*scan = (struct scan){ .dir = dir, .key = key, .context = context, .fd = -1 };
	enum err e = list_numbers(dir, &scan->first_segment, &greatest);

	if (!e && scan->first_segment == UINT64_MAX)
		scan->first_segment = 0;
	return e;
}

void scan_end(struct scan *scan)
{
	fd_cleanup(&scan->fd);
	secret_free(&scan->frame_key);
	buf_free(&scan->raw);
	for (size_t i = 0; i < scan->held_n; i++)
		fd_cleanup(&scan->held[i]);
	free(scan->held);
	scan->held = NULL;
	scan->held_n = 0;
}

void scan_cleanup(struct scan *scan)
{
	scan_end(scan);
}

static int open_segment(const struct scan *scan, uint64_t number)
{
	char name[24];

	if (number >= scan->first_segment && number - scan->first_segment < scan->held_n)
		return fcntl(scan->held[number - scan->first_segment], F_DUPFD_CLOEXEC, 0);
	snprintf(name, sizeof name, SCAN_NAME, ull(number));
	return openat(scan->dir, name, IO_READ);
}

static enum err look_at(const struct scan *scan, uint64_t number, enum found *found,
			struct segment *segment, int *out)
{
	uint8_t block[FRAME_BLOCK];
	enum err e;

	CLEANUP(fd) int fd = open_segment(scan, number);
	*found = MISSING;
	if (fd < 0)
		return errno == ENOENT ? OK : failed(ERR_IO, "segment %llu: %m", ull(number));
	if ((e = io_read_at(fd, 0, block, sizeof block)))
		return e == ERR_FORMAT
			       ? failed(ERR_MISMATCH, "segment %llu was cut short", ull(number))
			       : e;
	if (all_zero(block, sizeof block))
		*found = UNUSED;
	else if ((e = segment_read(block, segment)) == ERR_UNSUPPORTED)
		return e;
	else if (e || segment->number != number)
		*found = TORN;
	else
		*found = IN_USE;
	*out = fd_steal(&fd);
	return OK;
}

static enum err peek(const struct scan *scan, uint64_t number, enum found *found,
		     struct segment *segment)
{
	CLEANUP(fd) int fd = -1;

	return look_at(scan, number, found, segment, &fd);
}

/* Segments are numbered without gaps, and only the one after the last may be there unused. */
static enum err nothing_beyond(const struct scan *scan, uint64_t last)
{
	uint64_t least, greatest;
	enum err e = list_numbers(scan->dir, &least, &greatest);

	/* Whoever reads slowly may find that all that he opened, and more, was retired since. */
	if (!e && scan->held_n && least > last)
		return OK;
	if (!e && least != UINT64_MAX && greatest > last)
		e = failed(ERR_MISMATCH, "segment %llu is there, but the log ends before it",
			   ull(greatest));
	return e;
}

static enum err check_header(const struct scan *scan, const struct segment *next)
{
	bool recovered = next->flags & SEGMENT_RECOVERED, begins = next->number == 0;

	if (scan->fd < 0 && !begins) /* what was before it is retired */
		return OK;
	if (next->sequence != scan->sequence ||
	    memcmp(next->previous, scan->previous, SHA256_SIZE) ||
	    (!begins && next->epoch != scan->epoch + (recovered ? 1 : 0)))
		return failed(
			ERR_MISMATCH,
			"segment %llu does not continue what is before it: batch %llu is missing",
			ull(next->number), ull(scan->sequence));
	return OK;
}

/* Goes on to a segment which is in use. */
static enum err enter(struct scan *scan, uint64_t number)
{
	CLEANUP(fd) int fd = -1;
	struct segment segment, after;
	enum found found;
	struct stat st;
	enum err e;

	if ((e = look_at(scan, number, &found, &segment, &fd)))
		return e;
	if (found != IN_USE)
		return failed(ERR_STATE, "segment %llu changed while it was read", ull(number));
	if ((e = check_header(scan, &segment)))
		return e;
	secret_free(&scan->frame_key);
	if (scan->key) {
		if ((e = scan->key(scan->context, &segment, &scan->frame_key)))
			return e;
		if (!frame_authentic(segment.hash, segment.hmac, scan->frame_key.p))
			return failed(ERR_CRYPTO, "the header of segment %llu is forged",
				      ull(number));
	}
	if (fstat(fd, &st))
		return failed(ERR_IO, "segment %llu: %m", ull(number));
	if ((uint64_t)st.st_size != segment.bytes)
		return failed(ERR_MISMATCH, "segment %llu has %llu bytes in place of %llu",
			      ull(number), ull((uint64_t)st.st_size), ull(segment.bytes));
	if ((e = peek(scan, number + 1, &found, &after)))
		return e;
	scan->has_limit = found == IN_USE && (after.flags & SEGMENT_RECOVERED);
	scan->limit = scan->has_limit ? after.sequence : 0;
	fd_cleanup(&scan->fd);
	scan->fd = fd_steal(&fd);
	scan->number = number;
	scan->bytes = segment.bytes;
	scan->at = FRAME_BLOCK;
	scan->segment = segment;
	scan->epoch = segment.epoch;
	scan->sequence = segment.sequence;
	memcpy(scan->previous, segment.previous, SHA256_SIZE);
	scan->frames = 0;
	return OK;
}

/* A whole frame must be the one that comes next. */
static enum err check_frame(struct scan *scan, const struct frame *frame)
{
	if (scan->key && !frame_authentic(frame->hash, frame->hmac, scan->frame_key.p))
		return failed(ERR_CRYPTO, "batch %llu was forged: its HMAC does not hold",
			      ull(scan->sequence));
	if (!scan->begun) {
		scan->first = frame->first;
		scan->begun = true;
	}
	if (frame_is_snapshot(frame) != !scan->frames)
		return failed(ERR_MISMATCH,
			      "segment %llu does not begin with a snapshot, or has two",
			      ull(scan->number));
	if (frame->epoch != scan->epoch || frame->sequence != scan->sequence ||
	    frame->first != scan->first || memcmp(frame->previous, scan->previous, SHA256_SIZE))
		return failed(ERR_MISMATCH, "in place of batch %llu there is another one",
			      ull(scan->sequence));
	return OK;
}

/* ERR_NOT_FOUND: no whole frame here. */
static enum err try_frame(struct scan *scan, struct frame *out)
{
	uint8_t block[FRAME_BLOCK];
	enum err e;

	if (scan->at + FRAME_BLOCK > scan->bytes)
		return ERR_NOT_FOUND;
	if ((e = io_read_at(scan->fd, scan->at, block, sizeof block)))
		return e == ERR_FORMAT ? failed(ERR_MISMATCH, "segment %llu was cut short",
						ull(scan->number))
				       : e;
	size_t n = frame_claims(block);
	if (!n || n > scan->bytes - scan->at)
		return ERR_NOT_FOUND;
	buf_reset(&scan->raw);
	uint8_t *to = buf_add(&scan->raw, n);
	if (!to)
		return buf_check(&scan->raw);
	if ((e = io_read_at(scan->fd, scan->at, to, n)))
		return e == ERR_FORMAT ? ERR_NOT_FOUND : e;
	if ((e = frame_read(buf_slice(&scan->raw), out)))
		return e == ERR_FORMAT ? ERR_NOT_FOUND : e;
	return check_frame(scan, out);
}

void scan_advance(struct scan *scan, const struct frame *frame, uint64_t leaves)
{
	scan->at += scan->raw.len;
	scan->sequence++;
	scan->first += leaves;
	scan->frames++;
	memcpy(scan->previous, frame->hash, SHA256_SIZE);
}

/* Where the last byte that is not zero ends, from @from on. */
static enum err extent(int fd, uint64_t from, uint64_t bytes, uint64_t *end)
{
	uint8_t *chunk = malloc(CHUNK);
	enum err e = chunk ? OK : failed(ERR_MEMORY, "a segment");

	*end = from;
	for (uint64_t at = from; !e && at < bytes; at += CHUNK) {
		size_t n = bytes - at < CHUNK ? (size_t)(bytes - at) : CHUNK;

		if ((e = io_read_at(fd, at, chunk, n)) || all_zero(chunk, n))
			continue;
		while (!chunk[n - 1])
			n--;
		*end = at + n;
	}
	free(chunk);
	return e;
}

/* Is there, in what seems to be debris, a whole frame that comes after the one that we want? */
static enum err no_frame_behind(const struct scan *scan, struct slice debris, uint64_t above)
{
	for (; debris.left >= FRAME_BLOCK; debris.p += FRAME_BLOCK, debris.left -= FRAME_BLOCK) {
		size_t n = frame_claims(debris.p);
		struct frame frame;

		if (!n || n > debris.left || frame_read(slice_of(debris.p, n), &frame) ||
		    frame.sequence <= above)
			continue;
		if (scan->key && scan->frame_key.p &&
		    !frame_authentic(frame.hash, frame.hmac, scan->frame_key.p))
			continue;
		return failed(ERR_MISMATCH,
			      "batch %llu is damaged, yet batch %llu behind it is whole: this is "
			      "corruption or tampering, not a crash",
			      ull(scan->sequence), ull(frame.sequence));
	}
	return OK;
}

/* Where the torn batch's own header survived, it says how far its debris may reach. */
static size_t reach(const struct scan *scan, const uint8_t *first)
{
	size_t claims = frame_claims(first);

	return claims && frame_claims_sequence(first) == scan->sequence ? claims : TORN_MAX;
}

/* Measures what lies in @fd from @from on: nothing, or one torn batch. */
static enum err debris(struct scan *scan, int fd, uint64_t from, uint64_t bytes)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	uint64_t end;
	enum err e;

	if ((e = extent(fd, from, bytes, &end)) || end == from)
		return e;
	if (end - from > TORN_MAX)
		return failed(ERR_MISMATCH,
			      "%llu bytes behind batch %llu are damaged: more than a crash leaves",
			      ull(end - from), ull(scan->sequence));
	size_t n = (size_t)((end - from + FRAME_BLOCK - 1) / FRAME_BLOCK * FRAME_BLOCK);
	uint8_t *to = buf_add(&raw, n);
	if (!to)
		return buf_check(&raw);
	if ((e = io_read_at(fd, from, to, n)) ||
	    (e = no_frame_behind(scan, buf_slice(&raw), scan->sequence)))
		return e;
	if (end - from > reach(scan, raw.data))
		return failed(
			ERR_MISMATCH,
			"batch %llu is damaged, and there was more behind it: a crash does not "
			"leave that",
			ull(scan->sequence));
	if (scan->torn_bytes)
		return failed(ERR_MISMATCH, "two segments have a torn tail");
	scan->torn_bytes = end - from;
	sha256_once(slice_of(raw.data, (size_t)(end - from)), scan->torn_sha256);
	return OK;
}

/* Behind the last frame: the rest of its segment, and one more segment, unused or torn. */
static enum err finish(struct scan *scan, bool next_torn)
{
	uint64_t next = scan->fd < 0 ? scan->first_segment : scan->number + 1;
	CLEANUP(fd) int fd = -1;
	struct segment segment;
	enum found found;
	struct stat st;
	enum err e;

	scan->torn_bytes = 0;
	scan->torn_in_next = next_torn;
	if (scan->fd >= 0 && (e = debris(scan, scan->fd, scan->at, scan->bytes)))
		return e;
	if (scan->fd >= 0 && !scan->frames && scan->sequence &&
	    ((scan->segment.flags & SEGMENT_RECOVERED) || !scan->begun))
		return failed(ERR_MISMATCH, "batch %llu is gone from segment %llu",
			      ull(scan->sequence), ull(scan->number));
	if ((e = nothing_beyond(scan, next)) || (e = look_at(scan, next, &found, &segment, &fd)))
		return e;
	if (scan->fd < 0 && next > 0)
		return failed(ERR_MISMATCH,
			      "the log begins with segment %llu, which is no whole one", ull(next));
	if (found == MISSING)
		return ERR_NOT_FOUND;
	if (fstat(fd, &st))
		return failed(ERR_IO, "segment %llu: %m", ull(next));
	if (found == UNUSED || found == TORN) {
		/* Its frames have a key of their own, which we don't know; the key of the segment
		 * before is still needed, to go on writing there. */
		struct secret key = scan->frame_key;

		scan->frame_key = (struct secret){ 0 };
		e = debris(scan, fd, 0, (uint64_t)st.st_size / FRAME_BLOCK * FRAME_BLOCK);
		scan->frame_key = key;
		if (e)
			return e;
	}
	return ERR_NOT_FOUND;
}

static enum err rest_is_zero(const struct scan *scan)
{
	uint64_t end;
	enum err e = extent(scan->fd, scan->at, scan->bytes, &end);

	if (!e && end != scan->at)
		e = failed(ERR_MISMATCH,
			   "batch %llu in segment %llu is damaged, yet the log goes on in the next",
			   ull(scan->sequence), ull(scan->number));
	return e;
}

static enum err leave(struct scan *scan, const struct segment *next)
{
	enum err e;

	if (next->flags & SEGMENT_RECOVERED) {
		if (!scan->has_limit && scan->fd >= 0)
			return failed(ERR_STATE, "the log was recovered while it was read: read "
						 "it again");
	} else if (scan->fd >= 0 && (e = rest_is_zero(scan))) {
		return e;
	}
	return enter(scan, next->number);
}

/* The writer went on to another segment since we began: it continues this one, and more need not
 * be known. */
static enum err leave_off(const struct scan *scan, const struct segment *next)
{
	enum err e;

	if (!(next->flags & SEGMENT_RECOVERED) &&
	    ((e = rest_is_zero(scan)) || (e = check_header(scan, next))))
		return e;
	return ERR_NOT_FOUND;
}

/* Opens segments from the first one on, which may be retired under our eyes. */
static enum err hold(struct scan *scan)
{
	uint64_t greatest, least;
	enum err e;

	do {
		if ((e = list_numbers(scan->dir, &least, &greatest)) || least == UINT64_MAX)
			return e;
		scan->first_segment = least;
		int fd = open_segment(scan, least);
		if (fd < 0 && errno != ENOENT)
			return failed(ERR_IO, "segment %llu: %m", ull(least));
		if (fd >= 0)
			scan->held[scan->held_n++] = fd;
	} while (!scan->held_n);
	while (scan->held_n < HELD_MAX && least + scan->held_n <= greatest) {
		int fd = open_segment(scan, least + scan->held_n);

		if (fd < 0)
			break;
		scan->held[scan->held_n++] = fd;
	}
	return OK;
}

enum err scan_to_present(struct scan *scan)
{
	struct segment segment;
	enum found found;
	enum err e;

	scan->held = calloc(HELD_MAX, sizeof *scan->held);
	if (!scan->held)
		return failed(ERR_MEMORY, "a list of segments");
	if ((e = hold(scan)))
		return e;
	for (scan->last = scan->first_segment;; scan->last++) {
		if ((e = peek(scan, scan->last + 1, &found, &segment)))
			return e;
		if (found != IN_USE)
			break;
	}
	scan->has_last = true;
	return OK;
}

enum err scan_next(struct scan *scan, struct frame *out)
{
	for (;;) {
		uint64_t number = scan->fd < 0 ? scan->first_segment : scan->number + 1;
		bool at_limit = scan->has_limit && scan->sequence == scan->limit;
		struct segment next;
		enum found found;
		enum err e = ERR_NOT_FOUND;

		if (scan->fd >= 0 && !at_limit && (e = try_frame(scan, out)) != ERR_NOT_FOUND)
			return e;
		if ((e = peek(scan, number, &found, &next)))
			return e;
		/* A writer may have gone on meanwhile: now that the next segment was seen, this
		 * one will not change any more. */
		if (scan->fd >= 0 && !at_limit && (e = try_frame(scan, out)) != ERR_NOT_FOUND)
			return e;
		if (found == IN_USE) {
			if (scan->has_last && number > scan->last)
				return leave_off(scan, &next);
			if ((e = leave(scan, &next)))
				return e;
			continue;
		}
		e = finish(scan, found == TORN);
		/* What looked like damage may have been a batch in the middle of its write. */
		if (e == ERR_MISMATCH && scan->fd >= 0 && !scan->key && try_frame(scan, out) == OK)
			return OK;
		return e;
	}
}
