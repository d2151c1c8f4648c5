#include "sandbox/pool.h"

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

void pool_free_locked(struct sandbox *box, struct cell *cell)
{
	pool_end_locked(box, cell);
	fd_cleanup(&cell->control);
	*cell = (struct cell){ 0 };
	pthread_cond_broadcast(&box->freed);
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

enum err pool_acquire(struct sandbox_image *image, const struct limits *limits, struct cell **out)
{
	struct sandbox *box = image->box;
	struct cell *cell = NULL;
	enum err e = OK;

	pthread_mutex_lock(&box->lock);
	while (!box->gone && !image->dropped && !(cell = find_cell_locked(box, image, limits)))
		pthread_cond_wait(&box->freed, &box->lock);
	if (box->gone)
		e = failed(ERR_GONE, "the launcher is gone");
	else if (image->dropped)
		e = failed(ERR_NOT_FOUND, "the image was dropped");
	else if (!cell->used)
		e = cell_make_locked(image, limits, cell);
	if (!e) {
		cell->busy = true;
		image->running++;
		*out = cell;
	}
	pthread_mutex_unlock(&box->lock);
	return e;
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
