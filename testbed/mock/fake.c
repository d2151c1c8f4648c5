/* fake.c - answers of the daemon that the tests of the module need. */
#include "testbed/mock/fake.h"

#include <stdio.h>

struct fake fake;
sem_t fake_runs, fake_go;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards fake.asked and the last ones */

static void put_partitions(struct wire_message *m)
{
	server_answer(m, 1, OK, "");
	cbor_put_array(&m->bytes, 1);
	cbor_put_array(&m->bytes, 6);
	cbor_put_text(&m->bytes, MOCK_SERIAL);
	cbor_put_uint(&m->bytes, 1);
	cbor_put_text(&m->bytes, "mock");
	cbor_put_bool(&m->bytes, !fake.suspended);
	cbor_put_bytes(&m->bytes, slice_of(FAKE_KEY_ID, FAKE_KEY_ID_N));
	cbor_put_text(&m->bytes, "assay/test/MOCK0001/1");
}

static void put_app(struct wire_message *m, const char *id, const char *cka_id)
{
	static const uint8_t digest[32] = { 0xd1 };

	cbor_put_array(&m->bytes, 8);
	cbor_put_text(&m->bytes, id);
	cbor_put_text(&m->bytes, "Screening");
	cbor_put_text(&m->bytes, "1.2");
	cbor_put_bytes(&m->bytes, SLICE(digest));
	cbor_put_bytes(&m->bytes, SLICE(digest));
	cbor_put_bytes(&m->bytes, SLICE(digest));
	cbor_put_bytes(&m->bytes, slice_text("manifest"));
	cbor_put_bytes(&m->bytes, slice_of(cka_id, 8));
}

/* The second application on a page of its own. */
static void put_page(struct wire_message *m, struct slice in)
{
	struct slice serial;
	bool second = !cbor_take_text(&in, WIRE_SERIAL_MAX, &serial) && in.left;

	server_answer(m, second ? 2 : 3, OK, "");
	cbor_put_uint(&m->bytes, 1);
	cbor_put_array(&m->bytes, 1);
	if (second)
		put_app(m, fake.nameless ? "" : "other", "otherid.");
	else
		put_app(m, FAKE_APP, FAKE_APP_ID);
	if (!second)
		cbor_put_uint(&m->bytes, 1);
}

static void put_apps(struct wire_message *m)
{
	server_answer(m, 2, OK, "");
	cbor_put_uint(&m->bytes, 1);
	cbor_put_array(&m->bytes, fake.two_apps ? 2 : 1);
	put_app(m, FAKE_APP, FAKE_APP_ID);
	if (fake.two_apps)
		put_app(m, "other", "otherid.");
}

static void put_result(struct wire_message *m, uint64_t id, const char *application)
{
	cbor_put_array(&m->bytes, 4);
	cbor_put_uint(&m->bytes, id);
	pthread_mutex_lock(&lock);
	cbor_put_text(&m->bytes, *fake.last_label ? fake.last_label : FAKE_LABEL);
	pthread_mutex_unlock(&lock);
	cbor_put_text(&m->bytes, application);
	cbor_put_uint(&m->bytes, 6);
}

static void put_results(struct wire_message *m)
{
	pthread_mutex_lock(&lock);
	bool any = fake.asked[REQ_EXECUTE] > 0;
	pthread_mutex_unlock(&lock);
	server_answer(m, 1, OK, "");
	cbor_put_array(&m->bytes, any ? 2 : 0);
	if (!any)
		return;
	put_result(m, 41, "assay:output");
	put_result(m, 42, "assay:proof");
}

/* How long it is. */
static size_t take_input(struct wire_message *m, struct slice *in, struct slice label)
{
	struct slice payload;
	bool mapped;

	ck_assert_ok(wire_take_payload(m, in, WIRE_PAYLOAD_MAX, &payload, &mapped));
	size_t n = payload.left;
	pthread_mutex_lock(&lock);
	memcpy(fake.last_label, label.p, label.left);
	fake.last_label[label.left] = 0;
	fake.last_input_n = n;
	memcpy(fake.last_input, payload.p, n < sizeof fake.last_input ? n : sizeof fake.last_input);
	pthread_mutex_unlock(&lock);
	if (mapped)
		io_unmap(&payload);
	return n;
}

