/*
 * Pins are looked at when sessions are made, never when packets pass: a mapping
 * that is for anybody says so itself, and all that a packet from an unknown
 * sender costs more is a look-up of the pin, and of its filters.
 *
 * A pin for one remote end does not keep a session alive, since its timer is
 * one of a few, and its list is in their order.  Instead the mapping stays, and
 * a segment in the middle of a connection makes the session anew.
 */
#include "router/nat_pin.h"

#include <string.h>

#include "router/nat_state.h"

static bool
is_for_anybody(const struct nat_pin *pin)
{
	return pin->remote_port == 0;
}

/* The pin of the ends, if it still lasts. */
static const struct nat_pin_kept *
lasting(const struct nat *nat, const struct nat_pin *ends, uint64_t now_ns)
{
	uint32_t id = nat_pins_find(&nat->pins, hash_pin(nat, ends), ends);

	return id != NAT_NONE && nat->pins.items[id].pin.until_ns > now_ns
	    ? &nat->pins.items[id]
	    : NULL;
}

/* ---- what packets ask ---- */

static bool
matches(const struct nat_pin *pin, uint32_t remote_ip, uint16_t remote_port)
{
	for (unsigned int i = 0; i < pin->nfilters; i++) {
		const struct nat_pin_filter *f = &pin->filters[i];

		if (((f->ip ^ remote_ip) & ip4_mask(f->prefix)) == 0 &&
		    (f->port == 0 || f->port == remote_port))
			return true;
	}
	return pin->nfilters == 0;
}

static struct nat_pin
ends_of(const struct mapping *m)
{
	return (struct nat_pin){ .protocol = m->protocol,
		.in_ip = m->in_ip,
		.in_port = m->in_port };
}

enum pin_says
nat_pin_says(const struct nat *nat, const struct mapping *m, uint32_t remote_ip,
    uint16_t remote_port, uint64_t now_ns)
{
	const struct nat_pin_kept *kept = NULL;
	struct nat_pin ends = ends_of(m);

	if (nat->pins.pool.used == 0)
		return PIN_SAYS_NOTHING;
	if (m->for_anybody)
		kept = lasting(nat, &ends, now_ns);
	if (kept != NULL && matches(&kept->pin, remote_ip, remote_port))
		return PIN_ADMITS;
	ends.remote_ip = remote_ip;
	ends.remote_port = remote_port;
	if (remote_port != 0 && lasting(nat, &ends, now_ns) != NULL)
		return PIN_ADMITS;
	return kept != NULL ? PIN_REFUSES : PIN_SAYS_NOTHING;
}

bool
nat_pin_has(const struct nat *nat, const struct nat_flow *flow, uint64_t now_ns)
{
	struct nat_pin ends = { .protocol = flow->protocol,
		.in_ip = flow->ip,
		.in_port = flow->port,
		.remote_ip = flow->remote_ip,
		.remote_port = flow->remote_port };

	return nat->pins.pool.used > 0 && flow->remote_port != 0 &&
	    lasting(nat, &ends, now_ns) != NULL;
}

/* ---- making and ending them ---- */

static void
join_peer(struct nat *nat, const struct nat_pin_kept *kept)
{
	uint32_t remote_ip = kept->pin.remote_ip;

	if (nat->peers.items != NULL && !is_for_anybody(&kept->pin))
		nat_peers_join(&nat->peers,
		    hash_peer(nat, kept->mapping, remote_ip), kept->mapping,
		    remote_ip);
}

static void
leave_peer(struct nat *nat, const struct nat_pin_kept *kept)
{
	uint32_t remote_ip = kept->pin.remote_ip;

	if (nat->peers.items != NULL && !is_for_anybody(&kept->pin))
		nat_peers_leave(&nat->peers,
		    hash_peer(nat, kept->mapping, remote_ip), kept->mapping,
		    remote_ip);
}

static void
tell(
    const struct nat *nat, const struct nat_pin_kept *kept, struct nat_pin *pin)
{
	const struct mapping *m = &nat->mappings[kept->mapping];

	*pin = kept->pin;
	pin->out_ip = nat->addresses.ip[m->address];
	pin->out_port = m->out_port;
}

static void
end(struct nat *nat, uint32_t id, uint64_t now_ns)
{
	struct nat_pin_kept *kept = &nat->pins.items[id];
	uint32_t mapping = kept->mapping, ip = kept->pin.in_ip;

	leave_peer(nat, kept);
	if (is_for_anybody(&kept->pin))
		nat->mappings[mapping].for_anybody = false;
	nat_pins_remove(
	    &nat->pins, id, hash_pin(nat, &kept->pin), hash_host(nat, ip));
	nat_mapping_leave(nat, mapping, now_ns);
	nat_host_leave(nat, ip);
}

static void
note_due(struct nat *nat, const struct nat_pin *pin)
{
	if (pin->until_ns < nat->due_ns)
		nat->due_ns = pin->until_ns;
}

