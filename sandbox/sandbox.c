#include "sandbox/sandbox.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "config/base/io.h"
#include "sandbox/pool.h"
#include "sandbox/run.h"

#define ADDRESS_SPACE_MORE ((uint64_t)64 << 20) /* program, libraries, stack: mapped, not used */

void run_free(struct run *run)
{
	buf_free(&run->output);
	buf_free(&run->messages);
}

void run_cleanup(struct run *run)
{
	run_free(run);
}

static enum err take_facts(struct slice in, struct sandbox *box)
{
	struct slice launcher, init;
	uint8_t privileged;
	enum err e;

	if ((e = slice_take_u8(&in, &privileged)) || (e = slice_take_u32(&in, &box->cells_max)) ||
	    (e = slice_take(&in, SHA256_SIZE, &launcher)) ||
	    (e = slice_take(&in, SHA256_SIZE, &init)))
		return e;
	if (in.left >= sizeof box->facts.absent || box->cells_max == 0 ||
	    box->cells_max > CELLS_MAX)
		return failed(ERR_FORMAT, "launcher: facts out of range");
	box->facts.privileged = privileged;
	memcpy(box->facts.launcher, launcher.p, SHA256_SIZE);
	memcpy(box->facts.init, init.p, SHA256_SIZE);
	memcpy(box->facts.absent, in.p, in.left);
	return OK;
}

enum err sandbox_attach(int launcher_fd, struct sandbox **out)
{
	CLEANUP(buf) struct buf message = line_message(LAUNCHER_FACTS);
	CLEANUP(buf) struct buf answer = BUF_INIT;
	struct slice facts;
	struct sandbox *box = calloc(1, sizeof *box);
	enum err e;

	if (!box) {
		close(launcher_fd);
		return failed(ERR_MEMORY, "sandbox");
	}
	pthread_mutex_init(&box->lock, NULL);
	pthread_cond_init(&box->freed, NULL);
	pthread_cond_init(&box->work, NULL);
	line_open(&box->line, launcher_fd);
	if ((e = line_ask(&box->line, buf_slice(&message), -1, &answer, &facts, NULL, 0)) ||
	    (e = take_facts(facts, box)) || (e = pool_start(box))) {
		sandbox_close(box);
		return e;
	}
	*out = box;
	return OK;
}

const struct sandbox_facts *sandbox_facts(const struct sandbox *box)
{
	return &box->facts;
}

void sandbox_close(struct sandbox *box)
{
	if (!box)
		return;
	pool_stop(box);
	line_close(&box->line);
	/* Its socket is closed, which ends it. */
	if (box->launcher > 0)
		while (waitpid(box->launcher, NULL, 0) < 0 && errno == EINTR)
			;
	pthread_cond_destroy(&box->freed);
	pthread_cond_destroy(&box->work);
	pthread_mutex_destroy(&box->lock);
	free(box);
}

static enum err take_image(struct slice in, struct sandbox_image *image)
{
	struct slice limits;
	uint32_t park;
	enum err e;

	if ((e = slice_take_u32(&in, &image->id)) || (e = slice_take_u32(&in, &park)) ||
	    (e = slice_take(&in, sizeof image->limits, &limits)))
		return e;
	if (in.left)
		return failed(ERR_FORMAT, "launcher: of another build");
	image->parking.mode = (enum park)park;
	memcpy(&image->limits, limits.p, sizeof image->limits);
	return OK;
}

enum err sandbox_image_add(struct sandbox *box, int package_fd,
			   const uint8_t measurement[SHA256_SIZE], struct sandbox_image **out)
{
	CLEANUP(buf) struct buf message = line_message(LAUNCHER_IMAGE);
	CLEANUP(buf) struct buf answer = BUF_INIT;
	struct sandbox_image *image = calloc(1, sizeof *image);
	struct slice in;
	enum err e;

	if (!image)
		return failed(ERR_MEMORY, "image");
	image->box = box;
	buf_put(&message, measurement, SHA256_SIZE);
	e = line_ask(&box->line, buf_slice(&message), package_fd, &answer, &in, NULL, 0);
	if (e || (e = take_image(in, image))) {
		free(image);
		return e;
	}
	*out = image;
	return OK;
}

