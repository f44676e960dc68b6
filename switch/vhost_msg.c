/*
 * vhost-user messages: a table of what belongs to each request, and what
 * follows from it.
 *
 * A message is a header of three 32-bit numbers and a payload whose length the
 * request determines (SET_MEM_TABLE: and its number of regions).  A header is
 * therefore judged before its payload is read, so that no length from outside
 * decides how much is read.  Descriptors come with the header's first byte, but
 * a front end may also send them later within the message.
 *
 * Requests that belong to protocol features which are not offered (dirty logs,
 * the channel back to the front end, configuration space, postcopy, inflight
 * buffers) are unknown here: a front end that sends one breaks the protocol.
 */
#include "switch/vhost_msg.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum payload { PAY_NONE, PAY_U64, PAY_STATE, PAY_ADDR, PAY_TABLE, PAY_REGION };

static const struct {
	const char *name;
	uint8_t payload, reply; /* reply PAY_NONE: acknowledged at most */
	uint8_t fds_max;
} rules[VHOST_REQUESTS] = {
	[VHOST_GET_FEATURES] = { "GET_FEATURES", PAY_NONE, PAY_U64, 0 },
	[VHOST_SET_FEATURES] = { "SET_FEATURES", PAY_U64, PAY_NONE, 0 },
	[VHOST_SET_OWNER] = { "SET_OWNER", PAY_NONE, PAY_NONE, 0 },
	[VHOST_RESET_OWNER] = { "RESET_OWNER", PAY_NONE, PAY_NONE, 0 },
	[VHOST_SET_MEM_TABLE] = { "SET_MEM_TABLE", PAY_TABLE, PAY_NONE,
	    VHOST_REGIONS_MAX },
	[VHOST_SET_VRING_NUM] = { "SET_VRING_NUM", PAY_STATE, PAY_NONE, 0 },
	[VHOST_SET_VRING_ADDR] = { "SET_VRING_ADDR", PAY_ADDR, PAY_NONE, 0 },
	[VHOST_SET_VRING_BASE] = { "SET_VRING_BASE", PAY_STATE, PAY_NONE, 0 },
	[VHOST_GET_VRING_BASE] = { "GET_VRING_BASE", PAY_STATE, PAY_STATE, 0 },
	[VHOST_SET_VRING_KICK] = { "SET_VRING_KICK", PAY_U64, PAY_NONE, 1 },
	[VHOST_SET_VRING_CALL] = { "SET_VRING_CALL", PAY_U64, PAY_NONE, 1 },
	[VHOST_SET_VRING_ERR] = { "SET_VRING_ERR", PAY_U64, PAY_NONE, 1 },
	[VHOST_GET_PROTOCOL_FEATURES] = { "GET_PROTOCOL_FEATURES", PAY_NONE,
	    PAY_U64, 0 },
	[VHOST_SET_PROTOCOL_FEATURES] = { "SET_PROTOCOL_FEATURES", PAY_U64,
	    PAY_NONE, 0 },
	[VHOST_GET_QUEUE_NUM] = { "GET_QUEUE_NUM", PAY_NONE, PAY_U64, 0 },
	[VHOST_SET_VRING_ENABLE] = { "SET_VRING_ENABLE", PAY_STATE, PAY_NONE,
	    0 },
	[VHOST_NET_SET_MTU] = { "NET_SET_MTU", PAY_U64, PAY_NONE, 0 },
	[VHOST_GET_MAX_MEM_SLOTS] = { "GET_MAX_MEM_SLOTS", PAY_NONE, PAY_U64,
	    0 },
	[VHOST_ADD_MEM_REG] = { "ADD_MEM_REG", PAY_REGION, PAY_NONE, 1 },
	[VHOST_SET_LINK_CALL] = { "SET_LINK_CALL", PAY_NONE, PAY_NONE, 1 },
	[VHOST_GET_LINK] = { "GET_LINK", PAY_NONE, PAY_U64, 0 },
	[VHOST_REM_MEM_REG] = { "REM_MEM_REG", PAY_REGION, PAY_NONE, 1 },
};

