/* seals_test.c - sealed payloads on the disk, and the ring of keys that can be shredded, with a token
 * of SoftHSM. The linker puts token_seal() of this file before the product's (seals.mk). */
#include "plugin/daemon/seals.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

#include "audit/openssl.h"
#include "config/base/cbor.h"
#include "config/base/io.h"
#include "testbed/softhsm/harness.h"
#include "testbed/unit/statedir.h"

#define SERIAL "0123456789abcdef"
#define NAME "30313233343536373839616263646566"

static struct softhsm golden, store;
static struct config *config;
static struct attest *attest;
static struct seals seals;
static struct buf certificate;

/* A token that takes its time. */
static atomic_bool slow;
static sem_t asked, answer;

enum err __real_token_seal(struct token *token, CK_OBJECT_HANDLE key, struct slice plain,
			   struct buf *out);
enum err __wrap_token_seal(struct token *token, CK_OBJECT_HANDLE key, struct slice plain,
			   struct buf *out);
enum err __wrap_token_seal(struct token *token, CK_OBJECT_HANDLE key, struct slice plain,
			   struct buf *out)
{
	if (atomic_exchange(&slow, false)) {
		sem_post(&asked);
		sem_wait(&answer);
	}
	return __real_token_seal(token, key, plain, out);
}

/* The auditor's; sealed payloads are opened in seal_test. */
static void make_certificate(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x509 = X509_new();
	uint8_t *der = NULL;

	ck_assert(key && x509 && X509_set_pubkey(x509, key));
	ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
	X509_gmtime_adj(X509_getm_notBefore(x509), -60);
	X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
	ck_assert_int_gt(X509_sign(x509, key, EVP_sha256()), 0);
	int n = i2d_X509(x509, &der);
	ck_assert_int_gt(n, 0);
	buf_put(&certificate, der, (size_t)n);
	OPENSSL_free(der);
	X509_free(x509);
	EVP_PKEY_free(key);
}

static void put_text(char **field, const char *value)
{
	free(*field);
	ck_assert_ptr_nonnull(*field = strdup(value));
}

/* SoftHSM takes one directory per process, and each test is a process. */
static void setup(void)
{
	char pin[128];

	softhsm_copy(&golden, &store);
	softhsm_use(&store);
	statedir_make();
	snprintf(pin, sizeof pin, "%s/pin", statedir);
	int fd = open(pin, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(write(fd, HARNESS_PIN, strlen(HARNESS_PIN)), (int)strlen(HARNESS_PIN));
	close(fd);
	ck_assert_ok(config_load(NULL, &config));
	put_text(&config->token_module, softhsm_module());
	put_text(&config->token_pin_file, pin);
	ck_assert_ok(attest_open(config, &attest));
	seals_init(&seals, state, attest);
	make_certificate();
}

static void teardown(void)
{
	seals_close(&seals);
	attest_close(attest);
	config_free(config);
	buf_free(&certificate);
	statedir_remove();
	softhsm_remove(&store);
}

/* As after a restart of the daemon: what it had in memory is gone. */
static void forget(void)
{
	seals_close(&seals);
	seals_init(&seals, state, attest);
}

static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void shell(const char *format, ...)
{
	char words[512], command[640];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof words, format, args);
	va_end(args);
	snprintf(command, sizeof command, "cd '%s' && { %s; }", statedir, words);
	ck_assert_int_eq(system(command), 0);
}

static struct ring *ring(void)
{
	struct ring *found;

	ck_assert_ok(seals_ring(&seals, SERIAL, &found));
	return found;
}

static enum err put(uint8_t first, uint8_t digest[SHA256_SIZE])
{
	const uint8_t cti[SEALS_CTI] = { first };
	const struct seal_part part = { "input", slice_text("a payment") };

	return seals_put(&seals, SERIAL, cti, buf_slice(&certificate), 30, &part, 1, digest);
}

