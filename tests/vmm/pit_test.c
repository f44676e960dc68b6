/*
 * The 8254: what guests do with it, and each mode against a model that ticks.
 *
 * The model is the data sheet taken literally: one step for each period of the
 * clock.  The code under test has no steps, so the two share nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "vmm/chips/pit.h"

#define NS_PER_S UINT64_C(1000000000)

/* An instant within a tick. */
static uint64_t
ns(uint64_t tick)
{
	return (tick * NS_PER_S + PIT_HZ - 1) / PIT_HZ + 100;
}

static int
setup(void **state)
{
	struct pit *pit = malloc(sizeof(*pit));

	pit_init(pit);
	*state = pit;
	return 0;
}

static int
teardown(void **state)
{
	free(*state);
	return 0;
}

static void
program(struct pit *pit, unsigned int counter, unsigned int mode,
    uint16_t count, uint64_t tick)
{
	uint16_t port = (uint16_t)(PIT_PORT + counter);

	pit_write(pit, PIT_PORT_CONTROL,
	    (uint8_t)(counter << 6 | 0x30 | mode << 1), ns(tick));
	pit_write(pit, port, (uint8_t)count, ns(tick));
	pit_write(pit, port, (uint8_t)(count >> 8), ns(tick));
}

static unsigned int
latched(struct pit *pit, unsigned int counter, uint64_t tick)
{
	uint16_t port = (uint16_t)(PIT_PORT + counter);
	unsigned int low;

	pit_write(pit, PIT_PORT_CONTROL, (uint8_t)(counter << 6), ns(tick));
	low = pit_read(pit, port, ns(tick));
	return low | (unsigned int)pit_read(pit, port, ns(tick)) << 8;
}

/* ---- what guests do ---- */

static void
at_first_nothing_ticks(void **state)
{
	struct pit *pit = *state;

	assert_true(pit_next_rise_ns(pit, 0) == PIT_NEVER);
	assert_true(pit_next_rise_ns(pit, 100 * NS_PER_S) == PIT_NEVER);
	assert_int_equal(pit_read(pit, PIT_PORT_CONTROL, 0), 0xff);
}

/* 11,932 is 100 Hz: after an hour there were 360,000 ticks less the error of
 * the count, which is not zero, and none of ours. */
static void
rate_generator_does_not_drift(void **state)
{
	struct pit *pit = *state;
	uint64_t now_ns = ns(0), rises = 0;

	program(pit, 0, 2, 11932, 0);
	for (;;) {
		uint64_t at_ns = pit_next_rise_ns(pit, now_ns);

		assert_true(at_ns > now_ns);
		assert_true(pit_out(pit, 0, at_ns));
		assert_false(pit_out(pit, 0, at_ns - 1));
		if (at_ns > 3600 * NS_PER_S)
			break;
		now_ns = at_ns;
		rises++;
	}
	assert_int_equal(rises, (UINT64_C(3600) * PIT_HZ - 1) / 11932);
}

static void
many_periods_at_once_lead_to_the_next_one(void **state)
{
	struct pit *pit = *state;
	uint64_t at_ns;

	program(pit, 0, 2, 1000, 0);
	at_ns = pit_next_rise_ns(pit, ns(123456789));
	assert_true(at_ns <= ns(123457001) && at_ns > ns(123457000) - 1000);
}

static void
one_shot_fires_once(void **state)
{
	struct pit *pit = *state;
	uint64_t at_ns;

	program(pit, 0, 4, 1000, 50);
	at_ns = pit_next_rise_ns(pit, ns(50));
	assert_int_equal(at_ns / 1000, ns(50 + 1 + 1000 + 1) / 1000);
	assert_true(pit_next_rise_ns(pit, at_ns) == PIT_NEVER);
}

