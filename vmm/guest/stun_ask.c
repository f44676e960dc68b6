#include "vmm/guest/stun_ask.h"

#include "vmm/guest/stack.h"

#define WAIT_US (250 * US_PER_MS)

void
asker_init(struct asker *a, struct shell *sh)
{
	a->sh = sh;
	a->wait_us = WAIT_US;
	a->rtt_us = 0;
}

struct udpsock *
asker_socket(struct asker *a, uint16_t port)
{
	return udpsock_new(a->sh->stack, port, &a->sh->woken);
}

void
asker_id(struct asker *a, uint8_t id[STUN_ID_BYTES])
{
	put_be32(id, STUN_COOKIE);
	for (unsigned int at = 4; at < STUN_ID_BYTES; at += 4)
		put_be32(id + at, random_u32(&a->sh->stack->random));
}

void
asker_send(
    struct asker *a, const struct question *q, const uint8_t id[STUN_ID_BYTES])
{
	struct stun stun = { .type = STUN_REQUEST,
		.change_ip = q->change_ip,
		.change_port = q->change_port,
		.response_port = q->response_port,
		.respond_to = q->respond_to,
		.padding_bytes = q->padding_bytes };
	const struct udp_to to = { .dst = ip6_of_ip4(q->to.ip),
		.dport = q->to.port,
		.last_first = q->last_first };
	struct writer w = writer(a->room, sizeof(a->room));

	memcpy(stun.id, id, STUN_ID_BYTES);
	stun_write(&w, &stun);
	if (!w.overrun)
		(void)udpsock_send(a->sh->stack, q->sock, &to, a->room,
		    (size_t)(w.at - a->room));
}

bool
asker_heard(
    struct asker *a, struct udpsock *sock, const uint8_t id[STUN_ID_BYTES])
{
	struct udp_from from;

	while (udpsock_take(sock, &from, a->room, sizeof(a->room))) {
		struct cursor c = cursor(a->room, from.data_bytes);

		if (stun_parse(&a->answer, &c) != REASON_NONE ||
		    a->answer.type != STUN_ANSWER ||
		    memcmp(a->answer.id, id, STUN_ID_BYTES) != 0)
			continue;
		a->from = (struct stun_end){ ip_get4(&from.src), from.sport };
		return true;
	}
	return false;
}

bool
asker_ask(struct asker *a, const struct question *q)
{
	struct udpsock *hear = q->hear != NULL ? q->hear : q->sock;
	unsigned int tries = q->tries != 0 ? q->tries : STUN_TRIES;
	uint8_t id[STUN_ID_BYTES];

	asker_id(a, id);
	while (tries-- > 0) {
		uint64_t sent_us = a->sh->stack->now_us;
		uint64_t until_us = sent_us + a->wait_us + 4 * a->rtt_us;

		asker_send(a, q, id);
		do {
			if (asker_heard(a, hear, id)) {
				a->rtt_us = a->sh->stack->now_us - sent_us;
				return true;
			}
		} while (a->sh->stack->now_us < until_us &&
		    shell_wait(a->sh, until_us));
		if (a->sh->interrupted)
			return false;
	}
	return false;
}
