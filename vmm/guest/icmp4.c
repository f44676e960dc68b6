#include "vmm/guest/icmp4.h"

#include <string.h>

#include "net/checksum.h"

#include "vmm/guest/stack.h"

#define QUOTE_BYTES 548 /* an error's packet is 576 bytes at most (RFC 1812) */

/* ---- in ---- */

/* The data is copied as it is, so its sum is, too: only the type changes. */
static enum reason
echo_request(struct netif *nif, const struct ip_in *in, const struct icmp *icmp)
{
	const size_t bytes = ICMP_HEADER_BYTES + icmp->data_bytes;
	struct ip_out out = {
		.dst = in->src,
		.src = in->dst,
		.protocol = IP_ICMP,
		.tos = in->tos,
	};
	enum reason why;
	uint8_t *at = ip_begin(nif->stack, &out, bytes, &why);

	if (at == NULL)
		return REASON_DELIVERED;
	at[0] = ICMP_ECHO_REPLY;
	at[1] = icmp->code;
	put_be16(at + ICMP_OFF_CHECKSUM,
	    csum_update16(icmp->checksum,
		(uint16_t)(ICMP_ECHO_REQUEST << 8 | icmp->code), icmp->code));
	put_be16(at + 4, icmp->echo.id);
	put_be16(at + 6, icmp->echo.seq);
	memcpy(at + 8, icmp->data, icmp->data_bytes);
	ip_end(nif->stack, &out);
	return REASON_DELIVERED;
}

static enum icmp_kind
kind_of(uint8_t type, uint8_t code)
{
	if (type == ICMP_TIME_EXCEEDED)
		return ICMP_NOTE_EXPIRED;
	if (type != ICMP_UNREACHABLE)
		return ICMP_NOTE_PROBLEM;
	return code == ICMP_UNREACH_NEEDFRAG ? ICMP_NOTE_TOO_BIG
					     : ICMP_NOTE_UNREACHABLE;
}

static enum reason
error_about_us(
    struct netif *nif, const struct ip_in *in, const struct icmp *icmp)
{
	struct cursor c = cursor(icmp->data, icmp->data_bytes);
	struct ip4 quoted;
	enum reason why = ip4_parse_quoted(&quoted, &c);
	struct ip6_addr src;
	struct icmp_note note = {
		.at_us = nif->stack->now_us,
		.from = in->src,
		.kind = kind_of(icmp->type, icmp->code),
		.code = icmp->code,
		.ttl = in->ttl,
	};

	if (why != DROP_NONE)
		return why;
	if (!ipv4_owns(nif->stack, quoted.src) || quoted.offset_bytes != 0)
		return DROP_NOT_OURS;
	if (note.kind == ICMP_NOTE_TOO_BIG)
		note.mtu = icmp->frag.mtu;
	note.dst = ip6_of_ip4(quoted.dst);
	src = ip6_of_ip4(quoted.src);
	return icmp_tell(nif->stack, &note, &src, quoted.protocol, &c);
}

enum reason
icmp4_input(struct netif *nif, const struct ip_in *in, struct cursor *c,
    unsigned int how)
{
	struct icmp icmp;
	struct echo echo;
	enum reason why = icmp_parse(&icmp, c);

	if (why != DROP_NONE)
		return why;
	switch (icmp.type) {
	case ICMP_ECHO_REPLY:
		echo = (struct echo){ icmp.echo.id, icmp.echo.seq, icmp.data,
			icmp.data_bytes };
		return pingsock_reply(nif->stack, in, &echo);
	case ICMP_ECHO_REQUEST:
		if (how & RX_GROUP) /* may be ignored (RFC 1122, 3.2.2.6) */
			return DROP_NO_LISTENER;
		return echo_request(nif, in, &icmp);
	case ICMP_UNREACHABLE:
	case ICMP_TIME_EXCEEDED:
	case ICMP_PARAMETER: return error_about_us(nif, in, &icmp);
	default: return DROP_PROTOCOL; /* redirects among them */
	}
}

/* ---- errors of ours ---- */

void
icmp4_error(struct netif *nif, const struct ip_in *in, unsigned int how,
    uint8_t type, uint8_t code)
{
	const struct cursor *c = &in->payload;
	size_t left = cur_left(c),
	       quote = left < QUOTE_BYTES - IP4_HEADER_BYTES
	    ? left
	    : QUOTE_BYTES - IP4_HEADER_BYTES;
	const size_t bytes = ICMP_HEADER_BYTES + IP4_HEADER_BYTES + quote;
	struct ip_out out = { .dst = in->src, .protocol = IP_ICMP };
	struct ip4 head = *in->ip4;
	enum reason why;
	struct writer w;
	uint8_t *at;

	if (how & RX_GROUP || head.src == 0 || head.offset_bytes != 0 ||
	    !icmp_may_send(nif->stack))
		return;
	at = ip_begin(nif->stack, &out, bytes, &why);
	if (at == NULL)
		return;
	/* The quoted header goes without its options: nobody needs them. */
	head.header_bytes = IP4_HEADER_BYTES;
	head.options = NULL;
	memset(at, 0, ICMP_HEADER_BYTES);
	at[0] = type;
	at[1] = code;
	w = writer(at + ICMP_HEADER_BYTES, bytes - ICMP_HEADER_BYTES);
	ip4_write(&w, &head);
	wr_bytes(&w, c->at, quote);
	put_be16(
	    at + ICMP_OFF_CHECKSUM, csum_finish(csum_add_bytes(0, at, bytes)));
	ip_end(nif->stack, &out);
}

void
icmp4_unreachable_neighbour(struct netif *nif, const struct packet *packet)
{
	struct cursor c = cursor(packet->data, packet->len_bytes);
	struct ip4 ip;
	struct ip6_addr src;
	struct icmp_note note = {
		.at_us = nif->stack->now_us,
		.from = ip6_of_ip4(nif->net.addr),
		.kind = ICMP_NOTE_UNREACHABLE,
		.code = ICMP_UNREACH_HOST,
		.local = true,
	};

	if (ip4_parse(&ip, &c) != DROP_NONE || ip.offset_bytes != 0)
		return;
	note.dst = ip6_of_ip4(ip.dst);
	src = ip6_of_ip4(ip.src);
	(void)icmp_tell(nif->stack, &note, &src, ip.protocol, &c);
}