static void
terminal_count_raises_out_and_a_new_count_lowers_it(void **state)
{
	struct pit *pit = *state;

	program(pit, 0, 0, 100, 0);
	assert_false(pit_out(pit, 0, ns(0)));
	assert_false(pit_out(pit, 0, ns(100)));
	assert_true(pit_out(pit, 0, ns(101)));
	assert_true(pit_out(pit, 0, ns(100000)));
	assert_true(pit_next_rise_ns(pit, ns(101)) == PIT_NEVER);
	pit_write(pit, PIT_PORT, 10, ns(200000));
	assert_false(pit_out(pit, 0, ns(200000)));
	pit_write(pit, PIT_PORT, 0, ns(200001));
	assert_false(pit_out(pit, 0, ns(200011)));
	assert_true(pit_out(pit, 0, ns(200012)));
}

/* As Linux measures the TSC: counter 2 by the speaker's gate, one shot, and
 * then it polls OUT at port 0x61. */
static void
speaker_port_gates_counter_2_and_shows_its_out(void **state)
{
	struct pit *pit = *state;
	const uint16_t count = PIT_HZ / 20;

	pit_write(pit, PIT_PORT_SPEAKER,
	    (pit_read(pit, PIT_PORT_SPEAKER, ns(1)) & ~2) | 1, ns(1));
	program(pit, 2, 0, count, 10);
	assert_int_equal(pit_read(pit, PIT_PORT_SPEAKER, ns(11)) & 0x2f, 0x01);
	assert_int_equal(
	    pit_read(pit, PIT_PORT_SPEAKER, ns(10 + count)) & 0x20, 0);
	assert_int_equal(
	    pit_read(pit, PIT_PORT_SPEAKER, ns(11 + count)) & 0x20, 0x20);
}

static void
closed_gate_holds_the_count(void **state)
{
	struct pit *pit = *state;

	pit_write(pit, PIT_PORT_SPEAKER, 1, ns(0));
	program(pit, 2, 0, 1000, 0);
	pit_write(pit, PIT_PORT_SPEAKER, 0, ns(401));
	assert_int_equal(latched(pit, 2, 402), 600);
	assert_int_equal(latched(pit, 2, 90000), 600);
	pit_write(pit, PIT_PORT_SPEAKER, 1, ns(100000));
	assert_int_equal(latched(pit, 2, 100100), 500);
	assert_false(pit_out(pit, 2, ns(100599)));
	assert_true(pit_out(pit, 2, ns(100600)));
}

static void
refresh_bit_toggles(void **state)
{
	struct pit *pit = *state;
	unsigned int changes = 0, was = 0;

	for (uint64_t now_ns = 0; now_ns < 1000000; now_ns += 1000) {
		unsigned int is =
		    pit_read(pit, PIT_PORT_SPEAKER, now_ns) & 0x10;

		changes += is != was;
		was = is;
	}
	assert_in_range(changes, 55, 70);
}

static void
speaker_port_keeps_its_lower_four_bits(void **state)
{
	struct pit *pit = *state;

	pit_write(pit, PIT_PORT_SPEAKER, 0xff, 0);
	assert_int_equal(pit_read(pit, PIT_PORT_SPEAKER, 0) & 0xdf, 0x0f);
}

/* ---- reading ---- */

static void
latch_stays_until_it_is_read(void **state)
{
	struct pit *pit = *state;

	program(pit, 0, 2, 0, 0); /* 65,536 */
	pit_write(pit, PIT_PORT_CONTROL, 0x00, ns(1 + 0x1234));
	pit_write(pit, PIT_PORT_CONTROL, 0x00, ns(1 + 0x2234)); /* no effect */
	assert_int_equal(pit_read(pit, PIT_PORT, ns(0x5000)), 0xcc);
	assert_int_equal(pit_read(pit, PIT_PORT, ns(0x6000)), 0xed);
	assert_int_equal(pit_read(pit, PIT_PORT, ns(1 + 0x7002)), 0xfe);
	assert_int_equal(pit_read(pit, PIT_PORT, ns(1 + 0x7002)), 0x8f);
}

