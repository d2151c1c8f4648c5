/* p11.h - what Assay itself does on an HSM, over a session that the caller holds.
 *
 * Below token.h, which brings a module and sessions of its own, and the module's role proofs, which
 * borrow the host's. Results map as token.h says; nothing is logged. One session is for one thread.
 */
#ifndef PKCS11_P11_H
#define PKCS11_P11_H

#include "config/base/bytes.h"
#include "pkcs11/cryptoki.h"

#define P11_POINT 65
#define P11_ED25519 32 /* a public key; a signature has twice as many bytes */

struct p11 {
	CK_FUNCTION_LIST *f;
	CK_SESSION_HANDLE session;
};

/* Notes "<call>: CKR_..." as the reason, and answers what it means. OK for CKR_OK. */
MUST enum err p11_result(CK_RV rv, const char *call);

/* The one token object of this class and CKA_ID; ERR_NOT_FOUND; ERR_EXISTS: more than one. */
MUST enum err p11_find(struct p11 at, CK_OBJECT_CLASS class, struct slice id,
		       CK_OBJECT_HANDLE *out);
/* Whether a public key on the token has this CKA_ID and point, whatever else bears the id, since
 * anyone may make such objects: OK; ERR_NOT_FOUND: nothing has the id; ERR_MISMATCH: others do. */
MUST enum err p11_has_point(struct p11 at, struct slice id, const uint8_t point[P11_POINT]);
/* Appends an attribute's value; one over @max bytes is ERR_RANGE. */
MUST enum err p11_get(struct p11 at, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, size_t max,
		      struct buf *out);
/* See token_make_ec and token_make_aes. */
MUST enum err p11_make_ec(struct p11 at, const char *label, struct slice id,
			  CK_OBJECT_HANDLE *private_key, uint8_t point[P11_POINT]);
MUST enum err p11_make_aes(struct p11 at, const char *label, struct slice id,
			   CK_OBJECT_HANDLE *key);
MUST enum err p11_ec_point(struct p11 at, CK_OBJECT_HANDLE public_key, uint8_t point[P11_POINT]);
/* Appends r || s. */
MUST enum err p11_sign(struct p11 at, CK_OBJECT_HANDLE key, const uint8_t digest[32],
		       struct buf *signature);
/* See token_make_ed25519 and token_sign_ed25519. */
MUST enum err p11_make_ed25519(struct p11 at, const char *label, struct slice id,
			       CK_OBJECT_HANDLE *private_key, uint8_t public_key[P11_ED25519]);
MUST enum err p11_sign_ed25519(struct p11 at, CK_OBJECT_HANDLE key, struct slice message,
			       struct buf *signature);
/* See token_put_data and token_list_data. */
MUST enum err p11_put_data(struct p11 at, const char *label, struct slice value,
			   CK_OBJECT_HANDLE *out);
MUST enum err p11_list_data(struct p11 at, const char *label, CK_OBJECT_HANDLE *out, size_t max,
			    size_t *n);
MUST enum err p11_put_certificate(struct p11 at, struct slice id, const char *label,
				  struct slice der, bool trusted, CK_OBJECT_HANDLE *out);

#endif
