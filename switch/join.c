/*
 * Joining segments.
 *
 * A frame begins a run, and those behind it that are its continuation join it:
 * the same headers but for lengths, sums, id and sequence number, which follow
 * from the first one's; payloads as long as the first one's, but for the last
 * one's, which may be shorter; nothing but ACK set, and PSH in the last one.
 *
 * The bytes may lie in a guest's memory: headers are copied before they are
 * looked at, and it is the copy that leaves.  Sums are verified, since cutting
 * makes new ones, which would hide that a segment was damaged.  That costs a
 * fraction of what a frame costs the port.
 *
 * Rejected: joining where frames come in.  Fewer frames would go through the
 * switches, but they would be counted, captured and explained as something that
 * nobody sent; and it is the kernel where the time goes.
 */
#include "switch/join.h"

#include <assert.h>
#include <string.h>

#include "net/checksum.h"
#include "net/eth.h"
#include "net/ip4.h"
#include "net/tcp.h"

#define L4            (ETH_HEADER_BYTES + IP4_HEADER_BYTES)
#define OFF_SEQ       (L4 + 4)
#define OFF_ACK       (L4 + 8)
#define OFF_DOFF      (L4 + 12)
#define OFF_FLAGS     (L4 + 13)
#define OFF_WINDOW    (L4 + 14)
#define OFF_URGENT    (L4 + 18)
#define OFF_OPTIONS   (L4 + TCP_HEADER_BYTES)
#define OFF_IP(field) (ETH_HEADER_BYTES + IP4_OFF_##field)

static_assert(JOIN_HEADER_BYTES == L4 + 60, "TCP's longest header");

/* A frame that may be one of a run. */
struct segment {
	const struct frame *frame;
	uint32_t header_bytes, payload_bytes;
	bool push;
	uint8_t header[JOIN_HEADER_BYTES];
};

/* ---- reading ---- */

/* Is it a plain segment, with payload? */
static bool
read_segment(struct segment *s, const struct frame *frame)
{
	const uint8_t *h;
	uint32_t have =
	    frame->head < JOIN_HEADER_BYTES ? frame->head : JOIN_HEADER_BYTES;

	if (have < OFF_OPTIONS || frame->flags & (FRAME_TSO4 | FRAME_TSO6))
		return false;
	s->frame = frame;
	memcpy(s->header, frame->data, have);
	h = s->header;
	s->header_bytes = L4 + (uint32_t)(h[OFF_DOFF] >> 4) * 4;
	s->push = (h[OFF_FLAGS] & TCP_PSH) != 0;
	if (get_be16(h + 12) != ETH_IPV4 || h[ETH_HEADER_BYTES] != 0x45 ||
	    h[OFF_IP(PROTOCOL)] != IP_TCP ||
	    get_be16(h + OFF_IP(LENGTH)) != frame->len - ETH_HEADER_BYTES ||
	    (get_be16(h + OFF_IP(FRAGMENT)) & ~IP4_DF) != 0 ||
	    (h[OFF_FLAGS] & ~TCP_PSH) != TCP_ACK ||
	    s->header_bytes < OFF_OPTIONS || s->header_bytes > have ||
	    s->header_bytes >= frame->len)
		return false;
	if (frame->flags & FRAME_CSUM &&
	    (frame->csum_start != L4 || frame->csum_offset != TCP_OFF_CHECKSUM))
		return false;
	s->payload_bytes = frame->len - s->header_bytes;
	return true;
}

/* The sum of the TCP segment, if its pieces allow to add them up. */
static bool
sum_pieces(const struct segment *s, uint32_t *sum)
{
	const struct frame *f = s->frame;
	uint32_t at = s->header_bytes;

	*sum = csum_add_bytes(*sum, s->header + L4, at - L4);
	*sum = csum_add_bytes(*sum, f->data + at, f->head - at);
	at = f->head;
	for (unsigned int i = 0; i < f->ntail; i++) {
		if (at % 2 != 0)
			return false;
		*sum = csum_add_bytes(
		    *sum, f->tail[i].iov_base, f->tail[i].iov_len);
		at += (uint32_t)f->tail[i].iov_len;
	}
	return true;
}

static bool
sums_are_right(const struct segment *s)
{
	const uint8_t *ip = s->header + ETH_HEADER_BYTES;
	uint32_t sum = csum_pseudo4(get_be32(ip + IP4_OFF_SRC),
	    get_be32(ip + IP4_OFF_DST), IP_TCP, (uint16_t)(s->frame->len - L4));

	if (!csum_header_is_right(ip, IP4_HEADER_BYTES))
		return false;
	if (s->frame->flags & FRAME_CSUM)
		return true; /* it has none yet */
	return sum_pieces(s, &sum) && csum_fold(sum) == 0xffff;
}

/* ---- runs ---- */

struct run {
	struct segment first;
	uint32_t payload_bytes, pieces;
	unsigned int n;
	bool sound;  /* the first one's sums were right */
	bool closed; /* nothing follows what it ends with */
};

static unsigned int
pieces_of(const struct segment *s)
{
	return s->frame->ntail + (s->frame->head > s->header_bytes);
}

