/*
 * Checkpoints of a VM: made, read, gone back to, forgotten; and a crash at each
 * moment of making one.
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
#include <sys/stat.h>
#include <unistd.h>

#include "disk/check.h"
#include "disk/checkpoint.h"
#include "disk/tree.h"
#include "tests/disk/recorder.h"

#define RAM  (64u * CHECKPOINT_PAGE)
#define ROM  (16u * CHECKPOINT_PAGE)
#define SIZE (1u << 18)

struct place {
	char directory[64], scratch[64];
	struct disk_set *set;
	uint8_t ram[RAM], rom[ROM];
};

static const char *
path_of(const char *directory, const char *file)
{
	static char paths[4][512];
	static unsigned int next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s%s", directory, file);
	return path;
}

static void
make_disk(struct place *p, const char *file, uint8_t value)
{
	struct disk_options options = { .size = SIZE };
	struct err err = { "" };
	uint8_t bytes[5000];
	struct disk *disk;
	int code;

	if (disk_create(path_of(p->directory, file), &options, &err) != 0)
		fail_msg("%s", err.text);
	disk = disk_open(
	    p->set, path_of(p->directory, file), DISK_WRITE, &code, &err);
	memset(bytes, value, sizeof(bytes));
	assert_int_equal(disk_write(disk, bytes, sizeof(bytes), 777, NULL), 0);
	assert_int_equal(disk_close(disk, NULL), 0);
}

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->directory, "/tmp/lanyard-checkpoint-XXXXXX");
	strcpy(p->scratch, "/tmp/lanyard-checkpoint-XXXXXX");
	assert_non_null(mkdtemp(p->directory));
	assert_non_null(mkdtemp(p->scratch));
	strcat(p->directory, "/");
	strcat(p->scratch, "/");
	p->set = disk_set_new();
	make_disk(p, "a.qcow2", 10);
	make_disk(p, "b.qcow2", 20);
	for (size_t i = 0; i < RAM; i++)
		p->ram[i] = i / CHECKPOINT_PAGE % 3 == 0
		    ? 0
		    : (uint8_t)(i * 7 + i / CHECKPOINT_PAGE);
	memset(p->rom, 0xc3, ROM / 2);
	*state = p;
	return 0;
}

static void
empty(const char *directory)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;

	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			unlink(path_of(directory, entry->d_name));
	closedir(dir);
	rmdir(directory);
}

static int
tear_down(void **state)
{
	struct place *p = *state;

	recorder_stop();
	recorder_free();
	empty(p->directory);
	empty(p->scratch);
	disk_set_free(p->set);
	free(p);
	return 0;
}

static struct checkpoint *
begin(struct place *p, const char *name, const char *since, struct err *err)
{
	struct checkpoint_plan plan = { .directory = p->directory,
		.vm = "vm",
		.name = name,
		.since = since,
		.n = 2,
		.memories = { { "ram", RAM }, { "rom", ROM } } };
	int code;

	return checkpoint_begin(&plan, &code, err);
}

static void
write_all(struct checkpoint *cp, struct place *p)
{
	assert_int_equal(checkpoint_write(cp, 0, 0, p->ram, RAM, NULL), 0);
	assert_int_equal(checkpoint_write(cp, 1, 0, p->rom, ROM, NULL), 0);
}

static int
commit(struct checkpoint *cp, struct place *p, const char *config,
    struct disk *live, struct err *err)
{
	char a[512], b[512];
	const char *disks[] = { a, b };
	struct disk *const lives[] = { live, NULL };
	struct checkpoint_rest rest = { .config = config,
		.config_bytes = strlen(config),
		.disks = disks,
		.live = lives,
		.n = 2 };

	strcpy(a, path_of(p->directory, "a.qcow2"));
	strcpy(b, path_of(p->directory, "b.qcow2"));
	return checkpoint_commit(cp, &rest, err);
}

static void
make(struct place *p, const char *name, const char *since)
{
	struct err err = { "" };
	struct checkpoint *cp = begin(p, name, since, &err);

	if (cp == NULL)
		fail_msg("%s", err.text);
	write_all(cp, p);
	if (commit(cp, p, name, NULL, &err) != 0)
		fail_msg("%s", err.text);
	checkpoint_free(cp);
}

static void
expect_bytes(struct place *p, const char *path, const uint8_t *bytes, size_t n)
{
	uint8_t *now = malloc(n);
	struct err err = { "" };
	int code;
	struct disk *disk = disk_open(p->set, path, 0, &code, &err);

	if (disk == NULL)
		fail_msg("%s", err.text);
	assert_int_equal(disk_size(disk), n);
	assert_int_equal(disk_read(disk, now, n, 0, NULL), 0);
	assert_memory_equal(now, bytes, n);
	disk_close(disk, NULL);
	free(now);
}

static uint8_t
byte_of(struct place *p, const char *path)
{
	struct err err = { "" };
	int code;
	struct disk *disk = disk_open(p->set, path, 0, &code, &err);
	uint8_t byte;

	if (disk == NULL)
		fail_msg("%s", err.text);
	assert_int_equal(disk_read(disk, &byte, 1, 1000, NULL), 0);
	disk_close(disk, NULL);
	return byte;
}

static void
write_byte(struct place *p, const char *file, uint8_t byte)
{
	struct err err = { "" };
	int code;
	struct disk *disk = disk_open(
	    p->set, path_of(p->directory, file), DISK_WRITE, &code, &err);

	if (disk == NULL)
		fail_msg("%s", err.text);
	assert_int_equal(disk_write(disk, &byte, 1, 1000, NULL), 0);
	assert_int_equal(disk_close(disk, NULL), 0);
}

/* The parts of a checkpoint that was made by make() are as they were. */
static void
expect_parts(
    struct place *p, const struct checkpoint_info *info, const uint8_t *ram)
{
	assert_int_equal(info->n, 5);
	assert_string_equal(info->parts[1].what, "ram");
	expect_bytes(p, info->parts[1].path, ram, RAM);
	assert_string_equal(info->parts[2].what, "rom");
	expect_bytes(p, info->parts[2].path, p->rom, ROM);
	assert_string_equal(info->parts[3].what, "disk");
	assert_int_equal(byte_of(p, info->parts[3].path), 10);
	assert_int_equal(byte_of(p, info->parts[4].path), 20);
}

