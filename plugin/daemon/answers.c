#include "plugin/daemon/answers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/proof.h"
#include "config/base/cbor.h"
#include "config/base/io.h"
#include "plugin/daemon/aead.h"

#define MAGIC "assay-answer-1"
#define HEADER 80
#define AT_NAME 16
#define AT_RING 48
#define AT_IV 56
#define AT_MADE 68
#define AT_KIND 76
#define FILE_MAX (((size_t)512 << 20) + ((size_t)8 << 20)) /* output and messages, and the rest */
#define FOLDER (2 * WIRE_SERIAL_MAX + 24)
#define NAME (2 * ANSWER_NAME + 8) /* with ".proof" */
#define WAIT_MS 100
#define GRACE_SECONDS 60 /* a file is too old by its own word before it is by its inode's */
#define ITEMS 12
#define BLOCK 4096

enum kind { KIND_RUN = 1, KIND_PROOF = 2 };

void answer_free(struct answer *answer)
{
	struct buf *files[] = { &answer->run_file, &answer->proof_file };

	for (size_t i = 0; i < 2; i++) {
		if (files[i]->data)
			secret_wipe(files[i]->data, files[i]->cap);
		buf_free(files[i]);
	}
}

void answers_init(struct answers *answers, struct state *state, struct seals *seals,
		  uint64_t ttl_seconds, uint64_t quota)
{
	pthread_condattr_t attributes;

	*answers = (struct answers){
		.state = state, .seals = seals, .ttl_seconds = ttl_seconds, .quota = quota
	};
	pthread_mutex_init(&answers->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&answers->released, &attributes);
	pthread_condattr_destroy(&attributes);
}

/* ---- claims ---- */

static enum err make_name(const struct answers *answers, const struct partition *p,
			  enum wire_role role, struct slice id, uint8_t name[ANSWER_NAME])
{
	CLEANUP(buf) struct buf text = BUF_INIT;

	cbor_put_array(&text, 5);
	cbor_put_text(&text, "name");
	cbor_put_text(&text, p->serial);
	cbor_put_uint(&text, p->generation);
	cbor_put_uint(&text, role);
	cbor_put_bytes(&text, id);
	enum err e = buf_check(&text);
	return e ? e : state_keyed_hash(answers->state, buf_slice(&text), name);
}

static bool claimed_locked(const struct answers *answers, const uint8_t name[ANSWER_NAME])
{
	for (const struct answer_claim *c = answers->claims; c; c = c->next)
		if (!memcmp(c->name, name, ANSWER_NAME))
			return true;
	return false;
}

enum err answers_claim(struct answers *answers, struct partition *partition, enum wire_role role,
		       struct slice id, answers_still *still, void *context,
		       struct answer_claim *claim)
{
	enum err e = make_name(answers, partition, role, id, claim->name);

	if (e)
		return e;
	pthread_mutex_lock(&answers->lock);
	while (!e && claimed_locked(answers, claim->name)) {
		struct timespec until = io_timespec(io_monotonic_ms() + WAIT_MS);

		pthread_cond_timedwait(&answers->released, &answers->lock, &until);
		e = still(context);
	}
	if (!e) {
		claim->answers = answers;
		claim->partition = partition;
		claim->next = answers->claims;
		answers->claims = claim;
	}
	pthread_mutex_unlock(&answers->lock);
	return e;
}

void answers_release(struct answer_claim *claim)
{
	struct answers *answers = claim->answers;

	if (!claim->partition)
		return;
	pthread_mutex_lock(&answers->lock);
	for (struct answer_claim **at = &answers->claims; *at; at = &(*at)->next)
		if (*at == claim) {
			*at = claim->next;
			break;
		}
	claim->partition = NULL;
	pthread_cond_broadcast(&answers->released);
	pthread_mutex_unlock(&answers->lock);
}

/* ---- files ---- */

static void folder_name(const struct partition *p, char name[FOLDER])
{
	char serial[2 * WIRE_SERIAL_MAX + 1];

	hex_put(serial, p->serial, strlen(p->serial));
	snprintf(name, FOLDER, "%s-%llu", serial, (unsigned long long)p->generation);
}

