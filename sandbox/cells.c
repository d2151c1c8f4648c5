#include "sandbox/cells.h"

#include <string.h>

#include "config/base/io.h"

void cells_changed(struct sandbox *box)
{
	pthread_cond_broadcast(&box->freed);
	queue_wake(&box->queue);
}

bool cells_may(const void *context, const void *group)
{
	const struct sandbox *box = context;
	uint32_t held = 0, own = 0;

	for (uint32_t i = 0; i < box->cells_max; i++) {
		held += box->cells[i].held;
		own += box->cells[i].held && box->cells[i].image->group == group;
	}
	/* The last one is for a group that has none. */
	return held + (own && box->cells_max > 1) < box->cells_max;
}

static bool is_idle(const struct cell *cell)
{
	return cell->used && !cell->busy && !cell->ended;
}

static bool is_for(const struct cell *cell, const struct sandbox_image *image,
		   const struct limits *limits)
{
	return cell->image == image && cell->memory == limits->memory_bytes &&
	       cell->processes == limits->processes;
}

static bool fits(const struct cell *cell, const struct sandbox_image *image,
		 const struct limits *limits, const struct init_run *wanted)
{
	/* What waits already has the limits that it was started with. */
	return is_idle(cell) && is_for(cell, image, limits) &&
	       (!cell->parked || memcmp(&cell->wanted, wanted, sizeof *wanted) == 0);
}

static struct cell *find_fitting(struct sandbox *box, const struct sandbox_image *image,
				 const struct limits *limits, const struct init_run *wanted)
{
	struct cell *found = NULL;

	for (struct cell *c = box->cells; c < box->cells + box->cells_max; c++)
		if (fits(c, image, limits, wanted) && (!found || (c->parked && !found->parked)))
			found = c;
	return found;
}

/* Soon to be there, or to be made by whoever comes first. */
static struct cell *find_coming(struct sandbox *box, const struct sandbox_image *image,
				const struct limits *limits)
{
	for (struct cell *c = box->cells; c < box->cells + box->cells_max; c++)
		if ((c->owed || (c->making && !c->held)) && is_for(c, image, limits))
			return c;
	return NULL;
}

/* One that nobody counts on before one that the keeper is to fill. */
static struct cell *find_place(struct sandbox *box)
{
	struct cell *place = NULL;

	for (struct cell *c = box->cells; c < box->cells + box->cells_max; c++)
		if (!c->used && (!place || place->owed))
			place = c;
	return place;
}

static struct cell *find_oldest_idle(struct sandbox *box)
{
	struct cell *oldest = NULL;

	for (struct cell *c = box->cells; c < box->cells + box->cells_max; c++)
		if (c->used && !c->busy && (!oldest || c->idle_since < oldest->idle_since))
			oldest = c;
	return oldest;
}

struct cell *cells_find(struct sandbox *box, const struct sandbox_image *image,
			const struct limits *limits, const struct init_run *wanted)
{
	struct cell *cell = find_fitting(box, image, limits, wanted);

	if (cell)
		return cell;
	if ((cell = find_coming(box, image, limits)))
		return cell->owed ? cell : NULL;
	if ((cell = find_place(box)))
		return cell;
	if ((cell = find_oldest_idle(box)))
		cells_free(box, cell);
	return cell;
}

static enum err ask_for_cell(struct sandbox_image *image, struct cell *cell, int fds[CELL_FDS])
{
	CLEANUP(buf) struct buf message = line_message(LAUNCHER_CELL);
	CLEANUP(buf) struct buf answer = BUF_INIT;
	struct slice in;
	enum err e;

	buf_put_u32(&message, image->id);
	buf_put_u64(&message, cell->memory);
	buf_put_u32(&message, cell->processes);
	e = line_ask(&image->box->line, buf_slice(&message), -1, &answer, &in, fds, CELL_FDS);
	return e ? e : slice_take_u32(&in, &cell->id);
}

enum err cells_make(struct sandbox_image *image, uint64_t memory, const struct init_run *wanted,
		    bool held, struct cell *cell)
{
	struct sandbox *box = image->box;
	int fds[CELL_FDS] = { -1, -1, -1, -1 };

	*cell = (struct cell){ .used = true,
			       .making = true,
			       .busy = true,
			       .held = held,
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
		cells_free(box, cell);
	return e;
}

/* What idle cells may come to use, with this one. */
static uint64_t idle_bytes(const struct sandbox *box, const struct cell *one)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < box->cells_max; i++) {
		const struct cell *c = &box->cells[i];

		if (c == one || (c->used && !c->busy) || c->owed)
			sum += c->memory;
	}
	return sum;
}

/* For one that is about to be idle, or to be made; it stays itself, however large. */
static void make_room(struct sandbox *box, const struct cell *one)
{
	struct cell *oldest;

	while (idle_bytes(box, one) > box->idle_max && (oldest = find_oldest_idle(box)))
		cells_free(box, oldest);
}

void cells_idle(struct sandbox *box, struct cell *cell)
{
	make_room(box, cell);
	cell->busy = cell->held = false;
	cell->idle_since = ++box->releases;
	cells_changed(box);
}

void cells_end(struct sandbox *box, struct cell *cell)
{
	struct buf message = line_message(LAUNCHER_CELL_END), answer = BUF_INIT;
	struct slice out;

	if (!cell->ended && !cell->making) {
		buf_put_u32(&message, cell->id);
		/* When this fails the launcher is gone, and the cell with it. */
		if (line_ask(&box->line, buf_slice(&message), -1, &answer, &out, NULL, 0))
			box->line.gone = true;
	}
	cell->ended = true; /* what is still being made is ended by its maker */
	buf_free(&message);
	buf_free(&answer);
}

void cells_free(struct sandbox *box, struct cell *cell)
{
	cells_end(box, cell);
	if (cell->parked)
		exchange_close(&cell->ahead);
	exchange_discard(&cell->pipes);
	fd_cleanup(&cell->control);
	usage_close(&cell->usage);
	*cell = (struct cell){ 0 };
	cells_changed(box);
}

void cells_replace(struct sandbox *box, struct cell *cell)
{
	const struct cell like = { .owed = true,
				   .image = cell->image,
				   .memory = cell->memory,
				   .processes = cell->processes,
				   .wanted = cell->wanted };

	cells_free(box, cell);
	if (like.image->dropped || box->closing || box->line.gone)
		return;
	*cell = like;
	make_room(box, cell);
	pthread_cond_signal(&box->work);
}
