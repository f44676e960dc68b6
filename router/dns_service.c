/*
 * A question is answered at once, or waits in a slot until the upstream server
 * has answered.  A slot belongs to one question: that two clients ask for the
 * same name at the same time is rare enough not to join them.
 *
 * The letters of a name come back as they were asked for, capital or not: some
 * clients use them to tell true answers from forged ones.
 */
#include "router/dns_service.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "router/dns_upstream.h"
#include "router/router_state.h"

#define DNS_HEADER_BYTES 12
#define DNS_SERVFAIL     2
#define DNS_NOTIMP       4

struct question {
	struct dns_service *service;
	struct dns_request *request; /* NULL: the slot is free */
	uint32_t client, own;
	uint16_t port;
	struct dns dns;
	uint8_t name[DNS_NAME_BYTES]; /* as in the message */
};

struct dns_service {
	struct router *router;
	struct router_dns_options options;
	struct dns_cache *cache;
	struct dns_upstream *upstream; /* NULL: none */
	unsigned int nasking;
	struct question question[DNS_ASKING];
};

struct dns_service *
dns_service_new(struct router *router, const struct router_dns_options *options,
    struct err *err)
{
	struct dns_service *service = calloc(1, sizeof(*service));

	if (service == NULL)
		goto fail;
	service->router = router;
	service->options = *options;
	service->cache = dns_cache_new(DNS_CACHE_NAMES);
	if (service->cache == NULL)
		goto fail;
	for (unsigned int i = 0; i < DNS_ASKING; i++)
		service->question[i].service = service;
	if (options->upstream == 0)
		return service;
	service->upstream = dns_upstream_new(
	    router->loop, options->upstream, options->upstream_port, err);
	if (service->upstream != NULL)
		return service;
fail:
	err_set(err, -ENOMEM, "dns: out of memory");
	dns_service_free(service);
	return NULL;
}

void
dns_service_free(struct dns_service *service)
{
	if (service == NULL)
		return;
	for (unsigned int i = 0; i < DNS_ASKING; i++)
		if (service->question[i].request != NULL)
			dns_upstream_cancel(service->question[i].request);
	dns_upstream_free(service->upstream);
	dns_cache_free(service->cache);
	free(service);
}

/* ---- answers ---- */

static void
restore_letters(uint8_t *message, const struct question *q)
{
	uint8_t *name = message + DNS_HEADER_BYTES;

	for (size_t i = 0; i < strlen(q->dns.name) + 2; i++)
		if (tolower(q->name[i]) == name[i])
			name[i] = q->name[i];
}

static void
send_answer(struct question *q, const struct dns_answer *answer)
{
	struct router *router = q->service->router;
	struct dns r = q->dns;
	uint8_t message[DNS_MAX_BYTES];
	struct writer w = writer(message, sizeof(message));
	struct udp udp = {
		.sport = DNS_PORT, .dport = q->port, .data = message
	};
	struct ip4 ip = {
		.ttl = 64, .protocol = IP_UDP, .src = q->own, .dst = q->client
	};
	uint8_t *room;

	r.flags = (uint16_t)(DNS_FLAG_RESPONSE | DNS_FLAG_RECURSION |
	    (q->dns.flags & DNS_FLAG_RECURSE) | answer->rcode);
	r.naddrs = q->dns.type == DNS_TYPE_A ? answer->naddrs : 0;
	memcpy(r.addr, answer->addr, sizeof(r.addr));
	r.ttl_s = answer->ttl_s;
	dns_write(&w, &r);
	if (w.overrun)
		return; /* longer than any that is parsed */
	restore_letters(message, q);
	udp.data_bytes = (size_t)(w.at - message);
	ip.total_bytes =
	    (uint16_t)(IP4_HEADER_BYTES + UDP_HEADER_BYTES + udp.data_bytes);
	ip.id = router->next_id++;
	room = output_room(router, ip.total_bytes);
	if (room == NULL)
		return; /* the client asks again */
	w = writer(room, ip.total_bytes);
	ip4_write(&w, &ip);
	udp_write(&w, &udp, ip.src, ip.dst);
	output_own(router, room, ip.total_bytes);
}

static enum reason
say(struct question *q, uint8_t rcode)
{
	const struct dns_answer answer = { .rcode = rcode };

	send_answer(q, &answer);
	return REASON_DELIVERED;
}

/* ---- asking others ---- */

static void
answered(void *arg, const struct dns_answer *answer)
{
	struct question *q = arg;
	struct dns_service *service = q->service;
	struct dns_answer kept;

	q->request = NULL;
	service->nasking--;
	if (answer == NULL) {
		say(q, DNS_SERVFAIL);
	} else {
		kept = *answer;
		if (kept.rcode != DNS_OK || kept.naddrs == 0)
			kept.ttl_s = DNS_MISSING_S;
		dns_cache_add(service->cache, q->dns.name, &kept,
		    loop_now_ns(service->router->loop));
		send_answer(q, &kept);
	}
	outbox_flush(service->router->outbox);
}

static enum reason
ask_upstream(struct dns_service *service, const struct question *asked)
{
	struct question *q = service->question;

	if (service->nasking == DNS_ASKING)
		return DROP_DNS_FULL;
	while (q->request != NULL)
		q++;
	*q = *asked;
	q->request =
	    dns_upstream_ask(service->upstream, q->dns.name, answered, q);
	if (q->request == NULL)
		return say(q, DNS_SERVFAIL);
	service->nasking++;
	return REASON_DELIVERED;
}

/* ---- questions ---- */

static bool
find_local(const struct dns_service *service, const char *name,
    struct dns_answer *answer)
{
	int n = service->options.lookup == NULL
	    ? -1
	    : service->options.lookup(
		  service->options.arg, name, answer->addr, DNS_MAX_ANSWERS);

	if (n < 0 && n != -ENOENT)
		return false;
	answer->rcode = n < 0 ? DNS_NXDOMAIN : DNS_OK;
	answer->naddrs = (uint8_t)(n < 0 ? 0 : n);
	answer->ttl_s = DNS_LOCAL_S;
	return true;
}

static enum reason
take_question(struct dns_service *service, struct question *q)
{
	struct dns_answer answer = { .rcode = DNS_OK };

	if (q->dns.class != DNS_CLASS_IN ||
	    (q->dns.type != DNS_TYPE_A && q->dns.type != DNS_TYPE_AAAA))
		return say(q, DNS_NOTIMP);
	if (find_local(service, q->dns.name, &answer) ||
	    dns_cache_find(service->cache, q->dns.name,
		loop_now_ns(service->router->loop), &answer)) {
		send_answer(q, &answer);
		return REASON_DELIVERED;
	}
	if (service->upstream == NULL)
		return say(q, DNS_NXDOMAIN);
	return ask_upstream(service, q);
}

enum reason
dns_service_take(
    struct dns_service *service, struct packet *p, const struct udp *udp)
{
	struct cursor c = cursor(udp->data, udp->data_bytes);
	struct question q = { .service = service,
		.client = p->ip.src,
		.own = p->ip.dst,
		.port = udp->sport };
	enum reason reason = dns_parse(&q.dns, &c);
	size_t n;

	if (reason != REASON_NONE)
		return reason;
	if (q.dns.flags & DNS_FLAG_RESPONSE || q.dns.name[0] == '\0')
		return DROP_DNS;
	n = udp->data_bytes - DNS_HEADER_BYTES;
	memcpy(q.name, udp->data + DNS_HEADER_BYTES,
	    n < sizeof(q.name) ? n : sizeof(q.name));
	return take_question(service, &q);
}
