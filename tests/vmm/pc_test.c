/*
 * The small devices of a PC: i8042, CMOS, power management.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vmm/cmos.h"
#include "vmm/exit_port.h"
#include "vmm/i8042.h"
#include "vmm/power.h"

static unsigned int calls;

static void
count_call(void *arg)
{
	(void)arg;
	calls++;
}

static uint64_t
given_time(void *arg)
{
	return *(const uint64_t *)arg;
}

static void
the_i8042_resets_the_cpu_and_looks_stuck(void **state)
{
	struct bus bus = { 0 };
	struct i8042 kbd;

	(void)state;
	i8042_init(&kbd, count_call, NULL);
	bus_add(&bus, &kbd.data);
	bus_add(&bus, &kbd.command);
	calls = 0;
	assert_int_equal(bus_read(&bus, 0x64, 1), 0x01);
	bus_read(&bus, 0x60, 1);
	assert_int_equal(bus_read(&bus, 0x64, 1), 0x01);
	bus_write(&bus, 0x64, 1, 0xaa);
	bus_write(&bus, 0x60, 1, 0xfe); /* not the command port */
	assert_int_equal(calls, 0);
	bus_write(&bus, 0x64, 1, 0xfe);
	assert_int_equal(calls, 1);
}

static void
port_92_resets_the_cpu_and_has_the_a20_gate_open(void **state)
{
	struct bus bus = { 0 };
	struct i8042 kbd;

	(void)state;
	i8042_init(&kbd, count_call, NULL);
	bus_add(&bus, &kbd.fast);
	calls = 0;
	assert_int_equal(bus_read(&bus, 0x92, 1), 0x02);
	bus_write(&bus, 0x92, 1, 0x00);
	assert_int_equal(bus_read(&bus, 0x92, 1), 0x02);
	assert_int_equal(calls, 0);
	bus_write(&bus, 0x92, 1, 0x03);
	assert_int_equal(calls, 1);
}

static uint8_t
cell(struct bus *bus, uint8_t index)
{
	bus_write(bus, 0x70, 1, index);
	return (uint8_t)bus_read(bus, 0x71, 1);
}

