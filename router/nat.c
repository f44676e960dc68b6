/*
 * The table.
 *
 *    index: hash of (protocol, inside, remote)  --.
 *    index: hash of (protocol, outside, remote) --+--> session --> mapping
 *    index: hash of (protocol, inside[, remote]) ----------------> mapping
 *    array: by_port[protocol][outside port] ---------------------> mapping
 *    index: hash of (protocol, inside[, remote]) --> pin --------> mapping
 *
 * One probe finds a packet's session, in either direction.  The mapping is
 * looked at only when a session is made, so that endpoint-independent mapping
 * costs established traffic nothing; and because it is looked for by the inside
 * end alone, a second host with the same port never changes what the first one
 * gets, towards anybody (RFC 4787, REQ-1 and REQ-11).
 *
 * Timers.  Each class of timeout has a list.  A packet writes the session's
 * deadline, exact to the nanosecond; the session moves to the end of its list
 * when the deadline comes to another tick of 2^30 ns.  So a list is in order of
 * deadlines but for a tick: the first one that has not expired ends the search,
 * what expired behind it is found a tick later, and a look-up in between takes
 * it for what it is, gone.  Only its mapping may live for that tick more.  No
 * heap, no wheel, no scan.
 *
 * Rules may change while there are sessions.  What only some rules ask for,
 * peers and hosts, is counted only while they do, and anew, by one walk over
 * the sessions, when they begin to.  The same walk cuts deadlines to timers that
 * have become shorter, since lists are in order of deadlines.
 *
 * With mappings that depend on the remote end and filters that do not, a packet
 * from outside may name a pair of inside and remote ends that another mapping
 * serves already.  It is refused as filtered: a session belongs to one mapping.
 *
 * The hash is keyed with the seed: who does not know it cannot make ends that
 * collide.  An entry takes at most 128 bytes, all in (nat_state.h).
 *
 * Rejected: one level, with the outside port in the session (as most kernels
 * do).  It looks endpoint-independent until the first collision of ports.
 */
#include "router/nat.h"

#include <errno.h>
#include <string.h>

#include "base/loop.h"
#include "net/tcp.h"
#include "router/nat_state.h"

#define TICK_SHIFT 30
#define BOTH       (1u << NAT_OUTWARDS | 1u << NAT_INWARDS)

/* ---- making it ---- */

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

/* What rules ask for beyond sessions and mappings, empty.  False: no memory. */
static bool
make_extras(const struct nat_rules *rules, uint32_t max,
    struct nat_peers *peers, struct nat_hosts *hosts)
{
	max += NAT_PINS_MAX;
	if (rules->filtering == NAT_ADDRESS_DEPENDENT &&
	    nat_peers_init(peers, max) < 0)
		return false;
	if ((rules->host_sessions != 0 || rules->ports == NAT_PORTS_BLOCKS) &&
	    nat_hosts_init(hosts, max,
		rules->block_ports != 0 ? rules->block_ports
					: NAT_BLOCK_PORTS) < 0) {
		nat_peers_clear(peers);
		return false;
	}
	return true;
}

/* Ports remember who shares them from the first time that rules let them. */
static bool
make_sharers(struct nat *nat, const struct nat_rules *rules)
{
	if (rules->ports != NAT_PORTS_OVERLOAD)
		return true;
	for (int p = 0; p < PROTOCOLS; p++) {
		uint16_t **sharers = &nat->ports[p].sharers;

		if (*sharers == NULL)
			*sharers = calloc(65536, sizeof(**sharers));
		if (*sharers == NULL)
			return false;
	}
	return true;
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
	nat->random = options->seed;
	nat->key[0] = nat_random(&nat->random);
	nat->key[1] = nat_random(&nat->random);
	nat->outside_ip = options->outside_ip;
	nat->due_ns = UINT64_MAX;
	nat->ports[TCP].has_classes = nat->ports[UDP].has_classes = true;
	nat->sessions = nat_pool_new(
	    &nat->session_pool, max, sizeof(nat->sessions[0]), &nat->index, 2);
	nat->windows =
	    nat_memory_new(((size_t)max + 1) * sizeof(nat->windows[0]));
	if (nat->sessions == NULL || nat->windows == NULL ||
	    !make_extras(&options->rules, max, &nat->peers, &nat->hosts) ||
	    !make_sharers(nat, &options->rules))
		goto fail;
	start_rules(nat, &options->rules);
	max += NAT_PINS_MAX;
	if (max > PROTOCOLS * 65536)
		max = PROTOCOLS * 65536;
	nat->mappings = nat_pool_new(&nat->mapping_pool, max,
	    sizeof(nat->mappings[0]), &nat->mapping_index, 1);
	nat->by_port = calloc(PROTOCOLS, sizeof(nat->by_port[0]));
	if (nat->mappings == NULL || nat->by_port == NULL)
		goto fail;
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
	for (int p = 0; p < PROTOCOLS; p++)
		free(nat->ports[p].sharers);
	nat_pool_free(
	    &nat->session_pool, nat->sessions, sizeof(nat->sessions[0]));
	nat_pool_free(
	    &nat->session_pool, nat->windows, sizeof(nat->windows[0]));
	nat_pool_free(
	    &nat->mapping_pool, nat->mappings, sizeof(nat->mappings[0]));
	free(nat->by_port);
	free(nat);
}

