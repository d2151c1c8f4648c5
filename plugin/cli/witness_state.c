#include "plugin/cli/witness_state.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/base/harden.h"
#include "config/base/io.h"
#include "config/base/log.h"

#define ORIGIN_HASH (2 * SHA256_SIZE)

static const char logs_text[] =
	"# The logs that this witness watches, a line each, as `assay witness log` prints it:\n"
	"# log VKEY\n";

struct witness {
	int dir, seen, lock;
	struct cosigner *key;
	struct trust *logs;
	pthread_mutex_t signing; /* from reading what was seen to having written it anew */
	bool broken;             /* a write failed: what is on disk is not known; under signing */
};

/* ---- making one ---- */

static enum err open_folder(const char *path, bool make, int *out)
{
	if (make && mkdir(path, 0700) && errno != EEXIST)
		return failed(ERR_IO, "%s: %m", path);
	*out = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *out < 0 ? failed(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %m", path) : OK;
}

/* The key is on disk before anybody hears of it, and never replaces another. */
static enum err write_key(int dir, const struct secret *text)
{
	CLEANUP(fd)
	int fd = openat(dir, "key", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	enum err e;

	if (fd < 0)
		return failed(errno == EEXIST ? ERR_EXISTS : ERR_IO, "key: %m");
	if ((e = io_write_all(fd, slice_of(text->p, text->len))) ||
	    (e = io_write_all(fd, slice_text("\n"))))
		return e;
	return fsync(fd) ? failed(ERR_IO, "fsync of key: %m") : io_sync_dir(dir);
}

enum err witness_make(const char *path, const char *name, struct vkey *key)
{
	CLEANUP(fd) int dir = -1;
	CLEANUP(secret) struct secret text = { 0 };
	CLEANUP(cosigner) struct cosigner *cosigner = NULL;
	enum err e;

	if ((e = harden_process()) || (e = cosigner_make(slice_text(name), &text)) ||
	    (e = cosigner_open(&text, &cosigner)) || (e = open_folder(path, true, &dir)) ||
	    (e = write_key(dir, &text)))
		return e;
	*key = *cosigner_vkey(cosigner);
	return faccessat(dir, "logs", F_OK, 0)
		       ? io_replace_file(dir, "logs", 0600, slice_text(logs_text))
		       : OK;
}

/* ---- opening ---- */

static enum err take_lock(struct witness *w)
{
	w->lock = openat(w->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (w->lock < 0)
		return failed(ERR_IO, "lock: %m");
	if (flock(w->lock, LOCK_EX | LOCK_NB))
		return failed(errno == EWOULDBLOCK ? ERR_STATE : ERR_IO,
			      "another process works there: %m");
	return OK;
}

static enum err read_key(struct witness *w, const char *path)
{
	CLEANUP(secret) struct secret text = { 0 };
	char name[4096];
	enum err e;

	if (snprintf(name, sizeof name, "%s/key", path) >= (int)sizeof name)
		return failed(ERR_RANGE, "a path that is too long");
	return (e = secret_from_file(&text, name)) ? e : cosigner_open(&text, &w->key);
}

static enum err read_logs(struct witness *w)
{
	CLEANUP(fd) int fd = openat(w->dir, "logs", O_RDONLY | O_CLOEXEC);
	CLEANUP(buf) struct buf text = BUF_INIT;
	enum err e;

	if (fd < 0)
		return failed(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "logs: %m");
	if ((e = io_read_all(fd, TRUST_MAX, &text)))
		return failed(e, "logs: %s", err_reason());
	return trust_read(buf_slice(&text), "logs", false, &w->logs);
}

enum err witness_open(const char *path, struct witness **out)
{
	CLEANUP(witness) struct witness *w = calloc(1, sizeof *w);
	enum err e;

