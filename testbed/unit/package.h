/* package.h - a good package, and what tests make of it: its manifest, its entries, and raw ones that
 * break one rule alone.
 */
#ifndef TESTBED_UNIT_PACKAGE_H
#define TESTBED_UNIT_PACKAGE_H

#include "sandbox/manifest.h"
#include "sandbox/package.h"
#include "testbed/unit/check.h"

#define ENTRY(path, type, mode, content)                                   \
	{                                                                  \
		{ (const uint8_t *)(path), sizeof(path) - 1 }, type, mode, \
		{                                                          \
			(const uint8_t *)(content), sizeof(content) - 1    \
		}                                                          \
	}

static const struct entry good[] = {
	ENTRY("app", ENTRY_FILE, 0555, "program"),
	ENTRY("etc/list", ENTRY_FILE, 0444, "one\ntwo\n"),
	ENTRY("etc/empty", ENTRY_FILE, 0444, ""),
	ENTRY("etc-old", ENTRY_LINK, 0777, "etc/list"),
	ENTRY("lib/deep/down/link", ENTRY_LINK, 0777, "../../../app"),
};

#define GOOD (sizeof good / sizeof *good)

static inline struct manifest manifest(void)
{
	struct manifest m;

	manifest_default(&m);
	m.id = slice_text("screen");
	m.label = slice_text("Screening");
	m.version = slice_text("1.0");
	m.argv[m.argc++] = slice_text("/app");
	m.env[m.envc++] = slice_text("LANG=C");
	return m;
}

static inline void build(struct buf *out)
{
	struct manifest m = manifest();
	enum err e = package_build(&m, good, GOOD, out);

	ck_assert_msg(e == OK, "%s", err_reason());
}

/* Length and hash set right, so that only the rule under test is broken. */
static inline void close_header(struct buf *raw)
{
	set_u64(raw->data + 8, raw->len);
	sha256_once(slice_of(raw->data + PACKAGE_HEADER, raw->len - PACKAGE_HEADER),
		    raw->data + 16);
}

/* A package with exactly these entries, whatever they are. */
static inline void build_raw(const struct manifest *m, const struct entry *entries, size_t n,
			     struct buf *out)
{
	CLEANUP(buf) struct buf head = BUF_INIT;

	ck_assert_int_eq(manifest_encode(m, &head), OK);
	buf_put(out, "ASSAYPK1", 8);
	buf_add(out, PACKAGE_HEADER - 8);
	buf_put_u32(out, (uint32_t)head.len);
	buf_put_slice(out, buf_slice(&head));
	buf_put_u32(out, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		buf_put_u16(out, (uint16_t)entries[i].path.left);
		buf_put_slice(out, entries[i].path);
		buf_put_u8(out, (uint8_t)entries[i].type);
		buf_put_u16(out, entries[i].mode);
		buf_put_u64(out, entries[i].content.left);
		buf_put_slice(out, entries[i].content);
	}
	close_header(out);
}

#endif
