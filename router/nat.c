/*
 * The table.
 *
 *    index: hash of (protocol, inside, remote)  --.
 *    index: hash of (protocol, outside, remote) --+--> session --> mapping
 *    index: hash of (protocol, inside[, remote]) --.
 *    index: hash of (protocol, outside) -----------+-------------> mapping
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
 * With mappings that depend on the remote end and filters that do not, a packet
 * from outside may name a pair of inside and remote ends that another mapping
 * serves already.  It is refused as filtered: a session belongs to one mapping.
 *
 * Where only packets from inside refresh, what others begin must not keep a
 * mapping, or a stranger a minute would (RFC 4787 4.3).  Such a session is the
 * mapping's guest: not counted among its users, and dead as soon as it is; it is
 * counted when its host sends.
 *
 * The hash is keyed with the seed: who does not know it cannot make ends that
 * collide.  An entry takes at most 128 bytes, all in (nat_state.h).
 *
 * Rejected: one level, with the outside port in the session (as most kernels
 * do).  It looks endpoint-independent until the first collision of ports.
 */
#include "router/nat.h"

#include "net/dns.h"
#include "net/tcp.h"
#include "router/nat_state.h"

#define TICK_SHIFT 30

/* ---- looking up sessions ---- */

static inline bool
is_out(const struct session *s, const struct nat_flow *flow)
{
	return s->in_ip == flow->ip && s->remote_ip == flow->remote_ip &&
	    s->in_port == flow->port && s->remote_port == flow->remote_port &&
	    s->protocol == flow->protocol;
}

static inline bool
is_in(
    const struct nat *nat, const struct session *s, const struct nat_flow *flow)
{
	return s->remote_ip == flow->remote_ip && s->out_port == flow->port &&
	    nat->addresses.ip[s->address] == flow->ip &&
	    s->remote_port == flow->remote_port &&
	    s->protocol == flow->protocol;
}

static uint32_t
find_out(const struct nat *nat, const struct nat_flow *flow, uint32_t h)
{
	struct nat_probe probe = nat_probe(&nat->index, h);
	uint32_t id;

	while ((id = nat_probe_next(&nat->index, &probe)) != NAT_NONE &&
	    !is_out(&nat->sessions[id], flow))
		;
	return id;
}

static uint32_t
find_in(const struct nat *nat, const struct nat_flow *flow, uint32_t h)
{
	struct nat_probe probe = nat_probe(&nat->index, h);
	uint32_t id;

	while ((id = nat_probe_next(&nat->index, &probe)) != NAT_NONE &&
	    !is_in(nat, &nat->sessions[id], flow))
		;
	return id;
}

void
nat_hash(const struct nat *nat, struct nat_flow *flow, bool outwards)
{
	flow->hash = outwards ? hash_out(nat, flow) : hash_in(nat, flow);
	nat_index_prefetch(&nat->index, flow->hash);
}

void
nat_guess(const struct nat *nat, struct nat_flow *flow)
{
	struct nat_probe probe = nat_probe(&nat->index, flow->hash);

	flow->guess = nat_probe_next(&nat->index, &probe);
	if (flow->guess == NAT_NONE) {
		nat_mapping_prefetch(nat, flow);
		return;
	}
	__builtin_prefetch(&nat->sessions[flow->guess], 1);
	if (flow->protocol == IP_TCP)
		__builtin_prefetch(&nat->windows[flow->guess], 1);
}

/* Is it what was guessed, and in use still? */
static inline bool
guessed_out(const struct nat *nat, const struct nat_flow *flow, uint64_t now_ns)
{
	const struct session *s = &nat->sessions[flow->guess];

	return s->expires_ns > now_ns && !s->guest && is_out(s, flow);
}

static inline bool
guessed_in(const struct nat *nat, const struct nat_flow *flow, uint64_t now_ns)
{
	const struct session *s = &nat->sessions[flow->guess];

	return s->expires_ns > now_ns && !s->guest && is_in(nat, s, flow);
}

