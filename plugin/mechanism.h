/* mechanism.h - our mechanisms, from mechanisms.def. */
#ifndef PLUGIN_MECHANISM_H
#define PLUGIN_MECHANISM_H

#include "config/base/bytes.h"
#include "pkcs11/cryptoki.h"
#include "plugin/wire.h"

enum {
#define MECHANISM(name, number, call, target, operation, query) name = CKM_VENDOR_DEFINED | number,
#include "plugin/mechanisms.def"
#undef MECHANISM
};

enum mechanism_call { CALL_SIGN, CALL_ENCRYPT };
enum mechanism_target { TARGET_APPLICATION, TARGET_LOADER };

struct mechanism {
	CK_MECHANISM_TYPE type;
	enum mechanism_call call;
	enum mechanism_target target;
	enum wire_operation operation;
	CK_ULONG query;
};

/* NULL when it is not one of ours. */
const struct mechanism *mechanism_find(CK_MECHANISM_TYPE type);
/* An array of CK_MECHANISM_TYPE, as CKA_ALLOWED_MECHANISMS wants it. */
struct slice mechanism_allowed(enum mechanism_target target);

#endif
