/* Copies stdin to stdout with nothing around it: no libc, no start-up, two system calls. What is left
 * is what it costs to start any program at all. */
#include <sys/syscall.h>

#ifndef __x86_64__
#error "system calls of this processor are not written down here"
#endif

static long call(long number, long a, long b, long c)
{
	__asm__ volatile("syscall"
			 : "+a"(number)
			 : "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return number;
}

void _start(void);

void _start(void)
{
	static char block[65536];
	long n, done, written = 0;

	while ((n = call(SYS_read, 0, (long)block, sizeof block)) > 0)
		for (done = 0; done < n; done += written)
			if ((written = call(SYS_write, 1, (long)(block + done), n - done)) <= 0)
				call(SYS_exit_group, 1, 0, 0);
	call(SYS_exit_group, n < 0, 0, 0);
	__builtin_unreachable();
}
