#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/chips/clock_kvm.h"
#include "vmm/le.h"

#define RAM     (UINT64_C(4) << 20)
#define WALL_NS UINT64_C(1700000000123456789)

struct rig {
	struct memory memory;
	struct clock_kvm clock;
};

static int
setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_int_equal(memory_init(&rig->memory, RAM, NULL), 0);
	clock_kvm_init(&rig->clock, &rig->memory, 1000000, WALL_NS);
	*state = rig;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *rig = *state;

	memory_free(&rig->memory);
	free(rig);
	return 0;
}

/* A guest's reading of the structure: Linux's pvclock_scale_delta(). */
static uint64_t
guest_ns(const uint8_t *p, uint64_t tsc)
{
	uint64_t delta = tsc - get_le64(p + 8);
	int8_t shift = (int8_t)p[28];

	delta = shift < 0 ? delta >> -shift : delta << shift;
	return get_le64(p + 16) +
	    (uint64_t)((unsigned __int128)delta * get_le32(p + 24) >> 32);
}

static void
guest_reads_the_time_that_it_is(void **state)
{
	static const uint32_t khz[] = { 1, 999, 1000, 32768, 999999, 1000000,
		1000001, 2596142, 5000000, UINT32_MAX };
	struct rig *rig = *state;
	const uint8_t *p = rig->memory.base + 0x2000;

	for (unsigned int i = 0; i < sizeof(khz) / sizeof(khz[0]); i++) {
		const uint64_t now_ns = UINT64_C(5000000007);
		uint64_t tsc =
		    (uint64_t)((unsigned __int128)now_ns * khz[i] / 1000000);
		uint64_t hour = (uint64_t)khz[i] * 1000 * 3600, got;

		clock_kvm_init(&rig->clock, &rig->memory, khz[i], 0);
		assert_true(
		    clock_kvm_write(&rig->clock, 0, CLOCK_KVM_MSR_SYSTEM,
			0x2000 | CLOCK_KVM_ENABLE, tsc, now_ns));
		assert_int_equal(guest_ns(p, tsc), now_ns);
		got = guest_ns(p, tsc + hour) - now_ns;
		/* A part in 2^31 or better: 2 us in an hour. */
		assert_in_range(got, UINT64_C(3600000000000) - 2000,
		    UINT64_C(3600000000000));
	}
}

static void
gigahertz_is_exact(void **state)
{
	uint32_t mul;
	int8_t shift;

	(void)state;
	clock_kvm_scale(1000000, &mul, &shift);
	assert_int_equal(mul, 0x80000000);
	assert_int_equal(shift, 1);
}

static void
structure_says_stable_and_its_version_is_even(void **state)
{
	struct rig *rig = *state;
	const uint8_t *p = rig->memory.base + 0x2000;

	for (unsigned int i = 1; i <= 3; i++) {
		assert_true(clock_kvm_write(
		    &rig->clock, 0, CLOCK_KVM_MSR_SYSTEM, 0x2001, 5, 5));
		assert_int_equal(get_le32(p), 2 * i);
		assert_int_equal(p[29], CLOCK_KVM_STABLE);
	}
	/* Memory that holds an odd one already. */
	put_le32(rig->memory.base + 0x2000, 7);
	assert_true(clock_kvm_write(
	    &rig->clock, 0, CLOCK_KVM_MSR_SYSTEM, 0x2001, 5, 5));
	assert_int_equal(get_le32(p), 8);
}

static void
nothing_beside_the_structure_is_written(void **state)
{
	struct rig *rig = *state;
	uint8_t *p = rig->memory.base + 0x2000;

	memset(p - 8, 0xaa, 8 + CLOCK_KVM_BYTES + 8);
	assert_true(clock_kvm_write(
	    &rig->clock, 0, CLOCK_KVM_MSR_SYSTEM, 0x2001, 5, 5));
	for (unsigned int i = 0; i < 8; i++) {
		assert_int_equal(p[-1 - (int)i], 0xaa);
		assert_int_equal(p[CLOCK_KVM_BYTES + i], 0xaa);
	}
}

