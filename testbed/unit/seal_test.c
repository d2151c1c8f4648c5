/* seal_test.c - sealed payloads, opened by openssl and tar with the auditor's key alone. */
#include "audit/seal.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "config/base/io.h"
#include "testbed/unit/check.h"

#define LARGE ((size_t)64 << 20)

static char dir[64];

static int shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int shell(const char *format, ...)
{
	char command[1024], whole[1200];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof command, format, args);
	va_end(args);
	snprintf(whole, sizeof whole, "cd %s && { %s; } >out 2>&1", dir, command);
	return system(whole); // NOLINT(cert-env33-c): the tools are what is tested
}

static void setup(void)
{
	strcpy(dir, "/tmp/assay-seal-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
	char command[96];

	snprintf(command, sizeof command, "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

/* auditor.key, auditor.pem and, as DER, what is returned. */
static void make_certificate(const char *key, const char *more, struct buf *der)
{
	char path[128];

	ck_assert_int_eq(shell("openssl req -x509 -newkey %s -nodes -keyout auditor.key "
			       "-out auditor.pem -subj /CN=auditor %s",
			       key, more),
			 0);
	ck_assert_int_eq(shell("openssl x509 -in auditor.pem -outform DER -out auditor.der"), 0);
	snprintf(path, sizeof path, "%s/auditor.der", dir);
	ck_assert_ok(io_read_file(path, 1 << 16, der));
}

struct file {
	int fd;
	size_t fails_after;
};

static enum err put(void *context, struct slice piece)
{
	struct file *file = context;

	if (file->fails_after && !--file->fails_after)
		return failed(ERR_IO, "the disk is full");
	return io_write_all(file->fd, piece);
}

static enum err seal(struct slice certificate, const char *name, const struct seal_part *parts,
		     size_t n)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	struct file file = { open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), 0 };
	ck_assert_int_ge(file.fd, 0);
	enum err e =
		seal_write(certificate, time(NULL), parts, n, &(struct seal_sink){ put, &file });
	close(file.fd);
	return e;
}

#define OPEN                                                                                 \
	"openssl cms -decrypt -inform DER -in sealed -recip auditor.pem -inkey auditor.key " \
	"-out payload.tar"

static const char *const keys[] = { "rsa:2048", "rsa:3072", "ec -pkeyopt ec_paramgen_curve:P-256",
				    "ec -pkeyopt ec_paramgen_curve:P-384",
				    "ec -pkeyopt ec_paramgen_curve:P-521" };

START_TEST(auditor_alone_opens_it_with_openssl_and_tar)
{
	CLEANUP(buf) struct buf der = BUF_INIT;
	struct seal_part parts[] = { { "input", slice_text("<payment/>") },
				     { "output", slice_of(NULL, 0) },
				     { "keys", slice_text("0123456789abcdef") } };

	make_certificate(keys[_i], "", &der);
	ck_assert_ok(seal_check(buf_slice(&der), time(NULL)));
	ck_assert_ok(seal(buf_slice(&der), "sealed", parts, 3));
	ck_assert_msg(shell(OPEN) == 0, "%s", keys[_i]);
	ck_assert_int_eq(shell("tar -xf payload.tar && test \"$(tar -tf payload.tar | tr '\\n' "
			       "' ')\" = 'input output keys '"),
			 0);
	ck_assert_int_eq(shell("printf '<payment/>' | cmp - input && test ! -s output && "
			       "printf 0123456789abcdef | cmp - keys"),
			 0);
	ck_assert_int_eq(shell("openssl cms -cmsout -print -inform DER -in sealed | "
			       "grep -q 'aes-256-gcm' && ! grep -aq '<payment' sealed"),
			 0);
	/* Another's key of the same kind does not. */
	ck_assert_int_eq(shell("cp auditor.key first.key && rm -f payload.tar"), 0);
	buf_reset(&der);
	make_certificate(keys[_i], "", &der);
	ck_assert_int_ne(shell(OPEN), 0);
}
END_TEST

START_TEST(weak_defaults_of_openssl_are_not_used)
{
	CLEANUP(buf) struct buf der = BUF_INIT;
	struct seal_part part = { "input", slice_text("x") };

	make_certificate("rsa:2048", "", &der);
	ck_assert_ok(seal(buf_slice(&der), "sealed", &part, 1));
	ck_assert_int_eq(
		shell("openssl cms -cmsout -print -inform DER -in sealed >text && "
		      "grep -q rsaesOaep text && grep -q sha256 text && ! grep -q sha1 text"),
		0);
	buf_reset(&der);
	make_certificate(keys[2], "", &der);
	ck_assert_ok(seal(buf_slice(&der), "sealed", &part, 1));
	ck_assert_int_eq(shell("openssl cms -cmsout -print -inform DER -in sealed >text && "
			       "grep -q sha256kdf text && ! grep -q sha1 text"),
			 0);
}
END_TEST

START_TEST(changed_payload_is_refused)
{
	CLEANUP(buf) struct buf der = BUF_INIT, sealed = BUF_INIT;
	struct seal_part part = { "input", slice_text("a payment of some length, and then more") };
	char path[128];

	make_certificate(keys[2], "", &der);
	ck_assert_ok(seal(buf_slice(&der), "sealed", &part, 1));
	snprintf(path, sizeof path, "%s/sealed", dir);
	ck_assert_ok(io_read_file(path, 1 << 20, &sealed));
	/* In the ciphertext, and in the tag at the very end. */
	for (size_t back = 1; back < 200; back += 150) {
		int fd = open(path, O_WRONLY | O_CLOEXEC);

		ck_assert_int_ge(fd, 0);
		sealed.data[sealed.len - back] ^= 1;
		ck_assert_ok(io_write_at(fd, 0, buf_slice(&sealed)));
		sealed.data[sealed.len - back] ^= 1;
		close(fd);
		ck_assert_int_ne(shell(OPEN), 0);
	}
}
END_TEST

START_TEST(same_payload_is_never_sealed_to_the_same_bytes)
{
	CLEANUP(buf) struct buf der = BUF_INIT;
	struct seal_part part = { "input", slice_text("x") };

	make_certificate("rsa:2048", "", &der);
	ck_assert_ok(seal(buf_slice(&der), "sealed", &part, 1));
	ck_assert_ok(seal(buf_slice(&der), "again", &part, 1));
	ck_assert_int_ne(shell("cmp sealed again"), 0);
}
END_TEST

START_TEST(large_payload_passes_through_without_a_copy)
{
	CLEANUP(buf) struct buf der = BUF_INIT, input = BUF_INIT;
	struct rusage before, after;

	make_certificate(keys[2], "", &der);
	memset(buf_add(&input, LARGE), 'x', LARGE);
	struct seal_part part = { "input", buf_slice(&input) };
	ck_assert_int_eq(getrusage(RUSAGE_SELF, &before), 0);
	ck_assert_ok(seal(buf_slice(&der), "sealed", &part, 1));
	ck_assert_int_eq(getrusage(RUSAGE_SELF, &after), 0);
	ck_assert_int_lt(after.ru_maxrss - before.ru_maxrss, 16 << 10);
	ck_assert_int_eq(shell(OPEN " && tar -xf payload.tar && test $(tr -d x <input | wc -c) = 0 "
				    "&& test $(stat -c %%s input) = %zu",
			       LARGE),
			 0);
}
END_TEST

START_TEST(failure_of_the_sink_is_handed_up)
{
	CLEANUP(buf) struct buf der = BUF_INIT;
	struct seal_part part = { "input", slice_text("x") };

	make_certificate("rsa:2048", "", &der);
	for (size_t after = 1; after < 4; after++) {
		struct file file = { open("/dev/null", O_WRONLY | O_CLOEXEC), after };

		ck_assert_err(
			seal_write(buf_slice(&der), 1, &part, 1, &(struct seal_sink){ put, &file }),
			ERR_IO);
		ck_assert_str_eq(err_reason(), "the disk is full");
		close(file.fd);
	}
}
END_TEST

static const struct {
	const char *key, *more, *reason;
	int64_t at; /* from now */
} refused[] = {
	{ "rsa:1024", "", "an RSA key of 1024 bits; 2048 to 8192 are allowed", 0 },
	{ "ed25519", "", "neither an RSA nor an EC key", 0 },
	{ "ec -pkeyopt ec_paramgen_curve:secp256k1", "",
	  "an EC key on another curve than P-256, P-384 or P-521", 0 },
	{ "rsa:2048", "-addext keyUsage=digitalSignature", "its key usage lacks keyEncipherment",
	  0 },
	{ "ec -pkeyopt ec_paramgen_curve:P-256", "-addext keyUsage=digitalSignature",
	  "its key usage lacks keyAgreement", 0 },
	{ "rsa:2048", "-days 2", "it has expired", 3 * 86400 },
	{ "rsa:2048", "", "it is not valid yet", -3600 },
};

START_TEST(certificate_that_nobody_should_seal_to_is_refused)
{
	CLEANUP(buf) struct buf der = BUF_INIT;

	make_certificate(refused[_i].key, refused[_i].more, &der);
	ck_assert_err(seal_check(buf_slice(&der), time(NULL) + refused[_i].at), ERR_CRYPTO);
	ck_assert_str_eq(err_reason(), refused[_i].reason);
}
END_TEST

START_TEST(what_is_no_certificate_is_refused)
{
	ck_assert_err(seal_check(slice_text("not DER"), 0), ERR_CRYPTO);
	ck_assert_err(seal_check(slice_of(NULL, 0), 0), ERR_CRYPTO);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, auditor_alone_opens_it_with_openssl_and_tar, 0, 5);
	tcase_add_test(t, weak_defaults_of_openssl_are_not_used);
	tcase_add_test(t, changed_payload_is_refused);
	tcase_add_test(t, same_payload_is_never_sealed_to_the_same_bytes);
	tcase_add_test(t, large_payload_passes_through_without_a_copy);
	tcase_add_test(t, failure_of_the_sink_is_handed_up);
	tcase_add_table(t, certificate_that_nobody_should_seal_to_is_refused, refused);
	tcase_add_test(t, what_is_no_certificate_is_refused);
}

int main(void)
{
	return check_run("seal", add);
}
