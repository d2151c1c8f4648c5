/* certificate.h - X.509 certificates of the appliance: its CA, and one per attestation key.
 *
 * P-256 with ecdsa-with-SHA256; a tree's further key for checkpoints is on Ed25519. The signature is made by the signer of audit.h, which is to say by
 * an HSM. A key's certificate names the one log origin that the key may sign for, as the URI
 * "assay:<origin>" in subjectAltName, which is for that tree and for its shards (shard.h), and in its
 * subject what it belongs to: the key's name on the token (CN), the partition (OU) and its token's
 * serial (serialNumber). It is never valid for longer
 * than its issuer's. Who issued the CA's own is chain.h's matter. Any thread; nothing is kept between
 * calls.
 */
#ifndef AUDIT_CERTIFICATE_H
#define AUDIT_CERTIFICATE_H

#include "audit/audit.h"

#define CERTIFICATE_MAX 8192
#define CERTIFICATE_POINT 65 /* 04 || x || y */
#define CERTIFICATE_ED25519 32
#define CERTIFICATE_NAME 65
#define CERTIFICATE_SERIAL_MAX 64

struct certificate_spec {
	bool ca;                          /* a self-signed CA; issuer and origin stay empty */
	const char *name;                 /* common name, 1 to 64 bytes of UTF-8 */
	const char *unit;                 /* organizational unit, at most 64 bytes; NULL: none */
	const char *serial;               /* subject's serialNumber, hex where it must be */
	const char *origin;               /* the log origin, for a key's certificate */
	struct slice issuer;              /* DER of the CA's certificate, for a key's certificate */
	uint8_t point[CERTIFICATE_POINT]; /* the public key */
	const uint8_t *ed25519; /* in its place, CERTIFICATE_ED25519 bytes of such a key, or NULL */
	int64_t not_before, not_after; /* seconds since 1970 */
};

/* Appends the certificate (DER), signed by key @handle of @signer: the CA's, in both cases. The
 * serial number is random. */
MUST enum err certificate_make(const struct certificate_spec *spec,
			       const struct audit_signer *signer, unsigned long handle,
			       struct buf *out);

/* Appends a request (PKCS#10, PEM) that somebody else's PKI certify the CA of @spec, with the extensions
 * that it needs; signed by its own key. */
MUST enum err certificate_request(const struct certificate_spec *spec,
				  const struct audit_signer *signer, unsigned long handle,
				  struct buf *out);
/* Is it one of a CA that may sign certificates, with this key? ERR_CRYPTO says what does not hold. */
MUST enum err certificate_check_ca(struct slice certificate,
				   const uint8_t point[CERTIFICATE_POINT]);
/* The first second at which it is valid, and the last one; since 1970. */
MUST enum err certificate_period(struct slice certificate, int64_t *from, int64_t *to);
/* The common name of its subject: @name has room for 64 bytes. */
MUST enum err certificate_name(struct slice certificate, char name[CERTIFICATE_NAME]);

/* Appends the log origin that the certificate names, whoever issued it. */
MUST enum err certificate_origin(struct slice certificate, struct buf *out);
/* ERR_UNSUPPORTED for any other kind of key than P-256. */
MUST enum err certificate_point(struct slice certificate, uint8_t point[CERTIFICATE_POINT]);
/* ERR_UNSUPPORTED for any other kind of key than Ed25519. */
MUST enum err certificate_ed25519(struct slice certificate, uint8_t key[CERTIFICATE_ED25519]);
/* DER of the SubjectPublicKeyInfo. */
MUST enum err certificate_spki(struct slice certificate, struct buf *out);
/* Reads one certificate: PEM or DER; appends DER. */
/* The same of what may be one; whoever parses it will see. */
MUST enum err certificate_bytes(struct slice contents, struct buf *der);
MUST enum err certificate_from_file(struct slice contents, struct buf *der);
/* Appends PEM. */
void certificate_put_pem(struct slice certificate, struct buf *out);

#endif
