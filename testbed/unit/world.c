#include "testbed/unit/world.h"
#include "testbed/unit/place.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "sandbox/package.h"

struct world world;

static struct softhsm golden_token, golden_partitions;

static void remove_golden(void)
{
	static pid_t owner;

	if (!owner) {
		owner = getpid();
		return;
	}
	if (owner == getpid()) {
		softhsm_remove(&golden_token);
		softhsm_remove(&golden_partitions);
	}
}

/* Made once, because each C_Login and C_InitToken costs, and copied for each test. */
void world_golden(void)
{
	remove_golden();
	softhsm_make(&golden_token);
	softhsm_token(&golden_token, "assay");
	softhsm_make(&golden_partitions);
	softhsm_token(&golden_partitions, "bank-a");
	softhsm_token(&golden_partitions, "bank-b");
	atexit(remove_golden);
}

static void write_file(const char *name, mode_t mode, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void write_file(const char *name, mode_t mode, const char *format, ...)
{
	char path[PATH_MAX];
	va_list args;

	snprintf(path, sizeof path, "%s/%s", world.dir, name);
	FILE *file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fchmod(fileno(file), mode), 0);
	va_start(args, format);
	vfprintf(file, format, args);
	va_end(args);
	ck_assert_int_eq(fclose(file), 0);
}

static void find_programs(void)
{
	ssize_t n = readlink("/proc/self/exe", world.build, sizeof world.build - 1);

	ck_assert_int_gt(n, 0);
	world.build[n] = 0;
	for (int i = 0; i < 2; i++)
		*strrchr(world.build, '/') = 0;
	snprintf(world.self, sizeof world.self, "%s/assay.so", world.build);
}

static void make_config(const char *programs)
{
	char path[PATH_MAX];

	write_file("pin", 0600, "%s\n", HARNESS_PIN);
	write_file("assay.yaml", 0600,
		   "mode: development\n"
		   "state: %s/state\n"
		   "socket: %s/run/s\n"
		   "programs: %s%s\n"
		   "hsm:\n"
		   "  module: %s\n"
		   "  environment: [\"SOFTHSM2_CONF=%s\"]\n"
		   "token:\n"
		   "  environment: [\"SOFTHSM2_CONF=%s\"]\n"
		   "  pin_file: %s/pin\n"
		   "sandbox:\n"
		   "  allow_missing: [memory, pids, cpu]\n"
		   "  cells: 1\n"
		   "limits:\n"
		   "  input_bytes: 1048576\n"
		   "daemon:\n"
		   "  idle_seconds: 20\n",
		   world.dir, world.dir, world.build, programs, softhsm_module(),
		   world.partitions.conf, world.token.conf, world.dir);
	snprintf(path, sizeof path, "%s/assay.yaml", world.dir);
	ck_assert_ok(config_load(path, &world.config));
}

static void initialise(void)
{
	char command[3 * PATH_MAX], path[PATH_MAX];

	snprintf(command, sizeof command, "env -i '%s/assayd' --config '%s/assay.yaml' --init 2>&1",
		 world.build, world.dir);
	FILE *out = popen(command, "re");
	ck_assert_ptr_nonnull(out);
	char said[1024];
	said[fread(said, 1, sizeof said - 1, out)] = 0;
	ck_assert_msg(pclose(out) == 0, "--init: %s", said);
	snprintf(path, sizeof path, "%s/state/ca.der", world.dir);
	ck_assert_ok(io_read_file(path, 1 << 16, &world.ca));
}

static void find_slots(void)
{
	CK_RV (*get_list)(CK_FUNCTION_LIST **);
	CK_SLOT_ID slots[8];
	CK_ULONG n = 8;

	softhsm_use(&world.partitions);
	*(void **)&get_list = dlsym(dlopen(softhsm_module(), RTLD_NOW), "C_GetFunctionList");
	ck_assert_uint_eq(get_list(&world.hsm), CKR_OK);
	ck_assert_uint_eq(world.hsm->C_Initialize(NULL), CKR_OK);
	ck_assert_uint_eq(world.hsm->C_GetSlotList(CK_TRUE, slots, &n), CKR_OK);
	for (CK_ULONG i = 0; i < n; i++) {
		CK_TOKEN_INFO info;

		ck_assert_uint_eq(world.hsm->C_GetTokenInfo(slots[i], &info), CKR_OK);
		if (memcmp(info.label, "bank-", 5))
			continue;
		struct bank *bank = &world.banks[info.label[5] - 'a'];
		bank->slot = slots[i];
		memcpy(bank->serial, info.serialNumber, 16);
		for (size_t j = 16; j && bank->serial[j - 1] == ' '; j--)
			bank->serial[j - 1] = 0;
	}
}