static enum err get(uint8_t first, uint8_t digest[SHA256_SIZE])
{
	const uint8_t cti[SEALS_CTI] = { first };
	CLEANUP(buf) struct buf cms = BUF_INIT;
	enum err e = seals_get(&seals, SERIAL, cti, &cms);

	if (!e)
		sha256_once(buf_slice(&cms), digest);
	return e;
}

static bool any(void *context, const struct ring_period *period)
{
	(void)context, (void)period;
	return true;
}

static bool of_day(void *context, const struct ring_period *period)
{
	return period->day == *(const uint32_t *)context;
}

static size_t shred(ring_test *test, void *context)
{
	size_t n;

	ck_assert_ok(ring_shred(ring(), test, context, false, "for a test", &n));
	return n;
}

static void begin_day(uint32_t day)
{
	struct ring_period period;
	const uint8_t *key;

	ck_assert_ok(ring_hold(ring(), day, 30, &period, &key));
	ring_release(ring());
}

START_TEST(what_was_sealed_comes_back_after_a_restart)
{
	uint8_t sealed[SHA256_SIZE], found[SHA256_SIZE];

	ck_assert_ok(put(1, sealed));
	ck_assert_ok(get(1, found));
	ck_assert_mem_eq(sealed, found, SHA256_SIZE);
	forget();
	ck_assert_ok(get(1, found));
	ck_assert_mem_eq(sealed, found, SHA256_SIZE);
	ck_assert_ok(put(2, sealed));
	ck_assert_uint_eq(ring()->now.n, 1);
	ck_assert_err(get(3, found), ERR_NOT_FOUND);
	/* One proof has one payload. */
	ck_assert_err(put(2, sealed), ERR_IO);
}
END_TEST

START_TEST(shredded_day_is_gone_and_others_stay)
{
	uint32_t today = seals_today(), yesterday = today - 1;
	uint8_t sealed[SHA256_SIZE], found[SHA256_SIZE];

	begin_day(yesterday);
	ck_assert_ok(put(1, sealed));
	ck_assert_uint_eq(ring()->now.n, 2);
	ck_assert_uint_eq(shred(of_day, &yesterday), 1);
	ck_assert_ok(get(1, found));
	ck_assert_uint_eq(shred(of_day, &today), 1);
	ck_assert_err(get(1, found), ERR_NOT_FOUND);
	forget();
	ck_assert_err(get(1, found), ERR_NOT_FOUND);
	size_t n;
	ck_assert_err(ring_shred(ring(), any, NULL, false, "again", &n), ERR_NOT_FOUND);
}
END_TEST

START_TEST(copy_of_the_disk_does_not_bring_back_what_was_shredded)
{
	uint8_t sealed[SHA256_SIZE], found[SHA256_SIZE];
	size_t n;

	ck_assert_ok(put(1, sealed));
	shell("cp -a sealing sealing.earlier");
	for (unsigned times = 1; times <= 2; times++) {
		ck_assert_uint_eq(shred(any, NULL), 1);
		shell("cp -a sealing sealing.later && rm -r sealing && cp -a sealing.earlier "
		      "sealing");
		forget();
		/* With two names that take turns the second shredding uses the first one's again. */
		ck_assert_err(get(1, found), ERR_STATE);
		ck_assert_err(put(9, sealed), ERR_STATE);
		ck_assert_err(ring_shred(ring(), any, NULL, false, "no", &n), ERR_STATE);
		shell("rm -r sealing && mv sealing.later sealing");
		forget();
		ck_assert_ok(put((uint8_t)(1 + times), sealed));
	}
}
END_TEST

