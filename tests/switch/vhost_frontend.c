#include "tests/switch/vhost_frontend.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FLAGS, IDX, RING };

void
front_init(struct front *front, size_t bytes)
{
	memset(front, 0, sizeof(*front));
	front->fd = -1;
	front->bytes = bytes;
	front->memfd = memfd_create("front", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (front->memfd < 0 || ftruncate(front->memfd, (off_t)bytes) < 0)
		abort();
	front->mem = mmap(
	    NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, front->memfd, 0);
	if (front->mem == MAP_FAILED)
		abort();
	for (unsigned int i = 0; i < FRONT_QUEUES; i++) {
		front->queue[i].kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		front->queue[i].call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
}

void
front_free(struct front *front)
{
	front_disconnect(front);
	for (unsigned int i = 0; i < FRONT_QUEUES; i++) {
		close(front->queue[i].kick);
		close(front->queue[i].call);
	}
	munmap(front->mem, front->bytes);
	close(front->memfd);
}

/* ---- messages ---- */

int
front_connect(struct front *front, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	front->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (front->fd < 0)
		return -errno;
	if (connect(front->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		int code = -errno;

		front_disconnect(front);
		return code;
	}
	return 0;
}

void
front_disconnect(struct front *front)
{
	if (front->fd >= 0)
		close(front->fd);
	front->fd = -1;
}

bool
front_send(struct front *front, const void *bytes, size_t n, const int *fds,
    unsigned int nfds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * 16)];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)bytes, n };
	struct msghdr to = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (nfds > 0) {
		struct cmsghdr *c;

		to.msg_control = control.bytes;
		to.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c = CMSG_FIRSTHDR(&to);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	return sendmsg(front->fd, &to, MSG_NOSIGNAL) == (ssize_t)n;
}

static void
pump(struct front *front)
{
	if (front->pump != NULL)
		front->pump(front->arg);
}

