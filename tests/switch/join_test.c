#include "switch/join.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "net/checksum.h"
#include "net/eth.h"
#include "net/ip4.h"
#include "net/tcp.h"
#include "switch/offload.h"

#define L3     ETH_HEADER_BYTES
#define L4     (ETH_HEADER_BYTES + IP4_HEADER_BYTES)
#define MSS    1000
#define FRAMES 8

/* Segments of a stream as they come in, and what became of them. */
struct stream {
	unsigned int n;
	uint8_t bytes[BURST_MAX][2048];
	struct frame frame[BURST_MAX];
	struct iovec tail[BURST_MAX][2];
	const struct frame *list[BURST_MAX];
	struct join join;
	unsigned int cut; /* of the frames that leave */
};

static void
write_sums(uint8_t *bytes, uint32_t len)
{
	uint8_t *ip = bytes + L3;
	uint32_t sum = csum_pseudo4(get_be32(ip + IP4_OFF_SRC),
	    get_be32(ip + IP4_OFF_DST), IP_TCP, (uint16_t)(len - L4));

	put_be16(ip + IP4_OFF_CHECKSUM, 0);
	put_be16(ip + IP4_OFF_CHECKSUM,
	    csum_finish(csum_add_bytes(0, ip, IP4_HEADER_BYTES)));
	put_be16(bytes + L4 + TCP_OFF_CHECKSUM, 0);
	put_be16(bytes + L4 + TCP_OFF_CHECKSUM,
	    csum_finish(csum_add_bytes(sum, bytes + L4, len - L4)));
}

/* Adds a segment of payload bytes, at seq, with 12 bytes of options. */
static void
add(struct stream *s, uint32_t seq, uint32_t payload, uint8_t flags)
{
	uint8_t *bytes = s->bytes[s->n];
	struct writer w = writer(bytes, sizeof(s->bytes[0]));
	struct eth eth = {
		.dst = { { 2, 1 } }, .src = { { 2, 2 } }, .type = ETH_IPV4
	};
	struct ip4 ip = { .id = (uint16_t)(0xfffe + s->n),
		.fragment = IP4_DF,
		.ttl = 63,
		.protocol = IP_TCP,
		.src = 0x0a000001,
		.dst = 0xcb007101,
		.total_bytes = (uint16_t)(IP4_HEADER_BYTES + 32 + payload) };
	struct frame *f = &s->frame[s->n];

	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	wr_be16(&w, 40000);
	wr_be16(&w, 80);
	wr_be32(&w, seq);
	wr_be32(&w, 777);
	wr_u8(&w, 8 << 4);
	wr_u8(&w, flags);
	wr_be16(&w, 5000);
	wr_be32(&w, 0);
	for (int i = 0; i < 12; i++)
		wr_u8(&w, 1);
	for (uint32_t i = 0; i < payload; i++)
		wr_u8(&w, (uint8_t)(seq + i * 3));
	assert_false(w.overrun);
	*f = (struct frame){ .data = bytes,
		.len = (uint32_t)(w.at - bytes),
		.head = (uint32_t)(w.at - bytes) };
	write_sums(bytes, f->len);
	s->list[s->n] = f;
	s->n++;
}

/* n full segments, that wrap. */
static void
make(struct stream *s, unsigned int n)
{
	memset(s, 0, sizeof(*s));
	for (unsigned int i = 0; i < n; i++)
		add(s, 0xfffff000 + i * MSS, MSS, TCP_ACK);
}

/* The next of the frames that were given is this one, byte for byte. */
static void
is_next(void *arg, const uint8_t *data, size_t len)
{
	struct stream *s = arg;
	const struct frame *given = &s->frame[s->cut++];
	uint8_t bytes[2048];

	assert_int_equal(len, given->len);
	frame_copy(bytes, given, 0, given->len);
	if (given->flags & FRAME_CSUM)
		offload_checksum(bytes, given);
	assert_memory_equal(data, bytes, len);
}

