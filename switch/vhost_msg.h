/*
 * vhost_msg.h - the messages of the vhost-user protocol, front end to back end.
 *
 * By QEMU's docs/interop/vhost-user.rst.  Parsing and writing are pure: bytes
 * and a number of descriptors in, a struct or the name of what is wrong out.
 * Reading them off a socket is here as well, since descriptors arrive beside
 * the bytes and must not be lost.  Numbers are in the machine's own order.
 */
#ifndef SWITCH_VHOST_MSG_H
#define SWITCH_VHOST_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VHOST_HEADER_BYTES  12
#define VHOST_PAYLOAD_MAX   (8 + VHOST_REGIONS_MAX * 32)
#define VHOST_REGIONS_MAX   8 /* of one SET_MEM_TABLE */
#define VHOST_FDS_MAX       8
#define VHOST_RING_SIZE_MAX 32768

enum vhost_request {
	VHOST_GET_FEATURES = 1,
	VHOST_SET_FEATURES = 2,
	VHOST_SET_OWNER = 3,
	VHOST_RESET_OWNER = 4,
	VHOST_SET_MEM_TABLE = 5,
	VHOST_SET_VRING_NUM = 8,
	VHOST_SET_VRING_ADDR = 9,
	VHOST_SET_VRING_BASE = 10,
	VHOST_GET_VRING_BASE = 11,
	VHOST_SET_VRING_KICK = 12,
	VHOST_SET_VRING_CALL = 13,
	VHOST_SET_VRING_ERR = 14,
	VHOST_GET_PROTOCOL_FEATURES = 15,
	VHOST_SET_PROTOCOL_FEATURES = 16,
	VHOST_GET_QUEUE_NUM = 17,
	VHOST_SET_VRING_ENABLE = 18,
	VHOST_NET_SET_MTU = 20,
	VHOST_GET_MAX_MEM_SLOTS = 36,
	VHOST_ADD_MEM_REG = 37,
	VHOST_REM_MEM_REG = 38,
	/* Of VHOST_PROTOCOL_LINK.  An eventfd that is written to when the link
	 * goes up or down; and whether it is up (1) or not (0). */
	VHOST_SET_LINK_CALL = 60,
	VHOST_GET_LINK = 61,
	VHOST_REQUESTS /* one more than the last that is known */
};

/* Bits of the header's flags. */
#define VHOST_VERSION      0x1u
#define VHOST_VERSION_MASK 0x3u
#define VHOST_REPLY        0x4u
#define VHOST_NEED_REPLY   0x8u

/* Feature bit for the protocol itself, beside the device's. */
#define VHOST_F_PROTOCOL_FEATURES 30

/* Bits of {GET,SET}_PROTOCOL_FEATURES that a back end here may offer. */
#define VHOST_PROTOCOL_MQ        0
#define VHOST_PROTOCOL_REPLY_ACK 3
#define VHOST_PROTOCOL_MTU       4
#define VHOST_PROTOCOL_MEM_SLOTS 15
/* Ours: the front end is told whether the link is up.  The protocol's own way is
 * its configuration space (CONFIG), which network devices of other front ends
 * do not expect: QEMU warns of a back end that offers it. */
#define VHOST_PROTOCOL_LINK 62

/* Payload of SET_VRING_{KICK,CALL,ERR}. */
#define VHOST_RING_MASK 0xffu
#define VHOST_NO_FD     0x100u

/* Why a front end was refused.  Each has a name (vhost_refusal_name) and is
 * counted by the port. */
enum vhost_refusal {
	VHOST_OK,
	VHOST_BAD_VERSION,     /* not version 1 */
	VHOST_BAD_FLAGS,       /* a reply, or unknown flags */
	VHOST_BAD_REQUEST,     /* unknown, or not offered */
	VHOST_BAD_SIZE,        /* payload not as long as the request's */
	VHOST_BAD_FDS,         /* descriptors that do not belong to it */
	VHOST_BAD_VALUE,       /* a payload that contradicts itself */
	VHOST_BAD_FEATURES,    /* features that were not offered */
	VHOST_BAD_RING,        /* a ring that does not exist, or of bad size */
	VHOST_BAD_RING_MEMORY, /* a ring outside the memory table */
	VHOST_BAD_REGION,   /* a region that overlaps, overflows, is absent */
	VHOST_BAD_MEMORY,   /* a region that cannot be mapped */
	VHOST_BAD_KICK,     /* a kick descriptor that cannot be watched */
	VHOST_CUT_OFF,      /* the connection ended within a message */
	VHOST_NOT_READING,  /* does not read its replies */
	VHOST_NO_RESOURCES, /* the host refused memory or descriptors */
	VHOST_REFUSALS
};

const char *vhost_refusal_name(enum vhost_refusal refusal); /* "bad-size" */
const char *vhost_request_name(uint32_t request); /* "SET_FEATURES", or "?" */

struct vhost_region {
	uint64_t guest; /* physical address in the guest */
	uint64_t bytes;
	uint64_t user;   /* address in the front end: ring addresses are such */
	uint64_t offset; /* in the descriptor's file */
};

struct vhost_ring_state {
	uint32_t ring, num;
};

struct vhost_ring_addr {
	uint32_t ring, flags;
	uint64_t desc, used, avail, log; /* addresses in the front end */
};

struct vhost_msg {
	uint32_t request, flags, bytes; /* bytes of payload */
	union {
		uint64_t u64;
		struct vhost_ring_state state;
		struct vhost_ring_addr addr;
		struct {
			uint32_t n;
			struct vhost_region region[VHOST_REGIONS_MAX];
		} memory; /* also of ADD and REM_MEM_REG, with n 1 */
	};
	unsigned int nfds;
	int fd[VHOST_FDS_MAX]; /* -1: taken by the receiver */
};

/* Fills in request, flags and bytes from a header.  Checks all that a header
 * can get wrong; the payload that follows is at most VHOST_PAYLOAD_MAX. */
enum vhost_refusal vhost_msg_header(
    struct vhost_msg *msg, const uint8_t bytes[VHOST_HEADER_BYTES]);

/* Fills in the payload from msg->bytes bytes, and checks it against itself and
 * msg->nfds.  msg is unusable if it is refused. */
enum vhost_refusal vhost_msg_payload(
    struct vhost_msg *msg, const uint8_t *payload);

/* Writes a message, which must be of a known kind; a reply (VHOST_REPLY) to a
 * request without a payload of its own has a u64.  Returns its bytes. */
size_t vhost_msg_write(const struct vhost_msg *msg,
    uint8_t out[VHOST_HEADER_BYTES + VHOST_PAYLOAD_MAX]);

bool vhost_msg_answers(uint32_t request); /* the request has its own reply */

void vhost_msg_close_fds(struct vhost_msg *msg);

/* Puts messages together from a non-blocking socket. */
struct vhost_reader {
	struct vhost_msg msg;
	uint8_t bytes[VHOST_HEADER_BYTES + VHOST_PAYLOAD_MAX];
	size_t have;
};

/*
 * Reads on.  1: reader->msg is whole; its descriptors that the caller does not
 * take are closed by the next call.  0: no more for now.  -ECONNRESET: the
 * other end left.  -EPROTO: *refusal says why; the connection is of no more
 * use.
 */
int vhost_reader_next(
    struct vhost_reader *reader, int fd, enum vhost_refusal *refusal);
void vhost_reader_clear(struct vhost_reader *reader); /* closes descriptors */

#endif
