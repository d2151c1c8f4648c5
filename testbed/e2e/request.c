/* request - what a C program of the bank does that wants its own nonce and request id.
 *
 *   request MODULE TOKEN PIN APPLICATION INPUT OUTPUT NONCE REQUEST [MILLISECONDS]
 *
 * Executes the application with that label (CKM_ASSAY_EXECUTE_FULL) on INPUT and writes the result to
 * OUTPUT. NONCE and REQUEST are texts; "" for none. Prints the CKR_ that went wrong, as hex.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pkcs11/cryptoki.h"

#define CKM_ASSAY_EXECUTE_FULL (CKM_VENDOR_DEFINED | 0x41590002UL)

static CK_FUNCTION_LIST *p11;

static void must(CK_RV rv, const char *what)
{
	if (rv == CKR_OK)
		return;
	printf("%s: CKR 0x%lx\n", what, rv);
	exit(1);
}

/* tag, length (2 bytes, big-endian), value */
static size_t put(uint8_t *out, uint8_t tag, const void *value, size_t n)
{
	out[0] = tag;
	out[1] = (uint8_t)(n >> 8);
	out[2] = (uint8_t)n;
	memcpy(out + 3, value, n);
	return 3 + n;
}

static size_t make_parameter(uint8_t out[256], const char *nonce, const char *request,
			     const char *limit)
{
	unsigned long ms = limit ? strtoul(limit, NULL, 10) : 0;
	const uint8_t big_endian[4] = { (uint8_t)(ms >> 24), (uint8_t)(ms >> 16),
					(uint8_t)(ms >> 8), (uint8_t)ms };
	size_t n = 0;

	out[n++] = 1; /* version */
	if (*nonce)
		n += put(out + n, 1, nonce, strlen(nonce));
	if (*request)
		n += put(out + n, 2, request, strlen(request));
	if (limit)
		n += put(out + n, 3, big_endian, 4);
	return n;
}

static void load(const char *module)
{
	void *handle = dlopen(module, RTLD_NOW);
	CK_RV (*get)(CK_FUNCTION_LIST **);

	if (!handle) {
		puts(dlerror());
		exit(1);
	}
	*(void **)&get = dlsym(handle, "C_GetFunctionList");
	must(get(&p11), "C_GetFunctionList");
	must(p11->C_Initialize(NULL), "C_Initialize");
}

static CK_SESSION_HANDLE open_session(const char *token, char *pin)
{
	CK_SLOT_ID slots[16];
	CK_ULONG n = 16;
	CK_TOKEN_INFO info;
	CK_SESSION_HANDLE session;

	must(p11->C_GetSlotList(CK_TRUE, slots, &n), "C_GetSlotList");
	for (CK_ULONG i = 0; i < n; i++) {
		must(p11->C_GetTokenInfo(slots[i], &info), "C_GetTokenInfo");
		if (memcmp(info.label, token, strlen(token)))
			continue;
		must(p11->C_OpenSession(slots[i], CKF_SERIAL_SESSION, NULL, NULL, &session),
		     "C_OpenSession");
		must(p11->C_Login(session, CKU_USER, (CK_UTF8CHAR *)pin, strlen(pin)), "C_Login");
		return session;
	}
	must(CKR_SLOT_ID_INVALID, token);
	return 0;
}

static CK_OBJECT_HANDLE find(CK_SESSION_HANDLE session, char *label)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_ATTRIBUTE wanted[] = { { CKA_CLASS, &class, sizeof class },
				  { CKA_LABEL, label, strlen(label) } };
	CK_OBJECT_HANDLE found = 0;
	CK_ULONG n = 0;

	must(p11->C_FindObjectsInit(session, wanted, 2), "C_FindObjectsInit");
	must(p11->C_FindObjects(session, &found, 1, &n), "C_FindObjects");
	must(p11->C_FindObjectsFinal(session), "C_FindObjectsFinal");
	must(n ? CKR_OK : CKR_KEY_HANDLE_INVALID, label);
	return found;
}

static void run(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE app, CK_MECHANISM *mechanism,
		const char *from, const char *to)
{
	static CK_BYTE input[1 << 20];
	FILE *in = fopen(from, "re"), *out;
	CK_ULONG n = 0, input_n = in ? fread(input, 1, sizeof input, in) : 0;

	must(in ? CKR_OK : CKR_DATA_INVALID, from);
	fclose(in);
	must(p11->C_SignInit(session, mechanism, app), "C_SignInit");
	must(p11->C_Sign(session, input, input_n, NULL, &n), "C_Sign");
	CK_BYTE *result = malloc(n);
	must(result ? p11->C_Sign(session, input, input_n, result, &n) : CKR_HOST_MEMORY, "C_Sign");
	out = fopen(to, "we");
	must(out && fwrite(result, 1, n, out) == n && !fclose(out) ? CKR_OK : CKR_DEVICE_ERROR, to);
	free(result);
}

int main(int argc, char **argv)
{
	uint8_t parameter[256];

	if (argc < 9 || strlen(argv[7]) > 100 || strlen(argv[8]) > 100)
		return 2;
	CK_MECHANISM mechanism = { CKM_ASSAY_EXECUTE_FULL, parameter,
				   make_parameter(parameter, argv[7], argv[8], argv[9]) };
	load(argv[1]);
	CK_SESSION_HANDLE session = open_session(argv[2], argv[3]);
	run(session, find(session, argv[4]), &mechanism, argv[5], argv[6]);
	must(p11->C_Finalize(NULL), "C_Finalize");
	return 0;
}
