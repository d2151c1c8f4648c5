/* client.h - a plain PKCS#11 client for the benchmarks; whatever fails ends the program. */
#ifndef TESTBED_BENCH_CLIENT_H
#define TESTBED_BENCH_CLIENT_H

#include "pkcs11/cryptoki.h"
#include "testbed/bench/measure.h"

#define MECHANISM_EXECUTE (CKM_VENDOR_DEFINED | 0x41590001UL)
#define MECHANISM_EXECUTE_FULL (CKM_VENDOR_DEFINED | 0x41590002UL)

struct client {
	CK_FUNCTION_LIST *f;
	CK_SLOT_ID slot;
};

void must(CK_RV rv, const char *what);

/* Loads a module, initialises it for threads, and finds the token with this label. */
void client_open(struct client *c, const char *module, const char *token);
CK_SESSION_HANDLE client_session(const struct client *c);
void client_login(const struct client *c, CK_SESSION_HANDLE session, const char *pin);
/* The one object of a class with this CKA_LABEL or, when @label is NULL, CKA_ID. */
CK_OBJECT_HANDLE client_find(const struct client *c, CK_SESSION_HANDLE session,
			     CK_OBJECT_CLASS class, const char *label, const void *id, size_t id_n);

#endif
