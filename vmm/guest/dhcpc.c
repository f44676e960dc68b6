/*
 * dhcpc.c - the DHCP client.
 *
 *   OFF --start--> SELECTING --offer--> REQUESTING --ack--> BOUND <-ack-.
 *    ^              ^ ^  ^                | |                 | T1      |
 *    | release,     | |  '---no answer----' | nak, conflict   v         |
 *    | link down    | '------wait------ WAITING <---nak---- RENEWING ---+
 *   any             |                        ^                | T2      |
 *                   |                        '------nak--- REBINDING ---'
 *                   '---------expired-------------------------'
 *
 * Messages are repeated after 1, 2, 4, ... 64 seconds, give or take half a
 * second: RFC 2131 (4.1) leaves the pace to the network's, and ours is a LAN.
 */
#include "vmm/guest/dhcpc.h"

#include <assert.h>
#include <string.h>

#include "vmm/guest/stack.h"
#include "vmm/guest/text.h"

#define MESSAGE_BYTES   400
#define RETRY_US        (1 * US_PER_S)
#define RETRY_MAX_SHIFT 6
#define REQUEST_TRIES   4
#define WAIT_US         (10 * US_PER_S) /* after a decline (RFC 2131, 3.1) */
#define NAK_US          (1 * US_PER_S)
#define RENEW_RETRY_US  (60 * US_PER_S) /* RFC 2131, 4.4.5 */
#define YOUNG_US        (10 * US_PER_S) /* a conflict now makes us decline */
#define LEASE_INFINITE  UINT32_C(0xffffffff)

static void enter_off(struct netif *nif);
static void enter_waiting(struct netif *nif);
static void enter_selecting(struct netif *nif);
static void enter_requesting(struct netif *nif);
static void enter_bound(struct netif *nif);
static void enter_renewing(struct netif *nif);

#define TO(state) (1u << DHCPC_##state)
#define ANY       (TO(OFF) | TO(SELECTING)) /* from any state */
static const struct {
	const char *name;
	unsigned int next;
	void (*enter)(struct netif *nif);
} dhcpc_fsm[] = {
	[DHCPC_OFF] = { "off", ANY, enter_off },
	[DHCPC_WAITING] = { "waiting", ANY, enter_waiting },
	[DHCPC_SELECTING] = { "selecting", ANY | TO(REQUESTING),
	    enter_selecting },
	[DHCPC_REQUESTING] = { "requesting", ANY | TO(BOUND) | TO(WAITING),
	    enter_requesting },
	[DHCPC_BOUND] = { "bound", ANY | TO(RENEWING) | TO(WAITING),
	    enter_bound },
	[DHCPC_RENEWING] = { "renewing",
	    ANY | TO(BOUND) | TO(REBINDING) | TO(WAITING), enter_renewing },
	[DHCPC_REBINDING] = { "rebinding", ANY | TO(BOUND) | TO(WAITING),
	    enter_renewing },
};
static_assert(sizeof(dhcpc_fsm) / sizeof(dhcpc_fsm[0]) == DHCPC_NSTATES,
    "a state has no row");

static void
dhcpc_set(struct netif *nif, enum dhcpc_state to)
{
	struct dhcpc *d = &nif->dhcp;

	assert(dhcpc_fsm[d->state].next & 1u << to);
	d->state = to;
	d->tries = 0;
	timer_unset(&nif->stack->timers, &d->timer);
	if (d->wake != NULL)
		*d->wake = true;
	dhcpc_fsm[to].enter(nif);
}

const char *
dhcpc_state_name(enum dhcpc_state state)
{
	return dhcpc_fsm[state].name;
}

static void
arm(struct netif *nif, uint64_t at_us)
{
	timer_set(&nif->stack->timers, &nif->dhcp.timer, at_us);
}

/* ---- out ---- */

