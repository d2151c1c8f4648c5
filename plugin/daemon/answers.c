#include "plugin/daemon/answers.h"

#include <string.h>

#include "audit/proof.h"
#include "config/base/cbor.h"
#include "config/base/io.h"
#include "plugin/daemon/answer_file.h"

#define WAIT_MS 100
#define ITEMS 12

void answer_free(struct answer *answer)
{
	struct buf *files[] = { &answer->run_file, &answer->proof_file };

	for (size_t i = 0; i < 2; i++) {
		if (files[i]->data)
			secret_wipe(files[i]->data, files[i]->cap);
		buf_free(files[i]);
	}
}

void answers_init(struct answers *answers, struct state *state, struct seals *seals,
		  uint64_t ttl_seconds, uint64_t quota)
{
	pthread_condattr_t attributes;

	*answers = (struct answers){
		.state = state, .seals = seals, .ttl_seconds = ttl_seconds, .quota = quota
	};
	pthread_mutex_init(&answers->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&answers->released, &attributes);
	pthread_condattr_destroy(&attributes);
}

/* ---- claims ---- */

static enum err make_name(const struct answers *answers, const struct partition *p,
			  enum wire_role role, struct slice id, uint8_t name[ANSWER_NAME])
{
	CLEANUP(buf) struct buf text = BUF_INIT;

	cbor_put_array(&text, 5);
	cbor_put_text(&text, "name");
	cbor_put_text(&text, p->serial);
	cbor_put_uint(&text, p->generation);
	cbor_put_uint(&text, role);
	cbor_put_bytes(&text, id);
	enum err e = buf_check(&text);
	return e ? e : state_keyed_hash(answers->state, buf_slice(&text), name);
}

bool answer_claimed_locked(const struct answers *answers, const uint8_t name[ANSWER_NAME])
{
	for (const struct answer_claim *c = answers->claims; c; c = c->next)
		if (!memcmp(c->name, name, ANSWER_NAME))
			return true;
	return false;
}

enum err answers_claim(struct answers *answers, struct partition *partition, enum wire_role role,
		       struct slice id, answers_still *still, void *context,
		       struct answer_claim *claim)
{
	enum err e = make_name(answers, partition, role, id, claim->name);

	if (e)
		return e;
	pthread_mutex_lock(&answers->lock);
	while (!e && answer_claimed_locked(answers, claim->name)) {
		struct timespec until = io_timespec(io_monotonic_ms() + WAIT_MS);

		pthread_cond_timedwait(&answers->released, &answers->lock, &until);
		e = still(context);
	}
	if (!e) {
		claim->answers = answers;
		claim->partition = partition;
		claim->next = answers->claims;
		answers->claims = claim;
	}
	pthread_mutex_unlock(&answers->lock);
	return e;
}

void answers_release(struct answer_claim *claim)
{
	struct answers *answers = claim->answers;

	if (!claim->partition)
		return;
	pthread_mutex_lock(&answers->lock);
	for (struct answer_claim **at = &answers->claims; *at; at = &(*at)->next)
		if (*at == claim) {
			*at = claim->next;
			break;
		}
	claim->partition = NULL;
	pthread_cond_broadcast(&answers->released);
	pthread_mutex_unlock(&answers->lock);
}

/* ---- what is in them ---- */

/* Memory for all of it at once: growing would leave copies of the keys behind. */
static bool begin_text(struct buf *file, size_t bytes)
{
	file->max = ANSWER_FILE_MAX + ANSWER_HEADER;
	if (!buf_add(file, ANSWER_HEADER + bytes + 4096))
		return false;
	file->len = ANSWER_HEADER;
	return true;
}

