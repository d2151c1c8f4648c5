/* service.c - the daemon's partitions, and the roles that are proved to it. */
#include "plugin/service.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "plugin/access.h"
#include "plugin/ask.h"
#include "plugin/contact.h"
#include "plugin/object.h"
#include "plugin/role.h"

#define NEWS_MS 1000  /* how long the list of partitions is taken for fresh */
#define WAIT_SHARE 10 /* waiting for a slow or absent daemon takes a tenth of the time at most */
#define GRANT_MARGIN_MS 5000 /* a grant that ends so soon is renewed before it is used */

static pthread_mutex_t news_lock = PTHREAD_MUTEX_INITIALIZER; /* held by whoever asks for news */
static _Atomic uint64_t news_until_ms;                        /* 0: never asked */
static atomic_bool present;
static uint64_t news_contact; /* news_lock; of which link */

_Static_assert(offsetof(CK_FUNCTION_LIST, C_WaitForSlotEvent) ==
		       offsetof(CK_FUNCTION_LIST_3_0, C_WaitForSlotEvent),
	       "the 3.0 list starts as the 2.40 list does");

static CK_FUNCTION_LIST *hsm_list(void)
{
	return (CK_FUNCTION_LIST *)&module.hsm.call;
}

CK_RV service_rv(enum err e)
{
	static const CK_RV results[ERR_COUNT] = {
#define RESULT(error, rv) [error] = rv,
#include "plugin/errors.def"
#undef RESULT
	};
	return results[e];
}

static void put_text(struct slice text, char *out)
{
	memcpy(out, text.p, text.left);
	out[text.left] = 0;
}

static bool take_partition(struct slice *in, struct partition *p)
{
	struct wire_partition taken;

	if (wire_take_partition(in, &taken))
		return false;
	put_text(taken.serial, p->serial);
	put_text(taken.origin, p->origin);
	p->generation = taken.generation;
	p->active = taken.active;
	memcpy(p->key_id, taken.key_id.p, taken.key_id.left);
	p->key_id_n = taken.key_id.left;
	return true;
}

static enum err take_partitions(struct slice in, struct partition **list, size_t *n)
{
	size_t items;

	if (cbor_take_array(&in, WIRE_PARTITIONS_MAX, &items))
		return failed(ERR_IO, "the daemon's list of partitions is malformed");
	for (*n = 0; *n < items; ++*n) {
		struct partition *p = calloc(1, sizeof *p);
		if (!p || !take_partition(&in, p)) {
			free(p);
			return failed(ERR_IO, "the daemon's list of partitions is malformed");
		}
		atomic_init(&p->refs, 1);
		list[*n] = p;
	}
	return OK;
}

static enum err ask_partitions(void)
{
	CLEANUP(wire) struct wire_message request, answer;
	struct partition *list[WIRE_PARTITIONS_MAX];
	struct slice in;
	size_t n = 0;

	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_PARTITIONS, 0);
	enum err e = contact_call(&request, &answer, &in);
	if (e)
		return e;
	if ((e = take_partitions(in, list, &n))) {
		while (n > 0)
			partition_release(list[--n]);
		return e;
	}
	CLEANUP(contact) struct contact *contact = contact_get();
	if (!contact) {
		while (n > 0)
			partition_release(list[--n]);
		return failed(ERR_GONE, "no daemon");
	}
	if (contact_number(contact) != news_contact) {
		/* A new daemon counts its results from the start. */
		object_drop_all_results();
		news_contact = contact_number(contact);
	}
	slot_news(link_token_serial(contact_link(contact)), list, n);
	return OK;
}

/* An old link may only now turn out to be dead: a second try opens a fresh one. */
static enum err ask_news(void)
{
	enum err e = OK;

	for (int tries = 0; tries < 2; tries++) {
		if ((e = contact_open()))
			return e;
		if ((e = ask_partitions()) != ERR_GONE)
			return e;
	}
	return e;
}

void service_wake(void)
{
	uint64_t until = atomic_load_explicit(&news_until_ms, memory_order_relaxed);

	if (!module_watching() || (until && io_monotonic_ms() < until))
		return;
	/* The first call waits for the answer; later ones go on with what is known. */
	if (until ? pthread_mutex_trylock(&news_lock) != 0 : pthread_mutex_lock(&news_lock) != 0)
		return;
	until = atomic_load(&news_until_ms);
	uint64_t began = io_monotonic_ms();
	if (!until || began >= until) {
		atomic_store(&present, ask_news() == OK);
		uint64_t took = io_monotonic_ms() - began;
		uint64_t pause = took * WAIT_SHARE > NEWS_MS ? took * WAIT_SHARE : NEWS_MS;
		atomic_store(&news_until_ms, io_monotonic_ms() + pause);
	}
	pthread_mutex_unlock(&news_lock);
}

