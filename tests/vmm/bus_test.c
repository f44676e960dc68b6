#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "vmm/bus.h"

/* A device that is eight bytes of memory and notes how it was asked. */
struct device {
	struct bus_range range;
	uint8_t byte[8];
	unsigned int accesses, widest;
};

static uint64_t
device_read(void *arg, uint64_t offset, unsigned int bytes)
{
	struct device *d = arg;
	uint64_t value = 0;

	assert_true(offset + bytes <= sizeof(d->byte));
	assert_int_equal(offset % bytes, 0);
	d->accesses++;
	d->widest = bytes > d->widest ? bytes : d->widest;
	memcpy(&value, d->byte + offset, bytes);
	return value | (bytes < 8 ? ~UINT64_C(0) << 8 * bytes : 0);
}

static void
device_write(void *arg, uint64_t offset, unsigned int bytes, uint64_t value)
{
	struct device *d = arg;

	assert_true(offset + bytes <= sizeof(d->byte));
	assert_int_equal(offset % bytes, 0);
	d->accesses++;
	d->widest = bytes > d->widest ? bytes : d->widest;
	memcpy(d->byte + offset, &value, bytes);
}

static const struct bus_ops bytes_only = { device_read, device_write, 1 };
static const struct bus_ops words = { device_read, device_write, 4 };

static void
nobody_reads_as_ones_and_counts(void **state)
{
	struct bus bus = { 0 };

	(void)state;
	assert_int_equal(bus_read(&bus, 0x1234, 1), 0xff);
	assert_int_equal(bus_read(&bus, 0x1234, 4), 0xffffffff);
	assert_int_equal(bus_read(&bus, UINT64_MAX, 8), UINT64_MAX);
	bus_write(&bus, 0x1234, 2, 7);
	assert_int_equal(bus.unclaimed_reads, 3);
	assert_int_equal(bus.unclaimed_writes, 1);
}

static void
ranges_never_overlap(void **state)
{
	static const struct {
		uint64_t start, bytes;
		int result;
	} t[] = {
		{ 0x100, 0x10, -EBUSY },
		{ 0x0ff, 0x2, -EBUSY },
		{ 0x10f, 0x1, -EBUSY },
		{ 0x0, 0x1000, -EBUSY },
		{ 0x104, 0x2, -EBUSY },
		{ 0x0ff, 0x1, 0 },
		{ 0x110, 0x1, 0 },
		{ 0x200, 0, -EINVAL },
		{ UINT64_MAX, 2, -EINVAL },
		{ UINT64_MAX, 1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct bus bus = { 0 };
		struct bus_range there, other;

		bus_range_init(&there, &words, NULL, 0x100, 0x10);
		bus_range_init(&other, &words, NULL, t[i].start, t[i].bytes);
		assert_int_equal(bus_add(&bus, &there), 0);
		assert_int_equal(bus_add(&bus, &other), t[i].result);
	}
}

static void
wide_accesses_are_cut_to_the_device(void **state)
{
	struct bus bus = { 0 };
	struct device d = { .byte = { 1, 2, 3, 4, 5, 6, 7, 8 } };

	(void)state;
	bus_range_init(&d.range, &bytes_only, &d, 0x60, 8);
	bus_add(&bus, &d.range);
	assert_int_equal(bus_read(&bus, 0x60, 4), 0x04030201);
	assert_int_equal(d.accesses, 4);
	assert_int_equal(d.widest, 1);
	bus_write(&bus, 0x62, 2, 0xbbaa);
	assert_int_equal(d.byte[2], 0xaa);
	assert_int_equal(d.byte[3], 0xbb);
	assert_int_equal(bus.unclaimed_reads, 0);
}

static void
an_access_across_the_end_is_half_unclaimed(void **state)
{
	struct bus bus = { 0 };
	struct device d = { .byte = { 1, 2, 3, 4, 5, 6, 7, 8 } };

	(void)state;
	bus_range_init(&d.range, &words, &d, 0x60, 8);
	bus_add(&bus, &d.range);
	assert_int_equal(bus_read(&bus, 0x66, 4), 0xffff0807);
	assert_int_equal(bus_read(&bus, 0x5e, 4), 0x0201ffff);
	assert_int_equal(bus_read(&bus, 0x61, 4), 0x05040302);
	assert_int_equal(bus_read(&bus, 0x60, 8), 0x0807060504030201);
}

static void
a_removed_range_no_longer_answers(void **state)
{
	struct bus bus = { 0 };
	struct device d = { .byte = { 9 } }, e = { .byte = { 8 } };

	(void)state;
	bus_range_init(&d.range, &words, &d, 0x60, 8);
	bus_range_init(&e.range, &words, &e, 0x70, 8);
	bus_add(&bus, &e.range);
	bus_add(&bus, &d.range);
	assert_int_equal(bus_read(&bus, 0x60, 1), 9);
	assert_int_equal(bus_read(&bus, 0x70, 1), 8);
	bus_remove(&bus, &d.range);
	bus_remove(&bus, &d.range);
	assert_int_equal(bus_read(&bus, 0x60, 1), 0xff);
	assert_int_equal(bus_read(&bus, 0x70, 1), 8);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_reads_as_ones_and_counts),
		cmocka_unit_test(ranges_never_overlap),
		cmocka_unit_test(wide_accesses_are_cut_to_the_device),
		cmocka_unit_test(an_access_across_the_end_is_half_unclaimed),
		cmocka_unit_test(a_removed_range_no_longer_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
