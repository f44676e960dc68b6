/*
 * Messages in and out; who has which address is in dhcp_leases.c.
 *
 * A client that asks for a lease time gets ours: one time for all keeps the
 * lists of leases in order.  Relays' options (RFC 3046) and client identifiers
 * (RFC 6842) are sent back as they came.
 */
#include "router/dhcp_server.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/loop.h"
#include "router/dhcp_leases.h"

struct dhcp_server {
	struct ip4_net router; /* of its clients */
	uint32_t own;          /* its identifier */
	uint32_t first, n;     /* of the range */
	uint32_t lease_s, max_lease_s, dns, per_station;
	uint16_t mtu_bytes;
	char domain[DHCP_MAX_NAME];
	struct dhcp_extra extra[DHCP_EXTRAS];
	unsigned int nextra;
	uint64_t changes;
	struct lease_pool *pool;
};

/* ---- making it ---- */

static int
check_range(
    struct ip4_net own, const struct router_dhcp_options *o, struct err *err)
{
	char first[IP4_TEXT_BYTES], last[IP4_TEXT_BYTES], net[NET_TEXT_BYTES];

	ip4_text(first, o->first);
	ip4_text(last, o->last);
	ip4_net_text(net, own);
	if (!ip4_net_has_host(own, o->first) || !ip4_net_has_host(own, o->last))
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

static int
copy_extra(struct dhcp_server *server, const struct router_dhcp_options *o,
    struct err *err)
{
	size_t bytes = 0;

	if (o->nextra > DHCP_EXTRAS)
		return err_set(err, -EINVAL,
		    "dhcp: %u more options are too many; use up to %d",
		    o->nextra, DHCP_EXTRAS);
	for (unsigned int i = 0; i < o->nextra; i++) {
		server->extra[i] = o->extra[i];
		bytes += 2u + o->extra[i].len;
		if (o->extra[i].len > DHCP_EXTRA_BYTES ||
		    bytes > DHCP_EXTRA_BYTES)
			return err_set(err, -EINVAL,
			    "dhcp: the options do not fit into the message "
			    "that each client takes; use up to %d bytes, two "
			    "more for each option than its value",
			    DHCP_EXTRA_BYTES);
	}
	server->nextra = o->nextra;
	return 0;
}

struct dhcp_server *
dhcp_server_new(struct ip4_net router, uint32_t own,
    const struct router_dhcp_options *options, uint16_t mtu_bytes,
    struct err *err)
{
	struct dhcp_server *server;

