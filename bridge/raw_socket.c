/*
 * Why not libpcap, which opens the same kind of socket: its ring says neither
 * which checksums are unfinished nor how a superframe is to be cut, and asking
 * the kernel for that behind its back (PACKET_VNET_HDR) puts a header where
 * libpcap moves the addresses of a frame whose VLAN tag it puts back.  It also
 * sends one frame per system call.
 *
 * The ring is TPACKET_V2: a frame is there the moment it arrived, where V3 waits
 * for a block to fill or for a timer of whole milliseconds.  Its slots are made
 * for ordinary frames, so that a full ring is 6.5 MiB and not 256; they are of
 * an odd number of cache lines, since the heads of all would else fall on the
 * same few places of the caches.  A larger frame (jumbo, or up to 64 KiB from
 * receive offloads) is cut in its slot, and queued as a whole at the socket, from
 * where it is read by a system call of its own (PACKET_COPY_THRESH); slots and
 * queue keep the same order.
 *
 *     slot:  | tpacket2_hdr | sockaddr_ll | .. | vnet header | frame ... |
 *                                                            ^ tp_mac
 *
 * The vnet header is read before the tag is put back, for which the addresses
 * move four bytes into it.
 *
 * A burst goes out by one sendmmsg(), from the buffers where it lies, segments
 * of a stream as one frame that the kernel cuts: most of what a frame costs it
 * is paid once for many.  So a burst is read until a stream fills one such
 * frame: the rest of a longer one would leave as a small one.
 *
 * A send ring would have to be filled by copying, and its slots for superframes
 * would be large again.  PACKET_QDISC_BYPASS was tried: it gains nothing where
 * there is no queueing discipline, as at veths, it has the kernel throw away
 * what it would have to cut, and it hides what we send from tcpdump.
 *
 * Frames that this socket sent are never read by it: the kernel leaves out the
 * socket that a frame came from, and without with_outgoing all others' too.
 *
 * XDP sockets (AF_XDP) take a queue of the NIC away from the host: rejected.
 */
#include "bridge/raw_socket.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/privilege.h"
#include "net/cursor.h"
#include "net/eth.h"
#include "switch/join.h"
#include "switch/vnet.h"

#define SLOT_BYTES   1600
#define BLOCK_BYTES  (64 * 1024)
#define BLOCK_SLOTS  (BLOCK_BYTES / SLOT_BYTES)
#define BLOCKS       104
#define BLOCKS_MIN   2
#define SOCKET_BYTES (4 << 20) /* for large frames in, and frames out */
#define LEAD_BYTES   16        /* vnet header, so that frames are aligned */
#define LARGE_BYTES  (LEAD_BYTES + FRAME_MAX_BYTES + 1)
#define POOL_BYTES   (256 * 1024) /* large frames of one burst */
#define ENOUGH_BYTES 66000        /* of one burst: JOIN_MAX full frames */
#define PIECES_MAX \
	JOIN_PIECES /* of a frame that is sent without joining them */

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

struct raw_socket {
	int fd;
	char name[32];
	bool with_outgoing;
	uint8_t *ring;
	unsigned int nslots, next; /* the slot that is filled next */
	unsigned int taken;        /* slots lent to a burst, before next */
	uint64_t lost;
	uint8_t pool[POOL_BYTES];
	uint8_t joined[FRAME_MAX_BYTES]; /* a frame of many pieces */
};

/* ---- reading ---- */

struct tag {
	bool there;
	uint16_t tci, tpid;
};

static uint8_t *
slot_at(const struct raw_socket *ps, unsigned int i)
{
	return ps->ring + (size_t)(i / BLOCK_SLOTS) * BLOCK_BYTES +
	    (size_t)(i % BLOCK_SLOTS) * SLOT_BYTES;
}

static size_t
ring_bytes(const struct raw_socket *ps)
{
	return (size_t)(ps->nslots / BLOCK_SLOTS) * BLOCK_BYTES;
}

static uint32_t
status_of(const uint8_t *slot)
{
	const struct tpacket2_hdr *h = (const void *)slot;

	return __atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE);
}

static struct tag
tag_of(uint32_t status, uint16_t tci, uint16_t tpid)
{
	struct tag tag = { .there = status & TP_STATUS_VLAN_VALID,
		.tci = tci,
		.tpid = ETH_VLAN };

	if (status & TP_STATUS_VLAN_TPID_VALID)
		tag.tpid = tpid;
	return tag;
}

