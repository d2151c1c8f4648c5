/* registry_test.c - applications of a partition on disk: kept, replaced, removed, changed. */
#include <sys/stat.h>

#include "testbed/unit/developer.h"
#include "testbed/unit/statedir.h"

#define SERIAL "0123456789abcdef"
#define RECORD "30313233343536373839616263646566"

static struct registry registry;

static void open_registry(uint64_t generation)
{
	ck_assert_ok(registry_open(&registry, state, slice_text(SERIAL), generation));
}

static void setup(void)
{
	statedir_make();
	open_registry(1);
}

static void teardown(void)
{
	registry_close(&registry);
	statedir_remove();
}

static void restart(uint64_t generation)
{
	registry_close(&registry);
	statedir_reopen();
	open_registry(generation);
}

static enum err put(const char *id, const char *version)
{
	CLEANUP(buf) struct buf package = BUF_INIT;
	CLEANUP(app) struct app *app = NULL;

	statedir_package(id, version, &package);
	ck_assert_ok(app_examine(buf_slice(&package), NULL, NULL, &app));
	return registry_put(&registry, buf_slice(&package), app);
}

static enum err get(const char *id, char version[33])
{
	CLEANUP(app) struct app *app = NULL;
	enum err e = registry_get(&registry, slice_text(id), &app, NULL);

	if (!e && version)
		strcpy(version, app->version);
	return e;
}

START_TEST(packages_are_within_the_quota_of_their_partition)
{
	CLEANUP(buf) struct buf package = BUF_INIT;

	statedir_package("screen", "1", &package);
	registry.quota = 2 * package.len + package.len / 2;
	ck_assert_ok(put("screen", "1"));
	ck_assert_ok(put("other1", "1"));
	ck_assert_err(put("other2", "1"), ERR_LIMIT);
	/* One that takes another's place takes no more. */
	ck_assert_ok(put("screen", "2"));
	ck_assert_ok(registry_remove(&registry, slice_text("other1")));
	ck_assert_ok(put("other2", "1"));
}
END_TEST

static enum err put_large(const char *id)
{
	static char text[15000];
	struct entry entry = { .path = slice_text("bin/app"),
			       .type = ENTRY_FILE,
			       .mode = 0555,
			       .content = slice_text("not a program") };
	CLEANUP(buf) struct buf package = BUF_INIT;
	CLEANUP(app) struct app *app = NULL;
	struct manifest manifest;

	memset(text, 'x', sizeof text - 1);
	manifest_default(&manifest);
	manifest.id = slice_text(id);
	manifest.label = slice_text("An application");
	manifest.version = slice_text("1");
	manifest.argv[0] = slice_text("/bin/app");
	manifest.argv[1] = slice_text(text);
	manifest.argc = 2;
	ck_assert_ok(package_build(&manifest, &entry, 1, &package));
	ck_assert_ok(app_examine(buf_slice(&package), NULL, NULL, &app));
	return registry_put(&registry, buf_slice(&package), app);
}

START_TEST(many_large_manifests_are_listed_page_by_page)
{
	size_t next = 0, pages = 0, seen = 0, n;
	char id[16];

	for (unsigned i = 0; i < REGISTRY_APPS_MAX; i++) {
		snprintf(id, sizeof id, "app-%u", i);
		ck_assert_ok(put_large(id));
	}
	ck_assert_err(put_large("one-too-many"), ERR_LIMIT);
	do {
		CLEANUP(buf) struct buf page = BUF_INIT;
		struct slice in;
		uint64_t epoch;

		registry_list(&registry, next, &page, &next);
		ck_assert_uint_lt(page.len, WIRE_MESSAGE_MAX - 512);
		in = buf_slice(&page);
		ck_assert_ok(cbor_take_uint(&in, &epoch));
		ck_assert_ok(cbor_take_array(&in, 64, &n));
		seen += n;
		pages++;
	} while (next);
	ck_assert_uint_eq(seen, REGISTRY_APPS_MAX);
	ck_assert_uint_gt(pages, 10);
}
END_TEST

