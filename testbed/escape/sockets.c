/* No way to talk to anyone. */
#include <linux/aio_abi.h>
#include <mqueue.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "attempt.h"

int main(void)
{
	static const int families[] = { AF_UNIX,   AF_INET, AF_INET6, AF_NETLINK,
					AF_PACKET, AF_ALG,  AF_VSOCK };
	int pair[2];
	const struct sockaddr address = { .sa_family = AF_UNIX };
	char byte = 0;
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	for (size_t i = 0; i < sizeof families / sizeof *families; i++)
		for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type++)
			DENIED(socket(families[i], type, 0));
	DENIED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	for (int fd = 0; fd < 600; fd++) {
		DENIED(recvmsg(fd, &message, MSG_DONTWAIT));
		DENIED(sendmsg(fd, &message, MSG_DONTWAIT));
	}
	/* Init's control socket has such a number, in init's table and not in this one. */
	for (int fd = 600; fd < 1100; fd++) {
		FAILS(recvmsg(fd, &message, MSG_DONTWAIT), EBADF, EBADF);
		FAILS(sendmsg(fd, &message, MSG_DONTWAIT), EBADF, EBADF);
	}
	DENIED(connect(0, &address, sizeof address));
	DENIED(bind(0, &address, sizeof address));
	DENIED(listen(0, 1));
	DENIED(accept(0, NULL, NULL));
	DENIED(send(1, &byte, 1, 0));
	DENIED(recv(0, &byte, 1, 0));
	DENIED(shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600));
	DENIED(syscall(SYS_shmat, 0, NULL, 0));
	DENIED(semget(IPC_PRIVATE, 1, IPC_CREAT | 0600));
	DENIED(msgget(IPC_PRIVATE, IPC_CREAT | 0600));
	DENIED(mq_open("/queue", O_RDWR | O_CREAT, 0600, NULL));
	DENIED(inotify_init1(0));
	DENIED(syscall(SYS_fanotify_init, 0, 0));
	return attempts_through;
}
