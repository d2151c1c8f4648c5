#include "plugin/cli/try.h"

#include <string.h>
#include <unistd.h>

#include "plugin/cli/local.h"

#define APART_US 1100000 /* a program that prints seconds prints others */

/* What one input led to, with everything open. */
struct trial {
	struct buf input;
	struct run open;
	bool varies;
};

struct trials {
	struct sandbox *box;
	try_make *make;
	void *context;
	struct trial list[CLI_ARGUMENTS_MAX];
	size_t n;
};

static void trials_cleanup(struct trials *t)
{
	for (size_t i = 0; i < t->n; i++) {
		buf_free(&t->list[i].input);
		run_free(&t->list[i].open);
	}
	local_cleanup(&t->box);
}

static bool same_end(const struct run *a, const struct run *b)
{
	return a->kind == b->kind && a->code == b->code;
}

static bool same_text(const struct buf *a, const struct buf *b)
{
	return a->len == b->len && (!a->len || memcmp(a->data, b->data, a->len) == 0);
}

static bool same(const struct run *a, const struct run *b)
{
	return same_end(a, b) && same_text(&a->output, &b->output) &&
	       same_text(&a->messages, &b->messages);
}

static enum err add_image(struct trials *t, uint8_t purity, struct sandbox_image **out)
{
	CLEANUP(buf) struct buf raw = BUF_INIT;
	struct package package;
	enum err e;

	if ((e = t->make(t->context, purity, &raw)) ||
	    (e = package_parse(buf_slice(&raw), &package)))
		return e;
	return local_image(t->box, &package, out);
}

static enum err run_open(struct sandbox_image *image, struct trial *trial)
{
	CLEANUP(run) struct run again = { 0 };
	enum err e = sandbox_run(image, buf_slice(&trial->input), NULL, &trial->open);

	if (e)
		return e;
	usleep(APART_US);
	if ((e = sandbox_run(image, buf_slice(&trial->input), NULL, &again)))
		return e;
	if (!same_end(&trial->open, &again))
		return failed(ERR_FAILED, "try: it ends in another way each time");
	trial->varies = !same(&trial->open, &again);
	return OK;
}

static enum err run_all_open(struct trials *t)
{
	struct sandbox_image *image;
	enum err e = add_image(t, 0, &image);

	if (e)
		return e;
	for (size_t i = 0; i < t->n && !e; i++)
		e = run_open(image, &t->list[i]);
	sandbox_image_drop(image);
	return e;
}

/* Whether it does as it did with everything open. */
static enum err run_pure(struct sandbox_image *image, const struct trial *trial, bool *does)
{
	CLEANUP(run) struct run first = { 0 }, second = { 0 };
	enum err e = sandbox_run(image, buf_slice(&trial->input), NULL, &first);

	*does = !e && (trial->varies ? same_end(&first, &trial->open) : same(&first, &trial->open));
	if (!e && *does && trial->varies) {
		usleep(APART_US);
		e = sandbox_run(image, buf_slice(&trial->input), NULL, &second);
		*does = !e && same_end(&second, &trial->open) && !same(&first, &second);
	}
	/* A program that can't be started so has an answer, too. */
	return e == ERR_FAILED ? OK : e;
}

static enum err run_all_pure(struct trials *t, uint8_t purity, bool *does)
{
	struct sandbox_image *image;
	enum err e = add_image(t, purity, &image);

	if (e)
		return e;
	*does = true;
	for (size_t i = 0; i < t->n && !e && *does; i++)
		e = run_pure(image, &t->list[i], does);
	sandbox_image_drop(image);
	return e;
}

static enum err find(struct trials *t, uint8_t *purity)
{
	const int most = __builtin_popcount(NEED_ALL);
	bool does;
	enum err e;

	for (int needs = 0; needs <= most; needs++)
		for (unsigned bits = 0; bits <= NEED_ALL; bits++) {
			if (bits & ~(unsigned)NEED_ALL || __builtin_popcount(bits) != needs)
				continue;
			*purity = (uint8_t)(PURE | bits);
			if ((e = run_all_pure(t, *purity, &does)) || does)
				return e;
		}
	*purity = 0;
	return OK;
}

enum err try_purity(const struct cli *cli, const struct config *config,
		    const struct cli_list *inputs, try_make *make, void *context, uint8_t *purity)
{
	CLEANUP(trials) struct trials t = { .make = make, .context = context };
	enum err e = OK;

	for (size_t i = 0; i < inputs->n && !e; i++)
		e = cli_read(inputs->items[i], config->limits_input_bytes, &t.list[t.n++].input);
	if (e || (e = local_open(cli, config, &t.box)) || (e = run_all_open(&t)))
		return e;
	return find(&t, purity);
}
