/* session.h - the client's sessions, and what we keep for each.
 *
 * In plain mode there are none. A session that was taken stays until it is put back, also when
 * another thread closes it meanwhile.
 */
#ifndef PLUGIN_SESSION_H
#define PLUGIN_SESSION_H

#include "plugin/slot.h"

struct operation;

/* The last operation's failure, kept for a client that tries again in parts. */
struct failure {
	CK_RV rv; /* CKR_OK: none */
	CK_MECHANISM_TYPE mechanism;
	CK_OBJECT_HANDLE key;
	uint8_t input[32]; /* SHA-256 */
	uint64_t until_ms;
};

/* What the daemon allowed to begin, for a moment. */
struct begun {
	char app[WIRE_APP_MAX + 1];
	CK_MECHANISM_TYPE mechanism;
	uint64_t generation; /* of the partition */
	uint64_t contact;    /* over which link */
	uint64_t until_ms;
};

struct session {
	CK_SESSION_HANDLE handle;
	struct slot *slot;
	struct session *next; /* lock of session.c */
	atomic_uint refs;

	pthread_mutex_t lock; /* guards what follows; never held while an application runs */
	bool closed;
	struct operation *operation;
	struct failure failure;
	struct begun begun;
	/* A search: our objects that the HSM's are followed by. */
	CK_OBJECT_HANDLE *found;
	size_t found_n, found_next;
	bool searching;
};

/* NULL in plain mode, or when the HSM knows no such session. */
struct session *session_get(CK_SESSION_HANDLE handle);
void session_put(struct session *session); /* NULL is allowed */
void session_cleanup(struct session **session);

/* The role that the HSM says is logged in, 0 for none. */
enum wire_role session_role(const struct session *session);

/* Ends what the slot's login earned, slot->lock held; not for the thread of a run. A run is told to
 * be cancelled before it can see why: the daemon's end of it, or the link's, is nobody's error. */
void session_revoke_locked(struct slot *slot);

void session_drop_all(void);
void session_forked(void);

#endif
