/* data.c - calls on objects: attributes, copies, sizes, deletion. */
#include "plugin/access.h"
#include "plugin/attribute.h"
#include "plugin/listing.h"
#include "plugin/object.h"
#include "plugin/service.h"

/* What a call names: one of our objects, or else the HSM's under its own handle. */
struct named {
	struct session *session;
	struct partition *partition;
	struct object *ours;
};

static void named_cleanup(struct named *named)
{
	object_put(named->ours);
	partition_release(named->partition);
	session_put(named->session);
}

/* CKR_OK with named->ours or with *h as the HSM knows it. */
static CK_RV name(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE *h, struct named *named)
{
	if (!handle_is_ours(*h))
		return access_enter(s, h, CKR_OBJECT_HANDLE_INVALID, CKR_OBJECT_HANDLE_INVALID);
	named->session = session_get(s);
	if (!named->session) {
		CK_SESSION_INFO info;
		CK_RV rv = HSM(GetSessionInfo)(s, &info);
		return rv ? rv : CKR_OBJECT_HANDLE_INVALID;
	}
	named->partition = slot_partition(named->session->slot);
	if (named->partition)
		named->ours = object_get(named->session, *h);
	return named->ours ? CKR_OK : CKR_OBJECT_HANDLE_INVALID;
}

/* The object may have gone since it was listed, or another one may take its number after the daemon
 * started anew: then its size is another. */
static CK_RV get_with_content(const struct named *named, CK_ATTRIBUTE *templ, CK_ULONG n)
{
	CLEANUP(payload) struct payload payload;

	payload_init(&payload);
	enum err e = service_fetch(named->session, named->partition, named->ours->result, &payload);
	if (e == ERR_NOT_FOUND || (!e && payload.bytes.left != named->ours->size)) {
		object_drop(named->ours);
		return CKR_OBJECT_HANDLE_INVALID;
	}
	return e ? service_rv(e) : attribute_get(named->ours, payload.bytes, templ, n);
}

CK_RV hook_GetAttributeValue(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *templ,
			     CK_ULONG n)
{
	CLEANUP(named) struct named named = { 0 };
	CK_RV rv = name(s, &object, &named);

	if (rv != CKR_OK)
		return rv;
	if (!named.ours)
		return HSM(GetAttributeValue)(s, object, templ, n);
	if (!templ || !n)
		return CKR_ARGUMENTS_BAD;
	return attribute_wants_content(named.ours, templ, n)
		       ? get_with_content(&named, templ, n)
		       : attribute_get(named.ours, slice_of(NULL, 0), templ, n);
}

CK_RV hook_SetAttributeValue(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *templ,
			     CK_ULONG n)
{
	CLEANUP(named) struct named named = { 0 };
	CK_RV rv = name(s, &object, &named);

	if (rv != CKR_OK)
		return rv;
	if (named.ours)
		return CKR_ACTION_PROHIBITED;
	rv = access_template(s, templ, n);
	return rv ? rv : HSM(SetAttributeValue)(s, object, templ, n);
}

CK_RV hook_CopyObject(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *templ, CK_ULONG n,
		      CK_OBJECT_HANDLE *out)
{
	CLEANUP(named) struct named named = { 0 };
	CK_RV rv = name(s, &object, &named);

	if (rv != CKR_OK)
		return rv;
	if (named.ours)
		return CKR_ACTION_PROHIBITED;
	rv = access_template(s, templ, n);
	if (rv == CKR_OK)
		rv = HSM(CopyObject)(s, object, templ, n, out);
	return rv != CKR_OK || !out || handle_to_client(out) ? rv : CKR_HOST_MEMORY;
}

CK_RV hook_GetObjectSize(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE object, CK_ULONG *size)
{
	CLEANUP(named) struct named named = { 0 };
	CK_RV rv = name(s, &object, &named);

	if (rv != CKR_OK)
		return rv;
	if (!named.ours)
		return HSM(GetObjectSize)(s, object, size);
	if (!size)
		return CKR_ARGUMENTS_BAD;
	*size = attribute_total(named.ours);
	return CKR_OK;
}

/* The SO unloads an application by deleting either facet. Results go by themselves. */
static CK_RV destroy_ours(const struct named *named)
{
	struct object *object = named->ours;
	CLEANUP(buf) struct buf id = BUF_INIT;

	if (object->kind == OBJECT_DATA || object_is_loader(object))
		return CKR_ACTION_PROHIBITED;
	buf_put_slice(&id, buf_slice(&object->field[FIELD_APPLICATION]));
	const char *text = buf_text(&id);
	if (!text)
		return CKR_HOST_MEMORY;
	enum err e = service_unload(named->session, named->partition, text);
	listing_apps_stale(named->session->slot);
	return e == ERR_NOT_FOUND ? CKR_OBJECT_HANDLE_INVALID : service_rv(e);
}

CK_RV hook_DestroyObject(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE object)
{
	CLEANUP(named) struct named named = { 0 };
	CK_RV rv = name(s, &object, &named);

	if (rv != CKR_OK)
		return rv;
	if (named.ours)
		return destroy_ours(&named);
	rv = HSM(DestroyObject)(s, object);
	CLEANUP(session) struct session *session = rv == CKR_OK ? session_get(s) : NULL;
	if (session)
		access_forget_one(session->slot, object);
	return rv;
}
