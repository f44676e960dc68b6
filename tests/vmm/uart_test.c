#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/uart.h"

#define PORT 0x3f8

enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCRATCH };

/* The port and its other end. */
struct rig {
	struct uart uart;
	struct bus bus;
	uint8_t sent[256], input[256];
	unsigned int nsent, ninput, taken;
	bool room, level;
	unsigned int edges;
};

static void
end_put(void *arg, uint8_t byte)
{
	struct rig *rig = arg;

	rig->sent[rig->nsent++ % sizeof(rig->sent)] = byte;
}

static bool
end_room(void *arg)
{
	struct rig *rig = arg;

	return rig->room;
}

static bool
end_get(void *arg, uint8_t *byte)
{
	struct rig *rig = arg;

	if (rig->taken == rig->ninput)
		return false;
	*byte = rig->input[rig->taken++];
	return true;
}

static void
end_line(void *arg, bool level)
{
	struct rig *rig = arg;

	assert_int_not_equal(level, rig->level);
	rig->level = level;
	rig->edges++;
}

static const struct uart_ops ops = { end_put, end_room, end_get, end_line };

static int
setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	rig->room = true;
	uart_init(&rig->uart, PORT, &ops, rig);
	bus_add(&rig->bus, &rig->uart.range);
	*state = rig;
	return 0;
}

static int
teardown(void **state)
{
	free(*state);
	return 0;
}

static void
out(struct rig *rig, unsigned int reg, uint8_t value)
{
	bus_write(&rig->bus, PORT + reg, 1, value);
}

static uint8_t
in(struct rig *rig, unsigned int reg)
{
	return (uint8_t)bus_read(&rig->bus, PORT + reg, 1);
}

static void
arrives(struct rig *rig, const char *text)
{
	for (; *text != '\0'; text++)
		rig->input[rig->ninput++] = (uint8_t)*text;
	uart_receive(&rig->uart);
}

static void
what_is_sent_arrives_in_order(void **state)
{
	struct rig *rig = *state;

	for (const char *p = "hello"; *p != '\0'; p++) {
		assert_true(in(rig, LSR) & 0x20);
		out(rig, DATA, (uint8_t)*p);
	}
	assert_int_equal(rig->nsent, 5);
	assert_memory_equal(rig->sent, "hello", 5);
}

static void
divisor_hides_data_and_interrupt_enable(void **state)
{
	struct rig *rig = *state;

	out(rig, IER, 0x05);
	out(rig, LCR, 0x83);
	out(rig, DATA, 0x01);
	out(rig, IER, 0x02);
	assert_int_equal(rig->nsent, 0);
	assert_int_equal(in(rig, DATA), 0x01);
	assert_int_equal(in(rig, IER), 0x02);
	out(rig, LCR, 0x03);
	assert_int_equal(in(rig, IER), 0x05);
	assert_int_equal(in(rig, LCR), 0x03);
}

/* How Linux's 8250 driver tells a 16550A from older ones. */
static void
is_found_as_a_16550a(void **state)
{
	struct rig *rig = *state;

	out(rig, SCRATCH, 0xae);
	assert_int_equal(in(rig, SCRATCH), 0xae);
	out(rig, IER, 0xff);
	assert_int_equal(in(rig, IER), 0x0f);
	out(rig, IER, 0);
	out(rig, IIR, 0x01);
	assert_int_equal(in(rig, IIR) >> 6, 3);
	out(rig, IIR, 0x00);
	assert_int_equal(in(rig, IIR) >> 6, 0);
}

static void
without_fifo_one_byte_at_a_time(void **state)
{
	struct rig *rig = *state;

	arrives(rig, "ab");
	assert_int_equal(rig->taken, 1);
	assert_true(in(rig, LSR) & 0x01);
	assert_int_equal(in(rig, DATA), 'a');
	assert_int_equal(in(rig, DATA), 'b');
	assert_false(in(rig, LSR) & 0x01);
	assert_int_equal(in(rig, DATA), 0);
}

static void
fifo_takes_sixteen_and_no_byte_is_lost(void **state)
{
	struct rig *rig = *state;

	out(rig, IIR, 0x01);
	arrives(rig, "abcdefghijklmnopqrstuvwxyz");
	assert_int_equal(rig->taken, 16);
	for (char c = 'a'; c <= 'z'; c++) {
		assert_true(in(rig, LSR) & 0x01);
		assert_int_equal(in(rig, DATA), c);
	}
	assert_int_equal(in(rig, LSR), 0x60);
}

