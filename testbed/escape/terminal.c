/* Family: terminals, and descriptors that should not be there. */
#include <sys/ioctl.h>
#include <termios.h>

#include "family.h"

/* A terminal of one's own, where there is one; else what stdin is. */
static int terminal(void)
{
	int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY);

	return fd < 0 ? 0 : fd;
}

static int push(void)
{
	return TRY(ioctl(terminal(), TIOCSTI, "x"));
}

/* The kernel looks at the lower half alone: a filter that compares the whole number is passed by. */
static int push_high(void)
{
	return TRY(syscall(SYS_ioctl, terminal(), 0x100000000ul | TIOCSTI, "x"));
}

static int push_higher(void)
{
	return TRY(syscall(SYS_ioctl, terminal(), 0xffffffff00000000ul | TIOCSTI, "x"));
}

static int paste(void)
{
	char what = 3; /* paste selection */

	return TRY(ioctl(terminal(), TIOCLINUX, &what));
}

static int size(void)
{
	struct winsize w;

	return TRY(ioctl(terminal(), TIOCGWINSZ, &w));
}

static int modes(void)
{
	struct termios t;

	return TRY(ioctl(terminal(), TCGETS, &t));
}

static int set_modes(void)
{
	struct termios t;

	memset(&t, 0, sizeof t);
	return TRY(ioctl(terminal(), TCSETS, &t));
}

static int controlling(void)
{
	return TRY(open("/dev/tty", O_RDWR)) == ENOENT ? ENOENT : 0;
}

static int async(void)
{
	int on = 1;

	return TRY(ioctl(0, FIOASYNC, &on));
}

static int hang_up(void)
{
	return TRY(syscall(SYS_vhangup));
}

/* Outside, the test leaves one open. */
static int scan(void)
{
	for (int fd = 3; fd < 4096; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			return 0;
	return EBADF;
}

static int duplicate(void)
{
	for (int fd = 3; fd < 4096; fd++)
		if (dup(fd) >= 0)
			return 0;
	return EBADF;
}

static int directory_of_descriptors(void)
{
	return TRY(open("/proc/self/fd", O_RDONLY)) && TRY(open("/dev/fd", O_RDONLY)) ? ENOENT : 0;
}

/* Each standard descriptor is one end only. */
static int other_end(void)
{
	char byte = 0;

	return write(0, &byte, 1) < 0 && read(1, &byte, 1) < 0 && read(2, &byte, 1) < 0 ? EBADF : 0;
}

static const struct attempt attempts[] = {
	{ "TIOCSTI", push, EPERM, REFUSED, IF_THERE },
	{ "TIOCSTI and 2^32", push_high, EPERM, REFUSED, IF_THERE },
	{ "TIOCSTI and all higher bits", push_higher, EPERM, REFUSED, IF_THERE },
	{ "TIOCLINUX", paste, EPERM, REFUSED, REFUSED }, /* on a console alone */
	{ "TIOCGWINSZ", size, EPERM, REFUSED, PASSES },
	{ "TCGETS", modes, REFUSED, REFUSED, PASSES },
	{ "TCSETS", set_modes, EPERM, REFUSED, PASSES },
	{ "/dev/tty", controlling, ENOENT, ENOENT, PASSES },
	{ "FIOASYNC", async, EPERM, PASSES, NOT_TRIED },
	{ "vhangup", hang_up, EPERM, EPERM, PASSES },
	{ "a descriptor", scan, EBADF, EBADF, PASSES },
	{ "a descriptor to copy", duplicate, EBADF, EBADF, PASSES },
	{ "a directory of descriptors", directory_of_descriptors, ENOENT, ENOENT, PASSES },
	{ "the other end of a pipe", other_end, EBADF, EBADF, NOT_TRIED },
};
FAMILY(attempts)
