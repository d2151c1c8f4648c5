#include "audit/certificates.h"

#include <string.h>

#include "audit/certificate.h"

static X509 *find(const struct certificates *kept, const uint8_t digest[SHA256_SIZE])
{
	for (size_t i = 0; i < CERTIFICATES_KEPT; i++)
		if (kept->of[i].x && memcmp(kept->of[i].digest, digest, SHA256_SIZE) == 0)
			return kept->of[i].x;
	return NULL;
}

static void keep(struct certificates *kept, const uint8_t digest[SHA256_SIZE], X509 *x)
{
	size_t i = kept->next++ % CERTIFICATES_KEPT;

	X509_free(kept->of[i].x);
	X509_up_ref(x);
	kept->of[i].x = x;
	memcpy(kept->of[i].digest, digest, SHA256_SIZE);
}

enum err certificates_take(struct certificates *kept, struct slice der, X509 **out)
{
	uint8_t digest[SHA256_SIZE];
	X509 *found;
	enum err e;

	if (!kept || der.left > CERTIFICATE_MAX)
		return x509_parse(der, out);
	sha256_once(der, digest);
	if ((found = find(kept, digest))) {
		X509_up_ref(found);
		*out = found;
		return OK;
	}
	if (!(e = x509_parse(der, out)))
		keep(kept, digest, *out);
	return e;
}

void certificates_free(struct certificates *kept)
{
	for (size_t i = 0; i < CERTIFICATES_KEPT; i++)
		X509_free(kept->of[i].x);
	*kept = (struct certificates){ 0 };
}
