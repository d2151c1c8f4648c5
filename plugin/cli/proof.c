/* `assay proof`: what may be done with a proof by whoever holds it. Neither its record nor its
 * signature changes. */
#include <string.h>

#include "audit/proof.h"
#include "audit/receipt.h"
#include "audit/timestamp.h"
#include "config/base/secret.h"
#include "plugin/cli/cli.h"

/* ---- time stamps ---- */

static enum err write_request(struct cli *cli, const struct receipt *receipt, const char *to)
{
	CLEANUP(buf) struct buf request = BUF_INIT;
	enum err e = timestamp_request(receipt->signature, &request);

	return e ? e : cli_write(cli, to, 0644, buf_slice(&request));
}

static enum err write_stamped(struct cli *cli, struct proof_parts parts, const char *from,
			      const char *to)
{
	CLEANUP(buf)
	struct buf response = BUF_INIT, token = BUF_INIT, receipt = BUF_INIT, proof = BUF_INIT;
	enum err e;

	if ((e = cli_read(from, TIMESTAMP_MAX, &response)) ||
	    (e = timestamp_take(buf_slice(&response), &token)) ||
	    (e = receipt_stamp(parts.receipt, buf_slice(&token), &receipt)))
		return e;
	parts.receipt = buf_slice(&receipt);
	proof_write(&parts, &proof);
	e = buf_check(&proof);
	return e ? e : cli_write(cli, to, 0644, buf_slice(&proof));
}

int cmd_proof_stamp(struct cli *cli)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	const char *request = NULL, *response = NULL, *to = NULL;
	const struct cli_option options[] = {
		CLI_TEXT("request", "FILE", &request,
			 "write a request (RFC 3161) for a time-stamping authority"),
		CLI_TEXT("response", "FILE", &response, "its answer, to be put into the proof"),
		CLI_TEXT("o", "FILE", &to, "where the proof with the time stamp goes"),
	};
	enum cli_exit code = cli_options(cli, options, sizeof options / sizeof *options);
	struct proof_parts parts;
	struct receipt receipt;
	enum err e;

	if (code)
		return code;
	if (!request == !response || !response != !to)
		return cli_usage(cli, "--request FILE, or --response FILE -o FILE expected");
	if ((e = cli_read(cli->args[0], PROOF_MAX, &raw)) ||
	    (e = proof_read(buf_slice(&raw), &parts)) ||
	    (e = receipt_read(parts.receipt, &receipt)))
		return cli_failed(cli, e);
	e = request ? write_request(cli, &receipt, request)
		    : write_stamped(cli, parts, response, to);
	return e ? cli_failed(cli, e) : EXIT_HOLDS;
}

/* ---- redaction ---- */

struct redaction {
	bool input, output, messages; /* what stays */
};

static enum err take_words(const struct cli_list *keep, struct redaction *out)
{
	for (size_t i = 0; i < keep->n; i++) {
		if (!strcmp(keep->items[i], "input"))
			out->input = true;
		else if (!strcmp(keep->items[i], "output"))
			out->output = true;
		else if (!strcmp(keep->items[i], "stderr"))
			out->messages = true;
		else
			return failed(ERR_USAGE,
				      "--keep: input, output or stderr expected, found "
				      "\"%s\"",
				      keep->items[i]);
	}
	return OK;
}

/* Without its key a commitment says nothing, not even to who guesses the content. */
static enum err redact_keys(struct slice raw, const struct redaction *keep, struct buf *out)
{
	struct proof_keys keys;
	enum err e = proof_keys_read(raw, &keys);

	if (e)
		return e;
	if (!keep->input)
		memset(keys.input, 0, sizeof keys.input);
	if (!keep->output)
		memset(keys.output, 0, sizeof keys.output);
	if (!keep->messages)
		memset(keys.messages, 0, sizeof keys.messages);
	proof_keys_write(&keys, out);
	explicit_bzero(&keys, sizeof keys);
	return buf_check(out);
}

static enum err redact(struct slice raw, const struct redaction *keep, struct buf *out)
{
	CLEANUP(buf) struct buf left = BUF_INIT;
	struct slice proof, output, messages, keys, nothing = slice_of(NULL, 0);
	enum err e;

	if (proof_result_read(raw, &proof, &output, &messages, &keys)) {
		e = redact_keys(raw, keep, out);
		return e ? failed(e, "neither a result of EXECUTE_FULL nor a file of keys: %s",
				  err_reason())
			 : OK;
	}
	if ((e = redact_keys(keys, keep, &left)))
		return e;
	proof_result_write(proof, keep->output ? output : nothing,
			   keep->messages ? messages : nothing, buf_slice(&left), out);
	return buf_check(out);
}

int cmd_proof_redact(struct cli *cli)
{
	CLEANUP(buf) struct buf raw = BUF_INIT, out = BUF_INIT;
	struct redaction keep = { 0 };
	struct cli_list words = { 0 };
	const char *to = NULL;
	const struct cli_option options[] = {
		CLI_LIST("keep", "input|output|stderr", &words, "what stays; may be given again"),
		CLI_TEXT("o", "FILE", &to, "where what stays goes; required"),
	};
	enum cli_exit code = cli_options(cli, options, sizeof options / sizeof *options);
	enum err e;

	if (code)
		return code;
	if (!to)
		return cli_usage(cli, "-o FILE is missing");
	if ((e = take_words(&words, &keep)) || (e = cli_read(cli->args[0], CLI_FILE_MAX, &raw)))
		return cli_failed(cli, e);
	if (!(e = redact(buf_slice(&raw), &keep, &out)))
		e = cli_write(cli, to, 0600, buf_slice(&out));
	return e ? cli_failed(cli, e) : EXIT_HOLDS;
}
