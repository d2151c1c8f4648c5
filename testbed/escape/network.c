/* Family: sockets of every family. Without seccomp a cell has an empty network of its own. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "family.h"

#define FAMILIES 46
#define TYPES 7

/* The most that any family and type of socket comes to. */
static int all_families(void)
{
	int through = 0;

	for (int family = 1; family < FAMILIES; family++)
		for (int type = 1; type < TYPES; type++) {
			int fd = socket(family, type, 0);

			through += fd >= 0;
			if (fd < 0 && errno == EPERM)
				continue;
			close(fd);
		}
	return through ? 0 : EPERM;
}

static int denied_families(void)
{
	for (int family = 0; family < FAMILIES; family++)
		for (int type = 0; type < TYPES; type++)
			if (socket(family, type, 0) >= 0 || errno != EPERM)
				return 0;
	return EPERM;
}

static int pair(void)
{
	int ends[2];

	return TRY(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
}

static int reach(uint32_t address)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(9),
				 .sin_addr = { htonl(address) } };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	int error = fd < 0 ? errno : TRY(connect(fd, (struct sockaddr *)&a, sizeof a));

	return error == ECONNREFUSED || error == EINPROGRESS ? 0 : error; /* somebody answered */
}

static int loopback(void)
{
	return reach(INADDR_LOOPBACK);
}

static int elsewhere(void)
{
	return reach(0xc0000201); /* 192.0.2.1 */
}

static int datagram(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_port = htons(9),
				 .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	return fd < 0 ? errno : TRY(sendto(fd, "x", 1, 0, (struct sockaddr *)&a, sizeof a));
}

static int listener(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) ? errno : TRY(listen(fd, 1));
}

static int raw(void)
{
	return TRY(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}

static int packets(void)
{
	return TRY(socket(AF_PACKET, SOCK_RAW, htons(3)));
}

static int netlink(void)
{
	return TRY(socket(AF_NETLINK, SOCK_RAW, 0));
}

static int virtual_machine(void)
{
	return TRY(socket(40 /* AF_VSOCK */, SOCK_STREAM, 0));
}

static int ciphers(void)
{
	return TRY(socket(38 /* AF_ALG */, SOCK_SEQPACKET, 0));
}

/* A name in the file system would take a place to write. */
static int named(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "/escape" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a))
		return errno;
	return unlink("/escape") ? errno : 0;
}

/* A socket that some process of the host listens at. */
static int abstract(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "\0assay-escape" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	return fd < 0 ? errno
		      : TRY(connect(fd, (struct sockaddr *)&a,
				    (socklen_t)(sizeof(sa_family_t) + 13)));
}

/* Init's control socket has such a number in init's table. */
static int control(void)
{
	char byte;

	for (int fd = 600; fd < 606; fd++) {
		struct iovec part = { &byte, 1 };
		struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

		if (recvmsg(fd, &message, MSG_DONTWAIT) >= 0 || errno != EBADF)
			return 0;
	}
	return EBADF;
}

static const struct attempt attempts[] = {
	{ "some socket", all_families, EPERM, PASSES, PASSES },
	{ "a socket that is not denied", denied_families, EPERM, PASSES, PASSES },
	{ "socketpair", pair, EPERM, PASSES, PASSES },
	{ "connect to the loopback", loopback, EPERM, OR(EACCES, ENETUNREACH), PASSES },
	{ "connect elsewhere", elsewhere, EPERM, OR(EACCES, ENETUNREACH), NOT_TRIED },
	{ "send a datagram", datagram, EPERM, OR(ENETUNREACH, EACCES), PASSES },
	{ "listen", listener, EPERM, EACCES | MAY_PASS /* on an empty network */, PASSES },
	{ "raw packets", raw, EPERM, EPERM, PASSES },
	{ "link packets", packets, EPERM, EPERM, IF_THERE },
	{ "netlink", netlink, EPERM, PASSES, PASSES },
	{ "AF_VSOCK", virtual_machine, EPERM, REFUSED | MAY_PASS, IF_THERE },
	{ "AF_ALG", ciphers, EPERM, REFUSED | MAY_PASS, IF_THERE },
	{ "a socket with a name", named, EPERM, OR(EACCES, EROFS), PASSES },
	{ "an abstract socket of the host", abstract, EPERM, OR(ECONNREFUSED, EPERM), PASSES },
	{ "init's control socket", control, EBADF, EBADF, NOT_TRIED },
};
FAMILY(attempts)