static bool
same_nonce(const struct nat_pin *a, const struct nat_pin *b)
{
	return memcmp(a->nonce, b->nonce, sizeof(a->nonce)) == 0;
}

static enum nat_pin_fate
renew(struct nat *nat, uint32_t id, struct nat_pin *pin)
{
	struct nat_pin_kept *kept = &nat->pins.items[id];

	if (!same_nonce(&kept->pin, pin) ||
	    (kept->pin.by == NAT_PIN_BY_FILE) != (pin->by == NAT_PIN_BY_FILE)) {
		tell(nat, kept, pin);
		return NAT_PIN_OTHERS;
	}
	if (pin->exact && !nat_mapping_is_at(nat, kept->mapping, pin))
		return NAT_PIN_TAKEN;
	nat_pins_move(&nat->pins, id, pin->until_ns);
	kept->pin.nfilters = pin->nfilters;
	memcpy(kept->pin.filters, pin->filters, sizeof(pin->filters));
	note_due(nat, pin);
	tell(nat, kept, pin);
	return NAT_PIN_RENEWED;
}

/* May the host have one more? */
static enum nat_pin_fate
make_room(struct nat *nat, const struct nat_pin *pin)
{
	if (nat->pins.items == NULL) {
		if (nat_pins_init(&nat->pins) < 0)
			return NAT_PIN_FULL;
		nat_pool_extend(&nat->mapping_pool);
	}
	if (nat->pins.pool.used == nat->pins.pool.max)
		return NAT_PIN_FULL;
	if (pin->by != NAT_PIN_BY_FILE &&
	    nat_pins_of_host(&nat->pins, hash_host(nat, pin->in_ip), pin->in_ip,
		NULL, 0) >= NAT_PINS_OF_HOST)
		return NAT_PIN_HOST_FULL;
	switch (nat_host_join(nat, pin->in_ip)) {
	case REASON_NONE: return NAT_PIN_MADE;
	case DROP_NAT_FULL: return NAT_PIN_FULL;
	default: return NAT_PIN_HOST_FULL;
	}
}

static enum nat_pin_fate
make(struct nat *nat, struct nat_pin *pin)
{
	enum nat_pin_fate fate = make_room(nat, pin);
	enum reason reason;
	uint32_t mapping, id;
	struct mapping *m;

	if (fate != NAT_PIN_MADE)
		return fate;
	reason = nat_mapping_for_pin(nat, pin, &mapping);
	if (reason != REASON_NONE) {
		nat_host_leave(nat, pin->in_ip);
		return reason == DROP_NAT_FULL ? NAT_PIN_FULL : NAT_PIN_TAKEN;
	}
	id = nat_pins_add(
	    &nat->pins, hash_pin(nat, pin), hash_host(nat, pin->in_ip), pin);
	nat->pins.items[id].mapping = mapping;
	m = &nat->mappings[mapping];
	m->users++;
	m->for_anybody |= is_for_anybody(pin);
	m->unshared = true;
	/* Whoever shared the port was found there, and is gone. */
	nat_mapping_show(nat, mapping);
	join_peer(nat, &nat->pins.items[id]);
	note_due(nat, pin);
	tell(nat, &nat->pins.items[id], pin);
	return NAT_PIN_MADE;
}

enum nat_pin_fate
nat_pin_set(struct nat *nat, struct nat_pin *pin, uint64_t now_ns)
{
	uint32_t id;

	assert(pin->protocol == IP_TCP || pin->protocol == IP_UDP);
	assert((pin->remote_ip == 0) == (pin->remote_port == 0));
	nat_expire(nat, now_ns); /* there may be room then */
	if (pin->out_ip != 0 && !nat_has_address(nat, pin->out_ip) &&
	    pin->exact)
		return NAT_PIN_FOREIGN;
	id = nat_pins_find(&nat->pins, hash_pin(nat, pin), pin);
	return id != NAT_NONE ? renew(nat, id, pin) : make(nat, pin);
}

bool
nat_pin_find(const struct nat *nat, const struct nat_pin *ends,
    struct nat_pin *found, uint64_t now_ns)
{
	const struct nat_pin_kept *kept = lasting(nat, ends, now_ns);

	if (kept != NULL)
		tell(nat, kept, found);
	return kept != NULL;
}

enum nat_pin_fate
nat_pin_delete(struct nat *nat, const struct nat_pin *ends, uint64_t now_ns)
{
	uint32_t id;

	nat_expire(nat, now_ns);
	id = nat_pins_find(&nat->pins, hash_pin(nat, ends), ends);
	if (id == NAT_NONE)
		return NAT_PIN_RENEWED;
	if (!same_nonce(&nat->pins.items[id].pin, ends) ||
	    (nat->pins.items[id].pin.by == NAT_PIN_BY_FILE) !=
		(ends->by == NAT_PIN_BY_FILE))
		return NAT_PIN_OTHERS;
	end(nat, id, now_ns);
	return NAT_PIN_RENEWED;
}

