/*
 * The STUN server, its partner, and the examination, on a wire without a NAT:
 * alice asks bob, and is his partner herself.
 */
#include "tests/guest/wire.h"

#include <stdio.h>

#include "vmm/guest/stun_ask.h"

#define ALICE 0x0a000001u
#define BOB   0x0a000002u

struct bench {
	struct wire *wire;
	struct wire_shell shells[2];
	struct asker asker;
	struct udpsock *sock;
};

static int
setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->wire = wire_new(7);
	wire_station(b->wire, 0, "10.0.0.1/24");
	wire_station(b->wire, 1, "10.0.0.2/24");
	for (unsigned int i = 0; i < 2; i++)
		wire_shell_init(&b->shells[i], b->wire, i);
	asker_init(&b->asker, &b->shells[0].shell);
	b->sock = asker_socket(&b->asker, 5000);
	assert_non_null(b->sock);
	wire_pass(b->wire, 10 * US_PER_MS);
	*state = b;
	return 0;
}

static int
teardown(void **state)
{
	struct bench *b = *state;

	wire_free(b->wire);
	free(b);
	return 0;
}

static void
run(struct bench *b, unsigned int who, const char *line, int status)
{
	assert_int_equal(wire_shell_run(&b->shells[who], line), status);
}

static struct question
to_bob(struct bench *b)
{
	return (struct question){ .sock = b->sock, .to = { BOB, STUN_PORT } };
}

static void
a_server_tells_where_from(void **state)
{
	struct bench *b = *state;
	struct question q = to_bob(b);
	const struct stun *a = &b->asker.answer;

	assert_false(asker_ask(&b->asker, &q));
	run(b, 1, "stund on", 0);
	assert_true(asker_ask(&b->asker, &q));
	assert_int_equal(a->mapped.ip, ALICE);
	assert_int_equal(a->mapped.port, 5000);
	assert_int_equal(a->origin.ip, BOB);
	assert_int_equal(a->origin.port, STUN_PORT);
	assert_int_equal(a->other.ip, 0);
	assert_int_equal(b->asker.from.ip, BOB);
	assert_int_equal(b->asker.from.port, STUN_PORT);
	run(b, 1, "stund off", 0);
	assert_false(asker_ask(&b->asker, &q));
}

static void
it_answers_by_its_other_port_and_to_another(void **state)
{
	struct bench *b = *state;
	struct question q = to_bob(b);
	struct udpsock *hear = asker_socket(&b->asker, 5001);

	run(b, 1, "stund on", 0);
	q.change_port = true;
	assert_true(asker_ask(&b->asker, &q));
	assert_int_equal(b->asker.from.port, STUN_PORT + 1);
	q.hear = hear;
	q.response_port = 5001;
	assert_true(asker_ask(&b->asker, &q));
	assert_int_equal(b->asker.answer.mapped.port, 5000);
	/* It has no other address, and does not act as if. */
	q.change_ip = true;
	assert_false(asker_ask(&b->asker, &q));
}

static void
its_partner_answers_from_the_other_address(void **state)
{
	struct bench *b = *state;
	struct question q = to_bob(b);

	run(b, 1, "stund 10.0.0.1", 0);
	run(b, 0, "stund 10.0.0.2", 0);
	q.change_ip = q.change_port = true;
	assert_true(asker_ask(&b->asker, &q));
	assert_int_equal(b->asker.from.ip, ALICE);
	assert_int_equal(b->asker.from.port, STUN_PORT + 1);
	assert_int_equal(b->asker.answer.mapped.port, 5000);
	assert_int_equal(b->asker.answer.other.ip, BOB);
}

static void
strangers_cannot_have_it_answer_others(void **state)
{
	struct bench *b = *state;
	struct question q = to_bob(b);
	struct udpsock *hear = asker_socket(&b->asker, 5001);

	q.hear = hear;
	q.respond_to = (struct stun_end){ ALICE, 5001 };
	run(b, 1, "stund on", 0);
	assert_false(asker_ask(&b->asker, &q));
	run(b, 1, "stund 10.0.0.9", 0);
	assert_false(asker_ask(&b->asker, &q));
	run(b, 1, "stund 10.0.0.1", 0);
	assert_true(asker_ask(&b->asker, &q));
}

