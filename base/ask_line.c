#include "base/ask_line.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

int
ask_line_send(int fd, const char *line, int flags)
{
	size_t len = strlen(line);
	struct iovec iov[] = { { (void *)(uintptr_t)line, len },
		{ (void *)(uintptr_t) "\n", 1 } };
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };
	ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL | flags);

	if (n < 0)
		return -errno;
	return n == (ssize_t)len + 1 ? 0 : -EPIPE;
}

int
ask_line(int fd, const char *question, char *answer, size_t len)
{
	size_t at = 0;
	ssize_t n = 0;
	int r = ask_line_send(fd, question, 0);

	if (r < 0)
		return r;
	do {
		n = recv(fd, answer + at, len - 1 - at, 0);
		at += n > 0 ? (size_t)n : 0;
	} while (at < len - 1 && memchr(answer, '\n', at) == NULL &&
	    (n > 0 || (n < 0 && errno == EINTR)));
	answer[at] = '\0';
	answer[strcspn(answer, "\n")] = '\0';
	return at > 0 ? 0 : -EPIPE;
}
