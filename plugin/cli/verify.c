#include <string.h>

#include "audit/appraise.h"
#include "audit/leaf_text.h"
#include "audit/proof.h"
#include "config/base/cbor.h"
#include "config/base/io.h"
#include "plugin/cli/cli.h"
#include "plugin/cli/json.h"
#include "plugin/cli/page.h"
#include "sandbox/package.h"

/* What the command line names, and the bytes that were read from there. */
struct request {
	const char *ca, *input, *output, *messages, *keys, *measurement, *package, *nonce;
	const char *certificate, *origin, *partition, *policy, *learn, *tsa, *html;
	bool allow_development, allow_failure, receipt;
	struct buf proof_file, ca_der, tsa_der, certificate_der, package_raw;
	struct buf input_raw, output_raw, messages_raw, keys_raw, nonce_raw;
	uint8_t measured[SHA256_SIZE], image[SHA256_SIZE];
	struct slice proof; /* in proof_file */
	struct proof_expect expect;
	struct cli *cli;
	struct appraisal *appraisal; /* NULL without --policy */
	struct appraise_report appraised;
};

static void request_cleanup(struct request *r)
{
	buf_free(&r->proof_file);
	buf_free(&r->ca_der);
	buf_free(&r->tsa_der);
	buf_free(&r->certificate_der);
	buf_free(&r->package_raw);
	buf_free(&r->input_raw);
	buf_free(&r->output_raw);
	buf_free(&r->messages_raw);
	buf_free(&r->keys_raw);
	buf_free(&r->nonce_raw);
	appraisal_cleanup(&r->appraisal);
	appraise_report_free(&r->appraised);
}

/* A file of the caller's that the proof has a commitment to. */
static enum err read_payload(const char *path, struct buf *raw, bool *has, struct slice *out)
{
	if (!path)
		return OK;
	enum err e = cli_read(path, CLI_FILE_MAX, raw);
	*has = true;
	*out = buf_slice(raw);
	return e;
}

/* The result of EXECUTE_FULL has proof, output, stderr and keys in one file: each is used unless
 * the command line names another. What was redacted has no key, and is not compared. */
static void open_result(struct request *r)
{
	struct slice proof, output, messages, keys;
	struct proof_keys given;

	r->proof = buf_slice(&r->proof_file);
	if (proof_result_read(r->proof, &proof, &output, &messages, &keys))
		return;
	r->proof = proof;
	r->expect.keys = keys;
	if (proof_keys_read(keys, &given))
		return; /* said when they are needed */
	r->expect.output = output;
	r->expect.messages = messages;
	r->expect.has_output = proof_keys_has(given.output);
	r->expect.has_messages = proof_keys_has(given.messages);
}

static enum err read_measurement(struct request *r)
{
	struct package package;
	enum err e;

	if (r->measurement && hex_take(r->measurement, r->measured, sizeof r->measured))
		return failed(ERR_USAGE, "measurement: 64 hexadecimal digits expected");
	if (r->package) {
		if ((e = cli_read(r->package, PACKAGE_MAX, &r->package_raw)))
			return e;
		if ((e = package_parse(buf_slice(&r->package_raw), &package)))
			return failed(e, "%s: %s", r->package, err_reason());
		memcpy(r->measured, package.measurement, sizeof r->measured);
		memcpy(r->image, package.image, sizeof r->image);
		r->expect.image = r->image;
	}
	if (r->measurement || r->package)
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
	r->expect.nonce = buf_slice(&r->nonce_raw);
	return OK;
}

/* With a policy, it is the policy that says whether a failure is accepted. */
static enum err read_policy(struct request *r)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	enum err e;

	if (!r->policy)
		return OK;
	if ((e = cli_read(r->policy, APPRAISAL_MAX + 1, &text)) ||
	    (e = appraisal_parse(buf_slice(&text), r->policy, &r->appraisal)))
		return failed(e == ERR_FORMAT || e == ERR_RANGE ? ERR_USAGE : e, "%s",
			      err_reason());
	r->expect.allow_failure = true;
	return OK;
}

static enum err read_request(struct request *r, const char *proof)
{
	enum err e;

	if ((e = cli_read(proof, CLI_FILE_MAX, &r->proof_file)) ||
	    (e = cli_certificate(r->ca, &r->ca_der)) ||
	    (r->tsa && (e = cli_certificate(r->tsa, &r->tsa_der))))
		return e;
	open_result(r);
	r->expect.ca = buf_slice(&r->ca_der);
	r->expect.tsa = buf_slice(&r->tsa_der);
	r->expect.origin = r->origin;
	r->expect.partition = r->partition;
	r->expect.allow_development = r->allow_development;
	r->expect.allow_failure = r->allow_failure;
	r->expect.receipt = r->receipt;
	if ((e = read_payload(r->input, &r->input_raw, &r->expect.has_input, &r->expect.input)) ||
	    (e = read_payload(r->output, &r->output_raw, &r->expect.has_output,
			      &r->expect.output)) ||
	    (e = read_payload(r->messages, &r->messages_raw, &r->expect.has_messages,
			      &r->expect.messages)))
		return e;
	if (r->keys) {
		if ((e = cli_read(r->keys, PROOF_MAX, &r->keys_raw)))
			return e;
		r->expect.keys = buf_slice(&r->keys_raw);
	}
	return (e = read_measurement(r)) || (e = read_nonce(r)) ? e : read_policy(r);
}

