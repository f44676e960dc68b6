/*
 * libevent may call back before its asking function returns, so an answer that
 * comes that early is kept for the next round.  A request that is cancelled
 * lives until libevent has called back for the last time.
 */
#include "router/dns_upstream.h"

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
resolved(int result, char type, int count, int ttl, void *addresses, void *arg)
{
	struct dns_request *request = arg;
	const uint8_t *list = addresses;

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
	if (result == DNS_ERR_NONE && type == DNS_IPv4_A) {
		for (int i = 0; i < count && i < DNS_MAX_ANSWERS; i++)
			request->answer.addr[request->answer.naddrs++] =
			    get_be32(list + 4 * i);
		request->answer.ttl_s = ttl > 0 ? (uint32_t)ttl : 0;
	}
	loop_defer_ask(&request->defer);
}

struct dns_request *
dns_upstream_ask(struct dns_upstream *upstream, const char *name,
    void (*done)(void *arg, const struct dns_answer *answer), void *arg)
{
	struct dns_request *request = calloc(1, sizeof(*request));

	if (request == NULL)
		return NULL;
	request->done = done;
	request->arg = arg;
	loop_defer_init(&request->defer, upstream->loop, tell, request);
	if (evdns_base_resolve_ipv4(upstream->dns, name, DNS_QUERY_NO_SEARCH,
		resolved, request) == NULL) {
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
