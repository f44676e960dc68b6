/*
 * A router whose outer port gets its address by DHCP: what there is without
 * one, what a lease changes, and what ends when it changes again.
 *
 *    alice -- gw.inside   10.0.0.1/24, instead 10.99.0.1/24
 *             gw.outside  by DHCP -- a server that the test plays
 *    carol -- gw.other    10.1.0.1/24
 */
#include "tests/router/rig.h"

#include <errno.h>
#include <stdio.h>

#include "net/dhcp.h"
#include "net/dns.h"
#include "router/nat_rules.h"

#define DHCPD   PROVIDER
#define LEASED  IP(203, 0, 113, 77)
#define LEASED2 IP(203, 0, 113, 78)
#define THERE   IP(10, 99, 0, 10) /* alice, when the inside has moved */
#define S(n)    ((uint64_t)(n)*NS_PER_S)

static const struct nat_rules cone = {
	.mapping = NAT_ENDPOINT_INDEPENDENT,
	.filtering = NAT_ENDPOINT_INDEPENDENT,
	.hairpin = true,
};

static char said[320]; /* last */

static void
told(void *arg, const char *sentence)
{
	(void)arg;
	snprintf(said, sizeof(said), "%s", sentence);
}

struct setup {
	bool instead; /* the inside may move */
	bool serves;  /* and gives addresses */
	uint64_t probe_ns;
	uint32_t mtu_bytes;
};

static struct rig *
rig_wan(struct setup setup)
{
	static const char *const names[] = { "gw.inside", "gw.outside",
		"gw.other" };
	static const char *const peers[] = { "lan.inside", "net.outside",
		"lan.other" };
	static const uint32_t addr[] = { GW_INSIDE, GW_OUTSIDE, GW_OTHER };
	struct rig *rig = calloc(1, sizeof(*rig));
	struct router_dhcp_options dhcp = { .first = IP(10, 0, 0, 10),
		.last = IP(10, 0, 0, 19),
		.lease_s = 3600,
		.short_s = setup.instead ? 60 : 0,
		.dns = GW_INSIDE };
	struct router_nat_options nat = { .rules = cone };
	struct err err = { "" };

	rig->loop = loop_new(LOOP_VIRTUAL, &err);
	rig->router = router_new(rig->loop, "gw", 7, &err);
	router_on_address(rig->router, told, rig);
	node_init(&rig->node, "peers");
	for (int i = 0; i < NPEERS; i++) {
		struct router_port_options o = { .mac = rig_mac(addr[i]) };
		struct peer *peer = &rig->peer[i];

		if (i == OUTSIDE) {
			o.dhcp = true;
			o.hostname = "gw";
			o.dhcp_probe_ns = setup.probe_ns;
			o.mtu_bytes = setup.mtu_bytes;
		} else {
			o.address = (struct ip4_net){ addr[i], 24 };
		}
		if (i == INSIDE && setup.instead)
			o.instead = (struct ip4_net){ IP(10, 99, 0, 1), 24 };
		port_init(&peer->port, &rig_ops, &rig->node, peers[i]);
		peer->rig = rig;
		peer->gw = router_add_port(rig->router, names[i], &o, &err);
		assert_non_null(peer->gw);
		peer->gw_mac = o.mac;
		cable_join(&peer->port, peer->gw);
	}
	if (setup.serves)
		assert_int_equal(router_set_dhcp(rig->router,
				     rig->peer[INSIDE].gw, &dhcp, &err),
		    0);
	nat.outside = rig->peer[OUTSIDE].gw;
	assert_int_equal(router_set_nat(rig->router, &nat, &err), 0);
	return rig;
}

/* ---- the server, or a client inside ---- */

/* The last DHCP message that a peer saw. */
static bool
last_message(struct rig *rig, int at, struct dhcp *m, struct got *got)
{
	for (unsigned int i = rig->peer[at].n; i-- > 0;) {
		const struct seen *seen = &rig->peer[at].seen[i];
		struct cursor c;

		if (get_be16(seen->data + 12) != ETH_IPV4)
			continue;
		*got = got_of(seen);
		if (got->ip.protocol != IP_UDP ||
		    (got->dport != DHCP_SERVER_PORT &&
			got->dport != DHCP_CLIENT_PORT))
			continue;
		c = cursor(got->udp.data, got->udp.data_bytes);
		assert_int_equal(dhcp_parse(m, &c), DROP_NONE);
		return true;
	}
	return false;
}

/* Sends a DHCP message. */
static enum reason
send_dhcp(struct rig *rig, int from, const struct dhcp *m, uint32_t src,
    uint32_t dst, uint16_t dport)
{
	uint8_t message[600], bytes[700];
	struct writer w = writer(message, sizeof(message));
	struct writer v = writer(bytes, sizeof(bytes));
	struct eth eth = { .dst = rig->peer[from].gw_mac,
		.src = rig_mac(src),
		.type = ETH_IPV4 };
	struct udp udp = { .sport = dport == DHCP_CLIENT_PORT
		    ? DHCP_SERVER_PORT
		    : DHCP_CLIENT_PORT,
		.dport = dport,
		.data = message };
	struct ip4 ip = {
		.ttl = 64, .protocol = IP_UDP, .src = src, .dst = dst
	};

	if (dst == IP4_BROADCAST)
		eth.dst = mac_broadcast;
	if (src == 0)
		eth.src = m->chaddr;
	dhcp_write(&w, m);
	udp.data_bytes = (size_t)(w.at - message);
	ip.total_bytes = (uint16_t)(28 + udp.data_bytes);
	eth_write(&v, &eth);
	ip4_write(&v, &ip);
	udp_write(&v, &udp, src, dst);
	assert_false(w.overrun || v.overrun);
	return rig_send(rig, from, bytes, (size_t)(v.at - bytes));
}

