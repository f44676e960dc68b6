/*
 * The vhost-user front end.
 *
 * A message is a header of three words (request, flags, size) and a payload,
 * both in the machine's byte order; descriptors travel beside it.  Most have
 * no reply.  With the reply-ack feature we ask for one where a failure would
 * otherwise show as silence: the memory table, and the last message of a
 * start, behind which all others have been handled.
 *
 * The whole machine waits for us here, at the start and the end of a driver.
 * So replies are few, and waits have an end.
 */
#include "vmm/vhost_front.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm/le.h"

enum {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	GET_QUEUE_NUM = 17,
	SET_VRING_ENABLE = 18,
	NET_SET_MTU = 20,
	SET_LINK_CALL = 60, /* these two are lanyard's: switch/vhost_msg.h */
	GET_LINK = 61,
};

#define FLAG_VERSION      0x1u
#define FLAG_VERSION_MASK 0x3u
#define FLAG_REPLY        0x4u
#define FLAG_NEED_REPLY   0x8u

#define F_PROTOCOL_FEATURES (UINT64_C(1) << 30)
#define PROTOCOL_MQ         (UINT64_C(1) << 0)
#define PROTOCOL_REPLY_ACK  (UINT64_C(1) << 3)
#define PROTOCOL_MTU        (UINT64_C(1) << 4)
#define PROTOCOL_LINK       (UINT64_C(1) << 62)
#define PROTOCOL_OURS \
	(PROTOCOL_MQ | PROTOCOL_REPLY_ACK | PROTOCOL_MTU | PROTOCOL_LINK)

#define HEADER_BYTES 12
#define REGION_BYTES 32
#define PAYLOAD_MAX  (8 + MEMORY_REGIONS * REGION_BYTES)
#define WAITS        8 /* pieces that a message may come in */

struct message {
	uint32_t request;
	uint32_t bytes;
	bool need_reply;
	uint8_t payload[PAYLOAD_MAX];
	int fd[MEMORY_REGIONS];
	unsigned int nfds;
};

/* ---- messages ---- */

static int
wait_for(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	do
		n = poll(&p, 1, VHOST_WAIT_MS);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == 0 ? -ETIMEDOUT : 0;
}

static int
send_message(const struct vhost_front *front, const struct message *m)
{
	uint8_t bytes[HEADER_BYTES + PAYLOAD_MAX];
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(m->fd))];
	} control = { .room = { 0 } };
	struct iovec iov = { bytes, HEADER_BYTES + m->bytes };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	uint32_t flags = FLAG_VERSION | (m->need_reply ? FLAG_NEED_REPLY : 0);
	ssize_t n;
	int r;

	put_le32(bytes, m->request);
	put_le32(bytes + 4, flags);
	put_le32(bytes + 8, m->bytes);
	memcpy(bytes + HEADER_BYTES, m->payload, m->bytes);
	if (m->nfds > 0) {
		size_t len = m->nfds * sizeof(int);

		msg.msg_control = control.room;
		msg.msg_controllen = CMSG_SPACE(len);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(len);
		memcpy(CMSG_DATA(&control.align), m->fd, len);
	}
	for (;;) {
		n = sendmsg(front->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n == (ssize_t)iov.iov_len)
			return 0;
		if (n >= 0)
			return -EIO; /* a message of ours fits any buffer */
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		r = wait_for(front->fd, POLLOUT);
		if (r < 0)
			return r;
	}
}

static int
receive(const struct vhost_front *front, uint8_t *to, size_t want)
{
	for (unsigned int i = 0; i < WAITS; i++) {
		ssize_t n;
		int r = wait_for(front->fd, POLLIN);

		if (r < 0)
			return r;
		n = recv(front->fd, to, want, MSG_DONTWAIT);
		if (n == 0)
			return -EPIPE;
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (n > 0) {
			to += n;
			want -= (size_t)n;
		}
		if (want == 0)
			return 0;
	}
	return -EPROTO;
}

/* The answer to request, whose payload has to have bytes. */
static int
receive_reply(const struct vhost_front *front, uint32_t request,
    uint8_t *payload, uint32_t bytes)
{
	uint8_t header[HEADER_BYTES];
	uint32_t flags;
	int r = receive(front, header, sizeof(header));

	if (r < 0)
		return r;
	flags = get_le32(header + 4);
	if (get_le32(header) != request || get_le32(header + 8) != bytes ||
	    (flags & FLAG_VERSION_MASK) != FLAG_VERSION ||
	    !(flags & FLAG_REPLY))
		return -EPROTO;
	return receive(front, payload, bytes);
}

