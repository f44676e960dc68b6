#include "switch/offload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "net/checksum.h"
#include "net/eth.h"
#include "net/ip4.h"
#include "net/tcp.h"
#include "net/udp.h"
#include "switch/vnet.h"
#include "tests/switch/sink.h"

#define SRC UINT32_C(0x0a000064)
#define DST UINT32_C(0xcb00710a)
#define SEQ UINT32_C(0xfffff000) /* wraps within a large frame */

/* What a frame to be cut is made of. */
struct recipe {
	bool ip6;
	unsigned int vlans, ip_options, extension; /* bytes of the last two */
	unsigned int tcp_options;
	uint8_t tcp_flags;
	uint16_t urgent;
	uint32_t payload;
	uint16_t gso;
};

/* A frame and its bytes, cut into pieces as a guest's may be. */
struct super {
	struct frame frame;
	struct iovec tail[8];
	uint32_t l3, l4, headers;
	uint8_t bytes[FRAME_MAX_BYTES];
};

static uint8_t
payload_byte(uint32_t i)
{
	return (uint8_t)(i * 7 + (i >> 8));
}

static void
write_l3(struct writer *w, const struct recipe *r, uint32_t tcp_bytes)
{
	static const uint8_t options[40] = { 1, 1, 1, 0 };

	if (r->ip6) {
		uint8_t addr[32];

		for (int i = 0; i < 32; i++)
			addr[i] = (uint8_t)(0x20 + 5 * i);
		wr_be32(w, 0x60000000);
		wr_be16(w, 0); /* left open, as some senders do */
		wr_u8(w, r->extension > 0 ? 0 : IP_TCP);
		wr_u8(w, 64);
		wr_bytes(w, addr, sizeof(addr));
		if (r->extension > 0) {
			wr_u8(w, IP_TCP);
			wr_u8(w, (uint8_t)(r->extension / 8 - 1));
			wr_u8(w, 1); /* PadN */
			wr_u8(w, (uint8_t)(r->extension - 4));
			wr_zeros(w, r->extension - 4);
		}
	} else {
		struct ip4 ip = {
			.header_bytes =
			    (uint8_t)(IP4_HEADER_BYTES + r->ip_options),
			.id = 0xfffe,
			.fragment = IP4_DF,
			.ttl = 63,
			.protocol = IP_TCP,
			.src = SRC,
			.dst = DST,
			.options = options,
		};

		ip.total_bytes = (uint16_t)(ip.header_bytes + tcp_bytes);
		ip4_write(w, &ip);
	}
}

static void
make(struct super *s, const struct recipe *r)
{
	struct writer w = writer(s->bytes, sizeof(s->bytes));
	struct eth eth = {
		.dst = { { 2, 0, 0, 0, 0, 1 } },
		.src = { { 2, 0, 0, 0, 0, 2 } },
		.type = r->ip6 ? ETH_IPV6 : ETH_IPV4,
		.nvlans = (uint8_t)r->vlans,
		.vlan = { { ETH_QINQ, 100 }, { ETH_VLAN, 7 } },
	};

	memset(&s->frame, 0, sizeof(s->frame));
	eth_write(&w, &eth);
	s->l3 = (uint32_t)(w.at - s->bytes);
	write_l3(&w, r, TCP_HEADER_BYTES + r->tcp_options + r->payload);
	s->l4 = (uint32_t)(w.at - s->bytes);
	wr_be16(&w, 40000);
	wr_be16(&w, 80);
	wr_be32(&w, SEQ);
	wr_be32(&w, 12345);
	wr_u8(&w, (uint8_t)((TCP_HEADER_BYTES + r->tcp_options) / 4 << 4));
	wr_u8(&w, r->tcp_flags);
	wr_be16(&w, 5000);
	wr_be16(&w, 0xdead); /* whatever the guest left there */
	wr_be16(&w, r->urgent);
	for (unsigned int i = 0; i < r->tcp_options; i++)
		wr_u8(&w, 1);
	s->headers = (uint32_t)(w.at - s->bytes);
	for (uint32_t i = 0; i < r->payload; i++)
		wr_u8(&w, payload_byte(i));
	assert_false(w.overrun);
	s->frame.data = s->bytes;
	s->frame.len = s->frame.head = (uint32_t)(w.at - s->bytes);
	s->frame.flags = FRAME_CSUM | (r->ip6 ? FRAME_TSO6 : FRAME_TSO4);
	s->frame.csum_start = (uint16_t)s->l4;
	s->frame.csum_offset = TCP_OFF_CHECKSUM;
	s->frame.gso_bytes = r->gso;
	s->frame.header_bytes = (uint16_t)s->headers;
}

