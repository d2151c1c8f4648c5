/* cryptoki.h - PKCS#11 v3.0 from Debian's libpkcs11-helper1-dev, and what that header leaves out.
 *
 * Everything in the project includes this one and no other PKCS#11 header. Types are used by their
 * standard names (CK_ATTRIBUTE), never by the tags that this particular header gives them.
 */
#ifndef PKCS11_CRYPTOKI_H
#define PKCS11_CRYPTOKI_H

#include <pkcs11-helper-1.0/pkcs11.h>

/* From the standard, version 2.40. */
#ifndef CKA_COPYABLE
#define CKA_COPYABLE 0x171UL
#endif
#ifndef CKA_DESTROYABLE
#define CKA_DESTROYABLE 0x172UL
#endif
#ifndef CKA_PUBLIC_KEY_INFO
#define CKA_PUBLIC_KEY_INFO 0x129UL
#endif
#ifndef CKA_NAME_HASH_ALGORITHM
#define CKA_NAME_HASH_ALGORITHM 0x8cUL
#endif
#ifndef CKA_DERIVE_TEMPLATE
#define CKA_DERIVE_TEMPLATE (0x40000000UL | 0x213UL)
#endif
#ifndef CKF_ERROR_STATE
#define CKF_ERROR_STATE 0x01000000UL
#endif
#ifndef CKR_NEW_PIN_MODE
#define CKR_NEW_PIN_MODE 0x1b0UL
#endif
#ifndef CKR_NEXT_OTP
#define CKR_NEXT_OTP 0x1b1UL
#endif
#ifndef CKR_EXCEEDED_MAX_ITERATIONS
#define CKR_EXCEEDED_MAX_ITERATIONS 0x1b5UL
#endif
#ifndef CKR_FIPS_SELF_TEST_FAILED
#define CKR_FIPS_SELF_TEST_FAILED 0x1b6UL
#endif
#ifndef CKR_LIBRARY_LOAD_FAILED
#define CKR_LIBRARY_LOAD_FAILED 0x1b7UL
#endif
#ifndef CKR_PIN_TOO_WEAK
#define CKR_PIN_TOO_WEAK 0x1b8UL
#endif
#ifndef CKR_PUBLIC_KEY_INVALID
#define CKR_PUBLIC_KEY_INVALID 0x1b9UL
#endif

/* Version 3.0. */
#ifndef CKA_UNIQUE_ID
#define CKA_UNIQUE_ID 0x4UL
#endif
#ifndef CKR_AEAD_DECRYPT_FAILED
#define CKR_AEAD_DECRYPT_FAILED 0x35UL
#endif
#ifndef CKR_OPERATION_CANCEL_FAILED
#define CKR_OPERATION_CANCEL_FAILED 0x202UL
#endif
#ifndef CKR_TOKEN_RESOURCE_EXCEEDED
#define CKR_TOKEN_RESOURCE_EXCEEDED 0x201UL
#endif

_Static_assert(sizeof(CK_FUNCTION_LIST_3_0) > sizeof(CK_FUNCTION_LIST),
	       "the header has the 3.0 function list, as a larger 2.40 one");

#endif
