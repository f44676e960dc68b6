/*
 * Partition tables, good and bad.
 */
#include "vmm/partitions.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "vmm/le.h"

#define SECTOR  512
#define SECTORS 4096
#define BYTES   (SECTORS * SECTOR)

static uint8_t *bytes;

static int
read_disk(void *arg, uint64_t offset, void *to, size_t n)
{
	unsigned int *reads = arg;

	assert_true(offset % SECTOR == 0 && n % SECTOR == 0);
	assert_true(offset <= BYTES && n <= BYTES - offset);
	++*reads;
	memcpy(to, bytes + offset, n);
	return 0;
}

static struct partitions *
table(void)
{
	static struct partitions p;
	unsigned int reads = 0;
	const struct partitions_disk disk = { BYTES, read_disk, &reads };

	assert_int_equal(partitions_read(&p, &disk), 0);
	assert_true(reads < 200);
	return &p;
}

static void
put_mbr(uint64_t sector, unsigned int i, uint8_t type, uint32_t first,
    uint32_t sectors)
{
	uint8_t *at = bytes + sector * SECTOR, *e = at + 446 + 16 * i;

	e[4] = type;
	put_le32(e + 8, first);
	put_le32(e + 12, sectors);
	at[510] = 0x55;
	at[511] = 0xaa;
}

/* One copy, with three entries: 1, 14, and 15 that is not on the disk. */
static void
put_gpt(uint64_t sector, uint64_t entries)
{
	static const struct {
		unsigned int number;
		uint64_t first, last;
	} list[] = { { 1, 2048, 3000 }, { 14, 100, 199 },
		{ 15, 4000, UINT64_MAX - 1 } };
	uint8_t *h = bytes + sector * SECTOR, *t = bytes + entries * SECTOR;

	memset(t, 0, 128 * 128);
	for (unsigned int i = 0; i < 3; i++) {
		uint8_t *e = t + 128 * (list[i].number - 1);

		e[0] = 1;
		put_le64(e + 32, list[i].first);
		put_le64(e + 40, list[i].last);
	}
	memset(h, 0, SECTOR);
	memcpy(h, "EFI PART", 8);
	put_le32(h + 8, 0x10000);
	put_le32(h + 12, 92);
	put_le64(h + 24, sector);
	put_le64(h + 72, entries);
	put_le32(h + 80, 128);
	put_le32(h + 84, 128);
	put_le32(h + 88, (uint32_t)crc32(0, t, 128 * 128));
	put_le32(h + 16, (uint32_t)crc32(0, h, 92));
}

static void
put_both(void)
{
	put_mbr(0, 0, 0xee, 1, SECTORS - 1);
	put_gpt(1, 2);
	put_gpt(SECTORS - 1, SECTORS - 33);
}

static void
is_gpts(const struct partitions *p)
{
	assert_int_equal(p->n, 2);
	assert_int_equal(p->list[0].number, 1);
	assert_int_equal(p->list[0].start, 2048 * SECTOR);
	assert_int_equal(p->list[0].bytes, 953 * SECTOR);
	assert_int_equal(p->list[1].number, 14);
	assert_int_equal(p->list[1].bytes, 100 * SECTOR);
}

static int
setup(void **state)
{
	(void)state;
	bytes = calloc(1, BYTES);
	return bytes != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	free(bytes);
	return 0;
}

static void
disk_without_a_table_is_one_partition(void **state)
{
	(void)state;
	assert_int_equal(table()->n, 1);
	assert_int_equal(table()->list[0].number, 0);
	assert_int_equal(table()->list[0].bytes, BYTES);
	/* A boot sector of a file system. */
	memset(bytes, 0xeb, SECTOR);
	bytes[510] = 0x55;
	bytes[511] = 0xaa;
	assert_int_equal(table()->n, 1);
	assert_int_equal(table()->list[0].number, 0);
}