/* The pins that a host has asked for. */
static unsigned int
pins_of(const struct nat *nat, uint32_t in_ip, uint32_t ids[NAT_PINS_OF_HOST])
{
	unsigned int n = nat_pins_of_host(
	    &nat->pins, hash_host(nat, in_ip), in_ip, ids, NAT_PINS_OF_HOST);

	return n < NAT_PINS_OF_HOST ? n : NAT_PINS_OF_HOST;
}

void
nat_pin_end_some(struct nat *nat,
    bool (*ends)(const struct nat *nat, const struct mapping *m, void *arg),
    void *arg, uint64_t now_ns)
{
	for (uint32_t id = 1; id <= nat->pins.pool.fresh; id++) {
		const struct nat_pin_kept *kept = &nat->pins.items[id];

		if (kept->mapping != NAT_NONE &&
		    kept->pin.by != NAT_PIN_BY_FILE &&
		    ends(nat, &nat->mappings[kept->mapping], arg))
			end(nat, id, now_ns);
	}
}

unsigned int
nat_pin_delete_all(struct nat *nat, uint32_t in_ip, uint8_t protocol,
    enum nat_pin_by by, const uint8_t nonce[12], uint64_t now_ns)
{
	uint32_t ids[NAT_PINS_OF_HOST];
	unsigned int n = 0, found;

	nat_expire(nat, now_ns);
	found = pins_of(nat, in_ip, ids);
	for (unsigned int i = 0; i < found; i++) {
		const struct nat_pin *pin = &nat->pins.items[ids[i]].pin;

		if (pin->protocol != protocol || pin->by != by ||
		    memcmp(pin->nonce, nonce, sizeof(pin->nonce)) != 0)
			continue;
		end(nat, ids[i], now_ns);
		n++;
	}
	return n;
}

bool
nat_pin_host_has(
    const struct nat *nat, uint32_t in_ip, uint8_t protocol, uint64_t now_ns)
{
	uint32_t ids[NAT_PINS_OF_HOST];
	unsigned int n = pins_of(nat, in_ip, ids);

	for (unsigned int i = 0; i < n; i++) {
		const struct nat_pin *pin = &nat->pins.items[ids[i]].pin;

		if (pin->protocol == protocol && pin->until_ns > now_ns &&
		    (pin->by == NAT_PIN_BY_PMP || pin->by == NAT_PIN_BY_PCP))
			return true;
	}
	return nat_pins_file_has(&nat->pins, in_ip, protocol);
}

bool
nat_pin_is_outbound(
    const struct nat *nat, const struct nat_pin *ends, uint64_t now_ns)
{
	const struct nat_flow flow = { .ip = ends->in_ip,
		.port = ends->in_port,
		.protocol = ends->protocol };
	struct mapping m = nat_mapping_key(nat, &flow);
	uint32_t ids[NAT_PINS_OF_HOST], id;
	unsigned int n = pins_of(nat, ends->in_ip, ids);

	id = nat_mapping_find(nat, &m, hash_mapping(nat, &m));
	if (id != NAT_NONE && !nat->mappings[id].rests &&
	    nat->mappings[id].spoke)
		return true;
	for (unsigned int i = 0; i < n; i++) {
		const struct nat_pin *pin = &nat->pins.items[ids[i]].pin;

		if (pin->protocol == ends->protocol &&
		    pin->in_port == ends->in_port && !is_for_anybody(pin) &&
		    pin->until_ns > now_ns)
			return true;
	}
	return false;
}

bool
nat_pin_get(
    const struct nat *nat, uint32_t id, uint64_t now_ns, struct nat_pin *pin)
{
	const struct nat_pin_kept *kept = &nat->pins.items[id];

	if (kept->mapping == NAT_NONE || kept->pin.until_ns <= now_ns)
		return false;
	tell(nat, kept, pin);
	return true;
}

void
nat_pin_each(const struct nat *nat, uint64_t now_ns,
    void (*each)(void *arg, const struct nat_pin *pin), void *arg)
{
	struct nat_pin pin;

	for (uint32_t id = 1; id <= nat->pins.pool.fresh; id++)
		if (nat_pin_get(nat, id, now_ns, &pin))
			each(arg, &pin);
}

/* ---- time and rules ---- */

void
nat_pin_expire(struct nat *nat, uint64_t now_ns)
{
	uint32_t id = nat_pins_first(&nat->pins);

	while (id != NAT_NONE && nat->pins.items[id].pin.until_ns <= now_ns) {
		end(nat, id, now_ns);
		id = nat_pins_first(&nat->pins);
	}
}

void
nat_pin_recount(struct nat *nat)
{
	for (uint32_t id = 1; id <= nat->pins.pool.fresh; id++) {
		const struct nat_pin_kept *kept = &nat->pins.items[id];

		if (kept->mapping == NAT_NONE)
			continue;
		join_peer(nat, kept);
		if (nat->hosts.items != NULL)
			nat_hosts_find(&nat->hosts,
			    hash_host(nat, kept->pin.in_ip), kept->pin.in_ip)
			    ->sessions++;
	}
}
