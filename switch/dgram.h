/*
 * dgram.h - frames as datagrams of a socket, a burst in a system call.
 *
 * For all kinds of ports that put one frame into one datagram.
 */
#ifndef SWITCH_DGRAM_H
#define SWITCH_DGRAM_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "switch/backlog.h"
#include "switch/port.h"

#define DGRAM_FRAME_BYTES   9238 /* 9216, and a header with two tags */
#define DGRAM_HEAD_BYTES    16   /* of the port's own, before the frame */
#define DGRAM_PIECES_MAX    8    /* of a frame that is sent without joining */
#define DGRAM_NAME_BYTES    sizeof(struct sockaddr_storage)
#define DGRAM_BACKLOG_BYTES (1024 * 1024)

/* ---- in ---- */

/* What came.  Zeroed it is ready. */
struct dgram_in {
	unsigned int n; /* datagrams that are there */
	struct mmsghdr msg[BURST_MAX];
	struct iovec iov[BURST_MAX];
	struct sockaddr_storage from[BURST_MAX];
	uint8_t pool[BURST_MAX][DGRAM_HEAD_BYTES + DGRAM_FRAME_BYTES];
};

/* Reads what waits at fd, up to a burst.  How many, or -errno. */
int dgram_read(struct dgram_in *in, int fd);

/* What datagram i holds, without head bytes of it.  DROP_NONE, DROP_SHORT or
 * DROP_TOO_LONG; *frame is set in any case. */
enum reason dgram_frame(const struct dgram_in *in, unsigned int i,
    size_t head_bytes, struct frame *frame);

/* Sends all that are there by port, as they are.  Those that are too long are
 * refused. */
void dgram_deliver(struct dgram_in *in, struct port *port);

/* ---- out ---- */

struct dgram_out {
	struct loop *loop;
	int fd; /* the port's, -1: nowhere */
	struct loop_watch
	    *watch;             /* for fd to take more, if that is waited for */
	struct backlog backlog; /* without room: it is not */
	bool refused;           /* the last time, because nobody is there */
	uint64_t lost;          /* that waited for one who went */
	unsigned int n;         /* staged */
	struct mmsghdr msg[BURST_MAX];
	struct iovec iov[BURST_MAX][1 + DGRAM_PIECES_MAX];
	uint8_t head[BURST_MAX][DGRAM_HEAD_BYTES];
	const struct frame *frame[BURST_MAX];
	enum reason *result[BURST_MAX];
	uint8_t joined[DGRAM_FRAME_BYTES];
};

/*
 * waits is for unix sockets: their receiver has place for ten datagrams or so,
 * and what finds none waits here until it has.  0 or -ENOMEM.
 */
int dgram_out_init(struct dgram_out *out, struct loop *loop, bool waits);
/* Sends by fd, which is the caller's, from now on; what waited is dropped.  -1:
 * nowhere, everything is refused as DROP_NOT_READY.  False: no memory, and so
 * it is. */
bool dgram_set_fd(struct dgram_out *out, int fd);
void dgram_out_free(struct dgram_out *out);

/*
 * Stages one datagram: head and frame, to an address, or NULL where fd is
 * connected.  *result is written by dgram_flush() or before, unless it is
 * REASON_DELIVERED already; until then frame and result stay where they are.
 */
void dgram_add(struct dgram_out *out, const struct sockaddr *to, socklen_t len,
    const void *head, size_t head_bytes, const struct frame *frame,
    enum reason *result);
void dgram_flush(struct dgram_out *out);

/* All of these for a burst of frames as they are, and judges them for node. */
void dgram_send(struct dgram_out *out, struct node *node, struct burst *burst);

#endif