START_TEST(removed_keys_are_noticed_and_shredding_all_begins_anew)
{
	uint8_t sealed[SHA256_SIZE], found[SHA256_SIZE];
	size_t n, notes;
	CLEANUP(buf) struct buf text = BUF_INIT;

	ck_assert_ok(put(1, sealed));
	shell("rm sealing/" NAME);
	forget();
	ck_assert_err(put(2, sealed), ERR_STATE);
	ck_assert_ok(ring_shred(ring(), any, NULL, true, "anew", &n));
	ck_assert_ok(put(2, sealed));
	ck_assert_ok(get(2, found));
	ck_assert_err(get(1, found), ERR_NOT_FOUND);
	ck_assert_ok(ring_notes(ring(), &text, &notes));
	ck_assert_uint_eq(notes, 1);
}
END_TEST

START_TEST(forged_record_of_keys_is_refused)
{
	uint8_t sealed[SHA256_SIZE];

	ck_assert_ok(put(1, sealed));
	statedir_spoil(STATE_SEALING, NAME, 60);
	forget();
	ck_assert_err(put(2, sealed), ERR_CRYPTO);
}
END_TEST

/* A crash after the new record, before the token's old key is destroyed. */
START_TEST(shredding_that_was_cut_short_is_completed)
{
	struct token *token = attest_device(attest);
	uint8_t sealed[SHA256_SIZE];
	CK_OBJECT_HANDLE old;
	bool there;

	ck_assert_ok(put(1, sealed));
	const char *name =
		ring()->now.number & 1 ? "assay-seal " NAME " 0" : "assay-seal " NAME " 1";
	ck_assert_ok(token_make_aes(token, "left", slice_text(name), &old));
	forget();
	ck_assert_ok(ring_look(ring(), &there));
	ck_assert(there);
	ck_assert_err(token_find(token, CKO_SECRET_KEY, slice_text(name), &old), ERR_NOT_FOUND);
}
END_TEST

START_TEST(what_was_shredded_is_noted_until_the_log_has_it)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	struct slice in, note;
	bool there;
	size_t n;

	begin_day(20000);
	begin_day(20001);
	ck_assert_uint_eq(shred(any, NULL), 2);
	forget();
	ck_assert_ok(ring_look(ring(), &there));
	ck_assert_ok(ring_notes(ring(), &text, &n));
	ck_assert_uint_eq(n, 1);
	in = buf_slice(&text);
	ck_assert_ok(cbor_take_text(&in, 512, &note));
	ck_assert(slice_is(note, "keys of sealed payloads destroyed: 2 periods, from 2024-10-04 to "
				 "2024-10-05; for a test"));
	ck_assert_ok(ring_noted(ring(), 1));
	forget();
	ck_assert_ok(ring_look(ring(), &there));
	buf_reset(&text);
	ck_assert_ok(ring_notes(ring(), &text, &n));
	ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(day_that_comes_again_keeps_its_key)
{
	begin_day(20000);
	begin_day(20001);
	begin_day(20000);
	begin_day(20001);
	ck_assert_uint_eq(ring()->now.n, 2);
}
END_TEST

START_TEST(days_are_shredded_when_their_time_is_over)
{
	begin_day(20000); /* for 30 days */
	begin_day(20001);
	ck_assert_ok(seals_expire(&seals, SERIAL, 20007, 7));
	ck_assert_uint_eq(ring()->now.n, 2);
	/* The policy in force counts, shorter or longer; without one, that of the day. */
	ck_assert_ok(seals_expire(&seals, SERIAL, 20008, 7));
	ck_assert_uint_eq(ring()->now.n, 1);
	ck_assert_ok(seals_expire(&seals, SERIAL, 20100, 1000));
	ck_assert_uint_eq(ring()->now.n, 1);
	ck_assert_ok(seals_expire(&seals, SERIAL, 20031, 0));
	ck_assert_uint_eq(ring()->now.n, 1);
	ck_assert_ok(seals_expire(&seals, SERIAL, 20032, 0));
	ck_assert_uint_eq(ring()->now.n, 0);
	ck_assert_uint_eq(ring()->now.notes_n, 2);
	ck_assert_ok(seals_expire(&seals, SERIAL, 30000, 1));
}
END_TEST