/* Between the addresses and the type. */
static void
put_tag_back(struct frame *frame, const struct tag *tag)
{
	uint8_t *at = (uint8_t *)(uintptr_t)frame->data - ETH_VLAN_BYTES;
	struct writer w = { .at = at + 12, .end = at + 16 };

	memmove(at, frame->data, 12);
	wr_be16(&w, tag->tpid);
	wr_be16(&w, tag->tci);
	frame->data = at;
	frame->len += ETH_VLAN_BYTES;
	frame->head += ETH_VLAN_BYTES;
	if (frame->flags & FRAME_CSUM)
		frame->csum_start += ETH_VLAN_BYTES;
	if (frame->flags & (FRAME_TSO4 | FRAME_TSO6))
		frame->header_bytes += ETH_VLAN_BYTES;
}

/* A frame of len bytes at data, behind its vnet header. */
static bool
add_frame(struct burst *burst, uint8_t *data, size_t len, const struct tag *tag)
{
	struct frame *frame;

	if (len > FRAME_MAX_BYTES - ETH_VLAN_BYTES || len < ETH_HEADER_BYTES)
		return false;
	frame = burst_add(burst, data, len);
	if (vnet_parse(frame, data - VNET_BYTES) != DROP_NONE) {
		burst->n--;
		return false;
	}
	if (tag->there)
		put_tag_back(frame, tag);
	burst->flags |= frame->flags;
	return true;
}

/* The next of the frames that did not fit into slots. */
static bool
add_large(struct raw_socket *ps, struct burst *burst, size_t *used)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	} control;
	uint8_t *at = ps->pool + *used + LEAD_BYTES;
	struct iovec iov = { at - VNET_BYTES, VNET_BYTES + FRAME_MAX_BYTES };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	struct tag tag = { .there = false };
	ssize_t n;

	do
		n = recvmsg(ps->fd, &msg, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < VNET_BYTES || (msg.msg_flags & MSG_TRUNC))
		return false;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL;
	     c = CMSG_NXTHDR(&msg, c)) {
		struct tpacket_auxdata aux;

		if (c->cmsg_level != SOL_PACKET ||
		    c->cmsg_type != PACKET_AUXDATA)
			continue;
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		tag = tag_of(aux.tp_status, aux.tp_vlan_tci, aux.tp_vlan_tpid);
	}
	*used += (LEAD_BYTES + (size_t)n + 15) & ~(size_t)15;
	return add_frame(burst, at, (size_t)n - VNET_BYTES, &tag);
}

unsigned int
raw_read(struct raw_socket *ps, struct burst *burst)
{
	unsigned int bad = 0;
	size_t used = 0, bytes = 0;

	burst_clear(burst);
	assert(ps->taken == 0);
	while (burst->n < BURST_MAX && bytes < ENOUGH_BYTES &&
	    ps->taken < ps->nslots) {
		uint8_t *slot = slot_at(ps, ps->next);
		struct tpacket2_hdr h;
		struct sockaddr_ll from;
		uint32_t status = status_of(slot);
		struct tag tag;
		bool good;

		if (!(status & TP_STATUS_USER) ||
		    POOL_BYTES - used < LARGE_BYTES)
			break;
		memcpy(&h, slot, sizeof(h));
		memcpy(&from, slot + TPACKET_ALIGN(sizeof(h)), sizeof(from));
		ps->next = (ps->next + 1) % ps->nslots;
		ps->taken++;
		tag = tag_of(status, h.tp_vlan_tci, h.tp_vlan_tpid);
		if (status & TP_STATUS_COPY)
			good = add_large(ps, burst, &used);
		else
			good = h.tp_snaplen == h.tp_len &&
			    add_frame(burst, slot + h.tp_mac, h.tp_len, &tag);
		if (good && !ps->with_outgoing &&
		    from.sll_pkttype == PACKET_OUTGOING)
			burst->n--; /* Linux before 4.20 cannot leave it out */
		bad += !good;
		bytes += h.tp_len;
	}
	return bad;
}