static const char *const refusals[VHOST_REFUSALS] = {
	[VHOST_OK] = "ok",
	[VHOST_BAD_VERSION] = "bad-version",
	[VHOST_BAD_FLAGS] = "bad-flags",
	[VHOST_BAD_REQUEST] = "bad-request",
	[VHOST_BAD_SIZE] = "bad-size",
	[VHOST_BAD_FDS] = "bad-descriptors",
	[VHOST_BAD_VALUE] = "bad-value",
	[VHOST_BAD_FEATURES] = "bad-features",
	[VHOST_BAD_RING] = "bad-ring",
	[VHOST_BAD_RING_MEMORY] = "bad-ring-memory",
	[VHOST_BAD_REGION] = "bad-region",
	[VHOST_BAD_MEMORY] = "bad-memory",
	[VHOST_BAD_KICK] = "bad-kick",
	[VHOST_CUT_OFF] = "cut-off",
	[VHOST_NOT_READING] = "not-reading",
	[VHOST_NO_RESOURCES] = "no-resources",
};

const char *
vhost_refusal_name(enum vhost_refusal refusal)
{
	return refusal < VHOST_REFUSALS ? refusals[refusal] : "?";
}

static bool
known(uint32_t request)
{
	return request < VHOST_REQUESTS && rules[request].name != NULL;
}

const char *
vhost_request_name(uint32_t request)
{
	return known(request) ? rules[request].name : "?";
}

bool
vhost_msg_answers(uint32_t request)
{
	return known(request) && rules[request].reply != PAY_NONE;
}

/* ---- parsing ---- */

static uint32_t
get32(const uint8_t **at)
{
	uint32_t v;

	memcpy(&v, *at, sizeof(v));
	*at += sizeof(v);
	return v;
}

static uint64_t
get64(const uint8_t **at)
{
	uint64_t v;

	memcpy(&v, *at, sizeof(v));
	*at += sizeof(v);
	return v;
}

static bool
size_fits(enum payload payload, uint32_t bytes)
{
	switch (payload) {
	case PAY_NONE: return bytes == 0;
	case PAY_U64: return bytes == 8;
	case PAY_STATE: return bytes == 8;
	case PAY_ADDR: return bytes == 40;
	case PAY_REGION: return bytes == 40;
	case PAY_TABLE:
		return bytes >= 8 && bytes <= VHOST_PAYLOAD_MAX &&
		    (bytes - 8) % 32 == 0;
	}
	return false;
}

enum vhost_refusal
vhost_msg_header(struct vhost_msg *msg, const uint8_t bytes[VHOST_HEADER_BYTES])
{
	const uint8_t *at = bytes;

	msg->request = get32(&at);
	msg->flags = get32(&at);
	msg->bytes = get32(&at);
	if ((msg->flags & VHOST_VERSION_MASK) != VHOST_VERSION)
		return VHOST_BAD_VERSION;
	if (msg->flags & ~(VHOST_VERSION_MASK | VHOST_NEED_REPLY))
		return VHOST_BAD_FLAGS;
	if (!known(msg->request))
		return VHOST_BAD_REQUEST;
	if (!size_fits(rules[msg->request].payload, msg->bytes))
		return VHOST_BAD_SIZE;
	return VHOST_OK;
}

static void
get_region(struct vhost_region *region, const uint8_t **at)
{
	region->guest = get64(at);
	region->bytes = get64(at);
	region->user = get64(at);
	region->offset = get64(at);
}

/* How many descriptors belong to a message whose payload has been read. */
static bool
fds_fit(const struct vhost_msg *msg)
{
	switch (msg->request) {
	case VHOST_SET_MEM_TABLE: return msg->nfds == msg->memory.n;
	case VHOST_ADD_MEM_REG:
	case VHOST_SET_LINK_CALL: return msg->nfds == 1;
	case VHOST_SET_VRING_KICK:
	case VHOST_SET_VRING_CALL:
	case VHOST_SET_VRING_ERR: return msg->nfds == !(msg->u64 & VHOST_NO_FD);
	default: return msg->nfds <= rules[msg->request].fds_max;
	}
}

