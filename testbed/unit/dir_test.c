#include "testbed/unit/check.h"
#include "testbed/unit/place.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "config/base/dir.h"
#include "config/base/io.h"

static char place[48];

static void make(void)
{
	place_make(place, sizeof place, "dir");
}

static void unmake(void)
{
	place_remove(place);
}

/* How many names there are, of a file, a folder and one with a dot, each once. */
static unsigned count(int folder)
{
	CLEANUP(dir) DIR *list = dir_list(folder);
	unsigned seen[3] = { 0 }, n = 0;

	ck_assert_ptr_nonnull(list);
	for (const char *name; (name = dir_next(list)); n++) {
		ck_assert_msg(!strcmp(name, "file") || !strcmp(name, "folder") ||
				      !strcmp(name, ".hidden"),
			      "%s", name);
		seen[name[0] == '.' ? 0 : strcmp(name, "file") ? 1 : 2]++;
	}
	ck_assert(seen[0] <= 1 && seen[1] <= 1 && seen[2] <= 1);
	return n;
}

START_TEST(every_list_has_all_names_but_the_dots)
{
	CLEANUP(fd) int folder = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_uint_eq(count(folder), 0);
	ck_assert_ok(io_replace_file(folder, "file", 0600, slice_text("x")));
	ck_assert_ok(io_replace_file(folder, ".hidden", 0600, slice_text("x")));
	ck_assert_int_eq(mkdirat(folder, "folder", 0700), 0);
	for (int again = 0; again < 2; again++)
		ck_assert_uint_eq(count(folder), 3);
}
END_TEST

START_TEST(what_is_no_directory_has_no_list)
{
	CLEANUP(fd) int folder = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_ok(io_replace_file(folder, "file", 0600, slice_text("x")));
	CLEANUP(fd) int file = openat(folder, "file", IO_READ);
	ck_assert(!dir_list(file) && errno == ENOTDIR);
	ck_assert(!dir_list(-1) && errno == EBADF);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_checked_fixture(t, make, unmake);
	tcase_add_test(t, every_list_has_all_names_but_the_dots);
	tcase_add_test(t, what_is_no_directory_has_no_list);
}

int main(void)
{
	return check_run("dir", add);
}