START_TEST(registry_survives_a_restart)
{
	char version[33];

	ck_assert_ok(put("screen", "1.2"));
	ck_assert_ok(put("other", "1"));
	restart(1);
	ck_assert_ok(get("screen", version));
	ck_assert_str_eq(version, "1.2");
	ck_assert_ok(get("other", NULL));
	ck_assert_uint_eq(registry_epoch(&registry), 2);
}
END_TEST

/* Under a policy that lists this developer. */
static size_t approvals_of(const struct app *app, const struct developer *d)
{
	CLEANUP(partition_policy) struct partition_policy *policy = NULL;
	char text[128];

	snprintf(text, sizeof text, "packages: {signers: [%s], approvals: 1}", d->name);
	ck_assert_ok(partition_policy_parse(slice_text(text), "policy", &policy));
	ck_assert_uint_eq(approvals_count(&app->approvals, policy), 0);
	registry_check(&registry, policy);
	return approvals_count(&app->approvals, policy);
}

START_TEST(signatures_survive_a_restart_and_are_checked_again)
{
	CLEANUP(buf) struct buf package = BUF_INIT;
	CLEANUP(app) struct app *app = NULL, *again = NULL;
	struct trailer trailer = { .n = 0 };
	struct developer d;

	developer_make(&d);
	statedir_package("screen", "1.2", &package);
	developer_sign(&d, buf_slice(&package), &trailer);
	ck_assert_ok(app_examine(buf_slice(&package), &trailer, NULL, &app));
	ck_assert_ok(registry_put(&registry, buf_slice(&package), app));
	ck_assert_uint_eq(approvals_of(app, &d), 1);
	restart(1);
	ck_assert_ok(registry_get(&registry, slice_text("screen"), &again, NULL));
	ck_assert_uint_eq(approvals_of(again, &d), 1);
	developer_free(&d);
}
END_TEST

static void assert_newest(const char *id, const char *wanted)
{
	char version[APP_VERSION];

	registry_newest(&registry, id, version);
	ck_assert_str_eq(version, wanted);
}

START_TEST(newest_version_is_remembered_over_removals_and_restarts)
{
	assert_newest("screen", "");
	ck_assert_ok(put("screen", "1.9"));
	ck_assert_ok(put("screen", "1.10"));
	ck_assert_ok(put("screen", "1.2"));
	ck_assert_ok(put("other", "3"));
	assert_newest("screen", "1.10");
	ck_assert_ok(registry_remove(&registry, slice_text("screen")));
	restart(1);
	assert_newest("screen", "1.10");
	assert_newest("other", "3");
	assert_newest("another", "");
	restart(2);
	assert_newest("screen", "");
}
END_TEST

/* As a daemon wrote it that knew of no signatures. */
START_TEST(index_of_before_signatures_is_read)
{
	CLEANUP(buf) struct buf package = BUF_INIT, index = BUF_INIT;
	uint8_t sha256[SHA256_SIZE];
	char version[33];

	statedir_package("screen", "1.2", &package);
	ck_assert_ok(state_put_package(state, buf_slice(&package), sha256));
	cbor_put_array(&index, 4);
	cbor_put_uint(&index, 1);
	cbor_put_uint(&index, 1);
	cbor_put_uint(&index, 7);
	cbor_put_array(&index, 1);
	cbor_put_bytes(&index, SLICE(sha256));
	ck_assert_ok(state_put(state, STATE_APPLICATIONS, RECORD, buf_slice(&index)));
	restart(1);
	ck_assert_ok(get("screen", version));
	ck_assert_str_eq(version, "1.2");
	ck_assert_uint_eq(registry_epoch(&registry), 7);
	assert_newest("screen", "1.2");
	ck_assert_ok(put("other", "2"));
	restart(1);
	assert_newest("screen", "1.2");
}
END_TEST

