/*
 * nat_state.h - the table of a NAT, for its own files alone.
 *
 *    nat.c          sessions, timers, packets
 *    nat_join.c     ... and who may have one
 *    nat_make.c     makes it, and gives it other rules
 *    nat_mapping.c  mappings
 *    nat_choice.c   ... and their outside ends
 *    nat_rest.c     ... and which of them rest
 *    nat_pin.c      mappings that were asked for
 *    nat_move.c     what ends when addresses change
 *    nat_find.c     what is looked up alone
 *    nat_show.c     what is asked about it
 */
#ifndef ROUTER_NAT_STATE_H
#define ROUTER_NAT_STATE_H

#include <assert.h>

#include "net/ip4.h"
#include "router/nat.h"
#include "router/nat_addresses.h"
#include "router/nat_hosts.h"
#include "router/nat_peers.h"
#include "router/nat_pins.h"
#include "router/nat_pool.h"
#include "router/nat_ports.h"
#include "router/nat_rest.h"
#include "router/nat_tcp.h"

/* Of UDP and ICMP. */
enum talk_state { TALK_ONE_WAY, TALK_TWO_WAY, TALK_DNS };

/* What a packet touches: one line of the cache.  Windows of TCP are apart. */
struct session {
	uint32_t in_ip, remote_ip;
	uint16_t in_port, remote_port, out_port;
	uint8_t protocol;
	uint8_t state : 3;  /* enum nat_tcp_state or talk_state */
	uint8_t timer : 3;  /* enum nat_timer that runs in state */
	uint8_t origin : 1; /* enum nat_direction of its first packet */
	uint8_t guest : 1;  /* its mapping does not count it (nat.c) */
	uint32_t mapping : 24;
	uint32_t address : 8;   /* the outside one, by its index */
	uint32_t next, prev;    /* in its timer list, or next free one */
	uint32_t frames_low[2]; /* by enum nat_direction */
	uint16_t frames_high[2];
	union {
		uint64_t bytes[2];
		uint64_t rests_until_ns; /* nat_rest.c's */
	};
	uint64_t expires_ns; /* 0: not in use, or no session but a rest */
};

struct mapping {
	union {
		uint32_t in_ip;
		uint32_t next; /* free one */
	};
	uint32_t remote_ip; /* what the mapping depends on, or 0 */
	uint16_t in_port, remote_port, out_port;
	uint8_t protocol;
	uint8_t address; /* the outside one, by its index */
	/* Sessions and pins; of one that rests, what it rests in. */
	uint32_t users : 24;
	uint32_t rests : 1;       /* it has no users, but keeps its end */
	uint32_t for_anybody : 1; /* by a pin */
	uint32_t unshared : 1; /* it has had a pin: its port is nobody else's */
	uint32_t spoke : 1;    /* its host began a session by it */
};

/* What an entry takes at most, all in, whatever the number of entries: a session
 * and a mapping of its own, each with two keys in an index, and its share of an
 * address's ports, in the default table, and of the hosts that rules may count.
 * Each further address takes its ports more, and filters that depend on the
 * address a struct nat_peer and its key. */
#define NAT_KEY_BYTES (sizeof(struct nat_bucket) / NAT_BUCKET_KEYS + 1)
#define NAT_ENTRY_BYTES                                                    \
	(sizeof(struct session) + sizeof(struct nat_window) +              \
	    sizeof(struct mapping) + 4 * NAT_KEY_BYTES +                   \
	    (sizeof(struct nat_host) + NAT_KEY_BYTES) / NAT_HOST_ENTRIES + \
	    (sizeof(struct nat_address) + NAT_MAX_ENTRIES - 1) /           \
		NAT_MAX_ENTRIES)
static_assert(sizeof(struct session) == 64, "a session has grown");
static_assert(NAT_TCP_NSTATES <= 8 && NAT_TIMERS <= 8, "more than 3 bits");
static_assert(NAT_ENTRY_BYTES <= 128, "an entry has grown");
static_assert(NAT_MAX_ENTRIES_LIMIT + NAT_PINS_MAX < 1 << 24,
    "numbers of entries, and of users, have 24 bits");

struct nat {
	uint64_t key[2];
	struct nat_index index; /* of sessions, twice */
	struct session *sessions;
	struct nat_window *windows; /* of sessions of TCP */
	struct nat_pool session_pool;
	struct {
		uint32_t first, last;
		uint64_t idle_ns;
	} timers[NAT_TIMERS];
	uint64_t due_ns;
	struct nat_index mapping_index; /* by inside, and by outside, end */
	struct mapping *mappings;
	struct nat_pool mapping_pool;
	struct nat_rest rest;        /* of mappings */
	struct nat_peers peers;      /* address-dependent filtering only */
	struct nat64_hosts *virtual; /* NULL: none */
	struct nat_hosts hosts;      /* limits, blocks and pairs only */
	struct nat_pins pins;
	struct nat_addresses addresses;
	uint32_t own_ip; /* of the router, outside; 0: none yet */
	uint32_t own;    /* that in addresses, by its index */
	uint64_t random;
	struct nat_rules rules;
	uint8_t refreshing; /* bit 1 << enum nat_direction */
};

