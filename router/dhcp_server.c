/*
 * One lease per address, in one array: those of the range first, then the
 * reserved ones outside it.
 *
 *    FREE --discover--> OFFERED --request--> LEASED --decline--> DECLINED
 *     ^                   | time, other        | release, time     | a day
 *     '-------------------'--------------------'-------------------'
 *
 * A lease that is FREE again keeps its client: who comes back gets the same
 * address while nobody else needed it (4.3.1).  Time is looked at when a lease
 * is looked at; no timers.
 *
 * Addresses are given in the order: never used, in ascending order, and then
 * free for longest.  The second is a search through all leases, which happens
 * only when every address was used once; a flood of invented clients makes it
 * the rule, at 65,536 steps for each message at most.  Finding a client is a
 * hash look-up.
 */
#include "router/dhcp_server.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/loop.h"

/* No memory for a hash table's buckets is no reason to end: the entry is then
 * not in the table. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define KEY_BYTES 256
#define TO(state) (1u << LEASE_##state)

enum lease_state {
	LEASE_FREE,
	LEASE_OFFERED,
	LEASE_LEASED,
	LEASE_DECLINED,
	LEASE_NSTATES,
};

static const struct {
	const char *name;
	unsigned int next;
} lease_fsm[] = {
	[LEASE_FREE] = { "free", TO(OFFERED) | TO(LEASED) | TO(DECLINED) },
	[LEASE_OFFERED] = { "offered",
	    TO(FREE) | TO(OFFERED) | TO(LEASED) | TO(DECLINED) },
	[LEASE_LEASED] = { "leased", TO(FREE) | TO(LEASED) | TO(DECLINED) },
	[LEASE_DECLINED] = { "declined", TO(FREE) },
};
static_assert(sizeof(lease_fsm) / sizeof(lease_fsm[0]) == LEASE_NSTATES,
    "a state has no row");

struct lease {
	UT_hash_handle hh;
	uint32_t addr;
	uint8_t state; /* enum lease_state */
	bool reserved; /* for mac */
	bool listed;   /* in the table by key */
	uint16_t key_bytes;
	struct mac mac;
	uint64_t until_ns;
	char hostname[DHCP_MAX_NAME];
	uint8_t key[KEY_BYTES]; /* of the client; key_bytes 0: never used */
};

struct dhcp_server {
	struct ip4_net own;
	uint32_t first, nrange;
	uint32_t lease_s, dns;
	uint16_t mtu_bytes;
	char domain[DHCP_MAX_NAME];
	struct lease *leases; /* of the range */
	uint32_t unused;      /* those from here on were never used */
	struct lease *extra[DHCP_RESERVATIONS_MAX]; /* beyond the range */
	uint32_t nextra;
	struct lease *clients; /* by key */
};

/* ---- making it ---- */

static bool
is_host_of(struct ip4_net net, uint32_t addr)
{
	if (!ip4_net_has(net, addr))
		return false;
	if (net.prefix > 30)
		return true;
	return addr != (net.addr & ip4_mask(net.prefix)) &&
	    addr != ip4_net_broadcast(net);
}

static int
check_range(
    struct ip4_net own, const struct router_dhcp_options *o, struct err *err)
{
	char first[IP4_TEXT_BYTES], last[IP4_TEXT_BYTES], net[NET_TEXT_BYTES];

	ip4_text(first, o->first);
	ip4_text(last, o->last);
	ip4_net_text(net, own);
	if (!is_host_of(own, o->first) || !is_host_of(own, o->last))
		return err_set(err, -EINVAL,
		    "dhcp: the range %s-%s leaves the hosts of the port's "
		    "subnet; use addresses within that of %s",
		    first, last, net);
	if (o->first > o->last)
		return err_set(err, -EINVAL,
		    "dhcp: the range %s-%s is empty; put the lower address "
		    "first",
		    first, last);
	if (o->last - o->first >= DHCP_LEASES_MAX)
		return err_set(err, -EINVAL,
		    "dhcp: the range %s-%s is too long; use at most %d "
		    "addresses",
		    first, last, DHCP_LEASES_MAX);
	return 0;
}

