/*
 * The table.
 *
 *    index: hash of (protocol, inside, remote)  --.
 *    index: hash of (protocol, outside, remote) --+--> session --> mapping
 *    index: hash of (protocol, inside[, remote]) ----------------> mapping
 *    array: by_port[protocol][outside port] ---------------------> mapping
 *
 * One probe finds a packet's session, in either direction.  The mapping is
 * looked at only when a session is made, so that endpoint-independent mapping
 * costs established traffic nothing; and because it is looked for by the inside
 * end alone, a second host with the same port never changes what the first one
 * gets, towards anybody (RFC 4787, REQ-1 and REQ-11).
 *
 * Timers.  Each class of timeout has a list.  A packet writes the session's
 * deadline, exact to the nanosecond; the session moves to the end of its list
 * at most once in a tick of 2^30 ns.  So a list is in order of deadlines but
 * for a tick: the first one that has not expired ends the search, what expired
 * behind it is found a tick later, and a look-up in between takes it for what
 * it is, gone.  Only its mapping may live for that tick more.  No heap, no
 * wheel, no scan.
 *
 * Address-dependent filtering asks whether a mapping has any session with a
 * remote address; that is counted in records of their own, because walking a
 * mapping's sessions would cost as many steps as a guest likes to make.
 *
 * With mappings that depend on the remote end and filters that do not, a packet
 * from outside may name a pair of inside and remote ends that another mapping
 * serves already.  It is refused as filtered: a session belongs to one mapping.
 *
 * The hash is keyed with the seed: who does not know it cannot make ends that
 * collide.  Sessions are 88 bytes, and 32 in the index; a mapping of its own is
 * 24, and 16 in its index.
 *
 * Rejected: one level, with the outside port in the session (as most kernels
 * do).  It looks endpoint-independent until the first collision of ports.
 */
#include "router/nat.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/loop.h"
#include "net/ip4.h"
#include "router/nat_index.h"
#include "router/nat_ports.h"
#include "router/nat_tcp.h"

#define TICK_SHIFT 30
#define NONE       0 /* ids count from 1 */

enum timer_class {
	TIMER_UDP,
	TIMER_TCP,
	TIMER_TCP_TRANSITORY,
	TIMER_ICMP,
	TIMER_CLASSES,
};

enum protocol_number { TCP, UDP, ICMP, PROTOCOLS };

struct session {
	uint32_t in_ip, remote_ip;
	uint16_t in_port, remote_port, out_port;
	uint8_t protocol;
	uint8_t state; /* enum nat_tcp_state */
	uint32_t mapping;
	uint32_t next, prev;          /* in its timer list, or next free one */
	uint32_t tick;                /* when it came to the end of the list */
	uint64_t expires_ns;          /* 0: not in use */
	uint64_t frames[2], bytes[2]; /* by enum nat_direction */
	struct nat_window window;
};
static_assert(sizeof(struct session) == 88, "a session has grown");

struct mapping {
	uint32_t in_ip;
	uint32_t remote_ip; /* what the mapping depends on, or 0 */
	uint16_t in_port, remote_port, out_port;
	uint8_t protocol;
	uint32_t sessions;
	uint32_t next; /* free one */
};

/* How many sessions a mapping has with one remote address. */
struct peer {
	uint32_t mapping, remote_ip;
	uint32_t sessions;
	uint32_t next; /* free one */
};

struct pool {
	uint32_t free;  /* first of the free ones, by id */
	uint32_t fresh; /* those above were never used */
	uint32_t used, max;
};

struct nat {
	uint64_t key[2];
	struct nat_index index; /* of sessions, twice */
	struct session *sessions;
	struct pool session_pool;
	struct {
		uint32_t first, last;
		uint64_t idle_ns;
	} timers[TIMER_CLASSES];
	uint64_t due_ns;
	struct nat_index mapping_index;
	struct mapping *mappings;
	struct pool mapping_pool;
	struct nat_index peer_index; /* address-dependent filtering only */
	struct peer *peers;
	struct pool peer_pool;
	uint32_t (*by_port)[65536]; /* by enum protocol_number */
	struct nat_ports ports[PROTOCOLS];
	uint64_t random;
	uint32_t outside_ip;
	enum nat_behaviour mapping, filtering;
};