static void
send_message(struct netif *nif, enum dhcp_type type)
{
	static const uint8_t wanted[] = { DHCP_OPT_MASK, DHCP_OPT_ROUTER,
		DHCP_OPT_DNS, DHCP_OPT_MTU, DHCP_OPT_LEASE, DHCP_OPT_RENEWAL,
		DHCP_OPT_REBINDING };
	struct stack *stack = nif->stack;
	struct dhcpc *d = &nif->dhcp;
	const bool bound = nif->net.addr != 0 && type != DHCP_DECLINE;
	const uint64_t secs = (stack->now_us - d->since_us) / US_PER_S;
	uint8_t client_id[1 + sizeof(nif->mac)] = { 1 };
	struct dhcp m = {
		.op = DHCP_BOOTREQUEST,
		.xid = d->xid,
		.secs = secs > 0xffff ? 0xffff : (uint16_t)secs,
		.ciaddr = bound ? nif->net.addr : 0,
		.chaddr = nif->mac,
		.type = type,
		.server = bound && type != DHCP_RELEASE ? 0 : d->server,
		.requested = bound ? 0 : d->offered,
		.client_id = client_id,
		.client_id_bytes = sizeof(client_id),
	};
	struct ip_out out = {
		.dst = ip6_of_ip4(IP4_BROADCAST),
		.protocol = IP_UDP,
		.nif = nif,
	};
	uint8_t message[MESSAGE_BYTES];
	struct writer w = writer(message, sizeof(message));
	enum reason why;
	uint8_t *at;

	memcpy(client_id + 1, &nif->mac, sizeof(nif->mac));
	if (type == DHCP_DISCOVER || type == DHCP_REQUEST) {
		m.parameters = wanted;
		m.nparameters = sizeof(wanted);
		text_copy(m.hostname, sizeof(m.hostname), stack->name);
	}
	if (type == DHCP_RELEASE || d->state == DHCPC_RENEWING) {
		out.dst = ip6_of_ip4(d->server);
		out.nif = NULL;
	}
	dhcp_write(&w, &m);
	if (w.overrun)
		return;
	const size_t bytes = (size_t)(w.at - message);
	at = ip_begin(stack, &out, UDP_HEADER_BYTES + bytes, &why);
	if (at == NULL)
		return;
	const struct udp udp = {
		.sport = DHCP_CLIENT_PORT,
		.dport = DHCP_SERVER_PORT,
		.data = message,
		.data_bytes = bytes,
	};
	w = writer(at, UDP_HEADER_BYTES + bytes);
	udp_write(&w, &udp, ip_get4(&out.src), ip_get4(&out.dst));
	ip_end(stack, &out);
	d->sent++;
}

/* When a message that was sent tries times is sent again. */
static uint64_t
retry_us(struct netif *nif)
{
	const struct dhcpc *d = &nif->dhcp;
	unsigned int shift =
	    d->tries < RETRY_MAX_SHIFT ? d->tries : RETRY_MAX_SHIFT;

	return nif->stack->now_us + (RETRY_US << shift) - RETRY_US / 2 +
	    random_below(&nif->stack->random, RETRY_US);
}

static void
send_and_retry(struct netif *nif, enum dhcp_type type)
{
	send_message(nif, type);
	arm(nif, retry_us(nif));
	nif->dhcp.tries++;
}

/* ---- states ---- */

static void
lose_address(struct netif *nif)
{
	if (nif->source != NETIF_DHCP)
		return;
	nif->gateway = 0;
	nif->ndns = 0;
	netif_address(nif, NETIF_UNSET, (struct ip4_net){ 0 });
}

static void
enter_off(struct netif *nif)
{
	lose_address(nif);
}

static void
enter_waiting(struct netif *nif)
{
	lose_address(nif);
	arm(nif, nif->stack->now_us + (nif->dhcp.conflict ? WAIT_US : NAK_US));
}

static void
enter_selecting(struct netif *nif)
{
	struct dhcpc *d = &nif->dhcp;

	lose_address(nif);
	d->xid = random_u32(&nif->stack->random);
	d->since_us = nif->stack->now_us;
	d->offered = d->server = 0;
	d->conflict = false;
	send_and_retry(nif, DHCP_DISCOVER);
}

static void
enter_requesting(struct netif *nif)
{
	arp_ask(nif, 0, nif->dhcp.offered);
	send_and_retry(nif, DHCP_REQUEST);
}

static void
enter_bound(struct netif *nif)
{
	arm(nif, nif->dhcp.renew_us);
}

/* RENEWING and REBINDING: ask, then ask again after half of what is left, but
 * not more often than once a minute. */
