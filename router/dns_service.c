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

#include "router/dns64.h"
#include "router/datagram.h"
#include "router/dns_own.h"
#include "router/dns_upstream.h"
#include "router/router6.h"

#define DNS_HEADER_BYTES  12
#define DNS_SERVFAIL      2
#define DNS_NOTIMP        4
#define DNS_TYPE_TRANSFER 251 /* from this to ANY: whole zones */
#define DNS_TYPE_ANY      255

struct question {
	struct dns_service *service;
	bool waits;                  /* else the slot is free */
	struct dns_request *request; /* of upstream's; NULL: of own's */
	struct dns_client client;
	uint16_t asking; /* the type of the request */
	struct dns dns;
	uint8_t name[DNS_NAME_BYTES]; /* as in the message */
	uint32_t ip4;                 /* PTR: whose name it is */
	char reverse[REVERSE4_BYTES];
};

struct dns_service {
	struct router *router;
	struct router_dns_options options;
	struct dns_cache *cache;
	struct dns_upstream *upstream; /* NULL: none */
	struct dns_own *own;           /* NULL: no port has leases */
	unsigned int nasking;
	struct question question[DNS_ASKING];
};

static void answered_own(
    void *arg, unsigned int slot, const struct dns_answer *answer);

/* Does a port get its address from others? */
static bool
has_leases(const struct router *router)
{
	for (unsigned int i = 0; i < router->nifaces; i++)
		if (router->ifaces[i]->wan != NULL)
			return true;
	return false;
}

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
	if (options->nupstreams == 0 && has_leases(router)) {
		service->own = dns_own_new(router, answered_own, service);
		if (service->own == NULL)
			goto fail;
	}
	if (options->nupstreams == 0)
		return service;
	service->upstream = dns_upstream_new(router->loop, options->upstream,
	    options->nupstreams, options->upstream_port, err);
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
	dns_own_free(service->own);
	dns_cache_free(service->cache);
	free(service);
}

/* ---- answers ---- */

/* Of a name in a message. */
static size_t
name_bytes(const char *name)
{
	return name[0] == '\0' ? 1 : strlen(name) + 2;
}

static void
restore_letters(uint8_t *message, const struct question *q)
{
	uint8_t *name = message + DNS_HEADER_BYTES;

	for (size_t i = 0; i < name_bytes(q->dns.name); i++)
		if (tolower(q->name[i]) == name[i])
			name[i] = q->name[i];
}

static void
send_by_ip6(const struct question *q, const struct udp *udp)
{
	struct router *router = q->service->router;
	const struct datagram6 d = {
		.src = q->client.own, .dst = q->client.addr, .udp = *udp
	};
	size_t bytes;
	uint8_t *packet = datagram6_make(router, &d, &bytes);

	if (packet != NULL) /* else the client asks again */
		output6_own(router, q->client.in, packet, bytes);
}

/* Sends a message to who asked. */
static void
send_message(struct question *q, const uint8_t *message, size_t bytes)
{
	struct router *router = q->service->router;
	struct datagram d = { .udp = { .sport = DNS_PORT,
				  .dport = q->client.port,
				  .data = message,
				  .data_bytes = bytes } };
	uint8_t *packet;

	if (!ip6_to_ip4(&d.src, &q->client.own) ||
	    !ip6_to_ip4(&d.dst, &q->client.addr)) {
		send_by_ip6(q, &d.udp);
		return;
	}
	packet = datagram_make(router, &d, &bytes);
	if (packet != NULL) /* else the client asks again */
		output_own(router, packet, bytes);
}

/* Puts the records of the type that was asked for into r. */
static void
put_records(
    struct dns *r, const struct question *q, const struct dns_answer *answer)
{
	uint32_t ip4;

	for (uint8_t i = 0; i < answer->naddrs; i++)
		if (r->type == DNS_TYPE_AAAA)
			r->addr6[r->naddrs6++] = answer->addr[i];
		else if (r->type != DNS_TYPE_PTR &&
		    ip6_to_ip4(&ip4, &answer->addr[i]))
			r->addr[r->naddrs++] = ip4;
	if (r->type != DNS_TYPE_PTR || answer->host[0] == '\0')
		return;
	memcpy(r->host, answer->host, sizeof(r->host));
	if (strcmp(r->name, q->reverse) != 0)
		memcpy(r->alias, q->reverse, sizeof(q->reverse));
}

