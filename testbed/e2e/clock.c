/* The daemon's clock, for tests of the whole appliance: linked before the C library's (--wrap), so
 * many seconds off as the file "clock" beside the program says.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int __real_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_clock_gettime(clockid_t clock, struct timespec *out);

static long off(void)
{
	char path[4096], text[32];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof "clock");
	char *slash;

	if (n < 0)
		return 0;
	path[n] = 0;
	if (!(slash = strrchr(path, '/')))
		return 0;
	strcpy(slash + 1, "clock");
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return 0;
	text[n] = 0;
	return strtol(text, NULL, 10);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
	int r = __real_clock_gettime(clock, out);

	if (!r && clock == CLOCK_REALTIME)
		out->tv_sec += off();
	return r;
}