static void
read_back_latches_status_and_count(void **state)
{
	struct pit *pit = *state;

	program(pit, 0, 3, 1000, 0);
	pit_write(pit, PIT_PORT_CONTROL, 0xe2, ns(0)); /* status alone */
	assert_int_equal(pit_read(pit, PIT_PORT, ns(0)), 0xf6); /* null count */
	pit_write(pit, PIT_PORT_CONTROL, 0xc2, ns(101));        /* both */
	assert_int_equal(pit_read(pit, PIT_PORT, ns(300)), 0xb6);
	assert_int_equal(pit_read(pit, PIT_PORT, ns(300)), (1000 - 200) & 0xff);
	assert_int_equal(pit_read(pit, PIT_PORT, ns(300)), (1000 - 200) >> 8);
	pit_write(pit, PIT_PORT_CONTROL, 0xe2, ns(501)); /* OUT is low */
	assert_int_equal(pit_read(pit, PIT_PORT, ns(501)), 0x36);
}

/* A count in mode 3 that is not yet taken shows as null, and is then. */
static void
new_rate_waits_for_the_end_of_the_half_cycle(void **state)
{
	struct pit *pit = *state;

	program(pit, 0, 3, 1000, 0); /* taken at tick 1 */
	pit_write(pit, PIT_PORT, 100, ns(200));
	pit_write(pit, PIT_PORT, 0, ns(200));
	pit_write(pit, PIT_PORT_CONTROL, 0xe2, ns(500));
	assert_int_equal(pit_read(pit, PIT_PORT, ns(500)), 0xf6);
	assert_false(pit_out(pit, 0, ns(501)));
	assert_false(pit_out(pit, 0, ns(550)));
	assert_true(pit_out(pit, 0, ns(551)));
	assert_true(pit_out(pit, 0, ns(600)));
	assert_false(pit_out(pit, 0, ns(601)));
}

static void
single_bytes_are_read_and_written_where_asked(void **state)
{
	struct pit *pit = *state;

	pit_write(pit, PIT_PORT_CONTROL, 0x14, ns(0)); /* low, mode 2 */
	pit_write(pit, PIT_PORT, 200, ns(0));
	assert_int_equal(pit_read(pit, PIT_PORT, ns(51)), 150);
	pit_write(pit, PIT_PORT_CONTROL, 0x24, ns(100)); /* high */
	pit_write(pit, PIT_PORT, 2, ns(100));
	assert_int_equal(pit_read(pit, PIT_PORT, ns(101 + 256)), 1);
}

static void
bcd_counts_in_tens(void **state)
{
	struct pit *pit = *state;

	pit_write(pit, PIT_PORT_CONTROL, 0x35, ns(0));
	pit_write(pit, PIT_PORT, 0x00, ns(0));
	pit_write(pit, PIT_PORT, 0x10, ns(0)); /* 1000 */
	assert_int_equal(latched(pit, 0, 2), 0x0999);
	assert_int_equal(latched(pit, 0, 1 + 345), 0x0655);
	assert_int_equal(latched(pit, 0, 1 + 1000), 0x1000);
	pit_write(pit, PIT_PORT_CONTROL, 0x31, ns(2000)); /* mode 0, 10,000 */
	pit_write(pit, PIT_PORT, 0, ns(2000));
	pit_write(pit, PIT_PORT, 0, ns(2000));
	assert_int_equal(latched(pit, 0, 2002), 0x9999);
	assert_int_equal(latched(pit, 0, 2001 + 10001), 0x9999);
}

static void
count_of_one_is_not_faster_than_the_clock(void **state)
{
	struct pit *pit = *state;

	for (unsigned int mode = 2; mode <= 3; mode++) {
		uint64_t at_ns;

		program(pit, 0, mode, 1, 10);
		at_ns = pit_next_rise_ns(pit, ns(100));
		assert_true(at_ns > ns(100) && at_ns <= ns(102));
	}
}

/* ---- the model ---- */

