/*
 * Waiting before the first DISCOVER is for a second at most, not for the one to
 * ten that RFC 2131 4.4.1 speaks of: a lab is no building after a power cut.
 * Where the ways of a server would make a loop (an offer, and then a NAK), each
 * round waits longer, by the back-off of 4.1.
 *
 * A lease counts from when it was first asked for (4.4.1), so that a server
 * never thinks it over before the client does.  T1 comes up to a 32nd earlier
 * than told, by chance (4.4.5).
 *
 * In REBOOTING, silence means that the server knows nothing of the client
 * (4.3.2): after two tries it asks as one who has had no address.
 *
 * Probing takes as long as it is told, with three questions (PROBE_NUM) in that
 * time; RFC 5227's seven seconds are what one can ask for.  The address is not
 * used before.
 */
#include "router/dhcp_client.h"

#include <assert.h>
#include <stdio.h>

#include "base/loop.h"
#include "router/nat_ports.h" /* nat_random() */

#define FIRST_NS        NS_PER_S
#define BACKOFF_NS      (4 * NS_PER_S) /* RFC 2131 4.1 */
#define BACKOFF_SHIFT   4              /* 64 s at most */
#define JITTER_NS       NS_PER_S
#define REQUEST_TRIES   4
#define REBOOT_TRIES    2
#define RENEW_NS        (60 * NS_PER_S) /* 4.4.5 */
#define DECLINED_NS     (10 * NS_PER_S) /* 3.1, 5. */
#define PROBE_NUM       3               /* RFC 5227 1.1 */
#define ANNOUNCE_NUM    2
#define ANNOUNCE_NS     (2 * NS_PER_S)
#define MESSAGE_MAX     1500 /* RFC 3442: at least the MTU */
#define HTYPE_ETHER     1
#define CLIENT_ID_BYTES (1 + sizeof(struct mac))

/* Of what is asked for, routes before the router (RFC 3442). */
static const uint8_t parameters[] = { DHCP_OPT_MASK, DHCP_OPT_ROUTES,
	DHCP_OPT_ROUTER, DHCP_OPT_DNS, DHCP_OPT_DOMAIN, DHCP_OPT_MTU,
	DHCP_OPT_LEASE, DHCP_OPT_SERVER, DHCP_OPT_RENEWAL, DHCP_OPT_REBINDING };

#define TO(state) (1u << DHCP_CLIENT_##state)

static const struct {
	const char *name;
	unsigned int next; /* states that it may be left for */
} states[] = {
	[DHCP_CLIENT_STOPPED] = { "stopped", TO(WAITING) | TO(REBOOTING) },
	[DHCP_CLIENT_WAITING] = { "waiting", TO(SELECTING) },
	[DHCP_CLIENT_SELECTING] = { "selecting", TO(REQUESTING) },
	[DHCP_CLIENT_REQUESTING] = { "requesting",
	    TO(PROBING) | TO(BOUND) | TO(WAITING) },
	[DHCP_CLIENT_REBOOTING] = { "rebooting",
	    TO(PROBING) | TO(BOUND) | TO(SELECTING) | TO(WAITING) },
	[DHCP_CLIENT_PROBING] = { "probing", TO(BOUND) | TO(WAITING) },
	[DHCP_CLIENT_BOUND] = { "bound",
	    TO(RENEWING) | TO(REBINDING) | TO(WAITING) },
	[DHCP_CLIENT_RENEWING] = { "renewing",
	    TO(BOUND) | TO(REBINDING) | TO(WAITING) },
	[DHCP_CLIENT_REBINDING] = { "rebinding",
	    TO(BOUND) | TO(REBINDING) | TO(WAITING) },
};
static_assert(sizeof(states) / sizeof(states[0]) == DHCP_CLIENT_NSTATES,
    "a state has no row");

const char *
dhcp_client_state_name(enum dhcp_client_state state)
{
	return states[state].name;
}

static void
set_state(struct dhcp_client *c, enum dhcp_client_state to)
{
	assert(to == DHCP_CLIENT_STOPPED || states[c->state].next & 1u << to);
	c->state = to;
	c->tries = 0;
}

/* ---- time ---- */

static uint64_t
random_below(struct dhcp_client *c, uint64_t ns)
{
	return ns == 0 ? 0 : nat_random(&c->random) % ns;
}

