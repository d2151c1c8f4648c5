/* dump USER FILE - what the kernel starts for a crash dump: adds the user's number to the file. */
#include <stdio.h>

int main(int argc, char **argv)
{
	FILE *f = argc == 3 ? fopen(argv[2], "a") : NULL;

	if (!f)
		return 1;
	fprintf(f, "%s\n", argv[1]);
	return fclose(f) != 0;
}
