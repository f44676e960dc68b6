/*
 * Frames and virtio-net rings.
 *
 * A transmit burst goes by in three passes - heads, chains, frames - each of
 * which asks for the memory that the next one reads, so that the cache misses
 * of up to 64 frames overlap: what another processor wrote is never in our
 * cache.  The buffers that frames are copied to are asked for one by one, a few
 * before their turn: all at once, they would push out what is to be copied.
 *
 * A frame's bytes stay where the guest put them.  Only when its first
 * FRAME_HEAD_BYTES are in several pieces (Linux puts headers and payload in
 * different pages) are these copied together, and the rest stays.  A chain of
 * more than VHOST_PIECES_MAX pieces is refused rather than copied: no driver
 * makes one.
 *
 * A receive chain that is wrong costs the frame that met it, never a search for
 * a better one: else a guest could make each frame walk its whole ring.
 */
#include "switch/vhost_net.h"

#include <linux/virtio_net.h>
#include <string.h>

#include "net/eth.h"
#include "switch/vnet.h"

static bool
has(uint64_t features, unsigned int bit)
{
	return features >> bit & 1;
}

struct vhost_rules
vhost_rules_of(uint64_t features)
{
	struct vhost_rules rules = { .header_bytes = VNET_BYTES };

	rules.mergeable = has(features, VIRTIO_NET_F_MRG_RXBUF);
	if (rules.mergeable || has(features, VIRTIO_F_VERSION_1))
		rules.header_bytes = VNET_BYTES_MRG;
	if (has(features, VIRTIO_NET_F_CSUM)) {
		rules.sends = FRAME_CSUM;
		if (has(features, VIRTIO_NET_F_HOST_TSO4))
			rules.sends |= FRAME_TSO4;
		if (has(features, VIRTIO_NET_F_HOST_TSO6))
			rules.sends |= FRAME_TSO6;
	}
	if (has(features, VIRTIO_NET_F_GUEST_CSUM)) {
		rules.receives = FRAME_CSUM | FRAME_VALID;
		if (has(features, VIRTIO_NET_F_GUEST_TSO4))
			rules.receives |= FRAME_TSO4;
		if (has(features, VIRTIO_NET_F_GUEST_TSO6))
			rules.receives |= FRAME_TSO6;
	}
	return rules;
}

/* ---- out of a transmit ring ---- */

/* The pieces of one chain that are still to be read. */
struct rest {
	struct iovec *piece;
	unsigned int n;
};

/* Copies n bytes, which the pieces have, and goes on behind them. */
static void
copy_out(struct rest *rest, uint8_t *to, size_t n)
{
	while (n > 0) {
		struct iovec *p = rest->piece;
		size_t part = p->iov_len < n ? p->iov_len : n;

		memcpy(to, p->iov_base, part);
		to += part;
		n -= part;
		p->iov_base = (uint8_t *)p->iov_base + part;
		p->iov_len -= part;
		if (p->iov_len == 0) {
			rest->piece++;
			rest->n--;
		}
	}
}

/* What the header says about the frame, whose bytes are described. */
static enum reason
read_header(struct frame *frame, uint8_t header[VNET_BYTES],
    const struct vhost_rules *rules)
{
	uint8_t(*copy)[VNET_BYTES] = (uint8_t(*)[VNET_BYTES])header;
	enum reason reason;

	__asm__("" : "+m"(*copy)); /* what was read is what is checked */
	reason = vnet_parse(frame, header);
	if (reason == DROP_NONE && frame->flags & FRAME_TODO & ~rules->sends)
		reason = DROP_VNET_HEADER;
	frame->flags &= FRAME_TODO; /* its word on validity is no proof */
	return reason;
}

/* Describes the frame in the pieces of a chain of bytes in all.  head is
 * memory for its head, if it is in several pieces. */