/* 4 s, 8 s, ... 64 s, give or take one (RFC 2131 4.1). */
static uint64_t
backoff_ns(struct dhcp_client *c, unsigned int n)
{
	uint64_t ns = BACKOFF_NS << (n < BACKOFF_SHIFT ? n : BACKOFF_SHIFT);

	return ns - JITTER_NS + random_below(c, 2 * JITTER_NS);
}

/* now_ns + seconds, or never. */
static uint64_t
after_s(uint64_t now_ns, uint32_t seconds)
{
	return seconds == DHCP_LEASE_FOREVER ? UINT64_MAX
					     : now_ns + seconds * NS_PER_S;
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* ---- messages ---- */

/* Sends one, with the client's identity, to dst. */
static void
send(struct dhcp_client *c, struct dhcp *m, uint32_t src, uint32_t dst,
    uint64_t now_ns)
{
	uint8_t id[CLIENT_ID_BYTES] = { HTYPE_ETHER };
	uint64_t secs = (now_ns - c->began_ns) / NS_PER_S;

	memcpy(id + 1, c->options.mac.b, sizeof(c->options.mac.b));
	m->op = DHCP_BOOTREQUEST;
	m->xid = c->xid;
	m->chaddr = c->options.mac;
	m->client_id = id;
	m->client_id_bytes = sizeof(id);
	if (m->type == DHCP_DISCOVER || m->type == DHCP_REQUEST) {
		m->secs = (uint16_t)(secs < UINT16_MAX ? secs : UINT16_MAX);
		m->parameters = parameters;
		m->nparameters = sizeof(parameters);
		m->max_bytes = MESSAGE_MAX;
		memcpy(m->hostname, c->options.hostname, sizeof(m->hostname));
	}
	c->calls->send(c->arg, m, src, dst);
}

static void
send_discover(struct dhcp_client *c, uint64_t now_ns)
{
	struct dhcp m = { .type = DHCP_DISCOVER, .requested = c->known };

	send(c, &m, 0, IP4_BROADCAST, now_ns);
}

/* As table 4 of RFC 2131 has it for each state. */
static void
send_request(struct dhcp_client *c, uint64_t now_ns)
{
	struct dhcp m = { .type = DHCP_REQUEST };
	uint32_t own = c->offer.address.addr;

	switch (c->state) {
	case DHCP_CLIENT_REQUESTING:
		m.requested = own;
		m.server = c->offer.server;
		send(c, &m, 0, IP4_BROADCAST, now_ns);
		return;
	case DHCP_CLIENT_REBOOTING:
		m.requested = c->known;
		send(c, &m, 0, IP4_BROADCAST, now_ns);
		return;
	case DHCP_CLIENT_RENEWING:
		m.ciaddr = own;
		send(c, &m, own, c->offer.server, now_ns);
		return;
	case DHCP_CLIENT_REBINDING:
		m.ciaddr = own;
		send(c, &m, own, IP4_BROADCAST, now_ns);
		return;
	case DHCP_CLIENT_STOPPED:
	case DHCP_CLIENT_WAITING:
	case DHCP_CLIENT_SELECTING:
	case DHCP_CLIENT_PROBING:
	case DHCP_CLIENT_BOUND:
	case DHCP_CLIENT_NSTATES: break;
	}
	assert(false);
}

static void
send_decline(struct dhcp_client *c, const char *why, uint64_t now_ns)
{
	struct dhcp m = { .type = DHCP_DECLINE,
		.requested = c->offer.address.addr,
		.server = c->offer.server,
		.message = why };

	c->xid = (uint32_t)nat_random(&c->random);
	send(c, &m, 0, IP4_BROADCAST, now_ns);
}

static void
send_release(struct dhcp_client *c, uint64_t now_ns)
{
	struct dhcp m = { .type = DHCP_RELEASE,
		.ciaddr = c->offer.address.addr,
		.server = c->offer.server };

	c->xid = (uint32_t)nat_random(&c->random);
	send(c, &m, m.ciaddr, m.server, now_ns);
}

/* ---- moves ---- */

/* Begins anew, after wait_ns. */
static void
wait_for(struct dhcp_client *c, uint64_t wait_ns, uint64_t now_ns)
{
	set_state(c, DHCP_CLIENT_WAITING);
	c->due_ns = now_ns + wait_ns;
}

/* What was had or wanted is not to be: begins anew, later each time. */
static void
begin_anew(struct dhcp_client *c, uint64_t at_least_ns, uint64_t now_ns)
{
	uint64_t ns = c->failures == 0 ? random_below(c, FIRST_NS)
				       : backoff_ns(c, c->failures - 1);

	c->failures++;
	wait_for(c, ns > at_least_ns ? ns : at_least_ns, now_ns);
}

static void
lose(struct dhcp_client *c, enum dhcp_client_loss why, uint64_t at_least_ns,
    uint64_t now_ns)
{
	const struct dhcp_offer lease = c->offer;
	bool was_bound = dhcp_client_is_bound(c);

	if (was_bound)
		c->began_ns = now_ns;
	begin_anew(c, at_least_ns, now_ns);
	c->calls->lost(c->arg, &lease, why, was_bound);
}

static void
select_offer(struct dhcp_client *c, uint64_t now_ns)
{
	set_state(c, DHCP_CLIENT_SELECTING);
	c->xid = (uint32_t)nat_random(&c->random);
	send_discover(c, now_ns);
	c->due_ns = now_ns + backoff_ns(c, 0);
}

/* Asks for the lease in a state that does so. */
static void
ask(struct dhcp_client *c, enum dhcp_client_state state, uint64_t now_ns)
{
	set_state(c, state);
	if (state != DHCP_CLIENT_REQUESTING) /* that has the offer's */
		c->xid = (uint32_t)nat_random(&c->random);
	c->asked_ns = now_ns;
	send_request(c, now_ns);
}

/* When it is asked again, before end_ns, at which the state ends. */
static uint64_t
ask_again_ns(uint64_t end_ns, uint64_t now_ns)
{
	uint64_t half = end_ns > now_ns ? (end_ns - now_ns) / 2 : 0;

	return earlier(now_ns + (half > RENEW_NS ? half : RENEW_NS), end_ns);
}

static void
bind_lease(struct dhcp_client *c, uint64_t now_ns)
{
	const struct dhcp_offer *o = &c->offer;
	bool is_new = !dhcp_client_is_bound(c);

	c->failures = 0;
	c->known = o->address.addr;
	c->expires_ns = after_s(c->asked_ns, o->lease_s);
	c->t2_ns = after_s(c->asked_ns, o->rebinding_s);
	c->t1_ns = after_s(c->asked_ns, o->renewal_s);
	if (c->t1_ns != UINT64_MAX)
		c->t1_ns -= random_below(c, o->renewal_s * NS_PER_S / 32);
	set_state(c, DHCP_CLIENT_BOUND);
	c->due_ns = c->t1_ns;
	if (is_new) {
		c->announced = 0;
		c->due_ns = now_ns;
	}
	c->calls->bound(c->arg, &c->offer);
}

static void
probe(struct dhcp_client *c, uint64_t now_ns)
{
	if (c->options.probe_ns == 0) {
		bind_lease(c, now_ns);
		return;
	}
	set_state(c, DHCP_CLIENT_PROBING);
	c->due_ns = now_ns;
}

/* ---- what is due ---- */

static void
due_probing(struct dhcp_client *c, uint64_t now_ns)
{
	uint64_t gap_ns = c->options.probe_ns / PROBE_NUM;

	if (c->tries == PROBE_NUM) {
		bind_lease(c, now_ns);
		return;
	}
	c->tries++;
	c->due_ns = now_ns + gap_ns;
	c->calls->probe(c->arg, c->offer.address.addr);
}

static void
due_bound(struct dhcp_client *c, uint64_t now_ns)
{
	if (c->announced < ANNOUNCE_NUM) {
		c->announced++;
		c->due_ns = c->announced < ANNOUNCE_NUM
		    ? earlier(now_ns + ANNOUNCE_NS, c->t1_ns)
		    : c->t1_ns;
		c->calls->announce(c->arg, c->offer.address.addr);
		if (now_ns < c->t1_ns)
			return;
	}
	ask(c, DHCP_CLIENT_RENEWING, now_ns);
	c->due_ns = ask_again_ns(c->t2_ns, now_ns);
}

static void
due_renewing(struct dhcp_client *c, uint64_t now_ns)
{
	if (now_ns < c->t2_ns) {
		send_request(c, now_ns);
		c->due_ns = ask_again_ns(c->t2_ns, now_ns);
		return;
	}
	if (now_ns >= c->expires_ns) {
		lose(c, DHCP_CLIENT_EXPIRED, 0, now_ns);
		return;
	}
	ask(c, DHCP_CLIENT_REBINDING, now_ns);
	c->due_ns = ask_again_ns(c->expires_ns, now_ns);
}

/* Asks again, up to tries times.  False: it has. */
static bool
try_again(struct dhcp_client *c, unsigned int tries, uint64_t now_ns)
{
	if (++c->tries >= tries)
		return false;
	send_request(c, now_ns);
	c->due_ns = now_ns + backoff_ns(c, c->tries);
	return true;
}

void
dhcp_client_due(struct dhcp_client *c, uint64_t now_ns)
{
	if (now_ns < c->due_ns)
		return;
	switch (c->state) {
	case DHCP_CLIENT_STOPPED:
	case DHCP_CLIENT_NSTATES: c->due_ns = UINT64_MAX; return;
	case DHCP_CLIENT_WAITING: select_offer(c, now_ns); return;
	case DHCP_CLIENT_SELECTING:
		c->tries++;
		send_discover(c, now_ns);
		c->due_ns = now_ns + backoff_ns(c, c->tries);
		return;
	case DHCP_CLIENT_REQUESTING:
		if (!try_again(c, REQUEST_TRIES, now_ns))
			begin_anew(c, 0, now_ns);
		return;
	case DHCP_CLIENT_REBOOTING:
		if (!try_again(c, REBOOT_TRIES, now_ns))
			select_offer(c, now_ns);
		return;
	case DHCP_CLIENT_PROBING: due_probing(c, now_ns); return;
	case DHCP_CLIENT_BOUND: due_bound(c, now_ns); return;
	case DHCP_CLIENT_RENEWING: due_renewing(c, now_ns); return;
	case DHCP_CLIENT_REBINDING:
		if (now_ns >= c->expires_ns) {
			lose(c, DHCP_CLIENT_EXPIRED, 0, now_ns);
			return;
		}
		send_request(c, now_ns);
		c->due_ns = ask_again_ns(c->expires_ns, now_ns);
		return;
	}
}

/* ---- what comes in ---- */

/* Reads and judges what m gives.  REASON_NONE, or why it is refused. */
static enum reason
read_offer(
    struct dhcp_client *c, const struct dhcp *m, struct dhcp_offer *offer)
{
	enum reason reason = dhcp_offer_read(offer, m);

	if (reason == REASON_NONE)
		reason = c->calls->judge(c->arg, offer);
	else
		*offer = (struct dhcp_offer){ .address = { m->yiaddr, 32 },
			.server = m->server };
	if (reason != REASON_NONE)
		c->calls->refused(c->arg, offer, reason);
	return reason;
}

static enum reason
on_offer(struct dhcp_client *c, const struct dhcp *m, uint64_t now_ns)
{
	struct dhcp_offer offer;
	enum reason reason;

	if (c->state != DHCP_CLIENT_SELECTING)
		return DROP_DHCP_UNASKED;
	reason = read_offer(c, m, &offer);
	if (reason != REASON_NONE)
		return reason;
	c->offer = offer;
	ask(c, DHCP_CLIENT_REQUESTING, now_ns);
	c->due_ns = now_ns + backoff_ns(c, 0);
	return REASON_DELIVERED;
}

/* Is the lease what was asked for, by the server that was asked? */
static bool
is_answer(const struct dhcp_client *c, const struct dhcp *m)
{
	switch (c->state) {
	case DHCP_CLIENT_REQUESTING:
		return m->yiaddr == c->offer.address.addr &&
		    m->server == c->offer.server;
	case DHCP_CLIENT_REBOOTING: return m->yiaddr == c->known;
	case DHCP_CLIENT_RENEWING:
	case DHCP_CLIENT_REBINDING: return m->yiaddr == c->offer.address.addr;
	case DHCP_CLIENT_STOPPED:
	case DHCP_CLIENT_WAITING:
	case DHCP_CLIENT_SELECTING:
	case DHCP_CLIENT_PROBING:
	case DHCP_CLIENT_BOUND:
	case DHCP_CLIENT_NSTATES: break;
	}
	return false;
}

static enum reason
on_ack(struct dhcp_client *c, const struct dhcp *m, uint64_t now_ns)
{
	struct dhcp_offer offer;
	enum reason reason;

	if (!is_answer(c, m))
		return DROP_DHCP_UNASKED;
	reason = read_offer(c, m, &offer);
	if (reason != REASON_NONE) {
		/* What one has lasts as long as it was given for. */
		if (!dhcp_client_is_bound(c))
			begin_anew(c, 0, now_ns);
		return reason;
	}
	c->offer = offer;
	if (dhcp_client_is_bound(c))
		bind_lease(c, now_ns);
	else
		probe(c, now_ns);
	return REASON_DELIVERED;
}

static enum reason
on_nak(struct dhcp_client *c, const struct dhcp *m, uint64_t now_ns)
{
	bool waits = c->state == DHCP_CLIENT_REQUESTING ||
	    c->state == DHCP_CLIENT_REBOOTING ||
	    c->state == DHCP_CLIENT_RENEWING ||
	    c->state == DHCP_CLIENT_REBINDING;

	if (!waits || m->server == 0 ||
	    (c->state == DHCP_CLIENT_REQUESTING &&
		m->server != c->offer.server))
		return DROP_DHCP_UNASKED;
	if (c->state == DHCP_CLIENT_REBOOTING)
		c->offer = (struct dhcp_offer){ .address = { c->known, 32 },
			.server = m->server };
	c->known = 0;
	lose(c, DHCP_CLIENT_NAK, 0, now_ns);
	return REASON_DELIVERED;
}

enum reason
dhcp_client_take(struct dhcp_client *c, const struct dhcp *m, uint64_t now_ns)
{
	if (m->op != DHCP_BOOTREPLY)
		return DROP_DHCP;
	if (!mac_equal(&m->chaddr, &c->options.mac))
		return DROP_NOT_OURS;
	if (m->xid != c->xid)
		return DROP_DHCP_UNASKED;
	switch (m->type) {
	case DHCP_OFFER: return on_offer(c, m, now_ns);
	case DHCP_ACK: return on_ack(c, m, now_ns);
	case DHCP_NAK: return on_nak(c, m, now_ns);
	case DHCP_NO_TYPE: /* plain BOOTP is not asked */
	case DHCP_DISCOVER:
	case DHCP_REQUEST:
	case DHCP_DECLINE:
	case DHCP_RELEASE:
	case DHCP_INFORM: return DROP_DHCP;
	}
	return DROP_DHCP;
}

bool
dhcp_client_heard(struct dhcp_client *c, uint32_t ip, uint32_t target,
    const struct mac *mac, uint64_t now_ns)
{
	uint32_t wanted = c->offer.address.addr;

	if (c->state != DHCP_CLIENT_PROBING || mac_equal(mac, &c->options.mac))
		return false;
	if (ip != wanted && (ip != 0 || target != wanted))
		return false;
	send_decline(c, "another host has it", now_ns);
	c->known = 0;
	lose(c, DHCP_CLIENT_IN_USE, DECLINED_NS, now_ns);
	return true;
}

/* ---- its beginning and its end ---- */

void
dhcp_client_init(struct dhcp_client *c,
    const struct dhcp_client_options *options,
    const struct dhcp_client_calls *calls, void *arg)
{
	*c = (struct dhcp_client){ .calls = calls,
		.arg = arg,
		.options = *options,
		.random = options->seed,
		.due_ns = UINT64_MAX };
}

void
dhcp_client_start(struct dhcp_client *c, uint32_t known, uint64_t now_ns)
{
	c->began_ns = now_ns;
	c->known = known;
	c->failures = 0;
	if (known == 0) {
		wait_for(c, random_below(c, FIRST_NS), now_ns);
		return;
	}
	ask(c, DHCP_CLIENT_REBOOTING, now_ns);
	c->due_ns = now_ns + backoff_ns(c, 0);
}

void
dhcp_client_link_up(struct dhcp_client *c, uint64_t now_ns)
{
	if (c->state == DHCP_CLIENT_SELECTING) {
		c->tries = 0;
		c->due_ns = now_ns;
	} else if (dhcp_client_is_bound(c) && now_ns < c->expires_ns) {
		ask(c, DHCP_CLIENT_REBINDING, now_ns);
		c->due_ns = ask_again_ns(c->expires_ns, now_ns);
	}
}

void
dhcp_client_stop(struct dhcp_client *c, bool release, uint64_t now_ns)
{
	const struct dhcp_offer lease = c->offer;
	bool was_bound = dhcp_client_is_bound(c);

	if (was_bound && release)
		send_release(c, now_ns);
	set_state(c, DHCP_CLIENT_STOPPED);
	c->due_ns = UINT64_MAX;
	if (was_bound)
		c->calls->lost(c->arg, &lease, DHCP_CLIENT_LEFT, true);
}
