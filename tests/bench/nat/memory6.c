/*
 * IPv6 beside IPv4 on one core, in memory: how many packets a second a router
 * passes on, with a firewall, with other prefixes, and translated to IPv4.
 *
 *     memory6 [-r RUNS]
 *
 * Frames of 80 bytes of random flows, in bursts of 64, go from port to port; a
 * ring of them that no cache of a core holds is sent again and again.  The kinds
 * take turns in each of RUNS (5) rounds, so that a disturbance is of all of them;
 * each figure is a median, and what IPv6 costs is a ratio of two.
 */
#include "tests/bench/nat/measure.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

#include "net/arp.h"
#include "net/eth.h"
#include "net/nd.h"
#include "net/udp.h"
#include "router/nat_ports.h"
#include "router/router.h"

#define RING        (128 * 1024) /* packets */
#define FRAME_BYTES 80
#define FLOWS       64000

enum kind {
	ROUTED4,
	NAT44,
	ROUTED6,
	FIREWALL6,
	NPT66,
	NAT64,
	KINDS,
};

static const struct {
	const char *what;
	enum kind beside; /* what it is compared with */
} kinds[KINDS] = {
	[ROUTED4] = { "IPv4, routed", ROUTED4 },
	[NAT44] = { "IPv4, translated", NAT44 },
	[ROUTED6] = { "IPv6, routed", ROUTED4 },
	[FIREWALL6] = { "IPv6, by the firewall", NAT44 },
	[NPT66] = { "IPv6, with another prefix", ROUTED6 },
	[NAT64] = { "IPv6 to IPv4, translated", NAT44 },
};

struct bench {
	struct loop *loop;
	struct router *router;
	struct node node;
	struct port in, out;
	uint8_t *ring;
	double rate[RUNS_MAX];
};

static const struct mac gw_mac = { { 2, 0, 0, 0, 0, 1 } };
static const struct mac peer_mac = { { 2, 0, 0, 0, 0, 9 } };
static const uint32_t in4 = 0x0a000001, out4 = 0xcb007101;
static const struct ip6_addr in6 = { { 0xfd, 0, 0, 1, [15] = 1 } };
static const struct ip6_addr out6 = { { 0x20, 1, 0xd, 0xb8, [15] = 1 } };
static const struct ip6_addr peer6 = { { 0x20, 1, 0xd, 0xb8, [15] = 9 } };

static uint64_t taken;

static void
take(struct port *port, struct burst *burst)
{
	node_judge_all(port->node, burst, REASON_DELIVERED);
	taken += burst->n;
}

static const struct port_ops null_ops = { .take = take };

/* ---- packets ---- */

/* Flow n, of 1000 hosts. */
static void
write_frame(struct writer *w, enum kind kind, uint32_t n)
{
	static const uint8_t data[FRAME_BYTES];
	bool six = kind >= ROUTED6;
	uint16_t ip_bytes = FRAME_BYTES - ETH_HEADER_BYTES;
	uint16_t host = (uint16_t)(n % 1000 + 256);
	struct eth eth = { .dst = gw_mac,
		.src = { { 2, 1, 0, 0, (uint8_t)(host >> 8), (uint8_t)host } },
		.type = six ? ETH_IPV6 : ETH_IPV4 };
	struct udp udp = { .sport = (uint16_t)(2000 + n / 1000 + n % 1000 * 64),
		.dport = 53,
		.data = data };

	eth_write(w, &eth);
	if (six) {
		struct ip6 ip = { .payload_bytes =
				      (uint16_t)(ip_bytes - IP6_HEADER_BYTES),
			.next = IP_UDP,
			.hop_limit = 64,
			.src = in6,
			.dst = { { 0x2a, [15] = 1 } } };

		put_be16(ip.src.b + 14, host);
		if (kind == NAT64)
			ip.dst = ip64_embed(&ip64_well_known, 0xc6336401);
		udp.data_bytes = ip.payload_bytes - (size_t)UDP_HEADER_BYTES;
		ip6_write(w, &ip);
		udp6_write(w, &udp, &ip.src, &ip.dst);
	} else {
		struct ip4 ip = { .ttl = 64,
			.protocol = IP_UDP,
			.src = (in4 & ~0xffffu) + host,
			.dst = 0xc6336401,
			.total_bytes = ip_bytes };

		udp.data_bytes =
		    ip_bytes - (size_t)(IP4_HEADER_BYTES + UDP_HEADER_BYTES);
		ip4_write(w, &ip);
		udp_write(w, &udp, ip.src, ip.dst);
	}
	assert(!w->overrun && w->at == w->end);
}

static uint8_t *
make_ring(enum kind kind)
{
	uint8_t *ring = malloc((size_t)RING * FRAME_BYTES);
	uint64_t random = 1;

	assert(ring != NULL);
	for (size_t i = 0; i < RING; i++) {
		struct writer w = writer(ring + i * FRAME_BYTES, FRAME_BYTES);

		write_frame(&w, kind, (uint32_t)(nat_random(&random) % FLOWS));
	}
	return ring;
}

/* ---- routers ---- */

static void
send_one(struct port *port, struct writer *w, uint8_t *bytes)
{
	struct burst burst;

	burst_clear(&burst);
	burst_add(&burst, bytes, (size_t)(w->at - bytes));
	port_send(port, &burst);
}

