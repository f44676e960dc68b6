/*
 * NAT on one core, in memory: how many packets a second are looked up and
 * rewritten with their checksums, with the table alone and through the whole
 * router, how many connections a second begin, and what an entry takes.
 *
 *     memory [-r RUNS]
 *
 * Flows are chosen at random among all, in a ring of packets that no cache of
 * a core holds.  The table alone: the headers are copied and parsed, the entry is
 * found, counted and kept alive, and addresses, ports and both checksums are
 * rewritten.  Port to port: frames of 60 bytes in bursts of 64, with all that a
 * router does.  Each figure is the median of RUNS (5), with the least and the
 * most.
 */
#include "tests/bench/nat/measure.h"

#include <assert.h>
#include <unistd.h>

#include "net/arp.h"
#include "net/eth.h"
#include "net/tcp.h"
#include "net/udp.h"
#include "router/nat.h"
#include "router/nat_ports.h"
#include "router/nat_translate.h"

#define RING        (256 * 1024) /* packets */
#define FRAME_BYTES 60
#define IP_BYTES    (FRAME_BYTES - ETH_HEADER_BYTES)
#define OUTSIDE     UINT32_C(0xcb007101)
#define INSIDE      UINT32_C(0x0a000001)

static int runs = 5;

static void
report(const char *what, double rate[RUNS_MAX])
{
	(void)report_rate(what, rate, runs);
}

/* The n-th flow: up to 60,000 inside ends, then more remote ones for each. */
static struct nat_flow
flow_of(uint32_t n)
{
	uint32_t end = n % 60000, remote = n / 60000;

	return (struct nat_flow){ .ip = 0x0a000100 + end / 1000,
		.port = (uint16_t)(2000 + end % 1000 +
		    end / 1000 * 1000), /* none collides */
		.remote_ip = 0xc6336401 + remote,
		.remote_port = 53,
		.protocol = IP_UDP };
}

static void
write_packet(struct writer *w, const struct nat_flow *flow, uint8_t protocol)
{
	static const uint8_t payload[FRAME_BYTES];
	struct ip4 ip = { .ttl = 64,
		.protocol = protocol,
		.src = flow->ip,
		.dst = flow->remote_ip,
		.total_bytes = IP_BYTES };
	struct tcp tcp = { .sport = flow->port,
		.dport = flow->remote_port,
		.flags = TCP_ACK,
		.window = 1000,
		.data = payload,
		.data_bytes = IP_BYTES - 40 };
	struct udp udp = { .sport = flow->port,
		.dport = flow->remote_port,
		.data = payload,
		.data_bytes = IP_BYTES - 28 };

	ip4_write(w, &ip);
	if (protocol == IP_TCP)
		tcp_write(w, &tcp, ip.src, ip.dst);
	else
		udp_write(w, &udp, ip.src, ip.dst);
}

/* A ring of packets of random flows out of n. */
static uint8_t *
make_ring(uint32_t n, uint8_t protocol, const struct mac *to)
{
	uint8_t *ring = malloc((size_t)RING * FRAME_BYTES);
	uint64_t random = n;

	assert(ring != NULL);
	for (size_t i = 0; i < RING; i++) {
		struct nat_flow flow =
		    flow_of((uint32_t)(nat_random(&random) % n));
		struct writer w = writer(ring + i * FRAME_BYTES, FRAME_BYTES);
		struct eth eth = {
			.dst = *to, .src = { { 2, 1 } }, .type = ETH_IPV4
		};

		eth_write(&w, &eth);
		write_packet(&w, &flow, protocol);
		assert(!w.overrun);
	}
	return ring;
}

#define ADDRESSES 8

static struct nat *
make_table_with(uint32_t max, uint32_t addresses)
{
	uint32_t pool[ADDRESSES];
	struct nat_options o = { .outside_ip = OUTSIDE,
		.pool = pool,
		.npool = addresses,
		.rules.filtering = NAT_ADDRESS_AND_PORT_DEPENDENT,
		.max_entries = max,
		.seed = 1 };
	struct nat *nat;

	for (uint32_t i = 0; i < ADDRESSES; i++)
		pool[i] = OUTSIDE + i;
	nat = nat_new(&o, NULL);
	assert(nat != NULL);
	return nat;
}

static struct nat *
make_table(uint32_t max)
{
	return make_table_with(max, 1);
}

