/* unruly - an application that behaves as the first line of its input says: for the tests.
 *
 *   echo      the rest of the input goes to stdout      exit N    ends with that status
 *   refuse    says that it refuses its input (65)        crash     dereferences nothing
 *   loop      computes for ever                          sleep     waits for ever
 *   flood     writes to stdout for ever                  complain  writes to stderr for ever
 *   memory    takes memory for ever                      probe     tells what it can see
 *
 * An empty input is echoed too: nothing comes out.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void echo(void)
{
	static char block[1 << 16];
	size_t n;

	while ((n = fread(block, 1, sizeof block, stdin)) > 0)
		fwrite(block, 1, n, stdout);
}

static void flood(FILE *out)
{
	static char block[1 << 16];

	memset(block, 'x', sizeof block);
	while (fwrite(block, 1, sizeof block, out) == sizeof block)
		;
}

static void hoard(void)
{
	const size_t step = 1 << 20;
	char *p;

	while ((p = malloc(step)))
		memset(p, 1, step);
	for (;;)
		pause();
}

static void list(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			printf("%s%s\n", path, entry->d_name);
	if (dir)
		closedir(dir);
}

static void probe(void)
{
	printf("pid %d uid %d\n", (int)getpid(), (int)getuid());
	list("/");
	list("/proc/");
	list("/dev/");
}

int main(void)
{
	static volatile unsigned long turns;
	char line[64] = "";

	if (!fgets(line, sizeof line, stdin))
		return 0;
	line[strcspn(line, "\n")] = 0;
	if (!strcmp(line, "echo"))
		echo();
	else if (!strncmp(line, "exit ", 5))
		return atoi(line + 5);
	else if (!strcmp(line, "refuse")) {
		fputs("unruly: this input is refused\n", stderr);
		return 65;
	} else if (!strcmp(line, "crash"))
		*(volatile int *)turns = 1;
	else if (!strcmp(line, "loop"))
		for (;;)
			turns++;
	else if (!strcmp(line, "sleep"))
		for (;;)
			pause();
	else if (!strcmp(line, "flood"))
		flood(stdout);
	else if (!strcmp(line, "complain"))
		flood(stderr);
	else if (!strcmp(line, "memory"))
		hoard();
	else if (!strcmp(line, "probe"))
		probe();
	else {
		fprintf(stderr, "unruly: \"%s\"?\n", line);
		return 64;
	}
	return fflush(stdout) ? 1 : 0;
}
