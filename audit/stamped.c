#include "audit/stamped.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "audit/state.h"
#include "config/base/dir.h"
#include "config/base/io.h"

enum err audit_stampable(struct audit_tree *tree, struct buf *receipt)
{
	struct audit *audit = tree->audit;
	struct tree_path path;

	pthread_mutex_lock(&audit->lock);
	struct head *head = head_hold(turn_last_locked(tree)->head);
	pthread_mutex_unlock(&audit->lock);
	if (!head)
		return OK;
	uint64_t size = head->signed_head.size;
	enum err e = old_inclusion(head->tree, size - 1, size, &path);
	if (!e)
		e = receipt_write(&head->signed_head, &head->key->key, size - 1,
				  (const uint8_t(*)[SHA256_SIZE])path.hash, path.n, receipt);
	head_drop(head);
	return e;
}

/* For everybody, unlike what io_open_dir makes. */
static enum err open_folder(int tree, int *out)
{
	int made = mkdirat(tree, "timestamp", 0755);

	if (made && errno != EEXIST)
		return failed(ERR_IO, "timestamp: %m");
	*out = openat(tree, "timestamp", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (*out < 0)
		return failed(ERR_IO, "timestamp: %m");
	return made ? OK : io_sync_dir(tree);
}

enum err audit_stamped(struct audit *audit, const char *origin, uint64_t size, struct slice receipt)
{
	CLEANUP(fd) int tree = -1;
	CLEANUP(fd) int folder = -1;
	struct stat status;
	char name[24];
	enum err e;

	snprintf(name, sizeof name, "%llu", (unsigned long long)size);
	if ((e = public_folder(audit->trees_dir, origin, false, &tree)) ||
	    (e = open_folder(tree, &folder)))
		return e;
	if (!fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW))
		return failed(ERR_EXISTS, "%s: timestamp/%s is there", origin, name);
	return io_replace_file(folder, name, 0644, receipt);
}

enum err audit_stamped_newest(struct audit *audit, const char *origin, uint64_t *size)
{
	CLEANUP(fd) int tree = -1;
	CLEANUP(fd) int folder = -1;
	enum err e = public_folder(audit->trees_dir, origin, false, &tree);

	*size = 0;
	if (e)
		return e;
	folder = openat(tree, "timestamp", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (folder < 0)
		return errno == ENOENT ? OK : failed(ERR_IO, "timestamp: %m");
	CLEANUP(dir) DIR *list = dir_list(folder);
	if (!list)
		return failed(ERR_IO, "timestamp: %m");
	for (const char *name; (name = dir_next(list));) {
		char *end;
		uint64_t n = strtoull(name, &end, 10);

		if (!*end && n > *size)
			*size = n;
	}
	return OK;
}
