/* daemon_test.c - an appliance from its first key to its last record, over the wire. */
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "audit/auditor.h"
#include "audit/proof.h"
#include "testbed/unit/world.h"

static void setup(void)
{
	world_make();
	ck_assert_ok(world_enrol(BANK_A));
}

/* The measurement that a relying party expects, from the daemon's own list. */
static void measurement_of(const char *id, uint8_t out[32])
{
	CLEANUP(wire) struct wire_message request, answer;
	struct slice in, text;
	uint64_t epoch;
	size_t n, items;

	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_APPS, 1);
	cbor_put_text(&request.bytes, world.banks[BANK_A].serial);
	ck_assert_ok(link_call(world.link, &request, &answer, &in));
	ck_assert_ok(cbor_take_uint(&in, &epoch));
	ck_assert_ok(cbor_take_array(&in, 64, &n));
	ck_assert_uint_eq(n, 1);
	ck_assert_ok(cbor_take_array(&in, 8, &items));
	ck_assert_uint_eq(items, 8);
	ck_assert_ok(cbor_take_text(&in, 64, &text));
	ck_assert(slice_is(text, id));
	ck_assert_ok(cbor_take_text(&in, 64, &text));
	ck_assert_ok(cbor_take_text(&in, 32, &text));
	ck_assert_ok(cbor_take_fixed(&in, out, 32));
}

static void verify(struct slice proof, struct slice keys, struct slice input, struct slice output)
{
	CLEANUP(proof_report) struct proof_report report = { 0 };
	uint8_t measurement[32];

	measurement_of("unruly", measurement);
	struct proof_expect expect = { .ca = buf_slice(&world.ca),
				       .measurement = measurement,
				       .keys = keys,
				       .has_input = true,
				       .has_output = true,
				       .input = input,
				       .output = output,
				       .allow_development = true };
	ck_assert_ok(proof_verify(proof, &expect, &report));
	expect.allow_development = false;
	proof_report_free(&report);
	ck_assert_msg(proof_verify(proof, &expect, &report) != OK,
		      "development evidence passes for real");
}

static void audit_log(struct auditor_report *report)
{
	char path[256];

	snprintf(path, sizeof path, "%s/state/log", world.dir);
	ck_assert_ok(auditor_verify(path, buf_slice(&world.ca), NULL, NULL, report));
}

START_TEST(an_execution_is_proved_and_its_results_are_fetched)
{
	CLEANUP(outcome) struct outcome out = { 0 };
	CLEANUP(buf) struct buf proof = BUF_INIT, keys = BUF_INIT, output = BUF_INIT;
	CLEANUP(proof_report) struct proof_report compact = { 0 };
	struct slice input = slice_text("echo\nthree euro");
	struct auditor_report report;

	ck_assert_ok(world_load(BANK_A, "unruly"));
	world_become(BANK_A, WIRE_USER);
	ck_assert_ok(world_execute(world.link, BANK_A, "unruly", OP_EXECUTE, input, &out));
	ck_assert_uint_le(out.returned.len, COMPACT_MAX);
	ck_assert(slice_equal(buf_slice(&out.returned), buf_slice(&out.compact)));
	struct proof_expect expect = { .ca = buf_slice(&world.ca), .allow_development = true };
	ck_assert_ok(proof_verify_compact(buf_slice(&out.compact),
					  buf_slice(&world.banks[BANK_A].certificate), &expect,
					  &compact));
	ck_assert_ok(world_fetch(world.link, BANK_A, out.label, "assay:output", &output));
	ck_assert(slice_is(buf_slice(&output), "three euro"));
	ck_assert_ok(world_fetch(world.link, BANK_A, out.label, "assay:proof", &proof));
	ck_assert_ok(world_fetch(world.link, BANK_A, out.label, "assay:keys", &keys));
	verify(buf_slice(&proof), buf_slice(&keys), input, buf_slice(&output));
	world_stop();
	audit_log(&report);
	ck_assert_uint_eq(report.trees_n, 2);
	auditor_report_free(&report);
}
END_TEST

static const char *const parts[] = { "daemon", "launcher", "init", "configuration" };

static enum err look_at_tcb(void *context, const char *origin, uint64_t index, struct slice raw,
			    const struct leaf *leaf)
{
	size_t *found = context;
	(void)origin;
	(void)index;
	(void)raw;

	for (size_t i = 0; leaf->type == LEAF_TCB && i < leaf->components_n; i++)
		for (size_t j = 0; j < sizeof parts / sizeof *parts; j++)
			*found += slice_is(leaf->components[i].name, parts[j]);
	return OK;
}

