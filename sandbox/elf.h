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
	uint16_t machine;
};

/* Its dynamic section, and the strings that that names. */
struct elf_dynamic {
	struct slice entries, strings;
};

/* False: not an ELF file, or one whose program headers are not all there. */
bool elf_open(struct slice file, struct elf *out);
/* The next program header of this type from number @i on, which is counted up; false: there is none. */
bool elf_next(const struct elf *elf, uint32_t type, size_t *i, Elf64_Phdr *out);
/* The loader that it names; empty: none. */
struct slice elf_interpreter(const struct elf *elf);
/* False: there is none, or it is not all there. */
bool elf_dynamic(const struct elf *elf, struct elf_dynamic *out);
/* The string of the next entry with this tag; false: no more. */
bool elf_dynamic_next(struct elf_dynamic *dynamic, int64_t tag, struct slice *text);
/* The kernel would make the program's stack writable and executable at once. */
bool elf_executable_stack(const struct elf *elf);

#endif