void world_make(void)
{
	world_make_with("");
}

void world_make_with(const char *programs)
{
	memset(&world, 0, sizeof world);
	place_make(world.dir, sizeof world.dir, "world");
	softhsm_copy(&golden_token, &world.token);
	softhsm_copy(&golden_partitions, &world.partitions);
	/* The copies' configurations name the copies. */
	find_programs();
	make_config(programs);
	initialise();
	find_slots();
	world_start();
}

void world_connect(void)
{
	link_close(world.link);
	world.link = NULL;
	ck_assert_ok(link_open(world.config, world.self, false, slice_of(NULL, 0), &world.link));
}

void world_start(void)
{
	ck_assert_ok(link_start_daemon(world.config, world.self, 15000));
	world_connect();
}

pid_t world_daemon(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	CLEANUP(fd) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct ucred peer;
	socklen_t n = sizeof peer;

	strcpy(address.sun_path, world.config->socket);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
	ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n), 0);
	return peer.pid;
}

pid_t world_launcher(void)
{
	char path[64];
	pid_t parent = 0;

	snprintf(path, sizeof path, "/proc/%d/stat", world_daemon());
	FILE *file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%*d (%*[^)]) %*c %d", &parent), 1);
	fclose(file);
	return parent;
}

void world_await_end(pid_t pid)
{
	for (unsigned i = 0; i < 1000; i++) {
		waitpid(pid, NULL, WNOHANG);
		if (kill(pid, 0) && errno == ESRCH)
			return;
		nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
	}
	ck_abort_msg("process %d does not end", pid);
}

void world_stop(void)
{
	CLEANUP(wire) struct wire_message request, answer;
	pid_t daemon = world_daemon(), launcher = world_launcher();
	struct slice in;

	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_STOP, 0);
	ck_assert_ok(link_call(world.link, &request, &answer, &in));
	link_close(world.link);
	world.link = NULL;
	world_await_end(daemon);
	world_await_end(launcher);
}

void world_end(void)
{
	if (world.link && !access(world.config->socket, F_OK))
		world_stop();
	world.hsm->C_Finalize(NULL);
	for (size_t i = 0; i < BANKS; i++)
		buf_free(&world.banks[i].certificate);
	buf_free(&world.ca);
	config_free(world.config);
	softhsm_remove(&world.token);
	softhsm_remove(&world.partitions);
	if (!getenv("ASSAY_KEEP"))
		place_remove(world.dir);
}

CK_SESSION_HANDLE world_login(unsigned bank, enum wire_role role)
{
	const char *pin = role == WIRE_SO ? HARNESS_SO_PIN : HARNESS_PIN;
	CK_SESSION_HANDLE session;

	ck_assert_uint_eq(world.hsm->C_OpenSession(world.banks[bank].slot,
						   CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
						   &session),
			  CKR_OK);
	ck_assert_uint_eq(world.hsm->C_Login(session, role == WIRE_SO ? CKU_SO : CKU_USER,
					     (CK_UTF8CHAR *)pin, strlen(pin)),
			  CKR_OK);
	return session;
}

void world_logout(unsigned bank)
{
	ck_assert_uint_eq(world.hsm->C_CloseAllSessions(world.banks[bank].slot), CKR_OK);
}

enum err world_prove(struct link *link, unsigned bank, enum wire_role role)
{
	struct bank *b = &world.banks[bank];
	struct role_claim claim = { .serial = slice_text(b->serial),
				    .origin = slice_text(b->origin),
				    .key_id = SLICE(b->key_id),
				    .generation = b->generation,
				    .epoch = 1,
				    .role = role };
	uint64_t seconds;

	return role_prove(link, world.hsm, b->slot, &claim, &seconds);
}

void world_become(unsigned bank, enum wire_role role)
{
	world_login(bank, role);
	ck_assert_ok(world_prove(world.link, bank, role));
}

static void begin_enrolment(struct bank *b, const char *label, uint8_t nonce[32])
{
	CLEANUP(wire) struct wire_message request, answer;
	struct slice in, origin;

	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_ENROLL_BEGIN, 2);
	cbor_put_text(&request.bytes, b->serial);
	cbor_put_text(&request.bytes, label);
	ck_assert_ok(link_call(world.link, &request, &answer, &in));
	ck_assert_ok(cbor_take_fixed(&in, nonce, 32));
	ck_assert_ok(cbor_take_uint(&in, &b->generation));
	ck_assert_ok(cbor_take_text(&in, sizeof b->origin - 1, &origin));
	ck_assert_ok(cbor_take_end(in));
	memset(b->origin, 0, sizeof b->origin);
	memcpy(b->origin, origin.p, origin.left);
}

