/*
 * A crash at each moment of writing, and of each operation on the tree.
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
#include <sys/stat.h>
#include <unistd.h>

#include "disk/check.h"
#include "disk/disk.h"
#include "disk/tree.h"
#include "tests/disk/recorder.h"

#define SIZE    (256u << 10)
#define SECTORS (SIZE / 512)
#define MAX     16

struct place {
	char directory[64], scratch[64];
	struct disk_set *set;
};

static void
path_in(const char *directory, const char *file, char *path, size_t len)
{
	assert_true(
	    (size_t)snprintf(path, len, "%s/%s", directory, file) < len);
}

static void
empty(const char *directory)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	char path[512];

	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.') {
			path_in(directory, entry->d_name, path, sizeof(path));
			unlink(path);
		}
	closedir(dir);
}

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->directory, "/tmp/lanyard-crash-XXXXXX");
	strcpy(p->scratch, "/tmp/lanyard-crash-XXXXXX");
	assert_non_null(mkdtemp(p->directory));
	assert_non_null(mkdtemp(p->scratch));
	p->set = disk_set_new();
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;

	recorder_stop();
	recorder_free();
	empty(p->directory);
	empty(p->scratch);
	rmdir(p->directory);
	rmdir(p->scratch);
	disk_set_free(p->set);
	free(p);
	return 0;
}

static struct disk *
open_disk(struct place *p, const char *directory, const char *file,
    unsigned int flags)
{
	struct err err = { 0 };
	char path[512];
	struct disk *disk;
	int code;

	path_in(directory, file, path, sizeof(path));
	disk = disk_open(p->set, path, flags, &code, &err);
	if (disk == NULL)
		fail_msg("%s", err.text);
	return disk;
}

static void
create(struct place *p, const char *file, const char *backing)
{
	struct disk_options options = {
		.size = SIZE, .cluster_bits = 12, .backing = backing
	};
	struct err err = { 0 };
	char path[512];

	path_in(p->directory, file, path, sizeof(path));
	if (disk_create(path, &options, &err) != 0)
		fail_msg("%s", err.text);
}

static void
fill(struct disk *disk, uint8_t value, size_t sector, size_t n)
{
	uint8_t *bytes = malloc(n * 512);

	memset(bytes, value, n * 512);
	assert_int_equal(
	    disk_write(disk, bytes, n * 512, sector * 512, NULL), 0);
	free(bytes);
}

static void
no_corruption(const char *directory, const char *file)
{
	struct err err = { 0 };
	struct check check;
	char path[512];

	path_in(directory, file, path, sizeof(path));
	if (disk_check(path, false, &check, &err) != 0)
		fail_msg("%s", err.text);
	if (check.corruptions != 0)
		fail_msg("%s: %s", file, check.first);
}

/* ---- writing ---- */

/* What each sector may be at each mark: its value at the mark, and those
 * written since. */
struct history {
	struct place *p;
	uint8_t at_mark[MAX][SECTORS];
	uint8_t may_be[MAX][SECTORS][32]; /* bits of values */
	size_t marks;
	uint8_t now[SECTORS];
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
	for (size_t i = 0; i < SECTORS; i++)
		may(h, i, h->now[i]);
}

