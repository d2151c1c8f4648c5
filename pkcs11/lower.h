/* lower.h - an HSM's own PKCS#11 module, loaded, with every function of version 3.0 callable.
 *
 * A function that the module lacks, or that only a newer version of the standard has, answers
 * CKR_FUNCTION_NOT_SUPPORTED. Opened once, then read-only: any thread may call through it.
 */
#ifndef PKCS11_LOWER_H
#define PKCS11_LOWER_H

#include <stdbool.h>

#include "config/base/error.h"
#include "pkcs11/cryptoki.h"

struct lower {
	void *library;
	CK_FUNCTION_LIST_3_0 call; /* complete: no pointer in it is NULL */
	CK_VERSION version;        /* of the list that the module gives by default */
	bool has_30;               /* it offers "PKCS 11" version 3.x through C_GetInterface */
};

/* Loads @path (local symbols, all bound now). ERR_NOT_FOUND: no such library, or one that is no
 * PKCS#11 module. Does not initialise it. */
MUST enum err lower_open(const char *path, struct lower *out);

#endif