static void
received_data_holds_the_line_until_read(void **state)
{
	struct rig *rig = *state;

	out(rig, IIR, 0x81); /* trigger at 8 */
	out(rig, IER, 0x01);
	assert_false(rig->level);
	arrives(rig, "abc");
	assert_true(rig->level);
	assert_int_equal(in(rig, IIR), 0xcc); /* time-out: below trigger */
	arrives(rig, "defghij");
	assert_int_equal(in(rig, IIR), 0xc4);
	for (unsigned int i = 0; i < 9; i++)
		in(rig, DATA);
	assert_true(rig->level);
	in(rig, DATA);
	assert_false(rig->level);
	assert_int_equal(in(rig, IIR), 0xc1);
}

static void
empty_transmitter_is_told_once(void **state)
{
	struct rig *rig = *state;

	out(rig, IER, 0x02);
	assert_true(rig->level);
	assert_int_equal(in(rig, IIR), 0x02);
	assert_false(rig->level);
	assert_int_equal(in(rig, IIR), 0x01);
	out(rig, DATA, 'x');
	assert_true(rig->level);
	assert_int_equal(in(rig, IIR), 0x02);
	assert_false(rig->level);
}

static void
received_data_comes_before_empty_transmitter(void **state)
{
	struct rig *rig = *state;

	out(rig, IER, 0x03);
	arrives(rig, "a");
	assert_int_equal(in(rig, IIR), 0x04);
	assert_int_equal(in(rig, DATA), 'a');
	assert_true(rig->level);
	assert_int_equal(in(rig, IIR), 0x02);
	assert_false(rig->level);
}

static void
no_room_holds_the_guest_back(void **state)
{
	struct rig *rig = *state;

	out(rig, IER, 0x02);
	in(rig, IIR);
	rig->room = false;
	out(rig, DATA, 'x');
	assert_int_equal(rig->nsent, 1); /* taken all the same */
	assert_false(rig->level);
	assert_int_equal(in(rig, LSR) & 0x60, 0);
	uart_send_on(&rig->uart);
	assert_false(rig->level);
	rig->room = true;
	uart_send_on(&rig->uart);
	assert_true(rig->level);
	assert_int_equal(in(rig, LSR) & 0x60, 0x60);
	assert_int_equal(in(rig, IIR), 0x02);
}

static void
loopback_stays_inside(void **state)
{
	struct rig *rig = *state;

	out(rig, MCR, 0x1f);
	assert_int_equal(in(rig, MSR), 0xf0);
	out(rig, MCR, 0x12);
	assert_int_equal(in(rig, MSR), 0x10);
	arrives(rig, "from outside");
	out(rig, DATA, 0x5a);
	assert_int_equal(rig->nsent, 0);
	assert_int_equal(in(rig, DATA), 0x5a);
	assert_int_equal(rig->taken, 0);
	out(rig, DATA, 1);
	out(rig, DATA, 2); /* no FIFO: overrun */
	assert_int_equal(in(rig, LSR) & 0x02, 0x02);
	assert_int_equal(in(rig, LSR) & 0x02, 0);
	in(rig, DATA);
	out(rig, MCR, 0x0b);
	assert_int_equal(in(rig, DATA), 'f');
	assert_int_equal(in(rig, MSR), 0xb0);
}

static void
reset_lets_the_line_go(void **state)
{
	struct rig *rig = *state;

	out(rig, IER, 0x03);
	arrives(rig, "abc");
	assert_true(rig->level);
	uart_reset(&rig->uart);
	assert_false(rig->level);
	assert_int_equal(in(rig, IER), 0);
	assert_int_equal(in(rig, IIR), 0x01);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_is_sent_arrives_in_order),
		CASE(divisor_hides_data_and_interrupt_enable),
		CASE(is_found_as_a_16550a),
		CASE(without_fifo_one_byte_at_a_time),
		CASE(fifo_takes_sixteen_and_no_byte_is_lost),
		CASE(received_data_holds_the_line_until_read),
		CASE(empty_transmitter_is_told_once),
		CASE(received_data_comes_before_empty_transmitter),
		CASE(no_room_holds_the_guest_back),
		CASE(loopback_stays_inside),
		CASE(reset_lets_the_line_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