/* RUN gives back "ran:" and how long its input was, FULL "full:" and the same. */
static void execute(struct wire_message *m, struct slice in)
{
	struct slice text, label, nonce, request;
	uint64_t operation, time_limit, run;
	char back[64], named[sizeof fake.last_label];

	ck_assert_ok(cbor_take_text(&in, 64, &text));
	ck_assert_ok(cbor_take_text(&in, 64, &text));
	ck_assert_ok(cbor_take_uint(&in, &operation));
	ck_assert_ok(cbor_take_bytes(&in, 64, &nonce));
	ck_assert_ok(cbor_take_bytes(&in, 64, &request));
	ck_assert_ok(cbor_take_uint(&in, &time_limit));
	ck_assert_ok(cbor_take_uint(&in, &run));
	pthread_mutex_lock(&lock);
	fake.last_time_limit = time_limit;
	fake.last_run = run;
	snprintf(fake.last_nonce, sizeof fake.last_nonce, "%.*s", (int)nonce.left,
		 (const char *)nonce.p);
	snprintf(fake.last_request, sizeof fake.last_request, "%.*s", (int)request.left,
		 (const char *)request.p);
	pthread_mutex_unlock(&lock);
	ck_assert_ok(cbor_take_text(&in, sizeof fake.last_label - 1, &label));
	snprintf(named, sizeof named, "%.*s", (int)label.left, (const char *)label.p);
	size_t n = take_input(m, &in, label);
	if (fake.slow) {
		sem_post(&fake_runs);
		sem_wait(&fake_go);
	}
	if (fake.execute) {
		server_answer(m, 1, fake.execute, "as told");
		cbor_put_text(&m->bytes, "");
		return;
	}
	snprintf(back, sizeof back, "%s:%zu", operation == OP_EXECUTE_FULL ? "full" : "ran", n);
	server_answer(m, 3, OK, "");
	cbor_put_bytes(&m->bytes, slice_text(FAKE_PROOF));
	cbor_put_text(&m->bytes, *named ? named : FAKE_LABEL);
	ck_assert_ok(wire_put_payload(m, slice_text(operation == OP_EXECUTE ? FAKE_PROOF : back)));
}

static bool wants_login(uint64_t number)
{
	bool role = number == REQ_BEGIN || number == REQ_EXECUTE || number == REQ_RESULTS ||
		    number == REQ_FETCH || number == REQ_LOAD;

	if (!role || !fake.login_wanted)
		return false;
	fake.login_wanted--;
	return true;
}

static bool handle(struct wire_message *m, uint64_t number, struct slice in)
{
	static const uint8_t nonce[32] = { 0x4e };

	pthread_mutex_lock(&lock);
	fake.asked[number]++;
	pthread_mutex_unlock(&lock);
	if (number == fake.garbled) {
		server_answer(m, 1, OK, "");
		cbor_put_bool(&m->bytes, true);
		return true;
	}
	if (wants_login(number)) {
		server_answer(m, 0, ERR_LOGIN, "prove it");
		return true;
	}
	switch (number) {
	case REQ_HELLO:
		server_greet(m);
		break;
	case REQ_ATTACH:
		server_answer(m, 0, fake.alone ? ERR_LIMIT : OK, "");
		break;
	case REQ_REVOKE:
		if (fake.deaf)
			sem_wait(&fake_go);
		server_answer(m, 0, OK, "");
		break;
	case REQ_PARTITIONS:
		put_partitions(m);
		break;
	case REQ_CHALLENGE:
		server_answer(m, 1, OK, "");
		cbor_put_bytes(&m->bytes, SLICE(nonce));
		break;
	case REQ_PROVE:
		server_answer(m, 1, OK, "");
		cbor_put_uint(&m->bytes, 60);
		break;
	case REQ_APPS:
		if (fake.paged)
			put_page(m, in);
		else
			put_apps(m);
		break;
	case REQ_BEGIN:
		server_answer(m, 0, fake.begin, "as told");
		break;
	case REQ_EXECUTE:
		if (fake.broken)
			return false;
		execute(m, in);
		break;
	case REQ_RESULTS:
		put_results(m);
		break;
	case REQ_FETCH:
		server_answer(m, 1, OK, "");
		ck_assert_ok(wire_put_payload(m, slice_text("output")));
		break;
	case REQ_LOAD:
		server_answer(m, fake.load ? 0 : 1, fake.load, "");
		if (!fake.load)
			cbor_put_bytes(&m->bytes, slice_text(FAKE_PROOF));
		break;
	case REQ_CANCEL:
		ck_assert_ok(cbor_take_uint(&in, &fake.last_cancelled));
		server_answer(m, 0, OK, "");
		break;
	default:
		server_answer(m, 0, OK, "");
	}
	return true;
}

void fake_start(const char *path)
{
	sem_init(&fake_runs, 0, 0);
	sem_init(&fake_go, 0, 0);
	server_handler = handle;
	server_start(path);
}