struct model {
	unsigned int mode;
	int bcd;
	uint32_t cr, ce; /* count register, counting element */
	int full;        /* cr is yet to be taken */
	int running;     /* a count has been taken */
	int gate, rose, out, struck;
	int low, odd; /* mode 3: in which half, of what */
};

static uint32_t
wrap(const struct model *m)
{
	return m->bcd ? 10000 : 65536;
}

static void
model_control(struct model *m, unsigned int mode, int bcd)
{
	m->mode = mode;
	m->bcd = bcd;
	m->full = m->running = m->rose = m->struck = m->low = 0;
	m->out = mode != 0;
}

static void
model_count(struct model *m, uint32_t n)
{
	m->cr = n != 0 ? n : wrap(m);
	m->full = 1;
	if (m->mode == 0)
		m->out = 0;
}

static void
model_gate(struct model *m, int level)
{
	if (level && !m->gate)
		m->rose = 1;
	m->gate = level;
	if (!level && (m->mode == 2 || m->mode == 3))
		m->out = 1;
}

static void
model_load(struct model *m)
{
	m->ce = m->cr;
	m->odd = m->cr & 1;
	if (m->mode == 3)
		m->ce &= ~1u;
	m->full = 0;
	m->running = 1;
	m->struck = 0;
}

/* Modes 0, 1, 4 and 5 count down and on. */
static void
model_down(struct model *m)
{
	m->ce = (m->ce + wrap(m) - 1) % wrap(m);
	if (m->mode >= 4)
		m->out = 1;
	if (m->ce != 0 || m->struck)
		return;
	m->struck = 1;
	m->out = m->mode < 2;
}

static void
model_square(struct model *m)
{
	/* An odd count is high for one more tick: it goes on to 0. */
	uint32_t last = !m->low && m->odd ? 0 : 2;

	if (m->ce > last) {
		m->ce -= 2;
		return;
	}
	m->low = !m->low;
	m->out = !m->low;
	model_load(m);
}

static void
model_step(struct model *m)
{
	int rose = m->rose;

	m->rose = 0;
	switch (m->mode) {
	case 0:
	case 4:
		if (m->full) {
			model_load(m);
			if (m->mode == 4)
				m->out = 1;
		} else if (m->running && m->gate)
			model_down(m);
		else if (m->mode == 4)
			m->out = 1;
		break;
	case 1:
	case 5:
		if (rose && (m->full || m->running)) {
			model_load(m);
			m->out = m->mode == 5;
		} else if (m->running)
			model_down(m);
		break;
	case 2:
		if ((m->full && !m->running) || (rose && m->running)) {
			model_load(m);
			m->out = 1;
		} else if (m->running && m->gate) {
			if (m->ce == 1)
				model_load(m);
			else
				m->ce--;
			m->out = m->ce != 1;
		}
		break;
	case 3:
		if ((m->full && !m->running) || (rose && m->running)) {
			model_load(m);
			m->low = 0;
			m->out = 1;
		} else if (m->running && m->gate)
			model_square(m);
		break;
	}
}

static uint32_t
next_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + 1;
	return (uint32_t)(*seed >> 33);
}

static uint32_t
of_bcd(uint32_t v)
{
	return (v >> 12) * 1000 + (v >> 8 & 15) * 100 + (v >> 4 & 15) * 10 +
	    (v & 15);
}

static uint32_t
to_bcd(uint32_t v)
{
	return v / 1000 % 10 << 12 | v / 100 % 10 << 8 | v / 10 % 10 << 4 |
	    v % 10;
}

static void
give_count(struct pit *pit, struct model *m, uint32_t n, uint64_t tick)
{
	uint32_t v = m->bcd ? to_bcd(n) : n;

	pit_write(pit, PIT_PORT + 2, (uint8_t)v, ns(tick));
	pit_write(pit, PIT_PORT + 2, (uint8_t)(v >> 8), ns(tick));
	model_count(m, n);
}

