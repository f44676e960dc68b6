/*
 * Making a NAT, and giving it other rules while there are sessions.
 *
 * What only some rules ask for, peers and hosts, is counted only while they do,
 * and anew, by one walk over the sessions, when they begin to.  The same walk
 * cuts deadlines to timers that have become shorter, since lists are in order
 * of deadlines.
 */
#include <errno.h>

#include "router/nat_state.h"

#define BOTH (1u << NAT_OUTWARDS | 1u << NAT_INWARDS)

/* ---- what rules ask for ---- */

static void
start_rules(struct nat *nat, const struct nat_rules *rules)
{
	static const uint8_t refreshing[] = {
		[NAT_REFRESH_BOTH] = BOTH,
		[NAT_REFRESH_OUTBOUND] = 1u << NAT_OUTWARDS,
		[NAT_REFRESH_INBOUND] = 1u << NAT_INWARDS,
	};
	static_assert(sizeof(refreshing) == NAT_REFRESHES, "a rule has no row");

	nat->rules = *rules;
	nat->refreshing = refreshing[rules->refresh];
	for (int t = 0; t < NAT_TIMERS; t++)
		nat->timers[t].idle_ns = nat_idle_ns(rules, (enum nat_timer)t);
}

static uint32_t
block_ports(const struct nat_rules *rules)
{
	if (rules->ports != NAT_PORTS_BLOCKS)
		return 0;
	return rules->block_ports != 0 ? rules->block_ports : NAT_BLOCK_PORTS;
}

static bool
wants_hosts(const struct nat *nat, const struct nat_rules *rules)
{
	return rules->host_sessions != 0 || block_ports(rules) != 0 ||
	    (nat->addresses.npool > 1 &&
		rules->pooling != NAT_POOLING_ARBITRARY);
}

/* How many hosts there may be: those that there are, and more. */
static uint32_t
max_hosts(const struct nat *nat)
{
	uint32_t entries = nat->session_pool.max;
	uint32_t max = entries / NAT_HOST_ENTRIES;

	if (max < NAT_HOSTS_LEAST)
		max = entries < NAT_HOSTS_LEAST ? entries : NAT_HOSTS_LEAST;
	return max + nat->session_pool.used + nat->pins.pool.used;
}

/* Ports remember who shares them from the first time that rules let them. */
static bool
make_sharers(struct nat *nat, const struct nat_rules *rules)
{
	if (rules->ports != NAT_PORTS_OVERLOAD)
		return true;
	for (uint32_t i = 0; i < nat->addresses.n * PROTOCOLS; i++) {
		struct nat_address *address = nat->addresses.of[i / PROTOCOLS];
		uint16_t **sharers = &address->ports[i % PROTOCOLS].sharers;

		if (*sharers == NULL)
			*sharers = calloc(65536, sizeof(**sharers));
		if (*sharers == NULL)
			return false;
	}
	return true;
}

/* Peers and hosts, empty, as far as they are asked for.  False: no memory. */
static bool
make_extras(struct nat *nat, const struct nat_rules *rules,
    struct nat_peers *peers, struct nat_hosts *hosts)
{
	if (!make_sharers(nat, rules))
		return false;
	if ((nat_filtering(rules, false) == NAT_ADDRESS_DEPENDENT ||
		nat_filtering(rules, true) == NAT_ADDRESS_DEPENDENT) &&
	    nat_peers_init(peers, nat->session_pool.max + NAT_PINS_MAX) < 0)
		return false;
	if (wants_hosts(nat, rules) &&
	    nat_hosts_init(hosts, max_hosts(nat), &nat->addresses,
		block_ports(rules)) < 0) {
		nat_peers_clear(peers);
		return false;
	}
	return true;
}

/* ---- making it ---- */

