/* Calls by another door: the process is killed. */
#include <stdlib.h>

#include "attempt.h"

int main(int argc, char **argv)
{
	long result = 0;

	if (argc > 1 && strcmp(argv[1], "x32") == 0)
		result = syscall(0x40000000 | SYS_getpid);
	else
		__asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory"); /* getpid */
	printf("got through: %ld\n", result);
	return 1;
}
