/*
 * What a front end's messages do.
 *
 * Semantic checks only; what a message may look like was vhost_msg.c's affair.
 * A message that fails leaves the port in a state that is safe, if useless:
 * after a bad memory table there is no memory, and no queue runs.
 *
 * Not offered: packed rings, dirty logs (live migration), IOMMU, the channel
 * back to the front end, configuration space (the front end's affair).
 */
#include "switch/vhost_port.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/eth.h"

#define MTU_MIN    68
#define MTU_MAX    65535
#define TAGS_BYTES (2 * ETH_VLAN_BYTES) /* on top of an MTU */
#define BIT(n)     (UINT64_C(1) << (n))

#define FEATURES                                                         \
	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) |         \
	    BIT(VIRTIO_NET_F_MTU) | BIT(VIRTIO_NET_F_GUEST_TSO4) |       \
	    BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_HOST_TSO4) | \
	    BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_MRG_RXBUF) |  \
	    BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) | BIT(VIRTIO_NET_F_MQ) |    \
	    BIT(VIRTIO_F_ANY_LAYOUT) | BIT(VRING_F_INDIRECT_DESC) |      \
	    BIT(VRING_F_EVENT_IDX) | BIT(VHOST_F_PROTOCOL_FEATURES) |    \
	    BIT(VIRTIO_F_VERSION_1))

#define PROTOCOL_FEATURES                                             \
	(BIT(VHOST_PROTOCOL_MQ) | BIT(VHOST_PROTOCOL_REPLY_ACK) |     \
	    BIT(VHOST_PROTOCOL_MTU) | BIT(VHOST_PROTOCOL_MEM_SLOTS) | \
	    BIT(VHOST_PROTOCOL_LINK))

void
vhost_set_features(struct vhost_port *vp, uint64_t features)
{
	vp->features = features;
	vp->rules = vhost_rules_of(features);
	vhost_map_queues(vp);
}

static enum vhost_refusal
add_region(struct vhost_port *vp, struct vhost_msg *msg, unsigned int i)
{
	const struct vhost_region *r = &msg->memory.region[i];
	struct err err = { "" };
	int code = guest_mem_add(
	    &vp->mem, msg->fd[i], r->guest, r->user, r->bytes, r->offset, &err);

	if (code == 0)
		return VHOST_OK;
	VHOST_COMPLAIN(vp, "%s", err.text);
	return code == -EINVAL || code == -EEXIST || code == -ENOSPC
	    ? VHOST_BAD_REGION
	    : VHOST_BAD_MEMORY;
}

static enum vhost_refusal
set_mem_table(struct vhost_port *vp, struct vhost_msg *msg)
{
	enum vhost_refusal refusal = VHOST_OK;

	guest_mem_clear(&vp->mem);
	for (unsigned int i = 0; i < msg->memory.n && refusal == VHOST_OK; i++)
		refusal = add_region(vp, msg, i);
	if (refusal != VHOST_OK)
		guest_mem_clear(&vp->mem);
	vhost_map_queues(vp);
	return refusal;
}

static enum vhost_refusal
change_mem_slot(struct vhost_port *vp, struct vhost_msg *msg)
{
	const struct vhost_region *r = &msg->memory.region[0];
	enum vhost_refusal refusal;

	if (!(vp->protocol & BIT(VHOST_PROTOCOL_MEM_SLOTS)))
		return VHOST_BAD_REQUEST;
	if (msg->request == VHOST_ADD_MEM_REG)
		refusal = add_region(vp, msg, 0);
	else
		refusal =
		    guest_mem_remove(&vp->mem, r->guest, r->user, r->bytes) < 0
		    ? VHOST_BAD_REGION
		    : VHOST_OK;
	vhost_map_queues(vp);
	return refusal;
}

/* A file is nothing to notify by. */
static bool
has_file(const struct vhost_msg *msg)
{
	struct stat st;

	return msg->nfds > 0 &&
	    (fstat(msg->fd[0], &st) < 0 || S_ISREG(st.st_mode));
}

/* Takes the descriptor of a message about a ring; -1 if there is none. */
static int
take_fd(struct vhost_msg *msg)
{
	int fd = msg->nfds > 0 ? msg->fd[0] : -1, flags;

	if (fd < 0)
		return -1;
	msg->fd[0] = -1;
	flags = fcntl(fd, F_GETFL);
	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	return fd;
}

/* SET_VRING_KICK, _CALL and _ERR. */
static enum vhost_refusal
set_ring_fd(struct vhost_port *vp, struct vhost_msg *msg)
{
	uint64_t index = msg->u64 & VHOST_RING_MASK;
	struct vhost_queue *q;

	if (msg->u64 & ~(uint64_t)(VHOST_RING_MASK | VHOST_NO_FD))
		return VHOST_BAD_VALUE;
	if (index >= VHOST_QUEUES_MAX)
		return VHOST_BAD_RING;
	if (has_file(msg))
		return VHOST_BAD_FDS;
	q = &vp->queue[index];
	if (msg->request == VHOST_SET_VRING_KICK)
		return vhost_queue_start(q, take_fd(msg));
	if (msg->request == VHOST_SET_VRING_ERR)
		vhost_queue_set_err(q, take_fd(msg));
	else
		vhost_queue_set_call(q, take_fd(msg));
	return VHOST_OK;
}