START_TEST(tcb_record_names_every_part_once)
{
	struct auditor_report report;
	char path[256];
	size_t found = 0;

	snprintf(path, sizeof path, "%s/state/log", world.dir);
	ck_assert_ok(auditor_verify(path, buf_slice(&world.ca), look_at_tcb, &found, &report));
	auditor_report_free(&report);
	ck_assert_uint_eq(found, sizeof parts / sizeof *parts);
}
END_TEST

START_TEST(so_fetches_the_proof_of_a_load)
{
	CLEANUP(wire) struct wire_message request, answer;
	CLEANUP(buf) struct buf package = BUF_INIT, proof = BUF_INIT;
	CLEANUP(proof_report) struct proof_report report = { 0 };
	struct slice in, compact;
	uint8_t digest[SHA256_SIZE];
	char label[33];

	world_package("unruly", &package);
	world_become(BANK_A, WIRE_SO);
	wire_init(&request);
	wire_init(&answer);
	link_request(&request, REQ_LOAD, 2);
	cbor_put_text(&request.bytes, world.banks[BANK_A].serial);
	ck_assert_ok(wire_put_payload(&request, buf_slice(&package)));
	ck_assert_ok(link_call(world.link, &request, &answer, &in));
	ck_assert_ok(cbor_take_bytes(&in, COMPACT_MAX, &compact));
	sha256_once(compact, digest);
	hex_put(label, digest, 16);
	ck_assert_ok(world_fetch(world.link, BANK_A, label, "assay:proof", &proof));
	struct proof_expect expect = { .ca = buf_slice(&world.ca),
				       .allow_development = true,
				       .receipt = true };
	ck_assert_ok(proof_verify(buf_slice(&proof), &expect, &report));
	ck_assert_int_eq(report.leaf->type, LEAF_MANAGEMENT);
}
END_TEST

START_TEST(full_result_holds_everything)
{
	CLEANUP(outcome) struct outcome out = { 0 };
	struct slice input = slice_text("echo\nx"), proof, output, messages, keys;

	ck_assert_ok(world_load(BANK_A, "unruly"));
	world_become(BANK_A, WIRE_USER);
	ck_assert_ok(world_execute(world.link, BANK_A, "unruly", OP_EXECUTE_FULL, input, &out));
	ck_assert_ok(
		proof_result_read(buf_slice(&out.returned), &proof, &output, &messages, &keys));
	ck_assert(slice_is(output, "x"));
	verify(proof, keys, input, output);
}
END_TEST

START_TEST(run_gives_the_output_and_an_object_run_its_label)
{
	CLEANUP(outcome) struct outcome out = { 0 }, object = { 0 };
	CLEANUP(buf) struct buf output = BUF_INIT;
	struct slice input = slice_text("echo\nraw");

	ck_assert_ok(world_load(BANK_A, "unruly"));
	world_become(BANK_A, WIRE_USER);
	ck_assert_ok(world_execute(world.link, BANK_A, "unruly", OP_RUN, input, &out));
	ck_assert(slice_is(buf_slice(&out.returned), "raw"));
	ck_assert_uint_eq(strlen(out.label), 32);
	ck_assert_uint_eq(out.compact.len, 0);
	ck_assert_ok(world_execute(world.link, BANK_A, "unruly", OP_RUN_OBJECT, input, &object));
	ck_assert_str_eq(object.label, "my label");
	ck_assert_ok(world_fetch(world.link, BANK_A, "my label", "assay:output", &output));
	ck_assert(slice_is(buf_slice(&output), "raw"));
}
END_TEST

START_TEST(large_input_and_output_travel_whole)
{
	CLEANUP(outcome) struct outcome out = { 0 };
	CLEANUP(buf) struct buf input = BUF_INIT;

	buf_put_text(&input, "echo\n");
	memset(buf_add(&input, 1000000), 'y', 1000000);
	ck_assert_ok(world_load(BANK_A, "unruly"));
	world_become(BANK_A, WIRE_USER);
	ck_assert_ok(world_execute(world.link, BANK_A, "unruly", OP_RUN, buf_slice(&input), &out));
	ck_assert_uint_eq(out.returned.len, 1000000);
	ck_assert_mem_eq(out.returned.data, input.data + 5, 1000000);
}
END_TEST

