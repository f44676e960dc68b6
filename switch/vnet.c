/*
 * The header comes from a guest, so nothing of it is believed.  hdr_len is not
 * even used: it is a hint (5.1.6.2), drivers have always filled it in as they
 * liked, and the frame itself tells where its headers end.  Of the frame only
 * the TCP data offset is read, which may change behind our back afterwards:
 * offload.c, which acts on it, reads and checks its own copy.
 */
#include "switch/vnet.h"

#include <string.h>

#include "net/eth.h"
#include "net/tcp.h"

#define VNET_NEEDS_CSUM 0x01 /* flags */
#define VNET_DATA_VALID 0x02
#define VNET_GSO_NONE   0 /* gso_type */
#define VNET_GSO_TCPV4  1
#define VNET_GSO_TCPV6  4
#define VNET_GSO_ECN    0x80

static uint16_t
get_le16(const uint8_t *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

static void
put_le16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)v;
	at[1] = (uint8_t)(v >> 8);
}

/* The headers of a frame that is to be cut end with those of TCP. */
static enum reason
parse_gso(struct frame *frame, uint8_t type, uint16_t gso_bytes)
{
	uint32_t start = frame->csum_start, doff;

	/* A segment that carries CWR is known by its header, so the ECN bit
	 * tells nothing new. */
	switch (type & ~VNET_GSO_ECN) {
	case VNET_GSO_TCPV4: frame->flags |= FRAME_TSO4; break;
	case VNET_GSO_TCPV6: frame->flags |= FRAME_TSO6; break;
	default: return DROP_VNET_HEADER;
	}
	if (!(frame->flags & FRAME_CSUM) || gso_bytes == 0 ||
	    frame->csum_offset != TCP_OFF_CHECKSUM ||
	    start + TCP_HEADER_BYTES > frame->head)
		return DROP_VNET_HEADER;
	doff = (uint32_t)(frame->data[start + 12] >> 4) * 4;
	if (doff < TCP_HEADER_BYTES || start + doff > frame->head)
		return DROP_VNET_HEADER;
	frame->header_bytes = (uint16_t)(start + doff);
	frame->gso_bytes = gso_bytes;
	return DROP_NONE;
}

enum reason
vnet_parse(struct frame *frame, const uint8_t header[VNET_BYTES])
{
	uint8_t flags = header[0], type = header[1];
	uint32_t start = get_le16(header + 6), offset = get_le16(header + 8);

	frame->flags = 0;
	frame->csum_start = frame->csum_offset = 0;
	frame->gso_bytes = frame->header_bytes = 0;
	if (flags & VNET_NEEDS_CSUM) {
		if (start < ETH_HEADER_BYTES ||
		    start + offset + 2 > frame->head)
			return DROP_VNET_HEADER;
		frame->flags = FRAME_CSUM;
		frame->csum_start = (uint16_t)start;
		frame->csum_offset = (uint16_t)offset;
	} else if (flags & VNET_DATA_VALID) {
		frame->flags = FRAME_VALID;
	}
	if (type == VNET_GSO_NONE)
		return DROP_NONE;
	return parse_gso(frame, type, get_le16(header + 4));
}

void
vnet_write(uint8_t header[VNET_BYTES], const struct frame *frame)
{
	memset(header, 0, VNET_BYTES);
	if (frame->flags & FRAME_CSUM) {
		header[0] = VNET_NEEDS_CSUM;
		put_le16(header + 6, frame->csum_start);
		put_le16(header + 8, frame->csum_offset);
	} else if (frame->flags & FRAME_VALID) {
		header[0] = VNET_DATA_VALID;
	}
	if (frame->flags & (FRAME_TSO4 | FRAME_TSO6)) {
		header[1] =
		    frame->flags & FRAME_TSO4 ? VNET_GSO_TCPV4 : VNET_GSO_TCPV6;
		put_le16(header + 2, frame->header_bytes);
		put_le16(header + 4, frame->gso_bytes);
	}
}
