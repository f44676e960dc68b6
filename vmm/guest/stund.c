#include "vmm/guest/stund.h"

#include "vmm/guest/stack.h"

/* Another address than addr: our partner's, or our own; 0: there is none. */
static uint32_t
other_address(const struct stack *stack, uint32_t addr)
{
	if (stack->stund.partner != 0)
		return stack->stund.partner;
	for (unsigned int i = 0; i < stack->nnifs; i++) {
		uint32_t own = stack->nif[i].net.addr;

		if (own != 0 && own != addr)
			return own;
	}
	return 0;
}

static void
send(struct stack *stack, struct udpsock *sock, const struct stun_end *from,
    const struct stun_end *to, const struct stun *stun)
{
	struct stund *d = &stack->stund;
	struct writer w = writer(d->room, sizeof(d->room));
	const struct udp_to at = {
		.dst = ip6_of_ip4(to->ip),
		.dport = to->port,
		.src = ip6_of_ip4(from->ip),
	};

	stun_write(&w, stun);
	if (!w.overrun)
		(void)udpsock_send(
		    stack, sock, &at, d->room, (size_t)(w.at - d->room));
}

/* Answers a request that came from client to the address at, on our socket
 * number heard. */
static void
answer(struct stack *stack, const struct stun *request,
    const struct stun_end *client, uint32_t at, unsigned int heard)
{
	const struct stund *d = &stack->stund;
	unsigned int by = request->change_port ? !heard : heard;
	uint32_t other = other_address(stack, at);
	struct stun out = { .type = STUN_ANSWER,
		.mapped = *client,
		.padding_bytes = request->padding_bytes };
	struct stun_end to = *client;

	memcpy(out.id, request->id, sizeof(out.id));
	if (request->response_port != 0)
		to.port = request->response_port;
	out.origin = (struct stun_end){ at, d->sock[by]->port };
	out.other = (struct stun_end){ other, d->sock[!heard]->port };
	if (request->change_ip) {
		if (other == 0)
			return; /* it was not said that there is one */
		out.origin.ip = other;
		if (!ipv4_owns(stack, other)) {
			out.type = STUN_REQUEST;
			out.other = (struct stun_end){ 0 };
			out.respond_to = to;
			to = out.origin;
			out.origin = (struct stun_end){ 0 };
			send(stack, d->sock[by], &(struct stun_end){ .ip = at },
			    &to, &out);
			return;
		}
	}
	send(stack, d->sock[by], &out.origin, &to, &out);
}

/* What our partner wants us to answer in its place. */
static void
answer_for_partner(struct stack *stack, const struct stun *request, uint32_t at,
    unsigned int heard)
{
	const struct stund *d = &stack->stund;
	struct stun out = { .type = STUN_ANSWER,
		.mapped = request->mapped,
		.padding_bytes = request->padding_bytes,
		.origin = { at, d->sock[heard]->port },
		.other = { d->partner, d->sock[!heard]->port } };

	memcpy(out.id, request->id, sizeof(out.id));
	send(stack, d->sock[heard], &out.origin, &request->respond_to, &out);
}

static void
stund_hear(void *arg, struct stack *stack, const struct udp_from *from,
    const uint8_t *data)
{
	struct udpsock *sock = arg;
	const struct stund *d = &stack->stund;
	unsigned int heard = sock == d->sock[1];
	struct cursor c = cursor(data, from->data_bytes);
	const struct stun_end client = { ip_get4(&from->src), from->sport };
	const uint32_t at = ip_get4(&from->dst);
	struct stun request;

	if (stun_parse(&request, &c) != REASON_NONE ||
	    request.type != STUN_REQUEST || !ipv4_owns(stack, at))
		return;
	if (request.respond_to.ip == 0)
		answer(stack, &request, &client, at, heard);
	else if (client.ip == d->partner)
		answer_for_partner(stack, &request, at, heard);
}

bool
stund_start(struct stack *stack, uint32_t partner)
{
	struct stund *d = &stack->stund;

	d->partner = partner;
	for (unsigned int i = 0; i < STUND_PORTS; i++) {
		if (d->sock[i] != NULL)
			continue;
		d->sock[i] =
		    udpsock_new(stack, (uint16_t)(STUN_PORT + i), NULL);
		if (d->sock[i] == NULL) {
			stund_stop(stack);
			return false;
		}
		d->sock[i]->call = stund_hear;
		d->sock[i]->arg = d->sock[i];
	}
	return true;
}

void
stund_stop(struct stack *stack)
{
	struct stund *d = &stack->stund;

	for (unsigned int i = 0; i < STUND_PORTS; i++) {
		if (d->sock[i] != NULL)
			udpsock_free(d->sock[i]);
		d->sock[i] = NULL;
	}
}

bool
stund_runs(const struct stack *stack)
{
	return stack->stund.sock[0] != NULL;
}
