/* mock.h - what a test tells the mock module, and what it learns from it. */
#ifndef TESTBED_MOCK_MOCK_H
#define TESTBED_MOCK_MOCK_H

#include <stdbool.h>

#include "pkcs11/cryptoki.h"

#define MOCK_SLOT 7
#define MOCK_OTHER_SLOT 8 /* no token of that serial is enrolled */
#define MOCK_SERIAL "MOCK0001"
#define MOCK_OTHER_SERIAL "MOCK0002"
#define MOCK_OBJECTS 64

struct mock_object {
	CK_OBJECT_HANDLE handle; /* any number */
	CK_OBJECT_CLASS class;
	char id[32], label[32];
	CK_ULONG id_n;
	bool gone;
};

struct mock {
	struct mock_object objects[MOCK_OBJECTS];
	CK_ULONG objects_n;
	CK_OBJECT_HANDLE next;     /* handle of the object that is made next; counts up */
	CK_OBJECT_HANDLE named[4]; /* what the last call named */
	CK_ULONG parameter[16];    /* of the last mechanism that derived, wrapped or signed */
	CK_STATE state;            /* of every session */
	unsigned sessions, signs;
	void (*on_logout)(void), (*on_close)(void), (*on_finalize)(void), (*on_init_token)(void);
	const char *serial; /* of MOCK_SLOT's token */
};

/* Exported by the module; the second for a program that it is linked into. */
struct mock *mock_control(void);
CK_FUNCTION_LIST *mock_functions(void);

#endif
