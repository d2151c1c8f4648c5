/* landlock_test.c - which files a process can still open. Each test is a process. */
#include "config/base/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "testbed/unit/check.h"

static int opened(const char *path, int how)
{
	int fd = open(path, how | O_CLOEXEC, 0600);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

START_TEST(what_is_not_listed_is_not_opened_any_more)
{
	static const struct landlock_path paths[] = { { "/usr/lib", false },
						      { "/dev/null", true },
						      { "/no/such/file", true } };

	if (landlock_files(paths, sizeof paths / sizeof *paths)) {
		ck_assert_int_eq(opened("/etc/passwd", O_RDONLY), 0);
		return; /* a kernel without it */
	}
	ck_assert_int_eq(opened("/usr/lib", O_RDONLY | O_DIRECTORY), 0);
	ck_assert_int_eq(opened("/dev/null", O_RDWR), 0);
	ck_assert_int_eq(opened("/etc/passwd", O_RDONLY), EACCES);
	ck_assert_int_eq(opened("/dev/zero", O_RDWR), EACCES);
	ck_assert_int_eq(opened("/usr/lib/new", O_WRONLY | O_CREAT), EACCES);
	execl("/bin/true", "true", (char *)NULL);
	ck_assert_int_eq(errno, EACCES);
	_exit(0); /* a sanitizer's look at the end would need files */
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, what_is_not_listed_is_not_opened_any_more);
}

int main(void)
{
	return check_run("landlock", add);
}
