/* spend - uses up what there is, leaves something behind, or looks for what an earlier run left. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MANY 100000
#define BLOCK 65536

static char block[BLOCK];

static int __attribute__((noreturn)) children_that_grow(void)
{
	for (int i = 0; i < 4; i++)
		if (fork() == 0)
			for (;;)
				memset(malloc(BLOCK * 4), 1, BLOCK * 4);
	for (;;)
		pause();
}

/* What the kernel holds counts as well. */
static int pipes(void)
{
	int ends[2], n = 0;

	while (pipe(ends) == 0) {
		fcntl(ends[1], F_SETFL, O_NONBLOCK);
		while (write(ends[1], block, sizeof block) > 0)
			n++;
	}
	return n ? 0 : 1;
}

static int __attribute__((noinline)) deeper(int n)
{
	volatile char room[4096];

	room[0] = (char)n;
	return n < 0 ? 0 : deeper(n + 1) + room[0];
}

static void *wait_here(void *p)
{
	pause();
	return p;
}

static int threads(void)
{
	pthread_attr_t small;
	pthread_t t;
	int n = 0;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	while (n < MANY && pthread_create(&t, &small, wait_here, NULL) == 0)
		n++;
	return n;
}

static int files(void)
{
	int n = 0;

	while (n < MANY && dup(0) >= 0)
		n++;
	return errno == EMFILE ? n : 255;
}

/* Blocks until there is no room; how many. */
static int scratch(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600), n = 0;

	if (fd < 0)
		return 255;
	signal(SIGXFSZ, SIG_IGN);
	while (n < MANY && write(fd, block, sizeof block) == (ssize_t)sizeof block)
		n++;
	return n;
}

static int use_scratch(void)
{
	int one = scratch("/tmp/one"), two = scratch("/tmp/two");
	struct stat s;

	printf("%d %d %d %s\n", one, two, stat("/tmp/one", &s), strerror(errno));
	/* A program that was written there does not run. */
	int fd = open("/tmp/three", O_WRONLY | O_CREAT, 0755);
	fchmod(fd, 0755);
	char *const argv[] = { "three", NULL };
	execve("/tmp/three", argv, argv + 1);
	return errno == EACCES || fd < 0 ? 0 : errno;
}

static int __attribute__((noreturn)) loop(void)
{
	for (volatile unsigned i = 0;; i++)
		;
}

static int __attribute__((noreturn)) loops_in_children(void)
{
	while (fork() >= 0)
		;
	loop();
}

static void compute(int ms)
{
	const clock_t end = clock() + CLOCKS_PER_SEC / 1000 * ms;

	while (clock() < end)
		;
}

/* One process after another, 40 of 50 ms each. */
static int loops_in_turns(void)
{
	for (int i = 0; i < 40; i++) {
		pid_t pid = fork();

		if (pid == 0)
			compute(50);
		if (pid <= 0)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
	return 0;
}

static int compute_read_compute(void)
{
	compute(400);
	if (read(0, block, 1) < 0)
		return 1;
	compute(400);
	return 0;
}

static int fork_and_fail(void)
{
	while (fork() > 0)
		;
	return 9;
}

/* Takes less when it gets no more. */
static int fork_what_there_is(void)
{
	pid_t pid;

	while ((pid = fork()) > 0)
		;
	if (pid == 0)
		pause();
	kill(-1, SIGKILL);
	return 0;
}

static void flood(int fd)
{
	while (write(fd, block, sizeof block) > 0)
		;
}

static int flood_both(void)
{
	if (fork() == 0)
		flood(2);
	else
		flood(1);
	return 1;
}

/* Much output before the first input, then the input. */
static int shout(void)
{
	ssize_t n;

	for (int i = 0; i < 64; i++)
		if (write(1, block, sizeof block) < 0 || write(2, block, sizeof block) < 0)
			return 1;
	while ((n = read(0, block, sizeof block)) > 0)
		if (write(1, block, (size_t)n) < 0)
			return 1;
	return 0;
}

static int daemon_that_stays(void)
{
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	if (fork() == 0) {
		if (fork() == 0)
			for (;;)
				pause();
		_exit(0);
	}
	return 0;
}

/* Signals to init while the program ends, and after. */
static int race(void)
{
	for (int i = 0; i < 4; i++)
		if (fork() == 0)
			for (;;) {
				kill(1, SIGTERM);
				kill(1, SIGKILL);
				kill(1, SIGCHLD);
				kill(1, SIGSTOP);
			}
	usleep(1000);
	return 0;
}

static int __attribute__((noreturn)) silent(void)
{
	close(1);
	close(2);
	close(0);
	for (;;)
		pause();
}

/* How often the bytes of the run before, which start with MARK, are found in fresh memory. The mark is
 * not in the program itself. */
static int found(const char *p, size_t n)
{
	const char mark[] = { 'S' ^ 1, 'E' ^ 1, 'C' ^ 1, 'R' ^ 1, 'E' ^ 1, 'T' ^ 1 };
	int count = 0;

	for (size_t i = 0; i + 16 <= n; i++) {
		size_t j = 0;

		while (j < sizeof mark && p[i + j] == (mark[j] ^ 1))
			j++;
		count += j == sizeof mark;
	}
	return count;
}

static int nonzero(const char *p, size_t n)
{
	int count = 0;

	for (size_t i = 0; i < n; i++)
		count += p[i] != 0;
	return count;
}

static int remember(void)
{
	enum { ROOM = 4 << 20 };
	char *map = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *heap = malloc(ROOM / 2), *top = sbrk(ROOM);
	const char *below = __builtin_frame_address(0); /* of the stack, never used yet */
	__asm__("" : "+r"(below));
	int before = nonzero(map, ROOM) + nonzero(top, ROOM) + found(heap, ROOM / 2) +
		     found(below - 65536, 65536 - 4096);

	ssize_t n = read(0, block, 64);
	for (size_t i = 0; n > 0 && i + 64 <= ROOM / 2; i += 64) {
		memcpy(map + i, block, 64);
		memcpy(heap + i, block, 64);
		memcpy(top + i, block, 64);
	}
	printf("%d %s\n", before, found(map, ROOM / 2) > 1000 ? "kept" : "not kept");
	return 0;
}

/* Process numbers that answer, of a thousand. */
static int neighbours(void)
{
	int n = 0;

	for (int pid = 1; pid < 1000; pid++)
		n += kill(pid, 0) == 0 || errno == EPERM;
	printf("%d\n", n);
	kill(-1, SIGKILL);
	return 0;
}

static const struct {
	const char *name;
	int (*run)(void);
} ways[] = {
	{ "children", children_that_grow },
	{ "pipes", pipes },
	{ "threads", threads },
	{ "files", files },
	{ "scratch", use_scratch },
	{ "loop", loop },
	{ "loops", loops_in_children },
	{ "turns", loops_in_turns },
	{ "think", compute_read_compute },
	{ "fork", fork_and_fail },
	{ "enough", fork_what_there_is },
	{ "both", flood_both },
	{ "shout", shout },
	{ "daemon", daemon_that_stays },
	{ "silent", silent },
	{ "race", race },
	{ "remember", remember },
	{ "neighbours", neighbours },
};

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	memset(block, 'x', sizeof block);
	if (strcmp(what, "stack") == 0)
		return deeper(0);
	if (strcmp(what, "stop") == 0)
		return raise(SIGSTOP);
	if (strcmp(what, "wait") == 0)
		return sleep(1) != 0;
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
		if (strcmp(what, ways[i].name) == 0)
			return ways[i].run();
	return 254;
}
