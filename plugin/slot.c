/* slot.c - the table of slots, and the calls that name a slot. */
#include "plugin/slot.h"

#include <stdlib.h>
#include <string.h>

#include "plugin/access.h"
#include "plugin/object.h"
#include "plugin/service.h"
#include "plugin/session.h"

/* How long a token's serial is taken for granted: another process may initialise a token. */
#define CHECK_MS 1000
#define SLOTS_MAX 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards what follows */
static struct slot *slots;
static struct partition *known[WIRE_PARTITIONS_MAX];
static size_t known_n;
static char daemon_serial[WIRE_SERIAL_MAX + 1];

atomic_uint slots_guarded;

void partition_release(struct partition *p)
{
	if (p && atomic_fetch_sub(&p->refs, 1) == 1)
		free(p);
}

void partition_cleanup(struct partition **p)
{
	partition_release(*p);
}

static struct partition *hold(struct partition *p)
{
	if (p)
		atomic_fetch_add(&p->refs, 1);
	return p;
}

static struct partition *known_locked(const char *serial)
{
	for (size_t i = 0; *serial && i < known_n; i++)
		if (!strcmp(known[i]->serial, serial))
			return known[i];
	return NULL;
}

static bool same_partition(const struct partition *a, const struct partition *b)
{
	return a && b && a->generation == b->generation && a->active == b->active &&
	       a->key_id_n == b->key_id_n && !memcmp(a->key_id, b->key_id, a->key_id_n);
}

/* The serial decides once the daemon has named it; until then the label must do. */
static bool hidden_locked(const struct slot *slot)
{
	return *daemon_serial ? !strcmp(slot->serial, daemon_serial)
			      : !strcmp(slot->label, module.config->token_label);
}

static void set_guarded(struct slot *slot, bool now)
{
	bool before = atomic_exchange(&slot->guarded, now);

	if (now && !before)
		atomic_fetch_add(&slots_guarded, 1);
	if (before && !now)
		atomic_fetch_sub(&slots_guarded, 1);
}

static void match_locked(struct slot *slot)
{
	struct partition *p = known_locked(slot->serial);

	atomic_store(&slot->hidden, hidden_locked(slot));
	set_guarded(slot, p || !*daemon_serial);
	if (p == slot->partition || same_partition(p, slot->partition))
		return;
	partition_release(slot->partition);
	slot->partition = hold(p);
	atomic_store(&slot->enrolled, p && p->active);
	atomic_store(&slot->apps_until_ms, 0);
	access_forget(slot);
	object_drop_slot(slot);
}

static void copy_padded(char *out, const CK_BYTE *in, size_t n)
{
	while (n > 0 && (in[n - 1] == ' ' || in[n - 1] == 0))
		n--;
	memcpy(out, in, n);
	out[n] = 0;
}

static struct slot *find_locked(CK_SLOT_ID id)
{
	struct slot *slot = slots;

	while (slot && slot->id != id)
		slot = slot->next;
	return slot;
}

static struct slot *add_locked(CK_SLOT_ID id)
{
	size_t n = 0;

	for (struct slot *s = slots; s; s = s->next)
		n++;
	struct slot *slot = n < SLOTS_MAX ? calloc(1, sizeof *slot) : NULL;
	if (!slot)
		return NULL;
	slot->id = id;
	pthread_mutex_init(&slot->lock, NULL);
	pthread_mutex_init(&slot->seen.lock, NULL);
	slot->next = slots;
	slots = slot;
	return slot;
}

static struct slot *look(CK_SLOT_ID id, bool again)
{
	CK_TOKEN_INFO info;
	uint64_t now = io_monotonic_ms();

	pthread_mutex_lock(&lock);
	struct slot *slot = find_locked(id);
	bool fresh = slot && !again && now - slot->checked_ms < CHECK_MS;
	pthread_mutex_unlock(&lock);
	if (fresh || HSM(GetTokenInfo)(id, &info) != CKR_OK)
		return slot;

	pthread_mutex_lock(&lock);
	slot = find_locked(id);
	if (!slot)
		slot = add_locked(id);
	if (slot) {
		copy_padded(slot->serial, info.serialNumber, sizeof info.serialNumber);
		copy_padded(slot->label, info.label, sizeof info.label);
		slot->checked_ms = now;
		match_locked(slot);
	}
	pthread_mutex_unlock(&lock);
	return slot;
}

struct slot *slot_get(CK_SLOT_ID id)
{
	return look(id, false);
}

void slot_refresh(CK_SLOT_ID id)
{
	look(id, true);
}

bool slot_is_hidden(CK_SLOT_ID id)
{
	struct slot *slot = look(id, false);

	return slot && atomic_load(&slot->hidden);
}

struct partition *slot_partition(struct slot *slot)
{
	if (!atomic_load(&slot->enrolled))
		return NULL;
	pthread_mutex_lock(&lock);
	struct partition *p =
		slot->partition && slot->partition->active ? hold(slot->partition) : NULL;
	pthread_mutex_unlock(&lock);
	return p;
}

