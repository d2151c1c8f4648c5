/* Who approves a package: sign, signer. */
#include <string.h>

#include "audit/devkey.h"
#include "config/base/harden.h"
#include "plugin/cli/cli.h"
#include "plugin/cli/measure.h"
#include "plugin/cli/pin.h"

#define KEY_FILE_MAX 16384

struct approval {
	const char *key, *signature, *public, *out;
	struct buf raw, key_der, signed_bytes, file;
	struct package package;
	struct trailer trailer;
};

static void approval_cleanup(struct approval *a)
{
	buf_free(&a->raw);
	buf_free(&a->key_der);
	buf_free(&a->signed_bytes);
	buf_free(&a->file);
}

static enum err ask(void *context, struct secret *passphrase)
{
	const struct pin_source source = { .what = context };

	return pin_read(&source, passphrase);
}

static enum err sign_here(struct approval *a, const uint8_t digest[SHA256_SIZE])
{
	const struct devkey_passphrase passphrase = { ask, "passphrase of the key" };
	CLEANUP(secret) struct secret pem = { 0 };
	enum err e;

	if ((e = harden_process()) || (e = secret_read(&pem, a->key)))
		return e;
	e = devkey_sign(&pem, &passphrase, digest, &a->key_der, &a->signed_bytes);
	return e ? failed(e, "%s: %s", a->key, err_reason()) : OK;
}

static enum err read_public(const char *path, struct buf *der)
{
	CLEANUP(buf) struct buf contents = BUF_INIT;
	enum err e = cli_read(path, KEY_FILE_MAX, &contents);

	if (e)
		return e;
	e = devkey_public(buf_slice(&contents), der);
	return e ? failed(e, "%s: %s", path, err_reason()) : OK;
}

static enum err signed_elsewhere(struct approval *a)
{
	enum err e = read_public(a->public, &a->key_der);

	return e ? e : cli_read(a->signature, DEVKEY_MAX, &a->signed_bytes);
}

/* One that does not hold is not put in, whoever made it. */
static enum err approve(struct cli *cli, struct approval *a)
{
	uint8_t digest[SHA256_SIZE];
	enum err e = measure_read(cli->args[0], &a->raw, &a->package, &a->trailer);

	if (e)
		return e;
	sha256_once(a->package.raw, digest);
	if ((e = a->key ? sign_here(a, digest) : signed_elsewhere(a)))
		return e;
	struct slice key = buf_slice(&a->key_der), signature = buf_slice(&a->signed_bytes);
	if ((e = devkey_verify(key, digest, signature)) ||
	    (e = trailer_add(&a->trailer, key, signature)))
		return e;
	buf_put_slice(&a->file, a->package.raw);
	return (e = trailer_put(&a->trailer, &a->file)) ? e : buf_check(&a->file);
}

int cmd_sign(struct cli *cli)
{
	CLEANUP(approval) struct approval a = { 0 };
	const struct cli_option options[] = {
		CLI_TEXT("key", "FILE", &a.key, "signs with this private key: PEM, mode 0600"),
		CLI_TEXT("signature", "FILE", &a.signature,
			 "puts in one that was made elsewhere, over the package's SHA-256"),
		CLI_TEXT("public", "FILE", &a.public, "by this key: PEM or DER"),
		CLI_TEXT("o", "FILE", &a.out, "the signed package; default: in its place"),
	};
	enum cli_exit code = cli_options(cli, options, sizeof options / sizeof *options);

	if (code)
		return code;
	if (!a.key == !a.signature || !a.signature != !a.public)
		return cli_usage(cli, "--key, or --signature and --public, expected");
	const char *out = a.out ? a.out : cli->args[0];
	enum err e;
	if ((e = approve(cli, &a)) ||
	    (strcmp(out, "-") &&
	     (e = measure_print(&a.package, &a.trailer, cli->json, &cli->out))) ||
	    (e = cli_write(cli, out, 0644, buf_slice(&a.file))))
		return cli_failed(cli, e);
	return EXIT_HOLDS;
}

int cmd_signer(struct cli *cli)
{
	CLEANUP(buf) struct buf der = BUF_INIT;
	uint8_t signer[SHA256_SIZE];
	enum cli_exit code = cli_options(cli, NULL, 0);
	enum err e;

	if (code)
		return code;
	if ((e = read_public(cli->args[0], &der)))
		return cli_failed(cli, e);
	sha256_once(buf_slice(&der), signer);
	buf_put_hex(&cli->out, SLICE(signer));
	buf_put_text(&cli->out, "\n");
	return EXIT_HOLDS;
}