static const struct {
	const char *input;
	enum err e;
} failures[] = {
	{ "exit 3\n", ERR_FAILED },  { "refuse\n", ERR_INPUT },  { "crash\n", ERR_FAILED },
	{ "loop\n", ERR_TIMEOUT },   { "sleep\n", ERR_TIMEOUT }, { "flood\n", ERR_LIMIT },
	{ "complain\n", ERR_LIMIT },
};

START_TEST(failed_run_has_a_proof_of_its_failure)
{
	CLEANUP(outcome) struct outcome out = { 0 };
	CLEANUP(buf) struct buf proof = BUF_INIT;
	CLEANUP(proof_report) struct proof_report report = { 0 };
	struct slice input = slice_text(failures[_i].input);

	ck_assert_ok(world_load(BANK_A, "unruly"));
	world_become(BANK_A, WIRE_USER);
	ck_assert_err(world_execute(world.link, BANK_A, "unruly", OP_EXECUTE, input, &out),
		      failures[_i].e);
	ck_assert_uint_eq(strlen(out.label), 32);
	ck_assert_ok(world_fetch(world.link, BANK_A, out.label, "assay:proof", &proof));
	struct proof_expect expect = { .ca = buf_slice(&world.ca),
				       .allow_development = true,
				       .allow_failure = true };
	ck_assert_ok(proof_verify(buf_slice(&proof), &expect, &report));
	ck_assert(report.leaf->has_status);
	ck_assert(report.leaf->status_kind || report.leaf->status_code);
}
END_TEST

START_TEST(applications_and_enrolments_outlive_a_restart)
{
	CLEANUP(outcome) struct outcome out = { 0 };
	struct auditor_report report;

	ck_assert_ok(world_load(BANK_A, "unruly"));
	world_stop();
	world_start();
	world_become(BANK_A, WIRE_USER);
	ck_assert_ok(
		world_execute(world.link, BANK_A, "unruly", OP_RUN, slice_text("echo\n1"), &out));
	audit_log(&report);
	auditor_report_free(&report);
}
END_TEST

static enum err call_app(enum wire_request request, const char *id)
{
	CLEANUP(wire) struct wire_message m, answer;
	struct slice in;

	wire_init(&m);
	wire_init(&answer);
	link_request(&m, request, 2);
	cbor_put_text(&m.bytes, world.banks[BANK_A].serial);
	cbor_put_text(&m.bytes, id);
	return link_call(world.link, &m, &answer, &in);
}

