/* init.h - what launcher, daemon and a cell's init say to each other, in host byte order: all three
 * are of one build. Init trusts neither side's lengths.
 *
 * When the id maps are written, the launcher sends a setup: its head, the filter, and the application's
 * arguments and environment, each string with its NUL. Init answers INIT_READY, or INIT_FAILED and a
 * text. From then on the daemon holds the other end: it sends a run with three descriptors (stdin,
 * stdout, stderr) and gets a report when the program and all its children are gone.
 */
#ifndef SANDBOX_INIT_INIT_H
#define SANDBOX_INIT_INIT_H

#include <linux/capability.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Descriptors of init, over every application's limit (INIT_FD_FIRST in filter.h). */
enum { INIT_FD_CONTROL = 600, INIT_FD_LAST_PID, INIT_FD_END };

/* What init keeps in its namespace: SETUID, SETGID, KILL, CHECKPOINT_RESTORE (for ns_last_pid). */
#define INIT_CAPABILITIES (1ull << 7 | 1ull << 6 | 1ull << 5 | 1ull << 40)

#define INIT_MESSAGE_MAX 65536

enum { INIT_READY = 'R', INIT_FAILED = 'F' };

/* Bits of init_setup.have: an optional step that this kernel has; /tmp, which the manifest asks for. */
enum { INIT_HAS_MDWE = 1, INIT_HAS_SCRATCH = 2 };

/* Ids in a cell's user namespace; of users and groups. */
enum { CELL_INIT_ID = 0, CELL_APP_ID = 1000 };

struct init_setup {
#ifdef ASSAY_FAULTS
	char fault[32], without[256]; /* steps that a test lets fail, or leaves out */
#endif
	uint32_t have;
	uint32_t landlock_abi;
	uint32_t filter_n; /* instructions */
	uint32_t argc, envc;
	uint32_t purity; /* of the manifest: enum purity */
};

static inline int set_capabilities(uint64_t own, uint64_t inheritable)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct halves[2];

	for (int i = 0; i < 2; i++, own >>= 32, inheritable >>= 32)
		halves[i] = (struct __user_cap_data_struct){ (uint32_t)own, (uint32_t)own,
							     (uint32_t)inheritable };
	return (int)syscall(SYS_capset, &head, halves);
}

struct init_run {
	uint64_t address_space; /* RLIMIT_AS, where no memory controller counts; 0: none */
	uint32_t cpu_seconds;
	uint32_t processes;
	uint32_t open_files;
	uint32_t user_processes; /* RLIMIT_NPROC, where no cgroup counts; else over the cgroup's */
};

struct init_report {
	int32_t status;  /* as waitpid gives it; -1: could not be started */
	int32_t error;   /* errno of what kept it from starting */
	uint64_t cpu_us; /* of the program and the children that it waited for */
	uint64_t clean;  /* no process was left over */
};

/* purity.c, for pure applications. */
int purity_prepare(uint32_t purity);
int purity_enter(void); /* in the child, before it executes the program */
/* A traced process stopped with @status: lets it go on. It may have ended: then @status says so. */
void purity_stopped(pid_t pid, uint32_t purity, int *status);

#endif
