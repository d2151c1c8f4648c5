/* rules.h - a partition's policy in force: as it was set, and what is judged by it.
 *
 * Never changed once made, and held by those who use it, so any thread may read it while another
 * policy takes its place.
 */
#ifndef PLUGIN_DAEMON_RULES_H
#define PLUGIN_DAEMON_RULES_H

#include <stdatomic.h>

#include "audit/certificate.h"
#include "config/base/sha256.h"
#include "config/policy.h"
#include "plugin/daemon/registry.h"

struct rules {
	atomic_uint refs;
	struct partition_policy *says;
	struct buf text;             /* as it was set */
	struct buf auditor;          /* certificate (DER) that sealed payloads go to; or empty */
	uint64_t number;             /* of the change; 0: none was set */
	uint8_t digest[SHA256_SIZE]; /* claim -70013: SHA-256 of text and certificate in a row */
};

/* Reads and checks a policy; @at (seconds since 1970): when the certificate is to be valid; 0: any
 * time, for one that was set before. ERR_FORMAT, ERR_RANGE or ERR_CRYPTO, with words. */
MUST enum err rules_new(struct slice text, struct slice auditor, uint64_t number, int64_t at,
			struct rules **out);
struct rules *rules_hold(struct rules *rules);
void rules_release(struct rules *rules); /* NULL is allowed */
void rules_cleanup(struct rules **rules);

/* ERR_DENIED, with words, when an application may not be loaded: it is revoked, too few approved it, or
 * it is older than @newest ("": none was loaded before). */
MUST enum err rules_may_load(const struct rules *rules, const struct app *app, const char *newest);
/* ERR_DENIED, with words, when that user's processes may not run this application. */
MUST enum err rules_may_run(const struct rules *rules, uid_t uid, const struct app *app);
/* ERR_RANGE when an input is too long. */
MUST enum err rules_may_take(const struct rules *rules, size_t input);

#endif