static void
judge_history(void *arg, size_t marks)
{
	struct history *h = arg;
	static uint8_t bytes[SIZE];
	struct disk *disk;

	no_corruption(h->p->scratch, "top.qcow2");
	disk = open_disk(h->p, h->p->scratch, "top.qcow2", 0);
	assert_int_equal(disk_read(disk, bytes, SIZE, 0, NULL), 0);
	disk_close(disk, NULL);
	for (size_t i = 0; i < SECTORS; i++) {
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
	struct place *p = *state;
	struct history *h = calloc(1, sizeof(*h));
	struct disk *disk;
	unsigned int random = 7;
	size_t states;

	h->p = p;
	create(p, "base.qcow2", NULL);
	disk = open_disk(p, p->directory, "base.qcow2", DISK_WRITE);
	fill(disk, 9, 0, SECTORS);
	assert_int_equal(disk_close(disk, NULL), 0);
	create(p, "top.qcow2", "base.qcow2");
	memset(h->now, 9, sizeof(h->now));
	for (size_t i = 0; i < SECTORS; i++)
		may(h, i, 9);
	recorder_start(p->directory);
	disk = open_disk(p, p->directory, "top.qcow2", DISK_WRITE);
	for (uint8_t v = 10; v < 60; v++) {
		size_t sector, n;

		random = random * 1103515245 + 12345;
		sector = (random >> 16) % (SECTORS - 24);
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
			fill(disk, v, sector, n);
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

/* ---- the tree ---- */

/* What the disks must be: the old contents or, where they differ, the new. */
struct expectation {
	struct place *p;
	const char *files[8];
	uint8_t *old[8], *new[8];
	bool may_lack[8]; /* only there if the catalogue has it */
	size_t n;
};

static uint8_t *
contents(struct place *p, const char *directory, const char *file)
{
	uint8_t *bytes = malloc(SIZE);
	struct disk *disk = open_disk(p, directory, file, 0);

	assert_int_equal(disk_size(disk), SIZE);
	assert_int_equal(disk_read(disk, bytes, SIZE, 0, NULL), 0);
	disk_close(disk, NULL);
	return bytes;
}

/* Nothing is there under a temporary name but what the catalogue has. */
static void
nothing_left_behind(const struct tree *tree)
{
	DIR *dir = opendir(tree->directory);
	struct dirent *entry;

	while ((entry = readdir(dir)) != NULL) {
		const char *name = entry->d_name;

		if (strchr(name, '~') == NULL ||
		    strcmp(name, CATALOGUE_NAME "~") == 0 ||
		    catalogue_find(&tree->catalogue, CATALOGUE_HIDDEN, name) !=
			NULL)
			continue;
		fail_msg("%s was left behind", name);
	}
	closedir(dir);
}

static void
judge_tree(void *arg, size_t marks)
{
	struct expectation *x = arg;
	struct err err = { 0 };
	struct tree tree;
	char path[512];

	(void)marks;
	path_in(x->p->scratch, "", path, sizeof(path));
	if (tree_open(&tree, path, &err) != 0 || tree_scan(&tree, &err) != 0)
		fail_msg("%s", err.text);
	nothing_left_behind(&tree);
	for (size_t i = 0; i < x->n; i++) {
		uint8_t *bytes;

		if (x->may_lack[i] &&
		    catalogue_find(
			&tree.catalogue, CATALOGUE_FROZEN, x->files[i]) == NULL)
			continue;
		no_corruption(x->p->scratch, x->files[i]);
		bytes = contents(x->p, x->p->scratch, x->files[i]);
		if (memcmp(bytes, x->old[i], SIZE) != 0 &&
		    memcmp(bytes, x->new[i], SIZE) != 0)
			fail_msg("%s is neither old nor new", x->files[i]);
		free(bytes);
	}
	tree_close(&tree);
}

/* base, three branches with something of their own, one of them with a
 * snapshot. */
static void
plant(struct place *p)
{
	static const char *const names[] = { "a.qcow2", "b.qcow2", "c.qcow2" };
	struct err err = { 0 };
	struct disk *disk;
	char base[512], path[512];

	create(p, "base.qcow2", NULL);
	disk = open_disk(p, p->directory, "base.qcow2", DISK_WRITE);
	fill(disk, 1, 0, SECTORS / 2);
	assert_int_equal(disk_close(disk, NULL), 0);
	path_in(p->directory, "base.qcow2", base, sizeof(base));
	for (size_t i = 0; i < 3; i++) {
		path_in(p->directory, names[i], path, sizeof(path));
		if (tree_clone_linked(base, path, &err) != 0)
			fail_msg("%s", err.text);
		disk = open_disk(p, p->directory, names[i], DISK_WRITE);
		fill(disk, (uint8_t)(10 + i), 3 + i * 20, 30);
		fill(disk, (uint8_t)(20 + i), 300 + i * 7, 9);
		assert_int_equal(
		    disk_zero(disk, (100 + i * 8) * 512, 9000, NULL), 0);
		assert_int_equal(disk_close(disk, NULL), 0);
	}
}

static void
expect_files(
    struct expectation *x, struct place *p, const char *const *files, size_t n)
{
	memset(x, 0, sizeof(*x));
	x->p = p;
	x->n = n;
	for (size_t i = 0; i < n; i++) {
		x->files[i] = files[i];
		x->old[i] = contents(p, p->directory, files[i]);
	}
}

static void
replay_tree(struct expectation *x, const char *what)
{
	size_t states;

	recorder_stop();
	for (size_t i = 0; i < x->n; i++)
		x->new[i] = contents(x->p, x->p->directory, x->files[i]);
	states = recorder_replay(x->p->scratch, 3, judge_tree, x);
	printf(
	    "# figure: %s: %zu states after a crash, all good\n", what, states);
	assert_true(states > 20);
	for (size_t i = 0; i < x->n; i++) {
		free(x->old[i]);
		free(x->new[i]);
	}
}

static const char *const branches[] = { "a.qcow2", "b.qcow2", "c.qcow2" };

static void
commit_in_a_way(struct place *p, enum tree_commit_way way, const char *what)
{
	struct expectation x;
	struct err err = { 0 };
	char path[512];

	plant(p);
	expect_files(&x, p, branches, 3);
	recorder_start(p->directory);
	path_in(p->directory, "a.qcow2", path, sizeof(path));
	if (tree_commit_disk(path, way, NULL, &err) != 0)
		fail_msg("%s", err.text);
	recorder_stop();
	for (size_t i = 0; i < 3; i++) {
		uint8_t *now = contents(p, p->directory, branches[i]);

		assert_memory_equal(now, x.old[i], SIZE);
		free(now);
	}
	replay_tree(&x, what);
}

static void
a_commit_that_keeps_siblings_changes_none_of_them(void **state)
{
	commit_in_a_way(*state, TREE_KEEP_SIBLINGS, "commit --keep-siblings");
}

static void
a_commit_that_relabels_changes_no_branch(void **state)
{
	commit_in_a_way(*state, TREE_RELABEL, "commit --relabel");
}

static void
a_commit_below_others_is_refused_and_names_them(void **state)
{
	struct place *p = *state;
	struct err err = { 0 };
	char path[512];

	plant(p);
	path_in(p->directory, "a.qcow2", path, sizeof(path));
	assert_int_not_equal(
	    tree_commit_disk(path, TREE_COMMIT, NULL, &err), 0);
	assert_non_null(strstr(err.text, "b.qcow2, c.qcow2"));
}

static void
a_plain_commit_leaves_the_disk_as_it_was(void **state)
{
	struct place *p = *state;
	static const char *const file[] = { "a.qcow2" };
	struct expectation x;
	struct err err = { 0 };
	char path[512];

	plant(p);
	path_in(p->directory, "b.qcow2", path, sizeof(path));
	unlink(path);
	path_in(p->directory, "c.qcow2", path, sizeof(path));
	unlink(path);
	expect_files(&x, p, file, 1);
	recorder_start(p->directory);
	path_in(p->directory, "a.qcow2", path, sizeof(path));
	if (tree_commit_disk(path, TREE_COMMIT, NULL, &err) != 0)
		fail_msg("%s", err.text);
	replay_tree(&x, "commit");
}

static void
what_an_attempt_left_behind_does_not_stop_the_next(void **state)
{
	struct place *p = *state;
	struct err err = { 0 };
	char a[512], b[512], left[512];
	const char *disks[] = { a };
	struct disk *disk;

	plant(p);
	path_in(p->directory, "a.qcow2", a, sizeof(a));
	path_in(p->directory, "a@x.qcow2", left, sizeof(left));
	assert_int_equal(link(a, left), 0);
	if (tree_snapshot(disks, 1, "x", NULL, &err) != 0)
		fail_msg("%s", err.text);
	/* A branch in use is not told another name. */
	path_in(p->directory, "b.qcow2", b, sizeof(b));
	disk = open_disk(p, p->directory, "c.qcow2", DISK_WRITE);
	assert_int_not_equal(tree_commit_disk(b, TREE_RELABEL, NULL, &err), 0);
	assert_non_null(strstr(err.text, "c.qcow2: another program"));
	assert_int_equal(disk_close(disk, NULL), 0);
	err_clear(&err);
	if (tree_commit_disk(b, TREE_RELABEL, NULL, &err) != 0)
		fail_msg("%s", err.text);
}

static void
snapshot_and_rollback_are_whole_or_not_at_all(void **state)
{
	struct place *p = *state;
	static const char *const files[] = { "a.qcow2", "b.qcow2", "c.qcow2",
		"a@x.qcow2", "b@x.qcow2" };
	struct expectation x;
	struct err err = { 0 };
	char a[512], b[512];
	const char *disks[] = { a, b };
	struct disk *disk;

	plant(p);
	path_in(p->directory, "a.qcow2", a, sizeof(a));
	path_in(p->directory, "b.qcow2", b, sizeof(b));
	expect_files(&x, p, files, 3);
	recorder_start(p->directory);
	if (tree_snapshot(disks, 2, "x", NULL, &err) != 0)
		fail_msg("%s", err.text);
	recorder_stop();
	x.n = 5;
	for (size_t i = 3; i < 5; i++) {
		x.files[i] = files[i];
		x.may_lack[i] = true;
		x.old[i] = contents(p, p->directory, files[i]);
		assert_memory_equal(x.old[i], x.old[i - 3], SIZE);
	}
	replay_tree(&x, "snapshot of two disks");
	recorder_free();

	disk = open_disk(p, p->directory, "a.qcow2", DISK_WRITE);
	fill(disk, 77, 40, 100);
	assert_int_equal(disk_close(disk, NULL), 0);
	expect_files(&x, p, files, 5);
	recorder_start(p->directory);
	if (tree_rollback(disks, 2, "x", &err) != 0)
		fail_msg("%s", err.text);
	replay_tree(&x, "rollback of two disks");
}

static void
a_snapshot_of_a_disk_in_use_is_whole_or_not_at_all(void **state)
{
	struct place *p = *state;
	static const char *const files[] = { "a.qcow2", "a@x.qcow2" };
	struct expectation x;
	struct err err = { 0 };
	char a[512];
	const char *disks[] = { a };
	struct disk *disk;

	plant(p);
	path_in(p->directory, "a.qcow2", a, sizeof(a));
	disk = open_disk(p, p->directory, "a.qcow2", DISK_WRITE);
	fill(disk, 66, 5, 60);
	assert_int_equal(disk_zero(disk, 90 * 512, 20000, NULL), 0);
	assert_int_equal(disk_flush(disk, NULL), 0);
	memset(&x, 0, sizeof(x));
	x.p = p;
	x.n = 2;
	x.old[0] = malloc(SIZE);
	assert_int_equal(disk_read(disk, x.old[0], SIZE, 0, NULL), 0);
	recorder_start(p->directory);
	/* Not flushed: this may be lost, but not from the snapshot.  One sector,
	 * which is not torn. */
	fill(disk, 67, 300, 1);
	if (tree_snapshot(disks, 1, "x", &disk, &err) != 0)
		fail_msg("%s", err.text);
	recorder_stop();
	assert_int_equal(disk_close(disk, NULL), 0);
	for (size_t i = 0; i < 2; i++)
		x.files[i] = files[i];
	x.may_lack[1] = true;
	x.old[1] = contents(p, p->directory, files[1]);
	replay_tree(&x, "snapshot of a disk in use");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(nothing_that_a_flush_acknowledged_is_lost),
		T(a_commit_that_keeps_siblings_changes_none_of_them),
		T(a_commit_that_relabels_changes_no_branch),
		T(a_commit_below_others_is_refused_and_names_them),
		T(a_plain_commit_leaves_the_disk_as_it_was),
		T(what_an_attempt_left_behind_does_not_stop_the_next),
		T(snapshot_and_rollback_are_whole_or_not_at_all),
		T(a_snapshot_of_a_disk_in_use_is_whole_or_not_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
