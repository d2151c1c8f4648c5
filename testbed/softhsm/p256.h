/* p256.h - an independent check of signatures: OpenSSL, over r || s as CKM_ECDSA gives it. */
#ifndef TESTBED_SOFTHSM_P256_H
#define TESTBED_SOFTHSM_P256_H

#include "config/base/bytes.h"

bool p256_verifies(const uint8_t point[65], const uint8_t digest[32], struct slice rs);

#endif