struct dhcp_server *
dhcp_server_new(struct ip4_net own, const struct router_dhcp_options *options,
    uint16_t mtu_bytes, struct err *err)
{
	struct dhcp_server *server;

	if (check_range(own, options, err) < 0)
		return NULL;
	server = calloc(1, sizeof(*server));
	if (server == NULL)
		goto fail;
	server->own = own;
	server->first = options->first;
	server->nrange = options->last - options->first + 1;
	server->lease_s =
	    options->lease_s != 0 ? options->lease_s : DHCP_LEASE_S;
	server->dns = options->dns;
	server->mtu_bytes = mtu_bytes;
	snprintf(server->domain, sizeof(server->domain), "%s", options->domain);
	server->leases = calloc(server->nrange, sizeof(server->leases[0]));
	if (server->leases == NULL)
		goto fail;
	return server;
fail:
	free(server);
	err_sys(err, -ENOMEM, NULL, "dhcp: cannot hold the leases");
	return NULL;
}

void
dhcp_server_free(struct dhcp_server *server)
{
	if (server == NULL)
		return;
	HASH_CLEAR(hh, server->clients);
	for (uint32_t i = 0; i < server->nextra; i++)
		free(server->extra[i]);
	free(server->leases);
	free(server);
}

/* ---- leases ---- */

static uint32_t
addr_of(const struct dhcp_server *server, const struct lease *lease)
{
	if (lease >= server->leases && lease < server->leases + server->nrange)
		return server->first + (uint32_t)(lease - server->leases);
	return lease->addr;
}

/* The lease of an address, NULL if the server does not give it. */
static struct lease *
lease_of_addr(struct dhcp_server *server, uint32_t addr)
{
	if (addr - server->first < server->nrange)
		return &server->leases[addr - server->first];
	for (uint32_t i = 0; i < server->nextra; i++)
		if (server->extra[i]->addr == addr)
			return server->extra[i];
	return NULL;
}

static void
lease_set(struct lease *lease, enum lease_state to, uint64_t until_ns)
{
	assert(lease_fsm[lease->state].next & 1u << to);
	lease->state = (uint8_t)to;
	lease->until_ns = until_ns;
}

/* Lets time pass for a lease, and tells whether it is free. */
static bool
is_free(struct lease *lease, uint64_t now_ns)
{
	if (lease->state != LEASE_FREE && lease->until_ns <= now_ns)
		lease_set(lease, LEASE_FREE, lease->until_ns);
	return lease->state == LEASE_FREE;
}

struct key {
	uint8_t bytes[KEY_BYTES];
	uint16_t len;
};

/* Who the client is: 0 and its MAC address, or 1 and its identifier. */
static struct key
key_of(const struct dhcp *m)
{
	struct key key = { .len = 1 };

	if (m->client_id != NULL) {
		key.bytes[0] = 1;
		memcpy(key.bytes + 1, m->client_id, m->client_id_bytes);
		key.len = (uint16_t)(1 + m->client_id_bytes);
	} else {
		memcpy(key.bytes + 1, m->chaddr.b, sizeof(m->chaddr.b));
		key.len = 1 + sizeof(m->chaddr.b);
	}
	return key;
}

static bool
is_of(const struct lease *lease, const struct key *key)
{
	return lease->key_bytes == key->len &&
	    memcmp(lease->key, key->bytes, key->len) == 0;
}

/* Gives a lease to a client, who thereby loses another. */
static void
give(struct dhcp_server *server, struct lease *lease, const struct key *key,
    const struct dhcp *m)
{
	struct lease *old;

	if (!is_of(lease, key)) {
		HASH_FIND(hh, server->clients, key->bytes, key->len, old);
		if (old != NULL) {
			HASH_DEL(server->clients, old);
			old->listed = false;
			old->key_bytes = 0;
			if (old->state == LEASE_OFFERED ||
			    old->state == LEASE_LEASED)
				lease_set(old, LEASE_FREE, old->until_ns);
		}
		if (lease->listed)
			HASH_DEL(server->clients, lease);
		memcpy(lease->key, key->bytes, key->len);
		lease->key_bytes = key->len;
		HASH_ADD(hh, server->clients, key, key->len, lease);
		lease->listed = lease->hh.tbl != NULL;
	}
	if (!lease->reserved)
		lease->mac = m->chaddr;
	memcpy(lease->hostname, m->hostname, sizeof(lease->hostname));
}

