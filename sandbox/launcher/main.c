/* assay-launcher - starts as root (or, for development, as anyone), starts the daemon as its own
 * user, leaves the host's file system, and builds cells for the daemon until it ends. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/base/io.h"
#include "config/base/log.h"
#include "sandbox/init/init.h"
#include "sandbox/launcher/launcher.h"

#define DAEMON_FILES 65536
#define LAUNCHER_FILES 1024 /* with its own and init's */
#define PROGRAM_MAX ((size_t)64 << 20)
#define DAEMON_END_TRIES 500 /* of 10 ms */
#define REFUSE_MS 5000
#define DAEMON_FD 3 /* where the daemon finds its end of the socket */

static const char usage[] =
	"usage: assay-launcher --init PATH --uid-base N --name HEX [--allow-missing \"memory "
	"pids\"]\n"
	"                      [--cells N]\n"
	"                      (--fd N | [--daemon-uid U --daemon-gid G --daemon-group G2]\n"
	"                                -- PROGRAM ARGUMENTS...)\n";

#define NO_FD UINT32_MAX

static struct options {
	const char *init, *name;
	uint32_t fd, daemon_uid, daemon_gid, daemon_group;
	char **daemon; /* program and arguments, or NULL */
} options = { .fd = NO_FD };

static struct launcher launcher = { .cells_max = 1,
				    .allow_missing = "",
#ifdef ASSAY_FAULTS
				    .fault = "",
				    .without = "",
#endif
				    .sock = -1 };

static const struct {
	const char *name;
	const char **text;
	uint32_t *number, most;
} known[] = {
	{ "--init", &options.init, NULL, 0 },
	{ "--name", &options.name, NULL, 0 },
	{ "--allow-missing", &launcher.allow_missing, NULL, 0 },
	{ "--uid-base", NULL, &launcher.uid_base, 4294900000u },
	{ "--cells", NULL, &launcher.cells_max, CELLS_MAX },
	{ "--fd", NULL, &options.fd, 1 << 20 },
	{ "--daemon-uid", NULL, &options.daemon_uid, 4294967294u },
	{ "--daemon-gid", NULL, &options.daemon_gid, 4294967294u },
	{ "--daemon-group", NULL, &options.daemon_group, 4294967294u },
#ifdef ASSAY_FAULTS
	{ "--fault", &launcher.fault, NULL, 0 },
	{ "--without", &launcher.without, NULL, 0 },
#endif
};

static enum err take_number(const char *text, uint32_t most, uint32_t *out)
{
	char *end;

	errno = 0;
	unsigned long long v = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || v > most)
		return failed(ERR_USAGE, "\"%s\" is not a number up to %u", text, most);
	*out = (uint32_t)v;
	return OK;
}

static enum err take_option(const char *name, const char *value)
{
	for (size_t i = 0; value && i < sizeof known / sizeof *known; i++) {
		if (strcmp(name, known[i].name) != 0)
			continue;
		if (known[i].number)
			return take_number(value, known[i].most, known[i].number);
		*known[i].text = value;
		return OK;
	}
	return failed(ERR_USAGE, "%s: no such option, or nothing after it", name);
}

static enum err check_options(void)
{
	size_t n = options.name ? strlen(options.name) : 0;

	if (!options.init || options.init[0] != '/')
		return failed(ERR_USAGE, "--init: absolute path expected");
	if (n == 0 || n > 64 || strspn(options.name, "0123456789abcdef") != n)
		return failed(ERR_USAGE, "--name: up to 64 hexadecimal digits expected");
	if (launcher.cells_max == 0)
		return failed(ERR_USAGE, "--cells: 1 to %d", CELLS_MAX);
	if ((options.fd == NO_FD) == !options.daemon)
		return failed(ERR_USAGE, "either --fd or a program expected");
	if (options.daemon && options.daemon[0][0] != '/')
		return failed(ERR_USAGE, "the daemon's path must be absolute");
	if (geteuid() == 0 && launcher.uid_base < 65536)
		return failed(ERR_USAGE, "--uid-base: 65536 at least");
	return OK;
}

