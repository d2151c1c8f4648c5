/* attest_inner.h - the inside of attest.h, shared by attest.c (opening, signing, finding keys, the
 * anchor) and attest_make.c (making keys and certificates). Not for others.
 */
#ifndef PLUGIN_DAEMON_ATTEST_INNER_H
#define PLUGIN_DAEMON_ATTEST_INNER_H

#include <pthread.h>

#include "audit/chain.h"
#include "plugin/daemon/attest.h"

#define KEY_CA "assay-ca"
#define KEY_APPLIANCE "assay-appliance"
#define KEY_WRAP "assay-wrap"
#define ATTEST_TURN_MAX 8 /* of a name, for the turn's number */
#define KEY_ID_MAX 65     /* a key's id is its certificate's common name */

/* A certificate that was in force: others may still read it. */
struct retired {
	struct buf der;
	struct retired *next;
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
	struct retired *retired;
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
MUST enum err attest_read_ueid(struct attest *attest, const struct state *state);
void attest_name_origin(struct attest *attest);

#endif
