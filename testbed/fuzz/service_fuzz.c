/* Everything that the module believes of the daemon: partitions, applications, results, grants,
 * outputs. A client's usual calls, over the mock HSM, with the input as the daemon's answers. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "plugin/mechanism.h"
#include "plugin/module.h"
#include "plugin/service.h"
#include "testbed/mock/mock.h"

void __lsan_disable(void);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define OBJECTS 32

static struct slice answers; /* the input; set while nothing is asked */
static atomic_uint asked[256];

static void must(bool good)
{
	if (!good)
		abort();
}

/* An answer in the input: to which request, how many bytes, how many of them lie in a memory file
 * beside the message. */
struct answer {
	uint8_t request;
	struct slice bytes, beside;
};

static bool take_answer(struct slice *in, struct answer *out)
{
	struct slice head;

	if (slice_take(in, 5, &head))
		return false;
	size_t n = (size_t)head.p[1] << 8 | head.p[2], beside = (size_t)head.p[3] << 8 | head.p[4];
	n = n < in->left ? n : in->left;
	beside = beside < n ? beside : n;
	out->request = head.p[0];
	out->bytes = slice_of(in->p, n - beside);
	out->beside = slice_of(in->p + n - beside, beside);
	in->p += n;
	in->left -= n;
	return true;
}

/* The answers to one request are given in turn, and then again from the first. */
static bool find_answer(uint8_t request, struct answer *out)
{
	struct slice in = answers;
	struct answer one;
	unsigned all = 0;

	while (take_answer(&in, &one))
		all += one.request == request;
	if (!all)
		return false;
	unsigned wanted = atomic_fetch_add(&asked[request], 1) % all;
	for (in = answers; take_answer(&in, out);)
		if (out->request == request && wanted-- == 0)
			break;
	return true;
}

static bool put_answer(uint64_t request, struct wire_message *m)
{
	struct answer found;

	if (!find_answer((uint8_t)request, &found))
		return false;
	buf_put_slice(&m->bytes, found.bytes);
	if (found.beside.left && !io_memfd("fuzz", found.beside, &m->fds[0]))
		m->fds_n = 1;
	return true;
}

static void put_plain(struct wire_message *m, size_t results, enum err e)
{
	cbor_put_array(&m->bytes, 2 + results);
	cbor_put_uint(&m->bytes, e);
	cbor_put_text(&m->bytes, "");
}

static void greet(struct wire_message *m)
{
	static const uint8_t zeroes[32];

	put_plain(m, 5, OK);
	cbor_put_bytes(&m->bytes, slice_of(zeroes, 16));
	cbor_put_bytes(&m->bytes, slice_of(zeroes, 16));
	cbor_put_bytes(&m->bytes, slice_of(zeroes, 32));
	cbor_put_uint(&m->bytes, MODE_DEVELOPMENT);
	cbor_put_text(&m->bytes, "0123456789abcdef");
}

/* The greeting and the lanes are right, for little else would be reached; the rest is the input. */
static void answer(const struct wire_message *request, struct wire_message *m)
{
	struct slice in = buf_slice(&request->bytes);
	uint64_t number;
	size_t items;

	must(!cbor_take_array(&in, 16, &items) && !cbor_take_uint(&in, &number));
	if (number == REQ_HELLO)
		greet(m);
	else if (number == REQ_ATTACH)
		put_plain(m, 0, OK);
	else if (!put_answer(number, m))
		put_plain(m, 0, ERR_IO);
}

/* Its thread ends when it likes, so leaks are looked for while it still holds a message: those of the
 * module are the ones that count. */
static void *serve(void *fd_as_pointer)
{
	CLEANUP(fd) int fd = (int)(intptr_t)fd_as_pointer;

	__lsan_disable();
	for (;;) {
		CLEANUP(wire) struct wire_message request, m;

		wire_init(&request);
		wire_init(&m);
		if (wire_recv(fd, &request))
			return NULL;
		answer(&request, &m);
		if (wire_send(fd, &m))
			return NULL;
	}
}

static void *accept_all(void *listening)
{
	pthread_t thread;

	for (;;) {
		int fd = accept4((int)(intptr_t)listening, NULL, NULL, SOCK_CLOEXEC);

		must(fd >= 0);
		must(!pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd));
		pthread_detach(thread);
	}
}

static char dir[] = "/tmp/assay-fuzz.XXXXXX";

static void remove_socket(void)
{
	unlink(module.config->socket);
	rmdir(dir);
}

