#include "testbed/unit/check.h"
#include "testbed/unit/place.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/base/io.h"
#include "config/base/secret.h"

static int pair[2];
static char directory[48];

static void sockets(void)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
}

static int open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

START_TEST(a_message_arrives_with_its_descriptors)
{
	CLEANUP(buf) struct buf got = BUF_INIT;
	int fds[2] = { 0, 1 }, out[2];
	size_t n;

	sockets();
	ck_assert_ok(io_send_message(pair[0], slice_text("hello"), fds, 2));
	ck_assert_ok(io_recv_message(pair[1], 100, &got, out, 2, &n));
	ck_assert(slice_is(buf_slice(&got), "hello"));
	ck_assert_uint_eq(n, 2);
	ck_assert_int_eq(fcntl(out[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(out[0]);
	close(out[1]);
}
END_TEST

START_TEST(a_message_that_is_too_long_or_brings_too_much_leaks_nothing)
{
	CLEANUP(buf) struct buf got = BUF_INIT;
	int fds[3] = { 0, 1, 2 }, out[1];
	size_t n;

	sockets();
	int before = open_descriptors();
	ck_assert_ok(io_send_message(pair[0], slice_text("x"), fds, 3));
	ck_assert_err(io_recv_message(pair[1], 100, &got, out, 1, &n), ERR_FORMAT);
	ck_assert_uint_eq(n, 0);
	ck_assert_ok(io_send_message(pair[0], slice_text("too long"), fds, 1));
	ck_assert_err(io_recv_message(pair[1], 3, &got, out, 1, &n), ERR_FORMAT);
	ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

START_TEST(a_closed_peer_is_gone_both_ways)
{
	CLEANUP(buf) struct buf got = BUF_INIT;

	sockets();
	close(pair[0]);
	ck_assert_err(io_recv_message(pair[1], 10, &got, NULL, 0, NULL), ERR_GONE);
	ck_assert_err(io_send_message(pair[1], slice_text("x"), NULL, 0), ERR_GONE);
}
END_TEST

START_TEST(only_a_memory_file_with_all_seals_is_mapped)
{
	struct slice mapped;
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	ck_assert_int_eq(write(fd, "bytes", 5), 5);
	ck_assert_err(io_map_sealed(fd, 100, &mapped), ERR_FORMAT);
	fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW);
	ck_assert_err(io_map_sealed(fd, 100, &mapped), ERR_FORMAT);
	ck_assert_ok(io_memfd_seal(fd));
	ck_assert_err(io_map_sealed(fd, 4, &mapped), ERR_RANGE);
	ck_assert_ok(io_map_sealed(fd, 5, &mapped));
	ck_assert(slice_is(mapped, "bytes"));
	io_unmap(&mapped);
	close(fd);
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	ck_assert_err(io_map_sealed(fd, 100, &mapped), ERR_FORMAT);
	close(fd);
}
END_TEST

START_TEST(an_empty_memory_file_is_an_empty_slice)
{
	struct slice mapped;
	int fd;

	ck_assert_ok(io_memfd("test", slice_of(NULL, 0), &fd));
	ck_assert_ok(io_map_sealed(fd, 0, &mapped));
	ck_assert_uint_eq(mapped.left, 0);
	io_unmap(&mapped);
	close(fd);
}
END_TEST

static int test_directory(void)
{
	place_make(directory, sizeof directory, "io");
	return open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

START_TEST(a_file_is_replaced_whole_and_leaves_no_temporary)
{
	CLEANUP(buf) struct buf got = BUF_INIT;
	char path[64];
	int dir = test_directory();

	ck_assert_ok(io_replace_file(dir, "name", 0600, slice_text("one")));
	ck_assert_ok(io_replace_file(dir, "name", 0600, slice_text("two")));
	snprintf(path, sizeof path, "%s/name", directory);
	ck_assert_ok(io_read_file(path, 3, &got));
	ck_assert(slice_is(buf_slice(&got), "two"));
	ck_assert_err(io_read_file(path, 2, &got), ERR_RANGE);
	unlink(path);
	ck_assert_err(io_read_file(path, 2, &got), ERR_NOT_FOUND);
	ck_assert_err(io_replace_file(dir, "no/such", 0600, slice_text("x")), ERR_IO);
	/* Only an empty directory can be removed. */
	ck_assert_int_eq(rmdir(directory), 0);
	close(dir);
}
END_TEST

START_TEST(a_file_of_a_folder_is_read_and_no_link_to_one)
{
	CLEANUP(buf) struct buf got = BUF_INIT;
	int dir = test_directory();

	ck_assert_ok(io_replace_file(dir, "name", 0600, slice_text("one")));
	ck_assert_int_eq(symlinkat("name", dir, "link"), 0);
	ck_assert_ok(io_read_in(dir, "name", 3, &got));
	ck_assert(slice_is(buf_slice(&got), "one"));
	ck_assert_err(io_read_in(dir, "name", 2, &got), ERR_RANGE);
	ck_assert_err(io_read_in(dir, "link", 3, &got), ERR_IO);
	ck_assert_err(io_read_in(dir, "other", 3, &got), ERR_NOT_FOUND);
	unlinkat(dir, "link", 0);
	unlinkat(dir, "name", 0);
	ck_assert_int_eq(rmdir(directory), 0);
	close(dir);
}
END_TEST

START_TEST(a_secret_is_refused_from_a_file_that_others_may_read)
{
	struct secret s = { 0 };
	char path[64];
	int dir = test_directory();

	snprintf(path, sizeof path, "%s/pin", directory);
	ck_assert_ok(io_replace_file(dir, "pin", 0644, slice_text("1234\nrest")));
	ck_assert_err(secret_from_file(&s, path), ERR_DENIED);
	chmod(path, 0600);
	ck_assert_ok(secret_from_file(&s, path));
	ck_assert_uint_eq(s.len, 4);
	ck_assert(secret_equal(s.p, "1234", 4));
	ck_assert(!secret_equal(s.p, "1235", 4));
	secret_free(&s);
	ck_assert_ptr_null(s.p);
	ck_assert_ok(secret_read(&s, path));
	ck_assert_uint_eq(s.len, 9);
	ck_assert(secret_equal(s.p, "1234\nrest", 9));
	secret_free(&s);
	unlink(path);
	rmdir(directory);
	close(dir);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, a_message_arrives_with_its_descriptors);
	tcase_add_test(t, a_message_that_is_too_long_or_brings_too_much_leaks_nothing);
	tcase_add_test(t, a_closed_peer_is_gone_both_ways);
	tcase_add_test(t, only_a_memory_file_with_all_seals_is_mapped);
	tcase_add_test(t, an_empty_memory_file_is_an_empty_slice);
	tcase_add_test(t, a_file_is_replaced_whole_and_leaves_no_temporary);
	tcase_add_test(t, a_file_of_a_folder_is_read_and_no_link_to_one);
	tcase_add_test(t, a_secret_is_refused_from_a_file_that_others_may_read);
}

int main(void)
{
	return check_run("io", add);
}