/* Cuts the memory of a frame into pieces of odd lengths behind the head. */
static void
scatter(struct super *s)
{
	uint32_t at = FRAME_HEAD_BYTES;
	unsigned int n = 0;

	if (s->frame.len <= FRAME_HEAD_BYTES)
		return;
	s->frame.head = FRAME_HEAD_BYTES;
	for (; at < s->frame.len; n++) {
		uint32_t part = n == 7 ? s->frame.len - at : 101 + 1000 * n;

		if (part > s->frame.len - at)
			part = s->frame.len - at;
		s->tail[n] = (struct iovec){ s->bytes + at, part };
		at += part;
	}
	s->frame.tail = s->tail;
	s->frame.ntail = (uint16_t)n;
}

/* ---- what comes out, checked by other means than it was made ---- */

struct check {
	const struct super *super;
	const struct recipe *recipe;
	unsigned int n;
	uint32_t done;
};

/* The plain sum of RFC 1071, 4.1, one word after the other. */
static uint32_t
plain_sum(uint32_t sum, const uint8_t *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)at[i] << 8 : at[i];
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void
check_ip4(const struct check *c, const uint8_t *data, size_t len)
{
	struct cursor cur = cursor(data, len);
	struct eth eth;
	struct ip4 ip;
	struct tcp tcp;

	assert_int_equal(eth_parse(&eth, &cur), DROP_NONE);
	assert_int_equal(eth.nvlans, c->recipe->vlans);
	assert_int_equal(ip4_parse(&ip, &cur), DROP_NONE);
	assert_int_equal(ip.total_bytes, len - c->super->l3);
	assert_int_equal(ip.id, (uint16_t)(0xfffe + c->n));
	assert_int_equal(ip.fragment, IP4_DF);
	assert_int_equal(ip.ttl, 63);
	assert_int_equal(tcp_parse(&tcp, &cur, &ip, false), DROP_NONE);
	assert_int_equal(tcp.data_bytes, len - c->super->headers);
}

static void
check_ip6(const struct check *c, const uint8_t *data, size_t len)
{
	const uint8_t *ip = data + c->super->l3;
	const uint8_t *tcp = data + c->super->l4;
	uint32_t tcp_bytes = (uint32_t)len - c->super->l4;
	uint32_t sum = plain_sum(0, ip + 8, 32);

	assert_int_equal(get_be16(ip + 4), len - c->super->l3 - 40);
	sum += tcp_bytes + IP_TCP;
	assert_int_equal(plain_sum(sum, tcp, tcp_bytes), 0xffff);
}

static void
check_tcp(const struct check *c, const uint8_t *tcp, uint32_t payload)
{
	const struct recipe *r = c->recipe;
	bool first = c->done == 0;
	bool last = c->done + payload == r->payload;
	uint8_t flags = r->tcp_flags;
	uint16_t urgent = r->urgent;

	if (!last)
		flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	if (!first)
		flags &= 0x7f; /* CWR */
	if (flags & TCP_URG) {
		urgent =
		    r->urgent > c->done ? (uint16_t)(r->urgent - c->done) : 0;
		if (urgent == 0)
			flags &= (uint8_t)~TCP_URG;
	}
	assert_int_equal(get_be32(tcp + 4), (uint32_t)(SEQ + c->done));
	assert_int_equal(tcp[13], flags);
	assert_int_equal(get_be16(tcp + 18), urgent);
}