static enum reason
view_pieces(struct frame *frame, struct iovec *piece, unsigned int n,
    uint64_t bytes, const struct vhost_rules *rules,
    uint8_t head[FRAME_HEAD_BYTES])
{
	struct rest rest = { piece, n };
	uint8_t header[VNET_BYTES_MRG];
	uint32_t len;

	if (bytes < rules->header_bytes + (uint64_t)ETH_HEADER_BYTES)
		return DROP_SHORT;
	if (bytes - rules->header_bytes > FRAME_MAX_BYTES)
		return DROP_TOO_LONG;
	len = (uint32_t)bytes - rules->header_bytes;
	copy_out(&rest, header, rules->header_bytes);
	frame->len = len;
	frame->cause = NULL;
	frame->verdict.journey = 0;
	if (rest.n == 1 || rest.piece->iov_len >= FRAME_HEAD_BYTES) {
		frame->data = rest.piece->iov_base;
		frame->head = (uint32_t)rest.piece->iov_len;
		rest.piece++;
		rest.n--;
	} else {
		frame->data = head;
		frame->head = len < FRAME_HEAD_BYTES ? len : FRAME_HEAD_BYTES;
		copy_out(&rest, head, frame->head);
	}
	frame->tail = rest.piece;
	frame->ntail = (uint16_t)rest.n;
	return read_header(frame, header, rules);
}

/* Describes the frame in one piece, which has at least a header. */
static inline enum reason
view_single(struct frame *frame, uint8_t *at, uint32_t bytes,
    const struct vhost_rules *rules)
{
	const unsigned int skip = rules->header_bytes;
	uint8_t header[VNET_BYTES];
	uint16_t asked; /* flags and GSO type */

	frame->data = at + skip;
	frame->len = frame->head = bytes - skip;
	frame->tail = NULL;
	frame->ntail = 0;
	frame->flags = 0;
	frame->cause = NULL;
	frame->verdict.journey = 0;
	memcpy(&asked, at, sizeof(asked));
	if (asked == 0)
		return DROP_NONE;
	memcpy(header, at, sizeof(header));
	return read_header(frame, header, rules);
}

/* A chain between the passes. */
struct chain {
	uint8_t *at; /* NULL: not in one piece */
	uint64_t bytes;
	unsigned int first, n; /* pieces */
	enum reason reason;
};

/* Finds where up to n chains lie; returns of how many. */
static unsigned int
find_pieces(struct vring *vring, struct vhost_gather *gather,
    struct chain *chain, unsigned int n, unsigned int least)
{
	const unsigned int max = sizeof(gather->piece) / sizeof(struct iovec);
	unsigned int used = 0, i;

	for (i = 0; i < n; i++) {
		struct chain *c = &chain[i];

		c->bytes = vring_single(vring, gather->id[i], false, &c->at);
		if (c->bytes >= least && c->bytes < FRAME_MAX_BYTES) {
			__builtin_prefetch(c->at);
			__builtin_prefetch(c->at + 64);
			continue;
		}
		if (max - used < VHOST_PIECES_MAX)
			break;
		c->at = NULL;
		c->first = used;
		c->reason = vring_chain(vring, gather->id[i], false,
		    &gather->piece[used], VHOST_PIECES_MAX, &c->n, &c->bytes);
		if (c->reason == DROP_NONE)
			used += c->n;
	}
	return i;
}

int
vhost_net_fetch(struct vring *vring, const struct vhost_rules *rules,
    struct vhost_gather *gather, struct burst *burst, struct node *node)
{
	struct chain chain[BURST_MAX];
	int offered = vring_poll_for(vring, BURST_MAX);
	unsigned int n =
	    offered > BURST_MAX ? BURST_MAX : (unsigned int)offered;
	unsigned int good = 0, known = 0; /* kept out of memory in the loop */
	uint8_t flags = 0;

	burst_clear(burst);
	gather->n = 0;
	if (offered <= 0)
		return offered;
	for (unsigned int i = 0; i < n; i++) {
		gather->id[i] = vring_head(vring, i);
		vring_prefetch(vring, gather->id[i]);
	}
	n = find_pieces(vring, gather, chain, n,
	    (unsigned int)rules->header_bytes + ETH_HEADER_BYTES);
	for (unsigned int i = 0; i < n; i++) {
		struct frame *frame = &burst->frame[good];
		uint16_t id = gather->id[i];
		struct chain *c = &chain[i];
		enum reason reason;

		if (c->at != NULL)
			reason = view_single(
			    frame, c->at, (uint32_t)c->bytes, rules);
		else if (c->reason != DROP_NONE)
			reason = c->reason;
		else
			reason = view_pieces(frame, &gather->piece[c->first],
			    c->n, c->bytes, rules, gather->head[good]);
		if (reason == DROP_NONE) {
			good++;
			flags |= frame->flags;
		} else {
			node->count[reason]++;
		}
		/* A head that is not in the table cannot be given back. */
		if (id <= vring->mask)
			gather->id[known++] = id;
	}
	burst->n = good;
	burst->flags = flags;
	gather->n = known;
	vring_take(vring, n);
	return (int)n;
}

