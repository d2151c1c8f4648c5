/* What a dynamic program needs is found by what its files say. */
#include "testbed/unit/check.h"
#include "testbed/unit/place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/base/io.h"
#include "sandbox/libraries.h"

static char work[256];

/* app needs libone.so.1, found by its own path, and that needs libtwo.so.10, found by that one's. */
static const char build[] =
	"cd %s && mkdir -p lib/deep && "
	"cc() { gcc -xc -w -o \"$@\" -; }; "
	"echo 'int two(void) { return 2; }' | "
	"cc lib/deep/libtwo.so.10 -shared -fPIC -Wl,-soname,libtwo.so.10 && "
	"echo 'int two(void); int one(void) { return two() - 1; }' | "
	"gcc -xc -w -o lib/libone.so.1 -shared -fPIC -Wl,-soname,libone.so.1 -Wl,%s "
	"-Wl,-rpath,'$ORIGIN/deep' - -xnone lib/deep/libtwo.so.10 && "
	"echo 'int one(void); int main(void) { return one() - 1; }' | "
	"gcc -xc -w -o app -Wl,%s -Wl,-rpath,'${ORIGIN}/nowhere:$ORIGIN/lib' - -xnone "
	"lib/libone.so.1 "
	"-Wl,-rpath-link,lib/deep && ln -s app link";

static void make(const char *tags)
{
	char command[4096];

	place_make(work, sizeof work, "libraries");
	snprintf(command, sizeof command, build, work, tags, tags);
	ck_assert_int_eq(system(command), 0);
}

static void clean(void)
{
	place_remove(work);
}

static enum err find(const char *name, struct libraries *found)
{
	CLEANUP(buf) struct buf program = BUF_INIT;
	char path[512];

	snprintf(path, sizeof path, "%s/%s", work, name);
	ck_assert_ok(io_read_file(path, PACKAGE_MAX, &program));
	return libraries_find(path, buf_slice(&program), found);
}

static const struct library *library(const struct libraries *found, const char *path)
{
	for (size_t i = 0; i < found->n; i++)
		if (strcmp(found->list[i].path, path) == 0)
			return &found->list[i];
	return NULL;
}

static const char *const tags[] = { "--enable-new-dtags", "--disable-new-dtags" };

START_TEST(libraries_of_libraries_are_found_beside_them)
{
	CLEANUP(libraries) struct libraries found;
	CLEANUP(libraries) struct libraries again;

	make(tags[_i]);
	/* A link to the program is as good: the directory is that of the program. */
	ck_assert_msg(find("link", &found) == OK, "%s", err_reason());
	ck_assert_ptr_nonnull(library(&found, "lib/libone.so.1"));
	ck_assert_ptr_nonnull(library(&found, "lib/libtwo.so.10"));
	ck_assert_ptr_nonnull(library(&found, "lib/libc.so.6"));
	ck_assert_uint_eq(found.n, 4); /* and the loader */
	ck_assert_ok(find("app", &again));
	ck_assert(slice_equal(buf_slice(&found.cache), buf_slice(&again.cache)));
	clean();
}
END_TEST

/* What the machine's own ldconfig reads there; the loader's search wants them in descending order. */
START_TEST(the_image_has_a_list_that_its_loader_reads)
{
	CLEANUP(libraries) struct libraries found;
	char path[512], command[1024], line[256], *at;
	static const char *const order[] = { "libtwo.so.10", "libone.so.1", "libc.so.6" };

	make(tags[0]);
	ck_assert_ok(find("app", &found));
	if (!found.cache.len)
		return; /* this machine has none */
	snprintf(path, sizeof path, "%s/cache", work);
	FILE *f = fopen(path, "we");
	ck_assert_uint_eq(fwrite(found.cache.data, 1, found.cache.len, f), found.cache.len);
	fclose(f);
	snprintf(command, sizeof command, "PATH=$PATH:/sbin:/usr/sbin ldconfig -p -C %s", path);
	f = popen(command, "re");
	ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
	for (size_t i = 0; i < 3; i++) {
		ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
		ck_assert_msg((at = strstr(line, order[i])) && strstr(at, " => /lib/"), "%s", line);
	}
	ck_assert_int_eq(pclose(f), 0);
	clean();
}
END_TEST

static const struct {
	const char *command, *words;
	enum err e;
} lacking[] = {
	{ "rm lib/libone.so.1", "/app: it needs libone.so.1, which is nowhere", ERR_NOT_FOUND },
	{ "rm lib/deep/*", "/app: libone.so.1: it needs libtwo.so.10, which", ERR_NOT_FOUND },
	/* Another processor's, and what is no library, are passed over. */
	{ "printf '\\267' | dd of=lib/libone.so.1 bs=1 seek=18 conv=notrunc status=none",
	  "which is nowhere", ERR_NOT_FOUND },
	{ "head -c 100 lib/libone.so.1 >x && mv x lib/libone.so.1", "which is nowhere",
	  ERR_NOT_FOUND },
	{ "rm lib/libone.so.1 && mkfifo lib/libone.so.1", "which is nowhere", ERR_NOT_FOUND },
	{ "echo hello >app", "not an ELF program", ERR_FORMAT },
};

START_TEST(what_is_not_there_is_named)
{
	CLEANUP(libraries) struct libraries found;
	char command[1024];

	make(tags[0]);
	snprintf(command, sizeof command, "cd %s && %s", work, lacking[_i].command);
	ck_assert_int_eq(system(command), 0);
	ck_assert_int_eq(find("app", &found), lacking[_i].e);
	ck_assert_msg(strstr(err_reason(), lacking[_i].words), "%s", err_reason());
	clean();
}
END_TEST

/* Every byte of the headers and of the strings may lie; no answer reads beyond the file. */
START_TEST(a_hostile_program_is_read_within_its_bounds)
{
	CLEANUP(buf) struct buf program = BUF_INIT;
	char path[512];
	uint32_t random = 1;

	make(tags[0]);
	snprintf(path, sizeof path, "%s/app", work);
	ck_assert_ok(io_read_file(path, PACKAGE_MAX, &program));
	for (int i = 0; i < 2000; i++) {
		CLEANUP(libraries) struct libraries found;
		/* Of exactly its size, so that a sanitizer sees what lies beyond. */
		uint8_t *copy = malloc(program.len);

		memcpy(copy, program.data, program.len);
		for (int changes = 0; changes < 4; changes++) {
			random = random * 1664525 + 1013904223;
			copy[(random >> 8) % (i % 2 ? 1024 : program.len)] = (uint8_t)random;
		}
		size_t cut = i % 7 ? program.len : (random >> 4) % program.len;
		enum err e = libraries_find(path, slice_of(copy, cut), &found);
		ck_assert(e == OK || *err_reason());
		free(copy);
	}
	clean();
}
END_TEST

static void add(TCase *t)
{
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, libraries_of_libraries_are_found_beside_them, 0, 2);
	tcase_add_test(t, the_image_has_a_list_that_its_loader_reads);
	tcase_add_table(t, what_is_not_there_is_named, lacking);
	tcase_add_test(t, a_hostile_program_is_read_within_its_bounds);
}

int main(void)
{
	return check_run("libraries", add);
}
