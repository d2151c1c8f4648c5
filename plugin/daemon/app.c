#include "plugin/daemon/app.h"

#include <stdlib.h>
#include <string.h>

#include "config/base/cbor.h"
#include "config/base/io.h"
#include "sandbox/manifest.h"

void app_release(struct app *app)
{
	if (!app || atomic_fetch_sub(&app->refs, 1) != 1)
		return;
	if (app->unpacked)
		sandbox_image_drop(app->unpacked);
	buf_free(&app->manifest);
	approvals_free(&app->approvals);
	pthread_mutex_destroy(&app->lock);
	free(app);
}

void app_cleanup(struct app **app)
{
	app_release(STEAL(*app));
}

static void copy_text(char *to, size_t room, struct slice from)
{
	size_t n = from.left < room - 1 ? from.left : room - 1;

	memcpy(to, from.p, n);
	to[n] = 0;
}

static enum err check_ceiling(const struct manifest *m, const struct app_ceiling *ceiling)
{
	const struct {
		const char *what;
		uint64_t asked, allowed;
	} checks[] = {
		{ "bytes of memory", m->limits.memory_bytes, ceiling->memory_bytes },
		{ "bytes of output", m->limits.output_bytes, ceiling->output_bytes },
		{ "ms", m->limits.wall_ms, ceiling->wall_ms },
	};

	for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
		if (checks[i].asked > checks[i].allowed)
			return failed(ERR_RANGE,
				      "the package asks for %llu %s, at most %llu allowed",
				      (unsigned long long)checks[i].asked, checks[i].what,
				      (unsigned long long)checks[i].allowed);
	return OK;
}

enum err app_examine(struct slice package, const struct trailer *signers,
		     const struct app_ceiling *ceiling, struct app **out)
{
	CLEANUP(app) struct app *app = calloc(1, sizeof *app);
	CLEANUP(buf) struct buf purity = BUF_INIT;
	struct package parsed;
	uint8_t id_hash[SHA256_SIZE];
	enum err e;

	if (!app)
		return failed(ERR_MEMORY, "application");
	app->refs = 1;
	pthread_mutex_init(&app->lock, NULL);
	if ((e = package_parse(package, &parsed)) ||
	    (ceiling && (e = check_ceiling(&parsed.manifest, ceiling))) ||
	    (signers && (e = approvals_init(&app->approvals, signers))))
		return e;
	copy_text(app->id, sizeof app->id, parsed.manifest.id);
	copy_text(app->label, sizeof app->label, parsed.manifest.label);
	copy_text(app->version, sizeof app->version, parsed.manifest.version);
	sha256_once(package, app->package);
	app->package_n = package.left;
	memcpy(app->image, parsed.image, SHA256_SIZE);
	memcpy(app->profile, parsed.profile, SHA256_SIZE);
	memcpy(app->measurement, parsed.measurement, SHA256_SIZE);
	sha256_once(parsed.manifest.id, id_hash);
	memcpy(app->cka_id, id_hash, sizeof app->cka_id);
	app->limits = parsed.manifest.limits;
	app->refuse_code = parsed.manifest.refuse_code;
	if (parsed.manifest.purity) {
		manifest_purity_put(parsed.manifest.purity, &purity);
		copy_text(app->purity, sizeof app->purity, buf_slice(&purity));
	}
	buf_put_slice(&app->manifest, parsed.manifest_raw);
	if ((e = buf_check(&purity)) || (e = buf_check(&app->manifest)))
		return e;
	*out = STEAL(app);
	return OK;
}

void app_put(const struct app *app, struct buf *out)
{
	cbor_put_array(out, 8);
	cbor_put_text(out, app->id);
	cbor_put_text(out, app->label);
	cbor_put_text(out, app->version);
	cbor_put_bytes(out, SLICE(app->measurement));
	cbor_put_bytes(out, SLICE(app->image));
	cbor_put_bytes(out, SLICE(app->profile));
	cbor_put_bytes(out, buf_slice(&app->manifest));
	cbor_put_bytes(out, SLICE(app->cka_id));
}

static enum err unpack_locked(struct app *app, const struct state *state, struct sandbox *box)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	CLEANUP(fd) int fd = -1;
	enum err e;

	if ((e = state_get_package(state, app->package, &raw)) ||
	    (e = io_memfd("assay-package", buf_slice(&raw), &fd)))
		return e;
	if ((e = sandbox_image_add(box, fd, app->measurement, &app->unpacked)))
		return e;
	sandbox_image_group(app->unpacked, app->group);
	return OK;
}

enum err app_unpacked(struct app *app, const struct state *state, struct sandbox *box,
		      struct sandbox_image **out)
{
	enum err e = OK;

	pthread_mutex_lock(&app->lock);
	if (!app->unpacked)
		e = unpack_locked(app, state, box);
	if (!e)
		app->users++;
	app->used_ms = io_monotonic_ms();
	*out = app->unpacked;
	pthread_mutex_unlock(&app->lock);
	return e;
}

void app_done(struct app *app)
{
	pthread_mutex_lock(&app->lock);
	app->users--;
	app->used_ms = io_monotonic_ms();
	pthread_mutex_unlock(&app->lock);
}

void app_drain(struct app *app)
{
	pthread_mutex_lock(&app->lock);
	if (app->unpacked)
		sandbox_image_drain(app->unpacked);
	pthread_mutex_unlock(&app->lock);
}

bool app_idle(struct app *app, bool *unpacked, uint64_t *used_ms)
{
	*unpacked = true;
	if (pthread_mutex_trylock(&app->lock))
		return false;
	bool idle = app->unpacked && app->users == 0;
	*unpacked = app->unpacked != NULL;
	*used_ms = app->used_ms;
	pthread_mutex_unlock(&app->lock);
	return idle;
}

bool app_evict(struct app *app)
{
	struct sandbox_image *image = NULL;

	pthread_mutex_lock(&app->lock);
	if (app->users == 0)
		image = STEAL(app->unpacked);
	pthread_mutex_unlock(&app->lock);
	sandbox_image_drop(image);
	return image != NULL;
}