/* Sends, and waits for the acknowledgement if one is wanted and possible. */
static int
tell(const struct vhost_front *front, struct message *m, bool sure)
{
	uint8_t ack[8];
	int r;

	m->need_reply = sure && front->protocol & PROTOCOL_REPLY_ACK;
	r = send_message(front, m);
	if (r < 0 || !m->need_reply)
		return r;
	r = receive_reply(front, m->request, ack, sizeof(ack));
	if (r < 0)
		return r;
	return get_le64(ack) == 0 ? 0 : -EREMOTEIO;
}

static int
tell_u64(const struct vhost_front *front, uint32_t request, uint64_t value)
{
	struct message m = { .request = request, .bytes = 8 };

	put_le64(m.payload, value);
	return tell(front, &m, false);
}

static int
ask_u64(const struct vhost_front *front, uint32_t request, uint64_t *value)
{
	struct message m = { .request = request };
	uint8_t payload[8];
	int r = send_message(front, &m);

	if (r == 0)
		r = receive_reply(front, request, payload, sizeof(payload));
	if (r == 0)
		*value = get_le64(payload);
	return r;
}

/* A message about one ring with one number. */
static int
tell_ring(const struct vhost_front *front, uint32_t request, uint32_t index,
    uint32_t value, bool sure)
{
	struct message m = { .request = request, .bytes = 8 };

	put_le32(m.payload, index);
	put_le32(m.payload + 4, value);
	return tell(front, &m, sure);
}

static int
tell_ring_fd(
    const struct vhost_front *front, uint32_t request, uint32_t index, int fd)
{
	struct message m = {
		.request = request, .bytes = 8, .fd = { fd }, .nfds = 1
	};

	put_le64(m.payload, index);
	return tell(front, &m, false);
}

/* ---- opening ---- */

