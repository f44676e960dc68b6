/*
 * A crash at each moment of each operation on the tree.
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
#include "tests/disk/crash_rig.h"
#include "tests/disk/recorder.h"

/* ---- the tree ---- */

/* What the disks must be: the old contents or, where they differ, the new. */
struct expectation {
	struct rig *p;
	const char *files[8];
	uint8_t *old[8], *new[8];
	bool may_lack[8]; /* only there if the catalogue has it */
	bool is_new[8];   /* need not be there yet */
	size_t n;
};

static uint8_t *
contents(struct rig *p, const char *directory, const char *file)
{
	uint8_t *bytes = malloc(RIG_BYTES);
	struct disk *disk = rig_open(p, directory, file, 0);

	assert_int_equal(disk_size(disk), RIG_BYTES);
	assert_int_equal(disk_read(disk, bytes, RIG_BYTES, 0, NULL), 0);
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
		    strstr(name, "~copy.") != NULL || /* to go on with */
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
	/* Also for who does not know the catalogue, as long as all is there. */
	for (size_t i = 0; i < x->n; i++) {
		uint8_t *bytes;

		if (x->is_new[i] || x->may_lack[i])
			continue;
		bytes = contents(x->p, x->p->scratch, x->files[i]);
		if (memcmp(bytes, x->old[i], RIG_BYTES) != 0 &&
		    memcmp(bytes, x->new[i], RIG_BYTES) != 0)
			fail_msg("%s is neither, at once", x->files[i]);
		free(bytes);
	}
	rig_path(x->p->scratch, "", path, sizeof(path));
	if (tree_open(&tree, path, &err) != 0 || tree_scan(&tree, &err) != 0)
		fail_msg("%s", err.text);
	nothing_left_behind(&tree);
	for (size_t i = 0; i < x->n; i++) {
		uint8_t *bytes;

		if (x->is_new[i] && !rig_is_there(x->p->scratch, x->files[i]))
			continue;
		if (x->may_lack[i] &&
		    catalogue_find(
			&tree.catalogue, CATALOGUE_FROZEN, x->files[i]) == NULL)
			continue;
		rig_no_corruption(x->p->scratch, x->files[i]);
		bytes = contents(x->p, x->p->scratch, x->files[i]);
		if (memcmp(bytes, x->old[i], RIG_BYTES) != 0 &&
		    memcmp(bytes, x->new[i], RIG_BYTES) != 0)
			fail_msg("%s is neither old nor new", x->files[i]);
		free(bytes);
	}
	tree_close(&tree);
}

/* base, three branches with something of their own, one of them with a
 * snapshot. */
static void
plant(struct rig *p)
{
	static const char *const names[] = { "a.qcow2", "b.qcow2", "c.qcow2" };
	struct err err = { 0 };
	struct disk *disk;
	char base[512], path[512];

	rig_create(p, "base.qcow2", NULL);
	disk = rig_open(p, p->directory, "base.qcow2", DISK_WRITE);
	rig_fill(disk, 1, 0, RIG_SECTORS / 2);
	assert_int_equal(disk_close(disk, NULL), 0);
	rig_path(p->directory, "base.qcow2", base, sizeof(base));
	for (size_t i = 0; i < 3; i++) {
		rig_path(p->directory, names[i], path, sizeof(path));
		if (tree_clone_linked(base, path, &err) != 0)
			fail_msg("%s", err.text);
		disk = rig_open(p, p->directory, names[i], DISK_WRITE);
		rig_fill(disk, (uint8_t)(10 + i), 3 + i * 20, 30);
		rig_fill(disk, (uint8_t)(20 + i), 300 + i * 7, 9);
		assert_int_equal(
		    disk_zero(disk, (100 + i * 8) * 512, 9000, NULL), 0);
		assert_int_equal(disk_close(disk, NULL), 0);
	}
}

