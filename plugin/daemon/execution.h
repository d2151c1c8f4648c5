/* execution.h - one execution: what was asked, and what becomes of it. For execute.c and the parts of which it
 * is made: running.h, recording.h, returning.h, answering.h. Its handler's thread owns it. */
#ifndef PLUGIN_DAEMON_EXECUTION_H
#define PLUGIN_DAEMON_EXECUTION_H

#include "audit/proof.h"
#include "plugin/daemon/answers.h"
#include "plugin/daemon/request.h"

/* The request, taken apart. */
struct order {
	struct slice id, nonce, request, label, input;
	enum wire_operation operation;
	uint64_t time_limit; /* milliseconds; 0: none */
	uint64_t run;        /* its number on this link; 0: none */
	bool mapped;
};

/* In the order in which it is known. */
struct execution {
	struct app *app;
	struct rules *rules; /* the policy that it was judged by */
	struct buf approved; /* who approved the application under it, as authorities */
	uint64_t epoch, grant;
	struct answer_claim claim; /* of its id, if it has one */
	uint8_t bound[BOUNDS][32]; /* what makes it the request that it is */
	bool known;                /* it was made before, and answered: */
	struct answer answer;
	struct tcb_record *tcb;
	struct run run;
	bool unpacked;      /* to be followed by app_done */
	bool ran, unwanted; /* unwanted: before anything ran */
	enum err end;       /* how the run failed, and the reason in words */
	char reason[ERR_REASON_MAX];
	char cancelled[ERR_REASON_MAX]; /* why it was ended, or its result kept back */
	struct proof_keys keys;
	enum err withheld; /* payload or answer must be kept, and can't be */
	bool kept;         /* its answer is, but for the proof */
	struct buf compact;
	enum err unsigned_compact; /* the record is there, the compact proof is not */
	struct result_set *set;
	struct buf returned;
};

#endif
