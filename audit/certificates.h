/* certificates.h - certificates that were parsed, by the SHA-256 of their bytes. OpenSSL takes 100 to 200
 * microseconds for one, twice what a signature takes, so a verifier has each parsed once.
 *
 * Bounded: what comes new takes the place of what is there. Zeroed is empty. One thread at a time.
 */
#ifndef AUDIT_CERTIFICATES_H
#define AUDIT_CERTIFICATES_H

#include "audit/x509.h"

#define CERTIFICATES_KEPT 16

struct certificates {
	struct {
		uint8_t digest[SHA256_SIZE];
		X509 *x; /* NULL: nothing is here */
	} of[CERTIFICATES_KEPT];
	size_t next; /* the place of the next new one */
};

/* As x509_parse(): a reference that is the caller's. With NULL nothing is kept. */
MUST enum err certificates_take(struct certificates *kept, struct slice der, X509 **out);
void certificates_free(struct certificates *kept);

#endif
