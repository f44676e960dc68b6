#include "vmm/guest/icmp6.h"

#include <string.h>

#include "net/ip6_chain.h"
#include "net/membership.h"
#include "net/nd.h"

#include "vmm/guest/stack.h"

/* ---- in ---- */

static enum reason
echo_request(
    struct netif *nif, const struct ip_in *in, const struct icmp6 *icmp)
{
	const struct icmp6 reply = { .type = ICMP6_ECHO_REPLY,
		.code = icmp->code,
		.word = icmp->word,
		.data = icmp->data,
		.data_bytes = icmp->data_bytes };
	const size_t bytes = ICMP6_HEADER_BYTES + icmp->data_bytes;
	struct ip_out out = {
		.dst = in->src,
		.protocol = IP_ICMP6,
		.tos = in->tos,
	};
	enum reason why;
	struct writer w;
	uint8_t *at;

	/* Who asks a group is answered by one of it (RFC 4443 4.2). */
	if (!ip6_is_multicast(&in->dst))
		out.src = in->dst;
	else if (!ipv6_source(nif, &in->src, &out.src))
		return DROP_NO_ROUTE;
	at = ip_begin(nif->stack, &out, bytes, &why);
	if (at == NULL)
		return REASON_DELIVERED;
	w = writer(at, bytes);
	icmp6_write(&w, &reply, &out.src, &out.dst);
	ip_end(nif->stack, &out);
	return REASON_DELIVERED;
}

static bool
kind_of(enum icmp_kind *kind, uint8_t type)
{
	switch (type) {
	case ICMP6_UNREACHABLE: *kind = ICMP_NOTE_UNREACHABLE; return true;
	case ICMP6_TOO_BIG: *kind = ICMP_NOTE_TOO_BIG; return true;
	case ICMP6_TIME_EXCEEDED: *kind = ICMP_NOTE_EXPIRED; return true;
	case ICMP6_PARAMETER: *kind = ICMP_NOTE_PROBLEM; return true;
	default: return false;
	}
}

static enum reason
error_about_us(
    struct netif *nif, const struct ip_in *in, const struct icmp6 *icmp)
{
	struct cursor c = cursor(icmp->data, icmp->data_bytes);
	struct ip6 quoted;
	struct ip6_chain chain;
	enum reason why = ip6_parse_quoted(&quoted, &c);
	struct icmp_note note = {
		.at_us = nif->stack->now_us,
		.from = in->src,
		.code = icmp->code,
		.ttl = in->ttl,
		.ip6 = true,
	};
	bool reply;

	if (!kind_of(&note.kind, icmp->type))
		return DROP_PROTOCOL;
	if (why == DROP_NONE)
		why = ip6_chain_parse(&chain, &c, &quoted);
	if (why != DROP_NONE)
		return why;
	if (!stack_owns(nif->stack, &quoted.src) || chain.offset_bytes != 0)
		return DROP_NOT_OURS;
	note.dst = quoted.dst;
	if (note.kind == ICMP_NOTE_TOO_BIG)
		note.mtu = icmp->word;
	reply = chain.protocol == IP_ICMP6 && cur_left(&c) > 0 &&
	    *c.at == ICMP6_ECHO_REPLY;
	why = icmp_tell(nif->stack, &note, &quoted.src, chain.protocol, &c);
	/* On the word of who quotes what somebody here has sent: of replies
	 * nobody remembers that. */
	if (note.kind != ICMP_NOTE_TOO_BIG ||
	    (why != REASON_DELIVERED && !reply))
		return why;
	ipv6_learn_mtu(nif->stack, &quoted.dst, icmp->word);
	return REASON_DELIVERED;
}

