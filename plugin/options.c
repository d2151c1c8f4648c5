/* options.c - one row for each option; what no row describes is refused. */
#include "plugin/options.h"

#include <string.h>

static const struct row {
	const char *name;
	uint8_t tag;
	size_t least, most, offset;
} rows[] = {
#define OPTION(name, tag, least, most) { #name, tag, least, most, offsetof(struct options, name) },
#include "plugin/options.def"
#undef OPTION
};

#define OPTION(name, tag, least, most) \
	_Static_assert((least) > 0 && (least) <= (most) && (most) <= OPTION_MAX, #name);
#include "plugin/options.def"
#undef OPTION

static const struct row *find(uint8_t tag)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].tag == tag)
			return &rows[i];
	return NULL;
}

static enum err take_one(struct slice *in, uint8_t *last, struct options *out)
{
	struct slice value;
	uint8_t tag;
	uint16_t n;

	if (slice_take_u8(in, &tag) || slice_take_u16(in, &n))
		return failed(ERR_FORMAT, "the parameter is cut");
	const struct row *row = find(tag);
	if (!row)
		return failed(ERR_FORMAT, "the parameter has an option %u, which is not known",
			      tag);
	if (tag <= *last)
		return failed(ERR_FORMAT, "%s is there twice, or out of order", row->name);
	if (n < row->least || n > row->most)
		return failed(ERR_FORMAT, "%s of %u bytes; %zu to %zu are allowed", row->name, n,
			      row->least, row->most);
	if (slice_take(in, n, &value))
		return failed(ERR_FORMAT, "the parameter is cut");
	struct option_value *option = (void *)((uint8_t *)out + row->offset);
	memcpy(option->bytes, value.p, n);
	option->n = (uint8_t)n;
	*last = tag;
	return OK;
}

enum err options_read(struct slice in, struct options *out)
{
	uint8_t version, last = 0;
	enum err e;

	memset(out, 0, sizeof *out);
	if (slice_take_u8(&in, &version) || version != OPTIONS_VERSION)
		return failed(ERR_FORMAT, "the parameter is not of version %d", OPTIONS_VERSION);
	while (in.left)
		if ((e = take_one(&in, &last, out)))
			return e;
	if (out->time_limit.n && !options_time_limit(out))
		return failed(ERR_FORMAT, "a time limit of 0");
	return OK;
}

enum err options_take(const void *parameter, size_t n, struct options *out)
{
	uint8_t copy[OPTIONS_MAX];

	if (!parameter && !n) {
		memset(out, 0, sizeof *out);
		return OK;
	}
	if (!parameter || n > sizeof copy)
		return failed(ERR_FORMAT, "a parameter of %zu bytes; at most %zu are allowed", n,
			      sizeof copy);
	memcpy(copy, parameter, n);
	return options_read(slice_of(copy, n), out);
}

bool options_any(const struct options *options)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (((const struct option_value *)((const uint8_t *)options + rows[i].offset))->n)
			return true;
	return false;
}

struct slice option_slice(const struct option_value *value)
{
	return slice_of(value->bytes, value->n);
}

uint32_t options_time_limit(const struct options *options)
{
	return options->time_limit.n ? get_u32(options->time_limit.bytes) : 0;
}
