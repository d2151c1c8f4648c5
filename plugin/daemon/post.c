#include "plugin/daemon/post.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "plugin/daemon/helper.h"

#define STATUS_LINE 4
#define GRACE_MS 1000 /* for the feeder to start, and to say that time is up */

void post_reply_cleanup(struct post_reply *reply)
{
	buf_free(&reply->body);
}

/* "200\n", and then the body. */
static enum err read_reply(struct slice raw, struct post_reply *reply)
{
	int status = 0;

	if (raw.left < STATUS_LINE || raw.p[STATUS_LINE - 1] != '\n')
		return failed(ERR_FORMAT, "the feeder's answer is cut");
	for (int i = 0; i < STATUS_LINE - 1; i++) {
		if (raw.p[i] < '0' || raw.p[i] > '9')
			return failed(ERR_FORMAT, "the feeder's answer has no status");
		status = status * 10 + (raw.p[i] - '0');
	}
	reply->status = status;
	buf_put_slice(&reply->body, slice_of(raw.p + STATUS_LINE, raw.left - STATUS_LINE));
	return buf_check(&reply->body);
}

enum err post_run(const struct config *config, const char *self, const struct post *post,
		  struct post_reply *reply)
{
	CLEANUP(buf) struct buf answer = BUF_INIT;
	char program[PATH_MAX], ms[24];
	char *const environment[] = { NULL };
	int status = 0;
	enum err e;

	if ((e = config_program(config, self, "assay-feeder", program, sizeof program)))
		return e;
	snprintf(ms, sizeof ms, "%llu", (unsigned long long)post->ms);
	/* They are not changed. */
	char *const argv[] = { program,
			       (char *)post->url,
			       (char *)post->type,
			       ms,
			       *post->ca ? (char *)post->ca : NULL,
			       NULL };
	const struct helper helper = { .argv = argv,
				       .environment = environment,
				       .in = post->body,
				       .answer_max = STATUS_LINE + post->answer_max,
				       .within_ms = post->ms + GRACE_MS,
				       .name = "the feeder" };
	if ((e = helper_run(&helper, &answer, &status)))
		return e;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return failed(ERR_GONE, "no answer");
	return read_reply(buf_slice(&answer), reply);
}
