#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sandbox/filter.h"
#include "sandbox/init/init.h"
#include "sandbox/launcher/launcher.h"

#define CAP(name) (1ull << CAP_##name)

/* Mounts, namespaces and filters; id maps; signals to cells; files of images and groups, whose
 * directories are read-only to their owner. A cell's first process gets a full set again, in its own
 * user namespace only. */
static const uint64_t always =
	CAP(SYS_ADMIN) | CAP(SETUID) | CAP(SETGID) | CAP(SETPCAP) | CAP(KILL) | CAP(DAC_OVERRIDE);

int drop_bounding(uint64_t kept)
{
	int i = 0;

	while ((i < 64 && kept >> i & 1) || prctl(PR_CAPBSET_DROP, i, 0, 0, 0) == 0)
		i++;
	/* The number after the last; anything else would keep the rest. */
	return errno == EINVAL ? 0 : -1;
}

static enum err drop_capabilities(const struct launcher *launcher)
{
	/* An ordinary user's cells map its one id, which is 0 here: that takes one more. */
	const uint64_t kept = always | (launcher->privileged ? 0 : CAP(SETFCAP));

	if (drop_bounding(kept))
		return failed(ERR_IO, "launcher_confine: bounding set: %m");
	if (set_capabilities(kept, 0))
		return failed(ERR_IO, "launcher_confine: capabilities: %m");
	return OK;
}

enum err launcher_confine(const struct launcher *launcher)
{
	static struct filter filter;
	struct sock_fprog program = { 0, filter.code };
	enum err e;

	if ((e = step_enter(launcher, "launcher_confine")) || (e = drop_capabilities(launcher)) ||
	    (e = filter_build_launcher(&filter)))
		return e;
	/* Cells inherit it, and would still be filtered. */
	if (!step_taken(launcher, "seccomp"))
		return OK;
	program.len = filter.n;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program))
		return failed(ERR_IO, "launcher_confine: seccomp: %m");
	return OK;
}
