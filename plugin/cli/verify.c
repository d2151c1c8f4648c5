#include "plugin/cli/verify.h"

#include <stdio.h>
#include <string.h>

#include "audit/proof.h"
#include "audit/profile.h"
#include "audit/trust.h"
#include "audit/witness.h"
#include "plugin/cli/cli.h"
#include "plugin/cli/measure.h"
#include "plugin/cli/page.h"
#include "sandbox/manifest.h"

#define POLICY_MAX ((size_t)1 << 20)

/* What the command line names, and the bytes that were read from there. */
struct request {
	struct cli *cli;
	const char *ca, *input, *output, *messages, *keys, *measurement, *package, *nonce;
	const char *certificate, *origin, *partition, *policy, *learn, *tsa, *crl, *html;
	const char *witnesses, *checkpoint, *profile;
	bool allow_development, allow_failure, receipt;
	struct buf proof, ca_raw, certificate_raw, tsa_raw, crl_raw, policy_raw, package_raw;
	struct buf input_raw, output_raw, messages_raw, keys_raw, nonce_raw;
	struct buf witnesses_raw, checkpoint_raw, profile_raw;
	uint8_t measured[SHA256_SIZE], image[SHA256_SIZE];
	struct assay_expect expect;
	struct assay_outcome *outcome;
};

static void request_cleanup(struct request *r)
{
	struct buf *const bufs[] = { &r->proof,         &r->ca_raw,         &r->certificate_raw,
				     &r->tsa_raw,       &r->crl_raw,        &r->policy_raw,
				     &r->package_raw,   &r->input_raw,      &r->output_raw,
				     &r->messages_raw,  &r->keys_raw,       &r->nonce_raw,
				     &r->witnesses_raw, &r->checkpoint_raw, &r->profile_raw };

	for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
		buf_free(bufs[i]);
	assay_outcome_free(r->outcome);
}

/* An empty file is given all the same, and so has an address. */
static enum err read_file(const char *path, size_t max, struct buf *raw, struct assay_bytes *out)
{
	if (!path)
		return OK;
	enum err e = cli_read(path, max, raw);
	*out = (struct assay_bytes){ raw->data ? (const void *)raw->data : "", raw->len };
	return e;
}

static enum err read_measurement(struct request *r)
{
	struct package package;
	enum err e;

	if (r->measurement && hex_take(r->measurement, r->measured, sizeof r->measured))
		return failed(ERR_USAGE, "measurement: 64 hexadecimal digits expected");
	if (r->package) {
		if ((e = measure_read(r->package, &r->package_raw, &package, NULL)))
			return e;
		if ((e = manifest_profile_put(&package.manifest, &r->profile_raw)))
			return e;
		r->expect.profile = (struct assay_bytes){ r->profile_raw.data, r->profile_raw.len };
		memcpy(r->measured, package.measurement, sizeof r->measured);
		memcpy(r->image, package.image, sizeof r->image);
		r->expect.image = r->image;
	}
	/* A compact proof names the image alone. */
	if (r->measurement || (r->package && !r->certificate))
		r->expect.measurement = r->measured;
	return OK;
}

static enum err read_nonce(struct request *r)
{
	size_t digits = r->nonce ? strlen(r->nonce) : 0;

	if (!r->nonce)
		return OK;
	if (digits % 2 || digits < 16 || digits > 128)
		return failed(ERR_USAGE, "nonce: 16 to 128 hexadecimal digits expected");
	uint8_t *to = buf_add(&r->nonce_raw, digits / 2);
	if (!to)
		return buf_check(&r->nonce_raw);
	if (hex_take(r->nonce, to, digits / 2))
		return failed(ERR_USAGE, "nonce: 16 to 128 hexadecimal digits expected");
	r->expect.nonce = (struct assay_bytes){ r->nonce_raw.data, r->nonce_raw.len };
	return OK;
}

static enum err read_request(struct request *r, const char *proof)
{
	struct assay_expect *expect = &r->expect;
	enum err e;

	expect->size = sizeof *expect;
	expect->origin = r->origin;
	expect->partition = r->partition;
	expect->policy_name = r->policy;
	expect->flags = (r->allow_development ? ASSAY_ALLOW_DEVELOPMENT : 0) |
			(r->allow_failure ? ASSAY_ALLOW_FAILURE : 0) |
			(r->receipt ? ASSAY_LOAD : 0);
	if ((e = cli_read(proof, CLI_FILE_MAX, &r->proof)) ||
	    (e = read_file(r->ca, CLI_FILE_MAX, &r->ca_raw, &expect->ca)) ||
	    (e = read_file(r->certificate, CLI_FILE_MAX, &r->certificate_raw,
			   &expect->certificate)) ||
	    (e = read_file(r->tsa, CLI_FILE_MAX, &r->tsa_raw, &expect->tsa)) ||
	    (e = read_file(r->crl, CLI_FILE_MAX, &r->crl_raw, &expect->crl)) ||
	    (e = read_file(r->policy, POLICY_MAX, &r->policy_raw, &expect->policy)) ||
	    (e = read_file(r->input, CLI_FILE_MAX, &r->input_raw, &expect->input)) ||
	    (e = read_file(r->output, CLI_FILE_MAX, &r->output_raw, &expect->output)) ||
	    (e = read_file(r->messages, CLI_FILE_MAX, &r->messages_raw, &expect->messages)) ||
	    (e = read_file(r->keys, PROOF_MAX, &r->keys_raw, &expect->keys)) ||
	    (e = read_file(r->profile, PROFILE_MAX, &r->profile_raw, &expect->profile)) ||
	    (e = read_file(r->witnesses, TRUST_MAX, &r->witnesses_raw, &expect->witnesses)) ||
	    (e = read_file(r->checkpoint, WITNESS_REQUEST_MAX, &r->checkpoint_raw,
			   &expect->checkpoint)) ||
	    (e = read_measurement(r)))
		return e;
	return read_nonce(r);
}

