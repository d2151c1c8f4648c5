/* execute.c - Sign and Encrypt, Init to Final: ours for our keys and mechanisms, else the HSM's. */
#include "plugin/access.h"
#include "plugin/listing.h"
#include "plugin/operation.h"
#include "plugin/parameter.h"

/* The key must be an object that this session may see, of the kind that the mechanism takes. */
static CK_RV begin(struct session *session, struct partition **p, const struct mechanism *mechanism,
		   const struct options *options, CK_OBJECT_HANDLE key)
{
	CLEANUP(object) struct object *object = object_get(session, key);

	if (!object)
		return CKR_KEY_HANDLE_INVALID;
	if (!mechanism || object->kind == OBJECT_DATA ||
	    object_is_loader(object) != (mechanism->target == TARGET_LOADER))
		return CKR_KEY_TYPE_INCONSISTENT;
	CLEANUP(buf) struct buf id = BUF_INIT;
	buf_put_slice(&id, buf_slice(&object->field[FIELD_APPLICATION]));
	const char *app = buf_text(&id);
	if (!app)
		return CKR_HOST_MEMORY;
	enum err e = service_begin(session, *p, app, mechanism->type);
	if (e == ERR_NOT_FOUND)
		listing_apps_stale(session->slot);
	return e ? service_rv(e) : operation_begin(session, mechanism, options, STEAL(*p), object);
}

/* A key of the HSM's with a mechanism of ours. */
static CK_RV foreign_key(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key)
{
	CK_OBJECT_CLASS class;
	CK_ATTRIBUTE ask = { CKA_CLASS, &class, sizeof class };
	CK_RV rv = access_enter(s, &key, CKR_KEY_HANDLE_INVALID, CKR_KEY_HANDLE_INVALID);

	if (rv == CKR_OK && HSM(GetAttributeValue)(s, key, &ask, 1) == CKR_OK)
		return CKR_KEY_TYPE_INCONSISTENT;
	return CKR_KEY_HANDLE_INVALID;
}

static CK_RV init_ours(struct session *session, const CK_MECHANISM *m, CK_OBJECT_HANDLE key,
		       enum mechanism_call call, struct partition **p)
{
	const struct mechanism *mechanism = mechanism_find(m->mechanism);
	struct options options = { 0 };

	if (operation_active(session))
		return CKR_OPERATION_ACTIVE;
	if (mechanism && mechanism->call != call)
		return CKR_MECHANISM_INVALID;
	if (mechanism && (options_take(m->pParameter, m->ulParameterLen, &options) ||
			  (mechanism->target == TARGET_LOADER && options_any(&options))))
		return CKR_MECHANISM_PARAM_INVALID;
	return handle_is_ours(key) ? begin(session, p, mechanism, &options, key)
				   : foreign_key(session->handle, key);
}

/* Without a partition, our mechanisms are unknown ones; but as long as nobody could say whether
 * there is one, they are out of order. */
static CK_RV no_partition(const CK_MECHANISM *m, CK_OBJECT_HANDLE *key)
{
	if (mechanism_find(m->mechanism) && !service_present())
		return CKR_DEVICE_ERROR;
	return handle_is_ours(*key) ? CKR_KEY_HANDLE_INVALID : CKR_OK;
}

/* CKR_OK: the call is the HSM's, with *key as it knows it. @done: it was ours. */
static CK_RV init(CK_SESSION_HANDLE s, const CK_MECHANISM *m, CK_OBJECT_HANDLE *key,
		  enum mechanism_call call, bool *done)
{
	*done = false;
	service_wake();
	CLEANUP(session) struct session *session = session_get(s);
	if (!session)
		return access_key(s, key);
	if (!m) {
		pthread_mutex_lock(&session->lock);
		*done = session->operation != NULL;
		uint64_t run = operation_end(session);
		pthread_mutex_unlock(&session->lock);
		service_cancel(run);
		return CKR_OK;
	}
	CLEANUP(partition) struct partition *p = slot_partition(session->slot);
	if (p && (handle_is_ours(*key) || mechanism_find(m->mechanism))) {
		*done = true;
		return init_ours(session, m, *key, call, &p);
	}
	CK_RV rv = p ? CKR_OK : no_partition(m, key);
	if (rv == CKR_OK && operation_active(session))
		rv = CKR_OPERATION_ACTIVE;
	return rv ? rv : access_key(s, key);
}

CK_RV hook_SignInit(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	bool done = false;
	struct parameter room;
	CK_RV rv = module_watching() ? init(s, m, &key, CALL_SIGN, &done) : access_key(s, &key);

	if (rv == CKR_OK && !done)
		rv = parameter_enter(s, &m, &room);
	return rv || done ? rv : HSM(SignInit)(s, m, key);
}

CK_RV hook_EncryptInit(CK_SESSION_HANDLE s, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	bool done = false;
	CK_RV rv = module_watching() ? init(s, m, &key, CALL_ENCRYPT, &done) : access_key(s, &key);

	return rv || done ? rv : HSM(EncryptInit)(s, m, key);
}