static void
run_begin(struct run *run)
{
	run->payload_bytes = run->first.payload_bytes;
	run->pieces = pieces_of(&run->first);
	run->n = 1;
	run->sound = false;
	run->closed = run->first.push;
}

static bool
same(const struct segment *a, const struct segment *b, uint32_t from,
    uint32_t to)
{
	return memcmp(a->header + from, b->header + from, to - from) == 0;
}

/* Does a segment continue a run, by its headers? */
static bool
continues(const struct run *run, const struct segment *s)
{
	const struct segment *f = &run->first;

	return !run->closed && run->n < JOIN_MAX &&
	    run->pieces + pieces_of(s) <= JOIN_PIECES &&
	    s->header_bytes == f->header_bytes &&
	    s->payload_bytes <= f->payload_bytes &&
	    f->header_bytes + run->payload_bytes + s->payload_bytes <=
	    ETH_HEADER_BYTES + IP4_MAX_BYTES &&
	    get_be32(s->header + OFF_SEQ) ==
	    get_be32(f->header + OFF_SEQ) + run->payload_bytes &&
	    get_be16(s->header + OFF_IP(ID)) ==
	    (uint16_t)(get_be16(f->header + OFF_IP(ID)) + run->n) &&
	    same(f, s, 0, OFF_IP(LENGTH)) &&
	    same(f, s, OFF_IP(FRAGMENT), OFF_IP(CHECKSUM)) &&
	    same(f, s, OFF_IP(SRC), OFF_SEQ) &&
	    same(f, s, OFF_ACK, OFF_FLAGS) &&
	    same(f, s, OFF_WINDOW, L4 + TCP_OFF_CHECKSUM) &&
	    same(f, s, OFF_URGENT, f->header_bytes);
}

static bool
run_takes(struct run *run, const struct segment *s)
{
	if (!continues(run, s))
		return false;
	if (!run->sound && !sums_are_right(&run->first)) {
		run->closed = true;
		return false;
	}
	run->sound = true;
	if (!sums_are_right(s))
		return false;
	run->payload_bytes += s->payload_bytes;
	run->pieces += pieces_of(s);
	run->n++;
	run->closed = s->push || s->payload_bytes < run->first.payload_bytes;
	if (s->push)
		run->first.header[OFF_FLAGS] |= TCP_PSH;
	return true;
}

/* ---- what leaves ---- */

static struct iovec *
add_pieces(struct iovec *piece, const struct frame *f, uint32_t header_bytes)
{
	if (f->head > header_bytes)
		*piece++ =
		    (struct iovec){ (void *)(uintptr_t)(f->data + header_bytes),
			    f->head - header_bytes };
	for (unsigned int i = 0; i < f->ntail; i++)
		*piece++ = f->tail[i];
	return piece;
}

/* Writes the frame that stands for a run of frames. */
static void
run_write(const struct run *run, const struct frame *const *frames,
    struct joined *joined)
{
	uint32_t header_bytes = run->first.header_bytes;
	uint8_t *ip = joined->header + ETH_HEADER_BYTES;
	uint32_t len = header_bytes + run->payload_bytes;
	struct iovec *piece = joined->piece;

	memcpy(joined->header, run->first.header, header_bytes);
	put_be16(ip + IP4_OFF_LENGTH, (uint16_t)(len - ETH_HEADER_BYTES));
	put_be16(ip + IP4_OFF_CHECKSUM, 0);
	put_be16(ip + IP4_OFF_CHECKSUM,
	    csum_finish(csum_add_bytes(0, ip, IP4_HEADER_BYTES)));
	put_be16(joined->header + L4 + TCP_OFF_CHECKSUM,
	    csum_fold(csum_pseudo4(get_be32(ip + IP4_OFF_SRC),
		get_be32(ip + IP4_OFF_DST), IP_TCP, (uint16_t)(len - L4))));
	for (unsigned int i = 0; i < run->n; i++)
		piece = add_pieces(piece, frames[i], header_bytes);
	joined->frame = (struct frame){
		.data = joined->header,
		.tail = joined->piece,
		.len = len,
		.head = header_bytes,
		.ntail = (uint16_t)(piece - joined->piece),
		.flags = FRAME_CSUM | FRAME_TSO4,
		.csum_start = L4,
		.csum_offset = TCP_OFF_CHECKSUM,
		.gso_bytes = (uint16_t)run->first.payload_bytes,
		.header_bytes = (uint16_t)header_bytes,
	};
}

void
join_frames(
    struct join *join, const struct frame *const *frames, unsigned int n)
{
	unsigned int njoined = 0;

	join->n = 0;
	for (unsigned int at = 0; at < n; at += join->of[join->n++]) {
		struct segment next;
		struct run run;

		join->frame[join->n] = frames[at];
		join->of[join->n] = 1;
		if (at + 1 == n || !read_segment(&run.first, frames[at]))
			continue;
		run_begin(&run);
		while (at + run.n < n &&
		    read_segment(&next, frames[at + run.n]) &&
		    run_takes(&run, &next))
			continue;
		if (run.n == 1)
			continue;
		run_write(&run, frames + at, &join->joined[njoined]);
		join->frame[join->n] = &join->joined[njoined++].frame;
		join->of[join->n] = (uint8_t)run.n;
	}
}
