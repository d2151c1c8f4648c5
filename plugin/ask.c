/* ask.c - one function per request that an application or a result needs. */
#include "plugin/ask.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "plugin/contact.h"

#define BEGUN_MS 1000
#define APPS_TRIES 3
#define PAGES_MAX 64
#define RESULTS_MAX 65536

static enum err malformed(const char *what)
{
	return failed(ERR_IO, "the daemon's answer to %s is malformed", what);
}

void payload_init(struct payload *payload)
{
	*payload = (struct payload){ 0 };
	wire_init(&payload->message);
}

void payload_cleanup(struct payload *payload)
{
	if (payload->mapped)
		io_unmap(&payload->bytes);
	wire_cleanup(&payload->message);
	payload_init(payload);
}

static enum err put_input(struct wire_message *m, const struct input *input)
{
	if (input->fd < 0)
		return wire_put_payload(m, input->bytes);
	int copy = fcntl(input->fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return failed(ERR_MEMORY, "input: %m");
	m->fds[m->fds_n++] = copy;
	cbor_put_null(&m->bytes);
	return OK;
}

/* All of them, over as many messages as it takes; of one epoch. */
struct pages {
	struct wire_message answer[PAGES_MAX];
	struct slice apps[PAGES_MAX];
	size_t items[PAGES_MAX], n;
	uint64_t epoch;
};

static void pages_cleanup(struct pages *pages)
{
	while (pages->n)
		wire_cleanup(&pages->answer[--pages->n]);
}

static enum err ask_page(const struct partition *p, struct pages *pages, uint64_t *from)
{
	CLEANUP(wire) struct wire_message request;
	struct slice in, apps;
	struct wire_app app;
	size_t at = pages->n++;
	uint64_t epoch;

	wire_init(&request);
	wire_init(&pages->answer[at]);
	link_request(&request, REQ_APPS, *from ? 2 : 1);
	cbor_put_text(&request.bytes, p->serial);
	if (*from)
		cbor_put_uint(&request.bytes, *from);
	enum err e = contact_call(&request, &pages->answer[at], &in);
	if (e)
		return e;
	if (cbor_take_uint(&in, &epoch) || cbor_take_array(&in, WIRE_APPS_MAX, &pages->items[at]))
		return malformed("APPS");
	apps = in;
	for (size_t i = 0; i < pages->items[at]; i++)
		if (wire_take_app(&in, &app))
			return malformed("APPS");
	if (at > 0 && epoch != pages->epoch)
		return failed(ERR_STATE, "applications were loaded meanwhile");
	pages->epoch = epoch;
	pages->apps[at] = apps;
	*from = 0;
	return in.left && cbor_take_uint(&in, from) ? malformed("APPS") : OK;
}

static enum err ask_pages(const struct partition *p, struct pages *pages)
{
	uint64_t from = 0;
	enum err e;

	pages_cleanup(pages);
	do
		if ((e = ask_page(p, pages, &from)))
			return e;
	while (from && pages->n < PAGES_MAX);
	return OK;
}

enum err service_apps(const struct partition *p, app_visit *call, void *context)
{
	CLEANUP(pages) struct pages pages = { .n = 0 };
	enum err e = ask_pages(p, &pages);

	for (int tries = 0; e == ERR_STATE && tries < APPS_TRIES; tries++)
		e = ask_pages(p, &pages);
	if (e)
		return e;
	for (size_t page = 0; page < pages.n; page++)
		for (size_t i = 0; i < pages.items[page]; i++) {
			struct wire_app app;

			if (!wire_take_app(&pages.apps[page], &app))
				call(context, &app);
		}
	return OK;
}

/* What was allowed a moment ago, over this link and to whoever is still logged in, is not asked again:
 * the daemon judges the execution anew, and who runs one after the other saves a question for each. */
static bool begun(struct session *session, const struct partition *p, const char *app,
		  CK_MECHANISM_TYPE mechanism)
{
	pthread_mutex_lock(&session->lock);
	struct begun last = session->begun;
	pthread_mutex_unlock(&session->lock);
	return last.contact && io_monotonic_ms() < last.until_ms && last.mechanism == mechanism &&
	       last.generation == p->generation && !strcmp(last.app, app) &&
	       ask_granted(session, p) == last.contact;
}

static void note_begun(struct session *session, const struct begun *what)
{
	pthread_mutex_lock(&session->lock);
	session->begun = *what;
	pthread_mutex_unlock(&session->lock);
}

static enum err ask_begin(struct session *session, const struct partition *p, const char *app,
			  CK_MECHANISM_TYPE mechanism)
{
	CLEANUP(wire) struct wire_message request, answer;
	enum wire_role role;
	struct slice in;

	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_BEGIN, 3);
	cbor_put_text(&request.bytes, p->serial);
	cbor_put_text(&request.bytes, app);
	cbor_put_uint(&request.bytes, mechanism & 0xffffffff);
	enum err e = ask_as_role(session, p, &request, &answer, &in, &role);
	if (e != ERR_GONE || !service_present())
		return e;
	/* The daemon was restarted: nothing runs yet, so once more over a new link. */
	service_stale();
	service_wake();
	buf_reset(&answer.bytes);
	return ask_as_role(session, p, &request, &answer, &in, &role);
}

