/*
 * A new top image under a disk that is in use.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "disk/check.h"
#include "disk/freeze.h"
#include "disk/tree.h"

#define SIZE (2u << 20)

struct place {
	char directory[64];
	struct disk_set *set;
	struct disk *disk;
	uint8_t model[SIZE];
};

static const char *
path_of(struct place *p, const char *file)
{
	static char paths[4][512];
	static unsigned int next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", p->directory, file);
	return path;
}

static void
create(struct place *p, const char *file, const char *backing)
{
	struct disk_options options = { .size = SIZE, .backing = backing };
	struct err err = { "" };

	if (disk_create(path_of(p, file), &options, &err) != 0)
		fail_msg("%s", err.text);
}

static struct disk *
open_disk(struct place *p, const char *file, unsigned int flags)
{
	struct err err = { "" };
	int code;
	struct disk *disk =
	    disk_open(p->set, path_of(p, file), flags, &code, &err);

	if (disk == NULL)
		fail_msg("%s", err.text);
	return disk;
}

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->directory, "/tmp/lanyard-freeze-XXXXXX");
	assert_non_null(mkdtemp(p->directory));
	p->set = disk_set_new();
	create(p, "base.qcow2", NULL);
	create(p, "top.qcow2", "base.qcow2");
	p->disk = open_disk(p, "top.qcow2", DISK_WRITE);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;
	DIR *dir;
	struct dirent *entry;

	assert_int_equal(disk_close(p->disk, NULL), 0);
	disk_set_free(p->set);
	dir = opendir(p->directory);
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			unlink(path_of(p, entry->d_name));
	closedir(dir);
	rmdir(p->directory);
	free(p);
	return 0;
}

static void
fill(struct place *p, uint8_t value, uint64_t offset, size_t n)
{
	memset(p->model + offset, value, n);
	assert_int_equal(
	    disk_write(p->disk, p->model + offset, n, offset, NULL), 0);
}

static void
zero(struct place *p, uint64_t offset, size_t n)
{
	memset(p->model + offset, 0, n);
	assert_int_equal(disk_zero(p->disk, offset, n, NULL), 0);
}

static void
expect(struct disk *disk, const uint8_t *model)
{
	uint8_t *bytes = malloc(SIZE);

	assert_int_equal(disk_read(disk, bytes, SIZE, 0, NULL), 0);
	assert_memory_equal(bytes, model, SIZE);
	free(bytes);
}

static void
consistent(struct place *p, const char *file)
{
	struct err err = { "" };
	struct check check;

	if (disk_check(path_of(p, file), false, &check, &err) != 0)
		fail_msg("%s", err.text);
	if (check.corruptions + check.leaks != 0)
		fail_msg("%s: %s", file, check.first);
}

/* ---- what happens between the moment and the end ---- */

struct between {
	struct place *p;
	uint8_t frozen[SIZE];
	int result;
	bool moment;
};

static void
note_moment(void *arg)
{
	struct between *b = arg;

	b->moment = true;
	memcpy(b->frozen, b->p->model, SIZE);
}

static int
write_and_name(void *arg, struct err *err)
{
	struct between *b = arg;
	struct place *p = b->p;

	assert_true(b->moment);
	fill(p, 31, 70000, 200000); /* over what the top has */
	fill(p, 32, 1500000, 300);  /* over nothing */
	zero(p, 65536, 65536 * 2);
	zero(p, SIZE - 70000, 70000);
	fill(p, 33, 65536 + 10, 7);
	expect(p->disk, p->model);
	if (b->result != 0)
		return err_set(err, b->result, "no room");
	assert_int_equal(
	    rename(path_of(p, "top.qcow2"), path_of(p, "frozen.qcow2")), 0);
	return rename(path_of(p, "over.qcow2"), path_of(p, "top.qcow2"));
}

static int
freeze(struct place *p, struct between *b)
{
	struct disk_freezing f = { p->disk, strdup(path_of(p, "over.qcow2")),
		strdup(path_of(p, "frozen.qcow2")) };
	struct disk_freeze_calls calls = { note_moment, write_and_name, b };
	struct err err = { "" };
	int error;

	b->p = p;
	create(p, "over.qcow2", "frozen.qcow2");
	fill(p, 1, 0, SIZE / 2);
	assert_int_equal(disk_flush(p->disk, NULL), 0);
	fill(p, 2, 1000, 300000); /* not flushed */
	zero(p, 65536 * 9, 65536 * 2);
	fill(p, 3, SIZE - 5000, 5000);
	error = disk_freeze(&f, 1, &calls, &err);
	free((void *)(uintptr_t)f.overlay);
	free((void *)(uintptr_t)f.frozen);
	return error;
}

