#include "vmm/guest/icmp4.h"

#include <string.h>

#include "net/checksum.h"

#include "vmm/guest/stack.h"

#define PATTERN_BYTES 256u /* of an echo request's data, which counts up */
#define QUOTE_BYTES   548 /* an error's packet is 576 bytes at most (RFC 1812) */

void
icmp_notes_add(struct icmp_notes *notes, const struct icmp_note *note)
{
	notes->note[(notes->first + notes->count) % ICMP_NOTES] = *note;
	if (notes->count < ICMP_NOTES)
		notes->count++;
	else
		notes->first = (notes->first + 1) % ICMP_NOTES;
}

bool
icmp_notes_take(struct icmp_notes *notes, struct icmp_note *note)
{
	if (notes->count == 0)
		return false;
	*note = notes->note[notes->first];
	notes->first = (notes->first + 1) % ICMP_NOTES;
	notes->count--;
	return true;
}

/* ---- ping sockets ---- */

static struct pingsock *
find(struct stack *stack, uint16_t id)
{
	for (unsigned int i = 0; i < PINGSOCKS; i++) {
		struct pingsock *sock = &stack->icmp.sock[i];

		if (sock->used && sock->id == id)
			return sock;
	}
	return NULL;
}

struct pingsock *
pingsock_new(struct stack *stack, bool *wake)
{
	uint16_t id;

	do
		id = (uint16_t)random_u32(&stack->random);
	while (find(stack, id) != NULL);
	for (unsigned int i = 0; i < PINGSOCKS; i++) {
		struct pingsock *sock = &stack->icmp.sock[i];

		if (!sock->used) {
			*sock = (struct pingsock){
				.used = true, .id = id, .wake = wake
			};
			return sock;
		}
	}
	return NULL;
}

void
pingsock_free(struct pingsock *sock)
{
	sock->used = false;
}

enum reason
pingsock_send(
    struct stack *stack, struct pingsock *sock, const struct ping *ping)
{
	const size_t bytes = ICMP_HEADER_BYTES + ping->data_bytes;
	struct ipv4_out out = {
		.dst = ping->dst,
		.protocol = IP_ICMP,
		.ttl = ping->ttl,
		.dont_fragment = ping->dont_fragment,
	};
	enum reason why;
	uint8_t *at = ipv4_begin(stack, &out, bytes, &why);
	size_t i = 0;

	if (at == NULL)
		return why;
	memset(at, 0, ICMP_HEADER_BYTES);
	at[0] = ICMP_ECHO_REQUEST;
	put_be16(at + 4, sock->id);
	put_be16(at + 6, ping->seq);
	if (ping->data_bytes >= sizeof(ping->stamp)) {
		memcpy(at + 8, &ping->stamp, sizeof(ping->stamp));
		i = sizeof(ping->stamp);
	}
	for (; i < ping->data_bytes && i < PATTERN_BYTES + sizeof(ping->stamp);
	     i++)
		at[8 + i] = (uint8_t)i;
	/* The pattern repeats: the rest is a copy of what stands there. */
	for (; i < ping->data_bytes; i += PATTERN_BYTES)
		memcpy(at + 8 + i, at + 8 + i - PATTERN_BYTES,
		    ping->data_bytes - i < PATTERN_BYTES ? ping->data_bytes - i
							 : PATTERN_BYTES);
	put_be16(
	    at + ICMP_OFF_CHECKSUM, csum_finish(csum_add_bytes(0, at, bytes)));
	ipv4_end(stack, &out);
	return DROP_NONE;
}

/* ---- in ---- */

static enum reason
echo_reply(struct netif *nif, const struct ip4 *ip, const struct icmp *icmp)
{
	struct pingsock *sock = find(nif->stack, icmp->echo.id);
	struct icmp_note note = {
		.at_us = nif->stack->now_us,
		.from = ip->src,
		.dst = ip->src,
		.type = icmp->type,
		.ttl = ip->ttl,
		.seq = icmp->echo.seq,
		.data_bytes = (uint16_t)icmp->data_bytes,
	};

	if (sock == NULL)
		return DROP_NO_LISTENER;
	if (icmp->data_bytes >= sizeof(note.stamp))
		memcpy(&note.stamp, icmp->data, sizeof(note.stamp));
	icmp_notes_add(&sock->notes, &note);
	*sock->wake = true;
	return REASON_DELIVERED;
}

/* The data is copied as it is, so its sum is, too: only the type changes. */
static enum reason
echo_request(struct netif *nif, const struct ip4 *ip, const struct icmp *icmp)
{
	const size_t bytes = ICMP_HEADER_BYTES + icmp->data_bytes;
	struct ipv4_out out = {
		.dst = ip->src,
		.src = ip->dst,
		.protocol = IP_ICMP,
		.tos = ip->tos,
	};
	enum reason why;
	uint8_t *at = ipv4_begin(nif->stack, &out, bytes, &why);

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
	ipv4_end(nif->stack, &out);
	return REASON_DELIVERED;
}