int
dhcp_server_reserve(struct dhcp_server *server, const struct mac *mac,
    uint32_t addr, struct err *err)
{
	struct lease *lease = lease_of_addr(server, addr);
	char text[IP4_TEXT_BYTES], own[NET_TEXT_BYTES], name[MAC_TEXT_BYTES];

	ip4_text(text, addr);
	if (!is_host_of(server->own, addr) || addr == server->own.addr)
		return err_set(err, -EINVAL,
		    "dhcp: %s cannot be reserved; use a host address within "
		    "the subnet of %s",
		    text, ip4_net_text(own, server->own));
	if (lease != NULL && lease->reserved)
		return err_set(err, -EEXIST,
		    "dhcp: %s is reserved for %s already; use another address",
		    text, mac_text(name, &lease->mac));
	if (lease == NULL) {
		if (server->nextra == DHCP_RESERVATIONS_MAX)
			return err_set(err, -ENOSPC,
			    "dhcp: more than %d reservations beyond the "
			    "range; widen the range",
			    DHCP_RESERVATIONS_MAX);
		lease = calloc(1, sizeof(*lease));
		if (lease == NULL)
			return err_sys(err, -ENOMEM, NULL, "dhcp: %s", text);
		lease->addr = addr;
		server->extra[server->nextra++] = lease;
	}
	lease->reserved = true;
	lease->mac = *mac;
	return 0;
}

/* ---- choosing one (RFC 2131, 4.3.1) ---- */

static struct lease *
reserved_for(struct dhcp_server *server, const struct mac *mac)
{
	for (uint32_t i = 0; i < server->nextra; i++)
		if (mac_equal(&server->extra[i]->mac, mac))
			return server->extra[i];
	for (uint32_t i = 0; i < server->nrange; i++)
		if (server->leases[i].reserved &&
		    mac_equal(&server->leases[i].mac, mac))
			return &server->leases[i];
	return NULL;
}

/* May the client have this one, if it is free? */
static bool
is_open(const struct dhcp_server *server, const struct lease *lease,
    const struct dhcp *m)
{
	if (addr_of(server, lease) == server->own.addr)
		return false;
	return !lease->reserved || mac_equal(&lease->mac, &m->chaddr);
}

/* The first that was never used, or else the longest free. */
static struct lease *
any_free(struct dhcp_server *server, const struct dhcp *m, uint64_t now_ns)
{
	struct lease *best = NULL;

	while (server->unused < server->nrange) {
		struct lease *lease = &server->leases[server->unused++];

		if (lease->key_bytes == 0 && lease->until_ns == 0 &&
		    is_open(server, lease, m))
			return lease;
	}
	for (uint32_t i = 0; i < server->nrange; i++) {
		struct lease *lease = &server->leases[i];

		if (is_open(server, lease, m) && is_free(lease, now_ns) &&
		    (best == NULL || lease->until_ns < best->until_ns))
			best = lease;
	}
	return best;
}

static struct lease *
choose(struct dhcp_server *server, const struct dhcp *m, const struct key *key,
    uint64_t now_ns)
{
	struct lease *lease = reserved_for(server, &m->chaddr);

	if (lease != NULL)
		return is_free(lease, now_ns) || is_of(lease, key) ? lease
								   : NULL;
	HASH_FIND(hh, server->clients, key->bytes, key->len, lease);
	if (lease != NULL && is_open(server, lease, m)) {
		is_free(lease, now_ns);
		if (lease->state != LEASE_DECLINED)
			return lease;
	}
	if (m->requested != 0) {
		lease = lease_of_addr(server, m->requested);
		if (lease != NULL && is_open(server, lease, m) &&
		    is_free(lease, now_ns))
			return lease;
	}
	return any_free(server, m, now_ns);
}

/* ---- answers ---- */

/* Where to (4.1): a relay, else the client's address, else by its flag. */
static void
address(const struct dhcp *m, struct dhcp_answer *a)
{
	struct dhcp *r = &a->message;

	if (m->giaddr != 0) {
		a->to = DHCP_TO_RELAY;
		a->addr = m->giaddr;
		if (r->type == DHCP_NAK)
			r->flags |= DHCP_BROADCAST; /* 4.3.2 */
	} else if (r->type == DHCP_NAK) {
		a->to = DHCP_TO_ALL;
		a->addr = IP4_BROADCAST;
	} else if (m->ciaddr != 0) {
		a->to = DHCP_TO_ADDRESS;
		a->addr = m->ciaddr;
	} else if (m->flags & DHCP_BROADCAST) {
		a->to = DHCP_TO_ALL;
		a->addr = IP4_BROADCAST;
	} else {
		a->to = DHCP_TO_CLIENT;
		a->addr = r->yiaddr;
	}
}