/* ---- making it ---- */

static uint64_t
seconds(uint32_t value, uint32_t otherwise)
{
	return (value != 0 ? value : otherwise) * NS_PER_S;
}

/* Memory for a pool of max things of size bytes, and an index of its keys. */
static void *
pool_new(struct pool *pool, uint32_t max, size_t size, struct nat_index *index,
    unsigned int keys)
{
	pool->max = max;
	if (nat_index_init(index, (size_t)max * keys) < 0)
		return NULL;
	return calloc((size_t)max + 1, size); /* id 0 is none */
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
	nat = calloc(1, sizeof(*nat));
	if (nat == NULL)
		goto fail;
	nat->random = options->seed;
	nat->key[0] = nat_random(&nat->random);
	nat->key[1] = nat_random(&nat->random);
	nat->outside_ip = options->outside_ip;
	nat->mapping = options->mapping;
	nat->filtering = options->filtering;
	nat->due_ns = UINT64_MAX;
	nat->timers[TIMER_UDP].idle_ns =
	    seconds(options->udp_idle_s, NAT_UDP_IDLE_S);
	nat->timers[TIMER_TCP].idle_ns =
	    seconds(options->tcp_idle_s, NAT_TCP_IDLE_S);
	nat->timers[TIMER_TCP_TRANSITORY].idle_ns =
	    seconds(options->tcp_transitory_s, NAT_TCP_TRANSITORY_S);
	nat->timers[TIMER_ICMP].idle_ns =
	    seconds(options->icmp_idle_s, NAT_ICMP_IDLE_S);
	nat->ports[TCP].has_classes = nat->ports[UDP].has_classes = true;
	nat->sessions = pool_new(
	    &nat->session_pool, max, sizeof(nat->sessions[0]), &nat->index, 2);
	if (nat->sessions == NULL)
		goto fail;
	if (nat->filtering == NAT_ADDRESS_DEPENDENT) {
		nat->peers = pool_new(&nat->peer_pool, max,
		    sizeof(nat->peers[0]), &nat->peer_index, 1);
		if (nat->peers == NULL)
			goto fail;
	}
	if (max > PROTOCOLS * 65536)
		max = PROTOCOLS * 65536;
	nat->mappings = pool_new(&nat->mapping_pool, max,
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
	nat_index_clear(&nat->peer_index);
	free(nat->sessions);
	free(nat->mappings);
	free(nat->peers);
	free(nat->by_port);
	free(nat);
}

uint32_t
nat_outside_ip(const struct nat *nat)
{
	return nat->outside_ip;
}

uint64_t
nat_due_ns(const struct nat *nat)
{
	return nat->due_ns;
}

/* ---- pools: ids from 1 on ---- */

/* The id of a free one; next is where a free one keeps the next.  NONE: all
 * are in use. */
#define POOL_TAKE(pool, items)                                                \
	((pool)->free != NONE ? pool_pop((pool), &(items)[(pool)->free].next) \
			      : pool_fresh(pool))

static uint32_t
pool_pop(struct pool *pool, const uint32_t *next)
{
	uint32_t id = pool->free;

	pool->free = *next;
	pool->used++;
	return id;
}

static uint32_t
pool_fresh(struct pool *pool)
{
	if (pool->fresh == pool->max)
		return NONE;
	pool->used++;
	return ++pool->fresh;
}

static void
pool_give(struct pool *pool, uint32_t id, uint32_t *next)
{
	*next = pool->free;
	pool->free = id;
	pool->used--;
}

/* ---- keys ---- */

static inline uint32_t
hash(const struct nat *nat, uint64_t a, uint64_t b)
{
	unsigned __int128 product =
	    (unsigned __int128)(a ^ nat->key[0]) * (b ^ nat->key[1]);
	uint64_t h = (uint64_t)product ^ (uint64_t)(product >> 64);

	return (uint32_t)(h ^ h >> 32);
}

static inline uint64_t
ports_key(uint16_t port, uint16_t remote_port, uint8_t protocol, uint8_t kind)
{
	return (uint64_t)port << 32 | (uint64_t)remote_port << 16 |
	    (uint64_t)protocol << 8 | kind;
}

enum key_kind { KEY_OUT, KEY_IN, KEY_MAPPING, KEY_PEER };

static inline uint32_t
hash_out(const struct nat *nat, const struct nat_flow *flow)
{
	return hash(nat, (uint64_t)flow->ip << 32 | flow->remote_ip,
	    ports_key(flow->port, flow->remote_port, flow->protocol, KEY_OUT));
}

static inline uint32_t
hash_in(const struct nat *nat, const struct nat_flow *flow)
{
	return hash(nat, flow->remote_ip,
	    ports_key(flow->port, flow->remote_port, flow->protocol, KEY_IN));
}

static uint32_t
hash_mapping(const struct nat *nat, const struct mapping *m)
{
	return hash(nat, (uint64_t)m->in_ip << 32 | m->remote_ip,
	    ports_key(m->in_port, m->remote_port, m->protocol, KEY_MAPPING));
}

static uint32_t
hash_peer(const struct nat *nat, uint32_t mapping, uint32_t remote_ip)
{
	return hash(nat, (uint64_t)mapping << 32 | remote_ip, KEY_PEER);
}

static enum protocol_number
number_of(uint8_t protocol)
{
	if (protocol == IP_TCP)
		return TCP;
	return protocol == IP_UDP ? UDP : ICMP;
}

/* ---- looking up sessions ---- */

static inline uint32_t
find_out(const struct nat *nat, const struct nat_flow *flow, uint32_t h)
{
	const struct nat_slot *slots = nat->index.slots;
	uint32_t at = h & nat->index.mask;

	for (; slots[at].id != 0; at = (at + 1) & nat->index.mask) {
		const struct session *s = &nat->sessions[slots[at].id];

		if (slots[at].hash == h && s->in_ip == flow->ip &&
		    s->remote_ip == flow->remote_ip &&
		    s->in_port == flow->port &&
		    s->remote_port == flow->remote_port &&
		    s->protocol == flow->protocol)
			return slots[at].id;
	}
	return NONE;
}

static inline uint32_t
find_in(const struct nat *nat, const struct nat_flow *flow, uint32_t h)
{
	const struct nat_slot *slots = nat->index.slots;
	uint32_t at = h & nat->index.mask;

	for (; slots[at].id != 0; at = (at + 1) & nat->index.mask) {
		const struct session *s = &nat->sessions[slots[at].id];

		if (slots[at].hash == h && s->out_port == flow->port &&
		    s->remote_ip == flow->remote_ip &&
		    s->remote_port == flow->remote_port &&
		    s->protocol == flow->protocol)
			return slots[at].id;
	}
	return NONE;
}

uint32_t
nat_hint(const struct nat *nat, const struct nat_flow *flow, bool outwards)
{
	uint32_t h = outwards ? hash_out(nat, flow) : hash_in(nat, flow);

	__builtin_prefetch(&nat->index.slots[h & nat->index.mask]);
	return h;
}

void
nat_prefetch(const struct nat *nat, uint32_t hint)
{
	const struct nat_slot *slots = nat->index.slots;
	uint32_t at = hint & nat->index.mask;

	for (int i = 0; i < 8 && slots[at].id != 0; i++) {
		if (slots[at].hash == hint) {
			const char *s =
			    (const char *)&nat->sessions[slots[at].id];

			__builtin_prefetch(s, 1);
			__builtin_prefetch(s + sizeof(struct session) - 1, 1);
			return;
		}
		at = (at + 1) & nat->index.mask;
	}
}

/* ---- timers ---- */

static enum timer_class
class_of(const struct session *s)
{
	if (s->protocol == IP_UDP)
		return TIMER_UDP;
	if (s->protocol == IP_ICMP)
		return TIMER_ICMP;
	return nat_tcp_is_long((enum nat_tcp_state)s->state)
	    ? TIMER_TCP
	    : TIMER_TCP_TRANSITORY;
}

static void
list_remove(struct nat *nat, struct session *s)
{
	enum timer_class class = class_of(s);

	if (s->prev != NONE)
		nat->sessions[s->prev].next = s->next;
	else
		nat->timers[class].first = s->next;
	if (s->next != NONE)
		nat->sessions[s->next].prev = s->prev;
	else
		nat->timers[class].last = s->prev;
}

static void
list_append(struct nat *nat, struct session *s, uint64_t now_ns)
{
	enum timer_class class = class_of(s);
	uint32_t id = (uint32_t)(s - nat->sessions);

	s->prev = nat->timers[class].last;
	s->next = NONE;
	s->tick = (uint32_t)(now_ns >> TICK_SHIFT);
	if (s->prev != NONE)
		nat->sessions[s->prev].next = id;
	else
		nat->timers[class].first = id;
	nat->timers[class].last = id;
	if (s->expires_ns < nat->due_ns)
		nat->due_ns = s->expires_ns;
}

/* A packet that keeps the session alive. */
static inline void
refresh(struct nat *nat, struct session *s, uint64_t now_ns)
{
	s->expires_ns = now_ns + nat->timers[class_of(s)].idle_ns;
	if (s->tick != (uint32_t)(now_ns >> TICK_SHIFT)) {
		list_remove(nat, s);
		list_append(nat, s, now_ns);
	}
}

/* ---- mappings ---- */

/* What an outgoing flow's mapping is found by. */
static struct mapping
mapping_key(const struct nat *nat, const struct nat_flow *flow)
{
	struct mapping m = { .in_ip = flow->ip,
		.in_port = flow->port,
		.protocol = flow->protocol };

	switch (nat->mapping) {
	case NAT_ENDPOINT_INDEPENDENT: break;
	case NAT_ADDRESS_AND_PORT_DEPENDENT:
		m.remote_port = flow->remote_port;
		/* fallthrough */
	case NAT_ADDRESS_DEPENDENT: m.remote_ip = flow->remote_ip; break;
	}
	return m;
}

static uint32_t
mapping_find(const struct nat *nat, const struct mapping *key, uint32_t h)
{
	const struct nat_slot *slots = nat->mapping_index.slots;
	uint32_t mask = nat->mapping_index.mask;

	for (uint32_t at = h & mask; slots[at].id != 0; at = (at + 1) & mask) {
		const struct mapping *m = &nat->mappings[slots[at].id];

		if (slots[at].hash == h && m->in_ip == key->in_ip &&
		    m->in_port == key->in_port &&
		    m->protocol == key->protocol &&
		    m->remote_ip == key->remote_ip &&
		    m->remote_port == key->remote_port)
			return slots[at].id;
	}
	return NONE;
}

/* Finds or makes the mapping of an outgoing flow. */
static enum reason
mapping_for(struct nat *nat, const struct nat_flow *flow, uint32_t *id)
{
	struct mapping m = mapping_key(nat, flow);
	uint32_t h = hash_mapping(nat, &m);
	enum protocol_number p = number_of(flow->protocol);
	int32_t port;

	*id = mapping_find(nat, &m, h);
	if (*id != NONE)
		return REASON_NONE;
	port = nat_ports_take(&nat->ports[p], flow->port, &nat->random);
	if (port < 0)
		return DROP_NAT_NO_PORT;
	/* There is one: at most as many mappings as sessions or ports. */
	*id = POOL_TAKE(&nat->mapping_pool, nat->mappings);
	assert(*id != NONE);
	m.out_port = (uint16_t)port;
	nat->mappings[*id] = m;
	nat_index_add(&nat->mapping_index, h, *id);
	nat->by_port[p][port] = *id;
	return REASON_NONE;
}

static void
mapping_end(struct nat *nat, uint32_t id)
{
	struct mapping *m = &nat->mappings[id];
	enum protocol_number p = number_of(m->protocol);

	nat_index_remove(&nat->mapping_index, hash_mapping(nat, m), id);
	nat->by_port[p][m->out_port] = NONE;
	nat_ports_give(&nat->ports[p], m->out_port);
	pool_give(&nat->mapping_pool, id, &m->next);
}

bool
nat_has_port(const struct nat *nat, uint8_t protocol, uint16_t port)
{
	return nat->by_port[number_of(protocol)][port] != NONE;
}

/* ---- peers ---- */

static uint32_t
peer_find(
    const struct nat *nat, uint32_t mapping, uint32_t remote_ip, uint32_t h)
{
	const struct nat_slot *slots = nat->peer_index.slots;
	uint32_t mask = nat->peer_index.mask;

	for (uint32_t at = h & mask; slots[at].id != 0; at = (at + 1) & mask) {
		const struct peer *peer = &nat->peers[slots[at].id];

		if (slots[at].hash == h && peer->mapping == mapping &&
		    peer->remote_ip == remote_ip)
			return slots[at].id;
	}
	return NONE;
}

static void
peer_join(struct nat *nat, uint32_t mapping, uint32_t remote_ip)
{
	uint32_t h = hash_peer(nat, mapping, remote_ip);
	uint32_t id = peer_find(nat, mapping, remote_ip, h);

	if (id == NONE) {
		id = POOL_TAKE(&nat->peer_pool, nat->peers);
		assert(id != NONE); /* at most as many as sessions */
		nat->peers[id] =
		    (struct peer){ .mapping = mapping, .remote_ip = remote_ip };
		nat_index_add(&nat->peer_index, h, id);
	}
	nat->peers[id].sessions++;
}

static void
peer_leave(struct nat *nat, uint32_t mapping, uint32_t remote_ip)
{
	uint32_t h = hash_peer(nat, mapping, remote_ip);
	uint32_t id = peer_find(nat, mapping, remote_ip, h);
	struct peer *peer = &nat->peers[id];

	assert(id != NONE);
	if (--peer->sessions > 0)
		return;
	nat_index_remove(&nat->peer_index, h, id);
	pool_give(&nat->peer_pool, id, &peer->next);
}

/* Does the mapping admit a sender it has no session with (RFC 4787 5)? */
static bool
filter_admits(const struct nat *nat, uint32_t mapping, uint32_t remote_ip)
{
	switch (nat->filtering) {
	case NAT_ENDPOINT_INDEPENDENT: return true;
	case NAT_ADDRESS_DEPENDENT:
		return peer_find(nat, mapping, remote_ip,
			   hash_peer(nat, mapping, remote_ip)) != NONE;
	case NAT_ADDRESS_AND_PORT_DEPENDENT: return false;
	}
	return false;
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
	if (nat->filtering == NAT_ADDRESS_DEPENDENT)
		peer_leave(nat, s->mapping, s->remote_ip);
	if (--nat->mappings[s->mapping].sessions == 0)
		mapping_end(nat, s->mapping);
	s->expires_ns = 0;
	pool_give(&nat->session_pool, id, &s->next);
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

/* Makes the session of a mapping with a remote end; there is room.  The caller
 * sets its state and then starts it. */
static struct session *
session_new(
    struct nat *nat, uint32_t mapping, uint32_t remote_ip, uint16_t remote_port)
{
	uint32_t id = POOL_TAKE(&nat->session_pool, nat->sessions);
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
	m->sessions++;
	out = flow_out(s);
	in = flow_in(s);
	nat_index_add(&nat->index, hash_out(nat, &out), id);
	nat_index_add(&nat->index, hash_in(nat, &in), id);
	if (nat->filtering == NAT_ADDRESS_DEPENDENT)
		peer_join(nat, mapping, remote_ip);
	return s;
}

/* Counts a packet of a session, moves its TCP state and its timer. */
static inline void
session_pass(struct nat *nat, struct session *s, enum nat_direction direction,
    const struct nat_segment *segment, uint32_t bytes, uint64_t now_ns)
{
	s->frames[direction]++;
	s->bytes[direction] += bytes;
	if (segment != NULL) {
		enum nat_tcp_state to =
		    nat_tcp_next((enum nat_tcp_state)s->state, segment,
			direction, &s->window);

		nat_window_note(&s->window, segment, direction);
		if (to != s->state) {
			list_remove(nat, s);
			s->state = (uint8_t)to;
			s->expires_ns =
			    now_ns + nat->timers[class_of(s)].idle_ns;
			list_append(nat, s, now_ns);
			return;
		}
		if (!nat_tcp_refreshes(to, segment))
			return;
	}
	refresh(nat, s, now_ns);
}

/* The first packet of a session. */
static void
session_start(struct nat *nat, struct session *s, enum nat_direction direction,
    const struct nat_segment *segment, uint32_t bytes, uint64_t now_ns)
{
	s->frames[direction] = 1;
	s->bytes[direction] = bytes;
	if (segment != NULL) {
		s->state = (uint8_t)nat_tcp_next(
		    NAT_TCP_CLOSED, segment, direction, &s->window);
		nat_window_note(&s->window, segment, direction);
	}
	s->expires_ns = now_ns + nat->timers[class_of(s)].idle_ns;
	list_append(nat, s, now_ns);
}

/* ---- packets ---- */

static enum reason
new_out(struct nat *nat, const struct nat_flow *flow,
    const struct nat_segment *segment, uint32_t bytes, uint64_t now_ns,
    struct nat_hit *hit)
{
	struct session *s;
	enum reason reason;
	uint32_t mapping;

	if (segment != NULL && !nat_tcp_opens(segment))
		return DROP_NAT_STATE;
	if (!has_room(nat, now_ns))
		return DROP_NAT_FULL;
	reason = mapping_for(nat, flow, &mapping);
	if (reason != REASON_NONE)
		return reason;
	s = session_new(nat, mapping, flow->remote_ip, flow->remote_port);
	session_start(nat, s, NAT_OUTWARDS, segment, bytes, now_ns);
	*hit = (struct nat_hit){ .ip = nat->outside_ip,
		.port = s->out_port,
		.id = (uint32_t)(s - nat->sessions) };
	return REASON_NAT_NEW;
}

enum reason
nat_out(struct nat *nat, const struct nat_flow *flow,
    const struct nat_segment *segment, uint32_t bytes, uint64_t now_ns,
    struct nat_hit *hit)
{
	uint32_t id = find_out(nat, flow, hash_out(nat, flow));
	struct session *s = &nat->sessions[id];

	if (id != NONE && s->expires_ns <= now_ns) {
		session_end(nat, id);
		id = NONE;
	}
	if (id == NONE)
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
	uint32_t other;

	if (mapping == NONE)
		return DROP_NAT_UNSOLICITED;
	if (!filter_admits(nat, mapping, flow->remote_ip))
		return DROP_NAT_FILTERED;
	if (segment != NULL && !nat_tcp_opens(segment))
		return DROP_NAT_STATE;
	out.ip = m->in_ip;
	out.port = m->in_port;
	other = find_out(nat, &out, hash_out(nat, &out));
	if (other != NONE && nat->sessions[other].expires_ns > now_ns)
		return DROP_NAT_FILTERED;
	if (other != NONE) {
		session_end(nat, other); /* another mapping's */
		room = true;
	}
	if (!room)
		return DROP_NAT_FULL;
	s = session_new(nat, mapping, flow->remote_ip, flow->remote_port);
	session_start(nat, s, NAT_INWARDS, segment, bytes, now_ns);
	*hit = (struct nat_hit){ .ip = s->in_ip,
		.port = s->in_port,
		.id = (uint32_t)(s - nat->sessions) };
	return REASON_NAT_IN;
}

enum reason
nat_in(struct nat *nat, const struct nat_flow *flow,
    const struct nat_segment *segment, uint32_t bytes, uint64_t now_ns,
    struct nat_hit *hit)
{
	uint32_t id = find_in(nat, flow, hash_in(nat, flow));
	struct session *s = &nat->sessions[id];

	if (id != NONE && s->expires_ns <= now_ns) {
		session_end(nat, id);
		id = NONE;
	}
	if (id == NONE)
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

	if (id == NONE || s->expires_ns <= now_ns)
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

	if (id != NONE && s->expires_ns > now_ns) {
		*hit = (struct nat_hit){
			.ip = s->in_ip, .port = s->in_port, .id = id
		};
		return true;
	}
	m = &nat->mappings[nat->by_port[number_of(flow->protocol)][flow->port]];
	if (m == nat->mappings || m->sessions == 0 ||
	    (m->remote_ip != 0 && m->remote_ip != flow->remote_ip) ||
	    (m->remote_port != 0 && m->remote_port != flow->remote_port))
		return false;
	*hit = (struct nat_hit){ .ip = m->in_ip, .port = m->in_port };
	return true;
}

/* ---- time, and looking at it ---- */

uint64_t
nat_expire(struct nat *nat, uint64_t now_ns)
{
	uint64_t due = UINT64_MAX;

	for (int class = 0; class < TIMER_CLASSES; class ++) {
		uint32_t id = nat->timers[class].first;

		while (id != NONE && nat->sessions[id].expires_ns <= now_ns) {
			session_end(nat, id);
			id = nat->timers[class].first;
		}
		if (id != NONE && nat->sessions[id].expires_ns < due)
			due = nat->sessions[id].expires_ns;
	}
	nat->due_ns = due;
	return due;
}

struct nat_stats
nat_stats(const struct nat *nat)
{
	struct nat_stats stats = { .sessions = nat->session_pool.used,
		.mappings = nat->mapping_pool.used,
		.max_sessions = nat->session_pool.max };

	stats.bytes = sizeof(*nat) + nat_index_bytes(&nat->index) +
	    nat_index_bytes(&nat->mapping_index) +
	    sizeof(nat->sessions[0]) * nat->session_pool.max +
	    sizeof(nat->mappings[0]) * nat->mapping_pool.max +
	    PROTOCOLS * sizeof(nat->by_port[0]);
	if (nat->peers != NULL)
		stats.bytes += nat_index_bytes(&nat->peer_index) +
		    sizeof(nat->peers[0]) * nat->peer_pool.max;
	return stats;
}

static const char *
state_name(const struct session *s)
{
	if (s->protocol == IP_TCP)
		return nat_tcp_name((enum nat_tcp_state)s->state);
	return s->frames[NAT_OUTWARDS] > 0 && s->frames[NAT_INWARDS] > 0
	    ? "two-way"
	    : "one-way";
}

void
nat_each(const struct nat *nat, uint64_t now_ns,
    void (*each)(void *arg, const struct nat_row *row), void *arg)
{
	for (uint32_t id = 1; id <= nat->session_pool.fresh; id++) {
		const struct session *s = &nat->sessions[id];
		struct nat_row row = { .id = id,
			.protocol = s->protocol,
			.state = state_name(s),
			.inside_ip = s->in_ip,
			.inside_port = s->in_port,
			.outside_ip = nat->outside_ip,
			.outside_port = s->out_port,
			.remote_ip = s->remote_ip,
			.remote_port = s->remote_port,
			.left_ns = s->expires_ns - now_ns,
			.out_frames = s->frames[NAT_OUTWARDS],
			.out_bytes = s->bytes[NAT_OUTWARDS],
			.in_frames = s->frames[NAT_INWARDS],
			.in_bytes = s->bytes[NAT_INWARDS] };

		if (s->expires_ns > now_ns)
			each(arg, &row);
	}
}
