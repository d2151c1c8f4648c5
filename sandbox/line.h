/* line.h - the socket to the launcher (requests.def): one question and its answer at a time, from any
 * thread. A line that failed once is out of step, and gone for good.
 */
#ifndef SANDBOX_LINE_H
#define SANDBOX_LINE_H

#include <pthread.h>
#include <stdatomic.h>

#include "config/base/bytes.h"
#include "sandbox/protocol.h"

struct line {
	pthread_mutex_t lock; /* guards the socket, for a question and its answer */
	int sock;
	atomic_bool gone;
};

/* Takes over @sock. */
void line_open(struct line *line, int sock);
void line_close(struct line *line);

/* A message that starts with the request's number. */
struct buf line_message(enum launcher_request request);
/* @out: the answer, in @answer. @fd: sent with the message, or -1; @got: room for the @got_n
 * descriptors that are expected. ERR_GONE: nobody answers any more; else the launcher's own error. */
MUST enum err line_ask(struct line *line, struct slice message, int fd, struct buf *answer,
		       struct slice *out, int *got, size_t got_n);

#endif
