/*
 * Frames get another tag without being copied: a new head of up to 256 bytes in
 * the caller's memory, and the rest of the frame where it lies, in pieces.  What
 * a frame has left to do (checksum, segmentation) moves by the tag's bytes.
 *
 *     in:   | addresses | tag | 242 bytes ...        ... | tail ...
 *     out:  | addresses | tag'| up to 256 bytes |  piece | tail ...
 *
 * A frame that leaves with the tag it came with stays the same view.
 */
#include "switch/vlan.h"

#include <errno.h>
#include <stdio.h>

#include "switch/switch_state.h"

#define VID 0x0fff /* of a tag control information; priority above */

/* ---- in ---- */

/* A frame without a VLAN of its own on this port. */
static enum reason
into(struct tagging *tag, uint16_t vlan, enum reason none)
{
	tag->vlan = vlan;
	return vlan != 0 ? DROP_NONE : none;
}

static enum reason
classify_trunk(const struct vlan_options *vlans, struct tagging *tag)
{
	uint16_t vlan = tag->tci & VID;

	if (tag->bytes == 0 || vlan == 0)
		return into(tag, vlans->vlan, DROP_VLAN_UNTAGGED);
	tag->vlan = vlan;
	return vlan == vlans->vlan || vlan_set_has(&vlans->allowed, vlan)
	    ? DROP_NONE
	    : DROP_VLAN;
}

enum reason
vlan_classify(const struct switch_port *from, const struct frame *frame,
    const struct head *head, struct tagging *tag)
{
	const struct vlan_options *vlans = &from->vlans;
	uint16_t type = get_be16(head->type);
	bool tagged = type == ETH_VLAN;

	switch (vlans->mode) {
	case VLAN_TRANSPARENT: tagged |= type == ETH_QINQ; break;
	case VLAN_ACCESS: break;
	case VLAN_TRUNK:
		if (vlans->provider)
			tagged = type == ETH_QINQ;
		break;
	case VLAN_TUNNEL: tagged = false; break;
	}
	*tag = (struct tagging){ .tpid = ETH_VLAN };
	if (vlans->mode == VLAN_TUNNEL)
		tag->tpid = ETH_QINQ;
	if (tagged) {
		if (frame->head < ETH_HEADER_BYTES + ETH_VLAN_BYTES)
			return DROP_SHORT;
		tag->tpid = type;
		tag->tci = get_be16(head->tci);
		tag->bytes = ETH_VLAN_BYTES;
	}
	switch (vlans->mode) {
	case VLAN_TRANSPARENT:
		tag->vlan = tag->tci & VID;
		return tag->vlan > VLAN_MAX ? DROP_VLAN : DROP_NONE;
	case VLAN_ACCESS:
		tag->vlan = vlans->vlan;
		return (tag->tci & VID) != 0 ? DROP_VLAN_TAGGED : DROP_NONE;
	case VLAN_TRUNK: return classify_trunk(vlans, tag);
	case VLAN_TUNNEL: tag->vlan = vlans->vlan; return DROP_NONE;
	}
	return DROP_VLAN;
}

/* ---- out ---- */

bool
vlan_carries(const struct switch_port *port, uint16_t vlan)
{
	const struct vlan_options *vlans = &port->vlans;

	switch (vlans->mode) {
	case VLAN_TRANSPARENT: return true;
	case VLAN_ACCESS:
	case VLAN_TUNNEL: return vlan == vlans->vlan;
	case VLAN_TRUNK:
		return vlan != 0 &&
		    (vlan == vlans->vlan ||
			vlan_set_has(&vlans->allowed, vlan));
	}
	return false;
}

struct new_tag
vlan_new_tag(const struct switch_port *to, const struct tagging *tag)
{
	const struct vlan_options *vlans = &to->vlans;
	struct new_tag new = { .tpid = tag->tpid };

	switch (vlans->mode) {
	case VLAN_TRANSPARENT:
		if (tag->vlan == 0) /* of no VLAN: as it came */
			return new;
		new.tagged = true;
		break;
	case VLAN_ACCESS:
	case VLAN_TUNNEL: break;
	case VLAN_TRUNK:
		new.tagged = tag->vlan != vlans->vlan;
		new.tpid = vlans->provider ? ETH_QINQ : ETH_VLAN;
		break;
	}
	new.tci = (uint16_t)((tag->tci & ~VID) | tag->vlan);
	new.changed = new.tagged
	    ? tag->bytes == 0 || new.tpid != tag->tpid || new.tci != tag->tci
	    : tag->bytes != 0;
	return new;
}

/* Moves what a frame says about its own bytes. */
static bool
move_todo(struct frame *frame, uint8_t old_bytes, int by)
{
	if (!(frame->flags & FRAME_CSUM))
		return true;
	if (frame->csum_start < ETH_HEADER_BYTES + old_bytes ||
	    frame->csum_start + by > UINT16_MAX ||
	    frame->header_bytes + by > UINT16_MAX)
		return false;
	frame->csum_start = (uint16_t)(frame->csum_start + by);
	if (frame->flags & (FRAME_TSO4 | FRAME_TSO6))
		frame->header_bytes = (uint16_t)(frame->header_bytes + by);
	return true;
}

