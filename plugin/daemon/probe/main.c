/* assay-probe - what the daemon wants to know of a partition's token, read without a login.
 *
 *   assay-probe MODULE SERIAL certificate HEXID    prints CKA_VALUE of the one certificate with this
 *                                                  CKA_ID, if it is CKA_TRUSTED
 *   assay-probe MODULE SERIAL role-key HEXID HEXPOINT   prints the point, if a public key has both:
 *                                                  others with that CKA_ID anyone can make
 *
 * A process of its own, because an HSM's module belongs to one environment per process, and because
 * the daemon need not have it in its address space. Prints hexadecimal and a line end. Exit status:
 * 0, or one of below.
 */
#include <stdio.h>
#include <string.h>

#include "pkcs11/token.h"

enum { FAILED = 1, USAGE = 2, NOT_FOUND = 3, NOT_TRUSTED = 4, OTHERS = 5 };

#define ID_MAX 64
#define POINT 65
#define VALUE_MAX 4096

static int say(enum err e)
{
	fprintf(stderr, "assay-probe: %s\n", err_reason());
	return e == ERR_NOT_FOUND                     ? NOT_FOUND
	       : e == ERR_EXISTS || e == ERR_MISMATCH ? OTHERS
						      : FAILED;
}

static int print(struct slice value)
{
	CLEANUP(buf) struct buf line = BUF_INIT;

	buf_put_hex(&line, value);
	const char *text = buf_text(&line);
	return text && puts(text) >= 0 && fflush(stdout) == 0 ? 0 : FAILED;
}

static int certificate(struct token *token, struct slice id, const uint8_t *point)
{
	CLEANUP(buf) struct buf trusted = BUF_INIT, value = BUF_INIT;
	CK_OBJECT_HANDLE object;
	enum err e;
	(void)point;

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

static int role_key(struct token *token, struct slice id, const uint8_t *point)
{
	enum err e = token_has_point(token, id, point);

	return e ? say(e) : print(slice_of(point, POINT));
}

static const struct question {
	const char *word;
	int arguments;
	int (*act)(struct token *token, struct slice id, const uint8_t *point);
} questions[] = { { "certificate", 5, certificate }, { "role-key", 6, role_key } };

static int ask(char **argv, const struct question *question)
{
	CLEANUP(token) struct token *token = NULL;
	uint8_t id[ID_MAX], point[POINT];
	size_t n = strlen(argv[4]) / 2;

	if (n == 0 || n > ID_MAX || strlen(argv[4]) % 2 || hex_take(argv[4], id, n)) {
		fprintf(stderr, "assay-probe: the id is not 1 to %d bytes of hexadecimal\n",
			ID_MAX);
		return USAGE;
	}
	if (question->arguments > 5 &&
	    (strlen(argv[5]) != 2 * POINT || hex_take(argv[5], point, POINT))) {
		fprintf(stderr, "assay-probe: the point is not %d bytes of hexadecimal\n", POINT);
		return USAGE;
	}
	enum err e = token_open(argv[1], NULL, argv[2], &token);
	/* A token or module that is not there is another matter than an object that is not. */
	if (e) {
		fprintf(stderr, "assay-probe: %s\n", err_reason());
		return FAILED;
	}
	return question->act(token, slice_of(id, n), point);
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 4 && i < sizeof questions / sizeof *questions; i++)
		if (strcmp(argv[3], questions[i].word) == 0 && argc == questions[i].arguments)
			return ask(argv, &questions[i]);
	fprintf(stderr, "usage: assay-probe MODULE SERIAL certificate HEXID\n"
			"       assay-probe MODULE SERIAL role-key HEXID HEXPOINT\n");
	return USAGE;
}
