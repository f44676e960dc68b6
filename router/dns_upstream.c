/*
 * libevent may call back before its asking function returns, so an answer that
 * comes that early is kept for the next round.  A request that is cancelled
 * lives until libevent has called back for the last time.
 */
#include "router/dns_upstream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/addr.h"
#include "router/dns64.h"
#include "router/dns_stream.h"
#include "router/router.h"

struct dns_upstream {
	struct loop *loop;
	/* A resolver for each server: who knows several asks the dead ones
	 * again and again. */
	struct evdns_base *dns[ROUTER_DNS_UPSTREAMS];
	uint32_t addr[ROUTER_DNS_UPSTREAMS];
	unsigned int naddrs;
	unsigned int good; /* the one that answered last */
	uint16_t port;
};

struct dns_request {
	struct dns_upstream *upstream;
	void (*done)(void *arg, const struct dns_answer *answer);
	void (*passed)(void *arg, const uint8_t *answer, size_t bytes);
	void *arg;
	struct dns question;
	uint32_t ip4;              /* PTR: whose name it is */
	unsigned int first, tried; /* servers, from which on and how many */
	struct dns_stream *stream; /* by TCP */
	uint8_t message[DNS_STREAM_BYTES];
	size_t bytes;
	struct loop_defer defer;
	bool failed;
	struct dns_answer answer;
};

static struct evdns_base *
new_resolver(const struct dns_upstream *upstream, uint32_t addr, bool alone)
{
	char at[IP4_TEXT_BYTES + 8], ip[IP4_TEXT_BYTES];
	struct evdns_base *dns =
	    evdns_base_new(loop_event_base(upstream->loop), 0);

	snprintf(at, sizeof(at), "%s:%u", ip4_text(ip, addr), upstream->port);
	if (dns == NULL ||
	    (evdns_base_set_option(dns, "timeout", "2") == 0 &&
		evdns_base_set_option(dns, "attempts", alone ? "2" : "1") ==
		    0 &&
		evdns_base_set_option(dns, "max-inflight", "128") == 0 &&
		evdns_base_nameserver_ip_add(dns, at) == 0))
		return dns;
	evdns_base_free(dns, 0);
	return NULL;
}

struct dns_upstream *
dns_upstream_new(struct loop *loop, const uint32_t *addrs, unsigned int n,
    uint16_t port, struct err *err)
{
	struct dns_upstream *upstream = calloc(1, sizeof(*upstream));
	char ip[IP4_TEXT_BYTES];

	ip4_text(ip, addrs[0]);
	if (loop_event_base(loop) == NULL) {
		err_set(err, -EINVAL,
		    "dns: a server at %s:%u cannot be asked in virtual time; "
		    "run without --virtual-time, or leave \"upstream\" out",
		    ip, port);
		free(upstream);
		return NULL;
	}
	if (upstream == NULL)
		goto fail;
	upstream->loop = loop;
	upstream->port = port;
	for (unsigned int i = 0; i < n && i < ROUTER_DNS_UPSTREAMS; i++) {
		upstream->addr[i] = addrs[i];
		upstream->dns[i] = new_resolver(upstream, addrs[i], n == 1);
		if (upstream->dns[i] == NULL)
			goto fail;
		upstream->naddrs++;
	}
	return upstream;
fail:
	err_set(err, -EIO,
	    "dns: the resolver for %s:%u cannot be made; use "
	    "another \"upstream\"",
	    ip, port);
	dns_upstream_free(upstream);
	return NULL;
}

void
dns_upstream_free(struct dns_upstream *upstream)
{
	if (upstream == NULL)
		return;
	for (unsigned int i = 0; i < upstream->naddrs; i++)
		evdns_base_free(upstream->dns[i], 1);
	free(upstream);
}

static void
tell(void *arg)
{
	struct dns_request *request = arg;

	if (request->passed != NULL)
		request->passed(request->arg, NULL, 0);
	else
		request->done(
		    request->arg, request->failed ? NULL : &request->answer);
	free(request);
}