static void
check_segment(void *arg, const uint8_t *data, size_t len)
{
	struct check *c = arg;
	uint32_t payload = (uint32_t)len - c->super->headers;
	uint32_t left = c->recipe->payload - c->done;

	assert_int_equal(
	    payload, left < c->recipe->gso ? left : c->recipe->gso);
	/* Ethernet, tags, and all that is not rewritten */
	assert_memory_equal(data, c->super->bytes, c->super->l3);
	assert_memory_equal(
	    data + c->super->l4, c->super->bytes + c->super->l4, 4);
	assert_memory_equal(data + c->super->l4 + 20,
	    c->super->bytes + c->super->l4 + 20, c->recipe->tcp_options);
	if (c->recipe->ip6)
		check_ip6(c, data, len);
	else
		check_ip4(c, data, len);
	check_tcp(c, data + c->super->l4, payload);
	for (uint32_t i = 0; i < payload; i++)
		assert_int_equal(
		    data[c->super->headers + i], payload_byte(c->done + i));
	c->done += payload;
	c->n++;
}

static const struct recipe recipes[] = {
	{ .payload = 2896, .gso = 1448, .tcp_options = 12, .tcp_flags = 0x18 },
	{ .payload = 2897, .gso = 1448, .tcp_options = 12, .tcp_flags = 0x19 },
	{ .payload = 1, .gso = 1448, .tcp_flags = 0x10 },
	{ .payload = 0, .gso = 1448, .tcp_flags = 0x11 },
	{ .payload = 64000, .gso = 1460, .tcp_flags = 0x18 },
	{ .payload = 65495, .gso = 1460, .tcp_flags = 0x98 }, /* 64 KiB, CWR */
	{ .payload = 65495, .gso = 65495, .tcp_flags = 0x18 },
	{ .payload = 65483, .gso = 64, .tcp_options = 12, .tcp_flags = 0x10 },
	{ .payload = 9000,
	    .gso = 536,
	    .ip_options = 40,
	    .tcp_options = 40,
	    .vlans = 2,
	    .tcp_flags = 0x1f & ~6 },
	{ .payload = 5000, .gso = 1001, .vlans = 1, .tcp_flags = 0x98 },
	{ .payload = 5000, .gso = 1000, .urgent = 2500, .tcp_flags = 0x38 },
	{ .payload = 5000, .gso = 1000, .urgent = 1000, .tcp_flags = 0x38 },
	{ .ip6 = true,
	    .payload = 2856,
	    .gso = 1428,
	    .tcp_options = 12,
	    .tcp_flags = 0x18 },
	{ .ip6 = true,
	    .payload = 65000,
	    .gso = 1428,
	    .tcp_options = 12,
	    .vlans = 2,
	    .tcp_flags = 0x99 },
	{ .ip6 = true,
	    .payload = 4001,
	    .gso = 1220,
	    .extension = 16,
	    .tcp_flags = 0x18 },
	{ .ip6 = true, .payload = 7, .gso = 3, .tcp_flags = 0x18 },
};

#define NRECIPES (sizeof(recipes) / sizeof(recipes[0]))

static void
segments_are_what_the_guest_would_have_sent(void **state)
{
	static struct super super;

	(void)state;
	for (size_t i = 0; i < NRECIPES; i++)
		for (int pieces = 0; pieces < 2; pieces++) {
			const struct recipe *r = &recipes[i];
			struct check c = { .super = &super, .recipe = r };
			unsigned int want = (r->payload + r->gso - 1) / r->gso;

			make(&super, r);
			if (pieces)
				scatter(&super);
			assert_int_equal(
			    offload_segment(&super.frame, check_segment, &c),
			    want > 0 ? want : 1);
			assert_int_equal(c.done, r->payload);
		}
}

