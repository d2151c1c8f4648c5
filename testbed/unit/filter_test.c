/* The filters of cells and launcher, interpreted: the same on a processor that only an emulator has. */
#include "testbed/unit/check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <time.h>

#include "config/base/io.h"
#include "sandbox/filter.h"
#include "sandbox/processor.h"

#define ALLOW SECCOMP_RET_ALLOW
#define DENY (SECCOMP_RET_ERRNO | EPERM)
#define KILL SECCOMP_RET_KILL_PROCESS
#define HIGH (1ull << 32)
#define NUMBERS 1024 /* more than any processor's list has */

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
	MACHINE = 256,
	OPEN = CLOCK | RANDOM | MACHINE
};

static const unsigned classes[] = {
	STATIC | OPEN,
	DYNAMIC | OPEN,
	STATIC | SCRATCH | OPEN,
	DYNAMIC | SCRATCH | OPEN,
	STATIC | PURE_ONLY | NO_CLOCK,
	DYNAMIC | PURE_ONLY | CLOCK,
	DYNAMIC | SCRATCH | PURE_ONLY | NO_CLOCK | RANDOM,
	STATIC | PURE_ONLY | NO_CLOCK | MACHINE,
	DYNAMIC | PURE_ONLY | OPEN,
};

#define CELLS (sizeof classes / sizeof *classes) /* kinds of cells */

static struct filter filters[CELLS], launcher; /* filters: of each of the classes */

static enum err build(unsigned class, struct filter *out)
{
	struct manifest m;

	manifest_default(&m);
	m.dynamic = class & DYNAMIC;
	m.limits.scratch_bytes = class & SCRATCH ? 65536 : 0;
	m.purity = class & PURE_ONLY ? PURE : 0;
	if (m.purity)
		m.purity |= (class & CLOCK ? NEED_CLOCK : 0) | (class & RANDOM ? NEED_RANDOM : 0) |
			    (class & MACHINE ? NEED_MACHINE : 0);
	return filter_build(&m, out);
}

static void setup(void)
{
	for (size_t i = 0; i < CELLS; i++)
		ck_assert_ok(build(classes[i], &filters[i]));
	ck_assert_ok(filter_build_launcher(&launcher));
}

static uint32_t word_at(const struct seccomp_data *data, uint32_t offset)
{
	uint32_t word;

	ck_assert_uint_le(offset, sizeof *data - sizeof word);
	ck_assert_uint_eq(offset % sizeof word, 0);
	memcpy(&word, (const char *)data + offset, sizeof word);
	return word;
}

/* Classic BPF, as far as the filters use it. */
static uint32_t interpret(const struct filter *f, const struct seccomp_data *data)
{
	uint32_t a = 0;

	for (unsigned pc = 0; pc < f->n; pc++) {
		const struct sock_filter *i = &f->code[pc];

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			a = word_at(data, i->k);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			pc += a >= i->k ? i->jt : i->jf;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			pc += a & i->k ? i->jt : i->jf;
			break;
		case BPF_RET | BPF_K:
			return i->k;
		default:
			ck_abort_msg("instruction %u has code %#x", pc, i->code);
		}
	}
	ck_abort_msg("the filter runs out of its end");
	return 0;
}

static uint32_t answer_to(const struct filter *f, uint32_t arch, long number)
{
	struct seccomp_data data = { .nr = (int)number, .arch = arch };

	return interpret(f, &data);
}

/* By what the list says of it: a call's classes, and whether its arguments matter. */
static struct {
	unsigned classes;
	bool checked;
} listed[NUMBERS];

