/* find.c - searches: the HSM's objects without those of ours on its token, then our own. */
#include <stdlib.h>
#include <string.h>

#include "plugin/access.h"
#include "plugin/attribute.h"
#include "plugin/listing.h"
#include "plugin/object.h"
#include "plugin/service.h"

#define ASSAY_PREFIX "assay:"

/* A search, and which of our objects it may find at all. */
struct search {
	const CK_ATTRIBUTE *templ;
	CK_ULONG n;
	unsigned kinds;
	uint64_t listing; /* results older than this are gone */
};

static bool names_assay(const struct search *search)
{
	struct slice application =
		attribute_slice(attribute_find(search->templ, search->n, CKA_APPLICATION));

	return application.left >= strlen(ASSAY_PREFIX) &&
	       !memcmp(application.p, ASSAY_PREFIX, strlen(ASSAY_PREFIX));
}

/* A client that looks for a key by its label alone must find one object, and an ordinary search
 * must not cost a question to the daemon. So the private facet wants class and name, and results
 * want their class, an application's name, or a search for everything. */
static unsigned kinds_of(const struct search *search)
{
	const CK_ATTRIBUTE *class = attribute_find(search->templ, search->n, CKA_CLASS);
	bool named = attribute_find(search->templ, search->n, CKA_ID) ||
		     attribute_find(search->templ, search->n, CKA_LABEL);

	if (!class)
		return OBJECT_SECRET | (search->n == 0 || names_assay(search) ? OBJECT_DATA : 0);
	if (attribute_is_number(class, CKO_SECRET_KEY))
		return OBJECT_SECRET;
	if (attribute_is_number(class, CKO_PRIVATE_KEY))
		return named ? OBJECT_PRIVATE : 0;
	return attribute_is_number(class, CKO_DATA) ? OBJECT_DATA : 0;
}

static bool match(void *context, const struct object *object)
{
	const struct search *search = context;

	return (object->kind != OBJECT_DATA || object->listing >= search->listing) &&
	       attribute_match(object, search->templ, search->n);
}

static enum err refresh(struct session *session, const struct partition *p, struct search *search)
{
	struct slice label = attribute_slice(attribute_find(search->templ, search->n, CKA_LABEL));
	enum err results = OK, apps = OK;

	if (search->kinds & OBJECT_DATA)
		results = listing_results(session, p, label, &search->listing);
	if (search->kinds & ~(unsigned)OBJECT_DATA)
		apps = listing_apps(session, p);
	/* What could not be asked for is not shown as it was before. */
	if (results)
		search->kinds &= ~(unsigned)OBJECT_DATA;
	if (apps)
		search->kinds &= OBJECT_DATA;
	return results ? results : apps;
}

/* A search that names us fails when the daemon can't be asked; others go on without us. */
static CK_RV search_ours(struct session *session, const struct partition *p, struct search *search,
			 CK_OBJECT_HANDLE **out, size_t *n)
{
	enum err e = refresh(session, p, search);

	if (e && names_assay(search))
		return service_rv(e);
	e = object_collect(session, search->kinds, match, search, out, n);
	return e ? CKR_HOST_MEMORY : CKR_OK;
}

static void start(struct session *session, CK_OBJECT_HANDLE *ours, size_t n)
{
	pthread_mutex_lock(&session->lock);
	free(session->found);
	session->found = ours;
	session->found_n = n;
	session->found_next = 0;
	session->searching = true;
	pthread_mutex_unlock(&session->lock);
}

CK_RV hook_FindObjectsInit(CK_SESSION_HANDLE s, CK_ATTRIBUTE *templ, CK_ULONG n)
{
	struct search search = { .templ = templ, .n = n };
	CK_OBJECT_HANDLE *ours = NULL;
	size_t ours_n = 0;

	if (!module_watching() || (!templ && n))
		return HSM(FindObjectsInit)(s, templ, n);
	service_wake();
	CLEANUP(session) struct session *session = session_get(s);
	if (!session)
		return HSM(FindObjectsInit)(s, templ, n);
	CLEANUP(partition) struct partition *p = slot_partition(session->slot);
	search.kinds = kinds_of(&search);
	if (p && search.kinds) {
		CK_RV rv = search_ours(session, p, &search, &ours, &ours_n);
		if (rv != CKR_OK)
			return rv;
	}
	CK_RV rv = HSM(FindObjectsInit)(s, templ, n);
	if (rv == CKR_OK)
		start(session, ours, ours_n);
	else
		free(ours);
	return rv;
}

/* Keeps what the client may see, under the handles by which it sees it. */
static CK_RV keep_visible(struct session *session, CK_OBJECT_HANDLE *objects, CK_ULONG *n)
{
	CK_ULONG kept = 0;

	for (CK_ULONG i = 0; i < *n; i++) {
		CK_OBJECT_HANDLE h = objects[i];
		if (session && access_is_hidden(session, h))
			continue;
		if (!handle_to_client(&h))
			return CKR_HOST_MEMORY;
		objects[kept++] = h;
	}
	*n = kept;
	return CKR_OK;
}

static void add_ours(struct session *session, CK_OBJECT_HANDLE *objects, CK_ULONG max, CK_ULONG *n)
{
	pthread_mutex_lock(&session->lock);
	while (session->searching && *n < max && session->found_next < session->found_n)
		objects[(*n)++] = session->found[session->found_next++];
	pthread_mutex_unlock(&session->lock);
}

CK_RV hook_FindObjects(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE *objects, CK_ULONG max, CK_ULONG *n)
{
	CLEANUP(session) struct session *session = session_get(s);
	CK_ULONG asked;
	CK_RV rv;

	/* None left of a full batch is not yet the end of the search. */
	do {
		rv = HSM(FindObjects)(s, objects, max, n);
		if (rv != CKR_OK || !objects || !n)
			return rv;
		asked = *n;
		rv = keep_visible(session, objects, n);
	} while (rv == CKR_OK && *n == 0 && asked > 0);
	if (rv == CKR_OK && session && asked < max)
		add_ours(session, objects, max, n);
	return rv;
}

CK_RV hook_FindObjectsFinal(CK_SESSION_HANDLE s)
{
	CLEANUP(session) struct session *session = session_get(s);
	CK_RV rv = HSM(FindObjectsFinal)(s);

	if (session) {
		pthread_mutex_lock(&session->lock);
		free(session->found);
		session->found = NULL;
		session->found_n = session->found_next = 0;
		session->searching = false;
		pthread_mutex_unlock(&session->lock);
	}
	return rv;
}
