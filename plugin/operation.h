/* operation.h - one execution, from Init to the call that takes its result.
 *
 * The first call that asks for the result executes, once, and keeps what came back; the next ones
 * copy it. A mechanism that has a fixed answer for the length does not execute for that question.
 * A failure ends the operation, and is told again, without executing, to the next operation of the
 * session with the same mechanism, key and input within five seconds: a client that tries again in
 * parts must not run an application twice. A client that passes a parameter knows what it does: its
 * failures are not told again here. A success is never told twice.
 *
 * The session's lock guards its operation and is let go while the application runs.
 */
#ifndef PLUGIN_OPERATION_H
#define PLUGIN_OPERATION_H

#include "plugin/mechanism.h"
#include "plugin/object.h"
#include "plugin/options.h"
#include "plugin/service.h"

struct operation;

/* The session, to be put back, if an operation of ours is active there in @call; else NULL. Costs
 * nothing while the process has no operation of ours. */
struct session *operation_session(CK_SESSION_HANDLE s, enum mechanism_call call);

/* Whether any operation of ours is active in the session. */
bool operation_active(struct session *session);
/* The daemon has agreed; takes over @p, whatever it answers. */
CK_RV operation_begin(struct session *session, const struct mechanism *mechanism,
		      const struct options *options, struct partition *p, const struct object *key);
/* For an active operation: C_Sign, C_SignUpdate and C_SignFinal, and their like. */
CK_RV operation_single(struct session *session, struct slice data, CK_BYTE *out, CK_ULONG *out_n);
CK_RV operation_update(struct session *session, struct slice part);
CK_RV operation_final(struct session *session, CK_BYTE *out, CK_ULONG *out_n);

/* Ends the session's operation; session->lock is held. For one that runs, answers what to call
 * service_cancel with, once the lock is let go; else 0. */
uint64_t operation_end(struct session *session);
/* The same, but only for one that runs. */
void operation_cancel(struct session *session);
void operation_free(struct operation *operation); /* NULL is allowed */
void operation_forked(void);

/* Bytes that the input of an application may have. */
size_t operation_input_max(void);

#endif
