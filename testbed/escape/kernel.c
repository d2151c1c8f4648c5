/* No kernel interface that a filter does not need. */
#include <sys/timerfd.h>
#include <time.h>

#include "attempt.h"

#define CALL(name) DENIED(syscall(SYS_##name, 0, 0, 0, 0, 0, 0))

int main(void)
{
	CALL(io_uring_setup);
	CALL(io_uring_enter);
	CALL(io_uring_register);
	CALL(userfaultfd);
	CALL(keyctl);
	CALL(add_key);
	CALL(request_key);
	CALL(ptrace);
	CALL(process_vm_readv);
	CALL(process_vm_writev);
	CALL(process_madvise);
	CALL(pidfd_open);
	CALL(pidfd_getfd);
	CALL(pidfd_send_signal);
	CALL(kcmp);
	CALL(bpf);
	CALL(perf_event_open);
	CALL(memfd_create);
	CALL(memfd_secret);
	CALL(execveat);
	CALL(personality);
	CALL(seccomp);
	CALL(landlock_create_ruleset);
	CALL(init_module);
	CALL(finit_module);
	CALL(delete_module);
	CALL(kexec_load);
	CALL(reboot);
	CALL(syslog);
	CALL(sysinfo);
	CALL(acct);
	CALL(iopl);
	CALL(ioperm);
	CALL(modify_ldt);
	CALL(settimeofday);
	CALL(clock_settime);
	CALL(clock_adjtime);
	CALL(adjtimex);
	CALL(setpriority);
	CALL(sched_setscheduler);
	CALL(sched_setattr);
	CALL(sched_setaffinity);
	CALL(sched_getscheduler);
	CALL(getpriority);
	CALL(ioprio_set);
	CALL(mbind);
	CALL(move_pages);
	CALL(migrate_pages);
	CALL(set_mempolicy);
	CALL(mlock);
	CALL(mlockall);
	CALL(mincore);
	CALL(remap_file_pages);
	CALL(pkey_alloc);
	CALL(name_to_handle_at);
	CALL(open_by_handle_at);
	CALL(openat2);
	CALL(io_setup);
	CALL(io_submit);
	CALL(splice);
	CALL(vmsplice);
	CALL(tee);
	CALL(copy_file_range);
	CALL(flock);
	CALL(timerfd_create);
	CALL(timer_create);
	CALL(signalfd4);
	CALL(rt_sigqueueinfo);
	CALL(rt_tgsigqueueinfo);
	CALL(tkill);
	CALL(setsid);
	CALL(setpgid);
	CALL(getsid);
	CALL(setgroups);
	CALL(setuid);
	CALL(setgid);
	CALL(setfsuid);
	CALL(capget);
	CALL(vhangup);
	CALL(lookup_dcookie);
	CALL(get_robust_list);
	CALL(membarrier);
	/* Numbers that no kernel has yet, and some that newer ones have. */
	for (long number = 425; number < 600; number++)
		if (number != SYS_clone3 && number != SYS_close_range && number != SYS_faccessat2)
			DENIED(syscall(number, 0, 0, 0, 0, 0, 0));
	FAILS(syscall(SYS_clone3, 0, 0), ENOSYS, ENOSYS);
	return attempts_through;
}
