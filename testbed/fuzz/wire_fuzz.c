/* A message of the link as either side reads it: items until the end, payloads inline or in the one
 * descriptor that came; what is accepted lies within what was sent. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "plugin/wire.h"

#define ITEMS_MAX 64
#define PAYLOAD_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void read_items(struct wire_message *m)
{
	struct slice in = buf_slice(&m->bytes), payload;
	size_t items;
	bool mapped;

	if (cbor_take_array(&in, ITEMS_MAX, &items))
		return;
	for (size_t i = 0; i < items; i++) {
		size_t before = in.left;

		if (!wire_take_payload(m, &in, PAYLOAD_MAX, &payload, &mapped)) {
			if (payload.left > PAYLOAD_MAX || (mapped && !payload.p))
				abort();
			if (mapped)
				io_unmap(&payload);
		} else if (in.left != before || cbor_take_item(&in, NULL)) {
			if (in.left != before)
				abort();
			return;
		}
	}
}

/* The first byte says how much of the input goes into a sealed memory file beside the message. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	CLEANUP(wire) struct wire_message sent, got;
	int pair[2];

	wire_init(&sent);
	wire_init(&got);
	if (n < 2 || n > WIRE_MESSAGE_MAX)
		return 0;
	size_t inside = (n - 1) * data[0] / 256;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		abort();
	if (inside && io_memfd("fuzz", slice_of(data + 1, inside), &sent.fds[0]) == OK)
		sent.fds_n = 1;
	buf_put(&sent.bytes, data + 1 + inside, n - 1 - inside);
	if (wire_send(pair[0], &sent) == OK && wire_recv(pair[1], &got) == OK)
		read_items(&got);
	close(pair[0]);
	close(pair[1]);
	return 0;
}
