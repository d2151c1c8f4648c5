#include "sandbox/filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <time.h>

#include "sandbox/processor.h"

/* And the upper half, where clone(2) has no flags. */
#define LEAVING                                                                              \
	(0xffffffff00000000u | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | \
	 CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_UNTRACED |                      \
	 0x80u /* CLONE_NEWTIME; a signal to clone(2), never used */)
#define CLOCKS                                                                              \
	CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, \
		CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME

#define VALUES_MAX 8

enum check_kind { CHECK_NONE, CHECK_IN, CHECK_NO_BITS, CHECK_NOT_BOTH, CHECK_FROM };

struct check {
	enum check_kind kind;
	unsigned argument;
	uint64_t values[VALUES_MAX];
	unsigned n;
};

#define COUNT(...) (sizeof((const uint64_t[]){ __VA_ARGS__ }) / sizeof(uint64_t))
#define ANY                             \
	{                               \
		CHECK_NONE, 0, { 0 }, 0 \
	}
#define IN(argument, ...)                                               \
	{                                                               \
		CHECK_IN, argument, { __VA_ARGS__ }, COUNT(__VA_ARGS__) \
	}
#define NO_BITS(argument, mask)                      \
	{                                            \
		CHECK_NO_BITS, argument, { mask }, 1 \
	}
#define NOT_BOTH(argument, a, b)                           \
	{                                                  \
		CHECK_NOT_BOTH, argument, { (a) | (b) }, 1 \
	}
#define FROM(argument, least)                      \
	{                                          \
		CHECK_FROM, argument, { least }, 1 \
	}

enum {
	STATIC = 1,
	DYNAMIC = 2,
	ALL = STATIC | DYNAMIC,
	SCRATCH = 4,
	LAUNCHER = 8,
	PURE_ONLY = 16,
	NO_CLOCK = 32,
	CLOCK = 64,
	RANDOM = 128,
	MACHINE = 256
};

static const struct rule {
	uint32_t number;
	unsigned class;
	struct check check;
	const char *name, *arguments, *reason;
} rules[] = {
#define SYSCALL(name, class, check, reason) { SYS_##name, class, check, #name, #check, reason },
#include "sandbox/syscalls.def"
#undef SYSCALL
};

#define RULES (sizeof rules / sizeof *rules)
#define FILTER_DENY (SECCOMP_RET_ERRNO | EPERM)

static void emit(struct filter *f, unsigned code, uint32_t k, unsigned jt, unsigned jf)
{
	if (f->n < FILTER_MAX)
		f->code[f->n] = (struct sock_filter){ (uint16_t)code, (uint8_t)jt, (uint8_t)jf, k };
	f->n++;
}

