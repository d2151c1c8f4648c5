/* contact_test.c - how the module looks for its daemon, and starts one in development mode. */
#include "testbed/mock/world.h"
#include "testbed/unit/place.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"

static char dir[64], file[5][96];
enum { STATE, INITIALISED, CONFIG, LAUNCHER, STARTED };

static void write_file(const char *path, mode_t mode, const char *text)
{
	FILE *f = fopen(path, "we");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	ck_assert_int_eq(chmod(path, mode), 0);
}

/* A launcher that counts how often it was started, and ends at once. */
static void write_programs(void)
{
	static const char *const names[] = { "state", "state/initialised", "assay.yaml",
					     "assay-launcher", "started" };
	char text[400];

	place_make(dir, sizeof dir, "mock");
	for (size_t i = 0; i < 5; i++)
		snprintf(file[i], sizeof file[i], "%s/%s", dir, names[i]);
	ck_assert_int_eq(mkdir(file[STATE], 0700), 0);
	write_file(file[INITIALISED], 0600, "");
	snprintf(text, sizeof text,
		 "mode: development\nstate: %s/state\nsocket: %s/socket\nprograms: %s\n", dir, dir,
		 dir);
	write_file(file[CONFIG], 0644, text);
	snprintf(text, sizeof text, "#!/bin/sh\necho x >>%s\nexit 1\n", file[STARTED]);
	write_file(file[LAUNCHER], 0755, text);
	setenv(CONFIG_PATH_VARIABLE, file[CONFIG], 1);
}

static void remove_programs(void)
{
	char log[112];

	snprintf(log, sizeof log, "%s/assayd.log", file[STATE]);
	unlink(log);
	for (int i = STARTED; i > STATE; i--)
		unlink(file[i]);
	rmdir(file[STATE]);
	rmdir(dir);
}

static unsigned starts(void)
{
	FILE *f = fopen(file[STARTED], "re");
	unsigned n = 0;

	for (int c; f && (c = getc(f)) != EOF;)
		n += c == '\n';
	if (f)
		fclose(f);
	return n;
}

START_TEST(a_daemon_that_does_not_start_is_not_started_at_every_look)
{
	CK_ULONG n;

	write_programs();
	world_load();
	ck_assert_rv(w.f->C_Initialize(NULL), CKR_OK);
	for (int look = 0; look < 4; look++) {
		ck_assert_rv(w.f->C_GetMechanismList(MOCK_SLOT, NULL, &n), CKR_OK);
		usleep(1100 * 1000); /* longer than what was learnt is taken for fresh */
	}
	ck_assert_rv(w.f->C_Finalize(NULL), CKR_OK);
	ck_assert_uint_eq(starts(), 1);
	remove_programs();
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, a_daemon_that_does_not_start_is_not_started_at_every_look);
}

int main(void)
{
	return check_run("contact", add);
}
