/*
 * libevent may call back before its asking function returns, so an answer that
 * comes that early is kept for the next round.  A request that is cancelled
 * lives until libevent has called back for the last time.
 */
#include "router/dns_upstream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/dns.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/addr.h"

struct dns_upstream {
	struct loop *loop;
	struct evdns_base *dns;
};

struct dns_request {
	void (*done)(void *arg, const struct dns_answer *answer);
	void *arg;
	struct loop_defer defer;
	bool failed;
	struct dns_answer answer;
};

struct dns_upstream *
dns_upstream_new(
    struct loop *loop, uint32_t addr, uint16_t port, struct err *err)
{
	struct dns_upstream *upstream = calloc(1, sizeof(*upstream));
	struct event_base *base = loop_event_base(loop);
	char ip[IP4_TEXT_BYTES], at[IP4_TEXT_BYTES + 8];

	ip4_text(ip, addr);
	snprintf(at, sizeof(at), "%s:%u", ip, port);
	if (base == NULL) {
		err_set(err, -EINVAL,
		    "dns: a server at %s cannot be asked in virtual time; run "
		    "without --virtual-time, or leave \"upstream\" out",
		    at);
		free(upstream);
		return NULL;
	}
	if (upstream == NULL)
		goto fail;
	upstream->loop = loop;
	upstream->dns = evdns_base_new(base, 0);
	if (upstream->dns == NULL ||
	    evdns_base_set_option(upstream->dns, "timeout", "2") != 0 ||
	    evdns_base_set_option(upstream->dns, "attempts", "2") != 0 ||
	    evdns_base_set_option(upstream->dns, "max-inflight", "128") != 0 ||
	    evdns_base_nameserver_ip_add(upstream->dns, at) != 0)
		goto fail;
	return upstream;
fail:
	err_set(err, -EIO,
	    "dns: the resolver for %s cannot be made; use "
	    "another \"upstream\"",
	    at);
	dns_upstream_free(upstream);
	return NULL;
}

void
dns_upstream_free(struct dns_upstream *upstream)
{
	if (upstream == NULL)
		return;
	if (upstream->dns != NULL)
		evdns_base_free(upstream->dns, 1);
	free(upstream);
}

static void
tell(void *arg)
{
	struct dns_request *request = arg;

	request->done(request->arg, request->failed ? NULL : &request->answer);
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
	default: request->failed = true; break; /* open: libevent's list */
	}
	if (result == DNS_ERR_NONE) {
		take_addresses(&request->answer, type, count, addresses);
		request->answer.ttl_s = ttl > 0 ? (uint32_t)ttl : 0;
	}
	loop_defer_ask(&request->defer);
}

static struct evdns_request *
ask_of(struct dns_upstream *upstream, const struct dns_ask *ask,
    struct dns_request *request)
{
	const struct in_addr addr = { htonl(ask->ip4) };

	if (ask->type == DNS_TYPE_PTR)
		return evdns_base_resolve_reverse(upstream->dns, &addr,
		    DNS_QUERY_NO_SEARCH, resolved, request);
	if (ask->type == DNS_TYPE_AAAA)
		return evdns_base_resolve_ipv6(upstream->dns, ask->name,
		    DNS_QUERY_NO_SEARCH, resolved, request);
	return evdns_base_resolve_ipv4(
	    upstream->dns, ask->name, DNS_QUERY_NO_SEARCH, resolved, request);
}

struct dns_request *
dns_upstream_ask(struct dns_upstream *upstream, const struct dns_ask *ask,
    void (*done)(void *arg, const struct dns_answer *answer), void *arg)
{
	struct dns_request *request = calloc(1, sizeof(*request));

	if (request == NULL)
		return NULL;
	request->done = done;
	request->arg = arg;
	loop_defer_init(&request->defer, upstream->loop, tell, request);
	if (ask_of(upstream, ask, request) == NULL) {
		loop_defer_cancel(&request->defer);
		free(request);
		return NULL;
	}
	return request;
}

void
dns_upstream_cancel(struct dns_request *request)
{
	request->done = NULL;
	if (request->defer.prev != NULL) { /* it was answered */
		loop_defer_cancel(&request->defer);
		free(request);
	}
}