static struct dhcp
answer_of(struct rig *rig, enum dhcp_type type, uint32_t addr)
{
	struct dhcp asked = { .op = 0 };
	struct got got;

	assert_true(last_message(rig, OUTSIDE, &asked, &got));
	return (struct dhcp){ .op = DHCP_BOOTREPLY,
		.xid = asked.xid,
		.chaddr = asked.chaddr,
		.type = type,
		.yiaddr = addr,
		.server = (addr & 0xffffff00) | 254,
		.router = (addr & 0xffffff00) | 254,
		.mask = IP(255, 255, 255, 0),
		.lease_s = 1000 };
}

/* The server gives what the template has. */
static enum reason
answer(struct rig *rig, struct dhcp m)
{
	return send_dhcp(
	    rig, OUTSIDE, &m, m.server, IP4_BROADCAST, DHCP_CLIENT_PORT);
}

static struct wan_row row;

static void
take_row(void *arg, const struct wan_row *r)
{
	(void)arg;
	row = *r;
}

static const struct wan_row *
wan_of(const struct rig *rig)
{
	memset(&row, 0, sizeof(row));
	router_each_wan(rig->router, take_row, NULL);
	return &row;
}

/* Waits until the client asks, and is given addr. */
static void
give(struct rig *rig, struct dhcp extra, uint32_t addr)
{
	struct dhcp m;
	static const enum dhcp_type types[] = { DHCP_OFFER, DHCP_ACK };

	for (int i = 0; i < 40 && strcmp(wan_of(rig)->state, "selecting") != 0;
	     i++)
		rig_wait(rig, S(1) / 2);
	for (int i = 0; i < 2; i++) {
		m = answer_of(rig, types[i], addr);
		if (extra.lease_s != 0)
			m.lease_s = extra.lease_s;
		m.mtu = extra.mtu;
		m.dns[0] = extra.dns[0];
		m.ndns = extra.ndns;
		memcpy(m.routes, extra.routes, sizeof(m.routes));
		m.routes_bytes = extra.routes_bytes;
		assert_int_equal(answer(rig, m), REASON_DELIVERED);
	}
	rig_wait(rig, NS_PER_MS);
	assert_string_equal(wan_of(rig)->state, "bound");
}

static const struct dhcp plain = { .op = 0 };

/* Waits until the lease is to be renewed. */
static void
until_renewal(struct rig *rig)
{
	for (int i = 0; i < 1000 && strcmp(wan_of(rig)->state, "bound") == 0;
	     i++)
		rig_wait(rig, S(1));
	assert_string_equal(wan_of(rig)->state, "renewing");
}

static void
refuse_renewal(struct rig *rig)
{
	struct dhcp nak;

	if (strcmp(wan_of(rig)->state, "bound") == 0)
		until_renewal(rig);
	nak = answer_of(rig, DHCP_NAK, wan_of(rig)->address.addr);
	nak.yiaddr = nak.mask = nak.lease_s = nak.router = 0;
	assert_int_equal(answer(rig, nak), REASON_DELIVERED);
}

static unsigned int nrows;

static void
count_row(void *arg, const struct nat_row *r)
{
	(void)arg;
	if (r->id != 0)
		nrows++;
}

static unsigned int
sessions(const struct rig *rig)
{
	nrows = 0;
	router_each_nat(rig->router, count_row, NULL);
	return nrows;
}

/* Alice is known by ARP. */
static void
warm(struct rig *rig)
{
	assert_int_equal(rig_arp(rig, INSIDE,
			     (struct arp){ .op = ARP_REQUEST,
				 .sender_mac = rig_mac(ALICE),
				 .sender_ip = ALICE,
				 .target_ip = GW_INSIDE },
			     true),
	    REASON_DELIVERED);
	rig_clear(rig);
}

/* ---- without an address ---- */

static void
without_an_address_nothing_passes_and_its_sender_is_told(void **state)
{
	struct rig *rig = rig_wan((struct setup){ .probe_ns = 0 });
	struct got got;

	(void)state;
	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 5000, FAR, 7), DROP_NAT_NO_ADDRESS);
	got = rig_got(rig, INSIDE);
	assert_int_equal(got.icmp.type, ICMP_UNREACHABLE);
	assert_int_equal(got.icmp.code, ICMP_UNREACH_NET);
	assert_int_equal(got_quote(&got).ip.dst, FAR);
	rig_clear(rig);
	/* The other ports are as ever. */
	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 5000, CAROL, 7), REASON_ARP_QUEUED);
	assert_int_equal(
	    rig_echo(rig, INSIDE, ALICE, GW_INSIDE, 1, ICMP_ECHO_REQUEST),
	    REASON_DELIVERED);
	/* From outside, none but DHCP is read. */
	assert_int_equal(
	    rig_udp(rig, OUTSIDE, SERVER, 5000, LEASED, 7), DROP_NO_ADDRESS);
	assert_int_equal(rig_arp(rig, OUTSIDE,
			     (struct arp){ .op = ARP_REQUEST,
				 .sender_mac = rig_mac(SERVER),
				 .sender_ip = SERVER,
				 .target_ip = LEASED },
			     true),
	    DROP_NO_ADDRESS);
	assert_int_equal(sessions(rig), 0);
	rig_free(rig);
}

