#include "plugin/daemon/seals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/proof.h"
#include "config/base/dir.h"
#include "config/base/io.h"
#include "config/base/log.h"
#include "plugin/daemon/aead.h"

#define HEADER 64
#define MAGIC "assay-sealed-1"
#define PIECE ((size_t)1 << 16)
#define FILE_MAX (SEALS_PAYLOAD_MAX + ((size_t)16 << 20)) /* with what CMS and tar add */
#define NAME (2 * SEALS_CTI + 1)

uint32_t seals_today(void)
{
	return (uint32_t)(io_realtime_us() / 1000000 / 86400);
}

void seals_init(struct seals *seals, struct state *state, struct attest *attest)
{
	*seals = (struct seals){ .state = state, .attest = attest };
	pthread_mutex_init(&seals->lock, NULL);
}

void seals_close(struct seals *seals)
{
	for (size_t i = 0; i < seals->n; i++) {
		ring_close(&seals->partitions[i]->ring);
		pthread_mutex_destroy(&seals->partitions[i]->lock);
		free(seals->partitions[i]);
	}
	seals->n = 0;
}

static enum err partition_locked(struct seals *seals, const char *serial,
				 struct seals_partition **out)
{
	char name[2 * WIRE_SERIAL_MAX + 1];

	hex_put(name, serial, strlen(serial));
	for (size_t i = 0; i < seals->n; i++)
		if (!strcmp(seals->partitions[i]->ring.name, name)) {
			*out = seals->partitions[i];
			return OK;
		}
	if (seals->n == PARTITIONS_MAX)
		return failed(ERR_LIMIT, "more than %d partitions", PARTITIONS_MAX);
	struct seals_partition *p = calloc(1, sizeof *p);
	if (!p)
		return failed(ERR_MEMORY, "keys of sealed payloads");
	ring_init(&p->ring, seals->state, seals->attest, serial);
	pthread_mutex_init(&p->lock, NULL);
	seals->partitions[seals->n++] = *out = p;
	return OK;
}

static enum err find_partition(struct seals *seals, const char *serial,
			       struct seals_partition **out)
{
	pthread_mutex_lock(&seals->lock);
	enum err e = partition_locked(seals, serial, out);
	pthread_mutex_unlock(&seals->lock);
	return e;
}

enum err seals_ring(struct seals *seals, const char *serial, struct ring **out)
{
	struct seals_partition *p;
	enum err e = find_partition(seals, serial, &p);

	*out = e ? NULL : &p->ring;
	return e;
}

/* ---- directories: sealed/, the partition's, the period's ---- */

static enum err step_down(int *dir, const char *name, bool make)
{
	CLEANUP(fd) int next = -1;
	enum err e = io_open_dir(*dir, name, false, &next);

	if (e == ERR_NOT_FOUND && make && !(e = io_open_dir(*dir, name, true, &next)))
		e = io_sync_dir(*dir);
	if (e)
		return e;
	fd_cleanup(dir);
	*dir = fd_steal(&next);
	return OK;
}

static enum err open_partition(const struct ring *ring, bool make, int *out)
{
	CLEANUP(fd) int dir = -1;
	enum err e = io_open_dir(AT_FDCWD, state_path(ring->state), false, &dir);

	if (e || (e = step_down(&dir, STATE_SEALED, make)) ||
	    (e = step_down(&dir, ring->name, make)))
		return e;
	*out = fd_steal(&dir);
	return OK;
}

static enum err open_period(const struct ring *ring, const struct ring_period *period, bool make,
			    int *out)
{
	char name[RING_PERIOD_NAME];
	CLEANUP(fd) int dir = -1;
	enum err e = open_partition(ring, make, &dir);

	ring_period_name(period, name);
	if (e || (e = step_down(&dir, name, make)))
		return e;
	*out = fd_steal(&dir);
	return OK;
}

/* Whether it is named like one: nothing else was made here. */
static bool is_period(const char *name)
{
	return strlen(name) == RING_PERIOD_NAME - 1 && name[4] == '-' && name[7] == '-' &&
	       name[10] == '-' && strspn(name, "0123456789abcdef-") == RING_PERIOD_NAME - 1;
}

typedef enum err visit(void *context, int dir, const char *name);

static enum err each_name(int dir, visit *call, void *context)
{
	CLEANUP(dir) DIR *list = dir_list(dir);
	enum err e = OK;

	if (!list)
		return failed(ERR_IO, "sealed payloads: %m");
	for (const char *name; !e && (name = dir_next(list));)
		e = call(context, dir, name);
	return e;
}

/* ---- how much there is ---- */

static enum err count_file(void *context, int dir, const char *name)
{
	uint64_t *bytes = context;
	struct stat status;

	if (!fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) && S_ISREG(status.st_mode))
		*bytes += (uint64_t)status.st_size;
	return OK;
}

