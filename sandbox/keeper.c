#include "sandbox/keeper.h"

#include <signal.h>
#include <string.h>

#include "config/base/io.h"
#include "sandbox/cells.h"

/* Starts a program that will wait; lets go of the lock meanwhile. */
static void park_locked(struct sandbox *box, struct cell *cell)
{
	struct sandbox_image *image = cell->image;
	unsigned drains = image->drains;

	cell->busy = true;
	image->running++;
	pthread_mutex_unlock(&box->lock);
	uint64_t now = io_realtime_us();
	enum err e = exchange_start(cell->control, &cell->wanted, NULL, &cell->pipes, &cell->ahead);
	pthread_mutex_lock(&box->lock);
	image->running--;
	cell->launched_us = now;
	cell->drains = drains;
	cell->parked = !e;
	cell->runs++;
	cell->busy = false;
	if (e || cell->ended || image->drains != drains)
		cells_free(box, cell);
	cells_changed(box);
}

static void replace_locked(struct sandbox *box, struct cell *cell)
{
	struct sandbox_image *image = cell->image;
	const struct init_run wanted = cell->wanted;

	image->running++;
	/* Whatever is wrong will be seen by the next request, which asks for itself. */
	if (cells_make(image, cell->memory, &wanted, false, cell) == OK)
		cells_idle(box, cell);
	image->running--;
	cells_changed(box);
}

/* Who waits for a cell has its input at hand, and is served first. */
static bool may_park_locked(const struct sandbox *box, const struct cell *cell)
{
	return cell->used && !cell->busy && !cell->ended && !cell->parked && !box->queue.first &&
	       park_wanted(&cell->image->parking);
}

static bool work_locked(struct sandbox *box)
{
	for (uint32_t i = 0; i < box->cells_max && !box->line.gone; i++) {
		struct cell *cell = &box->cells[i];

		if (cell->owed) {
			replace_locked(box, cell);
			return true;
		}
		if (may_park_locked(box, cell)) {
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

enum err keeper_start(struct sandbox *box)
{
	sigset_t all, before;

	/* The program's signals are for its own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	int error = pthread_create(&box->keeper, NULL, keep, box);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	box->keeping = error == 0;
	return error ? failed(ERR_MEMORY, "sandbox: thread: %s", strerror(error)) : OK;
}

void keeper_stop(struct sandbox *box)
{
	pthread_mutex_lock(&box->lock);
	box->closing = true;
	pthread_cond_signal(&box->work);
	pthread_mutex_unlock(&box->lock);
	if (box->keeping)
		pthread_join(box->keeper, NULL);
}
