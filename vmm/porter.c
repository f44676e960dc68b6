/*
 * A request is one byte, the number of a path; the answer an errno, with the
 * descriptor if that is 0.  Packets, so that neither can be half.
 *
 * The process is a fork of one that may have threads, so it only makes system
 * calls; guest memory is not mapped in it (MADV_DONTFORK).  What it removes are
 * the sockets that were there when it began, by their inodes: whoever has taken
 * a path meanwhile keeps it.
 */
#include "vmm/porter.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/vhost_front.h"

struct porter {
	int fd;
	pid_t pid;
	struct porter_errands errands;
};

union control {
	struct cmsghdr align;
	char room[CMSG_SPACE(sizeof(int))];
};

/* ---- the process ---- */

static void
answer(int fd, int result)
{
	union control control = { .room = { 0 } };
	int error = result < 0 ? -result : 0;
	struct iovec iov = { &error, sizeof(error) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (result >= 0) {
		msg.msg_control = control.room;
		msg.msg_controllen = sizeof(control.room);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &result, sizeof(int));
	}
	if (sendmsg(fd, &msg, MSG_NOSIGNAL) < 0)
		return; /* the VM has gone: the next read says so */
	if (result >= 0)
		close(result);
}

static void
look_at(const struct porter_errands *errands, struct stat was[PORTER_PATHS])
{
	for (unsigned int i = 0; i < errands->nremove; i++)
		if (lstat(errands->remove[i], &was[i]) < 0)
			was[i] = (struct stat){ .st_ino = 0 };
}

static void
remove_all(
    const struct porter_errands *errands, const struct stat was[PORTER_PATHS])
{
	struct stat now;

	for (unsigned int i = 0; i < errands->nremove; i++)
		if (S_ISSOCK(was[i].st_mode) &&
		    lstat(errands->remove[i], &now) == 0 &&
		    now.st_dev == was[i].st_dev && now.st_ino == was[i].st_ino)
			(void)!unlink(errands->remove[i]);
}

/* Signals of a terminal are for the VM, whose end is ours. */
static void
ignore_signals(void)
{
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
}

_Noreturn static void
serve(
    int fd, const struct porter_errands *errands, const struct sandbox *sandbox)
{
	struct stat was[PORTER_PATHS];
	uint8_t number;
	ssize_t n;

	ignore_signals();
	look_at(errands, was);
	dup2(fd, STDIN_FILENO);
	close_range(STDOUT_FILENO + 2, ~0u, 0);
	close(STDOUT_FILENO);
	sandbox_enter(sandbox, SANDBOX_PORTER, NULL, 0);
	for (;;) {
		n = read(STDIN_FILENO, &number, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		answer(STDIN_FILENO,
		    number < errands->nconnect
			? vhost_front_connect(errands->connect[number])
			: -EINVAL);
	}
	remove_all(errands, was);
	_exit(EXIT_SUCCESS);
}

/* ---- the VM ---- */

struct porter *
porter_new(const struct porter_errands *errands, const struct sandbox *sandbox,
    struct err *err)
{
	struct porter *porter = calloc(1, sizeof(*porter));
	int pair[2];

	if (porter == NULL ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		err_sys(err, porter == NULL ? -ENOMEM : -errno, NULL,
		    "sandbox: its porter");
		free(porter);
		return NULL;
	}
	*porter = (struct porter){ .fd = pair[0], .errands = *errands };
	porter->pid = fork();
	if (porter->pid == 0)
		serve(pair[1], errands, sandbox);
	close(pair[1]);
	if (porter->pid > 0)
		return porter;
	err_sys(err, -errno, NULL, "sandbox: its porter");
	close(porter->fd);
	free(porter);
	return NULL;
}

void
porter_free(struct porter *porter)
{
	char none;

	if (porter == NULL)
		return;
	/* The sandbox lets nobody wait for a process; its end closes this. */
	shutdown(porter->fd, SHUT_WR);
	while (read(porter->fd, &none, 1) < 0 && errno == EINTR)
		continue;
	close(porter->fd);
	free(porter);
}

static int
receive(int fd)
{
	union control control;
	int error = EPIPE, got = -1;
	struct iovec iov = { &error, sizeof(error) };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	struct cmsghdr *c;
	ssize_t n;

	do
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(error))
		return -EPIPE;
	c = CMSG_FIRSTHDR(&msg);
	if (c != NULL && c->cmsg_level == SOL_SOCKET &&
	    c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&got, CMSG_DATA(c), sizeof(int));
	if (error != 0)
		return -error;
	return got >= 0 ? got : -EPIPE;
}

int
porter_connect(struct porter *porter, const char *path)
{
	const struct porter_errands *e = &porter->errands;
	uint8_t number = 0;

	while (number < e->nconnect && strcmp(e->connect[number], path) != 0)
		number++;
	if (number == e->nconnect)
		return -EINVAL;
	if (send(porter->fd, &number, 1, MSG_NOSIGNAL) != 1)
		return -EPIPE;
	return receive(porter->fd);
}