void
raw_done(struct raw_socket *ps)
{
	while (ps->taken > 0) {
		unsigned int i =
		    (ps->next + ps->nslots - ps->taken) % ps->nslots;
		struct tpacket2_hdr *h = (void *)slot_at(ps, i);

		__atomic_store_n(
		    &h->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		ps->taken--;
	}
}

int
raw_error(struct raw_socket *ps)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(ps->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	return -error;
}

uint64_t
raw_lost(struct raw_socket *ps)
{
	struct tpacket_stats stats;
	socklen_t len = sizeof(stats);

	/* Each look sets them to zero. */
	if (getsockopt(ps->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len) ==
	    0)
		ps->lost += stats.tp_drops;
	return ps->lost;
}

/* ---- sending ---- */

static enum reason
reason_of(int error)
{
	switch (error) {
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM: return DROP_PORT_FULL;
	case EMSGSIZE: return DROP_TOO_LONG;
	case ENETDOWN:
	case ENXIO:
	case ENODEV: return DROP_LINK_DOWN;
	default: return DROP_IO;
	}
}

/* The frame as pieces behind its header; returns how many. */
static unsigned int
pieces_of(struct raw_socket *ps, const struct frame *frame, struct iovec *piece)
{
	piece[0].iov_base = (void *)(uintptr_t)frame->data;
	piece[0].iov_len = frame->head;
	if (frame->head == frame->len)
		return 1;
	if (frame->ntail > PIECES_MAX) {
		frame_copy(ps->joined, frame, 0, frame->len);
		piece[0].iov_base = ps->joined;
		piece[0].iov_len = frame->len;
		return 1;
	}
	memcpy(&piece[1], frame->tail, frame->ntail * sizeof(piece[0]));
	return 1 + frame->ntail;
}

/* As many of the frames as fit into one call; returns how many were dealt
 * with. */
static unsigned int
send_some(struct raw_socket *ps, const struct frame *const *frames,
    unsigned int n, enum reason *reason)
{
	struct mmsghdr msg[BURST_MAX];
	struct iovec iov[4 * BURST_MAX + 2 + PIECES_MAX];
	uint8_t header[BURST_MAX][VNET_BYTES];
	unsigned int used = 0, k;
	bool joined = false;
	int sent;

	memset(msg, 0, n * sizeof(msg[0]));
	for (k = 0; k < n && !joined; k++) {
		if (sizeof(iov) / sizeof(iov[0]) - used < 2 + PIECES_MAX)
			break;
		joined = frames[k]->ntail > PIECES_MAX; /* one such a call */
		vnet_write(header[k], frames[k]);
		msg[k].msg_hdr.msg_iov = &iov[used];
		iov[used].iov_base = header[k];
		iov[used++].iov_len = VNET_BYTES;
		used += pieces_of(ps, frames[k], &iov[used]);
		msg[k].msg_hdr.msg_iovlen =
		    (size_t)(&iov[used] - msg[k].msg_hdr.msg_iov);
	}
	do
		sent = sendmmsg(ps->fd, msg, k, MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	for (int i = 0; i < sent; i++)
		reason[i] = REASON_DELIVERED;
	if (sent > 0)
		return (unsigned int)sent;
	reason[0] = reason_of(errno);
	return 1;
}

/* Sends frames as they are. */
static void
send_all(struct raw_socket *ps, const struct frame *const *frames,
    unsigned int n, enum reason *reason)
{
	unsigned int done = 0;

	while (done < n) {
		unsigned int k =
		    send_some(ps, frames + done, n - done, reason + done);

		/* Full, or without a link: so it is for all that follow. */
		if (reason[done] == DROP_PORT_FULL ||
		    reason[done] == DROP_LINK_DOWN)
			for (k = 1; done + k < n; k++)
				reason[done + k] = reason[done];
		done += k;
	}
}

void
raw_send(struct raw_socket *ps, const struct frame *const *frames,
    unsigned int n, enum reason *reason)
{
	enum reason fate[BURST_MAX];
	struct join join;

	assert(n <= BURST_MAX);
	join_frames(&join, frames, n);
	send_all(ps, join.frame, join.n, fate);
	for (unsigned int k = 0; k < join.n; k++)
		for (unsigned int i = 0; i < join.of[k]; i++)
			*reason++ = fate[k];
}

/* ---- opening ---- */

static int
failed(const struct raw_socket *ps, const char *what, struct err *err)
{
	return err_sys(err, -errno, privilege_remedy(errno), "%s: cannot %s",
	    ps->name, what);
}

static int
set(struct raw_socket *ps, int option, int value)
{
	return setsockopt(ps->fd, SOL_PACKET, option, &value, sizeof(value));
}

/* Passes all but frames of that mark. */
static int
leave_out(struct raw_socket *ps, uint32_t mark)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
		    (uint32_t)(SKF_AD_OFF + SKF_AD_MARK)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, mark, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	return setsockopt(
	    ps->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program));
}