	if (!w)
		return failed(ERR_MEMORY, "witness");
	w->dir = w->seen = w->lock = -1;
	pthread_mutex_init(&w->signing, NULL);
	if ((e = harden_process()) || (e = open_folder(path, false, &w->dir)))
		return e;
	if ((e = take_lock(w)) || (e = read_key(w, path)) || (e = read_logs(w)) ||
	    (e = io_open_dir(w->dir, "seen", true, &w->seen)) || (e = io_sync_dir(w->dir)) ||
	    (e = io_sync_dir(w->seen)))
		return failed(e, "%s: %s", path, err_reason());
	*out = STEAL(w);
	return OK;
}

const struct vkey *witness_key(const struct witness *w)
{
	return cosigner_vkey(w->key);
}

void witness_close(struct witness *w)
{
	if (!w)
		return;
	fd_cleanup(&w->dir);
	fd_cleanup(&w->seen);
	fd_cleanup(&w->lock);
	cosigner_free(w->key);
	trust_free(w->logs);
	pthread_mutex_destroy(&w->signing);
	free(w);
}

void witness_cleanup(struct witness **witness)
{
	witness_close(*witness);
	*witness = NULL;
}

/* ---- what was seen ---- */

static void hash_origin(struct slice origin, char name[ORIGIN_HASH + 1])
{
	uint8_t digest[SHA256_SIZE];

	sha256_once(origin, digest);
	hex_put(name, digest, sizeof digest);
}

enum err witness_newest(struct witness *w, const char *origin_hash, struct buf *note)
{
	CLEANUP(fd) int fd = -1;

	if (strlen(origin_hash) != ORIGIN_HASH ||
	    strspn(origin_hash, "0123456789abcdef") != ORIGIN_HASH)
		return failed(ERR_NOT_FOUND, "no checkpoint has this name");
	fd = openat(w->seen, origin_hash, IO_READ);
	if (fd < 0)
		return failed(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "seen/%s: %m", origin_hash);
	return io_read_all(fd, NOTE_MAX, note);
}

/* What is there must be this witness's own: a damaged file is no reason to begin anew. */
static enum err read_seen(struct witness *w, struct slice origin, struct witness_seen *seen)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	char name[ORIGIN_HASH + 1];
	struct note note;
	enum err e;

	*seen = (struct witness_seen){ 0 };
	hash_origin(origin, name);
	if ((e = witness_newest(w, name, &raw)) == ERR_NOT_FOUND)
		return OK;
	if (e || (e = note_read(buf_slice(&raw), &note)) ||
	    (e = vkey_verify(witness_key(w), &note, NULL)))
		return failed(ERR_IO, "seen/%s: %s", name, err_reason());
	if (!slice_equal(note.origin, origin))
		return failed(ERR_IO, "seen/%s is of another origin", name);
	seen->size = note.size;
	memcpy(seen->root, note.root, sizeof seen->root);
	return OK;
}

/* The line comes out only when text and line are durable. */
static enum err sign(struct witness *w, const struct note *note, struct buf *answer)
{
	CLEANUP(buf) struct buf line = BUF_INIT, whole = BUF_INIT;
	char name[ORIGIN_HASH + 1];
	enum err e = cosigner_sign(w->key, note->text, io_realtime_us() / 1000000, &line);

	if (e)
		return e;
	buf_put_slice(&whole, note->text);
	buf_put_text(&whole, "\n");
	trust_put_log_lines(w->logs, note, &whole);
	buf_put_slice(&whole, buf_slice(&line));
	hash_origin(note->origin, name);
	if ((e = buf_check(&whole)) ||
	    (e = io_replace_file(w->seen, name, 0600, buf_slice(&whole)))) {
		w->broken = true;
		return e;
	}
	buf_put_slice(answer, buf_slice(&line));
	return buf_check(answer);
}

static int answer_locked(struct witness *w, const struct witness_request *r, struct buf *answer)
{
	struct witness_seen seen;

	if (w->broken) {
		err_note("a write failed: nothing is signed until the witness is started again");
		return WITNESS_BROKEN;
	}
	if (read_seen(w, r->note.origin, &seen)) {
		log_error("%s", err_reason());
		return WITNESS_BROKEN;
	}
	enum witness_verdict verdict = witness_judge(w->logs, r, &seen);
	if (verdict == WITNESS_CONFLICT)
		buf_printf(answer, "%llu\n", (unsigned long long)seen.size);
	if (verdict == WITNESS_REFUSED)
		log_warning("refused %.*s at size %llu (last signed: %llu): %s",
			    (int)r->note.origin.left, (const char *)r->note.origin.p,
			    (unsigned long long)r->note.size, (unsigned long long)seen.size,
			    err_reason());
	if (verdict != WITNESS_SIGN)
		return verdict;
	if (sign(w, &r->note, answer)) {
		log_error("%s", err_reason());
		return WITNESS_BROKEN;
	}
	return WITNESS_SIGN;
}

int witness_answer(struct witness *w, struct slice body, struct buf *answer)
{
	struct witness_request r;

	if (witness_request_read(body, &r))
		return WITNESS_MALFORMED;
	pthread_mutex_lock(&w->signing);
	int verdict = answer_locked(w, &r, answer);
	pthread_mutex_unlock(&w->signing);
	return verdict;
}
