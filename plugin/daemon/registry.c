#include "plugin/daemon/registry.h"

#include <stdio.h>
#include <string.h>

#include "config/base/cbor.h"
#include "config/base/log.h"

/* The index: [2, generation, epoch, [[package, trailer], ...], newest versions]; version 1 was
 * [1, generation, epoch, [package, ...]]. */
#define INDEX_ITEMS 5
#define INDEX_ITEMS_1 4
_Static_assert(REGISTRY_APPS_MAX *(TRAILER_MAX + 64) + NEWEST_MAX * (APP_ID + APP_VERSION + 8) <
		       STATE_RECORD_MAX,
	       "the index fits a record");

static enum err write_index(struct registry *registry, struct app *const *apps, size_t n,
			    uint64_t epoch, const struct newest *newest)
{
	CLEANUP(buf) struct buf index = BUF_INIT;
	enum err e;

	cbor_put_array(&index, INDEX_ITEMS);
	cbor_put_uint(&index, 2);
	cbor_put_uint(&index, registry->generation);
	cbor_put_uint(&index, epoch);
	cbor_put_array(&index, n);
	for (size_t i = 0; i < n; i++) {
		cbor_put_array(&index, 2);
		cbor_put_bytes(&index, SLICE(apps[i]->package));
		cbor_put_bytes(&index, buf_slice(&apps[i]->approvals.raw));
	}
	newest_put(newest, &index);
	if ((e = buf_check(&index)))
		return e;
	return state_put(registry->state, STATE_APPLICATIONS, registry->name, buf_slice(&index));
}

static enum err open_app(struct registry *registry, const uint8_t package[SHA256_SIZE],
			 struct slice signers)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct app **app = &registry->apps[registry->apps_n];
	struct trailer trailer;
	enum err e;

	if ((e = state_get_package(registry->state, package, &raw)) ||
	    (e = trailer_parse(signers, &trailer)) ||
	    (e = app_examine(buf_slice(&raw), &trailer, NULL, app)))
		return e;
	(*app)->group = registry;
	registry->apps_n++;
	return OK;
}

static enum err take_app(struct registry *registry, struct slice *in, bool signers)
{
	uint8_t package[SHA256_SIZE];
	struct slice trailer = { NULL, 0 };
	size_t n = 2;
	enum err e;

	if ((signers && (e = cbor_take_array(in, 2, &n))) || (e = n == 2 ? OK : ERR_FORMAT) ||
	    (e = cbor_take_fixed(in, package, sizeof package)) ||
	    (signers && (e = cbor_take_bytes(in, TRAILER_MAX, &trailer))))
		return e;
	return open_app(registry, package, trailer);
}

/* An index of before they were noted knows the versions that are loaded. */
static enum err guess_newest(struct registry *registry)
{
	for (size_t i = 0; i < registry->apps_n; i++) {
		const struct app *app = registry->apps[i];
		struct newest more = { 0 };
		enum err e = newest_with(&registry->newest, app->id, app->version, &more);

		if (e)
			return e;
		newest_free(&registry->newest);
		registry->newest = more;
	}
	return OK;
}

static enum err read_index(struct registry *registry, struct slice in)
{
	uint64_t version, generation;
	size_t items, n;
	enum err e;

	if ((e = cbor_take_array(&in, INDEX_ITEMS, &items)) ||
	    (e = cbor_take_uint(&in, &version)) || (e = cbor_take_uint(&in, &generation)) ||
	    (e = cbor_take_uint(&in, &registry->epoch)) ||
	    (e = cbor_take_array(&in, REGISTRY_APPS_MAX, &n)))
		return e;
	if (!(version == 2 && items == INDEX_ITEMS) && !(version == 1 && items == INDEX_ITEMS_1))
		return failed(ERR_FORMAT, "an index of version %llu", (unsigned long long)version);
	/* An earlier generation's applications went with it; its epochs are not used again. */
	if (generation != registry->generation) {
		registry->epoch++;
		return OK;
	}
	for (size_t i = 0; i < n; i++)
		if ((e = take_app(registry, &in, version == 2)))
			return e;
	if ((e = version == 2 ? newest_take(&in, &registry->newest) : guess_newest(registry)))
		return e;
	return cbor_take_end(in);
}