static enum err take_options(char **argv)
{
	enum err e;

	while (*++argv && strcmp(*argv, "--") != 0)
		if ((e = take_option(argv[0], argv[1])) || !*++argv)
			return e;
	if (*argv && argv[1])
		options.daemon = argv + 1;
	return check_options();
}

/* In the child: from here on only the daemon's user, three standard descriptors and the socket. */
static void become_daemon(int sock)
{
	const struct options *o = &options;
	static char *const env[] = { NULL };
	sigset_t none;
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (null < 0 || dup2(null, 0) < 0 || setsid() < 0 || chdir("/"))
		return;
	int high = fcntl(sock, F_DUPFD, DAEMON_FD + 1);
	if (high < 0 || dup2(high, DAEMON_FD) < 0 ||
	    syscall(SYS_close_range, DAEMON_FD + 1, ~0u, 0))
		return;
	if (geteuid() == 0 && (setgroups(o->daemon_group != 0, &o->daemon_group) ||
			       setresgid(o->daemon_gid, o->daemon_gid, o->daemon_gid) ||
			       setresuid(o->daemon_uid, o->daemon_uid, o->daemon_uid)))
		return;
	execve(o->daemon[0], o->daemon, env);
}

static enum err start_daemon(pid_t *pid)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return failed(ERR_IO, "socketpair: %m");
	*pid = fork();
	if (*pid < 0)
		return failed(ERR_IO, "fork: %m");
	if (*pid == 0) {
		become_daemon(pair[1]);
		log_error("starting %s: %s", options.daemon[0], strerror(errno));
		_exit(126);
	}
	close(pair[1]);
	launcher.sock = pair[0];
	return OK;
}

static enum err hash_file(const char *path, struct buf *bytes, uint8_t digest[SHA256_SIZE])
{
	enum err e = io_read_file(path, PROGRAM_MAX, bytes);

	if (!e)
		sha256_once(buf_slice(bytes), digest);
	return e;
}

/* Init's descriptors lie high; the daemon, which inherits the limits, serves many connections: as many
 * as are allowed, which an ordinary user can't raise. */
static enum err raise_open_files(void)
{
	struct rlimit r = { DAEMON_FILES, DAEMON_FILES };

	if (setrlimit(RLIMIT_NOFILE, &r) == 0)
		return OK;
	if (getrlimit(RLIMIT_NOFILE, &r))
		return failed(ERR_IO, "getrlimit: %m");
	r.rlim_cur = r.rlim_max;
	if (r.rlim_max < LAUNCHER_FILES)
		return failed(ERR_UNSUPPORTED, "a hard limit of %llu open files is too small",
			      (unsigned long long)r.rlim_max);
	return setrlimit(RLIMIT_NOFILE, &r) ? failed(ERR_IO, "setrlimit: %m") : OK;
}

static enum err prepare(pid_t *daemon)
{
	CLEANUP(buf) struct buf self = BUF_INIT;
	CLEANUP(buf) struct buf init = BUF_INIT;
	enum err e;

