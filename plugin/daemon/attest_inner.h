/* attest_inner.h - the inside of attest.h, shared by attest.c (opening, signing, finding keys, the
 * anchor), attest_make.c (making keys and certificates) and attest_ed25519.c (the same for those of
 * Ed25519). Not for others.
 */
#ifndef PLUGIN_DAEMON_ATTEST_INNER_H
#define PLUGIN_DAEMON_ATTEST_INNER_H

#include <pthread.h>

#include "audit/chain.h"
#include "plugin/daemon/attest.h"

#define KEY_CA "assay-ca"
#define KEY_APPLIANCE "assay-appliance"
#define KEY_WRAP "assay-wrap"
#define ATTEST_MORE_MAX 16 /* of a name, for the turn's number and what else follows it */
#define KEY_ID_MAX 65      /* a key's id is its certificate's common name */

/* A certificate that others may read until the end. */
struct kept {
	char name[KEY_ID_MAX]; /* of an Ed25519 key, the newest one first; or nobody looks for it */
	struct buf der;
	struct kept *next;
};

struct attest {
	struct token *token;
	struct token_info info;
	CK_OBJECT_HANDLE ca, wrap;
	struct buf chain; /* the CA's certificate, and those above it (audit/chain.h) */
	uint8_t ueid[STATE_UEID_SIZE];
	char origin[AUDIT_ORIGIN_MAX];
	uint64_t anchors;     /* counter of the newest anchor */
	pthread_mutex_t lock; /* guards what follows */
	struct audit_key appliance;
	struct buf appliance_der;
	struct kept *kept;
};

/* The name that a tree's key had first (no serial: the appliance's); by turns, each rollover one, it is
 * "NAME", "NAME #2", "NAME #3". */
MUST enum err attest_first_name(struct slice serial, uint64_t generation, char name[KEY_ID_MAX]);
MUST enum err attest_turn_name(const char *first, uint64_t turn, char name[KEY_ID_MAX]);
/* Which turn a certificate is of; ERR_MISMATCH: of another key. */
MUST enum err attest_turn(const char *first, struct slice certificate, uint64_t *turn);
/* The key that a certificate names, and in an overlap the one before it. */
MUST enum err attest_named_key(struct attest *attest, const char *first, struct slice certificate,
			       struct audit_key *out);
/* Takes the buffer. */
MUST enum err attest_keep(struct attest *attest, const char *name, struct buf *der,
			  struct slice *kept);
/* What an attempt that did not come to its end left under this CKA_ID. */
MUST enum err attest_destroy_keys(struct attest *attest, struct slice id);
/* By the name of the key that it is beside: finds it (nothing when there is none), makes it for what
 * @other is for, if the token can, in the place of one that was left there; destroys it. */
MUST enum err attest_find_ed25519(struct attest *attest, const char *key,
				  struct audit_ed25519 *out);
MUST enum err attest_make_ed25519(struct attest *attest, const struct certificate_spec *other);
MUST enum err attest_destroy_ed25519(struct attest *attest, const char *key);
MUST enum err attest_sign_ed25519(void *attest, unsigned long handle, struct slice message,
				  struct buf *signature);
MUST enum err attest_read_ueid(struct attest *attest, const struct state *state);
void attest_name_origin(struct attest *attest);

#endif