/* The user's part: the role key, and its signature. */
static void user_part(unsigned bank, const uint8_t nonce[32], uint8_t point[65], uint8_t digest[32],
		      struct buf *signature)
{
	struct bank *b = &world.banks[bank];
	struct p11 at = { world.hsm, world_login(bank, WIRE_USER) };
	CK_OBJECT_HANDLE key;

	ck_assert_ok(role_new_key_id(b->key_id));
	ck_assert_ok(p11_make_ec(at, ROLE_KEY_LABEL, SLICE(b->key_id), &key, point));
	ck_assert_ok(wire_enroll_challenge(slice_text(b->origin), slice_text(b->serial),
					   b->generation, point, nonce, digest));
	ck_assert_ok(p11_sign(at, key, digest, signature));
	world_logout(bank);
}

/* The SO's: the certificate object stands while the daemon looks. */
static enum err so_part(unsigned bank, const uint8_t point[65], const uint8_t digest[32],
			struct slice signature)
{
	CLEANUP(wire) struct wire_message request, answer;
	struct bank *b = &world.banks[bank];
	struct p11 at = { world.hsm, world_login(bank, WIRE_SO) };
	uint8_t id[ROLE_CERTIFICATE_ID_SIZE], der[ROLE_CERTIFICATE_SIZE];
	struct slice in, certificate;
	CK_OBJECT_HANDLE object;

	role_certificate(digest, der);
	ck_assert_ok(role_new_certificate_id(id));
	ck_assert_ok(p11_put_certificate(at, SLICE(id), ROLE_CERTIFICATE_LABEL, SLICE(der), true,
					 &object));
	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_ENROLL, 5);
	cbor_put_text(&request.bytes, b->serial);
	cbor_put_bytes(&request.bytes, slice_of(point, 65));
	cbor_put_bytes(&request.bytes, SLICE(b->key_id));
	cbor_put_bytes(&request.bytes, signature);
	cbor_put_bytes(&request.bytes, SLICE(id));
	enum err e = link_call(world.link, &request, &answer, &in);
	ck_assert_uint_eq(world.hsm->C_DestroyObject(at.session, object), CKR_OK);
	world_logout(bank);
	if (e)
		return e;
	ck_assert_ok(cbor_take_bytes(&in, 8192, &certificate));
	buf_reset(&b->certificate);
	buf_put_slice(&b->certificate, certificate);
	return OK;
}

enum err world_enrol(unsigned bank)
{
	CLEANUP(buf) struct buf signature = BUF_INIT;
	uint8_t nonce[32], point[65], digest[32];

	begin_enrolment(&world.banks[bank], bank == BANK_A ? "bank-a" : "bank-b", nonce);
	user_part(bank, nonce, point, digest, &signature);
	return so_part(bank, point, digest, buf_slice(&signature));
}

void world_revoke(struct link *link, unsigned bank, enum wire_role role)
{
	CLEANUP(wire) struct wire_message request, answer;
	struct slice in;

	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_REVOKE, 2);
	cbor_put_text(&request.bytes, world.banks[bank].serial);
	cbor_put_uint(&request.bytes, role);
	ck_assert_ok(link_call(link, &request, &answer, &in));
}

void world_package(const char *id, struct buf *package)
{
	CLEANUP(buf) struct buf program = BUF_INIT;
	char path[PATH_MAX + 32];
	struct entry entry = { .path = slice_text("bin/unruly"), .type = ENTRY_FILE, .mode = 0555 };
	struct manifest manifest;

	snprintf(path, sizeof path, "%s/samples/unruly", world.build);
	ck_assert_ok(io_read_file(path, 64 << 20, &program));
	entry.content = buf_slice(&program);
	manifest_default(&manifest);
	manifest.id = slice_text(id);
	manifest.label = slice_text("Unruly");
	manifest.version = slice_text("1.0");
	manifest.argv[0] = slice_text("/bin/unruly");
	manifest.argc = 1;
	manifest.refuse_code = 65;
	manifest.limits.wall_ms = world.wall_ms ? world.wall_ms : 1000;
	manifest.limits.output_bytes = 1 << 20;
	manifest.park = world.park ? PARK_ON : PARK_OFF;
	ck_assert_ok(package_build(&manifest, &entry, 1, package));
}