static void
fill(struct nat *nat, uint32_t n, uint8_t protocol)
{
	const struct nat_segment syn = { .flags = TCP_SYN };
	const struct nat_segment *segment = protocol == IP_TCP ? &syn : NULL;

	for (uint32_t i = 0; i < n; i++) {
		struct nat_flow flow = flow_of(i);
		struct nat_hit hit;

		flow.protocol = protocol;
		if (nat_out(nat, &flow, segment, 60, 0, &hit) != REASON_NAT_NEW)
			abort();
		flow.ip = OUTSIDE;
		flow.port = hit.port;
		if (nat_in(nat, &flow, segment, 60, 0, &hit) != REASON_NAT_IN)
			abort();
	}
}

/* ---- the table alone ---- */

static volatile uint32_t sink;

static void
translate_batch(struct nat *nat, const uint8_t *ring, uint64_t now_ns)
{
	struct nat_packet p[BURST_MAX];
	uint8_t bytes[BURST_MAX][64];
	struct nat_flow flow[BURST_MAX];

	for (unsigned int i = 0; i < BURST_MAX; i++) {
		struct cursor c;

		memcpy(bytes[i], ring + i * FRAME_BYTES + ETH_HEADER_BYTES,
		    IP_BYTES);
		c = cursor(bytes[i], IP_BYTES);
		p[i].bytes = bytes[i];
		p[i].head_bytes = IP_BYTES;
		p[i].partial = false;
		if (ip4_parse(&p[i].ip, &c) != REASON_NONE ||
		    nat_read(&p[i]) != REASON_NONE)
			abort();
	}
	for (unsigned int i = 0; i < BURST_MAX; i++) {
		nat_flow_out(&p[i], &flow[i]);
		nat_hash(nat, &flow[i], true);
	}
	for (unsigned int i = 0; i < BURST_MAX; i++)
		nat_guess(nat, &flow[i]);
	for (unsigned int i = 0; i < BURST_MAX; i++) {
		struct nat_ends to = nat_ends(&p[i]);
		struct nat_hit hit;

		if (nat_out(nat, &flow[i], p[i].is_tcp ? &p[i].segment : NULL,
			FRAME_BYTES, now_ns, &hit) != REASON_NAT_OUT)
			abort();
		to.src = hit.ip;
		to.sport = hit.port;
		nat_rewrite(&p[i], &to);
		sink += bytes[i][11];
	}
}

static void
bench_table(uint32_t flows, uint8_t protocol)
{
	struct nat *nat = make_table(flows);
	uint8_t *ring = make_ring(flows, protocol, &(struct mac){ { 2 } });
	double rate[RUNS_MAX];
	uint64_t now_ns = 1;
	char what[64];

	fill(nat, flows, protocol);
	for (int run = -1; run < runs; run++) { /* the first one warms */
		double start = now_s(), end;
		size_t n = 0;

		do {
			for (size_t at = 0; at < RING; at += BURST_MAX) {
				translate_batch(
				    nat, ring + at * FRAME_BYTES, now_ns);
				now_ns += 4000; /* as if 16 M/s came */
			}
			n += RING;
			end = now_s();
		} while (end - start < 0.3);
		if (run >= 0)
			rate[run] = (double)n / (end - start);
	}
	snprintf(what, sizeof(what), "table: translations, %u flows%s", flows,
	    protocol == IP_TCP ? " of TCP" : "");
	report(what, rate);
	free(ring);
	nat_free(nat);
}

/* ---- the whole router ---- */

static uint64_t taken;

static void
take(struct port *port, struct burst *burst)
{
	node_judge_all(port->node, burst, REASON_DELIVERED);
	taken += burst->n;
}

static const struct port_ops null_ops = { .take = take };

struct bench {
	struct loop *loop;
	struct router *router;
	struct node node;
	struct port in, out;
};

static const struct mac gw_mac = { { 2, 0, 0, 0, 0, 1 } };

/* The outer neighbour says where it is. */
static void
announce(struct bench *b)
{
	struct arp arp = { .op = ARP_REQUEST,
		.sender_mac = { { 2, 9 } },
		.sender_ip = OUTSIDE + 1,
		.target_ip = OUTSIDE };
	struct eth eth = {
		.dst = mac_broadcast, .src = arp.sender_mac, .type = ETH_ARP
	};
	uint8_t bytes[64];
	struct writer w = writer(bytes, sizeof(bytes));
	struct burst burst;

	eth_write(&w, &eth);
	arp_write(&w, &arp);
	burst_clear(&burst);
	burst_add(&burst, bytes, (size_t)(w.at - bytes));
	port_send(&b->out, &burst);
}

