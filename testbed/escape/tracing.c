/* Family: init, and whatever else is not one's own child. Outside, process 1 is a namespace's own. */
#include <linux/kcmp.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <time.h>

#include "family.h"

#define CLOCK_OF(pid) ((clockid_t)((~(unsigned)(pid) << 3) | 2))

static int attach(void)
{
	int error = TRY(ptrace(PTRACE_ATTACH, 1, 0, 0));

	if (!error && waitpid(1, NULL, __WALL) == 1)
		ptrace(PTRACE_DETACH, 1, 0, 0);
	return error;
}

static int seize(void)
{
	return TRY(ptrace(PTRACE_SEIZE, 1, 0, 0));
}

static int trace_me(void)
{
	return TRY(ptrace(PTRACE_TRACEME, 0, 0, 0));
}

/* Some address that is surely mapped there: a page of this same program is no secret. */
static int peek(void)
{
	char byte;
	struct iovec mine = { &byte, 1 }, its = { (void *)attach, 1 };
	int error = TRY(process_vm_readv(1, &mine, 1, &its, 1, 0));

	return error == EFAULT ? 0 : error; /* it looked */
}

static int poke(void)
{
	char byte = 0;
	struct iovec mine = { &byte, 1 }, its = { (void *)16, 1 };
	int error = TRY(process_vm_writev(1, &mine, 1, &its, 1, 0));

	return error == EFAULT ? 0 : error;
}

static int get_fd(void)
{
	int fd = (int)syscall(SYS_pidfd_open, 1, 0);

	return fd < 0 ? errno : TRY(syscall(SYS_pidfd_getfd, fd, 0, 0));
}

static int send_by_pidfd(void)
{
	int fd = (int)syscall(SYS_pidfd_open, 1, 0);

	return fd < 0 ? errno : TRY(syscall(SYS_pidfd_send_signal, fd, SIGCONT, NULL, 0));
}

static int compare(void)
{
	return TRY(syscall(SYS_kcmp, 1, getpid(), KCMP_FILES, 0, 0));
}

static int kill_init(void)
{
	return TRY(kill(1, SIGKILL));
}

static int stop_init(void)
{
	return TRY(kill(1, SIGSTOP));
}

static int end_init(void)
{
	return TRY(syscall(SYS_tgkill, 1, 1, SIGTERM));
}

static int queue(void)
{
	siginfo_t info = { .si_code = SI_QUEUE };

	return TRY(syscall(SYS_rt_sigqueueinfo, 1, SIGCONT, &info));
}

static int limit_init(void)
{
	struct rlimit r = { 0, 0 };

	return TRY(syscall(SYS_prlimit64, 1, RLIMIT_CORE, &r, NULL));
}

static int limits_of_init(void)
{
	struct rlimit r;

	return TRY(syscall(SYS_prlimit64, 1, RLIMIT_CORE, NULL, &r));
}

static int move_init(void)
{
	unsigned long mask = 1;

	return TRY(syscall(SYS_sched_setaffinity, 1, sizeof mask, &mask));
}

static int slow_init(void)
{
	return TRY(setpriority(PRIO_PROCESS, 1, 19));
}

static int clock_of_init(void)
{
	struct timespec t;

	return TRY(clock_gettime(CLOCK_OF(1), &t));
}

static int futexes_of_init(void)
{
	void *list;
	size_t size;

	return TRY(syscall(SYS_get_robust_list, 1, &list, &size));
}

static int group_of_init(void)
{
	return TRY(getpgid(1));
}

static int pages_of_init(void)
{
	unsigned long from = 1, to = 1;

	return TRY(syscall(SYS_migrate_pages, 1, 64, &from, &to));
}

static int adopt(void)
{
	return TRY(syscall(SYS_prctl, 36 /* child subreaper */, 1, 0, 0, 0));
}

static int session(void)
{
	return TRY(setsid());
}

static int raise_limit(void)
{
	struct rlimit r = { 4096, 1 << 20 };

	return TRY(setrlimit(RLIMIT_NOFILE, &r));
}

static int raise_processes(void)
{
	struct rlimit r;

	getrlimit(RLIMIT_NPROC, &r);
	if (r.rlim_max == RLIM_INFINITY)
		return 0;
	r.rlim_cur = ++r.rlim_max;
	return TRY(setrlimit(RLIMIT_NPROC, &r));
}

static int become_root(void)
{
	return TRY(syscall(SYS_setresuid, 0, 0, 0));
}

static int join_groups(void)
{
	gid_t group = 0;

	return TRY(syscall(SYS_setgroups, 1, &group));
}

static const struct attempt attempts[] = {
	{ "ptrace attach", attach, EPERM, EPERM, PASSES },
	{ "ptrace seize", seize, EPERM, EPERM, PASSES },
	{ "ptrace traceme", trace_me, EPERM, REFUSED | MAY_PASS, PASSES },
	{ "process_vm_readv", peek, EPERM, EPERM, PASSES },
	{ "process_vm_writev", poke, EPERM, EPERM, PASSES },
	{ "pidfd_getfd", get_fd, EPERM, EPERM, PASSES },
	{ "pidfd_send_signal", send_by_pidfd, EPERM, EPERM | MAY_PASS, PASSES },
	{ "kcmp", compare, EPERM, EPERM, IF_THERE },
	/* An ordinary user's init has the same user: the kernel then drops what would end or stop it. */
	{ "kill init", kill_init, EPERM | MAY_PASS, EPERM | MAY_PASS, PASSES },
	{ "stop init", stop_init, EPERM | MAY_PASS, EPERM | MAY_PASS, PASSES },
	{ "tgkill init", end_init, EPERM | MAY_PASS, EPERM | MAY_PASS, PASSES },
	{ "rt_sigqueueinfo", queue, EPERM, EPERM | MAY_PASS, PASSES },
	{ "set a limit of init", limit_init, EPERM, EPERM | MAY_PASS, PASSES },
	{ "read a limit of init", limits_of_init, EPERM, EPERM | MAY_PASS, PASSES },
	{ "sched_setaffinity of init", move_init, EPERM, EPERM | MAY_PASS, PASSES },
	{ "setpriority of init", slow_init, EPERM, EPERM | MAY_PASS, PASSES },
	{ "cpu clock of init", clock_of_init, EPERM, PASSES, PASSES },
	{ "get_robust_list of init", futexes_of_init, EPERM, EPERM, PASSES },
	{ "getpgid of init", group_of_init, EPERM, PASSES, PASSES },
	{ "migrate_pages of init", pages_of_init, EPERM, EPERM, IF_THERE },
	{ "become a subreaper", adopt, EPERM, PASSES, PASSES },
	{ "setsid", session, EPERM, PASSES, PASSES },
	{ "raise the limit of files", raise_limit, EPERM, EPERM, IF_THERE },
	{ "raise the limit of processes", raise_processes, EPERM, EPERM, IF_THERE },
	{ "setresuid root", become_root, OR(EPERM, EINVAL), OR(EPERM, EINVAL), PASSES },
	{ "setgroups", join_groups, EPERM, EPERM, PASSES },
};
FAMILY(attempts)
