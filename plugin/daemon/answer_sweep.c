/* Answers whose time is over, whose partition is no more, or whose proof is missing. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/base/dir.h"
#include "config/base/io.h"
#include "plugin/daemon/answer_file.h"

#define GRACE_SECONDS 60 /* a file is too old by its own word before it is by its inode's */

typedef enum err visit(void *context, int folder, const char *name);

static enum err each_name(int folder, visit *call, void *context)
{
	CLEANUP(dir) DIR *list = dir_list(folder);
	enum err e = OK;

	if (!list)
		return failed(ERR_IO, "answers to requests: %m");
	for (const char *name; !e && (name = dir_next(list));)
		e = call(context, folder, name);
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
	char other[ANSWER_FILE_NAME];

	if (hex_take(name, claim.name, ANSWER_NAME))
		return OK;
	claim.partition = walk->partition;
	answer_file_name(&claim, ANSWER_PROOF, other);
	return faccessat(folder, other, F_OK, AT_SYMLINK_NOFOLLOW)
		       ? walk->call(walk->context, &claim)
		       : OK;
}

enum err answers_each_open(struct answers *answers, struct partition *partition,
			   answers_visit *call, void *context)
{
	struct walk walk = { answers, partition, call, context, 0 };
	CLEANUP(fd) int folder = -1;
	enum err e = answer_open_folder(answers, partition, false, &folder);

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
	if (age <= most || (known && answer_claimed_locked(walk->answers, raw))) {
		walk->bytes += answer_on_disk((uint64_t)status.st_size);
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
	enum err e = answer_open_folder(answers, partition, false, &folder);

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
	char name[ANSWER_FOLDER_NAME];

	answer_folder_name(p, name);
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
	enum err e = answer_open_top(answers, &top);

	return e ? e : each_name(top, clear_one, partitions);
}
