#include "plugin/cli/pin.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <termios.h>
#include <unistd.h>

#include "config/base/harden.h"
#include "config/base/io.h"

#define PIN_MAX 255

/* To the end of the line or of the input. One byte at a time: what follows is not ours. */
static enum err read_line(int fd, const char *what, struct secret *pin)
{
	enum err e = secret_new(pin, PIN_MAX);

	if (e)
		return e;
	for (pin->len = 0; pin->len < PIN_MAX; pin->len++) {
		ssize_t n = read(fd, pin->p + pin->len, 1);

		if (n < 0 && errno == EINTR) {
			pin->len--;
			continue;
		}
		if (n < 0)
			return failed(ERR_IO, "%s: %m", what);
		if (n == 0 || pin->p[pin->len] == '\n')
			return pin->len ? OK : failed(ERR_USAGE, "%s: nothing was given", what);
	}
	return failed(ERR_RANGE, "%s: over %d bytes", what, PIN_MAX);
}

static enum err prompt(const char *what, struct secret *pin)
{
	CLEANUP(fd) int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios before, silent;

	if (tty < 0 || tcgetattr(tty, &before))
		return failed(ERR_USAGE, "%s: name a file or a descriptor, or use a terminal",
			      what);
	silent = before;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	/* Silent before it asks: what is typed to the question is neither shown nor thrown away. */
	if (tcsetattr(tty, TCSAFLUSH, &silent))
		return failed(ERR_IO, "terminal: %m");
	enum err e = dprintf(tty, "%s: ", what) < 0 ? failed(ERR_IO, "terminal: %m")
						    : read_line(tty, what, pin);
	(void)tcsetattr(tty, TCSAFLUSH, &before);
	(void)dprintf(tty, "\n");
	return e;
}

enum err pin_read(const struct pin_source *source, struct secret *pin)
{
	enum err e = harden_process();

	if (e)
		return e;
	if (source->file && source->fd.given)
		return failed(ERR_USAGE, "%s: a file or a descriptor expected, not both",
			      source->what);
	if (source->file)
		return secret_from_file(pin, source->file);
	if (!source->fd.given)
		return prompt(source->what, pin);
	if (source->fd.value > INT_MAX)
		return failed(ERR_USAGE, "%s: a descriptor's number expected", source->what);
	return read_line((int)source->fd.value, source->what, pin);
}
