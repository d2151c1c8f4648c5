/* `assay replay`: runs again what a proof is of, here, and compares. */
#include <string.h>

#include "audit/leaf_text.h"
#include "audit/proof.h"
#include "config/base/secret.h"
#include "plugin/cli/local.h"
#include "plugin/cli/measure.h"
#include "sandbox/manifest.h"

struct replay {
	const char *package_path, *input_path, *keys_path, *output_path;
	bool anyway;
	struct config *config;
	struct buf proof, package_raw, input, output, keys_raw;
	struct package package;
	struct proof_keys keys;
	struct leaf *leaf;
	struct sandbox *box;
	struct run run;
};

static void replay_cleanup(struct replay *r)
{
	struct buf *const bufs[] = { &r->proof, &r->package_raw, &r->input, &r->output,
				     &r->keys_raw };

	run_free(&r->run);
	local_cleanup(&r->box);
	leaf_cleanup(&r->leaf);
	explicit_bzero(&r->keys, sizeof r->keys);
	for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++)
		buf_free(bufs[i]);
	config_cleanup(&r->config);
}

/* A proof, or the result of EXECUTE_FULL, which has the keys with it. */
static enum err read_proof(struct replay *r, const char *path)
{
	struct slice proof, output, messages, keys = { NULL, 0 };
	struct proof_parts parts;
	enum err e = cli_read(path, CLI_FILE_MAX, &r->proof);

	if (e)
		return e;
	if (proof_result_read(buf_slice(&r->proof), &proof, &output, &messages, &keys)) {
		proof = buf_slice(&r->proof);
		keys = slice_of(NULL, 0);
	}
	if ((e = proof_read(proof, &parts)) || (e = leaf_read(parts.leaf, &r->leaf)))
		return failed(e, "%s: %s", path, err_reason());
	if (r->leaf->type != LEAF_EXECUTION || !r->leaf->has_input || !r->leaf->has_output ||
	    !r->leaf->has_status)
		return failed(ERR_USAGE, "%s: not the proof of an execution", path);
	if (r->keys_path) {
		if ((e = cli_read(r->keys_path, PROOF_MAX, &r->keys_raw)))
			return e;
		keys = buf_slice(&r->keys_raw);
	}
	return keys.left ? proof_keys_read(keys, &r->keys) : OK;
}

static enum err read_all(struct cli *cli, struct replay *r)
{
	enum err e;

	if ((e = read_proof(r, cli->args[0])) || (e = cli_config(cli, &r->config)) ||
	    (e = measure_read(r->package_path, &r->package_raw, &r->package, NULL)) ||
	    (e = cli_read(r->input_path, r->config->limits_input_bytes, &r->input)))
		return e;
	if (!r->output_path && !proof_keys_has(r->keys.output))
		return failed(ERR_USAGE, "nothing to compare with: --keys with the output's key, "
					 "or --output expected");
	return r->output_path ? cli_read(r->output_path, CLI_FILE_MAX, &r->output) : OK;
}

/* OK: @data is what was committed to, or no key tells. */
static enum err same_data(const uint8_t key[32], const uint8_t commitment[32], struct slice data,
			  const char *what)
{
	uint8_t made[32];
	enum err e;

	if (!proof_keys_has(key))
		return OK;
	if ((e = proof_commit(key, data, made)))
		return e;
	return memcmp(made, commitment, sizeof made) == 0
		       ? OK
		       : failed(ERR_MISMATCH, "%s is not the one of the proof", what);
}

/* Whether this package and this input are the proof's: else there is nothing to learn. */
static enum err same_question(const struct replay *r)
{
	uint8_t measurement[SHA256_SIZE];
	enum err e;

	if ((e = proof_measurement(r->leaf, measurement)))
		return e;
	if (memcmp(measurement, r->package.measurement, SHA256_SIZE) != 0)
		return failed(ERR_MISMATCH, "the package is not the one of the proof");
	return same_data(r->keys.input, r->leaf->input, buf_slice(&r->input), "the input");
}

static enum err same_answer(const struct replay *r)
{
	const struct run *run = &r->run;
	struct slice output = buf_slice(&run->output);
	enum err e;

