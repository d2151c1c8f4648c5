#include "plugin/daemon/answer_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "audit/proof.h"
#include "config/base/io.h"
#include "plugin/daemon/aead.h"

#define MAGIC "assay-answer-1"
#define AT_NAME 16
#define AT_RING 48
#define AT_IV 56
#define AT_MADE 68
#define AT_KIND 76
#define BLOCK 4096

void answer_folder_name(const struct partition *p, char name[ANSWER_FOLDER_NAME])
{
	char serial[2 * WIRE_SERIAL_MAX + 1];

	hex_put(serial, p->serial, strlen(p->serial));
	snprintf(name, ANSWER_FOLDER_NAME, "%s-%llu", serial, (unsigned long long)p->generation);
}

void answer_file_name(const struct answer_claim *claim, enum answer_kind kind,
		      char name[ANSWER_FILE_NAME])
{
	hex_put(name, claim->name, ANSWER_NAME);
	if (kind == ANSWER_PROOF)
		strcat(name, ".proof");
}

enum err answer_open_top(const struct answers *answers, int *out)
{
	CLEANUP(fd) int state = -1;
	enum err e = io_open_dir(AT_FDCWD, state_path(answers->state), false, &state);

	return e ? e : io_open_dir(state, STATE_REQUESTS, false, out);
}

enum err answer_open_folder(const struct answers *answers, const struct partition *p, bool make,
			    int *out)
{
	CLEANUP(fd) int top = -1;
	char name[ANSWER_FOLDER_NAME];
	enum err e = answer_open_top(answers, &top);

	answer_folder_name(p, name);
	if (e || !(e = io_open_dir(top, name, false, out)) || e != ERR_NOT_FOUND || !make)
		return e;
	return (e = io_open_dir(top, name, true, out)) ? e : io_sync_dir(top);
}

uint64_t answer_on_disk(uint64_t bytes)
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

static enum err cipher(bool seal, const uint8_t *day_key, const uint8_t header[ANSWER_HEADER],
		       struct slice in, uint8_t *out, struct aead **aead)
{
	CLEANUP(secret) struct secret key = { 0 };
	enum err e = secret_new(&key, AEAD_KEY);

	if (e || (e = proof_commit(day_key, slice_of(header, ANSWER_HEADER), key.p)) ||
	    (e = aead_begin(seal, key.p, header + AT_IV, slice_of(header, ANSWER_HEADER), aead)))
		return e;
	return aead_put(*aead, in, out);
}

static enum err make_header(const struct answer_claim *claim, enum answer_kind kind,
			    const struct ring_period *period, uint8_t header[ANSWER_HEADER])
{
	memset(header, 0, ANSWER_HEADER);
	memcpy(header, MAGIC, sizeof MAGIC);
	memcpy(header + AT_NAME, claim->name, ANSWER_NAME);
	memcpy(header + AT_RING, period->id, RING_ID);
	set_u64(header + AT_MADE, io_realtime_us() / 1000000);
	set_u32(header + AT_KIND, kind);
	return io_random(header + AT_IV, AEAD_IV);
}

/* @file: room for the header, and the text, which is encrypted where it lies. */
static enum err encrypt(const struct answer_claim *claim, enum answer_kind kind,
			const struct ring_period *period, const uint8_t *day_key, struct buf *file)
{
	CLEANUP(aead) struct aead *aead = NULL;
	uint8_t tag[AEAD_TAG];
	enum err e = make_header(claim, kind, period, file->data);

	if (e ||
	    (e = cipher(true, day_key, file->data,
			slice_of(file->data + ANSWER_HEADER, file->len - ANSWER_HEADER),
			file->data + ANSWER_HEADER, &aead)) ||
	    (e = aead_tag(aead, tag)))
		return e;
	buf_put(file, tag, sizeof tag);
	return buf_check(file);
}

