/* A file that says it is an image archive: what is read of it can be asked for its program, and packed. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/base/io.h"
#include "plugin/cli/oci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void use(const struct oci *oci)
{
	char program[PACKAGE_PATH_MAX + 1];
	struct entry *entries;
	size_t n;

	if (!oci_program(oci, program) && *program != '/')
		abort();
	if (layers_entries(oci->layers, &entries, &n))
		abort();
	free(entries);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	CLEANUP(oci) struct oci oci = { 0 };
	char path[64];
	bool is;
	int fd;

	if (!n || io_memfd("image", slice_of(data, n), &fd))
		return 0;
	(void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (!oci_is_archive(path, &is) && !oci_read(path, &oci))
		use(&oci);
	close(fd);
	return 0;
}