bool
front_is_closed(struct front *front)
{
	char byte;
	ssize_t n;

	pump(front);
	n = recv(front->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	return n == 0 || (n < 0 && errno != EAGAIN);
}

bool
front_ask(struct front *front, struct vhost_msg *msg, bool ack, uint64_t *reply)
{
	uint8_t bytes[VHOST_HEADER_BYTES + VHOST_PAYLOAD_MAX];
	uint8_t answer[VHOST_HEADER_BYTES + 8];
	struct pollfd ready = { .fd = front->fd, .events = POLLIN };
	size_t n;

	msg->flags = VHOST_VERSION | (ack ? VHOST_NEED_REPLY : 0);
	n = vhost_msg_write(msg, bytes);
	if (!front_send(front, bytes, n, msg->fd, msg->nfds))
		return false;
	if (!ack && !vhost_msg_answers(msg->request))
		return !front_is_closed(front);
	pump(front);
	if (poll(&ready, 1, 5000) <= 0)
		return false;
	if (recv(front->fd, answer, sizeof(answer), MSG_WAITALL) !=
	    sizeof(answer))
		return false;
	memcpy(reply, answer + VHOST_HEADER_BYTES, 8);
	return true;
}

bool
front_u64(struct front *front, uint32_t request, uint64_t u64)
{
	struct vhost_msg msg = { .request = request, .u64 = u64 };

	return front_ask(front, &msg, false, NULL);
}

bool
front_state(struct front *front, uint32_t request, uint32_t ring, uint32_t num)
{
	struct vhost_msg msg = { .request = request, .state = { ring, num } };

	return front_ask(front, &msg, false, NULL);
}

bool
front_fd(struct front *front, uint32_t request, uint32_t ring, int fd)
{
	struct vhost_msg msg = { .request = request,
		.u64 = ring | (fd < 0 ? VHOST_NO_FD : 0) };

	if (fd >= 0) {
		msg.nfds = 1;
		msg.fd[0] = fd;
	}
	return front_ask(front, &msg, false, NULL);
}

bool
front_negotiate(struct front *front, uint64_t features, uint64_t protocol)
{
	struct vhost_msg msg = { .request = VHOST_GET_FEATURES };
	uint64_t offered = 0, offered_protocol = 0;

	if (!front_u64(front, VHOST_SET_OWNER, 0) ||
	    !front_ask(front, &msg, false, &offered))
		return false;
	if (features >> VHOST_F_PROTOCOL_FEATURES & 1) {
		msg.request = VHOST_GET_PROTOCOL_FEATURES;
		if (!front_ask(front, &msg, false, &offered_protocol) ||
		    !front_u64(front, VHOST_SET_PROTOCOL_FEATURES,
			offered_protocol & protocol))
			return false;
	}
	front->features = features & offered;
	front->header_bytes = features >> VIRTIO_F_VERSION_1 & 1 ||
		features >> VIRTIO_NET_F_MRG_RXBUF & 1
	    ? 12
	    : 10;
	return front_u64(front, VHOST_SET_FEATURES, front->features);
}

bool
front_share_memory(struct front *front)
{
	struct vhost_msg msg = { .request = VHOST_SET_MEM_TABLE,
		.memory = { 1,
		    { { FRONT_GUEST, front->bytes, FRONT_USER, 0 } } },
		.nfds = 1,
		.fd = { front->memfd } };

	return front_ask(front, &msg, false, NULL);
}

/* ---- rings ---- */

static void *
allocate(struct front *front, size_t bytes)
{
	uint8_t *at = front->mem + front->used;

	front->used += (bytes + 4095) & ~(size_t)4095;
	assert(front->used <= front->bytes);
	return at;
}

uint64_t
front_address(const struct front *front, const void *at)
{
	return FRONT_GUEST + (uint64_t)((const uint8_t *)at - front->mem);
}

void
front_layout(
    struct front *front, unsigned int q, uint16_t size, uint32_t stride)
{
	struct front_queue *queue = &front->queue[q];

	queue->size = size;
	queue->stride = stride;
	queue->desc = allocate(front, 16 * (size_t)size);
	queue->avail = allocate(front, 6 + 2 * (size_t)size);
	queue->used = allocate(front, 6 + 8 * (size_t)size);
	queue->used_ring = (struct vring_used_slot *)(void *)&queue->used[RING];
	queue->buffer = allocate(front, (size_t)size * stride);
	queue->next = queue->seen = queue->kicked = 0;
}

static uint64_t
user(const struct front *front, const void *at)
{
	return FRONT_USER + (uint64_t)((const uint8_t *)at - front->mem);
}

bool
front_start_queue(struct front *front, unsigned int q, bool poll_it)
{
	struct front_queue *queue = &front->queue[q];
	struct vhost_msg msg = { .request = VHOST_SET_VRING_ADDR,
		.addr = { .ring = q,
		    .desc = user(front, queue->desc),
		    .used = user(front, queue->used),
		    .avail = user(front, queue->avail) } };

	queue->event_idx = front->features >> VRING_F_EVENT_IDX & 1;
	return front_state(front, VHOST_SET_VRING_NUM, q, queue->size) &&
	    front_state(front, VHOST_SET_VRING_BASE, q, 0) &&
	    front_ask(front, &msg, false, NULL) &&
	    front_fd(front, VHOST_SET_VRING_CALL, q, queue->call) &&
	    front_fd(
		front, VHOST_SET_VRING_KICK, q, poll_it ? -1 : queue->kick) &&
	    (!(front->features >> VHOST_F_PROTOCOL_FEATURES & 1) ||
		front_state(front, VHOST_SET_VRING_ENABLE, q, 1));
}

bool
front_start(struct front *front, const char *path, uint64_t features,
    uint16_t size, uint32_t stride)
{
	if (front_connect(front, path) < 0 ||
	    !front_negotiate(front, features, ~UINT64_C(0)) ||
	    !front_share_memory(front))
		return false;
	front_layout(front, 0, size, stride);
	front_layout(front, 1, size, stride);
	front_fill(front, 0);
	return front_start_queue(front, 0, false) &&
	    front_start_queue(front, 1, false);
}

void
front_offer(struct front_queue *queue, uint16_t head)
{
	queue->avail[RING + (queue->next++ & (queue->size - 1))] = head;
}

void
front_publish(struct front_queue *queue)
{
	__atomic_store_n(&queue->avail[IDX], queue->next, __ATOMIC_RELEASE);
}

bool
front_kick(struct front_queue *queue)
{
	uint16_t was = queue->kicked, now = queue->next, event;
	const uint64_t one = 1;

	queue->kicked = now;
	atomic_thread_fence(memory_order_seq_cst);
	if (queue->event_idx) {
		event = __atomic_load_n(
		    &queue->used[RING + 4 * queue->size], __ATOMIC_RELAXED);
		if ((uint16_t)(now - event - 1) >= (uint16_t)(now - was))
			return false;
	} else if (__atomic_load_n(&queue->used[FLAGS], __ATOMIC_RELAXED) & 1) {
		return false;
	}
	return write(queue->kick, &one, sizeof(one)) == sizeof(one);
}

bool
front_used(struct front_queue *queue, uint16_t *head, uint32_t *bytes)
{
	struct vring_used_slot slot;

	if (__atomic_load_n(&queue->used[IDX], __ATOMIC_ACQUIRE) == queue->seen)
		return false;
	slot = queue->used_ring[queue->seen++ & (queue->size - 1)];
	*head = (uint16_t)slot.id;
	*bytes = slot.len;
	return true;
}

/* ---- frames ---- */

static uint8_t *
buffer(const struct front_queue *queue, unsigned int i)
{
	return queue->buffer + (size_t)i * queue->stride;
}

void
front_fill(struct front *front, unsigned int q)
{
	struct front_queue *queue = &front->queue[q];

	for (uint16_t i = 0; i < queue->size; i++) {
		queue->desc[i] = (struct vring_slot){
			.addr = front_address(front, buffer(queue, i)),
			.len = queue->stride,
			.flags = VRING_SLOT_WRITE
		};
		front_offer(queue, i);
	}
	front_publish(queue);
}

void
front_transmit(struct front *front, unsigned int q, const void *header,
    const void *frame, size_t len)
{
	static const uint8_t zeros[12];
	struct front_queue *queue = &front->queue[q];
	uint16_t i = queue->next & (queue->size - 1);
	uint8_t *at = buffer(queue, i);

	assert(front->header_bytes + len <= queue->stride);
	memcpy(at, header != NULL ? header : zeros, front->header_bytes);
	memcpy(at + front->header_bytes, frame, len);
	queue->desc[i] = (struct vring_slot){ .addr = front_address(front, at),
		.len = (uint32_t)(front->header_bytes + len) };
	front_offer(queue, i);
	front_publish(queue);
	front_kick(queue);
}

size_t
front_receive(struct front *front, unsigned int q, uint8_t header[12],
    uint8_t *out, size_t max)
{
	struct front_queue *queue = &front->queue[q];
	unsigned int skip = front->header_bytes, left = 1;
	uint32_t bytes;
	uint16_t head;
	size_t n = 0;

	if (!front_used(queue, &head, &bytes))
		return 0;
	memset(header, 0, 12);
	memcpy(header, buffer(queue, head), skip);
	if (front->header_bytes == 12)
		left = header[10] | header[11] << 8;
	for (;;) {
		size_t part = bytes > skip ? bytes - skip : 0;

		if (part > max - n)
			part = max - n;
		memcpy(out + n, buffer(queue, head) + skip, part);
		n += part;
		skip = 0;
		front_offer(queue, head);
		if (left-- <= 1 || !front_used(queue, &head, &bytes))
			break;
	}
	front_publish(queue);
	return n;
}
