/* Heads are signed by so many threads at a time as the setting says, in order of their batches. */
#include "audit/state.h"
#include "config/base/io.h"
#include "config/base/log.h"

#define RETRY_FIRST_MS 10
#define RETRY_LAST_MS 1000

void signing_note_time(uint64_t *usual, uint64_t us)
{
	*usual = !*usual || us < *usual ? us : *usual + (us - *usual) / 8;
}

bool signing_due(const struct audit *audit)
{
	return audit->to_sign && audit->signing < audit->signers && !audit->poisoned;
}

static enum err sign_once(struct audit *audit, struct head *head)
{
	CLEANUP(buf) struct buf signature = BUF_INIT;
	enum err e;

	if ((e = audit->signer.sign(audit->signer.context, head->key->key.handle, head->digest,
				    &signature)) ||
	    (e = buf_check(&signature)))
		return e;
	return receipt_head_sign(&head->signed_head, buf_slice(&signature));
}

static bool give_up(struct audit *audit)
{
	pthread_mutex_lock(&audit->lock);
	bool last = audit->closing || audit->ending;
	bool over =
		audit->poisoned || (last && io_monotonic_ms() > audit->closing_ms + CLOSE_SIGN_MS);
	pthread_mutex_unlock(&audit->lock);
	return over;
}

/* The same root again and again: two roots of one size must never be signed. */
static enum err sign_head(struct audit *audit, struct head *head)
{
	uint64_t pause = RETRY_FIRST_MS;
	enum err e;

	while ((e = sign_once(audit, head))) {
		if (pause == RETRY_FIRST_MS)
			log_warning("audit: signing a head of %s failed, trying again: %s",
				    head->tree->book->origin, err_reason());
		if (give_up(audit))
			return failed(ERR_CRYPTO, "a head could not be signed");
		io_pause(pause);
		pause = pause * 2 < RETRY_LAST_MS ? pause * 2 : RETRY_LAST_MS;
	}
	return OK;
}

/* A batch stays where it is until all of its heads are back. */
void signing_next_locked(struct audit *audit)
{
	struct batch *batch = audit->flight;

	while (batch->taken == batch->heads_n)
		batch = batch->next;
	struct head *head = batch->heads[batch->taken++];
	audit->to_sign--;
	audit->signing++;
	commit_share_locked(audit);
	pthread_mutex_unlock(&audit->lock);
	uint64_t began = io_monotonic_us();
	enum err e = sign_head(audit, head);
	uint64_t took = io_monotonic_us() - began;
	pthread_mutex_lock(&audit->lock);
	signing_note_time(&audit->sign_us, took);
	audit->signing--;
	batch->signed_n += e == OK;
	audit->counts.signatures += e == OK;
	if (e)
		release_stop_locked(audit, NULL);
	else
		release_ready_locked(audit);
}
