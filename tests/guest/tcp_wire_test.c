/*
 * Two stacks on a wire that loses, doubles and reorders: every byte arrives,
 * once, in its place, both ways, and both ends close.
 */
#include "tests/guest/wire.h"

#include "vmm/guest/services.h"

#define TOTAL_BYTES 1200000u
#define PORT        5000

static uint8_t
byte_at(uint32_t seed, size_t i)
{
	uint32_t x = (uint32_t)i * 2654435761u ^ seed;

	return (uint8_t)(x >> 24 ^ x >> 11 ^ i);
}

/* One end: what it still has to send, and has received. */
struct end {
	struct tcpconn *conn;
	uint32_t out_seed, in_seed;
	size_t sent, received, total;
	bool closed;
};

static void
end_send(struct end *e)
{
	uint8_t piece[1000];
	size_t n, took;

	while (e->sent < e->total) {
		n = e->total - e->sent;
		if (n > sizeof(piece))
			n = sizeof(piece);
		for (size_t i = 0; i < n; i++)
			piece[i] = byte_at(e->out_seed, e->sent + i);
		took = tcpconn_write(e->conn, piece, n);
		e->sent += took;
		if (took < n)
			return;
	}
	tcpconn_finish(e->conn);
}

static void
end_receive(struct end *e)
{
	uint8_t piece[1777];
	size_t n;

	while ((n = tcpconn_read(e->conn, piece, sizeof(piece))) > 0) {
		for (size_t i = 0; i < n; i++)
			if (piece[i] != byte_at(e->in_seed, e->received + i))
				fail_msg("byte %zu is wrong", e->received + i);
		e->received += n;
	}
}

static void
end_step(struct end *e)
{
	if (e->conn == NULL || e->closed)
		return;
	assert_int_equal(e->conn->error, TCP_NO_ERROR);
	end_receive(e);
	end_send(e);
	if (tcpconn_ended(e->conn) && e->sent == e->total &&
	    tcpconn_flushed(e->conn)) {
		tcpconn_close(e->conn);
		e->closed = true;
	}
}

struct lossy {
	unsigned int lose, twice, late, small_mss;
	uint64_t seed;
	bool ip6;
};

/* An address of IPv6 for each of the two, after which nobody looks any more. */
static void
give_ip6(struct wire *wire)
{
	char text[2][32] = { "2001:db8::1/64", "2001:db8::2/64" };

	for (unsigned int i = 0; i < 2; i++)
		assert_null(ipv6_configure(wire->station[i]->nif, text[i]));
	wire_pass(wire, 20 * US_PER_S);
}

static void
transfer(const struct lossy *how)
{
	struct wire *wire = wire_new(how->seed);
	struct stack *a = wire_station(wire, 0, "10.0.0.1/24");
	struct stack *b = wire_station(wire, 1, "10.0.0.2/24");
	bool wake_a = false, wake_b = false, wake_l = false;
	struct tcplisten *l = tcplisten_new(b, PORT, &wake_l);
	struct end ends[2] = {
		{ .out_seed = 1, .in_seed = 2, .total = TOTAL_BYTES },
		{ .out_seed = 2, .in_seed = 1, .total = TOTAL_BYTES / 4 },
	};
	struct tcp_to to = { .dst = ip6_of_ip4(0x0a000002), .dport = PORT };
	enum reason why;
	uint64_t began_us;

	if (how->ip6) {
		give_ip6(wire);
		assert_true(ip6_read(&to.dst, "2001:db8::2"));
	}
	began_us = wire->now_us;
	if (how->small_mss)
		netif_mtu(wire->station[0]->nif, 576);
	wire->lose = how->lose;
	wire->twice = how->twice;
	wire->late = how->late;
	wire->late_us = 3000;
	wire_round(wire);
	ends[0].conn = tcpconn_open(a, &to, &wake_a, &why);
	assert_non_null(ends[0].conn);
	assert_true(ip_is4(&ends[0].conn->local) == !how->ip6);
	while (!ends[0].closed || !ends[1].closed) {
		const uint64_t next_us = wire_next_us(wire);

		assert_true(next_us != TIMER_NEVER);
		assert_true(wire->now_us < 4000 * US_PER_S);
		if (next_us > wire->now_us)
			wire->now_us = next_us;
		wire_round(wire);
		if (ends[1].conn == NULL && wake_l) {
			ends[1].conn = tcplisten_accept(b, l);
			if (ends[1].conn != NULL)
				ends[1].conn->wake = &wake_b;
		}
		end_step(&ends[0]);
		end_step(&ends[1]);
		wire_round(wire);
	}
	assert_int_equal(ends[0].received, TOTAL_BYTES / 4);
	assert_int_equal(ends[1].received, TOTAL_BYTES);
	if (how->lose == 0 && how->late == 0) {
		/* A window per round trip of 1 ms, and nothing twice. */
		assert_true(wire->now_us - began_us < US_PER_S * 3 / 10);
		assert_int_equal(a->tcp.conn[0].retransmits, 0);
		assert_int_equal(b->tcp.conn[0].retransmits, 0);
	}
	/* TIME-WAIT, then nothing is left. */
	wire_pass(wire, 200 * US_PER_S);
	for (unsigned int i = 0; i < TCPCONNS; i++) {
		assert_int_equal(a->tcp.conn[i].state, TCP_CLOSED);
		assert_int_equal(b->tcp.conn[i].state, TCP_CLOSED);
	}
	assert_int_equal(l->pending, 0);
	assert_true(how->lose == 0 || wire->lost > 20);
	wire_free(wire);
}

