#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/base/io.h"
#include "sandbox/filter.h"
#include "sandbox/init/init.h"
#include "sandbox/launcher/launcher.h"

#define CELL_END_TRIES 200 /* a dead process leaves its group a little later */
#define READY_MS 10000     /* a cell takes a few ms; this is for a machine in trouble */

#define NAMESPACES                                                                                 \
	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | \
	 CLONE_NEWCGROUP)

static pid_t clone_cell(const struct launcher *launcher, const struct cgroup_cell *groups)
{
	int group = cgroup_v2(&launcher->groups, groups);
	struct clone_args args = {
		.flags = NAMESPACES | (launcher->have.time_namespace ? CLONE_NEWTIME : 0) |
			 (group < 0 ? 0 : CLONE_INTO_CGROUP),
		.exit_signal = SIGCHLD,
		.cgroup = group < 0 ? 0 : (uint64_t)group,
	};

	return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

/* The process can't be reaped by anyone else, so its number is its own while it is opened. */
static enum err write_maps(const struct launcher *launcher, uint32_t number, pid_t pid)
{
	char path[32], map[96];
	uint32_t base = launcher->uid_base + number * CELL_UIDS;
	enum err e;

	snprintf(path, sizeof path, "/proc/%d", (int)pid);
	CLEANUP(fd) int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return failed(ERR_IO, "id_maps: %m");
	if (launcher->privileged)
		snprintf(map, sizeof map, "%d %" PRIu32 " 1\n%d %" PRIu32 " 1\n", CELL_INIT_ID,
			 base, CELL_APP_ID, base + 1);
	else
		snprintf(map, sizeof map, "%d 0 1\n", CELL_APP_ID);
	if ((e = write_text(dir, "setgroups", "deny")) || (e = write_text(dir, "uid_map", map)) ||
	    (e = write_text(dir, "gid_map", map)))
		return failed(e, "id_maps: %s", err_reason());
	return OK;
}

static void put_string(struct buf *out, struct slice text)
{
	buf_put_slice(out, text);
	buf_put_u8(out, 0);
}

static enum err put_setup(const struct launcher *launcher, const struct manifest *manifest,
			  struct buf *out)
{
	struct init_setup head = { .have = (launcher->have.mdwe ? INIT_HAS_MDWE : 0) |
					   (manifest->limits.scratch_bytes ? INIT_HAS_SCRATCH : 0),
				   .landlock_abi = launcher->have.landlock_abi,
				   .argc = (uint32_t)manifest->argc,
				   .envc = (uint32_t)manifest->envc,
				   .purity = manifest->purity };
	struct filter filter;
	enum err e = filter_build(manifest, &filter);

	if (e)
		return e;
	head.filter_n = filter.n;
#ifdef ASSAY_FAULTS
	snprintf(head.fault, sizeof head.fault, "%s", launcher->fault);
	snprintf(head.without, sizeof head.without, "%s", launcher->without);
#endif
	buf_put(out, &head, sizeof head);
	buf_put_slice(out, filter_bytes(&filter));
	for (size_t i = 0; i < manifest->argc; i++)
		put_string(out, manifest->argv[i]);
	for (size_t i = 0; i < manifest->envc; i++)
		put_string(out, manifest->env[i]);
	return buf_check(out);
}

static enum err await_ready(int control)
{
	CLEANUP(buf) struct buf answer = BUF_INIT;
	struct pollfd watched = { control, POLLIN, 0 };
	int n;
	enum err e;

	while ((n = poll(&watched, 1, READY_MS)) < 0 && errno == EINTR)
		;
	if (n == 0)
		return failed(ERR_TIMEOUT, "cell: not ready in time");
	if ((e = io_recv_message(control, 256, &answer, NULL, 0, NULL)))
		return failed(e, "cell: ended while it was built");
	if (answer.data[0] == INIT_READY)
		return OK;
	return failed(ERR_IO, "cell: step %.*s", (int)answer.len - 1,
		      (const char *)answer.data + 1);
}

static enum err prepare(const struct launcher *launcher, uint32_t number, const struct cell *cell,
			int control)
{
	CLEANUP(buf) struct buf setup = { .max = INIT_MESSAGE_MAX };
	enum err e;

	if ((e = step_enter(launcher, "cgroup_memory")) ||
	    (e = step_enter(launcher, "cgroup_pids")) || (e = step_enter(launcher, "cgroup_cpu")) ||
	    (e = step_enter(launcher, "id_maps")) || (e = step_enter(launcher, "host_uids")) ||
	    (e = write_maps(launcher, number, cell->init)) ||
	    (e = put_setup(launcher, &launcher->images[cell->image].manifest, &setup)) ||
	    (e = io_send_message(control, buf_slice(&setup), NULL, 0)))
		return e;
	return await_ready(control);
}

static enum err start(struct launcher *launcher, uint32_t number, struct cell *cell, int *control)
{
	int ends[2];
	enum err e;

	if ((e = step_enter(launcher, "namespaces")) ||
	    (e = step_enter(launcher, "time_namespace")))
		return e;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return failed(ERR_IO, "cell: socketpair: %m");
	*control = ends[0];
	cell->init = clone_cell(launcher, &cell->groups);
	if (cell->init == 0) {
		/* The launcher's alone, or its end would go unseen. */
		close(ends[0]);
		build_cell(launcher, cell, ends[1]);
	}
	if (cell->init < 0)
		e = failed(ERR_IO, "cell: step namespaces: %m");
	close(ends[1]);
	cell->used = true;
	return e ? e : prepare(launcher, number, cell, *control);
}

/* Whether nothing is left of it; tells it to end where that was not done. */
static bool is_gone(struct launcher *launcher, struct cell *cell, int options)
{
	cell->used = cell->ending = true;
	/* The number is its own until it is reaped, which the kernel does not allow before every other
	 * process of the namespace is gone. */
	if (cell->init > 0) {
		kill(cell->init, SIGKILL);
		if (waitpid(cell->init, NULL, options) != cell->init)
			return false;
		cell->init = -1;
	}
	if (!cgroup_remove(&launcher->groups, &cell->groups))
		return false;
	*cell = (struct cell){ 0 };
	return true;
}

static void destroy(struct launcher *launcher, struct cell *cell)
{
	for (int i = 0; i < CELL_END_TRIES && !is_gone(launcher, cell, 0); i++)
		usleep(CELL_END_MS * 1000);
}

/* One whose last tenant is gone; waits for it when there is no other. */
static struct cell *free_cell(struct launcher *launcher)
{
	struct cell *last = NULL;

	for (uint32_t i = 0; i < launcher->cells_max; i++) {
		struct cell *cell = &launcher->cells[i];

		if (!cell->used)
			return cell;
		if (cell->ending)
			last = cell;
	}
	if (last)
		destroy(launcher, last);
	return last && !last->used ? last : NULL;
}

enum err cell_make(struct launcher *launcher, uint32_t image, uint64_t memory, uint32_t processes,
		   uint32_t *id, int fds[CELL_FDS])
{
	uint32_t i;
	enum err e;

	if (image >= IMAGES_MAX || !launcher->images[image].used)
		return failed(ERR_NOT_FOUND, "no image %" PRIu32, image);
	const struct limits *most = &launcher->images[image].manifest.limits;
	if (memory > most->memory_bytes || processes > most->processes || memory == 0)
		return failed(ERR_RANGE, "limits wider than the manifest's");
	struct cell *cell = free_cell(launcher);
	if (!cell)
		return failed(ERR_LIMIT, "all cells are in use");
	i = (uint32_t)(cell - launcher->cells);
	*cell = (struct cell){ .image = image, .init = -1 };
	if ((e = cgroup_make(&launcher->groups, i, memory, processes, &cell->groups)))
		return e;
	if (!(e = cgroup_open_usage(&launcher->groups, &cell->groups, fds + CELL_USAGE)))
		e = start(launcher, i, cell, &fds[CELL_CONTROL]);
	if (e) {
		destroy(launcher, cell);
		fd_cleanup(&fds[CELL_CONTROL]);
	}
	*id = i;
	return e;
}

enum err cell_end(struct launcher *launcher, uint32_t id)
{
	struct cell *cell = &launcher->cells[id < CELLS_MAX ? id : 0];

	if (id >= CELLS_MAX || !cell->used || cell->ending)
		return failed(ERR_NOT_FOUND, "no cell %" PRIu32, id);
	/* Whatever it may still do reaches nobody: its control socket and pipes are the daemon's. */
	kill(cell->init, SIGKILL);
	cell->ending = true;
	return OK;
}

bool cell_reap(struct launcher *launcher)
{
	bool left = false;

	for (size_t i = 0; i < CELLS_MAX; i++)
		if (launcher->cells[i].used && launcher->cells[i].ending)
			left |= !is_gone(launcher, &launcher->cells[i], WNOHANG);
	return left;
}

bool cell_any(struct launcher *launcher, uint32_t image)
{
	bool any = false;

	for (size_t i = 0; i < CELLS_MAX; i++) {
		struct cell *cell = &launcher->cells[i];

		if (!cell->used || cell->image != image)
			continue;
		if (cell->ending)
			destroy(launcher, cell);
		any |= cell->used;
	}
	return any;
}

void cell_end_all(struct launcher *launcher)
{
	for (size_t i = 0; i < CELLS_MAX; i++)
		launcher->cells[i].ending = launcher->cells[i].used;
	(void)cell_reap(launcher);
	for (size_t i = 0; i < CELLS_MAX; i++)
		if (launcher->cells[i].used)
			destroy(launcher, &launcher->cells[i]);
}