static int
map_ring(struct raw_socket *ps, struct err *err)
{
	for (unsigned int n = BLOCKS; n >= BLOCKS_MIN; n /= 2) {
		struct tpacket_req req = {
			.tp_block_size = BLOCK_BYTES,
			.tp_block_nr = n,
			.tp_frame_size = SLOT_BYTES,
			.tp_frame_nr = n * BLOCK_SLOTS,
		};

		if (setsockopt(ps->fd, SOL_PACKET, PACKET_RX_RING, &req,
			sizeof(req)) < 0) {
			if (errno == ENOMEM)
				continue;
			break;
		}
		ps->nslots = n * BLOCK_SLOTS;
		ps->ring = mmap(NULL, ring_bytes(ps), PROT_READ | PROT_WRITE,
		    MAP_SHARED, ps->fd, 0);
		if (ps->ring != MAP_FAILED)
			return 0;
		ps->ring = NULL;
		break;
	}
	return failed(ps, "make the ring of a packet socket", err);
}

static int
prepare(
    struct raw_socket *ps, const struct raw_options *options, struct err *err)
{
	int bytes = SOCKET_BYTES;

	/* Protocol 0: nothing comes before there is an interface. */
	ps->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (ps->fd < 0)
		return failed(ps, "open a packet socket", err);
	if (set(ps, PACKET_VERSION, TPACKET_V2) < 0 ||
	    set(ps, PACKET_VNET_HDR, 1) < 0 || set(ps, PACKET_AUXDATA, 1) < 0 ||
	    set(ps, PACKET_COPY_THRESH, 1) < 0)
		return failed(ps, "set up a packet socket", err);
	/* Without it, raw_read() leaves them out. */
	if (!options->with_outgoing)
		(void)set(ps, PACKET_IGNORE_OUTGOING, 1);
	if (options->without_mark != 0 &&
	    leave_out(ps, options->without_mark) < 0)
		return failed(ps, "filter by mark", err);
	/* Smaller ones do, too. */
	if (setsockopt(
		ps->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(
		    ps->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (setsockopt(
		ps->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(
		    ps->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	if (options->mark != 0 &&
	    setsockopt(ps->fd, SOL_SOCKET, SO_MARK, &options->mark,
		sizeof(options->mark)) < 0)
		return failed(ps, "mark frames", err);
	return options->send_only ? 0 : map_ring(ps, err);
}

struct raw_socket *
raw_new(const struct raw_options *options, struct err *err)
{
	struct raw_socket *ps = calloc(1, sizeof(*ps));

	if (ps == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", options->name);
		return NULL;
	}
	ps->fd = -1;
	ps->with_outgoing = options->with_outgoing;
	strncpy(ps->name, options->name, sizeof(ps->name) - 1);
	if (prepare(ps, options, err) == 0)
		return ps;
	raw_free(ps);
	return NULL;
}

void
raw_free(struct raw_socket *ps)
{
	if (ps == NULL)
		return;
	if (ps->ring != NULL)
		munmap(ps->ring, ring_bytes(ps));
	if (ps->fd >= 0)
		close(ps->fd);
	free(ps);
}

int
raw_bind(struct raw_socket *ps, int ifindex, bool promiscuous, struct err *err)
{
	const struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ps->ring != NULL ? ETH_P_ALL : 0),
		.sll_ifindex = ifindex,
	};
	const struct packet_mreq all = {
		.mr_ifindex = ifindex,
		.mr_type = PACKET_MR_PROMISC,
	};

	if (bind(ps->fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return failed(ps, "bind to the interface", err);
	if (promiscuous &&
	    setsockopt(ps->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all,
		sizeof(all)) < 0)
		return failed(ps, "see all frames of the interface", err);
	return 0;
}

int
raw_fd(const struct raw_socket *ps)
{
	return ps->fd;
}