START_TEST(files_of_shredded_days_are_removed_a_few_at_a_time)
{
	uint8_t sealed[SHA256_SIZE], found[SHA256_SIZE];

	for (uint8_t i = 1; i <= 5; i++)
		ck_assert_ok(put(i, sealed));
	ck_assert_ok(seals_sweep(&seals, SERIAL, 100));
	ck_assert_ok(get(5, found));
	shred(any, NULL);
	ck_assert_ok(put(6, sealed));
	ck_assert_ok(seals_sweep(&seals, SERIAL, 3));
	shell("test $(find sealed -type f | wc -l) = 3");
	ck_assert_ok(seals_sweep(&seals, SERIAL, 3));
	shell("test $(find sealed -type f | wc -l) = 1 && test $(ls sealed/" NAME " | wc -l) = 1");
	ck_assert_ok(get(6, found));
}
END_TEST

#define SEALERS 4
#define ROUNDS 40

static void *sealer(void *number)
{
	const struct seal_part part = { "input", slice_text("a payment") };
	uint8_t digest[SHA256_SIZE];

	for (unsigned i = 0; i < ROUNDS; i++) {
		const uint8_t cti[SEALS_CTI] = { *(uint8_t *)number, (uint8_t)i };

		ck_assert_ok(seals_put(&seals, SERIAL, cti, buf_slice(&certificate), 30, &part, 1,
				       digest));
	}
	return NULL;
}

/* Whoever seals while somebody shreds gets a payload that is whole, or gone with its key. */
START_TEST(sealing_and_shredding_at_a_time_leave_nothing_half)
{
	pthread_t threads[SEALERS];
	uint8_t numbers[SEALERS], digest[SHA256_SIZE];
	unsigned whole = 0;
	size_t n;

	for (uint8_t i = 0; i < SEALERS; i++) {
		numbers[i] = i;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, sealer, &numbers[i]), 0);
	}
	for (unsigned i = 0; i < 10; i++) {
		enum err e = ring_shred(ring(), any, NULL, false, "for a test", &n);

		ck_assert_msg(!e || e == ERR_NOT_FOUND, "%s", err_reason());
		ck_assert_ok(seals_sweep(&seals, SERIAL, 1000));
	}
	for (unsigned i = 0; i < SEALERS; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < SEALERS * ROUNDS; i++) {
		const uint8_t cti[SEALS_CTI] = { (uint8_t)(i / ROUNDS), (uint8_t)(i % ROUNDS) };
		CLEANUP(buf) struct buf cms = BUF_INIT;
		enum err e = seals_get(&seals, SERIAL, cti, &cms);

		ck_assert_msg(!e || e == ERR_NOT_FOUND, "%s", err_reason());
		whole += !e;
	}
	ck_assert_ok(seals_sweep(&seals, SERIAL, 1000));
	shell("test $(find sealed -type f | wc -l) = %u", whole);
	ck_assert_ok(put(200, digest));
}
END_TEST

static void *shred_yesterday(void *day)
{
	CK_ULONG *shredded = calloc(1, sizeof *shredded);

	*shredded = shred(of_day, day);
	return shredded;
}

START_TEST(slow_token_keeps_nobody_from_sealing)
{
	uint32_t yesterday = seals_today() - 1;
	uint8_t sealed[SHA256_SIZE], found[SHA256_SIZE];
	CLEANUP(buf) struct buf notes = BUF_INIT;
	pthread_t thread;
	void *shredded;
	size_t n;

	sem_init(&asked, 0, 0);
	sem_init(&answer, 0, 0);
	begin_day(yesterday);
	ck_assert_ok(put(1, sealed));
	atomic_store(&slow, true);
	ck_assert_int_eq(pthread_create(&thread, NULL, shred_yesterday, &yesterday), 0);
	sem_wait(&asked);
	alarm(20);
	ck_assert_ok(seals_ready(&seals, SERIAL, 30, 0));
	ck_assert_ok(put(2, sealed));
	ck_assert_ok(ring_notes(ring(), &notes, &n));
	ck_assert_ok(seals_sweep(&seals, SERIAL, 100));
	ck_assert_uint_eq(ring()->now.n, 2);
	alarm(0);
	sem_post(&answer);
	ck_assert_int_eq(pthread_join(thread, &shredded), 0);
	ck_assert_uint_eq(*(CK_ULONG *)shredded, 1);
	free(shredded);
	ck_assert_uint_eq(ring()->now.n, 1);
	ck_assert_ok(get(1, found));
	ck_assert_ok(get(2, found));
	ck_assert_mem_eq(sealed, found, SHA256_SIZE);
}
END_TEST