/* ---- with one ---- */

static void
a_lease_is_the_address_the_route_and_the_mtu(void **state)
{
	static const struct {
		uint16_t mtu;
		uint32_t want;
	} mtus[] = { { 0, 1500 }, { 1400, 1400 }, { 9000, 1500 }, { 68, 576 } };

	(void)state;
	for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
		struct rig *rig = rig_wan((struct setup){ .probe_ns = 0 });
		struct dhcp extra = { .mtu = mtus[i].mtu };
		struct got got;

		give(rig, extra, LEASED);
		assert_int_equal(wan_of(rig)->address.addr, LEASED);
		assert_int_equal(wan_of(rig)->gateway, PROVIDER);
		assert_int_equal(wan_of(rig)->mtu_bytes, mtus[i].want);
		assert_in_range(wan_of(rig)->left_ns, S(995), S(1000));
		rig_clear(rig);
		rig_udp(rig, INSIDE, ALICE, 5000, FAR, 7);
		got = rig_got(rig, OUTSIDE);
		assert_int_equal(got.ip.src, LEASED);
		assert_int_equal(got.ip.dst, FAR);
		assert_memory_equal(
		    got.eth.dst.b, rig_mac(PROVIDER).b, sizeof(struct mac));
		/* And what comes back comes in. */
		rig_clear(rig);
		assert_int_equal(
		    rig_udp(rig, OUTSIDE, FAR, 7, LEASED, got.sport),
		    REASON_ARP_QUEUED);
		assert_int_equal(rig_got(rig, INSIDE).ip.dst, ALICE);
		rig_free(rig);
	}
}

static void
an_address_is_asked_for_before_it_is_used(void **state)
{
	struct rig *rig = rig_wan((struct setup){ .probe_ns = S(1) });
	struct peer *link = &rig->peer[OUTSIDE];
	struct dhcp m;
	struct got got;
	struct arp arp;

	(void)state;
	/* All addresses are somebody's, who says so. */
	for (int i = 0; i < 4 && strcmp(wan_of(rig)->state, "selecting") != 0;
	     i++)
		rig_wait(rig, S(1) / 2);
	answer(rig, answer_of(rig, DHCP_OFFER, LEASED));
	answer(rig, answer_of(rig, DHCP_ACK, LEASED));
	rig_wait(rig, S(1) / 10);
	assert_string_equal(wan_of(rig)->state, "waiting");
	assert_true(last_message(rig, OUTSIDE, &m, &got));
	assert_int_equal(m.type, DHCP_DECLINE);
	assert_int_equal(m.requested, LEASED);
	/* Ten seconds later it asks again; now the link is silent. */
	rig_clear(rig);
	link->silent = link->keep_arp = true;
	rig_wait(rig, S(15));
	answer(rig, answer_of(rig, DHCP_OFFER, LEASED2));
	answer(rig, answer_of(rig, DHCP_ACK, LEASED2));
	rig_clear(rig);
	rig_wait(rig, S(1) * 9 / 10);
	assert_string_equal(wan_of(rig)->state, "probing");
	assert_int_equal(link->n, 3);
	arp = got_arp(&link->seen[0]);
	assert_int_equal(arp.sender_ip, 0);
	assert_int_equal(arp.target_ip, LEASED2);
	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 5000, FAR, 7), DROP_NAT_NO_ADDRESS);
	rig_clear(rig);
	rig_wait(rig, S(3));
	assert_string_equal(wan_of(rig)->state, "bound");
	assert_int_equal(link->n, 2);
	arp = got_arp(&link->seen[0]);
	assert_int_equal(arp.sender_ip, LEASED2);
	assert_int_equal(arp.target_ip, LEASED2);
	rig_free(rig);
}

static void
a_renewal_is_to_the_server_and_not_translated(void **state)
{
	struct rig *rig = rig_wan((struct setup){ .probe_ns = 0 });
	struct dhcp m, ack;
	struct got got;

	(void)state;
	give(rig, plain, LEASED);
	rig_udp(rig, INSIDE, ALICE, 68, SERVER, 67);
	rig_clear(rig);
	until_renewal(rig);
	rig_wait(rig, NS_PER_MS);
	assert_true(last_message(rig, OUTSIDE, &m, &got));
	assert_int_equal(m.type, DHCP_REQUEST);
	assert_int_equal(m.ciaddr, LEASED);
	assert_int_equal(got.ip.src, LEASED);
	assert_int_equal(got.ip.dst, DHCPD);
	ack = answer_of(rig, DHCP_ACK, LEASED);
	assert_int_equal(
	    send_dhcp(rig, OUTSIDE, &ack, DHCPD, LEASED, DHCP_CLIENT_PORT),
	    REASON_DELIVERED);
	assert_string_equal(wan_of(rig)->state, "bound");
	assert_in_range(wan_of(rig)->left_ns, S(990), S(1000));
	rig_free(rig);
}

/* ---- it changes ---- */

