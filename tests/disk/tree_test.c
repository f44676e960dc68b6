/*
 * Operations on the tree: disks of several sizes, and copies that are
 * interrupted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include "disk/check.h"
#include "disk/disk.h"
#include "disk/tree.h"

#define K 1024u
#define M (1024u * 1024u)

struct place {
	char directory[64];
	struct disk_set *set;
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

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->directory, "/tmp/lanyard-tree-XXXXXX");
	assert_non_null(mkdtemp(p->directory));
	p->set = disk_set_new();
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;
	DIR *dir = opendir(p->directory);
	struct dirent *entry;

	disk_set_free(p->set);
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			unlink(path_of(p, entry->d_name));
	closedir(dir);
	rmdir(p->directory);
	free(p);
	return 0;
}

static void
make(struct place *p, const char *file, uint64_t size, const char *backing)
{
	struct disk_options options = { .size = size, .backing = backing };
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

static void
fill(struct place *p, const char *file, uint8_t value, uint64_t at, size_t n)
{
	struct disk *disk = open_disk(p, file, DISK_WRITE);
	uint8_t *bytes = malloc(n);

	memset(bytes, value, n);
	assert_int_equal(disk_write(disk, bytes, n, at, NULL), 0);
	assert_int_equal(disk_close(disk, NULL), 0);
	free(bytes);
}

static uint8_t *
contents(struct place *p, const char *file, size_t *len)
{
	struct disk *disk = open_disk(p, file, 0);
	uint8_t *bytes;

	*len = disk_size(disk);
	bytes = malloc(*len);
	assert_int_equal(disk_read(disk, bytes, *len, 0, NULL), 0);
	disk_close(disk, NULL);
	return bytes;
}

static void
expect_same(struct place *p, const char *a, const char *b)
{
	size_t n, m;
	uint8_t *x = contents(p, a, &n), *y = contents(p, b, &m);

	assert_int_equal(n, m);
	assert_memory_equal(x, y, n);
	free(x);
	free(y);
}

static bool
is_there(struct place *p, const char *start)
{
	DIR *dir = opendir(p->directory);
	struct dirent *entry;
	bool there = false;

	while ((entry = readdir(dir)) != NULL)
		there |= strncmp(entry->d_name, start, strlen(start)) == 0;
	closedir(dir);
	return there;
}

/* ---- commits ---- */

static void
commit_keeps(struct place *p, const char *file, enum tree_commit_way way)
{
	static const char *const files[] = { "top.qcow2", "other.qcow2" };
	struct err err = { "" };
	uint8_t *old[2];
	size_t len[2];

	for (size_t i = 0; i < 2; i++)
		old[i] = contents(p, files[i], &len[i]);
	if (tree_commit_disk(path_of(p, file), way, NULL, &err) != 0)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < 2; i++) {
		size_t n;
		uint8_t *now = contents(p, files[i], &n);

		assert_int_equal(n, len[i]);
		assert_memory_equal(now, old[i], n);
		free(now);
		free(old[i]);
	}
}

/* A base of 1 MiB, and two disks on it. */
static void
plant(struct place *p, uint64_t top, uint64_t other)
{
	make(p, "base.qcow2", M, NULL);
	fill(p, "base.qcow2", 1, 100 * K, 900 * K);
	make(p, "top.qcow2", top, "base.qcow2");
	make(p, "other.qcow2", other, "base.qcow2");
	fill(p, "top.qcow2", 2, 200 * K, 70 * K);
	fill(p, "top.qcow2", 3, top - 10 * K, 10 * K);
}

static void
a_larger_disk_makes_its_base_larger(void **state)
{
	struct place *p = *state;
	struct disk *base;

	plant(p, 2 * M + 512, 3 * M);
	commit_keeps(p, "top.qcow2", TREE_KEEP_SIBLINGS);
	base = open_disk(p, "base.qcow2", 0);
	assert_int_equal(disk_size(base), 2 * M + 512);
	disk_close(base, NULL);
}

static void
a_smaller_disk_leaves_its_base_its_end(void **state)
{
	struct place *p = *state;
	struct disk *base;
	uint8_t byte;

	plant(p, 600 * K, M);
	commit_keeps(p, "top.qcow2", TREE_KEEP_SIBLINGS);
	base = open_disk(p, "base.qcow2", 0);
	assert_int_equal(disk_size(base), M);
	assert_int_equal(disk_read(base, &byte, 1, 999 * K, NULL), 0);
	assert_int_equal(byte, 1);
	disk_close(base, NULL);
}

static void
names_change_hands_between_disks_of_other_sizes(void **state)
{
	struct place *p = *state;
	struct err err = { "" };
	unsigned int merged;

	plant(p, 600 * K, 3 * M);
	commit_keeps(p, "top.qcow2", TREE_RELABEL);
	commit_keeps(p, "other.qcow2", TREE_RELABEL);
	if (tree_compact(path_of(p, ""), false, NULL, &merged, &err) != 0)
		fail_msg("%s", err.text);
}

/* ---- copies ---- */

struct interrupt {
	uint64_t at, first;
};

static bool
stop(void *arg, const char *what, uint64_t done, uint64_t all)
{
	struct interrupt *i = arg;

	(void)what;
	(void)all;
	if (i->first == 0)
		i->first = done;
	return done < i->at;
}

