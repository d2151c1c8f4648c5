/* tell - tells what it can see of when, where and on what it runs; `tell all` starts itself again, and
 * children that end in every way. What a pure cell may not tell apart is one output. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096

static sigjmp_buf back;

static void jump(int signal)
{
	(void)signal;
	siglongjmp(back, 1);
}

static void clocks(void)
{
	struct timespec t = { 0, 0 };
	struct timeval v = { 0, 0 };
	struct itimerval i = { { 0, 0 }, { 0, 0 } };
	struct rusage use = { 0 };

	printf("realtime %d", clock_gettime(CLOCK_REALTIME, &t));
	printf(" %lld.%09ld\n", (long long)t.tv_sec, t.tv_nsec);
	printf("coarse %d", clock_gettime(CLOCK_MONOTONIC_COARSE, &t));
	printf(" %lld.%09ld\n", (long long)t.tv_sec, t.tv_nsec);
	printf("cputime %d", clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t));
	printf(" %lld.%09ld\n", (long long)t.tv_sec, t.tv_nsec);
	printf("time %lld\n", (long long)time(NULL));
	printf("day %d", gettimeofday(&v, NULL));
	printf(" %lld\n", (long long)v.tv_sec);
	printf("usage %d", getrusage(RUSAGE_SELF, &use));
	printf(" %ld\n", use.ru_utime.tv_usec);
	printf("timer %d\n", getitimer(ITIMER_REAL, &i));
}

/* The kernel's page of clocks can be read whether anybody says where it is or not. */
static bool page_of_clocks(void)
{
	int ends[2];
	char byte;
	bool found = false;

	if (pipe(ends))
		return true;
	for (uintptr_t at = 0x7ffff7e00000; at < 0x7ffff8000000; at += PAGE) {
		if (write(ends[1], (const void *)at, 1) != 1)
			continue;
		found |= read(ends[0], &byte, 1) == 1 &&
			 memmem((const void *)at, PAGE, "linux-vdso", 10);
	}
	close(ends[0]);
	close(ends[1]);
	return found;
}

static void counter(void)
{
#ifdef __x86_64__
	uint32_t low, high, which = 0;

	signal(SIGSEGV, jump);
	if (sigsetjmp(back, 1)) {
		puts("counter: SIGSEGV");
	} else {
		__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
		printf("counter %u %u", low, high);
		__asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(which));
		printf(" %u %u %u\n", low, high, which);
	}
	signal(SIGSEGV, SIG_DFL);
#endif
}

static void randomness(void)
{
	uint64_t word = 0;

	printf("random %zd", getrandom(&word, sizeof word, 0));
	printf(" %016llx\n", (unsigned long long)word);
	memcpy(&word, (const void *)getauxval(AT_RANDOM), sizeof word);
	printf("start %016llx\n", (unsigned long long)word);
}

static void machine(void)
{
	struct utsname name = { 0 };
	char buffer[256];

	printf("uname %d", uname(&name));
	printf(" %s %s\n", name.release, name.nodename);
	printf("processors %ld", sysconf(_SC_NPROCESSORS_ONLN));
	printf(" %ld\n", syscall(SYS_sched_getaffinity, 0, sizeof buffer, buffer));
}

static int variable;

static void layout(void)
{
	int local;

	printf("stack %p, program %p, heap %p, page of clocks %d\n", (void *)&local,
	       (void *)&variable, malloc(100), page_of_clocks());
	printf("process %d, parent %d\n", (int)getpid(), (int)getppid());
}

static void *thread(void *argument)
{
	return argument;
}

static void wait_for(const char *what, pid_t pid)
{
	int status = -1;
	pid_t ended = waitpid(pid, &status, 0);

	printf("%s: process %d ended %d, %x\n", what, (int)pid, ended == pid, (unsigned)status);
	fflush(stdout);
}

/* It would start programs as the kernel makes them. */
static void out_of_sight(void)
{
	long pid = syscall(SYS_clone, CLONE_UNTRACED | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	printf("out of sight: %s\n", pid < 0 ? strerror(errno) : "a child");
}

static void children(const char *self)
{
	static const int signals[] = { SIGTRAP, SIGSEGV, SIGTERM, SIGKILL, SIGABRT };
	pthread_t other;
	pid_t pid;

	out_of_sight();
	if ((pid = fork()) == 0) {
		execl(self, self, "again", NULL);
		_exit(1);
	}
	wait_for("again", pid);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		if ((pid = fork()) == 0) {
			raise(signals[i]);
			_exit(0);
		}
		wait_for("signal", pid);
	}
	if ((pid = vfork()) == 0)
		_exit(5);
	wait_for("vfork", pid);
	printf("thread %d", pthread_create(&other, NULL, thread, NULL));
	printf(" %d\n", pthread_join(other, NULL));
	signal(SIGUSR1, SIG_IGN);
	printf("ignored %d\n", raise(SIGUSR1));
}

int main(int argc, char **argv)
{
	clocks();
	counter();
	randomness();
	machine();
	layout();
	fflush(stdout);
	if (argc > 1 && strcmp(argv[1], "all") == 0)
		children(argv[0]);
	return 0;
}
