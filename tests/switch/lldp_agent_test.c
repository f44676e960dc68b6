#include "switch/lldp_agent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define S  UINT64_C(1000000000)
#define MS UINT64_C(1000000)

static struct {
	unsigned int sent, goodbyes;
	uint16_t ttl_s;
	uint64_t now_ns, first_ns, last_ns;
} seen;

static void
send(void *arg, unsigned int port, uint16_t ttl_s)
{
	(void)arg;
	assert_int_equal(port, 3);
	if (seen.sent == 0)
		seen.first_ns = seen.now_ns;
	seen.last_ns = seen.now_ns;
	seen.sent++;
	seen.goodbyes += ttl_s == 0;
	seen.ttl_s = ttl_s;
}

static struct lldp_agent *
agent_with(struct lldp_agent_options options)
{
	struct lldp_agent *agent = lldp_agent_new(&options, send, NULL);

	memset(&seen, 0, sizeof(seen));
	assert_non_null(agent);
	assert_int_equal(lldp_agent_add(agent, 3), 0);
	return agent;
}

static struct lldp_agent *
agent_of_both(void)
{
	return agent_with(
	    (struct lldp_agent_options){ .send = true, .receive = true });
}

/* Lets time pass until at_ns, from one due time to the next. */
static void
until(struct lldp_agent *agent, uint64_t at_ns)
{
	for (;;) {
		uint64_t next = lldp_agent_run(agent, seen.now_ns);

		assert_true(next > seen.now_ns);
		if (next > at_ns)
			break;
		seen.now_ns = next;
	}
	seen.now_ns = at_ns;
	(void)lldp_agent_run(agent, at_ns);
}

/* A message of neighbour who (0 to 255), with its TTL. */
static enum reason
hear(struct lldp_agent *agent, unsigned int who, uint16_t ttl_s)
{
	const uint8_t message[] = { 2, 7, 4, 0x52, 0, 0, 0, 0, (uint8_t)who, 4,
		3, 5, 'e', '0', 6, 2, (uint8_t)(ttl_s >> 8), (uint8_t)ttl_s, 0,
		0 };

	return lldp_agent_receive(
	    agent, 3, message, sizeof(message), seen.now_ns);
}

static void
count(void *arg, unsigned int port, const struct lldp *l, uint64_t left_ns)
{
	assert_int_equal(port, 3);
	assert_int_equal(l->chassis.subtype, LLDP_CHASSIS_MAC);
	assert_true(left_ns > 0);
	++*(unsigned int *)arg;
}

static unsigned int
neighbours(const struct lldp_agent *agent)
{
	unsigned int n = 0;

	lldp_agent_each(agent, seen.now_ns, count, &n);
	return n;
}

static void
a_port_that_comes_up_speaks_at_once_then_fast_then_slowly(void **state)
{
	struct lldp_agent *agent = agent_of_both();

	(void)state;
	until(agent, 10 * S);
	assert_int_equal(seen.sent, 0);
	lldp_agent_link(agent, 3, true, seen.now_ns);
	until(agent, 20 * S);
	assert_int_equal(seen.first_ns, 10 * S);
	assert_int_equal(seen.sent, LLDP_FAST);
	assert_int_equal(seen.last_ns, 13 * S);
	assert_int_equal(seen.ttl_s, 121);
	until(agent, 313 * S);
	assert_int_equal(seen.sent, LLDP_FAST + 10);
	assert_int_equal(seen.last_ns, 313 * S);
	lldp_agent_free(agent);
}

static void
a_new_neighbour_hears_of_us_at_once(void **state)
{
	struct lldp_agent *agent = agent_of_both();

	(void)state;
	lldp_agent_link(agent, 3, true, 0);
	until(agent, 20 * S);
	assert_int_equal(hear(agent, 1, 60), REASON_DELIVERED);
	until(agent, 21 * S);
	assert_int_equal(seen.sent, LLDP_FAST + 2);
	/* one that is known does not make it speak */
	until(agent, 25 * S);
	seen.sent = 0;
	assert_int_equal(hear(agent, 1, 60), REASON_DELIVERED);
	until(agent, 30 * S);
	assert_int_equal(seen.sent, 0);
	lldp_agent_free(agent);
}

static void
changes_without_end_leave_once_a_second(void **state)
{
	struct lldp_agent *agent = agent_of_both();

	(void)state;
	lldp_agent_link(agent, 3, true, 0);
	for (int i = 0; i < 1000; i++) {
		lldp_agent_changed(agent, 3, seen.now_ns);
		until(agent, seen.now_ns + 10 * MS);
	}
	assert_in_range(seen.sent, 10, 10 + LLDP_CREDIT);
	lldp_agent_free(agent);
}