enum err world_load_package(unsigned bank, struct slice package)
{
	CLEANUP(wire) struct wire_message request, answer;
	struct slice in;

	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_LOAD, 2);
	cbor_put_text(&request.bytes, world.banks[bank].serial);
	ck_assert_ok(wire_put_payload(&request, package));
	return link_call(world.link, &request, &answer, &in);
}

enum err world_load(unsigned bank, const char *id)
{
	CLEANUP(buf) struct buf package = BUF_INIT;

	world_package(id, &package);
	world_become(bank, WIRE_SO);
	enum err e = world_load_package(bank, buf_slice(&package));
	if (e != ERR_GONE)
		world_revoke(world.link, bank, WIRE_SO);
	world_logout(bank);
	return e;
}

static void take_outcome(struct wire_message *answer, struct slice in, enum err e,
			 struct outcome *out)
{
	struct slice compact, label, payload;
	bool mapped;

	memset(out, 0, sizeof *out);
	if (!e) {
		ck_assert_ok(cbor_take_bytes(&in, 512, &compact));
		buf_put_slice(&out->compact, compact);
	}
	ck_assert_ok(cbor_take_text(&in, sizeof out->label - 1, &label));
	memcpy(out->label, label.p, label.left);
	if (!e) {
		ck_assert_ok(wire_take_payload(answer, &in, 64 << 20, &payload, &mapped));
		buf_put_slice(&out->returned, payload);
		if (mapped)
			io_unmap(&payload);
	}
	ck_assert_ok(cbor_take_end(in));
}

enum err world_execute(struct link *link, unsigned bank, const char *id, enum wire_operation op,
		       struct slice input, struct outcome *out)
{
	CLEANUP(wire) struct wire_message request, answer;
	struct slice in;

	memset(out, 0, sizeof *out);
	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_EXECUTE, 9);
	cbor_put_text(&request.bytes, world.banks[bank].serial);
	cbor_put_text(&request.bytes, id);
	cbor_put_uint(&request.bytes, op);
	cbor_put_bytes(&request.bytes, world.nonce);
	cbor_put_bytes(&request.bytes, world.request);
	cbor_put_uint(&request.bytes, world.time_limit);
	cbor_put_uint(&request.bytes, world.run);
	cbor_put_text(&request.bytes, op == OP_RUN_OBJECT ? "my label" : "");
	ck_assert_ok(wire_put_payload(&request, input));
	in = slice_of(NULL, 0);
	enum err e = link_call(link, &request, &answer, &in);
	if (in.p)
		take_outcome(&answer, in, e, out);
	return e;
}

void outcome_cleanup(struct outcome *outcome)
{
	buf_free(&outcome->compact);
	buf_free(&outcome->returned);
}

static enum err find_result(struct link *link, unsigned bank, const char *label,
			    const char *application, uint64_t *id)
{
	CLEANUP(wire) struct wire_message request, answer;
	struct slice in;
	size_t n, items;
	enum err e;

	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_RESULTS, 2);
	cbor_put_text(&request.bytes, world.banks[bank].serial);
	cbor_put_text(&request.bytes, label);
	if ((e = link_call(link, &request, &answer, &in)))
		return e;
	ck_assert_ok(cbor_take_array(&in, 4096, &n));
	for (size_t i = 0; i < n; i++) {
		struct slice found, its;
		uint64_t size;

		ck_assert_ok(cbor_take_array(&in, 4, &items));
		ck_assert_ok(cbor_take_uint(&in, id));
		ck_assert_ok(cbor_take_text(&in, 255, &found));
		ck_assert_ok(cbor_take_text(&in, 64, &its));
		ck_assert_ok(cbor_take_uint(&in, &size));
		ck_assert(slice_is(found, label));
		if (slice_is(its, application))
			return OK;
	}
	return failed(ERR_NOT_FOUND, "no %s of %s", application, label);
}

enum err world_fetch(struct link *link, unsigned bank, const char *label, const char *application,
		     struct buf *out)
{
	CLEANUP(wire) struct wire_message request, answer;
	struct slice in, payload;
	uint64_t id;
	bool mapped;
	enum err e;

	wire_init(&request);
	wire_init(&answer);
	if ((e = find_result(link, bank, label, application, &id)))
		return e;
	link_request(&request, REQ_FETCH, 2);
	cbor_put_text(&request.bytes, world.banks[bank].serial);
	cbor_put_uint(&request.bytes, id);
	if ((e = link_call(link, &request, &answer, &in)))
		return e;
	ck_assert_ok(wire_take_payload(&answer, &in, 64 << 20, &payload, &mapped));
	buf_put_slice(out, payload);
	if (mapped)
		io_unmap(&payload);
	return buf_check(out);
}