uint32_t
nat_outside_ip(const struct nat *nat)
{
	return nat->outside_ip;
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

/* ---- looking up sessions ---- */

static inline bool
is_out(const struct session *s, const struct nat_flow *flow)
{
	return s->in_ip == flow->ip && s->remote_ip == flow->remote_ip &&
	    s->in_port == flow->port && s->remote_port == flow->remote_port &&
	    s->protocol == flow->protocol;
}

static inline bool
is_in(const struct session *s, const struct nat_flow *flow)
{
	return s->remote_ip == flow->remote_ip && s->out_port == flow->port &&
	    s->remote_port == flow->remote_port &&
	    s->protocol == flow->protocol;
}

static uint32_t
find_out(const struct nat *nat, const struct nat_flow *flow, uint32_t h)
{
	const struct nat_slot *slots = nat->index.slots;
	uint32_t at = h & nat->index.mask;

	for (; slots[at].id != 0; at = (at + 1) & nat->index.mask)
		if (slots[at].hash == h &&
		    is_out(&nat->sessions[slots[at].id], flow))
			return slots[at].id;
	return NAT_NONE;
}

static uint32_t
find_in(const struct nat *nat, const struct nat_flow *flow, uint32_t h)
{
	const struct nat_slot *slots = nat->index.slots;
	uint32_t at = h & nat->index.mask;

	for (; slots[at].id != 0; at = (at + 1) & nat->index.mask)
		if (slots[at].hash == h &&
		    is_in(&nat->sessions[slots[at].id], flow))
			return slots[at].id;
	return NAT_NONE;
}

void
nat_hash(const struct nat *nat, struct nat_flow *flow, bool outwards)
{
	flow->hash = outwards ? hash_out(nat, flow) : hash_in(nat, flow);
	__builtin_prefetch(&nat->index.slots[flow->hash & nat->index.mask]);
}

void
nat_guess(const struct nat *nat, struct nat_flow *flow)
{
	const struct nat_slot *slots = nat->index.slots;
	uint32_t at = flow->hash & nat->index.mask;

	while (slots[at].id != 0 && slots[at].hash != flow->hash)
		at = (at + 1) & nat->index.mask;
	flow->guess = slots[at].id;
	__builtin_prefetch(&nat->sessions[flow->guess], 1);
}

/* Is it what was guessed, and in use still? */
static inline bool
guessed_out(const struct nat *nat, const struct nat_flow *flow, uint64_t now_ns)
{
	const struct session *s = &nat->sessions[flow->guess];

	return s->expires_ns > now_ns && is_out(s, flow);
}

static inline bool
guessed_in(const struct nat *nat, const struct nat_flow *flow, uint64_t now_ns)
{
	const struct session *s = &nat->sessions[flow->guess];

	return s->expires_ns > now_ns && is_in(s, flow);
}

uint32_t
nat_session_in(const struct nat *nat, const struct nat_flow *flow)
{
	return find_in(nat, flow, hash_in(nat, flow));
}

/* ---- timers ---- */

static enum nat_timer
timer_of(uint8_t protocol, unsigned int state)
{
	if (protocol == IP_UDP)
		return state == TALK_TWO_WAY ? NAT_TIMER_UDP
					     : NAT_TIMER_UDP_ONE_WAY;
	if (protocol == IP_ICMP)
		return NAT_TIMER_ICMP;
	return nat_tcp_timer((enum nat_tcp_state)state);
}

/* Of a session that is in no timer's list. */
static void
write_state(struct session *s, unsigned int state)
{
	s->state = state & 7;
	s->timer = timer_of(s->protocol, state) & 7;
}

static void
list_remove(struct nat *nat, struct session *s)
{
	enum nat_timer timer = (enum nat_timer)s->timer;

	if (s->prev != NAT_NONE)
		nat->sessions[s->prev].next = s->next;
	else
		nat->timers[timer].first = s->next;
	if (s->next != NAT_NONE)
		nat->sessions[s->next].prev = s->prev;
	else
		nat->timers[timer].last = s->prev;
}

static void
list_append(struct nat *nat, struct session *s)
{
	enum nat_timer timer = (enum nat_timer)s->timer;
	uint32_t id = (uint32_t)(s - nat->sessions);

	s->prev = nat->timers[timer].last;
	s->next = NAT_NONE;
	if (s->prev != NAT_NONE)
		nat->sessions[s->prev].next = id;
	else
		nat->timers[timer].first = id;
	nat->timers[timer].last = id;
	if (s->expires_ns < nat->due_ns)
		nat->due_ns = s->expires_ns;
}

static void
list_move(struct nat *nat, struct session *s)
{
	list_remove(nat, s);
	list_append(nat, s);
}

/* A packet that keeps the session alive. */
static inline void
refresh(struct nat *nat, struct session *s, uint64_t now_ns)
{
	uint64_t at_ns = now_ns + nat->timers[s->timer].idle_ns;
	bool same_tick = (at_ns ^ s->expires_ns) >> TICK_SHIFT == 0;

	s->expires_ns = at_ns;
	if (!same_tick)
		list_move(nat, s);
}

/* ---- peers and hosts ---- */

/* Does the mapping admit a sender it has no session with (RFC 4787 5)? */
static bool
filter_admits(const struct nat *nat, uint32_t mapping,
    const struct nat_flow *flow, uint64_t now_ns)
{
	switch (nat_pin_says(nat, &nat->mappings[mapping], flow->remote_ip,
	    flow->remote_port, now_ns)) {
	case PIN_ADMITS: return true;
	case PIN_REFUSES: return false;
	case PIN_SAYS_NOTHING: break;
	}
	switch (nat->rules.filtering) {
	case NAT_ENDPOINT_INDEPENDENT: return true;
	case NAT_ADDRESS_DEPENDENT:
		return nat_peers_has(&nat->peers,
		    hash_peer(nat, mapping, flow->remote_ip), mapping,
		    flow->remote_ip);
	case NAT_ADDRESS_AND_PORT_DEPENDENT: return false;
	}
	return false;
}

/* May the host have one more session? */
static bool
host_has_room(const struct nat *nat, uint32_t ip)
{
	return nat->rules.host_sessions == 0 ||
	    nat_hosts_sessions(&nat->hosts, hash_host(nat, ip), ip) <
	    nat->rules.host_sessions;
}

enum reason
nat_host_join(struct nat *nat, uint32_t ip)
{
	if (nat->hosts.items == NULL)
		return REASON_NONE;
	if (!host_has_room(nat, ip))
		return DROP_NAT_HOST_LIMIT;
	nat_hosts_join(&nat->hosts, hash_host(nat, ip), ip);
	return REASON_NONE;
}

void
nat_host_leave(struct nat *nat, uint32_t ip)
{
	if (nat->hosts.items != NULL)
		nat_hosts_leave(&nat->hosts, hash_host(nat, ip), ip);
}

/* ---- sessions ---- */

static struct nat_flow
flow_out(const struct session *s)
{
	return (struct nat_flow){ .ip = s->in_ip,
		.port = s->in_port,
		.remote_ip = s->remote_ip,
		.remote_port = s->remote_port,
		.protocol = s->protocol };
}

static struct nat_flow
flow_in(const struct session *s)
{
	return (struct nat_flow){ .port = s->out_port,
		.remote_ip = s->remote_ip,
		.remote_port = s->remote_port,
		.protocol = s->protocol };
}

static void
session_end(struct nat *nat, uint32_t id)
{
	struct session *s = &nat->sessions[id];
	struct nat_flow out = flow_out(s), in = flow_in(s);

	nat_index_remove(&nat->index, hash_out(nat, &out), id);
	nat_index_remove(&nat->index, hash_in(nat, &in), id);
	list_remove(nat, s);
	if (nat->peers.items != NULL)
		nat_peers_leave(&nat->peers,
		    hash_peer(nat, s->mapping, s->remote_ip), s->mapping,
		    s->remote_ip);
	nat_host_leave(nat, s->in_ip);
	nat_mapping_leave(nat, s->mapping);
	s->expires_ns = 0;
	nat_pool_give(&nat->session_pool, id, &s->next);
}

/* Is there room for another session, once the expired are gone?  They take
 * their mappings with them: asked before a mapping is looked up, never after.
 */
static bool
has_room(struct nat *nat, uint64_t now_ns)
{
	if (nat->session_pool.used < nat->session_pool.max)
		return true;
	nat_expire(nat, now_ns);
	return nat->session_pool.used < nat->session_pool.max;
}

/* Makes the session of a mapping with a remote end; there is room, and its host
 * has joined.  The caller sets its state and then starts it. */
static struct session *
session_new(
    struct nat *nat, uint32_t mapping, uint32_t remote_ip, uint16_t remote_port)
{
	uint32_t id = NAT_POOL_TAKE(&nat->session_pool, nat->sessions);
	struct session *s = &nat->sessions[id];
	struct mapping *m = &nat->mappings[mapping];
	struct nat_flow out, in;

	*s = (struct session){ .in_ip = m->in_ip,
		.in_port = m->in_port,
		.out_port = m->out_port,
		.protocol = m->protocol,
		.remote_ip = remote_ip,
		.remote_port = remote_port,
		.mapping = mapping };
	m->users++;
	out = flow_out(s);
	in = flow_in(s);
	nat_index_add(&nat->index, hash_out(nat, &out), id);
	nat_index_add(&nat->index, hash_in(nat, &in), id);
	if (nat->peers.items != NULL)
		nat_peers_join(&nat->peers, hash_peer(nat, mapping, remote_ip),
		    mapping, remote_ip);
	return s;
}

static inline void
count(struct session *s, enum nat_direction direction, uint32_t bytes)
{
	if (++s->frames_low[direction] == 0)
		s->frames_high[direction]++;
	s->bytes[direction] += bytes;
}

/* Moves to a state, which may have another timer. */
static void
set_state(
    struct nat *nat, struct session *s, unsigned int state, uint64_t now_ns)
{
	list_remove(nat, s);
	write_state(s, state);
	s->expires_ns = now_ns + nat->timers[s->timer].idle_ns;
	list_append(nat, s);
}

/* Moves the state and the timer of a connection by one segment. */
static void
segment_pass(struct nat *nat, struct session *s, enum nat_direction direction,
    const struct nat_segment *segment, uint64_t now_ns)
{
	struct nat_window *window = &nat->windows[s - nat->sessions];
	enum nat_tcp_state to = nat_tcp_next(
	    (enum nat_tcp_state)s->state, segment, direction, window);

	nat_window_note(window, segment, direction);
	if (to != s->state)
		set_state(nat, s, to, now_ns);
	else if (nat_tcp_refreshes(to, segment))
		refresh(nat, s, now_ns);
}

/* Counts a packet of a session, moves its state and its timer. */
static inline void
session_pass(struct nat *nat, struct session *s, enum nat_direction direction,
    const struct nat_segment *segment, uint32_t bytes, uint64_t now_ns)
{
	count(s, direction, bytes);
	if (segment != NULL) {
		segment_pass(nat, s, direction, segment, now_ns);
		return;
	}
	/* Do packets of UDP and ICMP in this direction keep it alive? */
	if (!(nat->refreshing & 1u << direction))
		return;
	if (s->state == TALK_ONE_WAY && direction != s->origin)
		set_state(nat, s, TALK_TWO_WAY, now_ns);
	else
		refresh(nat, s, now_ns);
}

/* The first packet of a session. */
static void
session_start(struct nat *nat, struct session *s, enum nat_direction direction,
    const struct nat_segment *segment, uint32_t bytes, uint64_t now_ns)
{
	unsigned int state = TALK_ONE_WAY;

	count(s, direction, bytes);
	s->origin = direction & 1;
	if (segment != NULL) {
		struct nat_window *window = &nat->windows[s - nat->sessions];

		*window = (struct nat_window){ .known = 0 };
		state =
		    nat_tcp_next(NAT_TCP_CLOSED, segment, direction, window);
		if (state == NAT_TCP_CLOSED)
			state = NAT_TCP_ESTABLISHED; /* may_begin() */
		nat_window_note(window, segment, direction);
	}
	write_state(s, state);
	s->expires_ns = now_ns + nat->timers[s->timer].idle_ns;
	list_append(nat, s);
}

/* ---- packets ---- */

/* May this segment be the first that is seen of a connection?  One that has a
 * pin may have been there before. */
static bool
may_begin(const struct nat *nat, const struct nat_flow *out,
    const struct nat_segment *segment, uint64_t now_ns)
{
	return nat_tcp_opens(segment) ||
	    (!(segment->flags & (TCP_SYN | TCP_RST)) &&
		nat_pin_has(nat, out, now_ns));
}

static enum reason
new_out(struct nat *nat, const struct nat_flow *flow,
    const struct nat_segment *segment, uint32_t bytes, uint64_t now_ns,
    struct nat_hit *hit)
{
	struct session *s;
	enum reason reason;
	uint32_t mapping;

	if (segment != NULL && !may_begin(nat, flow, segment, now_ns))
		return DROP_NAT_STATE;
	if (!has_room(nat, now_ns))
		return DROP_NAT_FULL;
	if (!host_has_room(nat, flow->ip))
		nat_expire(nat, now_ns); /* it may have had some */
	reason = nat_host_join(nat, flow->ip);
	if (reason != REASON_NONE)
		return reason;
	reason = nat_mapping_for(nat, flow, &mapping);
	if (reason != REASON_NONE) {
		nat_host_leave(nat, flow->ip);
		return reason;
	}
	s = session_new(nat, mapping, flow->remote_ip, flow->remote_port);
	session_start(nat, s, NAT_OUTWARDS, segment, bytes, now_ns);
	*hit = (struct nat_hit){ .ip = nat->outside_ip,
		.port = s->out_port,
		.id = (uint32_t)(s - nat->sessions) };
	return REASON_NAT_NEW;
}

/* The session of a flow, if it has one that lives. */
static uint32_t
live_out(struct nat *nat, const struct nat_flow *flow, uint64_t now_ns)
{
	uint32_t h = flow->hash != 0 ? flow->hash : hash_out(nat, flow);
	uint32_t id = find_out(nat, flow, h);

	if (id == NAT_NONE || nat->sessions[id].expires_ns > now_ns)
		return id;
	session_end(nat, id);
	return NAT_NONE;
}

enum reason
nat_out(struct nat *nat, const struct nat_flow *flow,
    const struct nat_segment *segment, uint32_t bytes, uint64_t now_ns,
    struct nat_hit *hit)
{
	uint32_t id = guessed_out(nat, flow, now_ns)
	    ? flow->guess
	    : live_out(nat, flow, now_ns);
	struct session *s = &nat->sessions[id];

	if (id == NAT_NONE)
		return new_out(nat, flow, segment, bytes, now_ns, hit);
	session_pass(nat, s, NAT_OUTWARDS, segment, bytes, now_ns);
	*hit = (struct nat_hit){
		.ip = nat->outside_ip, .port = s->out_port, .id = id
	};
	return REASON_NAT_OUT;
}

static enum reason
new_in(struct nat *nat, const struct nat_flow *flow,
    const struct nat_segment *segment, uint32_t bytes, uint64_t now_ns,
    struct nat_hit *hit)
{
	bool room = has_room(nat, now_ns);
	uint32_t mapping = nat->by_port[number_of(flow->protocol)][flow->port];
	const struct mapping *m = &nat->mappings[mapping];
	struct nat_flow out = *flow;
	struct session *s;
	enum reason reason;
	uint32_t other;

	if (mapping == NAT_NONE)
		return DROP_NAT_UNSOLICITED;
	if (!filter_admits(nat, mapping, flow, now_ns))
		return DROP_NAT_FILTERED;
	out.ip = m->in_ip;
	out.port = m->in_port;
	if (segment != NULL && !may_begin(nat, &out, segment, now_ns))
		return DROP_NAT_STATE;
	other = find_out(nat, &out, hash_out(nat, &out));
	if (other != NAT_NONE && nat->sessions[other].expires_ns > now_ns)
		return DROP_NAT_FILTERED;
	if (other != NAT_NONE) {
		session_end(nat, other); /* another mapping's */
		room = true;
	}
	if (!room)
		return DROP_NAT_FULL;
	reason = nat_host_join(nat, m->in_ip);
	if (reason != REASON_NONE)
		return reason;
	s = session_new(nat, mapping, flow->remote_ip, flow->remote_port);
	session_start(nat, s, NAT_INWARDS, segment, bytes, now_ns);
	*hit = (struct nat_hit){ .ip = s->in_ip,
		.port = s->in_port,
		.id = (uint32_t)(s - nat->sessions) };
	return REASON_NAT_IN;
}

static uint32_t
live_in(struct nat *nat, const struct nat_flow *flow, uint64_t now_ns)
{
	uint32_t h = flow->hash != 0 ? flow->hash : hash_in(nat, flow);
	uint32_t id = find_in(nat, flow, h);

	if (id == NAT_NONE || nat->sessions[id].expires_ns > now_ns)
		return id;
	session_end(nat, id);
	return NAT_NONE;
}

enum reason
nat_in(struct nat *nat, const struct nat_flow *flow,
    const struct nat_segment *segment, uint32_t bytes, uint64_t now_ns,
    struct nat_hit *hit)
{
	uint32_t id = guessed_in(nat, flow, now_ns)
	    ? flow->guess
	    : live_in(nat, flow, now_ns);
	struct session *s = &nat->sessions[id];

	if (id == NAT_NONE)
		return new_in(nat, flow, segment, bytes, now_ns, hit);
	session_pass(nat, s, NAT_INWARDS, segment, bytes, now_ns);
	*hit = (struct nat_hit){ .ip = s->in_ip, .port = s->in_port, .id = id };
	return REASON_NAT_IN;
}

bool
nat_find_out(const struct nat *nat, const struct nat_flow *flow,
    uint64_t now_ns, struct nat_hit *hit)
{
	uint32_t id = find_out(nat, flow, hash_out(nat, flow));
	const struct session *s = &nat->sessions[id];

	if (id == NAT_NONE || s->expires_ns <= now_ns)
		return false;
	*hit = (struct nat_hit){
		.ip = nat->outside_ip, .port = s->out_port, .id = id
	};
	return true;
}

bool
nat_find_in(const struct nat *nat, const struct nat_flow *flow, uint64_t now_ns,
    struct nat_hit *hit)
{
	uint32_t id = find_in(nat, flow, hash_in(nat, flow));
	const struct session *s = &nat->sessions[id];
	const struct mapping *m;

	if (id != NAT_NONE && s->expires_ns > now_ns) {
		*hit = (struct nat_hit){
			.ip = s->in_ip, .port = s->in_port, .id = id
		};
		return true;
	}
	m = &nat->mappings[nat->by_port[number_of(flow->protocol)][flow->port]];
	if (m == nat->mappings || m->users == 0 ||
	    (m->remote_ip != 0 && m->remote_ip != flow->remote_ip) ||
	    (m->remote_port != 0 && m->remote_port != flow->remote_port))
		return false;
	*hit = (struct nat_hit){ .ip = m->in_ip, .port = m->in_port };
	return true;
}

/* ---- time ---- */

uint64_t
nat_expire(struct nat *nat, uint64_t now_ns)
{
	uint64_t due;

	nat_pin_expire(nat, now_ns);
	due = nat_pins_due_ns(&nat->pins);
	for (int timer = 0; timer < NAT_TIMERS; timer++) {
		uint32_t id = nat->timers[timer].first;

		while (
		    id != NAT_NONE && nat->sessions[id].expires_ns <= now_ns) {
			session_end(nat, id);
			id = nat->timers[timer].first;
		}
		if (id != NAT_NONE && nat->sessions[id].expires_ns < due)
			due = nat->sessions[id].expires_ns;
	}
	nat->due_ns = due;
	return due;
}

/* ---- new rules ---- */

/* Counts what only some rules ask for, and cuts deadlines to timers. */
static void
walk(struct nat *nat, uint64_t now_ns)
{
	for (uint32_t id = 1; id <= nat->session_pool.fresh; id++) {
		struct session *s = &nat->sessions[id];
		uint64_t last_ns;

		if (s->expires_ns == 0)
			continue;
		last_ns = now_ns + nat->timers[s->timer].idle_ns;
		if (s->expires_ns > last_ns)
			s->expires_ns = last_ns;
		if (nat->peers.items != NULL)
			nat_peers_join(&nat->peers,
			    hash_peer(nat, s->mapping, s->remote_ip),
			    s->mapping, s->remote_ip);
		if (nat->hosts.items != NULL)
			nat_hosts_join(
			    &nat->hosts, hash_host(nat, s->in_ip), s->in_ip);
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
	if (!make_extras(rules, nat->session_pool.max, &peers, &hosts) ||
	    !make_sharers(nat, rules)) {
		nat_peers_clear(&peers);
		nat_hosts_clear(&hosts);
		return err_set(err, -ENOMEM, "out of memory");
	}
	nat_peers_clear(&nat->peers);
	nat_hosts_clear(&nat->hosts);
	nat->peers = peers;
	nat->hosts = hosts;
	start_rules(nat, rules);
	walk(nat, now_ns);
	nat_expire(nat, now_ns);
	return 0;
}
