/* fake.h - a daemon's end of the link that answers as the test tells it, in a thread of the test. */
#ifndef TESTBED_MOCK_FAKE_H
#define TESTBED_MOCK_FAKE_H

#include "testbed/unit/server.h"

#include <semaphore.h>
#include <stdatomic.h>

#include "testbed/mock/mock.h"

#define FAKE_APP "screen"
#define FAKE_APP_ID "\x01\x02\x03\x04\x05\x06\x07\x08"
#define FAKE_KEY_ID "assay-role\x01\x02\x03\x04\x05\x06\x07\x08"
#define FAKE_KEY_ID_N 18
#define FAKE_PROOF "compact proof"
#define FAKE_LABEL "0123456789abcdef0123456789abcdef"

/* The test sets it up before the module talks to it; what happened is read when
 * no call is under way. */
struct fake {
	enum err begin, execute, load; /* what these are answered */
	unsigned login_wanted;         /* so many requests more are told ERR_LOGIN */
	atomic_bool broken;            /* the next EXECUTE ends the connection */
	bool slow;                     /* EXECUTE waits for fake_go, once it has posted fake_runs */
	bool two_apps, suspended;
	bool paged;         /* two applications, in two answers */
	bool nameless;      /* the second application has an empty id */
	bool alone;         /* no lanes are granted besides those there are */
	bool deaf;          /* REVOKE is never answered */
	uint64_t garbled;   /* the request that is answered OK and then with something else */
	unsigned asked[32]; /* how often, by number of the request */
	char last_input[64];
	size_t last_input_n;
	char last_label[64], last_nonce[65], last_request[65];
	uint64_t last_time_limit, last_run, last_cancelled;
};
extern struct fake fake;
extern sem_t fake_runs, fake_go;

/* Answers at @path from now on. */
void fake_start(const char *path);

#endif