static void
what_an_old_address_had_ends_with_it_and_forwards_move(void **state)
{
	const struct router_forward forward = { .protocol = IP_TCP,
		.out_port = 8080,
		.in_ip = ALICE,
		.in_port = 80 };
	struct rig *rig = rig_wan((struct setup){ .probe_ns = 0 });
	struct got got;
	uint16_t port;

	(void)state;
	assert_int_equal(router_add_forward(rig->router, &forward, NULL), 0);
	give(rig, plain, LEASED);
	until_renewal(rig);
	warm(rig);
	rig_udp(rig, INSIDE, ALICE, 4999, FAR, 7); /* the gateway is known */
	rig_clear(rig);
	rig_udp(rig, INSIDE, ALICE, 5000, FAR, 7);
	port = rig_got(rig, OUTSIDE).sport;
	rig_clear(rig);
	assert_int_equal(
	    rig_tcp(rig, OUTSIDE, FAR, 4000, LEASED, 8080, TCP_SYN),
	    REASON_NAT_IN);
	assert_int_equal(sessions(rig), 3);
	rig_wait(rig, S(200)); /* it asks again */
	refuse_renewal(rig);
	assert_int_equal(sessions(rig), 0);
	assert_non_null(strstr(said, "3 NAT entries end with it"));
	assert_int_equal(wan_of(rig)->address.addr, 0);
	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 5000, FAR, 7), DROP_NAT_NO_ADDRESS);
	give(rig, plain, LEASED2);
	rig_clear(rig);
	/* Nothing is behind the old one, and nothing of old behind the new. */
	assert_int_equal(
	    rig_udp(rig, OUTSIDE, FAR, 7, LEASED2, port), DROP_NAT_UNSOLICITED);
	rig_tcp(rig, OUTSIDE, FAR, 4001, LEASED, 8080, TCP_SYN);
	assert_int_equal(rig->peer[INSIDE].n, 0);
	assert_int_equal(
	    rig_tcp(rig, OUTSIDE, FAR, 4002, LEASED2, 8080, TCP_SYN),
	    REASON_NAT_IN);
	got = got_of(&rig->peer[INSIDE].seen[rig->peer[INSIDE].n - 1]);
	assert_int_equal(got.ip.dst, ALICE);
	assert_int_equal(got.dport, 80);
	rig_clear(rig);
	rig_udp(rig, INSIDE, ALICE, 5000, FAR, 7);
	assert_int_equal(rig_got(rig, OUTSIDE).ip.src, LEASED2);
	/* The forward can be ended by its new end. */
	assert_int_equal(router_end_forward(rig->router, &forward, NULL), 0);
	rig_free(rig);
}

static void
a_lease_that_nobody_renews_ends(void **state)
{
	struct rig *rig = rig_wan((struct setup){ .probe_ns = 0 });

	(void)state;
	give(rig, plain, LEASED);
	rig_wait(rig, S(999));
	assert_string_equal(wan_of(rig)->state, "rebinding");
	rig_udp(rig, INSIDE, ALICE, 5000, FAR, 7);
	assert_int_equal(rig->verdict.reason, REASON_NAT_NEW);
	rig_wait(rig, S(2));
	assert_int_equal(wan_of(rig)->address.addr, 0);
	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 5000, FAR, 7), DROP_NAT_NO_ADDRESS);
	rig_free(rig);
}

static void
routes_of_a_lease_never_lead_inside(void **state)
{
	static const uint8_t routes[] = {
		24, 10, 0, 0, 203, 0, 113, 9,    /* the inside */
		25, 10, 0, 0, 0, 203, 0, 113, 9, /* half of it */
		16, 10, 200, 203, 0, 113, 9,     /* elsewhere */
		0, 203, 0, 113, 254,             /* the default */
	};
	struct rig *rig = rig_wan((struct setup){ .probe_ns = 0 });
	struct dhcp extra = { .routes_bytes = sizeof(routes) };
	struct got got;

	(void)state;
	memcpy(extra.routes, routes, sizeof(routes));
	give(rig, extra, LEASED);
	rig_clear(rig);
	rig_udp(rig, INSIDE, ALICE, 5000, IP(10, 200, 3, 4), 7);
	got = rig_got(rig, OUTSIDE);
	assert_memory_equal(got.eth.dst.b, rig_mac(IP(203, 0, 113, 9)).b, 6);
	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 5000, BOB, 7), REASON_ARP_QUEUED);
	rig_free(rig);
}

/* ---- the same net on both sides ---- */

static void
rfc4787_req7_a_lease_of_an_inside_net_is_refused_where_it_cannot_move(
    void **state)
{
	static const uint32_t leases[] = { IP(10, 0, 0, 77), IP(10, 1, 0, 5) };
	struct rig *rig = rig_wan((struct setup){ .probe_ns = 0 });

	(void)state;
	rig_wait(rig, S(2));
	for (size_t i = 0; i < sizeof(leases) / sizeof(leases[0]); i++) {
		assert_int_equal(
		    answer(rig, answer_of(rig, DHCP_OFFER, leases[i])),
		    DROP_DHCP_CONFLICT);
		assert_int_equal(wan_of(rig)->why, DROP_DHCP_CONFLICT);
		assert_non_null(
		    strstr(said, i == 0 ? "gw.inside" : "gw.other"));
		assert_non_null(strstr(said, "instead"));
		assert_string_equal(wan_of(rig)->state, "selecting");
	}
	/* One that is good is taken, from the same server even. */
	give(rig, plain, LEASED);
	assert_int_equal(wan_of(rig)->why, REASON_NONE);
	rig_free(rig);
}

