/* The parameter of EXECUTE and its like: what is taken, is written back to the same bytes. */
#include <stdlib.h>

#include "plugin/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void put(struct buf *out, uint8_t tag, const struct option_value *value)
{
	if (!value->n)
		return;
	buf_put_u8(out, tag);
	buf_put_u16(out, value->n);
	buf_put_slice(out, option_slice(value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	CLEANUP(buf) struct buf back = BUF_INIT;
	struct options options;

	if (!n || options_take(data, n, &options))
		return 0;
	buf_put_u8(&back, OPTIONS_VERSION);
#define OPTION(name, tag, least, most) put(&back, tag, &options.name);
#include "plugin/options.def"
#undef OPTION
	if (!slice_equal(buf_slice(&back), slice_of(data, n)) || options_any(&options) != (n > 1) ||
	    n > OPTIONS_MAX)
		abort();
	return 0;
}