	launcher.privileged = geteuid() == 0;
	if (launcher.sock >= 0 && fcntl(launcher.sock, F_SETFD, FD_CLOEXEC))
		return failed(ERR_USAGE, "--fd %d: %m", launcher.sock);
	/* An ordinary user could not write the id maps of a process that is not dumpable. */
	if (launcher.privileged && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return failed(ERR_IO, "prctl: %m");
	if ((e = raise_open_files()) ||
	    (e = hash_file("/proc/self/exe", &self, launcher.launcher_hash)) ||
	    (e = hash_file(options.init, &init, launcher.init_hash)))
		return e;
	if (launcher.privileged &&
	    ((e = host_claim_uids(&launcher)) ||
	     (e = cgroups_open(options.name, launcher.cells_max, &launcher.groups))))
		return e;
	if ((e = host_probe(&launcher)) || (options.daemon && (e = start_daemon(daemon))))
		return e;
	if ((e = host_leave(&launcher, buf_slice(&init))))
		return e;
	return launcher_confine(&launcher);
}

/* Requests until the socket closes, the daemon ends or a signal asks to; the daemon's wait status,
 * if it ended. */
static bool serve(int signals, pid_t daemon, int *status)
{
	struct pollfd watched[] = { { launcher.sock, POLLIN, 0 }, { signals, POLLIN, 0 } };
	int asked = 0;

	for (;;) {
		struct signalfd_siginfo signal;

		if (poll(watched, 2, cell_reap(&launcher) ? CELL_END_MS : -1) < 0 && errno != EINTR)
			return false;
		if (watched[0].revents && requests_serve_one(&launcher, OK))
			return false;
		if (!(watched[1].revents & POLLIN) ||
		    read(signals, &signal, sizeof signal) != sizeof signal)
			continue;
		if (signal.ssi_signo != SIGCHLD) {
			/* The daemon ends what it has begun, with its cells, and then itself. */
			if (daemon <= 0 || asked++)
				return false;
			kill(daemon, SIGTERM);
		} else if (daemon > 0 && waitpid(daemon, status, WNOHANG) == daemon) {
			return true;
		}
	}
}

/* The daemon has closed its socket, or seen it close: it is about to end, or is asked to. */
static int end_daemon(pid_t daemon)
{
	int status = 0;

	for (int i = 0; i < DAEMON_END_TRIES; i++) {
		if (waitpid(daemon, &status, WNOHANG) == daemon)
			return status;
		usleep(10000);
	}
	kill(daemon, SIGTERM);
	while (waitpid(daemon, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* Daemon and cells inherit the standard actions: what is ignored would stay so in them. */
static enum err take_signals(int *fd)
{
	struct sigaction standard = { .sa_handler = SIG_DFL };
	sigset_t handled;

	for (int i = 1; i < NSIG; i++)
		if (sigaction(i, &standard, NULL) && errno != EINVAL)
			return failed(ERR_IO, "sigaction: %m");
	sigemptyset(&handled);
	sigaddset(&handled, SIGCHLD);
	sigaddset(&handled, SIGTERM);
	sigaddset(&handled, SIGINT);
	if (sigprocmask(SIG_BLOCK, &handled, NULL) ||
	    (*fd = signalfd(-1, &handled, SFD_CLOEXEC)) < 0)
		return failed(ERR_IO, "signals: %m");
	return OK;
}

int main(int argc, char **argv)
{
	pid_t daemon = -1;
	int status = 0, signals = -1;
	enum err e = argc > 0 ? take_options(argv) : ERR_USAGE;

	log_start("assay-launcher", LOG_LEVEL_INFO);
	if (e) {
		log_error("%s", err_reason());
		fputs(usage, stderr);
		return 2;
	}
	launcher.sock = options.fd == NO_FD ? -1 : (int)options.fd;
	if (!(e = take_signals(&signals)))
		e = prepare(&daemon);
	if (e) {
		log_error("%s", err_reason());
		/* Answered, since a socket that is closed with something unread loses what was said. */
		if (launcher.sock >= 0 &&
		    (poll(&(struct pollfd){ launcher.sock, POLLIN, 0 }, 1, REFUSE_MS) != 1 ||
		     requests_serve_one(&launcher, e)))
			log_error("nobody to tell");
	}
	bool ended = !e && serve(signals, daemon, &status);
	fd_cleanup(&launcher.sock);
	cell_end_all(&launcher);
	if (daemon > 0 && !ended)
		status = end_daemon(daemon);
	cgroups_close(&launcher.groups);
	if (e)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