static void file_name(const struct answer_claim *claim, enum kind kind, char name[NAME])
{
	hex_put(name, claim->name, ANSWER_NAME);
	if (kind == KIND_PROOF)
		strcat(name, ".proof");
}

static enum err open_top(const struct answers *answers, int *out)
{
	CLEANUP(fd) int state = -1;
	enum err e = io_open_dir(AT_FDCWD, state_path(answers->state), false, &state);

	return e ? e : io_open_dir(state, STATE_REQUESTS, false, out);
}

static enum err open_folder(const struct answers *answers, const struct partition *p, bool make,
			    int *out)
{
	CLEANUP(fd) int top = -1;
	char name[FOLDER];
	enum err e = open_top(answers, &top);

	folder_name(p, name);
	if (e || !(e = io_open_dir(top, name, false, out)) || e != ERR_NOT_FOUND || !make)
		return e;
	return (e = io_open_dir(top, name, true, out)) ? e : io_sync_dir(top);
}

static uint64_t on_disk(uint64_t bytes)
{
	return (bytes + BLOCK - 1) / BLOCK * BLOCK;
}

enum err answers_ready(struct answers *answers, const struct answer_claim *claim)
{
	pthread_mutex_lock(&answers->lock);
	bool full = claim->partition->answered >= answers->quota;
	pthread_mutex_unlock(&answers->lock);
	if (full)
		return failed(ERR_LIMIT,
			      "answers to requests with an id have used up their %llu "
			      "bytes; they are kept for %llu seconds",
			      (unsigned long long)answers->quota,
			      (unsigned long long)answers->ttl_seconds);
	return state_room(answers->state, STATE_REQUESTS, 0);
}

static enum err cipher(bool seal, const uint8_t *day_key, const uint8_t header[HEADER],
		       struct slice in, uint8_t *out, struct aead **aead)
{
	CLEANUP(secret) struct secret key = { 0 };
	enum err e = secret_new(&key, AEAD_KEY);

	if (e || (e = proof_commit(day_key, slice_of(header, HEADER), key.p)) ||
	    (e = aead_begin(seal, key.p, header + AT_IV, slice_of(header, HEADER), aead)))
		return e;
	return aead_put(*aead, in, out);
}

static enum err make_header(const struct answer_claim *claim, enum kind kind,
			    const struct ring_period *period, uint8_t header[HEADER])
{
	memset(header, 0, HEADER);
	memcpy(header, MAGIC, sizeof MAGIC);
	memcpy(header + AT_NAME, claim->name, ANSWER_NAME);
	memcpy(header + AT_RING, period->id, RING_ID);
	set_u64(header + AT_MADE, io_realtime_us() / 1000000);
	set_u32(header + AT_KIND, kind);
	return io_random(header + AT_IV, AEAD_IV);
}

/* @file: room for the header, and the text, which is encrypted where it lies. */
static enum err encrypt(const struct answer_claim *claim, enum kind kind,
			const struct ring_period *period, const uint8_t *day_key, struct buf *file)
{
	CLEANUP(aead) struct aead *aead = NULL;
	uint8_t tag[AEAD_TAG];
	enum err e = make_header(claim, kind, period, file->data);

	if (e ||
	    (e = cipher(true, day_key, file->data,
			slice_of(file->data + HEADER, file->len - HEADER), file->data + HEADER,
			&aead)) ||
	    (e = aead_tag(aead, tag)))
		return e;
	buf_put(file, tag, sizeof tag);
	return buf_check(file);
}

static enum err put_file(struct answers *answers, const struct answer_claim *claim, enum kind kind,
			 uint32_t days, struct buf *file)
{
	CLEANUP(fd) int folder = -1;
	struct ring_period period;
	const uint8_t *day_key;
	struct ring *ring;
	char name[NAME];
	enum err e;

	if ((e = buf_check(file)) || (e = state_room(answers->state, STATE_REQUESTS, file->len)) ||
	    (e = open_folder(answers, claim->partition, true, &folder)) ||
	    (e = seals_ring(answers->seals, claim->partition->serial, &ring)) ||
	    (e = ring_hold(ring, seals_today(), days, &period, &day_key)))
		return e;
	/* A proof that is still there is of a run before this one, whose time was over. */
	file_name(claim, KIND_PROOF, name);
	if (kind == KIND_RUN)
		unlinkat(folder, name, 0);
	file_name(claim, kind, name);
	if (!(e = encrypt(claim, kind, &period, day_key, file)))
		e = io_replace_file(folder, name, 0600, buf_slice(file));
	ring_release(ring);
	if (e)
		return e;
	pthread_mutex_lock(&answers->lock);
	claim->partition->answered += on_disk(file->len);
	pthread_mutex_unlock(&answers->lock);
	return OK;
}