enum err registry_open(struct registry *registry, struct state *state, struct slice serial,
		       uint64_t generation)
{
	CLEANUP(buf) struct buf index = BUF_INIT;
	enum err e;

	if (serial.left > WIRE_SERIAL_MAX)
		return failed(ERR_RANGE, "a serial of %zu bytes", serial.left);
	*registry = (struct registry){ .state = state, .generation = generation };
	pthread_mutex_init(&registry->lock, NULL);
	pthread_mutex_init(&registry->changing, NULL);
	hex_put(registry->name, serial.p, serial.left);
	e = state_get(state, STATE_APPLICATIONS, registry->name, &index);
	if (e == ERR_NOT_FOUND)
		return OK;
	return e ? e : read_index(registry, buf_slice(&index));
}

void registry_close(struct registry *registry)
{
	for (size_t i = 0; i < registry->apps_n; i++)
		app_release(registry->apps[i]);
	registry->apps_n = 0;
	newest_free(&registry->newest);
}

static size_t find(struct app *const *apps, size_t n, struct slice id)
{
	for (size_t i = 0; i < n; i++)
		if (slice_is(id, apps[i]->id))
			return i;
	return n;
}

static enum err check_quota(const struct registry *registry, struct app *const *apps, size_t n)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += apps[i]->package_n;
	if (registry->quota && bytes > registry->quota)
		return failed(ERR_LIMIT, "packages of %llu bytes, %llu allowed for a partition",
			      (unsigned long long)bytes, (unsigned long long)registry->quota);
	return OK;
}

/* Writes the next state of the index, and when that is durable makes it the present one. The old
 * applications lose one reference each; @newest (NULL: as it was) is taken over. Under changing. */
static enum err replace(struct registry *registry, struct app **next, size_t n,
			struct newest *newest)
{
	struct app *old[REGISTRY_APPS_MAX];
	size_t old_n = registry->apps_n;
	enum err e = write_index(registry, next, n, registry->epoch + 1,
				 newest ? newest : &registry->newest);

	if (e)
		return e;
	memcpy(old, registry->apps, sizeof old);
	for (size_t i = 0; i < n; i++)
		atomic_fetch_add(&next[i]->refs, 1);
	pthread_mutex_lock(&registry->lock);
	memcpy(registry->apps, next, n * sizeof *next);
	registry->apps_n = n;
	registry->epoch++;
	for (size_t i = 0; i < n; i++)
		app_drain(next[i]);
	pthread_mutex_unlock(&registry->lock);
	for (size_t i = 0; i < old_n; i++)
		app_release(old[i]);
	if (newest) {
		newest_free(&registry->newest);
		registry->newest = *newest;
		*newest = (struct newest){ 0 };
	}
	return OK;
}

static enum err put_changing(struct registry *registry, struct slice package, struct app *app)
{
	struct app *next[REGISTRY_APPS_MAX + 1];
	CLEANUP(newest) struct newest newest = { 0 };
	uint8_t sha256[SHA256_SIZE];
	size_t n = registry->apps_n, at;
	enum err e;

	memcpy(next, registry->apps, n * sizeof *next);
	at = find(next, n, slice_text(app->id));
	next[at] = app;
	if (at == n)
		n++;
	if (n > REGISTRY_APPS_MAX)
		return failed(ERR_LIMIT, "a partition has at most %d applications",
			      REGISTRY_APPS_MAX);
	if ((e = check_quota(registry, next, n)) ||
	    (e = newest_with(&registry->newest, app->id, app->version, &newest)) ||
	    (e = state_put_package(registry->state, package, sha256)))
		return e;
	return replace(registry, next, n, &newest);
}

enum err registry_put(struct registry *registry, struct slice package, struct app *app)
{
	app->group = registry;
	pthread_mutex_lock(&registry->changing);
	enum err e = put_changing(registry, package, app);
	pthread_mutex_unlock(&registry->changing);
	return e;
}

static enum err remove_changing(struct registry *registry, struct slice id)
{
	struct app *next[REGISTRY_APPS_MAX];
	size_t n = registry->apps_n, at = find(registry->apps, n, id);

	if (at == n)
		return failed(ERR_NOT_FOUND, "no such application");
	memcpy(next, registry->apps, n * sizeof *next);
	next[at] = next[n - 1];
	return replace(registry, next, n - 1, NULL);
}

enum err registry_remove(struct registry *registry, struct slice id)
{
	pthread_mutex_lock(&registry->changing);
	enum err e = remove_changing(registry, id);
	pthread_mutex_unlock(&registry->changing);
	return e;
}

