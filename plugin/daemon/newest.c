#include "plugin/daemon/newest.h"

#include <stdlib.h>
#include <string.h>

#include "config/base/cbor.h"
#include "config/base/version.h"

void newest_free(struct newest *newest)
{
	free(newest->list);
	*newest = (struct newest){ 0 };
}

void newest_cleanup(struct newest *newest)
{
	newest_free(newest);
}

static struct newest_version *find(const struct newest *newest, const char *id)
{
	for (size_t i = 0; i < newest->n; i++)
		if (!strcmp(newest->list[i].id, id))
			return &newest->list[i];
	return NULL;
}

const char *newest_of(const struct newest *newest, const char *id)
{
	const struct newest_version *found = find(newest, id);

	return found ? found->version : "";
}

enum err newest_with(const struct newest *from, const char *id, const char *version,
		     struct newest *out)
{
	if (!find(from, id) && from->n == NEWEST_MAX)
		return failed(ERR_LIMIT, "a partition's generation loads at most %d applications",
			      NEWEST_MAX);
	*out = (struct newest){ calloc(from->n + 1, sizeof *out->list), from->n };
	if (!out->list)
		return failed(ERR_MEMORY, "the newest versions");
	if (from->n)
		memcpy(out->list, from->list, from->n * sizeof *out->list);
	struct newest_version *known = find(out, id);
	if (!known) {
		known = &out->list[out->n++];
		memcpy(known->id, id, strnlen(id, sizeof known->id - 1));
	} else if (!version_is_least(slice_text(version), slice_text(known->version))) {
		return OK;
	}
	memset(known->version, 0, sizeof known->version);
	memcpy(known->version, version, strnlen(version, sizeof known->version - 1));
	return OK;
}

void newest_put(const struct newest *newest, struct buf *out)
{
	cbor_put_array(out, newest->n);
	for (size_t i = 0; i < newest->n; i++) {
		cbor_put_array(out, 2);
		cbor_put_text(out, newest->list[i].id);
		cbor_put_text(out, newest->list[i].version);
	}
}

enum err newest_take(struct slice *in, struct newest *out)
{
	struct slice id, version;
	size_t n, pair;
	enum err e = cbor_take_array(in, NEWEST_MAX, &n);

	if (e)
		return e;
	if (!(out->list = calloc(n + 1, sizeof *out->list)))
		return failed(ERR_MEMORY, "the newest versions");
	for (; out->n < n; out->n++) {
		if ((e = cbor_take_array(in, 2, &pair)) || (e = pair == 2 ? OK : ERR_FORMAT) ||
		    (e = cbor_take_text(in, APP_ID - 1, &id)) ||
		    (e = cbor_take_text(in, APP_VERSION - 1, &version)))
			return e;
		memcpy(out->list[out->n].id, id.p, id.left);
		memcpy(out->list[out->n].version, version.p, version.left);
	}
	return OK;
}