static void
never(void *arg, const uint8_t *data, size_t len)
{
	(void)arg;
	(void)data;
	(void)len;
	fail();
}

/* One byte of a good frame changed, or one word of its description. */
static void
frames_that_lie_are_not_cut(void **state)
{
	static const struct recipe v4 = {
		.payload = 3000, .gso = 1000, .tcp_flags = 0x18
	};
	static const struct recipe v6 = { .payload = 3000,
		.gso = 1000,
		.ip6 = true,
		.extension = 8,
		.tcp_flags = 0x18 };
	static const struct {
		bool ip6;
		uint32_t at;
		uint8_t value;
	} rows[] = {
		{ false, 12, 0x86 },      /* no IPv4 */
		{ false, 13, 0xdd },      /* not even an EtherType */
		{ false, 14, 0x55 },      /* IP version 5 */
		{ false, 14, 0x44 },      /* a header of 16 bytes */
		{ false, 14, 0x46 },      /* one of 24: TCP is elsewhere */
		{ false, 20, 0x60 },      /* more fragments */
		{ false, 21, 0x01 },      /* not the first fragment */
		{ false, 23, IP_UDP },    /* not TCP */
		{ false, 34 + 12, 0x40 }, /* a TCP header of 16 bytes */
		{ false, 34 + 13, 0x1a }, /* SYN */
		{ false, 34 + 13, 0x1c }, /* RST */
		{ true, 14, 0x45 },       /* IP version 4 */
		{ true, 20, IP_UDP },     /* no extension header */
		{ true, 20, 44 },         /* a fragment */
		{ true, 20, IP_TCP },     /* TCP is elsewhere */
		{ true, 54, IP_UDP },     /* not TCP behind it */
		{ true, 54, 0 },          /* no TCP at all */
		{ true, 55, 1 },          /* a longer extension header */
		{ true, 55, 0xff },       /* beyond everything */
		{ true, 62 + 12, 0x40 },  /* a TCP header of 16 bytes */
	};
	static struct super super;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make(&super, rows[i].ip6 ? &v6 : &v4);
		super.bytes[rows[i].at] = rows[i].value;
		assert_int_equal(offload_segment(&super.frame, never, NULL), 0);
	}
	make(&super, &v4);
	super.frame.csum_start += 4;
	assert_int_equal(offload_segment(&super.frame, never, NULL), 0);
	make(&super, &v4);
	super.frame.flags = FRAME_CSUM | FRAME_TSO6;
	assert_int_equal(offload_segment(&super.frame, never, NULL), 0);
}

static void
routing_header_on_its_way_is_not_cut(void **state)
{
	static const struct recipe r = { .payload = 3000,
		.gso = 1000,
		.ip6 = true,
		.extension = 24,
		.tcp_flags = 0x18 };
	static struct super super;
	struct check c = { .super = &super, .recipe = &r };

	(void)state;
	make(&super, &r);
	super.bytes[20] = 43;
	super.bytes[57] = 1; /* a segment left */
	assert_int_equal(offload_segment(&super.frame, never, NULL), 0);
	super.bytes[57] = 0;
	assert_int_equal(offload_segment(&super.frame, check_segment, &c), 3);
}

static void
thousands_of_tiny_segments_are_refused(void **state)
{
	static const struct {
		uint32_t payload;
		uint16_t gso;
		unsigned int segments;
	} rows[] = {
		{ 65000, 0, 0 },
		{ 65000, 1, 0 },
		{ 65000, 63, 0 },
		{ 1025, 1, 0 },
		{ 1024, 1, 1024 },
		{ 1, 1, 1 },
	};
	static struct super super;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct recipe r = { .payload = rows[i].payload,
			.gso = rows[i].gso,
			.tcp_flags = 0x10 };
		struct check c = { .super = &super, .recipe = &r };

		make(&super, &r);
		assert_int_equal(
		    offload_segment(&super.frame, check_segment, &c),
		    rows[i].segments);
	}
}