START_TEST(applications_that_are_remembered_are_bounded)
{
	struct newest all = { 0 };
	char id[16];

	for (unsigned i = 0; i <= NEWEST_MAX; i++) {
		struct newest more = { 0 };

		snprintf(id, sizeof id, "app-%u", i);
		enum err e = newest_with(&all, id, "1", &more);
		ck_assert_int_eq(e, i < NEWEST_MAX ? OK : ERR_LIMIT);
		if (e)
			break;
		newest_free(&all);
		all = more;
	}
	struct newest more = { 0 };
	ck_assert_ok(newest_with(&all, "app-7", "2", &more));
	ck_assert_str_eq(newest_of(&more, "app-7"), "2");
	ck_assert_str_eq(newest_of(&all, "app-7"), "1");
	newest_free(&all);
	newest_free(&more);
}
END_TEST

START_TEST(every_change_raises_the_epoch)
{
	ck_assert_uint_eq(registry_epoch(&registry), 0);
	ck_assert_ok(put("screen", "1"));
	ck_assert_uint_eq(registry_epoch(&registry), 1);
	ck_assert_ok(put("screen", "1"));
	ck_assert_uint_eq(registry_epoch(&registry), 2);
	ck_assert_ok(registry_remove(&registry, slice_text("screen")));
	ck_assert_uint_eq(registry_epoch(&registry), 3);
	ck_assert_err(registry_remove(&registry, slice_text("screen")), ERR_NOT_FOUND);
	ck_assert_uint_eq(registry_epoch(&registry), 3);
}
END_TEST

START_TEST(same_id_replaces)
{
	char version[33];

	ck_assert_ok(put("screen", "1"));
	ck_assert_ok(put("screen", "2"));
	ck_assert_uint_eq(registry.apps_n, 1);
	ck_assert_ok(get("screen", version));
	ck_assert_str_eq(version, "2");
}
END_TEST

START_TEST(removed_application_is_gone_but_whole_for_its_user)
{
	CLEANUP(app) struct app *app = NULL;

	ck_assert_ok(put("screen", "1"));
	ck_assert_ok(registry_get(&registry, slice_text("screen"), &app, NULL));
	ck_assert_ok(registry_remove(&registry, slice_text("screen")));
	ck_assert_err(get("screen", NULL), ERR_NOT_FOUND);
	ck_assert_str_eq(app->id, "screen");
	restart(1);
	ck_assert_err(get("screen", NULL), ERR_NOT_FOUND);
}
END_TEST

START_TEST(another_generation_starts_empty_with_a_new_epoch)
{
	ck_assert_ok(put("screen", "1"));
	restart(2);
	ck_assert_err(get("screen", NULL), ERR_NOT_FOUND);
	ck_assert_uint_gt(registry_epoch(&registry), 1);
}
END_TEST

static void package_file(char name[65])
{
	CLEANUP(app) struct app *app = NULL;

	ck_assert_ok(registry_get(&registry, slice_text("screen"), &app, NULL));
	hex_put(name, app->package, SHA256_SIZE);
}

START_TEST(package_changed_on_disk_is_refused)
{
	char name[65];

	ck_assert_ok(put("screen", "1"));
	package_file(name);
	statedir_spoil(STATE_PACKAGES, name, 100);
	registry_close(&registry);
	ck_assert_err(registry_open(&registry, state, slice_text(SERIAL), 1), ERR_MISMATCH);
}
END_TEST

START_TEST(package_changed_after_the_start_is_not_unpacked)
{
	CLEANUP(app) struct app *app = NULL;
	struct sandbox_image *image;
	char name[65];

	ck_assert_ok(put("screen", "1"));
	package_file(name);
	statedir_spoil(STATE_PACKAGES, name, 100);
	ck_assert_ok(registry_get(&registry, slice_text("screen"), &app, NULL));
	ck_assert_err(app_unpacked(app, state, NULL, &image), ERR_MISMATCH);
}
END_TEST

START_TEST(forged_index_is_refused)
{
	ck_assert_ok(put("screen", "1"));
	statedir_spoil(STATE_APPLICATIONS, RECORD, 2);
	registry_close(&registry);
	ck_assert_err(registry_open(&registry, state, slice_text(SERIAL), 1), ERR_CRYPTO);
}
END_TEST