static void
rfc4787_req7_an_inside_net_makes_way_for_a_lease_of_it(void **state)
{
	const struct router_forward forward = { .protocol = IP_UDP,
		.out_port = 9000,
		.in_ip = IP(10, 0, 0, 15),
		.in_port = 9 };
	struct rig *rig = rig_wan((struct setup){ .instead = true });
	struct got got;

	(void)state;
	assert_int_equal(router_add_forward(rig->router, &forward, NULL), 0);
	give(rig, plain, IP(10, 0, 0, 77));
	assert_int_equal(
	    router_port_address(rig->router, rig->peer[INSIDE].gw).addr,
	    IP(10, 99, 0, 1));
	rig_clear(rig);
	/* Who is inside reaches those outside whose addresses were inside's:
	 * every packet goes by the address of the one, or of the other. */
	rig_udp(rig, INSIDE, THERE, 5000, IP(10, 0, 0, 10), 7);
	got = rig_got(rig, OUTSIDE);
	assert_int_equal(got.ip.src, IP(10, 0, 0, 77));
	assert_int_equal(got.ip.dst, IP(10, 0, 0, 10));
	rig_clear(rig);
	rig_udp(rig, OUTSIDE, IP(10, 0, 0, 10), 7, IP(10, 0, 0, 77), got.sport);
	assert_int_equal(rig_got(rig, INSIDE).ip.dst, THERE);
	/* An old address is nobody's in there any more. */
	rig_clear(rig);
	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 5000, FAR, 7), DROP_RENUMBERED);
	/* What was forwarded follows. */
	rig_udp(rig, OUTSIDE, FAR, 7, IP(10, 0, 0, 77), 9000);
	got = rig_got(rig, INSIDE);
	assert_int_equal(got.ip.dst, IP(10, 99, 0, 15));
	assert_int_equal(got.dport, 9);
	rig_free(rig);
}

static struct dhcp
asked_inside(enum dhcp_type type)
{
	return (struct dhcp){ .op = DHCP_BOOTREQUEST,
		.xid = 77,
		.chaddr = rig_mac(ALICE),
		.type = type };
}

static void
rfc4787_req7_hosts_of_the_old_net_are_given_addresses_of_the_new(void **state)
{
	struct rig *rig =
	    rig_wan((struct setup){ .instead = true, .serves = true });
	struct dhcp m = asked_inside(DHCP_DISCOVER), got_m;
	struct got got;
	uint32_t old;

	(void)state;
	/* A lease that is short, since the net may have to move. */
	send_dhcp(rig, INSIDE, &m, 0, IP4_BROADCAST, DHCP_SERVER_PORT);
	assert_true(last_message(rig, INSIDE, &got_m, &got));
	assert_int_equal(got_m.type, DHCP_OFFER);
	assert_int_equal(got_m.lease_s, 60);
	old = got_m.yiaddr;
	assert_int_equal(old & 0xffffff00, IP(10, 0, 0, 0));
	m = asked_inside(DHCP_REQUEST);
	m.requested = old;
	m.server = GW_INSIDE;
	send_dhcp(rig, INSIDE, &m, 0, IP4_BROADCAST, DHCP_SERVER_PORT);
	assert_true(last_message(rig, INSIDE, &got_m, &got));
	assert_int_equal(got_m.type, DHCP_ACK);

	give(rig, plain, IP(10, 0, 0, 77));
	rig_clear(rig);
	/* The host asks for the old router, is answered, and renews: it is told
	 * to begin anew. */
	rig->peer[INSIDE].keep_arp = true;
	assert_int_equal(rig_arp(rig, INSIDE,
			     (struct arp){ .op = ARP_REQUEST,
				 .sender_mac = rig_mac(ALICE),
				 .sender_ip = old,
				 .target_ip = GW_INSIDE },
			     true),
	    REASON_DELIVERED);
	assert_int_equal(
	    got_arp(&rig->peer[INSIDE].seen[0]).sender_ip, GW_INSIDE);
	rig->peer[INSIDE].keep_arp = false;
	m = asked_inside(DHCP_REQUEST);
	m.ciaddr = old;
	assert_int_equal(
	    send_dhcp(rig, INSIDE, &m, old, GW_INSIDE, DHCP_SERVER_PORT),
	    REASON_DELIVERED);
	assert_true(last_message(rig, INSIDE, &got_m, &got));
	assert_int_equal(got_m.type, DHCP_NAK);
	assert_int_equal(got_m.server, IP(10, 99, 0, 1));
	assert_int_equal(got.ip.dst, IP4_BROADCAST);
	rig_clear(rig);
	/* By broadcast, too, when it rebinds. */
	send_dhcp(rig, INSIDE, &m, old, IP4_BROADCAST, DHCP_SERVER_PORT);
	assert_true(last_message(rig, INSIDE, &got_m, &got));
	assert_int_equal(got_m.type, DHCP_NAK);
	/* And gets an address of the new net, for the full time. */
	m = asked_inside(DHCP_DISCOVER);
	send_dhcp(rig, INSIDE, &m, 0, IP4_BROADCAST, DHCP_SERVER_PORT);
	assert_true(last_message(rig, INSIDE, &got_m, &got));
	assert_int_equal(got_m.type, DHCP_OFFER);
	assert_int_equal(got_m.yiaddr & 0xffffff00, IP(10, 99, 0, 0));
	assert_int_equal(got_m.router, IP(10, 99, 0, 1));
	assert_int_equal(got_m.dns[0], IP(10, 99, 0, 1));
	assert_int_equal(got_m.lease_s, 3600);
	rig_free(rig);
}