/* ---- checksums ---- */

static void
checksum_is_completed_in_a_copy(void **state)
{
	(void)state;
	for (uint32_t data = 0; data < 70; data++) {
		uint8_t bytes[14 + 20 + 8 + 70], out[sizeof(bytes)];
		struct writer w = writer(bytes, sizeof(bytes));
		struct eth eth = { .type = ETH_IPV4 };
		struct ip4 ip = {
			.total_bytes = (uint16_t)(28 + data),
			.protocol = IP_UDP,
			.src = SRC,
			.dst = DST,
		};
		struct frame frame = { .data = bytes, .flags = FRAME_CSUM };
		struct cursor c;
		struct udp udp;

		eth_write(&w, &eth);
		ip4_write(&w, &ip);
		wr_be16(&w, 4000);
		wr_be16(&w, 53);
		wr_be16(&w, (uint16_t)(8 + data));
		wr_be16(&w,
		    csum_fold(
			csum_pseudo4(SRC, DST, IP_UDP, (uint16_t)(8 + data))));
		for (uint32_t i = 0; i < data; i++)
			wr_u8(&w, payload_byte(i + data));
		frame.len = frame.head = (uint32_t)(w.at - bytes);
		frame.csum_start = 34;
		frame.csum_offset = 6;
		memcpy(out, bytes, frame.len);
		offload_checksum(out, &frame);
		c = cursor(out, frame.len);
		assert_int_equal(eth_parse(&eth, &c), DROP_NONE);
		assert_int_equal(ip4_parse(&ip, &c), DROP_NONE);
		assert_int_equal(udp_parse(&udp, &c, &ip, false), DROP_NONE);
		assert_int_not_equal(udp.checksum, 0);
	}
}

/* A sum that comes out as 0 would say "no checksum" in UDP. */
static void
zero_checksum_is_written_as_ones(void **state)
{
	uint8_t bytes[24] = { 0 };
	struct frame frame = {
		.data = bytes,
		.len = 24,
		.head = 24,
		.csum_start = 14,
		.csum_offset = 6,
	};

	(void)state;
	bytes[14] = bytes[15] = 0xff;
	offload_checksum(bytes, &frame);
	assert_int_equal(get_be16(bytes + 20), 0xffff);
}

/* ---- sending ---- */

struct pair {
	struct sink *a, *b;
};

static int
set_up(void **state)
{
	struct pair *pair = calloc(1, sizeof(*pair));

	pair->a = sink_new("a");
	pair->b = sink_new("b");
	cable_join(&pair->a->port, &pair->b->port);
	*state = pair;
	return 0;
}

static int
tear_down(void **state)
{
	struct pair *pair = *state;

	sink_free(pair->a);
	sink_free(pair->b);
	free(pair);
	return 0;
}

static void
add(struct burst *burst, const struct frame *frame)
{
	burst->flags |= frame->flags;
	burst->frame[burst->n++] = *frame;
}

static void
port_that_accepts_gets_frames_whole(void **state)
{
	static struct super super;
	struct pair *pair = *state;
	struct burst burst;

	make(&super, &recipes[4]);
	burst_clear(&burst);
	add(&burst, &super.frame);
	port_send(&pair->a->port, &burst);
	assert_int_equal(pair->b->n, 1);
	assert_int_equal(pair->b->frame[0].len, super.frame.len);
}