/* By whoever can write the disk, or by a mistake. */
START_TEST(what_is_planted_among_payloads_is_passed_over)
{
	uint8_t sealed[SHA256_SIZE];

	for (uint8_t i = 1; i <= 3; i++)
		ck_assert_ok(put(i, sealed));
	shred(any, NULL);
	ck_assert_ok(put(9, sealed));
	shell("cd sealed/" NAME
	      " && mkdir -p 0/a 2020-01-01-0000000000000000/b && touch kept 0/c && "
	      "ln -s /etc 2020-01-02-0000000000000000 && mkfifo 2020-01-03-0000000000000000 && "
	      "ln -s /etc/passwd 2020-01-01-0000000000000000/link && "
	      "for d in *-*; do [ -h $d ] || [ -p $d ] || mkdir -p $d/directory; done");
	alarm(20);
	for (int i = 0; i < 3; i++)
		ck_assert_ok(seals_sweep(&seals, SERIAL, 100));
	alarm(0);
	shell("cd sealed/" NAME " && test $(find . -type f -name '0*' | wc -l) = 1 && "
	      "test -e kept && test -e 0/c && test -d 0/a && test -h 2020-01-02-0000000000000000 "
	      "&& "
	      "test -p 2020-01-03-0000000000000000 && test -d 2020-01-01-0000000000000000/b && "
	      "test ! -h 2020-01-01-0000000000000000/link && test -f /etc/passwd");
	shell("rm -r sealed/" NAME "/*/directory sealed/" NAME "/*/b");
	ck_assert_ok(seals_sweep(&seals, SERIAL, 100));
	shell("test $(ls -d sealed/" NAME "/*-* | wc -l) = 3");
}
END_TEST

START_TEST(payloads_over_the_quota_refuse_more_until_some_are_shredded)
{
	uint8_t sealed[SHA256_SIZE];
	uint64_t one;

	ck_assert_ok(seals_ready(&seals, SERIAL, 30, 1));
	ck_assert_ok(put(1, sealed));
	ck_assert_err(seals_ready(&seals, SERIAL, 30, 1), ERR_LIMIT);
	ck_assert_ptr_nonnull(strstr(err_reason(), "the policy allows 1"));
	ck_assert_ok(seals_ready(&seals, SERIAL, 30, 0));
	one = seals.partitions[0]->bytes;
	ck_assert_ok(put(2, sealed));
	ck_assert_ok(seals_ready(&seals, SERIAL, 30, 2 * one + 1));
	ck_assert_err(seals_ready(&seals, SERIAL, 30, 2 * one), ERR_LIMIT);
	/* What is on the disk counts after a restart, too. */
	forget();
	ck_assert_ok(seals_ready(&seals, SERIAL, 30, 2 * one + 1));
	ck_assert_err(seals_ready(&seals, SERIAL, 30, 2 * one), ERR_LIMIT);
	shred(any, NULL);
	ck_assert_err(seals_ready(&seals, SERIAL, 30, 2 * one), ERR_LIMIT);
	ck_assert_ok(seals_sweep(&seals, SERIAL, 1));
	ck_assert_ok(seals_ready(&seals, SERIAL, 30, 2 * one));
	ck_assert_ok(seals_sweep(&seals, SERIAL, 100));
	ck_assert_uint_eq(seals.partitions[0]->bytes, 0);
}
END_TEST

