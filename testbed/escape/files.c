/* The image is all that there is, and nobody can write to it or mark it. */
#include <dirent.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <utime.h>

#include "attempt.h"

static int count(const char *path)
{
	DIR *list = opendir(path);
	int n = 0;

	if (!list)
		return -1;
	for (struct dirent *d; (d = readdir(list));)
		n += d->d_name[0] != '.';
	closedir(list);
	return n;
}

int main(int argc, char **argv)
{
	static const char *const elsewhere[] = {
		"/proc",    "/proc/1/mem", "/proc/self/exe", "/sys",      "/sys/fs/cgroup",
		"/dev/mem", "/dev/random", "/dev/tty",       "/dev/ptmx", "/dev/shm",
		"/dev/pts", "/dev/fd",     "/etc",           "/tmp",      "/images",
		"/init",    "/cell",       "/root",          "/../proc",  "/bin/../../etc/passwd",
	};
	char byte;

	(void)argc;
	for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
		FAILS(open(elsewhere[i], O_RDONLY), ENOENT, ENOENT);
	HOLDS(count("/") == 2); /* bin and dev */
	HOLDS(count("/bin") == 1);
	HOLDS(count("/dev") == 3);
	FAILS(open(argv[0], O_RDWR), EACCES, EROFS);
	FAILS(open(argv[0], O_WRONLY | O_TRUNC), EACCES, EROFS);
	FAILS(open("/new", O_WRONLY | O_CREAT, 0600), EROFS, EACCES);
	FAILS(open("/bin/new", O_WRONLY | O_CREAT, 0600), EROFS, EACCES);
	FAILS(open("/dev/new", O_WRONLY | O_CREAT, 0600), EROFS, EACCES);
	FAILS(open("/", O_TMPFILE | O_RDWR, 0600), EROFS, EACCES);
	DENIED(mkdir("/dir", 0700));
	DENIED(unlink(argv[0]));
	DENIED(rmdir("/dev"));
	DENIED(rename(argv[0], "/other"));
	DENIED(link(argv[0], "/other"));
	DENIED(symlink(argv[0], "/other"));
	DENIED(mknod("/node", S_IFCHR | 0600, 0x103));
	DENIED(mknod("/pipe", S_IFIFO | 0600, 0));
	DENIED(chmod(argv[0], 0777));
	DENIED(chown(argv[0], 1000, 1000));
	DENIED(truncate(argv[0], 0));
	DENIED(syscall(SYS_setxattr, argv[0], "user.x", "1", 1, 0));
	/* Times of the host's devices would be a channel between cells. */
	DENIED(utimensat(AT_FDCWD, "/dev/null", NULL, 0));
	DENIED(utimes("/dev/null", NULL));
	DENIED(utime("/dev/zero", NULL));
	DENIED(chmod("/dev/null", 0600));
	int null = open("/dev/null", O_RDWR);
	HOLDS(null >= 0 && write(null, "x", 1) == 1 && read(null, &byte, 1) == 0);
	DENIED(futimens(null, NULL));
	DENIED(fchmod(null, 0600));
	DENIED(ioctl(null, TIOCSTI, "x"));
	DENIED(ioctl(null, TIOCGWINSZ, &byte));
	DENIED(syscall(SYS_ioctl, null, 0x100000000ul | FIONREAD, &byte));
	DENIED(fcntl(0, F_SETLK, NULL));
	DENIED(fcntl(0, F_SETLEASE, F_RDLCK));
	DENIED(fcntl(0, F_SETOWN, 1));
	DENIED(fcntl(0, F_SETSIG, 9));
	DENIED(fcntl(0, F_SETPIPE_SZ, 1 << 20));
	DENIED(fcntl(0, F_NOTIFY, 0));
	HOLDS(chdir("/..") == 0 && count(".") == 2);
	return attempts_through;
}