static void
port_that_does_not_gets_finished_frames_in_order(void **state)
{
	static struct super big, small;
	static const uint8_t plain[60] = { 2, 3, 5 };
	const struct recipe *r = &recipes[4]; /* 44 segments */
	struct pair *pair = *state;
	struct check c = { .super = &big, .recipe = r };
	struct verdict cause = { 0 };
	struct burst burst;

	pair->b->port.accepts = 0;
	make(&big, r);
	big.frame.cause = &cause;
	make(&small, &recipes[2]);
	small.frame.flags = FRAME_CSUM; /* not to be cut */
	put_be16(
	    small.bytes + 50, csum_fold(csum_pseudo4(SRC, DST, IP_TCP, 21)));
	burst_clear(&burst);
	burst_add(&burst, plain, 60);
	add(&burst, &big.frame);
	add(&burst, &small.frame);
	add(&burst, &big.frame);
	burst_add(&burst, plain, 59);
	port_send(&pair->a->port, &burst);

	assert_int_equal(pair->b->n, 1 + 44 + 1 + 44 + 1);
	assert_int_equal(pair->b->frame[0].len, 60);
	for (int i = 0; i < 44; i++) {
		assert_ptr_equal(pair->b->frame[1 + i].cause, &cause);
		check_segment(
		    &c, pair->b->frame[1 + i].data, pair->b->frame[1 + i].len);
	}
	c = (struct check){ .super = &small, .recipe = &recipes[2] };
	c.n = 0;
	check_segment(&c, pair->b->frame[45].data, pair->b->frame[45].len);
	c = (struct check){ .super = &big, .recipe = r };
	for (int i = 0; i < 44; i++)
		check_segment(&c, pair->b->frame[46 + i].data,
		    pair->b->frame[46 + i].len);
	assert_int_equal(pair->b->frame[90].len, 59);
	for (int i = 0; i < 91; i++)
		assert_int_equal(pair->b->frame[i].flags, 0);
	for (unsigned int i = 0; i < burst.n; i++)
		assert_int_equal(
		    burst.frame[i].verdict.reason, REASON_DELIVERED);
	assert_int_equal(pair->a->port.out_frames, 91);
	assert_int_equal(pair->b->port.in_frames, 91);
}

/* A whole burst of the largest frames. */
static void
burst_of_large_frames_is_cut_in_bounded_memory(void **state)
{
	static struct super super;
	struct pair *pair = *state;
	struct burst burst;

	pair->b->port.accepts = FRAME_CSUM;
	make(&super, &recipes[5]);
	burst_clear(&burst);
	for (int i = 0; i < BURST_MAX; i++)
		add(&burst, &super.frame);
	port_send(&pair->a->port, &burst);
	assert_int_equal(pair->b->n, BURST_MAX * 45);
	assert_int_equal(pair->b->port.in_bytes, BURST_MAX * (65495 + 45 * 54));
}

static void
refuse_from_third(struct sink *sink, struct burst *burst)
{
	for (unsigned int i = 0; i < burst->n; i++)
		if (sink->n - burst->n + i >= 2)
			burst->frame[i].verdict.reason = DROP_PORT_FULL;
}

static void
verdict_of_the_whole_is_that_of_its_last_segment(void **state)
{
	static struct super super;
	static const uint8_t plain[60];
	struct pair *pair = *state;
	struct burst burst;

	pair->b->port.accepts = 0;
	pair->b->hook = refuse_from_third;
	make(&super, &recipes[0]); /* two segments */
	burst_clear(&burst);
	add(&burst, &super.frame);
	add(&burst, &super.frame);
	burst_add(&burst, plain, 60);
	port_send(&pair->a->port, &burst);
	assert_int_equal(burst.frame[0].verdict.reason, REASON_DELIVERED);
	assert_int_equal(burst.frame[1].verdict.reason, DROP_PORT_FULL);
	assert_int_equal(burst.frame[2].verdict.reason, DROP_PORT_FULL);
	assert_int_equal(pair->a->port.out_drops, 3);
}

