/*
 * Frames and virtio-net rings.
 *
 * A transmit burst goes by in three passes - heads, chains, frames - each of
 * which asks for the memory that the next one reads, so that the cache misses
 * of up to 64 frames overlap: what another processor wrote is never in our
 * cache.
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

/* Describes the frame in the pieces of a chain of bytes in all.  head is
 * memory for its head, if it is in several pieces. */
static enum reason
view(struct frame *frame, struct iovec *piece, unsigned int n, uint64_t bytes,
    const struct vhost_rules *rules, uint8_t head[FRAME_HEAD_BYTES])
{
	struct rest rest = { piece, n };
	uint8_t header[VNET_BYTES_MRG];
	enum reason reason;
	uint32_t len;

	if (bytes < rules->header_bytes + (uint64_t)ETH_HEADER_BYTES)
		return DROP_SHORT;
	if (bytes - rules->header_bytes > FRAME_MAX_BYTES)
		return DROP_TOO_LONG;
	len = (uint32_t)bytes - rules->header_bytes;
	copy_out(&rest, header, rules->header_bytes);
	__asm__("" : "+m"(header)); /* what was read is what is checked */
	frame->len = len;
	frame->cause = NULL;
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
	reason = vnet_parse(frame, header);
	if (reason == DROP_NONE && frame->flags & FRAME_TODO & ~rules->sends)
		reason = DROP_VNET_HEADER;
	frame->flags &= FRAME_TODO; /* its word on validity is no proof */
	return reason;
}

/* A chain between the passes. */
struct chain {
	enum reason reason;
	unsigned int first, n; /* pieces */
	uint64_t bytes;
};

/* Finds the pieces of up to n chains; returns of how many. */
static unsigned int
find_pieces(struct vring *vring, struct vhost_gather *gather,
    struct chain *chain, unsigned int n)
{
	const unsigned int max = sizeof(gather->piece) / sizeof(struct iovec);
	unsigned int used = 0, i;

	for (i = 0; i < n && max - used >= VHOST_PIECES_MAX; i++) {
		struct iovec *piece = &gather->piece[used];

		chain[i].first = used;
		chain[i].reason = vring_chain(vring, gather->id[i], false,
		    piece, VHOST_PIECES_MAX, &chain[i].n, &chain[i].bytes);
		if (chain[i].reason != DROP_NONE)
			continue;
		used += chain[i].n;
		__builtin_prefetch(piece->iov_base);
		__builtin_prefetch((uint8_t *)piece->iov_base + 64);
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

	burst_clear(burst);
	gather->n = 0;
	if (offered <= 0)
		return offered;
	for (unsigned int i = 0; i < n; i++) {
		gather->id[i] = vring_head(vring, i);
		vring_prefetch(vring, gather->id[i]);
	}
	n = find_pieces(vring, gather, chain, n);
	for (unsigned int i = 0; i < n; i++) {
		struct frame *frame = &burst->frame[burst->n];

		if (chain[i].reason == DROP_NONE)
			chain[i].reason = view(frame,
			    &gather->piece[chain[i].first], chain[i].n,
			    chain[i].bytes, rules, gather->head[burst->n]);
		if (chain[i].reason == DROP_NONE) {
			burst->n++;
			burst->flags |= frame->flags;
		} else {
			node->count[chain[i].reason]++;
		}
		/* A head that is not in the table cannot be given back. */
		if (gather->id[i] <= vring->mask)
			gather->id[gather->n++] = gather->id[i];
	}
	vring_take(vring, n);
	return (int)n;
}

void
vhost_net_return(struct vring *vring, struct vhost_gather *gather)
{
	for (unsigned int i = 0; i < gather->n; i++)
		vring_put(vring, gather->id[i], 0);
	gather->n = 0;
	vring_publish(vring);
}

/* ---- into a receive ring ---- */

/* Copies n bytes into the pieces, which have room, and goes on behind them. */
static void
copy_in(struct rest *rest, const uint8_t *from, size_t n)
{
	while (n > 0) {
		struct iovec *p = rest->piece;
		size_t part = p->iov_len < n ? p->iov_len : n;

		memcpy(p->iov_base, from, part);
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
