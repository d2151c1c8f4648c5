#include "plugin/cli/witness_http.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config/base/io.h"

#define HEAD_MAX 8192
#define REQUEST_MS 10000 /* from a request's first byte to its last */
#define IDLE_MS 30000    /* between requests */
#define FULL_MS 1000     /* either, when others wait */
#define LOOK_MS 250      /* whether they do */
#define REQUESTS_MAX 1000
#define ORIGIN_HASH 64

/* ---- reading a head ---- */

static bool take_line(struct slice *in, struct slice *line)
{
	const uint8_t *end = in->left ? memmem(in->p, in->left, "\r\n", 2) : NULL;

	if (!end)
		return false;
	*line = slice_of(in->p, (size_t)(end - in->p));
	*in = slice_of(end + 2, in->left - line->left - 2);
	return !memchr(line->p, '\n', line->left) && !memchr(line->p, '\r', line->left) &&
	       !memchr(line->p, 0, line->left);
}

static bool take_word(struct slice *in, struct slice *word)
{
	const uint8_t *blank = in->left ? memchr(in->p, ' ', in->left) : NULL;

	*word = slice_of(in->p, blank ? (size_t)(blank - in->p) : in->left);
	*in = blank ? slice_of(blank + 1, in->left - word->left - 1) : slice_of(NULL, 0);
	return word->left > 0;
}

static int read_first(struct slice line, struct http_request *out)
{
	struct slice method, target, version;

	if (!take_word(&line, &method) || !take_word(&line, &target) ||
	    !take_word(&line, &version) || line.left)
		return 400;
	out->keep = slice_is(version, "HTTP/1.1");
	if (!out->keep && !slice_is(version, "HTTP/1.0"))
		return 505;
	out->method = slice_is(method, "GET")    ? HTTP_GET
		      : slice_is(method, "POST") ? HTTP_POST
						 : HTTP_OTHER;
	if (target.left >= sizeof out->target)
		return 414;
	memcpy(out->target, target.p, target.left);
	out->target[target.left] = 0;
	return 200;
}

static bool is_name(struct slice name, const char *wanted)
{
	return name.left == strlen(wanted) && !strncasecmp((const char *)name.p, wanted, name.left);
}

/* RFC 9110, 5.6.2 */
static bool is_token(struct slice name)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < name.left; i++) {
		uint8_t c = name.p[i], letter = c | 0x20;

		if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= '9') &&
		    !memchr(others, c, sizeof others - 1))
			return false;
	}
	return true;
}

static struct slice trim(struct slice s)
{
	while (s.left && (*s.p == ' ' || *s.p == '\t'))
		s = slice_of(s.p + 1, s.left - 1);
	while (s.left && (s.p[s.left - 1] == ' ' || s.p[s.left - 1] == '\t'))
		s.left--;
	return s;
}

static int read_length(struct slice value, struct http_request *out)
{
	size_t n = 0;

	if (value.left == 0 || value.left > 9)
		return value.left ? 413 : 400;
	for (size_t i = 0; i < value.left; i++) {
		if (value.p[i] < '0' || value.p[i] > '9')
			return 400;
		n = n * 10 + (size_t)(value.p[i] - '0');
	}
	if (n > WITNESS_REQUEST_MAX)
		return 413;
	out->body_n = n;
	return 200;
}

static int read_field(struct slice line, bool *has_length, struct http_request *out)
{
	const uint8_t *colon = line.left ? memchr(line.p, ':', line.left) : NULL;

	if (!colon || colon == line.p)
		return 400;
	struct slice name = slice_of(line.p, (size_t)(colon - line.p));
	struct slice value = trim(slice_of(colon + 1, line.left - name.left - 1));

	/* Anything else in a name, or a line that begins with a blank, lets two readers see two
	 * requests. */
	if (!is_token(name))
		return 400;
	if (is_name(name, "Transfer-Encoding"))
		return 411; /* a length is wanted beforehand */
	if (is_name(name, "Content-Length")) {
		if (*has_length)
			return 400;
		*has_length = true;
		return read_length(value, out);
	}
	if (is_name(name, "Connection") && is_name(value, "close"))
		out->keep = false;
	if (is_name(name, "Expect")) {
		out->waits = is_name(value, "100-continue");
		return out->waits ? 200 : 417;
	}
	return 200;
}

