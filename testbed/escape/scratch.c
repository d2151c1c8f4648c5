/* Scratch space: in there an application may do what filters do with temporary files, and elsewhere it
 * changes nothing. Told "without", it has none. */
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "attempt.h"

static int make(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);

	return fd >= 0 && write(fd, "words", 5) == 5 && close(fd) == 0;
}

static long size_of(const char *path)
{
	struct stat s;

	return stat(path, &s) ? -1 : (long)s.st_size;
}

static void use_files(void)
{
	char name[] = "/tmp/name.XXXXXX", directory[] = "/tmp/directory.XXXXXX";

	HOLDS(make("/tmp/one") && rename("/tmp/one", "/tmp/two") == 0);
	HOLDS(size_of("/tmp/one") == -1 && size_of("/tmp/two") == 5);
	HOLDS(make("/tmp/three") && rename("/tmp/three", "/tmp/two") == 0);
	HOLDS(truncate("/tmp/two", 2) == 0 && size_of("/tmp/two") == 2);
	int fd = open("/tmp/two", O_RDWR);
	HOLDS(ftruncate(fd, 4) == 0 && fsync(fd) == 0 && fdatasync(fd) == 0);
	HOLDS(size_of("/tmp/two") == 4);
	HOLDS(unlink("/tmp/two") == 0 && size_of("/tmp/two") == -1 && close(fd) == 0);
	fd = mkstemp(name);
	HOLDS(fd >= 0 && unlink(name) == 0 && write(fd, "x", 1) == 1 && close(fd) == 0);
	HOLDS(mkdtemp(directory) && chdir(directory) == 0 && make("file"));
	FAILS(rmdir(directory), ENOTEMPTY, ENOTEMPTY);
	/* An older kernel keeps a file in its directory. */
	HOLDS(rename("file", "/tmp/file") == 0 || (errno == EXDEV && unlink("file") == 0));
	HOLDS(chdir("/") == 0 && rmdir(directory) == 0);
	HOLDS(renameat(AT_FDCWD, "/tmp/no", AT_FDCWD, "/tmp/yes") == -1 && errno == ENOENT);
}

/* Links would outlive a check of a name, nodes and modes have no use. */
static void denied_in_there(void)
{
	HOLDS(make("/tmp/plain"));
	DENIED(link("/tmp/plain", "/tmp/link"));
	DENIED(symlink("/tmp/plain", "/tmp/link"));
	DENIED(mknod("/tmp/node", S_IFIFO | 0600, 0));
	DENIED(chmod("/tmp/plain", 04777));
	DENIED(chown("/tmp/plain", 0, 0));
	DENIED(syscall(SYS_setxattr, "/tmp/plain", "user.x", "1", 1, 0));
	DENIED(mount("none", "/tmp", "tmpfs", 0, NULL));
	DENIED(unshare(CLONE_NEWNS));
	char *const argv[] = { "plain", NULL };
	FAILS(execve("/tmp/plain", argv, argv + 1), EACCES, EACCES);
}

static void image_stays(const char *self)
{
	HOLDS(make("/tmp/mine"));
	FAILS(mkdir("/new", 0700), EROFS, EACCES);
	FAILS(mkdir("/bin/new", 0700), EROFS, EACCES);
	FAILS(unlink(self), EROFS, EACCES);
	FAILS(rmdir("/bin"), EROFS, EACCES);
	FAILS(rename(self, "/bin/other"), EROFS, EACCES);
	FAILS(rename(self, "/tmp/other"), EXDEV, EROFS);
	FAILS(rename("/tmp/mine", "/bin/other"), EXDEV, EROFS);
	FAILS(rename("/tmp/mine", self), EXDEV, EROFS);
	FAILS(rename("/tmp", "/bin/tmp"), EROFS, EBUSY);
	FAILS(rmdir("/tmp"), EBUSY, EROFS);
	FAILS(truncate(self, 0), EROFS, EACCES);
	int fd = open(self, O_RDONLY);
	FAILS(ftruncate(fd, 0), EINVAL, EBADF);
	FAILS(unlink("/dev/null"), EROFS, EBUSY);
	FAILS(rename("/tmp/mine", "/dev/null"), EXDEV, EROFS);
	FAILS(truncate("/dev/zero", 0), EINVAL, EROFS);
	/* Behind "..", too, is the same image. */
	FAILS(mkdir("/tmp/../new", 0700), EROFS, EACCES);
	FAILS(open("/tmp/../bin/new", O_WRONLY | O_CREAT, 0600), EROFS, EACCES);
}

static void without(const char *self)
{
	FAILS(open("/tmp/new", O_WRONLY | O_CREAT, 0600), ENOENT, ENOENT);
	DENIED(mkdir("/new", 0700));
	DENIED(mkdirat(AT_FDCWD, "/new", 0700));
	DENIED(unlink(self));
	DENIED(unlinkat(AT_FDCWD, self, 0));
	DENIED(rmdir("/bin"));
	DENIED(rename(self, "/other"));
	DENIED(renameat(AT_FDCWD, self, AT_FDCWD, "/other"));
	DENIED(renameat2(AT_FDCWD, self, AT_FDCWD, "/other", 0));
	DENIED(truncate(self, 0));
	DENIED(ftruncate(0, 0));
	DENIED(fsync(0));
	DENIED(fdatasync(0));
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "without") == 0) {
		without(argv[0]);
		return attempts_through;
	}
	use_files();
	denied_in_there();
	image_stays(argv[0]);
	return attempts_through;
}