static void
take_addresses(struct dns_answer *answer, char type, int count, void *list)
{
	const uint8_t *at = list;
	const char *const *names = list;

	for (int i = 0; i < count && i < DNS_MAX_ANSWERS; i++) {
		if (type == DNS_IPv4_A)
			answer->addr[answer->naddrs++] =
			    ip6_of_ip4(get_be32(at + 4 * i));
		else if (type == DNS_IPv6_AAAA)
			memcpy(answer->addr[answer->naddrs++].b, at + 16 * i,
			    sizeof(answer->addr[0].b));
	}
	if (type == DNS_PTR && count > 0 &&
	    strlen(names[0]) < sizeof(answer->host))
		memcpy(answer->host, names[0], strlen(names[0]) + 1);
}

/* The server that is asked now. */
static unsigned int
server_of(const struct dns_request *request)
{
	return (request->first + request->tried) % request->upstream->naddrs;
}

/* ---- by TCP ---- */

static void ask_stream(struct dns_request *request);

/* The next server; when there is none, nobody has answered. */
static void
ask_next(struct dns_request *request)
{
	request->stream = NULL;
	request->tried++;
	ask_stream(request);
}

static void
take_records(struct dns_answer *answer, const struct dns *d)
{
	answer->rcode = DNS_RCODE(d->flags);
	answer->ttl_s = d->ttl_s;
	for (uint8_t i = 0; i < d->naddrs; i++)
		answer->addr[answer->naddrs++] = ip6_of_ip4(d->addr[i]);
	for (uint8_t i = 0; i < d->naddrs6 && d->naddrs == 0; i++)
		answer->addr[answer->naddrs++] = d->addr6[i];
	memcpy(answer->host, d->host, sizeof(answer->host));
}

/* Can the answer be used? */
static bool
is_answer(const struct dns_request *request, struct dns *d,
    const uint8_t *message, size_t bytes)
{
	struct cursor c;

	if (message == NULL || request->passed != NULL)
		return message != NULL;
	c = cursor(message, bytes);
	return dns_parse(d, &c) == REASON_NONE &&
	    (DNS_RCODE(d->flags) == DNS_OK ||
		DNS_RCODE(d->flags) == DNS_NXDOMAIN);
}

static void
streamed(void *arg, const uint8_t *message, size_t bytes)
{
	struct dns_request *request = arg;
	struct dns d;

	if (!is_answer(request, &d, message, bytes)) {
		ask_next(request);
		return;
	}
	request->stream = NULL;
	request->upstream->good = server_of(request);
	if (request->passed != NULL) {
		request->passed(request->arg, message, bytes);
		free(request);
		return;
	}
	take_records(&request->answer, &d);
	request->done(request->arg, &request->answer);
	free(request);
}

static void
ask_stream(struct dns_request *request)
{
	struct dns_upstream *upstream = request->upstream;

	evutil_secure_rng_get_bytes(request->message, 2); /* its id */
	for (; request->tried < upstream->naddrs; request->tried++) {
		request->stream = dns_stream_ask(upstream->loop,
		    upstream->addr[server_of(request)], upstream->port,
		    request->message, request->bytes, streamed, request);
		if (request->stream != NULL)
			return;
	}
	request->failed = true;
	loop_defer_ask(&request->defer);
}

/* What libevent's resolver was cut short about. */
static void
ask_again(struct dns_request *request)
{
	struct writer w = writer(request->message, sizeof(request->message));

	dns_write(&w, &request->question);
	request->bytes = (size_t)(w.at - request->message);
	ask_stream(request);
}

static struct evdns_request *ask_of(struct dns_request *request);

