#include "sandbox/pool.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "config/base/io.h"

#define IDLE_SHARE 4 /* idle cells may come to use a quarter of the machine's memory */

static enum err take_answer(struct buf *answer, struct slice *out)
{
	uint8_t code = 0;
	enum err e;

	*out = buf_slice(answer);
	if ((e = slice_take_u8(out, &code)))
		return e;
	if (code >= ERR_COUNT)
		return failed(ERR_FORMAT, "the launcher answered %u", code);
	return code == OK ? OK
			  : failed((enum err)code, "launcher: %.*s", (int)out->left,
				   (const char *)out->p);
}

enum err pool_request(struct sandbox *box, struct slice message, int fd, struct buf *answer,
		      struct slice *out, int *got, size_t got_n)
{
	size_t fds_n = 0;
	enum err e;

	if (box->gone)
		return failed(ERR_GONE, "the launcher is gone");
	pthread_mutex_lock(&box->wire);
	if ((e = io_send_message(box->sock, message, &fd, fd >= 0)) ||
	    (e = io_recv_message(box->sock, LAUNCHER_MESSAGE_MAX, answer, got, got_n, &fds_n)))
		box->gone = true;
	pthread_mutex_unlock(&box->wire);
	if (e)
		return failed(ERR_GONE, "launcher: %s", err_reason());
	e = take_answer(answer, out);
	if (!e && fds_n != got_n)
		e = failed(ERR_FORMAT, "launcher: a descriptor is missing");
	return e;
}

struct buf message_start(enum launcher_request request)
{
	struct buf b = BUF_INIT;

	buf_put_u8(&b, (uint8_t)request);
	return b;
}

/* Once only, whoever comes first: the run, the drop of its image, or the end of the sandbox. */
static void end_locked(struct sandbox *box, struct cell *cell)
{
	struct buf message = message_start(LAUNCHER_CELL_END), answer = BUF_INIT;
	struct slice out;

	if (!cell->ended && !cell->making) {
		buf_put_u32(&message, cell->id);
		/* When this fails the launcher is gone, and the cell with it. */
		if (pool_request(box, buf_slice(&message), -1, &answer, &out, NULL, 0))
			box->gone = true;
	}
	cell->ended = true; /* what is still being made is ended by its maker */
	buf_free(&message);
	buf_free(&answer);
}

static struct waiter *first_locked(const struct sandbox *box)
{
	struct waiter *first = box->waiting;

	for (struct waiter *w = first; w; w = w->next)
		if (w->turn < first->turn)
			first = w;
	return first;
}

static void wake_first_locked(const struct sandbox *box)
{
	struct waiter *first = first_locked(box);

	if (first)
		pthread_cond_signal(&first->wake);
}

/* A cell is there, or a place for one, or a run has left its image. */
static void freed_locked(struct sandbox *box)
{
	pthread_cond_broadcast(&box->freed);
	wake_first_locked(box);
}

static void free_locked(struct sandbox *box, struct cell *cell)
{
	end_locked(box, cell);
	if (cell->parked)
		exchange_close(&cell->ahead);
	fd_cleanup(&cell->control);
	usage_close(&cell->usage);
	*cell = (struct cell){ 0 };
	freed_locked(box);
}

static enum err ask_for_cell(struct sandbox_image *image, struct cell *cell, int fds[CELL_FDS])
{
	CLEANUP(buf) struct buf message = message_start(LAUNCHER_CELL);
	CLEANUP(buf) struct buf answer = BUF_INIT;
	struct slice in;
	enum err e;

	buf_put_u32(&message, image->id);
	buf_put_u64(&message, cell->memory);
	buf_put_u32(&message, cell->processes);
	e = pool_request(image->box, buf_slice(&message), -1, &answer, &in, fds, CELL_FDS);
	return e ? e : slice_take_u32(&in, &cell->id);
}