START_TEST(changed_cut_or_exchanged_file_is_refused)
{
	uint8_t sealed[SHA256_SIZE], found[SHA256_SIZE];

	ck_assert_ok(put(1, sealed));
	ck_assert_ok(put(2, sealed));
	shell("cd sealed/*/* && cp 01* ../first && printf x | "
	      "dd of=$(ls 01*) bs=1 seek=%u conv=notrunc status=none",
	      _i == 0   ? 20
	      : _i == 1 ? 41
			: 100);
	ck_assert_int_ne(get(1, found), OK);
	shell("cd sealed/*/* && head -c 90 ../first >$(ls 01*)");
	ck_assert_int_ne(get(1, found), OK);
	shell("cd sealed/*/* && cp $(ls 02*) $(ls 01*)");
	ck_assert_err(get(1, found), ERR_FORMAT);
	shell("cd sealed/*/* && mv ../first $(ls 01*)");
	ck_assert_ok(get(1, found));
}
END_TEST

/* Whoever waits for one would keep the keys from all who seal, and from the tick. */
START_TEST(fifo_in_place_of_a_payload_is_not_waited_for)
{
	uint8_t sealed[SHA256_SIZE], found[SHA256_SIZE];

	ck_assert_ok(put(1, sealed));
	shell("f=$(ls sealed/" NAME "/*/*) && rm $f && mkfifo $f");
	alarm(10);
	ck_assert_err(get(1, found), ERR_FORMAT);
	alarm(0);
}
END_TEST

START_TEST(payload_over_the_limit_is_refused_before_anything_is_written)
{
	const uint8_t cti[SEALS_CTI] = { 1 };
	const struct seal_part part = { "input", { certificate.data, SEALS_PAYLOAD_MAX + 1 } };
	uint8_t digest[SHA256_SIZE];

	ck_assert_err(seals_put(&seals, SERIAL, cti, buf_slice(&certificate), 0, &part, 1, digest),
		      ERR_LIMIT);
	shell("test -z \"$(ls sealed)\"");
}
END_TEST

static void add(TCase *t)
{
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_was_sealed_comes_back_after_a_restart);
	tcase_add_test(t, shredded_day_is_gone_and_others_stay);
	tcase_add_test(t, copy_of_the_disk_does_not_bring_back_what_was_shredded);
	tcase_add_test(t, removed_keys_are_noticed_and_shredding_all_begins_anew);
	tcase_add_test(t, forged_record_of_keys_is_refused);
	tcase_add_test(t, shredding_that_was_cut_short_is_completed);
	tcase_add_test(t, what_was_shredded_is_noted_until_the_log_has_it);
	tcase_add_test(t, day_that_comes_again_keeps_its_key);
	tcase_add_test(t, days_are_shredded_when_their_time_is_over);
	tcase_add_test(t, files_of_shredded_days_are_removed_a_few_at_a_time);
	tcase_add_test(t, sealing_and_shredding_at_a_time_leave_nothing_half);
	tcase_add_test(t, slow_token_keeps_nobody_from_sealing);
	tcase_add_test(t, what_is_planted_among_payloads_is_passed_over);
	tcase_add_test(t, payloads_over_the_quota_refuse_more_until_some_are_shredded);
	tcase_add_loop_test(t, changed_cut_or_exchanged_file_is_refused, 0, 3);
	tcase_add_test(t, fifo_in_place_of_a_payload_is_not_waited_for);
	tcase_add_test(t, payload_over_the_limit_is_refused_before_anything_is_written);
}

int main(void)
{
	softhsm_make(&golden);
	softhsm_token(&golden, "assay");
	int code = check_run("seals", add);
	softhsm_remove(&golden);
	return code;
}