/* SET_VRING_NUM, _BASE, _ENABLE and GET_VRING_BASE. */
static enum vhost_refusal
ring_state(
    struct vhost_port *vp, const struct vhost_msg *msg, struct vhost_msg *reply)
{
	uint32_t num = msg->state.num;
	struct vhost_queue *q;

	if (msg->state.ring >= VHOST_QUEUES_MAX)
		return VHOST_BAD_RING;
	q = &vp->queue[msg->state.ring];
	if (msg->request == VHOST_SET_VRING_NUM) {
		if (num == 0 || num > VRING_SIZE_MAX || (num & (num - 1)) != 0)
			return VHOST_BAD_RING;
		vhost_queue_stop(q);
		q->vring.size = num;
	} else if (msg->request == VHOST_SET_VRING_BASE) {
		if (num > UINT16_MAX)
			return VHOST_BAD_VALUE;
		vhost_queue_stop(q);
		q->base = (uint16_t)num;
	} else if (msg->request == VHOST_SET_VRING_ENABLE) {
		if (num > 1)
			return VHOST_BAD_VALUE;
		q->enable_said = num;
		vhost_find_receivers(vp);
	} else {
		vhost_publish(vp);
		vhost_queue_stop(q);
		reply->state.ring = q->index;
		reply->state.num = q->base;
	}
	return VHOST_OK;
}

static enum vhost_refusal
set_ring_addr(struct vhost_port *vp, const struct vhost_ring_addr *addr)
{
	struct vhost_queue *q;

	if (addr->ring >= VHOST_QUEUES_MAX)
		return VHOST_BAD_RING;
	if (addr->flags != 0) /* a dirty log, which was not offered */
		return VHOST_BAD_VALUE;
	q = &vp->queue[addr->ring];
	q->vring.desc_user = addr->desc;
	q->vring.avail_user = addr->avail;
	q->vring.used_user = addr->used;
	if (q->started && !vhost_queue_map(q))
		return VHOST_BAD_RING_MEMORY;
	return VHOST_OK;
}

static enum vhost_refusal
set_mtu(struct vhost_port *vp, uint64_t mtu)
{
	if (!(vp->protocol & BIT(VHOST_PROTOCOL_MTU)))
		return VHOST_BAD_REQUEST;
	if (mtu < MTU_MIN || mtu > MTU_MAX)
		return VHOST_BAD_VALUE;
	vp->port.mtu_bytes = (uint32_t)mtu + ETH_HEADER_BYTES + TAGS_BYTES;
	return VHOST_OK;
}

/* SET_LINK_CALL and GET_LINK. */
static enum vhost_refusal
link_state(
    struct vhost_port *vp, struct vhost_msg *msg, struct vhost_msg *reply)
{
	if (!(vp->protocol & BIT(VHOST_PROTOCOL_LINK)))
		return VHOST_BAD_REQUEST;
	if (msg->request == VHOST_GET_LINK) {
		reply->u64 = port_is_up(&vp->port);
		return VHOST_OK;
	}
	if (has_file(msg))
		return VHOST_BAD_FDS;
	if (vp->link_fd >= 0)
		close(vp->link_fd);
	vp->link_fd = take_fd(msg);
	return VHOST_OK;
}

enum vhost_refusal
vhost_handle(
    struct vhost_port *vp, struct vhost_msg *msg, struct vhost_msg *reply)
{
	switch ((enum vhost_request)msg->request) {
	case VHOST_GET_FEATURES: reply->u64 = FEATURES; return VHOST_OK;
	case VHOST_SET_FEATURES:
		if (msg->u64 & ~FEATURES)
			return VHOST_BAD_FEATURES;
		vhost_set_features(vp, msg->u64);
		return VHOST_OK;
	case VHOST_GET_PROTOCOL_FEATURES:
		reply->u64 = PROTOCOL_FEATURES;
		return VHOST_OK;
	case VHOST_SET_PROTOCOL_FEATURES:
		if (msg->u64 & ~PROTOCOL_FEATURES)
			return VHOST_BAD_FEATURES;
		vp->protocol = msg->u64;
		return VHOST_OK;
	case VHOST_SET_OWNER: return VHOST_OK;
	case VHOST_RESET_OWNER: return VHOST_OK; /* deprecated, ignored */
	case VHOST_SET_MEM_TABLE: return set_mem_table(vp, msg);
	case VHOST_ADD_MEM_REG:
	case VHOST_REM_MEM_REG: return change_mem_slot(vp, msg);
	case VHOST_GET_MAX_MEM_SLOTS:
		reply->u64 = GUEST_REGIONS_MAX;
		return VHOST_OK;
	case VHOST_GET_QUEUE_NUM: reply->u64 = VHOST_PAIRS_MAX; return VHOST_OK;
	case VHOST_SET_VRING_NUM:
	case VHOST_SET_VRING_BASE:
	case VHOST_GET_VRING_BASE:
	case VHOST_SET_VRING_ENABLE: return ring_state(vp, msg, reply);
	case VHOST_SET_VRING_ADDR: return set_ring_addr(vp, &msg->addr);
	case VHOST_SET_VRING_KICK:
	case VHOST_SET_VRING_CALL:
	case VHOST_SET_VRING_ERR: return set_ring_fd(vp, msg);
	case VHOST_NET_SET_MTU: return set_mtu(vp, msg->u64);
	case VHOST_SET_LINK_CALL:
	case VHOST_GET_LINK: return link_state(vp, msg, reply);
	case VHOST_REQUESTS: break;
	}
	return VHOST_BAD_REQUEST;
}
