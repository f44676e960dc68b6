#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "vmm/memory.h"

#define MIB(n) (UINT64_C(n) << 20)
#define GIB(n) (UINT64_C(n) << 30)

static void
translates_only_what_is_ram(void **state)
{
	static const struct {
		uint64_t size, address, bytes;
		int64_t offset; /* -1: not RAM */
	} t[] = {
		{ MIB(16), 0, 1, 0 },
		{ MIB(16), MIB(16) - 1, 1, MIB(16) - 1 },
		{ MIB(16), MIB(16) - 1, 2, -1 },
		{ MIB(16), MIB(16), 0, MIB(16) },
		{ MIB(16), MIB(16), 1, -1 },
		{ MIB(16), GIB(4), 1, -1 },
		{ MIB(16), 1, UINT64_MAX, -1 },
		{ MIB(16), UINT64_MAX, 1, -1 },
		{ GIB(5), GIB(3) - 1, 1, GIB(3) - 1 },
		{ GIB(5), GIB(3) - 1, 2, -1 },
		{ GIB(5), GIB(3), 1, -1 },
		{ GIB(5), GIB(4) - 1, 1, -1 },
		{ GIB(5), GIB(4), 1, GIB(3) },
		{ GIB(5), GIB(6) - 1, 1, GIB(5) - 1 },
		{ GIB(5), GIB(6) - 1, 2, -1 },
		{ GIB(5), GIB(4), GIB(2), GIB(3) },
		{ GIB(5), GIB(4), GIB(2) + 1, -1 },
		{ GIB(5), GIB(4), UINT64_MAX, -1 },
	};
	struct memory memory;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		uint8_t *at;

		assert_int_equal(memory_init(&memory, t[i].size, NULL), 0);
		at = memory_at(&memory, t[i].address, t[i].bytes);
		if (t[i].offset < 0)
			assert_null(at);
		else
			assert_ptr_equal(at, memory.base + t[i].offset);
		memory_free(&memory);
	}
}

static void
high_memory_begins_at_four_gib(void **state)
{
	struct memory memory;
	struct memory_region region[MEMORY_REGIONS];

	(void)state;
	assert_int_equal(memory_init(&memory, GIB(3), NULL), 0);
	assert_int_equal(memory_regions(&memory, region), 1);
	assert_int_equal(memory_end(&memory), GIB(3));
	memory_free(&memory);
	assert_int_equal(memory_init(&memory, GIB(3) + 4096, NULL), 0);
	assert_int_equal(memory_regions(&memory, region), 2);
	assert_int_equal(region[1].start, GIB(4));
	assert_int_equal(region[1].bytes, 4096);
	assert_int_equal(region[1].offset, GIB(3));
	assert_int_equal(memory_end(&memory), GIB(4) + 4096);
	memory_free(&memory);
}

static void
clearing_zeroes_all(void **state)
{
	struct memory memory;

	(void)state;
	assert_int_equal(memory_init(&memory, MIB(2), NULL), 0);
	memset(memory.base, 0xa5, MIB(2));
	assert_int_equal(memory_clear(&memory), 0);
	for (size_t i = 0; i < MIB(2); i++)
		assert_int_equal(memory.base[i], 0);
	memory_free(&memory);
}

static void
refuses_sizes_that_no_machine_has(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *sentence;
	} t[] = {
		{ 0, "memory of 0 bytes is out of range; use 2M to 1024G" },
		{ MIB(1),
		    "memory of 1048576 bytes is out of range; use 2M to "
		    "1024G" },
		{ GIB(1025),
		    "memory of 1100585369600 bytes is out of range; use 2M to "
		    "1024G" },
		{ MIB(2) + 1,
		    "memory of 2097153 bytes is not a whole number of pages; "
		    "use a multiple of 4K" },
	};
	struct memory memory;

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct err err = { "" };

		assert_int_equal(
		    memory_init(&memory, t[i].bytes, &err), -EINVAL);
		assert_string_equal(err.text, t[i].sentence);
		memory_free(&memory);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(translates_only_what_is_ram),
		cmocka_unit_test(high_memory_begins_at_four_gib),
		cmocka_unit_test(clearing_zeroes_all),
		cmocka_unit_test(refuses_sizes_that_no_machine_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
