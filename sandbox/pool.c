#include "sandbox/pool.h"

#include <time.h>

#include "config/base/io.h"

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

enum err request_locked(struct sandbox *box, struct slice message, int fd, struct buf *answer,
			struct slice *out, int *got)
{
	size_t fds_n = 0;
	enum err e;

	if (box->gone)
		return failed(ERR_GONE, "the launcher is gone");
	if ((e = io_send_message(box->sock, message, &fd, fd >= 0)) ||
	    (e = io_recv_message(box->sock, LAUNCHER_MESSAGE_MAX, answer, got, got != NULL,
				 &fds_n))) {
		box->gone = true;
		return failed(ERR_GONE, "launcher: %s", err_reason());
	}
	e = take_answer(answer, out);
	if (!e && got && fds_n != 1)
		e = failed(ERR_FORMAT, "launcher: a descriptor is missing");
	return e;
}

struct buf message_start(enum launcher_request request)
{
	struct buf b = BUF_INIT;

	buf_put_u8(&b, (uint8_t)request);
	return b;
}

void pool_end_locked(struct sandbox *box, struct cell *cell)
{
	struct buf message = message_start(LAUNCHER_CELL_END), answer = BUF_INIT;
	struct slice out;
	uint8_t oom = 0;

	if (!cell->ended) {
		cell->ended = true;
		buf_put_u32(&message, cell->id);
		if (request_locked(box, buf_slice(&message), -1, &answer, &out, NULL) == OK &&
		    slice_take_u8(&out, &oom) == OK)
			cell->out_of_memory = oom;
	}
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

void pool_free_locked(struct sandbox *box, struct cell *cell)
{
	pool_end_locked(box, cell);
	fd_cleanup(&cell->control);
	*cell = (struct cell){ 0 };
	pthread_cond_broadcast(&box->freed);
	wake_first_locked(box);
}

static enum err cell_make_locked(struct sandbox_image *image, const struct limits *limits,
				 struct cell *cell)
{
	CLEANUP(buf) struct buf message = message_start(LAUNCHER_CELL);
	CLEANUP(buf) struct buf answer = BUF_INIT;
	struct slice in;
	int control = -1;
	enum err e;

	buf_put_u32(&message, image->id);
	buf_put_u64(&message, limits->memory_bytes);
	buf_put_u32(&message, limits->processes);
	*cell = (struct cell){ .image = image,
			       .control = -1,
			       .memory = limits->memory_bytes,
			       .processes = limits->processes };
	if ((e = request_locked(image->box, buf_slice(&message), -1, &answer, &in, &control)) ||
	    (e = slice_take_u32(&in, &cell->id))) {
		fd_cleanup(&control);
		return e;
	}
	cell->control = control;
	cell->used = true;
	return OK;
}

static bool cell_fits(const struct cell *cell, const struct sandbox_image *image,
		      const struct limits *limits)
{
	return cell->used && !cell->busy && !cell->ended && cell->image == image &&
	       cell->memory == limits->memory_bytes && cell->processes == limits->processes;
}

/* An idle cell that fits; else a place for a new one, which may cost another image's idle cell. */
static struct cell *find_cell_locked(struct sandbox *box, const struct sandbox_image *image,
				     const struct limits *limits)
{
	struct cell *place = NULL, *idle = NULL;

	for (uint32_t i = 0; i < box->cells_max; i++) {
		struct cell *cell = &box->cells[i];

		if (cell_fits(cell, image, limits))
			return cell;
		if (!cell->used && !place)
			place = cell;
		else if (cell->used && !cell->busy && !idle)
			idle = cell;
	}
	if (!place && idle) {
		pool_free_locked(box, idle);
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
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += SANDBOX_WATCH_MS * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
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
				    const struct sandbox_watch *watch, struct cell **out)
{
	struct sandbox *box = image->box;
	struct waiter me;
	enum err e = usable_locked(image);

	if (e || (!box->waiting && (*out = find_cell_locked(box, image, limits))))
		return e;
	if ((e = enter_locked(box, image->group, &me)))
		return e;
	*out = NULL;
	while (!(e = usable_locked(image)) &&
	       (first_locked(box) != &me || !(*out = find_cell_locked(box, image, limits))))
		if ((e = wait_locked(box, &me, watch)))
			break;
	leave_locked(box, &me, !e);
	return e;
}

enum err pool_acquire(struct sandbox_image *image, const struct limits *limits,
		      const struct sandbox_watch *watch, struct cell **out)
{
	struct sandbox *box = image->box;
	struct cell *cell = NULL;

	pthread_mutex_lock(&box->lock);
	image->running++;
	enum err e = find_or_wait_locked(image, limits, watch, &cell);
	if (!e && !cell->used)
		e = cell_make_locked(image, limits, cell);
	if (!e) {
		cell->busy = true;
		*out = cell;
	} else {
		image->running--;
		pthread_cond_broadcast(&box->freed);
		wake_first_locked(box);
	}
	pthread_mutex_unlock(&box->lock);
	return e;
}

void sandbox_image_group(struct sandbox_image *image, const void *group)
{
	image->group = group;
}

void pool_release(struct cell *cell, bool keep)
{
	struct sandbox_image *image = cell->image;
	struct sandbox *box = image->box;

	pthread_mutex_lock(&box->lock);
	cell->busy = false;
	image->running--;
	if (!keep || cell->ended)
		pool_free_locked(box, cell);
	pthread_cond_broadcast(&box->freed);
	wake_first_locked(box);
	pthread_mutex_unlock(&box->lock);
}

bool pool_end(struct cell *cell)
{
	struct sandbox *box = cell->image->box;

	pthread_mutex_lock(&box->lock);
	pool_end_locked(box, cell);
	bool oom = cell->out_of_memory;
	pthread_mutex_unlock(&box->lock);
	return oom;
}
