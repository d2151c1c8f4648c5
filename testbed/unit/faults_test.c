/* A step of confinement that can't be had ends the cell, says so, and leaves nothing. */
#include "testbed/unit/sandbox_common.h"

#include <sys/socket.h>

/* The steps that are taken for each cell; PART steps have no code of their own. */
static const char *const steps[] = {
#define STEP(name, place, need, why) STEP_##place(name)
#define STEP_LAUNCHER(name)
#define STEP_PARENT(name)
#define STEP_PART(name)
#define STEP_CHILD(name) #name,
#define STEP_INIT(name) #name,
#include "sandbox/steps.def"
#undef STEP
};

static pid_t launch(const char *fault, int *sock)
{
	char launcher[PATH_MAX + 32], init[PATH_MAX + 32];
	char *argv[] = { launcher,
			 "--init",
			 init,
			 "--uid-base",
			 "2100000000",
			 "--name",
			 bench_name,
			 "--fault",
			 (char *)fault,
			 "--fd",
			 "3",
			 "--allow-missing",
			 geteuid() ? "memory pids cpu" : "",
			 NULL };
	int pair[2];

	snprintf(launcher, sizeof launcher, "%s/faults/assay-launcher", bench_build);
	snprintf(init, sizeof init, "%s/faults/assay-init", bench_build);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	pid_t pid = fork();
	if (pid == 0) {
		dup2(pair[1], 3);
		if (pair[1] == 3)
			_exit(126);
		execv(launcher, argv);
		_exit(127);
	}
	close(pair[1]);
	*sock = pair[0];
	return pid;
}

START_TEST(a_step_that_fails_ends_the_cell_and_is_named)
{
	struct sandbox *box;
	struct run run;
	int sock;
	char wanted[64];
	int spare[4];

	/* So that the launcher's end of the socket has another number than the one it moves to. */
	for (size_t i = 0; i < 4; i++)
		spare[i] = dup(0);
	pid_t pid = launch(steps[_i], &sock);
	for (size_t i = 0; i < 4; i++)
		close(spare[i]);
	enum err e = sandbox_attach(sock, &box);
	ck_assert_msg(e == OK, "%s", err_reason());
	struct sandbox_image *image = bench_image(box, "act", "exit", "0", NULL);
	snprintf(wanted, sizeof wanted, "step %s:", steps[_i]);
	for (int i = 0; i < 2; i++) {
		e = sandbox_run(image, slice_text("x"), NULL, &run);
		ck_assert_msg(e == ERR_IO, "%s: %s", steps[_i], err_name(e));
		ck_assert_msg(strstr(err_reason(), wanted), "%s: %s", steps[_i], err_reason());
	}
	sandbox_image_drop(image);
	sandbox_close(box);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert(!bench_left_behind());
}
END_TEST

static Suite *suite(const char *name)
{
	Suite *s = suite_create(name);
	TCase *t = tcase_create(name);

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, a_step_that_fails_ends_the_cell_and_is_named, 0,
			    sizeof steps / sizeof *steps);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return bench_main(suite);
}
