/* create.c - C_CreateObject: the way to run and to load for clients that can only store data.
 *
 * A data object whose CKA_APPLICATION is "assay:run:<application>" is not stored: the application
 * runs on its CKA_VALUE, and the handle is that of the output. CKA_OBJECT_ID, an attribute that means
 * nothing for such an object, may hold what other mechanisms take as their parameter. With
 * "assay:app" the value is a package to load, and the handle that of the application's secret facet.
 */
#include <stdlib.h>
#include <string.h>

#include "plugin/access.h"
#include "plugin/attribute.h"
#include "plugin/listing.h"
#include "plugin/operation.h"
#include "plugin/service.h"
#include "sandbox/trailer.h"

#define RUN_PREFIX "assay:run:"
#define APP_NAME "assay:app"
#define MANIFEST_ID 1 /* key of the id in sandbox/manifest.def */

struct creation {
	struct session *session;
	const struct partition *p;
	struct slice label, value;
	struct options options;
	char app[WIRE_APP_MAX + 1];
	bool load;
};

/* Whether the template asks for one of ours, judged by class and CKA_APPLICATION alone. */
static bool is_ours(const CK_ATTRIBUTE *templ, CK_ULONG n, struct slice *application)
{
	*application = attribute_slice(attribute_find(templ, n, CKA_APPLICATION));
	return attribute_is_number(attribute_find(templ, n, CKA_CLASS), CKO_DATA) &&
	       (slice_is(*application, APP_NAME) ||
		(application->left > strlen(RUN_PREFIX) &&
		 !memcmp(application->p, RUN_PREFIX, strlen(RUN_PREFIX))));
}

static bool is_text(struct slice s)
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	struct slice in, out;

	cbor_put_text_slice(&b, s);
	in = buf_slice(&b);
	return !buf_check(&b) && !cbor_take_text(&in, s.left, &out);
}

static CK_RV take_template(const CK_ATTRIBUTE *templ, CK_ULONG n, struct slice application,
			   struct creation *c)
{
	const CK_ATTRIBUTE *value = attribute_find(templ, n, CKA_VALUE);

	if (!value)
		return CKR_TEMPLATE_INCOMPLETE;
	c->value = attribute_slice(value);
	c->label = attribute_slice(attribute_find(templ, n, CKA_LABEL));
	c->load = slice_is(application, APP_NAME);
	if ((!value->pValue && value->ulValueLen) || c->label.left > 255 || !is_text(c->label))
		return CKR_ATTRIBUTE_VALUE_INVALID;
	if (c->value.left > (c->load ? SIGNED_PACKAGE_MAX : operation_input_max()))
		return CKR_DATA_LEN_RANGE;
	struct slice options = attribute_slice(attribute_find(templ, n, CKA_OBJECT_ID));
	if (options.left && (c->load || options_take(options.p, options.left, &c->options)))
		return CKR_ATTRIBUTE_VALUE_INVALID;
	if (c->load)
		return CKR_OK;
	struct slice id =
		slice_of(application.p + strlen(RUN_PREFIX), application.left - strlen(RUN_PREFIX));
	if (id.left > WIRE_APP_MAX || !is_text(id))
		return CKR_KEY_HANDLE_INVALID;
	memcpy(c->app, id.p, id.left);
	return CKR_OK;
}

/* The object that came of it: of several outputs of one label, the newest. */
struct wanted {
	enum object_kind kind;
	enum object_field field;
	struct slice value;
	const char *application;
	uint64_t newest;
	CK_OBJECT_HANDLE handle;
};

static bool want(void *context, const struct object *object)
{
	struct wanted *w = context;

	if (!slice_equal(buf_slice(&object->field[w->field]), w->value) ||
	    (w->application &&
	     !slice_is(buf_slice(&object->field[FIELD_APPLICATION]), w->application)))
		return false;
	if (!w->handle || object->result >= w->newest) {
		w->newest = object->result;
		w->handle = object->handle;
	}
	return true;
}

