/* vkey.h - verifier keys of C2SP signed notes: who is known by name, in one line of text, and what
 * they signed. Pure: no I/O; any thread.
 *
 *   name + hex of the key id + base64(type || public key)
 *
 * Types: 0x01 Ed25519 and 0x02 ECDSA on P-256 (its key is a SubjectPublicKeyInfo) for logs; 0x04, a
 * timestamped Ed25519 cosignature (cosignature.h), for witnesses.
 */
#ifndef AUDIT_VKEY_H
#define AUDIT_VKEY_H

#include "audit/audit.h"
#include "audit/note.h"

#define VKEY_KEY_MAX 120
#define VKEY_TEXT_MAX 512
#define VKEY_ED25519_SIZE 32

enum vkey_type { VKEY_ED25519 = 1, VKEY_ECDSA = 2, VKEY_COSIGNATURE = 4 };

struct vkey {
	char name[AUDIT_ORIGIN_MAX + 1]; /* as note_check_origin wants it */
	enum vkey_type type;
	uint8_t id[NOTE_KEY_ID];
	uint8_t key[VKEY_KEY_MAX];
	size_t key_n;
};

/* Works out the key id. ERR_RANGE, ERR_UNSUPPORTED or ERR_FORMAT: a name or a key that can't be. */
MUST enum err vkey_make(struct slice name, enum vkey_type type, struct slice key, struct vkey *out);
/* The key of a log, from a certificate (DER) that its folder shows: of P-256 or Ed25519. */
MUST enum err vkey_of_certificate(struct slice certificate, const char *origin, struct vkey *out);
/* ERR_FORMAT for anything but one key whose id is its own. */
MUST enum err vkey_read(struct slice text, struct vkey *out);
void vkey_write(const struct vkey *key, struct buf *out);
/* The same public key, whatever it is called and used for. */
bool vkey_same(const struct vkey *a, const struct vkey *b);

/* Is it this key's signature (not a cosignature) over a note's text? ERR_CRYPTO: no. */
MUST enum err vkey_check(const struct vkey *key, struct slice text, struct slice signature);
/* Does the line say that it is by this key? */
bool vkey_claims(const struct vkey *key, const struct note_signature *line);
/* Did this key sign the note? ERR_NOT_FOUND when no line is its, ERR_CRYPTO when one is that does not
 * verify. @time (NULL, or seconds since 1970) is what a cosignature says, else 0. */
MUST enum err vkey_verify(const struct vkey *key, const struct note *note, uint64_t *time);

#endif
