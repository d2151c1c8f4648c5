/* act - does what its first argument says: the application of the sandbox's tests. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int cat(void)
{
	static char block[65536];

	for (ssize_t n; (n = read(0, block, sizeof block)) > 0;)
		for (ssize_t done = 0; done < n;) {
			ssize_t out = write(1, block + done, (size_t)(n - done));

			if (out < 0)
				return 1;
			done += out;
		}
	return 0;
}

static int flood(int fd)
{
	static char block[65536];

	memset(block, 'x', sizeof block);
	for (;;)
		if (write(fd, block, sizeof block) < 0)
			return 1;
}

static int bomb(void)
{
	for (;;) {
		char *p = malloc(1 << 20);

		if (!p)
			return 9;
		memset(p, 1, 1 << 20);
	}
}

static void __attribute__((noreturn)) loop(void)
{
	for (volatile unsigned i = 0;; i++)
		;
}

/* Leaves a child behind which holds all descriptors. */
static int leave(void)
{
	if (fork() == 0)
		for (;;)
			pause();
	printf("left\n");
	return 0;
}

static int fork_bomb(void)
{
	int n = 0;

	while (n < 10000 && fork() >= 0)
		n++;
	return n < 10000 ? 0 : 1;
}

static void *thread_main(void *p)
{
	return p;
}

static int threads(void)
{
	pthread_t t;
	char mark;
	void *got = NULL;

	if (pthread_create(&t, NULL, thread_main, &mark) || pthread_join(t, &got))
		return 1;
	return got != &mark;
}

/* Everything that would tell one run from the next. */
static int identify(char **env)
{
	printf("pid %d ppid %d uid %d gid %d groups %d\n", getpid(), getppid(), (int)getuid(),
	       (int)getgid(), getgroups(0, NULL));
	for (; *env; env++)
		printf("%s\n", *env);
	return 0;
}

int main(int argc, char **argv, char **env)
{
	const char *what = argc > 1 ? argv[1] : "cat";

	if (strcmp(what, "cat") == 0)
		return cat();
	if (strcmp(what, "exit") == 0)
		return atoi(argv[2]);
	if (strcmp(what, "abort") == 0)
		abort();
	if (strcmp(what, "term") == 0)
		return raise(SIGTERM);
	if (strcmp(what, "loop") == 0)
		loop();
	if (strcmp(what, "sleep") == 0)
		return (int)sleep(1000);
	if (strcmp(what, "flood") == 0)
		return flood(1);
	if (strcmp(what, "flood-messages") == 0)
		return flood(2);
	if (strcmp(what, "bomb") == 0)
		return bomb();
	if (strcmp(what, "leave") == 0)
		return leave();
	if (strcmp(what, "forks") == 0)
		return fork_bomb();
	if (strcmp(what, "threads") == 0)
		return threads();
	if (strcmp(what, "identify") == 0)
		return identify(env);
	if (strcmp(what, "both") == 0)
		return printf("out\n") < 0 || fprintf(stderr, "messages\n") < 0;
	return 99;
}
