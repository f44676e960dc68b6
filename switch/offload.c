/*
 * Checksums and TCP segmentation in software.
 *
 * What a frame says about itself was checked by the port that made it, but the
 * bytes may lie in a guest's memory and change.  So headers are copied before
 * they are looked at, and everything that follows is computed from the copy:
 * where TCP begins, how long the headers are, how many segments there are.  The
 * lengths inside the IP header are not read at all, since they are written
 * anew; senders leave them 0 at times.
 *
 * Pseudo headers are summed up here, not taken from the guest's checksum field:
 * whether that counts the length of the whole or of a segment has changed from
 * one system to the next.
 *
 * A tiny gso_bytes would make thousands of frames of one: a frame that needs
 * more than SEGMENTS_MAX is refused.  64 KiB at 64 bytes each still pass, while
 * no TCP works with less than 48 (RFC 9293, 3.7.1, asks for 536).
 *
 * Scratch memory of offload_send() is on the stack, one largest frame at a
 * time, since what it sends may cause another send.  The finished frames have
 * nothing left to do, so that one does not come here a second time.
 */
#include "switch/offload.h"

#include <string.h>

#include "net/checksum.h"
#include "net/eth.h"
#include "net/ip4.h"
#include "net/tcp.h"

#define SEGMENTS_MAX  1024
#define HEADERS_MAX   FRAME_HEAD_BYTES
#define SCRATCH_BYTES ((FRAME_MAX_BYTES + 15) & ~15)

#define IP6_HEADER_BYTES 40 /* RFC 8200, 3 */
#define IP6_OFF_LENGTH   4
#define IP6_OFF_SRC      8
#define IP6_HOP_BY_HOP   0
#define IP6_ROUTING      43
#define IP6_DESTINATION  60

#define TCP_OFF_SEQ    4
#define TCP_OFF_DOFF   12
#define TCP_OFF_FLAGS  13
#define TCP_OFF_URGENT 18
#define TCP_CWR        0x80 /* RFC 3168, 6.1 */

/* A frame being cut. */
struct cut {
	const struct frame *frame;
	uint32_t l3, l4; /* where IP and TCP begin */
	uint32_t header_bytes;
	uint32_t gso_bytes;
	uint32_t payload_bytes;
	uint32_t done; /* payload bytes cut so far */
	unsigned int segments;
	bool is_ip6;
	uint32_t pseudo_sum; /* addresses and protocol */
	uint8_t header[HEADERS_MAX];
};

/* ---- checksums ---- */

void
offload_checksum(uint8_t *bytes, const struct frame *frame)
{
	uint16_t sum = csum_finish(csum_add_bytes(
	    0, bytes + frame->csum_start, frame->len - frame->csum_start));

	/* In UDP a sum of 0 means that there is none (RFC 768); elsewhere both
	 * zeros are the same. */
	put_be16(bytes + frame->csum_start + frame->csum_offset,
	    sum != 0 ? sum : 0xffff);
}

/* ---- headers of a frame to be cut ---- */

/* Where the IP header begins, by the copied header, or 0. */
static uint32_t
find_ip(const struct cut *cut, uint16_t want)
{
	struct cursor c = cursor(cut->header, cut->header_bytes);
	uint16_t type;

	cur_skip(&c, 2 * sizeof(struct mac));
	type = cur_be16(&c);
	for (int i = 0; i < ETH_MAX_VLANS; i++) {
		if (type != ETH_VLAN && type != ETH_QINQ)
			break;
		cur_skip(&c, 2);
		type = cur_be16(&c);
	}
	if (c.overrun || type != want)
		return 0;
	return (uint32_t)(c.at - cut->header);
}

static bool
read_ip4(struct cut *cut)
{
	const uint8_t *ip = cut->header + cut->l3;
	uint32_t header_bytes = (uint32_t)(ip[0] & 0xf) * 4;

	if (cut->l3 + IP4_HEADER_BYTES > cut->l4 || ip[0] >> 4 != 4 ||
	    cut->l3 + header_bytes != cut->l4 ||
	    header_bytes < IP4_HEADER_BYTES || ip[IP4_OFF_PROTOCOL] != IP_TCP ||
	    (get_be16(ip + IP4_OFF_FRAGMENT) & ~IP4_DF) != 0)
		return false;
	cut->pseudo_sum = csum_pseudo4(
	    get_be32(ip + IP4_OFF_SRC), get_be32(ip + IP4_OFF_DST), IP_TCP, 0);
	return true;
}

/* Walks the extension headers, which must lead to TCP at l4. */
static bool
read_ip6(struct cut *cut)
{
	const uint8_t *ip = cut->header + cut->l3;
	uint32_t at = cut->l3 + IP6_HEADER_BYTES;
	uint8_t next;

	if (at > cut->l4 || ip[0] >> 4 != 6)
		return false;
	next = ip[6];
	while (at < cut->l4) {
		const uint8_t *ext = cut->header + at;

		if (next != IP6_HOP_BY_HOP && next != IP6_DESTINATION &&
		    next != IP6_ROUTING)
			return false;
		/* On the way to its last stop the sum is over another address
		 * than the header's (RFC 8200, 8.1). */
		if (next == IP6_ROUTING && ext[3] != 0)
			return false;
		next = ext[0];
		at += ((uint32_t)ext[1] + 1) * 8;
	}
	if (at != cut->l4 || next != IP_TCP)
		return false;
	cut->pseudo_sum = csum_add_bytes(IP_TCP, ip + IP6_OFF_SRC, 32);
	return true;
}

