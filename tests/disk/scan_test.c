/*
 * What stands on what in a directory, whoever made it and however it says so.
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
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/disk.h"
#include "disk/tree.h"
#include "tests/disk/maker.h"

struct place {
	char directory[64];
};

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->directory, "/tmp/lanyard-scan-XXXXXX");
	assert_non_null(mkdtemp(p->directory));
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;
	DIR *dir = opendir(p->directory);
	struct dirent *entry;

	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(dir), entry->d_name,
			    entry->d_type == DT_DIR ? AT_REMOVEDIR : 0);
	closedir(dir);
	assert_int_equal(rmdir(p->directory), 0);
	free(p);
	return 0;
}

static const char *
path_of(struct place *p, const char *file)
{
	static char paths[8][512];
	static unsigned int next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", p->directory, file);
	return path;
}

static void
make(struct place *p, const char *file, const char *backing)
{
	struct maker m = { .backing = backing };

	maker_open(&m, path_of(p, file));
	maker_close(&m);
}

static void
good(int error, const struct err *err)
{
	if (error != 0)
		fail_msg("%s", err->text);
}

static bool
is_there(struct place *p, const char *file)
{
	return access(path_of(p, file), F_OK) == 0;
}

static void
scan(struct place *p, struct tree *tree)
{
	struct err err = { "" };

	good(tree_open(tree, path_of(p, ""), &err), &err);
	good(tree_scan(tree, &err), &err);
}

static unsigned int
children_of(struct place *p, const char *file)
{
	struct tree tree;
	unsigned int n;

	scan(p, &tree);
	assert_non_null(tree_find(&tree, file));
	n = tree_find(&tree, file)->children;
	tree_close(&tree);
	return n;
}

static void
a_branch_is_found_by_whichever_name_it_has_for_its_base(void **state)
{
	struct place *p = *state;
	char absolute[128], with_file[140], json[240];
	const char *const names[] = { "base.qcow2", "./base.qcow2", absolute,
		"file:base.qcow2", with_file, "sub/../base.qcow2", "link.qcow2",
		"other.qcow2", json,
		"json:{\"driver\":\"qcow2\",\"file\":{\"driver\":\"file\","
		"\"filename\":\"base.qcow2\"}}" };

	make(p, "base.qcow2", NULL);
	assert_int_equal(mkdir(path_of(p, "sub"), 0700), 0);
	assert_int_equal(symlink("base.qcow2", path_of(p, "link.qcow2")), 0);
	assert_int_equal(
	    link(path_of(p, "base.qcow2"), path_of(p, "other.qcow2")), 0);
	snprintf(absolute, sizeof(absolute), "%s/base.qcow2", p->directory);
	snprintf(with_file, sizeof(with_file), "file:%s", absolute);
	snprintf(json, sizeof(json),
	    "json:{\"file.filename\": \"x\", "
	    "\"filename\": \"%s\"}",
	    absolute);
	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char file[32];

		snprintf(file, sizeof(file), "branch%u.qcow2", i);
		make(p, file, names[i]);
		if (children_of(p, "base.qcow2") != i + 1)
			fail_msg("%s is not found", names[i]);
	}
}

static void
a_branch_that_cannot_be_read_here_is_found(void **state)
{
	struct place *p = *state;
	struct maker m = { .backing = "base.qcow2" };

	make(p, "base.qcow2", NULL);
	maker_open(&m, path_of(p, "unknown.qcow2"));
	maker_put64(&m, 72, UINT64_C(1) << 40);
	maker_close(&m);
	maker_open(&m, path_of(p, "encrypted.qcow2"));
	maker_put32(&m, 32, 2);
	maker_close(&m);
	maker_open(&m, path_of(p, "huge.qcow2"));
	maker_put64(&m, 24, UINT64_MAX);
	maker_close(&m);
	assert_int_equal(children_of(p, "base.qcow2"), 3);
}

/* "remove it to forget which images are frozen" is no reason to lose any. */
static void
without_a_catalogue_no_image_goes_on_which_others_stand(void **state)
{
	struct place *p = *state;

	make(p, "base.qcow2~1.base", NULL);
	make(p, "base.qcow2", "base.qcow2~1.base");
	make(p, "base.qcow2~1", NULL);
	make(p, "b.qcow2", "base.qcow2~1");
	make(p, "c.qcow2~1", "base.qcow2");
	assert_int_equal(children_of(p, "base.qcow2~1.base"), 1);
	assert_true(is_there(p, "base.qcow2~1"));
	assert_false(is_there(p, "c.qcow2~1"));
}