/* Joins; what leaves, cut, must be what was given.  Returns how many leave. */
static unsigned int
join(struct stream *s)
{
	unsigned int at = 0;

	join_frames(&s->join, s->list, s->n);
	s->cut = 0;
	for (unsigned int k = 0; k < s->join.n; k++) {
		const struct frame *f = s->join.frame[k];

		if (s->join.of[k] == 1) {
			assert_ptr_equal(f, s->list[at]);
			s->cut++;
		} else {
			assert_int_equal(
			    offload_segment(f, is_next, s), s->join.of[k]);
		}
		at += s->join.of[k];
		assert_int_equal(s->cut, at);
	}
	assert_int_equal(at, s->n);
	return s->join.n;
}

static void
segments_of_a_stream_leave_as_one(void **state)
{
	struct stream s;

	(void)state;
	make(&s, FRAMES);
	assert_int_equal(join(&s), 1);
	assert_int_equal(s.join.frame[0]->gso_bytes, MSS);
	assert_int_equal(s.join.frame[0]->header_bytes, L4 + 32);
	make(&s, 0);
	assert_int_equal(join(&s), 0);
	make(&s, 1);
	assert_int_equal(join(&s), 1);
}

static void
a_frame_holds_what_a_packet_may(void **state)
{
	struct stream s;

	(void)state;
	make(&s, BURST_MAX);
	assert_int_equal(join(&s), (BURST_MAX + JOIN_MAX - 1) / JOIN_MAX);
	memset(&s, 0, sizeof(s));
	for (unsigned int i = 0; i < JOIN_MAX; i++)
		add(&s, i * 1900, 1900, TCP_ACK);
	assert_int_equal(join(&s), 2);
	assert_int_equal(s.join.of[0], (IP4_MAX_BYTES - 52) / 1900);
}

static void
a_shorter_one_or_a_push_is_the_last(void **state)
{
	struct stream s;

	(void)state;
	make(&s, 0);
	add(&s, 0, MSS, TCP_ACK);
	add(&s, MSS, MSS - 1, TCP_ACK);
	add(&s, 2 * MSS - 1, MSS, TCP_ACK);
	add(&s, 3 * MSS - 1, MSS, TCP_ACK | TCP_PSH);
	add(&s, 4 * MSS - 1, MSS, TCP_ACK);
	assert_int_equal(join(&s), 3);
	assert_int_equal(s.join.of[0], 2);
	assert_int_equal(s.join.of[1], 2);
	/* A longer one does not follow. */
	make(&s, 0);
	add(&s, 0, MSS, TCP_ACK);
	add(&s, MSS, MSS + 1, TCP_ACK);
	assert_int_equal(join(&s), 2);
}

/* What of one frame among eight keeps it out of the others' run: its bytes at
 * an offset become others, with right sums or not. */
static const struct {
	const char *what;
	unsigned int at;
	uint8_t flip;
	bool sums;
	unsigned int leave;
} oddities[] = {
	{ "another Ethernet source", 11, 1, true, 3 },
	{ "another type of service", L3 + 1, 1, true, 3 },
	{ "an id that does not count", L3 + 4, 1, true, 3 },
	{ "it may be fragmented", L3 + 6, 0x40, true, 3 },
	{ "it is a fragment", L3 + 6, 0x20, true, 3 },
	{ "another time to live", L3 + 8, 1, true, 3 },
	{ "another protocol", L3 + 9, 1, true, 3 },
	{ "a wrong sum of IP", L3 + 10, 1, false, 3 },
	{ "another source", L3 + 15, 1, true, 3 },
	{ "another port", L4 + 1, 1, true, 3 },
	{ "another sequence number", L4 + 7, 1, true, 3 },
	{ "another acknowledgement", L4 + 11, 1, true, 3 },
	{ "a longer header", L4 + 12, 0x10, true, 3 },
	{ "no ACK", L4 + 13, TCP_ACK, true, 3 },
	{ "a SYN", L4 + 13, TCP_SYN, true, 3 },
	{ "a FIN", L4 + 13, TCP_FIN, true, 3 },
	{ "an RST", L4 + 13, TCP_RST, true, 3 },
	{ "an urgent one", L4 + 13, TCP_URG, true, 3 },
	{ "congestion is told of", L4 + 13, 0x40, true, 3 },
	{ "another window", L4 + 15, 1, true, 3 },
	{ "a wrong sum of TCP", L4 + 16, 1, false, 3 },
	{ "an urgent pointer", L4 + 19, 1, true, 3 },
	{ "another option", L4 + 24, 1, true, 3 },
	{ "damaged payload", L4 + 100, 1, false, 3 },
	/* and what does not */
	{ "other payload", L4 + 100, 1, true, 1 },
	{ "a push", L4 + 13, TCP_PSH, true, 2 },
};