enum vhost_refusal
vhost_msg_payload(struct vhost_msg *msg, const uint8_t *payload)
{
	const uint8_t *at = payload;

	switch ((enum payload)rules[msg->request].payload) {
	case PAY_NONE: break;
	case PAY_U64: msg->u64 = get64(&at); break;
	case PAY_STATE:
		msg->state.ring = get32(&at);
		msg->state.num = get32(&at);
		break;
	case PAY_ADDR:
		msg->addr.ring = get32(&at);
		msg->addr.flags = get32(&at);
		msg->addr.desc = get64(&at);
		msg->addr.used = get64(&at);
		msg->addr.avail = get64(&at);
		msg->addr.log = get64(&at);
		break;
	case PAY_TABLE:
		msg->memory.n = get32(&at);
		(void)get32(&at);
		if (msg->memory.n != (msg->bytes - 8) / 32)
			return VHOST_BAD_SIZE;
		for (uint32_t i = 0; i < msg->memory.n; i++)
			get_region(&msg->memory.region[i], &at);
		break;
	case PAY_REGION:
		(void)get64(&at);
		msg->memory.n = 1;
		get_region(&msg->memory.region[0], &at);
		break;
	}
	return fds_fit(msg) ? VHOST_OK : VHOST_BAD_FDS;
}

/* ---- writing ---- */

static void
put32(uint8_t **at, uint32_t v)
{
	memcpy(*at, &v, sizeof(v));
	*at += sizeof(v);
}

static void
put64(uint8_t **at, uint64_t v)
{
	memcpy(*at, &v, sizeof(v));
	*at += sizeof(v);
}

static void
put_region(uint8_t **at, const struct vhost_region *region)
{
	put64(at, region->guest);
	put64(at, region->bytes);
	put64(at, region->user);
	put64(at, region->offset);
}

static void
put_payload(uint8_t **at, const struct vhost_msg *msg, enum payload payload)
{
	switch (payload) {
	case PAY_NONE: break;
	case PAY_U64: put64(at, msg->u64); break;
	case PAY_STATE:
		put32(at, msg->state.ring);
		put32(at, msg->state.num);
		break;
	case PAY_ADDR:
		put32(at, msg->addr.ring);
		put32(at, msg->addr.flags);
		put64(at, msg->addr.desc);
		put64(at, msg->addr.used);
		put64(at, msg->addr.avail);
		put64(at, msg->addr.log);
		break;
	case PAY_TABLE:
		assert(msg->memory.n <= VHOST_REGIONS_MAX);
		put32(at, msg->memory.n);
		put32(at, 0);
		for (uint32_t i = 0; i < msg->memory.n; i++)
			put_region(at, &msg->memory.region[i]);
		break;
	case PAY_REGION:
		put64(at, 0);
		put_region(at, &msg->memory.region[0]);
		break;
	}
}

size_t
vhost_msg_write(const struct vhost_msg *msg,
    uint8_t out[VHOST_HEADER_BYTES + VHOST_PAYLOAD_MAX])
{
	enum payload payload;
	uint8_t *at = out + VHOST_HEADER_BYTES;
	size_t bytes;

	assert(known(msg->request));
	payload = (enum payload)rules[msg->request].payload;
	if (msg->flags & VHOST_REPLY) {
		payload = (enum payload)rules[msg->request].reply;
		if (payload == PAY_NONE) /* an acknowledgement */
			payload = PAY_U64;
	}
	put_payload(&at, msg, payload);
	bytes = (size_t)(at - out);
	at = out;
	put32(&at, msg->request);
	put32(&at, msg->flags);
	put32(&at, (uint32_t)(bytes - VHOST_HEADER_BYTES));
	return bytes;
}

/* ---- reading off a socket ---- */