static void
expect_whole(struct place *p, const char *directory, const char *name,
    const uint8_t *ram)
{
	char full[64];
	struct err err = { "" };
	struct checkpoint_view *view;
	int code;

	snprintf(full, sizeof(full), "vm@%s", name);
	view = checkpoint_open(directory, full, &code, &err);
	if (view == NULL)
		fail_msg("%s", err.text);
	assert_int_equal(view->config_bytes, strlen(name));
	assert_memory_equal(view->config, name, strlen(name));
	expect_parts(p, &view->info, ram);
	checkpoint_close(view);
}

static uint64_t
data_of(struct place *p, const char *file)
{
	struct disk_set *set = p->set;
	uint64_t sum = 0, size;
	struct disk_extent x;
	int code;
	struct disk *disk = disk_open(
	    set, path_of(p->directory, file), DISK_ALONE, &code, NULL);

	assert_non_null(disk);
	size = disk_size(disk);
	for (uint64_t at = 0; at < size; at += x.len) {
		assert_int_equal(disk_extent(disk, at, size - at, &x, NULL), 0);
		sum += x.data ? x.len : 0;
	}
	disk_close(disk, NULL);
	return sum;
}

static void
a_checkpoint_has_all_of_a_vm(void **state)
{
	struct place *p = *state;

	make(p, "one", NULL);
	write_byte(p, "a.qcow2", 11);
	expect_whole(p, p->directory, "one", p->ram);
	/* Pages of zeros take no room. */
	assert_int_equal(data_of(p, "vm@one~ram.qcow2"), 42 * CHECKPOINT_PAGE);
}

