#include "plugin/listing.h"

#include "plugin/object.h"
#include "plugin/service.h"

/* How long another process's loading may go unseen; the daemon decides what may run anyway. */
#define APPS_MS 200

static _Atomic uint64_t last_listing;

/* A list from the daemon while it becomes objects. */
struct building {
	struct slot *slot;
	struct object *list, *last;
	enum wire_role *role;
	uint64_t listing;
	bool failed;
};

static bool fields_fit(const struct object *object)
{
	for (size_t i = 0; i < FIELDS; i++)
		if (buf_check(&object->field[i]))
			return false;
	return true;
}

static void build(struct building *b, struct object *object)
{
	if (!object || !fields_fit(object)) {
		b->failed = true;
		object_put(object);
		return;
	}
	*(b->last ? &b->last->next : &b->list) = object;
	b->last = object;
}

static void build_facet(struct building *b, enum object_kind kind, const struct wire_app *app,
			enum wire_role role)
{
	struct object *object = object_new(kind, b->slot);

	if (object) {
		object->role = role;
		buf_put_slice(&object->field[FIELD_LABEL], app->label);
		buf_put_slice(&object->field[FIELD_ID], app->cka_id);
		buf_put_slice(&object->field[FIELD_APPLICATION], app->id);
		buf_put_slice(&object->field[FIELD_VERSION], app->version);
		buf_put_slice(&object->field[FIELD_MANIFEST], app->manifest);
		buf_put_slice(&object->field[FIELD_MEASUREMENT], app->measurement);
		buf_put_slice(&object->field[FIELD_IMAGE], app->image);
		buf_put_slice(&object->field[FIELD_PROFILE], app->profile);
	}
	build(b, object);
}

static void build_app(void *context, const struct wire_app *app)
{
	build_facet(context, OBJECT_SECRET, app, 0);
	build_facet(context, OBJECT_PRIVATE, app, 0);
}

static void build_loader(struct building *b)
{
	const struct wire_app loader = { .label = slice_text(LOADER_LABEL),
					 .cka_id = slice_text(LOADER_ID) };

	build_facet(b, OBJECT_SECRET, &loader, WIRE_SO);
	build_facet(b, OBJECT_PRIVATE, &loader, WIRE_SO);
}

static void build_result(void *context, const struct result_info *result)
{
	struct building *b = context;
	struct object *object = object_new(OBJECT_DATA, b->slot);

	if (object) {
		object->role = *b->role;
		object->result = result->id;
		object->size = result->size;
		object->listing = b->listing;
		buf_put_slice(&object->field[FIELD_LABEL], result->label);
		buf_put_slice(&object->field[FIELD_APPLICATION], result->application);
	}
	build(b, object);
}

static enum err built(struct building *b, enum err e)
{
	if (!e && b->failed)
		e = failed(ERR_MEMORY, "out of memory");
	if (e)
		object_put_list(STEAL(b->list));
	return e;
}

enum err listing_apps(struct session *session, const struct partition *p)
{
	struct slot *slot = session->slot;
	struct building b = { .slot = slot };

	if (io_monotonic_ms() < atomic_load(&slot->apps_until_ms))
		return OK;
	build_loader(&b);
	enum err e = built(&b, service_apps(p, build_app, &b));
	if (e)
		return e;
	object_replace_apps(slot, b.list);
	atomic_store(&slot->apps_until_ms, io_monotonic_ms() + APPS_MS);
	return OK;
}

void listing_apps_stale(struct slot *slot)
{
	atomic_store(&slot->apps_until_ms, 0);
}

enum err listing_results(struct session *session, const struct partition *p, struct slice label,
			 uint64_t *listing)
{
	enum wire_role role = session_role(session);
	struct building b = { .slot = session->slot,
			      .role = &role,
			      .listing = atomic_fetch_add(&last_listing, 1) + 1 };

	*listing = b.listing;
	if (!role)
		return OK;
	enum err e = built(&b, service_results(session, p, label, &role, build_result, &b));
	if (e)
		return e;
	object_add_results(session->slot, b.list);
	return OK;
}
