/* assay-init - process 1 of a cell: confines itself, then runs one program at a time. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/init/init.h"
#include "sandbox/package.h"

#define CHILD_STACK 65536
#define PR_SET_MDWE_ 65
#define PR_MDWE_REFUSE_EXEC_GAIN_ 1

#ifndef ASSAY_FAULTS /* programs of the tests may fail at a step, or leave it out */
#define step_take(step) (step)->take()
#endif

static struct {
	struct init_setup head;
	char *strings[2 * MANIFEST_STRINGS_MAX + 2];
	struct sock_fprog filter;
	char message[INIT_MESSAGE_MAX] __attribute__((aligned(8)));
} setup;

/* sendmsg, since that alone passes the filter; nobody to talk to any more is the end. */
static void tell(const void *p, size_t n)
{
	struct iovec part = { (void *)p, n };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	if (sendmsg(INIT_FD_CONTROL, &message, MSG_NOSIGNAL) < 0)
		_exit(1);
}

static void say(int type, const char *text)
{
	char message[128];
	int n = snprintf(message, sizeof message, "%c%s", type, text);

	tell(message, (size_t)n);
}

static void __attribute__((noreturn)) fail(const char *step)
{
	char text[120];

	snprintf(text, sizeof text, "%s: %s", step, strerror(errno));
	say(INIT_FAILED, text);
	_exit(1);
}

/* Into setup.strings: arguments, NULL, environment, NULL. */
static bool take_strings(char *p, const char *end)
{
	const uint32_t argc = setup.head.argc, n = argc + setup.head.envc;
	char **to = setup.strings;

	if (argc == 0 || argc > MANIFEST_STRINGS_MAX || setup.head.envc > MANIFEST_STRINGS_MAX ||
	    end[-1])
		return false;
	for (uint32_t i = 0; i < n && p < end; i++, p += strlen(p) + 1) {
		to += i == argc;
		*to++ = p;
	}
	return p == end && to == setup.strings + n + (n > argc);
}

static bool take_setup(size_t n)
{
	struct init_setup *head = &setup.head;
	char *code = setup.message + sizeof *head;

	if (n < sizeof *head)
		return false;
	memcpy(head, setup.message, sizeof *head);
	if (head->filter_n > BPF_MAXINSNS ||
	    head->filter_n * sizeof(struct sock_filter) >= n - sizeof *head)
		return false;
	setup.filter =
		(struct sock_fprog){ (unsigned short)head->filter_n, (struct sock_filter *)code };
	return take_strings(code + head->filter_n * sizeof(struct sock_filter), setup.message + n);
}

/* They had to survive the start of init, and must not survive that of an application. */
static int step_own_descriptors(void)
{
	for (int fd = INIT_FD_CONTROL; fd < INIT_FD_END; fd++)
		if (fcntl(fd, F_SETFD, FD_CLOEXEC))
			return -1;
	return 0;
}

/* Applications get theirs on the lowest numbers: the first three that arrive. */
static int step_standard_descriptors(void)
{
	return (int)syscall(SYS_close_range, 0, 2, 0);
}

/* Init's own capabilities came to it as ambient ones. Without them, and without an inheritable set,
 * executing a program gives all of them up, whoever executes it. */
static int step_capabilities_end(void)
{
	return set_capabilities(INIT_CAPABILITIES, 0);
}

/* If it died before: it alone holds the other end of the control socket until init has said that it is
 * ready, which then fails. */
static int step_parent_death(void)
{
	return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
}

