#include "plugin/cli/audit_record.h"

#include <inttypes.h>
#include <string.h>

#include "audit/leaf_text.h"
#include "plugin/cli/json.h"

/* ---- CSV: one list of columns ---- */

static void put_text(struct buf *out, struct slice text)
{
	csv_put_cell(out, text);
}

static void put_word(struct buf *out, const char *word)
{
	csv_put_cell(out, slice_text(word));
}

static void put_number(struct buf *out, bool has, uint64_t value)
{
	if (has)
		buf_printf(out, "%" PRIu64, value);
}

static void put_digest(struct buf *out, bool has, const uint8_t digest[SHA256_SIZE])
{
	if (has)
		buf_put_hex(out, slice_of(digest, SHA256_SIZE));
}

static void put_component(struct buf *out, const struct leaf *leaf, const char *name)
{
	for (size_t i = 0; i < leaf->components_n; i++)
		if (slice_is(leaf->components[i].name, name))
			return put_digest(out, true, leaf->components[i].sha256);
}

/* COLUMN(name, how its cell is put from @leaf to @out). Add at the end only: tables are made by
 * these. "signed" follows them. */
#define COLUMNS                                                                                    \
	COLUMN(time, leaf_put_time(out, leaf->time))                                               \
	COLUMN(tree, put_text(out, leaf->origin))                                                  \
	COLUMN(index, put_number(out, true, leaf->pos))                                            \
	COLUMN(type, put_word(out, leaf_type_name(leaf->type)))                                    \
	COLUMN(proof_id, buf_put_hex(out, SLICE(leaf->cti)))                                       \
	COLUMN(partition_serial, put_text(out, leaf->partition_serial))                            \
	COLUMN(partition_label, put_text(out, leaf->partition_label))                              \
	COLUMN(role, put_word(out, leaf->has_caller ? leaf_role_name(leaf->role) : ""))            \
	COLUMN(role_proof,                                                                         \
	       put_word(out, leaf->has_roleproof ? leaf_roleproof_name(leaf->roleproof) : ""))     \
	COLUMN(pseudonym, put_text(out, leaf->pseudonym))                                          \
	COLUMN(application, put_text(out, leaf->subject))                                          \
	COLUMN(label, put_text(out, leaf->swname))                                                 \
	COLUMN(version, put_text(out, leaf->swversion))                                            \
	COLUMN(status, put_word(out, leaf->has_status ? leaf_status_name(leaf->status_kind) : "")) \
	COLUMN(code, put_number(out, leaf->has_status, leaf->status_code))                         \
	COLUMN(reason, put_text(out, leaf->reason))                                                \
	COLUMN(start_us, put_number(out, leaf->has_times, leaf->start_us))                         \
	COLUMN(end_us, put_number(out, leaf->has_times, leaf->end_us))                             \
	COLUMN(image, put_component(out, leaf, "image"))                                           \
	COLUMN(profile, put_component(out, leaf, "profile"))                                       \
	COLUMN(tcb, put_digest(out, leaf->has_tcb, leaf->tcb))                                     \
	COLUMN(policy, put_digest(out, leaf->has_policy, leaf->policy))                            \
	COLUMN(epoch, put_number(out, leaf->has_epoch, leaf->epoch))                               \
	COLUMN(request, buf_put_hex(out, leaf->request))                                           \
	COLUMN(debug, put_word(out, leaf->dbgstat == LEAF_DEBUG_DISABLED ? "disabled" : "enabled"))

static void put_cells(const struct leaf *leaf, struct buf *out)
{
#define COLUMN(name, put) \
	put;              \
	buf_put_u8(out, ',');
	COLUMNS
#undef COLUMN
}

void record_put_heading(enum record_form form, struct buf *out)
{
	if (form != RECORD_CSV)
		return;
#define COLUMN(name, put) buf_put_text(out, #name ",");
	COLUMNS
#undef COLUMN
	buf_put_text(out, "signed\r\n");
}

static bool begins_formula(uint8_t c)
{
	return c && strchr("=+-@\t\r\n", c);
}

/* Where numbers have a comma, spreadsheets end a cell at each semicolon, quoted or not. */
void csv_put_cell(struct buf *out, struct slice text)
{
	CLEANUP(buf) struct buf plain = BUF_INIT;
	bool formula = text.left && begins_formula(text.p[0]);

	plain_put_text(&plain, text);
	if (buf_check(&plain))
		out->failed = true;
	if (!formula && (!plain.len || (!memchr(plain.data, '"', plain.len) &&
					!memchr(plain.data, ',', plain.len) &&
					!memchr(plain.data, ';', plain.len)))) {
		buf_put_slice(out, buf_slice(&plain));
		return;
	}
	buf_put_text(out, formula ? "\"'" : "\"");
	for (size_t i = 0; i < plain.len; i++) {
		if (i && begins_formula(plain.data[i]) && plain.data[i - 1] == ';')
			buf_put_u8(out, '\'');
		if (plain.data[i] == '"')
			buf_put_u8(out, '"');
		buf_put_u8(out, plain.data[i]);
	}
	buf_put_u8(out, '"');
}

/* ---- all three ---- */

void record_put(enum record_form form, const struct leaf *leaf, struct buf *out)
{
	switch (form) {
	case RECORD_LINE:
		return leaf_print_line(leaf, out);
	case RECORD_JSON:
		return leaf_json(leaf, out);
	case RECORD_CSV:
		return put_cells(leaf, out);
	}
}

void record_finish(enum record_form form, const char *origin, struct slice put, bool is_signed,
		   struct buf *out)
{
	switch (form) {
	case RECORD_LINE:
		plain_put_text(out, slice_text(origin));
		buf_put_text(out, is_signed ? " " : " UNSIGNED ");
		return buf_put_slice(out, put);
	case RECORD_JSON: /* an object, which gets two fields more */
		buf_put(out, put.p, put.left - 1);
		return buf_printf(out, ",\"signed\":%s,\"schema\":\"assay-record-1\"}\n",
				  is_signed ? "true" : "false");
	case RECORD_CSV:
		buf_put_slice(out, put);
		return buf_put_text(out, is_signed ? "true\r\n" : "false\r\n");
	}
}