static void
frame_that_cannot_be_cut_is_refused_by_the_sender(void **state)
{
	static struct super super;
	struct pair *pair = *state;
	struct burst burst;

	pair->b->port.accepts = 0;
	burst_clear(&burst);
	make(&super, &recipes[0]);
	add(&burst, &super.frame);
	add(&burst, &super.frame);
	burst.frame[1].gso_bytes = 1; /* 2896 segments */
	add(&burst, &super.frame);
	port_send(&pair->a->port, &burst);
	assert_int_equal(burst.frame[0].verdict.reason, REASON_DELIVERED);
	assert_int_equal(burst.frame[1].verdict.reason, DROP_VNET_HEADER);
	assert_ptr_equal(burst.frame[1].verdict.node, &pair->a->node);
	assert_int_equal(burst.frame[2].verdict.reason, REASON_DELIVERED);
	assert_int_equal(pair->b->n, 4);
	assert_int_equal(pair->a->port.out_frames, 5);
	assert_int_equal(pair->a->port.out_drops, 1);
	assert_int_equal(pair->a->node.count[DROP_VNET_HEADER], 1);
}

/* The other end sends another such burst from within its take(). */
static void
send_big_back(struct sink *sink, struct burst *burst)
{
	struct burst back;

	(void)burst;
	sink->hook = NULL;
	burst_clear(&back);
	add(&back, sink->arg);
	port_send(&sink->port, &back);
}

static void
sends_may_nest_in_the_middle_of_segments(void **state)
{
	static struct super super, other;
	struct pair *pair = *state;
	const struct recipe *r = &recipes[5];
	struct check c = { .super = &super, .recipe = r };
	struct burst burst;

	pair->a->port.accepts = pair->b->port.accepts = 0;
	make(&super, r);
	make(&other, &recipes[13]);
	pair->b->hook = send_big_back;
	pair->b->arg = &other.frame;
	burst_clear(&burst);
	add(&burst, &super.frame);
	port_send(&pair->a->port, &burst);
	assert_int_equal(pair->b->n, 45);
	for (int i = 0; i < 45; i++)
		check_segment(
		    &c, pair->b->frame[i].data, pair->b->frame[i].len);
	c = (struct check){ .super = &other, .recipe = &recipes[13] };
	for (unsigned int i = 0; i < pair->a->n; i++)
		check_segment(
		    &c, pair->a->frame[i].data, pair->a->frame[i].len);
	assert_int_equal(c.done, recipes[13].payload);
}

/* ---- the virtio-net header ---- */

static void
vnet_header_survives_the_way_in_and_out(void **state)
{
	static struct super super;

	(void)state;
	for (size_t i = 0; i < NRECIPES; i++) {
		uint8_t header[VNET_BYTES];
		struct frame frame;

		make(&super, &recipes[i]);
		vnet_write(header, &super.frame);
		frame = super.frame;
		frame.flags = 0xff;
		assert_int_equal(vnet_parse(&frame, header), DROP_NONE);
		assert_int_equal(frame.flags, super.frame.flags);
		assert_int_equal(frame.csum_start, super.frame.csum_start);
		assert_int_equal(frame.csum_offset, super.frame.csum_offset);
		assert_int_equal(frame.gso_bytes, super.frame.gso_bytes);
		assert_int_equal(frame.header_bytes, super.frame.header_bytes);
	}
}