/* The next server; when there is none, nobody has answered. */
static void
ask_other(struct dns_request *request)
{
	request->tried++;
	if (request->tried < request->upstream->naddrs &&
	    ask_of(request) != NULL)
		return;
	request->failed = true;
	loop_defer_ask(&request->defer);
}

static void
resolved(int result, char type, int count, int ttl, void *addresses, void *arg)
{
	struct dns_request *request = arg;

	if (request->done == NULL) { /* cancelled */
		free(request);
		return;
	}
	switch (result) {
	case DNS_ERR_NONE: break;
	case DNS_ERR_NOTEXIST: request->answer.rcode = DNS_NXDOMAIN; break;
	case DNS_ERR_NODATA: break;
	case DNS_ERR_TRUNCATED: ask_again(request); return;
	default: ask_other(request); return; /* open: libevent's list */
	}
	request->upstream->good = server_of(request);
	if (result == DNS_ERR_NONE)
		take_addresses(&request->answer, type, count, addresses);
	/* That of what does not exist is the least of the zone's, if it says
	 * so (RFC 2308 5). */
	request->answer.ttl_s = ttl > 0 ? (uint32_t)ttl : 0;
	loop_defer_ask(&request->defer);
}

static struct evdns_request *
ask_of(struct dns_request *request)
{
	struct evdns_base *dns = request->upstream->dns[server_of(request)];
	const struct in_addr addr = { htonl(request->ip4) };
	const char *name = request->question.name;

	if (request->question.type == DNS_TYPE_PTR)
		return evdns_base_resolve_reverse(
		    dns, &addr, DNS_QUERY_NO_SEARCH, resolved, request);
	if (request->question.type == DNS_TYPE_AAAA)
		return evdns_base_resolve_ipv6(
		    dns, name, DNS_QUERY_NO_SEARCH, resolved, request);
	return evdns_base_resolve_ipv4(
	    dns, name, DNS_QUERY_NO_SEARCH, resolved, request);
}

struct dns_request *
dns_upstream_ask(struct dns_upstream *upstream, const struct dns_ask *ask,
    void (*done)(void *arg, const struct dns_answer *answer), void *arg)
{
	struct dns_request *request = calloc(1, sizeof(*request));

	if (request == NULL)
		return NULL;
	request->upstream = upstream;
	request->first = upstream->good;
	request->ip4 = ask->ip4;
	request->done = done;
	request->arg = arg;
	request->question = (struct dns){ .flags = DNS_FLAG_RECURSE,
		.type = ask->type,
		.class = DNS_CLASS_IN };
	if (ask->type == DNS_TYPE_PTR)
		reverse4_text(request->question.name, ask->ip4);
	else
		memcpy(
		    request->question.name, ask->name, strlen(ask->name) + 1);
	loop_defer_init(&request->defer, upstream->loop, tell, request);
	if (ask_of(request) == NULL) {
		loop_defer_cancel(&request->defer);
		free(request);
		return NULL;
	}
	return request;
}

struct dns_request *
dns_upstream_pass(struct dns_upstream *upstream, const uint8_t *message,
    size_t bytes,
    void (*passed)(void *arg, const uint8_t *answer, size_t bytes), void *arg)
{
	struct dns_request *request = calloc(1, sizeof(*request));

	if (request == NULL || bytes > sizeof(request->message)) {
		free(request);
		return NULL;
	}
	request->upstream = upstream;
	request->first = upstream->good;
	request->passed = passed;
	request->arg = arg;
	request->bytes = bytes;
	memcpy(request->message, message, bytes);
	loop_defer_init(&request->defer, upstream->loop, tell, request);
	ask_stream(request);
	return request;
}

void
dns_upstream_cancel(struct dns_request *request)
{
	request->done = NULL;
	if (request->stream != NULL) { /* libevent's resolver is through */
		dns_stream_cancel(request->stream);
		free(request);
	} else if (request->defer.prev != NULL) { /* it was answered */
		loop_defer_cancel(&request->defer);
		free(request);
	}
}
