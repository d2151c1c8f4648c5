/* escape_bench.h - runs a program of testbed/escape outside: as root, unconfined, in namespaces and a
 * directory that are thrown away, so that what succeeds does no harm.
 */
#ifndef TESTBED_UNIT_ESCAPE_BENCH_H
#define TESTBED_UNIT_ESCAPE_BENCH_H

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "testbed/unit/faults_bench.h"

/* The files of an image beside the program; testbed/escape/image.c knows them. */
static const struct {
	const char *path, *content;
	uint16_t mode;
} escape_files[] = {
	{ "bin/other", "other", 0444 },
	{ "bin/third", "third", 0444 },
	{ "bin/script", "#!/proc/self/exe nothing\n", 0555 },
};

#define ESCAPE_FILES (sizeof escape_files / sizeof *escape_files)

/* An image of the program, which is told where it is. */
static inline struct sandbox_image *escape_image(struct sandbox *box, const char *program,
						 const char *argument, bool dynamic)
{
	char path[PATH_MAX + 64];
	CLEANUP(buf) struct buf content = BUF_INIT;
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct entry entries[ESCAPE_FILES + 1];
	struct manifest m;

	snprintf(path, sizeof path, "%s/escape/%s", bench_build, program);
	ck_assert_int_eq(io_read_file(path, PACKAGE_MAX, &content), OK);
	manifest_default(&m);
	m.id = slice_text("test");
	m.label = slice_text("Test");
	m.version = slice_text("1");
	m.argv[m.argc++] = slice_text("/bin/app");
	m.argv[m.argc++] = slice_text(argument);
	m.dynamic = dynamic;
	entries[0] = (struct entry){ slice_text("bin/app"), ENTRY_FILE, 0555, buf_slice(&content) };
	for (size_t i = 0; i < ESCAPE_FILES; i++)
		entries[i + 1] =
			(struct entry){ slice_text(escape_files[i].path), ENTRY_FILE,
					escape_files[i].mode, slice_text(escape_files[i].content) };
	enum err e = package_build(&m, entries, ESCAPE_FILES + 1, &raw);
	ck_assert_msg(e == OK, "%s", err_reason());
	return bench_add(box, buf_slice(&raw));
}

static inline int outside_file(const char *path, struct slice content, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, mode);

	return fd < 0 || io_write_all(fd, content) || close(fd) ? -1 : 0;
}

/* A root of its own, with everything that a cell has not. */
static inline int outside_root(struct slice program)
{
	/* Any directory will do; this mount is nobody else's. */
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("outside", "/proc", "tmpfs", 0, "mode=0755") || chdir("/proc") ||
	    mkdir("bin", 0755) || mkdir("dev", 0755) || mkdir("etc", 0755) || mkdir("proc", 0755) ||
	    outside_file("bin/app", program, 0755) ||
	    outside_file("etc/passwd", slice_text("x\n"), 0644))
		return -1;
	for (size_t i = 0; i < ESCAPE_FILES; i++)
		if (outside_file(escape_files[i].path, slice_text(escape_files[i].content),
				 escape_files[i].mode | 0200u))
			return -1;
	if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/") ||
	    mount("proc", "/proc", "proc", 0, NULL) || mount("dev", "/dev", "tmpfs", 0, NULL) ||
	    mkdir("/dev/pts", 0755) || mkdir("/dev/mqueue", 0755) ||
	    mount("pts", "/dev/pts", "devpts", 0, "ptmxmode=0666") ||
	    symlink("pts/ptmx", "/dev/ptmx") || symlink("/proc/self/fd", "/dev/fd") ||
	    mknod("/dev/null", S_IFCHR | 0666, makedev(1, 3)) ||
	    mknod("/dev/mem", S_IFCHR | 0600, makedev(1, 1)) ||
	    mknod("/dev/tty", S_IFCHR | 0666, makedev(5, 0)))
		return -1;
	return 0;
}

static inline int outside_network(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "\0assay-escape" };
	struct ifreq loopback = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int in = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return ioctl(in, SIOCSIFFLAGS, &loopback) ||
	       bind(listener, (struct sockaddr *)&name, (socklen_t)(sizeof(sa_family_t) + 13)) ||
	       listen(listener, 8);
}

/* Process 1 of the namespace: its child is the program. */
static inline void outside_init(struct slice program, int out)
{
	static char *const argv[] = { "/bin/app", "outside", NULL }, *const env[] = { NULL };
	int status = 0;

	/* A namespace's first process is spared what has no handler; check has some. */
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	if (outside_root(program) || outside_network())
		_exit(120);
	pid_t pid = fork();
	if (pid == 0) {
		if (dup2(out, 1) < 0 || dup2(out, 3) < 0)
			_exit(121);
		execve("/bin/app", argv, env);
		_exit(122);
	}
	for (pid_t gone; (gone = wait(&status)) != pid;)
		if (gone < 0 && errno != EINTR)
			_exit(123);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 124);
}

/* The program's exit code; what it wrote is in @text. */
static inline int outside_run(const char *program, char *text, size_t room)
{
	char path[PATH_MAX + 64];
	CLEANUP(buf) struct buf content = BUF_INIT;
	int out[2], status = -1;
	size_t have = 0;

	snprintf(path, sizeof path, "%s/escape/%s", bench_build, program);
	ck_assert_int_eq(io_read_file(path, PACKAGE_MAX, &content), OK);
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC |
			    CLONE_NEWNET))
			_exit(119);
		pid_t init = fork();
		if (init == 0)
			outside_init(buf_slice(&content), out[1]);
		close(out[1]);
		waitpid(init, &status, 0);
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 125);
	}
	close(out[1]);
	for (ssize_t n; have < room - 1 && (n = read(out[0], text + have, room - 1 - have)) > 0;)
		have += (size_t)n;
	text[have] = '\0';
	close(out[0]);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#endif
