/*
 * NAT does not know of these questions.  Their ports are none of its mappings
 * when they are chosen; where one is made meanwhile, an answer is told from what
 * is for the host behind it by server, id and question.
 */
#include "router/dns_own.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#include "router/datagram.h"
#include "router/dns64.h"
#include "router/dns_service.h"
#include "router/nat_ports.h" /* nat_random() */
#include "router/router_state.h"

#define TRIES        3
#define AGAIN_NS     (2 * NS_PER_S)
#define FIRST_PORT   32768
#define PORT_GUESSES 16
#define MISSING_S    30 /* what does not exist is remembered */

struct asking {
	bool used;
	unsigned int tries;
	uint64_t due_ns;
	uint32_t server, own;
	uint16_t id, port, type;
	char name[DNS_NAME_BYTES];
};

struct dns_own {
	struct router *router;
	void (*done)(
	    void *arg, unsigned int slot, const struct dns_answer *answer);
	void *arg;
	struct loop_timer timer;
	unsigned int n;
	struct asking asking[DNS_ASKING];
};

/* ---- asking ---- */

static void
arm(struct dns_own *own)
{
	uint64_t due_ns = UINT64_MAX;

	for (unsigned int i = 0; i < DNS_ASKING && own->n > 0; i++)
		if (own->asking[i].used && own->asking[i].due_ns < due_ns)
			due_ns = own->asking[i].due_ns;
	if (due_ns != UINT64_MAX)
		loop_timer_set(&own->timer, due_ns);
	else
		loop_timer_unset(&own->timer);
}

/* A port that is nobody's at address ip. */
static uint16_t
choose_port(struct router *router, uint32_t ip)
{
	uint16_t port = FIRST_PORT;

	for (int i = 0; i < PORT_GUESSES; i++) {
		port = (uint16_t)(FIRST_PORT |
		    (nat_random(&router->seed) & (FIRST_PORT - 1)));
		if (router->nat == NULL ||
		    !nat_has_port(router->nat, ip, IP_UDP, port))
			break;
	}
	return port;
}

static void
send_question(struct dns_own *own, struct asking *a)
{
	struct dns question = { .id = a->id,
		.flags = DNS_FLAG_RECURSE,
		.type = a->type,
		.class = DNS_CLASS_IN };
	uint8_t message[DNS_MAX_BYTES];
	struct writer w = writer(message, sizeof(message));
	struct datagram d = { .src = a->own,
		.dst = a->server,
		.udp = {
		    .sport = a->port, .dport = DNS_PORT, .data = message } };
	uint8_t *packet;
	size_t bytes;

	a->tries++;
	a->due_ns = loop_now_ns(own->router->loop) + AGAIN_NS;
	memcpy(question.name, a->name, sizeof(question.name));
	dns_write(&w, &question);
	if (w.overrun)
		return; /* a name that is none: there is no answer */
	d.udp.data_bytes = (size_t)(w.at - message);
	packet = datagram_make(own->router, &d, &bytes);
	if (packet != NULL)
		output_own(own->router, packet, bytes);
}

/* The server of a port's lease, if it is reached by that port; 0: there is
 * none. */
static uint32_t
server_of(struct router *router, uint32_t *addr)
{
	for (unsigned int i = 0; i < router->nifaces; i++) {
		struct iface *iface = router->ifaces[i];
		uint32_t server = iface->wan != NULL ? wan_dns(iface->wan) : 0;
		struct way way;

		if (server != 0 && way_find(router, server, &way) &&
		    way.out == iface) {
			*addr = iface->address.addr;
			return server;
		}
	}
	return 0;
}

bool
dns_own_ask(struct dns_own *own, unsigned int slot, const struct dns_ask *ask)
{
	struct router *router = own->router;
	struct asking *a = &own->asking[slot];
	uint32_t addr, server = server_of(router, &addr);

	if (server == 0)
		return false;
	*a = (struct asking){ .used = true,
		.server = server,
		.own = addr,
		.id = (uint16_t)nat_random(&router->seed),
		.port = choose_port(router, addr),
		.type = ask->type };
	if (ask->type == DNS_TYPE_PTR)
		reverse4_text(a->name, ask->ip4);
	else
		memcpy(a->name, ask->name, strlen(ask->name) + 1);
	own->n++;
	send_question(own, a);
	arm(own);
	return true;
}

/* ---- answers ---- */

