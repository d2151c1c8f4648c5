/* parameter.c - one table says where the handles are. */
#include "plugin/parameter.h"

#include <string.h>

#include "plugin/access.h"

#define NONE PARAMETER_WORDS_MAX

static const struct row {
	CK_MECHANISM_TYPE type;
	size_t words, handles[2];
} rows[] = {
#define PARAMETER(name, number, words, first, second) { number, words, { first, second } },
#include "plugin/parameters.def"
#undef PARAMETER
};

#define PARAMETER(name, number, words, first, second)                         \
	_Static_assert((words) <= PARAMETER_WORDS_MAX && (first) < (words) && \
			       ((second) < (words) || (second) == NONE),      \
		       #name);
#include "plugin/parameters.def"
#undef PARAMETER

static const struct row *find(const CK_MECHANISM *m)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].type == m->mechanism)
			return m->ulParameterLen == rows[i].words * sizeof(CK_ULONG) ? &rows[i]
										     : NULL;
	return NULL;
}

CK_RV parameter_enter(CK_SESSION_HANDLE s, CK_MECHANISM **m, struct parameter *room)
{
	const struct row *row = *m && (*m)->pParameter ? find(*m) : NULL;

	if (!row)
		return CKR_OK;
	room->mechanism = **m;
	room->mechanism.pParameter = room->words;
	memcpy(room->words, (*m)->pParameter, row->words * sizeof *room->words);
	for (size_t i = 0; i < 2 && row->handles[i] != NONE; i++) {
		CK_OBJECT_HANDLE *h = &room->words[row->handles[i]];
		CK_RV rv = *h ? access_enter(s, h, CKR_KEY_HANDLE_INVALID, CKR_KEY_HANDLE_INVALID)
			      : CKR_OK;
		if (rv != CKR_OK)
			return rv;
	}
	*m = &room->mechanism;
	return CKR_OK;
}