START_TEST(unloaded_application_is_gone_with_its_package)
{
	CLEANUP(outcome) struct outcome out = { 0 };
	char path[256];

	ck_assert_ok(world_load(BANK_A, "unruly"));
	snprintf(path, sizeof path, "%s/state/packages", world.dir);
	struct stat before, after;
	world_become(BANK_A, WIRE_SO);
	ck_assert_int_eq(stat(path, &before), 0);
	ck_assert_ok(call_app(REQ_UNLOAD, "unruly"));
	ck_assert_err(call_app(REQ_UNLOAD, "unruly"), ERR_NOT_FOUND);
	ck_assert_int_eq(stat(path, &after), 0);
	ck_assert_int_eq(rmdir(path), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	world_logout(BANK_A);
	world_become(BANK_A, WIRE_USER);
	ck_assert_err(
		world_execute(world.link, BANK_A, "unruly", OP_RUN, slice_text("echo\n"), &out),
		ERR_NOT_FOUND);
}
END_TEST

/* Flips a bit of the only package. */
static void spoil_package(void)
{
	char command[1024];

	snprintf(command, sizeof command,
		 "f=$(echo '%s'/state/packages/*) && chmod 600 \"$f\" && "
		 "printf x | dd of=\"$f\" bs=1 seek=5000 conv=notrunc status=none",
		 world.dir);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(idle_images_make_way_for_others)
{
	char id[16];

	/* More than a partition may have unpacked, and than the launcher has room for in all. */
	for (unsigned i = 0; i < 34; i++) {
		CLEANUP(buf) struct buf package = BUF_INIT;

		snprintf(id, sizeof id, "app-%u", i);
		world_package(id, &package);
		if (i == 0)
			world_become(BANK_A, WIRE_SO);
		ck_assert_ok(world_load_package(BANK_A, buf_slice(&package)));
	}
	world_logout(BANK_A);
	world_become(BANK_A, WIRE_USER);
	for (unsigned i = 0; i < 36; i++) {
		CLEANUP(outcome) struct outcome out = { 0 };

		snprintf(id, sizeof id, "app-%u", i % 34);
		ck_assert_ok(
			world_execute(world.link, BANK_A, id, OP_RUN, slice_text("echo\n1"), &out));
	}
}
END_TEST

START_TEST(package_changed_on_disk_is_never_run)
{
	CLEANUP(outcome) struct outcome out = { 0 };
	char path[256];

	ck_assert_ok(world_load(BANK_A, "unruly"));
	spoil_package();
	world_become(BANK_A, WIRE_USER);
	ck_assert_err(
		world_execute(world.link, BANK_A, "unruly", OP_RUN, slice_text("echo\n"), &out),
		ERR_IO);
	world_stop();
	/* Nor does a daemon start over it. */
	ck_assert_int_ne(link_start_daemon(world.config, world.self, 3000), OK);
	snprintf(path, sizeof path, "%s/state/assayd.log", world.dir);
	CLEANUP(buf) struct buf said = BUF_INIT;
	ck_assert_ok(io_read_file(path, 1 << 20, &said));
	ck_assert_ptr_nonnull(strstr(buf_text(&said), "was changed on disk"));
}
END_TEST

START_TEST(second_daemon_of_a_state_directory_ends_and_says_why)
{
	char command[5 * PATH_MAX], said[1024];

	snprintf(command, sizeof command,
		 "env -i '%s/assay-launcher' --init '%s/assay-init' --uid-base 2000000000 "
		 "--name 00aa --allow-missing 'memory pids cpu' -- '%s/assayd' "
		 "--config '%s/assay.yaml' 2>&1",
		 world.build, world.build, world.build, world.dir);
	FILE *out = popen(command, "re");
	ck_assert_ptr_nonnull(out);
	said[fread(said, 1, sizeof said - 1, out)] = 0;
	ck_assert_int_ne(pclose(out), 0);
	ck_assert_msg(strstr(said, "another daemon holds this state directory"), "%s", said);
	world_connect();
}
END_TEST

START_TEST(initialising_twice_is_refused)
{
	char command[5 * PATH_MAX], said[1024];

	world_stop();
	snprintf(command, sizeof command, "env -i '%s/assayd' --config '%s/assay.yaml' --init 2>&1",
		 world.build, world.dir);
	FILE *out = popen(command, "re");
	said[fread(said, 1, sizeof said - 1, out)] = 0;
	ck_assert_int_ne(pclose(out), 0);
	ck_assert_msg(strstr(said, "initialised already"), "%s", said);
}
END_TEST

START_TEST(signal_ends_the_daemon_with_a_closed_log)
{
	pid_t daemon = world_daemon(), launcher = world_launcher();
	struct auditor_report report;

	kill(daemon, SIGTERM);
	world_await_end(daemon);
	world_await_end(launcher);
	ck_assert_int_ne(access(world.config->socket, F_OK), 0);
	audit_log(&report);
	ck_assert_uint_eq(report.torn_bytes, 0);
	for (size_t i = 0; i < report.trees_n; i++)
		ck_assert_uint_eq(report.trees[i].size < 2 ? 0 : report.trees[i].size,
				  report.trees[i].signed_size);
	auditor_report_free(&report);
}
END_TEST

static void add(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, world_end);
	tcase_add_test(t, an_execution_is_proved_and_its_results_are_fetched);
	tcase_add_test(t, tcb_record_names_every_part_once);
	tcase_add_test(t, so_fetches_the_proof_of_a_load);
	tcase_add_test(t, full_result_holds_everything);
	tcase_add_test(t, run_gives_the_output_and_an_object_run_its_label);
	tcase_add_test(t, large_input_and_output_travel_whole);
	tcase_add_table(t, failed_run_has_a_proof_of_its_failure, failures);
	tcase_add_test(t, applications_and_enrolments_outlive_a_restart);
	tcase_add_test(t, unloaded_application_is_gone_with_its_package);
	tcase_add_test(t, idle_images_make_way_for_others);
	tcase_add_test(t, package_changed_on_disk_is_never_run);
	tcase_add_test(t, second_daemon_of_a_state_directory_ends_and_says_why);
	tcase_add_test(t, initialising_twice_is_refused);
	tcase_add_test(t, signal_ends_the_daemon_with_a_closed_log);
}

int main(void)
{
	world_golden();
	return check_run("daemon", add);
}
