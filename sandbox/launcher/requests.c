#include <stdio.h>

#include "config/base/io.h"
#include "config/base/log.h"
#include "sandbox/launcher/launcher.h"
#include "sandbox/protocol.h"

/* Handlers get exactly the bytes and descriptors that requests.def says; they put their result into
 * @reply and may set its descriptors, which are sent along and closed. */
struct request {
	struct slice body;
	int fd;
};

struct reply {
	struct buf body;
	int fds[CELL_FDS]; /* all, or none */
};

static enum err handle_facts(struct launcher *launcher, struct request *request,
			     struct reply *reply)
{
	(void)request;
	buf_put_u8(&reply->body, launcher->privileged);
	buf_put_u32(&reply->body, launcher->cells_max);
	buf_put(&reply->body, launcher->launcher_hash, SHA256_SIZE);
	buf_put(&reply->body, launcher->init_hash, SHA256_SIZE);
	buf_put_text(&reply->body, launcher->absent);
	return buf_check(&reply->body);
}

static enum err handle_image(struct launcher *launcher, struct request *request,
			     struct reply *reply)
{
	uint32_t id;
	enum err e = image_add(launcher, request->fd, request->body.p, &id);

	if (e)
		return e;
	buf_put_u32(&reply->body, id);
	buf_put_u32(&reply->body, launcher->images[id].manifest.park);
	buf_put(&reply->body, &launcher->images[id].manifest.limits, sizeof(struct limits));
	return buf_check(&reply->body);
}

static enum err handle_image_drop(struct launcher *launcher, struct request *request,
				  struct reply *reply)
{
	(void)reply;
	return image_drop(launcher, get_u32(request->body.p));
}

static enum err handle_cell(struct launcher *launcher, struct request *request, struct reply *reply)
{
	const uint8_t *p = request->body.p;
	uint32_t id;
	enum err e =
		cell_make(launcher, get_u32(p), get_u64(p + 4), get_u32(p + 12), &id, reply->fds);

	if (!e)
		buf_put_u32(&reply->body, id);
	return e;
}

static enum err handle_cell_end(struct launcher *launcher, struct request *request,
				struct reply *reply)
{
	(void)reply;
	return cell_end(launcher, get_u32(request->body.p));
}

static const struct {
	enum err (*handle)(struct launcher *, struct request *, struct reply *);
	size_t bytes, fds;
	const char *name;
} requests[] = {
#define REQUEST(name, handler, bytes, fds) [LAUNCHER_##name] = { handler, bytes, fds, #name },
#include "sandbox/requests.def"
#undef REQUEST
};

static enum err dispatch(struct launcher *launcher, struct slice message, int fd, size_t fds_n,
			 struct reply *reply)
{
	struct request request = { .fd = fd };
	uint8_t number;
	enum err e = slice_take_u8(&message, &number);

	if (e)
		return e;
	if (number >= LAUNCHER_REQUESTS)
		return failed(ERR_FORMAT, "no request %u", number);
	if (message.left != requests[number].bytes || fds_n != requests[number].fds)
		return failed(ERR_FORMAT, "%s with %zu bytes and %zu descriptors",
			      requests[number].name, message.left, fds_n);
	request.body = message;
	return requests[number].handle(launcher, &request, reply);
}

enum err requests_serve_one(struct launcher *launcher, enum err refused)
{
	char reason[ERR_REASON_MAX] = "";
	CLEANUP(buf) struct buf message = BUF_INIT;
	CLEANUP(fd) int fd = -1;
	struct reply reply = { BUF_INIT, { -1, -1, -1, -1 } };
	size_t fds_n = 0;
	enum err e;

	if (refused)
		snprintf(reason, sizeof reason, "%s", err_reason());
	e = io_recv_message(launcher->sock, LAUNCHER_MESSAGE_MAX, &message, &fd, 1, &fds_n);
	if (e)
		return e;
	buf_put_u8(&reply.body, OK);
	e = refused ? failed(refused, "%s", reason)
		    : dispatch(launcher, buf_slice(&message), fd, fds_n, &reply);
	if (e) {
		buf_reset(&reply.body);
		buf_put_u8(&reply.body, (uint8_t)e);
		buf_put_text(&reply.body, err_reason());
	}
	e = buf_check(&reply.body);
	if (!e)
		e = io_send_message(launcher->sock, buf_slice(&reply.body), reply.fds,
				    reply.fds[0] < 0 ? 0 : CELL_FDS);
	for (int i = 0; i < CELL_FDS; i++)
		fd_cleanup(&reply.fds[i]);
	buf_free(&reply.body);
	return e;
}