void registry_newest(struct registry *registry, const char *id, char version[APP_VERSION])
{
	pthread_mutex_lock(&registry->changing);
	snprintf(version, APP_VERSION, "%s", newest_of(&registry->newest, id));
	pthread_mutex_unlock(&registry->changing);
}

void registry_check(struct registry *registry, const struct partition_policy *says)
{
	pthread_mutex_lock(&registry->changing);
	for (size_t i = 0; i < registry->apps_n; i++) {
		struct app *app = registry->apps[i];

		if (approvals_check(&app->approvals, app->package, says))
			log_warning("%s %s: %s", app->id, app->version, err_reason());
	}
	pthread_mutex_unlock(&registry->changing);
}

enum err registry_raise(struct registry *registry)
{
	struct app *same[REGISTRY_APPS_MAX];

	pthread_mutex_lock(&registry->changing);
	memcpy(same, registry->apps, sizeof same);
	enum err e = replace(registry, same, registry->apps_n, NULL);
	pthread_mutex_unlock(&registry->changing);
	return e;
}

enum err registry_get(struct registry *registry, struct slice id, struct app **out, uint64_t *epoch)
{
	enum err e = OK;

	pthread_mutex_lock(&registry->lock);
	size_t at = find(registry->apps, registry->apps_n, id);
	if (at < registry->apps_n) {
		*out = registry->apps[at];
		atomic_fetch_add(&(*out)->refs, 1);
	} else {
		e = failed(ERR_NOT_FOUND, "no such application");
	}
	if (epoch)
		*epoch = registry->epoch;
	pthread_mutex_unlock(&registry->lock);
	return e;
}

bool registry_has(struct registry *registry, const struct app *app)
{
	bool has = false;

	pthread_mutex_lock(&registry->lock);
	for (size_t i = 0; i < registry->apps_n && !has; i++)
		has = registry->apps[i] == app;
	pthread_mutex_unlock(&registry->lock);
	return has;
}

uint64_t registry_epoch(struct registry *registry)
{
	pthread_mutex_lock(&registry->lock);
	uint64_t epoch = registry->epoch;
	pthread_mutex_unlock(&registry->lock);
	return epoch;
}

void registry_list(struct registry *registry, size_t from, struct buf *out, size_t *next)
{
	CLEANUP(buf) struct buf entries = BUF_INIT;
	size_t i = from;

	pthread_mutex_lock(&registry->lock);
	while (i < registry->apps_n && entries.len < REGISTRY_PAGE_MAX)
		app_put(registry->apps[i++], &entries);
	cbor_put_uint(out, registry->epoch);
	*next = i < registry->apps_n ? i : 0;
	pthread_mutex_unlock(&registry->lock);
	cbor_put_array(out, i - from);
	buf_put_slice(out, buf_slice(&entries));
}

static struct app *find_oldest_locked(struct registry *registry, size_t *unpacked_n,
				      uint64_t *oldest_ms)
{
	struct app *oldest = NULL;

	*unpacked_n = 0;
	*oldest_ms = UINT64_MAX;
	for (size_t i = 0; i < registry->apps_n; i++) {
		uint64_t used_ms;
		bool unpacked;

		if (app_idle(registry->apps[i], &unpacked, &used_ms) && used_ms < *oldest_ms) {
			oldest = registry->apps[i];
			*oldest_ms = used_ms;
		}
		*unpacked_n += unpacked;
	}
	return oldest;
}

size_t registry_unpacked(struct registry *registry, uint64_t *oldest_ms)
{
	size_t n;

	pthread_mutex_lock(&registry->lock);
	(void)find_oldest_locked(registry, &n, oldest_ms);
	pthread_mutex_unlock(&registry->lock);
	return n;
}

bool registry_evict(struct registry *registry)
{
	uint64_t oldest_ms;
	size_t n;

	pthread_mutex_lock(&registry->lock);
	struct app *app = find_oldest_locked(registry, &n, &oldest_ms);
	if (app)
		atomic_fetch_add(&app->refs, 1);
	pthread_mutex_unlock(&registry->lock);
	if (!app)
		return false;
	bool evicted = app_evict(app);
	app_release(app);
	return evicted;
}

bool registry_uses(struct registry *registry, const uint8_t package[SHA256_SIZE])
{
	bool uses = false;

	pthread_mutex_lock(&registry->lock);
	for (size_t i = 0; i < registry->apps_n && !uses; i++)
		uses = !memcmp(registry->apps[i]->package, package, SHA256_SIZE);
	pthread_mutex_unlock(&registry->lock);
	return uses;
}