static bool
read_tcp(struct cut *cut)
{
	const uint8_t *tcp = cut->header + cut->l4;
	uint32_t tcp_bytes = (uint32_t)(tcp[TCP_OFF_DOFF] >> 4) * 4;

	if (tcp_bytes < TCP_HEADER_BYTES ||
	    cut->l4 + tcp_bytes > cut->header_bytes)
		return false;
	if (tcp[TCP_OFF_FLAGS] & (TCP_SYN | TCP_RST))
		return false;
	cut->header_bytes = cut->l4 + tcp_bytes;
	return true;
}

/* Reads the headers, once, and plans the segments.  False if they are not what
 * the flags promise. */
static bool
cut_begin(struct cut *cut, const struct frame *frame)
{
	cut->frame = frame;
	cut->is_ip6 = frame->flags & FRAME_TSO6;
	cut->l4 = frame->csum_start;
	cut->gso_bytes = frame->gso_bytes;
	cut->done = 0;
	/* what may be headers; read_tcp() knows how many there are */
	cut->header_bytes = frame->len < HEADERS_MAX ? frame->len : HEADERS_MAX;
	if (cut->l4 + TCP_HEADER_BYTES > cut->header_bytes ||
	    cut->gso_bytes == 0)
		return false;
	frame_copy(cut->header, frame, 0, cut->header_bytes);
	cut->l3 = find_ip(cut, cut->is_ip6 ? ETH_IPV6 : ETH_IPV4);
	if (cut->l3 == 0 || !(cut->is_ip6 ? read_ip6(cut) : read_ip4(cut)) ||
	    !read_tcp(cut))
		return false;
	cut->payload_bytes = frame->len - cut->header_bytes;
	cut->segments =
	    (cut->payload_bytes + cut->gso_bytes - 1) / cut->gso_bytes;
	if (cut->segments == 0)
		cut->segments = 1;
	if (cut->segments > SEGMENTS_MAX || frame->len > FRAME_MAX_BYTES)
		return false;
	/* an IP length is 16 bits */
	return cut->header_bytes - cut->l3 +
	    (cut->segments > 1 ? cut->gso_bytes : cut->payload_bytes) <=
	    IP4_MAX_BYTES;
}

/* ---- segments ---- */

/* The length of the next segment with its headers. */
static uint32_t
cut_bytes(const struct cut *cut)
{
	uint32_t left = cut->payload_bytes - cut->done;

	return cut->header_bytes +
	    (left < cut->gso_bytes ? left : cut->gso_bytes);
}

static void
write_ip(const struct cut *cut, uint8_t *out, uint32_t len)
{
	uint8_t *ip = out + cut->l3;

	if (cut->is_ip6) {
		put_be16(ip + IP6_OFF_LENGTH,
		    (uint16_t)(len - cut->l3 - IP6_HEADER_BYTES));
		return;
	}
	put_be16(ip + IP4_OFF_LENGTH, (uint16_t)(len - cut->l3));
	put_be16(ip + IP4_OFF_ID,
	    (uint16_t)(get_be16(ip + IP4_OFF_ID) + cut->done / cut->gso_bytes));
	put_be16(ip + IP4_OFF_CHECKSUM, 0);
	put_be16(ip + IP4_OFF_CHECKSUM,
	    csum_finish(csum_add_bytes(0, ip, cut->l4 - cut->l3)));
}

/* The flags as if each segment had been sent alone: FIN and PSH come with the
 * last one, CWR with the first (RFC 3168, 6.1.2), and the urgent pointer counts
 * from the segment's own number. */
