/* operation.h - a client of the mock's world that runs its application: for tests of what it may, and of
 * what it is told. Each begins with started() and ends with world_end().
 */
#ifndef TESTBED_UNIT_OPERATION_H
#define TESTBED_UNIT_OPERATION_H

#include "plugin/mechanism.h"
#include "testbed/mock/world.h"

/* How a login comes to its end. */
enum ending { LOGOUT, CLOSE, CLOSE_ALL, INIT_TOKEN, FINALIZE, ENDINGS };

static CK_BYTE out[1024];
static CK_ULONG n;

static inline CK_RV sign_init(CK_MECHANISM_TYPE type)
{
	CK_MECHANISM m = { type, NULL, 0 };

	return w.f->C_SignInit(w.s, &m, world_app());
}

static inline void started(CK_MECHANISM_TYPE type)
{
	CK_MECHANISM m = { type, NULL, 0 };

	world_enrolled();
	world_login(CKU_USER);
	if (type == CKM_ASSAY_RUN)
		ck_assert_rv(w.f->C_EncryptInit(w.s, &m, world_app()), CKR_OK);
	else if (type)
		ck_assert_rv(sign_init(type), CKR_OK);
}

static inline CK_RV sign(const char *input, void *buffer, CK_ULONG room)
{
	n = room;
	return w.f->C_Sign(w.s, (CK_BYTE *)input, strlen(input), buffer, &n);
}

static inline void ran(unsigned times)
{
	ck_assert_uint_eq(fake.asked[REQ_EXECUTE], times);
}

#endif
