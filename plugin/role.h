/* role.h - having the HSM prove to the daemon who is logged in.
 *
 * The user's proof is a signature by the partition's role key, a private object of the token. The
 * SO's is a certificate object with CKA_TRUSTED, which the SO alone can set and any process can
 * read. No PIN is seen here. Used by the module over its host's HSM module, and by enrolment.
 */
#ifndef PLUGIN_ROLE_H
#define PLUGIN_ROLE_H

#include "pkcs11/cryptoki.h"
#include "plugin/link.h"

/* The role key: token_make_ec() with this label and an id from role_new_key_id(), as the user. Its
 * public half is a public object, so that the daemon's probe can read it. */
#define ROLE_KEY_LABEL "assay-role-key"
#define ROLE_KEY_ID_PREFIX "assay-role"
#define ROLE_KEY_ID_SIZE (10 + 8)
MUST enum err role_new_key_id(uint8_t id[ROLE_KEY_ID_SIZE]);

/* The SO's certificate object: token_put_certificate() with this label, an id from
 * role_new_certificate_id(), CKA_TRUSTED, and for CKA_VALUE the DER of SEQUENCE { OCTET STRING
 * challenge }: 30 22 04 20 and 32 bytes. It stands only until the daemon has read it. */
#define ROLE_CERTIFICATE_LABEL "assay-challenge"
#define ROLE_CERTIFICATE_ID_PREFIX "assay-so"
#define ROLE_CERTIFICATE_ID_SIZE (8 + 16)
#define ROLE_CERTIFICATE_SIZE (4 + 32)
MUST enum err role_new_certificate_id(uint8_t id[ROLE_CERTIFICATE_ID_SIZE]);
void role_certificate(const uint8_t challenge[32], uint8_t der[ROLE_CERTIFICATE_SIZE]);

/* Whether an object with this CKA_ID is one of ours on a client's token. */
bool role_owns_id(struct slice id);

/* What is to be proved; see PARTITIONS and CHALLENGE in requests.def. */
struct role_claim {
	struct slice serial, origin, key_id;
	uint64_t generation, epoch; /* of the slot's login */
	enum wire_role role;
};

/* Proves the role that is logged in on @slot now, over a session of its own that is closed before
 * this returns; the caller holds the slot's lock. @seconds: how long the daemon grants it. ERR_LOGIN:
 * another role or nobody is logged in. ERR_NOT_FOUND: the token lacks the role key; the daemon has
 * been told to look for itself. Others are the HSM's or the daemon's. */
MUST enum err role_prove(struct link *link, CK_FUNCTION_LIST *hsm, CK_SLOT_ID slot,
			 const struct role_claim *claim, uint64_t *seconds);

#endif