static enum err write_policy(struct request *r)
{
	if (!r->learn)
		return OK;
	return cli_write(r->cli, r->learn, 0644, slice_text(assay_outcome_policy(r->outcome)));
}

static struct slice given(struct assay_bytes bytes)
{
	return slice_of(bytes.data, bytes.size);
}

/* The same evidence, for whoever has a browser and no assay. */
static enum err write_page(const struct request *r)
{
	CLEANUP(buf) struct buf page = BUF_INIT;
	enum err e;

	if (!r->html)
		return OK;
	e = page_put(&(struct page_evidence){ buf_slice(&r->proof), given(r->expect.ca),
					      given(r->expect.keys), given(r->expect.input),
					      given(r->expect.output), given(r->expect.messages) },
		     &page);
	return e ? e : cli_write(r->cli, r->html, 0644, buf_slice(&page));
}

static enum cli_exit verify(struct cli *cli, struct request *r)
{
	enum assay_verdict verdict =
		assay_verify(r->proof.data, r->proof.len, &r->expect, &r->outcome);
	enum err e = OK;

	if (verdict >= ASSAY_MISUSED)
		return cli_failed(
			cli,
			failed(verdict == ASSAY_MISUSED ? ERR_USAGE : ERR_MEMORY, "%s",
			       r->outcome ? assay_outcome_reason(r->outcome) : "out of memory"));
	if (cli->json)
		verify_print_json(verdict, r->outcome, &cli->out);
	else
		verify_print_plain(verdict, r->outcome, r->certificate != NULL, &cli->out);
	if (verdict == ASSAY_HOLDS)
		e = write_policy(r);
	if (e || (e = write_page(r)))
		return cli_failed(cli, e);
	return verdict == ASSAY_HOLDS ? EXIT_HOLDS : EXIT_REFUSED;
}

int cmd_verify(struct cli *cli)
{
	CLEANUP(request) struct request r = { .cli = cli };
	const struct cli_option options[] = {
		CLI_TEXT("ca", "FILE", &r.ca,
			 "certificate of the appliance's CA, or of one above it; required"),
		CLI_TEXT("input", "FILE", &r.input, "what the application read (with --keys)"),
		CLI_TEXT("output", "FILE", &r.output, "what it wrote (with --keys)"),
		CLI_TEXT("stderr", "FILE", &r.messages, "its messages (with --keys)"),
		CLI_TEXT("keys", "FILE", &r.keys, "commitment keys that came with the result"),
		CLI_TEXT("measurement", "HEX", &r.measurement,
			 "the application that must have run"),
		CLI_TEXT("package", "FILE", &r.package, "the same, measured here"),
		CLI_TEXT("profile", "FILE", &r.profile,
			 "how it runs (assay measure --profile), for a policy's limits"),
		CLI_TEXT("nonce", "HEX", &r.nonce, "the nonce that was asked for"),
		CLI_TEXT("certificate", "FILE", &r.certificate,
			 "partition's certificate, to check a compact proof"),
		CLI_TEXT("origin", "ORIGIN", &r.origin, "the log that must hold the record"),
		CLI_TEXT("partition", "SERIAL", &r.partition,
			 "serial of the token whose partition it must be"),
		CLI_TEXT("tsa", "FILE", &r.tsa,
			 "certificate of a time-stamping authority, or its issuer"),
		CLI_TEXT("crl", "FILE", &r.crl,
			 "CRLs of CAs of the proof's chain: what was revoked before the proof is "
			 "refused"),
		CLI_TEXT("html", "FILE", &r.html,
			 "write a page that verifies the same in a browser"),
		CLI_TEXT("policy", "FILE", &r.policy,
			 "what is accepted (assay config describe appraisal)"),
		CLI_TEXT("learn", "FILE", &r.learn,
			 "write a policy that accepts proofs like this one"),
		CLI_TEXT(
			"witnesses", "POLICY", &r.witnesses,
			"a quorum (C2SP tlog-policy) that must vouch for the log, by --checkpoint"),
		CLI_TEXT("checkpoint", "FILE", &r.checkpoint,
			 "a cosigned checkpoint, with its proof (assay witness request --proof)"),
		CLI_FLAG("receipt", &r.receipt, "a load's receipt is checked, no execution"),
		CLI_FLAG("allow-failure", &r.allow_failure, "accept the proof of a failed run"),
		CLI_FLAG("allow-dev", &r.allow_development, "accept development evidence"),
	};
	enum cli_exit code = cli_options(cli, options, sizeof options / sizeof *options);

	if (code)
		return code;
	if (!r.ca)
		return cli_usage(cli, "--ca is missing");
	if (r.measurement && r.package)
		return cli_usage(cli, "--measurement or --package: one of them expected");
	if (r.policy && r.learn)
		return cli_usage(cli, "--policy or --learn: one of them expected");
	if (r.profile && r.package)
		return cli_usage(cli, "--profile or --package: one of them expected");
	if (r.witnesses && !r.checkpoint)
		return cli_usage(cli, "--witnesses: --checkpoint expected too");
	if (r.checkpoint && !r.witnesses && !r.policy)
		return cli_usage(cli, "--checkpoint: --witnesses or --policy expected too");
	if (r.certificate && (r.learn || r.html || r.witnesses))
		return cli_usage(cli, "--learn, --html and --witnesses: a full proof expected, "
				      "not a compact one");
	enum err e = read_request(&r, cli->args[0]);
	return e ? cli_failed(cli, e) : verify(cli, &r);
}
