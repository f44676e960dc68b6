/*
 * Images of kinds that lanyard reads and writes but does not make.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/backing.h"
#include "disk/check.h"
#include "disk/disk.h"
#include "tests/disk/maker.h"

struct place {
	char directory[64], a[128], b[128];
	struct disk_set *set;
};

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->directory, "/tmp/lanyard-foreign-XXXXXX");
	assert_non_null(mkdtemp(p->directory));
	snprintf(p->a, sizeof(p->a), "%s/a.qcow2", p->directory);
	snprintf(p->b, sizeof(p->b), "%s/b.qcow2", p->directory);
	p->set = disk_set_new();
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;

	unlink(p->a);
	unlink(p->b);
	assert_int_equal(rmdir(p->directory), 0);
	disk_set_free(p->set);
	free(p);
	return 0;
}

static void
make(struct maker m, const char *path)
{
	maker_open(&m, path);
	maker_close(&m);
}

static struct disk *
open_disk(struct place *p, const char *path, unsigned int flags)
{
	struct err err = { 0 };
	int code;
	struct disk *disk = disk_open(p->set, path, flags, &code, &err);

	if (disk == NULL)
		fail_msg("%s", err.text);
	return disk;
}

static void
is_clean(const char *path)
{
	struct err err = { 0 };
	struct check check;

	if (disk_check(path, false, &check, &err) != 0)
		fail_msg("%s", err.text);
	if (check.corruptions + check.leaks != 0)
		fail_msg("%s", check.first);
}

static void
fill(struct disk *disk, uint8_t value, uint64_t from, uint64_t to)
{
	static uint8_t bytes[65536];
	struct err err = { 0 };

	memset(bytes, value, sizeof(bytes));
	for (uint64_t at = from; at < to; at += sizeof(bytes)) {
		size_t n =
		    to - at < sizeof(bytes) ? (size_t)(to - at) : sizeof(bytes);

		if (disk_write(disk, bytes, n, at, &err) != 0)
			fail_msg("%s", err.text);
	}
	if (disk_flush(disk, &err) != 0)
		fail_msg("%s", err.text);
}

/* Whether [from, to) of the disk is all value. */
static bool
is_all(struct disk *disk, uint8_t value, uint64_t from, uint64_t to)
{
	for (uint64_t at = from; at < to;) {
		uint8_t bytes[4096];
		size_t n =
		    to - at < sizeof(bytes) ? (size_t)(to - at) : sizeof(bytes);

		assert_int_equal(disk_read(disk, bytes, n, at, NULL), 0);
		for (size_t i = 0; i < n; i++)
			if (bytes[i] != value)
				return false;
		at += n;
	}
	return true;
}

static void
a_name_in_the_first_sector_can_change(void **state)
{
	struct place *p = *state;
	static const char *const names[] = { "another.qcow2", "b.qcow2", "c",
		"a-much-longer-name-than-the-one-before.qcow2" };
	struct disk_info info;
	struct err err = { 0 };

	for (unsigned int version = 2; version <= 3; version++) {
		make((struct maker){ .version = version, .backing = "b.qcow2" },
		    p->a);
		for (size_t i = 0; i < 4; i++) {
			struct disk *disk;

			if (backing_set(p->a, names[i], "qcow2", &err) != 0)
				fail_msg("%s", err.text);
			disk = open_disk(p, p->a, DISK_ALONE);
			disk_info(disk, &info);
			assert_string_equal(info.backing, names[i]);
			disk_close(disk, NULL);
		}
	}
}

static void
a_name_for_which_there_is_no_room_is_refused_beforehand(void **state)
{
	struct place *p = *state;
	char name[400];
	struct err err = { 0 };

	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	make((struct maker){ .cluster_bits = 9, .backing = "b.qcow2" }, p->a);
	assert_int_equal(
	    backing_fits(p->a, name, "qcow2", &err), -ENAMETOOLONG);
	assert_non_null(strstr(err.text, "no room"));
	assert_int_equal(backing_fits(p->a, "c.qcow2", "qcow2", &err), 0);
	is_clean(p->a);
}

/* 128 KiB for each block of counts, 64 of them in the first table. */
static void
a_table_that_has_moved_leaves_its_clusters_to_others(void **state)
{
	struct place *p = *state;
	struct disk *disk;

	make((struct maker){ .cluster_bits = 9, .size = 32 << 20 }, p->a);
	disk = open_disk(p, p->a, DISK_WRITE);
	fill(disk, 5, 0, 400 << 10);
	assert_int_equal(disk_resize(disk, 40 << 20, NULL), 0);
	fill(disk, 6, 0, 20 << 20);
	fill(disk, 7, 20 << 20, 24 << 20);
	assert_true(is_all(disk, 6, 0, 20 << 20));
	assert_int_equal(disk_close(disk, NULL), 0);
	is_clean(p->a);
}

/* It has no way to say that a cluster is zeros. */
static void
a_larger_backing_file_does_not_shine_through_version_2(void **state)
{
	struct place *p = *state;
	struct disk *disk;

	make((struct maker){ .size = 4 << 20 }, p->b);
	disk = open_disk(p, p->b, DISK_WRITE);
	fill(disk, 9, 0, 4 << 20);
	assert_int_equal(disk_close(disk, NULL), 0);
	make(
	    (struct maker){
		.version = 2, .size = (1 << 20) + 512, .backing = "b.qcow2" },
	    p->a);
	disk = open_disk(p, p->a, DISK_WRITE);
	assert_int_equal(disk_resize(disk, 2 << 20, NULL), 0);
	assert_true(is_all(disk, 0, (1 << 20) + 512, 2 << 20));
	assert_int_equal(disk_close(disk, NULL), 0);
	disk = open_disk(p, p->a, 0);
	assert_true(is_all(disk, 9, 0, (1 << 20) + 512));
	assert_true(is_all(disk, 0, (1 << 20) + 512, 2 << 20));
	disk_close(disk, NULL);
	is_clean(p->a);
}

static void
a_file_ends_with_a_whole_cluster(void **state)
{
	struct place *p = *state;
	struct disk *disk;
	struct stat st;

	make((struct maker){ .cluster_bits = 16 }, p->a);
	disk = open_disk(p, p->a, DISK_WRITE);
	fill(disk, 5, 0, 369);
	assert_int_equal(stat(p->a, &st), 0);
	assert_int_equal(st.st_size % 65536, 0);
	assert_int_equal(disk_close(disk, NULL), 0);
	is_clean(p->a);
}

/* One block of single bits counts 2^24 clusters of 2 MiB, a table 2^18 blocks.
 */
static void
narrow_counts_are_checked_as_far_as_the_file_goes(void **state)
{
	struct place *p = *state;
	struct disk *disk;

	make((struct maker){ .cluster_bits = 21, .count_bits = 1 }, p->a);
	disk = open_disk(p, p->a, DISK_WRITE);
	fill(disk, 5, 0, 1 << 20);
	assert_int_equal(disk_close(disk, NULL), 0);
	is_clean(p->a);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_name_in_the_first_sector_can_change),
		T(a_name_for_which_there_is_no_room_is_refused_beforehand),
		T(a_table_that_has_moved_leaves_its_clusters_to_others),
		T(a_larger_backing_file_does_not_shine_through_version_2),
		T(a_file_ends_with_a_whole_cluster),
		T(narrow_counts_are_checked_as_far_as_the_file_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