static void
big(struct place *p, size_t megabytes)
{
	struct disk *disk;
	uint8_t *bytes = malloc(M);

	make(p, "base.qcow2", megabytes * (uint64_t)M, NULL);
	disk = open_disk(p, "base.qcow2", DISK_WRITE);
	for (size_t i = 0; i < megabytes; i++) {
		memset(bytes, (int)(i % 250 + 1), M);
		if (i % 5 != 4)
			assert_int_equal(
			    disk_write(disk, bytes, M, i * (uint64_t)M, NULL),
			    0);
	}
	assert_int_equal(disk_close(disk, NULL), 0);
	free(bytes);
	/* So that it does not stand alone. */
	make(p, "top.qcow2", megabytes * (uint64_t)M, "base.qcow2");
}

static void
a_copy_that_was_interrupted_goes_on(void **state)
{
	struct place *p = *state;
	struct interrupt i = { .at = 500u * M };
	struct tree_progress progress = { stop, &i };
	struct err err = { "" };
	char from[512], to[512];

	big(p, 520);
	strcpy(from, path_of(p, "top.qcow2"));
	strcpy(to, path_of(p, "copy.qcow2"));
	assert_int_equal(tree_clone_full(from, to, &progress, &err), -EINTR);
	assert_true(is_there(p, "copy.qcow2~copy."));
	err_clear(&err);
	i = (struct interrupt){ .at = UINT64_MAX };
	if (tree_clone_full(from, to, &progress, &err) != 0)
		fail_msg("%s", err.text);
	/* It did not begin at the start. */
	assert_true(i.first > 100u * M);
	assert_false(is_there(p, "copy.qcow2~"));
	expect_same(p, "top.qcow2", "copy.qcow2");
}

static void
a_copy_of_what_has_changed_begins_anew(void **state)
{
	struct place *p = *state;
	struct interrupt i = { .at = 20u * M };
	struct tree_progress progress = { stop, &i };
	struct err err = { "" };
	char from[512], to[512];

	big(p, 40);
	strcpy(from, path_of(p, "top.qcow2"));
	strcpy(to, path_of(p, "copy.qcow2"));
	assert_int_equal(tree_clone_full(from, to, &progress, &err), -EINTR);
	fill(p, "top.qcow2", 200, 3 * M, M);
	err_clear(&err);
	if (tree_clone_full(from, to, NULL, &err) != 0)
		fail_msg("%s", err.text);
	assert_false(is_there(p, "copy.qcow2~"));
	expect_same(p, "top.qcow2", "copy.qcow2");
}

/* ---- long chains ---- */

static void
a_chain_may_be_longer_than_there_are_descriptors(void **state)
{
	struct place *p = *state;
	struct rlimit old, few;
	char file[32], below[32];
	uint8_t expected[400], *bytes;
	struct err err = { "" };
	struct disk *disk;
	size_t n;

	for (unsigned int i = 0; i < 400; i++) {
		snprintf(file, sizeof(file), "L%03u.qcow2", i);
		snprintf(below, sizeof(below), "L%03u.qcow2", i - 1);
		make(p, file, 400 * 64 * K, i > 0 ? below : NULL);
		fill(p, file, (uint8_t)(i % 250 + 1), i * 64 * K, 100);
		expected[i] = (uint8_t)(i % 250 + 1);
	}
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = (struct rlimit){ 340, 340 };
	assert_int_equal(prlimit(0, RLIMIT_NOFILE, &few, NULL), 0);
	bytes = contents(p, "L399.qcow2", &n);
	for (unsigned int i = 0; i < 400; i++)
		assert_int_equal(bytes[i * 64 * K], expected[i]);
	free(bytes);
	/* The base is seen to have been changed. */
	disk = open_disk(p, "L399.qcow2", 0);
	assert_int_equal(truncate(path_of(p, "L000.qcow2"), 1 << 20), 0);
	assert_int_not_equal(disk_read(disk, expected, 1, 0, &err), 0);
	assert_non_null(strstr(err.text, "L000.qcow2: has been changed"));
	disk_close(disk, NULL);
	few = old;
	if (setrlimit(RLIMIT_NOFILE, &few) < 0)
		print_message("# the limit stays\n");
}

/* ---- left behind ---- */

static void
images_of_processes_that_are_gone_are_removed(void **state)
{
	struct place *p = *state;
	struct err err = { "" };
	struct tree tree;
	FILE *f;

	make(p, "base.qcow2", M, NULL);
	make(p, "other.qcow2~new.2147483647", M, NULL);
	f = fopen(path_of(p, "notes~new.2147483647"), "w");
	fputs("not an image", f);
	fclose(f);
	assert_int_equal(tree_open(&tree, path_of(p, ""), &err), 0);
	assert_int_equal(tree_scan(&tree, &err), 0);
	tree_close(&tree);
	assert_false(is_there(p, "other.qcow2~new"));
	assert_true(is_there(p, "notes~new"));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_larger_disk_makes_its_base_larger),
		T(a_smaller_disk_leaves_its_base_its_end),
		T(names_change_hands_between_disks_of_other_sizes),
		T(a_copy_that_was_interrupted_goes_on),
		T(a_copy_of_what_has_changed_begins_anew),
		T(a_chain_may_be_longer_than_there_are_descriptors),
		T(images_of_processes_that_are_gone_are_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