static enum err find_key(struct answers *answers, const char *serial, const uint8_t id[RING_ID],
			 struct secret *key)
{
	struct ring_period period = { 0 };
	struct ring *ring;
	bool there;
	enum err e;

	if ((e = seals_ring(answers->seals, serial, &ring)) || (e = ring_look(ring, &there)))
		return e;
	memcpy(period.id, id, RING_ID);
	ring_hold_periods(ring);
	e = there ? ring_key(ring, &period, key) : failed(ERR_NOT_FOUND, "it was shredded");
	ring_release(ring);
	return e;
}

static enum err check_header(const struct answer_claim *claim, enum kind kind,
			     const struct buf *file)
{
	if (file->len < HEADER + AEAD_TAG || memcmp(file->data, MAGIC, sizeof MAGIC) ||
	    memcmp(file->data + AT_NAME, claim->name, ANSWER_NAME) ||
	    get_u32(file->data + AT_KIND) != kind)
		return failed(ERR_FORMAT, "the file was cut, or is of another request");
	return OK;
}

/* ERR_NOT_FOUND says that there is no such file, and nothing else does. */
static enum err get_file(struct answers *answers, const struct answer_claim *claim, enum kind kind,
			 struct buf *file, struct slice *text)
{
	CLEANUP(fd) int folder = -1, fd = -1;
	CLEANUP(secret) struct secret key = { 0 };
	CLEANUP(aead) struct aead *aead = NULL;
	char name[NAME];
	enum err e = open_folder(answers, claim->partition, false, &folder);

	if (e)
		return e;
	file_name(claim, kind, name);
	fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return failed(errno == ENOENT ? ERR_NOT_FOUND : ERR_STATE, "%s: %m", name);
	if ((e = io_read_all(fd, FILE_MAX, file)) || (e = check_header(claim, kind, file)) ||
	    (e = find_key(answers, claim->partition->serial, file->data + AT_RING, &key)))
		return failed(ERR_STATE, "%s", err_reason());
	uint8_t *p = file->data + HEADER;
	size_t n = file->len - HEADER - AEAD_TAG;
	*text = slice_of(p, n);
	if ((e = cipher(false, key.p, file->data, *text, p, &aead)) ||
	    (e = aead_check(aead, p + n)))
		return failed(ERR_STATE, "%s", err_reason());
	return OK;
}

/* ---- what is in them ---- */

/* Memory for all of it at once: growing would leave copies of the keys behind. */
static bool begin_text(struct buf *file, size_t bytes)
{
	file->max = FILE_MAX + HEADER;
	if (!buf_add(file, HEADER + bytes + 4096))
		return false;
	file->len = HEADER;
	return true;
}

enum err answers_put_run(struct answers *answers, const struct answer_claim *claim, uint32_t days,
			 const struct answer *a)
{
	const struct slice parts[] = { a->reason,      a->cancelled, a->keys,    a->tcb_leaf,
				       a->tcb_receipt, a->output,    a->messages };
	CLEANUP(buf) struct buf file = BUF_INIT;
	size_t bytes = 0;

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		bytes += parts[i].left;
	if (!begin_text(&file, bytes))
		return buf_check(&file);
	cbor_put_array(&file, ITEMS);
	cbor_put_bytes(&file, SLICE(a->cti));
	cbor_put_uint(&file, a->from);
	cbor_put_uint(&file, a->operation);
	cbor_put_bytes(&file, slice_of(a->bound, sizeof a->bound));
	cbor_put_uint(&file, a->end);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		cbor_put_bytes(&file, parts[i]);
	enum err e = put_file(answers, claim, KIND_RUN, days, &file);
	secret_wipe(file.data, file.cap);
	return e;
}