static void
rfc4787_req7_it_moves_back_when_the_outside_comes_after_it(void **state)
{
	struct rig *rig = rig_wan((struct setup){ .instead = true });

	(void)state;
	give(rig, plain, IP(10, 0, 0, 77));
	refuse_renewal(rig);
	/* With another net it stays where it is ... */
	give(rig, plain, LEASED);
	assert_int_equal(
	    router_port_address(rig->router, rig->peer[INSIDE].gw).addr,
	    IP(10, 99, 0, 1));
	refuse_renewal(rig);
	/* ... until that is outside. */
	give(rig, plain, IP(10, 99, 0, 7));
	assert_int_equal(
	    router_port_address(rig->router, rig->peer[INSIDE].gw).addr,
	    GW_INSIDE);
	rig_clear(rig);
	rig_udp(rig, INSIDE, ALICE, 5000, IP(10, 99, 0, 10), 7);
	assert_int_equal(rig_got(rig, OUTSIDE).ip.src, IP(10, 99, 0, 7));
	rig_free(rig);
}

static void
rfc4787_req7_a_lease_over_both_nets_is_refused(void **state)
{
	struct rig *rig = rig_wan((struct setup){ .instead = true });
	struct dhcp m;

	(void)state;
	rig_wait(rig, S(2));
	m = answer_of(rig, DHCP_OFFER, IP(10, 50, 0, 77));
	m.mask = IP(255, 0, 0, 0);
	assert_int_equal(answer(rig, m), DROP_DHCP_CONFLICT);
	rig_free(rig);
}

/* ---- its name server ---- */

/* A question of alice's to the router, or an answer of a server. */
static enum reason
send_dns(struct rig *rig, int from, const struct dns *dns, uint32_t src,
    uint16_t sport, uint32_t dst, uint16_t dport)
{
	uint8_t message[512], bytes[700];
	struct writer w = writer(message, sizeof(message));
	struct writer v = writer(bytes, sizeof(bytes));
	struct eth eth = { .dst = rig->peer[from].gw_mac,
		.src = rig_mac(src),
		.type = ETH_IPV4 };
	struct udp udp = { .sport = sport, .dport = dport, .data = message };
	struct ip4 ip = {
		.ttl = 64, .protocol = IP_UDP, .src = src, .dst = dst
	};

	dns_write(&w, dns);
	udp.data_bytes = (size_t)(w.at - message);
	ip.total_bytes = (uint16_t)(28 + udp.data_bytes);
	eth_write(&v, &eth);
	ip4_write(&v, &ip);
	udp_write(&v, &udp, src, dst);
	assert_false(w.overrun || v.overrun);
	return rig_send(rig, from, bytes, (size_t)(v.at - bytes));
}

/* The DNS message that a peer saw last. */
static struct dns
last_dns(struct rig *rig, int at, struct got *got)
{
	struct cursor c;
	struct dns dns;

	assert_true(rig->peer[at].n > 0);
	*got = got_of(&rig->peer[at].seen[rig->peer[at].n - 1]);
	c = cursor(got->udp.data, got->udp.data_bytes);
	assert_int_equal(dns_parse(&dns, &c), REASON_NONE);
	return dns;
}

static const struct dns question = { .id = 99,
	.flags = DNS_FLAG_RECURSE,
	.name = "www.example",
	.type = DNS_TYPE_A,
	.class = DNS_CLASS_IN };

static enum reason
ask(struct rig *rig)
{
	return send_dns(
	    rig, INSIDE, &question, ALICE, 5353, GW_INSIDE, DNS_PORT);
}

static void
the_name_server_of_a_lease_is_asked_by_the_port(void **state)
{
	const struct router_dns_options options = { .nupstreams = 0 };
	struct rig *rig = rig_wan((struct setup){ .probe_ns = 0 });
	struct dhcp extra = { .dns = { SERVER }, .ndns = 1 };
	struct dns asked, answer;
	struct got got;

	(void)state;
	assert_int_equal(router_set_dns(rig->router, &options, NULL), 0);
	warm(rig);
	/* Without a lease there is nobody to ask: try again. */
	assert_int_equal(ask(rig), REASON_DELIVERED);
	answer = last_dns(rig, INSIDE, &got);
	assert_int_equal(DNS_RCODE(answer.flags), 2);
	give(rig, extra, LEASED);
	rig_clear(rig);
	assert_int_equal(ask(rig), REASON_DELIVERED);
	asked = last_dns(rig, OUTSIDE, &got);
	assert_int_equal(got.ip.src, LEASED);
	assert_int_equal(got.ip.dst, SERVER);
	assert_int_equal(got.dport, DNS_PORT);
	assert_string_equal(asked.name, "www.example");
	assert_int_equal(sessions(rig), 0);
	/* Not from elsewhere, to another port, or with another id. */
	asked.flags = DNS_FLAG_RESPONSE;
	asked.naddrs = 1;
	asked.addr[0] = FAR;
	asked.ttl_s = 60;
	assert_int_equal(send_dns(rig, OUTSIDE, &asked, SERVER2, DNS_PORT,
			     LEASED, got.sport),
	    DROP_NAT_UNSOLICITED);
	assert_int_equal(send_dns(rig, OUTSIDE, &asked, SERVER, DNS_PORT,
			     LEASED, (uint16_t)(got.sport ^ 1)),
	    DROP_NAT_UNSOLICITED);
	asked.id ^= 1;
	assert_int_equal(
	    send_dns(rig, OUTSIDE, &asked, SERVER, DNS_PORT, LEASED, got.sport),
	    DROP_NAT_UNSOLICITED);
	asked.id ^= 1;
	strcpy(asked.name, "www.example2");
	assert_int_equal(
	    send_dns(rig, OUTSIDE, &asked, SERVER, DNS_PORT, LEASED, got.sport),
	    DROP_DNS);
	strcpy(asked.name, "www.example");
	assert_int_equal(
	    send_dns(rig, OUTSIDE, &asked, SERVER, DNS_PORT, LEASED, got.sport),
	    REASON_DELIVERED);
	answer = last_dns(rig, INSIDE, &got);
	assert_int_equal(answer.id, 99);
	assert_int_equal(answer.naddrs, 1);
	assert_int_equal(answer.addr[0], FAR);
	assert_int_equal(got.ip.dst, ALICE);
	/* It is remembered. */
	rig_clear(rig);
	ask(rig);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
	assert_int_equal(last_dns(rig, INSIDE, &got).naddrs, 1);
	rig_free(rig);
}