static void
expect_files(
    struct expectation *x, struct rig *p, const char *const *files, size_t n)
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
commit_in_a_way(struct rig *p, enum tree_commit_way way, const char *what)
{
	struct expectation x;
	struct err err = { 0 };
	char path[512];

	plant(p);
	expect_files(&x, p, branches, 3);
	recorder_start(p->directory);
	rig_path(p->directory, "a.qcow2", path, sizeof(path));
	if (tree_commit_disk(path, way, NULL, &err) != 0)
		fail_msg("%s", err.text);
	recorder_stop();
	for (size_t i = 0; i < 3; i++) {
		uint8_t *now = contents(p, p->directory, branches[i]);

		assert_memory_equal(now, x.old[i], RIG_BYTES);
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
	struct rig *p = *state;
	struct err err = { 0 };
	char path[512];

	plant(p);
	rig_path(p->directory, "a.qcow2", path, sizeof(path));
	assert_int_not_equal(
	    tree_commit_disk(path, TREE_COMMIT, NULL, &err), 0);
	assert_non_null(strstr(err.text, "b.qcow2, c.qcow2"));
}

static void
a_plain_commit_leaves_the_disk_as_it_was(void **state)
{
	struct rig *p = *state;
	static const char *const file[] = { "a.qcow2" };
	struct expectation x;
	struct err err = { 0 };
	char path[512];

	plant(p);
	rig_path(p->directory, "b.qcow2", path, sizeof(path));
	unlink(path);
	rig_path(p->directory, "c.qcow2", path, sizeof(path));
	unlink(path);
	expect_files(&x, p, file, 1);
	recorder_start(p->directory);
	rig_path(p->directory, "a.qcow2", path, sizeof(path));
	if (tree_commit_disk(path, TREE_COMMIT, NULL, &err) != 0)
		fail_msg("%s", err.text);
	replay_tree(&x, "commit");
}

static void
what_an_attempt_left_behind_does_not_stop_the_next(void **state)
{
	struct rig *p = *state;
	struct err err = { 0 };
	char a[512], b[512], left[512];
	const char *disks[] = { a };
	struct disk *disk;

	plant(p);
	rig_path(p->directory, "a.qcow2", a, sizeof(a));
	rig_path(p->directory, "a@x.qcow2", left, sizeof(left));
	assert_int_equal(link(a, left), 0);
	if (tree_snapshot(disks, 1, "x", NULL, &err) != 0)
		fail_msg("%s", err.text);
	/* A branch in use is not told another name. */
	rig_path(p->directory, "b.qcow2", b, sizeof(b));
	disk = rig_open(p, p->directory, "c.qcow2", DISK_WRITE);
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
	struct rig *p = *state;
	static const char *const files[] = { "a.qcow2", "b.qcow2", "c.qcow2",
		"a@x.qcow2", "b@x.qcow2" };
	struct expectation x;
	struct err err = { 0 };
	char a[512], b[512];
	const char *disks[] = { a, b };
	struct disk *disk;

	plant(p);
	rig_path(p->directory, "a.qcow2", a, sizeof(a));
	rig_path(p->directory, "b.qcow2", b, sizeof(b));
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
		assert_memory_equal(x.old[i], x.old[i - 3], RIG_BYTES);
	}
	replay_tree(&x, "snapshot of two disks");
	recorder_free();

	disk = rig_open(p, p->directory, "a.qcow2", DISK_WRITE);
	rig_fill(disk, 77, 40, 100);
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
	struct rig *p = *state;
	static const char *const files[] = { "a.qcow2", "a@x.qcow2" };
	struct expectation x;
	struct err err = { 0 };
	char a[512];
	const char *disks[] = { a };
	struct disk *disk;

	plant(p);
	rig_path(p->directory, "a.qcow2", a, sizeof(a));
	disk = rig_open(p, p->directory, "a.qcow2", DISK_WRITE);
	rig_fill(disk, 66, 5, 60);
	assert_int_equal(disk_zero(disk, 90 * 512, 20000, NULL), 0);
	assert_int_equal(disk_flush(disk, NULL), 0);
	memset(&x, 0, sizeof(x));
	x.p = p;
	x.n = 2;
	x.old[0] = malloc(RIG_BYTES);
	assert_int_equal(disk_read(disk, x.old[0], RIG_BYTES, 0, NULL), 0);
	recorder_start(p->directory);
	/* Not flushed: this may be lost, but not from the snapshot.  One sector,
	 * which is not torn. */
	rig_fill(disk, 67, 300, 1);
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

static void
a_compaction_changes_nothing_that_is_seen(void **state)
{
	struct rig *p = *state;
	static const char *const files[] = { "a.qcow2", "base.qcow2" };
	struct expectation x;
	struct err err = { 0 };
	unsigned int merged;
	char path[512];

	plant(p);
	rig_path(p->directory, "a.qcow2", path, sizeof(path));
	if (tree_commit_disk(path, TREE_RELABEL, NULL, &err) != 0)
		fail_msg("%s", err.text);
	for (size_t i = 1; i < 3; i++) {
		rig_path(p->directory, branches[i], path, sizeof(path));
		unlink(path);
	}
	expect_files(&x, p, files, 2);
	recorder_start(p->directory);
	rig_path(p->directory, "", path, sizeof(path));
	if (tree_compact(path, false, NULL, &merged, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(merged, 1);
	replay_tree(&x, "compact");
}

static void
a_clone_is_whole_or_not_at_all(void **state)
{
	struct rig *p = *state;
	static const char *const files[] = { "a.qcow2", "b.qcow2",
		"linked.qcow2", "full.qcow2" };
	struct expectation x;
	struct err err = { 0 };
	char from[512], to[512];

	plant(p);
	rig_path(p->directory, "a.qcow2", from, sizeof(from));
	expect_files(&x, p, files, 2);
	recorder_start(p->directory);
	rig_path(p->directory, "linked.qcow2", to, sizeof(to));
	if (tree_clone_linked(from, to, &err) != 0)
		fail_msg("%s", err.text);
	rig_path(p->directory, "full.qcow2", to, sizeof(to));
	if (tree_clone_full(from, to, NULL, &err) != 0)
		fail_msg("%s", err.text);
	recorder_stop();
	x.n = 4;
	for (size_t i = 2; i < 4; i++) {
		x.files[i] = files[i];
		x.is_new[i] = true;
		x.old[i] = contents(p, p->directory, files[i]);
		assert_memory_equal(x.old[i], x.old[0], RIG_BYTES);
	}
	replay_tree(&x, "clones");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)
	const struct CMUnitTest tests[] = {
		T(a_commit_that_keeps_siblings_changes_none_of_them),
		T(a_commit_that_relabels_changes_no_branch),
		T(a_commit_below_others_is_refused_and_names_them),
		T(a_plain_commit_leaves_the_disk_as_it_was),
		T(what_an_attempt_left_behind_does_not_stop_the_next),
		T(snapshot_and_rollback_are_whole_or_not_at_all),
		T(a_snapshot_of_a_disk_in_use_is_whole_or_not_at_all),
		T(a_compaction_changes_nothing_that_is_seen),
		T(a_clone_is_whole_or_not_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