/* A random life of counter 2 in one mode, short counts so that much happens. */
static void
compare(struct pit *pit, unsigned int mode, uint64_t seed)
{
	struct model m = { .gate = 0 };
	int bcd = seed & 1;
	uint64_t start = seed * 1000000;

	pit_init(pit);
	for (uint64_t tick = start; tick < start + 3000; tick++) {
		uint32_t dice = next_random(&seed) % 100, value;
		/* A count of 1 is for modes that allow it. */
		uint32_t n =
		    1 + (mode == 2 || mode == 3) + next_random(&seed) % 40;

		if (tick == start || dice == 0) {
			pit_write(pit, PIT_PORT_CONTROL,
			    (uint8_t)(0xb0 | mode << 1 | bcd), ns(tick));
			model_control(&m, mode, bcd);
		} else if (dice < 4) {
			give_count(pit, &m, n, tick);
		} else if (dice < 12 && !(mode == 4 && !m.out)) {
			model_gate(&m, !m.gate);
			pit_write(
			    pit, PIT_PORT_SPEAKER, (uint8_t)m.gate, ns(tick));
		}
		if (pit_out(pit, 2, ns(tick)) != m.out)
			fail_msg("mode %u, tick %lu: OUT is not %d", mode,
			    tick - start, m.out);
		value = latched(pit, 2, tick);
		if (m.running && !m.full &&
		    (bcd ? of_bcd(value) : value) != m.ce % wrap(&m))
			fail_msg("mode %u, tick %lu: counter is %u, not %u",
			    mode, tick - start, value, m.ce);
		model_step(&m);
	}
}

static void
every_mode_is_as_the_data_sheet_ticks(void **state)
{
	for (unsigned int mode = 0; mode <= 5; mode++)
		for (uint64_t seed = 1; seed <= 60; seed++)
			compare(*state, mode, seed);
}

/* What is announced is what happens: rises found by looking at each tick. */
static void
announced_rises_are_all_there_are(void **state)
{
	struct pit *pit = *state;
	static const unsigned int modes[] = { 0, 2, 3, 4 };

	for (uint64_t seed = 1; seed <= 40; seed++) {
		uint64_t random = seed, next_ns = PIT_NEVER,
			 base = seed * 99999;
		bool was = true;

		pit_init(pit);
		for (uint64_t tick = base; tick < base + 2000; tick++) {
			bool wrote = next_random(&random) % 50 == 0, is;

			is = pit_out(pit, 0, ns(tick));
			if (is && !was)
				assert_true(next_ns <= ns(tick) &&
				    next_ns > ns(tick - 1));
			else if (next_ns <= ns(tick))
				/* a low pulse of mode 2 may be one tick */
				fail_msg("tick %lu: no rise", tick - base);
			if (wrote)
				program(pit, 0, modes[next_random(&random) % 4],
				    (uint16_t)(2 + next_random(&random) % 60),
				    tick);
			was = pit_out(pit, 0, ns(tick));
			next_ns = pit_next_rise_ns(pit, ns(tick));
		}
	}
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(at_first_nothing_ticks),
		CASE(rate_generator_does_not_drift),
		CASE(many_periods_at_once_lead_to_the_next_one),
		CASE(one_shot_fires_once),
		CASE(terminal_count_raises_out_and_a_new_count_lowers_it),
		CASE(speaker_port_gates_counter_2_and_shows_its_out),
		CASE(closed_gate_holds_the_count),
		CASE(refresh_bit_toggles),
		CASE(speaker_port_keeps_its_lower_four_bits),
		CASE(latch_stays_until_it_is_read),
		CASE(read_back_latches_status_and_count),
		CASE(new_rate_waits_for_the_end_of_the_half_cycle),
		CASE(single_bytes_are_read_and_written_where_asked),
		CASE(bcd_counts_in_tens),
		CASE(count_of_one_is_not_faster_than_the_clock),
		CASE(every_mode_is_as_the_data_sheet_ticks),
		CASE(announced_rises_are_all_there_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