enum err service_begin(struct session *session, const struct partition *p, const char *app,
		       CK_MECHANISM_TYPE mechanism)
{
	if (*app && begun(session, p, app, mechanism))
		return OK;
	struct begun now = { .mechanism = mechanism,
			     .generation = p->generation,
			     .until_ms = io_monotonic_ms() + BEGUN_MS };
	enum err e = ask_begin(session, p, app, mechanism);
	if (!e)
		now.contact = ask_granted(session, p);
	snprintf(now.app, sizeof now.app, "%s", app);
	note_begun(session, &now);
	return e;
}

static void copy_label(struct payload *out, struct slice label)
{
	memcpy(out->label, label.p, label.left);
	out->label[label.left] = 0;
}

enum err service_execute(struct session *session, const struct partition *p, const char *app,
			 enum wire_operation operation, const struct options *options, uint64_t run,
			 struct slice label, const struct input *input, struct payload *out)
{
	CLEANUP(wire) struct wire_message request;
	struct slice in, proof, result_label;
	enum wire_role role;
	enum err e;

	wire_init(&request);
	link_request(&request, REQ_EXECUTE, 9);
	cbor_put_text(&request.bytes, p->serial);
	cbor_put_text(&request.bytes, app);
	cbor_put_uint(&request.bytes, operation);
	cbor_put_bytes(&request.bytes, option_slice(&options->nonce));
	cbor_put_bytes(&request.bytes, option_slice(&options->request));
	cbor_put_uint(&request.bytes, options_time_limit(options));
	cbor_put_uint(&request.bytes, run);
	cbor_put_text_slice(&request.bytes, label);
	if ((e = put_input(&request, input)) ||
	    (e = ask_as_role(session, p, &request, &out->message, &in, &role))) {
		note_begun(session, &(struct begun){ 0 });
		return e;
	}
	if (cbor_take_bytes(&in, WIRE_MESSAGE_MAX, &proof) ||
	    cbor_take_text(&in, sizeof out->label - 1, &result_label) ||
	    wire_take_payload(&out->message, &in, WIRE_PAYLOAD_MAX, &out->bytes, &out->mapped))
		return malformed("EXECUTE");
	copy_label(out, result_label);
	return OK;
}

void service_cancel(uint64_t run)
{
	CLEANUP(wire) struct wire_message request, answer;
	struct slice in;

	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_CANCEL, 1);
	cbor_put_uint(&request.bytes, run);
	/* Told or not, nobody waits for what comes of it. */
	if (run)
		(void)!contact_call(&request, &answer, &in);
}

enum err service_load(struct session *session, const struct partition *p, const struct input *input,
		      struct payload *out)
{
	CLEANUP(wire) struct wire_message request;
	enum wire_role role;
	struct slice in;
	enum err e;

	wire_init(&request);
	link_request(&request, REQ_LOAD, 2);
	cbor_put_text(&request.bytes, p->serial);
	if ((e = put_input(&request, input)) ||
	    (e = ask_as_role(session, p, &request, &out->message, &in, &role)))
		return e;
	return cbor_take_bytes(&in, WIRE_MESSAGE_MAX, &out->bytes) ? malformed("LOAD") : OK;
}

enum err service_unload(struct session *session, const struct partition *p, const char *app)
{
	CLEANUP(wire) struct wire_message request, answer;
	enum wire_role role;
	struct slice in;

	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_UNLOAD, 2);
	cbor_put_text(&request.bytes, p->serial);
	cbor_put_text(&request.bytes, app);
	return ask_as_role(session, p, &request, &answer, &in, &role);
}

static bool take_result(struct slice *in, struct result_info *result)
{
	size_t items;

	return !cbor_take_array(in, 8, &items) && items == 4 && !cbor_take_uint(in, &result->id) &&
	       !cbor_take_text(in, 255, &result->label) &&
	       !cbor_take_text(in, 64, &result->application) && !cbor_take_uint(in, &result->size);
}

enum err service_results(struct session *session, const struct partition *p, struct slice label,
			 enum wire_role *role, result_visit *call, void *context)
{
	CLEANUP(wire) struct wire_message request, answer;
	struct slice in;
	size_t items;

	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_RESULTS, label.left ? 2 : 1);
	cbor_put_text(&request.bytes, p->serial);
	if (label.left)
		cbor_put_text_slice(&request.bytes, label);
	enum err e = ask_as_role(session, p, &request, &answer, &in, role);
	if (e)
		return e;
	if (cbor_take_array(&in, RESULTS_MAX, &items))
		return malformed("RESULTS");
	for (size_t i = 0; i < items; i++) {
		struct result_info result;
		if (!take_result(&in, &result))
			return malformed("RESULTS");
		call(context, &result);
	}
	return OK;
}

enum err service_fetch(struct session *session, const struct partition *p, uint64_t id,
		       struct payload *out)
{
	CLEANUP(wire) struct wire_message request;
	enum wire_role role;
	struct slice in;

	wire_init(&request);
	link_request(&request, REQ_FETCH, 2);
	cbor_put_text(&request.bytes, p->serial);
	cbor_put_uint(&request.bytes, id);
	enum err e = ask_as_role(session, p, &request, &out->message, &in, &role);
	if (e)
		return e;
	return wire_take_payload(&out->message, &in, WIRE_PAYLOAD_MAX, &out->bytes, &out->mapped)
		       ? malformed("FETCH")
		       : OK;
}

void service_suspend(const struct partition *p)
{
	CLEANUP(wire) struct wire_message request, answer;
	struct slice in;

	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_SUSPEND, 1);
	cbor_put_text(&request.bytes, p->serial);
	/* Told or not, the next proof fails with the key. */
	if (contact_call(&request, &answer, &in) == OK)
		service_stale();
}
