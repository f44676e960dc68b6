/*
 * A crash at each moment of writing to an image, of growing and of repairing it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/check.h"
#include "disk/disk.h"
#include "tests/disk/crash_rig.h"
#include "tests/disk/maker.h"
#include "tests/disk/recorder.h"

#define MAX 16

/* ---- writing ---- */

/* What each sector may be at each mark: its value at the mark, and those
 * written since. */
struct history {
	struct rig *p;
	uint8_t at_mark[MAX][RIG_SECTORS];
	uint8_t may_be[MAX][RIG_SECTORS][32]; /* bits of values */
	size_t marks;
	uint8_t now[RIG_SECTORS];
};

static void
may(struct history *h, size_t sector, uint8_t value)
{
	h->may_be[h->marks][sector][value / 8] |= (uint8_t)(1u << value % 8);
}

static void
change(struct history *h, uint8_t value, size_t sector, size_t n)
{
	for (size_t i = sector; i < sector + n; i++) {
		h->now[i] = value;
		may(h, i, value);
	}
}

static void
acknowledge(struct history *h, struct disk *disk)
{
	assert_int_equal(disk_flush(disk, NULL), 0);
	recorder_mark();
	h->marks++;
	for (size_t i = 0; i < RIG_SECTORS; i++)
		may(h, i, h->now[i]);
}

static void
judge_history(void *arg, size_t marks)
{
	struct history *h = arg;
	static uint8_t bytes[RIG_BYTES];
	struct disk *disk;

	rig_no_corruption(h->p->scratch, "top.qcow2");
	disk = rig_open(h->p, h->p->scratch, "top.qcow2", 0);
	assert_int_equal(disk_read(disk, bytes, RIG_BYTES, 0, NULL), 0);
	disk_close(disk, NULL);
	for (size_t i = 0; i < RIG_SECTORS; i++) {
		uint8_t v = bytes[i * 512];

		for (size_t k = 0; k < 512; k++)
			if (bytes[i * 512 + k] != v)
				fail_msg("sector %zu is mixed", i);
		if ((h->may_be[marks][i][v / 8] >> v % 8 & 1) == 0)
			fail_msg(
			    "after flush %zu sector %zu is %u", marks, i, v);
	}
}

static void
nothing_that_a_flush_acknowledged_is_lost(void **state)
{
	struct rig *p = *state;
	struct history *h = calloc(1, sizeof(*h));
	struct disk *disk;
	unsigned int random = 7;
	size_t states;

	h->p = p;
	rig_create(p, "base.qcow2", NULL);
	disk = rig_open(p, p->directory, "base.qcow2", DISK_WRITE);
	rig_fill(disk, 9, 0, RIG_SECTORS);
	assert_int_equal(disk_close(disk, NULL), 0);
	rig_create(p, "top.qcow2", "base.qcow2");
	memset(h->now, 9, sizeof(h->now));
	for (size_t i = 0; i < RIG_SECTORS; i++)
		may(h, i, 9);
	recorder_start(p->directory);
	disk = rig_open(p, p->directory, "top.qcow2", DISK_WRITE);
	for (uint8_t v = 10; v < 60; v++) {
		size_t sector, n;

		random = random * 1103515245 + 12345;
		sector = (random >> 16) % (RIG_SECTORS - 24);
		n = 1 + (random >> 8) % 24;
		if (v % 6 == 5) {
			/* Before: while it goes on both may be seen. */
			change(h, 0, sector, n);
			assert_int_equal(
			    disk_zero(disk, sector * 512, n * 512, NULL), 0);
		} else if (v % 6 == 4) {
			sector &= ~(size_t)7;
			change(h, 0, sector, 8);
			assert_int_equal(
			    disk_discard(disk, sector * 512, 8 * 512, NULL), 0);
		} else {
			change(h, v, sector, n);
			rig_fill(disk, v, sector, n);
		}
		if (v % 5 == 0)
			acknowledge(h, disk);
	}
	assert_int_equal(disk_close(disk, NULL), 0);
	recorder_stop();
	states = recorder_replay(p->scratch, 1, judge_history, h);
	printf(
	    "# figure: writing: %zu states after a crash, all good\n", states);
	assert_true(states > 300);
	free(h);
}

/* ---- growing, repairing ---- */

