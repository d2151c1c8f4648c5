/* module.h - the module's own state, shared by its files; nothing outside assay.so includes this.
 *
 * Three modes. Plain: no configuration file, every call goes to the HSM's module and the daemon is
 * never asked. Watching: a configuration says where the daemon is; slots and sessions are followed,
 * and nothing else changes until a partition of this HSM is enrolled. Enrolled: that slot, and no
 * other, has applications and mechanisms.
 *
 * A forked child has none of it: every call answers CKR_CRYPTOKI_NOT_INITIALIZED until it
 * initialises for itself.
 */
#ifndef PLUGIN_MODULE_H
#define PLUGIN_MODULE_H

#include <limits.h>
#include <stdatomic.h>

#include "config/config.h"
#include "pkcs11/lower.h"

enum module_state { MODULE_DOWN, MODULE_READY, MODULE_FORKED };

struct module {
	_Atomic int state;     /* enum module_state */
	struct lower hsm;      /* set before READY, then read-only */
	struct config *config; /* likewise; NULL in plain mode */
	char self[PATH_MAX];   /* absolute path of this library */
};
extern struct module module;

/* The HSM's own function. */
#define HSM(name) module.hsm.call.C_##name

static inline bool module_ready(void)
{
	return atomic_load_explicit(&module.state, memory_order_acquire) == MODULE_READY;
}
static inline bool module_watching(void)
{
	return module.config != NULL;
}

/* Reads the configuration and loads the HSM's module, if that was not done. Any thread. */
MUST enum err module_load(void);

/* The hooks: what the module does beside forwarding. */
#define FN(name, route, parameters, arguments) CK_RV hook_##name parameters;
#include "pkcs11/functions.def"
#undef FN

#endif
