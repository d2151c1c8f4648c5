/* harden.h - a process that is about to hold a private key or a PIN: it leaves no core dump, and no
 * debugger of the same user reads it.
 */
#ifndef CONFIG_BASE_HARDEN_H
#define CONFIG_BASE_HARDEN_H

#include "config/base/error.h"

/* Before the secret is read; for the rest of the process's life. ERR_UNSUPPORTED: it can't be had. */
MUST enum err harden_process(void);

#endif