CK_RV hook_Sign(CK_SESSION_HANDLE s, CK_BYTE *data, CK_ULONG data_n, CK_BYTE *out, CK_ULONG *out_n)
{
	CLEANUP(session) struct session *session = operation_session(s, CALL_SIGN);

	return session ? operation_single(session, slice_of(data, data_n), out, out_n)
		       : HSM(Sign)(s, data, data_n, out, out_n);
}

CK_RV hook_SignUpdate(CK_SESSION_HANDLE s, CK_BYTE *part, CK_ULONG part_n)
{
	CLEANUP(session) struct session *session = operation_session(s, CALL_SIGN);

	return session ? operation_update(session, slice_of(part, part_n))
		       : HSM(SignUpdate)(s, part, part_n);
}

CK_RV hook_SignFinal(CK_SESSION_HANDLE s, CK_BYTE *out, CK_ULONG *out_n)
{
	CLEANUP(session) struct session *session = operation_session(s, CALL_SIGN);

	return session ? operation_final(session, out, out_n) : HSM(SignFinal)(s, out, out_n);
}

CK_RV hook_Encrypt(CK_SESSION_HANDLE s, CK_BYTE *data, CK_ULONG data_n, CK_BYTE *out,
		   CK_ULONG *out_n)
{
	CLEANUP(session) struct session *session = operation_session(s, CALL_ENCRYPT);

	return session ? operation_single(session, slice_of(data, data_n), out, out_n)
		       : HSM(Encrypt)(s, data, data_n, out, out_n);
}

/* Nothing comes out before Final. A question for the length is answered with more than that, for a
 * client that took 0 for an answer would have no buffer to tell its next call from a question. */
CK_RV hook_EncryptUpdate(CK_SESSION_HANDLE s, CK_BYTE *part, CK_ULONG part_n, CK_BYTE *out,
			 CK_ULONG *out_n)
{
	CLEANUP(session) struct session *session = operation_session(s, CALL_ENCRYPT);

	if (!session)
		return HSM(EncryptUpdate)(s, part, part_n, out, out_n);
	if (!out_n)
		return CKR_ARGUMENTS_BAD;
	if (!out && part_n) {
		*out_n = part_n;
		return CKR_OK;
	}
	CK_RV rv = operation_update(session, slice_of(part, part_n));
	if (rv == CKR_OK)
		*out_n = 0;
	return rv;
}

CK_RV hook_EncryptFinal(CK_SESSION_HANDLE s, CK_BYTE *out, CK_ULONG *out_n)
{
	CLEANUP(session) struct session *session = operation_session(s, CALL_ENCRYPT);

	return session ? operation_final(session, out, out_n) : HSM(EncryptFinal)(s, out, out_n);
}

/* Two operations at once make no sense with an application in one of them. */
CK_RV hook_DigestEncryptUpdate(CK_SESSION_HANDLE s, CK_BYTE *part, CK_ULONG part_n, CK_BYTE *out,
			       CK_ULONG *out_n)
{
	CLEANUP(session) struct session *session = operation_session(s, CALL_ENCRYPT);

	return session ? CKR_FUNCTION_NOT_SUPPORTED
		       : HSM(DigestEncryptUpdate)(s, part, part_n, out, out_n);
}

CK_RV hook_SignEncryptUpdate(CK_SESSION_HANDLE s, CK_BYTE *part, CK_ULONG part_n, CK_BYTE *out,
			     CK_ULONG *out_n)
{
	CLEANUP(session) struct session *sign = operation_session(s, CALL_SIGN);
	CLEANUP(session) struct session *encrypt = operation_session(s, CALL_ENCRYPT);

	return sign || encrypt ? CKR_FUNCTION_NOT_SUPPORTED
			       : HSM(SignEncryptUpdate)(s, part, part_n, out, out_n);
}

/* Whatever of the named operations is ours ends here; the rest is the HSM's to end. */
CK_RV hook_SessionCancel(CK_SESSION_HANDLE s, CK_FLAGS flags)
{
	CLEANUP(session)
	struct session *sign = flags & CKF_SIGN ? operation_session(s, CALL_SIGN) : NULL;
	CLEANUP(session)
	struct session *encrypt = flags & CKF_ENCRYPT ? operation_session(s, CALL_ENCRYPT) : NULL;
	struct session *ours = sign ? sign : encrypt;

	if (!ours)
		return HSM(SessionCancel)(s, flags);
	pthread_mutex_lock(&ours->lock);
	uint64_t run = operation_end(ours);
	pthread_mutex_unlock(&ours->lock);
	service_cancel(run);
	flags &= ~(CK_FLAGS)(sign ? CKF_SIGN : CKF_ENCRYPT);
	return flags ? HSM(SessionCancel)(s, flags) : CKR_OK;
}