static int step_undumpable(void)
{
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static int step_purity(void)
{
	return setup.head.purity ? purity_prepare(setup.head.purity) : 0;
}

static int step_mdwe(void)
{
	if (!(setup.head.have & INIT_HAS_MDWE))
		return 0;
	return prctl(PR_SET_MDWE_, PR_MDWE_REFUSE_EXEC_GAIN_, 0, 0, 0);
}

/* As newer kernels have it; an older one takes it when what it does not know is 0. */
struct ruleset {
	uint64_t files, net, scopes;
};

#define FILES_ABI1 0x1fffull  /* the first 13 rights */
#define FS_REFER (1ull << 13) /* to another directory */
#define FS_TRUNCATE (1ull << 14)
#define FS_IOCTL (1ull << 15) /* on devices */
#define NET_ALL 3ull          /* bind and connect TCP */
#define SCOPES_ALL 3ull       /* abstract sockets, signals */

static int landlock_allow(int ruleset, const char *path, uint64_t rights)
{
	int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return -1;
	struct landlock_path_beneath_attr rule = { .allowed_access = rights, .parent_fd = fd };
	int r = (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	close(fd);
	return r;
}

static int allow_scratch(int ruleset, uint32_t abi)
{
	const uint64_t rights = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
				LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
				LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
				LANDLOCK_ACCESS_FS_REMOVE_DIR | (abi >= 2 ? FS_REFER : 0) |
				(abi >= 3 ? FS_TRUNCATE : 0);

	if (!(setup.head.have & INIT_HAS_SCRATCH))
		return 0;
	return landlock_allow(ruleset, "/tmp", rights);
}

static int step_landlock(void)
{
	const uint32_t abi = setup.head.landlock_abi;
	const struct ruleset all = { FILES_ABI1 | (abi >= 2 ? FS_REFER : 0) |
					     (abi >= 3 ? FS_TRUNCATE : 0) |
					     (abi >= 5 ? FS_IOCTL : 0),
				     abi >= 4 ? NET_ALL : 0, abi >= 6 ? SCOPES_ALL : 0 };
	const uint64_t device = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
	int fd = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);

	if (fd < 0)
		return -1;
	if (landlock_allow(fd, "/",
			   LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
				   LANDLOCK_ACCESS_FS_EXECUTE) ||
	    landlock_allow(fd, "/dev/null", device) || landlock_allow(fd, "/dev/zero", device) ||
	    landlock_allow(fd, "/dev/full", device) || allow_scratch(fd, abi) ||
	    syscall(SYS_landlock_restrict_self, fd, 0))
		return -1;
	return close(fd);
}

static int step_seccomp(void)
{
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &setup.filter);
}

static const struct step {
	const char *name;
	int (*take)(void);
} steps[] = {
#define STEP(name, place, need, why) STEP_##place(name)
#define STEP_LAUNCHER(name)
#define STEP_PARENT(name)
#define STEP_CHILD(name)
#define STEP_PART(name)
#define STEP_INIT(name) { #name, step_##name },
#include "sandbox/steps.def"
#undef STEP
};

static void confine(void)
{
	ssize_t n = recv(INIT_FD_CONTROL, setup.message, sizeof setup.message, MSG_TRUNC);

	if (n <= 0 || (size_t)n > sizeof setup.message || !take_setup((size_t)n)) {
		errno = EBADMSG;
		fail("setup");
	}
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
		if (step_take(&steps[i]))
			fail(steps[i].name);
	say(INIT_READY, "");
}

/* What the child tells its parent, whose memory it shares until it executes. */
struct launch {
	const struct init_run *run;
	volatile int error;
};

static int limit(int resource, uint64_t soft, uint64_t hard)
{
	struct rlimit r = { soft, hard };

	return (int)syscall(SYS_prlimit64, 0, resource, &r, NULL);
}

static int become(const struct launch *launch)
{
	const struct init_run *run = launch->run;

	/* A table of its own with the three standard descriptors; a copy of init's would be large,
	 * since init keeps its own so high. */
	if (syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_UNSHARE) ||
	    limit(RLIMIT_NOFILE, run->open_files, run->open_files) ||
	    limit(RLIMIT_CPU, run->cpu_seconds, run->cpu_seconds + 1ull) ||
	    (run->address_space && limit(RLIMIT_AS, run->address_space, run->address_space)) ||
	    syscall(SYS_setresgid, CELL_APP_ID, CELL_APP_ID, CELL_APP_ID) ||
	    syscall(SYS_setresuid, CELL_APP_ID, CELL_APP_ID, CELL_APP_ID) ||
	    limit(RLIMIT_NPROC, run->user_processes, run->user_processes) ||
	    (setup.head.purity && purity_enter()))
		return -1;
	return execve(setup.strings[0], setup.strings, setup.strings + setup.head.argc + 1);
}

