/* access.h - which of the HSM's objects a client may name, and by which handle.
 *
 * Assay keeps a role key on an enrolled token, and for moments an SO's challenge. They are not the
 * client's business: searches leave them out, and every call refuses their handles as if there were
 * no such object. Which object is which is asked of the HSM once per handle. Any thread.
 */
#ifndef PLUGIN_ACCESS_H
#define PLUGIN_ACCESS_H

#include "plugin/handle.h"
#include "plugin/session.h"

/* Turns the client's handle into the HSM's. Otherwise the answer to the call: @ours when it is an
 * object of ours, @invalid when it can be none of the client's. */
CK_RV access_enter(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE *h, CK_RV ours, CK_RV invalid);
/* The same for a key in a call that applications have no use in. */
CK_RV access_key_guarded(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE *key);
static inline CK_RV access_key(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE *key)
{
	return !slot_any_guarded() && !handle_is_reserved(*key) ? CKR_OK
								: access_key_guarded(s, key);
}
/* Whether a handle of the HSM's is one that the client must not see. */
bool access_is_hidden(struct session *session, CK_OBJECT_HANDLE h);
/* Judges a template for an object that is made or changed: CKR_ATTRIBUTE_VALUE_INVALID when its
 * CKA_ID would make it look like one of ours. */
CK_RV access_template(CK_SESSION_HANDLE s, const CK_ATTRIBUTE *templ, CK_ULONG n);
/* After handles may have changed their meaning: everything is looked at again. */
void access_forget(struct slot *slot);
void access_forget_one(struct slot *slot, CK_OBJECT_HANDLE h);

#endif