static void
end(struct dns_own *own, struct asking *a, const struct dns_answer *answer)
{
	a->used = false;
	own->n--;
	own->done(own->arg, (unsigned int)(a - own->asking), answer);
}

static void
due(void *arg)
{
	struct dns_own *own = arg;
	uint64_t now_ns = loop_now_ns(own->router->loop);

	for (unsigned int i = 0; i < DNS_ASKING; i++) {
		struct asking *a = &own->asking[i];

		if (!a->used || a->due_ns > now_ns)
			continue;
		if (a->tries == TRIES)
			end(own, a, NULL);
		else
			send_question(own, a);
	}
	arm(own);
	outbox_flush(own->router->outbox);
}

/* What was answered.  False: nothing of use. */
static bool
read_answer(struct dns_answer *answer, const struct dns *dns)
{
	uint8_t rcode = DNS_RCODE(dns->flags);

	*answer = (struct dns_answer){ .rcode = rcode, .ttl_s = dns->ttl_s };
	if (rcode != DNS_OK && rcode != DNS_NXDOMAIN)
		return false;
	if (dns->type == DNS_TYPE_A)
		for (uint8_t i = 0; i < dns->naddrs; i++)
			answer->addr[answer->naddrs++] =
			    ip6_of_ip4(dns->addr[i]);
	if (dns->type == DNS_TYPE_AAAA)
		for (uint8_t i = 0; i < dns->naddrs6; i++)
			answer->addr[answer->naddrs++] = dns->addr6[i];
	if (dns->type == DNS_TYPE_PTR)
		memcpy(answer->host, dns->host, sizeof(answer->host));
	if (answer->naddrs == 0 && answer->host[0] == '\0')
		answer->ttl_s = MISSING_S;
	/* What did not fit is not said, and what is not there is not known. */
	return !(dns->flags & DNS_FLAG_TRUNCATED) || answer->naddrs > 0 ||
	    answer->host[0] != '\0';
}

/* Whose answer may this be? */
static struct asking *
find(struct dns_own *own, const struct packet *p)
{
	const uint8_t *udp;

	if (own->n == 0 || p->ip.protocol != IP_UDP ||
	    ip4_is_fragment(&p->ip) ||
	    packet_payload(p, &udp) < UDP_HEADER_BYTES + 2 ||
	    get_be16(udp) != DNS_PORT)
		return NULL;
	for (unsigned int i = 0; i < DNS_ASKING; i++) {
		struct asking *a = &own->asking[i];

		if (a->used && a->server == p->ip.src && a->own == p->ip.dst &&
		    a->port == get_be16(udp + 2) &&
		    a->id == get_be16(udp + UDP_HEADER_BYTES))
			return a;
	}
	return NULL;
}

enum reason
dns_own_take(struct dns_own *own, struct packet *p)
{
	bool trusted = (p->frame->flags & (FRAME_CSUM | FRAME_VALID)) != 0;
	struct asking *a = find(own, p);
	struct dns_answer answer;
	const uint8_t *payload;
	enum reason reason;
	struct cursor c;
	struct udp udp;
	struct dns dns;
	size_t bytes;

	if (a == NULL)
		return REASON_NONE;
	if (!packet_whole(own->router, p))
		return DROP_PORT_FULL;
	bytes = packet_payload(p, &payload);
	c = cursor(payload, bytes);
	reason = udp_parse(&udp, &c, &p->ip, trusted);
	if (reason != REASON_NONE)
		return reason;
	c = cursor(udp.data, udp.data_bytes);
	reason = dns_parse(&dns, &c);
	if (reason != REASON_NONE)
		return reason;
	if (!(dns.flags & DNS_FLAG_RESPONSE) || dns.type != a->type ||
	    strcasecmp(dns.name, a->name) != 0)
		return DROP_DNS;
	end(own, a, read_answer(&answer, &dns) ? &answer : NULL);
	arm(own);
	return REASON_DELIVERED;
}

/* ---- making it ---- */

struct dns_own *
dns_own_new(struct router *router,
    void (*done)(void *arg, unsigned int slot, const struct dns_answer *answer),
    void *arg)
{
	struct dns_own *own = calloc(1, sizeof(*own));

	if (own == NULL)
		return NULL;
	own->router = router;
	own->done = done;
	own->arg = arg;
	loop_timer_init(&own->timer, router->loop, due, own);
	return own;
}

void
dns_own_free(struct dns_own *own)
{
	if (own == NULL)
		return;
	loop_timer_unset(&own->timer);
	free(own);
}