static enum err count_period(void *context, int dir, const char *name)
{
	CLEANUP(fd) int period = -1;

	return is_period(name) && !io_open_dir(dir, name, false, &period)
		       ? each_name(period, count_file, context)
		       : OK;
}

static enum err count_locked(struct seals_partition *p)
{
	CLEANUP(fd) int dir = -1;
	uint64_t bytes = 0;
	enum err e = p->counted ? OK : open_partition(&p->ring, false, &dir);

	if (!e && !p->counted)
		e = each_name(dir, count_period, &bytes);
	if (e && e != ERR_NOT_FOUND)
		return e;
	p->bytes += bytes;
	p->counted = true;
	return OK;
}

static enum err check_quota(struct seals_partition *p, uint64_t most)
{
	pthread_mutex_lock(&p->lock);
	enum err e = count_locked(p);
	unsigned long long bytes = p->bytes;
	pthread_mutex_unlock(&p->lock);
	if (e)
		return e;
	return !most || bytes < most
		       ? OK
		       : failed(ERR_LIMIT,
				"%llu bytes of sealed payloads are kept, and the policy allows "
				"%llu: shred some",
				bytes, (unsigned long long)most);
}

static void add_bytes(struct seals_partition *p, uint64_t bytes)
{
	pthread_mutex_lock(&p->lock);
	p->bytes += p->counted ? bytes : 0;
	pthread_mutex_unlock(&p->lock);
}

enum err seals_ready(struct seals *seals, const char *serial, uint32_t days, uint64_t most)
{
	struct seals_partition *p;
	struct ring_period period;
	const uint8_t *key;
	enum err e;

	if ((e = state_room(seals->state, STATE_SEALED, 0)) ||
	    (e = find_partition(seals, serial, &p)) || (e = check_quota(p, most)) ||
	    (e = ring_hold(&p->ring, seals_today(), days, &period, &key)))
		return e;
	ring_release(&p->ring);
	return OK;
}

/* ---- writing ---- */

static enum err derive(const uint8_t *day_key, const uint8_t header[HEADER], struct secret *key)
{
	enum err e = secret_new(key, AEAD_KEY);

	return e ? e : proof_commit(day_key, slice_of(header, HEADER), key->p);
}

static enum err begin(bool seal, const uint8_t *day_key, const uint8_t header[HEADER],
		      struct aead **out)
{
	CLEANUP(secret) struct secret key = { 0 };
	enum err e = derive(day_key, header, &key);

	return e ? e : aead_begin(seal, key.p, header + 40, slice_of(header, HEADER), out);
}

static enum err make_header(const struct ring_period *period, const uint8_t cti[SEALS_CTI],
			    uint8_t header[HEADER])
{
	memset(header, 0, HEADER);
	memcpy(header, MAGIC, sizeof MAGIC);
	memcpy(header + 16, cti, SEALS_CTI);
	memcpy(header + 32, period->id, RING_ID);
	return io_random(header + 40, AEAD_IV);
}

/* The CMS message on its way to the disk. */
struct outlet {
	int fd;
	struct aead *aead;
	struct sha256 hash;
	uint8_t piece[PIECE];
	size_t n;
};

static void outlet_cleanup(struct outlet **outlet)
{
	if (*outlet)
		aead_free((*outlet)->aead);
	free(*outlet);
}

static enum err flush(struct outlet *outlet)
{
	size_t n = outlet->n;

	outlet->n = 0;
	return io_write_all(outlet->fd, slice_of(outlet->piece, n));
}

static enum err put(void *context, struct slice in)
{
	struct outlet *outlet = context;
	enum err e = OK;

	sha256_add(&outlet->hash, in.p, in.left);
	while (in.left && !e) {
		size_t room = PIECE - outlet->n, n = in.left < room ? in.left : room;

		e = aead_put(outlet->aead, slice_of(in.p, n), outlet->piece + outlet->n);
		in = slice_of(in.p + n, in.left - n);
		outlet->n += n;
		if (!e && outlet->n == PIECE)
			e = flush(outlet);
	}
	return e;
}

struct payload {
	struct slice certificate;
	const struct seal_part *parts;
	size_t n;
};

static enum err write_file(int fd, const uint8_t *day_key, const uint8_t header[HEADER],
			   const struct payload *payload, uint8_t digest[SHA256_SIZE])
{
	CLEANUP(outlet) struct outlet *outlet = calloc(1, sizeof *outlet);
	struct seal_sink sink = { put, outlet };
	uint8_t tag[AEAD_TAG];
	enum err e;

	if (!outlet)
		return failed(ERR_MEMORY, "sealing");
	outlet->fd = fd;
	sha256_init(&outlet->hash);
	if ((e = begin(true, day_key, header, &outlet->aead)) ||
	    (e = io_write_all(fd, slice_of(header, HEADER))) ||
	    (e = seal_write(payload->certificate, (int64_t)(io_realtime_us() / 1000000),
			    payload->parts, payload->n, &sink)) ||
	    (e = flush(outlet)) || (e = aead_tag(outlet->aead, tag)) ||
	    (e = io_write_all(fd, SLICE(tag))))
		return e;
	sha256_end(&outlet->hash, digest);
	return fsync(fd) ? failed(ERR_IO, "a sealed payload: %m") : OK;
}