/* Claims of a proof that does not hold are nobody's. */
static bool has_claims(const struct proof_report *report, const struct request *r, enum err e)
{
	return (!e || e == ERR_FAILED || r->appraised.missed) && report->leaf;
}

static void print_rules(const struct appraise_report *appraised, struct buf *out)
{
	for (size_t i = 0; i < appraised->n; i++) {
		const struct appraise_rule *rule = &appraised->rules[i];

		buf_printf(out, "%-12s policy: %s: ", rule->met ? "ok" : "REFUSED", rule->key);
		plain_put_text(out, slice_text(rule->words));
		buf_put_text(out, "\n");
	}
}

static void print_plain(const struct proof_report *report, const struct request *r, enum err e,
			struct buf *out)
{
	bool compact = r->certificate != NULL;

	static const char *const verdicts[] = {
		[PROOF_PASSED] = "ok", [PROOF_FAILED] = "FAILED", [PROOF_SKIPPED] = "not checked"
	};

	for (size_t i = 0; i < report->n; i++) {
		const struct proof_check *c = &report->checks[i];

		buf_printf(out, "%-12s %-14s ", verdicts[c->verdict], c->name);
		plain_put_text(out, slice_text(c->words));
		buf_put_text(out, "\n");
	}
	print_rules(&r->appraised, out);
	if (has_claims(report, r, e)) {
		buf_put_text(out, "record: ");
		leaf_print_line(report->leaf, out);
	}
	/* The whole of a compact proof is few claims, and no other command shows them. */
	if (has_claims(report, r, e) && compact)
		leaf_print(report->leaf, out);
	buf_put_text(out, !e                    ? "The proof holds."
			  : e == ERR_FAILED     ? "The proof holds, and is of a failure: "
			  : r->appraised.missed ? "The proof holds, but "
						: "The proof does not hold: ");
	if (e)
		plain_put_text(out, slice_text(err_reason()));
	buf_put_text(out, "\n");
}

/* Statuses and claims are AR4SI's. */
static void print_appraisal(const struct appraise_report *appraised, struct buf *out)
{
	static const char *const statuses[] = { "contraindicated", "affirming" };

	json_put_name(out, "appraisal", false);
	buf_put_text(out, "{");
	json_put_field(out, "status", slice_text(statuses[!appraised->missed]), true);
	json_put_name(out, "rules", false);
	buf_put_text(out, "[");
	for (size_t i = 0; i < appraised->n; i++) {
		const struct appraise_rule *rule = &appraised->rules[i];

		buf_put_text(out, i ? ", {" : "{");
		json_put_field(out, "rule", slice_text(rule->key), true);
		if (rule->claim)
			json_put_field(out, "claim", slice_text(rule->claim), false);
		json_put_field(out, "status", slice_text(statuses[rule->met]), false);
		json_put_field(out, "words", slice_text(rule->words), false);
		buf_put_text(out, "}");
	}
	buf_put_text(out, "]}");
}

static void print_json(const struct proof_report *report, const struct request *r, enum err e,
		       struct buf *out)
{
	static const char *const verdicts[] = {
		[PROOF_PASSED] = "passed", [PROOF_FAILED] = "failed", [PROOF_SKIPPED] = "skipped"
	};

	buf_printf(out, "{\"holds\": %s%s", has_claims(report, r, e) ? "true" : "false",
		   e == ERR_FAILED ? ", \"failed_run\": true" : "");
	if (e)
		json_put_field(out, "reason", slice_text(err_reason()), false);
	json_put_name(out, "checks", false);
	buf_put_text(out, "[");
	for (size_t i = 0; i < report->n; i++) {
		const struct proof_check *c = &report->checks[i];

		buf_put_text(out, i ? ", {" : "{");
		json_put_field(out, "name", slice_text(c->name), true);
		json_put_field(out, "verdict", slice_text(verdicts[c->verdict]), false);
		json_put_field(out, "words", slice_text(c->words), false);
		buf_put_text(out, "}");
	}
	buf_put_text(out, "]");
	if (r->appraisal && has_claims(report, r, e))
		print_appraisal(&r->appraised, out);
	if (has_claims(report, r, e)) {
		json_put_name(out, "claims", false);
		leaf_json(report->leaf, out);
	}
	buf_put_text(out, "}\n");
}

/* Not a question of the machine: what was read does not hold. */
static bool is_verdict(enum err e)
{
	return e == OK || e == ERR_MISMATCH || e == ERR_CRYPTO || e == ERR_FORMAT ||
	       e == ERR_RANGE || e == ERR_NOT_FOUND || e == ERR_FAILED;
}

