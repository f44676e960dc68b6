/* libs: switch net base */
/*
 * Frames to a traffic port that receives a stream, and sends one, between frames
 * of that stream itself: from guests who know what streams look like.
 *
 * Input: steps of a byte that says what, a byte of length, and bytes.  Bits 0 to
 * 2: raw; behind an Ethernet header to the port; in IPv4 and UDP with right
 * sums; in ICMPv6 with a right sum; as a mark with a right sum, of the stream
 * that is under way, in Ethernet; or some of the stream's own frames are sent.
 */
#include <stdlib.h>

#include "base/log.h"
#include "net/checksum.h"
#include "net/eth.h"
#include "net/ip4.h"
#include "net/nd.h"
#include "net/udp.h"
#include "switch/meter_state.h"

#define CHECK(claim) ((claim) ? (void)0 : abort())
#define STEPS_MAX    64
#define OWN4         UINT32_C(0x0a000002)

static const struct port_kind *const kinds[] = { &port_traffic, NULL };

static struct loop *loop;
static struct node nodes[2];
static struct port *ports[2];
static struct meter *left, *right;
static struct loop_timer until;
static bool over;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
stop(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void
ended(void *arg)
{
	(void)arg;
	over = true;
}

static void
start(void)
{
	const struct meter_options o = {
		.any_pattern = true,
		.sizes = { METER_RANDOM, 0, { 60, 1514 } },
		.fps = 1000000,
		.burst = 3,
		.flows = 2,
		.macs = 2,
		.count = 100000,
	};
	struct err err = { "" };

	over = false;
	CHECK(meter_start(left, right, &o, ended, NULL, &err) == 0);
	CHECK(meter_start(right, left, &o, ended, NULL, &err) == 0);
}

static void
pass(uint64_t ns)
{
	loop_timer_set(&until, loop_now_ns(loop) + ns);
	loop_run(loop);
}

/* The other end sends it. */
static void
inject(const uint8_t *frame, size_t len)
{
	struct burst burst;

	burst_clear(&burst);
	burst_add(&burst, frame, len);
	port_send(ports[0], &burst);
	CHECK(burst.frame[0].verdict.node == &nodes[1]);
	CHECK(burst.frame[0].verdict.reason != REASON_NONE);
}

static struct writer
head(uint8_t *out, size_t room, uint16_t type)
{
	struct writer w = writer(out, room);
	struct eth eth = { .dst = right->address.mac,
		.src = left->address.mac,
		.type = type };

	eth_write(&w, &eth);
	return w;
}

static void
inject_udp(const uint8_t *data, size_t len)
{
	uint8_t out[400];
	struct writer w = head(out, sizeof(out), ETH_IPV4);
	struct ip4 ip = { .total_bytes = (uint16_t)(28 + len),
		.ttl = 9,
		.protocol = IP_UDP,
		.src = OWN4 + 1,
		.dst = OWN4 };
	struct udp udp = {
		.sport = 1, .dport = 9, .data = data, .data_bytes = len
	};

	ip4_write(&w, &ip);
	udp_write(&w, &udp, ip.src, ip.dst);
	CHECK(!w.overrun);
	inject(out, (size_t)(w.at - out));
}

static void
inject_icmp6(const uint8_t *data, size_t len)
{
	uint8_t out[400];
	struct writer w = head(out, sizeof(out), ETH_IPV6);
	struct ip6 ip = { .payload_bytes = (uint16_t)len,
		.next = IP_ICMP6,
		.hop_limit = 255,
		.src = left->address.ip6,
		.dst = right->address.ip6 };
	uint8_t *at;

	ip6_write(&w, &ip);
	at = w.at;
	wr_bytes(&w, data, len);
	CHECK(!w.overrun);
	if (len >= 4) {
		put_be16(at + 2, 0);
		put_be16(at + 2,
		    csum_finish(csum_add_bytes(
			csum_pseudo6(&ip.src, &ip.dst, IP_ICMP6, (uint32_t)len),
			at, len)));
	}
	inject(out, (size_t)(w.at - out));
}

/* A forged frame of the stream: whole, of any number and time. */
static void
inject_mark(const uint8_t *data, size_t len)
{
	uint8_t out[TEST_FRAME_MAX];
	struct test_shape shape = { .pattern = TEST_ETHERNET,
		.stream = right->stream,
		.dst = right->address.mac,
		.src = left->address.mac,
		.flows = 1,
		.macs = 1 };
	struct cursor c = cursor(data, len);
	uint32_t number = cur_be32(&c);
	uint64_t time = (uint64_t)cur_be32(&c) << 32 | cur_be32(&c);

	test_frame_make(
	    out, 60 + cur_u8(&c), &shape, &right->fill, number, time);
	inject(out, 60);
	inject(out, 60 + (len > 12 ? data[12] : 0u));
}

static void
check_tally(const struct meter *to)
{
	const struct tally *t = &to->tally;
	uint64_t before = 0;

	CHECK(to->fed_by == NULL || t->received <= to->fed_by->sent);
	CHECK(to->fed_by == NULL || t->next <= to->fed_by->sent);
	CHECK(t->received <= t->next && t->nlost <= TALLY_LOST);
	for (unsigned int i = 0; i < t->nlost; i++)
		CHECK(t->lost[i] < t->next &&
		    (i == 0 || t->lost[i] > t->lost[i - 1]));
	for (unsigned int p = 0; p <= 1000; p += 250) {
		uint64_t ns = tally_percentile_ns(t, p);

		CHECK(ns >= before && ns <= t->max_ns);
		CHECK(t->received == 0 || ns >= t->min_ns);
		before = ns;
	}
}

static void
step(uint8_t what, const uint8_t *data, size_t len)
{
	uint8_t out[400];
	struct writer w;

	switch (what & 7) {
	case 0: inject(data, len); break;
	case 1:
		w = head(
		    out, sizeof(out), len > 0 ? data[0] << 8 | 6 : ETH_ARP);
		if (what & 8)
			put_be16(out + 12, ETH_ARP);
		wr_bytes(&w, data, len);
		inject(out, (size_t)(w.at - out));
		break;
	case 2: inject_udp(data, len); break;
	case 3: inject_icmp6(data, len); break;
	case 4:
	case 5: inject_mark(data, len); break;
	default:
		pass((uint64_t)what << (len > 0 ? data[0] & 7 : 0));
		if (over) /* it was stopped, or ended */
			break;
	}
	check_tally(right);
	check_tally(left);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor(data, size);
	struct err err = { "" };

	log_set_level(LOG_ERROR);
	loop = loop_new(LOOP_VIRTUAL, &err);
	CHECK(loop != NULL);
	loop_timer_init(&until, loop, stop, NULL);
	for (int i = 0; i < 2; i++) {
		node_init(&nodes[i], i == 0 ? "left" : "right");
		ports[i] = port_open(kinds, loop, &nodes[i],
		    i == 0 ? "left.eth0" : "right.eth0",
		    i == 0 ? "traffic:10.0.0.1/24?ip6=2001:db8::1/64"
			   : "traffic:10.0.0.2/24?ip6=2001:db8::2/64",
		    &err);
		CHECK(ports[i] != NULL);
	}
	left = meter_of(ports[0]);
	right = meter_of(ports[1]);
	CHECK(cable_join(ports[0], ports[1]) == 0);
	start();
	pass(1000);
	for (int i = 0; i < STEPS_MAX && cur_left(&c) > 0; i++) {
		uint8_t what = cur_u8(&c), len = cur_u8(&c);
		size_t n = len < cur_left(&c) ? len : cur_left(&c);

		step(what, cur_bytes(&c, n), n);
	}
	for (int i = 0; i < 2; i++)
		meter_stop(i == 0 ? left : right);
	loop_timer_unset(&until);
	port_close(ports[0]);
	port_close(ports[1]);
	loop_free(loop);
	return 0;
}