/* Lets go of the lock while the launcher builds it. The cell is busy afterwards, or free again. */
static enum err make_locked(struct sandbox_image *image, uint64_t memory,
			    const struct init_run *wanted, bool spare, struct cell *cell)
{
	struct sandbox *box = image->box;
	int fds[CELL_FDS] = { -1, -1, -1, -1 };

	*cell = (struct cell){ .used = true,
			       .busy = true,
			       .making = true,
			       .spare = spare,
			       .image = image,
			       .control = -1,
			       .usage = { { -1, -1, -1 } },
			       .memory = memory,
			       .processes = wanted->processes,
			       .wanted = *wanted };
	pthread_mutex_unlock(&box->lock);
	enum err e = ask_for_cell(image, cell, fds);
	pthread_mutex_lock(&box->lock);
	bool unwanted = cell->ended;
	cell->making = false;
	cell->ended = e != OK;
	cell->control = fds[CELL_CONTROL];
	memcpy(cell->usage.files, fds + CELL_USAGE, sizeof cell->usage.files);
	if (!e && unwanted)
		e = failed(ERR_NOT_FOUND, "the image was dropped");
	if (e)
		free_locked(box, cell);
	return e;
}

static bool fits(const struct cell *cell, const struct sandbox_image *image,
		 const struct limits *limits, const struct init_run *wanted)
{
	if (!cell->used || cell->busy || cell->ended || cell->image != image ||
	    cell->memory != limits->memory_bytes || cell->processes != limits->processes)
		return false;
	/* What waits already has the limits that it was started with. */
	return !cell->parked || memcmp(&cell->wanted, wanted, sizeof *wanted) == 0;
}

/* Soon to be there, or to be made by whoever comes first. */
static bool will_fit(const struct cell *cell, const struct sandbox_image *image,
		     const struct limits *limits)
{
	return (cell->owed || (cell->making && cell->spare)) && cell->image == image &&
	       cell->memory == limits->memory_bytes && cell->processes == limits->processes;
}

/* The better of two cells that fit: where something waits, it is ready. */
static struct cell *better(struct cell *a, struct cell *b)
{
	return !a || (b->parked && !a->parked) ? b : a;
}

/* An idle cell that fits; else a place for a new one, which may cost another idle cell. NULL also
 * when the keeper is just making one that will fit. */
static struct cell *find_locked(struct sandbox *box, const struct sandbox_image *image,
				const struct limits *limits, const struct init_run *wanted)
{
	struct cell *found = NULL, *place = NULL, *idle = NULL, *soon = NULL;

	for (uint32_t i = 0; i < box->cells_max; i++) {
		struct cell *cell = &box->cells[i];

		if (fits(cell, image, limits, wanted))
			found = better(found, cell);
		else if (will_fit(cell, image, limits))
			soon = cell;
		else if (!cell->used && (!place || place->owed))
			place = cell;
		else if (cell->used && !cell->busy && !idle)
			idle = cell;
	}
	if (found)
		return found;
	if (soon)
		return soon->owed ? soon : NULL;
	if (!place && idle) {
		free_locked(box, idle);
		place = idle;
	}
	return place;
}

/* A group's turns follow each other, those of several groups interleave: a newcomer comes after
 * whoever was served last, and after the last of its own that waits. */
static uint64_t next_turn_locked(const struct sandbox *box, const void *group, size_t *same)
{
	uint64_t last = box->turn;

	*same = 0;
	for (const struct waiter *w = box->waiting; w; w = w->next) {
		if (w->group != group)
			continue;
		last = w->turn;
		++*same;
	}
	return last + 1;
}

static enum err enter_locked(struct sandbox *box, const void *group, struct waiter *me)
{
	struct waiter **at = &box->waiting;
	pthread_condattr_t attributes;
	size_t same;

	*me = (struct waiter){ .group = group, .turn = next_turn_locked(box, group, &same) };
	if (same >= SANDBOX_QUEUE)
		return failed(ERR_LIMIT, "%zu runs wait for a cell already", same);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&me->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	while (*at)
		at = &(*at)->next;
	*at = me;
	return OK;
}

static void leave_locked(struct sandbox *box, struct waiter *me, bool served)
{
	struct waiter **at = &box->waiting;

	while (*at != me)
		at = &(*at)->next;
	*at = me->next;
	if (served)
		box->turn = me->turn;
	pthread_cond_destroy(&me->wake);
	wake_first_locked(box);
}

/* The watch is asked without the lock: it has locks of its own. */
static enum err wait_locked(struct sandbox *box, struct waiter *me,
			    const struct sandbox_watch *watch)
{
	struct timespec until = io_timespec(io_monotonic_ms() + SANDBOX_WATCH_MS);

	pthread_cond_timedwait(&me->wake, &box->lock, &until);
	if (!watch)
		return OK;
	pthread_mutex_unlock(&box->lock);
	enum err e = watch->check(watch->context, false);
	pthread_mutex_lock(&box->lock);
	return e;
}

