/* `assay doctor`: whether this machine and what is installed on it can keep what the README promises.
 * Looks only; every line says what is wrong with what. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "config/guard.h"
#include "plugin/cli/cli.h"
#include "plugin/cli/graph.h"
#include "plugin/cli/json.h"
#include "plugin/cli/remote.h"

#define KERNEL_MAJOR 6
#define KERNEL_MINOR 1

struct doctor {
	struct cli *cli;
	struct config *config;
	size_t faults;
};

static void told(void *context, bool holds, const char *what, const char *words)
{
	struct doctor *d = context;

	buf_printf(&d->cli->out, "%-8s %s: ", holds ? "ok" : "NOT", what);
	plain_put_text(&d->cli->out, slice_text(words));
	buf_put_text(&d->cli->out, "\n");
	d->faults += !holds;
}

/* What may be so, and is worth knowing. */
static void noted(struct doctor *d, const char *what, const char *words)
{
	buf_printf(&d->cli->out, "%-8s %s: %s\n", "note", what, words);
}

/* ---- the machine ---- */

static void look_at_kernel(struct doctor *d)
{
	struct utsname kernel;
	unsigned major = 0, minor = 0;

	if (uname(&kernel) || sscanf(kernel.release, "%u.%u", &major, &minor) != 2)
		return told(d, false, "kernel", "it does not say which it is");
	bool new = major > KERNEL_MAJOR || (major == KERNEL_MAJOR && minor >= KERNEL_MINOR);
	told(d, new, "kernel", new ? kernel.release : "6.1 or newer expected");
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* version */);
	told(d, abi > 0, "Landlock",
	     abi > 0 ? "answers" : "start the kernel with lsm=landlock,...");
	told(d, !access("/proc/sys/kernel/seccomp/actions_avail", R_OK), "seccomp",
	     "filters of this kernel");
}

/* Version 1 has a line for each in /proc/cgroups, version 2 a word at its root. */
static bool has_controller(const char *name)
{
	CLEANUP(buf) struct buf one = BUF_INIT, two = BUF_INIT;
	const char *text;

	if (!io_read_file("/sys/fs/cgroup/cgroup.controllers", 4096, &two) &&
	    (text = buf_text(&two)) && strstr(text, name))
		return true;
	if (io_read_file("/proc/cgroups", 65536, &one) || !(text = buf_text(&one)))
		return false;
	size_t n = strlen(name);
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (!strncmp(line, name, n) && line[n] == '\t') {
			unsigned enabled = 0;

			return sscanf(line + n, "%*u %*u %u", &enabled) == 1 && enabled;
		}
	}
	return false;
}

static void look_at_controllers(struct doctor *d)
{
	static const char *const names[] = { "memory", "pids", "cpu" };
	const struct config_list *allowed = &d->config->sandbox_allow_missing;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		bool missing = !has_controller(names[i]), listed = false;

		for (size_t k = 0; k < allowed->n; k++)
			listed |= !strcmp(allowed->items[k], names[i]);
		if (missing && listed)
			noted(d, names[i],
			      "this machine lacks the cgroup controller; every proof "
			      "says so");
		else
			told(d, !missing, names[i],
			     missing ? "the cgroup controller is missing, so nothing is run"
				     : "the cgroup controller is there");
	}
}

static void look_at_clock(struct doctor *d)
{
	struct timex clock = { 0 };
	int state = adjtimex(&clock);

	if (state < 0 || state == TIME_ERROR || (clock.status & STA_UNSYNC))
		noted(d, "clock", "not synchronised; every proof says so");
	else
		told(d, true, "clock", "synchronised");
}

/* ---- the files ---- */

/* A name that leads elsewhere, as names of libraries do, is as good as its directory. */
static bool others_may_turn(const char *path)
{
	char directory[PATH_MAX];
	struct stat status;

	snprintf(directory, sizeof directory, "%s", path);
	char *slash = strrchr(directory, '/');
	if (!slash)
		return true;
	*slash = 0;
	return stat(*directory ? directory : "/", &status) || status.st_uid ||
	       (status.st_mode & (S_IWGRP | S_IWOTH));
}