void
vhost_net_return(struct vring *vring, struct vhost_gather *gather)
{
	vring_put_read(vring, gather->id, gather->n);
	gather->n = 0;
	vring_publish(vring);
}

/* ---- into a receive ring ---- */

/* Copies n bytes into the pieces, which have room, and goes on behind them.  A
 * guest's frame may come back to it, into the buffer that it lies in. */
static void
copy_in(struct rest *rest, const uint8_t *from, size_t n)
{
	while (n > 0) {
		struct iovec *p = rest->piece;
		size_t part = p->iov_len < n ? p->iov_len : n;

		memmove(p->iov_base, from, part);
		from += part;
		n -= part;
		p->iov_base = (uint8_t *)p->iov_base + part;
		p->iov_len -= part;
		if (p->iov_len == 0) {
			rest->piece++;
			rest->n--;
		}
	}
}

static void
write_frame(struct iovec *piece, unsigned int n, const struct frame *frame,
    const struct vhost_rules *rules, unsigned int buffers)
{
	struct rest rest = { piece, n };
	uint8_t header[VNET_BYTES_MRG];

	vnet_write(header, frame);
	if (!(rules->receives & FRAME_VALID) && frame->flags & FRAME_VALID)
		memset(header, 0, VNET_BYTES);
	header[10] = (uint8_t)buffers;
	header[11] = (uint8_t)(buffers >> 8);
	copy_in(&rest, header, rules->header_bytes);
	copy_in(&rest, frame->data, frame->head);
	for (unsigned int i = 0; i < frame->ntail; i++)
		copy_in(&rest, frame->tail[i].iov_base, frame->tail[i].iov_len);
}

/* Gives back the first n chains on offer, empty. */
static void
give_back(struct vring *vring, unsigned int n)
{
	for (unsigned int k = 0; k < n; k++) {
		uint16_t head = vring_head(vring, k);

		if (head <= vring->mask)
			vring_put(vring, head, 0);
	}
	vring_take(vring, n);
}

/* The frame does not fit one chain: spreads it over as many as it needs. */
static enum reason
put_merged(struct vring *vring, const struct vhost_rules *rules,
    struct vhost_scatter *scatter, const struct frame *frame)
{
	uint64_t need = (uint64_t)rules->header_bytes + frame->len, have = 0;
	unsigned int pieces = 0, chains = 0;

	while (have < need) {
		int offered = vring_poll_for(vring, chains + 1);
		unsigned int n;
		enum reason reason;

		if (offered < 0)
			return DROP_RING_INDEX;
		if ((unsigned int)offered <= chains)
			return DROP_RING_EMPTY;
		if (chains == VHOST_MERGE_MAX)
			return DROP_RING_PIECES;
		scatter->id[chains] = vring_head(vring, chains);
		reason = vring_chain(vring, scatter->id[chains], true,
		    &scatter->piece[pieces], VHOST_PIECES_MAX - pieces, &n,
		    &scatter->bytes[chains]);
		if (reason != DROP_NONE) {
			give_back(vring, chains + 1);
			return reason;
		}
		have += scatter->bytes[chains++];
		pieces += n;
	}
	write_frame(scatter->piece, pieces, frame, rules, chains);
	for (unsigned int k = 0; k < chains; k++) {
		uint64_t part =
		    scatter->bytes[k] < need ? scatter->bytes[k] : need;

		vring_put(vring, scatter->id[k], (uint32_t)part);
		need -= part;
	}
	vring_take(vring, chains);
	return REASON_DELIVERED;
}

enum reason
vhost_net_put(struct vring *vring, const struct vhost_rules *rules,
    struct vhost_scatter *scatter, const struct frame *frame)
{
	uint64_t need = (uint64_t)rules->header_bytes + frame->len, have;
	int offered = vring_poll_for(vring, 1);
	enum reason reason;
	unsigned int n;
	uint16_t head;

