/* harness.h - private SoftHSM tokens for unit tests.
 *
 * Each store is a directory of its own under $TMPDIR with a configuration and tokens, removed at
 * the end. SoftHSM reads SOFTHSM2_CONF once per process, in C_Initialize. A test process must never
 * be killed inside C_Login: it rewrites the token's files in place.
 */
#ifndef TESTBED_SOFTHSM_HARNESS_H
#define TESTBED_SOFTHSM_HARNESS_H

#define HARNESS_SO_PIN "87654321"
#define HARNESS_PIN "12345678"

struct softhsm {
	char dir[128];  /* holds softhsm2.conf and tokens/ */
	char conf[192]; /* value of SOFTHSM2_CONF */
};

/* The path of libsofthsm2.so; $SOFTHSM2_MODULE overrides. */
const char *softhsm_module(void);
/* Makes an empty store; aborts on failure, as all of these do. */
void softhsm_make(struct softhsm *store);
/* Makes a token with the two PINs above. */
void softhsm_token(const struct softhsm *store, const char *label);
/* A second store with the same tokens. */
void softhsm_copy(const struct softhsm *golden, struct softhsm *copy);
/* Points SOFTHSM2_CONF of this process here. */
void softhsm_use(const struct softhsm *store);
/* Takes a mechanism from all of its tokens ("CKM_EDDSA"). */
void softhsm_without(const struct softhsm *store, const char *mechanism);
void softhsm_remove(struct softhsm *store);

#endif
