#include "plugin/cli/oci.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/base/io.h"

#define FILES_MAX 4096                  /* in the archive */
#define ARCHIVE_MAX ((uint64_t)4 << 30) /* its bytes: each layer is looked for from its beginning */
#define JSON_MAX ((size_t)4 << 20)      /* index, manifest or configuration */
#define BLOCK ((size_t)64 << 10)        /* read at once */
#define INDEXES_MAX 3                   /* one in another */
#define NAME_MAX_BYTES 255              /* of a file in the archive */
#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#if defined __x86_64__
#define ARCHITECTURE "amd64"
#elif defined __aarch64__
#define ARCHITECTURE "arm64"
#else
#define ARCHITECTURE "riscv64"
#endif

static void json_cleanup(json_t **json)
{
	json_decref(*json);
}

static void locale_cleanup(locale_t *locale)
{
	uselocale(LC_GLOBAL_LOCALE);
	if (*locale)
		freelocale(*locale);
}

/* ---- archives ---- */

/* A tar archive, and the compression around it. What comes out of that is counted on its way, since
 * libarchive passes over a member without a word, and its header need not say how long that takes. */
struct source {
	struct archive *packed, *tar;
	uint64_t left;
	bool over; /* there is more */
	uint8_t block[BLOCK];
};

static void source_cleanup(struct source **source)
{
	if (!*source)
		return;
	archive_read_free((*source)->tar);
	archive_read_free((*source)->packed);
	free(*source);
}

static la_ssize_t unpack(struct archive *tar, void *context, const void **block)
{
	struct source *s = context;
	la_ssize_t n = archive_read_data(s->packed, s->block, sizeof s->block);

	*block = s->block;
	if (n < 0)
		archive_set_error(tar, archive_errno(s->packed), "%s",
				  archive_error_string(s->packed));
	if (n <= 0)
		return n;
	if ((s->over = (uint64_t)n > s->left)) {
		archive_set_error(tar, E2BIG, "too large");
		return -1;
	}
	s->left -= (uint64_t)n;
	return n;
}

/* libarchive says of what ends in the middle that it was cut, whoever ended it. */
static enum err source_failed(const struct source *s, const char *what)
{
	return s->over ? failed(ERR_RANGE, "%s: more than it may be when it is unpacked", what)
		       : layers_failed(s->tar, what);
}

/* Nothing that would start a program: a filter that libarchive was built without is a warning. */
static enum err new_source(uint64_t most, struct source **out)
{
	struct source *s = *out = calloc(1, sizeof *s);

	if (!s || !(s->packed = archive_read_new()) || !(s->tar = archive_read_new()))
		return failed(ERR_MEMORY, "an archive");
	s->left = most;
	return archive_read_support_format_raw(s->packed) == ARCHIVE_OK &&
			       archive_read_support_filter_gzip(s->packed) == ARCHIVE_OK &&
			       archive_read_support_filter_zstd(s->packed) == ARCHIVE_OK &&
			       archive_read_support_format_tar(s->tar) == ARCHIVE_OK
		       ? OK
		       : failed(ERR_UNSUPPORTED, "libarchive reads no tar, gzip or zstd here");
}

/* Its compressed side is open. */
static enum err open_tar(struct source *s, const char *what)
{
	struct archive_entry *all;

	if (archive_read_next_header(s->packed, &all) != ARCHIVE_OK)
		return layers_failed(s->packed, what);
	return archive_read_open(s->tar, s, NULL, unpack, NULL) == ARCHIVE_OK
		       ? OK
		       : layers_failed(s->tar, what);
}

static enum err open_archive(const char *path, struct source **out)
{
	enum err e = new_source(ARCHIVE_MAX, out);

	if (e)
		return e;
	return archive_read_open_filename((*out)->packed, path, BLOCK) == ARCHIVE_OK
		       ? open_tar(*out, "not an image archive")
		       : layers_failed((*out)->packed, "not an image archive");
}

static const char *name_of(struct archive_entry *entry)
{
	const char *name = archive_entry_pathname(entry);

	while (name && name[0] == '.' && name[1] == '/')
		name += 2;
	return name ? name : "";
}

/* Goes to the one file of this name; the list was looked at before. */
static enum err seek(struct source *source, const char *name, uint64_t *size)
{
	struct archive_entry *entry;
	int status;