	if (run->kind != (enum run_kind)r->leaf->status_kind || run->code != r->leaf->status_code)
		return failed(ERR_MISMATCH, "it ended by: %s %u; in the proof: %s %llu",
			      leaf_status_name(run->kind), run->code,
			      leaf_status_name(r->leaf->status_kind),
			      (unsigned long long)r->leaf->status_code);
	if ((e = same_data(r->keys.output, r->leaf->output, output, "the output")))
		return e;
	if (r->output_path && (output.left != r->output.len ||
			       (output.left && memcmp(output.p, r->output.data, output.left) != 0)))
		return failed(ERR_MISMATCH, "the output is not that of the file");
	return r->leaf->has_messages ? same_data(r->keys.messages, r->leaf->messages,
						 buf_slice(&run->messages), "stderr")
				     : OK;
}

static void put_verdict(struct cli *cli, const char *verdict, const char *words)
{
	if (!cli->json) {
		buf_printf(&cli->out, "%s: %s\n", verdict, words);
		return;
	}
	buf_put_text(&cli->out, "{");
	json_put_field(&cli->out, "verdict", slice_text(verdict), true);
	json_put_field(&cli->out, "words", slice_text(words), false);
	buf_put_text(&cli->out, "}\n");
}

static const char *compared(const struct replay *r)
{
	if (!proof_keys_has(r->keys.output))
		return "the output is that of the file; without --keys it is not known whether "
		       "that "
		       "is the proof's";
	return proof_keys_has(r->keys.messages) && r->leaf->has_messages
		       ? "end, output and stderr are those of the proof, bit for bit"
		       : "end and output are those of the proof, bit for bit";
}

static enum cli_exit replay(struct cli *cli, struct replay *r)
{
	CLEANUP(buf) struct buf purity = BUF_INIT;
	bool pure = r->package.manifest.purity == PURE;
	char words[ERR_REASON_MAX];
	enum err e;

	manifest_purity_put(r->package.manifest.purity, &purity);
	if ((e = buf_check(&purity)) || !buf_text(&purity))
		return cli_failed(cli, e ? e : ERR_MEMORY);
	if (!pure && !r->anyway) {
		snprintf(words, sizeof words,
			 "the application is %s: another run may differ (--anyway tries)",
			 (const char *)purity.data);
		put_verdict(cli, "no replay", words);
		return EXIT_REFUSED;
	}
	if ((e = local_open(cli, r->config, &r->box)) ||
	    (e = local_run(r->box, &r->package, buf_slice(&r->input), &r->run)))
		return cli_failed(cli, e);
	e = same_answer(r);
	if (e && e != ERR_MISMATCH)
		return cli_failed(cli, e);
	snprintf(words, sizeof words, "%s%s%s%s", e ? err_reason() : compared(r),
		 pure ? "" : " (the application is ", pure ? "" : (const char *)purity.data,
		 pure ? "" : ": another run may differ)");
	put_verdict(cli, e ? "differs" : "same", words);
	return e ? EXIT_REFUSED : EXIT_HOLDS;
}

int cmd_replay(struct cli *cli)
{
	CLEANUP(replay) struct replay r = { 0 };
	const struct cli_option options[] = {
		CLI_TEXT("package", "FILE", &r.package_path, "the application; required"),
		CLI_TEXT("input", "FILE", &r.input_path, "what it read; required"),
		CLI_TEXT("keys", "FILE", &r.keys_path, "commitment keys that came with the result"),
		CLI_TEXT("output", "FILE", &r.output_path, "an output to compare with, as well"),
		CLI_FLAG("anyway", &r.anyway, "runs an application that is not pure, too"),
	};
	enum cli_exit code = cli_options(cli, options, sizeof options / sizeof *options);
	enum err e;

	if (code == EXIT_DONE)
		buf_put_text(&cli->out,
			     "\nThe proof itself is not checked: that is assay verify.\n");
	if (code)
		return code;
	if (!r.package_path || !r.input_path)
		return cli_usage(cli, "--package and --input are required");
	if ((e = read_all(cli, &r)) || (e = same_question(&r)))
		return cli_failed(cli, e);
	return replay(cli, &r);
}