/* COSE messages are tagged, and a proof file is an array. */
static bool is_compact(struct slice proof)
{
	return proof.left && cbor_peek(proof) == CBOR_TAG;
}

/* What comes once the proof holds: is it one that the policy accepts, or that one may be made from? */
static enum err appraise_proof(struct request *r, const struct proof_report *report)
{
	struct appraise_evidence evidence = { report->leaf, report->tcb,
					      (int64_t)(io_realtime_us() / 1000000),
					      r->expect.nonce.left > 0 };
	CLEANUP(appraisal) struct appraisal *learned = NULL;
	CLEANUP(buf) struct buf text = BUF_INIT;
	enum err e;

	if (r->appraisal)
		return appraise(r->appraisal, &evidence, &r->appraised);
	if (!r->learn)
		return OK;
	if ((e = appraise_learn(&evidence, &learned)))
		return e;
	appraisal_show(learned, false, &text);
	e = buf_check(&text);
	return e ? e : cli_write(r->cli, r->learn, 0644, buf_slice(&text));
}

/* The same evidence, for whoever has a browser and no assay. */
static enum err write_page(const struct request *r)
{
	CLEANUP(buf) struct buf page = BUF_INIT;
	const struct proof_expect *given = &r->expect;
	enum err e;

	if (!r->html)
		return OK;
	e = page_put(&(struct page_evidence){ r->proof, given->ca, given->keys, given->input,
					      given->output, given->messages },
		     &page);
	return e ? e : cli_write(r->cli, r->html, 0644, buf_slice(&page));
}

static enum cli_exit verify(struct cli *cli, struct request *r)
{
	struct proof_report report = { 0 };
	enum err e;

	if (r->certificate) {
		if ((e = cli_certificate(r->certificate, &r->certificate_der)))
			return cli_failed(cli, e);
		e = proof_verify_compact(r->proof, buf_slice(&r->certificate_der), &r->expect,
					 &report);
	} else {
		e = proof_verify(r->proof, &r->expect, &report);
		if (!e)
			e = appraise_proof(r, &report);
	}
	if (!is_verdict(e))
		return cli_failed(cli, e);
	if (cli->json)
		print_json(&report, r, e, &cli->out);
	else
		print_plain(&report, r, e, &cli->out);
	proof_report_free(&report);
	enum cli_exit code = e ? EXIT_REFUSED : EXIT_HOLDS;
	return (e = write_page(r)) ? cli_failed(cli, e) : code;
}

int cmd_verify(struct cli *cli)
{
	CLEANUP(request) struct request r = { .cli = cli };
	const struct cli_option options[] = {
		CLI_TEXT("ca", "FILE", &r.ca, "certificate of the appliance's CA; required"),
		CLI_TEXT("input", "FILE", &r.input, "what the application read (with --keys)"),
		CLI_TEXT("output", "FILE", &r.output, "what it wrote (with --keys)"),
		CLI_TEXT("stderr", "FILE", &r.messages, "its messages (with --keys)"),
		CLI_TEXT("keys", "FILE", &r.keys, "commitment keys that came with the result"),
		CLI_TEXT("measurement", "HEX", &r.measurement,
			 "the application that must have run"),
		CLI_TEXT("package", "FILE", &r.package, "the same, measured here"),
		CLI_TEXT("nonce", "HEX", &r.nonce, "the nonce that was asked for"),
		CLI_TEXT("certificate", "FILE", &r.certificate,
			 "partition's certificate, to check a compact proof"),
		CLI_TEXT("origin", "ORIGIN", &r.origin, "the log that must hold the record"),
		CLI_TEXT("partition", "SERIAL", &r.partition,
			 "serial of the token whose partition it must be"),
		CLI_TEXT("tsa", "FILE", &r.tsa,
			 "certificate of a time-stamping authority, or its issuer"),
		CLI_TEXT("html", "FILE", &r.html,
			 "write a page that verifies the same in a browser"),
		CLI_TEXT("policy", "FILE", &r.policy,
			 "what is accepted (assay config describe appraisal)"),
		CLI_TEXT("learn", "FILE", &r.learn,
			 "write a policy that accepts proofs like this one"),
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
	if (r.certificate && (r.policy || r.learn || r.tsa || r.html))
		return cli_usage(cli, "--policy, --learn, --tsa and --html: a full proof expected, "
				      "not a compact one");
	if (r.certificate && (r.messages || r.measurement || r.partition))
		return cli_usage(cli, "a compact proof names neither stderr, measurement nor "
				      "partition: --package, --origin");
	enum err e = read_request(&r, cli->args[0]);
	if (e)
		return cli_failed(cli, e);
	if ((r.expect.has_input || r.expect.has_output || r.expect.has_messages) &&
	    !r.expect.keys.left)
		return cli_usage(cli, "--keys is missing: input and output are committed to under "
				      "keys");
	if (!r.certificate && is_compact(r.proof))
		return cli_usage(cli,
				 "%s is a compact proof: --certificate FILE is missing, the "
				 "partition's certificate",
				 cli->args[0]);
	return verify(cli, &r);
}