static void
write_tcp(const struct cut *cut, uint8_t *out, uint32_t len)
{
	uint8_t *tcp = out + cut->l4;
	uint32_t payload = len - cut->header_bytes;
	uint32_t urgent = get_be16(tcp + TCP_OFF_URGENT);

	put_be32(tcp + TCP_OFF_SEQ, get_be32(tcp + TCP_OFF_SEQ) + cut->done);
	if (cut->done + payload < cut->payload_bytes)
		tcp[TCP_OFF_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (cut->done > 0)
		tcp[TCP_OFF_FLAGS] &= (uint8_t)~TCP_CWR;
	if (tcp[TCP_OFF_FLAGS] & TCP_URG && cut->done > 0) {
		if (urgent <= cut->done)
			tcp[TCP_OFF_FLAGS] &= (uint8_t)~TCP_URG;
		put_be16(tcp + TCP_OFF_URGENT,
		    (uint16_t)(urgent > cut->done ? urgent - cut->done : 0));
	}
	put_be16(tcp + TCP_OFF_CHECKSUM, 0);
	put_be16(tcp + TCP_OFF_CHECKSUM,
	    csum_finish(csum_add_bytes(
		csum_add(cut->pseudo_sum, len - cut->l4), tcp, len - cut->l4)));
}

/* Writes the next segment, of cut_bytes(). */
static void
cut_next(struct cut *cut, uint8_t *out)
{
	uint32_t len = cut_bytes(cut);
	uint32_t payload = len - cut->header_bytes;

	memcpy(out, cut->header, cut->header_bytes);
	frame_copy(out + cut->header_bytes, cut->frame,
	    cut->header_bytes + cut->done, payload);
	write_ip(cut, out, len);
	write_tcp(cut, out, len);
	cut->done += payload;
}

unsigned int
offload_segment(const struct frame *frame,
    void (*each)(void *arg, const uint8_t *data, size_t len), void *arg)
{
	uint8_t out[FRAME_MAX_BYTES];
	struct cut cut;

	if (!cut_begin(&cut, frame))
		return 0;
	for (unsigned int i = 0; i < cut.segments; i++) {
		uint32_t len = cut_bytes(&cut);

		cut_next(&cut, out);
		each(arg, out, len);
	}
	return cut.segments;
}

/* ---- sending ---- */

/* Finished frames on their way to a burst. */
struct finisher {
	struct port *port;
	void (*send)(
	    struct port *port, struct burst *burst, enum reason refusal);
	struct burst *from;    /* the originals */
	struct burst out;      /* finished */
	uint8_t of[BURST_MAX]; /* which original each comes from */
	uint32_t used;         /* of scratch */
	uint8_t scratch[SCRATCH_BYTES];
};

static void
flush(struct finisher *f)
{
	f->send(f->port, &f->out, DROP_NONE);
	for (unsigned int i = 0; i < f->out.n; i++)
		f->from->frame[f->of[i]].verdict = f->out.frame[i].verdict;
	burst_clear(&f->out);
	f->used = 0;
}

/* A place in the burst for a frame made of original i. */
static struct frame *
next_frame(struct finisher *f, unsigned int i)
{
	if (f->out.n == BURST_MAX)
		flush(f);
	f->of[f->out.n] = (uint8_t)i;
	return &f->out.frame[f->out.n++];
}

/* A finished frame of len bytes in scratch, which the caller writes. */
static uint8_t *
finished(struct finisher *f, unsigned int i, uint32_t len)
{
	uint8_t *bytes;
	struct frame *frame;

	if (len > sizeof(f->scratch) - f->used || f->out.n == BURST_MAX)
		flush(f);
	bytes = f->scratch + f->used;
	f->used += (len + 15) & ~15u;
	frame = next_frame(f, i);
	*frame = (struct frame){
		.data = bytes,
		.len = len,
		.head = len,
		.cause = f->from->frame[i].cause,
		.verdict.journey = f->from->frame[i].verdict.journey,
	};
	return bytes;
}

/* Refuses original i in its turn. */
static void
cannot(struct finisher *f, unsigned int i)
{
	struct burst one;

	flush(f);
	burst_clear(&one);
	one.frame[one.n++] = f->from->frame[i];
	f->send(f->port, &one, DROP_VNET_HEADER);
	f->from->frame[i].verdict = one.frame[0].verdict;
}

static void
finish(struct finisher *f, unsigned int i, uint8_t missing)
{
	struct frame *frame = &f->from->frame[i];

	if (!(frame->flags & missing)) {
		*next_frame(f, i) = *frame;
		f->out.flags |= frame->flags;
	} else if (frame->flags & (FRAME_TSO4 | FRAME_TSO6)) {
		struct cut cut;

		if (!cut_begin(&cut, frame)) {
			cannot(f, i);
			return;
		}
		for (unsigned int k = 0; k < cut.segments; k++)
			cut_next(&cut, finished(f, i, cut_bytes(&cut)));
	} else if (frame->len > FRAME_MAX_BYTES) {
		cannot(f, i);
	} else {
		uint8_t *bytes = finished(f, i, frame->len);

		frame_copy(bytes, frame, 0, frame->len);
		offload_checksum(bytes, frame);
	}
}

void
offload_send(struct port *port, struct burst *burst, uint8_t missing,
    void (*send)(struct port *port, struct burst *burst, enum reason refusal))
{
	struct finisher f;

	f.port = port;
	f.send = send;
	f.from = burst;
	f.used = 0;
	burst_clear(&f.out);
	for (unsigned int i = 0; i < burst->n; i++)
		finish(&f, i, missing);
	flush(&f);
}

uint32_t
offload_wire_frames(const struct frame *frame, uint32_t *bytes)
{
	uint32_t payload, n;

	*bytes = frame->len;
	if (!(frame->flags & (FRAME_TSO4 | FRAME_TSO6)) ||
	    frame->gso_bytes == 0 || frame->len <= frame->header_bytes)
		return 1;
	payload = frame->len - frame->header_bytes;
	n = (payload + frame->gso_bytes - 1) / frame->gso_bytes;
	*bytes += (n - 1) * frame->header_bytes;
	return n;
}