static void
the_clock_tells_the_time_in_bcd(void **state)
{
	static const struct {
		uint64_t seconds;
		uint8_t century, year, month, day, weekday, hour, minute,
		    second;
	} t[] = {
		{ 0, 0x19, 0x70, 0x01, 0x01, 0x05, 0x00, 0x00, 0x00 },
		{ 951782399, 0x20, 0x00, 0x02, 0x28, 0x02, 0x23, 0x59, 0x59 },
		{ 951782400, 0x20, 0x00, 0x02, 0x29, 0x03, 0x00, 0x00, 0x00 },
		{ 4102444799, 0x20, 0x99, 0x12, 0x31, 0x05, 0x23, 0x59, 0x59 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct bus bus = { 0 };
		struct cmos cmos;
		uint64_t now = t[i].seconds;

		cmos_init(&cmos, 16 << 20, 0, given_time, &now);
		bus_add(&bus, &cmos.range);
		assert_int_equal(cell(&bus, 0x32), t[i].century);
		assert_int_equal(cell(&bus, 0x09), t[i].year);
		assert_int_equal(cell(&bus, 0x08), t[i].month);
		assert_int_equal(cell(&bus, 0x07), t[i].day);
		assert_int_equal(cell(&bus, 0x06), t[i].weekday);
		assert_int_equal(cell(&bus, 0x84), t[i].hour); /* NMI off */
		assert_int_equal(cell(&bus, 0x02), t[i].minute);
		assert_int_equal(cell(&bus, 0x00), t[i].second);
		assert_int_equal(cell(&bus, 0x0a) & 0x80, 0);
		assert_int_equal(cell(&bus, 0x0b), 0x02);
		assert_int_equal(cell(&bus, 0x0d), 0x80);
	}
}

static void
memory_sizes_are_where_firmware_leaves_them(void **state)
{
	struct bus bus = { 0 };
	struct cmos cmos;
	uint64_t now = 0;

	(void)state;
	cmos_init(
	    &cmos, UINT64_C(3) << 30, UINT64_C(1) << 30, given_time, &now);
	bus_add(&bus, &cmos.range);
	assert_int_equal(cell(&bus, 0x15) | cell(&bus, 0x16) << 8, 640);
	assert_int_equal(cell(&bus, 0x30) | cell(&bus, 0x31) << 8, 0xffff);
	assert_int_equal(cell(&bus, 0x34) | cell(&bus, 0x35) << 8,
	    ((3u << 30) - (16u << 20)) >> 16);
	assert_int_equal(
	    cell(&bus, 0x5b) | cell(&bus, 0x5c) << 8 | cell(&bus, 0x5d) << 16,
	    (1u << 30) >> 16);
}

static void
its_memory_keeps_what_is_written(void **state)
{
	struct bus bus = { 0 };
	struct cmos cmos;
	uint64_t now = 0;

	(void)state;
	cmos_init(&cmos, 16 << 20, 0, given_time, &now);
	bus_add(&bus, &cmos.range);
	for (unsigned int i = 0; i < 256; i++) {
		bus_write(&bus, 0x70, 1, i);
		bus_write(&bus, 0x71, 1, ~i & 0xff);
	}
	assert_int_equal(cell(&bus, 0x0f), 0x70); /* by the second round */
	assert_int_equal(cell(&bus, 0x7f), 0x00);
	assert_int_equal(cell(&bus, 0x0d), 0x80);
	assert_int_equal(cell(&bus, 0x00), 0x00); /* the clock goes on */
}

static void
sleep_state_five_powers_off(void **state)
{
	struct bus bus = { 0 };
	struct power power;

	(void)state;
	power_init(&power, count_call, NULL);
	bus_add(&bus, &power.range);
	calls = 0;
	assert_int_equal(bus_read(&bus, 0x604, 2), 0x0001); /* ACPI mode */
	bus_write(&bus, 0x604, 2, 0x1c00); /* a type, no sleep */
	bus_write(&bus, 0x604, 2, 0x3c00); /* another sleep state */
	assert_int_equal(calls, 0);
	bus_write(&bus, 0x604, 2, 0x2000);
	assert_int_equal(calls, 1);
	assert_int_equal(bus_read(&bus, 0x604, 2) & 0x2000, 0);
}

static void
events_are_enabled_and_never_come(void **state)
{
	struct bus bus = { 0 };
	struct power power;

	(void)state;
	power_init(&power, count_call, NULL);
	bus_add(&bus, &power.range);
	bus_write(&bus, 0x602, 2, 0x0120);
	assert_int_equal(bus_read(&bus, 0x600, 4), 0x01200000);
	bus_write(&bus, 0x600, 2, 0xffff);
	assert_int_equal(bus_read(&bus, 0x600, 2), 0);
	power_reset(&power);
	assert_int_equal(bus_read(&bus, 0x602, 2), 0);
}

/* Written how to its four ports, and with what status that ends. */
static void
the_exit_port_has_qemus_status(void **state)
{
	static const struct {
		uint16_t port;
		uint8_t bytes;
		uint32_t value;
		int status;
	} t[] = {
		{ 0xf4, 1, 0, 1 },
		{ 0xf4, 1, 1, 3 },
		{ 0xf4, 1, 16, 33 },
		{ 0xf4, 1, 0x7f, 255 },
		{ 0xf4, 1, 0x80, 1 },
		{ 0xf4, 4, 0xffffff05, 11 },
		{ 0xf5, 1, 2, 5 },
		{ 0xf6, 2, 3, 7 },
		{ 0xf7, 1, 4, 9 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct bus bus = { 0 };
		struct exit_port port;

		calls = 0;
		exit_port_init(&port, 0xf4, count_call, NULL);
		bus_add(&bus, &port.range);
		assert_int_equal(bus_read(&bus, 0xf4, 1), 0);
		bus_write(&bus, 0xf3, 1, 1);
		bus_write(&bus, 0xf8, 1, 1);
		assert_int_equal(calls, 0);
		bus_write(&bus, t[i].port, t[i].bytes, t[i].value);
		assert_int_equal(exit_port_status(&port), t[i].status);
		bus_write(&bus, 0xf4, 1, 77); /* the machine ends already */
		assert_int_equal(exit_port_status(&port), t[i].status);
		assert_int_equal(calls, 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_i8042_resets_the_cpu_and_looks_stuck),
		cmocka_unit_test(
		    port_92_resets_the_cpu_and_has_the_a20_gate_open),
		cmocka_unit_test(the_clock_tells_the_time_in_bcd),
		cmocka_unit_test(memory_sizes_are_where_firmware_leaves_them),
		cmocka_unit_test(its_memory_keeps_what_is_written),
		cmocka_unit_test(sleep_state_five_powers_off),
		cmocka_unit_test(events_are_enabled_and_never_come),
		cmocka_unit_test(the_exit_port_has_qemus_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
