/* slot.h - the HSM's slots as this process knows them, and the partitions that are enrolled on them.
 *
 * Entries are made on demand and never freed, so a pointer to one stays good. In plain mode there
 * are none. A struct partition is never changed: news from the daemon put another in its place.
 */
#ifndef PLUGIN_SLOT_H
#define PLUGIN_SLOT_H

#include <pthread.h>
#include <stdatomic.h>

#include "plugin/module.h"
#include "plugin/wire.h"

struct partition {
	atomic_uint refs;
	char serial[WIRE_SERIAL_MAX + 1];
	char origin[WIRE_ORIGIN_MAX + 1];
	uint64_t generation;
	bool active;                     /* false: suspended, nothing of it is shown */
	uint8_t key_id[WIRE_KEY_ID_MAX]; /* CKA_ID of the role key */
	size_t key_id_n;
};
void partition_release(struct partition *p); /* NULL is allowed */
void partition_cleanup(struct partition **p);

/* Objects of the HSM that were looked at and found to be the client's own; see access.h. */
struct seen {
	pthread_mutex_t lock;     /* guards the rest */
	CK_OBJECT_HANDLE *places; /* open addressing, 0: empty */
	size_t n, room;
};

/* A role that this process proved to the daemon for the slot's partition. */
struct grant {
	enum wire_role role; /* 0: none */
	uint64_t until_ms;
	uint64_t contact; /* of which link */
};

struct slot {
	CK_SLOT_ID id;
	struct slot *next;
	atomic_bool hidden;   /* the daemon's own token */
	atomic_bool enrolled; /* has an active partition */
	atomic_bool guarded;  /* may hold objects of ours: enrolled, suspended, or not known yet */
	_Atomic uint64_t apps_until_ms; /* how long the list of applications is taken for fresh */
	struct seen seen;

	/* Guarded by the lock of slot.c. */
	char serial[17], label[33];
	uint64_t checked_ms;
	struct partition *partition;

	/* Held across the HSM's open, close, login and logout and while a role is proved, so that a
	 * proof's transient session is never in the way of the client's; guards what follows. */
	pthread_mutex_t lock;
	uint64_t epoch; /* counts logins and logouts */
	unsigned long sessions;
	struct grant grant;
	char granted_serial[17];
};

/* NULL when the HSM does not know the slot, or has no token in it. */
struct slot *slot_get(CK_SLOT_ID id);
/* The active partition, to be released, or NULL. */
struct partition *slot_partition(struct slot *slot);
/* Looks at the token again, after it was initialised. */
void slot_refresh(CK_SLOT_ID id);

bool slot_is_hidden(CK_SLOT_ID id);
/* Whether every call for this slot is refused. */
static inline bool slot_refused(CK_SLOT_ID id)
{
	return module_watching() && slot_is_hidden(id);
}

extern atomic_uint slots_guarded;
static inline bool slot_any_guarded(void)
{
	return atomic_load_explicit(&slots_guarded, memory_order_relaxed) > 0;
}

/* What the daemon said: its own token's serial ("": not known), and the partitions. Takes over the
 * references in @partitions. */
void slot_news(const char *daemon_serial, struct partition **partitions, size_t n);
/* Calls for every slot of which a role is proved. */
void slot_each_granted(void (*call)(struct slot *slot));

void slot_drop_all(void);
void slot_forked(void);

#endif
