#include "sandbox/pool.h"

#include <unistd.h>

#include "sandbox/cells.h"
#include "sandbox/keeper.h"

#define IDLE_SHARE 4 /* idle cells may come to use a quarter of the machine's memory */

static enum err usable_locked(const struct sandbox_image *image)
{
	if (image->box->line.gone)
		return failed(ERR_GONE, "the launcher is gone");
	return image->dropped ? failed(ERR_NOT_FOUND, "the image was dropped") : OK;
}

/* The watch is asked without the lock: it has locks of its own. */
static enum err wait_locked(struct sandbox *box, struct waiter *me,
			    const struct sandbox_watch *watch)
{
	queue_wait(me, &box->lock, SANDBOX_WATCH_MS);
	if (!watch)
		return OK;
	pthread_mutex_unlock(&box->lock);
	enum err e = watch->check(watch->context, false);
	pthread_mutex_lock(&box->lock);
	return e;
}

/* Before the next one looks. */
static void take_locked(struct cell *cell, struct sandbox_image *image)
{
	if (!cell->used)
		*cell = (struct cell){ .image = image };
	cell->busy = cell->held = true;
}

/* The image is held while its run waits, so that a drop waits for it to have left. */
static enum err find_or_wait_locked(struct sandbox_image *image, const struct limits *limits,
				    const struct init_run *wanted,
				    const struct sandbox_watch *watch, struct cell **out)
{
	struct sandbox *box = image->box;
	struct waiter me;
	enum err e = usable_locked(image);

	if (e || (e = queue_enter(&box->queue, image->group, SANDBOX_QUEUE, &me)))
		return e;
	*out = NULL;
	while (!(e = usable_locked(image)) &&
	       (queue_next(&box->queue) != &me || !(*out = cells_find(box, image, limits, wanted))))
		if ((e = wait_locked(box, &me, watch)))
			break;
	if (!e)
		take_locked(*out, image);
	queue_leave(&box->queue, &me, !e);
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
		e = cells_make(image, limits->memory_bytes, wanted, true, cell);
	if (!e) {
		cell->wanted = *wanted;
		*out = cell;
	} else {
		image->running--;
		cells_changed(box);
	}
	pthread_mutex_unlock(&box->lock);
	return e;
}

void pool_release(struct cell *cell, bool keep)
{
	struct sandbox_image *image = cell->image;
	struct sandbox *box = image->box;

	pthread_mutex_lock(&box->lock);
	image->running--;
	if (!keep || cell->ended) {
		cells_replace(box, cell);
	} else {
		cells_idle(box, cell);
		if (park_wanted(&image->parking))
			pthread_cond_signal(&box->work);
	}
	pthread_mutex_unlock(&box->lock);
}

bool pool_hand_over(struct cell *cell)
{
	struct sandbox *box = cell->image->box;

	pthread_mutex_lock(&box->lock);
	bool good = cell->drains == cell->image->drains && !cell->image->dropped;
	pthread_mutex_unlock(&box->lock);
	return good;
}

void pool_end(struct cell *cell)
{
	struct sandbox *box = cell->image->box;

	pthread_mutex_lock(&box->lock);
	cells_end(box, cell);
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
			cells_replace(box, &box->cells[i]);
	pthread_mutex_unlock(&box->lock);
}

void pool_forget(struct sandbox_image *image)
{
	struct sandbox *box = image->box;

	pthread_mutex_lock(&box->lock);
	image->dropped = true;
	pthread_cond_broadcast(&box->freed);
	for (size_t i = 0; i < CELLS_MAX; i++) {
		if (box->cells[i].image != image)
			continue;
		box->cells[i].owed = false;
		if (box->cells[i].used)
			cells_end(box, &box->cells[i]);
	}
	while (image->running)
		pthread_cond_wait(&box->freed, &box->lock);
	for (size_t i = 0; i < CELLS_MAX; i++)
		if (box->cells[i].used && box->cells[i].image == image)
			cells_free(box, &box->cells[i]);
	pthread_mutex_unlock(&box->lock);
}

enum err pool_start(struct sandbox *box)
{
	box->idle_max =
		(uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / IDLE_SHARE;
	box->processors = (unsigned)sysconf(_SC_NPROCESSORS_CONF);
	box->queue.may = cells_may;
	box->queue.context = box;
	return keeper_start(box);
}

void pool_stop(struct sandbox *box)
{
	keeper_stop(box);
	pthread_mutex_lock(&box->lock);
	for (size_t i = 0; i < CELLS_MAX; i++) {
		if (box->cells[i].used)
			cells_end(box, &box->cells[i]);
		while (box->cells[i].busy)
			pthread_cond_wait(&box->freed, &box->lock);
		if (box->cells[i].used)
			cells_free(box, &box->cells[i]);
	}
	pthread_mutex_unlock(&box->lock);
}