static enum err usable_locked(const struct sandbox_image *image)
{
	if (image->box->gone)
		return failed(ERR_GONE, "the launcher is gone");
	return image->dropped ? failed(ERR_NOT_FOUND, "the image was dropped") : OK;
}

/* The image is held while its run waits, so that a drop waits for it to have left. */
static enum err find_or_wait_locked(struct sandbox_image *image, const struct limits *limits,
				    const struct init_run *wanted,
				    const struct sandbox_watch *watch, struct cell **out)
{
	struct sandbox *box = image->box;
	struct waiter me;
	enum err e = usable_locked(image);

	if (e || (!box->waiting && (*out = find_locked(box, image, limits, wanted))))
		return e;
	if ((e = enter_locked(box, image->group, &me)))
		return e;
	*out = NULL;
	while (!(e = usable_locked(image)) &&
	       (first_locked(box) != &me || !(*out = find_locked(box, image, limits, wanted))))
		if ((e = wait_locked(box, &me, watch)))
			break;
	leave_locked(box, &me, !e);
	return e;
}

enum err pool_acquire(struct sandbox_image *image, const struct limits *limits,
		      const struct init_run *wanted, const struct sandbox_watch *watch,
		      struct cell **out)
{
	struct sandbox *box = image->box;
	struct cell *cell = NULL;

	pthread_mutex_lock(&box->lock);
	image->running++;
	enum err e = find_or_wait_locked(image, limits, wanted, watch, &cell);
	if (!e && !cell->used)
		e = make_locked(image, limits->memory_bytes, wanted, false, cell);
	if (!e) {
		cell->busy = true;
		cell->wanted = *wanted;
		*out = cell;
	} else {
		image->running--;
		freed_locked(box);
	}
	pthread_mutex_unlock(&box->lock);
	return e;
}

void sandbox_image_group(struct sandbox_image *image, const void *group)
{
	image->group = group;
}

/* Whether one more idle cell of this size is within bounds; a single one always is. */
static bool may_idle_locked(const struct sandbox *box, const struct cell *one)
{
	uint64_t sum = one->memory;
	bool others = false;

	for (uint32_t i = 0; i < box->cells_max; i++) {
		const struct cell *cell = &box->cells[i];

		if (cell == one || !cell->used || cell->busy)
			continue;
		others = true;
		sum += cell->memory;
	}
	return !others || sum <= box->idle_max;
}

/* The cell is gone; the keeper makes one like it. */
static void owe_locked(struct sandbox *box, struct cell *cell)
{
	const struct cell like = { .owed = true,
				   .image = cell->image,
				   .memory = cell->memory,
				   .processes = cell->processes,
				   .wanted = cell->wanted };
	bool wanted =
		!like.image->dropped && !box->closing && !box->gone && may_idle_locked(box, cell);

	free_locked(box, cell);
	if (wanted) {
		*cell = like;
		pthread_cond_signal(&box->work);
	}
}

void pool_release(struct cell *cell, bool keep)
{
	struct sandbox_image *image = cell->image;
	struct sandbox *box = image->box;

	pthread_mutex_lock(&box->lock);
	cell->busy = false;
	image->running--;
	if (!keep || cell->ended)
		owe_locked(box, cell);
	else if (!may_idle_locked(box, cell))
		free_locked(box, cell);
	else if (park_wanted(&image->parking))
		pthread_cond_signal(&box->work);
	freed_locked(box);
	pthread_mutex_unlock(&box->lock);
}

void pool_end(struct cell *cell)
{
	struct sandbox *box = cell->image->box;

	pthread_mutex_lock(&box->lock);
	end_locked(box, cell);
	pthread_mutex_unlock(&box->lock);
}

void pool_note(struct sandbox_image *image, bool ahead, uint64_t us)
{
	pthread_mutex_lock(&image->box->lock);
	park_note(&image->parking, ahead, us);
	pthread_mutex_unlock(&image->box->lock);
}

void pool_spoiled(struct sandbox_image *image)
{
	pthread_mutex_lock(&image->box->lock);
	park_spoil(&image->parking);
	pthread_mutex_unlock(&image->box->lock);
}