START_TEST(index_of_another_partition_is_refused)
{
	char from[256], to[256];

	ck_assert_ok(put("screen", "1"));
	snprintf(from, sizeof from, "%s/%s/%s", statedir, STATE_APPLICATIONS, RECORD);
	snprintf(to, sizeof to, "%s/%s/61", statedir, STATE_APPLICATIONS);
	ck_assert_int_eq(rename(from, to), 0);
	registry_close(&registry);
	ck_assert_err(registry_open(&registry, state, slice_text("a"), 1), ERR_CRYPTO);
}
END_TEST

START_TEST(cut_or_changed_package_is_refused)
{
	CLEANUP(buf) struct buf package = BUF_INIT;
	CLEANUP(app) struct app *app = NULL;

	statedir_package("screen", "1", &package);
	struct slice cut = slice_of(package.data, package.len - 1);
	ck_assert_err(app_examine(cut, NULL, NULL, &app), ERR_FORMAT);
	package.data[package.len - 1] ^= 1;
	ck_assert_err(app_examine(buf_slice(&package), NULL, NULL, &app), ERR_FORMAT);
}
END_TEST

START_TEST(package_that_asks_for_too_much_is_refused)
{
	struct app_ceiling low = { 1, 1 << 30, 1 << 30 };
	CLEANUP(buf) struct buf package = BUF_INIT;
	CLEANUP(app) struct app *app = NULL;

	statedir_package("screen", "1", &package);
	ck_assert_err(app_examine(buf_slice(&package), NULL, &low, &app), ERR_RANGE);
	low.memory_bytes = UINT64_MAX;
	low.output_bytes = UINT64_MAX;
	ck_assert_ok(app_examine(buf_slice(&package), NULL, &low, &app));
}
END_TEST

START_TEST(number_of_applications_is_bounded)
{
	char id[16];

	for (unsigned i = 0; i < REGISTRY_APPS_MAX; i++) {
		snprintf(id, sizeof id, "app%u", i);
		ck_assert_ok(put(id, "1"));
	}
	ck_assert_err(put("onemore", "1"), ERR_LIMIT);
	ck_assert_ok(put("app7", "2"));
}
END_TEST

START_TEST(one_daemon_holds_the_directory)
{
	struct state *second;

	ck_assert_err(state_open(statedir, false, &second), ERR_STATE);
}
END_TEST

START_TEST(directory_that_others_may_write_is_refused)
{
	struct state *second;

	state_close(state);
	state = NULL;
	ck_assert_int_eq(chmod(statedir, 0770), 0);
	ck_assert_err(state_open(statedir, false, &second), ERR_DENIED);
	ck_assert_int_eq(chmod(statedir, 0700), 0);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, packages_are_within_the_quota_of_their_partition);
	tcase_add_test(t, many_large_manifests_are_listed_page_by_page);
	tcase_add_test(t, registry_survives_a_restart);
	tcase_add_test(t, signatures_survive_a_restart_and_are_checked_again);
	tcase_add_test(t, newest_version_is_remembered_over_removals_and_restarts);
	tcase_add_test(t, index_of_before_signatures_is_read);
	tcase_add_test(t, applications_that_are_remembered_are_bounded);
	tcase_add_test(t, every_change_raises_the_epoch);
	tcase_add_test(t, same_id_replaces);
	tcase_add_test(t, removed_application_is_gone_but_whole_for_its_user);
	tcase_add_test(t, another_generation_starts_empty_with_a_new_epoch);
	tcase_add_test(t, package_changed_on_disk_is_refused);
	tcase_add_test(t, package_changed_after_the_start_is_not_unpacked);
	tcase_add_test(t, forged_index_is_refused);
	tcase_add_test(t, index_of_another_partition_is_refused);
	tcase_add_test(t, cut_or_changed_package_is_refused);
	tcase_add_test(t, package_that_asks_for_too_much_is_refused);
	tcase_add_test(t, number_of_applications_is_bounded);
	tcase_add_test(t, one_daemon_holds_the_directory);
	tcase_add_test(t, directory_that_others_may_write_is_refused);
}

int main(void)
{
	return check_run("registry", add);
}
