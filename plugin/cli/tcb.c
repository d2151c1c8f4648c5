/* `assay tcb`: the platform's measurement in force, on the device and in a proof. */
#include <stdlib.h>
#include <string.h>

#include "audit/leaf_text.h"
#include "audit/proof.h"
#include "plugin/cli/cli.h"
#include "plugin/cli/json.h"
#include "plugin/cli/parts.h"
#include "plugin/cli/remote.h"

/* What PLATFORM answers; points into the remote's message. */
struct platform {
	struct slice leaf_raw, receipt, held;
	struct slice differing[LEAF_COMPONENTS_MAX];
	size_t differing_n;
	struct leaf *leaf;
	uint8_t digest[SHA256_SIZE];
};

static void platform_cleanup(struct platform *platform)
{
	free(platform->leaf);
}

static enum err take_platform(struct slice in, struct platform *out)
{
	enum err e;

	if ((e = cbor_take_bytes(&in, LEAF_MAX, &out->leaf_raw)) ||
	    (e = cbor_take_bytes(&in, WIRE_MESSAGE_MAX, &out->receipt)) ||
	    (e = cbor_take_text(&in, WIRE_MESSAGE_MAX, &out->held)) ||
	    (e = cbor_take_array(&in, LEAF_COMPONENTS_MAX, &out->differing_n)))
		return e;
	for (size_t i = 0; i < out->differing_n; i++)
		if ((e = cbor_take_text(&in, WIRE_MESSAGE_MAX, &out->differing[i])))
			return e;
	if ((e = leaf_read(out->leaf_raw, &out->leaf)))
		return e;
	return leaf_components_digest(out->leaf, out->digest);
}

static enum err ask_platform(struct remote *remote, struct platform *out)
{
	struct slice in;
	enum err e;

	remote_request(remote, REQ_PLATFORM, 0);
	if ((e = remote_call(remote, &in)))
		return e;
	e = take_platform(in, out);
	return e ? failed(e, "the daemon's answer is malformed: %s", err_reason()) : OK;
}

static const char *mark(void *context, struct slice name)
{
	const struct platform *platform = context;

	for (size_t i = 0; i < platform->differing_n; i++)
		if (slice_equal(platform->differing[i], name))
			return "NOT ACCEPTED";
	return NULL;
}

static void print_json(struct platform *platform, struct buf *out)
{
	buf_put_text(out, "{");
	json_put_hex(out, "tcb", SLICE(platform->digest), true);
	json_put_field(out, "held", platform->held, false);
	json_put_name(out, "not_accepted", false);
	buf_put_text(out, "[");
	for (size_t i = 0; i < platform->differing_n; i++) {
		buf_put_text(out, i ? ", " : "");
		json_put_text(out, platform->differing[i]);
	}
	buf_put_text(out, "]");
	json_put_name(out, "record", false);
	leaf_json(platform->leaf, out);
	buf_put_text(out, "}\n");
}

static void print_plain(struct platform *platform, struct buf *out)
{
	buf_put_text(out, "platform ");
	buf_put_hex(out, SLICE(platform->digest));
	buf_printf(out, ", record %llu of ", (unsigned long long)platform->leaf->pos);
	plain_put_text(out, platform->leaf->origin);
	buf_put_text(out, "\n");
	parts_print(platform->leaf, mark, platform, out);
	if (!platform->held.left)
		return;
	buf_put_text(out, "Nothing is run: ");
	plain_put_text(out, platform->held);
	buf_put_text(out, ".\n");
}

static enum err show(struct cli *cli, struct remote *remote)
{
	CLEANUP(platform) struct platform platform = { 0 };
	enum err e = ask_platform(remote, &platform);

	if (!e)
		(cli->json ? print_json : print_plain)(&platform, &cli->out);
	return e;
}

int cmd_tcb_show(struct cli *cli)
{
	return remote_command(cli, show);
}

/* The digest says that what is accepted is what somebody looked at, and not what came since. */
static enum err accept_platform(struct cli *cli, struct remote *remote)
{
	uint8_t digest[SHA256_SIZE];
	struct slice in;

	if (hex_take(cli->args[0], digest, sizeof digest))
		return failed(ERR_USAGE, "64 hexadecimal digits expected, as assay tcb show has "
					 "them after \"platform\"");
	remote_request(remote, REQ_PLATFORM_ACCEPT, 1);
	cbor_put_bytes(&remote->request.bytes, SLICE(digest));
	enum err e = remote_call(remote, &in);
	if (!e)
		buf_put_text(&cli->out, "accepted\n");
	return e;
}

int cmd_tcb_accept(struct cli *cli)
{
	return remote_command(cli, accept_platform);
}

static void explain_hsm(const struct leaf *leaf, struct buf *out)
{
	const struct leaf_hsm *hsm = &leaf->hsm;

	if (!leaf->has_hsm)
		return;
	buf_put_text(out, "signed by keys of the HSM\n    ");
	plain_put_text(out, hsm->manufacturer);
	buf_put_text(out, ", ");
	plain_put_text(out, hsm->model);
	buf_put_text(out, ", serial ");
	plain_put_text(out, hsm->serial);
	buf_put_text(out, ", firmware ");
	plain_put_text(out, hsm->firmware);
	buf_printf(out, ", token flags 0x%llx (as its PKCS#11 module says)\n",
		   (unsigned long long)hsm->flags);
}