static void
the_name_of_a_snapshot_that_did_not_happen_goes(void **state)
{
	struct place *p = *state;
	struct err err = { "" };
	const char *const disks[] = { path_of(p, "a.qcow2") };

	make(p, "a.qcow2", NULL);
	assert_int_equal(link(disks[0], path_of(p, "a@one.qcow2")), 0);
	good(tree_snapshot(disks, 1, "two", NULL, &err), &err);
	/* The same file as the one that did. */
	assert_true(is_there(p, "a@one.qcow2"));
	assert_int_equal(children_of(p, "a@two.qcow2"), 1);
	assert_false(is_there(p, "a@one.qcow2"));
	assert_true(is_there(p, "a@two.qcow2"));
}

static void
an_image_made_anew_is_frozen_no_more(void **state)
{
	struct place *p = *state;
	struct err err = { "" };
	struct disk_options options = { .size = 2 << 20 };
	const char *const disks[] = { path_of(p, "base.qcow2") };
	struct tree tree;

	make(p, "base.qcow2", NULL);
	good(tree_clone_linked(disks[0], path_of(p, "a.qcow2"), &err), &err);
	scan(p, &tree);
	assert_true(tree_find(&tree, "base.qcow2")->frozen);
	tree_close(&tree);
	unlink(path_of(p, "a.qcow2"));
	unlink(disks[0]);
	good(disk_create(path_of(p, "base.qcow2"), &options, &err), &err);
	scan(p, &tree);
	assert_false(tree_find(&tree, "base.qcow2")->frozen);
	tree_close(&tree);
	good(tree_snapshot(disks, 1, "s", NULL, &err), &err);
}

static void
a_frozen_image_that_others_change_is_noticed(void **state)
{
	struct place *p = *state;
	struct err err = { "" };
	struct tree tree;
	FILE *f;

	make(p, "base.qcow2", NULL);
	good(tree_clone_linked(
		 path_of(p, "base.qcow2"), path_of(p, "a.qcow2"), &err),
	    &err);
	chmod(path_of(p, "base.qcow2"), 0644);
	f = fopen(path_of(p, "base.qcow2"), "a");
	fputc(0, f);
	fclose(f);
	scan(p, &tree);
	assert_true(tree_find(&tree, "base.qcow2")->changed);
	tree_close(&tree);
	assert_int_equal(
	    tree_commit_disk(path_of(p, "a.qcow2"), TREE_COMMIT, NULL, &err),
	    -EUCLEAN);
	assert_non_null(strstr(err.text, "changed since it was frozen"));
}

/* The clone's name is taken, so nothing is frozen. */
static void
a_clone_that_cannot_be_made_freezes_nothing(void **state)
{
	struct place *p = *state;
	struct err err = { "" };
	struct tree tree;

	make(p, "base.qcow2", NULL);
	make(p, "a.qcow2", NULL);
	assert_int_equal(tree_clone_linked(path_of(p, "base.qcow2"),
			     path_of(p, "a.qcow2"), &err),
	    -EEXIST);
	scan(p, &tree);
	assert_false(tree_find(&tree, "base.qcow2")->frozen);
	tree_close(&tree);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_branch_is_found_by_whichever_name_it_has_for_its_base),
		T(a_branch_that_cannot_be_read_here_is_found),
		T(without_a_catalogue_no_image_goes_on_which_others_stand),
		T(the_name_of_a_snapshot_that_did_not_happen_goes),
		T(an_image_made_anew_is_frozen_no_more),
		T(a_frozen_image_that_others_change_is_noticed),
		T(a_clone_that_cannot_be_made_freezes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