	while ((status = archive_read_next_header(source->tar, &entry)) == ARCHIVE_OK) {
		if (strcmp(name_of(entry), name) != 0)
			continue;
		if (archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry) ||
		    !archive_entry_size_is_set(entry) || archive_entry_size(entry) < 0)
			return failed(ERR_FORMAT, "%s: no regular file in the archive", name);
		*size = (uint64_t)archive_entry_size(entry);
		return OK;
	}
	return status == ARCHIVE_EOF ? failed(ERR_NOT_FOUND, "%s: not in the archive", name)
				     : source_failed(source, "the archive");
}

/* The names of all files, for one that is there twice has no digest to tell which is meant. */
struct names {
	char *of[FILES_MAX];
	size_t n;
};

static void names_cleanup(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->of[i]);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static enum err take_name(struct names *names, const char *name)
{
	if (names->n == FILES_MAX)
		return failed(ERR_RANGE, "more than %d files in the archive", FILES_MAX);
	if (strlen(name) > NAME_MAX_BYTES)
		return failed(ERR_FORMAT, "a name of %zu bytes in the archive", strlen(name));
	if (!(names->of[names->n] = strdup(name)))
		return failed(ERR_MEMORY, "names of files");
	names->n++;
	return OK;
}

static enum err take_size(struct archive_entry *entry, uint64_t *bytes)
{
	int64_t size = archive_entry_size(entry);

	if (size > 0 && (uint64_t)size > ARCHIVE_MAX - *bytes)
		return failed(ERR_RANGE, "more than %llu bytes in the archive",
			      (unsigned long long)ARCHIVE_MAX);
	*bytes += size > 0 ? (uint64_t)size : 0;
	return OK;
}

static enum err check_names(struct names *names)
{
	qsort(names->of, names->n, sizeof *names->of, by_text);
	for (size_t i = 1; i < names->n; i++)
		if (strcmp(names->of[i - 1], names->of[i]) == 0)
			return failed(ERR_FORMAT, "%s: twice in the archive", names->of[i]);
	return OK;
}

static enum err look_through(const char *path, bool *has_index)
{
	CLEANUP(names) struct names names = { .n = 0 };
	CLEANUP(source) struct source *source = NULL;
	struct archive_entry *entry;
	uint64_t bytes = 0;
	int status;
	enum err e = open_archive(path, &source);

	*has_index = false;
	if (e)
		return e;
	while ((status = archive_read_next_header(source->tar, &entry)) == ARCHIVE_OK) {
		const char *name = name_of(entry);

		if ((e = take_name(&names, name)) || (e = take_size(entry, &bytes)))
			return e;
		*has_index |= strcmp(name, "index.json") == 0;
	}
	return status == ARCHIVE_EOF ? check_names(&names)
				     : source_failed(source, "not an image archive");
}

/* ---- files in it ---- */

/* "sha256:" and 64 digits. */
static enum err take_digest(const json_t *json, uint8_t digest[SHA256_SIZE])
{
	const char *text = json_string_value(json);

	return text && !strncmp(text, "sha256:", 7) && !hex_take(text + 7, digest, SHA256_SIZE)
		       ? OK
		       : failed(ERR_FORMAT, "a digest that is no sha256");
}

static void blob_name(const uint8_t digest[SHA256_SIZE], char name[NAME_MAX_BYTES])
{
	size_t n = (size_t)snprintf(name, NAME_MAX_BYTES, "blobs/sha256/");

	hex_put(name + n, digest, SHA256_SIZE);
}

static enum err check_digest(const char *name, const uint8_t found[SHA256_SIZE],
			     const uint8_t wanted[SHA256_SIZE])
{
	return memcmp(found, wanted, SHA256_SIZE) == 0
		       ? OK
		       : failed(ERR_FORMAT, "%s: its SHA-256 is another one", name);
}

/* @digest: what it must have; NULL for the file that all begins with. */
static enum err read_json(const char *path, const char *name, const uint8_t *digest, json_t **out)
{
	CLEANUP(source) struct source *source = NULL;
	CLEANUP(buf) struct buf text = BUF_INIT;
	uint8_t found[SHA256_SIZE];
	json_error_t error;
	uint64_t size;
	enum err e;

