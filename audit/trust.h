/* trust.h - whom to believe about a log: C2SP tlog-policy files, with logs, witnesses, groups of
 * them, and the quorum. Pure: no I/O. Read-only once read, so any thread may ask.
 *
 *   log VKEY [URL]                       witness NAME VKEY [URL]
 *   group NAME all|any|N MEMBER...       quorum NAME|none
 *
 * A line each; "#" starts a comment line. Members and the quorum are names of earlier lines.
 */
#ifndef AUDIT_TRUST_H
#define AUDIT_TRUST_H

#include "audit/vkey.h"

#define TRUST_MAX 65536
#define TRUST_LOGS_MAX 32
#define TRUST_MEMBERS_MAX 64 /* witnesses and groups */
#define TRUST_NAME_MAX AUDIT_ORIGIN_MAX
#define TRUST_URL_MAX 512

struct trust_witness {
	char name[TRUST_NAME_MAX + 1]; /* in the trust; the key has one of its own */
	struct vkey key;
	char url[TRUST_URL_MAX + 1]; /* submission prefix, without "/" at its end; may be "" */
};

struct trust;

/* @name stands for the file in reasons, which say the line: ERR_FORMAT or ERR_RANGE. With
 * @needs_quorum false a quorum line may be missing. */
MUST enum err trust_read(struct slice text, const char *name, bool needs_quorum,
			 struct trust **out);
void trust_free(struct trust *trust); /* NULL is allowed */
void trust_cleanup(struct trust **trust);

size_t trust_witnesses(const struct trust *trust);
const struct trust_witness *trust_witness(const struct trust *trust, size_t i);

/* Is the note signed by a log of the policy? ERR_NOT_FOUND: its origin is no log's here. ERR_DENIED:
 * no line is by that log's keys; ERR_CRYPTO: one is that does not verify. */
MUST enum err trust_log(const struct trust *trust, const struct note *note);

/* Does it name this log, or none at all, and so is about any? */
bool trust_names(const struct trust *trust, const char *origin);
/* Appends the note's signature lines by those keys, one of each. */
void trust_put_log_lines(const struct trust *trust, const struct note *note, struct buf *out);

struct trust_count {
	uint64_t cosigned;       /* bit i: witness i did */
	size_t n;                /* so many did */
	uint64_t oldest, newest; /* seconds since 1970, of these */
};
/* Who cosigned. ERR_CRYPTO: a line claims to be by a witness of the policy and is not. */
MUST enum err trust_cosigned(const struct trust *trust, const struct note *note,
			     struct trust_count *out);
/* Do these witnesses (bits as above) make up the quorum? */
bool trust_quorum(const struct trust *trust, uint64_t cosigned);
/* All of it, for who relies on a checkpoint: ERR_MISMATCH when the quorum is not there; the log's own
 * signature only where the policy names logs. */
MUST enum err trust_check(const struct trust *trust, const struct note *note,
			  struct trust_count *out);

#endif
