#include "plugin/daemon/running.h"

#include <stdio.h>

/* ---- its image ---- */

struct oldest {
	struct registry *registry;
	uint64_t used_ms;
};

static enum err compare(void *context, struct partition *p)
{
	struct oldest *oldest = context;
	uint64_t used_ms;

	(void)registry_unpacked(&p->registry, &used_ms);
	if (used_ms < oldest->used_ms)
		*oldest = (struct oldest){ &p->registry, used_ms };
	return OK;
}

/* The launcher has room for so many images: the idle one that was used longest ago makes way. */
static bool evict_any(struct daemon *daemon)
{
	struct oldest oldest = { NULL, UINT64_MAX };

	return !partitions_each(&daemon->partitions, compare, &oldest) && oldest.registry &&
	       registry_evict(oldest.registry);
}

/* Partitions have their share, which they use in turn themselves. */
static enum err unpack_within_share(struct call *call, struct app *app,
				    struct sandbox_image **image)
{
	struct registry *registry = &call->partition->registry;
	uint64_t oldest_ms;
	enum err e;

	while (registry_unpacked(registry, &oldest_ms) >= REGISTRY_IMAGES_MAX)
		if (!registry_evict(registry))
			break;
	do
		e = app_unpacked(app, call->daemon->state, call->daemon->box, image);
	while (e == ERR_LIMIT && evict_any(call->daemon));
	return e;
}

/* A package that was changed or lost on disk is no fault of the caller's, nor of its input. */
enum err running_unpack(struct call *call, struct execution *x, struct sandbox_image **image)
{
	enum err e = unpack_within_share(call, x->app, image);

	x->unpacked = !e;
	if (e == ERR_MISMATCH || e == ERR_FORMAT || e == ERR_RANGE || e == ERR_NOT_FOUND)
		return failed(ERR_IO, "%s can't be unpacked: %s", x->app->id, err_reason());
	return e;
}

/* ---- its run ---- */

struct watched {
	struct call *call;
	const struct order *order;
	struct execution *x;
};

/* What was granted at first may be so no longer. A grant's time may run out meanwhile, but not
 * before anything runs. */
static enum err check_granted(struct call *call, const struct execution *x, bool running)
{
	struct auth_role who = call_auth_role(call, WIRE_USER);
	uint64_t now_ms = io_monotonic_ms();
	enum err e = partition_usable(call->partition);

	if (e)
		return e;
	if (!auth_stands(&call->client->auth, &who, x->grant, now_ms) ||
	    (!running && !auth_allows(&call->client->auth, &who, now_ms, NULL)))
		return failed(ERR_LOGIN, "the user of this partition is not logged in any more");
	if (!registry_has(&call->partition->registry, x->app))
		return failed(ERR_NOT_FOUND, "%s was unloaded or replaced", x->app->id);
	CLEANUP(rules) struct rules *rules = partition_rules(call->partition);
	return rules == x->rules ? OK : rules_may_run(rules, call->caller.uid, x->app);
}

static enum err still_wanted(void *context, bool running)
{
	struct watched *w = context;
	struct daemon *daemon = w->call->daemon;
	enum err e = OK;

	/* Whoever repeats a request that has an id is still to get its answer. */
	if (!(running && w->order->request.left) && connection_hung_up(w->call->connection))
		e = failed(ERR_GONE, "the client has gone");
	else if (client_cancelled(w->call->client, w->order->run))
		e = failed(ERR_TIMEOUT, "the client cancelled it");
	else if (atomic_load(running ? &daemon->ending : &daemon->stopping))
		e = failed(ERR_GONE, "the daemon ends");
	else
		e = check_granted(w->call, w->x, running);
	if (e && running)
		snprintf(w->x->cancelled, sizeof w->x->cancelled, "%s", err_reason());
	w->x->unwanted = e && !running;
	return e;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

enum err running_run(struct call *call, struct sandbox_image *image, const struct order *order,
		     struct execution *x)
{
	const struct config *config = call->daemon->config;
	struct limits limits = x->app->limits;

	limits.memory_bytes = least(limits.memory_bytes, config->limits_memory_bytes);
	limits.output_bytes = least(limits.output_bytes, config->limits_output_bytes);
	limits.wall_ms = (uint32_t)least(limits.wall_ms, config->limits_wall_ms);
	limits.output_bytes = least(limits.output_bytes, x->rules->says->limits_output_bytes);
	limits.wall_ms = (uint32_t)least(limits.wall_ms, x->rules->says->limits_wall_ms);
	struct watched watched = { call, order, x };
	const struct sandbox_watch watch = { still_wanted, &watched };
	if (order->time_limit)
		limits.wall_ms = (uint32_t)least(limits.wall_ms, order->time_limit);
	enum err e = sandbox_run_watched(image, order->input, &limits, &watch, &x->run);
	x->ran = !e;
	if (x->ran && !x->cancelled[0] && check_granted(call, x, true))
		snprintf(x->cancelled, sizeof x->cancelled, "%s", err_reason());
	return e;
}

enum err running_end(const struct order *order, const struct execution *x)
{
	const struct run *run = &x->run;
	bool its_own = !order->time_limit || order->time_limit >= x->app->limits.wall_ms;

	if (x->cancelled[0])
		return failed(ERR_TIMEOUT, "%s was cancelled: %s", x->app->id, x->cancelled);
	switch (run->kind) {
	case RUN_EXIT:
		if (run->code == 0)
			return OK;
		if (run->code == x->app->refuse_code)
			return failed(ERR_INPUT, "%s refused its input", x->app->id);
		return failed(ERR_FAILED, "%s ended with exit status %u", x->app->id, run->code);
	case RUN_SIGNAL:
		return failed(ERR_FAILED, "%s was ended by signal %u", x->app->id, run->code);
	case RUN_TIMEOUT:
		return failed(ERR_TIMEOUT, "%s took longer than %s limit", x->app->id,
			      run->code == 1 ? "its CPU time"
			      : its_own      ? "its time"
					     : "the request's time");
	case RUN_MEMORY:
		return failed(ERR_LIMIT, "%s needed more than its memory limit", x->app->id);
	case RUN_OUTPUT:
		return failed(ERR_LIMIT, "%s wrote more than its output limit", x->app->id);
	case RUN_PROCESSES:
		return failed(ERR_LIMIT, "%s failed when it was refused more processes",
			      x->app->id);
	default:
		return failed(ERR_DENIED, "%s was not run", x->app->id);
	}
}