	if ((e = open_archive(path, &source)) || (e = seek(source, name, &size)))
		return e;
	if (size == 0 || size > JSON_MAX)
		return failed(ERR_RANGE, "%s: %llu bytes, 1 to %zu expected", name,
			      (unsigned long long)size, JSON_MAX);
	uint8_t *to = buf_add(&text, (size_t)size);
	if (!to)
		return buf_check(&text);
	if (archive_read_data(source->tar, to, (size_t)size) != (ssize_t)size)
		return source_failed(source, name);
	sha256_once(buf_slice(&text), found);
	if (digest && (e = check_digest(name, found, digest)))
		return e;
	*out = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &error);
	return *out ? OK : failed(ERR_FORMAT, "%s: no proper JSON: %s", name, error.text);
}

/* A layer comes out of one archive and is another one; it is hashed on its way. */
struct feed {
	struct archive *from;
	struct sha256 hash;
	uint8_t block[BLOCK];
};

static la_ssize_t feed(struct archive *to, void *context, const void **block)
{
	struct feed *f = context;
	la_ssize_t n = archive_read_data(f->from, f->block, sizeof f->block);

	*block = f->block;
	if (n > 0)
		sha256_add(&f->hash, f->block, (size_t)n);
	else if (n < 0)
		archive_set_error(to, archive_errno(f->from), "%s", archive_error_string(f->from));
	return n;
}

static enum err apply(struct layers *layers, struct feed *f, const uint8_t digest[SHA256_SIZE],
		      const char *name)
{
	CLEANUP(source) struct source *source = NULL;
	uint8_t found[SHA256_SIZE];
	const void *block;
	la_ssize_t n;
	enum err e = new_source(LAYERS_READ_MAX, &source);

	if (e)
		return e;
	if (archive_read_open(source->packed, f, NULL, feed, NULL) != ARCHIVE_OK)
		return layers_failed(source->packed, name);
	if ((e = open_tar(source, name)))
		return e;
	if ((e = layers_apply(layers, source->tar)))
		return source->over ? source_failed(source, name)
				    : failed(e, "%s: %s", name, err_reason());
	/* What follows the archive's end counts for the digest. */
	while ((n = feed(source->packed, f, &block)) > 0)
		;
	if (n < 0)
		return layers_failed(source->packed, name);
	sha256_end(&f->hash, found);
	return check_digest(name, found, digest);
}

static enum err read_layer(const char *path, const char *name, const uint8_t digest[SHA256_SIZE],
			   struct layers *layers)
{
	struct feed *f = calloc(1, sizeof *f);
	CLEANUP(source) struct source *source = NULL;
	uint64_t size;
	enum err e;

	if (!f)
		return failed(ERR_MEMORY, "%s", name);
	sha256_init(&f->hash);
	if (!(e = open_archive(path, &source)) && !(e = seek(source, name, &size))) {
		f->from = source->tar;
		e = apply(layers, f, digest, name);
	}
	free(f);
	return e;
}

/* ---- an OCI layout ---- */

static bool text_is(const json_t *json, const char *key, const char *wanted)
{
	const char *text = json_string_value(json_object_get(json, key));

	return text && strcmp(text, wanted) == 0;
}

static bool is_index(const json_t *descriptor)
{
	return text_is(descriptor, "mediaType", "application/vnd.oci.image.index.v1+json") ||
	       text_is(descriptor, "mediaType",
		       "application/vnd.docker.distribution.manifest.list.v2+json");
}

static bool is_layer(const json_t *descriptor)
{
	static const char *const types[] = {
		"application/vnd.oci.image.layer.v1.tar",
		"application/vnd.oci.image.layer.v1.tar+gzip",
		"application/vnd.oci.image.layer.v1.tar+zstd",
		"application/vnd.docker.image.rootfs.diff.tar",
		"application/vnd.docker.image.rootfs.diff.tar.gzip",
	};

	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (text_is(descriptor, "mediaType", types[i]))
			return true;
	return false;
}

/* For this machine, or for any. */
static bool fits(const json_t *descriptor)
{
	const json_t *platform = json_object_get(descriptor, "platform");

	return !platform || (text_is(platform, "os", "linux") &&
			     text_is(platform, "architecture", ARCHITECTURE));
}

static enum err choose(const json_t *index, const json_t **out)
{
	const json_t *list = json_object_get(index, "manifests");

	*out = NULL;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *one = json_array_get(list, i);

