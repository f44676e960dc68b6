/*
 * The answer to another version is drawn with an opcode of 0 in RFC 6886 3.5; by
 * its 3.1 and by RFC 6887 8.3 that is a request, which no client takes for an
 * answer.  It has 128 added here as all responses have.  All have the epoch
 * (3.6), also those that are copies of the request.
 */
#include "net/natpmp.h"

#define HEADER_BYTES 8 /* with the epoch */

static bool
maps(uint8_t op)
{
	return op == NATPMP_MAP_UDP || op == NATPMP_MAP_TCP;
}

enum natpmp_result
natpmp_parse_request(struct natpmp *message, const uint8_t *bytes, size_t len)
{
	struct cursor c = cursor(bytes, len);
	uint8_t version = cur_u8(&c);
	struct natpmp m = { .op = cur_u8(&c) };

	*message = m;
	if (c.overrun || m.op & NATPMP_RESPONSE)
		return NATPMP_SILENCE;
	if (version != NATPMP_VERSION)
		return NATPMP_UNSUPP_VERSION;
	if (m.op == NATPMP_ADDRESS)
		return NATPMP_SUCCESS;
	if (!maps(m.op))
		return NATPMP_UNSUPP_OPCODE;
	cur_skip(&c, 2); /* reserved */
	m.in_port = cur_be16(&c);
	m.out_port = cur_be16(&c);
	m.lifetime_s = cur_be32(&c);
	if (c.overrun)
		return NATPMP_SILENCE;
	*message = m;
	return NATPMP_SUCCESS;
}

bool
natpmp_parse_response(struct natpmp *message, const uint8_t *bytes, size_t len)
{
	struct cursor c = cursor(bytes, len);
	uint8_t version = cur_u8(&c), op = cur_u8(&c);
	struct natpmp m = {
		.op = op & 127, .result = cur_be16(&c), .epoch_s = cur_be32(&c)
	};

	if (c.overrun || version != NATPMP_VERSION || !(op & NATPMP_RESPONSE))
		return false;
	if (m.result != NATPMP_SUCCESS && cur_left(&c) < HEADER_BYTES) {
		*message = m;
		return true;
	}
	if (m.op == NATPMP_ADDRESS) {
		m.address = cur_be32(&c);
	} else if (maps(m.op)) {
		m.in_port = cur_be16(&c);
		m.out_port = cur_be16(&c);
		m.lifetime_s = cur_be32(&c);
	} else if (m.result == NATPMP_SUCCESS) {
		return false;
	}
	if (c.overrun)
		return false;
	*message = m;
	return true;
}

void
natpmp_write_request(struct writer *w, const struct natpmp *message)
{
	wr_u8(w, NATPMP_VERSION);
	wr_u8(w, message->op);
	if (!maps(message->op))
		return;
	wr_be16(w, 0);
	wr_be16(w, message->in_port);
	wr_be16(w, message->out_port);
	wr_be32(w, message->lifetime_s);
}

void
natpmp_write_response(struct writer *w, const struct natpmp *message)
{
	wr_u8(w, NATPMP_VERSION);
	wr_u8(w, (uint8_t)(message->op | NATPMP_RESPONSE));
	wr_be16(w, message->result);
	wr_be32(w, message->epoch_s);
	if (message->result == NATPMP_UNSUPP_VERSION)
		return;
	if (message->op == NATPMP_ADDRESS) {
		wr_be32(w, message->address);
	} else if (maps(message->op)) {
		wr_be16(w, message->in_port);
		wr_be16(w, message->out_port);
		wr_be32(w, message->lifetime_s);
	}
}

void
natpmp_write_unsupported(
    struct writer *w, const uint8_t *request, size_t len, uint32_t epoch_s)
{
	struct natpmp m = { .op = len > 1 ? request[1] : 0,
		.result = NATPMP_UNSUPP_OPCODE,
		.epoch_s = epoch_s };
	size_t room = wr_left(w);

	if (len > room)
		len = room;
	natpmp_write_response(w, &m);
	if (len > HEADER_BYTES)
		wr_bytes(w, request + HEADER_BYTES, len - HEADER_BYTES);
}
