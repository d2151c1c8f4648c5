/* Family: large interfaces of the kernel, and doors beside the system calls that the filter sees. */
#include <linux/aio_abi.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <sys/mman.h>
#include <time.h>

#include "family.h"

static int uring(unsigned flags)
{
	struct io_uring_params p = { .flags = flags };

	return TRY(syscall(SYS_io_uring_setup, 4, &p));
}

static int ring(void)
{
	return uring(0);
}

static int ring_with_thread(void)
{
	return uring(IORING_SETUP_SQPOLL);
}

static int ring_disabled(void)
{
	return uring(IORING_SETUP_R_DISABLED);
}

static int ring_register(void)
{
	struct io_uring_params p = { 0 };
	int fd = (int)syscall(SYS_io_uring_setup, 4, &p);

	/* Without a ring the call itself, on a descriptor that is none. */
	int error = TRY(syscall(SYS_io_uring_register, fd < 0 ? 0 : fd, 9 /* personality */, 0, 0));
	return error;
}

static int faults(void)
{
	return TRY(syscall(SYS_userfaultfd, O_CLOEXEC));
}

static int program(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1
	};

	return TRY(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof attr));
}

static int counter(void)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE,
					.size = sizeof attr,
					.config = PERF_COUNT_SW_CPU_CLOCK };

	return TRY(syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0));
}

static int aio(void)
{
	aio_context_t context = 0;

	return TRY(syscall(SYS_io_setup, 4, &context));
}

static int filter(void)
{
	unsigned action = 0x7fff0000;

	return TRY(syscall(SYS_seccomp, 2 /* SECCOMP_GET_ACTION_AVAIL */, 0, &action));
}

static int log_of_kernel(void)
{
	return TRY(syscall(SYS_syslog, 10 /* size */, NULL, 0));
}

static int ports(void)
{
	return TRY(syscall(SYS_ioperm, 0x80, 1, 1));
}

static int clock_set(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return TRY(syscall(SYS_clock_settime, CLOCK_REALTIME, &now));
}

static int segments(void)
{
	char room[64];

	return TRY(syscall(SYS_modify_ldt, 0, room, sizeof room));
}

static int int80(void)
{
	long result = 0;

	__asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory"); /* getpid */
	return result > 0 ? 0 : (int)-result;
}

/* With what would be an escape by the other table's numbers: 32-bit unshare is 310. */
static int int80_unshare(void)
{
	long result = 0;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(310), "b"(0x10000000)
			 : "memory", "r8", "r9", "r10", "r11");
	return result == 0 ? 0 : (int)-result;
}

static int x32(void)
{
	return TRY(syscall(0x40000000 | SYS_getpid));
}

static int x32_execve(void)
{
	return TRY(syscall(0x40000000 | 520, "/", NULL, NULL)) == EACCES ? 0 : errno;
}

/* The filter compares whole numbers: the upper half does not hide a call. */
static int high_number(void)
{
	return TRY(syscall(0x100000000 | SYS_getpid));
}

static int negative(void)
{
	return TRY(syscall(-SYS_getpid));
}

static const struct attempt attempts[] = {
	/* RLIMIT_MEMLOCK, which is 0, stops them on some kernels. */
	{ "io_uring", ring, EPERM, REFUSED | MAY_PASS, IF_THERE },
	{ "io_uring with a kernel thread", ring_with_thread, EPERM, REFUSED | MAY_PASS, IF_THERE },
	{ "io_uring, disabled at first", ring_disabled, EPERM, REFUSED | MAY_PASS, IF_THERE },
	{ "io_uring personality", ring_register, EPERM, REFUSED | MAY_PASS, IF_THERE },
	{ "userfaultfd", faults, EPERM, EPERM, IF_THERE },
	{ "bpf", program, EPERM, EPERM, IF_THERE },
	{ "perf_event_open", counter, EPERM, REFUSED | MAY_PASS, IF_THERE },
	{ "aio", aio, EPERM, PASSES, IF_THERE },
	{ "seccomp", filter, EPERM, PASSES, PASSES },
	{ "syslog", log_of_kernel, EPERM, REFUSED | MAY_PASS, PASSES },
	{ "ioperm", ports, EPERM, REFUSED, IF_THERE },
	{ "clock_settime", clock_set, EPERM, EPERM, PASSES },
	{ "modify_ldt", segments, EPERM, PASSES, IF_THERE },
	{ "int 0x80", int80, KILLED, PASSES, PASSES },
	{ "int 0x80, unshare", int80_unshare, KILLED, ENOSPC, PASSES },
	{ "x32", x32, KILLED, ENOSYS, IF_THERE },
	{ "x32 execve", x32_execve, KILLED, ENOSYS, IF_THERE },
	/* The processor's own ABI: the kernel looks at the lower half as well, so it is getpid. */
	{ "a number over 32 bits", high_number, PASSES, PASSES, PASSES },
	{ "a negative number", negative, KILLED, ENOSYS, ENOSYS },
};
FAMILY(attempts)