		if (!fits(one))
			continue;
		if (*out)
			return failed(ERR_FORMAT, "the archive has several images; one expected");
		*out = one;
	}
	return *out ? OK : failed(ERR_FORMAT, "the archive has no image for linux/" ARCHITECTURE);
}

static enum err read_blob(const char *path, const json_t *descriptor, json_t **out)
{
	uint8_t digest[SHA256_SIZE];
	char name[NAME_MAX_BYTES];
	enum err e = take_digest(json_object_get(descriptor, "digest"), digest);

	if (e)
		return e;
	blob_name(digest, name);
	return read_json(path, name, digest, out);
}

/* From index to index, to the manifest. */
static enum err read_manifest(const char *path, json_t **out)
{
	CLEANUP(json) json_t *index = NULL;
	const json_t *chosen;
	enum err e = read_json(path, "index.json", NULL, &index);

	for (int i = 0; !e && i < INDEXES_MAX; i++) {
		json_t *next = NULL;

		if ((e = choose(index, &chosen)) || (e = read_blob(path, chosen, &next)))
			return e;
		if (!is_index(chosen)) {
			*out = next;
			return OK;
		}
		json_decref(index);
		index = next;
	}
	return e ? e : failed(ERR_FORMAT, "an index of an index of an index");
}

static enum err read_layout_layer(const char *path, const json_t *descriptor, struct layers *layers)
{
	uint8_t digest[SHA256_SIZE];
	char name[NAME_MAX_BYTES];
	enum err e = take_digest(json_object_get(descriptor, "digest"), digest);

	if (e)
		return e;
	if (!is_layer(descriptor))
		return failed(ERR_FORMAT, "a layer that is no tar archive, as it says");
	blob_name(digest, name);
	return read_layer(path, name, digest, layers);
}

static enum err read_layout(const char *path, struct oci *oci, json_t **config)
{
	CLEANUP(json) json_t *manifest = NULL;
	enum err e = read_manifest(path, &manifest);

	if (e || (e = read_blob(path, json_object_get(manifest, "config"), config)))
		return e;
	const json_t *layers = json_object_get(manifest, "layers");
	if (!json_array_size(layers))
		return failed(ERR_FORMAT, "an image without layers");
	for (size_t i = 0; !e && i < json_array_size(layers); i++)
		e = read_layout_layer(path, json_array_get(layers, i), oci->layers);
	return e;
}

/* ---- Docker's older form ---- */

/* "HEX.json": the digest of the configuration is its name. */
static enum err take_config_name(const char *name, uint8_t digest[SHA256_SIZE])
{
	char hex[2 * SHA256_SIZE + 1];

	if (!name || strlen(name) < sizeof hex || strcmp(name + 2 * SHA256_SIZE, ".json") != 0)
		return failed(ERR_FORMAT, "manifest.json: a configuration without a digest");
	memcpy(hex, name, sizeof hex - 1);
	hex[sizeof hex - 1] = '\0';
	return hex_take(hex, digest, SHA256_SIZE);
}

static enum err read_saved_layers(const char *path, const json_t *names, const json_t *config,
				  struct layers *layers)
{
	const json_t *ids = json_object_get(json_object_get(config, "rootfs"), "diff_ids");
	uint8_t digest[SHA256_SIZE];
	enum err e = OK;

	if (!json_array_size(names) || json_array_size(names) != json_array_size(ids))
		return failed(ERR_FORMAT, "manifest.json: not as many layers as digests");
	for (size_t i = 0; !e && i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));

		if (!name)
			return failed(ERR_FORMAT, "manifest.json: a layer without a name");
		if (!(e = take_digest(json_array_get(ids, i), digest)))
			e = read_layer(path, name, digest, layers);
	}
	return e;
}

static enum err read_saved(const char *path, struct oci *oci, json_t **config)
{
	CLEANUP(json) json_t *manifest = NULL;
	uint8_t digest[SHA256_SIZE];
	enum err e = read_json(path, "manifest.json", NULL, &manifest);

	if (e == ERR_NOT_FOUND)
		return failed(ERR_FORMAT, "neither a program nor an image archive: no index.json "
					  "and no manifest.json in it");
	if (e)
		return e;
	if (json_array_size(manifest) != 1)
		return failed(ERR_FORMAT, "manifest.json: one image expected");
	const json_t *image = json_array_get(manifest, 0);
	const char *name = json_string_value(json_object_get(image, "Config"));
	if ((e = take_config_name(name, digest)) || (e = read_json(path, name, digest, config)))
		return e;
	return read_saved_layers(path, json_object_get(image, "Layers"), *config, oci->layers);
}