/* What every answer has (table 3). */
static void
begin(const struct dhcp_server *server, const struct dhcp *m,
    enum dhcp_type type, struct dhcp_answer *a)
{
	a->message = (struct dhcp){ .op = DHCP_BOOTREPLY,
		.xid = m->xid,
		.flags = m->flags,
		.giaddr = m->giaddr,
		.chaddr = m->chaddr,
		.type = type,
		.server = server->own.addr };
}

static void
add_parameters(
    const struct dhcp_server *server, const struct dhcp *m, struct dhcp *r)
{
	if (dhcp_wants(m, DHCP_OPT_MASK))
		r->mask = ip4_mask(server->own.prefix);
	if (dhcp_wants(m, DHCP_OPT_ROUTER))
		r->router = server->own.addr;
	if (dhcp_wants(m, DHCP_OPT_DNS) && server->dns != 0) {
		r->dns[0] = server->dns;
		r->ndns = 1;
	}
	if (dhcp_wants(m, DHCP_OPT_DOMAIN))
		memcpy(r->domain, server->domain, sizeof(r->domain));
	if (dhcp_wants(m, DHCP_OPT_MTU) && m->parameters != NULL)
		r->mtu = server->mtu_bytes;
}

static void
add_lease(const struct dhcp_server *server, uint32_t addr, struct dhcp *r)
{
	r->yiaddr = addr;
	r->lease_s = server->lease_s;
	r->renewal_s = server->lease_s / 2; /* 4.4.5 */
	r->rebinding_s = (uint32_t)((uint64_t)server->lease_s * 7 / 8);
}

static enum reason
refuse(const struct dhcp_server *server, const struct dhcp *m, const char *why,
    struct dhcp_answer *a)
{
	begin(server, m, DHCP_NAK, a);
	a->message.message = why;
	address(m, a);
	return REASON_DELIVERED;
}

static enum reason
on_discover(struct dhcp_server *server, const struct dhcp *m, uint64_t now_ns,
    struct dhcp_answer *a)
{
	struct key key = key_of(m);
	struct lease *lease = choose(server, m, &key, now_ns);

	if (lease == NULL)
		return DROP_DHCP_FULL;
	give(server, lease, &key, m);
	/* A client that has one and asks again keeps its time. */
	if (lease->state != LEASE_LEASED)
		lease_set(
		    lease, LEASE_OFFERED, now_ns + DHCP_OFFER_S * NS_PER_S);
	begin(server, m, DHCP_OFFER, a);
	add_lease(server, addr_of(server, lease), &a->message);
	add_parameters(server, m, &a->message);
	address(m, a);
	return REASON_DELIVERED;
}

/* The client's lease of an address, or NULL. */
static struct lease *
lease_of_client(struct dhcp_server *server, const struct key *key)
{
	struct lease *lease;

	HASH_FIND(hh, server->clients, key->bytes, key->len, lease);
	return lease;
}

/* Our offer was not taken. */
static enum reason
forget_offer(struct dhcp_server *server, const struct key *key, uint64_t now_ns)
{
	struct lease *lease = lease_of_client(server, key);

	if (lease != NULL && lease->state == LEASE_OFFERED)
		lease_set(lease, LEASE_FREE, now_ns);
	return DROP_NOT_OURS;
}

/* A client in one of the states of 4.3.2: SELECTING names the server,
 * INIT-REBOOT the address by option, RENEWING and REBINDING by ciaddr. */
static enum reason
on_request(struct dhcp_server *server, const struct dhcp *m, uint64_t now_ns,
    struct dhcp_answer *a)
{
	struct key key = key_of(m);
	uint32_t wanted = m->requested != 0 ? m->requested : m->ciaddr;
	struct lease *lease = lease_of_addr(server, wanted), *own;
	bool selecting = m->server != 0;

	if (selecting && m->server != server->own.addr)
		return forget_offer(server, &key, now_ns);
	if (wanted == 0)
		return DROP_DHCP;
	if (!ip4_net_has(server->own, wanted))
		return refuse(server, m, "wrong network", a);
	own = lease_of_client(server, &key);
	if (own == NULL && !selecting)
		return REASON_DELIVERED; /* not known here: silence */
	if (lease == NULL || lease != own || lease->state == LEASE_DECLINED)
		return refuse(server, m, "not your address", a);
	if (!is_open(server, lease, m))
		return refuse(server, m, "reserved for another", a);
	give(server, lease, &key, m);
	lease_set(lease, LEASE_LEASED, now_ns + server->lease_s * NS_PER_S);
	begin(server, m, DHCP_ACK, a);
	a->message.ciaddr = m->ciaddr;
	add_lease(server, wanted, &a->message);
	add_parameters(server, m, &a->message);
	address(m, a);
	return REASON_DELIVERED;
}

