/* talk - reads and writes in the order that its first argument says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_BYTES ((size_t)8 << 20)

static int put(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t out = write(fd, p, n);

		if (out < 0)
			return 1;
		p += out;
		n -= (size_t)out;
	}
	return 0;
}

static int copy(int fd)
{
	static char block[65536];

	for (ssize_t n; (n = read(0, block, sizeof block)) > 0;)
		if (put(fd, block, (size_t)n))
			return 1;
	return 0;
}

/* Much output before any input is read. */
static int first(int fd)
{
	static char block[65536];

	memset(block, 'x', sizeof block);
	for (size_t i = 0; i < FIRST_BYTES; i += sizeof block)
		if (put(fd, block, sizeof block))
			return 1;
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "early") == 0)
		return put(1, "early\n", 6) || copy(1);
	if (strcmp(what, "late") == 0)
		return copy(1);
	if (strcmp(what, "first") == 0)
		return first(1) || copy(1);
	if (strcmp(what, "messages-first") == 0)
		return first(2) || copy(1);
	if (strcmp(what, "to-messages") == 0)
		return copy(2);
	if (strcmp(what, "end") == 0)
		return 5;
	if (strcmp(what, "close") == 0)
		return close(0) || put(1, "closed\n", 7);
	return 99;
}