void sandbox_image_group(struct sandbox_image *image, const void *group)
{
	image->group = group;
}

void sandbox_image_drop(struct sandbox_image *image)
{
	struct buf answer = BUF_INIT;
	struct slice out;

	if (!image)
		return;
	struct buf message = line_message(LAUNCHER_IMAGE_DROP);
	struct sandbox *box = image->box;
	buf_put_u32(&message, image->id);
	pool_forget(image);
	/* When this fails the launcher is gone, and the image with it. */
	if (line_ask(&box->line, buf_slice(&message), -1, &answer, &out, NULL, 0))
		box->line.gone = true;
	buf_free(&message);
	buf_free(&answer);
	free(image);
}

void sandbox_image_drain(struct sandbox_image *image)
{
	pool_drain(image);
}

static void set_end(struct run *run, enum run_kind kind, uint32_t code)
{
	run->kind = kind;
	run->code = code;
}

/* What init reported, told as the claim has it; @refused: the program wanted more processes. Whether
 * that is why it failed only it knows: what it did without, and ended well, is no matter. */
static enum err judge_report(const struct exchange *x, bool refused, struct run *run)
{
	const struct init_report *r = &x->report;

	if (r->status == -1)
		return failed(ERR_FAILED, "the program can't be executed: %s", strerror(r->error));
	if (WIFSIGNALED(r->status) &&
	    (WTERMSIG(r->status) == SIGXCPU ||
	     (WTERMSIG(r->status) == SIGKILL && r->cpu_us / 1000 >= x->limits->cpu_ms)))
		set_end(run, RUN_TIMEOUT, 1);
	else if (refused && r->status != 0)
		set_end(run, RUN_PROCESSES, 0);
	else if (WIFEXITED(r->status))
		set_end(run, RUN_EXIT, (uint32_t)WEXITSTATUS(r->status));
	else
		set_end(run, RUN_SIGNAL, (uint32_t)WTERMSIG(r->status));
	return OK;
}

static enum err judge(struct exchange *x, struct cell *cell, struct run *run, bool *keep)
{
	uint64_t refused = usage_refused(&cell->usage);
	bool oom = usage_out_of_memory(&cell->usage);
	enum err e = OK;

	*keep = x->end == EXCHANGE_REPORTED && x->report.clean && !oom && x->report.status != -1 &&
		WIFEXITED(x->report.status) && cell->runs < RUNS_MAX &&
		!x->limits->scratch_bytes; /* where something can be left */
	if (!*keep)
		pool_end(cell);
	exchange_finish(x);
	switch (x->end) {
	case EXCHANGE_REPORTED:
		e = judge_report(x, refused > cell->refused, run);
		break;
	case EXCHANGE_CPU:
		set_end(run, RUN_TIMEOUT, 1);
		break;
	case EXCHANGE_TIMEOUT:
		set_end(run, RUN_TIMEOUT, 0);
		break;
	case EXCHANGE_CANCELLED:
		set_end(run, RUN_TIMEOUT, 2);
		break;
	case EXCHANGE_OUTPUT:
		run->kind = RUN_OUTPUT; /* the code says which */
		break;
	case EXCHANGE_LOST:
		e = oom ? OK : failed(ERR_GONE, "the cell ended during the run");
		break;
	}
	cell->refused = refused;
	if (!e && oom)
		set_end(run, RUN_MEMORY, 0);
	return e;
}

static struct init_run wanted_of(const struct sandbox *box, const struct limits *limits)
{
	const char *absent = box->facts.absent;
	bool memory = !strstr(absent, "cgroup_memory"), cpu = !strstr(absent, "cgroup_cpu");
	bool processes = !strstr(absent, "cgroup_pids");

	/* Where a cgroup counts, it is to strike before the limit of each process or user. */
	return (struct init_run){
		.address_space = memory ? 0 : limits->memory_bytes + ADDRESS_SPACE_MORE,
		.cpu_seconds = (limits->cpu_ms + 999) / 1000 + cpu,
		.processes = limits->processes,
		.open_files = limits->open_files,
		/* Init has the same user where the launcher is an ordinary one's. */
		.user_processes = limits->processes + (processes || !box->facts.privileged),
	};
}