static void load(struct filter *f, size_t offset)
{
	emit(f, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void load_low(struct filter *f, const struct check *c)
{
	load(f, offsetof(struct seccomp_data, args) + 8 * c->argument);
}

static void load_high(struct filter *f, const struct check *c)
{
	load(f, offsetof(struct seccomp_data, args) + 8 * c->argument + 4);
}

static void answer(struct filter *f, uint32_t action)
{
	emit(f, BPF_RET | BPF_K, action, 0, 0);
}

/* Goes on when the test holds, and denies otherwise. */
static void must(struct filter *f, unsigned test, uint32_t k)
{
	emit(f, BPF_JMP | test | BPF_K, k, 1, 0);
	answer(f, FILTER_DENY);
}

static void must_not(struct filter *f, unsigned test, uint32_t k)
{
	emit(f, BPF_JMP | test | BPF_K, k, 0, 1);
	answer(f, FILTER_DENY);
}

static void emit_check(struct filter *f, const struct check *c)
{
	switch (c->kind) {
	case CHECK_NONE:
		break;
	case CHECK_IN:
		load_high(f, c);
		must(f, BPF_JEQ, 0);
		load_low(f, c);
		for (unsigned i = 0; i < c->n; i++)
			emit(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)c->values[i], c->n - i, 0);
		answer(f, FILTER_DENY);
		break;
	case CHECK_NO_BITS:
		load_low(f, c);
		must_not(f, BPF_JSET, (uint32_t)c->values[0]);
		load_high(f, c);
		must_not(f, BPF_JSET, (uint32_t)(c->values[0] >> 32));
		break;
	case CHECK_NOT_BOTH:
		load_low(f, c);
		emit(f, BPF_ALU | BPF_AND | BPF_K, (uint32_t)c->values[0], 0, 0);
		must_not(f, BPF_JEQ, (uint32_t)c->values[0]);
		break;
	case CHECK_FROM:
		load_high(f, c);
		must(f, BPF_JEQ, 0);
		load_low(f, c);
		must(f, BPF_JGE, (uint32_t)c->values[0]);
		break;
	}
}

static void emit_rule(struct filter *f, const struct rule *rule)
{
	unsigned at = f->n;

	emit(f, BPF_JMP | BPF_JEQ | BPF_K, rule->number, 0, 0);
	emit_check(f, &rule->check);
	answer(f, SECCOMP_RET_ALLOW);
	if (f->n <= FILTER_MAX)
		f->code[at].jf = (uint8_t)(f->n - at - 1);
}

static void emit_head(struct filter *f)
{
	f->n = 0;
	load(f, offsetof(struct seccomp_data, arch));
	emit(f, BPF_JMP | BPF_JEQ | BPF_K, PROCESSOR_AUDIT, 1, 0);
	answer(f, SECCOMP_RET_KILL_PROCESS);
	load(f, offsetof(struct seccomp_data, nr));
	if (PROCESSOR_SECOND_ABI) {
		emit(f, BPF_JMP | BPF_JGE | BPF_K, PROCESSOR_SECOND_ABI, 0, 1);
		answer(f, SECCOMP_RET_KILL_PROCESS);
	}
}

static enum err emit_tail(struct filter *f)
{
	answer(f, FILTER_DENY);
	if (f->n > FILTER_MAX)
		return failed(ERR_RANGE, "the seccomp filter has %u instructions", f->n);
	return OK;
}

static unsigned class_of(const struct manifest *manifest)
{
	uint8_t open = manifest->purity ? manifest->purity : NEED_ALL;

	return (manifest->dynamic ? DYNAMIC : STATIC) |
	       (manifest->limits.scratch_bytes ? SCRATCH : 0) | (manifest->purity ? PURE_ONLY : 0) |
	       (open & NEED_CLOCK ? CLOCK : NO_CLOCK) | (open & NEED_RANDOM ? RANDOM : 0) |
	       (open & NEED_MACHINE ? MACHINE : 0);
}

enum err filter_build(const struct manifest *manifest, struct filter *out)
{
	const unsigned class = class_of(manifest);

	emit_head(out);
	for (size_t i = 0; i < RULES; i++)
		if (rules[i].class & class)
			emit_rule(out, &rules[i]);
	emit(out, BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1);
	answer(out, SECCOMP_RET_ERRNO | ENOSYS);
	return emit_tail(out);
}

enum err filter_build_launcher(struct filter *out)
{
	emit_head(out);
	for (size_t i = 0; i < RULES; i++) {
		/* What it would be powerful with. */
		if (rules[i].class == PURE_ONLY) {
			emit_rule(out, &rules[i]);
			continue;
		}
		emit(out, BPF_JMP | BPF_JEQ | BPF_K, rules[i].number, 0, 1);
		answer(out, SECCOMP_RET_ALLOW);
	}
	return emit_tail(out);
}

struct slice filter_bytes(const struct filter *filter)
{
	return slice_of(filter->code, filter->n * sizeof *filter->code);
}

static bool one_line(const struct rule *a, const struct rule *b)
{
	return a->class == b->class && a->check.kind == CHECK_NONE && b->check.kind == CHECK_NONE &&
	       strcmp(a->reason, b->reason) == 0;
}

void filter_describe(struct buf *out)
{
	static const char *const names[] = {
		[STATIC] = "static",   [DYNAMIC] = "dynamic", [ALL] = "all",
		[SCRATCH] = "scratch", [PURE_ONLY] = "pure",  [NO_CLOCK] = "no clock",
		[CLOCK] = "clock",     [RANDOM] = "random",   [MACHINE] = "machine"
	};

	buf_put_text(out, "| call | profile | arguments | reason |\n|---|---|---|---|\n");
	for (size_t i = 0; i < RULES; i++) {
		const struct rule *rule = &rules[i];

		if (rule->class == LAUNCHER)
			continue;
		buf_printf(out, "| %s", rule->name);
		while (i + 1 < RULES && one_line(rule, &rules[i + 1]))
			buf_printf(out, ", %s", rules[++i].name);
		buf_printf(out, " | %s | %s | %s |\n", names[rule->class],
			   rule->check.kind == CHECK_NONE ? "any" : rule->arguments, rule->reason);
	}
}