void
vhost_msg_close_fds(struct vhost_msg *msg)
{
	for (unsigned int i = 0; i < msg->nfds; i++)
		if (msg->fd[i] >= 0)
			close(msg->fd[i]);
	msg->nfds = 0;
}

/*
 * Messages carry files (memory), and eventfds or pipes (notifications).  Other
 * kinds are not even kept until their message is whole: a front end that sends
 * us its own end of the connection, or what holds that, would stay connected
 * when it is gone.
 */
static bool
is_of_use(int fd)
{
	static const char eventfd[] = "anon_inode:[eventfd]";
	char link[40], name[sizeof(eventfd) + 1];
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return false;
	if (S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode))
		return true;
	if (st.st_mode & S_IFMT) /* anonymous ones have no type */
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, name, sizeof(name));
	return n < 0 || /* no /proc: anything anonymous */
	    ((size_t)n == strlen(eventfd) &&
		memcmp(name, eventfd, (size_t)n) == 0);
}

/* Keeps the descriptors that came with some bytes.  False: there are more than
 * any message has, or useless ones; those are closed. */
static bool
keep_fds(struct vhost_msg *msg, struct msghdr *from)
{
	bool fit = !(from->msg_flags & MSG_CTRUNC);

	for (struct cmsghdr *c = CMSG_FIRSTHDR(from); c != NULL;
	     c = CMSG_NXTHDR(from, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (msg->nfds < VHOST_FDS_MAX && is_of_use(fd)) {
				msg->fd[msg->nfds++] = fd;
			} else {
				close(fd);
				fit = false;
			}
		}
	}
	return fit;
}

/* One recvmsg().  Bytes read, 0 at the end, or -Exxx. */
static ssize_t
receive(struct vhost_reader *reader, int fd, size_t want,
    enum vhost_refusal *refusal)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(int) * VHOST_FDS_MAX)];
	} control;
	struct iovec iov = { reader->bytes + reader->have, want };
	struct msghdr from = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(fd, &from, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (n < 0)
		return -errno;
	if (!keep_fds(&reader->msg, &from)) {
		*refusal = VHOST_BAD_FDS;
		return -EPROTO;
	}
	return n;
}

/* How many bytes the message under way has, as far as is known. */
static size_t
wanted(const struct vhost_reader *reader)
{
	if (reader->have < VHOST_HEADER_BYTES)
		return VHOST_HEADER_BYTES;
	return VHOST_HEADER_BYTES + reader->msg.bytes;
}

int
vhost_reader_next(
    struct vhost_reader *reader, int fd, enum vhost_refusal *refusal)
{
	struct vhost_msg *msg = &reader->msg;

	if (reader->have >= VHOST_HEADER_BYTES &&
	    reader->have == wanted(reader))
		vhost_reader_clear(reader);
	for (;;) {
		ssize_t n =
		    receive(reader, fd, wanted(reader) - reader->have, refusal);

		if (n == -EAGAIN)
			return 0;
		if (n == -EINTR)
			continue;
		if (n == 0 || n == -ECONNRESET) {
			if (reader->have == 0)
				return -ECONNRESET;
			*refusal = VHOST_CUT_OFF;
			return -EPROTO;
		}
		if (n < 0) {
			if (n != -EPROTO)
				*refusal = VHOST_NO_RESOURCES;
			return -EPROTO;
		}
		reader->have += (size_t)n;
		if (reader->have == VHOST_HEADER_BYTES) {
			*refusal = vhost_msg_header(msg, reader->bytes);
			if (*refusal != VHOST_OK)
				return -EPROTO;
		}
		if (reader->have < VHOST_HEADER_BYTES ||
		    reader->have < wanted(reader))
			continue;
		*refusal =
		    vhost_msg_payload(msg, reader->bytes + VHOST_HEADER_BYTES);
		return *refusal == VHOST_OK ? 1 : -EPROTO;
	}
}

void
vhost_reader_clear(struct vhost_reader *reader)
{
	vhost_msg_close_fds(&reader->msg);
	reader->have = 0;
}