/* Hands the input over to a program that waits; false: it did not. */
static bool take_parked(struct cell *cell, struct exchange *x)
{
	struct run *run = x->run;

	x->ends = cell->ahead;
	cell->parked = false;
	bool waits = exchange_waits(cell->control, &x->ends);
	if (!waits)
		pool_spoiled(cell->image);
	run->start_us = io_realtime_us();
	if (!waits || !pool_hand_over(cell)) {
		exchange_close(&x->ends);
		return false;
	}
	run->start = RUN_PARKED;
	run->launched_us = cell->launched_us;
	return true;
}

static enum err start(struct cell *cell, const struct init_run *wanted, struct exchange *x)
{
	struct run *run = x->run;

	run->start = cell->runs++ ? RUN_REUSED : RUN_FRESH;
	run->start_us = run->launched_us = io_realtime_us();
	return exchange_start(cell->control, wanted, &x->input, &cell->pipes, &x->ends);
}

/* @lost: nothing ran, since the cell had ended while it was idle, or its program did not wait. */
static enum err run_in(struct cell *cell, struct slice input, const struct limits *limits,
		       const struct init_run *wanted, const struct sandbox_watch *watch,
		       struct run *run, bool *keep, bool *lost)
{
	struct exchange x = { .control = cell->control,
			      .next = &cell->pipes,
			      .usage = &cell->usage,
			      .processors = cell->image->box->processors,
			      .cpu_before_us = usage_cpu_us(&cell->usage),
			      .input = input,
			      .limits = limits,
			      .watch = watch,
			      .run = run };
	enum err e;

	*lost = false;
	*keep = true;
	if (watch && (e = watch->check(watch->context, false)))
		return e;
	*keep = false;
	if (cell->parked && !take_parked(cell, &x)) {
		*lost = true;
		return OK;
	}
	if (run->start != RUN_PARKED && (e = start(cell, wanted, &x))) {
		*lost = e == ERR_GONE && run->start == RUN_REUSED;
		return e;
	}
	exchange_pass(&x);
	if (run->start != RUN_FRESH && x.end == EXCHANGE_REPORTED && run->end_us > run->start_us)
		pool_note(cell->image, run->start == RUN_PARKED, run->end_us - run->start_us);
	return judge(&x, cell, run, keep);
}

#define NARROW(field) (wanted->field && wanted->field < l.field ? wanted->field : l.field)

static struct limits narrow(struct limits l, const struct limits *wanted)
{
	if (!wanted)
		return l;
	return (struct limits){
		.memory_bytes = NARROW(memory_bytes),
		.output_bytes = wanted->output_bytes < l.output_bytes ? wanted->output_bytes
								      : l.output_bytes,
		.wall_ms = NARROW(wall_ms),
		.cpu_ms = NARROW(cpu_ms),
		.processes = NARROW(processes),
		.open_files = NARROW(open_files),
		.scratch_bytes = l.scratch_bytes,
	};
}

enum err sandbox_run(struct sandbox_image *image, struct slice input, const struct limits *limits,
		     struct run *run)
{
	return sandbox_run_watched(image, input, limits, NULL, run);
}

enum err sandbox_run_watched(struct sandbox_image *image, struct slice input,
			     const struct limits *limits, const struct sandbox_watch *watch,
			     struct run *run)
{
	const struct limits narrowed = narrow(image->limits, limits);
	const struct init_run wanted = wanted_of(image->box, &narrowed);
	struct cell *cell;
	bool keep, lost;
	enum err e;

	*run = (struct run){ .output = BUF_INIT, .messages = BUF_INIT };
	do {
		if ((e = pool_acquire(image, &narrowed, &wanted, watch, &cell)))
			return e;
		e = run_in(cell, input, &narrowed, &wanted, watch, run, &keep, &lost);
		pool_release(cell, keep);
	} while (lost);
	return e;
}
