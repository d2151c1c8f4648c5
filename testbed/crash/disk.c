#include "testbed/crash/disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/base/io.h"

#define PATH 512
#define GRAIN ((size_t)4096)

static void __attribute__((noreturn)) die(const char *what)
{
	perror(what);
	abort();
}

static void *grown(void *old, size_t n, size_t each)
{
	void *p = reallocarray(old, n, each);

	if (!p)
		die("disk");
	return p;
}

size_t disk_add(struct disk *disk, bool is_dir)
{
	disk->nodes = grown(disk->nodes, disk->n + 1, sizeof *disk->nodes);
	disk->nodes[disk->n] = (struct disk_node){ .is_dir = is_dir };
	return disk->n++;
}

struct disk_entry *disk_find(const struct disk *disk, size_t dir, const char *name)
{
	const struct disk_node *node = &disk->nodes[dir];

	for (size_t i = 0; i < node->entries_n; i++)
		if (!strcmp(node->entries[i].name, name))
			return &node->entries[i];
	return NULL;
}

void disk_name(struct disk *disk, size_t dir, const char *name, size_t node)
{
	struct disk_entry *entry = disk_find(disk, dir, name);
	struct disk_node *in = &disk->nodes[dir];

	if (!entry) {
		in->entries = grown(in->entries, in->entries_n + 1, sizeof *in->entries);
		entry = &in->entries[in->entries_n++];
		if (strlen(name) >= DISK_NAME)
			abort();
		strcpy(entry->name, name);
	}
	entry->node = node;
}

static void forget_name(struct disk *disk, size_t dir, const char *name, size_t node)
{
	struct disk_entry *entry = disk_find(disk, dir, name);
	struct disk_node *in = &disk->nodes[dir];

	if (entry && entry->node == node)
		*entry = in->entries[--in->entries_n];
}

static void make_room(struct disk_node *node, size_t room)
{
	if (room <= node->room)
		return;
	room = (room + GRAIN - 1) / GRAIN * GRAIN;
	node->data = grown(node->data, room, 1);
	memset(node->data + node->room, 0, room - node->room);
	node->room = room;
}

void disk_put(struct disk *disk, size_t node, uint64_t at, const uint8_t *p, size_t n)
{
	make_room(&disk->nodes[node], (size_t)at + n);
	if (n)
		memcpy(disk->nodes[node].data + at, p, n);
}

void disk_resize(struct disk *disk, size_t number, uint64_t size)
{
	struct disk_node *node = &disk->nodes[number];

	make_room(node, (size_t)size);
	if (size < node->size && node->room > size)
		memset(node->data + size, 0, node->room - size);
	node->size = (size_t)size;
}

void disk_apply(struct disk *disk, const struct op *op)
{
	switch (op->kind) {
	case OP_RENAME:
		forget_name(disk, op->from_dir, op->from, op->node);
		disk_name(disk, op->dir, op->name, op->node);
		break;
	case OP_MAKE:
	case OP_LINK:
		disk_name(disk, op->dir, op->name, op->node);
		break;
	case OP_UNLINK:
		forget_name(disk, op->dir, op->name, op->node);
		break;
	case OP_WRITE:
		disk_put(disk, op->node, op->at, op->data, op->n);
		if (op->at + op->n > disk->nodes[op->node].size)
			disk->nodes[op->node].size = op->at + op->n;
		break;
	case OP_SIZE:
		disk_resize(disk, op->node, op->at);
		break;
	case OP_SYNC:
		break;
	}
}

void disk_copy(const struct disk *from, struct disk *to)
{
	*to = (struct disk){ grown(NULL, from->n + 1, sizeof *to->nodes), from->n };
	for (size_t i = 0; i < from->n; i++) {
		const struct disk_node *old = &from->nodes[i];
		struct disk_node *node = &to->nodes[i];

		*node = *old;
		node->data = grown(NULL, old->room + 1, 1);
		if (old->room)
			memcpy(node->data, old->data, old->room);
		node->entries = grown(NULL, old->entries_n + 1, sizeof *node->entries);
		if (old->entries_n)
			memcpy(node->entries, old->entries, old->entries_n * sizeof *node->entries);
	}
}

void disk_free(struct disk *disk)
{
	for (size_t i = 0; i < disk->n; i++) {
		free(disk->nodes[i].data);
		free(disk->nodes[i].entries);
	}
	free(disk->nodes);
	*disk = (struct disk){ 0 };
}

void history_free(struct history *history)
{
	for (size_t i = 0; i < history->n; i++)
		free(history->ops[i].data);
	free(history->ops);
	disk_free(&history->start);
	*history = (struct history){ 0 };
}

/* --- from and to directories --- */

static void walk(const struct disk *disk, size_t dir, const char *path, disk_visit *visit,
		 void *context)
{
	const struct disk_node *node = &disk->nodes[dir];

	for (size_t i = 0; i < node->entries_n; i++) {
		const struct disk_node *in = &disk->nodes[node->entries[i].node];
		char below[PATH];

		snprintf(below, sizeof below, "%s%s%s", path, *path ? "/" : "",
			 node->entries[i].name);
		if (in->is_dir)
			walk(disk, node->entries[i].node, below, visit, context);
		else
			visit(context, below, slice_of(in->data, in->size));
	}
}

void disk_walk(const struct disk *disk, disk_visit *visit, void *context)
{
	walk(disk, 0, "", visit, context);
}

static uint64_t hash_bytes(uint64_t hash, const void *p, size_t n)
{
	const uint8_t *bytes = p;

	for (; n >= 8; bytes += 8, n -= 8)
		hash = (hash ^ get_u64(bytes)) * 0x9e3779b97f4a7c15u ^ hash >> 29;
	for (; n; bytes++, n--)
		hash = (hash ^ *bytes) * 0x100000001b3u;
	return hash;
}

/* Names come in any order: their hashes are added up. */
static uint64_t hash_node(const struct disk *disk, size_t number)
{
	const struct disk_node *node = &disk->nodes[number];
	uint64_t sum = node->is_dir;

	if (!node->is_dir)
		return hash_bytes(node->size, node->data, node->size);
	for (size_t i = 0; i < node->entries_n; i++)
		sum += hash_bytes(hash_node(disk, node->entries[i].node), node->entries[i].name,
				  strlen(node->entries[i].name));
	return hash_bytes(1, &sum, sizeof sum);
}

uint64_t disk_hash(const struct disk *disk)
{
	return hash_node(disk, 0);
}

/* @first: the path under which a node was written, to be linked to. */
static void write_dir(const struct disk *disk, size_t dir, const char *path, char (*first)[PATH])
{
	const struct disk_node *node = &disk->nodes[dir];

	if (mkdir(path, 0700))
		die(path);
	for (size_t i = 0; i < node->entries_n; i++) {
		size_t number = node->entries[i].node;
		const struct disk_node *in = &disk->nodes[number];
		char below[PATH];

		snprintf(below, sizeof below, "%s/%s", path, node->entries[i].name);
		if (in->is_dir) {
			write_dir(disk, number, below, first);
			continue;
		}
		if (*first[number]) {
			if (link(first[number], below))
				die(below);
			continue;
		}
		CLEANUP(fd)
		int fd = open(below, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 || io_write_all(fd, slice_of(in->data, in->size)))
			die(below);
		strcpy(first[number], below);
	}
}

void disk_write(const struct disk *disk, const char *path)
{
	char(*first)[PATH] = calloc(disk->n, sizeof *first);

	if (!first)
		die("disk");
	write_dir(disk, 0, path, first);
	free(first);
}
