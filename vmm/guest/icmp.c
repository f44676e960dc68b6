#include "vmm/guest/icmp.h"

#include <string.h>

#include "net/checksum.h"

#include "vmm/guest/stack.h"

#define PATTERN_BYTES 256u /* of an echo request's data, which counts up */

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

bool
icmp_note_is_port(const struct icmp_note *note)
{
	return note->kind == ICMP_NOTE_UNREACHABLE &&
	    note->code == (note->ip6 ? ICMP6_UNREACH_PORT : ICMP_UNREACH_PORT);
}

bool
icmp_may_send(struct stack *stack)
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
icmp_refuse_port(struct netif *nif, const struct ip_in *in, unsigned int how)
{
	if (in->ip4 != NULL)
		icmp4_error(nif, in, how, ICMP_UNREACHABLE, ICMP_UNREACH_PORT);
	else
		icmp6_error(
		    nif, in, how, ICMP6_UNREACHABLE, ICMP6_UNREACH_PORT, 0);
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

static void
fill(uint8_t *at, const struct ping *ping)
{
	size_t i = 0;

	if (ping->data_bytes >= sizeof(ping->stamp)) {
		memcpy(at, &ping->stamp, sizeof(ping->stamp));
		i = sizeof(ping->stamp);
	}
	for (; i < ping->data_bytes && i < PATTERN_BYTES + sizeof(ping->stamp);
	     i++)
		at[i] = (uint8_t)i;
	/* The pattern repeats: the rest is a copy of what stands there. */
	for (; i < ping->data_bytes; i += PATTERN_BYTES)
		memcpy(at + i, at + i - PATTERN_BYTES,
		    ping->data_bytes - i < PATTERN_BYTES ? ping->data_bytes - i
							 : PATTERN_BYTES);
}

enum reason
pingsock_send(
    struct stack *stack, struct pingsock *sock, const struct ping *ping)
{
	const size_t bytes = ICMP_HEADER_BYTES + ping->data_bytes;
	const bool ip4 = ip_is4(&ping->dst);
	struct ip_out out = {
		.dst = ping->dst,
		.src = ping->src,
		.protocol = ip4 ? IP_ICMP : IP_ICMP6,
		.ttl = ping->ttl,
		.dont_fragment = ping->dont_fragment,
	};
	enum reason why;
	uint8_t *at = ip_begin(stack, &out, bytes, &why);
	uint32_t sum;

	if (at == NULL)
		return why;
	memset(at, 0, ICMP_HEADER_BYTES);
	at[0] = ip4 ? ICMP_ECHO_REQUEST : ICMP6_ECHO_REQUEST;
	put_be16(at + 4, sock->id);
	put_be16(at + 6, ping->seq);
	fill(at + ICMP_HEADER_BYTES, ping);
	sum = ip4 ? 0
		  : csum_pseudo6(&out.src, &out.dst, IP_ICMP6, (uint32_t)bytes);
	put_be16(at + ICMP_OFF_CHECKSUM,
	    csum_finish(csum_add_bytes(sum, at, bytes)));
	ip_end(stack, &out);
	return DROP_NONE;
}

enum reason
pingsock_reply(
    struct stack *stack, const struct ip_in *in, const struct echo *echo)
{
	struct pingsock *sock = find(stack, echo->id);
	struct icmp_note note = {
		.at_us = stack->now_us,
		.from = in->src,
		.dst = in->src,
		.kind = ICMP_NOTE_REPLY,
		.ttl = in->ttl,
		.ip6 = in->ip6 != NULL,
		.seq = echo->seq,
		.data_bytes = (uint16_t)echo->data_bytes,
	};

	if (sock == NULL)
		return DROP_NO_LISTENER;
	if (echo->data_bytes >= sizeof(note.stamp))
		memcpy(&note.stamp, echo->data, sizeof(note.stamp));
	icmp_notes_add(&sock->notes, &note);
	*sock->wake = true;
	return REASON_DELIVERED;
}

/* ---- errors about us ---- */

static enum reason
tell_pinger(
    struct stack *stack, struct icmp_note *note, uint8_t type, struct cursor *c)
{
	struct pingsock *sock = find(stack, cur_be16(c));

	note->seq = cur_be16(c);
	if (c->overrun)
		return DROP_SHORT;
	if (type != (note->ip6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO_REQUEST) ||
	    sock == NULL)
		return DROP_NO_LISTENER;
	icmp_notes_add(&sock->notes, note);
	*sock->wake = true;
	return REASON_DELIVERED;
}

enum reason
icmp_tell(struct stack *stack, struct icmp_note *note,
    const struct ip6_addr *src, uint8_t protocol, struct cursor *c)
{
	const uint16_t first = cur_be16(c), second = cur_be16(c);

	switch (protocol) {
	case IP_UDP:
		if (c->overrun)
			return DROP_SHORT;
		note->seq = second;
		return udpsock_note(stack, first, note);
	case IP_TCP:
		note->stamp = cur_be32(c); /* the sequence number */
		if (c->overrun)
			return DROP_SHORT;
		return tcpconn_note(stack, src, first, second, note);
	case IP_ICMP:
	case IP_ICMP6:
		return tell_pinger(stack, note, (uint8_t)(first >> 8), c);
	default: return DROP_PROTOCOL;
	}
}