static void
a_name_server_that_is_silent_is_asked_thrice(void **state)
{
	const struct router_dns_options options = { .nupstreams = 0 };
	struct rig *rig = rig_wan((struct setup){ .probe_ns = 0 });
	struct dhcp extra = { .dns = { SERVER }, .ndns = 1 };
	struct got got;

	(void)state;
	assert_int_equal(router_set_dns(rig->router, &options, NULL), 0);
	warm(rig);
	give(rig, extra, LEASED);
	rig_clear(rig);
	ask(rig);
	rig_wait(rig, S(5));
	assert_int_equal(rig->peer[OUTSIDE].n, 3);
	assert_int_equal(rig->peer[INSIDE].n, 0);
	rig_wait(rig, S(2));
	assert_int_equal(DNS_RCODE(last_dns(rig, INSIDE, &got).flags), 2);
	rig_free(rig);
}

/* ---- hosts that ask for mappings ---- */

/* What a host is answered that asks by NAT-PMP, of two bytes, for the outside
 * address: the result, the address, and for how long mappings have been kept. */
static uint16_t
ask_address_of(struct rig *rig, uint32_t *address, uint32_t *epoch_s)
{
	struct form f = form(ALICE, 5000, GW_INSIDE, 5351);
	struct pkt *pkt = malloc(sizeof(*pkt));
	struct got got;

	f.data_bytes = 2;
	rig_clear(rig);
	pkt_make(pkt, &rig->peer[INSIDE], &f, IP_UDP, 0);
	/* Version and operation 0, and no checksum. */
	memset(pkt->bytes + 14 + 20 + 6, 0, 4);
	rig_send(rig, INSIDE, pkt->bytes, pkt->len);
	free(pkt);
	got = rig_got(rig, INSIDE);
	assert_true(got.udp.data_bytes >= 8);
	*address = got.udp.data_bytes == 12 ? get_be32(got.udp.data + 8) : 0;
	*epoch_s = get_be32(got.udp.data + 4);
	return get_be16(got.udp.data + 2);
}

static uint16_t
ask_address(struct rig *rig, uint32_t *address)
{
	uint32_t epoch_s;

	return ask_address_of(rig, address, &epoch_s);
}

/* How many announcements a peer saw, to all hosts at the clients' port. */
static unsigned int
announcements(const struct rig *rig, int at)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < rig->peer[at].n; i++) {
		const struct seen *seen = &rig->peer[at].seen[i];

		n += get_be16(seen->data + 12) == ETH_IPV4 &&
		    got_of(seen).ip.dst == IP(224, 0, 0, 1) &&
		    got_of(seen).dport == 5350;
	}
	return n;
}

/* The lease ends, and another address is got. */
static struct rig *
rig_moved(uint32_t *before_s)
{
	const struct router_pcp_options options = { .protocols =
							ROUTER_PCP_BOTH };
	struct rig *rig = rig_wan((struct setup){ .probe_ns = 0 });
	uint32_t address;

	assert_int_equal(router_set_pcp(rig->router, &options, NULL), 0);
	give(rig, plain, LEASED);
	until_renewal(rig);
	warm(rig);
	assert_int_equal(ask_address_of(rig, &address, before_s), 0);
	assert_int_equal(address, LEASED);
	rig_wait(rig, S(200));
	refuse_renewal(rig);
	rig_clear(rig);
	give(rig, plain, LEASED2);
	return rig;
}

static void
rfc6886_s3_7_another_address_begins_the_epoch_anew(void **state)
{
	uint32_t before_s, after_s, address;
	struct rig *rig = rig_moved(&before_s);

	(void)state;
	assert_true(before_s > 100);
	assert_int_equal(ask_address_of(rig, &address, &after_s), 0);
	assert_int_equal(address, LEASED2);
	assert_true(after_s < 10);
	rig_free(rig);
}

