/* token.h - a PKCS#11 token as its user wants it: open, log in, find a key, sign.
 *
 * For the daemon (its own token), the command line and the probe; the module itself only forwards.
 * A struct token is one HSM module loaded and initialised in this process, and one of its slots.
 * token_sign may be called from several threads: each takes a session of a small pool.
 * Results of the HSM map to: CKR_TOKEN_NOT_PRESENT, DEVICE_REMOVED: ERR_GONE; PIN errors:
 * ERR_LOGIN; others: ERR_CRYPTO with the CKR_ name in the reason.
 */
#ifndef PKCS11_TOKEN_H
#define PKCS11_TOKEN_H

#include "config/base/secret.h"
#include "pkcs11/cryptoki.h"

struct token;

struct token_info {
	char label[33], manufacturer[33], model[17], serial[17]; /* without trailing blanks */
	char firmware[16];                                       /* "2.6" */
	CK_FLAGS flags;
};

/* @by_label or @by_serial, the other NULL. The environment that the HSM's module needs must be set
 * before: it is read once per process. */
MUST enum err token_open(const char *module, const char *by_label, const char *by_serial,
			 struct token **out);
void token_close(struct token *token);
void token_cleanup(struct token **token);
void token_info(const struct token *token, struct token_info *out);

/* Logs in for all sessions of this process; @role is CKU_USER or CKU_SO. */
MUST enum err token_login(struct token *token, CK_USER_TYPE role, const struct secret *pin);
MUST enum err token_logout(struct token *token);

/* The one object of this class and CKA_ID; ERR_NOT_FOUND, or ERR_EXISTS when there are more. */
MUST enum err token_find(struct token *token, CK_OBJECT_CLASS class, struct slice id,
			 CK_OBJECT_HANDLE *out);
/* Whether a public key has this CKA_ID and point, whatever else bears the id: see p11_has_point. */
MUST enum err token_has_point(struct token *token, struct slice id, const uint8_t point[65]);
/* A P-256 pair on the token: private half sign-only, sensitive, never extractable, not modifiable,
 * not copyable where the HSM knows that; public half public. @point: 65 bytes, 04 || X || Y. */
MUST enum err token_make_ec(struct token *token, const char *label, struct slice id,
			    CK_OBJECT_HANDLE *private_key, uint8_t point[65]);
/* A 256-bit AES key on the token for wrapping, never extractable. */
MUST enum err token_make_aes(struct token *token, const char *label, struct slice id,
			     CK_OBJECT_HANDLE *key);
MUST enum err token_ec_point(struct token *token, CK_OBJECT_HANDLE public_key, uint8_t point[65]);
/* CKM_ECDSA over a digest: appends r || s. */
MUST enum err token_sign(struct token *token, CK_OBJECT_HANDLE key, const uint8_t digest[32],
			 struct buf *signature);
/* The same for Ed25519, where the token has it: else ERR_UNSUPPORTED, and nothing was made. Signs the
 * message itself (CKM_EDDSA, RFC 8032 without a context); appends 64 bytes. */
MUST enum err token_make_ed25519(struct token *token, const char *label, struct slice id,
				 CK_OBJECT_HANDLE *private_key, uint8_t public_key[32]);
MUST enum err token_sign_ed25519(struct token *token, CK_OBJECT_HANDLE key, struct slice message,
				 struct buf *signature);
/* AES-GCM under a key of the token: appends 12 bytes IV || ciphertext || 16 bytes tag. */
MUST enum err token_seal(struct token *token, CK_OBJECT_HANDLE key, struct slice plain,
			 struct buf *sealed);
MUST enum err token_unseal(struct token *token, CK_OBJECT_HANDLE key, struct slice sealed,
			   uint8_t *plain, size_t plain_n);
/* A public data or certificate object; @trusted needs the SO. Reads one back. */
MUST enum err token_put_certificate(struct token *token, struct slice id, const char *label,
				    struct slice der, bool trusted, CK_OBJECT_HANDLE *out);
/* A private data object, which only the user of this token makes, sees and destroys. */
MUST enum err token_put_data(struct token *token, const char *label, struct slice value,
			     CK_OBJECT_HANDLE *out);
/* Those with this label, at most so many. */
MUST enum err token_list_data(struct token *token, const char *label, CK_OBJECT_HANDLE *out,
			      size_t max, size_t *n);
MUST enum err token_get_value(struct token *token, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
			      size_t max, struct buf *out);
MUST enum err token_destroy(struct token *token, CK_OBJECT_HANDLE object);

/* "CKR_PIN_INCORRECT", from one list (pkcs11/results.def); "CKR_0x..." for others. */
const char *ckr_name(CK_RV rv);

#endif