static enum err put_in(int dir, const struct ring_period *period, const uint8_t *day_key,
		       const uint8_t cti[SEALS_CTI], const struct payload *payload,
		       uint8_t digest[SHA256_SIZE], uint64_t *bytes)
{
	uint8_t header[HEADER];
	char name[NAME];
	struct stat status;
	enum err e = make_header(period, cti, header);

	if (e)
		return e;
	hex_put(name, cti, SEALS_CTI);
	CLEANUP(fd)
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return failed(ERR_IO, "a sealed payload: %m");
	if (!(e = write_file(fd, day_key, header, payload, digest)))
		e = io_sync_dir(dir);
	if (e)
		unlinkat(dir, name, 0);
	else if (!fstat(fd, &status))
		*bytes = (uint64_t)status.st_size;
	return e;
}

static enum err check_size(const struct state *state, const struct seal_part *parts, size_t n)
{
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += parts[i].data.left;
	return bytes <= SEALS_PAYLOAD_MAX
		       ? state_room(state, STATE_SEALED, bytes)
		       : failed(ERR_LIMIT, "a payload of %zu bytes, at most %zu can be sealed",
				bytes, SEALS_PAYLOAD_MAX);
}

enum err seals_put(struct seals *seals, const char *serial, const uint8_t cti[SEALS_CTI],
		   struct slice certificate, uint32_t days, const struct seal_part *parts, size_t n,
		   uint8_t digest[SHA256_SIZE])
{
	const struct payload payload = { certificate, parts, n };
	struct seals_partition *p;
	struct ring_period period;
	const uint8_t *key;
	CLEANUP(fd) int dir = -1;
	uint64_t bytes = 0;
	enum err e;

	if ((e = check_size(seals->state, parts, n)) || (e = find_partition(seals, serial, &p)) ||
	    (e = ring_hold(&p->ring, seals_today(), days, &period, &key)))
		return e;
	if (!(e = open_period(&p->ring, &period, true, &dir)))
		e = put_in(dir, &period, key, cti, &payload, digest, &bytes);
	ring_release(&p->ring);
	add_bytes(p, bytes);
	return e;
}

/* ---- reading ---- */

static enum err find_file(const struct ring *ring, const char *name, struct ring_period *period,
			  int *out)
{
	for (size_t i = ring->now.n; i-- > 0;) {
		CLEANUP(fd) int dir = -1;

		*period = ring->now.periods[i];
		if (open_period(ring, period, false, &dir))
			continue;
		*out = openat(dir, name, IO_READ);
		if (*out >= 0)
			return OK;
		if (errno != ENOENT)
			return failed(ERR_IO, "a sealed payload: %m");
	}
	return failed(ERR_NOT_FOUND,
		      "there is no sealed payload of this proof, or it was shredded");
}

static enum err open_file(struct ring *ring, int fd, const struct ring_period *period,
			  const uint8_t cti[SEALS_CTI], struct buf *cms)
{
	CLEANUP(secret) struct secret key = { 0 };
	CLEANUP(aead) struct aead *aead = NULL;
	enum err e;

	if ((e = ring_key(ring, period, &key)) || (e = io_read_all(fd, FILE_MAX, cms)))
		return e;
	if (cms->len < HEADER + AEAD_TAG || memcmp(cms->data, MAGIC, sizeof MAGIC) ||
	    memcmp(cms->data + 16, cti, SEALS_CTI))
		return failed(ERR_FORMAT, "this sealed payload was cut, or is of another proof");
	size_t n = cms->len - HEADER - AEAD_TAG;
	uint8_t *text = cms->data + HEADER;
	if ((e = begin(false, key.p, cms->data, &aead)) ||
	    (e = aead_put(aead, slice_of(text, n), text)) || (e = aead_check(aead, text + n)))
		return failed(e, "this sealed payload: %s", err_reason());
	memmove(cms->data, text, n);
	cms->len = n;
	return OK;
}

enum err seals_get(struct seals *seals, const char *serial, const uint8_t cti[SEALS_CTI],
		   struct buf *cms)
{
	CLEANUP(fd) int fd = -1;
	struct ring_period period;
	struct ring *ring;
	char name[NAME];
	bool there;
	enum err e;

