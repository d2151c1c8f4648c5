#include "audit/published.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "audit/chain.h"
#include "audit/note.h"
#include "audit/past.h"
#include "audit/public.h"
#include "audit/vkey.h"
#include "config/base/dir.h"
#include "config/base/io.h"

/* ---- what is there ---- */

static enum err read_folder(int trees, const char *name, struct published_checkpoint *found)
{
	CLEANUP(fd)
	int folder = openat(trees, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	CLEANUP(buf) struct buf origin = BUF_INIT;
	char right[PUBLIC_NAME];
	enum err e;

	if (folder < 0)
		return failed(ERR_IO, "trees/%s: %m", name);
	e = io_read_in(folder, "origin", sizeof found->origin, &origin);
	if (e == ERR_NOT_FOUND) /* being made, or a crash left it so */
		return e;
	if (e)
		return e;
	if (origin.len < 2 || origin.data[origin.len - 1] != '\n' ||
	    origin.len - 1 > FRAME_ORIGIN_MAX)
		return failed(ERR_MISMATCH, "trees/%s/origin was changed", name);
	memcpy(found->origin, origin.data, origin.len - 1);
	public_name(found->origin, right);
	if (strcmp(right, name))
		return failed(ERR_MISMATCH, "trees/%s/origin was changed", name);
	e = io_read_in(folder, "checkpoint", NOTE_MAX, &found->note);
	return e == ERR_NOT_FOUND ? OK : e;
}

static void found_free(struct published_checkpoint *found)
{
	buf_free(&found->note);
	buf_free(&found->newest);
}

static enum err read_one(int trees, const char *name, struct published *out)
{
	struct published_checkpoint *more = reallocarray(out->items, out->n + 1, sizeof *more);
	enum err e;

	if (!more)
		return failed(ERR_MEMORY, "the list of trees");
	out->items = more;
	out->items[out->n] = (struct published_checkpoint){ 0 };
	e = read_folder(trees, name, &out->items[out->n]);
	if (e)
		found_free(&out->items[out->n]);
	else
		out->n++;
	return e == ERR_NOT_FOUND ? OK : e;
}

enum err published_read(int trees, struct published *out)
{
	CLEANUP(dir) DIR *list = dir_list(trees);
	enum err e = OK;

	*out = (struct published){ 0 };
	if (!list)
		return failed(ERR_IO, "trees: %m");
	for (const char *name; !e && (name = dir_next(list));)
		if (name[0] != '.')
			e = out->n < LEDGER_TREES_MAX ? read_one(trees, name, out)
						      : failed(ERR_RANGE, "too many trees");
	if (e)
		published_free(out);
	return e;
}

void published_free(struct published *list)
{
	for (size_t i = 0; i < list->n; i++)
		found_free(&list->items[i]);
	free(list->items);
	*list = (struct published){ 0 };
}

void published_cleanup(struct published *list)
{
	published_free(list);
}

/* ---- whose it is ---- */

/* By one of these keys, if the appliance's CA vouches for it. */
static enum err by_one_of(const struct note *note, struct slice keys, const struct chain *above,
			  const char *origin, struct slice ca)
{
	int64_t now = (int64_t)(io_realtime_us() / 1000000);
	enum err e = ERR_NOT_FOUND;
	struct slice key;

	while (e == ERR_NOT_FOUND && keys.left)
		if (!(e = chain_take(&keys, &key)) &&
		    !(e = chain_verify(key, above, ca, origin, now)))
			e = note_verify(note, key);
	return e;
}

/* By the key whose certificate is published, or by one before it. */
static enum err by_published(const struct note *note, const char *origin, int trees,
			     struct slice ca)
{
	CLEANUP(fd) int folder = -1;
	CLEANUP(buf) struct buf keys = BUF_INIT, issuers = BUF_INIT;
	struct chain above;
	enum err e;

	if ((e = public_folder(trees, origin, false, &folder)) ||
	    (e = public_certificates(trees, origin, &keys)) ||
	    (e = io_read_in(folder, "ca.der", FRAME_CERTIFICATE_MAX, &issuers)) ||
	    (e = chain_read(buf_slice(&issuers), &above)))
		return e;
	return by_one_of(note, buf_slice(&keys), &above, origin, ca);
}

/* Of any time: these keys say nothing that the other line, whose key's times count, does not. */
static enum err vouched(struct slice certificate, const struct chain *above, struct slice ca,
			const char *origin)
{
	int64_t at, latest, end;
	enum err e = certificate_period(certificate, &latest, &end);

	for (size_t i = 0; !e && i < above->n; i++)
		if (!(e = certificate_period(above->of[i], &at, &end)) && at > latest)
			latest = at;
	return e ? e : chain_verify(certificate, above, ca, origin, latest);
}

/* If there is a line by this key, it must hold. */
static enum err check_line(const struct note *note, const char *origin, struct slice certificate)
{
	struct vkey key;
	enum err e = vkey_of_certificate(certificate, origin, &key);