static void
bench_open(struct bench *b, uint32_t max)
{
	struct router_port_options in = { .mac = gw_mac,
		.address = { INSIDE, 8 } };
	struct router_port_options out = { .mac = gw_mac,
		.address = { OUTSIDE, 24 } };
	struct router_nat_options nat = { .rules.filtering =
					      NAT_ADDRESS_AND_PORT_DEPENDENT,
		.max_entries = max };
	struct port *inside;

	b->loop = loop_new(LOOP_VIRTUAL, NULL);
	b->router = router_new(b->loop, "gw", 1, NULL);
	assert(b->router != NULL);
	node_init(&b->node, "null");
	port_init(&b->in, &null_ops, &b->node, "null.in");
	port_init(&b->out, &null_ops, &b->node, "null.out");
	inside = router_add_port(b->router, "gw.in", &in, NULL);
	nat.outside = router_add_port(b->router, "gw.out", &out, NULL);
	cable_join(&b->in, inside);
	cable_join(&b->out, nat.outside);
	router_add_route(
	    b->router, (struct ip4_net){ 0, 0 }, OUTSIDE + 1, NULL);
	if (max != 0 && router_set_nat(b->router, &nat, NULL) < 0)
		abort();
	announce(b);
}

static void
bench_close(struct bench *b)
{
	router_free(b->router);
	loop_free(b->loop);
}

static void
send_ring(struct bench *b, const uint8_t *ring)
{
	struct burst burst;

	for (size_t at = 0; at < RING; at += BURST_MAX) {
		burst_clear(&burst);
		for (size_t i = 0; i < BURST_MAX; i++)
			burst_add(
			    &burst, ring + (at + i) * FRAME_BYTES, FRAME_BYTES);
		port_send(&b->in, &burst);
	}
}

/* nat false: routing alone. */
static void
bench_router(uint32_t flows, bool nat)
{
	struct bench b;
	uint8_t *ring = make_ring(flows, IP_UDP, &gw_mac);
	double rate[RUNS_MAX];
	char what[64];

	bench_open(&b, nat ? flows : 0);
	for (int k = 0; k < 6; k++)
		send_ring(&b, ring); /* makes the sessions, or most of them */
	for (int run = 0; run < runs; run++) {
		double start = now_s(), end;

		taken = 0;
		do {
			send_ring(&b, ring);
			end = now_s();
		} while (end - start < 0.3);
		rate[run] = (double)taken / (end - start);
	}
	snprintf(what, sizeof(what), "router: %s, port to port, %u flows",
	    nat ? "translated" : "routed", flows);
	report(what, rate);
	bench_close(&b);
	free(ring);
}

/* Segments of 64 KiB with the work left to do. */
static void
bench_large(void)
{
	struct bench b;
	uint8_t *bytes = calloc(1, 65536);
	double rate[RUNS_MAX];
	struct writer w = writer(bytes, 54);
	struct eth eth = {
		.dst = gw_mac, .src = { { 2, 1 } }, .type = ETH_IPV4
	};
	struct ip4 ip = { .ttl = 64,
		.protocol = IP_TCP,
		.src = INSIDE + 9,
		.dst = OUTSIDE + 1,
		.total_bytes = 65000 };

	bench_open(&b, 1000);
	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	put_be16(bytes + 34, 5000);
	put_be16(bytes + 36, 80);
	bytes[46] = 5 << 4;
	for (int run = 0; run < runs; run++) {
		double start = now_s(), end;

		taken = 0;
		do {
			struct burst burst;

			burst_clear(&burst);
			for (unsigned int i = 0; i < 32; i++) {
				struct frame *f =
				    burst_add(&burst, bytes, 65014);

				f->flags = FRAME_CSUM | FRAME_TSO4;
				f->csum_start = 34;
				f->csum_offset = 16;
				f->gso_bytes = 1460;
				f->header_bytes = 54;
			}
			burst.flags = FRAME_CSUM | FRAME_TSO4;
			bytes[47] = taken == 0 && run == 0 ? 2 : 16;
			port_send(&b.in, &burst);
			end = now_s();
		} while (end - start < 0.2);
		rate[run] = (double)taken / (end - start);
	}
	report("router: translated 64 KiB segments", rate);
	bench_close(&b);
	free(bytes);
}

