/*
 * back_end.h - a vhost-user back end of a test: a thread that notes what it is
 * told and answers as it should, or as the test wants it to misbehave.
 */
#ifndef TESTS_VMM_BACK_END_H
#define TESTS_VMM_BACK_END_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/le.h"

#define BACK_MESSAGES 128
#define BACK_RINGS    2

enum back_fault {
	BACK_RIGHT,
	BACK_HANGS_UP, /* instead of the reply */
	BACK_WRONG_REQUEST,
	BACK_WRONG_SIZE,
	BACK_WRONG_VERSION,
	BACK_NO_REPLY_FLAG,
	BACK_SHORT,      /* half a reply, then hangs up */
	BACK_TWO_PIECES, /* no fault: all of it, but in two writes */
	BACK_REFUSES,    /* acknowledges with an error */
	BACK_OTHER_RING, /* gives another ring back */
};

struct back_end {
	int fd;
	pthread_t thread;
	uint64_t features, protocol, pairs; /* pairs: of rings */
	enum back_fault fault;
	uint32_t fault_at; /* the request that the fault is for */
	/* What it was told. */
	unsigned int n;
	struct {
		uint32_t request, flags, bytes;
		uint8_t payload[128];
		unsigned int nfds;
	} got[BACK_MESSAGES];
	int kick_fd[BACK_RINGS], call_fd[BACK_RINGS], memory_fd;
	int link_fd;       /* to be written to when the link changes; 0: none */
	_Atomic bool down; /* what it says of the link */
	uint16_t base[BACK_RINGS]; /* what it gives back */
};

static inline bool
back_read(int fd, void *to, size_t n)
{
	uint8_t *at = to;

	while (n > 0) {
		ssize_t got = read(fd, at, n);

		if (got <= 0)
			return false;
		at += got;
		n -= (size_t)got;
	}
	return true;
}

static inline void
back_send(struct back_end *b, const uint8_t *bytes, size_t n)
{
	(void)send(b->fd, bytes, n, MSG_NOSIGNAL);
}

/* False: the connection is over. */
static inline bool
back_reply(struct back_end *b, uint32_t request, uint64_t value)
{
	enum back_fault fault = request == b->fault_at ? b->fault : BACK_RIGHT;
	uint8_t m[20];

	if (fault == BACK_HANGS_UP)
		return false;
	put_le32(m, fault == BACK_WRONG_REQUEST ? request + 1 : request);
	put_le32(m + 4,
	    fault == BACK_WRONG_VERSION       ? 0x6
		: fault == BACK_NO_REPLY_FLAG ? 0x1
					      : 0x5);
	put_le32(m + 8, fault == BACK_WRONG_SIZE ? 4096 : 8);
	put_le64(m + 12,
	    fault == BACK_REFUSES          ? 1
		: fault == BACK_OTHER_RING ? value ^ 1
					   : value);
	if (fault == BACK_SHORT) {
		back_send(b, m, 15);
		return false;
	}
	if (fault == BACK_TWO_PIECES) {
		back_send(b, m, 15);
		back_send(b, m + 15, sizeof(m) - 15);
	} else {
		back_send(b, m, sizeof(m));
	}
	return true;
}

static inline void
back_keep_fd(struct back_end *b, uint32_t request, unsigned int ring, int fd)
{
	int *keep = request == 60                ? &b->link_fd
	    : request == 12 && ring < BACK_RINGS ? &b->kick_fd[ring]
	    : request == 13 && ring < BACK_RINGS ? &b->call_fd[ring]
	    : request == 5                       ? &b->memory_fd
						 : NULL;

	if (keep == NULL) {
		close(fd);
		return;
	}
	if (*keep > 0)
		close(*keep);
	*keep = fd;
}

static inline bool
back_answer(struct back_end *b, uint32_t request, const uint8_t *payload,
    bool need_reply)
{
	uint32_t ring = get_le32(payload);

	switch (request) {
	case 1: return back_reply(b, request, b->features);
	case 15: return back_reply(b, request, b->protocol);
	case 17: return back_reply(b, request, b->pairs);
	case 61: return back_reply(b, request, !b->down);
	case 11:
		return back_reply(b, request,
		    ring |
			(ring < BACK_RINGS ? (uint64_t)b->base[ring] << 32
					   : 0));
	default: return !need_reply || back_reply(b, request, 0);
	}
}

/* One message in, and its answer out. */
static inline bool
back_step(struct back_end *b)
{
	uint8_t header[12], payload[128] = { 0 };
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(8 * sizeof(int))];
	} control;
	struct iovec iov = { header, sizeof(header) };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room) };
	unsigned int i = b->n;
	uint32_t bytes;
	struct cmsghdr *c;
	unsigned int nfds = 0;

	if (recvmsg(b->fd, &msg, MSG_WAITALL | MSG_CMSG_CLOEXEC) !=
	    (ssize_t)sizeof(header))
		return false;
	bytes = get_le32(header + 8);
	if (bytes > sizeof(payload) || i == BACK_MESSAGES ||
	    !back_read(b->fd, payload, bytes))
		return false;
	for (c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
		nfds =
		    (unsigned int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (unsigned int k = 0; k < nfds; k++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + k * sizeof(int), sizeof(fd));
			back_keep_fd(b, get_le32(header), payload[0], fd);
		}
	}
	b->got[i].request = get_le32(header);
	b->got[i].flags = get_le32(header + 4);
	b->got[i].bytes = bytes;
	memcpy(b->got[i].payload, payload, sizeof(payload));
	b->got[i].nfds = nfds;
	b->n = i + 1;
	return back_answer(
	    b, get_le32(header), payload, get_le32(header + 4) & 0x8);
}

static inline void *
back_thread(void *arg)
{
	struct back_end *b = arg;

	while (back_step(b))
		;
	shutdown(b->fd, SHUT_RDWR);
	return NULL;
}

/* Serves fd, which it takes.  features are without the protocol's bit. */
static inline void
back_start(struct back_end *b, int fd)
{
	b->fd = fd;
	b->memory_fd = -1;
	for (unsigned int i = 0; i < BACK_RINGS; i++)
		b->kick_fd[i] = b->call_fd[i] = -1;
	pthread_create(&b->thread, NULL, back_thread, b);
}

static inline void
back_stop(struct back_end *b)
{
	shutdown(b->fd, SHUT_RDWR);
	pthread_join(b->thread, NULL);
	close(b->fd);
	if (b->memory_fd >= 0)
		close(b->memory_fd);
	if (b->link_fd > 0)
		close(b->link_fd);
	for (unsigned int i = 0; i < BACK_RINGS; i++) {
		if (b->kick_fd[i] >= 0)
			close(b->kick_fd[i]);
		if (b->call_fd[i] >= 0)
			close(b->call_fd[i]);
	}
}

#endif