enum err answers_put_run(struct answers *answers, const struct answer_claim *claim, uint32_t days,
			 const struct answer *a)
{
	const struct slice parts[] = { a->reason,      a->cancelled, a->keys,    a->tcb_leaf,
				       a->tcb_receipt, a->output,    a->messages };
	CLEANUP(buf) struct buf file = BUF_INIT;
	size_t bytes = 0;

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		bytes += parts[i].left;
	if (!begin_text(&file, bytes))
		return buf_check(&file);
	cbor_put_array(&file, ITEMS);
	cbor_put_bytes(&file, SLICE(a->cti));
	cbor_put_uint(&file, a->from);
	cbor_put_uint(&file, a->operation);
	cbor_put_bytes(&file, slice_of(a->bound, sizeof a->bound));
	cbor_put_uint(&file, a->end);
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		cbor_put_bytes(&file, parts[i]);
	enum err e = answer_put_file(answers, claim, ANSWER_RUN, days, &file);
	secret_wipe(file.data, file.cap);
	return e;
}

enum err answers_put_proof(struct answers *answers, const struct answer_claim *claim, uint32_t days,
			   const struct answer *a)
{
	CLEANUP(buf) struct buf file = BUF_INIT;

	if (!begin_text(&file, a->proof.left + a->compact.left))
		return buf_check(&file);
	cbor_put_array(&file, 3);
	cbor_put_bytes(&file, SLICE(a->cti));
	cbor_put_bytes(&file, a->proof);
	cbor_put_bytes(&file, a->compact);
	return answer_put_file(answers, claim, ANSWER_PROOF, days, &file);
}

static enum err take_run(struct slice in, struct answer *a)
{
	struct slice *const parts[] = { &a->reason,      &a->cancelled, &a->keys,    &a->tcb_leaf,
					&a->tcb_receipt, &a->output,    &a->messages };
	uint64_t end;
	size_t items;

	if (cbor_take_array(&in, ITEMS, &items) || items != ITEMS ||
	    cbor_take_fixed(&in, a->cti, sizeof a->cti) || cbor_take_uint(&in, &a->from) ||
	    cbor_take_uint(&in, &a->operation) || cbor_take_fixed(&in, a->bound, sizeof a->bound) ||
	    cbor_take_uint(&in, &end) || end >= ERR_COUNT)
		return failed(ERR_STATE, "what was kept of the request makes no sense");
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (cbor_take_bytes(&in, ANSWER_FILE_MAX, parts[i]))
			return failed(ERR_STATE, "what was kept of the request makes no sense");
	a->end = (enum err)end;
	return OK;
}

/* A proof of an earlier run of the same name is none of this one. */
static enum err take_proof(struct slice in, struct answer *a)
{
	uint8_t cti[ANSWER_CTI];
	struct slice proof, compact;
	size_t items;

	if (cbor_take_array(&in, 3, &items) || items != 3 ||
	    cbor_take_fixed(&in, cti, sizeof cti) || cbor_take_bytes(&in, PROOF_MAX, &proof) ||
	    cbor_take_bytes(&in, COMPACT_MAX, &compact))
		return failed(ERR_STATE, "what was kept of the proof makes no sense");
	if (memcmp(cti, a->cti, sizeof cti))
		return OK;
	a->proof = proof;
	a->compact = compact;
	return OK;
}

static bool is_over(const struct answers *answers, const struct buf *file)
{
	uint64_t made = answer_made(file), now = io_realtime_us() / 1000000;

	return now > made && now - made > answers->ttl_seconds;
}

enum err answers_get(struct answers *answers, const struct answer_claim *claim, struct answer *out)
{
	struct slice text;
	enum err e = answer_get_file(answers, claim, ANSWER_RUN, &out->run_file, &text);

	if (e || (e = take_run(text, out)))
		return e;
	if (is_over(answers, &out->run_file))
		return (e = answers_drop(answers, claim)) ? e
							  : failed(ERR_NOT_FOUND, "it is too old");
	e = answer_get_file(answers, claim, ANSWER_PROOF, &out->proof_file, &text);
	if (e == ERR_NOT_FOUND)
		return OK;
	return e ? e : take_proof(text, out);
}