static CK_RV find_made(const struct creation *c, struct wanted *w, enum err e,
		       CK_OBJECT_HANDLE *out)
{
	CK_OBJECT_HANDLE *all = NULL;
	size_t n;

	if (!e)
		e = object_collect(c->session, w->kind, want, w, &all, &n);
	free(all);
	if (e)
		return service_rv(e);
	*out = w->handle;
	return w->handle ? CKR_OK : CKR_DEVICE_ERROR;
}

static CK_RV run(const struct creation *c, CK_OBJECT_HANDLE *out)
{
	CLEANUP(payload) struct payload result;
	struct input input = { .bytes = c->value, .fd = -1 };
	uint64_t listing;

	payload_init(&result);
	enum err e = service_begin(c->session, c->p, c->app, CKM_ASSAY_RUN);
	if (!e)
		e = service_execute(c->session, c->p, c->app, OP_RUN_OBJECT, &c->options, 0,
				    c->label, &input, &result);
	if (e)
		return service_rv(e);
	struct slice label = slice_text(result.label);
	struct wanted w = { .kind = OBJECT_DATA,
			    .field = FIELD_LABEL,
			    .value = label,
			    .application = "assay:output" };
	return find_made(c, &w, listing_results(c->session, c->p, label, &listing), out);
}

/* The id in a package that the daemon has taken: the first entry of its manifest. */
static struct slice package_id(struct slice package)
{
	struct slice header, manifest, id;
	struct cbor_keys keys = { 0 };
	size_t pairs;
	int64_t key;

	if (slice_take(&package, PACKAGE_HEADER, &header) ||
	    slice_take_bytes(&package, MANIFEST_MAX, &manifest) ||
	    cbor_take_map(&manifest, 64, &pairs) || cbor_take_key(&manifest, &keys, &key) ||
	    key != MANIFEST_ID || cbor_take_text(&manifest, WIRE_APP_MAX, &id))
		return slice_of(NULL, 0);
	return id;
}

/* The receipt is a record of the log; what the caller gets a handle of is the application. */
static CK_RV load(const struct creation *c, CK_OBJECT_HANDLE *out)
{
	CLEANUP(payload) struct payload receipt;
	struct input input = { .bytes = c->value, .fd = -1 };

	payload_init(&receipt);
	enum err e = service_begin(c->session, c->p, "", CKM_ASSAY_LOAD);
	if (!e)
		e = service_load(c->session, c->p, &input, &receipt);
	listing_apps_stale(c->session->slot);
	if (e)
		return service_rv(e);
	struct wanted w = { .kind = OBJECT_SECRET,
			    .field = FIELD_APPLICATION,
			    .value = package_id(c->value) };
	return find_made(c, &w, listing_apps(c->session, c->p), out);
}

CK_RV hook_CreateObject(CK_SESSION_HANDLE s, CK_ATTRIBUTE *templ, CK_ULONG n, CK_OBJECT_HANDLE *out)
{
	struct slice application;

	if (module_watching() && templ && out && is_ours(templ, n, &application)) {
		service_wake();
		CLEANUP(session) struct session *session = session_get(s);
		CLEANUP(partition)
		struct partition *p = session ? slot_partition(session->slot) : NULL;
		struct creation c = { .session = session, .p = p };
		if (session && !p && !service_present())
			return CKR_DEVICE_ERROR;
		if (p) {
			CK_RV rv = take_template(templ, n, application, &c);
			return rv ? rv : c.load ? load(&c, out) : run(&c, out);
		}
	}
	CK_RV rv = access_template(s, templ, n);
	if (rv == CKR_OK)
		rv = HSM(CreateObject)(s, templ, n, out);
	return rv != CKR_OK || !out || handle_to_client(out) ? rv : CKR_HOST_MEMORY;
}