enum err answer_put_file(struct answers *answers, const struct answer_claim *claim,
			 enum answer_kind kind, uint32_t days, struct buf *file)
{
	CLEANUP(fd) int folder = -1;
	struct ring_period period;
	const uint8_t *day_key;
	struct ring *ring;
	char name[ANSWER_FILE_NAME];
	enum err e;

	if ((e = buf_check(file)) || (e = state_room(answers->state, STATE_REQUESTS, file->len)) ||
	    (e = answer_open_folder(answers, claim->partition, true, &folder)) ||
	    (e = seals_ring(answers->seals, claim->partition->serial, &ring)) ||
	    (e = ring_hold(ring, seals_today(), days, &period, &day_key)))
		return e;
	/* A proof that is still there is of a run before this one, whose time was over. */
	answer_file_name(claim, ANSWER_PROOF, name);
	if (kind == ANSWER_RUN)
		unlinkat(folder, name, 0);
	answer_file_name(claim, kind, name);
	if (!(e = encrypt(claim, kind, &period, day_key, file)))
		e = io_replace_file(folder, name, 0600, buf_slice(file));
	ring_release(ring);
	if (e)
		return e;
	pthread_mutex_lock(&answers->lock);
	claim->partition->answered += answer_on_disk(file->len);
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
	return there ? ring_key(ring, &period, key) : failed(ERR_NOT_FOUND, "it was shredded");
}

static enum err check_header(const struct answer_claim *claim, enum answer_kind kind,
			     const struct buf *file)
{
	if (file->len < ANSWER_HEADER + AEAD_TAG || memcmp(file->data, MAGIC, sizeof MAGIC) ||
	    memcmp(file->data + AT_NAME, claim->name, ANSWER_NAME) ||
	    get_u32(file->data + AT_KIND) != kind)
		return failed(ERR_FORMAT, "the file was cut, or is of another request");
	return OK;
}

/* ERR_NOT_FOUND says that there is no such file, and nothing else does. */
enum err answer_get_file(struct answers *answers, const struct answer_claim *claim,
			 enum answer_kind kind, struct buf *file, struct slice *text)
{
	CLEANUP(fd) int folder = -1, fd = -1;
	CLEANUP(secret) struct secret key = { 0 };
	CLEANUP(aead) struct aead *aead = NULL;
	char name[ANSWER_FILE_NAME];
	enum err e = answer_open_folder(answers, claim->partition, false, &folder);

	if (e)
		return e;
	answer_file_name(claim, kind, name);
	fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return failed(errno == ENOENT ? ERR_NOT_FOUND : ERR_STATE, "%s: %m", name);
	if ((e = io_read_all(fd, ANSWER_FILE_MAX, file)) || (e = check_header(claim, kind, file)) ||
	    (e = find_key(answers, claim->partition->serial, file->data + AT_RING, &key)))
		return failed(ERR_STATE, "%s", err_reason());
	uint8_t *p = file->data + ANSWER_HEADER;
	size_t n = file->len - ANSWER_HEADER - AEAD_TAG;
	*text = slice_of(p, n);
	if ((e = cipher(false, key.p, file->data, *text, p, &aead)) ||
	    (e = aead_check(aead, p + n)))
		return failed(ERR_STATE, "%s", err_reason());
	return OK;
}

uint64_t answer_made(const struct buf *file)
{
	return get_u64(file->data + AT_MADE);
}

enum err answers_drop(struct answers *answers, const struct answer_claim *claim)
{
	CLEANUP(fd) int folder = -1;
	enum err e = answer_open_folder(answers, claim->partition, false, &folder);

	for (enum answer_kind kind = ANSWER_RUN; !e && kind <= ANSWER_PROOF; kind++) {
		char name[ANSWER_FILE_NAME];

		answer_file_name(claim, kind, name);
		if (unlinkat(folder, name, 0) && errno != ENOENT)
			e = failed(ERR_IO, "%s: %m", name);
	}
	return e ? e : io_sync_dir(folder);
}
