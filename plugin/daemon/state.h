/* state.h - the daemon's state directory: who may hold it, and what lies where.
 *
 *   lock           held by the one daemon of this directory, as long as it runs
 *   initialised    written last by --init: everything below is there
 *   initialising   written first by it: keys on the token may be of an attempt that was cut short
 *   ueid           17 bytes: 0x01, then 16 random ones
 *   ca.csr         a request that somebody certify the CA, while no certificate came, and after
 *   ca.der ca.pem appliance.der     public: certificates of the appliance's CA with those above it, and
 *                  of its own key
 *   ca.recorded    SHA-256 of ca.der, as it was at the last start
 *   bootcount      8 bytes, raised at each start
 *   store.key      key of the authenticated records, sealed by the daemon's token
 *   partitions/    one enrolment each, named by the hex of the token's serial
 *   applications/  which packages a partition has, named likewise
 *   packages/      named by the hex of their SHA-256
 *   sealing/       the keys of a partition's sealed payloads (ring.h), named likewise
 *   sealed/        sealed payloads (seals.h)
 *   requests/      what requests with an id were answered (answers.h)
 *   platform/      which programs and libraries an administrator accepted
 *   log/           the audit log (audit/audit.h)
 *
 * Records (state_put, state_get) end in an HMAC over folder, name and content, so whoever can write
 * the directory but not use the token can't forge an enrolment or an application. Calls are safe
 * from any thread; two writers of one name are for the caller to order.
 */
#ifndef PLUGIN_DAEMON_STATE_H
#define PLUGIN_DAEMON_STATE_H

#include "config/base/bytes.h"
#include "config/base/secret.h"

#define STATE_INITIALISED "initialised"
#define STATE_INITIALISING "initialising"
#define STATE_UEID "ueid"
#define STATE_CA_DER "ca.der"
#define STATE_CA_REQUEST "ca.csr"
#define STATE_CA_RECORDED "ca.recorded"
#define STATE_CA_PEM "ca.pem"
#define STATE_APPLIANCE_DER "appliance.der"
#define STATE_STORE_KEY "store.key"
#define STATE_LOG "log"
#define STATE_PARTITIONS "partitions"
#define STATE_APPLICATIONS "applications"
#define STATE_PACKAGES "packages"
#define STATE_SEALING "sealing"
#define STATE_SEALED "sealed"
#define STATE_REQUESTS "requests"
#define STATE_PLATFORM "platform"

#define STATE_UEID_SIZE 17
#define STATE_RECORD_MAX (1 << 20)
#define STATE_RESERVE ((uint64_t)128 << 20) /* of the disk: what the log needs to go on */

struct state;

/* Opens the directory, makes it and its folders if @make (0700), and takes the lock. ERR_STATE:
 * another daemon holds it. ERR_DENIED: others may write to it. */
MUST enum err state_open(const char *path, bool make, struct state **out);
void state_close(struct state *state);
void state_cleanup(struct state **state);
const char *state_path(const struct state *state);
MUST enum err state_initialised(const struct state *state, bool *out);

/* A plain file of the top folder, durable when put returns; ERR_NOT_FOUND when there is none. */
MUST enum err state_write(const struct state *state, const char *name, struct slice data);
MUST enum err state_read(const struct state *state, const char *name, size_t max, struct buf *out);
/* Raises the count of starts, durably, and returns it. */
MUST enum err state_raise_bootcount(const struct state *state, uint64_t *count);

/* The key of the records, 32 bytes; copied. */
MUST enum err state_use_key(struct state *state, const struct secret *key);
/* Records: ERR_CRYPTO when the HMAC is not ours. */
MUST enum err state_put(const struct state *state, const char *folder, const char *name,
			struct slice data);
MUST enum err state_get(const struct state *state, const char *folder, const char *name,
			struct buf *out);
/* HMAC under the same key, of what no record is: equal for equal bytes, and tells nothing of them. */
MUST enum err state_keyed_hash(const struct state *state, struct slice what, uint8_t out[32]);
/* Whether a file of so many bytes may be added to a folder that is not the log's. What fills the disk
 * would end the log, and with it everything. ERR_LIMIT: less than STATE_RESERVE would be left. */
MUST enum err state_room(const struct state *state, const char *folder, uint64_t bytes);
/* Every name in a folder, temporary files of a crash left out (and removed). */
typedef enum err state_each_name(void *context, const char *name);
MUST enum err state_each(const struct state *state, const char *folder, state_each_name *call,
			 void *context);
/* Packages: content-addressed; put is durable, get checks the bytes against the name. */
MUST enum err state_put_package(const struct state *state, struct slice package,
				uint8_t sha256[32]);
MUST enum err state_get_package(const struct state *state, const uint8_t sha256[32],
				struct buf *out);
/* Removes one that nothing names any more; missing is fine. */
void state_drop_package(const struct state *state, const uint8_t sha256[32]);

#endif
