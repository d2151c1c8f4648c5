/* object.h - what we show on an enrolled slot: applications, the loader, and results.
 *
 * An application is two objects of standard classes, its facets: a secret key, which every search
 * finds that a secret key matches, and a private key, which only a search finds that names the class
 * and an id or a label. The loader, through which the SO loads applications, is shown likewise, to
 * the SO alone. Results are data objects of the role that ran them. An object is never changed: a
 * newer one takes its place under the same handle. They come from the daemon's lists (listing.h) into
 * one table, by handle. Any thread.
 */
#ifndef PLUGIN_OBJECT_H
#define PLUGIN_OBJECT_H

#include "plugin/session.h"

#define LOADER_LABEL "assay-loader"
#define LOADER_ID "\xa5\x5a"

enum object_kind { OBJECT_SECRET = 1, OBJECT_PRIVATE = 2, OBJECT_DATA = 4 };

/* Byte strings that an object may have; attributes.def says where they are shown. */
enum object_field {
	FIELD_LABEL,
	FIELD_ID,          /* CKA_ID */
	FIELD_APPLICATION, /* an application's id, empty for the loader; a result's CKA_APPLICATION */
	FIELD_VERSION,
	FIELD_MANIFEST,
	FIELD_MEASUREMENT,
	FIELD_IMAGE,
	FIELD_PROFILE,
	FIELDS
};

struct object {
	atomic_uint refs;
	CK_OBJECT_HANDLE handle;
	enum object_kind kind;
	struct slot *slot;
	enum wire_role role; /* who may see it; 0: anyone */
	uint64_t result;     /* OBJECT_DATA: the daemon's number for it */
	uint64_t size;       /* OBJECT_DATA: of its CKA_VALUE */
	uint64_t listing;    /* OBJECT_DATA: the last list of the daemon's that it was in */
	struct buf field[FIELDS];
	struct object *next; /* lock of object.c */
};

/* One that is in no table yet; NULL: out of memory. */
struct object *object_new(enum object_kind kind, struct slot *slot);
/* Releases a list of them (next), of which none is in the table. */
void object_put_list(struct object *list);
/* Take over a list of new ones. Those that are the same thing as one in the table take its place and its
 * handle; the slot's other applications go, its other results stay, unless there are too many. */
void object_replace_apps(struct slot *slot, struct object *fresh);
void object_add_results(struct slot *slot, struct object *fresh);

/* The object that this session may see under the handle, to be put back, or NULL. */
struct object *object_get(const struct session *session, CK_OBJECT_HANDLE handle);
void object_put(struct object *object); /* NULL is allowed */
void object_cleanup(struct object **object);

static inline bool object_is_loader(const struct object *object)
{
	return object->kind != OBJECT_DATA && object->field[FIELD_APPLICATION].len == 0;
}

/* Collects the handles of objects of these kinds (enum object_kind) that @match accepts, in the order
 * in which they were made. */
typedef bool object_match(void *context, const struct object *object);
MUST enum err object_collect(const struct session *session, unsigned kinds, object_match *match,
			     void *context, CK_OBJECT_HANDLE **out, size_t *n);

void object_drop(struct object *object);
void object_drop_slot(struct slot *slot);
void object_drop_results(struct slot *slot);
void object_drop_all_results(void);
void object_forked(void);

#endif