/* Finds who sent what the error quotes, and tells him.  note is filled in but
 * for seq. */
static enum reason
tell_sender(struct stack *stack, struct icmp_note *note,
    const struct ip4 *quoted, struct cursor *c)
{
	const uint16_t first = cur_be16(c), second = cur_be16(c);
	struct pingsock *sock;

	note->dst = quoted->dst;
	switch (quoted->protocol) {
	case IP_UDP:
		if (c->overrun)
			return DROP_SHORT;
		note->seq = second;
		return udpsock_note(stack, first, note);
	case IP_TCP:
		note->stamp = cur_be32(c); /* the sequence number */
		if (c->overrun)
			return DROP_SHORT;
		return tcpconn_note(stack, first, quoted->dst, second, note);
	case IP_ICMP: break;
	default: return DROP_PROTOCOL;
	}
	sock = find(stack, cur_be16(c));
	note->seq = cur_be16(c);
	if (c->overrun)
		return DROP_SHORT;
	if (first >> 8 != ICMP_ECHO_REQUEST || sock == NULL)
		return DROP_NO_LISTENER;
	icmp_notes_add(&sock->notes, note);
	*sock->wake = true;
	return REASON_DELIVERED;
}

static enum reason
error_about_us(struct netif *nif, const struct ip4 *ip, const struct icmp *icmp)
{
	struct cursor c = cursor(icmp->data, icmp->data_bytes);
	struct ip4 quoted;
	enum reason why = ip4_parse_quoted(&quoted, &c);
	struct icmp_note note = {
		.at_us = nif->stack->now_us,
		.from = ip->src,
		.type = icmp->type,
		.code = icmp->code,
		.ttl = ip->ttl,
	};

	if (why != DROP_NONE)
		return why;
	if (!stack_owns(nif->stack, quoted.src) || quoted.offset_bytes != 0)
		return DROP_NOT_OURS;
	if (icmp->type == ICMP_UNREACHABLE &&
	    icmp->code == ICMP_UNREACH_NEEDFRAG)
		note.mtu = icmp->frag.mtu;
	return tell_sender(nif->stack, &note, &quoted, &c);
}

enum reason
icmp4_input(
    struct netif *nif, const struct ip4 *ip, struct cursor *c, unsigned int how)
{
	struct icmp icmp;
	enum reason why = icmp_parse(&icmp, c);

	if (why != DROP_NONE)
		return why;
	switch (icmp.type) {
	case ICMP_ECHO_REPLY: return echo_reply(nif, ip, &icmp);
	case ICMP_ECHO_REQUEST:
		if (how & RX_GROUP) /* may be ignored (RFC 1122, 3.2.2.6) */
			return DROP_NO_LISTENER;
		return echo_request(nif, ip, &icmp);
	case ICMP_UNREACHABLE:
	case ICMP_TIME_EXCEEDED:
	case ICMP_PARAMETER: return error_about_us(nif, ip, &icmp);
	default: return DROP_PROTOCOL; /* redirects among them */
	}
}

/* ---- errors of ours ---- */

static bool
budget(struct stack *stack)
{
	uint64_t *spent = &stack->icmp.error_us;

	if (*spent < stack->now_us)
		*spent = stack->now_us;
	if (*spent - stack->now_us >= ICMP_ERROR_BURST * ICMP_ERROR_US)
		return false;
	*spent += ICMP_ERROR_US;
	return true;
}

void
icmp4_error(struct netif *nif, const struct ip4 *ip, const struct cursor *c,
    unsigned int how, uint8_t type, uint8_t code)
{
	size_t left = cur_left(c),
	       quote = left < QUOTE_BYTES - IP4_HEADER_BYTES
	    ? left
	    : QUOTE_BYTES - IP4_HEADER_BYTES;
	const size_t bytes = ICMP_HEADER_BYTES + IP4_HEADER_BYTES + quote;
	struct ipv4_out out = { .dst = ip->src, .protocol = IP_ICMP };
	struct ip4 head = *ip;
	enum reason why;
	struct writer w;
	uint8_t *at;

	if (how & RX_GROUP || ip->src == 0 || ip->offset_bytes != 0 ||
	    !budget(nif->stack))
		return;
	at = ipv4_begin(nif->stack, &out, bytes, &why);
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
	ipv4_end(nif->stack, &out);
}

void
icmp4_unreachable_neighbour(struct netif *nif, const struct packet *packet)
{
	struct cursor c = cursor(packet->data, packet->len_bytes);
	struct ip4 ip;
	struct icmp_note note = {
		.at_us = nif->stack->now_us,
		.from = nif->net.addr,
		.type = ICMP_UNREACHABLE,
		.code = ICMP_UNREACH_HOST,
		.local = true,
	};

	if (ip4_parse(&ip, &c) == DROP_NONE && ip.offset_bytes == 0)
		(void)tell_sender(nif->stack, &note, &ip, &c);
}
