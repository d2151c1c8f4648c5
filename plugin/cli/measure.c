#include "audit/devkey.h"
#include "plugin/cli/cli.h"
#include "plugin/cli/measure.h"
#include "sandbox/manifest.h"

/* Who signed, and why a signature does not hold. */
static enum err print_signers(const struct package *package, const struct trailer *signers,
			      bool json, struct buf *out)
{
	uint8_t digest[SHA256_SIZE];
	enum err worst = OK;

	sha256_once(package->raw, digest);
	for (size_t i = 0; i < signers->n; i++) {
		const struct signature *s = &signers->list[i];
		enum err e = devkey_verify(s->key, digest, s->signature);

		buf_put_text(out, json ? i ? ", \"" : "\"" : "signer:      ");
		buf_put_hex(out, SLICE(s->signer));
		buf_put_text(out, json ? "\"" : "\n");
		if (e)
			worst = failed(e, "signature %zu: %s", i + 1, err_reason());
	}
	return worst;
}

static void print_json(const struct package *package, struct buf *out)
{
	const struct manifest *m = &package->manifest;

	buf_put_text(out, "{");
	json_put_field(out, "id", m->id, true);
	json_put_field(out, "label", m->label, false);
	json_put_field(out, "version", m->version, false);
	json_put_hex(out, "measurement", SLICE(package->measurement), false);
	json_put_hex(out, "image", SLICE(package->image), false);
	json_put_hex(out, "profile", SLICE(package->profile), false);
	buf_put_text(out, ", \"purity\": \"");
	manifest_purity_put(m->purity, out);
	buf_printf(out, "\", \"entries\": %u, \"bytes\": %zu, \"signers\": [", package->entries_n,
		   package->raw.left);
}

static void print_lines(const struct package *package, struct buf *out)
{
	const struct manifest *m = &package->manifest;

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

enum err measure_print(const struct package *package, const struct trailer *signers, bool json,
		       struct buf *out)
{
	if (json)
		print_json(package, out);
	else
		print_lines(package, out);
	enum err e = print_signers(package, signers, json, out);
	buf_put_text(out, json ? "]}\n" : "");
	return e;
}

enum err measure_read(const char *path, struct buf *raw, struct package *out,
		      struct trailer *signers)
{
	struct trailer unused;
	enum err e = cli_read(path, SIGNED_PACKAGE_MAX, raw);

	if (e)
		return e;
	struct slice package = buf_slice(raw);
	if ((e = trailer_split(&package, signers ? signers : &unused)) ||
	    (e = package_parse(package, out)))
		return failed(e, "%s: %s", path, err_reason());
	return OK;
}

static enum err write_profile(struct cli *cli, const char *path, const struct manifest *manifest)
{
	CLEANUP(buf) struct buf profile = BUF_INIT;

	if (!path)
		return OK;
	enum err e = manifest_profile_put(manifest, &profile);
	return e ? e : cli_write(cli, path, 0644, buf_slice(&profile));
}

int cmd_measure(struct cli *cli)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	const char *profile = NULL;
	const struct cli_option options[] = {
		CLI_TEXT("profile", "FILE", &profile,
			 "write how it runs, which the profile's digest is of"),
	};
	struct package package;
	struct trailer signers;
	enum cli_exit code = cli_options(cli, options, sizeof options / sizeof *options);

	if (code)
		return code;
	enum err e = measure_read(cli->args[0], &raw, &package, &signers);
	if (!e && !(e = write_profile(cli, profile, &package.manifest)))
		e = measure_print(&package, &signers, cli->json, &cli->out);
	return e ? cli_failed(cli, e) : EXIT_HOLDS;
}
