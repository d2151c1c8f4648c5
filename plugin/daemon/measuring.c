/* Requests about the platform: PLATFORM, PLATFORM_ACCEPT. */
#include <stdlib.h>

#include "plugin/daemon/accepted.h"
#include "plugin/daemon/request.h"

/* Which parts are not as accepted; all of them when nothing was accepted yet. */
static enum err put_differing(struct call *call, const struct leaf *leaf)
{
	CLEANUP(accepted) struct accepted accepted = { 0 };
	CLEANUP(buf) struct buf names = BUF_INIT;
	size_t n = 0;
	enum err e = call->daemon->unprivileged ? ERR_STATE
						: accepted_read(call->daemon->state, &accepted);

	for (size_t i = 0; e != ERR_STATE && i < leaf->components_n; i++) {
		if (!accepted_differs(&accepted, &leaf->components[i]))
			continue;
		cbor_put_text_slice(&names, leaf->components[i].name);
		n++;
	}
	cbor_put_array(&call->results.bytes, n);
	buf_put_slice(&call->results.bytes, buf_slice(&names));
	return buf_check(&names);
}

enum err request_PLATFORM(struct call *call)
{
	CLEANUP(tcb_record) struct tcb_record *record = tcb_hold(&call->daemon->tcb);
	CLEANUP(leaf) struct leaf *leaf = NULL;
	struct buf *out = &call->results.bytes;
	enum err e = call_arguments(call, 0);

	if (e || (e = leaf_read(buf_slice(&record->leaf), &leaf)))
		return e;
	cbor_put_bytes(out, buf_slice(&record->leaf));
	cbor_put_bytes(out, buf_slice(&record->receipt));
	cbor_put_text(out, tcb_ready(&call->daemon->tcb) ? err_reason() : "");
	call->results_n = 4;
	return put_differing(call, leaf);
}

enum err request_PLATFORM_ACCEPT(struct call *call)
{
	uint8_t digest[SHA256_SIZE];
	enum err e;

	if ((e = call_arguments(call, 1)) ||
	    (e = cbor_take_fixed(&call->in, digest, sizeof digest)) || (e = call_end(call)))
		return e;
	call->caller.role = LEAF_ROLE_ADMIN;
	pthread_mutex_lock(&call->daemon->managing);
	e = tcb_accept(call->daemon, &call->caller, digest);
	pthread_mutex_unlock(&call->daemon->managing);
	return e;
}