static void
rfc6887_s11_5_another_address_is_announced_ten_times(void **state)
{
	uint32_t before_s;
	struct rig *rig = rig_moved(&before_s);
	unsigned int n = announcements(rig, INSIDE);

	(void)state;
	for (int i = 0; i < 30; i++) {
		rig_clear(rig);
		rig_wait(rig, S(10));
		n += announcements(rig, INSIDE);
	}
	assert_int_equal(n, 20); /* by PCP and by NAT-PMP */
	rig_free(rig);
}

static void
who_asks_for_a_mapping_is_told_that_there_is_no_address_yet(void **state)
{
	const struct router_pcp_options options = { .protocols =
							ROUTER_PCP_BOTH };
	struct rig *rig = rig_wan((struct setup){ .probe_ns = 0 });
	uint32_t address;

	(void)state;
	assert_int_equal(router_set_pcp(rig->router, &options, NULL), 0);
	warm(rig);
	rig_wait(rig, S(1) / 10);
	assert_int_equal(rig->peer[INSIDE].n, 0); /* nothing to announce */
	assert_int_equal(ask_address(rig, &address), 3);
	assert_int_equal(address, 0);
	rig_wait(rig, S(6)); /* it asks once more */
	give(rig, plain, LEASED);
	/* By PCP and NAT-PMP, to all hosts. */
	assert_true(rig->peer[INSIDE].n >= 2);
	assert_int_equal(
	    got_of(&rig->peer[INSIDE].seen[rig->peer[INSIDE].n - 1]).ip.dst,
	    IP(224, 0, 0, 1));
	assert_int_equal(ask_address(rig, &address), 0);
	assert_int_equal(address, LEASED);
	rig_free(rig);
}

/* ---- its beginning and its end ---- */

static struct lease_saved kept;

static void
keep(void *arg, const struct lease_saved *saved)
{
	(void)arg;
	kept = *saved;
}

static void
a_lease_of_before_is_asked_for_again(void **state)
{
	struct rig *rig = rig_wan((struct setup){ .probe_ns = 0 });
	struct lease_saved saved;
	uint64_t changes = router_lease_changes(rig->router);
	struct dhcp m;
	struct got got;

	(void)state;
	give(rig, plain, LEASED);
	assert_true(router_lease_changes(rig->router) > changes);
	router_save_leases(rig->router, keep, NULL);
	assert_int_equal(kept.ip, LEASED);
	assert_int_equal(kept.client_bytes, 0);
	saved = kept;
	rig_free(rig);

	rig = rig_wan((struct setup){ .probe_ns = 0 });
	saved.port = rig->peer[OUTSIDE].gw;
	saved.mac.b[5] ^= 1;
	assert_int_equal(router_restore_lease(rig->router, &saved), -EINVAL);
	saved.mac.b[5] ^= 1;
	assert_int_equal(router_restore_lease(rig->router, &saved), 0);
	rig_wait(rig, NS_PER_MS);
	assert_true(last_message(rig, OUTSIDE, &m, &got));
	assert_int_equal(m.type, DHCP_REQUEST);
	assert_int_equal(m.requested, LEASED);
	assert_int_equal(
	    answer(rig, answer_of(rig, DHCP_ACK, LEASED)), REASON_DELIVERED);
	assert_string_equal(wan_of(rig)->state, "bound");
	rig_free(rig);
}

static void
an_end_gives_the_address_back(void **state)
{
	struct rig *rig = rig_wan((struct setup){ .probe_ns = 0 });
	struct dhcp m;
	struct got got;

	(void)state;
	give(rig, plain, LEASED);
	rig_clear(rig);
	router_release(rig->router);
	assert_true(last_message(rig, OUTSIDE, &m, &got));
	assert_int_equal(m.type, DHCP_RELEASE);
	assert_int_equal(m.ciaddr, LEASED);
	assert_int_equal(m.server, DHCPD);
	assert_int_equal(got.ip.dst, DHCPD);
	assert_int_equal(wan_of(rig)->address.addr, 0);
	rig_free(rig);
}

int
main(void)
{
#define T(name) cmocka_unit_test(name)
	const struct CMUnitTest tests[] = {
		T(without_an_address_nothing_passes_and_its_sender_is_told),
		T(a_lease_is_the_address_the_route_and_the_mtu),
		T(an_address_is_asked_for_before_it_is_used),
		T(a_renewal_is_to_the_server_and_not_translated),
		T(what_an_old_address_had_ends_with_it_and_forwards_move),
		T(a_lease_that_nobody_renews_ends),
		T(routes_of_a_lease_never_lead_inside),
		T(rfc4787_req7_a_lease_of_an_inside_net_is_refused_where_it_cannot_move),
		T(rfc4787_req7_an_inside_net_makes_way_for_a_lease_of_it),
		T(rfc4787_req7_hosts_of_the_old_net_are_given_addresses_of_the_new),
		T(rfc4787_req7_it_moves_back_when_the_outside_comes_after_it),
		T(rfc4787_req7_a_lease_over_both_nets_is_refused),
		T(the_name_server_of_a_lease_is_asked_by_the_port),
		T(a_name_server_that_is_silent_is_asked_thrice),
		T(who_asks_for_a_mapping_is_told_that_there_is_no_address_yet),
		T(rfc6886_s3_7_another_address_begins_the_epoch_anew),
		T(rfc6887_s11_5_another_address_is_announced_ten_times),
		T(a_lease_of_before_is_asked_for_again),
		T(an_end_gives_the_address_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
