/*
 * Snapshots of a disk that is open, asked for from outside.
 */
#include "disk/live.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define DISK_BYTES (1u << 20)

struct rig {
	char directory[400], image[512], frozen[512];
	struct disk_set *set;
	struct disk *disk;
	struct live *live;
};

/* letters: of the directory's name */
static void
rig_open(struct rig *r, int letters)
{
	const struct disk_options options = { .size = DISK_BYTES };
	struct err err = { "" };
	int code = 0;

	snprintf(r->directory, sizeof(r->directory), "/tmp/live-%d-%0*d",
	    (int)getpid(), letters, 0);
	assert_int_equal(mkdir(r->directory, 0700), 0);
	snprintf(r->image, sizeof(r->image), "%s/a.qcow2", r->directory);
	snprintf(r->frozen, sizeof(r->frozen), "%s/a@one.qcow2", r->directory);
	assert_int_equal(disk_create(r->image, &options, &err), 0);
	r->set = disk_set_new();
	r->disk = disk_open(r->set, r->image, DISK_WRITE, &code, &err);
	assert_non_null(r->disk);
	r->live = live_new(r->disk, NULL, NULL, &err);
	assert_non_null(r->live);
}

static void
rig_close(struct rig *r)
{
	static const char *const names[] = { "a.qcow2", "a@one.qcow2",
		"lanyard.disks" };
	char path[512];

	live_free(r->live);
	assert_int_equal(disk_close(r->disk, NULL), 0);
	disk_set_free(r->set);
	for (unsigned int i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", r->directory, names[i]);
		unlink(path);
	}
	/* Nothing else was left there. */
	assert_int_equal(rmdir(r->directory), 0);
}

static uint8_t
first_byte(const char *path)
{
	struct disk_set *set = disk_set_new();
	struct err err = { "" };
	uint8_t byte = 0xee;
	int code = 0;
	struct disk *disk = disk_open(set, path, DISK_NO_LOCK, &code, &err);

	assert_non_null(disk);
	assert_int_equal(disk_read(disk, &byte, 1, 0, &err), 0);
	disk_close(disk, NULL);
	disk_set_free(set);
	return byte;
}

static void
snapshot_has_what_was_written_before(int letters)
{
	static const uint8_t before = 1, after = 2;
	struct err err = { "" };
	struct rig r;

	rig_open(&r, letters);
	assert_int_equal(disk_write(r.disk, &before, 1, 0, &err), 0);
	assert_int_equal(live_ask_snapshot(r.image, "one", &err), 0);
	assert_int_equal(disk_write(r.disk, &after, 1, 0, &err), 0);
	assert_int_equal(disk_flush(r.disk, &err), 0);
	assert_int_equal(first_byte(r.frozen), before);
	assert_int_equal(first_byte(r.image), after);
	rig_close(&r);
}

static void
snapshot_is_of_what_was_written_before_it(void **state)
{
	(void)state;
	snapshot_has_what_was_written_before(1);
}

static void
path_may_be_longer_than_a_sockets(void **state)
{
	(void)state;
	snapshot_has_what_was_written_before(200);
}

static void
name_that_exists_is_refused_and_the_disk_goes_on(void **state)
{
	static const uint8_t byte = 3;
	struct err err = { "" };
	struct rig r;

	(void)state;
	rig_open(&r, 1);
	assert_int_equal(live_ask_snapshot(r.image, "one", &err), 0);
	assert_int_not_equal(live_ask_snapshot(r.image, "one", &err), 0);
	assert_non_null(strstr(err.text, "choose another name"));
	assert_int_equal(disk_write(r.disk, &byte, 1, 0, &err), 0);
	assert_int_equal(disk_flush(r.disk, &err), 0);
	assert_int_equal(first_byte(r.image), byte);
	rig_close(&r);
}

static void
nobody_answers_for_a_disk_that_is_not_open(void **state)
{
	struct err err = { "" };
	struct rig r;

	(void)state;
	rig_open(&r, 1);
	live_free(r.live);
	r.live = NULL;
	assert_int_equal(
	    live_ask_snapshot(r.image, "one", &err), -ECONNREFUSED);
	assert_string_equal(err.text, "");
	rig_close(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(snapshot_is_of_what_was_written_before_it),
		cmocka_unit_test(path_may_be_longer_than_a_sockets),
		cmocka_unit_test(
		    name_that_exists_is_refused_and_the_disk_goes_on),
		cmocka_unit_test(nobody_answers_for_a_disk_that_is_not_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
