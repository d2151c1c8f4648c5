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
	*out = (struct elf){ file, slice_of(file.p + head.e_phoff, bytes), head.e_machine };
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

/* What is in the file of a part; empty when that is not all there. */
static struct slice content_of(const struct elf *elf, const Elf64_Phdr *part)
{
	if (part->p_offset > elf->file.left || part->p_filesz > elf->file.left - part->p_offset)
		return slice_of(NULL, 0);
	return slice_of(elf->file.p + part->p_offset, part->p_filesz);
}

/* Up to its 0, which must be there. */
static struct slice text_at(struct slice strings, uint64_t at)
{
	const uint8_t *start = at < strings.left ? strings.p + at : NULL;
	const uint8_t *end = start ? memchr(start, 0, strings.left - at) : NULL;

	return end ? slice_of(start, (size_t)(end - start)) : slice_of(NULL, 0);
}

struct slice elf_interpreter(const struct elf *elf)
{
	Elf64_Phdr part;
	size_t i = 0;

	return elf_next(elf, PT_INTERP, &i, &part) ? text_at(content_of(elf, &part), 0)
						   : slice_of(NULL, 0);
}

/* What is mapped from this address on, as far as its part goes. */
static struct slice mapped_at(const struct elf *elf, uint64_t address)
{
	Elf64_Phdr part;

	for (size_t i = 0; elf_next(elf, PT_LOAD, &i, &part);) {
		struct slice content = content_of(elf, &part);

		if (address >= part.p_vaddr && address - part.p_vaddr < content.left) {
			uint64_t skip = address - part.p_vaddr;

			return slice_of(content.p + skip, content.left - skip);
		}
	}
	return slice_of(NULL, 0);
}

static bool next_entry(struct slice *entries, Elf64_Dyn *out)
{
	if (entries->left < sizeof *out)
		return false;
	memcpy(out, entries->p, sizeof *out);
	*entries = slice_of(entries->p + sizeof *out, entries->left - sizeof *out);
	return out->d_tag != DT_NULL;
}

bool elf_dynamic(const struct elf *elf, struct elf_dynamic *out)
{
	Elf64_Phdr part;
	Elf64_Dyn entry;
	size_t i = 0;

	if (!elf_next(elf, PT_DYNAMIC, &i, &part))
		return false;
	out->entries = content_of(elf, &part);
	for (struct slice rest = out->entries; next_entry(&rest, &entry);)
		if (entry.d_tag == DT_STRTAB) {
			out->strings = mapped_at(elf, entry.d_un.d_ptr);
			return out->strings.left > 0;
		}
	return false;
}

bool elf_dynamic_next(struct elf_dynamic *dynamic, int64_t tag, struct slice *text)
{
	Elf64_Dyn entry;

	while (next_entry(&dynamic->entries, &entry))
		if (entry.d_tag == tag) {
			*text = text_at(dynamic->strings, entry.d_un.d_val);
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