static void
send_answer(struct question *q, const struct dns_answer *answer)
{
	struct dns r = q->dns;
	uint8_t message[DNS_MAX_BYTES];
	struct writer w = writer(message, sizeof(message));

	r.flags = (uint16_t)(DNS_FLAG_RESPONSE | DNS_FLAG_RECURSION |
	    (q->dns.flags & (DNS_FLAG_RECURSE | DNS_FLAG_CHECKING)) |
	    answer->rcode);
	r.ttl_s = answer->ttl_s;
	put_records(&r, q, answer);
	dns_write(&w, &r);
	if (w.overrun) { /* a name that is none */
		r = q->dns;
		r.flags = DNS_FLAG_RESPONSE | DNS_SERVFAIL;
		w = writer(message, sizeof(message));
		dns_write(&w, &r);
	}
	if (w.overrun)
		return; /* longer than any that is parsed */
	restore_letters(message, q);
	send_message(q, message, (size_t)(w.at - message));
}

static enum reason
say(struct question *q, uint8_t rcode)
{
	const struct dns_answer answer = { .rcode = rcode };

	send_answer(q, &answer);
	return REASON_DELIVERED;
}

static enum reason
tell(struct question *q, const struct dns_answer *answer)
{
	send_answer(q, answer);
	return REASON_DELIVERED;
}

/* ---- asking others ---- */

static enum reason find(struct question *q, uint16_t type);

/* Are AAAA records to be made for who asks? */
static bool
wants_64(const struct question *q)
{
	return q->service->options.dns64.bits != 0 &&
	    !(q->dns.dnssec && q->dns.flags & DNS_FLAG_CHECKING);
}

/* Leaves what is reached by the outer port, where the router's own NAT64 is. */
static void
leave_outside(struct router *router, struct dns_answer *a)
{
	uint8_t n = 0;
	struct way way;
	uint32_t ip4;

	if (router->nat == NULL)
		return; /* another router's, somewhere */
	for (uint8_t i = 0; i < a->naddrs; i++)
		if (ip6_to_ip4(&ip4, &a->addr[i]) &&
		    way_find(router, ip4, &way) && way.out == router->outside)
			a->addr[n++] = a->addr[i];
	a->naddrs = n;
}

/* There are no AAAA records but what is made of these. */
static enum reason
tell_64(struct question *q, const struct dns_answer *answer)
{
	struct dns_answer a = *answer, made;

	leave_outside(q->service->router, &a);
	(void)dns64_make(&q->service->options.dns64, &a, &made);
	return tell(q, &made);
}

/* What records of type are is known; answer NULL: it could not be asked. */
static enum reason
decide(struct question *q, uint16_t type, const struct dns_answer *answer)
{
	struct dns_answer sifted = { .rcode = DNS_OK };

	if (type == DNS_TYPE_AAAA && wants_64(q)) {
		if (answer != NULL)
			sifted = *answer;
		if (sifted.rcode == DNS_NXDOMAIN || dns64_sift(&sifted))
			return tell(q, &sifted);
		return find(q, DNS_TYPE_A);
	}
	if (answer == NULL)
		return say(q, DNS_SERVFAIL);
	if (type == DNS_TYPE_A && q->dns.type == DNS_TYPE_AAAA) {
		if (wants_64(q))
			return tell_64(q, answer);
		return say(q, answer->rcode);
	}
	return tell(q, answer);
}

static const char *
name_of(const struct question *q)
{
	return q->dns.type == DNS_TYPE_PTR ? q->reverse : q->dns.name;
}

static void
answered(void *arg, const struct dns_answer *answer)
{
	struct question *q = arg;
	struct dns_service *service = q->service;
	struct dns_answer kept;

	q->request = NULL;
	q->waits = false;
	service->nasking--;
	if (answer != NULL) {
		kept = *answer;
		dns_cache_add(service->cache, name_of(q), q->asking, &kept,
		    loop_now_ns(service->router->loop));
	}
	(void)decide(q, q->asking, answer != NULL ? &kept : NULL);
	outbox_flush(service->router->outbox);
}

