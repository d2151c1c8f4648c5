#include "plugin/cli/local.h"

#include <string.h>

#include "config/base/io.h"

enum err local_open(const struct cli *cli, const struct config *config, struct sandbox **out)
{
	char launcher[4096], init[4096], missing[128] = "", name[33];
	uint8_t tag[16];
	size_t used = 0;
	enum err e;

	if ((e = config_program(config, cli->self, "assay-launcher", launcher, sizeof launcher)) ||
	    (e = config_program(config, cli->self, "assay-init", init, sizeof init)) ||
	    (e = io_random(tag, sizeof tag)))
		return e;
	for (size_t i = 0; i < config->sandbox_allow_missing.n; i++)
		used += (size_t)snprintf(missing + used, sizeof missing - used, "%s%s",
					 i ? " " : "", config->sandbox_allow_missing.items[i]);
	hex_put(name, tag, sizeof tag);
	const struct sandbox_options options = {
		.launcher = launcher,
		.init = init,
		.uid_base = (uint32_t)config->sandbox_uid_base,
		.name = name,
		.allow_missing = missing,
		.cells_max = 1,
	};
	return sandbox_start(&options, out);
}

void local_cleanup(struct sandbox **box)
{
	sandbox_close(*box);
	*box = NULL;
}

enum err local_image(struct sandbox *box, const struct package *package, struct sandbox_image **out)
{
	CLEANUP(fd) int fd = -1;
	enum err e = io_memfd("package", package->raw, &fd);

	return e ? e : sandbox_image_add(box, fd, package->measurement, out);
}

enum err local_run(struct sandbox *box, const struct package *package, struct slice input,
		   struct run *run)
{
	struct sandbox_image *image = NULL;
	enum err e = local_image(box, package, &image);

	if (e)
		return e;
	e = sandbox_run(image, input, NULL, run);
	sandbox_image_drop(image);
	return e;
}
