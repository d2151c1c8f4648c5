/* request.h - one request of requests.def: taken apart, judged, answered.
 *
 * Each handler first takes all its arguments into typed values, then decides on these alone, then
 * puts its results. A refusal is a record before it is an answer.
 */
#ifndef PLUGIN_DAEMON_REQUEST_H
#define PLUGIN_DAEMON_REQUEST_H

#include "plugin/daemon/record.h"

struct call {
	struct daemon *daemon;
	struct connection *connection;
	struct client *client; /* NULL before HELLO */
	struct wire_message *request;
	struct slice in; /* the arguments that are left */
	size_t arguments;
	struct wire_message results;
	size_t results_n;
	bool results_with_error; /* EXECUTE's label */
	/* Set by call_role and call_partition. */
	struct partition *partition;
	struct record_caller caller;
	bool astray;     /* the partition is not enrolled, or suspended */
	unsigned number; /* of the request */
	bool refused;    /* it is in the log, or counted */
	bool impatient;  /* refusals of its user come too fast */
	bool proving;    /* what is refused is the proof of a role: a record of that type */
};

/* Serves one request, filling @answer. An error means that the connection must end. */
MUST enum err request_serve(struct daemon *daemon, struct connection *connection,
			    struct wire_message *request, struct wire_message *answer);

/* One handler per line of the list. */
#define REQUEST(name, number, who, pace) enum err request_##name(struct call *call);
#include "plugin/requests.def"
#undef REQUEST

/* What handlers share. */

/* ERR_FORMAT unless the request has exactly @n arguments. */
MUST enum err call_arguments(const struct call *call, size_t n);
MUST enum err call_end(const struct call *call);
/* Takes a partition's serial, and finds it. ERR_NOT_FOUND; with @active also when suspended. */
MUST enum err call_partition(struct call *call, bool active);
/* Unless the link holds this role of call->partition now: ERR_DENIED when it holds the other one,
 * else ERR_LOGIN. Fills call->caller. */
MUST enum err call_role(struct call *call, enum wire_role role);
/* The user if that is granted, else the SO. */
MUST enum err call_any_role(struct call *call, enum wire_role *role);
struct auth_role call_auth_role(const struct call *call, enum wire_role role);
/* Holds up who is refused, or asks for what is dear, all the time. No lock may be held. */
void call_wait(struct call *call);
/* Writes down what was counted, of causes whose second is over, or @all. */
void request_record_refusals(struct daemon *daemon, bool all);
/* Writes the record of a refusal into the tree where it belongs, and hands @e up with the reason
 * noted last; no lock may be held, since it may wait; when it can't be recorded, that is the error.
 * @subject: an application, or empty. */
MUST enum err call_refuse(struct call *call, enum err e, struct slice subject);

#endif
