/* Family: running what was written. */
#include <elf.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/shm.h>

#include "family.h"

static const unsigned char ret[] = { 0xc3 };

static char *page(int protection)
{
	char *p = mmap(NULL, 4096, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int run(char *p)
{
	((void (*)(void))p)();
	return 0;
}

static int write_and_run(void)
{
	char *p = page(PROT_READ | PROT_WRITE | PROT_EXEC);

	return p ? memcpy(p, ret, sizeof ret), run(p) : errno;
}

static int write_then_protect(void)
{
	char *p = page(PROT_READ | PROT_WRITE);

	memcpy(p, ret, sizeof ret);
	return mprotect(p, 4096, PROT_READ | PROT_EXEC) ? errno : run(p);
}

static int write_then_protect_keyed(void)
{
	char *p = page(PROT_READ | PROT_WRITE);

	memcpy(p, ret, sizeof ret);
	return syscall(SYS_pkey_mprotect, p, 4096, PROT_READ | PROT_EXEC, -1) ? errno : run(p);
}

static int all_at_once_later(void)
{
	return TRY(mprotect(page(PROT_READ), 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
}

static int writable_code(void)
{
	long at = (long)run & -4096;

	return TRY(mprotect((void *)at, 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
}

/* A private copy of a file's page is written, then made executable. */
static int file_copy(void)
{
	int fd = open("/bin/app", O_RDONLY);
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);

	if (p == MAP_FAILED)
		return errno;
	memcpy(p, ret, sizeof ret);
	return mprotect(p, 4096, PROT_READ | PROT_EXEC) ? errno : run(p);
}

static int file_shared(void)
{
	int fd = open("/bin/app", O_RDONLY);

	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0) == MAP_FAILED ? errno : 0;
}

static int memory_file(unsigned flags)
{
	int fd = (int)syscall(SYS_memfd_create, "code", flags);

	if (fd < 0 || write(fd, ret, sizeof ret) != sizeof ret)
		return errno;
	char *p = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	return p == MAP_FAILED ? errno : run(p);
}

static int memory_file_mapped(void)
{
	return memory_file(0);
}

static int memory_file_sealed(void)
{
	return memory_file(8 /* MFD_NOEXEC_SEAL */);
}

static int memory_file_run(void)
{
	static const char script[] = "#!/bin/app nothing\n";
	static char *const argv[] = { "x", "nothing", NULL }, *const env[] = { NULL };
	int fd = (int)syscall(SYS_memfd_create, "code", 0);

	if (fd < 0 || write(fd, script, sizeof script - 1) < 0)
		return errno;
	syscall(SYS_execveat, fd, "", argv, env, AT_EMPTY_PATH);
	return errno;
}

static int secret_memory(void)
{
	return TRY(syscall(SYS_memfd_secret, 0));
}

static int run_by_descriptor(void)
{
	static char *const argv[] = { "x", "nothing", NULL }, *const env[] = { NULL };
	int fd = open("/bin/app", O_RDONLY | O_CLOEXEC);

	syscall(SYS_execveat, fd, "", argv, env, AT_EMPTY_PATH);
	return errno;
}

static int readable_is_executable(void)
{
	return TRY(personality(READ_IMPLIES_EXEC));
}

static int no_randomness(void)
{
	return TRY(personality(ADDR_NO_RANDOMIZE));
}

static int shared_segment(void)
{
	int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0700);
	char *p = id < 0 ? (char *)-1 : shmat(id, NULL, SHM_EXEC);
	int error = p == (char *)-1 ? errno : 0;

	if (id >= 0)
		shmctl(id, IPC_RMID, NULL);
	return error;
}

static int own_memory(void)
{
	return TRY(open("/proc/self/mem", O_RDWR));
}

static int first_page(void)
{
	char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		       -1, 0);

	return p == MAP_FAILED ? errno : 0;
}

static int lock_memory(void)
{
	return TRY(mlock(page(PROT_READ), 4096));
}

/* Where MDWE is absent, the second column passes: the test leaves these out there. */
static const struct attempt attempts[] = {
	{ "writable and executable", write_and_run, EPERM, EACCES, PASSES },
	{ "written, then executable", write_then_protect, EPERM, EACCES, PASSES },
	{ "the same by pkey_mprotect", write_then_protect_keyed, EPERM, EACCES, PASSES },
	{ "both, later", all_at_once_later, EPERM, EACCES, PASSES },
	{ "code made writable", writable_code, EPERM, EACCES, PASSES },
	{ "a file's page, written", file_copy, EPERM, EACCES, PASSES },
	{ "a file's page, executable", file_shared, EPERM, PASSES, PASSES },
	/* It might be mapped executable under MDWE, but RLIMIT_FSIZE lets no file grow. */
	{ "memory file, mapped", memory_file_mapped, EPERM, OVER_SIZE, PASSES },
	{ "memory file, sealed, mapped", memory_file_sealed, EPERM, OVER_SIZE, IF_THERE },
	{ "memory file, executed", memory_file_run, EPERM, OVER_SIZE, PASSES },
	{ "secret memory", secret_memory, EPERM, REFUSED | MAY_PASS, IF_THERE },
	{ "execveat", run_by_descriptor, EPERM, PASSES, PASSES },
	{ "READ_IMPLIES_EXEC", readable_is_executable, EPERM, PASSES, PASSES },
	{ "no randomness", no_randomness, EPERM, PASSES, PASSES },
	{ "executable segment", shared_segment, EPERM, REFUSED, PASSES },
	{ "/proc/self/mem", own_memory, ENOENT, ENOENT, PASSES },
	{ "the first page", first_page, EPERM, EPERM, PASSES },
	{ "mlock", lock_memory, EPERM, OR(EPERM, ENOMEM), PASSES },
};

/* In a cell whose profile is dynamic: seccomp must let libraries be mapped, so that what was written
 * is kept from running by MDWE alone. */
static const struct attempt dynamic[] = {
	{ "writable and executable", write_and_run, 0, EPERM, 0 },
	{ "written, then executable", write_then_protect, 0, EACCES, 0 },
	{ "the same by pkey_mprotect", write_then_protect_keyed, 0, EPERM, 0 },
	{ "both, later", all_at_once_later, 0, EPERM, 0 },
	{ "code made writable", writable_code, 0, EPERM, 0 },
	{ "a file's page, written", file_copy, 0, EACCES, 0 },
	{ "a file's page, executable", file_shared, 0, PASSES, 0 },
	{ "memory file, mapped", memory_file_mapped, 0, EPERM, 0 },
	{ "memory file, sealed, mapped", memory_file_sealed, 0, EPERM, 0 },
	{ "memory file, executed", memory_file_run, 0, EPERM, 0 },
	{ "execveat", run_by_descriptor, 0, EPERM, 0 },
	{ "READ_IMPLIES_EXEC", readable_is_executable, 0, EPERM, 0 },
	{ "executable segment", shared_segment, 0, EPERM, 0 },
};

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "nothing") == 0)
		return 0;
	if (argc > 1 && strcmp(argv[1], "dynamic") == 0)
		return family(argc, argv, dynamic, sizeof dynamic / sizeof *dynamic);
	return family(argc, argv, attempts, sizeof attempts / sizeof *attempts);
}
