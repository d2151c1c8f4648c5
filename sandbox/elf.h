/* elf.h - what a 64-bit ELF file asks of whoever starts it, read with every length checked.
 *
 * Pure and without allocation. A file is seen as the kernel sees it: what this can't read the kernel
 * does not execute.
 */
#ifndef SANDBOX_ELF_H
#define SANDBOX_ELF_H

#include <elf.h>

#include "config/base/bytes.h"

struct elf {
	struct slice file, parts; /* parts: its program headers */
};

/* False: not an ELF file, or one whose program headers are not all there. */
bool elf_open(struct slice file, struct elf *out);
/* The next program header of this type from number @i on, which is counted up; false: there is none. */
bool elf_next(const struct elf *elf, uint32_t type, size_t *i, Elf64_Phdr *out);
/* The kernel would make the program's stack writable and executable at once. */
bool elf_executable_stack(const struct elf *elf);

#endif
