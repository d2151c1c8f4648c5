#include "plugin/daemon/probing.h"

#include <limits.h>
#include <string.h>
#include <sys/wait.h>

#include "plugin/daemon/helper.h"
#include "plugin/role.h"

#define ANSWER_MAX 8192
#define ID_MAX 64

/* The exit status of the probe (probe/main.c). */
static const struct {
	int status;
	enum err e;
	const char *words;
} ends[] = {
	{ 0, OK, "" },
	{ 3, ERR_NOT_FOUND, "the object is not on the token" },
	{ 4, ERR_DENIED, "the certificate object is not CKA_TRUSTED" },
	{ 5, ERR_MISMATCH, "other objects have this CKA_ID" },
};

static enum err meaning(int status)
{
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
		if (WIFEXITED(status) && WEXITSTATUS(status) == ends[i].status)
			return ends[i].e ? failed(ends[i].e, "%s", ends[i].words) : OK;
	return failed(ERR_GONE, "the token can't be read (probe's status %#x)", (unsigned)status);
}

/* Asks the probe one question, with @more or NULL; @value is what it printed, decoded. */
static enum err probe(const struct config *config, const char *self, const char *serial,
		      const char *question, struct slice id, const char *more, uint8_t *value,
		      size_t value_n)
{
	CLEANUP(buf) struct buf answer = BUF_INIT;
	char program[PATH_MAX], hex[2 * ID_MAX + 1];
	char *environment[CONFIG_LIST_MAX + 1] = { NULL };
	int status = 0;
	enum err e;

	if (id.left == 0 || id.left > ID_MAX)
		return failed(ERR_FORMAT, "a CKA_ID of %zu bytes", id.left);
	if ((e = config_program(config, self, "assay-probe", program, sizeof program)))
		return e;
	hex_put(hex, id.p, id.left);
	memcpy(environment, config->hsm_environment.items,
	       config->hsm_environment.n * sizeof *environment);
	char *const argv[] = {
		program, config->hsm_module, (char *)serial, (char *)question, hex, (char *)more,
		NULL
	};
	const struct helper helper = { .argv = argv,
				       .environment = environment,
				       .answer_max = ANSWER_MAX,
				       .within_ms = PROBING_MS,
				       .name = "the token's probe" };
	if ((e = helper_run(&helper, &answer, &status)) || (e = meaning(status)))
		return e;
	if (answer.len != 2 * value_n + 1 || answer.data[answer.len - 1] != '\n')
		return failed(ERR_MISMATCH, "the object on the token has another form");
	answer.data[answer.len - 1] = 0;
	return hex_take((const char *)answer.data, value, value_n);
}

enum err probing_trusted(const struct config *config, const char *self, const char *serial,
			 struct slice id, const uint8_t digest[32])
{
	uint8_t expected[ROLE_CERTIFICATE_SIZE], found[ROLE_CERTIFICATE_SIZE];
	enum err e = probe(config, self, serial, "certificate", id, NULL, found, sizeof found);

	if (e)
		return e;
	role_certificate(digest, expected);
	return memcmp(found, expected, sizeof found)
		       ? failed(ERR_MISMATCH, "the certificate object holds another challenge")
		       : OK;
}

enum err probing_role_key(const struct config *config, const char *self, const char *serial,
			  struct slice id, const uint8_t point[65])
{
	char hex[2 * 65 + 1];
	uint8_t found[65];

	hex_put(hex, point, 65);
	enum err e = probe(config, self, serial, "role-key", id, hex, found, sizeof found);
	if (e)
		return e;
	return memcmp(found, point, sizeof found)
		       ? failed(ERR_MISMATCH, "the role key on the token is another one")
		       : OK;
}
