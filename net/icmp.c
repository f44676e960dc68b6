#include "net/icmp.h"

#include "net/checksum.h"

enum form { FORM_ECHO, FORM_FRAG, FORM_WORD };

/* What bytes 4 to 7 of a message are. */
static enum form
form_of(uint8_t type, uint8_t code)
{
	if (type == ICMP_ECHO_REQUEST || type == ICMP_ECHO_REPLY)
		return FORM_ECHO;
	if (type == ICMP_UNREACHABLE && code == ICMP_UNREACH_NEEDFRAG)
		return FORM_FRAG;
	return FORM_WORD;
}

enum reason
icmp_parse(struct icmp *icmp, struct cursor *c)
{
	size_t len = cur_left(c);
	const uint8_t *h = cur_bytes(c, ICMP_HEADER_BYTES);

	if (h == NULL)
		return DROP_SHORT;
	if (csum_fold(csum_add_bytes(0, h, len)) != 0xffff)
		return DROP_L4_CHECKSUM;
	icmp->type = h[0];
	icmp->code = h[1];
	icmp->checksum = get_be16(h + ICMP_OFF_CHECKSUM);
	switch (form_of(icmp->type, icmp->code)) {
	case FORM_ECHO:
		icmp->echo.id = get_be16(h + 4);
		icmp->echo.seq = get_be16(h + 6);
		break;
	case FORM_FRAG:
		icmp->frag.unused = get_be16(h + 4);
		icmp->frag.mtu = get_be16(h + 6);
		break;
	case FORM_WORD: icmp->word = get_be32(h + 4); break;
	}
	icmp->data_bytes = cur_left(c);
	icmp->data = cur_bytes(c, icmp->data_bytes);
	return DROP_NONE;
}

void
icmp_write(struct writer *w, const struct icmp *icmp)
{
	uint8_t *h = wr_room(w, ICMP_HEADER_BYTES + icmp->data_bytes);

	if (h == NULL)
		return;
	h[0] = icmp->type;
	h[1] = icmp->code;
	put_be16(h + ICMP_OFF_CHECKSUM, 0);
	switch (form_of(icmp->type, icmp->code)) {
	case FORM_ECHO:
		put_be16(h + 4, icmp->echo.id);
		put_be16(h + 6, icmp->echo.seq);
		break;
	case FORM_FRAG:
		put_be16(h + 4, icmp->frag.unused);
		put_be16(h + 6, icmp->frag.mtu);
		break;
	case FORM_WORD: put_be32(h + 4, icmp->word); break;
	}
	if (icmp->data_bytes > 0)
		memmove(h + ICMP_HEADER_BYTES, icmp->data, icmp->data_bytes);
	put_be16(h + ICMP_OFF_CHECKSUM,
	    csum_finish(
		csum_add_bytes(0, h, ICMP_HEADER_BYTES + icmp->data_bytes)));
}

bool
icmp_is_error(uint8_t type)
{
	return type == ICMP_UNREACHABLE || type == ICMP_SOURCE_QUENCH ||
	    type == ICMP_REDIRECT || type == ICMP_TIME_EXCEEDED ||
	    type == ICMP_PARAMETER;
}
