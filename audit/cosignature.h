/* cosignature.h - what a witness signs: C2SP tlog-cosignature, Ed25519 ("cosignature/v1").
 *
 * The message is "cosignature/v1\ntime SECONDS\n" and the checkpoint's text; the signature line of
 * the note holds the time (8 bytes, big-endian) and 64 bytes of signature. It says: at this time,
 * this was the largest tree of its origin that the witness had seen, and it continues all that the
 * witness saw before. Any thread; a cosigner is read-only once it is open.
 */
#ifndef AUDIT_COSIGNATURE_H
#define AUDIT_COSIGNATURE_H

#include "audit/vkey.h"
#include "config/base/secret.h"

#define COSIGNATURE_SIZE 72

/* Appends what is signed. @text: of a checkpoint, with its last newline. */
MUST enum err cosignature_message(struct slice text, uint64_t time, struct buf *out);

/* A witness's private key. As text it is one line, as golang.org/x/mod/sumdb/note makes them for
 * Ed25519: PRIVATE+KEY+name+hex id+base64(0x01 || seed). */
struct cosigner;

/* Makes a key; @text gets its line, without a newline. */
MUST enum err cosigner_make(struct slice name, struct secret *text);
MUST enum err cosigner_open(const struct secret *text, struct cosigner **out);
const struct vkey *cosigner_vkey(const struct cosigner *cosigner);
/* Appends the signature line for a checkpoint's text. */
MUST enum err cosigner_sign(const struct cosigner *cosigner, struct slice text, uint64_t time,
			    struct buf *line);
void cosigner_free(struct cosigner *cosigner);
void cosigner_cleanup(struct cosigner **cosigner);

#endif