bool service_present(void)
{
	return atomic_load(&present);
}

void service_stale(void)
{
	atomic_store(&news_until_ms, 0);
}

static enum err revoke(const char *serial)
{
	CLEANUP(wire) struct wire_message request, answer;
	struct slice in;

	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_REVOKE, 2);
	cbor_put_text(&request.bytes, serial);
	cbor_put_uint(&request.bytes, 0);
	return contact_call(&request, &answer, &in);
}

/* A link that can't be told is given up, and its grants end with it. */
void service_revoke_locked(struct slot *slot)
{
	CLEANUP(contact) struct contact *contact = contact_get();
	struct grant grant = slot->grant;

	slot->grant = (struct grant){ 0 };
	if (!grant.role || !contact || contact_number(contact) != grant.contact)
		return;
	if (revoke(slot->granted_serial))
		contact_lost(contact);
}

void service_revoke_all(void)
{
	if (module_watching())
		slot_each_granted(session_revoke_locked);
}

static bool grant_good(const struct grant *grant, enum wire_role role, uint64_t contact)
{
	return grant->role == role && grant->contact == contact &&
	       io_monotonic_ms() + GRANT_MARGIN_MS < grant->until_ms;
}

static enum err prove_locked(struct slot *slot, const struct partition *p, enum wire_role role,
			     struct contact *contact)
{
	struct role_claim claim = { .serial = slice_text(p->serial),
				    .origin = slice_text(p->origin),
				    .key_id = slice_of(p->key_id, p->key_id_n),
				    .generation = p->generation,
				    .epoch = slot->epoch,
				    .role = role };
	uint64_t seconds = 0;

	enum err e = role_prove(contact_link(contact), hsm_list(), slot->id, &claim, &seconds);
	if (role == WIRE_SO)
		access_forget(slot); /* the proof's own object had a handle for a while */
	if (e == ERR_NOT_FOUND)
		service_stale();
	/* Not the caller's input, nor its time limit. */
	if (e == ERR_FORMAT || e == ERR_TIMEOUT)
		return ERR_GONE;
	if (e)
		return e;
	slot->grant = (struct grant){ .role = role,
				      .until_ms = io_monotonic_ms() + seconds * 1000,
				      .contact = contact_number(contact) };
	memcpy(slot->granted_serial, p->serial, sizeof slot->granted_serial);
	return OK;
}

/* Looks who is logged in, each time, and has the HSM prove it when the daemon does not know yet. */
static enum err grant(struct session *session, const struct partition *p, bool anew,
		      enum wire_role *role)
{
	CLEANUP(contact) struct contact *contact = contact_get();
	struct slot *slot = session->slot;
	enum err e = OK;

	if (!contact)
		return failed(ERR_GONE, "no daemon");
	pthread_mutex_lock(&slot->lock);
	*role = session_role(session);
	if (anew)
		slot->grant = (struct grant){ 0 };
	if (slot->grant.role && slot->grant.role != *role)
		service_revoke_locked(slot);
	if (*role && !grant_good(&slot->grant, *role, contact_number(contact)))
		e = prove_locked(slot, p, *role, contact);
	pthread_mutex_unlock(&slot->lock);
	return e;
}

uint64_t ask_granted(struct session *session, const struct partition *p)
{
	CLEANUP(contact) struct contact *contact = contact_get();
	struct slot *slot = session->slot;

	if (!contact || !link_alive(contact_link(contact)))
		return 0;
	pthread_mutex_lock(&slot->lock);
	enum wire_role role = session_role(session);
	bool good = role && grant_good(&slot->grant, role, contact_number(contact)) &&
		    !strcmp(slot->granted_serial, p->serial);
	pthread_mutex_unlock(&slot->lock);
	return good ? contact_number(contact) : 0;
}

/* A daemon that wants a proof although it granted the role has forgotten: prove once more. */
enum err ask_as_role(struct session *session, const struct partition *p,
		     struct wire_message *request, struct wire_message *answer, struct slice *in,
		     enum wire_role *role)
{
	enum err e = grant(session, p, false, role);

	if (e || (e = contact_call(request, answer, in)) != ERR_LOGIN || !*role)
		return e;
	buf_reset(&answer->bytes);
	e = grant(session, p, true, role);
	return e ? e : contact_call(request, answer, in);
}

void service_close(void)
{
	contact_close();
	atomic_store(&news_until_ms, 0);
	atomic_store(&present, false);
}

void service_forked(void)
{
	pthread_mutex_init(&news_lock, NULL);
	contact_forked();
	atomic_store(&news_until_ms, 0);
	atomic_store(&present, false);
}