void pool_drain(struct sandbox_image *image)
{
	struct sandbox *box = image->box;

	pthread_mutex_lock(&box->lock);
	image->drains++; /* also for the one that the keeper is just starting */
	for (uint32_t i = 0; i < box->cells_max; i++)
		if (box->cells[i].parked && !box->cells[i].busy && box->cells[i].image == image)
			owe_locked(box, &box->cells[i]);
	pthread_mutex_unlock(&box->lock);
}

void pool_forget_locked(struct sandbox_image *image)
{
	struct sandbox *box = image->box;

	image->dropped = true;
	pthread_cond_broadcast(&box->freed);
	for (size_t i = 0; i < CELLS_MAX; i++) {
		if (box->cells[i].image != image)
			continue;
		box->cells[i].owed = false;
		if (box->cells[i].used)
			end_locked(box, &box->cells[i]);
	}
	while (image->running)
		pthread_cond_wait(&box->freed, &box->lock);
	for (size_t i = 0; i < CELLS_MAX; i++)
		if (box->cells[i].used && box->cells[i].image == image)
			free_locked(box, &box->cells[i]);
}

/* Starts a program that will wait; lets go of the lock meanwhile. */
static void park_locked(struct sandbox *box, struct cell *cell)
{
	struct sandbox_image *image = cell->image;
	unsigned drains = image->drains;

	cell->busy = true;
	image->running++;
	pthread_mutex_unlock(&box->lock);
	uint64_t now = io_realtime_us();
	enum err e = exchange_start(cell->control, &cell->wanted, NULL, &cell->ahead);
	pthread_mutex_lock(&box->lock);
	cell->busy = false;
	image->running--;
	cell->launched_us = now;
	cell->parked = !e;
	cell->runs++;
	if (e || cell->ended || image->drains != drains)
		free_locked(box, cell);
	freed_locked(box);
}

static void replace_locked(struct sandbox *box, struct cell *cell)
{
	struct sandbox_image *image = cell->image;
	const struct init_run wanted = cell->wanted;

	image->running++;
	/* Whatever is wrong will be seen by the next request, which asks for itself. */
	if (make_locked(image, cell->memory, &wanted, true, cell) == OK)
		cell->busy = false;
	image->running--;
	freed_locked(box);
}

static bool work_locked(struct sandbox *box)
{
	for (uint32_t i = 0; i < box->cells_max && !box->gone; i++) {
		struct cell *cell = &box->cells[i];

		if (cell->owed) {
			replace_locked(box, cell);
			return true;
		}
		/* Who waits for a cell has its input at hand. */
		if (cell->used && !cell->busy && !cell->ended && !cell->parked && !box->waiting &&
		    park_wanted(&cell->image->parking)) {
			park_locked(box, cell);
			return true;
		}
	}
	return false;
}

static void *keep(void *sandbox)
{
	struct sandbox *box = sandbox;

	pthread_mutex_lock(&box->lock);
	while (!box->closing)
		if (!work_locked(box))
			pthread_cond_wait(&box->work, &box->lock);
	pthread_mutex_unlock(&box->lock);
	return NULL;
}

enum err pool_start(struct sandbox *box)
{
	sigset_t all, before;

	box->idle_max =
		(uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / IDLE_SHARE;
	box->processors = (unsigned)sysconf(_SC_NPROCESSORS_CONF);
	/* The program's signals are for its own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	int error = pthread_create(&box->keeper, NULL, keep, box);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	box->keeping = error == 0;
	return error ? failed(ERR_MEMORY, "sandbox: thread: %s", strerror(error)) : OK;
}

void pool_stop(struct sandbox *box)
{
	pthread_mutex_lock(&box->lock);
	box->closing = true;
	pthread_cond_signal(&box->work);
	pthread_mutex_unlock(&box->lock);
	if (box->keeping)
		pthread_join(box->keeper, NULL);
	pthread_mutex_lock(&box->lock);
	for (size_t i = 0; i < CELLS_MAX; i++) {
		if (box->cells[i].used)
			end_locked(box, &box->cells[i]);
		while (box->cells[i].busy)
			pthread_cond_wait(&box->freed, &box->lock);
		if (box->cells[i].used)
			free_locked(box, &box->cells[i]);
	}
	pthread_mutex_unlock(&box->lock);
}