static void
neighbours_age_say_goodbye_and_go_with_the_link(void **state)
{
	struct lldp_agent *agent = agent_of_both();

	(void)state;
	lldp_agent_link(agent, 3, true, 0);
	assert_int_equal(hear(agent, 1, 10), REASON_DELIVERED);
	assert_int_equal(hear(agent, 2, 20), REASON_DELIVERED);
	assert_int_equal(hear(agent, 3, 100), REASON_DELIVERED);
	assert_int_equal(neighbours(agent), 3);
	until(agent, 9 * S);
	assert_int_equal(hear(agent, 1, 10), REASON_DELIVERED);
	until(agent, 18 * S);
	assert_int_equal(neighbours(agent), 3);
	until(agent, 19 * S);
	assert_int_equal(neighbours(agent), 2);
	until(agent, 20 * S);
	assert_int_equal(neighbours(agent), 1);
	assert_int_equal(lldp_agent_counts(agent, 3)->aged, 2);
	assert_int_equal(hear(agent, 3, 0), REASON_DELIVERED);
	assert_int_equal(neighbours(agent), 0);
	assert_int_equal(hear(agent, 4, 100), REASON_DELIVERED);
	lldp_agent_link(agent, 3, false, seen.now_ns);
	assert_int_equal(neighbours(agent), 0);
	lldp_agent_free(agent);
}

static void
a_crowd_does_not_push_out_who_was_there(void **state)
{
	struct lldp_agent *agent = agent_of_both();

	(void)state;
	lldp_agent_link(agent, 3, true, 0);
	for (unsigned int i = 0; i < 200; i++)
		assert_int_equal(hear(agent, i, 100), REASON_DELIVERED);
	assert_int_equal(neighbours(agent), LLDP_NEIGHBOURS);
	assert_int_equal(
	    lldp_agent_counts(agent, 3)->crowded, 200 - LLDP_NEIGHBOURS);
	assert_int_equal(hear(agent, 0, 0), REASON_DELIVERED);
	assert_int_equal(neighbours(agent), LLDP_NEIGHBOURS - 1);
	assert_int_equal(hear(agent, 150, 100), REASON_DELIVERED);
	assert_int_equal(neighbours(agent), LLDP_NEIGHBOURS);
	lldp_agent_free(agent);
}

static void
what_is_wrong_or_too_long_is_refused(void **state)
{
	struct lldp_agent *agent = agent_of_both();
	uint8_t *big = calloc(1, LLDP_MAX_BYTES + 1);

	(void)state;
	assert_non_null(big);
	lldp_agent_link(agent, 3, true, 0);
	assert_int_equal(lldp_agent_receive(agent, 3, big, 20, 0), DROP_LLDP);
	assert_int_equal(lldp_agent_receive(agent, 3, big, 0, 0), DROP_SHORT);
	assert_int_equal(
	    lldp_agent_receive(agent, 3, big, LLDP_MAX_BYTES + 1, 0),
	    DROP_LLDP);
	assert_int_equal(lldp_agent_counts(agent, 3)->refused, 3);
	assert_int_equal(neighbours(agent), 0);
	free(big);
	lldp_agent_free(agent);
}

static void
sending_and_receiving_can_be_switched_off_alone(void **state)
{
	struct lldp_agent *agent =
	    agent_with((struct lldp_agent_options){ .receive = true });

	(void)state;
	lldp_agent_link(agent, 3, true, 0);
	assert_int_equal(hear(agent, 1, 60), REASON_DELIVERED);
	until(agent, 50 * S);
	assert_int_equal(seen.sent, 0);
	assert_int_equal(neighbours(agent), 1);
	lldp_agent_free(agent);

	agent = agent_with((struct lldp_agent_options){
	    .send = true, .interval_ns = 1500 * MS, .hold = 3 });
	lldp_agent_link(agent, 3, true, 0);
	assert_int_equal(hear(agent, 1, 60), REASON_DELIVERED);
	until(agent, 10 * S);
	assert_in_range(seen.sent, LLDP_FAST + 4, LLDP_FAST + 5);
	assert_int_equal(seen.ttl_s, 6);
	assert_int_equal(neighbours(agent), 0);
	lldp_agent_free(agent);
}

static void
a_switch_that_stops_says_goodbye(void **state)
{
	struct lldp_agent *agent = agent_of_both();

	(void)state;
	lldp_agent_stop(agent, seen.now_ns);
	assert_int_equal(seen.sent, 0);
	lldp_agent_link(agent, 3, true, 0);
	until(agent, S);
	lldp_agent_stop(agent, seen.now_ns);
	assert_int_equal(seen.goodbyes, 1);
	lldp_agent_remove(agent, 3);
	assert_int_equal(lldp_agent_add(agent, 3), 0);
	lldp_agent_free(agent);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_port_that_comes_up_speaks_at_once_then_fast_then_slowly),
		cmocka_unit_test(a_new_neighbour_hears_of_us_at_once),
		cmocka_unit_test(changes_without_end_leave_once_a_second),
		cmocka_unit_test(
		    neighbours_age_say_goodbye_and_go_with_the_link),
		cmocka_unit_test(a_crowd_does_not_push_out_who_was_there),
		cmocka_unit_test(what_is_wrong_or_too_long_is_refused),
		cmocka_unit_test(
		    sending_and_receiving_can_be_switched_off_alone),
		cmocka_unit_test(a_switch_that_stops_says_goodbye),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