static void
judge_resize(void *arg, size_t marks)
{
	struct rig *p = arg;
	static uint8_t bytes[2 * RIG_BYTES];
	struct disk *disk;
	uint64_t size;

	rig_no_corruption(p->scratch, "small.qcow2");
	disk = rig_open(p, p->scratch, "small.qcow2", 0);
	size = disk_size(disk);
	assert_true(size == RIG_BYTES / 2 + 512 || size == 2 * RIG_BYTES);
	assert_true(marks == 0 || size == 2 * RIG_BYTES);
	assert_int_equal(disk_read(disk, bytes, size, 0, NULL), 0);
	disk_close(disk, NULL);
	for (uint64_t i = 0; i < size; i++)
		if (bytes[i] != (i < RIG_BYTES / 2 + 512 ? 9 : 0))
			fail_msg("byte %zu is %u", (size_t)i, bytes[i]);
}

/* What the base has beyond the old end does not appear. */
static void
a_disk_has_its_old_size_or_the_new_one(void **state)
{
	struct rig *p = *state;
	struct disk_options options = { .size = RIG_BYTES / 2 + 512,
		.cluster_bits = 12,
		.backing = "base.qcow2" };
	struct err err = { 0 };
	struct disk *disk;
	char path[512];
	size_t states;

	rig_create(p, "base.qcow2", NULL);
	disk = rig_open(p, p->directory, "base.qcow2", DISK_WRITE);
	rig_fill(disk, 9, 0, RIG_SECTORS);
	assert_int_equal(disk_close(disk, NULL), 0);
	rig_path(p->directory, "small.qcow2", path, sizeof(path));
	if (disk_create(path, &options, &err) != 0)
		fail_msg("%s", err.text);
	recorder_start(p->directory);
	disk = rig_open(p, p->directory, "small.qcow2", DISK_WRITE);
	if (disk_resize(disk, 2 * RIG_BYTES, &err) != 0)
		fail_msg("%s", err.text);
	recorder_mark();
	assert_int_equal(disk_close(disk, NULL), 0);
	recorder_stop();
	states = recorder_replay(p->scratch, 5, judge_resize, p);
	printf(
	    "# figure: resize: %zu states after a crash, all good\n", states);
	assert_true(states > 20);
}

static void
judge_repair(void *arg, size_t marks)
{
	struct rig *p = arg;
	struct err err = { 0 };
	struct check check;
	uint8_t bytes[4096];
	struct disk *disk;
	char path[512];

	/* It can be begun again, from whatever was there. */
	rig_path(p->scratch, "bad.qcow2", path, sizeof(path));
	if (marks > 0)
		rig_no_corruption(p->scratch, "bad.qcow2");
	if (disk_check(path, true, &check, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(check.corruptions + check.leaks, 0);
	disk = rig_open(p, p->scratch, "bad.qcow2", 0);
	for (uint64_t i = 0; i < 8; i++) {
		assert_int_equal(
		    disk_read(disk, bytes, 4096, i << 12, NULL), 0);
		for (size_t k = 0; k < sizeof(bytes); k++)
			assert_int_equal(bytes[k], 0x30 + i);
	}
	disk_close(disk, NULL);
}

/* Eight clusters of data that are not counted, and eight that are for nothing. */
static void
a_repair_loses_nothing(void **state)
{
	struct rig *p = *state;
	struct maker m = { 0 };
	struct err err = { 0 };
	struct check check;
	char path[512];
	size_t states;

	rig_path(p->directory, "bad.qcow2", path, sizeof(path));
	maker_open(&m, path);
	maker_put64(&m, 72, 1); /* was not closed */
	maker_put64(
	    &m, maker_cluster(&m, 3), UINT64_C(1) << 63 | maker_cluster(&m, 4));
	for (uint64_t i = 0; i < 8; i++) {
		uint8_t bytes[4096];

		memset(bytes, (int)(0x30 + i), sizeof(bytes));
		assert_int_equal(pwrite(m.fd, bytes, sizeof(bytes),
				     (off_t)maker_cluster(&m, 5 + i)),
		    sizeof(bytes));
		maker_put64(&m, maker_cluster(&m, 4) + i * 8,
		    UINT64_C(1) << 63 | maker_cluster(&m, 5 + i));
	}
	for (uint64_t i = 0; i < 2; i++)
		maker_put64(&m, maker_cluster(&m, 2) + 32 + i * 8,
		    UINT64_C(0x0001000100010001));
	maker_close(&m);
	recorder_start(p->directory);
	if (disk_check(path, true, &check, &err) != 0)
		fail_msg("%s", err.text);
	recorder_mark();
	recorder_stop();
	assert_true(check.repaired > 0);
	states = recorder_replay(p->scratch, 9, judge_repair, p);
	printf(
	    "# figure: repair: %zu states after a crash, all good\n", states);
	assert_true(states > 10);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)
	const struct CMUnitTest tests[] = {
		T(nothing_that_a_flush_acknowledged_is_lost),
		T(a_disk_has_its_old_size_or_the_new_one),
		T(a_repair_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