static inline uint64_t
mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Twice, since once leaves ends that differ in a port alone on few of the places
 * of an index, with some keys. */
static inline uint32_t
hash(const struct nat *nat, uint64_t a, uint64_t b)
{
	uint32_t h = (uint32_t)mix(mix(a ^ nat->key[0], b ^ nat->key[1]),
	    UINT64_C(0x9e3779b97f4a7c15));

	return h != 0 ? h : 1; /* 0: it was not asked */
}

static inline uint64_t
ports_key(uint16_t port, uint16_t remote_port, uint8_t protocol, uint8_t kind)
{
	return (uint64_t)port << 32 | (uint64_t)remote_port << 16 |
	    (uint64_t)protocol << 8 | kind;
}

enum key_kind {
	KEY_OUT,
	KEY_IN,
	KEY_MAPPING,
	KEY_END,
	KEY_PEER,
	KEY_HOST,
	KEY_PIN,
};

static inline uint32_t
hash_out(const struct nat *nat, const struct nat_flow *flow)
{
	return hash(nat, (uint64_t)flow->ip << 32 | flow->remote_ip,
	    ports_key(flow->port, flow->remote_port, flow->protocol, KEY_OUT));
}

static inline uint32_t
hash_in(const struct nat *nat, const struct nat_flow *flow)
{
	return hash(nat, (uint64_t)flow->ip << 32 | flow->remote_ip,
	    ports_key(flow->port, flow->remote_port, flow->protocol, KEY_IN));
}

/* A mapping has two keys in one index, which a bit that is part of their tags
 * tells apart: that by its inside end, and what else it depends on, ... */
#define HASH_IS_END 2u

static inline uint32_t
hash_mapping(const struct nat *nat, const struct mapping *m)
{
	return hash(nat, (uint64_t)m->in_ip << 32 | m->remote_ip,
		   ports_key(
		       m->in_port, m->remote_port, m->protocol, KEY_MAPPING)) &
	    ~HASH_IS_END;
}

/* ... and that by its outside end. */
static inline uint32_t
hash_end(
    const struct nat *nat, uint32_t address, uint8_t protocol, uint16_t port)
{
	return hash(nat, address, ports_key(port, 0, protocol, KEY_END)) |
	    HASH_IS_END;
}

static inline uint32_t
hash_host(const struct nat *nat, uint32_t ip)
{
	return hash(nat, ip, KEY_HOST);
}

static inline uint32_t
hash_peer(const struct nat *nat, uint32_t mapping, uint32_t remote_ip)
{
	return hash(nat, (uint64_t)mapping << 32 | remote_ip, KEY_PEER);
}

static inline uint32_t
hash_pin(const struct nat *nat, const struct nat_pin *pin)
{
	return hash(nat, (uint64_t)pin->in_ip << 32 | pin->remote_ip,
	    ports_key(pin->in_port, pin->remote_port, pin->protocol, KEY_PIN));
}

static inline enum protocol_number
number_of(uint8_t protocol)
{
	if (protocol == IP_TCP)
		return TCP;
	return protocol == IP_UDP ? UDP : ICMP;
}

static inline struct nat_ports *
ports_of(const struct nat *nat, uint32_t address, uint8_t protocol)
{
	return &nat->addresses.of[address]->ports[number_of(protocol)];
}

/* The inside host whose the outside address ip is alone, or 0. */
static inline uint32_t
nat_owner(const struct nat *nat, uint32_t ip)
{
	int32_t address = nat->addresses.nowned == 0
	    ? -1
	    : nat_addresses_find(&nat->addresses, ip);

	return address < 0 ? 0 : nat->addresses.of[address]->inside_ip;
}

/* ---- nat.c ---- */

/* Ends a session that is in use. */
void nat_session_end(struct nat *nat, uint32_t id, uint64_t now_ns);

/* Whose session has the pair of outside and remote ends, or NAT_NONE. */
uint32_t nat_session_in(const struct nat *nat, const struct nat_flow *flow);
/* The same of the pair of inside and remote ends. */
uint32_t nat_session_out(const struct nat *nat, const struct nat_flow *flow);

/* Does a session live?  A guest does only as long as its mapping. */
static inline bool
nat_session_lives(
    const struct nat *nat, const struct session *s, uint64_t now_ns)
{
	const struct mapping *m = &nat->mappings[s->mapping];

	return s->expires_ns > now_ns &&
	    (!s->guest ||
		(m->users != 0 && !m->rests && m->in_ip == s->in_ip &&
		    m->in_port == s->in_port && m->out_port == s->out_port &&
		    m->address == s->address && m->protocol == s->protocol));
}

/* Ends guests that are dead, whose hosts may be known by nothing else.  Takes
 * time for each session. */
void nat_end_dead_guests(struct nat *nat, uint64_t now_ns);

/* Has its mapping count a session. */
void nat_session_count(struct nat *nat, struct session *s);

/* ---- nat_join.c ---- */

