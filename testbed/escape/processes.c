/* Init is out of reach, limits only shrink, nothing is inherited. */
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "attempt.h"

extern char **environ;

/* The clock of process 1: CPUCLOCK_SCHED of a process, as the kernel encodes it. */
#define CLOCK_OF(pid) ((clockid_t)((~(unsigned)(pid) << 3) | 2))

static void descriptors(void)
{
	for (int fd = 3; fd < 2000; fd++)
		FAILS(fcntl(fd, F_GETFD), EBADF, EBADF);
	for (int fd = 0; fd < 3; fd++)
		FAILS(lseek(fd, 0, SEEK_CUR), ESPIPE, ESPIPE);
	/* Each is one end only. */
	char byte = 0;
	FAILS(write(0, &byte, 1), EBADF, EBADF);
	FAILS(read(1, &byte, 1), EBADF, EBADF);
	FAILS(read(2, &byte, 1), EBADF, EBADF);
}

static void init_process(void)
{
	struct timespec t;

	HOLDS(getpid() == 2);
	HOLDS(getppid() == 1);
	/* Either it may not be signalled, or, as the same user, the kernel drops what would end it. */
	for (int i = 1; i < 32; i++)
		if (kill(1, i) == -1 && errno != EPERM)
			HOLDS(!"another answer from kill");
	DENIED(clock_gettime(CLOCK_OF(1), &t));
	DENIED(clock_getres(CLOCK_OF(1), &t));
	DENIED(syscall(SYS_clock_nanosleep, CLOCK_OF(1), 0, &t, NULL));
	DENIED(syscall(SYS_sched_getaffinity, 1, 8, &t));
	DENIED(syscall(SYS_prlimit64, 1, RLIMIT_CORE, NULL, &t));
	DENIED(getpgid(1));
}

static void limits(void)
{
	static const int resources[] = { RLIMIT_NOFILE, RLIMIT_NPROC,   RLIMIT_CORE,
					 RLIMIT_CPU,    RLIMIT_MEMLOCK, RLIMIT_FSIZE };

	for (size_t i = 0; i < sizeof resources / sizeof *resources; i++) {
		struct rlimit r, more;

		HOLDS(getrlimit((__rlimit_resource_t)resources[i], &r) == 0);
		HOLDS(r.rlim_max != RLIM_INFINITY);
		more = (struct rlimit){ r.rlim_max + 1, r.rlim_max + 1 };
		FAILS(setrlimit((__rlimit_resource_t)resources[i], &more), EPERM, EINVAL);
	}
	FAILS(dup2(0, 700), EBADF, EBADF);
}

static void identity(void)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct all[2] = { { ~0u, ~0u, ~0u }, { ~0u, ~0u, ~0u } };

	HOLDS(getuid() == 1000 && geteuid() == 1000 && getgid() == 1000 && getegid() == 1000);
	HOLDS(getgroups(0, NULL) == 0);
	FAILS(setresuid(0, 0, 0), EPERM, EINVAL);
	FAILS(setresgid(0, 0, 0), EPERM, EINVAL);
	FAILS(setresuid(1001, 1001, 1001), EPERM, EINVAL);
	FAILS(syscall(SYS_capset, &head, all), EPERM, EPERM);
	DENIED(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
	DENIED(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	DENIED(prctl(PR_SET_SECCOMP, 0, 0, 0, 0));
	DENIED(prctl(PR_SET_PTRACER, -1, 0, 0, 0));
	DENIED(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 7, 0, 0));
	DENIED(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	DENIED(prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0));
	DENIED(prctl(PR_SET_MM, 0, 0, 0, 0));
}

static void inherited(void)
{
	sigset_t mask;

	HOLDS(sigprocmask(SIG_SETMASK, NULL, &mask) == 0);
	for (int i = 1; i < 65; i++) {
		struct sigaction action;

		HOLDS(sigismember(&mask, i) != 1);
		if (sigaction(i, NULL, &action) == 0)
			HOLDS(action.sa_handler == SIG_DFL);
	}
	HOLDS(environ[0] && strcmp(environ[0], "LANG=C") == 0 && !environ[1]);
}

/* The limit of processes holds, and children are no better off. */
static void children(void)
{
	int started = 0, status;

	for (; started < 100; started++) {
		pid_t pid = fork();

		if (pid == 0) {
			pause();
			_exit(0);
		}
		if (pid < 0)
			break;
	}
	HOLDS(started < 16);
	kill(-1, SIGKILL); /* all but init and, by POSIX, whoever sends it */
	while (wait(&status) > 0)
		;
}

int main(void)
{
	descriptors();
	init_process();
	limits();
	identity();
	inherited();
	children();
	return attempts_through;
}