static void
long_answers_come_in_fragments_in_either_order(void **state)
{
	struct bench *b = *state;
	struct question q = to_bob(b);

	run(b, 1, "stund on", 0);
	q.padding_bytes = 3000;
	for (int reversed = 0; reversed < 2; reversed++) {
		q.last_first = reversed;
		assert_true(asker_ask(&b->asker, &q));
		assert_int_equal(b->asker.answer.padding_bytes, 3000);
	}
}

static void
assert_found(const struct wire_shell *s, const char *what, const char *found)
{
	char line[64];

	snprintf(line, sizeof(line), "%-19s %-27s ", what, found);
	if (strstr(s->text, line) == NULL)
		fail_msg("no \"%s\" in:\n%s", line, s->text);
}

static void
without_a_nat_there_is_none(void **state)
{
	struct bench *b = *state;
	struct wire_shell *s = &b->shells[0];

	run(b, 1, "stund 10.0.0.1", 0);
	run(b, 0, "stund 10.0.0.2", 0);
	run(b, 0, "nattest -t 3 10.0.0.2", 0);
	assert_found(s, "translation", "none");
	assert_found(s, "mapping", "endpoint-independent");
	assert_found(s, "filtering", "endpoint-independent");
	assert_found(s, "ports", "preserving");
	assert_found(s, "parity", "unknown");
	assert_found(s, "icmp-errors", "translated");
	assert_found(s, "fragments", "passed");
	assert_found(s, "fragments-reversed", "passed");
	assert_found(s, "udp-idle", ">3.00s");
	assert_found(s, "udp-one-way", ">3.00s");
}

static void
a_lossy_wire_changes_no_finding(void **state)
{
	struct bench *b = *state;

	b->wire->lose = 50;
	b->wire->twice = 50;
	b->wire->late = 100;
	b->wire->late_us = 20000;
	without_a_nat_there_is_none(state);
}

static void
servers_that_cannot_do_are_told_apart(void **state)
{
	struct bench *b = *state;
	struct wire_shell *s = &b->shells[0];

	run(b, 0, "nattest 10.0.0.2", STATUS_FAILED);
	assert_non_null(strstr(s->text, "does not answer"));
	run(b, 1, "stund on", 0);
	run(b, 0, "nattest 10.0.0.2", STATUS_FAILED);
	assert_non_null(strstr(s->text, "has no other address"));
	run(b, 0, "nattest", STATUS_ERROR);
	run(b, 0, "nattest -t x 10.0.0.2", STATUS_ERROR);
	run(b, 0, "nattest 10.0.0.2:x", STATUS_ERROR);
	run(b, 0, "stund a b", STATUS_ERROR);
	run(b, 1, "stund 10.0.0.1", 0);
	run(b, 0, "nattest -b 10.0.0.2:7777 10.0.0.2", STATUS_FAILED);
	assert_non_null(strstr(s->text, "run nattest -n there"));
}

static void
it_can_be_interrupted(void **state)
{
	struct bench *b = *state;
	struct wire_shell *s = &b->shells[0];

	run(b, 1, "stund 10.0.0.1", 0);
	run(b, 0, "stund 10.0.0.2", 0);
	s->interrupt_us = b->wire->now_us + 5 * US_PER_S;
	run(b, 0, "nattest -t 1000 10.0.0.2", STATUS_INTERRUPTED);
	s->interrupt_us = b->wire->now_us + 5 * US_PER_S;
	run(b, 0, "nattest -n 10.0.0.2", STATUS_INTERRUPTED);
	assert_non_null(strstr(s->text, "neighbour 10.0.0.1:"));
	/* Nothing is left behind. */
	run(b, 0, "stund off", 0);
	run(b, 0, "netstat", 0);
	assert_non_null(strstr(s->text, "udp *:5000"));
	assert_null(strstr(strstr(s->text, "udp *:5000") + 1, "udp "));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_server_tells_where_from),
		TEST(it_answers_by_its_other_port_and_to_another),
		TEST(its_partner_answers_from_the_other_address),
		TEST(strangers_cannot_have_it_answer_others),
		TEST(long_answers_come_in_fragments_in_either_order),
		TEST(without_a_nat_there_is_none),
		TEST(a_lossy_wire_changes_no_finding),
		TEST(servers_that_cannot_do_are_told_apart),
		TEST(it_can_be_interrupted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
