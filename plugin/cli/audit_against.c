#include "plugin/cli/audit_against.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIGNATURE "\xe2\x80\x94 " /* how the line of a signature starts */

static enum err check_signatures(const struct trust *trust, const struct note *note,
				 struct against_head *head)
{
	if (!trust || !trust_names(trust, head->origin))
		return OK;
	enum err e = trust_check(trust, note, &head->count);
	head->quorum = !e;
	return e == ERR_MISMATCH ? OK : e;
}

enum err against_add(struct against *against, const struct note *note)
{
	struct against_head *more = reallocarray(against->heads, against->n + 1, sizeof *more);

	if (!more)
		return failed(ERR_MEMORY, "the list of checkpoints");
	against->heads = more;
	more += against->n;
	*more = (struct against_head){ .size = note->size };
	if (note->origin.left >= sizeof more->origin)
		return failed(ERR_FORMAT, "a checkpoint's origin is too long");
	memcpy(more->origin, note->origin.p, note->origin.left);
	memcpy(more->root, note->root, sizeof more->root);
	enum err e = check_signatures(against->trust, note, more);
	if (e)
		return e;
	against->n++;
	return OK;
}

/* Takes one note from the front: its text, an empty line, its signatures. */
static struct slice take_note(struct slice *in)
{
	const uint8_t *start = in->p, *blank = memmem(in->p, in->left, "\n\n", 2);
	size_t n = blank ? (size_t)(blank - start) + 2 : in->left;

	while (n < in->left && in->left - n > strlen(SIGNATURE) &&
	       !memcmp(start + n, SIGNATURE, strlen(SIGNATURE))) {
		const uint8_t *end = memchr(start + n, '\n', in->left - n);

		n = end ? (size_t)(end - start) + 1 : in->left;
	}
	*in = slice_of(start + n, in->left - n);
	while (in->left && *in->p == '\n')
		*in = slice_of(in->p + 1, in->left - 1);
	return slice_of(start, n);
}

enum err against_read(struct against *against, const char *path)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct note *note = malloc(sizeof *note);
	enum err e = note ? cli_read(path, (size_t)NOTE_MAX * 1024, &raw)
			  : failed(ERR_MEMORY, "a checkpoint");
	struct slice left = buf_slice(&raw);

	if (!e && !left.left)
		e = failed(ERR_FORMAT, "%s: no checkpoint is in it", path);
	while (!e && left.left)
		if ((e = note_read(take_note(&left), note)))
			e = failed(e, "%s: no checkpoint: %s", path, err_reason());
		else
			e = against_add(against, note);
	free(note);
	return e;
}

enum err against_read_all(struct against *against, const struct cli_list *paths,
			  const char *remembered)
{
	enum err e = *remembered ? against_read(against, remembered) : OK;

	for (size_t i = 0; !e && i < paths->n; i++)
		e = against_read(against, paths->items[i]);
	return e;
}

void against_record(struct against *against, const char *origin, uint64_t index, struct slice raw)
{
	for (size_t i = 0; i < against->n; i++) {
		struct against_head *head = &against->heads[i];

		if (head->seen.size == index && index < head->size && !strcmp(head->origin, origin))
			peaks_add(&head->seen, raw);
	}
}

enum err against_check(const struct against *against)
{
	tree_hash root;

	for (size_t i = 0; i < against->n; i++) {
		const struct against_head *head = &against->heads[i];

		if (head->seen.size < head->size)
			return failed(ERR_MISMATCH,
				      "%s had %llu records once, and has %llu now: records were "
				      "removed, or this is an older log",
				      head->origin, (unsigned long long)head->size,
				      (unsigned long long)head->seen.size);
		peaks_root(&head->seen, root);
		if (memcmp(root, head->root, sizeof root))
			return failed(ERR_MISMATCH,
				      "%s: its first %llu records are others than they once were: "
				      "this log was rewritten, or is another one",
				      head->origin, (unsigned long long)head->size);
	}
	return OK;
}

void against_cleanup(struct against *against)
{
	free(against->heads);
	trust_free(against->trust);
}
