/*
 * Looking up what there is, for ICMP errors and hairpins: nothing is made,
 * refreshed or counted.
 */
#include "router/nat_state.h"

uint32_t
nat_mapping_of(const struct nat *nat, const struct nat_flow *flow)
{
	int32_t address = nat_addresses_find(&nat->addresses, flow->ip);

	return address < 0 ? NAT_NONE
			   : nat_mapping_at(nat, (uint32_t)address,
				 flow->protocol, flow->port);
}

bool
nat_find_out(const struct nat *nat, const struct nat_flow *flow,
    uint64_t now_ns, struct nat_hit *hit)
{
	uint32_t id = nat_session_out(nat, flow);
	const struct session *s = &nat->sessions[id];

	if (id == NAT_NONE || !nat_session_lives(nat, s, now_ns))
		return false;
	*hit = (struct nat_hit){ .ip = nat->addresses.ip[s->address],
		.port = s->out_port,
		.id = id };
	return true;
}

bool
nat_find_in(const struct nat *nat, const struct nat_flow *flow, uint64_t now_ns,
    struct nat_hit *hit)
{
	uint32_t id = nat_session_in(nat, flow);
	const struct session *s = &nat->sessions[id];
	const struct mapping *m;

	if (id != NAT_NONE && nat_session_lives(nat, s, now_ns)) {
		*hit = (struct nat_hit){
			.ip = s->in_ip, .port = s->in_port, .id = id
		};
		return true;
	}
	m = &nat->mappings[nat_mapping_of(nat, flow)];
	if (m == nat->mappings || m->users == 0 ||
	    (m->remote_ip != 0 && m->remote_ip != flow->remote_ip) ||
	    (m->remote_port != 0 && m->remote_port != flow->remote_port))
		return false;
	*hit = (struct nat_hit){ .ip = m->in_ip, .port = m->in_port };
	return true;
}

bool
nat_has_port(
    const struct nat *nat, uint32_t ip, uint8_t protocol, uint16_t port)
{
	const struct nat_flow flow = {
		.ip = ip, .port = port, .protocol = protocol
	};

	return nat_mapping_of(nat, &flow) != NAT_NONE ||
	    nat_owner(nat, ip) != 0;
}
