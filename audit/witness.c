#include "audit/witness.h"

#include <string.h>

#define OLD "old "

static enum err take_line(struct slice *in, struct slice *line)
{
	const uint8_t *end = in->left ? memchr(in->p, '\n', in->left) : NULL;

	if (!end)
		return failed(ERR_FORMAT, "a line without an end");
	*line = slice_of(in->p, (size_t)(end - in->p));
	in->left -= line->left + 1;
	in->p = end + 1;
	return OK;
}

/* Decimal, no sign, no leading zero. */
static enum err read_size(struct slice text, uint64_t *size)
{
	uint64_t v = 0;

	if (text.left == 0 || text.left > 20 || (text.left > 1 && text.p[0] == '0'))
		return failed(ERR_FORMAT, "not a size");
	for (size_t i = 0; i < text.left; i++) {
		uint8_t digit = (uint8_t)(text.p[i] - '0');

		if (digit > 9 || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, digit, &v))
			return failed(ERR_FORMAT, "not a size");
	}
	*size = v;
	return OK;
}

static enum err read_hash(struct slice text, tree_hash out)
{
	CLEANUP(buf) struct buf raw = { .max = 2 * SHA256_SIZE };

	if (base64_take(text, &raw) || raw.len != SHA256_SIZE)
		return failed(ERR_FORMAT, "a line of the proof is no hash in base64");
	memcpy(out, raw.data, SHA256_SIZE);
	return OK;
}

static enum err read_proof(struct slice *in, struct tree_path *proof)
{
	struct slice line;
	enum err e;

	proof->n = 0;
	for (;;) {
		if ((e = take_line(in, &line)))
			return e;
		if (line.left == 0)
			return OK;
		if (proof->n == WITNESS_PROOF_MAX)
			return failed(ERR_FORMAT, "over %d lines of proof", WITNESS_PROOF_MAX);
		if ((e = read_hash(line, proof->hash[proof->n++])))
			return e;
	}
}

enum err witness_request_read(struct slice body, struct witness_request *out)
{
	size_t old = strlen(OLD);
	struct slice line;
	enum err e;

	memset(out, 0, sizeof *out);
	if (body.left > WITNESS_REQUEST_MAX)
		return failed(ERR_FORMAT, "a request of %zu bytes", body.left);
	if ((e = take_line(&body, &line)))
		return e;
	if (line.left <= old || memcmp(line.p, OLD, old) != 0)
		return failed(ERR_FORMAT, "the line \"old SIZE\" expected");
	if ((e = read_size(slice_of(line.p + old, line.left - old), &out->old)) ||
	    (e = read_proof(&body, &out->proof)))
		return e;
	out->checkpoint = body;
	return note_read(body, &out->note);
}

enum err witness_request_write(uint64_t old, const struct tree_path *proof, struct slice checkpoint,
			       struct buf *out)
{
	if (proof->n > WITNESS_PROOF_MAX)
		return failed(ERR_RANGE, "a proof of %zu hashes", proof->n);
	buf_printf(out, OLD "%llu\n", (unsigned long long)old);
	for (size_t i = 0; i < proof->n; i++) {
		buf_put_base64(out, SLICE(proof->hash[i]));
		buf_put_text(out, "\n");
	}
	buf_put_text(out, "\n");
	buf_put_slice(out, checkpoint);
	return buf_check(out);
}

#define verdict(code, ...) (err_note(__VA_ARGS__), (code))

/* RFC 9162 leaves the empty tree out; the protocol has rules of its own for it. */
static enum witness_verdict judge_growth(const struct witness_request *r,
					 const struct witness_seen *seen)
{
	uint8_t empty[SHA256_SIZE];

	sha256_once(slice_of(NULL, 0), empty);
	if (r->note.size == 0 && memcmp(r->note.root, empty, sizeof empty) != 0)
		return verdict(WITNESS_REFUSED, "an empty tree with another root");
	if (r->old == 0)
		return r->proof.n ? verdict(WITNESS_REFUSED, "a proof where none is needed")
				  : WITNESS_SIGN;
	return tree_check_consistency(seen->size, seen->root, r->note.size, r->note.root, &r->proof)
		       ? WITNESS_REFUSED
		       : WITNESS_SIGN;
}

enum witness_verdict witness_judge(const struct trust *logs, const struct witness_request *r,
				   const struct witness_seen *seen)
{
	enum err e = trust_log(logs, &r->note);

	if (e == ERR_NOT_FOUND)
		return WITNESS_UNKNOWN;
	if (e)
		return WITNESS_UNSIGNED;
	if (r->old > r->note.size)
		return verdict(WITNESS_MALFORMED, "the old size is over the checkpoint's");
	if (r->old != seen->size)
		return verdict(WITNESS_CONFLICT, "the size last signed is %llu, not %llu",
			       (unsigned long long)seen->size, (unsigned long long)r->old);
	return judge_growth(r, seen);
}

/* A request begins with "old"; and so might an origin, but not with a blank behind it. */
static enum err read_either(struct slice file, struct witness_request *out)
{
	if (file.left > strlen(OLD) && memcmp(file.p, OLD, strlen(OLD)) == 0)
		return witness_request_read(file, out);
	memset(out, 0, sizeof *out);
	enum err e = note_read(file, &out->note);
	out->old = out->note.size;
	return e;
}

enum err witness_vouches(const struct trust *trust, struct slice file,
			 const struct witness_head *head, struct trust_count *count)
{
	struct witness_request r;
	enum err e = read_either(file, &r);

	if (e)
		return e;
	if (!slice_equal(r.note.origin, head->origin))
		return failed(ERR_MISMATCH, "the checkpoint is of another log");
	if (r.old != head->size)
		return failed(ERR_MISMATCH,
			      "the checkpoint or its proof is about the log at %llu records, and "
			      "not at %llu",
			      (unsigned long long)r.old, (unsigned long long)head->size);
	if ((e = tree_check_consistency(head->size, head->root, r.note.size, r.note.root,
					&r.proof)))
		return e;
	return trust_check(trust, &r.note, count);
}

enum err witness_answer_read(struct slice answer, const struct vkey *key, struct slice note,
			     struct buf *lines)
{
	CLEANUP(buf) struct buf whole = BUF_INIT;
	struct note first, both;
	struct slice line, rest = answer;
	enum err e;

	if (answer.left == 0 || answer.left > WITNESS_ANSWER_MAX)
		return failed(ERR_FORMAT, "an answer of %zu bytes", answer.left);
	if ((e = note_read(note, &first)))
		return e;
	/* With the text alone, so that lines that the note has already don't count as the answer. */
	buf_put_slice(&whole, first.text);
	buf_put_text(&whole, "\n");
	buf_put_slice(&whole, answer);
	if ((e = buf_check(&whole)) || (e = note_read(buf_slice(&whole), &both)) ||
	    (e = vkey_verify(key, &both, NULL)))
		return e;
	for (size_t i = 0; i < both.signatures_n; i++) {
		if ((e = take_line(&rest, &line)))
			return e;
		if (!vkey_claims(key, &both.signatures[i]))
			continue;
		buf_put_slice(lines, line);
		buf_put_text(lines, "\n");
		break; /* one of each witness is enough */
	}
	return buf_check(lines);
}

enum err witness_size_read(struct slice body, uint64_t *size)
{
	struct slice line;
	enum err e = take_line(&body, &line);

	if (e)
		return e;
	return body.left ? failed(ERR_FORMAT, "more than a size") : read_size(line, size);
}