/* ---- beginnings ---- */

enum beginning { NEW_MAPPING, NEW_COLLIDING, NEW_SESSION };

static struct nat_flow
beginning(enum beginning kind, uint32_t i)
{
	struct nat_flow flow = flow_of(i);

	switch (kind) {
	case NEW_MAPPING: break;
	case NEW_COLLIDING: flow.port = (uint16_t)(2000 + i % 1000); break;
	case NEW_SESSION:
		flow = flow_of(i % 1000);
		flow.remote_ip += i / 1000;
		break;
	}
	return flow;
}

/* Begins those from first to n, in bursts.  Returns the seconds it took. */
static double
begin(struct nat *nat, enum beginning kind, uint32_t first, uint32_t n,
    uint64_t now_ns)
{
	double start = now_s();

	for (uint32_t at = first; at < n; at += BURST_MAX) {
		struct nat_flow flow[BURST_MAX];
		uint32_t k = n - at < BURST_MAX ? n - at : BURST_MAX;

		for (uint32_t i = 0; i < k; i++) {
			flow[i] = beginning(kind, at + i);
			nat_hash(nat, &flow[i], true);
		}
		for (uint32_t i = 0; i < k; i++)
			nat_guess(nat, &flow[i]);
		for (uint32_t i = 0; i < k; i++) {
			struct nat_hit hit;

			if (nat_out(nat, &flow[i], NULL, 60, now_ns, &hit) !=
			    REASON_NAT_NEW)
				abort();
		}
	}
	return now_s() - start;
}

/* In memory that was never touched, or in a table that was full an hour ago. */
static void
bench_new(const char *what, enum beginning kind, uint32_t n, bool fresh)
{
	uint32_t first = kind == NEW_SESSION ? 1000 : 0;
	struct nat *nat = make_table(n);
	double rate[RUNS_MAX];
	uint64_t now_ns = 0;

	for (int run = fresh ? 0 : -1; run < runs; run++) {
		double took;

		nat_expire(nat, now_ns);
		begin(nat, kind, 0, first, now_ns);
		took = begin(nat, kind, first, n, now_ns);
		if (run >= 0)
			rate[run] = (n - first) / took;
		now_ns += 3600 * NS_PER_S;
		if (!fresh)
			continue;
		nat_free(nat);
		nat = make_table(n);
	}
	nat_free(nat);
	report(what, rate);
}

static void
print_bytes(uint32_t max, uint32_t addresses)
{
	struct nat *nat = make_table_with(max, addresses);
	char what[64];

	snprintf(what, sizeof(what), "table: memory for %u", max);
	if (addresses > 1)
		snprintf(what, sizeof(what),
		    "table: memory for %u, %u addresses", max, addresses);
	printf("%-52s %7.1f bytes per entry\n", what,
	    (double)nat_stats(nat).bytes / max);
	nat_free(nat);
}

int
main(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "r:")) != -1)
		runs = c == 'r' ? atoi(optarg) : 0;
	if (runs < 1 || runs > RUNS_MAX) {
		fprintf(stderr, "usage: memory [-r RUNS], 1 to %d\n", RUNS_MAX);
		return 2;
	}
	bench_table(1000, IP_UDP);
	bench_table(65536, IP_UDP);
	bench_table(1000000, IP_UDP);
	bench_table(65536, IP_TCP);
	bench_table(1000000, IP_TCP);
	bench_router(1000, false);
	bench_router(1000, true);
	bench_router(65536, true);
	bench_router(1000000, true);
	bench_large();
	bench_new("table: new mappings, ports kept", NEW_MAPPING, 60000, false);
	bench_new(
	    "table: new mappings, ports chosen", NEW_COLLIDING, 60000, false);
	bench_new("table: new mappings, ports chosen, untouched", NEW_COLLIDING,
	    60000, true);
	bench_new("table: new sessions of known mappings", NEW_SESSION, 500000,
	    false);
	bench_new("table: new sessions, untouched", NEW_SESSION, 500000, true);
	print_bytes(65536, 1);
	print_bytes(65536, ADDRESSES);
	print_bytes(1000000, 1);
	return 0;
}