static void look_at_file(struct doctor *d, const char *what, const char *path)
{
	CLEANUP(fd) int fd = -1;
	char real[PATH_MAX];

	if (!*path)
		return told(d, false, what, "not configured");
	if (!realpath(path, real))
		return told(d, false, what, strerror(errno));
	if (strcmp(real, path) && others_may_turn(path))
		return told(d, false, what, "others than root can have its name lead elsewhere");
	enum err e = guard_open(real, &fd);
	told(d, !e, what, e ? err_reason() : "nobody but root and its owner can change it");
}

static void look_at_programs(struct doctor *d)
{
	char path[PATH_MAX], directory[PATH_MAX];

	for (size_t i = 0; graph_file(i); i++) {
		if (config_program(d->config, d->cli->self, graph_file(i), path, sizeof path)) {
			told(d, false, graph_file(i), err_reason());
			continue;
		}
		look_at_file(d, graph_file(i), path);
		snprintf(directory, sizeof directory, "%s", path);
	}
	*strrchr(directory, '/') = 0;
	(void)!graph_check(directory, told, d); /* each fault was told */
}

static void look_at_pin(struct doctor *d)
{
	const char *path = d->config->token_pin_file;
	uid_t daemon = d->config->mode == MODE_DEVELOPMENT ? geteuid() : d->config->users_daemon;
	struct stat status;

	if (!*path)
		return told(d, false, "token.pin_file", "not configured");
	if (lstat(path, &status))
		return told(d, false, "token.pin_file", strerror(errno));
	bool good = S_ISREG(status.st_mode) && !(status.st_mode & 077) && status.st_uid == daemon;
	told(d, good, "token.pin_file",
	     good ? "the daemon's user alone can read it"
		  : "the daemon's user alone must be able to read it, mode 0600");
}

/* It shows the daemon's token, as any other, to whoever uses p11-kit. */
static void look_at_p11kit(struct doctor *d)
{
	static const char module[] = "/usr/share/p11-kit/modules/softhsm2.module";

	if (!access(module, F_OK))
		noted(d, module, "remove it: it shows raw tokens to every client of p11-kit");
}

/* ---- the daemon ---- */

static enum err find_status(struct slice in, const char *wanted, struct slice *out)
{
	struct wire_status status;
	size_t n;
	enum err e = cbor_take_array(&in, WIRE_STATUS_MAX, &n);

	for (size_t i = 0; !e && i < n; i++) {
		if (!(e = wire_take_status(&in, &status)) && slice_is(status.key, wanted)) {
			*out = status.value;
			return OK;
		}
	}
	return e ? e : failed(ERR_NOT_FOUND, "the daemon says nothing of %s", wanted);
}

static void look_at_daemon(struct doctor *d)
{
	CLEANUP(remote) struct remote remote = { 0 };
	struct slice in, held = { 0 };
	char words[512];

	if (remote_open(d->cli, &remote))
		return noted(d, "daemon", "does not answer: assay start");
	remote_request(&remote, REQ_STATUS, 0);
	if (remote_call(&remote, &in) || find_status(in, "held", &held))
		return told(d, false, "daemon", err_reason());
	snprintf(words, sizeof words, "%.*s", (int)held.left, (const char *)held.p);
	told(d, !held.left, "daemon", held.left ? words : "runs, and its programs are accepted");
}

static void doctor_cleanup(struct doctor *d)
{
	config_cleanup(&d->config);
}

int cmd_doctor(struct cli *cli)
{
	CLEANUP(doctor) struct doctor d = { .cli = cli };
	enum cli_exit code = cli_options(cli, NULL, 0);

	if (code)
		return code;
	enum err e = remote_config(cli, &d.config);
	if (e)
		return cli_failed(cli, e);
	told(&d, true, "configuration", d.config->path);
	if (d.config->mode != MODE_APPLIANCE)
		noted(&d, "mode", "development: evidence says so, and verifiers refuse it");
	look_at_kernel(&d);
	look_at_controllers(&d);
	look_at_clock(&d);
	look_at_programs(&d);
	look_at_file(&d, "hsm.module", d.config->hsm_module);
	if (*d.config->token_module)
		look_at_file(&d, "token.module", d.config->token_module);
	look_at_pin(&d);
	look_at_p11kit(&d);
	look_at_daemon(&d);
	return d.faults ? EXIT_REFUSED : EXIT_HOLDS;
}