static int
add_pairs(struct nat *nat, const struct nat_options *o, struct err *err)
{
	for (uint32_t i = 0; i < o->npairs; i++) {
		struct router_nat_pair pair = o->pairs[i];
		char out[IP4_TEXT_BYTES], in[IP4_TEXT_BYTES];
		bool again =
		    nat_addresses_own(&nat->addresses, pair.in_ip) >= 0;
		int e = again ? -EEXIST
			      : nat_addresses_add(&nat->addresses, pair.out_ip);

		if (e < 0)
			return err_set(err, e,
			    "NAT: %s cannot be the own address of %s: %s",
			    ip4_text(out, pair.out_ip),
			    ip4_text(in, pair.in_ip),
			    again              ? "that host has one already"
				: e == -EEXIST ? "it is the NAT's already"
				: e == -ENOSPC ? "there are too many"
					       : "out of memory");
		nat->addresses.of[nat->addresses.n - 1]->inside_ip = pair.in_ip;
		nat->addresses.nowned++;
	}
	return 0;
}

static int
add_addresses(struct nat *nat, const struct nat_options *o, struct err *err)
{
	char text[IP4_TEXT_BYTES];
	uint32_t npool = o->npool != 0 ? o->npool : 1;
	const uint32_t *pool = o->npool != 0 ? o->pool : &o->outside_ip;
	int e;

	for (uint32_t i = 0; i < npool; i++) {
		e = nat_addresses_add(&nat->addresses, pool[i]);
		if (e == -EEXIST)
			return err_set(err, e,
			    "NAT: %s is in the pool already; name it once",
			    ip4_text(text, pool[i]));
		if (e < 0)
			goto fail;
	}
	nat->addresses.npool = npool;
	e = nat_addresses_add(&nat->addresses, o->outside_ip);
	if (e == 0 || e == -EEXIST) {
		nat->own = (uint32_t)nat_addresses_find(
		    &nat->addresses, o->outside_ip);
		return add_pairs(nat, o, err);
	}
fail:
	if (e == -ENOSPC)
		return err_set(err, e,
		    "a NAT with %u addresses and its own cannot be; use at "
		    "most %d in all",
		    npool, NAT_ADDRESSES_MAX);
	return err_sys(err, e, "use fewer", "%u addresses of a NAT", npool);
}

/* The table's memory.  False: there is none. */
static bool
make_table(struct nat *nat, uint32_t max)
{
	uint32_t ends = nat->addresses.n * PROTOCOLS * 65536;
	uint32_t mappings = max < ends ? max : ends;

	/* What is saved of mappings leaves room in the index. */
	nat->sessions = nat_pool_new(&nat->session_pool, max, 0,
	    sizeof(nat->sessions[0]), &nat->index, mappings < max / 2 ? 3 : 2);
	nat->windows =
	    nat_memory_new(((size_t)max + 1) * sizeof(nat->windows[0]));
	nat->mappings = nat_pool_new(&nat->mapping_pool, mappings,
	    ends - mappings < NAT_PINS_MAX ? ends - mappings : NAT_PINS_MAX,
	    sizeof(nat->mappings[0]), &nat->mapping_index, 2);
	return nat->sessions != NULL && nat->windows != NULL &&
	    nat->mappings != NULL;
}

struct nat *
nat_new(const struct nat_options *options, struct err *err)
{
	uint32_t max =
	    options->max_entries != 0 ? options->max_entries : NAT_MAX_ENTRIES;
	struct nat *nat;

	if (max > NAT_MAX_ENTRIES_LIMIT) {
		err_set(err, -EINVAL,
		    "a NAT table of %u entries is too large; use 1 to %u", max,
		    NAT_MAX_ENTRIES_LIMIT);
		return NULL;
	}
	if (nat_rules_check(&options->rules, err) < 0)
		return NULL;
	nat = calloc(1, sizeof(*nat));
	if (nat == NULL)
		goto fail;
	nat->own_ip = options->outside_ip;
	nat->random = options->seed;
	nat->key[0] = nat_random(&nat->random);
	nat->key[1] = nat_random(&nat->random);
	nat->due_ns = UINT64_MAX;
	if (add_addresses(nat, options, err) < 0) {
		nat_free(nat);
		return NULL;
	}
	if (!make_table(nat, max) ||
	    !make_extras(nat, &options->rules, &nat->peers, &nat->hosts))
		goto fail;
	start_rules(nat, &options->rules);
	return nat;
fail:
	err_sys(err, -ENOMEM, "use fewer entries", "a NAT table of %u entries",
	    max);
	nat_free(nat);
	return NULL;
}