static enum reason
on_decline(struct dhcp_server *server, const struct dhcp *m, uint64_t now_ns)
{
	struct key key = key_of(m);
	struct lease *lease = lease_of_addr(server, m->requested);

	if (m->server != 0 && m->server != server->own.addr)
		return DROP_NOT_OURS;
	if (lease == NULL || !is_of(lease, &key) ||
	    lease->state == LEASE_DECLINED)
		return REASON_DELIVERED;
	HASH_DEL(server->clients, lease);
	lease->listed = false;
	lease->key_bytes = 0;
	lease_set(lease, LEASE_DECLINED, now_ns + DHCP_DECLINED_S * NS_PER_S);
	return REASON_DELIVERED;
}

static enum reason
on_release(struct dhcp_server *server, const struct dhcp *m, uint64_t now_ns)
{
	struct key key = key_of(m);
	struct lease *lease = lease_of_addr(server, m->ciaddr);

	if (m->server != 0 && m->server != server->own.addr)
		return DROP_NOT_OURS;
	if (lease != NULL && is_of(lease, &key) && lease->state == LEASE_LEASED)
		lease_set(lease, LEASE_FREE, now_ns);
	return REASON_DELIVERED;
}

static enum reason
on_inform(const struct dhcp_server *server, const struct dhcp *m,
    struct dhcp_answer *a)
{
	if (m->ciaddr == 0 || !ip4_net_has(server->own, m->ciaddr))
		return DROP_NOT_OURS;
	begin(server, m, DHCP_ACK, a);
	a->message.ciaddr = m->ciaddr;
	add_parameters(server, m, &a->message);
	a->to = DHCP_TO_ADDRESS; /* 4.3.5: not by a relay, not broadcast */
	a->addr = m->ciaddr;
	return REASON_DELIVERED;
}

enum reason
dhcp_server_take(struct dhcp_server *server, const struct dhcp *m,
    uint64_t now_ns, struct dhcp_answer *answer)
{
	answer->to = DHCP_TO_NOBODY;
	if (m->op != DHCP_BOOTREQUEST || mac_is_group(&m->chaddr) ||
	    mac_is_zero(&m->chaddr))
		return DROP_DHCP;
	if (m->giaddr != 0 && !is_host_of(server->own, m->giaddr))
		return DROP_NOT_OURS;
	if (m->ciaddr != 0 && m->type != DHCP_REQUEST &&
	    !is_host_of(server->own, m->ciaddr))
		return DROP_NOT_OURS;
	switch (m->type) {
	case DHCP_DISCOVER: return on_discover(server, m, now_ns, answer);
	case DHCP_REQUEST: return on_request(server, m, now_ns, answer);
	case DHCP_DECLINE: return on_decline(server, m, now_ns);
	case DHCP_RELEASE: return on_release(server, m, now_ns);
	case DHCP_INFORM: return on_inform(server, m, answer);
	case DHCP_NO_TYPE: /* plain BOOTP is not served */
	case DHCP_OFFER:
	case DHCP_ACK:
	case DHCP_NAK: return DROP_DHCP;
	}
	return DROP_DHCP;
}

/* ---- looking at it ---- */

static void
show(const struct dhcp_server *server, const struct lease *lease,
    uint64_t now_ns, void (*each)(void *arg, const struct lease_row *row),
    void *arg)
{
	bool passed = lease->until_ns <= now_ns;
	struct lease_row row = { .ip = addr_of(server, lease),
		.mac = lease->mac,
		.state = lease_fsm[lease->state].name,
		.left_ns = passed ? 0 : lease->until_ns - now_ns };

	if (lease->state == LEASE_FREE || passed) {
		if (!lease->reserved && lease->key_bytes == 0)
			return;
		row.state = lease->reserved ? "reserved" : "expired";
		row.left_ns = 0;
	}
	snprintf(row.hostname, sizeof(row.hostname), "%s", lease->hostname);
	each(arg, &row);
}

void
dhcp_server_each(const struct dhcp_server *server, uint64_t now_ns,
    void (*each)(void *arg, const struct lease_row *row), void *arg)
{
	for (uint32_t i = 0; i < server->nrange; i++)
		show(server, &server->leases[i], now_ns, each, arg);
	for (uint32_t i = 0; i < server->nextra; i++)
		show(server, server->extra[i], now_ns, each, arg);
}