	if (offered < 0)
		return DROP_RING_INDEX;
	if (offered == 0)
		return DROP_RING_EMPTY;
	head = vring_head(vring, 0);
	reason = vring_chain(
	    vring, head, true, scatter->piece, VHOST_PIECES_MAX, &n, &have);
	if (reason != DROP_NONE) {
		give_back(vring, 1);
		return reason;
	}
	if (have < need)
		return rules->mergeable
		    ? put_merged(vring, rules, scatter, frame)
		    : DROP_TOO_LONG;
	write_frame(scatter->piece, n, frame, rules, 1);
	vring_put(vring, head, (uint32_t)need);
	vring_take(vring, 1);
	return REASON_DELIVERED;
}

/* Where the chains on offer lie that are one descriptor in one piece. */
struct ahead {
	uint8_t *at;
	uint32_t bytes; /* 0: anything else */
	uint16_t head;
};

/* Looks at up to n chains; returns at how many. */
static unsigned int
look_ahead(struct vring *vring, struct ahead *ahead, unsigned int n)
{
	int offered = vring_poll_for(vring, n);

	if (offered < (int)n)
		n = offered > 0 ? (unsigned int)offered : 0;
	for (unsigned int i = 0; i < n; i++) {
		ahead[i].head = vring_head(vring, i);
		vring_prefetch(vring, ahead[i].head);
	}
	for (unsigned int i = 0; i < n; i++)
		ahead[i].bytes =
		    vring_single(vring, ahead[i].head, true, &ahead[i].at);
	return n;
}

#define FETCH_AHEAD 4 /* buffers: as long as one takes to come */

/* Has the processor fetch the first line of a buffer, which the guest read last,
 * as its own.  (gcc knows this instruction by an option only, for processors
 * that no longer matter; where it is not known, it does nothing.) */
static inline void
fetch_to_write(const struct ahead *ahead)
{
	if (ahead->bytes == 0)
		return;
#ifdef __x86_64__
	__asm__ volatile("prefetchw %0" : : "m"(*ahead->at));
#else
	__builtin_prefetch(ahead->at, 1);
#endif
}

/* The header of a frame with nothing left to do, in one buffer. */
static inline void
write_plain_header(uint8_t *at, unsigned int header_bytes)
{
	const uint64_t nothing = 0;
	const uint32_t one_buffer = 1 << 16; /* behind csum_offset */

	memcpy(at, &nothing, 8);
	if (header_bytes == VNET_BYTES_MRG)
		memcpy(at + 8, &one_buffer, 4);
	else
		memcpy(at + 8, &nothing, 2);
}

/* Copies a frame of one piece.  It may come back to the guest that sent it, into
 * the buffer that it lies in: so all of a short one is read before any of it is
 * written, as memmove() does for long ones. */
static inline void
write_piece(uint8_t *to, const uint8_t *from, uint32_t len)
{
	uint64_t first[4], last[4];

	if (len < sizeof(first) || len > 2 * sizeof(first)) {
		memmove(to, from, len);
		return;
	}
	memcpy(first, from, sizeof(first));
	memcpy(last, from + len - sizeof(last), sizeof(last));
	memcpy(to, first, sizeof(first));
	memcpy(to + len - sizeof(last), last, sizeof(last));
}

void
vhost_net_deliver(struct vring *vring, const struct vhost_rules *rules,
    struct vhost_scatter *scatter, struct burst *burst, struct node *node)
{
	const unsigned int skip = rules->header_bytes;
	struct ahead ahead[BURST_MAX];
	unsigned int n = look_ahead(vring, ahead, burst->n);
	uint16_t from = vring->next, k = 0;
	unsigned int delivered = 0;

	for (unsigned int i = 0; i < burst->n; i++) {
		struct frame *frame = &burst->frame[i];
		uint32_t need = skip + frame->len;

		if (k >= n || ahead[k].bytes < need || frame->ntail > 0 ||
		    frame->flags != 0) {
			node_judge(node, frame,
			    vhost_net_put(vring, rules, scatter, frame));
			k = (uint16_t)(vring->next - from);
			continue;
		}
		if ((unsigned int)k + FETCH_AHEAD < n)
			fetch_to_write(&ahead[k + FETCH_AHEAD]);
		write_plain_header(ahead[k].at, skip);
		write_piece(ahead[k].at + skip, frame->data, frame->len);
		vring_put(vring, ahead[k].head, need);
		vring_take(vring, 1);
		k++;
		frame_judge(frame, node, REASON_DELIVERED);
		delivered++;
	}
	node->count[REASON_DELIVERED] += delivered;
	vring_publish(vring);
}
