/* Copies stdin to stdout: linked statically and dynamically, the start of an ordinary program. */
#include <unistd.h>

int main(void)
{
	static char block[65536];
	ssize_t n, done, written = 0;

	while ((n = read(0, block, sizeof block)) > 0)
		for (done = 0; done < n; done += written)
			if ((written = write(1, block + done, (size_t)(n - done))) <= 0)
				return 1;
	return n < 0;
}
