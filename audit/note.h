/* note.h - checkpoints: C2SP tlog-checkpoint text in a C2SP signed note, with ECDSA signatures
 * (type 0x02), and where a log has such a key a line of Ed25519 (type 0x01; vkey.h). Pure: no I/O.
 *
 *   origin \n size \n base64 root \n \n then "— origin base64(key id || DER signature)\n"
 *
 * The key's name is the origin; its id SHA-256(SubjectPublicKeyInfo)[0..4].
 */
#ifndef AUDIT_NOTE_H
#define AUDIT_NOTE_H

#include "config/base/bytes.h"
#include "config/base/sha256.h"

#define NOTE_MAX 65536
#define NOTE_SIGNATURES_MAX 64
#define NOTE_KEY_ID 4

/* ERR_RANGE for an origin that is empty, over 200 bytes, or holds anything but printable ASCII
 * without blank and "+". */
MUST enum err note_check_origin(struct slice origin);
/* The key id of the public key in an X.509 certificate (DER). */
MUST enum err note_key_id(struct slice certificate, uint8_t id[NOTE_KEY_ID]);

/* Appends the text of a checkpoint; @digest is what the key signs. */
MUST enum err note_prepare(const char *origin, uint64_t size, const uint8_t root[SHA256_SIZE],
			   struct buf *text, uint8_t digest[SHA256_SIZE]);
/* Appends the whole note. @signature: raw r || s over the digest. */
MUST enum err note_write(struct slice text, const char *origin, const uint8_t id[NOTE_KEY_ID],
			 struct slice signature, struct buf *out);

/* Appends one more signature line to a note: of ECDSA, or of any type as its bytes stand there. */
MUST enum err note_put_signature(const char *origin, const uint8_t id[NOTE_KEY_ID],
				 struct slice signature, struct buf *out);
MUST enum err note_put_line(struct slice name, const uint8_t id[NOTE_KEY_ID], struct slice bytes,
			    struct buf *out);

struct note_signature {
	struct slice name;
	uint8_t id[NOTE_KEY_ID];
	uint8_t bytes[120]; /* of any type; longer ones are kept out: n is 0 */
	size_t n;
};
struct note {
	struct slice text; /* what is signed, with its last newline */
	struct slice origin;
	uint64_t size;
	uint8_t root[SHA256_SIZE];
	struct note_signature signatures[NOTE_SIGNATURES_MAX];
	size_t signatures_n;
};
/* Points into @raw. Extension lines are ERR_FORMAT: we write none. */
MUST enum err note_read(struct slice raw, struct note *out);
/* Is there a valid signature by this certificate's key under the origin's name? ERR_NOT_FOUND when
 * there is none by it, ERR_CRYPTO when it does not verify. */
MUST enum err note_verify(const struct note *note, struct slice certificate);

#endif