static void explain_application(const struct leaf *leaf, struct buf *out)
{
	uint8_t measurement[SHA256_SIZE];

	buf_put_text(out, "application ");
	plain_put_text(out, leaf->subject);
	buf_put_text(out, " ");
	plain_put_text(out, leaf->swversion);
	if (!proof_measurement(leaf, measurement)) {
		buf_put_text(out, ", measurement ");
		buf_put_hex(out, SLICE(measurement));
	}
	buf_put_text(out, "\n");
	parts_print(leaf, NULL, NULL, out);
}

static enum err explain_platform(const struct leaf *leaf, struct slice raw, struct buf *out)
{
	CLEANUP(leaf) struct leaf *tcb = NULL;
	uint8_t digest[SHA256_SIZE];
	enum err e;

	buf_put_text(out, "on the platform ");
	buf_put_hex(out, SLICE(leaf->tcb));
	if (!raw.left) {
		buf_put_text(out, ", whose record did not come with the proof\n");
		return OK;
	}
	if ((e = leaf_read(raw, &tcb)) || (e = leaf_components_digest(tcb, digest)))
		return e;
	if (memcmp(digest, leaf->tcb, SHA256_SIZE))
		return failed(ERR_MISMATCH, "the TCB record is not the one that the proof names");
	buf_put_text(out, "\n");
	parts_print(tcb, NULL, NULL, out);
	return OK;
}

static enum err explain(struct slice raw, struct buf *out)
{
	CLEANUP(leaf) struct leaf *leaf = NULL;
	struct slice output, messages, keys;
	struct proof_parts parts;
	enum err e;

	(void)!proof_result_read(raw, &raw, &output, &messages, &keys);
	if ((e = proof_read(raw, &parts)) || (e = leaf_read(parts.leaf, &leaf)))
		return e;
	explain_application(leaf, out);
	if ((e = explain_platform(leaf, parts.tcb_leaf, out)))
		return e;
	explain_hsm(leaf, out);
	buf_put_text(out, "Nothing of this was verified here: that is assay verify.\n");
	return OK;
}

int cmd_tcb_explain(struct cli *cli)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	enum cli_exit code = cli_options(cli, NULL, 0);
	enum err e;

	if (code)
		return code;
	if (!(e = cli_read(cli->args[0], CLI_FILE_MAX, &raw)))
		e = explain(buf_slice(&raw), &cli->out);
	if (e)
		buf_reset(&cli->out);
	return e ? cli_failed(cli, e) : EXIT_HOLDS;
}

/* ---- diff ---- */

static void put_difference(struct cli *cli, const struct part *a, const struct part *b)
{
	const struct part *some = a ? a : b;

	if (cli->json) {
		buf_put_text(&cli->out, "{");
		json_put_field(&cli->out, "name", some->name, true);
		if (a)
			json_put_hex(&cli->out, "before", SLICE(a->sha256), false);
		if (b)
			json_put_hex(&cli->out, "after", SLICE(b->sha256), false);
		buf_put_text(&cli->out, "}\n");
		return;
	}
	buf_printf(&cli->out, "%-8s ", !a ? "added" : !b ? "removed" : "changed");
	plain_put_text(&cli->out, some->name);
	buf_put_text(&cli->out, "\n");
	for (int side = 0; side < 2; side++) {
		const struct part *part = side ? b : a;

		if (!part)
			continue;
		buf_printf(&cli->out, "    %s ", side ? "after " : "before");
		buf_put_hex(&cli->out, SLICE(part->sha256));
		buf_put_text(&cli->out, " ");
		plain_put_text(&cli->out, part->version);
		buf_put_text(&cli->out, "\n");
	}
}

static bool same_part(const struct part *a, const struct part *b)
{
	return !memcmp(a->sha256, b->sha256, SHA256_SIZE) && slice_equal(a->version, b->version);
}

/* Both lists are sorted by name: one walk over the two. */
static size_t compare(struct cli *cli, const struct parts *a, const struct parts *b)
{
	size_t i = 0, j = 0, found = 0;

	while (i < a->n || j < b->n) {
		int order = i == a->n ? 1 : j == b->n ? -1 : part_order(&a->list[i], &b->list[j]);
		const struct part *left = order <= 0 ? &a->list[i++] : NULL;
		const struct part *right = order >= 0 ? &b->list[j++] : NULL;

		if (left && right && same_part(left, right))
			continue;
		put_difference(cli, left, right);
		found++;
	}
	return found;
}

int cmd_tcb_diff(struct cli *cli)
{
	CLEANUP(parts) struct parts a = { 0 }, b = { 0 };
	enum cli_exit code = cli_options(cli, NULL, 0);
	enum err e;

	if (code)
		return code;
	if ((e = parts_read(cli->args[0], &a)) || (e = parts_read(cli->args[1], &b)))
		return cli_failed(cli, e);
	if (compare(cli, &a, &b))
		return EXIT_REFUSED;
	if (!cli->json)
		buf_put_text(&cli->out, "the same in every part\n");
	return EXIT_HOLDS;
}
