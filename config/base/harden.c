#include "config/base/harden.h"

#include <sys/prctl.h>
#include <sys/resource.h>

enum err harden_process(void)
{
	const struct rlimit none = { 0, 0 };

#ifndef __SANITIZE_ADDRESS__ /* whose look for leaks traces its own process */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return failed(ERR_UNSUPPORTED, "PR_SET_DUMPABLE: %m");
#endif
	return setrlimit(RLIMIT_CORE, &none) ? failed(ERR_UNSUPPORTED, "RLIMIT_CORE: %m") : OK;
}
