/* Nothing that was written runs. */
#include <sys/mman.h>

#include "attempt.h"

int main(int argc, char **argv)
{
	int program = open(argv[0], O_RDONLY);
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)argc;
	HOLDS(page != MAP_FAILED);
	HOLDS(program >= 0);
	DENIED(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	DENIED(mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	DENIED(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, program, 0));
	DENIED(mprotect(page, 4096, PROT_READ | PROT_EXEC));
	DENIED(mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
	DENIED(syscall(SYS_pkey_mprotect, page, 4096, PROT_EXEC, -1));
	DENIED(syscall(SYS_memfd_create, "code", 0));
	DENIED(syscall(SYS_execveat, program, "", NULL, NULL, AT_EMPTY_PATH));
	DENIED(syscall(SYS_personality, 0x0400000)); /* READ_IMPLIES_EXEC */
	return attempts_through;
}