static void
answered_own(void *arg, unsigned int slot, const struct dns_answer *answer)
{
	struct dns_service *service = arg;

	answered(&service->question[slot], answer);
}

/* Has the question asked.  False: it cannot be. */
static bool
ask_for(struct question *q, const struct dns_ask *ask)
{
	struct dns_service *service = q->service;

	if (service->own != NULL)
		return dns_own_ask(
		    service->own, (unsigned int)(q - service->question), ask);
	q->request = dns_upstream_ask(service->upstream, ask, answered, q);
	return q->request != NULL;
}

static enum reason
ask_upstream(struct question *asked, uint16_t type)
{
	struct dns_service *service = asked->service;
	struct question *q = service->question;
	struct dns_ask ask = { .type = type };

	if (service->upstream == NULL && service->own == NULL)
		return say(asked, DNS_NXDOMAIN);
	if (service->nasking == DNS_ASKING)
		return DROP_DNS_FULL;
	while (q->waits)
		q++;
	if (q != asked)
		*q = *asked;
	q->asking = type;
	ask.name = q->dns.name;
	ask.ip4 = q->ip4;
	if (!ask_for(q, &ask))
		return say(q, DNS_SERVFAIL);
	q->waits = true;
	service->nasking++;
	return REASON_DELIVERED;
}

/* Records of type, remembered or asked for. */
static enum reason
find(struct question *q, uint16_t type)
{
	struct dns_service *service = q->service;
	struct dns_answer answer;

	if (dns_cache_find(service->cache, name_of(q), type,
		loop_now_ns(service->router->loop), &answer))
		return decide(q, type, &answer);
	return ask_upstream(q, type);
}

/* ---- passing on ---- */

static void
passed(void *arg, const uint8_t *answer, size_t bytes)
{
	struct question *q = arg;
	uint8_t message[DNS_EDNS_BYTES];
	size_t most = q->dns.edns && q->dns.udp_bytes > DNS_MAX_BYTES
	    ? q->dns.udp_bytes
	    : DNS_MAX_BYTES;
	uint16_t flags;

	q->request = NULL;
	q->waits = false;
	q->service->nasking--;
	if (most > sizeof(message))
		most = sizeof(message);
	if (answer == NULL) {
		(void)say(q, DNS_SERVFAIL);
		outbox_flush(q->service->router->outbox);
		return;
	}
	flags = get_be16(answer + 2) | DNS_FLAG_RECURSION;
	if (bytes > most) { /* the header and the question remain */
		flags |= DNS_FLAG_TRUNCATED;
		bytes = DNS_HEADER_BYTES + name_bytes(q->dns.name) + 4;
	}
	memcpy(message, answer, bytes);
	put_be16(message, q->dns.id);
	put_be16(message + 2, flags);
	if (flags & DNS_FLAG_TRUNCATED)
		memset(message + 6, 0, 6);
	restore_letters(message, q);
	send_message(q, message, bytes);
	outbox_flush(q->service->router->outbox);
}