/* ---- what it runs ---- */

static enum err take_strings(const json_t *config, const char *key, struct oci_strings *out)
{
	const json_t *list = json_object_get(config, key);

	if (!list || json_is_null(list))
		return OK;
	if (!json_is_array(list) || json_array_size(list) > MANIFEST_STRINGS_MAX)
		return failed(ERR_FORMAT, "%s: a list of at most %d texts expected", key,
			      MANIFEST_STRINGS_MAX);
	for (; out->n < json_array_size(list); out->n++)
		if (!(out->of[out->n] = json_string_value(json_array_get(list, out->n))))
			return failed(ERR_FORMAT, "%s: a list of texts expected", key);
	return OK;
}

static enum err take_config(struct oci *oci)
{
	const json_t *config = json_object_get(oci->config, "config");
	enum err e;

	if ((e = take_strings(config, "Entrypoint", &oci->entrypoint)) ||
	    (e = take_strings(config, "Cmd", &oci->command)))
		return e;
	return take_strings(config, "Env", &oci->environment);
}

enum err oci_read(const char *path, struct oci *out)
{
	/* Names in UTF-8 are taken as they are, whatever the user's language. */
	CLEANUP(locale) locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", NULL);
	json_t *config = NULL;
	bool has_index;
	enum err e;

	*out = (struct oci){ 0 };
	if (!utf8)
		return failed(ERR_UNSUPPORTED, "the locale C.UTF-8 is missing");
	uselocale(utf8);
	if ((e = layers_new(&out->layers)) || (e = look_through(path, &has_index)))
		return failed(e, "%s: %s", path, err_reason());
	e = has_index ? read_layout(path, out, &config) : read_saved(path, out, &config);
	out->config = config;
	if (e || (e = take_config(out)))
		return failed(e == ERR_NOT_FOUND ? ERR_FORMAT : e, "%s: %s", path, err_reason());
	return OK;
}

static const char *search_path(const struct oci *oci)
{
	for (size_t i = 0; i < oci->environment.n; i++)
		if (strncmp(oci->environment.of[i], "PATH=", 5) == 0)
			return oci->environment.of[i] + 5;
	return PATH_DEFAULT;
}

static enum err on_path(const struct oci *oci, const char *name, char path[PACKAGE_PATH_MAX + 1])
{
	const char *folder = search_path(oci);

	for (size_t n; *folder; folder += n + (folder[n] == ':')) {
		n = strcspn(folder, ":");
		if (folder[0] == '/' &&
		    snprintf(path, PACKAGE_PATH_MAX + 1, "%.*s/%s", (int)n, folder, name) <=
			    PACKAGE_PATH_MAX &&
		    layers_have_program(oci->layers, path + 1))
			return OK;
	}
	return failed(ERR_NOT_FOUND, "%s: not on the image's PATH", name);
}

enum err oci_program(const struct oci *oci, char path[PACKAGE_PATH_MAX + 1])
{
	const char *first = oci->entrypoint.n ? oci->entrypoint.of[0]
			    : oci->command.n  ? oci->command.of[0]
					      : NULL;

	if (!first || !*first)
		return failed(ERR_NOT_FOUND, "the image says nothing of what it runs");
	if (!strchr(first, '/'))
		return on_path(oci, first, path);
	if (*first != '/' || strlen(first) > PACKAGE_PATH_MAX)
		return failed(ERR_NOT_FOUND, "%s: an absolute path is needed", first);
	memcpy(path, first, strlen(first) + 1);
	return OK;
}

void oci_cleanup(struct oci *oci)
{
	layers_free(oci->layers);
	json_decref(oci->config);
	*oci = (struct oci){ 0 };
}

enum err oci_is_archive(const char *path, bool *is)
{
	CLEANUP(fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t head[512] = { 0 };
	ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof head);

	if (n < 0)
		return failed(ERR_IO, "%s: %m", path);
	*is = memcmp(head, "\x1f\x8b", 2) == 0 || memcmp(head, "\x28\xb5\x2f\xfd", 4) == 0 ||
	      memcmp(head + 257, "ustar", 5) == 0;
	return OK;
}
