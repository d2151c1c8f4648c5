/* assay-probe - what the daemon wants to know of a partition's token, read without a login.
 *
 *   assay-probe MODULE SERIAL certificate HEXID    prints CKA_VALUE of the one certificate with this
 *                                                  CKA_ID, if it is CKA_TRUSTED
 *   assay-probe MODULE SERIAL role-key HEXID       prints the point of the one public key
 *
 * A process of its own, because an HSM's module belongs to one environment per process, and because
 * the daemon need not have it in its address space. Prints hexadecimal and a line end. Exit status:
 * 0, or one of below.
 */
#include <stdio.h>
#include <string.h>

#include "pkcs11/token.h"

enum { FAILED = 1, USAGE = 2, NOT_FOUND = 3, NOT_TRUSTED = 4, MORE_THAN_ONE = 5 };

#define ID_MAX 64
#define VALUE_MAX 4096

static int say(enum err e)
{
	fprintf(stderr, "assay-probe: %s\n", err_reason());
	return e == ERR_NOT_FOUND ? NOT_FOUND : e == ERR_EXISTS ? MORE_THAN_ONE : FAILED;
}

static int print(struct slice value)
{
	CLEANUP(buf) struct buf line = BUF_INIT;

	buf_put_hex(&line, value);
	const char *text = buf_text(&line);
	return text && puts(text) >= 0 && fflush(stdout) == 0 ? 0 : FAILED;
}

static int certificate(struct token *token, struct slice id)
{
	CLEANUP(buf) struct buf trusted = BUF_INIT, value = BUF_INIT;
	CK_OBJECT_HANDLE object;
	enum err e;

	if ((e = token_find(token, CKO_CERTIFICATE, id, &object)))
		return say(e);
	if (token_get_value(token, object, CKA_TRUSTED, sizeof(CK_BBOOL), &trusted) ||
	    trusted.len != sizeof(CK_BBOOL) || trusted.data[0] != CK_TRUE) {
		fprintf(stderr, "assay-probe: the certificate is not CKA_TRUSTED\n");
		return NOT_TRUSTED;
	}
	if ((e = token_get_value(token, object, CKA_VALUE, VALUE_MAX, &value)))
		return say(e);
	return print(buf_slice(&value));
}

static int role_key(struct token *token, struct slice id)
{
	CK_OBJECT_HANDLE object;
	uint8_t point[65];
	enum err e;

	if ((e = token_find(token, CKO_PUBLIC_KEY, id, &object)) ||
	    (e = token_ec_point(token, object, point)))
		return say(e);
	return print(SLICE(point));
}

static const struct {
	const char *word;
	int (*act)(struct token *token, struct slice id);
} questions[] = { { "certificate", certificate }, { "role-key", role_key } };

static int ask(char **argv, int (*act)(struct token *token, struct slice id))
{
	CLEANUP(token) struct token *token = NULL;
	uint8_t id[ID_MAX];
	size_t n = strlen(argv[4]) / 2;

	if (n == 0 || n > ID_MAX || strlen(argv[4]) % 2 || hex_take(argv[4], id, n)) {
		fprintf(stderr, "assay-probe: the id is not 1 to %d bytes of hexadecimal\n",
			ID_MAX);
		return USAGE;
	}
	enum err e = token_open(argv[1], NULL, argv[2], &token);
	/* A token or module that is not there is another matter than an object that is not. */
	if (e) {
		fprintf(stderr, "assay-probe: %s\n", err_reason());
		return FAILED;
	}
	return act(token, slice_of(id, n));
}

int main(int argc, char **argv)
{
	if (argc == 5)
		for (size_t i = 0; i < sizeof questions / sizeof *questions; i++)
			if (strcmp(argv[3], questions[i].word) == 0)
				return ask(argv, questions[i].act);
	fprintf(stderr, "usage: assay-probe MODULE SERIAL certificate|role-key HEXID\n");
	return USAGE;
}