	if ((e = seals_ring(seals, serial, &ring)) || (e = ring_look(ring, &there)))
		return e;
	hex_put(name, cti, SEALS_CTI);
	ring_hold_periods(ring);
	e = find_file(ring, name, &period, &fd);
	ring_release(ring);
	if (!e)
		e = open_file(ring, fd, &period, cti, cms);
	if (e)
		buf_reset(cms);
	return e;
}

/* ---- days that are over ---- */

struct age {
	uint32_t today, days;
};

static bool is_old(void *context, const struct ring_period *period)
{
	const struct age *age = context;
	uint32_t days = age->days ? age->days : period->days;

	return days && (uint64_t)period->day + days < age->today;
}

static bool any_old(struct ring *ring, struct age *age)
{
	bool any = false;

	ring_hold_periods(ring);
	for (size_t i = 0; i < ring->now.n && !any; i++)
		any = is_old(age, &ring->now.periods[i]);
	ring_release(ring);
	return any;
}

enum err seals_expire(struct seals *seals, const char *serial, uint32_t today, uint32_t days)
{
	struct age age = { today, days };
	struct ring *ring;
	bool there;
	size_t n;
	enum err e;

	if ((e = seals_ring(seals, serial, &ring)) || (e = ring_look(ring, &there)))
		return e;
	return there && any_old(ring, &age)
		       ? ring_shred(ring, is_old, &age, false, "their time was over", &n)
		       : OK;
}

/* ---- files that nobody can read any more ---- */

static bool has_period(const struct ring *ring, const char *name)
{
	char known[RING_PERIOD_NAME];

	for (size_t i = 0; i < ring->now.n; i++) {
		ring_period_name(&ring->now.periods[i], known);
		if (!strcmp(known, name))
			return true;
	}
	return false;
}

struct sweep {
	struct seals_partition *partition;
	size_t left, strange;
	char first[256]; /* of what is strange */
};

static void pass_over(struct sweep *sweep, const char *name, const char *why)
{
	if (!sweep->strange++)
		snprintf(sweep->first, sizeof sweep->first, "%s: %s", name, why);
}

static bool remove_locked(struct seals_partition *p, int dir, const char *name)
{
	struct stat status = { 0 };
	uint64_t bytes = 0;

	if (!fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) && S_ISREG(status.st_mode))
		bytes = (uint64_t)status.st_size;
	if (unlinkat(dir, name, 0))
		return false;
	p->bytes -= bytes < p->bytes ? bytes : p->bytes;
	return true;
}

/* ERR_LIMIT: enough for now. */
static enum err sweep_file(void *context, int dir, const char *name)
{
	struct sweep *sweep = context;

	if (!sweep->left)
		return failed(ERR_LIMIT, "more is left to remove");
	pthread_mutex_lock(&sweep->partition->lock);
	bool removed = remove_locked(sweep->partition, dir, name);
	pthread_mutex_unlock(&sweep->partition->lock);
	if (removed)
		sweep->left--;
	else
		pass_over(sweep, name, strerror(errno));
	return OK;
}

static enum err sweep_period(void *context, int dir, const char *name)
{
	struct sweep *sweep = context;
	CLEANUP(fd) int period = -1;
	enum err e;

	if (has_period(&sweep->partition->ring, name))
		return OK;
	if (!is_period(name) || io_open_dir(dir, name, false, &period)) {
		pass_over(sweep, name, is_period(name) ? strerror(errno) : "no day's name");
		return OK;
	}
	if ((e = each_name(period, sweep_file, sweep)))
		return e;
	/* What was passed over is in it still. */
	if (unlinkat(dir, name, AT_REMOVEDIR) && errno != ENOTEMPTY)
		pass_over(sweep, name, strerror(errno));
	return OK;
}

static void warn(struct sweep *sweep, const char *serial)
{
	struct seals_partition *p = sweep->partition;

	if (sweep->strange && sweep->strange != p->strange)
		log_warning("sealed payloads of partition %s: %zu names are not of this daemon, or "
			    "can't be removed, and are passed over; the first is %s",
			    serial, sweep->strange, sweep->first);
	p->strange = sweep->strange;
}

enum err seals_sweep(struct seals *seals, const char *serial, size_t most)
{
	struct sweep sweep = { .left = most };
	CLEANUP(fd) int dir = -1;
	enum err e = find_partition(seals, serial, &sweep.partition);

	if (e)
		return e;
	struct ring *ring = &sweep.partition->ring;
	ring_hold_periods(ring);
	/* Only what the record says is known to be gone. */
	if (ring->now.open && !(e = open_partition(ring, false, &dir)))
		e = each_name(dir, sweep_period, &sweep);
	ring_release(ring);
	if (!e)
		warn(&sweep, serial);
	return e == ERR_NOT_FOUND || e == ERR_LIMIT ? OK : e;
}
