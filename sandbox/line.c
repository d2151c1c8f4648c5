#include "sandbox/line.h"

#include <sys/socket.h>
#include <sys/time.h>

#include "config/base/io.h"

#define ANSWER_SECONDS 60

void line_open(struct line *line, int sock)
{
	const struct timeval patience = { ANSWER_SECONDS, 0 };

	pthread_mutex_init(&line->lock, NULL);
	line->sock = sock;
	(void)setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
}

void line_close(struct line *line)
{
	fd_cleanup(&line->sock);
	pthread_mutex_destroy(&line->lock);
}

struct buf line_message(enum launcher_request request)
{
	struct buf b = BUF_INIT;

	buf_put_u8(&b, (uint8_t)request);
	return b;
}

static enum err take_answer(struct buf *answer, struct slice *out)
{
	uint8_t code = 0;
	enum err e;

	*out = buf_slice(answer);
	if ((e = slice_take_u8(out, &code)))
		return e;
	if (code >= ERR_COUNT)
		return failed(ERR_FORMAT, "the launcher answered %u", code);
	return code == OK ? OK
			  : failed((enum err)code, "launcher: %.*s", (int)out->left,
				   (const char *)out->p);
}

enum err line_ask(struct line *line, struct slice message, int fd, struct buf *answer,
		  struct slice *out, int *got, size_t got_n)
{
	size_t fds_n = 0;
	enum err e;

	if (line->gone)
		return failed(ERR_GONE, "the launcher is gone");
	pthread_mutex_lock(&line->lock);
	if ((e = io_send_message(line->sock, message, &fd, fd >= 0)) ||
	    (e = io_recv_message(line->sock, LAUNCHER_MESSAGE_MAX, answer, got, got_n, &fds_n)))
		line->gone = true;
	pthread_mutex_unlock(&line->lock);
	if (e)
		return failed(ERR_GONE, "launcher: %s", err_reason());
	e = take_answer(answer, out);
	if (!e && fds_n != got_n)
		e = failed(ERR_FORMAT, "launcher: a descriptor is missing");
	return e;
}