static int child(void *argument)
{
	struct launch *launch = argument;

	become(launch);
	launch->error = errno ? errno : EINVAL;
	_exit(127);
}

static void reset_pid(void)
{
	/* The application is always process 2. */
	if (pwrite(INIT_FD_LAST_PID, "1", 1, 0) != 1)
		_exit(1);
}

/* Ends what the program left behind; clean when that was nothing. */
static bool sweep(void)
{
	bool clean = true;

	for (;;) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);

		if (pid < 0)
			return clean && errno == ECHILD;
		clean = false;
		kill(-1, SIGKILL);
		if (pid == 0 && waitpid(-1, NULL, 0) < 0 && errno != ECHILD)
			return false;
	}
}

/* Pure applications stop at each start of a process or program; the filter keeps from them, and so from
 * init, how much time was used. */
static void wait_for_end(pid_t pid, struct init_report *report)
{
	const uint32_t purity = setup.head.purity;
	struct rusage use = { 0 };
	pid_t which = 0;

	while (which != pid || WIFSTOPPED(report->status)) {
		which = wait4(purity ? -1 : pid, &report->status, __WALL, purity ? NULL : &use);
		if (which > 0 && WIFSTOPPED(report->status))
			purity_stopped(which, purity, &report->status);
		if (which < 0 && errno != EINTR)
			_exit(1);
	}
	report->cpu_us = (uint64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 +
			 (uint64_t)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

/* The child runs on a stack of its own beside this process, which only waits: neither looks at what
 * the other writes before one of them has ended or executed. */
static void run(const struct init_run *wanted, struct init_report *report)
{
	static char stack[CHILD_STACK] __attribute__((aligned(16)));
	struct launch launch = { wanted, 0 };

	*report = (struct init_report){ .status = -1 };
	pid_t pid = clone(child, stack + sizeof stack, CLONE_VM | CLONE_FILES | SIGCHLD, &launch);
	int error = pid < 0 ? errno : 0;
	if (pid > 0) {
		wait_for_end(pid, report);
		report->clean = sweep();
		error = launch.error;
	}
	syscall(SYS_close_range, 0, 2, 0);
	if (error) {
		report->status = -1;
		report->error = error;
	}
}

/* They land on 0, 1 and 2, where nothing else is. */
static bool take_run(struct init_run *wanted)
{
	static const int standard[3] = { 0, 1, 2 };
	union {
		char bytes[CMSG_SPACE(sizeof standard)];
		struct cmsghdr align;
	} control;
	struct iovec part = { wanted, sizeof *wanted };
	struct msghdr message = { .msg_iov = &part,
				  .msg_iovlen = 1,
				  .msg_control = control.bytes,
				  .msg_controllen = sizeof control.bytes };
	ssize_t n = recvmsg(INIT_FD_CONTROL, &message, 0);
	struct cmsghdr *rights = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;

	return n == sizeof *wanted && !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) && rights &&
	       rights->cmsg_type == SCM_RIGHTS && rights->cmsg_len == CMSG_LEN(sizeof standard) &&
	       memcmp(CMSG_DATA(rights), standard, sizeof standard) == 0;
}

int main(void)
{
	struct init_run wanted = { 0 };
	struct init_report report;

	confine();
	/* What the next run needs is done before it comes. */
	for (reset_pid(); take_run(&wanted); reset_pid()) {
		run(&wanted, &report);
		tell(&report, sizeof report);
	}
	return 0;
}
