#include "plugin/daemon/quoting.h"

#include <limits.h>
#include <string.h>

#include "plugin/daemon/helper.h"

#define ANSWER_MAX (2 * LEAF_TPM_MAX + QUOTE_REGISTERS * 65 + 1)

/* Takes a line of hexadecimal from the text, which is ended by 0. */
static enum err take_line(char **text, char **line)
{
	char *end = strchr(*text, '\n');

	if (!end)
		return failed(ERR_FORMAT, "the TPM's program said less than expected");
	*end = 0;
	*line = *text;
	*text = end + 1;
	return OK;
}

static enum err take_quote(char **text, struct buf *quote)
{
	char *line;
	enum err e = take_line(text, &line);
	size_t n = e ? 0 : strlen(line) / 2;

	if (e)
		return e;
	if (n == 0 || n > LEAF_TPM_MAX || strlen(line) % 2)
		return failed(ERR_FORMAT, "a TPM's quote of %zu bytes", n);
	uint8_t *to = buf_add(quote, n);
	return to ? hex_take(line, to, n) : buf_check(quote);
}

static enum err take_answer(struct buf *answer, struct buf *quote,
			    uint8_t registers[QUOTE_REGISTERS][SHA256_SIZE])
{
	char *line, *text = buf_text(answer) ? (char *)answer->data : NULL;
	enum err e = text ? take_quote(&text, quote) : failed(ERR_MEMORY, "a TPM's answer");

	for (size_t i = 0; !e && i < QUOTE_REGISTERS; i++) {
		if ((e = take_line(&text, &line)))
			return e;
		e = strlen(line) == 2 * SHA256_SIZE
			    ? hex_take(line, registers[i], SHA256_SIZE)
			    : failed(ERR_FORMAT, "a register of the TPM has another form");
	}
	return e;
}

enum err quoting_ask(const struct config *config, const char *self,
		     const uint8_t challenge[SHA256_SIZE], struct buf *quote,
		     uint8_t registers[QUOTE_REGISTERS][SHA256_SIZE])
{
	CLEANUP(buf) struct buf answer = BUF_INIT;
	char program[PATH_MAX], hex[2 * SHA256_SIZE + 1];
	char *environment[] = { (char *)"TSS2_LOG=all+none", NULL };
	int status = 0;
	enum err e = config_program(config, self, "assay-tpm", program, sizeof program);

	if (e)
		return e;
	hex_put(hex, challenge, SHA256_SIZE);
	char *const argv[] = { program, config->tpm_tcti, hex, NULL };
	const struct helper helper = { .argv = argv,
				       .environment = environment,
				       .answer_max = ANSWER_MAX,
				       .within_ms = QUOTING_MS,
				       .name = "the TPM's program" };
	if ((e = helper_run(&helper, &answer, &status)))
		return e;
	if (status)
		return failed(ERR_GONE, "the TPM gave no quote (status %#x)", (unsigned)status);
	return take_answer(&answer, quote, registers);
}