static void
a_clean_wire_carries_every_byte(void **state)
{
	const struct lossy how = { .seed = 1 };

	(void)state;
	transfer(&how);
}

static void
a_lossy_wire_carries_every_byte(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 3; seed++) {
		const struct lossy how = { .lose = 30, .seed = seed };

		transfer(&how);
	}
}

static void
a_very_lossy_wire_carries_every_byte(void **state)
{
	const struct lossy how = { .lose = 100, .seed = 7 };

	(void)state;
	transfer(&how);
}

static void
a_wire_that_reorders_and_doubles_carries_every_byte(void **state)
{
	const struct lossy hows[] = {
		{ .twice = 50, .late = 200, .seed = 1 },
		{ .lose = 20, .twice = 20, .late = 100, .seed = 2 },
		{ .lose = 50, .twice = 200, .late = 300, .seed = 3 },
		{ .lose = 20, .late = 50, .small_mss = 1, .seed = 4 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(hows) / sizeof(hows[0]); i++)
		transfer(&hows[i]);
}

static void
over_ipv6_it_is_the_same(void **state)
{
	const struct lossy hows[] = {
		{ .seed = 1, .ip6 = true },
		{ .lose = 50,
		    .twice = 200,
		    .late = 300,
		    .seed = 3,
		    .ip6 = true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(hows) / sizeof(hows[0]); i++)
		transfer(&hows[i]);
}

/* As many connections as there are, to the echo service, at once. */
static void
many_connections_echo_at_once(void **state)
{
	struct wire *wire = wire_new(3);
	struct stack *a = wire_station(wire, 0, "10.0.0.1/24");
	struct stack *b = wire_station(wire, 1, "10.0.0.2/24");
	struct end ends[TCPCONNS - 8] = { 0 };
	const size_t n = sizeof(ends) / sizeof(ends[0]);
	const struct tcp_to to = { .dst = ip6_of_ip4(0x0a000002),
		.dport = PORT_ECHO };
	enum reason why;
	size_t closed = 0;

	(void)state;
	wire->lose = 10;
	services_start(b);
	for (size_t i = 0; i < n; i++) {
		ends[i] = (struct end){
			.out_seed = (uint32_t)i,
			.in_seed = (uint32_t)i,
			.total = 30000 + 100 * i,
		};
		ends[i].conn = tcpconn_open(a, &to, NULL, &why);
		assert_non_null(ends[i].conn);
		wire_pass(wire, 10 * US_PER_MS);
	}
	while (closed < n) {
		const uint64_t next_us = wire_next_us(wire);

		assert_true(wire->now_us < 1000 * US_PER_S);
		if (next_us > wire->now_us && next_us != TIMER_NEVER)
			wire->now_us = next_us;
		wire_round(wire);
		closed = 0;
		for (size_t i = 0; i < n; i++) {
			end_step(&ends[i]);
			closed += ends[i].closed;
		}
		wire_round(wire);
	}
	for (size_t i = 0; i < n; i++)
		assert_int_equal(ends[i].received, 30000 + 100 * i);
	wire_free(wire);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_clean_wire_carries_every_byte),
		cmocka_unit_test(a_lossy_wire_carries_every_byte),
		cmocka_unit_test(a_very_lossy_wire_carries_every_byte),
		cmocka_unit_test(
		    a_wire_that_reorders_and_doubles_carries_every_byte),
		cmocka_unit_test(over_ipv6_it_is_the_same),
		cmocka_unit_test(many_connections_echo_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
