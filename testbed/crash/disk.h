/* disk.h - a file system as plain memory: nodes, their bytes and names, and the operations that
 * change them. Node 0 is the watched directory. For tests: what fails ends the process with words.
 */
#ifndef TESTBED_CRASH_DISK_H
#define TESTBED_CRASH_DISK_H

#include "config/base/bytes.h"

#define DISK_NAME 64

struct disk_entry {
	char name[DISK_NAME];
	size_t node;
};

struct disk_node {
	bool is_dir;
	uint8_t *data; /* beyond @size: written, but not seen while the file is no longer */
	size_t size, room;
	struct disk_entry *entries;
	size_t entries_n;
};

struct disk {
	struct disk_node *nodes;
	size_t n;
};

/* What @node is for each kind is the thing that is made, moved, written or synced. */
enum op_kind {
	OP_MAKE,   /* a file or directory appears as @dir/@name */
	OP_LINK,   /* one that is there gets the name @dir/@name too */
	OP_RENAME, /* @from_dir/@from becomes @dir/@name */
	OP_UNLINK, /* @dir/@name goes */
	OP_WRITE,  /* @n bytes of @data at @at */
	OP_SIZE,   /* the file has @at bytes */
	OP_SYNC    /* all that was done to @node before operation @began is durable */
};

struct op {
	enum op_kind kind;
	size_t node, dir, from_dir;
	char name[DISK_NAME], from[DISK_NAME];
	uint64_t at;
	uint8_t *data;
	size_t n;
	bool longer; /* OP_WRITE: the file ends later than before */
	size_t began;
};

/* What was done to a disk, in order. */
struct history {
	struct disk start;
	struct op *ops;
	size_t n, room;
};

/* A node without a name; its number. */
size_t disk_add(struct disk *disk, bool is_dir);
/* NULL: no such name. */
struct disk_entry *disk_find(const struct disk *disk, size_t dir, const char *name);
void disk_name(struct disk *disk, size_t dir, const char *name, size_t node);
void disk_put(struct disk *disk, size_t node, uint64_t at, const uint8_t *p, size_t n);
void disk_resize(struct disk *disk, size_t node, uint64_t size);
void disk_apply(struct disk *disk, const struct op *op);
void disk_copy(const struct disk *from, struct disk *to);
void disk_free(struct disk *disk);
void history_free(struct history *history);

/* Called for each file below the root, with its path; one that has two names twice. */
typedef void disk_visit(void *context, const char *path, struct slice bytes);
void disk_walk(const struct disk *disk, disk_visit *visit, void *context);
/* Equal for equal trees. */
uint64_t disk_hash(const struct disk *disk);
/* Makes @path hold just that: files with two names are hard links. */
void disk_write(const struct disk *disk, const char *path);

#endif