/* Asks a question of another type, in the words of who asks. */
static enum reason
pass(struct question *asked)
{
	struct dns_service *service = asked->service;
	struct question *q = service->question;
	struct dns dns = asked->dns;
	uint8_t message[DNS_MAX_BYTES];
	struct writer w = writer(message, sizeof(message));

	if (service->own != NULL)
		return say(asked, DNS_NOTIMP);
	if (service->upstream == NULL)
		return say(asked, DNS_NXDOMAIN);
	if (service->nasking == DNS_ASKING)
		return DROP_DNS_FULL;
	while (q->waits)
		q++;
	*q = *asked;
	dns.flags &= DNS_FLAG_RECURSE | DNS_FLAG_CHECKING;
	dns_write(&w, &dns);
	q->request = w.overrun ? NULL
			       : dns_upstream_pass(service->upstream, message,
				     (size_t)(w.at - message), passed, q);
	if (q->request == NULL)
		return say(q, DNS_SERVFAIL);
	q->waits = true;
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

/* Leaves the addresses of IPv6.  False: there are none, and it is as it was. */
static bool
leave_ip6(struct dns_answer *a)
{
	uint8_t n = 0;
	uint32_t ip4;

	for (uint8_t i = 0; i < a->naddrs; i++)
		if (!ip6_to_ip4(&ip4, &a->addr[i]))
			a->addr[n++] = a->addr[i];
	if (n > 0)
		a->naddrs = n;
	return n > 0;
}

static bool
find_local_name(
    const struct dns_service *service, uint32_t ip4, struct dns_answer *answer)
{
	answer->ttl_s = DNS_LOCAL_S;
	return service->options.reverse != NULL &&
	    service->options.reverse(
		service->options.arg, ip4, answer->host, sizeof(answer->host));
}

/* Whose name is an address's. */
static enum reason
take_reverse(struct question *q)
{
	const struct dns_service *service = q->service;
	struct dns_answer answer = { .rcode = DNS_OK };

	if (!reverse4_read(q->dns.name, &q->ip4) &&
	    (service->options.dns64.bits == 0 ||
		!dns64_reverse(&service->options.dns64, q->dns.name, &q->ip4)))
		return pass(q);
	reverse4_text(q->reverse, q->ip4);
	if (find_local_name(service, q->ip4, &answer))
		return tell(q, &answer);
	return find(q, DNS_TYPE_PTR);
}

/* Of other types the lab's names have nothing. */
static enum reason
take_other(struct question *q)
{
	struct dns_answer answer = { .rcode = DNS_OK };

	if (q->dns.type >= DNS_TYPE_TRANSFER && q->dns.type < DNS_TYPE_ANY)
		return say(q, DNS_REFUSED);
	if (find_local(q->service, q->dns.name, &answer))
		return say(q, answer.rcode);
	return pass(q);
}

static enum reason
take_question(struct question *q)
{
	const struct dns_service *service = q->service;
	struct dns_answer answer = { .rcode = DNS_OK };
	uint16_t type = q->dns.type;

	if (DNS_OPCODE(q->dns.flags) != 0 || q->dns.class != DNS_CLASS_IN)
		return say(q, DNS_NOTIMP);
	if (q->dns.version != 0)
		return say(q, DNS_OK); /* which is then a bad version */
	if (type == DNS_TYPE_PTR)
		return take_reverse(q);
	/* A part will do (RFC 8482 4.1). */
	if (type == DNS_TYPE_ANY && find_local(service, q->dns.name, &answer))
		return tell(q, &answer);
	if ((type != DNS_TYPE_A && type != DNS_TYPE_AAAA) ||
	    q->dns.name[0] == '\0')
		return take_other(q);
	if (wants_64(q) &&
	    dns64_well_known(
		&service->options.dns64, q->dns.name, type, &answer))
		return tell(q, &answer);
	if (find_local(service, q->dns.name, &answer))
		return type == DNS_TYPE_AAAA && leave_ip6(&answer)
		    ? tell(q, &answer)
		    : decide(q, DNS_TYPE_A, &answer);
	return find(q, service->options.ip6 ? type : DNS_TYPE_A);
}

enum reason
dns_service_answer(struct dns_service *service, struct packet *p)
{
	return service->own != NULL ? dns_own_take(service->own, p)
				    : REASON_NONE;
}

enum reason
dns_service_take(struct dns_service *service, const struct dns_client *client,
    const struct udp *udp)
{
	struct cursor c = cursor(udp->data, udp->data_bytes);
	struct question q = { .service = service, .client = *client };
	enum reason reason = dns_parse(&q.dns, &c);
	size_t n;

	if (reason != REASON_NONE)
		return reason;
	if (q.dns.flags & DNS_FLAG_RESPONSE)
		return DROP_DNS;
	n = udp->data_bytes - DNS_HEADER_BYTES;
	memcpy(q.name, udp->data + DNS_HEADER_BYTES,
	    n < sizeof(q.name) ? n : sizeof(q.name));
	return take_question(&q);
}
