/* service.h - what the module asks of the daemon.
 *
 * Calls block until the daemon answers and hold no lock meanwhile, save that a role is proved under
 * its slot's lock. Errors are the daemon's; ERR_GONE also when there is none; ERR_IO when its answer
 * makes no sense.
 */
#ifndef PLUGIN_SERVICE_H
#define PLUGIN_SERVICE_H

#include "plugin/options.h"
#include "plugin/session.h"

/* Called before anything that depends on what is enrolled: looks for the daemon, and asks which
 * partitions there are, if that was not done in the last second. */
void service_wake(void);
/* Whether a daemon answered when it was asked last. */
bool service_present(void);
/* Whoever needs fresh news at the next service_wake. */
void service_stale(void);

/* What an application works on: bytes, or when @fd is not negative a sealed memory file. */
struct input {
	struct slice bytes;
	int fd;
};

/* What came back; bytes point into the message or a mapping. */
struct payload {
	struct wire_message message;
	struct slice bytes;
	bool mapped;
	char label[256];
};
void payload_init(struct payload *payload);
void payload_cleanup(struct payload *payload);

typedef void app_visit(void *context, const struct wire_app *app);
MUST enum err service_apps(const struct partition *p, app_visit *call, void *context);

/* @app "" is the loader. @run: for service_cancel, 0: never cancelled. */
MUST enum err service_begin(struct session *session, const struct partition *p, const char *app,
			    CK_MECHANISM_TYPE mechanism);
MUST enum err service_execute(struct session *session, const struct partition *p, const char *app,
			      enum wire_operation operation, const struct options *options,
			      uint64_t run, struct slice label, const struct input *input,
			      struct payload *out);
/* Has the daemon end an execution; whoever waits for it is told. */
void service_cancel(uint64_t run);
MUST enum err service_load(struct session *session, const struct partition *p,
			   const struct input *input, struct payload *out);
MUST enum err service_unload(struct session *session, const struct partition *p, const char *app);

struct result_info {
	uint64_t id, size;
	struct slice label, application;
};
typedef void result_visit(void *context, const struct result_info *result);
/* Newest first, as many as one message holds; with a label, not empty, only those that bear it.
 * @role is the role that they belong to; without one ERR_LOGIN. */
MUST enum err service_results(struct session *session, const struct partition *p,
			      struct slice label, enum wire_role *role, result_visit *call,
			      void *context);
MUST enum err service_fetch(struct session *session, const struct partition *p, uint64_t id,
			    struct payload *out);
/* The token was initialised: the daemon is to look whether the role key is still there. */
void service_suspend(const struct partition *p);

/* Ends what the daemon granted for the slot, before the HSM is told; slot->lock is held. */
void service_revoke_locked(struct slot *slot);
void service_revoke_all(void);

void service_close(void);
void service_forked(void);

/* The result that a client sees, from errors.def. */
CK_RV service_rv(enum err e);

#endif