static void
vnet_headers_that_lie_are_refused(void **state)
{
	/* flags, gso_type, hdr_len, gso_size, csum_start, csum_offset */
	static const struct {
		uint8_t header[VNET_BYTES];
		enum reason reason;
		uint8_t flags;
	} rows[] = {
		{ { 0 }, DROP_NONE, 0 },
		{ { 2 }, DROP_NONE, FRAME_VALID },
		{ { 1, 0, 0, 0, 0, 0, 34, 0, 16, 0 }, DROP_NONE, FRAME_CSUM },
		{ { 3, 0, 0, 0, 0, 0, 34, 0, 16, 0 }, DROP_NONE, FRAME_CSUM },
		/* the length of the headers is only a hint */
		{ { 1, 1, 0xff, 0xff, 1, 0, 34, 0, 16, 0 }, DROP_NONE,
		    FRAME_CSUM | FRAME_TSO4 },
		{ { 1, 0x81, 0, 0, 1, 0, 34, 0, 16, 0 }, DROP_NONE,
		    FRAME_CSUM | FRAME_TSO4 },
		{ { 1, 4, 0, 0, 1, 0, 34, 0, 16, 0 }, DROP_NONE,
		    FRAME_CSUM | FRAME_TSO6 },
		/* sums that begin or lie outside */
		{ { 1, 0, 0, 0, 0, 0, 13, 0, 16, 0 }, DROP_VNET_HEADER, 0 },
		{ { 1, 0, 0, 0, 0, 0, 200, 0, 16, 0 }, DROP_VNET_HEADER, 0 },
		{ { 1, 0, 0, 0, 0, 0, 34, 0, 65, 0 }, DROP_VNET_HEADER, 0 },
		{ { 1, 0, 0, 0, 0, 0, 34, 0, 64, 0 }, DROP_NONE, FRAME_CSUM },
		{ { 1, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff },
		    DROP_VNET_HEADER, 0 },
		{ { 1, 0, 0, 0, 0, 0, 0x22, 0, 0xde, 0xff }, DROP_VNET_HEADER,
		    0 },
		/* segments without a size, a sum, or of another kind */
		{ { 1, 1, 0, 0, 0, 0, 34, 0, 16, 0 }, DROP_VNET_HEADER, 0 },
		{ { 0, 1, 0, 0, 1, 0, 34, 0, 16, 0 }, DROP_VNET_HEADER, 0 },
		{ { 2, 1, 0, 0, 1, 0, 34, 0, 16, 0 }, DROP_VNET_HEADER, 0 },
		{ { 1, 1, 0, 0, 1, 0, 34, 0, 6, 0 }, DROP_VNET_HEADER, 0 },
		{ { 1, 3, 0, 0, 1, 0, 34, 0, 16, 0 }, DROP_VNET_HEADER, 0 },
		{ { 1, 5, 0, 0, 1, 0, 34, 0, 6, 0 }, DROP_VNET_HEADER, 0 },
		{ { 1, 2, 0, 0, 1, 0, 34, 0, 16, 0 }, DROP_VNET_HEADER, 0 },
		{ { 1, 0x80, 0, 0, 1, 0, 34, 0, 16, 0 }, DROP_VNET_HEADER, 0 },
		/* no room for TCP's header there */
		{ { 1, 1, 0, 0, 1, 0, 81, 0, 16, 0 }, DROP_VNET_HEADER, 0 },
		{ { 1, 1, 0, 0, 1, 0, 80, 0, 16, 0 }, DROP_VNET_HEADER, 0 },
	};
	uint8_t bytes[100] = { 0 };

	(void)state;
	bytes[34 + 12] = 0x50;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct frame frame = { .data = bytes, .len = 100, .head = 100 };

		assert_int_equal(
		    vnet_parse(&frame, rows[i].header), rows[i].reason);
		if (rows[i].reason == DROP_NONE)
			assert_int_equal(frame.flags, rows[i].flags);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_are_what_the_guest_would_have_sent),
		cmocka_unit_test(frames_that_lie_are_not_cut),
		cmocka_unit_test(routing_header_on_its_way_is_not_cut),
		cmocka_unit_test(thousands_of_tiny_segments_are_refused),
		cmocka_unit_test(checksum_is_completed_in_a_copy),
		cmocka_unit_test(zero_checksum_is_written_as_ones),
		TEST(port_that_accepts_gets_frames_whole),
		TEST(port_that_does_not_gets_finished_frames_in_order),
		TEST(burst_of_large_frames_is_cut_in_bounded_memory),
		TEST(verdict_of_the_whole_is_that_of_its_last_segment),
		TEST(frame_that_cannot_be_cut_is_refused_by_the_sender),
		TEST(sends_may_nest_in_the_middle_of_segments),
		cmocka_unit_test(vnet_header_survives_the_way_in_and_out),
		cmocka_unit_test(vnet_headers_that_lie_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