static void
what_is_written_after_the_moment_is_in_the_new_image_only(void **state)
{
	struct place *p = *state;
	struct between *b = calloc(1, sizeof(*b));
	struct disk_info info;
	struct disk *frozen;

	assert_int_equal(freeze(p, b), 0);
	disk_info(p->disk, &info);
	assert_int_equal(info.depth, 2);
	assert_string_equal(info.path, path_of(p, "top.qcow2"));
	expect(p->disk, p->model);
	frozen = open_disk(p, "frozen.qcow2", 0);
	expect(frozen, b->frozen);
	disk_close(frozen, NULL);
	fill(p, 77, 123, 456789);
	expect(p->disk, p->model);
	assert_int_equal(disk_close(p->disk, NULL), 0);
	consistent(p, "frozen.qcow2");
	consistent(p, "top.qcow2");
	p->disk = open_disk(p, "top.qcow2", DISK_WRITE);
	expect(p->disk, p->model);
	frozen = open_disk(p, "frozen.qcow2", 0);
	expect(frozen, b->frozen);
	disk_close(frozen, NULL);
	free(b);
}

static void
a_freeze_that_fails_loses_nothing(void **state)
{
	struct place *p = *state;
	struct between *b = calloc(1, sizeof(*b));
	struct disk_info info;

	b->result = -ENOSPC;
	assert_int_equal(freeze(p, b), -ENOSPC);
	disk_info(p->disk, &info);
	assert_int_equal(info.depth, 1);
	expect(p->disk, p->model);
	fill(p, 78, 1 << 20, 99999);
	expect(p->disk, p->model);
	assert_int_equal(disk_flush(p->disk, NULL), 0);
	assert_int_equal(disk_close(p->disk, NULL), 0);
	consistent(p, "top.qcow2");
	p->disk = open_disk(p, "top.qcow2", DISK_WRITE);
	expect(p->disk, p->model);
	free(b);
}

/* ---- with others at work ---- */

struct worker {
	struct disk *a, *b;
	atomic_bool stop;
	uint64_t last;
};

/* Counts on a, and only then on b. */
static void *
count(void *arg)
{
	struct worker *w = arg;

	for (uint64_t n = 1; !atomic_load(&w->stop); n++) {
		assert_int_equal(disk_write(w->a, &n, 8, 4096, NULL), 0);
		assert_int_equal(
		    disk_write(w->b, &n, 8, 4096 * (n % 200), NULL), 0);
		assert_int_equal(disk_write(w->b, &n, 8, SIZE - 8, NULL), 0);
		if (n % 50 == 0)
			assert_int_equal(disk_flush(w->b, NULL), 0);
		w->last = n;
	}
	return NULL;
}

static uint64_t
number_in(struct place *p, const char *file, uint64_t offset)
{
	struct disk *disk = open_disk(p, file, 0);
	uint64_t n;

	assert_int_equal(disk_read(disk, &n, 8, offset, NULL), 0);
	disk_close(disk, NULL);
	return n;
}

static void
snapshots_of_two_disks_are_of_one_moment(void **state)
{
	struct place *p = *state;
	struct worker w = { 0 };
	char a[512], b[512];
	const char *disks[] = { a, b };
	struct disk *live[2];
	pthread_t thread;

	create(p, "other.qcow2", "base.qcow2");
	strcpy(a, path_of(p, "top.qcow2"));
	strcpy(b, path_of(p, "other.qcow2"));
	w.a = live[0] = p->disk;
	w.b = live[1] = open_disk(p, "other.qcow2", DISK_WRITE);
	assert_int_equal(pthread_create(&thread, NULL, count, &w), 0);
	for (int i = 0; i < 10; i++) {
		struct err err = { "" };
		char name[16], file[32];
		uint64_t in_a, in_b;

		snprintf(name, sizeof(name), "s%d", i);
		if (tree_snapshot(disks, 2, name, live, &err) != 0)
			fail_msg("%s", err.text);
		snprintf(file, sizeof(file), "top@%s.qcow2", name);
		in_a = number_in(p, file, 4096);
		snprintf(file, sizeof(file), "other@%s.qcow2", name);
		in_b = number_in(p, file, SIZE - 8);
		assert_true(in_a == in_b || in_a == in_b + 1);
	}
	atomic_store(&w.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(disk_close(w.b, NULL), 0);
	assert_int_equal(number_in(p, "other.qcow2", SIZE - 8), w.last);
	consistent(p, "other.qcow2");
	consistent(p, "other@s9.qcow2");
	consistent(p, "top@s0.qcow2");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(what_is_written_after_the_moment_is_in_the_new_image_only),
		T(a_freeze_that_fails_loses_nothing),
		T(snapshots_of_two_disks_are_of_one_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