/* Hangs what the new head does not hold behind it: rest bytes at data, then the
 * tail.  False: no room. */
static bool
hang_rest(
    struct retag *r, struct frame *frame, const uint8_t *data, uint32_t rest)
{
	struct iovec *piece = &r->piece[r->pieces];

	if (rest == 0)
		return true;
	if (frame->ntail + 1u > RETAG_PIECES - r->pieces)
		return false;
	/* Nobody writes to pieces of a frame. */
	piece[0].iov_base = (void *)(uintptr_t)data;
	piece[0].iov_len = rest;
	if (frame->ntail > 0)
		memcpy(&piece[1], frame->tail, frame->ntail * sizeof(piece[0]));
	frame->tail = piece;
	frame->ntail++;
	r->pieces += frame->ntail;
	return true;
}

enum reason
vlan_retag(struct retag *r, struct frame *frame, uint8_t old_bytes,
    const struct new_tag *tag)
{
	const uint32_t addresses = 2 * sizeof(struct mac);
	const uint32_t tag_bytes = tag->tagged ? ETH_VLAN_BYTES : 0;
	uint32_t take = FRAME_HEAD_BYTES + old_bytes;
	struct frame new = *frame;
	uint8_t *head;

	if (r->n == RETAG_MAX)
		return DROP_PORT_FULL;
	if (tag_bytes > old_bytes &&
	    frame->len > FRAME_MAX_BYTES - ETH_VLAN_BYTES)
		return DROP_TOO_LONG;
	if (!move_todo(&new, old_bytes, (int)tag_bytes - old_bytes))
		return DROP_VNET_HEADER;
	/* Enough for the new head to be FRAME_HEAD_BYTES if there is more. */
	take = frame->head < take ? frame->head : take;
	if (!hang_rest(r, &new, frame->data + take, frame->head - take))
		return frame->ntail + 1u > RETAG_PIECES ? DROP_RING_PIECES
							: DROP_PORT_FULL;
	head = r->head[r->n++];
	memcpy(head, frame->data, addresses);
	if (tag->tagged) {
		put_be16(head + addresses, tag->tpid);
		put_be16(head + addresses + 2, tag->tci);
	}
	memcpy(head + addresses + tag_bytes,
	    frame->data + addresses + old_bytes, take - addresses - old_bytes);
	new.data = head;
	new.head = take - old_bytes + tag_bytes;
	new.len = frame->len - old_bytes + tag_bytes;
	*frame = new;
	return DROP_NONE;
}

/* ---- in words ---- */

char *
vlan_set_text(char *out, size_t len, const struct vlan_set *set)
{
	size_t used = 0;

	out[0] = '\0';
	for (uint16_t first = 1; first <= VLAN_MAX; first++) {
		uint16_t last = first;

		if (!vlan_set_has(set, first))
			continue;
		while (
		    last < VLAN_MAX && vlan_set_has(set, (uint16_t)(last + 1)))
			last++;
		if (first == 1 && last == VLAN_MAX) {
			snprintf(out, len, "all");
			return out;
		}
		if (used + 14 >= len) { /* ",1000-2000" and what follows */
			snprintf(out + used, len - used, "...");
			return out;
		}
		used += (size_t)snprintf(out + used, len - used,
		    last > first ? "%s%u-%u" : "%s%u", used > 0 ? "," : "",
		    first, last);
		first = last;
	}
	return out;
}

/* ---- what ports are set to ---- */

static bool
is_vlan(uint16_t vlan)
{
	return vlan >= 1 && vlan <= VLAN_MAX;
}

/* All ports look at tags, or none. */
static void
look_at_tags(struct lan_switch *sw)
{
	bool aware = sw->nvlan_ports > 0;

	for (unsigned int i = 1; i < sw->nports; i++)
		if (sw->port[i] != NULL) {
			port_flags(sw->port[i], aware ? PORT_VLANS : 0,
			    aware ? 0 : PORT_VLANS);
			/* What was learned was of other VLANs. */
			fdb_forget_port(sw->fdb, i, NULL, NULL);
		}
}

int
switch_set_vlan(struct port *port, const struct vlan_options *options)
{
	struct switch_port *p = switch_port_of(port);
	struct lan_switch *sw = p->sw;
	bool was = sw->nvlan_ports > 0;

	switch (options->mode) {
	case VLAN_TRANSPARENT: break;
	case VLAN_ACCESS:
	case VLAN_TUNNEL:
		if (!is_vlan(options->vlan))
			return -EINVAL;
		break;
	case VLAN_TRUNK:
		if (options->vlan != 0 && !is_vlan(options->vlan))
			return -EINVAL;
		break;
	}
	sw->nvlan_ports += (options->mode != VLAN_TRANSPARENT) -
	    (p->vlans.mode != VLAN_TRANSPARENT);
	p->vlans = *options;
	if (was != (sw->nvlan_ports > 0))
		look_at_tags(sw);
	else
		fdb_forget_port(sw->fdb, p->index, NULL, NULL);
	protocol_set(p);
	return 0;
}

void
switch_get_vlan(const struct port *port, struct vlan_options *options)
{
	*options = ((const struct switch_port *)port)->vlans;
}
