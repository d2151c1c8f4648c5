/* rolekey.h - checking a signature of a role key, known by its public point alone. Pure. */
#ifndef PLUGIN_DAEMON_ROLEKEY_H
#define PLUGIN_DAEMON_ROLEKEY_H

#include "config/base/bytes.h"

#define ROLEKEY_POINT 65

/* @signature: r || s of ECDSA on P-256. ERR_CRYPTO when it is not by this key over this digest, or
 * the point is not on the curve. */
MUST enum err rolekey_verify(const uint8_t point[ROLEKEY_POINT], const uint8_t digest[32],
			     struct slice signature);

#endif