void slot_news(const char *serial, struct partition **partitions, size_t n)
{
	pthread_mutex_lock(&lock);
	if (*serial)
		strncpy(daemon_serial, serial, sizeof daemon_serial - 1);
	for (size_t i = 0; i < known_n; i++)
		partition_release(known[i]);
	if (n)
		memcpy(known, partitions, n * sizeof *partitions);
	known_n = n;
	for (struct slot *slot = slots; slot; slot = slot->next)
		match_locked(slot);
	pthread_mutex_unlock(&lock);
}

void slot_each_granted(void (*call)(struct slot *slot))
{
	pthread_mutex_lock(&lock);
	struct slot *slot = slots;
	pthread_mutex_unlock(&lock);
	/* Entries are only ever put in front, and never freed. */
	for (; slot; slot = slot->next) {
		pthread_mutex_lock(&slot->lock);
		if (slot->grant.role)
			call(slot);
		pthread_mutex_unlock(&slot->lock);
	}
}

void slot_drop_all(void)
{
	slot_news("", NULL, 0);
	pthread_mutex_lock(&lock);
	*daemon_serial = 0;
	for (struct slot *slot = slots; slot; slot = slot->next) {
		slot->checked_ms = 0;
		slot->sessions = 0;
		slot->grant = (struct grant){ 0 };
	}
	pthread_mutex_unlock(&lock);
}

void slot_forked(void)
{
	pthread_mutex_init(&lock, NULL);
	slots = NULL;
	known_n = 0;
	*daemon_serial = 0;
	atomic_store(&slots_guarded, 0);
}

/* The whole list from the HSM; its own count may grow between two calls. */
static CK_RV list_all(CK_BYTE token_present, CK_SLOT_ID **out, CK_ULONG *n)
{
	CK_ULONG room = 16;

	for (;;) {
		CK_SLOT_ID *list = calloc(room, sizeof *list);
		*n = room;
		CK_RV rv = list ? HSM(GetSlotList)(token_present, list, n) : CKR_HOST_MEMORY;
		if (rv == CKR_OK) {
			*out = list;
			return CKR_OK;
		}
		free(list);
		if (rv != CKR_BUFFER_TOO_SMALL || *n <= room || *n > SLOTS_MAX)
			return rv;
		room = *n;
	}
}

static CK_ULONG leave_out_hidden(CK_SLOT_ID *list, CK_ULONG n)
{
	CK_ULONG kept = 0;

	for (CK_ULONG i = 0; i < n; i++)
		if (!slot_is_hidden(list[i]))
			list[kept++] = list[i];
	return kept;
}

CK_RV hook_GetSlotList(CK_BYTE token_present, CK_SLOT_ID *list, CK_ULONG *n)
{
	CK_SLOT_ID *all = NULL;
	CK_ULONG all_n = 0;

	if (!module_watching() || !n)
		return HSM(GetSlotList)(token_present, list, n);
	service_wake();
	/* Some HSMs look for new tokens only when asked for the length. */
	CK_RV rv = list ? CKR_OK : HSM(GetSlotList)(token_present, NULL, &all_n);
	if (rv == CKR_OK)
		rv = list_all(token_present, &all, &all_n);
	if (rv != CKR_OK)
		return rv;
	CK_ULONG kept = leave_out_hidden(all, all_n);
	if (list && *n < kept)
		rv = CKR_BUFFER_TOO_SMALL;
	else if (list)
		memcpy(list, all, kept * sizeof *all);
	*n = kept;
	free(all);
	return rv;
}

CK_RV hook_WaitForSlotEvent(CK_FLAGS flags, CK_SLOT_ID *slot, void *reserved)
{
	CK_RV rv;

	do
		rv = HSM(WaitForSlotEvent)(flags, slot, reserved);
	while (rv == CKR_OK && slot && slot_refused(*slot));
	return rv;
}

CK_RV hook_InitToken(CK_SLOT_ID id, CK_BYTE *pin, CK_ULONG pin_n, CK_BYTE *label)
{
	if (!module_watching())
		return HSM(InitToken)(id, pin, pin_n, label);
	if (slot_refused(id))
		return CKR_SLOT_ID_INVALID;
	service_wake();
	struct slot *slot = slot_get(id);
	if (!slot)
		return HSM(InitToken)(id, pin, pin_n, label);
	CLEANUP(partition) struct partition *p = slot_partition(slot);
	pthread_mutex_lock(&slot->lock);
	session_revoke_locked(slot);
	CK_RV rv = HSM(InitToken)(id, pin, pin_n, label);
	if (rv == CKR_OK)
		slot->epoch++;
	pthread_mutex_unlock(&slot->lock);
	if (rv == CKR_OK) {
		slot_refresh(id);
		if (p)
			service_suspend(p);
	}
	return rv;
}