void
nat_free(struct nat *nat)
{
	if (nat == NULL)
		return;
	nat_index_clear(&nat->index);
	nat_index_clear(&nat->mapping_index);
	nat_peers_clear(&nat->peers);
	nat_hosts_clear(&nat->hosts);
	nat_pins_clear(&nat->pins);
	nat_addresses_clear(&nat->addresses);
	nat_pool_free(
	    &nat->session_pool, nat->sessions, sizeof(nat->sessions[0]));
	nat_pool_free(
	    &nat->session_pool, nat->windows, sizeof(nat->windows[0]));
	nat_pool_free(
	    &nat->mapping_pool, nat->mappings, sizeof(nat->mappings[0]));
	free(nat);
}

bool
nat_has_address(const struct nat *nat, uint32_t ip)
{
	return ip != 0 && nat_addresses_find(&nat->addresses, ip) >= 0;
}

void
nat_set_virtual(struct nat *nat, struct nat64_hosts *hosts)
{
	nat->virtual = hosts;
}

bool
nat_is_owned(const struct nat *nat, uint32_t ip)
{
	return nat_owner(nat, ip) != 0;
}

uint32_t
nat_teller(const struct nat *nat, uint32_t in_ip)
{
	int32_t own = nat_addresses_own(&nat->addresses, in_ip);

	return own >= 0 ? nat->addresses.ip[own] : nat->own_ip;
}

const struct nat_rules *
nat_rules(const struct nat *nat)
{
	return &nat->rules;
}

uint64_t
nat_due_ns(const struct nat *nat)
{
	return nat->due_ns;
}

/* ---- other rules ---- */

/* Hosts have the mappings that there are; of those that say so, the last one's
 * address is theirs. */
static void
walk_mappings(struct nat *nat)
{
	if (nat->hosts.items == NULL)
		return;
	for (uint32_t id = 1; id <= nat->mapping_pool.fresh; id++) {
		const struct mapping *m = &nat->mappings[id];
		struct nat_host *host;

		if (m->users == 0) /* it does not even rest */
			continue;
		host = nat_hosts_get(
		    &nat->hosts, hash_host(nat, m->in_ip), m->in_ip);
		host->mappings++;
		if (host->address != 0 || m->address >= nat->addresses.npool)
			continue;
		host->address = (uint16_t)(m->address + 1);
		nat->addresses.of[m->address]->hosts++;
	}
}

/* Counts what only some rules ask for, and cuts deadlines to timers. */
static void
walk_sessions(struct nat *nat, uint64_t now_ns)
{
	for (uint32_t id = 1; id <= nat->session_pool.fresh; id++) {
		struct session *s = &nat->sessions[id];
		uint64_t last_ns;

		if (s->expires_ns == 0)
			continue;
		last_ns = now_ns + nat->timers[s->timer].idle_ns;
		if (s->expires_ns > last_ns)
			s->expires_ns = last_ns;
		if (nat->peers.items != NULL && !s->guest)
			nat_peers_join(&nat->peers,
			    hash_peer(nat, s->mapping, s->remote_ip),
			    s->mapping, s->remote_ip);
		if (s->guest && nat->refreshing & 1u << NAT_INWARDS &&
		    nat_session_lives(nat, s, now_ns))
			nat_session_count(nat, s);
		if (nat->hosts.items != NULL)
			/* A guest's host may have no mapping any more. */
			nat_hosts_get(
			    &nat->hosts, hash_host(nat, s->in_ip), s->in_ip)
			    ->sessions++;
	}
	nat_pin_recount(nat);
}

int
nat_set_rules(struct nat *nat, const struct nat_rules *rules, uint64_t now_ns,
    struct err *err)
{
	struct nat_peers peers = { .items = NULL };
	struct nat_hosts hosts = { .items = NULL };

	if (nat_rules_check(rules, err) < 0)
		return -EINVAL;
	if (!make_extras(nat, rules, &peers, &hosts))
		return err_set(err, -ENOMEM, "out of memory");
	nat_end_dead_guests(nat, now_ns);
	nat_peers_clear(&nat->peers);
	nat_hosts_clear(&nat->hosts);
	nat->peers = peers;
	nat->hosts = hosts;
	start_rules(nat, rules);
	nat_rest_shorten(nat, now_ns);
	walk_mappings(nat);
	walk_sessions(nat, now_ns);
	nat_expire(nat, now_ns);
	return 0;
}
