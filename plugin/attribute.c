/* attribute.c - answers from one table. */
#include "plugin/attribute.h"

#include <string.h>

#include "plugin/mechanism.h"

#define P256_PARAMETERS "\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07" /* OID 1.2.840.10045.3.1.7 */

enum source { NUMBER, FLAG, FIELD, NOTHING, SECRET, BYTES, ALLOWED, CONTENT };

struct row {
	CK_ATTRIBUTE_TYPE type;
	unsigned kinds;
	enum source source;
	CK_ULONG number;
	CK_BBOOL flag;
	enum object_field field;
	struct slice bytes;
};

#define S OBJECT_SECRET
#define P OBJECT_PRIVATE
#define D OBJECT_DATA
#define VALUE_NUMBER(v) .number = (v)
#define VALUE_FLAG(v) .flag = (v)
#define VALUE_FIELD(v) .field = (v)
#define VALUE_BYTES(v) .bytes = { (const uint8_t *)(v), sizeof(v) - 1 }
#define VALUE_NOTHING(v) .number = (v)
#define VALUE_SECRET(v) .number = (v)
#define VALUE_ALLOWED(v) .number = (v)
#define VALUE_CONTENT(v) .number = (v)
static const struct row rows[] = {
#define ATTRIBUTE(type, kinds, source, value) { type, kinds, source, VALUE_##source(value) },
#include "plugin/attributes.def"
#undef ATTRIBUTE
};
#undef S
#undef P
#undef D
#define ROWS_N (sizeof rows / sizeof *rows)

static const struct row *find_row(const struct object *object, CK_ATTRIBUTE_TYPE type)
{
	for (size_t i = 0; i < ROWS_N; i++)
		if (rows[i].type == type && rows[i].kinds & object->kind)
			return &rows[i];
	return NULL;
}

static struct slice value(const struct object *object, const struct row *row, struct slice content)
{
	switch (row->source) {
	case NUMBER:
		return slice_of(&row->number, sizeof row->number);
	case FLAG:
		return slice_of(&row->flag, sizeof row->flag);
	case FIELD:
		return buf_slice(&object->field[row->field]);
	case BYTES:
		return row->bytes;
	case ALLOWED:
		return mechanism_allowed(object_is_loader(object) ? TARGET_LOADER
								  : TARGET_APPLICATION);
	case CONTENT:
		return content;
	default:
		return slice_of(NULL, 0);
	}
}

const CK_ATTRIBUTE *attribute_find(const CK_ATTRIBUTE *templ, CK_ULONG n, CK_ATTRIBUTE_TYPE type)
{
	for (CK_ULONG i = 0; templ && i < n; i++)
		if (templ[i].type == type)
			return &templ[i];
	return NULL;
}

struct slice attribute_slice(const CK_ATTRIBUTE *a)
{
	return a && a->pValue ? slice_of(a->pValue, a->ulValueLen) : slice_of(NULL, 0);
}

bool attribute_is_number(const CK_ATTRIBUTE *a, CK_ULONG number)
{
	return slice_equal(attribute_slice(a), slice_of(&number, sizeof number));
}

static bool matches(const struct object *object, const CK_ATTRIBUTE *a)
{
	const struct row *row = find_row(object, a->type);

	if (!row || row->source == SECRET || row->source == CONTENT)
		return false;
	return slice_equal(attribute_slice(a), value(object, row, slice_of(NULL, 0)));
}

bool attribute_match(const struct object *object, const CK_ATTRIBUTE *templ, CK_ULONG n)
{
	for (CK_ULONG i = 0; i < n; i++)
		if (!matches(object, &templ[i]))
			return false;
	return true;
}

bool attribute_wants_content(const struct object *object, const CK_ATTRIBUTE *templ, CK_ULONG n)
{
	for (CK_ULONG i = 0; i < n; i++) {
		const struct row *row = find_row(object, templ[i].type);
		if (row && row->source == CONTENT && templ[i].pValue &&
		    templ[i].ulValueLen >= object->size)
			return true;
	}
	return false;
}

/* Section 5.7.5 of the standard, cases 1 to 5. */
static CK_RV get_one(const struct object *object, struct slice content, CK_ATTRIBUTE *a)
{
	const struct row *row = find_row(object, a->type);
	CK_ULONG room = a->ulValueLen;

	a->ulValueLen = CK_UNAVAILABLE_INFORMATION;
	if (!row)
		return CKR_ATTRIBUTE_TYPE_INVALID;
	if (row->source == SECRET)
		return CKR_ATTRIBUTE_SENSITIVE;
	struct slice v = value(object, row, content);
	CK_ULONG size = row->source == CONTENT ? object->size : v.left;
	if (a->pValue && room < size)
		return CKR_BUFFER_TOO_SMALL;
	a->ulValueLen = size;
	if (a->pValue && size)
		memcpy(a->pValue, v.p, size);
	return CKR_OK;
}

CK_RV attribute_get(const struct object *object, struct slice content, CK_ATTRIBUTE *templ,
		    CK_ULONG n)
{
	CK_RV rv = CKR_OK;

	for (CK_ULONG i = 0; i < n; i++) {
		CK_RV one = get_one(object, content, &templ[i]);
		if (rv == CKR_OK)
			rv = one;
	}
	return rv;
}

CK_ULONG attribute_total(const struct object *object)
{
	CK_ULONG total = object->size;

	for (size_t i = 0; i < ROWS_N; i++)
		if (rows[i].kinds & object->kind)
			total += value(object, &rows[i], slice_of(NULL, 0)).left;
	return total;
}