/* The outer neighbour says where it is, in both families. */
static void
announce(struct bench *b)
{
	struct arp arp = { .op = ARP_REQUEST,
		.sender_mac = peer_mac,
		.sender_ip = out4 + 1,
		.target_ip = out4 };
	struct nd_message nd = {
		.type = ND_SOLICIT, .target = out6, .mac = peer_mac
	};
	struct eth eth = {
		.dst = mac_broadcast, .src = peer_mac, .type = ETH_ARP
	};
	uint8_t bytes[100];
	struct writer w = writer(bytes, sizeof(bytes));

	eth_write(&w, &eth);
	arp_write(&w, &arp);
	send_one(&b->out, &w, bytes);
	w = writer(bytes, sizeof(bytes));
	eth.dst = gw_mac;
	eth.type = ETH_IPV6;
	eth_write(&w, &eth);
	nd_message_write(&w, &nd, &peer6, &out6);
	send_one(&b->out, &w, bytes);
}

static void
set_up(struct bench *b, enum kind kind, struct port *outside)
{
	struct router_nat_options nat = { .outside = outside,
		.rules.filtering = NAT_ADDRESS_AND_PORT_DEPENDENT,
		.max_entries = FLOWS };
	struct router_filter6_options filter = { .outside = outside,
		.filtering = NAT_ADDRESS_AND_PORT_DEPENDENT };
	const struct ip6_net inside = { in6, 64 };
	const struct ip6_net other = { { { 0x20, 1, 0xd, 0xb9 } }, 64 };
	int e = 0;

	if (kind == NAT64)
		nat.nat64 = ip64_well_known;
	if (kind == NAT44 || kind == NAT64)
		e = router_set_nat(b->router, &nat, NULL);
	if (kind == FIREWALL6)
		e = router_set_filter6(b->router, &filter, NULL);
	if (kind == NPT66)
		e = router_add_npt6(b->router, outside, &inside, &other, NULL);
	assert(e == 0);
}

static void
bench_open(struct bench *b, enum kind kind)
{
	const struct router_port_options in = { .mac = gw_mac,
		.address = { in4, 8 },
		.address6 = { { in6, 64 } },
		.naddresses6 = 1,
		.no_dad = true };
	const struct router_port_options out = { .mac = gw_mac,
		.address = { out4, 24 },
		.address6 = { { out6, 64 } },
		.naddresses6 = 1,
		.no_dad = true };
	const struct ip6_net all = { { { 0 } }, 0 };
	struct port *inside, *outside;

	b->loop = loop_new(LOOP_VIRTUAL, NULL);
	b->router = router_new(b->loop, "gw", 1, NULL);
	assert(b->router != NULL);
	node_init(&b->node, "null");
	port_init(&b->in, &null_ops, &b->node, "null.in");
	port_init(&b->out, &null_ops, &b->node, "null.out");
	inside = router_add_port(b->router, "gw.in", &in, NULL);
	outside = router_add_port(b->router, "gw.out", &out, NULL);
	cable_join(&b->in, inside);
	cable_join(&b->out, outside);
	router_add_route(b->router, (struct ip4_net){ 0, 0 }, out4 + 1, NULL);
	router_add_route6(b->router, &all, &peer6, NULL, NULL);
	set_up(b, kind, outside);
	announce(b);
	b->ring = make_ring(kind);
}

static void
send_ring(struct bench *b)
{
	struct burst burst;

	for (size_t at = 0; at < RING; at += BURST_MAX) {
		burst_clear(&burst);
		for (size_t i = 0; i < BURST_MAX; i++)
			burst_add(&burst, b->ring + (at + i) * FRAME_BYTES,
			    FRAME_BYTES);
		port_send(&b->in, &burst);
	}
}

static double
measure(struct bench *b)
{
	double start = now_s(), end;
	uint64_t sent = 0;

	taken = 0;
	do {
		send_ring(b);
		sent += RING;
		end = now_s();
	} while (end - start < 0.3);
	if (taken < sent) {
		fprintf(stderr, "memory6: %llu of %llu frames arrived\n",
		    (unsigned long long)taken, (unsigned long long)sent);
		exit(1);
	}
	return (double)taken / (end - start);
}

static int
read_runs(int argc, char **argv)
{
	int runs = 5, c;

	while ((c = getopt(argc, argv, "r:")) != -1)
		runs = c == 'r' ? atoi(optarg) : 0;
	if (runs < 1 || runs > RUNS_MAX || optind != argc) {
		fprintf(stderr, "usage: memory6 [-r RUNS]\n");
		exit(2);
	}
	return runs;
}

int
main(int argc, char **argv)
{
	static struct bench bench[KINDS];
	double median[KINDS];
	int runs = read_runs(argc, argv);
	char what[64];

	for (int k = 0; k < KINDS; k++) {
		bench_open(&bench[k], (enum kind)k);
		send_ring(&bench[k]); /* makes the flows */
	}
	for (int run = 0; run < runs; run++)
		for (int k = 0; k < KINDS; k++)
			bench[k].rate[run] = measure(&bench[k]);
	for (int k = 0; k < KINDS; k++) {
		snprintf(what, sizeof(what), "router: %s, %d flows",
		    kinds[k].what, FLOWS);
		median[k] = report_rate(what, bench[k].rate, runs);
	}
	for (int k = 0; k < KINDS; k++)
		if ((int)kinds[k].beside != k)
			printf("ratio: %s / %s %.2f\n", kinds[k].what,
			    kinds[kinds[k].beside].what,
			    median[k] / median[kinds[k].beside]);
	for (int k = 0; k < KINDS; k++) {
		router_free(bench[k].router);
		loop_free(bench[k].loop);
		free(bench[k].ring);
	}
	return 0;
}
