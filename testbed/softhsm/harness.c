#include "testbed/softhsm/harness.h"
#include "testbed/unit/place.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void must(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	abort();
}

const char *softhsm_module(void)
{
	const char *given = getenv("SOFTHSM2_MODULE");

	return given ? given : "/usr/lib/softhsm/libsofthsm2.so";
}

static void run(char *const argv[])
{
	posix_spawn_file_actions_t quiet;
	pid_t pid;
	int status;

	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", 1 /* O_WRONLY */, 0);
	must(posix_spawnp(&pid, argv[0], &quiet, NULL, argv, environ) == 0, argv[0]);
	posix_spawn_file_actions_destroy(&quiet);
	while (waitpid(pid, &status, 0) < 0)
		must(errno == EINTR, "waitpid");
	must(status == 0, argv[0]);
}

void softhsm_use(const struct softhsm *store)
{
	must(setenv("SOFTHSM2_CONF", store->conf, 1) == 0, "setenv");
}

static void make_dir(struct softhsm *store)
{
	place_make(store->dir, sizeof store->dir, "softhsm");
	snprintf(store->conf, sizeof store->conf, "%s/softhsm2.conf", store->dir);
	FILE *conf = fopen(store->conf, "we");
	must(conf != NULL, store->conf);
	fprintf(conf,
		"directories.tokendir = %s/tokens\nobjectstore.backend = file\nlog.level = ERROR\n",
		store->dir);
	must(fclose(conf) == 0, store->conf);
}

void softhsm_make(struct softhsm *store)
{
	char tokens[160];

	make_dir(store);
	snprintf(tokens, sizeof tokens, "%s/tokens", store->dir);
	must(mkdir(tokens, 0700) == 0, tokens);
	softhsm_use(store);
}

void softhsm_token(const struct softhsm *store, const char *label)
{
	softhsm_use(store);
	run((char *[]){ "softhsm2-util", "--init-token", "--free", "--label", (char *)label,
			"--so-pin", HARNESS_SO_PIN, "--pin", HARNESS_PIN, NULL });
}

void softhsm_copy(const struct softhsm *golden, struct softhsm *copy)
{
	char from[160], to[160];

	make_dir(copy);
	snprintf(from, sizeof from, "%s/tokens", golden->dir);
	snprintf(to, sizeof to, "%s/tokens", copy->dir);
	run((char *[]){ "cp", "-a", from, to, NULL });
}

void softhsm_without(const struct softhsm *store, const char *mechanism)
{
	FILE *conf = fopen(store->conf, "ae");

	must(conf != NULL, store->conf);
	/* SoftHSM 2.6.1 passes over the first name after the sign. */
	fprintf(conf, "slots.mechanisms = -NONE,%s\n", mechanism);
	must(fclose(conf) == 0, store->conf);
}

void softhsm_remove(struct softhsm *store)
{
	run((char *[]){ "rm", "-rf", "--", store->dir, NULL });
	store->dir[0] = 0;
}