static void read_list(void)
{
#define SYSCALL(name, class, check, reason)    \
	ck_assert_int_lt(SYS_##name, NUMBERS); \
	listed[SYS_##name].classes |= class;   \
	listed[SYS_##name].checked |= strcmp(#check, "ANY") != 0;
#include "sandbox/syscalls.def"
#undef SYSCALL
}

START_TEST(a_cell_has_the_listed_calls_and_no_other)
{
	read_list();
	for (size_t k = 0; k < CELLS; k++)
		for (long i = 0; i < NUMBERS; i++) {
			bool there = listed[i].classes & classes[k];

			if (there && listed[i].checked)
				continue;
			uint32_t wanted = there             ? ALLOW
					  : i == SYS_clone3 ? SECCOMP_RET_ERRNO | ENOSYS
							    : DENY;
			ck_assert_msg(answer_to(&filters[k], PROCESSOR_AUDIT, i) == wanted,
				      "call %ld, classes %u", i, classes[k]);
		}
}
END_TEST

START_TEST(the_launcher_has_its_own_calls_too_and_no_other)
{
	read_list();
	for (long i = 0; i < NUMBERS; i++)
		ck_assert_msg(answer_to(&launcher, PROCESSOR_AUDIT, i) ==
				      (listed[i].classes ? ALLOW : DENY),
			      "call %ld", i);
}
END_TEST

/* What scratch space takes is nobody else's. */
static const long changing[] = { SYS_mkdirat, SYS_unlinkat, SYS_renameat2, SYS_ftruncate,
				 SYS_truncate };

START_TEST(files_are_changed_where_there_is_scratch_space_only)
{
	for (size_t k = 0; k < CELLS; k++)
		ck_assert_uint_eq(answer_to(&filters[k], PROCESSOR_AUDIT, changing[_i]),
				  classes[k] & SCRATCH ? ALLOW : DENY);
}
END_TEST

/* Said here once more, so that nobody adds one to the list unawares. */
static const long never[] = {
	SYS_accept4,
	SYS_add_key,
	SYS_bind,
	SYS_bpf,
	SYS_chroot,
	SYS_connect,
	SYS_delete_module,
	SYS_execveat,
	SYS_fanotify_init,
	SYS_fchmodat,
	SYS_fchownat,
	SYS_finit_module,
	SYS_flock,
	SYS_fsmount,
	SYS_fsopen,
	SYS_init_module,
	SYS_inotify_init1,
	SYS_io_setup,
	SYS_io_uring_enter,
	SYS_io_uring_register,
	SYS_io_uring_setup,
	SYS_ioprio_set,
	SYS_kcmp,
	SYS_kexec_load,
	SYS_keyctl,
	SYS_linkat,
	SYS_mbind,
	SYS_memfd_create,
	SYS_migrate_pages,
	SYS_mknodat,
	SYS_mlock,
	SYS_mount,
	SYS_mount_setattr,
	SYS_move_mount,
	SYS_move_pages,
	SYS_mq_open,
	SYS_msgget,
	SYS_name_to_handle_at,
	SYS_open_by_handle_at,
	SYS_open_tree,
	SYS_openat2,
	SYS_perf_event_open,
	SYS_personality,
	SYS_pidfd_getfd,
	SYS_pidfd_open,
	SYS_pidfd_send_signal,
	SYS_pivot_root,
	SYS_pkey_mprotect,
	SYS_process_madvise,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_ptrace,
	SYS_quotactl,
	SYS_reboot,
	SYS_remap_file_pages,
	SYS_request_key,
	SYS_rt_sigqueueinfo,
	SYS_rt_tgsigqueueinfo,
	SYS_sched_setscheduler,
	SYS_seccomp,
	SYS_semget,
	SYS_sendmmsg,
	SYS_sendto,
	SYS_setns,
	SYS_setpriority,
	SYS_setsid,
	SYS_setxattr,
	SYS_shmget,
	SYS_signalfd4,
	SYS_socket,
	SYS_socketpair,
	SYS_splice,
	SYS_swapon,
	SYS_symlinkat,
	SYS_syslog,
	SYS_tee,
	SYS_timer_create,
	SYS_timerfd_create,
	SYS_tkill,
	SYS_umount2,
	SYS_unshare,
	SYS_userfaultfd,
	SYS_utimensat,
	SYS_vmsplice,
};

START_TEST(what_no_application_needs_is_denied_whatever_the_list_says)
{
	for (size_t k = 0; k < CELLS; k++)
		if (never[_i] != SYS_ptrace || !(classes[k] & PURE_ONLY))
			ck_assert_uint_eq(answer_to(&filters[k], PROCESSOR_AUDIT, never[_i]), DENY);
}
END_TEST

/* Init takes things out of pure programs that it traces; nobody can begin to trace another. */
static const struct {
	const char *why;
	uint64_t request;
	uint32_t answer;
} traced[] = {
	{ "to be traced", PTRACE_TRACEME, ALLOW },
	{ "go on", PTRACE_CONT, ALLOW },
	{ "options", PTRACE_SETOPTIONS, ALLOW },
	{ "another process", PTRACE_ATTACH, DENY },
	{ "the same, unseen", PTRACE_SEIZE, DENY },
	{ "its filter", PTRACE_SECCOMP_GET_FILTER, DENY },
	{ "its system calls", PTRACE_SYSCALL, DENY },
	{ "an allowed one, 2^32 up", PTRACE_CONT | HIGH, DENY },
};

START_TEST(tracing_is_for_the_children_of_init_in_pure_cells)
{
#ifdef __x86_64__
	struct seccomp_data data = { .nr = SYS_ptrace,
				     .arch = PROCESSOR_AUDIT,
				     .args = { traced[_i].request } };

	for (size_t k = 0; k < CELLS; k++)
		ck_assert_msg(interpret(&filters[k], &data) ==
				      (classes[k] & PURE_ONLY ? traced[_i].answer : DENY),
			      "%s", traced[_i].why);
	ck_assert_uint_eq(interpret(&launcher, &data), traced[_i].answer);
#endif
}
END_TEST

/* What tells two runs apart is open where nothing is claimed, and where the manifest says so. */
static const struct {
	long number;
	unsigned class;
	uint64_t args[5];
} impure[] = {
	{ SYS_clock_gettime, CLOCK, { CLOCK_REALTIME } },
	{ SYS_clock_gettime, CLOCK, { CLOCK_MONOTONIC_COARSE } },
	{ SYS_clock_nanosleep, CLOCK, { CLOCK_REALTIME } },
	{ SYS_nanosleep, CLOCK, { 0 } },
	{ SYS_gettimeofday, CLOCK, { 0 } },
	{ SYS_getrusage, CLOCK, { 0 } },
	{ SYS_times, CLOCK, { 0 } },
	{ SYS_setitimer, CLOCK, { 0 } },
	{ SYS_getitimer, CLOCK, { 0 } },
	{ SYS_wait4, CLOCK, { 0, 0, 0, 4096 } },
	{ SYS_wait4, CLOCK, { 0, 0, 0, HIGH } },
	{ SYS_wait4, CLOCK | NO_CLOCK, { 0 } },
	{ SYS_waitid, CLOCK, { 0, 0, 0, 0, 4096 } },
	{ SYS_waitid, CLOCK | NO_CLOCK, { 0 } },
	{ SYS_getrandom, RANDOM, { 0 } },
	{ SYS_uname, MACHINE, { 0 } },
	{ SYS_sched_getaffinity, MACHINE, { 0 } },
	{ SYS_rseq, MACHINE, { 0 } },
};

START_TEST(what_tells_two_runs_apart_is_for_those_that_say_they_need_it)
{
	struct seccomp_data data = { .nr = (int)impure[_i].number, .arch = PROCESSOR_AUDIT };

	memcpy(data.args, impure[_i].args, sizeof impure[_i].args);
	for (size_t k = 0; k < CELLS; k++)
		ck_assert_msg(interpret(&filters[k], &data) ==
				      (classes[k] & impure[_i].class ? ALLOW : DENY),
			      "call %ld, classes %u", impure[_i].number, classes[k]);
}
END_TEST

static const uint32_t doors[] = {
	AUDIT_ARCH_I386,    AUDIT_ARCH_X86_64,
	AUDIT_ARCH_ARM,     AUDIT_ARCH_AARCH64,
	AUDIT_ARCH_RISCV32, AUDIT_ARCH_PPC,
	AUDIT_ARCH_RISCV64, AUDIT_ARCH_S390X,
	AUDIT_ARCH_ARMEB,   0,
};

START_TEST(another_processors_door_kills)
{
	uint32_t door = doors[_i];

	if (door == PROCESSOR_AUDIT)
		return;
	for (long i = 0; i < NUMBERS; i++) {
		for (size_t k = 0; k < CELLS; k++)
			ck_assert_uint_eq(answer_to(&filters[k], door, i), KILL);
		ck_assert_uint_eq(answer_to(&launcher, door, i), KILL);
	}
}
END_TEST

START_TEST(a_second_set_of_calls_kills)
{
	uint32_t wanted = PROCESSOR_SECOND_ABI ? KILL : DENY;

	for (long i = 0; i < NUMBERS; i++)
		for (size_t k = 0; k < CELLS; k++)
			ck_assert_uint_eq(answer_to(&filters[k], PROCESSOR_AUDIT, i | 0x40000000),
					  wanted);
	ck_assert_uint_eq(answer_to(&filters[0], PROCESSOR_AUDIT, -1), wanted);
}
END_TEST

/* A process's CPU clock, by its number: the kernel's encoding of pid 1's. */
#define CLOCK_OF_INIT (~1u << 3 | 2)
#define THREAD                                                                              \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | \
	 CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

static const struct {
	const char *why;
	long number;
	unsigned profiles;
	uint64_t args[3];
	uint32_t answer;
} asked[] = {
	{ "a child out of sight", SYS_clone, ALL, { CLONE_UNTRACED | SIGCHLD }, DENY },
	{ "isatty", SYS_ioctl, ALL, { 0, TCGETS }, ALLOW },
	{ "readable bytes", SYS_ioctl, ALL, { 0, FIONREAD }, ALLOW },
	{ "typing into a terminal", SYS_ioctl, ALL, { 0, TIOCSTI }, DENY },
	{ "the same, 2^32 up", SYS_ioctl, ALL, { 0, TIOCSTI | HIGH }, DENY },
	{ "an allowed one, 2^32 up", SYS_ioctl, ALL, { 0, TCGETS | HIGH }, DENY },
	{ "terminal settings", SYS_ioctl, ALL, { 0, TCSETS }, DENY },
	{ "console text", SYS_ioctl, ALL, { 0, TIOCLINUX }, DENY },
	{ "asynchronous signals", SYS_ioctl, ALL, { 0, FIOASYNC }, DENY },
	{ "status flags", SYS_fcntl, ALL, { 0, F_GETFL }, ALLOW },
	{ "set status flags", SYS_fcntl, ALL, { 0, F_SETFL }, ALLOW },
	{ "status flags, 2^32 up", SYS_fcntl, ALL, { 0, F_GETFL | HIGH }, DENY },
	{ "a lock", SYS_fcntl, ALL, { 0, F_SETLK }, DENY },
	{ "a lock, asked", SYS_fcntl, ALL, { 0, F_GETLK }, DENY },
	{ "a lock of the descriptor", SYS_fcntl, ALL, { 0, F_OFD_SETLK }, DENY },
	{ "a lease", SYS_fcntl, ALL, { 0, F_SETLEASE }, DENY },
	{ "notices of a directory", SYS_fcntl, ALL, { 0, F_NOTIFY }, DENY },
	{ "signals to an owner", SYS_fcntl, ALL, { 0, F_SETOWN }, DENY },
	{ "the size of a pipe", SYS_fcntl, ALL, { 0, F_SETPIPE_SZ }, DENY },
	{ "seals", SYS_fcntl, ALL, { 0, F_ADD_SEALS }, DENY },
	{ "the time", SYS_clock_gettime, ALL, { CLOCK_REALTIME }, ALLOW },
	{ "time since a start", SYS_clock_gettime, ALL, { CLOCK_MONOTONIC }, ALLOW },
	{ "own CPU time", SYS_clock_gettime, ALL, { CLOCK_PROCESS_CPUTIME_ID }, ALLOW },
	{ "CPU time of init", SYS_clock_gettime, ALL, { CLOCK_OF_INIT }, DENY },
	{ "the same, sign extended",
	  SYS_clock_gettime,
	  ALL,
	  { CLOCK_OF_INIT | ~0ull << 32 },
	  DENY },
	{ "an allowed clock, 2^32 up", SYS_clock_gettime, ALL, { CLOCK_MONOTONIC | HIGH }, DENY },
	{ "a wake-up clock", SYS_clock_gettime, ALL, { CLOCK_REALTIME_ALARM }, DENY },
	{ "resolution of init's clock", SYS_clock_getres, ALL, { CLOCK_OF_INIT }, DENY },
	{ "sleep", SYS_clock_nanosleep, ALL, { CLOCK_MONOTONIC }, ALLOW },
	{ "sleep by init's clock", SYS_clock_nanosleep, ALL, { CLOCK_OF_INIT }, DENY },
	{ "sleep by a wake-up clock", SYS_clock_nanosleep, ALL, { CLOCK_BOOTTIME_ALARM }, DENY },
	{ "a child", SYS_clone, ALL, { SIGCHLD }, ALLOW },
	{ "a thread", SYS_clone, ALL, { THREAD }, ALLOW },
	{ "posix_spawn", SYS_clone, ALL, { CLONE_VM | CLONE_VFORK | SIGCHLD }, ALLOW },
	{ "a mount namespace", SYS_clone, ALL, { CLONE_NEWNS | SIGCHLD }, DENY },
	{ "a user namespace", SYS_clone, ALL, { CLONE_NEWUSER | SIGCHLD }, DENY },
	{ "a pid namespace", SYS_clone, ALL, { CLONE_NEWPID | SIGCHLD }, DENY },
	{ "a network namespace", SYS_clone, ALL, { CLONE_NEWNET | SIGCHLD }, DENY },
	{ "an ipc namespace", SYS_clone, ALL, { CLONE_NEWIPC | SIGCHLD }, DENY },
	{ "a host name", SYS_clone, ALL, { CLONE_NEWUTS | SIGCHLD }, DENY },
	{ "a cgroup namespace", SYS_clone, ALL, { CLONE_NEWCGROUP | SIGCHLD }, DENY },
	{ "a time namespace", SYS_clone, ALL, { 0x80 }, DENY },
	{ "a thread with a namespace", SYS_clone, ALL, { THREAD | CLONE_NEWUSER }, DENY },
	{ "a child into a cgroup", SYS_clone, ALL, { 0x200000000ull | SIGCHLD }, DENY },
	{ "memory", SYS_mmap, ALL, { 0, 4096, PROT_READ | PROT_WRITE }, ALLOW },
	{ "code", SYS_mmap, STATIC, { 0, 4096, PROT_READ | PROT_EXEC }, DENY },
	{ "code alone", SYS_mmap, STATIC, { 0, 4096, PROT_EXEC }, DENY },
	{ "a library", SYS_mmap, DYNAMIC, { 0, 4096, PROT_READ | PROT_EXEC }, ALLOW },
	{ "writable code", SYS_mmap, ALL, { 0, 4096, PROT_WRITE | PROT_EXEC }, DENY },
	{ "writable code, with more bits",
	  SYS_mmap,
	  ALL,
	  { 0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC | PROT_GROWSDOWN | HIGH },
	  DENY },
	{ "relocations", SYS_mprotect, ALL, { 0, 4096, PROT_READ }, ALLOW },
	{ "memory made code", SYS_mprotect, STATIC, { 0, 4096, PROT_READ | PROT_EXEC }, DENY },
	{ "a library made code", SYS_mprotect, DYNAMIC, { 0, 4096, PROT_READ | PROT_EXEC }, ALLOW },
	{ "made writable code", SYS_mprotect, ALL, { 0, 4096, PROT_WRITE | PROT_EXEC }, DENY },
	{ "own group", SYS_getpgid, ALL, { 0 }, ALLOW },
	{ "init's group", SYS_getpgid, ALL, { 1 }, DENY },
	{ "own limits", SYS_prlimit64, ALL, { 0 }, ALLOW },
	{ "init's limits", SYS_prlimit64, ALL, { 1 }, DENY },
	{ "own limits, 2^32 up", SYS_prlimit64, ALL, { HIGH }, DENY },
	{ "processors", SYS_sched_getaffinity, ALL, { 0 }, ALLOW },
	{ "init's processors", SYS_sched_getaffinity, ALL, { 1 }, DENY },
	{ "a thread's name", SYS_prctl, ALL, { PR_SET_NAME }, ALLOW },
	{ "dumps", SYS_prctl, ALL, { PR_SET_DUMPABLE }, DENY },
	{ "a tracer", SYS_prctl, ALL, { PR_SET_PTRACER }, DENY },
	{ "memory layout", SYS_prctl, ALL, { PR_SET_MM }, DENY },
	{ "orphans", SYS_prctl, ALL, { PR_SET_CHILD_SUBREAPER }, DENY },
	{ "speculation", SYS_prctl, ALL, { PR_SET_SPECULATION_CTRL }, DENY },
	{ "a socket of its own", SYS_recvmsg, ALL, { 3 }, DENY },
	{ "the last descriptor of its own", SYS_sendmsg, ALL, { INIT_FD_FIRST - 1 }, DENY },
	{ "init's socket", SYS_sendmsg, ALL, { INIT_FD_FIRST }, ALLOW },
	{ "init's socket, 2^32 up", SYS_recvmsg, ALL, { INIT_FD_FIRST | HIGH }, DENY },
#ifdef SYS_arch_prctl
	{ "the thread pointer", SYS_arch_prctl, ALL, { ARCH_SET_FS }, ALLOW },
	{ "the other segment", SYS_arch_prctl, ALL, { ARCH_SET_GS }, DENY },
	{ "faulting cpuid", SYS_arch_prctl, ALL, { ARCH_SET_CPUID }, DENY },
#endif
};

START_TEST(arguments_are_judged_whole)
{
	struct seccomp_data data = { .nr = (int)asked[_i].number, .arch = PROCESSOR_AUDIT };

	for (int i = 0; i < 3; i++)
		data.args[i] = asked[_i].args[i];
	for (size_t k = 0; k < CELLS; k++)
		if (asked[_i].profiles & classes[k] && !(classes[k] & PURE_ONLY))
			ck_assert_msg(interpret(&filters[k], &data) == asked[_i].answer,
				      "%s, classes %u", asked[_i].why, classes[k]);
}
END_TEST

START_TEST(every_jump_lands_in_the_filter)
{
	const struct filter *f = (size_t)_i < CELLS ? &filters[_i] : &launcher;

	ck_assert_uint_le(f->n, BPF_MAXINSNS);
	ck_assert_uint_eq(f->code[f->n - 1].code, BPF_RET | BPF_K);
	for (unsigned i = 0; i < f->n; i++)
		if (BPF_CLASS(f->code[i].code) == BPF_JMP) {
			ck_assert_uint_lt(i + 1 + f->code[i].jt, f->n);
			ck_assert_uint_lt(i + 1 + f->code[i].jf, f->n);
		}
}
END_TEST

START_TEST(the_same_list_makes_the_same_bytes)
{
	static struct filter again;

	memset(&again, 0xa5, sizeof again);
	ck_assert_ok(build(STATIC, &again));
	ck_assert(slice_equal(filter_bytes(&again), filter_bytes(&filters[0])));
	ck_assert(!slice_equal(filter_bytes(&filters[0]), filter_bytes(&filters[1])));
}
END_TEST

START_TEST(the_readme_has_the_list)
{
	CLEANUP(buf) struct buf wanted = BUF_INIT;
	CLEANUP(buf) struct buf text = BUF_INIT;
	const char *root = getenv("ASSAY_ROOT");
	char path[512];

	snprintf(path, sizeof path, "%s/sandbox/README.md", root ? root : ".");
	ck_assert_ok(io_read_file(path, 1 << 20, &text));
	buf_put_u8(&text, 0);
	filter_describe(&wanted);
	buf_put_u8(&wanted, 0);
	/* A processor that lacks older calls has fewer lines, in the same order. */
	char *at = (char *)text.data, *rest = NULL;
	for (char *line = strtok_r((char *)wanted.data, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		at = strstr(at, line);
		ck_assert_msg(at, "not in sandbox/README.md, or not there: \"%s\"; make syscalls",
			      line);
	}
}
END_TEST

static void add(TCase *t)
{
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, a_cell_has_the_listed_calls_and_no_other);
	tcase_add_test(t, the_launcher_has_its_own_calls_too_and_no_other);
	tcase_add_table(t, what_no_application_needs_is_denied_whatever_the_list_says, never);
	tcase_add_table(t, tracing_is_for_the_children_of_init_in_pure_cells, traced);
	tcase_add_table(t, what_tells_two_runs_apart_is_for_those_that_say_they_need_it, impure);
	tcase_add_table(t, files_are_changed_where_there_is_scratch_space_only, changing);
	tcase_add_table(t, another_processors_door_kills, doors);
	tcase_add_test(t, a_second_set_of_calls_kills);
	tcase_add_table(t, arguments_are_judged_whole, asked);
	tcase_add_loop_test(t, every_jump_lands_in_the_filter, 0, CELLS + 1);
	tcase_add_test(t, the_same_list_makes_the_same_bytes);
	tcase_add_test(t, the_readme_has_the_list);
}

/* For sandbox/README.md: make syscalls. */
static int print_syscalls(void)
{
	CLEANUP(buf) struct buf text = BUF_INIT;

	filter_describe(&text);
	return buf_check(&text) || io_write_all(1, buf_slice(&text));
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "syscalls") == 0)
		return print_syscalls();
	return check_run("filter", add);
}
