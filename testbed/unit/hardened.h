/* hardened.h - whether this process keeps what it holds from core dumps and debuggers. */
#ifndef TESTBED_UNIT_HARDENED_H
#define TESTBED_UNIT_HARDENED_H

#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static inline bool is_hardened(void)
{
	struct rlimit core;

	if (getrlimit(RLIMIT_CORE, &core) || core.rlim_cur || core.rlim_max)
		return false;
#ifdef __SANITIZE_ADDRESS__ /* its look for leaks traces its own process */
	return true;
#else
	return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
#endif
}

#endif