static void
a_later_one_has_what_differs(void **state)
{
	struct place *p = *state;
	uint8_t *old = malloc(RAM);

	make(p, "one", NULL);
	memcpy(old, p->ram, RAM);
	p->ram[3 * CHECKPOINT_PAGE] = 1; /* was zeros */
	memset(p->ram + 4 * CHECKPOINT_PAGE, 0, CHECKPOINT_PAGE);
	make(p, "two", "one");
	assert_int_equal(data_of(p, "vm@two~ram.qcow2"), CHECKPOINT_PAGE);
	assert_int_equal(data_of(p, "vm@two~rom.qcow2"), 0);
	expect_whole(p, p->directory, "two", p->ram);
	expect_whole(p, p->directory, "one", old);
	free(old);
}

static void
memory_can_be_written_again_until_the_commit(void **state)
{
	struct place *p = *state;
	struct err err = { "" };
	struct checkpoint *cp = begin(p, "one", NULL, &err);

	assert_non_null(cp);
	write_all(cp, p);
	assert_int_equal(checkpoint_sync(cp, &err), 0);
	memset(p->ram + CHECKPOINT_PAGE, 0, CHECKPOINT_PAGE);
	memset(p->ram + 3 * CHECKPOINT_PAGE, 5, CHECKPOINT_PAGE);
	write_all(cp, p);
	assert_int_equal(commit(cp, p, "one", NULL, &err), 0);
	checkpoint_free(cp);
	expect_whole(p, p->directory, "one", p->ram);
}

static void
what_is_not_committed_leaves_nothing(void **state)
{
	struct place *p = *state;
	struct err err = { "" };
	struct checkpoint *cp;
	DIR *dir;
	struct dirent *entry;

	make(p, "one", NULL);
	cp = begin(p, "one", NULL, &err);
	assert_non_null(cp);
	write_all(cp, p);
	assert_int_equal(commit(cp, p, "again", NULL, &err), -EEXIST);
	checkpoint_free(cp);
	dir = opendir(p->directory);
	while ((entry = readdir(dir)) != NULL)
		assert_null(strstr(entry->d_name, "new"));
	closedir(dir);
	expect_whole(p, p->directory, "one", p->ram);
}

