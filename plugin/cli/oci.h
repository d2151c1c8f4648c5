/* oci.h - an image archive: `skopeo copy ... oci-archive:FILE`, or `docker save`. A tar archive, maybe
 * compressed (gzip, zstd), with an OCI image layout (index.json), or what Docker wrote before it
 * (manifest.json). One thread.
 *
 * It is hostile input. Each digest is compared: of the manifest, the configuration and the layers, or
 * in the older form of the configuration and of what it says the layers are. Everything is bounded
 * before there is memory for it. Nothing is written and nothing is fetched.
 */
#ifndef PLUGIN_CLI_OCI_H
#define PLUGIN_CLI_OCI_H

#include "plugin/cli/layers.h"

struct oci_strings {
	const char *of[MANIFEST_STRINGS_MAX];
	size_t n;
};

/* Of its configuration; users, ports, volumes and the working directory mean nothing in a cell. */
struct oci {
	struct layers *layers;
	struct oci_strings entrypoint, command, environment;
	void *config; /* which the strings are in */
};

/* Does it look like an archive, and not like a program? */
MUST enum err oci_is_archive(const char *path, bool *is);
/* ERR_FORMAT or ERR_RANGE says in words, with the file in the archive, what is wrong. */
MUST enum err oci_read(const char *path, struct oci *out);
/* The absolute path of the program that the image runs, looked for on its PATH. ERR_NOT_FOUND. */
MUST enum err oci_program(const struct oci *oci, char path[PACKAGE_PATH_MAX + 1]);
void oci_cleanup(struct oci *oci);

#endif
