/* Files that a process has mapped to execute are measured as they are mapped, or not at all. */
#include "testbed/unit/check.h"
#include "testbed/unit/place.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config/base/io.h"
#include "plugin/daemon/platform.h"

#define PAGE 4096

static char folder[64], path[96];
static struct platform *platform;

static void set_up(void)
{
	place_make(folder, sizeof folder, "platform");
	snprintf(path, sizeof path, "%s/library.so", folder);
	ck_assert_ptr_nonnull(platform = calloc(1, sizeof *platform));
}

static void tear_down(void)
{
	free(platform);
	unlink(path);
	rmdir(folder);
}

/* A new file of that content under the path, mapped to execute. */
static void *map_new(char content)
{
	char page[PAGE];

	memset(page, content, sizeof page);
	unlink(path);
	CLEANUP(fd) int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, page, sizeof page), sizeof page);
	void *at = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	return at == MAP_FAILED ? NULL : at;
}

static size_t parts_of_path(void)
{
	char name[128];
	size_t n = 0;

	snprintf(name, sizeof name, "mapped:%s", path);
	for (size_t i = 0; i < platform->n; i++)
		n += slice_is(platform->list[i].name, name);
	return n;
}

START_TEST(a_file_that_is_mapped_twice_is_one_part)
{
	void *at = map_new('a');
	CLEANUP(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *again = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

	ck_assert(at && again != MAP_FAILED);
	ck_assert_ok(platform_add_mapped(platform, "/nowhere"));
	ck_assert_uint_eq(parts_of_path(), 1);
	munmap(at, PAGE);
	munmap(again, PAGE);
}
END_TEST

/* Whichever of the two is found first. */
START_TEST(another_file_mapped_under_the_same_path_does_not_hide_behind_it)
{
	void *old = map_new('a'), *new = map_new('b');

	ck_assert(old && new);
	ck_assert_err(platform_add_mapped(platform, "/nowhere"), ERR_MISMATCH);
	ck_assert_ptr_nonnull(strstr(err_reason(), "was replaced since it was loaded"));
	munmap(old, PAGE);
	platform->n = 0;
	ck_assert_ok(platform_add_mapped(platform, "/nowhere"));
	ck_assert_uint_eq(parts_of_path(), 1);
	munmap(new, PAGE);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, a_file_that_is_mapped_twice_is_one_part);
	tcase_add_test(t, another_file_mapped_under_the_same_path_does_not_hide_behind_it);
}

int main(void)
{
	return check_run("platform", add);
}