	if (check_range(router, options, err) < 0)
		return NULL;
	server = calloc(1, sizeof(*server));
	if (server == NULL)
		goto fail;
	server->router = router;
	server->own = own;
	server->lease_s =
	    options->lease_s != 0 ? options->lease_s : DHCP_LEASE_S;
	server->max_lease_s = server->lease_s;
	if (options->short_s != 0 && options->short_s < server->lease_s)
		server->lease_s = options->short_s;
	server->per_station =
	    options->per_station != 0 ? options->per_station : DHCP_PER_STATION;
	server->dns = options->dns;
	server->mtu_bytes = mtu_bytes;
	snprintf(server->domain, sizeof(server->domain), "%s", options->domain);
	if (copy_extra(server, options, err) < 0) {
		free(server);
		return NULL;
	}
	server->first = options->first;
	server->n = options->last - options->first + 1;
	server->pool = lease_pool_new(router.addr, server->first, server->n);
	if (server->pool == NULL)
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
	lease_pool_free(server->pool);
	free(server);
}

int
dhcp_server_reserve(struct dhcp_server *server, const struct mac *mac,
    uint32_t addr, struct err *err)
{
	char text[IP4_TEXT_BYTES], own[NET_TEXT_BYTES], name[MAC_TEXT_BYTES];
	struct mac twin;
	int e;

	ip4_text(text, addr);
	if (!ip4_net_has_host(server->router, addr) ||
	    addr == server->router.addr)
		return err_set(err, -EINVAL,
		    "dhcp: %s cannot be reserved; use a host address within "
		    "the subnet of %s",
		    text, ip4_net_text(own, server->router));
	e = lease_pool_reserve(server->pool, mac, addr, &twin);
	if (e == -EEXIST)
		return err_set(err, e,
		    "dhcp: %s is reserved for %s already; use another address",
		    text, mac_text(name, &twin));
	if (e == -ENOSPC)
		return err_set(err, e,
		    "dhcp: more than %d reservations; use fewer",
		    DHCP_RESERVATIONS_MAX);
	if (e < 0)
		return err_sys(err, e, NULL, "dhcp: %s", text);
	return 0;
}

bool
dhcp_server_serves(const struct dhcp_server *server, uint32_t addr)
{
	return ip4_net_has_host(server->router, addr);
}

/* ---- moving it ---- */

struct moving {
	struct lease_pool *to;
	uint32_t delta;
	int e;
};

static void
move_reserved(void *arg, const struct lease *lease)
{
	struct moving *m = arg;
	struct mac twin;

	if (lease->reserved && m->e == 0)
		m->e = lease_pool_reserve(
		    m->to, &lease->mac, lease->addr + m->delta, &twin);
}

int
dhcp_server_move(struct dhcp_server *server, struct ip4_net to)
{
	uint32_t mask = ip4_mask(to.prefix);
	struct moving m = { .delta = (to.addr & mask) -
		    (server->router.addr & mask) };

	assert(to.prefix == server->router.prefix);
	m.to = lease_pool_new(to.addr, server->first + m.delta, server->n);
	if (m.to == NULL)
		return -ENOMEM;
	lease_pool_each(server->pool, move_reserved, &m);
	if (m.e < 0) {
		lease_pool_free(m.to);
		return -ENOMEM;
	}
	lease_pool_free(server->pool);
	server->pool = m.to;
	server->first += m.delta;
	if (server->dns == server->router.addr)
		server->dns = to.addr;
	if (server->own == server->router.addr)
		server->own = to.addr;
	server->router = to;
	server->changes++;
	return 0;
}

void
dhcp_server_lengthen(struct dhcp_server *server, uint32_t lease_s)
{
	if (lease_s > server->max_lease_s)
		lease_s = server->max_lease_s;
	if (lease_s > server->lease_s)
		server->lease_s = lease_s;
}

/* Who the client is: 0 and its MAC address, or 1 and its identifier. */
static struct lease_key
key_of(const struct dhcp *m)
{
	struct lease_key key = { .len = 1 };

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

static void
give(struct dhcp_server *server, struct lease *lease,
    const struct lease_key *key, const struct dhcp *m, uint64_t now_ns)
{
	lease_give(server->pool, lease, key, &m->chaddr, now_ns);
	memcpy(lease->hostname, m->hostname, sizeof(lease->hostname));
}

/* The station that a message counts for. */
static const struct mac *
holder_of(const struct dhcp *m, const struct mac *from)
{
	return m->giaddr != 0 ? &m->chaddr : from;
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

/* The server that the client shall know: a relay may want to be that itself. */
static uint32_t
server_for(const struct dhcp_server *server, const struct dhcp *m)
{
	uint32_t other = dhcp_relay_address(m, DHCP_RELAY_SERVER);

	return other != 0 ? other : server->own;
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
		.client_id = m->client_id, /* RFC 6842 3 */
		.client_id_bytes = m->client_id_bytes,
		.relay_info = m->relay_info, /* RFC 3046 2.2 */
		.relay_info_bytes = m->relay_info_bytes,
		.type = type,
		.server = server_for(server, m) };
}

static void
add_parameters(
    const struct dhcp_server *server, const struct dhcp *m, struct dhcp *r)
{
	if (dhcp_wants(m, DHCP_OPT_MASK))
		r->mask = ip4_mask(server->router.prefix);
	if (dhcp_wants(m, DHCP_OPT_ROUTER))
		r->router = server->router.addr;
	if (dhcp_wants(m, DHCP_OPT_BROADCAST) && m->parameters != NULL)
		r->broadcast = ip4_net_broadcast(server->router);
	if (dhcp_wants(m, DHCP_OPT_DNS) && server->dns != 0) {
		r->dns[0] = server->dns;
		r->ndns = 1;
	}
	if (dhcp_wants(m, DHCP_OPT_DOMAIN))
		memcpy(r->domain, server->domain, sizeof(r->domain));
	if (dhcp_wants(m, DHCP_OPT_MTU) && m->parameters != NULL)
		r->mtu = server->mtu_bytes;
	for (unsigned int i = 0; i < server->nextra; i++)
		if (dhcp_wants(m, server->extra[i].code))
			r->extra[r->nextra++] = &server->extra[i];
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
on_discover(struct dhcp_server *server, const struct dhcp *m,
    const struct mac *from, uint64_t now_ns, struct dhcp_answer *a)
{
	struct lease_key key = key_of(m);
	const struct mac *holder = holder_of(m, from);
	struct lease *lease = lease_of_client(server->pool, &key);

	lease_pool_expire(server->pool, now_ns);
	if ((lease == NULL || !lease->held) &&
	    lease_pool_held(server->pool, holder) >= server->per_station)
		return DROP_DHCP_LIMIT;
	lease =
	    lease_choose(server->pool, &m->chaddr, &key, m->requested, now_ns);
	if (lease == NULL)
		return DROP_DHCP_FULL;
	a->is_new = lease->state == LEASE_FREE;
	give(server, lease, &key, m, now_ns);
	/* A client that has one and asks again keeps its time. */
	if (lease->state != LEASE_LEASED)
		lease_set(server->pool, lease, LEASE_OFFERED,
		    now_ns + DHCP_OFFER_S * NS_PER_S, holder);
	begin(server, m, DHCP_OFFER, a);
	add_lease(server, lease->addr, &a->message);
	add_parameters(server, m, &a->message);
	address(m, a);
	return REASON_DELIVERED;
}

/* Our offer was not taken. */
static enum reason
forget_offer(
    struct dhcp_server *server, const struct lease_key *key, uint64_t now_ns)
{
	struct lease *lease = lease_of_client(server->pool, key);

	if (lease != NULL && lease->state == LEASE_OFFERED)
		lease_set(server->pool, lease, LEASE_FREE, now_ns, NULL);
	return DROP_NOT_OURS;
}

/* A client in one of the states of 4.3.2: SELECTING names the server,
 * INIT-REBOOT the address by option, RENEWING and REBINDING by ciaddr. */
static enum reason
on_request(struct dhcp_server *server, const struct dhcp *m,
    const struct mac *from, uint64_t now_ns, struct dhcp_answer *a)
{
	struct lease_key key = key_of(m);
	uint32_t wanted = m->requested != 0 ? m->requested : m->ciaddr;
	struct lease *lease = lease_of_addr(server->pool, wanted), *own;
	bool selecting = m->server != 0;

	if (selecting && m->server != server_for(server, m))
		return forget_offer(server, &key, now_ns);
	if (wanted == 0)
		return DROP_DHCP;
	if (!ip4_net_has(server->router, wanted))
		return refuse(server, m, "wrong network", a);
	own = lease_of_client(server->pool, &key);
	if (own == NULL && !selecting)
		return REASON_DELIVERED; /* not known here: silence */
	if (lease == NULL || lease != own || lease->state == LEASE_DECLINED)
		return refuse(server, m, "not your address", a);
	if (!lease_is_open(lease, &m->chaddr))
		return refuse(server, m, "reserved for another", a);
	give(server, lease, &key, m, now_ns);
	lease_set(server->pool, lease, LEASE_LEASED,
	    now_ns + server->lease_s * NS_PER_S, holder_of(m, from));
	server->changes++;
	begin(server, m, DHCP_ACK, a);
	a->message.ciaddr = m->ciaddr;
	add_lease(server, wanted, &a->message);
	add_parameters(server, m, &a->message);
	address(m, a);
	return REASON_DELIVERED;
}

/* by: who declined it; NULL: somebody else was seen to have it. */
static void
avoid(struct dhcp_server *server, struct lease *lease, const struct mac *by,
    uint64_t now_ns)
{
	lease_take_away(server->pool, lease);
	lease_set(server->pool, lease, LEASE_DECLINED,
	    now_ns + DHCP_DECLINED_S * NS_PER_S, by);
	server->changes++;
}

static enum reason
on_decline(struct dhcp_server *server, const struct dhcp *m,
    const struct mac *from, uint64_t now_ns)
{
	struct lease_key key = key_of(m);
	struct lease *lease = lease_of_client(server->pool, &key);

	if (m->server != 0 && m->server != server_for(server, m))
		return DROP_NOT_OURS;
	if (lease != NULL && lease->addr == m->requested &&
	    lease->state != LEASE_DECLINED)
		avoid(server, lease, holder_of(m, from), now_ns);
	return REASON_DELIVERED;
}

void
dhcp_server_conflict(struct dhcp_server *server, uint32_t addr, uint64_t now_ns)
{
	struct lease *lease = lease_of_addr(server->pool, addr);

	if (lease != NULL && lease->state == LEASE_OFFERED)
		avoid(server, lease, NULL, now_ns);
}

static enum reason
on_release(struct dhcp_server *server, const struct dhcp *m, uint64_t now_ns)
{
	struct lease_key key = key_of(m);
	struct lease *lease = lease_of_client(server->pool, &key);

	if (m->server != 0 && m->server != server_for(server, m))
		return DROP_NOT_OURS;
	if (lease == NULL || lease->addr != m->ciaddr ||
	    lease->state != LEASE_LEASED)
		return REASON_DELIVERED;
	lease_set(server->pool, lease, LEASE_FREE, now_ns, NULL);
	server->changes++;
	return REASON_DELIVERED;
}

static enum reason
on_inform(const struct dhcp_server *server, const struct dhcp *m,
    struct dhcp_answer *a)
{
	if (m->ciaddr == 0 || !ip4_net_has(server->router, m->ciaddr))
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
    const struct mac *from, uint64_t now_ns, struct dhcp_answer *answer)
{
	answer->to = DHCP_TO_NOBODY;
	answer->is_new = false;
	if (m->op != DHCP_BOOTREQUEST || mac_is_group(&m->chaddr) ||
	    mac_is_zero(&m->chaddr))
		return DROP_DHCP;
	if (m->ciaddr != 0 && m->type != DHCP_REQUEST &&
	    !ip4_net_has_host(server->router, m->ciaddr))
		return DROP_NOT_OURS;
	switch (m->type) {
	case DHCP_DISCOVER: return on_discover(server, m, from, now_ns, answer);
	case DHCP_REQUEST: return on_request(server, m, from, now_ns, answer);
	case DHCP_DECLINE: return on_decline(server, m, from, now_ns);
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

struct showing {
	uint64_t now_ns;
	void (*each)(void *arg, const struct lease_row *row);
	void *arg;
};

static void
show(void *arg, const struct lease *lease)
{
	const struct showing *s = arg;
	bool passed = lease->until_ns <= s->now_ns;
	struct lease_row row = { .ip = lease->addr,
		.mac = lease->mac,
		.state = lease_state_name((enum lease_state)lease->state),
		.left_ns = passed ? 0 : lease->until_ns - s->now_ns };

	if (lease->state == LEASE_FREE || passed) {
		if (!lease->reserved && lease->key.len == 0)
			return;
		row.state = lease->reserved ? "reserved" : "expired";
		row.left_ns = 0;
	}
	snprintf(row.hostname, sizeof(row.hostname), "%s", lease->hostname);
	s->each(s->arg, &row);
}

void
dhcp_server_each(const struct dhcp_server *server, uint64_t now_ns,
    void (*each)(void *arg, const struct lease_row *row), void *arg)
{
	struct showing s = { now_ns, each, arg };

	lease_pool_each(server->pool, show, &s);
}

/* ---- what outlives the server ---- */

struct saving {
	uint64_t now_ns;
	void (*each)(void *arg, const struct lease_saved *saved);
	void *arg;
};

static void
save(void *arg, const struct lease *lease)
{
	const struct saving *s = arg;
	struct lease_saved saved = { .ip = lease->addr,
		.mac = lease->mac,
		.declined = lease->state == LEASE_DECLINED,
		.client_bytes = lease->key.len };

	if (lease->state == LEASE_OFFERED ||
	    (lease->key.len == 0 && !saved.declined))
		return;
	if (lease->state != LEASE_FREE && lease->until_ns > s->now_ns)
		saved.left_ns = lease->until_ns - s->now_ns;
	if (saved.declined && saved.left_ns == 0)
		return;
	memcpy(saved.client, lease->key.bytes, lease->key.len);
	memcpy(saved.hostname, lease->hostname, sizeof(saved.hostname));
	s->each(s->arg, &saved);
}

void
dhcp_server_save(const struct dhcp_server *server, uint64_t now_ns,
    void (*each)(void *arg, const struct lease_saved *saved), void *arg)
{
	struct saving s = { now_ns, each, arg };

	lease_pool_each(server->pool, save, &s);
}

uint64_t
dhcp_server_changes(const struct dhcp_server *server)
{
	return server->changes;
}

int
dhcp_server_restore(struct dhcp_server *server, const struct lease_saved *saved,
    uint64_t now_ns)
{
	struct lease *lease = lease_of_addr(server->pool, saved->ip);
	struct lease_key key = { .len = saved->client_bytes };
	uint64_t left_ns = saved->left_ns;

	if (lease == NULL || lease->state != LEASE_FREE || lease->key.len != 0)
		return -EINVAL;
	if (saved->declined) {
		if (left_ns > DHCP_DECLINED_S * NS_PER_S)
			left_ns = DHCP_DECLINED_S * NS_PER_S;
		lease_set(server->pool, lease, LEASE_DECLINED, now_ns + left_ns,
		    NULL);
		return 0;
	}
	if (key.len == 0 || key.len > sizeof(key.bytes) ||
	    !lease_is_open(lease, &saved->mac))
		return -EINVAL;
	memcpy(key.bytes, saved->client, key.len);
	if (lease_of_client(server->pool, &key) != NULL)
		return -EINVAL;
	if (left_ns > server->max_lease_s * NS_PER_S)
		left_ns = server->max_lease_s * NS_PER_S;
	lease_give(server->pool, lease, &key, &saved->mac, now_ns);
	memcpy(lease->hostname, saved->hostname, sizeof(lease->hostname));
	lease->hostname[sizeof(lease->hostname) - 1] = '\0';
	lease_set(
	    server->pool, lease, LEASE_LEASED, now_ns + left_ns, &saved->mac);
	if (left_ns == 0)
		lease_set(server->pool, lease, LEASE_FREE, now_ns, NULL);
	return 0;
}