static void
what_is_no_continuation_leaves_as_it_came(void **state)
{
	struct stream s;

	(void)state;
	for (size_t i = 0; i < sizeof(oddities) / sizeof(oddities[0]); i++) {
		make(&s, FRAMES);
		s.bytes[3][oddities[i].at] ^= oddities[i].flip;
		if (oddities[i].sums)
			write_sums(s.bytes[3], s.frame[3].len);
		if (join(&s) != oddities[i].leave)
			fail_msg(
			    "%s: %u frames left", oddities[i].what, s.join.n);
	}
	/* The first of a run is no better. */
	make(&s, 3);
	s.bytes[0][L4 + 100] ^= 1;
	assert_int_equal(join(&s), 2);
	assert_int_equal(s.join.of[0], 1);
}

static void
padding_and_short_frames_are_left_alone(void **state)
{
	struct stream s;

	(void)state;
	make(&s, 2);
	s.frame[1].len = ++s.frame[1].head;
	assert_int_equal(join(&s), 2);
	make(&s, 2);
	s.frame[1].len = s.frame[1].head = L4 + 10;
	assert_int_equal(join(&s), 2);
	make(&s, 0);
	add(&s, 0, 0, TCP_ACK);
	add(&s, 0, 0, TCP_ACK);
	assert_int_equal(join(&s), 2);
}

static void
unfinished_sums_are_finished_behind(void **state)
{
	struct stream s;

	(void)state;
	make(&s, FRAMES);
	for (unsigned int i = 0; i < FRAMES; i++) {
		uint8_t *tcp = s.bytes[i] + L4;

		s.frame[i].flags = FRAME_CSUM;
		s.frame[i].csum_start = L4;
		s.frame[i].csum_offset = TCP_OFF_CHECKSUM;
		put_be16(tcp + TCP_OFF_CHECKSUM,
		    csum_fold(csum_pseudo4(0x0a000001, 0xcb007101, IP_TCP,
			(uint16_t)(s.frame[i].len - L4))));
	}
	assert_int_equal(join(&s), 1);
	/* Of something else than TCP's sum: as it came. */
	s.frame[3].csum_offset = 6;
	join_frames(&s.join, s.list, s.n);
	assert_int_equal(s.join.n, 3);
}

static void
what_is_to_be_cut_already_is_left_alone(void **state)
{
	struct stream s;

	(void)state;
	make(&s, 2);
	s.frame[0].flags = s.frame[1].flags = FRAME_CSUM | FRAME_TSO4;
	join_frames(&s.join, s.list, s.n);
	assert_int_equal(s.join.n, 2);
}

static void
frames_in_pieces_join_too(void **state)
{
	struct stream s;

	(void)state;
	for (uint32_t odd = 0; odd < 2; odd++) {
		make(&s, FRAMES);
		for (unsigned int i = 0; i < FRAMES; i++) {
			struct frame *f = &s.frame[i];
			uint32_t left = f->len - FRAME_HEAD_BYTES;

			f->head = FRAME_HEAD_BYTES;
			f->tail = s.tail[i];
			f->ntail = 2;
			s.tail[i][0] =
			    (struct iovec){ s.bytes[i] + f->head, 100 + odd };
			s.tail[i][1] =
			    (struct iovec){ s.bytes[i] + f->head + 100 + odd,
				    left - 100 - odd };
		}
		/* Sums of odd pieces do not add up: those stay. */
		assert_int_equal(join(&s), odd ? FRAMES : 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_of_a_stream_leave_as_one),
		cmocka_unit_test(a_frame_holds_what_a_packet_may),
		cmocka_unit_test(a_shorter_one_or_a_push_is_the_last),
		cmocka_unit_test(what_is_no_continuation_leaves_as_it_came),
		cmocka_unit_test(padding_and_short_frames_are_left_alone),
		cmocka_unit_test(unfinished_sums_are_finished_behind),
		cmocka_unit_test(what_is_to_be_cut_already_is_left_alone),
		cmocka_unit_test(frames_in_pieces_join_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