static void
going_back_restores_all_disks(void **state)
{
	struct place *p = *state;
	struct err err = { "" };

	make(p, "one", NULL);
	write_byte(p, "a.qcow2", 111);
	write_byte(p, "b.qcow2", 112);
	if (checkpoint_rollback(p->directory, "vm@one", &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(byte_of(p, path_of(p->directory, "a.qcow2")), 10);
	assert_int_equal(byte_of(p, path_of(p->directory, "b.qcow2")), 20);
}

static void
a_commit_does_not_write_below_a_checkpoint(void **state)
{
	struct place *p = *state;
	struct err err = { "" };
	char a[512];

	make(p, "one", NULL);
	write_byte(p, "a.qcow2", 111);
	strcpy(a, path_of(p->directory, "a.qcow2"));
	assert_int_equal(tree_commit_disk(a, TREE_COMMIT, NULL, &err), -EBUSY);
	assert_non_null(strstr(err.text, "checkpoint vm@one"));
	err_clear(&err);
	assert_int_equal(
	    tree_commit_disk(a, TREE_KEEP_SIBLINGS, NULL, &err), -EBUSY);
	err_clear(&err);
	if (tree_commit_disk(a, TREE_RELABEL, NULL, &err) != 0)
		fail_msg("%s", err.text);
	expect_whole(p, p->directory, "one", p->ram);
	assert_int_equal(byte_of(p, a), 111);
}

struct count {
	size_t n;
	char names[4][32];
};

static void
note_name(void *arg, const struct checkpoint_info *info)
{
	struct count *count = arg;

	assert_in_range(count->n, 0, 3);
	snprintf(count->names[count->n++], 32, "%s", info->name);
}

static void
one_that_is_forgotten_leaves_the_others_whole(void **state)
{
	struct place *p = *state;
	struct count count = { 0 };
	struct err err = { "" };
	uint8_t *old = malloc(RAM);
	struct stat st;

	make(p, "one", NULL);
	memset(p->ram + CHECKPOINT_PAGE, 9, CHECKPOINT_PAGE);
	memcpy(old, p->ram, RAM);
	make(p, "two", "one");
	memset(p->ram + 5 * CHECKPOINT_PAGE, 0, CHECKPOINT_PAGE);
	make(p, "three", "two");
	if (checkpoint_delete(p->directory, "vm@one", &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(
	    stat(path_of(p->directory, "vm@one~ram.qcow2"), &st), -1);
	assert_int_equal(stat(path_of(p->directory, "vm@one~config"), &st), -1);
	assert_int_equal(stat(path_of(p->directory, "a@one.qcow2"), &st), -1);
	expect_whole(p, p->directory, "two", old);
	expect_whole(p, p->directory, "three", p->ram);
	assert_int_equal(
	    checkpoint_list(p->directory, note_name, &count, &err), 0);
	assert_int_equal(count.n, 2);
	assert_string_equal(count.names[0], "vm@two");
	assert_string_equal(count.names[1], "vm@three");
	assert_int_equal(
	    checkpoint_delete(p->directory, "vm@one", &err), -ENOENT);
	free(old);
}

static void
a_part_that_others_have_changed_is_refused(void **state)
{
	struct place *p = *state;
	struct err err = { "" };
	FILE *f;
	int code;

	make(p, "one", NULL);
	f = fopen(path_of(p->directory, "vm@one~ram.qcow2"), "r+");
	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	fputc('x', f);
	fclose(f);
	assert_null(checkpoint_open(p->directory, "vm@one", &code, &err));
	assert_int_equal(code, -EUCLEAN);
}

/* ---- crashes ---- */

struct judged {
	struct place *p;
	size_t there, gone;
};

/* Not by checkpoint_open(): replayed files are younger than their records. */
static void
judge_one(void *arg, const struct checkpoint_info *info)
{
	struct judged *j = arg;
	char config[8] = "";
	FILE *f = fopen(info->parts[0].path, "r");

	assert_non_null(f);
	assert_non_null(fgets(config, sizeof(config), f));
	fclose(f);
	assert_string_equal(config, "one");
	assert_string_equal(info->name, "vm@one");
	expect_parts(j->p, info, j->p->ram);
	j->there++;
}

static void
judge(void *arg, size_t marks)
{
	struct judged *j = arg;
	struct place *p = j->p;
	struct err err = { "" };
	size_t there = j->there;

	(void)marks;
	if (checkpoint_list(p->scratch, judge_one, j, &err) != 0)
		fail_msg("%s", err.text);
	j->gone += j->there == there;
	assert_int_equal(byte_of(p, path_of(p->scratch, "a.qcow2")), 10);
	assert_int_equal(byte_of(p, path_of(p->scratch, "b.qcow2")), 20);
}

static void
a_crash_leaves_all_of_it_or_nothing(void **state)
{
	struct place *p = *state;
	struct judged j = { .p = p };
	struct err err = { "" };
	struct checkpoint *cp;
	struct disk *live;
	char directory[64], scratch[64];
	size_t states;
	int code;

	/* Without the slash at the end. */
	snprintf(directory, sizeof(directory), "%.*s",
	    (int)strlen(p->directory) - 1, p->directory);
	snprintf(scratch, sizeof(scratch), "%.*s", (int)strlen(p->scratch) - 1,
	    p->scratch);
	recorder_start(directory);
	live = disk_open(
	    p->set, path_of(p->directory, "a.qcow2"), DISK_WRITE, &code, &err);
	cp = begin(p, "one", NULL, &err);
	assert_non_null(cp);
	write_all(cp, p);
	if (commit(cp, p, "one", live, &err) != 0)
		fail_msg("%s", err.text);
	recorder_stop();
	checkpoint_free(cp);
	assert_int_equal(disk_close(live, NULL), 0);
	states = recorder_replay(scratch, 5, judge, &j);
	printf("# figure: checkpoint: %zu states after a crash, all good\n",
	    states);
	assert_true(j.there > 5 && j.gone > 20);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_checkpoint_has_all_of_a_vm),
		T(a_later_one_has_what_differs),
		T(memory_can_be_written_again_until_the_commit),
		T(what_is_not_committed_leaves_nothing),
		T(going_back_restores_all_disks),
		T(a_commit_does_not_write_below_a_checkpoint),
		T(one_that_is_forgotten_leaves_the_others_whole),
		T(a_part_that_others_have_changed_is_refused),
		T(a_crash_leaves_all_of_it_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
