/* purity.c - takes from every program of a pure cell, before its first instruction, what the kernel
 * hands to each one that starts: its page of clocks, which needs no system call, and 16 random bytes.
 * Init traces the programs for that, and nothing else: no other process can be traced here. */
#include <errno.h>

#include "sandbox/init/init.h"

#ifdef __x86_64__

#include <elf.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "sandbox/package.h"

#define PAGE 4096u
#define TRAPS_MAX 3
#define CLOCK_PAGES 16u            /* the kernel maps its data below its code: 3 to 6 pages */
#define ALWAYS 0x9e3779b97f4a7c15u /* in place of what is random */
#define OPTIONS                                                                                \
	(PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | \
	 PTRACE_O_EXITKILL)

/* The kernel's code for clocks, the same in all processes but for where it lies. */
static struct {
	size_t size, call; /* call: offset of a system call instruction in it */
} vdso;

static bool find_vdso(void)
{
	const uint8_t *p = (const uint8_t *)getauxval(AT_SYSINFO_EHDR);
	const Elf64_Ehdr *head = (const Elf64_Ehdr *)p;

	if (!p)
		return true;
	/* All of it is mapped, to the table of sections at its end; a part can't be unmapped. */
	vdso.size = head->e_shoff + (size_t)head->e_shnum * head->e_shentsize;
	const uint8_t *call = memmem(p, vdso.size, "\x0f\x05", 2);
	vdso.call = call ? (size_t)(call - p) : 0;
	return call;
}

int purity_prepare(uint32_t purity)
{
	if (personality(ADDR_NO_RANDOMIZE) < 0 || !find_vdso())
		return -1;
	return purity & NEED_CLOCK ? 0 : prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0);
}

int purity_enter(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) ? -1 : kill(getpid(), SIGSTOP);
}

/* Goes on to the end of the next instruction, or of the system call that it is in. A signal that comes
 * in between waits in @held. */
static bool step(pid_t pid, int *status, int *held)
{
	do {
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) ||
		    waitpid(pid, status, __WALL) != pid || !WIFSTOPPED(*status))
			return false;
		if (WSTOPSIG(*status) != SIGTRAP)
			*held = WSTOPSIG(*status);
	} while (WSTOPSIG(*status) != SIGTRAP);
	return true;
}

/* The program itself gives the pages back: it calls munmap, by the last instruction that they serve. */
static bool unmap(pid_t pid, uint64_t at, int *status, int *held)
{
	struct user_regs_struct regs, call;

	if (!step(pid, status, held) || ptrace(PTRACE_GETREGS, pid, NULL, &regs))
		return false;
	call = regs;
	call.rip = at + vdso.call;
	call.rax = SYS_munmap;
	call.orig_rax = (unsigned long long)-1; /* no call to be restarted */
	call.rdi = at - CLOCK_PAGES * PAGE;
	call.rsi = CLOCK_PAGES * PAGE + (vdso.size + PAGE - 1) / PAGE * PAGE;
	if (ptrace(PTRACE_SETREGS, pid, NULL, &call))
		return false;
	/* A trap that was due may come before the instruction. */
	for (int i = 0; i < TRAPS_MAX && call.rip == at + vdso.call; i++)
		if (!step(pid, status, held) || ptrace(PTRACE_GETREGS, pid, NULL, &call))
			return false;
	return call.rip == at + vdso.call + 2 && call.rax == 0 &&
	       ptrace(PTRACE_SETREGS, pid, NULL, &regs) == 0;
}

static bool peek(pid_t pid, uint64_t at, uint64_t *value)
{
	errno = 0;
	*value = (uint64_t)ptrace(PTRACE_PEEKDATA, pid, (void *)at, NULL);
	return errno == 0;
}

static bool poke(pid_t pid, uint64_t at, uint64_t value)
{
	return ptrace(PTRACE_POKEDATA, pid, (void *)at, (void *)value) == 0;
}

/* The stack of a program that starts: the number of its arguments, they, NULL, its environment, NULL,
 * and pairs of what the kernel tells. */
static bool strip(pid_t pid, uint32_t purity, int *status, int *held)
{
	struct user_regs_struct regs;
	uint64_t at, key, value, code = 0;

	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) || !peek(pid, regs.rsp, &value))
		return false;
	at = regs.rsp + 8 * (value + 2);
	do
		if (!peek(pid, at, &value))
			return false;
	while (at += 8, value);
	for (; peek(pid, at, &key) && peek(pid, at + 8, &value) && key != AT_NULL; at += 16) {
		if (key == AT_RANDOM && !(purity & NEED_RANDOM) &&
		    (!poke(pid, value, ALWAYS) || !poke(pid, value + 8, ALWAYS)))
			return false;
		if (key == AT_SYSINFO_EHDR && !(purity & NEED_CLOCK)) {
			code = value;
			if (!poke(pid, at, AT_IGNORE))
				return false;
		}
	}
	return key == AT_NULL && (!code || unmap(pid, code, status, held));
}

/* The time stamp counter always reads 0: Debian's own loader reads it at each start. */
static bool read_counter(pid_t pid)
{
	struct user_regs_struct regs;
	uint64_t code;

	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) || !peek(pid, regs.rip, &code))
		return false;
	bool rdtsc = (code & 0xffff) == 0x310f, rdtscp = (code & 0xffffff) == 0xf9010f;
	if (!rdtsc && !rdtscp)
		return false;
	regs.rip += rdtsc ? 2 : 3;
	regs.rax = regs.rdx = 0;
	if (rdtscp)
		regs.rcx = 0;
	return ptrace(PTRACE_SETREGS, pid, NULL, &regs) == 0;
}

void purity_stopped(pid_t pid, uint32_t purity, int *status)
{
	int event = *status >> 16, held = WSTOPSIG(*status);

	if (event || held == SIGSTOP || (held == SIGSEGV && read_counter(pid)))
		held = 0;
	if ((event == PTRACE_EVENT_EXEC && !strip(pid, purity, status, &held)) ||
	    (!event && WSTOPSIG(*status) == SIGSTOP &&
	     ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(uintptr_t)OPTIONS)))
		kill(pid, SIGKILL);
	if (WIFSTOPPED(*status))
		ptrace(PTRACE_CONT, pid, NULL, (void *)(uintptr_t)held);
}

#else /* Whatever a pure application needs there is not known: there are none. */

int purity_prepare(uint32_t purity)
{
	(void)purity;
	return (errno = ENOSYS, -1);
}

int purity_enter(void)
{
	return -1;
}

void purity_stopped(pid_t pid, uint32_t purity, int *status)
{
	(void)pid, (void)purity, (void)status;
}

#endif
