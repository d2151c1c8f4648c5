/* moments.c - stands before a few calls of the daemon. */
#include "testbed/crash/moments.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plugin/daemon/accepted.h"
#include "plugin/daemon/answers.h"
#include "plugin/daemon/tcb.h"
#include "sandbox/sandbox.h"

/* The folder of the configuration: the daemon was given its path, last. */
static bool moment_path(char *path, size_t n)
{
	char line[4096], *at = line;
	FILE *file = fopen("/proc/self/cmdline", "re");
	size_t got = file ? fread(line, 1, sizeof line - 1, file) : 0;

	if (file)
		fclose(file);
	line[got] = 0;
	while (at < line + got && strcmp(at, "--config"))
		at += strlen(at) + 1;
	at += strlen(at) + 1;
	if (at >= line + got || !strrchr(at, '/'))
		return false;
	*strrchr(at, '/') = 0;
	return snprintf(path, n, "%s/%s", at, MOMENT_FILE) < (int)n;
}

static void pass(enum moment moment)
{
	char path[4096];
	int wanted = -1;

	if (!moment_path(path, sizeof path))
		return;
	FILE *file = fopen(path, "re");
	if (!file)
		return;
	int n = fscanf(file, "%d", &wanted);
	fclose(file);
	if (n != 1 || wanted != (int)moment)
		return;
	unlink(path);
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

enum err __real_sandbox_run_watched(struct sandbox_image *image, struct slice input,
				    const struct limits *limits, const struct sandbox_watch *watch,
				    struct run *run);
enum err __wrap_sandbox_run_watched(struct sandbox_image *image, struct slice input,
				    const struct limits *limits, const struct sandbox_watch *watch,
				    struct run *run);
enum err __wrap_sandbox_run_watched(struct sandbox_image *image, struct slice input,
				    const struct limits *limits, const struct sandbox_watch *watch,
				    struct run *run)
{
	pass(MOMENT_BEFORE_THE_RUN);
	enum err e = __real_sandbox_run_watched(image, input, limits, watch, run);
	pass(MOMENT_AFTER_THE_RUN);
	return e;
}

enum err __real_answers_put_run(struct answers *answers, const struct answer_claim *claim,
				uint32_t days, const struct answer *answer);
enum err __wrap_answers_put_run(struct answers *answers, const struct answer_claim *claim,
				uint32_t days, const struct answer *answer);
enum err __wrap_answers_put_run(struct answers *answers, const struct answer_claim *claim,
				uint32_t days, const struct answer *answer)
{
	enum err e = __real_answers_put_run(answers, claim, days, answer);

	pass(MOMENT_BEFORE_THE_RECORD);
	return e;
}

enum err __real_answers_put_proof(struct answers *answers, const struct answer_claim *claim,
				  uint32_t days, const struct answer *answer);
enum err __wrap_answers_put_proof(struct answers *answers, const struct answer_claim *claim,
				  uint32_t days, const struct answer *answer);
enum err __wrap_answers_put_proof(struct answers *answers, const struct answer_claim *claim,
				  uint32_t days, const struct answer *answer)
{
	pass(MOMENT_AFTER_THE_RECORD);
	enum err e = __real_answers_put_proof(answers, claim, days, answer);
	pass(MOMENT_BEFORE_THE_ANSWER);
	return e;
}

enum err __real_accepted_write(const struct state *state, const struct leaf_component *parts,
			       size_t n, struct accepted_mark *mark);
enum err __wrap_accepted_write(const struct state *state, const struct leaf_component *parts,
			       size_t n, struct accepted_mark *mark);
enum err __wrap_accepted_write(const struct state *state, const struct leaf_component *parts,
			       size_t n, struct accepted_mark *mark)
{
	pass(MOMENT_BEFORE_THE_LIST);
	enum err e = __real_accepted_write(state, parts, n, mark);
	pass(MOMENT_AFTER_THE_LIST);
	return e;
}

enum err __real_tcb_accept(struct daemon *daemon, const struct record_caller *caller,
			   const uint8_t digest[SHA256_SIZE]);
enum err __wrap_tcb_accept(struct daemon *daemon, const struct record_caller *caller,
			   const uint8_t digest[SHA256_SIZE]);
enum err __wrap_tcb_accept(struct daemon *daemon, const struct record_caller *caller,
			   const uint8_t digest[SHA256_SIZE])
{
	enum err e = __real_tcb_accept(daemon, caller, digest);

	pass(MOMENT_AFTER_THE_ACCEPTANCE);
	return e;
}

enum err __real_wire_send(int sock, struct wire_message *m);
enum err __wrap_wire_send(int sock, struct wire_message *m);
enum err __wrap_wire_send(int sock, struct wire_message *m)
{
	enum err e = __real_wire_send(sock, m);

	pass(MOMENT_AFTER_THE_ANSWER);
	return e;
}
