/*
 * Who may have a session: senders, by the filter, and hosts, by their limits.
 *
 * A host that is new takes, if it must, the place of one that has nothing but
 * ports that rest; it looks for one among few of them, for a packet has to be
 * done with some time.
 */
#include "router/nat64_hosts.h"
#include "router/nat_state.h"

#define REST_TRIES 8

bool
nat_filter_admits(const struct nat *nat, bool own, uint32_t mapping,
    const struct nat_flow *flow, uint64_t now_ns)
{
	switch (nat_pin_says(nat, &nat->mappings[mapping], flow->remote_ip,
	    flow->remote_port, now_ns)) {
	case PIN_ADMITS: return true;
	case PIN_REFUSES: return false;
	case PIN_SAYS_NOTHING: break;
	}
	if (own)
		return true;
	switch (nat_filtering(&nat->rules, flow->protocol == IP_TCP)) {
	case NAT_ENDPOINT_INDEPENDENT: return true;
	case NAT_ADDRESS_DEPENDENT:
		return nat_peers_has(&nat->peers,
		    hash_peer(nat, mapping, flow->remote_ip), mapping,
		    flow->remote_ip);
	case NAT_ADDRESS_AND_PORT_DEPENDENT: return false;
	}
	return false;
}

bool
nat_host_has_room(const struct nat *nat, uint32_t ip, uint32_t most)
{
	const struct nat_host *host;

	if (most == 0)
		return true;
	host = nat_hosts_find(&nat->hosts, hash_host(nat, ip), ip);
	return host == NULL || host->sessions < most;
}

/* The host of ip, if need be in the place of one that has but a rest. */
static struct nat_host *
host_get(struct nat *nat, uint32_t ip)
{
	uint32_t h = hash_host(nat, ip);
	struct nat_host *host = nat_hosts_get(&nat->hosts, h, ip);

	for (int i = 0; i < REST_TRIES && host == NULL && nat->rest.n > 0;
	     i++) {
		nat_mapping_rest_less(nat);
		host = nat_hosts_get(&nat->hosts, h, ip);
	}
	return host;
}

enum reason
nat_host_join(struct nat *nat, uint32_t ip)
{
	struct nat_host *host;

	if (nat->hosts.items != NULL) {
		if (!nat_host_has_room(nat, ip, nat->rules.host_sessions))
			return DROP_NAT_HOST_LIMIT;
		host = host_get(nat, ip);
		if (host == NULL)
			return DROP_NAT_FULL;
		host->sessions++;
	}
	if (nat->virtual != NULL && nat64_is_virtual(ip))
		nat64_hosts_join(nat->virtual, ip);
	return REASON_NONE;
}

void
nat_host_leave(struct nat *nat, uint32_t ip)
{
	uint32_t h = hash_host(nat, ip);
	struct nat_host *host;

	if (nat->virtual != NULL && nat64_is_virtual(ip))
		nat64_hosts_leave(nat->virtual, ip);
	if (nat->hosts.items == NULL)
		return;
	host = nat_hosts_find(&nat->hosts, h, ip);
	host->sessions--;
	nat_hosts_put(&nat->hosts, h, host);
}
