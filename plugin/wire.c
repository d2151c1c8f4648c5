#include "plugin/wire.h"

#include "config/base/sha256.h"

void wire_init(struct wire_message *m)
{
	*m = (struct wire_message){ .bytes = { .max = WIRE_MESSAGE_MAX } };
	for (size_t i = 0; i < IO_FDS_MAX; i++)
		m->fds[i] = -1;
}

/* Only as many as there are: a message of zeroes, never started, has no descriptor 0. */
static void close_fds(struct wire_message *m)
{
	for (size_t i = 0; i < m->fds_n; i++)
		fd_cleanup(&m->fds[i]);
	m->fds_n = m->fds_taken = 0;
}

void wire_cleanup(struct wire_message *m)
{
	close_fds(m);
	buf_free(&m->bytes);
}

enum err wire_put_payload(struct wire_message *m, struct slice payload)
{
	if (payload.left <= WIRE_INLINE_MAX) {
		cbor_put_bytes(&m->bytes, payload);
		return buf_check(&m->bytes);
	}
	if (payload.left > WIRE_PAYLOAD_MAX)
		return failed(ERR_RANGE, "a payload of %zu bytes, at most %zu allowed",
			      payload.left, WIRE_PAYLOAD_MAX);
	if (m->fds_n == IO_FDS_MAX)
		return failed(ERR_RANGE, "more than %d descriptors in a message", IO_FDS_MAX);
	enum err e = io_memfd("assay-payload", payload, &m->fds[m->fds_n]);
	if (e)
		return e;
	m->fds_n++;
	cbor_put_null(&m->bytes);
	return buf_check(&m->bytes);
}

/* The descriptor is used up, whether or not it is what it should be. */
static enum err take_mapped(struct wire_message *m, size_t max, struct slice *payload)
{
	if (m->fds_taken == m->fds_n)
		return failed(ERR_FORMAT, "a payload's descriptor is missing");
	CLEANUP(fd) int fd = fd_steal(&m->fds[m->fds_taken++]);
	return io_map_sealed(fd, max, payload);
}

enum err wire_take_payload(struct wire_message *m, struct slice *in, size_t max,
			   struct slice *payload, bool *mapped)
{
	struct slice rest = *in, taken;
	bool by_fd = cbor_peek(rest) != CBOR_BYTES;
	enum err e =
		by_fd ? cbor_take_null(&rest) : cbor_take_bytes(&rest, WIRE_MESSAGE_MAX, &taken);

	*mapped = false;
	if (e)
		return failed(ERR_FORMAT, "a payload is neither bytes nor null");
	if (by_fd && (e = take_mapped(m, max, &taken)))
		return e;
	if (taken.left > max)
		return failed(ERR_RANGE, "a payload of %zu bytes, at most %zu allowed", taken.left,
			      max);
	*mapped = by_fd && taken.left > 0;
	*payload = taken;
	*in = rest;
	return OK;
}

enum err wire_send(int sock, struct wire_message *m)
{
	enum err e = buf_check(&m->bytes);

	return e ? e : io_send_message(sock, buf_slice(&m->bytes), m->fds, m->fds_n);
}

enum err wire_recv(int sock, struct wire_message *m)
{
	close_fds(m);
	m->bytes.failed = false;
	return io_recv_message(sock, WIRE_MESSAGE_MAX, &m->bytes, m->fds, IO_FDS_MAX, &m->fds_n);
}

static enum err take_items(struct slice *in, size_t n)
{
	size_t items;
	enum err e = cbor_take_array(in, n, &items);

	return e || items == n ? e : failed(ERR_FORMAT, "%zu items, %zu expected", items, n);
}

enum err wire_take_partition(struct slice *in, struct wire_partition *out)
{
	enum err e;

	if ((e = take_items(in, 6)) || (e = cbor_take_text(in, WIRE_SERIAL_MAX, &out->serial)) ||
	    (e = cbor_take_uint(in, &out->generation)) ||
	    (e = cbor_take_text(in, 64, &out->label)) || (e = cbor_take_bool(in, &out->active)) ||
	    (e = cbor_take_bytes(in, WIRE_KEY_ID_MAX, &out->key_id)))
		return e;
	return cbor_take_text(in, WIRE_ORIGIN_MAX, &out->origin);
}

/* A digest, or an id, of so many bytes and no fewer. */
static enum err take_exactly(struct slice *in, size_t n, struct slice *out)
{
	enum err e = cbor_take_bytes(in, n, out);

	return e || out->left == n ? e
				   : failed(ERR_FORMAT, "%zu bytes, %zu expected", out->left, n);
}

enum err wire_take_app(struct slice *in, struct wire_app *out)
{
	enum err e;

	if ((e = take_items(in, 8)) || (e = cbor_take_text(in, WIRE_APP_MAX, &out->id)) ||
	    (e = out->id.left ? OK : failed(ERR_FORMAT, "an application without an id")) ||
	    (e = cbor_take_text(in, 64, &out->label)) ||
	    (e = cbor_take_text(in, 32, &out->version)) ||
	    (e = take_exactly(in, SHA256_SIZE, &out->measurement)) ||
	    (e = take_exactly(in, SHA256_SIZE, &out->image)) ||
	    (e = take_exactly(in, SHA256_SIZE, &out->profile)) ||
	    (e = cbor_take_bytes(in, WIRE_MESSAGE_MAX, &out->manifest)))
		return e;
	return take_exactly(in, 8, &out->cka_id);
}

enum err wire_take_status(struct slice *in, struct wire_status *out)
{
	enum err e;

	if ((e = take_items(in, 2)) || (e = cbor_take_text(in, 256, &out->key)))
		return e;
	return cbor_take_text(in, WIRE_MESSAGE_MAX, &out->value);
}

static enum err hash(struct buf *b, uint8_t digest[SHA256_SIZE])
{
	enum err e = buf_check(b);

	if (!e)
		sha256_once(buf_slice(b), digest);
	return e;
}

enum err wire_role_challenge(const struct wire_challenge *c, uint8_t digest[32])
{
	CLEANUP(buf) struct buf b = BUF_INIT;

	cbor_put_array(&b, 10);
	cbor_put_text(&b, "assay-role-1");
	cbor_put_text_slice(&b, c->origin);
	cbor_put_text_slice(&b, c->serial);
	cbor_put_uint(&b, c->generation);
	cbor_put_uint(&b, c->role);
	cbor_put_bytes(&b, SLICE(c->boot));
	cbor_put_bytes(&b, SLICE(c->connection));
	cbor_put_uint(&b, c->epoch);
	cbor_put_bytes(&b, SLICE(c->client_nonce));
	cbor_put_bytes(&b, SLICE(c->daemon_nonce));
	return hash(&b, digest);
}

enum err wire_enroll_challenge(struct slice origin, struct slice serial, uint64_t generation,
			       const uint8_t point[65], const uint8_t nonce[32], uint8_t digest[32])
{
	CLEANUP(buf) struct buf b = BUF_INIT;

	cbor_put_array(&b, 6);
	cbor_put_text(&b, "assay-enroll-1");
	cbor_put_text_slice(&b, origin);
	cbor_put_text_slice(&b, serial);
	cbor_put_uint(&b, generation);
	cbor_put_bytes(&b, slice_of(point, 65));
	cbor_put_bytes(&b, slice_of(nonce, 32));
	return hash(&b, digest);
}