enum err answers_put_proof(struct answers *answers, const struct answer_claim *claim, uint32_t days,
			   const struct answer *a)
{
	CLEANUP(buf) struct buf file = BUF_INIT;

	if (!begin_text(&file, a->proof.left + a->compact.left))
		return buf_check(&file);
	cbor_put_array(&file, 3);
	cbor_put_bytes(&file, SLICE(a->cti));
	cbor_put_bytes(&file, a->proof);
	cbor_put_bytes(&file, a->compact);
	return put_file(answers, claim, KIND_PROOF, days, &file);
}

static enum err take_run(struct slice in, struct answer *a)
{
	struct slice *const parts[] = { &a->reason,      &a->cancelled, &a->keys,    &a->tcb_leaf,
					&a->tcb_receipt, &a->output,    &a->messages };
	uint64_t end;
	size_t items;

	if (cbor_take_array(&in, ITEMS, &items) || items != ITEMS ||
	    cbor_take_fixed(&in, a->cti, sizeof a->cti) || cbor_take_uint(&in, &a->from) ||
	    cbor_take_uint(&in, &a->operation) || cbor_take_fixed(&in, a->bound, sizeof a->bound) ||
	    cbor_take_uint(&in, &end) || end >= ERR_COUNT)
		return failed(ERR_STATE, "what was kept of the request makes no sense");
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (cbor_take_bytes(&in, FILE_MAX, parts[i]))
			return failed(ERR_STATE, "what was kept of the request makes no sense");
	a->end = (enum err)end;
	return OK;
}

/* A proof of an earlier run of the same name is none of this one. */
static enum err take_proof(struct slice in, struct answer *a)
{
	uint8_t cti[ANSWER_CTI];
	struct slice proof, compact;
	size_t items;

	if (cbor_take_array(&in, 3, &items) || items != 3 ||
	    cbor_take_fixed(&in, cti, sizeof cti) || cbor_take_bytes(&in, PROOF_MAX, &proof) ||
	    cbor_take_bytes(&in, COMPACT_MAX, &compact))
		return failed(ERR_STATE, "what was kept of the proof makes no sense");
	if (memcmp(cti, a->cti, sizeof cti))
		return OK;
	a->proof = proof;
	a->compact = compact;
	return OK;
}

static bool is_over(const struct answers *answers, const struct buf *file)
{
	uint64_t made = get_u64(file->data + AT_MADE), now = io_realtime_us() / 1000000;

	return now > made && now - made > answers->ttl_seconds;
}

enum err answers_get(struct answers *answers, const struct answer_claim *claim, struct answer *out)
{
	struct slice text;
	enum err e = get_file(answers, claim, KIND_RUN, &out->run_file, &text);

	if (e || (e = take_run(text, out)))
		return e;
	if (is_over(answers, &out->run_file))
		return (e = answers_drop(answers, claim)) ? e
							  : failed(ERR_NOT_FOUND, "it is too old");
	e = get_file(answers, claim, KIND_PROOF, &out->proof_file, &text);
	if (e == ERR_NOT_FOUND)
		return OK;
	return e ? e : take_proof(text, out);
}

enum err answers_drop(struct answers *answers, const struct answer_claim *claim)
{
	CLEANUP(fd) int folder = -1;
	enum err e = open_folder(answers, claim->partition, false, &folder);

	for (enum kind kind = KIND_RUN; !e && kind <= KIND_PROOF; kind++) {
		char name[NAME];

		file_name(claim, kind, name);
		if (unlinkat(folder, name, 0) && errno != ENOENT)
			e = failed(ERR_IO, "%s: %m", name);
	}
	return e ? e : io_sync_dir(folder);
}

/* ---- folders ---- */

typedef enum err visit(void *context, int folder, const char *name);

static enum err each_name(int folder, visit *call, void *context)
{
	int own = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = own < 0 ? NULL : fdopendir(own);
	enum err e = OK;

	if (!list) {
		fd_cleanup(&own);
		return failed(ERR_IO, "answers to requests: %m");
	}
	for (struct dirent *d; !e && (d = readdir(list));)
		if (strcmp(d->d_name, ".") && strcmp(d->d_name, ".."))
			e = call(context, folder, d->d_name);
	closedir(list);
	return e;
}

