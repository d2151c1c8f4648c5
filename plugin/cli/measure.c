#include "plugin/cli/cli.h"
#include "plugin/cli/measure.h"
#include "sandbox/manifest.h"

void measure_print(const struct package *package, bool json, struct buf *out)
{
	const struct manifest *m = &package->manifest;

	if (json) {
		buf_put_text(out, "{");
		json_put_field(out, "id", m->id, true);
		json_put_field(out, "label", m->label, false);
		json_put_field(out, "version", m->version, false);
		json_put_hex(out, "measurement", SLICE(package->measurement), false);
		json_put_hex(out, "image", SLICE(package->image), false);
		json_put_hex(out, "profile", SLICE(package->profile), false);
		buf_put_text(out, ", \"purity\": \"");
		manifest_purity_put(m->purity, out);
		buf_printf(out, "\", \"entries\": %u, \"bytes\": %zu}\n", package->entries_n,
			   package->raw.left);
		return;
	}
	buf_put_text(out, "id:          ");
	plain_put_text(out, m->id);
	buf_put_text(out, "\nlabel:       ");
	plain_put_text(out, m->label);
	buf_put_text(out, "\nversion:     ");
	plain_put_text(out, m->version);
	buf_put_text(out, "\nmeasurement: ");
	buf_put_hex(out, SLICE(package->measurement));
	buf_put_text(out, "\nimage:       ");
	buf_put_hex(out, SLICE(package->image));
	buf_put_text(out, "\nprofile:     ");
	buf_put_hex(out, SLICE(package->profile));
	buf_put_text(out, "\npurity:      ");
	manifest_purity_put(m->purity, out);
	buf_printf(out, "\nentries:     %u\nbytes:       %zu\n", package->entries_n,
		   package->raw.left);
}

enum err measure_read(const char *path, struct buf *raw, struct package *out)
{
	enum err e = cli_read(path, PACKAGE_MAX, raw);

	if (e)
		return e;
	return (e = package_parse(buf_slice(raw), out)) ? failed(e, "%s: %s", path, err_reason())
							: OK;
}

int cmd_measure(struct cli *cli)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct package package;
	enum cli_exit code = cli_options(cli, NULL, 0);

	if (code)
		return code;
	enum err e = measure_read(cli->args[0], &raw, &package);
	if (e)
		return cli_failed(cli, e);
	measure_print(&package, cli->json, &cli->out);
	return EXIT_HOLDS;
}