int http_read_head(struct slice head, struct http_request *out)
{
	struct slice line;
	bool has_length = false;
	int status;

	*out = (struct http_request){ 0 };
	if (!take_line(&head, &line))
		return 400;
	if ((status = read_first(line, out)) != 200)
		return status;
	for (;;) {
		if (!take_line(&head, &line))
			return 400;
		if (line.left == 0)
			break;
		if ((status = read_field(line, &has_length, out)) != 200)
			return status;
	}
	return out->method == HTTP_POST && !has_length ? 411 : 200;
}

/* ---- the connection ---- */

struct connection {
	int fd;
	struct buf in; /* read, and not yet used */
	uint64_t since_ms, until_ms;
	const atomic_bool *full;
};

static void allow(struct connection *c, uint64_t ms)
{
	c->since_ms = io_monotonic_ms();
	c->until_ms = c->since_ms + ms;
}

/* How long may still be waited; 0: no longer. */
static int patience(const struct connection *c)
{
	uint64_t now = io_monotonic_ms(), until = c->until_ms;

	if (atomic_load(c->full) && until > c->since_ms + FULL_MS)
		until = c->since_ms + FULL_MS;
	if (now >= until)
		return 0;
	return until - now < LOOK_MS ? (int)(until - now) : LOOK_MS;
}

