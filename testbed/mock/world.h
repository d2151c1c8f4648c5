/* world.h - assay.so in this process, over the mock module, with the fake daemon. For one test per
 * process, as check runs them.
 */
#ifndef TESTBED_MOCK_WORLD_H
#define TESTBED_MOCK_WORLD_H

#include "testbed/mock/fake.h"

struct world {
	char dir[64];
	CK_FUNCTION_LIST *f;
	CK_FUNCTION_LIST_3_0 *f30;
	struct mock *mock;
	CK_SESSION_HANDLE s; /* on MOCK_SLOT, read-write */
};
extern struct world w;

/* Loads module and mock, and initialises nothing; the environment says which configuration. */
void world_load(void);
/* With no configuration: a pass-through. */
void world_plain(void);
/* With a configuration, and a daemon that says that MOCK_SLOT is enrolled. @limit: input_bytes. */
void world_enrolled(void);
#define WORLD_INPUT_MAX 100000
void world_end(void);

/* Opens w.s; logs in as well. */
void world_session(void);
void world_login(CK_USER_TYPE user);

/* A search of its own: the number of objects, the first in @out. */
CK_ULONG world_find(const CK_ATTRIBUTE *templ, CK_ULONG n, CK_OBJECT_HANDLE *out, CK_ULONG max);
/* The application's secret facet. */
CK_OBJECT_HANDLE world_app(void);

#define ck_assert_rv(call, wanted) ck_assert_uint_eq(call, wanted)

#endif
