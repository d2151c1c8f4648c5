/* passthrough - what a call costs through Assay, and on the HSM's own module, in the same minute.
 *
 *   passthrough sign|find ASSAY_MODULE HSM_MODULE TOKEN PIN LABEL
 *
 * Each module lives in a process of its own; rounds alternate between them, so that whatever else
 * the machine does meets both. Prints "nanoseconds-through-Assay nanoseconds-direct rounds".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "testbed/bench/client.h"

#define ROUNDS 401
#define SIGNS 40
#define FINDS 40

struct side {
	int ask, answer;
	pid_t pid;
	double ns[ROUNDS];
};

static void sign_round(const struct client *c, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key)
{
	CK_MECHANISM ecdsa = { .mechanism = CKM_ECDSA };
	CK_BYTE digest[32] = { 1 }, signature[64];

	for (int i = 0; i < SIGNS; i++) {
		CK_ULONG n = sizeof signature;
		digest[1] = (CK_BYTE)i;
		must(c->f->C_SignInit(s, &ecdsa, key), "C_SignInit");
		must(c->f->C_Sign(s, digest, sizeof digest, signature, &n), "C_Sign");
	}
}

static void find_round(const struct client *c, CK_SESSION_HANDLE s, const char *label)
{
	for (int i = 0; i < FINDS; i++)
		(void)client_find(c, s, CKO_PRIVATE_KEY, label, NULL, 0);
}

/* A child: one byte asks for a round, the answer is how long it took. */
static _Noreturn void serve(int ask, int answer, char **argv, const char *module)
{
	struct client c;
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	client_open(&c, module, argv[4]);
	CK_SESSION_HANDLE s = client_session(&c);
	client_login(&c, s, argv[5]);
	CK_OBJECT_HANDLE key = client_find(&c, s, CKO_PRIVATE_KEY, argv[6], NULL, 0);
	while (read(ask, &byte, 1) == 1) {
		uint64_t start = now_ns();
		if (!strcmp(argv[1], "sign"))
			sign_round(&c, s, key);
		else
			find_round(&c, s, argv[6]);
		uint64_t took = now_ns() - start;
		if (write(answer, &took, sizeof took) != sizeof took)
			break;
	}
	must(c.f->C_Finalize(NULL), "C_Finalize");
	exit(0);
}

static double one_round(const struct side *side)
{
	uint64_t took;

	if (write(side->ask, "r", 1) != 1 || read(side->answer, &took, sizeof took) != sizeof took)
		die("a client ended early");
	return (double)took;
}

static void start(struct side *side, char **argv, const char *module)
{
	int ask[2], answer[2];

	if (pipe(ask) || pipe(answer) || (side->pid = fork()) < 0)
		die("no process");
	if (!side->pid) {
		close(ask[1]);
		close(answer[0]);
		serve(ask[0], answer[1], argv, module);
	}
	close(ask[0]);
	close(answer[1]);
	side->ask = ask[1];
	side->answer = answer[0];
	one_round(side); /* warm, and logged in: SoftHSM allows one C_Login at a time */
}

int main(int argc, char **argv)
{
	struct side ours, theirs;
	double per = argc > 1 && !strcmp(argv[1], "sign") ? SIGNS : FINDS;

	if (argc != 7)
		die("usage: passthrough sign|find ASSAY_MODULE HSM_MODULE TOKEN PIN LABEL");
	start(&ours, argv, argv[2]);
	start(&theirs, argv, argv[3]);
	for (int i = 0; i < ROUNDS; i++) {
		bool first = i % 2;
		if (first)
			ours.ns[i] = one_round(&ours);
		theirs.ns[i] = one_round(&theirs);
		if (!first)
			ours.ns[i] = one_round(&ours);
	}
	printf("%.1f %.1f %d\n", median(ours.ns, ROUNDS) / per, median(theirs.ns, ROUNDS) / per,
	       ROUNDS);
	close(ours.ask);
	close(theirs.ask);
	waitpid(ours.pid, NULL, 0);
	waitpid(theirs.pid, NULL, 0);
	return 0;
}
