/* wire.h - messages between the daemon and whoever talks to it, over SOCK_SEQPACKET.
 *
 * See requests.def for the requests. Both sides treat what they read as hostile. A message belongs to
 * one thread.
 */
#ifndef PLUGIN_WIRE_H
#define PLUGIN_WIRE_H

#include "config/base/cbor.h"
#include "config/base/io.h"

#define WIRE_VERSION 2
#define WIRE_MESSAGE_MAX 65536
#define WIRE_INLINE_MAX 16384 /* a longer payload travels as a sealed memory file */
#define WIRE_PAYLOAD_MAX ((size_t)320 << 20)
#define WIRE_SERIAL_MAX 16
#define WIRE_APP_MAX 64
#define WIRE_ORIGIN_MAX 255
#define WIRE_KEY_ID_MAX 64
#define WIRE_PARTITIONS_MAX 128
#define WIRE_APPS_MAX 4096 /* of one partition */
#define WIRE_STATUS_MAX 256

enum wire_request {
#define REQUEST(name, number, who, pace) REQ_##name = number,
#include "plugin/requests.def"
#undef REQUEST
};

enum wire_role { WIRE_USER = 1, WIRE_SO = 2 };

enum wire_operation { OP_EXECUTE = 1, OP_EXECUTE_FULL = 2, OP_RUN = 3, OP_RUN_OBJECT = 4 };

struct wire_message {
	struct buf bytes;
	int fds[IO_FDS_MAX];
	size_t fds_n;
	size_t fds_taken;
};

/* Starts a message to fill with cbor_put_...; frees and closes what it still holds. */
void wire_init(struct wire_message *m);
void wire_cleanup(struct wire_message *m);
/* Appends a payload: inline, or as a descriptor. */
MUST enum err wire_put_payload(struct wire_message *m, struct slice payload);
/* Takes a payload of at most @max bytes; @mapped is set when it must be unmapped with io_unmap. */
MUST enum err wire_take_payload(struct wire_message *m, struct slice *in, size_t max,
				struct slice *payload, bool *mapped);
MUST enum err wire_send(int sock, struct wire_message *m);
MUST enum err wire_recv(int sock, struct wire_message *m);

/* What PARTITIONS, APPS and STATUS answer are arrays of these; slices point into the answer. A taker
 * says ERR_FORMAT. */
struct wire_partition {
	struct slice serial, label, origin;
	struct slice key_id; /* CKA_ID of the role key */
	uint64_t generation;
	bool active; /* false: suspended */
};
struct wire_app {
	struct slice id, label, version, measurement, image, profile, manifest, cka_id;
};
struct wire_status {
	struct slice key, value;
};
MUST enum err wire_take_partition(struct slice *in, struct wire_partition *out);
MUST enum err wire_take_app(struct slice *in, struct wire_app *out);
MUST enum err wire_take_status(struct slice *in, struct wire_status *out);

/* The challenges that both sides make: see CHALLENGE and ENROLL in requests.def. */
struct wire_challenge {
	struct slice origin, serial;
	uint64_t generation, role, epoch;
	uint8_t boot[16], connection[16], client_nonce[32], daemon_nonce[32];
};
MUST enum err wire_role_challenge(const struct wire_challenge *c, uint8_t digest[32]);
MUST enum err wire_enroll_challenge(struct slice origin, struct slice serial, uint64_t generation,
				    const uint8_t point[65], const uint8_t nonce[32],
				    uint8_t digest[32]);

#endif
