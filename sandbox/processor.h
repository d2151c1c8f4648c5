/* processor.h - what the seccomp filter has to know of the processor. Besides it, only the calls in
 * syscalls.def that not every processor has, and what init takes out of pure programs (init/purity.c),
 * are a matter of the processor. A new one is added here.
 */
#ifndef SANDBOX_PROCESSOR_H
#define SANDBOX_PROCESSOR_H

#include <linux/audit.h>

/* AUDIT: the one door to the kernel that a cell may use. SECOND_ABI: numbers from here on are those
 * of another set of calls through the same door; 0: there is none. */
#if defined(__x86_64__)
#define PROCESSOR_AUDIT AUDIT_ARCH_X86_64
#define PROCESSOR_SECOND_ABI 0x40000000u /* x32 */
#include <asm/prctl.h>                   /* arguments of arch_prctl */
#elif defined(__aarch64__)
#define PROCESSOR_AUDIT AUDIT_ARCH_AARCH64
#define PROCESSOR_SECOND_ABI 0u
#elif defined(__riscv) && __riscv_xlen == 64
#define PROCESSOR_AUDIT AUDIT_ARCH_RISCV64
#define PROCESSOR_SECOND_ABI 0u
#else
#error "sandbox: no seccomp filter for this processor"
#endif

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	       "the filter finds the lower half of an argument first");

#endif