static void
either_copy_of_a_gpt_will_do(void **state)
{
	static const unsigned int damage[] = { 0, 13, 16, 24, 30, 72, 80, 84,
		88 };

	(void)state;
	put_both();
	is_gpts(table());
	for (size_t i = 0; i < sizeof(damage) / sizeof(damage[0]); i++) {
		put_both();
		bytes[SECTOR + damage[i]] ^= 1;
		is_gpts(table());
	}
	put_both();
	bytes[2 * SECTOR + 33] ^= 1; /* an entry */
	is_gpts(table());
}

static void
mbr_is_what_a_damaged_gpt_leaves(void **state)
{
	(void)state;
	put_both();
	put_mbr(0, 1, 0x83, 500, 100);
	bytes[SECTOR] ^= 1;
	bytes[(SECTORS - 1) * SECTOR] ^= 1;
	assert_int_equal(table()->n, 1);
	assert_int_equal(table()->list[0].number, 2);
	assert_int_equal(table()->list[0].start, 500 * SECTOR);
}

static void
sizes_of_a_gpt_that_lies_are_not_believed(void **state)
{
	static const uint32_t entries[] = { 0, 1u << 20, UINT32_MAX };

	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (unsigned int copy = 0; copy < 2; copy++) {
			uint8_t *h =
			    bytes + (copy ? SECTORS - 1 : 1) * (size_t)SECTOR;

			if (copy == 0)
				put_both();
			put_le32(h + 80, entries[i]);
			put_le32(h + 16, 0);
			put_le32(h + 16, (uint32_t)crc32(0, h, 92));
			if (copy == 1)
				assert_int_equal(table()->n, 0);
		}
}

static void
logical_partitions_count_from_five(void **state)
{
	const struct partitions *p;

	(void)state;
	put_mbr(0, 0, 0x83, 100, 50);
	put_mbr(0, 1, 0x05, 1000, 1000);
	put_mbr(1000, 0, 0x83, 10, 20);
	put_mbr(1000, 1, 0x05, 300, 100);
	put_mbr(1300, 0, 0x83, 5, 6);
	p = table();
	assert_int_equal(p->n, 3);
	assert_int_equal(p->list[1].number, 5);
	assert_int_equal(p->list[1].start, 1010 * SECTOR);
	assert_int_equal(p->list[2].number, 6);
	assert_int_equal(p->list[2].start, 1305 * SECTOR);
	assert_int_equal(p->list[2].bytes, 6 * SECTOR);
}

static void
logical_partitions_that_go_round_end(void **state)
{
	(void)state;
	put_mbr(0, 1, 0x0f, 1000, 1000);
	put_mbr(1000, 0, 0x83, 10, 20);
	put_mbr(1000, 1, 0x05, 300, 100);
	put_mbr(1300, 0, 0x83, 5, 6);
	put_mbr(1300, 1, 0x05, 300, 100);
	assert_true(table()->n <= PARTITIONS_MAX);
	/* Far away. */
	put_mbr(1300, 1, 0x05, UINT32_MAX, 100);
	assert_int_equal(table()->n, 2);
}

static void
what_is_not_on_the_disk_is_left_out(void **state)
{
	(void)state;
	put_mbr(0, 0, 0x83, SECTORS, 1);
	put_mbr(0, 1, 0x83, SECTORS - 1, 2);
	put_mbr(0, 2, 0x83, 0, 1);
	put_mbr(0, 3, 0x83, UINT32_MAX, UINT32_MAX);
	assert_int_equal(table()->n, 0);
	put_mbr(0, 3, 0x83, SECTORS - 1, 1);
	assert_int_equal(table()->n, 1);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(disk_without_a_table_is_one_partition),
		T(either_copy_of_a_gpt_will_do),
		T(mbr_is_what_a_damaged_gpt_leaves),
		T(sizes_of_a_gpt_that_lies_are_not_believed),
		T(logical_partitions_count_from_five),
		T(logical_partitions_that_go_round_end),
		T(what_is_not_on_the_disk_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
