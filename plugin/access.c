/* access.c - telling the client's objects from ours on the HSM's token. */
#include "plugin/access.h"

#include <stdlib.h>

#include "plugin/role.h"

#define SEEN_ROOM_MAX 131072

static size_t place(const struct seen *seen, CK_OBJECT_HANDLE h)
{
	size_t i = (h * 0x9e3779b97f4a7c15UL >> 32) & (seen->room - 1);

	while (seen->places[i] && seen->places[i] != h)
		i = (i + 1) & (seen->room - 1);
	return i;
}

static bool was_seen(struct seen *seen, CK_OBJECT_HANDLE h)
{
	pthread_mutex_lock(&seen->lock);
	bool found = seen->room && seen->places[place(seen, h)] == h;
	pthread_mutex_unlock(&seen->lock);
	return found;
}

static void empty_locked(struct seen *seen)
{
	free(seen->places);
	seen->places = NULL;
	seen->n = seen->room = 0;
}

static bool grow_locked(struct seen *seen)
{
	struct seen old = *seen;
	size_t room = old.room ? old.room * 2 : 64;

	if (room > SEEN_ROOM_MAX) {
		empty_locked(seen);
		return grow_locked(seen);
	}
	CK_OBJECT_HANDLE *places = calloc(room, sizeof *places);
	if (!places)
		return false;
	seen->places = places;
	seen->room = room;
	for (size_t i = 0; i < old.room; i++)
		if (old.places[i])
			seen->places[place(seen, old.places[i])] = old.places[i];
	free(old.places);
	return true;
}

/* Out of memory only means that the HSM is asked again. */
static void remember(struct seen *seen, CK_OBJECT_HANDLE h)
{
	if (!h)
		return;
	pthread_mutex_lock(&seen->lock);
	if (seen->n * 2 < seen->room || grow_locked(seen)) {
		size_t i = place(seen, h);
		seen->n += !seen->places[i];
		seen->places[i] = h;
	}
	pthread_mutex_unlock(&seen->lock);
}

void access_forget(struct slot *slot)
{
	pthread_mutex_lock(&slot->seen.lock);
	empty_locked(&slot->seen);
	pthread_mutex_unlock(&slot->seen.lock);
}

/* Open addressing has no simple way to take one out; a destroyed object is rare enough. */
void access_forget_one(struct slot *slot, CK_OBJECT_HANDLE h)
{
	if (was_seen(&slot->seen, h))
		access_forget(slot);
}

static bool is_role_key(struct slot *slot, struct slice id)
{
	CLEANUP(partition) struct partition *p = slot_partition(slot);

	return p && slice_equal(id, slice_of(p->key_id, p->key_id_n));
}

static bool is_ours(struct slot *slot, struct slice id)
{
	return id.left && (role_owns_id(id) || is_role_key(slot, id));
}

/* An object without a CKA_ID, or with one longer than ours, is none of ours; one that the HSM does
 * not know is left for it to refuse. */
bool access_is_hidden(struct session *session, CK_OBJECT_HANDLE h)
{
	uint8_t id[WIRE_KEY_ID_MAX];
	CK_ATTRIBUTE ask = { CKA_ID, id, sizeof id };
	struct slot *slot = session->slot;

	if (!atomic_load(&slot->guarded) || was_seen(&slot->seen, h))
		return false;
	CK_RV rv = HSM(GetAttributeValue)(session->handle, h, &ask, 1);
	if (rv == CKR_OBJECT_HANDLE_INVALID)
		return false;
	if (rv == CKR_OK && ask.ulValueLen <= sizeof id &&
	    is_ours(slot, slice_of(id, ask.ulValueLen)))
		return true;
	if (rv == CKR_OK || rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_BUFFER_TOO_SMALL)
		remember(&slot->seen, h);
	return false;
}

CK_RV access_enter(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE *h, CK_RV ours, CK_RV invalid)
{
	if (handle_is_ours(*h))
		return ours;
	if (!handle_to_hsm(h))
		return invalid;
	if (!slot_any_guarded())
		return CKR_OK;
	CLEANUP(session) struct session *session = session_get(s);
	return session && access_is_hidden(session, *h) ? invalid : CKR_OK;
}

CK_RV access_key_guarded(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE *key)
{
	return access_enter(s, key, CKR_KEY_FUNCTION_NOT_PERMITTED, CKR_KEY_HANDLE_INVALID);
}

CK_RV access_template(CK_SESSION_HANDLE s, const CK_ATTRIBUTE *templ, CK_ULONG n)
{
	if (!slot_any_guarded() || !templ)
		return CKR_OK;
	CLEANUP(session) struct session *session = session_get(s);
	if (!session || !atomic_load(&session->slot->guarded))
		return CKR_OK;
	for (CK_ULONG i = 0; i < n; i++)
		if (templ[i].type == CKA_ID && templ[i].pValue &&
		    is_ours(session->slot, slice_of(templ[i].pValue, templ[i].ulValueLen)))
			return CKR_ATTRIBUTE_VALUE_INVALID;
	return CKR_OK;
}