/* Waits for more; false when there is none, or not in time. */
static bool read_more(struct connection *c)
{
	struct pollfd p = { c->fd, POLLIN, 0 };
	uint8_t block[4096];

	for (int ms; (ms = patience(c)) > 0;) {
		int r = poll(&p, 1, ms);
		if (r < 0 && errno != EINTR)
			return false;
		if (r <= 0)
			continue;
		ssize_t n = recv(c->fd, block, sizeof block, MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return false;
		buf_put(&c->in, block, (size_t)n);
		return !buf_check(&c->in);
	}
	return false;
}

static void write_all(struct connection *c, struct slice data)
{
	struct pollfd p = { c->fd, POLLOUT, 0 };

	for (int ms; data.left && (ms = patience(c)) > 0;) {
		int r = poll(&p, 1, ms);
		if (r < 0 && errno != EINTR)
			return;
		if (r <= 0)
			continue;
		ssize_t n = send(c->fd, data.p, data.left, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return;
		if (n > 0)
			data = slice_of(data.p + n, data.left - (size_t)n);
	}
}

static void respond(struct connection *c, int status, const char *type, struct slice body,
		    bool keep)
{
	static const struct {
		int status;
		const char *words;
	} phrases[] = { { 200, "OK" },
			{ 400, "Bad Request" },
			{ 403, "Forbidden" },
			{ 404, "Not Found" },
			{ 405, "Method Not Allowed" },
			{ 409, "Conflict" },
			{ 411, "Length Required" },
			{ 413, "Content Too Large" },
			{ 414, "URI Too Long" },
			{ 417, "Expectation Failed" },
			{ 422, "Unprocessable Entity" },
			{ 500, "Internal Server Error" },
			{ 505, "HTTP Version Not Supported" } };
	CLEANUP(buf) struct buf out = BUF_INIT;
	const char *words = "";

	for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
		if (phrases[i].status == status)
			words = phrases[i].words;
	buf_printf(&out,
		   "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
		   "Cache-Control: no-store\r\nConnection: %s\r\n\r\n",
		   status, words, type, body.left, keep ? "keep-alive" : "close");
	buf_put_slice(&out, body);
	allow(c, REQUEST_MS); /* signing took its own time */
	if (!buf_check(&out))
		write_all(c, buf_slice(&out));
}

#define TEXT "text/plain; charset=utf-8"

static void refuse(struct connection *c, int status, const char *words, bool keep)
{
	char line[ERR_REASON_MAX + 2];

	snprintf(line, sizeof line, "%s\n", words);
	respond(c, status, TEXT, slice_text(line), keep);
}

/* ---- the two calls ---- */

static void add_checkpoint(struct witness *w, struct connection *c, struct slice body, bool keep)
{
	CLEANUP(buf) struct buf answer = BUF_INIT;
	int verdict = witness_answer(w, body, &answer);

	if (verdict == WITNESS_SIGN)
		respond(c, 200, TEXT, buf_slice(&answer), keep);
	else if (verdict == WITNESS_CONFLICT)
		respond(c, 409, "text/x.tlog.size", buf_slice(&answer), keep);
	else if (verdict == WITNESS_BROKEN) /* its reasons name files of this machine */
		refuse(c, verdict, "this witness can't sign now", keep);
	else
		refuse(c, verdict, err_reason(), keep);
}

static void get_checkpoint(struct witness *w, struct connection *c, const char *target, bool keep)
{
	CLEANUP(buf) struct buf note = BUF_INIT;
	char hash[ORIGIN_HASH + 1] = "";

	if (target[0] == '/' && strlen(target) == ORIGIN_HASH + 1 + strlen("/checkpoint") &&
	    !strcmp(target + 1 + ORIGIN_HASH, "/checkpoint"))
		memcpy(hash, target + 1, ORIGIN_HASH);
	enum err e = witness_newest(w, hash, &note);
	if (e)
		refuse(c, e == ERR_NOT_FOUND ? 404 : 500, "no such checkpoint", keep);
	else
		respond(c, 200, TEXT, buf_slice(&note), keep);
}

static void act(struct witness *w, struct connection *c, const struct http_request *r,
		struct slice body)
{
	bool adds = !strcmp(r->target, "/add-checkpoint");

	if (adds && r->method == HTTP_POST)
		add_checkpoint(w, c, body, r->keep);
	else if (!adds && r->method == HTTP_GET)
		get_checkpoint(w, c, r->target, r->keep);
	else if (adds || r->method == HTTP_OTHER)
		refuse(c, 405, "POST /add-checkpoint or GET /<origin hash>/checkpoint expected",
		       r->keep);
	else
		refuse(c, 404, "no such address", r->keep);
}

/* Drops what was used from the front. */
static void used(struct buf *in, size_t n)
{
	memmove(in->data, in->data + n, in->len - n);
	in->len -= n;
}

/* How long the head is, once all of it is there; 0: it never was. */
static size_t await_head(struct connection *c)
{
	for (;;) {
		const uint8_t *end =
			c->in.len ? memmem(c->in.data, c->in.len, "\r\n\r\n", 4) : NULL;

		if (end)
			return (size_t)(end - c->in.data) + 4;
		if (c->in.len > HEAD_MAX || !read_more(c))
			return 0;
	}
}

/* False when the connection is over. */
static bool one_request(struct witness *w, struct connection *c)
{
	struct http_request r;

	allow(c, IDLE_MS);
	if (c->in.len == 0 && !read_more(c))
		return false;
	allow(c, REQUEST_MS);
	size_t head = await_head(c);
	if (!head) {
		if (c->in.len > HEAD_MAX)
			refuse(c, 400, "a head that is too long", false);
		return false;
	}
	int status = http_read_head(slice_of(c->in.data, head), &r);
	if (status != 200) {
		refuse(c, status, "the request is not understood", false);
		return false;
	}
	if (r.waits && r.body_n)
		write_all(c, slice_text("HTTP/1.1 100 Continue\r\n\r\n"));
	while (c->in.len < head + r.body_n)
		if (!read_more(c))
			return false;
	act(w, c, &r, slice_of(c->in.data + head, r.body_n));
	used(&c->in, head + r.body_n);
	return r.keep;
}

void http_serve(struct witness *w, int fd, const atomic_bool *full)
{
	struct connection c = { .fd = fd,
				.in = { .max = HEAD_MAX + WITNESS_REQUEST_MAX + 8192 },
				.full = full };

	for (int i = 0; i < REQUESTS_MAX && one_request(w, &c);)
		i++;
	/* What is said last must get there, even when the other side still sends. */
	shutdown(fd, SHUT_WR);
	buf_free(&c.in);
	fd_cleanup(&fd);
}
