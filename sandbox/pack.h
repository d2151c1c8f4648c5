/* pack.h - makes packages from what lies on this machine: a program, or a directory tree.
 *
 * For the command line; nothing here runs with privilege. The same files give the same bytes: owner,
 * times and the order of a directory do not count, of a file's mode only whether it is executable.
 */
#ifndef SANDBOX_PACK_H
#define SANDBOX_PACK_H

#include "sandbox/package.h"

/* Of one program, as /app, with @manifest's arguments after it (argv[0] is set when argc is 0). A
 * dynamic one takes its loader and libraries along (libraries.h), which sets manifest->dynamic.
 * ERR_UNSUPPORTED for a script and what else is no 64-bit ELF program. */
MUST enum err package_from_program(const char *path, struct manifest *manifest, struct buf *out);

/* Of the tree at @path, which is walked without following links; @exec is the program's absolute
 * path in it, and becomes argv[0] when argc is 0. Sets manifest->dynamic when the program, or the
 * interpreter that its first line names, needs a dynamic loader. ERR_FORMAT, with the file's path,
 * for devices, pipes, sockets, set-user-id and set-group-id files, links that are absolute or leave
 * the tree; /dev is left out, since every cell has its own. */
MUST enum err package_from_directory(const char *path, const char *exec, struct manifest *manifest,
				     struct buf *out);

/* Of files that somebody else gathered, as out of an archive; otherwise the same. */
MUST enum err package_from_entries(const struct entry *entries, size_t n, const char *exec,
				   struct manifest *manifest, struct buf *out);

#endif
