/* executions - executions per second from many threads of one client.
 *
 *   executions ASSAY_MODULE TOKEN PIN APPLICATION_LABEL INPUT THREADS SECONDS full|compact
 *
 * full: EXECUTE_FULL, whose evidence is the record and its receipt. compact: EXECUTE, which has one
 * more signature made for each call.
 *
 * Prints "executions-per-second executions p50 p99", times in microseconds.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "testbed/bench/client.h"

#define THREADS_MAX 256
#define LATENCIES_MAX (1 << 20) /* more are not kept */

static struct client client;
static CK_OBJECT_HANDLE app;
static CK_MECHANISM_TYPE mechanism;
static uint8_t *input;
static size_t input_n;
static uint64_t end;
static atomic_ulong done;
static double us[LATENCIES_MAX];

static void *work(void *unused)
{
	CK_SESSION_HANDLE s = client_session(&client);
	CK_MECHANISM execute = { .mechanism = mechanism };
	CK_BYTE result[65536];

	for (uint64_t start = now_ns(), now; start < end; start = now) {
		CK_ULONG n = sizeof result;

		must(client.f->C_SignInit(s, &execute, app), "C_SignInit");
		must(client.f->C_Sign(s, input, input_n, result, &n), "C_Sign");
		unsigned long i = atomic_fetch_add(&done, 1);
		now = now_ns();
		if (i < LATENCIES_MAX)
			us[i] = (double)(now - start) / 1e3;
	}
	must(client.f->C_CloseSession(s), "C_CloseSession");
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS_MAX];

	if (argc != 9 || atoi(argv[6]) < 1 || atoi(argv[6]) > THREADS_MAX)
		die("usage: executions ASSAY_MODULE TOKEN PIN APPLICATION_LABEL INPUT THREADS "
		    "SECONDS full|compact");
	mechanism = strcmp(argv[8], "full") ? MECHANISM_EXECUTE : MECHANISM_EXECUTE_FULL;
	int n = atoi(argv[6]);
	input = slurp(argv[5], &input_n);
	client_open(&client, argv[1], argv[2]);
	CK_SESSION_HANDLE s = client_session(&client);
	client_login(&client, s, argv[3]);
	app = client_find(&client, s, CKO_PRIVATE_KEY, argv[4], NULL, 0);
	uint64_t start = now_ns();
	end = start + (uint64_t)atoi(argv[7]) * 1000000000u;
	for (int i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, work, NULL))
			die("no thread");
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	double seconds = (double)(now_ns() - start) / 1e9;
	size_t all = atomic_load(&done), kept = all < LATENCIES_MAX ? all : LATENCIES_MAX;
	if (!kept)
		die("nothing ran");
	double middle = median(us, kept);
	printf("%.1f %zu %.0f %.0f\n", (double)all / seconds, all, middle, us[kept * 99 / 100]);
	must(client.f->C_Finalize(NULL), "C_Finalize");
	return 0;
}
