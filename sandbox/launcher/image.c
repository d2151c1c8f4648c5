#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/base/io.h"
#include "sandbox/launcher/launcher.h"
#include "sandbox/manifest.h"

#define PAGE 4096

static const char *const devices[] = { "null", "zero", "full" };

static void image_path(uint32_t id, char path[32])
{
	snprintf(path, 32, PATH_IMAGES "/%" PRIu32, id);
}

/* Paths and targets were checked by package_parse: they fit and have no NUL. */
static const char *text_of(struct slice s, char room[PACKAGE_PATH_MAX + 1])
{
	memcpy(room, s.p, s.left);
	room[s.left] = '\0';
	return room;
}

static enum err put_file(int root, const char *path, const struct entry *entry)
{
	CLEANUP(fd)
	int fd = openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			entry->mode);
	if (fd < 0)
		return failed(ERR_IO, "image, %s: %m", path);
	return io_write_all(fd, entry->content);
}

static enum err put_entry(int root, const struct entry *entry)
{
	char path[PACKAGE_PATH_MAX + 1], target[PACKAGE_PATH_MAX + 1];

	text_of(entry->path, path);
	if (entry->type == ENTRY_FILE)
		return put_file(root, path, entry);
	if (entry->type == ENTRY_DIRECTORY ? mkdirat(root, path, entry->mode)
					   : symlinkat(text_of(entry->content, target), root, path))
		return failed(ERR_IO, "image, %s: %m", path);
	return OK;
}

/* The places where a cell's devices are bound; no package has anything there. */
static enum err put_devices(int root)
{
	char path[16];

	if (mkdirat(root, "dev", 0555) && errno != EEXIST)
		return failed(ERR_IO, "image, dev: %m");
	for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
		snprintf(path, sizeof path, "dev/%s", devices[i]);
		CLEANUP(fd)
		int fd = openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
		if (fd < 0)
			return failed(ERR_IO, "image, %s: %m", path);
	}
	return OK;
}

static enum err fill(const char *at, const struct package *package)
{
	CLEANUP(fd) int root = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct slice cursor = package->entries;
	struct entry entry;
	enum err e = root < 0 ? failed(ERR_IO, "image: %m") : OK;

	while (!e && package_next(&cursor, &entry))
		e = put_entry(root, &entry);
	if (!e && package->manifest.limits.scratch_bytes && mkdirat(root, PATH_SCRATCH + 1, 0555) &&
	    errno != EEXIST)
		e = failed(ERR_IO, "image, tmp: %m");
	return e ? e : put_devices(root);
}

/* A tmpfs with room for the image and no more; read-only as a whole once it is filled. */
static enum err mount_image(const char *at, const struct package *package)
{
	struct slice cursor = package->entries;
	struct entry entry;
	uint64_t bytes = 16 * PAGE;
	char options[96];

	while (package_next(&cursor, &entry))
		bytes += (entry.content.left + entry.path.left + 3 * PAGE) / PAGE * PAGE;
	/* Programs start faster from large pages, which never reach beyond the end of a file. */
	snprintf(options, sizeof options,
		 "mode=0755,size=%" PRIu64 ",nr_inodes=%" PRIu32 ",huge=within_size", bytes,
		 package->entries_n + 16);
	if (mkdir(at, 0755) && errno != EEXIST)
		return failed(ERR_IO, "%s: %m", at);
	int r = mount("image", at, "tmpfs", MS_NOSUID | MS_NODEV, options);
	if (r && errno == EINVAL) {
		/* A kernel without large pages refuses the option. */
		*strrchr(options, ',') = '\0';
		r = mount("image", at, "tmpfs", MS_NOSUID | MS_NODEV, options);
	}
	if (r)
		return failed(ERR_IO, "mounting an image: %m");
	enum err e = fill(at, package);
	if (!e && mount(NULL, at, NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL))
		e = failed(ERR_IO, "making an image read-only: %m");
	if (e)
		umount2(at, MNT_DETACH);
	return e;
}

static enum err keep_manifest(const struct package *package, struct image *image)
{
	image->manifest_raw = malloc(package->manifest_raw.left);
	if (!image->manifest_raw)
		return failed(ERR_MEMORY, "manifest");
	memcpy(image->manifest_raw, package->manifest_raw.p, package->manifest_raw.left);
	return manifest_decode(slice_of(image->manifest_raw, package->manifest_raw.left),
			       &image->manifest);
}

static enum err add(struct slice raw, const uint8_t measurement[SHA256_SIZE], uint32_t id,
		    struct image *image)
{
	struct package package;
	char at[32];
	enum err e = package_parse(raw, &package);

	if (e)
		return e;
	if (memcmp(package.measurement, measurement, SHA256_SIZE) != 0)
		return failed(ERR_MISMATCH, "the package's measurement is another one");
	image_path(id, at);
	if ((e = keep_manifest(&package, image)) || (e = mount_image(at, &package))) {
		free(image->manifest_raw);
		*image = (struct image){ 0 };
		return e;
	}
	image->used = true;
	return OK;
}

enum err image_add(struct launcher *launcher, int package_fd,
		   const uint8_t measurement[SHA256_SIZE], uint32_t *id)
{
	struct slice raw;
	uint32_t i = 0;
	enum err e;

	while (i < IMAGES_MAX && launcher->images[i].used)
		i++;
	if (i == IMAGES_MAX)
		return failed(ERR_LIMIT, "%d images are loaded", IMAGES_MAX);
	if ((e = io_map_sealed(package_fd, PACKAGE_MAX, &raw)))
		return e;
	e = add(raw, measurement, i, &launcher->images[i]);
	io_unmap(&raw);
	*id = i;
	return e;
}

enum err image_drop(struct launcher *launcher, uint32_t id)
{
	char at[32];

	if (id >= IMAGES_MAX || !launcher->images[id].used)
		return failed(ERR_NOT_FOUND, "no image %" PRIu32, id);
	if (cell_any(launcher, id))
		return failed(ERR_STATE, "image %" PRIu32 " has a cell", id);
	image_path(id, at);
	umount2(at, MNT_DETACH);
	free(launcher->images[id].manifest_raw);
	launcher->images[id] = (struct image){ 0 };
	return OK;
}
