#include "router/nat_state.h"

struct nat_stats
nat_stats(const struct nat *nat)
{
	struct nat_stats stats = { .sessions =
				       nat->session_pool.used - nat->rest.n,
		.mappings = nat->mapping_pool.used - nat->rest.n,
		.resting = nat->rest.n,
		.max_sessions = nat->session_pool.max };

	stats.bytes = sizeof(*nat) + nat_index_bytes(&nat->index) +
	    nat_index_bytes(&nat->mapping_index) +
	    (sizeof(nat->sessions[0]) + sizeof(nat->windows[0])) *
		nat->session_pool.max +
	    sizeof(nat->mappings[0]) * nat->mapping_pool.max +
	    nat_addresses_bytes(&nat->addresses) +
	    nat_peers_bytes(&nat->peers) + nat_hosts_bytes(&nat->hosts) +
	    nat_pins_bytes(&nat->pins);
	return stats;
}

static uint64_t
frames(const struct session *s, enum nat_direction direction)
{
	return (uint64_t)s->frames_high[direction] << 32 |
	    s->frames_low[direction];
}

static const char *
state_name(const struct session *s)
{
	if (s->protocol == IP_TCP)
		return nat_tcp_name((enum nat_tcp_state)s->state);
	return frames(s, NAT_OUTWARDS) > 0 && frames(s, NAT_INWARDS) > 0
	    ? "two-way"
	    : "one-way";
}

uint64_t
nat_session_until_ns(
    const struct nat *nat, const struct nat_flow *flow, uint64_t now_ns)
{
	struct nat_hit hit;

	return nat_find_out(nat, flow, now_ns, &hit) && hit.id != 0
	    ? nat->sessions[hit.id].expires_ns
	    : 0;
}

struct pins_each {
	uint64_t now_ns;
	void (*each)(void *arg, const struct nat_row *row);
	void *arg;
};

static void
each_pin(void *arg, const struct nat_pin *pin)
{
	static const char *const why[] = {
		[NAT_PIN_BY_FILE] = "the lab forwards the port",
		[NAT_PIN_BY_PMP] = "its host asked for it by NAT-PMP",
		[NAT_PIN_BY_PCP] = "its host asked for it by PCP",
		[NAT_PIN_BY_FTP] = "its host asked for it in FTP",
		[NAT_PIN_BY_SIP] = "its host asked for it in SIP",
	};
	const struct pins_each *p = arg;
	struct nat_row row = { .protocol = pin->protocol,
		.state = "pinned",
		.why = why[pin->by],
		.inside_ip = pin->in_ip,
		.inside_port = pin->in_port,
		.outside_ip = pin->out_ip,
		.outside_port = pin->out_port,
		.remote_ip = pin->remote_ip,
		.remote_port = pin->remote_port,
		.left_ns = pin->until_ns == NAT_PIN_FOREVER
		    ? UINT64_MAX
		    : pin->until_ns - p->now_ns };

	p->each(p->arg, &row);
}

static void
each_owned(const struct nat *nat,
    void (*each)(void *arg, const struct nat_row *row), void *arg)
{
	for (uint32_t i = nat->addresses.npool; i < nat->addresses.n; i++) {
		struct nat_row row = { .state = "one-to-one",
			.why = "the lab gives the host the address",
			.inside_ip = nat->addresses.of[i]->inside_ip,
			.outside_ip = nat->addresses.ip[i],
			.left_ns = UINT64_MAX };

		if (row.inside_ip != 0)
			each(arg, &row);
	}
}

void
nat_each(const struct nat *nat, uint64_t now_ns,
    void (*each)(void *arg, const struct nat_row *row), void *arg)
{
	struct pins_each pins = { now_ns, each, arg };

	each_owned(nat, each, arg);
	nat_pin_each(nat, now_ns, each_pin, &pins);
	for (uint32_t id = 1; id <= nat->session_pool.fresh; id++) {
		const struct session *s = &nat->sessions[id];
		struct nat_row row = { .id = id,
			.protocol = s->protocol,
			.state = state_name(s),
			.why = s->origin == NAT_OUTWARDS
			    ? "a host inside began"
			    : "a host outside began, and was admitted",
			.inside_ip = s->in_ip,
			.inside_port = s->in_port,
			.outside_ip = nat->addresses.ip[s->address],
			.outside_port = s->out_port,
			.remote_ip = s->remote_ip,
			.remote_port = s->remote_port,
			.left_ns = s->expires_ns - now_ns,
			.out_frames = frames(s, NAT_OUTWARDS),
			.out_bytes = s->bytes[NAT_OUTWARDS],
			.in_frames = frames(s, NAT_INWARDS),
			.in_bytes = s->bytes[NAT_INWARDS] };

		if (nat_session_lives(nat, s, now_ns))
			each(arg, &row);
	}
}
