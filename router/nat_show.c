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

/* Each says whether a place has a row. */

static bool
owned_row(const struct nat *nat, uint32_t i, struct nat_row *row)
{
	*row = (struct nat_row){ .state = "one-to-one",
		.why = "the lab gives the host the address",
		.inside_ip = nat->addresses.of[i]->inside_ip,
		.outside_ip = nat->addresses.ip[i],
		.left_ns = UINT64_MAX };
	return row->inside_ip != 0;
}

static bool
pin_row(
    const struct nat *nat, uint32_t id, uint64_t now_ns, struct nat_row *row)
{
	static const char *const why[] = {
		[NAT_PIN_BY_FILE] = "the lab forwards the port",
		[NAT_PIN_BY_PMP] = "its host asked for it by NAT-PMP",
		[NAT_PIN_BY_PCP] = "its host asked for it by PCP",
		[NAT_PIN_BY_FTP] = "its host asked for it in FTP",
		[NAT_PIN_BY_SIP] = "its host asked for it in SIP",
	};
	struct nat_pin pin;

	if (!nat_pin_get(nat, id, now_ns, &pin))
		return false;
	*row = (struct nat_row){ .protocol = pin.protocol,
		.state = "pinned",
		.why = why[pin.by],
		.inside_ip = pin.in_ip,
		.inside_port = pin.in_port,
		.outside_ip = pin.out_ip,
		.outside_port = pin.out_port,
		.remote_ip = pin.remote_ip,
		.remote_port = pin.remote_port,
		.left_ns = pin.until_ns == NAT_PIN_FOREVER
		    ? UINT64_MAX
		    : pin.until_ns - now_ns };
	return true;
}

static bool
session_row(
    const struct nat *nat, uint32_t id, uint64_t now_ns, struct nat_row *row)
{
	const struct session *s = &nat->sessions[id];

	if (!nat_session_lives(nat, s, now_ns))
		return false;
	*row = (struct nat_row){ .id = id,
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
	return true;
}

bool
nat_walk(const struct nat *nat, struct nat_walk *walk, uint32_t n,
    uint64_t now_ns, void (*each)(void *arg, const struct nat_row *row),
    void *arg)
{
	struct nat_row row;

	for (; n > 0 && walk->addresses < nat->addresses.n; n--)
		if (owned_row(nat, walk->addresses++, &row))
			each(arg, &row);
	for (; n > 0 && walk->pins < nat->pins.pool.fresh; n--)
		if (pin_row(nat, ++walk->pins, now_ns, &row))
			each(arg, &row);
	for (; n > 0 && walk->sessions < nat->session_pool.fresh; n--)
		if (session_row(nat, ++walk->sessions, now_ns, &row))
			each(arg, &row);
	return n == 0;
}

void
nat_each(const struct nat *nat, uint64_t now_ns,
    void (*each)(void *arg, const struct nat_row *row), void *arg)
{
	struct nat_walk walk = { 0 };

	nat_walk(nat, &walk, UINT32_MAX, now_ns, each, arg);
}