struct walk {
	struct answers *answers;
	struct partition *partition;
	answers_visit *call;
	void *context;
	uint64_t bytes;
};

static enum err see_open(void *context, int folder, const char *name)
{
	struct answer_claim claim = { 0 };
	struct walk *walk = context;
	char other[NAME];

	if (hex_take(name, claim.name, ANSWER_NAME))
		return OK;
	claim.partition = walk->partition;
	file_name(&claim, KIND_PROOF, other);
	return faccessat(folder, other, F_OK, AT_SYMLINK_NOFOLLOW)
		       ? walk->call(walk->context, &claim)
		       : OK;
}

enum err answers_each_open(struct answers *answers, struct partition *partition,
			   answers_visit *call, void *context)
{
	struct walk walk = { answers, partition, call, context, 0 };
	CLEANUP(fd) int folder = -1;
	enum err e = open_folder(answers, partition, false, &folder);

	return e == ERR_NOT_FOUND ? OK : e ? e : each_name(folder, see_open, &walk);
}

/* Under the lock, so that nobody puts a new file in the place of an old one that goes. */
static enum err sweep_locked(struct walk *walk, int folder, const char *name)
{
	uint64_t now = io_realtime_us() / 1000000, age, most = GRACE_SECONDS;
	uint8_t raw[ANSWER_NAME];
	char text[2 * ANSWER_NAME + 1];
	struct stat status;

	snprintf(text, sizeof text, "%.*s", 2 * ANSWER_NAME, name);
	bool known = !hex_take(text, raw, ANSWER_NAME);
	if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW))
		return OK;
	/* What has no such name is left of a crash. */
	if (known)
		most += walk->answers->ttl_seconds;
	age = (int64_t)now > status.st_mtime ? now - (uint64_t)status.st_mtime : 0;
	if (age <= most || (known && claimed_locked(walk->answers, raw))) {
		walk->bytes += on_disk((uint64_t)status.st_size);
		return OK;
	}
	return unlinkat(folder, name, 0) ? failed(ERR_IO, "%s: %m", name) : OK;
}

static enum err sweep_one(void *context, int folder, const char *name)
{
	struct walk *walk = context;

	pthread_mutex_lock(&walk->answers->lock);
	enum err e = sweep_locked(walk, folder, name);
	pthread_mutex_unlock(&walk->answers->lock);
	return e;
}

enum err answers_sweep(struct answers *answers, struct partition *partition)
{
	struct walk walk = { .answers = answers, .partition = partition };
	CLEANUP(fd) int folder = -1;
	enum err e = open_folder(answers, partition, false, &folder);

	if (e || (e = each_name(folder, sweep_one, &walk)))
		return e == ERR_NOT_FOUND ? OK : e;
	pthread_mutex_lock(&answers->lock);
	partition->answered = walk.bytes;
	pthread_mutex_unlock(&answers->lock);
	return OK;
}

static enum err unlink_one(void *context, int folder, const char *name)
{
	(void)context;
	return unlinkat(folder, name, 0) ? failed(ERR_IO, "%s: %m", name) : OK;
}

struct clearing {
	struct partitions *partitions;
	const char *name;
	bool used;
};

static enum err compare(void *context, struct partition *p)
{
	struct clearing *clearing = context;
	char name[FOLDER];

	folder_name(p, name);
	clearing->used |= !strcmp(name, clearing->name);
	return OK;
}

static enum err clear_one(void *context, int top, const char *name)
{
	struct clearing clearing = { .partitions = context, .name = name };
	CLEANUP(fd) int folder = -1;
	enum err e = partitions_each(context, compare, &clearing);

	if (e || clearing.used)
		return e;
	if ((e = io_open_dir(top, name, false, &folder)) ||
	    (e = each_name(folder, unlink_one, NULL)))
		return e;
	return unlinkat(top, name, AT_REMOVEDIR) ? failed(ERR_IO, "%s: %m", name) : OK;
}

enum err answers_clear(struct answers *answers, struct partitions *partitions)
{
	CLEANUP(fd) int top = -1;
	enum err e = open_top(answers, &top);

	return e ? e : each_name(top, clear_one, partitions);
}