static void
each_cpu_has_its_own_and_reads_it_back(void **state)
{
	struct rig *rig = *state;

	for (unsigned int cpu = 0; cpu < CLOCK_KVM_CPUS_MAX; cpu++) {
		uint64_t at = 0x10000 + 64 * cpu;

		assert_true(clock_kvm_write(&rig->clock, cpu,
		    CLOCK_KVM_MSR_SYSTEM, at | 1, cpu, 1000 + cpu));
	}
	for (unsigned int cpu = 0; cpu < CLOCK_KVM_CPUS_MAX; cpu++) {
		uint64_t at = 0x10000 + 64 * cpu;

		assert_int_equal(
		    get_le64(rig->memory.base + at + 16), 1000 + cpu);
		assert_int_equal(
		    clock_kvm_read(&rig->clock, cpu, CLOCK_KVM_MSR_SYSTEM),
		    at | 1);
		assert_int_equal(
		    clock_kvm_read(&rig->clock, cpu, CLOCK_KVM_MSR_SYSTEM_OLD),
		    at | 1);
	}
}

static void
disabled_clock_is_not_written(void **state)
{
	struct rig *rig = *state;

	assert_true(clock_kvm_write(
	    &rig->clock, 0, CLOCK_KVM_MSR_SYSTEM, 0x2000, 5, 5));
	for (unsigned int i = 0; i < CLOCK_KVM_BYTES; i++)
		assert_int_equal(rig->memory.base[0x2000 + i], 0);
	/* Where it will not be written, it need not be. */
	assert_true(clock_kvm_write(
	    &rig->clock, 0, CLOCK_KVM_MSR_SYSTEM, UINT64_C(1) << 50, 5, 5));
}

static void
wall_clock_is_that_of_instant_zero(void **state)
{
	static const uint32_t index[] = { CLOCK_KVM_MSR_WALL,
		CLOCK_KVM_MSR_WALL_OLD };
	struct rig *rig = *state;

	for (unsigned int i = 0; i < 2; i++) {
		const uint8_t *p = rig->memory.base + 0x3000 + 0x100 * i;

		assert_true(clock_kvm_write(
		    &rig->clock, 0, index[i], 0x3000 + 0x100 * i, 77, 77));
		assert_int_equal(get_le32(p), 2);
		assert_int_equal(get_le32(p + 4), 1700000000);
		assert_int_equal(get_le32(p + 8), 123456789);
		assert_int_equal(get_le32(p + 12), 0);
		assert_int_equal(clock_kvm_read(&rig->clock, 0, index[i]),
		    0x3000 + 0x100 * i);
	}
}

/* Where a structure may not lie. */
static void
addresses_that_are_not_ram_are_refused(void **state)
{
	static const struct {
		uint32_t index;
		uint64_t value;
	} bad[] = {
		{ CLOCK_KVM_MSR_SYSTEM, 0x2003 },
		{ CLOCK_KVM_MSR_SYSTEM, RAM | 1 },
		{ CLOCK_KVM_MSR_SYSTEM, (RAM - CLOCK_KVM_BYTES + 4) | 1 },
		{ CLOCK_KVM_MSR_SYSTEM, UINT64_MAX - 2 },
		{ CLOCK_KVM_MSR_WALL, 0x2001 },
		{ CLOCK_KVM_MSR_WALL, RAM },
		{ CLOCK_KVM_MSR_WALL, RAM - CLOCK_KVM_WALL_BYTES + 4 },
		{ CLOCK_KVM_MSR_WALL, UINT64_MAX - 3 },
	};
	struct rig *rig = *state;

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(clock_kvm_write(
		    &rig->clock, 0, bad[i].index, bad[i].value, 1, 1));
	assert_true(clock_kvm_write(&rig->clock, 0, CLOCK_KVM_MSR_SYSTEM,
	    (RAM - CLOCK_KVM_BYTES) | 1, 1, 1));
	assert_true(clock_kvm_write(&rig->clock, 0, CLOCK_KVM_MSR_WALL,
	    RAM - CLOCK_KVM_WALL_BYTES, 1, 1));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(guest_reads_the_time_that_it_is),
		CASE(gigahertz_is_exact),
		CASE(structure_says_stable_and_its_version_is_even),
		CASE(nothing_beside_the_structure_is_written),
		CASE(each_cpu_has_its_own_and_reads_it_back),
		CASE(disabled_clock_is_not_written),
		CASE(wall_clock_is_that_of_instant_zero),
		CASE(addresses_that_are_not_ram_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