int
vhost_front_connect(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd, r;

	if (strlen(path) >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	strcpy(at.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static int
negotiate(struct vhost_front *front)
{
	struct message owner = { .request = SET_OWNER };
	uint64_t offered;
	int r = tell(front, &owner, false);

	if (r == 0)
		r = ask_u64(front, GET_FEATURES, &offered);
	if (r < 0)
		return r;
	front->features = offered & ~F_PROTOCOL_FEATURES;
	front->has_protocol = offered & F_PROTOCOL_FEATURES;
	if (!front->has_protocol)
		return 0;
	r = ask_u64(front, GET_PROTOCOL_FEATURES, &offered);
	if (r < 0)
		return r;
	offered &= PROTOCOL_OURS;
	r = tell_u64(front, SET_PROTOCOL_FEATURES, offered);
	front->protocol = r == 0 ? offered : 0;
	if (r < 0 || !(offered & PROTOCOL_MQ))
		return r;
	r = ask_u64(front, GET_QUEUE_NUM, &offered);
	if (r == 0 && offered > 1)
		front->pairs =
		    offered < UINT16_MAX ? (unsigned int)offered : UINT16_MAX;
	return r;
}

int
vhost_front_open(struct vhost_front *front, int fd, struct err *err)
{
	int r;

	*front = (struct vhost_front){ .fd = fd, .pairs = 1, .link = true };
	r = negotiate(front);
	if (r < 0) {
		vhost_front_close(front);
		return err_sys(err, r, "is a vhost-user back end there?",
		    "vhost-user: the peer does not answer as it should");
	}
	return 0;
}

void
vhost_front_close(struct vhost_front *front)
{
	if (front->fd >= 0)
		close(front->fd);
	*front = (struct vhost_front){ .fd = -1 };
}

int
vhost_front_set_mtu(
    struct vhost_front *front, uint16_t mtu_bytes, struct err *err)
{
	int r;

	if (!(front->protocol & PROTOCOL_MTU))
		return 0;
	r = tell_u64(front, NET_SET_MTU, mtu_bytes);
	if (r < 0)
		return err_sys(err, r, NULL, "vhost-user: MTU");
	return 0;
}

/* ---- the link ---- */

int
vhost_front_ask_link(struct vhost_front *front, struct err *err)
{
	uint64_t up = 1;
	int r = 0;

	if (front->protocol & PROTOCOL_LINK)
		r = ask_u64(front, GET_LINK, &up);
	if (r < 0)
		return err_sys(err, r, NULL, "vhost-user: link");
	front->link = up != 0;
	return 0;
}

int
vhost_front_watch_link(struct vhost_front *front, int call_fd, struct err *err)
{
	struct message m = {
		.request = SET_LINK_CALL, .fd = { call_fd }, .nfds = 1
	};
	int r = 0;

	if (front->protocol & PROTOCOL_LINK)
		r = tell(front, &m, false);
	if (r < 0)
		return err_sys(err, r, NULL, "vhost-user: link");
	return vhost_front_ask_link(front, err);
}

/* ---- rings ---- */

static int
set_memory(const struct vhost_front *front, const struct memory *memory)
{
	struct memory_region region[MEMORY_REGIONS];
	struct message m = { .request = SET_MEM_TABLE };
	uint8_t *at = m.payload + 8;

	m.nfds = memory_regions(memory, region);
	put_le32(m.payload, m.nfds);
	for (unsigned int i = 0; i < m.nfds; i++, at += REGION_BYTES) {
		put_le64(at, region[i].start);
		put_le64(at + 8, region[i].bytes);
		put_le64(at + 16, (uintptr_t)(memory->base + region[i].offset));
		put_le64(at + 24, region[i].offset);
		m.fd[i] = memory->fd;
	}
	m.bytes = 8 + m.nfds * REGION_BYTES;
	return tell(front, &m, true);
}

static int
set_addresses(const struct vhost_front *front, const struct vhost_ring *ring)
{
	struct message m = { .request = SET_VRING_ADDR, .bytes = 40 };

	put_le32(m.payload, ring->index);
	put_le64(m.payload + 8, (uintptr_t)ring->desc);
	put_le64(m.payload + 16, (uintptr_t)ring->device);
	put_le64(m.payload + 24, (uintptr_t)ring->driver);
	return tell(front, &m, false);
}

/* The kick comes last: it starts the ring. */
static int
set_ring(const struct vhost_front *front, const struct vhost_ring *ring)
{
	uint32_t i = ring->index;
	int r = tell_ring(front, SET_VRING_NUM, i, ring->size, false);

	if (r == 0)
		r = tell_ring(front, SET_VRING_BASE, i, ring->base, false);
	if (r == 0)
		r = set_addresses(front, ring);
	if (r == 0)
		r = tell_ring_fd(front, SET_VRING_CALL, i, ring->call_fd);
	if (r == 0)
		r = tell_ring_fd(front, SET_VRING_KICK, i, ring->kick_fd);
	return r;
}

/* What the guest put there before is not to wait for its next kick. */
static void
kick(const struct vhost_ring *ring)
{
	const uint64_t one = 1;

	if (write(ring->kick_fd, &one, sizeof(one)) < 0)
		return; /* full: kicked already */
}

int
vhost_front_start(struct vhost_front *front, uint64_t features,
    const struct memory *memory, const struct vhost_ring *rings,
    unsigned int nrings, struct err *err)
{
	int r;

	if (front->has_protocol)
		features |= F_PROTOCOL_FEATURES;
	r = tell_u64(front, SET_FEATURES, features);
	if (r == 0)
		r = set_memory(front, memory);
	for (unsigned int i = 0; r == 0 && i < nrings; i++)
		r = set_ring(front, &rings[i]);
	for (unsigned int i = 0; r == 0 && front->has_protocol && i < nrings;
	     i++)
		r = tell_ring(front, SET_VRING_ENABLE, rings[i].index,
		    rings[i].enabled, i + 1 == nrings);
	if (r < 0)
		return err_sys(err, r, NULL,
		    "vhost-user: the back end does not take the rings");
	for (unsigned int i = 0; i < nrings; i++)
		kick(&rings[i]);
	return 0;
}

int
vhost_front_enable(
    struct vhost_front *front, unsigned int index, bool on, struct err *err)
{
	int r = tell_ring(front, SET_VRING_ENABLE, index, on, false);

	if (r < 0)
		return err_sys(err, r, NULL, "vhost-user: ring %u", index);
	return 0;
}

int
vhost_front_stop(struct vhost_front *front, struct vhost_ring *rings,
    unsigned int nrings, struct err *err)
{
	for (unsigned int i = 0; i < nrings; i++) {
		struct message m = { .request = GET_VRING_BASE, .bytes = 8 };
		uint8_t reply[8];
		int r;

		put_le32(m.payload, rings[i].index);
		r = send_message(front, &m);
		if (r == 0)
			r = receive_reply(
			    front, GET_VRING_BASE, reply, sizeof(reply));
		if (r == 0 && get_le32(reply) != rings[i].index)
			r = -EPROTO;
		if (r < 0)
			return err_sys(err, r, NULL,
			    "vhost-user: the back end does not give ring %u "
			    "back",
			    rings[i].index);
		rings[i].base = (uint16_t)get_le32(reply + 4);
	}
	return 0;
}

bool
vhost_front_alive(const struct vhost_front *front)
{
	uint8_t byte;
	ssize_t n = recv(front->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n < 0 && (errno == EAGAIN || errno == EINTR);
}