/* Does the mapping admit a sender it has no session with (RFC 4787 5)?  One of
 * an address that is its host's own admits all, but for whom its host has asked
 * to be kept from. */
bool nat_filter_admits(const struct nat *nat, bool own, uint32_t mapping,
    const struct nat_flow *flow, uint64_t now_ns);

/* May the host have one more session, of most?  0: of any number. */
bool nat_host_has_room(const struct nat *nat, uint32_t ip, uint32_t most);

/* Counts one more session or pin of a host, if it may have one.  REASON_NONE,
 * DROP_NAT_HOST_LIMIT, DROP_NAT_FULL. */
enum reason nat_host_join(struct nat *nat, uint32_t ip);
void nat_host_leave(struct nat *nat, uint32_t ip);

/* ---- nat_find.c ---- */

/* The mapping of an incoming flow, or NAT_NONE. */
uint32_t nat_mapping_of(const struct nat *nat, const struct nat_flow *flow);

/* ---- nat_mapping.c ---- */

/* What an outgoing flow's mapping is found by, and the one with that key whose
 * hash is h, or NAT_NONE. */
struct mapping nat_mapping_key(
    const struct nat *nat, const struct nat_flow *flow);
uint32_t nat_mapping_find(
    const struct nat *nat, const struct mapping *key, uint32_t h);

/* It will be looked for soon, if the flow has no session. */
void nat_mapping_prefetch(const struct nat *nat, const struct nat_flow *flow);

/* The mapping that packets without a session find at an outside end, or
 * NAT_NONE. */
uint32_t nat_mapping_at(
    const struct nat *nat, uint32_t address, uint8_t protocol, uint16_t port);
/* From now on they find this one at its end. */
void nat_mapping_show(struct nat *nat, uint32_t id);

/* Finds or makes the mapping of an outgoing flow.  DROP_NAT_NO_PORT,
 * DROP_NAT_FULL. */
enum reason nat_mapping_for(
    struct nat *nat, const struct nat_flow *flow, uint32_t *id);
/* Finds or makes the mapping that a pin keeps, with an outside port as it
 * wants.  DROP_NAT_NO_PORT, DROP_NAT_FULL. */
enum reason nat_mapping_for_pin(
    struct nat *nat, const struct nat_pin *pin, uint32_t *id);
/* Is it where the pin wants it? */
bool nat_mapping_is_at(
    const struct nat *nat, uint32_t id, const struct nat_pin *pin);
/* It has one user less, which may have been the last. */
void nat_mapping_leave(struct nat *nat, uint32_t id, uint64_t now_ns);
/* Frees one that rests. */
void nat_mapping_end_rest(struct nat *nat, uint32_t id);
/* Frees those that have rested, and who has rested longest. */
void nat_mapping_expire(struct nat *nat, uint64_t now_ns);
void nat_mapping_rest_less(struct nat *nat);

/* ---- nat_choice.c ---- */

/* An outside end; port -1: there is none. */
struct nat_end {
	uint32_t address; /* its index */
	int32_t port;
};

/* Takes an end for a flow whose host has joined, as the rules say, or for a pin
 * of which flow has the ends. */
struct nat_end nat_choose(struct nat *nat, const struct nat_flow *flow);
struct nat_end nat_choose_for_pin(
    struct nat *nat, const struct nat_pin *pin, const struct nat_flow *flow);

/* May a pin have an outside port?  Those by which routers are asked for pins are
 * the lab file's to give alone (RFC 6887 11.3). */
bool nat_pin_may_have(const struct nat_pin *pin, uint16_t port);

/* Is nobody there who speaks to the same remote end from this outside end, or
 * has it for anybody? */
bool nat_can_share(const struct nat *nat, const struct nat_flow *flow,
    uint32_t address, uint16_t port);

/* The host of ip, or NULL. */
struct nat_host *nat_host_of(const struct nat *nat, uint32_t ip);

/* ---- nat_pin.c ---- */

/* Ends pins by their mappings, but for those of the lab file. */
void nat_pin_end_some(struct nat *nat,
    bool (*ends)(const struct nat *nat, const struct mapping *m, void *arg),
    void *arg, uint64_t now_ns);

/* What a mapping's pins say of a sender that it has no session with. */
enum pin_says { PIN_SAYS_NOTHING, PIN_ADMITS, PIN_REFUSES };
enum pin_says nat_pin_says(const struct nat *nat, const struct mapping *m,
    uint32_t remote_ip, uint16_t remote_port, uint64_t now_ns);

/* Is there a pin for the remote end of an outgoing flow? */
bool nat_pin_has(
    const struct nat *nat, const struct nat_flow *flow, uint64_t now_ns);

/* The pin of that number; false: there is none. */
bool nat_pin_get(
    const struct nat *nat, uint32_t id, uint64_t now_ns, struct nat_pin *pin);

/* Ends what has expired. */
void nat_pin_expire(struct nat *nat, uint64_t now_ns);
/* Counts all again, for tables of hosts and peers that are new. */
void nat_pin_recount(struct nat *nat);

#endif
