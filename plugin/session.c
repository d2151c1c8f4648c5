/* session.c - the table of sessions, and the calls that open, close, log in and out. */
#include "plugin/session.h"

#include <stdlib.h>

#include "plugin/access.h"
#include "plugin/object.h"
#include "plugin/operation.h"
#include "plugin/service.h"

#define BUCKETS 1024

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the buckets */
static struct session *buckets[BUCKETS];

static struct session **bucket(CK_SESSION_HANDLE handle)
{
	return &buckets[(handle ^ handle >> 10) % BUCKETS];
}

static void destroy(struct session *session)
{
	operation_free(session->operation);
	free(session->found);
	pthread_mutex_destroy(&session->lock);
	free(session);
}

void session_put(struct session *session)
{
	if (session && atomic_fetch_sub(&session->refs, 1) == 1)
		destroy(session);
}

void session_cleanup(struct session **session)
{
	session_put(*session);
}

static struct session **find_locked(CK_SESSION_HANDLE handle)
{
	struct session **at = bucket(handle);

	while (*at && (*at)->handle != handle)
		at = &(*at)->next;
	return at;
}

/* A run that is under way sees by the flag that nobody waits for it, and the daemon is told. */
static void closed(struct session *session)
{
	pthread_mutex_lock(&session->lock);
	session->closed = true;
	uint64_t run = operation_end(session);
	pthread_mutex_unlock(&session->lock);
	service_cancel(run);
	session_put(session);
}

static void forget(CK_SESSION_HANDLE handle)
{
	pthread_mutex_lock(&lock);
	struct session **at = find_locked(handle), *session = *at;
	if (session)
		*at = session->next;
	pthread_mutex_unlock(&lock);
	if (session)
		closed(session);
}

/* An entry of the same handle is one that the HSM closed by itself, when a token went. */
static void add(CK_SESSION_HANDLE handle, struct slot *slot)
{
	struct session *session = calloc(1, sizeof *session);

	forget(handle);
	if (!session)
		return; /* the session works, with the HSM's functions alone */
	session->handle = handle;
	session->slot = slot;
	atomic_init(&session->refs, 1);
	pthread_mutex_init(&session->lock, NULL);
	pthread_mutex_lock(&lock);
	session->next = *bucket(handle);
	*bucket(handle) = session;
	pthread_mutex_unlock(&lock);
}

static struct session *take(CK_SESSION_HANDLE handle)
{
	pthread_mutex_lock(&lock);
	struct session *session = *find_locked(handle);
	if (session)
		atomic_fetch_add(&session->refs, 1);
	pthread_mutex_unlock(&lock);
	return session;
}

struct session *session_get(CK_SESSION_HANDLE handle)
{
	if (!module_watching())
		return NULL;
	struct session *session = take(handle);
	if (session)
		return session;
	/* A child that initialised anew goes on with sessions that it inherited, where the HSM's
	 * module lets it. */
	CK_SESSION_INFO info;
	if (HSM(GetSessionInfo)(handle, &info) != CKR_OK)
		return NULL;
	struct slot *slot = slot_get(info.slotID);
	if (!slot)
		return NULL;
	add(handle, slot);
	return take(handle);
}

enum wire_role session_role(const struct session *session)
{
	CK_SESSION_INFO info;

	if (HSM(GetSessionInfo)(session->handle, &info) != CKR_OK)
		return 0;
	switch (info.state) {
	case CKS_RO_USER_FUNCTIONS:
	case CKS_RW_USER_FUNCTIONS:
		return WIRE_USER;
	case CKS_RW_SO_FUNCTIONS:
		return WIRE_SO;
	default:
		return 0;
	}
}

/* Takes out every session of @slot, or of all when it is NULL. */
static struct session *take_out(const struct slot *slot)
{
	struct session *out = NULL;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct session **at = &buckets[i]; *at;) {
			struct session *session = *at;
			if (slot && session->slot != slot) {
				at = &session->next;
				continue;
			}
			*at = session->next;
			session->next = out;
			out = session;
		}
	}
	pthread_mutex_unlock(&lock);
	return out;
}

static void forget_all(const struct slot *slot)
{
	struct session *next;

	for (struct session *session = take_out(slot); session; session = next) {
		next = session->next;
		closed(session);
	}
}

static void each_operation(const struct slot *slot, void (*end)(struct session *session))
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct session *session = buckets[i]; session; session = session->next) {
			if (session->slot != slot)
				continue;
			pthread_mutex_lock(&session->lock);
			end(session);
			pthread_mutex_unlock(&session->lock);
		}
	}
	pthread_mutex_unlock(&lock);
}

/* The grant's end has ended what runs. */
static void end_operation(struct session *session)
{
	(void)operation_end(session);
}

void session_revoke_locked(struct slot *slot)
{
	if (slot->grant.role)
		each_operation(slot, operation_cancel);
	service_revoke_locked(slot);
}

