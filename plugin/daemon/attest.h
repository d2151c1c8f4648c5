/* attest.h - the daemon's own token: the keys that sign evidence.
 *
 * On the token, by CKA_ID (all non-extractable):
 *   assay-ca                               P-256: signs the certificates of the others
 *   assay-appliance                        P-256: heads of the appliance's own tree
 *   assay-wrap                             AES-256: seals frame keys of the log, and the store's key
 *   assay-partition <serial> <generation>  P-256: heads of one partition's tree
 *   the two above with " #2", " #3" ...    after that many rollovers; the one before stays there
 *                                          while an overlap lasts
 *   each of these three with " ed25519"    Ed25519, where the token has that: a further line of the
 *                                          tree's checkpoints. Its certificate is private data under
 *                                          the same name. A tree whose key was made by an earlier
 *                                          version has none until its next rollover
 *   assay-seal <serial in hex> <0 or 1>    AES-256: opens the keys of its sealed payloads (ring.h)
 * and, by CKA_LABEL, private data:
 *   assay-anchor                           what anchor.h says
 *
 * Logged in once, when it is opened. Calls are safe from any thread.
 */
#ifndef PLUGIN_DAEMON_ATTEST_H
#define PLUGIN_DAEMON_ATTEST_H

#include "audit/certificate.h"
#include "config/config.h"
#include "pkcs11/token.h"
#include "plugin/daemon/state.h"

struct attest;

/* Loads the token's module (config token.*), with token.environment put into this process, and logs
 * in with the PIN of token.pin_file. */
MUST enum err attest_open(const struct config *config, struct attest **out);
void attest_close(struct attest *attest);
void attest_cleanup(struct attest **attest);
const struct token_info *attest_token(const struct attest *attest);
/* The token itself, for those whose keys ring.h speaks of. */
struct token *attest_device(const struct attest *attest);

/* --init: makes the CA, the appliance's key and the wrapping key with their certificates, ueid and
 * store key, and writes all that into @state, "initialised" last. ERR_EXISTS when it is there. */
MUST enum err attest_initialise(struct attest *attest, struct state *state);
/* The same in two steps, for a CA that somebody else's PKI certifies: makes its key, and writes a
 * request (PKCS#10) into @state; of an appliance that is initialised, for a renewal. */
MUST enum err attest_request(struct attest *attest, struct state *state);
/* Then takes its certificate with those above it, up to a root (PEM), and does the rest, unless that was
 * done. ERR_CRYPTO says why it can't be used: another key, no CA, not valid now, a chain that does not
 * hold, or, for a renewal, a name that is not the one that issued the others. */
MUST enum err attest_certified(struct attest *attest, struct state *state,
			       struct slice certificates);
/* Gives the CA that certified itself a new certificate, of the same name and key. */
MUST enum err attest_renew(struct attest *attest, struct state *state);
/* Start: finds the keys, reads the certificates, gives @state its store key. */
MUST enum err attest_load(struct attest *attest, struct state *state);

const uint8_t *attest_ueid(const struct attest *attest); /* STATE_UEID_SIZE bytes */
/* "assay/<ueid in hex>" */
const char *attest_origin(const struct attest *attest);
/* The appliance's key, as the log wants it; good until the end. */
void attest_appliance_key(struct attest *attest, struct audit_key *out);
/* The CA's certificate, and those above it (audit/chain.h). */
struct slice attest_chain(const struct attest *attest);
struct audit_signer attest_signer(struct attest *attest);

/* A partition's origin: "<appliance's>/<serial>/<generation>", the serial's bytes other than letters
 * and digits as %XX. */
MUST enum err attest_partition_origin(const struct attest *attest, struct slice serial,
				      uint64_t generation, char out[AUDIT_ORIGIN_MAX]);
/* Which partition a key is for. */
struct attest_partition {
	const char *serial, *label;
	uint64_t generation;
};
/* Makes the key of one partition and its certificate (DER, appended). A key left over from an
 * enrolment that was not finished is destroyed first. */
MUST enum err attest_make_partition(struct attest *attest, const struct attest_partition *partition,
				    struct buf *certificate);
/* Finds it; @certificate is what make gave, and must outlive @out. */
MUST enum err attest_partition_key(struct attest *attest, struct slice serial, uint64_t generation,
				   struct slice certificate, struct audit_key *out);

/* Rollover, of a partition's key or (NULL) the appliance's own: makes the one that comes after that of
 * @certificate, and appends its certificate. Nothing uses it yet: what uses which key, its certificate
 * says, wherever that is kept. (An Ed25519 key comes and goes with the one that it is beside.) */
MUST enum err attest_roll(struct attest *attest, const struct attest_partition *partition,
			  struct slice certificate, struct buf *next);
/* Ends an overlap: destroys the key before that of @certificate, if it is there. */
MUST enum err attest_forget_former(struct attest *attest, const struct attest_partition *partition,
				   struct slice certificate);
/* Has the appliance's own key be that of @certificate, durably. One thread at a time. */
MUST enum err attest_use_appliance(struct attest *attest, const struct state *state,
				   struct slice certificate);

/* The anchor's body: the newest there is, appended; ERR_NOT_FOUND when there is none. Then for the
 * writer: a new object is made, and then the older ones destroyed. One thread at a time. */
MUST enum err attest_read_anchor(struct attest *attest, struct buf *body);
MUST enum err attest_write_anchor(struct attest *attest, struct slice body);

#endif
