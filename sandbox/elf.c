#include "sandbox/elf.h"

#include <string.h>

bool elf_open(struct slice file, struct elf *out)
{
	Elf64_Ehdr head;

	if (file.left < sizeof head)
		return false;
	memcpy(&head, file.p, sizeof head);
	size_t bytes = (size_t)head.e_phnum * sizeof(Elf64_Phdr);
	if (memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_phentsize != sizeof(Elf64_Phdr) ||
	    head.e_phoff > file.left || bytes > file.left - head.e_phoff)
		return false;
	*out = (struct elf){ file, slice_of(file.p + head.e_phoff, bytes) };
	return true;
}

bool elf_next(const struct elf *elf, uint32_t type, size_t *i, Elf64_Phdr *out)
{
	while (*i < elf->parts.left / sizeof *out) {
		memcpy(out, elf->parts.p + *i * sizeof *out, sizeof *out);
		++*i;
		if (out->p_type == type)
			return true;
	}
	return false;
}

bool elf_executable_stack(const struct elf *elf)
{
	Elf64_Phdr part;
	size_t i = 0;

	while (elf_next(elf, PT_GNU_STACK, &i, &part))
		if (part.p_flags & PF_X)
			return true;
	return false;
}