enum reason
icmp6_input(struct netif *nif, const struct ip_in *in, struct cursor *c,
    unsigned int how)
{
	const struct cursor whole = *c;
	struct icmp6 icmp;
	struct echo echo;
	enum reason why = icmp6_parse(
	    &icmp, c, &in->src, &in->dst, (how & (RX_TRUSTED | RX_SELF)) != 0);
	struct cursor message = whole;

	if (why != DROP_NONE)
		return why;
	switch (icmp.type) {
	case ICMP6_ECHO_REPLY:
		echo = (struct echo){ (uint16_t)(icmp.word >> 16),
			(uint16_t)icmp.word, icmp.data, icmp.data_bytes };
		return pingsock_reply(nif->stack, in, &echo);
	case ICMP6_ECHO_REQUEST: return echo_request(nif, in, &icmp);
	case ND_SOLICIT:
	case ND_ADVERTISE: return nd6_input(nif, in->ip6, &message);
	case ND_ROUTER_ADVERTISE: return autoconf_input(nif, in->ip6, &message);
	default: break;
	}
	if (icmp6_is_error(icmp.type))
		return error_about_us(nif, in, &icmp);
	if (membership_is_mld(icmp.type)) {
		message = in->payload;
		return mld6_input(nif, in->ip6, &message);
	}
	return DROP_PROTOCOL; /* redirects and solicitations among them */
}

/* ---- errors of ours ---- */

/* Is it an error, or a redirect, which no error answers? */
static bool
is_error(const struct ip_in *in)
{
	const uint8_t *message = in->payload.at + in->chain_bytes;

	return in->protocol == IP_ICMP6 &&
	    (message >= in->payload.end || icmp6_is_error(*message) ||
		*message == ND_REDIRECT);
}

static bool
may_answer(const struct ip_in *in, unsigned int how, uint8_t type, uint8_t code)
{
	const bool of_option =
	    type == ICMP6_PARAMETER && code == ICMP6_PARAMETER_OPTION;

	return !ip6_is_zero(&in->src) && !ip6_is_multicast(&in->src) &&
	    ((how & RX_GROUP) == 0 || of_option) && !is_error(in);
}

void
icmp6_error(struct netif *nif, const struct ip_in *in, unsigned int how,
    uint8_t type, uint8_t code, uint32_t word)
{
	const size_t room =
	    IP6_MTU_MIN - 2 * IP6_HEADER_BYTES - ICMP6_HEADER_BYTES;
	const size_t left = cur_left(&in->payload),
		     quote = left < room ? left : room,
		     bytes = ICMP6_HEADER_BYTES + IP6_HEADER_BYTES + quote;
	struct icmp6 icmp = { .type = type, .code = code, .word = word };
	struct ip_out out = { .dst = in->src, .protocol = IP_ICMP6 };
	enum reason why;
	struct writer w;
	uint8_t *at;

	if (!may_answer(in, how, type, code) || !icmp_may_send(nif->stack))
		return;
	if (!ip6_is_multicast(&in->dst))
		out.src = in->dst;
	at = ip_begin(nif->stack, &out, bytes, &why);
	if (at == NULL)
		return;
	w = writer(at + ICMP6_HEADER_BYTES, bytes - ICMP6_HEADER_BYTES);
	ip6_write(&w, in->ip6);
	wr_bytes(&w, in->payload.at, quote);
	icmp.data = at + ICMP6_HEADER_BYTES;
	icmp.data_bytes = bytes - ICMP6_HEADER_BYTES;
	w = writer(at, bytes);
	icmp6_write(&w, &icmp, &out.src, &out.dst);
	ip_end(nif->stack, &out);
}

void
icmp6_unreachable_neighbour(struct netif *nif, const struct packet *packet)
{
	struct cursor c = cursor(packet->data, packet->len_bytes);
	struct ip6 ip;
	struct ip6_chain chain;
	struct icmp_note note = {
		.at_us = nif->stack->now_us,
		.kind = ICMP_NOTE_UNREACHABLE,
		.code = ICMP6_UNREACH_ADDRESS,
		.ip6 = true,
		.local = true,
	};

	if (ip6_parse(&ip, &c) != DROP_NONE ||
	    ip6_chain_parse(&chain, &c, &ip) != DROP_NONE ||
	    chain.offset_bytes != 0)
		return;
	note.from = ip.src;
	note.dst = ip.dst;
	(void)icmp_tell(nif->stack, &note, &ip.src, chain.protocol, &c);
}