static void start(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	CLEANUP(buf) struct buf yaml = BUF_INIT;
	pthread_t thread;

	must(mkdtemp(dir) != NULL);
	buf_printf(&yaml, "mode: development\nstate: %s\nsocket: %s/s\n", dir, dir);
	must(!config_parse(buf_slice(&yaml), "fuzz", &module.config));
	memcpy(address.sun_path, module.config->socket, strlen(module.config->socket) + 1);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	must(!bind(fd, (struct sockaddr *)&address, sizeof address) && !listen(fd, 64));
	must(!pthread_create(&thread, NULL, accept_all, (void *)(intptr_t)fd));
	atexit(remove_socket);
	memcpy(&module.hsm.call, mock_functions(), sizeof(CK_FUNCTION_LIST));
}

/* Every attribute that takes another path, with room and without. */
static void look_at(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE h)
{
	static const CK_ATTRIBUTE_TYPE types[] = { CKA_CLASS,  CKA_LABEL,     CKA_ID,
						   CKA_VALUE,  CKA_EC_PARAMS, CKA_APPLICATION,
						   0x81590002, CKA_VALUE_LEN, 0x81590003 };
	uint8_t room[256];
	CK_ULONG size;

	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		CK_ATTRIBUTE a = { types[i], NULL, 0 };

		(void)hook_GetAttributeValue(s, h, &a, 1);
		a = (CK_ATTRIBUTE){ types[i], room, sizeof room };
		if (hook_GetAttributeValue(s, h, &a, 1) == CKR_OK)
			must(a.ulValueLen <= sizeof room);
	}
	(void)hook_GetObjectSize(s, h, &size);
}

static void execute(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key, CK_MECHANISM_TYPE type)
{
	CK_MECHANISM m = { type, NULL, 0 };
	uint8_t out[512];
	CK_ULONG n = sizeof out;

	if (hook_SignInit(s, &m, key) != CKR_OK)
		return;
	if (hook_Sign(s, (CK_BYTE *)"pay", 3, out, &n) == CKR_OK)
		must(n <= sizeof out);
	(void)hook_SignInit(s, NULL, 0);
}

static void create(CK_SESSION_HANDLE s)
{
	CK_OBJECT_CLASS class = CKO_DATA;
	CK_OBJECT_HANDLE made;
	CK_ATTRIBUTE templ[] = { { CKA_CLASS, &class, sizeof class },
				 { CKA_APPLICATION, "assay:run:screen", 16 },
				 { CKA_LABEL, "order", 5 },
				 { CKA_VALUE, "pay", 3 } };

	if (hook_CreateObject(s, templ, 4, &made) == CKR_OK)
		look_at(s, made);
}

static void use(CK_SESSION_HANDLE s)
{
	static const CK_MECHANISM_TYPE mechanisms[] = { CKM_ASSAY_EXECUTE, CKM_ASSAY_EXECUTE_FULL,
							CKM_ASSAY_LOAD };
	CK_OBJECT_HANDLE found[OBJECTS];
	CK_ULONG n = 0;

	if (hook_FindObjectsInit(s, NULL, 0) == CKR_OK) {
		must(hook_FindObjects(s, found, OBJECTS, &n) == CKR_OK && n <= OBJECTS);
		must(hook_FindObjectsFinal(s) == CKR_OK);
	}
	for (CK_ULONG i = 0; i < n; i++)
		look_at(s, found[i]);
	for (CK_ULONG i = 0; i < n && i < 6; i++)
		for (size_t k = 0; k < 3; k++)
			execute(s, found[i], mechanisms[k]);
	create(s);
	(void)hook_Logout(s);
}

/* The first byte says who logs in. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	CK_SESSION_HANDLE s;

	if (!n)
		return 0;
	if (!module.config)
		start();
	*mock_control() = (struct mock){ .objects = { { .handle = 3,
							.class = CKO_PRIVATE_KEY,
							.id = "assay-role",
							.id_n = 18 } },
					 .objects_n = 1,
					 .next = 1000,
					 .state = CKS_RW_PUBLIC_SESSION };
	answers = slice_of(data + 1, n - 1);
	memset(asked, 0, sizeof asked);
	must(HSM(Initialize)(NULL) == CKR_OK);
	atomic_store(&module.state, MODULE_READY);
	must(hook_OpenSession(MOCK_SLOT, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &s) ==
	     CKR_OK);
	must(hook_Login(s, data[0] & 1 ? CKU_SO : CKU_USER, (CK_BYTE *)"1234", 4) == CKR_OK);
	use(s);
	must(hook_Finalize(NULL) == CKR_OK);
	return 0;
}