	if (e)
		return e;
	if (key.type != VKEY_ED25519)
		return failed(ERR_CRYPTO, "it is not of an Ed25519 key");
	e = vkey_verify(&key, note, NULL);
	return e == ERR_NOT_FOUND ? OK : e;
}

/* Keys of before that nobody vouches for any more are strangers', whose lines are passed over. */
static enum err check_former(const struct note *note, const char *origin, int folder,
			     const struct chain *above, struct slice ca)
{
	CLEANUP(buf) struct buf former = BUF_INIT;
	enum err e = public_former(folder, "former-ed25519.der", &former);
	struct slice keys = buf_slice(&former), key;

	while (!e && keys.left)
		if (!(e = chain_take(&keys, &key)) && !vouched(key, above, ca, origin))
			e = check_line(note, origin, key);
	return e;
}

static enum err check_ed25519(const struct note *note, const char *origin, int trees,
			      struct slice ca)
{
	CLEANUP(fd) int folder = -1;
	CLEANUP(buf) struct buf now = BUF_INIT, issuers = BUF_INIT;
	struct chain above;
	enum err e = public_folder(trees, origin, false, &folder);

	if (!e)
		e = io_read_in(folder, "ed25519.der", FRAME_CERTIFICATE_MAX, &now);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	if ((e = io_read_in(folder, "ca.der", FRAME_CERTIFICATE_MAX, &issuers)) ||
	    (e = chain_read(buf_slice(&issuers), &above)) ||
	    (e = vouched(buf_slice(&now), &above, ca, origin)) ||
	    (e = check_line(note, origin, buf_slice(&now))) ||
	    (e = check_former(note, origin, folder, &above, ca)))
		return failed(ERR_CRYPTO, "the Ed25519 key or line of %s: %s", origin,
			      err_reason());
	return OK;
}

enum err published_signed(const struct note *note, const char *origin, int trees,
			  const struct ledger_tree *book, struct slice ca)
{
	enum err e = book ? note_verify(note, buf_slice(&book->certificate)) : ERR_NOT_FOUND;

	if (e == ERR_NOT_FOUND && book && book->former.len)
		e = note_verify(note, buf_slice(&book->former));
	if (e == ERR_NOT_FOUND && ca.left)
		e = by_published(note, origin, trees, ca);
	if (e)
		return failed(ERR_CRYPTO, "the checkpoint of %s is not signed by its key: %s",
			      origin, err_reason());
	if (ca.left || !book)
		return check_ed25519(note, origin, trees, ca);
	struct chain issuers;
	return (e = chain_read(buf_slice(&book->ca), &issuers))
		       ? e
		       : check_ed25519(note, origin, trees, issuers.of[0]);
}

static enum err verify_one(const struct published_checkpoint *found, struct slice raw, int trees,
			   struct slice ca)
{
	struct note note;
	enum err e;

	if (!raw.left)
		return OK;
	if ((e = note_read(raw, &note)))
		return e;
	if (!slice_is(note.origin, found->origin))
		return failed(ERR_MISMATCH, "the checkpoint of %s is of another tree",
			      found->origin);
	return published_signed(&note, found->origin, trees, NULL, ca);
}

enum err published_verify(const struct published_checkpoint *found, int trees, struct slice ca)
{
	enum err e = verify_one(found, buf_slice(&found->note), trees, ca);

	return e ? e : verify_one(found, buf_slice(&found->newest), trees, ca);
}

/* ---- of which records it is ---- */

static enum err check_one(const struct published_checkpoint *found, int trees,
			  const struct ledger *ledger)
{
	const struct ledger_tree *tree = ledger_find(ledger, found->origin);
	struct note note;
	tree_hash root;
	enum err e;

	if (!tree)
		return failed(ERR_MISMATCH, "tree %s is published, but not in the log",
			      found->origin);
	if (!found->note.len || tree->pruned)
		return OK;
	if ((e = note_read(buf_slice(&found->note), &note)))
		return failed(ERR_MISMATCH, "the checkpoint of %s: %s", found->origin,
			      err_reason());
	if (!slice_is(note.origin, found->origin))
		return failed(ERR_MISMATCH, "the checkpoint of %s is of another tree",
			      found->origin);
	if (note.size > tree->tree.size)
		return failed(ERR_MISMATCH,
			      "the checkpoint of %s has %llu records, the log only %llu: records "
			      "were removed",
			      found->origin, (unsigned long long)note.size,
			      (unsigned long long)tree->tree.size);
	if ((e = past_root(trees, tree, note.size, root)))
		return e;
	if (memcmp(root, note.root, SHA256_SIZE))
		return failed(ERR_MISMATCH, "the checkpoint of %s is not of these records",
			      found->origin);
	return published_signed(&note, found->origin, trees, tree, slice_of(NULL, 0));
}

enum err published_check(const struct published *list, int trees, const struct ledger *ledger)
{
	enum err e = OK;

	for (size_t i = 0; !e && i < list->n; i++)
		e = check_one(&list->items[i], trees, ledger);
	return e;
}
