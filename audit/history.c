#include "audit/history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/note.h"
#include "config/base/dir.h"
#include "config/base/io.h"

#define ALL_OF 16
#define TIMES 4
#define NAME_MAX_N 24
#define TEMPORARY "checkpoint.tmp"

static void name_of(uint64_t number, char name[NAME_MAX_N])
{
	snprintf(name, NAME_MAX_N, "%llu", (unsigned long long)number);
}

/* False for whatever we would not write: it is none of ours. */
static bool number_of(const char *name, uint64_t *number)
{
	char right[NAME_MAX_N];

	*number = strtoull(name, NULL, 10);
	name_of(*number, right);
	return slice_is(slice_text(name), right) && *number < UINT64_MAX / 2;
}

static enum err open_folder(int folder, bool make, int *out)
{
	bool made = make && !mkdirat(folder, HISTORY_FOLDER, 0755);

	*out = openat(folder, HISTORY_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (*out < 0)
		return errno == ENOENT ? ERR_NOT_FOUND : failed(ERR_IO, HISTORY_FOLDER ": %m");
	return made ? io_sync_dir(folder) : OK;
}

static enum err read_note(int list, uint64_t number, struct buf *note)
{
	char name[NAME_MAX_N];

	name_of(number, name);
	enum err e = io_read_in(list, name, NOTE_MAX, note);
	return e ? failed(e, HISTORY_FOLDER "/%s", err_reason()) : OK;
}

enum err history_note(int folder, uint64_t number, struct buf *note)
{
	CLEANUP(fd) int list = -1;
	enum err e = open_folder(folder, false, &list);

	return e ? e : read_note(list, number, note);
}

static enum err take_one(int list, uint64_t number, struct history_list *out)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct note note;
	enum err e = read_note(list, number, &raw);

	if (e == ERR_NOT_FOUND) /* it went just now */
		return OK;
	if (e || note_read(buf_slice(&raw), &note))
		return failed(ERR_MISMATCH, HISTORY_FOLDER "/%llu was changed: %s",
			      (unsigned long long)number, err_reason());
	if (out->n == HISTORY_MAX)
		return failed(ERR_RANGE, HISTORY_FOLDER ": too many of them");
	out->items[out->n++] = (struct history_item){ number, note.size };
	out->next = number >= out->next ? number + 1 : out->next;
	return OK;
}

enum err history_read(int folder, struct history_list *out)
{
	CLEANUP(fd) int fd = -1;
	enum err e = open_folder(folder, false, &fd);

	out->n = 0;
	out->next = 0;
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	CLEANUP(dir) DIR *list = dir_list(fd);
	if (!list)
		return failed(ERR_IO, HISTORY_FOLDER ": %m");
	for (const char *name; !e && (name = dir_next(list));) {
		uint64_t number;

		if (number_of(name, &number))
			e = take_one(fd, number, out);
	}
	return e;
}

/* Under a name that lasts only with what it names. */
enum err history_put(int folder, struct history_list *history, uint64_t size, struct slice note)
{
	CLEANUP(fd) int list = -1;
	char name[NAME_MAX_N];
	enum err e;

	if (history->n == HISTORY_MAX)
		return failed(ERR_RANGE, HISTORY_FOLDER ": too many of them");
	if ((e = open_folder(folder, true, &list)))
		return e;
	CLEANUP(fd)
	int fd = openat(folder, TEMPORARY, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
			0644);
	if (fd < 0)
		return failed(ERR_IO, HISTORY_FOLDER ": %m");
	if ((e = io_write_all(fd, note)))
		return e;
	name_of(history->next, name);
	if (fsync(fd) || renameat(folder, TEMPORARY, list, name))
		return failed(ERR_IO, HISTORY_FOLDER "/%s: %m", name);
	history->items[history->n++] = (struct history_item){ history->next++, size };
	return OK;
}

static bool stays(uint64_t number, uint64_t newest)
{
	uint64_t power = number & -number;
	uint64_t most = power > ALL_OF / TIMES ? power : ALL_OF / TIMES;

	return !number || (newest - number) / TIMES < most;
}

bool history_due(const struct history_list *history, size_t *at)
{
	for (*at = 0; *at < history->n; ++*at)
		if (!stays(history->items[*at].number, history->next - 1))
			return true;
	return false;
}

enum err history_remove(int folder, struct history_list *history, size_t at)
{
	CLEANUP(fd) int list = -1;
	char name[NAME_MAX_N];
	enum err e = open_folder(folder, false, &list);

	if (e && e != ERR_NOT_FOUND)
		return e;
	name_of(history->items[at].number, name);
	if (!e && unlinkat(list, name, 0) && errno != ENOENT)
		return failed(ERR_IO, HISTORY_FOLDER "/%s: %m", name);
	history->items[at] = history->items[--history->n];
	return OK;
}