static void
enter_renewing(struct netif *nif)
{
	struct dhcpc *d = &nif->dhcp;
	const uint64_t now_us = nif->stack->now_us;
	const uint64_t end_us =
	    d->state == DHCPC_RENEWING ? d->rebind_us : d->expire_us;
	uint64_t wait_us;

	if (d->tries++ == 0) {
		d->xid = random_u32(&nif->stack->random);
		d->since_us = now_us;
	}
	send_message(nif, DHCP_REQUEST);
	wait_us = end_us > now_us ? (end_us - now_us) / 2 : 0;
	if (wait_us < RENEW_RETRY_US || end_us == TIMER_NEVER)
		wait_us = RENEW_RETRY_US;
	arm(nif, end_us - now_us > wait_us ? now_us + wait_us : end_us);
}

static void
timer_fired(void *arg)
{
	struct netif *nif = arg;
	struct dhcpc *d = &nif->dhcp;
	const uint64_t now_us = nif->stack->now_us;

	switch (d->state) {
	case DHCPC_OFF: break;
	case DHCPC_WAITING: dhcpc_set(nif, DHCPC_SELECTING); break;
	case DHCPC_SELECTING: send_and_retry(nif, DHCP_DISCOVER); break;
	case DHCPC_REQUESTING:
		if (d->tries >= REQUEST_TRIES)
			dhcpc_set(nif, DHCPC_SELECTING);
		else
			send_and_retry(nif, DHCP_REQUEST);
		break;
	case DHCPC_BOUND: dhcpc_set(nif, DHCPC_RENEWING); break;
	case DHCPC_RENEWING:
		if (now_us >= d->rebind_us)
			dhcpc_set(nif, DHCPC_REBINDING);
		else
			enter_renewing(nif);
		break;
	case DHCPC_REBINDING:
		if (now_us >= d->expire_us)
			dhcpc_set(nif, DHCPC_SELECTING);
		else
			enter_renewing(nif);
		break;
	case DHCPC_NSTATES: break;
	}
}

void
dhcpc_init(struct dhcpc *dhcp, struct netif *nif)
{
	*dhcp = (struct dhcpc){ .nif = nif };
	timer_init(&dhcp->timer, timer_fired, nif);
}

void
dhcpc_start(struct netif *nif)
{
	nif->source = NETIF_DHCP;
	if (nif->up)
		dhcpc_set(nif, DHCPC_SELECTING);
}

void
dhcpc_renew(struct netif *nif)
{
	switch (nif->dhcp.state) {
	case DHCPC_BOUND: dhcpc_set(nif, DHCPC_RENEWING); break;
	case DHCPC_RENEWING:
	case DHCPC_REBINDING: enter_renewing(nif); break;
	case DHCPC_OFF:
	case DHCPC_WAITING:
	case DHCPC_SELECTING:
	case DHCPC_REQUESTING:
	case DHCPC_NSTATES: dhcpc_start(nif); break;
	}
}

void
dhcpc_release(struct netif *nif)
{
	if (nif->dhcp.state >= DHCPC_BOUND)
		send_message(nif, DHCP_RELEASE);
	dhcpc_stop(nif);
}

void
dhcpc_stop(struct netif *nif)
{
	dhcpc_set(nif, DHCPC_OFF);
}

/* ---- in ---- */

bool
dhcpc_expects(const struct netif *nif, uint32_t dst)
{
	(void)dst;
	return nif->net.addr == 0 &&
	    (nif->dhcp.state == DHCPC_SELECTING ||
		nif->dhcp.state == DHCPC_REQUESTING);
}

static void
decline(struct netif *nif)
{
	struct dhcpc *d = &nif->dhcp;

	d->declines++;
	d->conflict = true;
	lose_address(nif);
	send_message(nif, DHCP_DECLINE);
	dhcpc_set(nif, DHCPC_WAITING);
}

static uint8_t
mask_prefix(uint32_t mask)
{
	uint8_t prefix = 0;

	while (mask & UINT32_C(0x80000000)) {
		mask <<= 1;
		prefix++;
	}
	return prefix;
}

