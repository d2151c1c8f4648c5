#include "plugin/cli/page.h"

#include <string.h>

#include "audit/claims.h"
#include "plugin/cli/json.h"

/* verify.html, as it was when this was built. */
__asm__(".section .rodata\n"
	"page_template:\n"
	".incbin \"plugin/cli/verify.html\"\n"
	".byte 0\n"
	".previous\n");
extern const char page_template[] __attribute__((visibility("hidden")));

/* The lists that this program has, and the page must not have a second time. */
static void put_lists(struct buf *out)
{
	static const char *const outcomes[] = {
#define OUTCOME(number, name, word, words) [number] = (word),
#include "audit/outcomes.def"
#undef OUTCOME
	};

	buf_put_text(out, "{\"claims\": [");
	for (size_t i = 0; i < claims_n; i++) {
		buf_printf(out, "%s[%lld, ", i ? ", " : "", (long long)claims[i].key);
		json_put_text(out, slice_text(claims[i].name));
		buf_put_text(out, "]");
	}
	buf_put_text(out, "], \"types\": [\"\"");
	for (int type = LEAF_EXECUTION; type <= LEAF_TCB; type++) {
		buf_put_text(out, ", ");
		json_put_text(out, slice_text(leaf_type_name(type)));
	}
	buf_put_text(out, "], \"outcomes\": [");
	for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++) {
		buf_put_text(out, i ? ", " : "");
		json_put_text(out, slice_text(outcomes[i]));
	}
	buf_put_text(out, "]");
	json_put_field(out, "profile", slice_text(LEAF_PROFILE_ES256), false);
	json_put_field(out, "development", slice_text(LEAF_PROFILE_DEVELOPMENT), false);
	buf_put_text(out, "}");
}

static void put_evidence(const struct page_evidence *evidence, struct buf *out)
{
	const struct {
		const char *name;
		struct slice bytes;
	} files[] = {
		{ "proof", evidence->proof },   { "ca", evidence->ca },
		{ "keys", evidence->keys },     { "input", evidence->input },
		{ "output", evidence->output }, { "stderr", evidence->messages },
	};
	bool first = true;

	buf_put_text(out, "{");
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		if (!files[i].bytes.p)
			continue;
		json_put_name(out, files[i].name, first);
		buf_put_text(out, "\"");
		buf_put_base64(out, files[i].bytes);
		buf_put_text(out, "\"");
		first = false;
	}
	buf_put_text(out, "}");
}

/* Up to a mark, which is left out; the rest is what follows it. */
static enum err put_until(struct slice *rest, const char *mark, struct buf *out)
{
	const uint8_t *at = memmem(rest->p, rest->left, mark, strlen(mark));

	if (!at)
		return failed(ERR_FORMAT, "the page has no %s", mark);
	size_t n = (size_t)(at - rest->p);
	buf_put(out, rest->p, n);
	*rest = slice_of(at + strlen(mark), rest->left - n - strlen(mark));
	return OK;
}

enum err page_put(const struct page_evidence *evidence, struct buf *out)
{
	struct slice rest = slice_text(page_template);
	enum err e;

	if ((e = put_until(&rest, "@LISTS@", out)))
		return e;
	put_lists(out);
	if ((e = put_until(&rest, "@EVIDENCE@", out)))
		return e;
	put_evidence(evidence, out);
	buf_put_slice(out, rest);
	return buf_check(out);
}
