/* package.h - an application package: a canonical archive, the same bytes from the same input.
 *
 *   "ASSAYPK1"  u64 length of the whole package  SHA-256 of everything after this header
 *   u32 length  manifest: deterministic CBOR, a map with the keys of manifest.def
 *   u32 number of entries, then each, sorted bytewise by path, no path twice:
 *     u16 length  path      relative, no empty, "." or ".." part, no NUL, parents come first
 *     u8 type               1 directory, 2 file, 3 symbolic link
 *     u16 mode              permission bits; a file's are 0444 or 0555, others have 0555 and 0777
 *     u64 length  content   of a file, which is no ELF file that asks for an executable stack;
 *                           of a link its target, which may not leave the image
 *
 * Numbers are big-endian. The launcher parses this with privilege, so: no allocation, every length
 * checked against what is left, one way to write each thing. Pure: no file is opened here.
 *
 * Measurement. image: root of the RFC 9162 Merkle tree whose leaves are the entries (path, type,
 * mode, SHA-256 of the content). profile: SHA-256 of how it runs (argv, environment, limits,
 * filter). measurement: SHA-256 of "assay-application-1" 0x00 image profile: the one number that
 * stands for an application. The same on any machine.
 *
 * What may follow a package in its file, signatures by those who approve it, is trailer.h's affair:
 * to package_parse, it is a package that was lengthened.
 */
#ifndef SANDBOX_PACKAGE_H
#define SANDBOX_PACKAGE_H

#include "config/base/bytes.h"
#include "config/base/sha256.h"

#define PACKAGE_MAGIC "ASSAYPK1"
#define PACKAGE_MAX ((size_t)256 << 20)
#define PACKAGE_ENTRIES_MAX 65536
#define PACKAGE_PATH_MAX 1024
#define PACKAGE_HEADER 48
#define MANIFEST_MAX 16384
#define MANIFEST_STRINGS_MAX 64 /* arguments; and as many environment strings */

struct limits {
	uint64_t memory_bytes; /* all memory of the run: anonymous, page cache, pipes */
	uint64_t output_bytes; /* of stdout, and as much again of stderr */
	uint32_t wall_ms;
	uint32_t cpu_ms;
	uint32_t processes; /* processes and threads, without init */
	uint32_t open_files;
	uint64_t scratch_bytes; /* of files in /tmp, in memory and part of it; 0: no such place */
};

/* Whether the program may be started before its request comes, to wait for its input. */
enum park { PARK_OFF = 0, PARK_ON = 1, PARK_AUTO = 2 /* where it is measured to be faster */ };

/* A pure application is a function of its input, but for what it needs: the rest of what the kernel
 * tells apart two runs by is refused to it, or always the same. 0: nothing is claimed, all is open. */
enum purity {
	PURE = 1,
#define NEED(name, bit, word, what) NEED_##name = bit,
#include "sandbox/needs.def"
#undef NEED
	NEED_ALL = 0
#define NEED(name, bit, word, what) | bit
#include "sandbox/needs.def"
#undef NEED
};

struct manifest {
	struct slice id;      /* [a-z0-9][a-z0-9.-]{0,63}: names the application in its partition */
	struct slice label;   /* 1 to 64 bytes of UTF-8, shown as CKA_LABEL */
	struct slice version; /* 1 to 32 bytes, dotted numbers */
	struct slice argv[MANIFEST_STRINGS_MAX]; /* argv[0] is the path in the image, with its / */
	size_t argc;
	struct slice env[MANIFEST_STRINGS_MAX]; /* NAME=value */
	size_t envc;
	struct limits limits;
	uint8_t refuse_code; /* the exit code that says "input refused"; 0: none */
	bool dynamic;        /* needs executable mappings: dynamic loader or interpreter */
	uint8_t park;        /* enum park: consent to be started ahead */
	uint8_t purity;      /* bits of enum purity */
};

struct package {
	struct slice raw;
	struct slice manifest_raw;
	struct manifest manifest; /* points into raw */
	struct slice entries;     /* for package_next */
	uint32_t entries_n;
	uint8_t image[SHA256_SIZE], profile[SHA256_SIZE], measurement[SHA256_SIZE];
};

enum entry_type { ENTRY_DIRECTORY = 1, ENTRY_FILE = 2, ENTRY_LINK = 3 };

struct entry {
	struct slice path;
	enum entry_type type;
	uint16_t mode;
	struct slice content;
};

/* Checks all of the above and measures; @out points into @raw, which must outlive it. ERR_FORMAT
 * says in words which rule is broken and where. */
MUST enum err package_parse(struct slice raw, struct package *out);
/* Walks the entries of a parsed package: start with cursor = package->entries; false at the end. */
bool package_next(struct slice *cursor, struct entry *entry);

/* Makes a package. Entries may come in any order and without their parents, which are added. */
MUST enum err package_build(const struct manifest *manifest, const struct entry *entries, size_t n,
			    struct buf *out);
/* The manifest's defaults: limits, empty environment. Set id, label, version, argv. */
void manifest_default(struct manifest *manifest);

#endif