/* The times of a lease that begins now (RFC 2131, 4.4.5). */
static void
set_times(struct netif *nif, const struct dhcp *m)
{
	struct dhcpc *d = &nif->dhcp;
	const uint64_t now_us = nif->stack->now_us, lease = m->lease_s;
	uint64_t t1 = m->renewal_s, t2 = m->rebinding_s;

	d->bound_us = now_us;
	if (m->lease_s == LEASE_INFINITE) {
		d->renew_us = d->rebind_us = d->expire_us = TIMER_NEVER;
		return;
	}
	if (t2 == 0 || t2 >= lease)
		t2 = lease * 7 / 8;
	if (t1 == 0 || t1 > t2)
		t1 = lease / 2 < t2 ? lease / 2 : t2;
	d->renew_us = now_us + t1 * US_PER_S;
	d->rebind_us = now_us + t2 * US_PER_S;
	d->expire_us = now_us + lease * US_PER_S;
}

static void
take_ack(struct netif *nif, const struct dhcp *m)
{
	struct dhcpc *d = &nif->dhcp;
	const struct ip4_net net = {
		.addr = m->yiaddr,
		.prefix = m->mask != 0 ? mask_prefix(m->mask) : 24,
	};
	const bool same =
	    nif->net.addr == net.addr && nif->net.prefix == net.prefix;

	d->acks++;
	if (d->conflict) {
		decline(nif);
		return;
	}
	set_times(nif, m);
	if (m->server != 0)
		d->server = m->server;
	d->offered = m->yiaddr;
	nif->gateway = m->router;
	nif->ndns = m->ndns < NETIF_MAX_DNS ? m->ndns : NETIF_MAX_DNS;
	for (uint8_t i = 0; i < nif->ndns; i++)
		nif->dns[i] = m->dns[i];
	netif_mtu(nif, m->mtu);
	if (!same)
		netif_address(nif, NETIF_DHCP, net);
	dhcpc_set(nif, DHCPC_BOUND);
}

static bool
is_host_address(uint32_t addr)
{
	return addr != 0 && addr >> 28 < 0xe && !ip4_is_loopback(addr);
}

static enum reason
take_reply(struct netif *nif, const struct dhcp *m)
{
	struct dhcpc *d = &nif->dhcp;

	if (m->type == DHCP_OFFER) {
		if (d->state != DHCPC_SELECTING)
			return DROP_NO_LISTENER;
		if (!is_host_address(m->yiaddr) || m->server == 0)
			return DROP_DHCP;
		d->offered = m->yiaddr;
		d->server = m->server;
		dhcpc_set(nif, DHCPC_REQUESTING);
		return REASON_DELIVERED;
	}
	if (d->state != DHCPC_REQUESTING && d->state != DHCPC_RENEWING &&
	    d->state != DHCPC_REBINDING)
		return DROP_NO_LISTENER;
	if (d->state != DHCPC_REBINDING && m->server != d->server)
		return DROP_NO_LISTENER; /* another server's */
	if (m->type == DHCP_NAK) {
		d->naks++;
		dhcpc_set(nif, DHCPC_WAITING);
		return REASON_DELIVERED;
	}
	if (m->type != DHCP_ACK || !is_host_address(m->yiaddr) ||
	    m->lease_s == 0)
		return DROP_DHCP;
	if (m->yiaddr != d->offered)
		return DROP_DHCP;
	take_ack(nif, m);
	return REASON_DELIVERED;
}

enum reason
dhcpc_input(struct netif *nif, const struct ip4 *ip, const struct udp *udp)
{
	struct cursor c = cursor(udp->data, udp->data_bytes);
	struct dhcp m;
	enum reason why;

	(void)ip;
	if (udp->sport != DHCP_SERVER_PORT)
		return DROP_NO_LISTENER;
	why = dhcp_parse(&m, &c);
	if (why != DROP_NONE)
		return why;
	if (m.op != DHCP_BOOTREPLY || m.xid != nif->dhcp.xid ||
	    !mac_equal(&m.chaddr, &nif->mac))
		return DROP_NOT_OURS;
	return take_reply(nif, &m);
}

void
dhcpc_arp(struct netif *nif, const struct arp *arp)
{
	struct dhcpc *d = &nif->dhcp;

	if (d->state != DHCPC_REQUESTING)
		return;
	if (arp->sender_ip == d->offered ||
	    (arp->sender_ip == 0 && arp->target_ip == d->offered))
		d->conflict = true;
}

bool
dhcpc_conflict(struct netif *nif)
{
	const struct dhcpc *d = &nif->dhcp;

	if (d->state != DHCPC_BOUND ||
	    nif->stack->now_us - d->bound_us > YOUNG_US)
		return false;
	decline(nif);
	return true;
}