uint32_t
nat_session_out(const struct nat *nat, const struct nat_flow *flow)
{
	return find_out(nat, flow, hash_out(nat, flow));
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
	static const enum nat_timer talk[] = {
		[TALK_ONE_WAY] = NAT_TIMER_UDP_ONE_WAY,
		[TALK_TWO_WAY] = NAT_TIMER_UDP,
		[TALK_DNS] = NAT_TIMER_UDP_DNS,
	};

	if (protocol == IP_UDP)
		return talk[state];
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
flow_in(const struct nat *nat, const struct session *s)
{
	return (struct nat_flow){ .ip = nat->addresses.ip[s->address],
		.port = s->out_port,
		.remote_ip = s->remote_ip,
		.remote_port = s->remote_port,
		.protocol = s->protocol };
}

void
nat_session_end(struct nat *nat, uint32_t id, uint64_t now_ns)
{
	struct session *s = &nat->sessions[id];
	struct nat_flow out = flow_out(s), in = flow_in(nat, s);
	bool counts = !s->guest;
	uint32_t mapping;

	nat_index_remove(&nat->index, hash_out(nat, &out), id);
	nat_index_remove(&nat->index, hash_in(nat, &in), id);
	list_remove(nat, s);
	if (nat->peers.items != NULL && !s->guest)
		nat_peers_leave(&nat->peers,
		    hash_peer(nat, s->mapping, s->remote_ip), s->mapping,
		    s->remote_ip);
	nat_host_leave(nat, s->in_ip);
	s->expires_ns = 0;
	mapping = s->mapping;
	nat_pool_give(&nat->session_pool, id, &s->next);
	if (counts)
		nat_mapping_leave(
		    nat, mapping, now_ns); /* which may rest in its place */
}

void
nat_end_dead_guests(struct nat *nat, uint64_t now_ns)
{
	for (uint32_t id = 1; id <= nat->session_pool.fresh; id++) {
		const struct session *s = &nat->sessions[id];

		if (s->expires_ns != 0 && s->guest &&
		    !nat_session_lives(nat, s, now_ns))
			nat_session_end(nat, id, now_ns);
	}
}

/* Is there room for another session, once the expired are gone, be it that of a
 * rest?  They take their mappings with them: asked before a mapping is looked
 * up, never after. */
static bool
has_room(struct nat *nat, uint64_t now_ns)
{
	if (nat->session_pool.used < nat->session_pool.max)
		return true;
	nat_expire(nat, now_ns);
	return nat->session_pool.used < nat->session_pool.max ||
	    nat->rest.n > 0;
}

/* How many of at most n sessions may be begun from outside.  The others are for
 * inside hosts to begin: else who floods an open port from many addresses would
 * leave its host none, or all hosts. */
static uint32_t
for_outside(uint32_t n)
{
	return n - n / 4;
}

/* The same for one that is begun from outside. */
static bool
has_room_for_outside(struct nat *nat, uint64_t now_ns)
{
	uint32_t most = for_outside(nat->session_pool.max);

	if (nat->session_pool.used - nat->rest.n < most)
		return true;
	nat_expire(nat, now_ns);
	return nat->session_pool.used - nat->rest.n < most;
}

/* Ends the guest of a former mapping of the same outside end, which would be
 * found before the session that is made now. */
static void
end_former_guest(
    struct nat *nat, const struct nat_flow *in, uint32_t h, uint64_t now_ns)
{
	uint32_t id = find_in(nat, in, h);

	if (id != NAT_NONE && nat->sessions[id].guest)
		nat_session_end(nat, id, now_ns);
}

/* Makes the session of a mapping with a remote end, of which out is the
 * hash_out(); there is room, and its host has joined.  The caller sets its state
 * and then starts it. */
static struct session *
session_new(struct nat *nat, uint32_t mapping, uint32_t remote_ip,
    uint16_t remote_port, uint32_t out, uint64_t now_ns)
{
	struct mapping *m = &nat->mappings[mapping];
	struct nat_flow in = { .ip = nat->addresses.ip[m->address],
		.port = m->out_port,
		.remote_ip = remote_ip,
		.remote_port = remote_port,
		.protocol = m->protocol };
	uint32_t id, h = hash_in(nat, &in);
	struct session *s;

	nat_index_prefetch(&nat->index, h);
	if (nat->session_pool.used == nat->session_pool.max)
		nat_mapping_rest_less(nat);
	id = NAT_POOL_TAKE(&nat->session_pool, nat->sessions);
	s = &nat->sessions[id];
	*s = (struct session){ .in_ip = m->in_ip,
		.in_port = m->in_port,
		.out_port = m->out_port,
		.protocol = m->protocol,
		.remote_ip = remote_ip,
		.remote_port = remote_port,
		.mapping = mapping & 0xffffff,
		.address = m->address };
	end_former_guest(nat, &in, h, now_ns);
	nat_index_add(&nat->index, out, id);
	nat_index_add(&nat->index, h, id);
	return s;
}

void
nat_session_count(struct nat *nat, struct session *s)
{
	s->guest = 0;
	nat->mappings[s->mapping].users++;
	if (nat->peers.items != NULL)
		nat_peers_join(&nat->peers,
		    hash_peer(nat, s->mapping, s->remote_ip), s->mapping,
		    s->remote_ip);
}

/* Does a session that is begun from outside not keep its mapping? */
static bool
is_guest(const struct nat *nat, const struct session *s)
{
	const struct mapping *m = &nat->mappings[s->mapping];

	return s->protocol != IP_TCP &&
	    !(nat->refreshing & 1u << NAT_INWARDS) && !m->unshared &&
	    nat->addresses.of[m->address]->inside_ip == 0;
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

/* Did packets pass against the direction of the first, be it that none of them
 * refreshed it? */
static bool
was_answered(const struct session *s)
{
	return s->frames_low[!s->origin] != 0 ||
	    s->frames_high[!s->origin] != 0;
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
	if (s->state == TALK_ONE_WAY && was_answered(s))
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

	if (s->protocol == IP_UDP && s->remote_port == DNS_PORT &&
	    nat->rules.idle_s[NAT_TIMER_UDP_DNS] != 0)
		state = TALK_DNS; /* RFC 4787 REQ-5a */
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

static inline uint32_t
known_hash_out(const struct nat *nat, const struct nat_flow *flow)
{
	return flow->hash != 0 ? flow->hash : hash_out(nat, flow);
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
	if (!nat_host_has_room(nat, flow->ip, nat->rules.host_sessions))
		nat_expire(nat, now_ns); /* it may have had some */
	reason = nat_host_join(nat, flow->ip);
	if (reason != REASON_NONE)
		return reason;
	reason = nat_mapping_for(nat, flow, &mapping);
	if (reason != REASON_NONE) {
		nat_host_leave(nat, flow->ip);
		return reason;
	}
	s = session_new(nat, mapping, flow->remote_ip, flow->remote_port,
	    known_hash_out(nat, flow), now_ns);
	nat_session_count(nat, s);
	session_start(nat, s, NAT_OUTWARDS, segment, bytes, now_ns);
	nat->mappings[mapping].spoke = 1;
	*hit = (struct nat_hit){ .ip = nat->addresses.ip[s->address],
		.port = s->out_port,
		.id = (uint32_t)(s - nat->sessions) };
	return REASON_NAT_NEW;
}

/* The session of a flow, if it has one that lives. */
static uint32_t
live_out(struct nat *nat, const struct nat_flow *flow, uint64_t now_ns)
{
	uint32_t id = find_out(nat, flow, known_hash_out(nat, flow));

	if (id == NAT_NONE ||
	    nat_session_lives(nat, &nat->sessions[id], now_ns))
		return id;
	nat_session_end(nat, id, now_ns);
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
	if (s->guest)
		nat_session_count(nat, s);
	session_pass(nat, s, NAT_OUTWARDS, segment, bytes, now_ns);
	*hit = (struct nat_hit){ .ip = nat->addresses.ip[s->address],
		.port = s->out_port,
		.id = id };
	return REASON_NAT_OUT;
}

/* Whose is an incoming flow that has no session?  Fills in its inside end, and
 * the mapping, NAT_NONE if that is still to be made.  REASON_NONE, or why it is
 * refused. */
static enum reason
admit(const struct nat *nat, const struct nat_flow *flow, uint64_t now_ns,
    uint32_t *mapping, struct nat_flow *inside)
{
	uint32_t owner = nat_owner(nat, flow->ip);

	*mapping = nat_mapping_of(nat, flow);
	*inside = *flow;
	inside->ip = owner;
	if (*mapping == NAT_NONE)
		return owner != 0 ? REASON_NONE : DROP_NAT_UNSOLICITED;
	inside->ip = nat->mappings[*mapping].in_ip;
	inside->port = nat->mappings[*mapping].in_port;
	return nat_filter_admits(nat, owner != 0, *mapping, flow, now_ns)
	    ? REASON_NONE
	    : DROP_NAT_FILTERED;
}

/* The mapping of a host with an address of its own, by the outside end that a
 * packet came to. */
static enum reason
own_mapping(struct nat *nat, const struct nat_flow *inside, uint16_t port,
    uint64_t now_ns, uint32_t *mapping)
{
	enum reason reason = nat_mapping_for(nat, inside, mapping);

	if (reason != REASON_NONE || nat->mappings[*mapping].out_port == port)
		return reason;
	/* Another port is that of the inside end, for it was asked for. */
	nat->mappings[*mapping].users++;
	nat_mapping_leave(nat, *mapping, now_ns);
	return DROP_NAT_UNSOLICITED;
}

static enum reason
new_in(struct nat *nat, const struct nat_flow *flow,
    const struct nat_segment *segment, uint32_t bytes, uint64_t now_ns,
    struct nat_hit *hit)
{
	bool room = has_room_for_outside(nat, now_ns);
	struct nat_flow inside;
	struct session *s;
	uint32_t mapping, other, out;
	enum reason reason = admit(nat, flow, now_ns, &mapping, &inside);

	if (reason != REASON_NONE)
		return reason;
	if (segment != NULL && !may_begin(nat, &inside, segment, now_ns))
		return DROP_NAT_STATE;
	out = hash_out(nat, &inside);
	other = find_out(nat, &inside, out);
	if (other != NAT_NONE &&
	    nat_session_lives(nat, &nat->sessions[other], now_ns))
		return DROP_NAT_FILTERED;
	if (other != NAT_NONE) {
		nat_session_end(nat, other, now_ns); /* another mapping's */
		room = true;
	}
	if (!room)
		return DROP_NAT_FULL;
	if (!nat_host_has_room(
		nat, inside.ip, for_outside(nat->rules.host_sessions)))
		return DROP_NAT_HOST_LIMIT;
	reason = nat_host_join(nat, inside.ip);
	if (reason != REASON_NONE)
		return reason;
	if (mapping == NAT_NONE)
		reason =
		    own_mapping(nat, &inside, flow->port, now_ns, &mapping);
	if (reason != REASON_NONE) {
		nat_host_leave(nat, inside.ip);
		return reason;
	}
	s = session_new(
	    nat, mapping, flow->remote_ip, flow->remote_port, out, now_ns);
	if (is_guest(nat, s))
		s->guest = 1;
	else
		nat_session_count(nat, s);
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

	if (id == NAT_NONE ||
	    nat_session_lives(nat, &nat->sessions[id], now_ns))
		return id;
	nat_session_end(nat, id, now_ns);
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
			nat_session_end(nat, id, now_ns);
			id = nat->timers[timer].first;
		}
		if (id != NAT_NONE && nat->sessions[id].expires_ns < due)
			due = nat->sessions[id].expires_ns;
	}
	nat_mapping_expire(nat, now_ns);
	if (nat_rest_due_ns(nat) < due)
		due = nat_rest_due_ns(nat);
	nat->due_ns = due;
	return due;
}