void session_drop_all(void)
{
	forget_all(NULL);
}

void session_forked(void)
{
	pthread_mutex_init(&lock, NULL);
	for (size_t i = 0; i < BUCKETS; i++)
		buckets[i] = NULL;
	operation_forked();
}

CK_RV hook_OpenSession(CK_SLOT_ID id, CK_FLAGS flags, void *application, CK_NOTIFY notify,
		       CK_SESSION_HANDLE *s)
{
	if (!module_watching())
		return HSM(OpenSession)(id, flags, application, notify, s);
	if (slot_refused(id))
		return CKR_SLOT_ID_INVALID;
	service_wake();
	struct slot *slot = slot_get(id);
	if (!slot)
		return HSM(OpenSession)(id, flags, application, notify, s);
	pthread_mutex_lock(&slot->lock);
	CK_RV rv = HSM(OpenSession)(id, flags, application, notify, s);
	if (rv == CKR_OK) {
		add(*s, slot);
		slot->sessions++;
	}
	pthread_mutex_unlock(&slot->lock);
	return rv;
}

/* A login ends with the last session: what it earned goes first. */
CK_RV hook_CloseSession(CK_SESSION_HANDLE s)
{
	CLEANUP(session) struct session *session = session_get(s);

	if (!session)
		return HSM(CloseSession)(s);
	struct slot *slot = session->slot;
	pthread_mutex_lock(&slot->lock);
	bool last = slot->sessions <= 1;
	if (last)
		session_revoke_locked(slot);
	CK_RV rv = HSM(CloseSession)(s);
	if (rv == CKR_OK) {
		forget(s);
		slot->sessions -= slot->sessions > 0;
		if (last)
			access_forget(slot);
	}
	pthread_mutex_unlock(&slot->lock);
	return rv;
}

CK_RV hook_CloseAllSessions(CK_SLOT_ID id)
{
	if (!module_watching())
		return HSM(CloseAllSessions)(id);
	if (slot_refused(id))
		return CKR_SLOT_ID_INVALID;
	struct slot *slot = slot_get(id);
	if (!slot)
		return HSM(CloseAllSessions)(id);
	pthread_mutex_lock(&slot->lock);
	session_revoke_locked(slot);
	CK_RV rv = HSM(CloseAllSessions)(id);
	if (rv == CKR_OK) {
		forget_all(slot);
		slot->sessions = 0;
		access_forget(slot);
	}
	pthread_mutex_unlock(&slot->lock);
	return rv;
}

/* Every login is an epoch of its own: a proof made in one is worth nothing in the next. */
static void login_changed_locked(struct slot *slot)
{
	slot->epoch++;
	access_forget(slot);
}

static CK_RV login(CK_SESSION_HANDLE s, CK_USER_TYPE user, CK_BYTE *pin, CK_ULONG pin_n,
		   CK_BYTE *name, CK_ULONG name_n, bool with_name)
{
	return with_name ? HSM(LoginUser)(s, user, pin, pin_n, name, name_n)
			 : HSM(Login)(s, user, pin, pin_n);
}

static CK_RV watched_login(CK_SESSION_HANDLE s, CK_USER_TYPE user, CK_BYTE *pin, CK_ULONG pin_n,
			   CK_BYTE *name, CK_ULONG name_n, bool with_name)
{
	CLEANUP(session) struct session *session = session_get(s);

	if (!session || user == CKU_CONTEXT_SPECIFIC)
		return login(s, user, pin, pin_n, name, name_n, with_name);
	struct slot *slot = session->slot;
	pthread_mutex_lock(&slot->lock);
	CK_RV rv = login(s, user, pin, pin_n, name, name_n, with_name);
	if (rv == CKR_OK) {
		session_revoke_locked(slot);
		login_changed_locked(slot);
	}
	pthread_mutex_unlock(&slot->lock);
	return rv;
}

CK_RV hook_Login(CK_SESSION_HANDLE s, CK_USER_TYPE user, CK_BYTE *pin, CK_ULONG pin_n)
{
	return watched_login(s, user, pin, pin_n, NULL, 0, false);
}

CK_RV hook_LoginUser(CK_SESSION_HANDLE s, CK_USER_TYPE user, CK_BYTE *pin, CK_ULONG pin_n,
		     CK_BYTE *name, CK_ULONG name_n)
{
	return watched_login(s, user, pin, pin_n, name, name_n, true);
}

CK_RV hook_Logout(CK_SESSION_HANDLE s)
{
	CLEANUP(session) struct session *session = session_get(s);

	if (!session)
		return HSM(Logout)(s);
	struct slot *slot = session->slot;
	pthread_mutex_lock(&slot->lock);
	session_revoke_locked(slot);
	CK_RV rv = HSM(Logout)(s);
	if (rv == CKR_OK) {
		login_changed_locked(slot);
		each_operation(slot, end_operation);
		object_drop_results(slot);
	}
	pthread_mutex_unlock(&slot->lock);
	return rv;
}
