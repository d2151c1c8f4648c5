/* pack_test.c - directories and programs become packages, or it is said why not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/base/io.h"
#include "sandbox/pack.h"
#include "testbed/unit/package.h"

/* A directory of its own for each test of pack.h. */
static char tree[32];

static void tree_make(void)
{
	strcpy(tree, "/tmp/assay-pack.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(tree));
	ck_assert_int_eq(chdir(tree), 0);
	ck_assert_int_eq(mkdir("bin", 0700), 0);
	ck_assert_int_eq(mkdir("dev", 0700), 0);
	ck_assert_int_eq(symlink("bin", "sbin"), 0);
	ck_assert_int_eq(system("cp /bin/true bin/dynamic && cp /proc/self/exe bin/self; "
				"printf '#!/bin/dynamic -x\\n' > bin/script && chmod 755 bin/*"),
			 0);
}

static void tree_remove(void)
{
	char command[64];

	snprintf(command, sizeof command, "rm -rf %s", tree);
	ck_assert_int_eq(system(command), 0);
}

static enum err pack_tree(const char *exec, struct manifest *m, struct buf *out)
{
	*m = manifest();
	m->argc = 0;
	return package_from_directory(tree, exec, m, out);
}

START_TEST(a_directory_becomes_a_package)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(buf) struct buf again = BUF_INIT;
	struct manifest m;
	struct package p;

	ck_assert_msg(pack_tree("/bin/script", &m, &raw) == OK, "%s", err_reason());
	ck_assert(m.dynamic);
	ck_assert_int_eq(package_parse(buf_slice(&raw), &p), OK);
	ck_assert(slice_is(p.manifest.argv[0], "/bin/script"));
	/* Neither time nor mode counts, but for the right to execute. */
	ck_assert_int_eq(chmod("bin/script", 0700), 0);
	ck_assert_int_eq(pack_tree("/bin/script", &m, &again), OK);
	ck_assert(slice_equal(buf_slice(&raw), buf_slice(&again)));
}
END_TEST

static const struct {
	const char *command, *exec, *word;
	enum err e;
} unpackable[] = {
	{ "mkfifo pipe", "/bin/script", "pipe", ERR_FORMAT },
	{ "chmod 4755 bin/dynamic", "/bin/script", "bin/dynamic", ERR_FORMAT },
	{ "chmod 2755 bin/dynamic", "/bin/script", "bin/dynamic", ERR_FORMAT },
	{ "ln -s /etc/passwd out", "/bin/script", "absolute", ERR_FORMAT },
	{ "ln -s ../../etc/passwd out", "/bin/script", "leaves", ERR_FORMAT },
	{ "true", "/bin/missing", "no such file", ERR_NOT_FOUND },
	{ "true", "bin/script", "absolute", ERR_USAGE },
	{ "rm bin/dynamic", "/bin/script", "/bin/dynamic", ERR_NOT_FOUND },
	{ "echo text > bin/text", "/bin/text", "neither", ERR_FORMAT },
};

START_TEST(a_tree_that_cannot_be_packed_says_why)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct manifest m;

	ck_assert_int_eq(system(unpackable[_i].command), 0);
	ck_assert_int_eq(pack_tree(unpackable[_i].exec, &m, &raw), unpackable[_i].e);
	ck_assert_msg(strstr(err_reason(), unpackable[_i].word), "%s: %s", unpackable[_i].command,
		      err_reason());
}
END_TEST

START_TEST(a_socket_cannot_be_packed)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "socket" };
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct manifest m;
	CLEANUP(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	ck_assert_int_eq(pack_tree("/bin/script", &m, &raw), ERR_FORMAT);
}
END_TEST

START_TEST(what_is_no_program_is_refused)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct manifest m = manifest();

	ck_assert_int_eq(package_from_program("bin/script", &m, &raw), ERR_UNSUPPORTED);
	ck_assert_int_eq(package_from_program("/nowhere", &m, &raw), ERR_NOT_FOUND);
	ck_assert_int_eq(package_from_program(tree, &m, &raw), ERR_FORMAT);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_checked_fixture(t, tree_make, tree_remove);
	tcase_add_test(t, a_directory_becomes_a_package);
	tcase_add_table(t, a_tree_that_cannot_be_packed_says_why, unpackable);
	tcase_add_test(t, a_socket_cannot_be_packed);
	tcase_add_test(t, what_is_no_program_is_refused);
}

int main(void)
{
	return check_run("pack", add);
}
