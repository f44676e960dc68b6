/*
 * Images that were made to do harm: each is refused with a reason, or does none.
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
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/check.h"
#include "disk/disk.h"
#include "disk/qcow2.h"
#include "tests/disk/maker.h"

struct place {
	char directory[64], inside[80], a[128], b[128], secret[128];
	struct disk_set *set;
};

static void
put_file(const char *path, const void *bytes, size_t n)
{
	FILE *out = fopen(path, "w");

	assert_non_null(out);
	assert_int_equal(fwrite(bytes, 1, n, out), n);
	assert_int_equal(fclose(out), 0);
}

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	char secret[4096];

	strcpy(p->directory, "/tmp/lanyard-hostile-XXXXXX");
	assert_non_null(mkdtemp(p->directory));
	snprintf(p->inside, sizeof(p->inside), "%s/in", p->directory);
	assert_int_equal(mkdir(p->inside, 0700), 0);
	snprintf(p->a, sizeof(p->a), "%s/a.qcow2", p->inside);
	snprintf(p->b, sizeof(p->b), "%s/b.qcow2", p->inside);
	snprintf(p->secret, sizeof(p->secret), "%s/secret", p->directory);
	memset(secret, 's', sizeof(secret));
	put_file(p->secret, secret, sizeof(secret));
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
	unlink(p->secret);
	assert_int_equal(rmdir(p->inside), 0);
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

static void
is_refused(struct place *p, const char *path, unsigned int flags, int code,
    const char *says)
{
	struct err err = { 0 };
	int got = 0;
	struct disk *disk = disk_open(p->set, path, flags, &got, &err);

	if (disk != NULL)
		fail_msg("was opened, and should say: %s", says);
	if (strstr(err.text, says) == NULL || got != code)
		fail_msg("%d: %s", got, err.text);
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

/* ---- backing files ---- */

static void
names_that_leave_the_directory_are_refused(void **state)
{
	struct place *p = *state;
	char absolute[160], file[170];
	const char *const names[] = { absolute, file, "../secret",
		"file:../secret", "./../secret", "x/../../secret" };
	char byte;

	snprintf(absolute, sizeof(absolute), "%s", p->secret);
	snprintf(file, sizeof(file), "file:%s", p->secret);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct disk *disk;

		make((struct maker){ .backing = names[i] }, p->a);
		is_refused(p, p->a, 0, -EPERM, "outside its directory");
		if (strncmp(names[i], "x/", 2) == 0)
			continue;
		/* Whoever trusts it reads it. */
		disk = open_disk(p, p->a, DISK_OUTSIDE);
		assert_int_equal(disk_read(disk, &byte, 1, 0, NULL), 0);
		assert_int_equal(byte, 's');
		disk_close(disk, NULL);
	}
}

static void
names_that_are_no_files_are_refused(void **state)
{
	struct place *p = *state;
	static const struct {
		const char *name, *says;
	} rows[] = {
		{ "json:{\"driver\":\"file\"}", "is no file" },
		{ "nbd://host/x", "is no file" },
		{ "nbd:unix:/x", "is no file" },
		{ "https://host/x", "is no file" },
		{ ".", "cannot be opened|neither a file" },
		{ "missing", "No such file" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err = { 0 };
		int code = 0;

		make((struct maker){ .backing = rows[i].name }, p->a);
		assert_null(disk_open(p->set, p->a, DISK_OUTSIDE, &code, &err));
		assert_true(code < 0);
		if (strchr(rows[i].says, '|') == NULL &&
		    strstr(err.text, rows[i].says) == NULL)
			fail_msg("%s", err.text);
	}
}

static void
a_chain_without_an_end_is_refused(void **state)
{
	struct place *p = *state;

	make((struct maker){ .backing = "a.qcow2" }, p->a);
	is_refused(p, p->a, 0, -ELOOP, "its own backing file");
	make((struct maker){ .backing = "b.qcow2" }, p->a);
	make((struct maker){ .backing = "./a.qcow2" }, p->b);
	is_refused(p, p->a, 0, -ELOOP, "its own backing file");
	/* By another name of the same file. */
	unlink(p->b);
	make((struct maker){ .backing = "b.qcow2" }, p->a);
	assert_int_equal(link(p->a, p->b), 0);
	is_refused(p, p->a, 0, -ELOOP, "its own backing file");
	unlink(p->b);
	assert_int_equal(symlink(p->a, p->b), 0);
	is_refused(p, p->a, 0, -ELOOP, "its own backing file");
}

/* The backing format's extension, behind a header of 112 bytes. */
static void
make_with_format(const char *path, const char *format)
{
	struct maker m = { .backing = "b.qcow2", .name_at = 400 };
	uint8_t padded[48] = { 0 };
	size_t n = strlen(format);

	maker_open(&m, path);
	memcpy(padded, format, n);
	maker_put32(&m, 112, 0xe2792aca);
	maker_put32(&m, 116, (uint32_t)n);
	assert_int_equal(
	    pwrite(m.fd, padded, sizeof(padded), 120), sizeof(padded));
	maker_close(&m);
}

static void
a_backing_format_that_is_not_read_is_refused(void **state)
{
	struct place *p = *state;

	make((struct maker){ 0 }, p->b);
	make_with_format(p->a, "vmdk");
	is_refused(p, p->a, 0, -ENOTSUP, "of format vmdk");
	make_with_format(p->a, "raw-and-then-much-more");
	is_refused(p, p->a, 0, -ENOTSUP, "of format raw-and-then-mu");
	make_with_format(p->a, "qcow2");
	disk_close(open_disk(p, p->a, 0), NULL);
}

static void
what_is_called_raw_stays_raw_beside_one_who_guesses(void **state)
{
	struct place *p = *state;
	struct disk *guessed, *called;
	uint8_t magic[4];

	make((struct maker){ 0 }, p->b);
	make_with_format(p->a, "raw");
	guessed = open_disk(p, p->b, 0);
	called = open_disk(p, p->a, 0);
	assert_int_equal(disk_read(called, magic, 4, 0, NULL), 0);
	assert_memory_equal(magic, "QFI\xfb", 4);
	disk_close(called, NULL);
	disk_close(guessed, NULL);
}

static void
other_formats_are_not_taken_for_raw(void **state)
{
	struct place *p = *state;
	static const struct {
		const char *format, *bytes;
		size_t at, n;
	} rows[] = {
		{ "vmdk", "KDMV", 0, 4 },
		{ "vmdk", "# Disk DescriptorFile\nversion=1\n", 0, 32 },
		{ "vdi", "\x7f\x10\xda\xbe", 64, 4 },
		{ "vhdx", "vhdxfile", 0, 8 },
		{ "vpc", "conectix", 0, 8 },
		{ "qed", "QED\0", 0, 4 },
		{ "parallels", "WithoutFreeSpace", 0, 16 },
		{ "luks", "LUKS\xba\xbe", 0, 6 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char bytes[4096] = { 0 };

		memcpy(bytes + rows[i].at, rows[i].bytes, rows[i].n);
		put_file(p->a, bytes, sizeof(bytes));
		is_refused(p, p->a, 0, -ENOTSUP, rows[i].format);
		disk_close(open_disk(p, p->a, DISK_RAW), NULL);
	}
}

static void
a_guest_cannot_make_its_raw_disk_a_qcow2_image(void **state)
{
	struct place *p = *state;
	static const uint8_t header[8] = "QFI\xfb\0\0\0\3";
	uint8_t bytes[4096] = { 0 };
	struct err err = { 0 };
	struct disk *disk;

	put_file(p->a, bytes, sizeof(bytes));
	disk = open_disk(p, p->a, DISK_WRITE);
	assert_int_equal(
	    disk_write(disk, header, sizeof(header), 0, &err), -EPERM);
	assert_non_null(strstr(err.text, "--raw"));
	/* Nor in pieces. */
	assert_int_equal(disk_write(disk, header + 2, 6, 2, NULL), 0);
	assert_int_equal(disk_write(disk, header, 1, 0, NULL), 0);
	assert_int_equal(disk_write(disk, header + 1, 1, 1, NULL), -EPERM);
	assert_int_equal(disk_close(disk, NULL), 0);
	disk = open_disk(p, p->a, DISK_WRITE | DISK_RAW);
	assert_int_equal(disk_write(disk, header, 8, 0, NULL), 0);
	assert_int_equal(disk_close(disk, NULL), 0);
}

/* ---- tables ---- */

static void
check_says(const char *path, uint64_t overlaps, const char *says)
{
	struct err err = { 0 };
	struct check check = { 0 };
	int code = disk_check(path, false, &check, &err);

	if (code != 0 && strstr(err.text, says) == NULL)
		fail_msg("%s", err.text);
	if (code != 0)
		return;
	if (check.corruptions == 0 || strstr(check.first, says) == NULL)
		fail_msg("%s", check.first);
	if (overlaps > 0)
		assert_true(check.overlaps >= overlaps);
}

/* Data where a table is: neither a write nor a discard may reach the table. */
static void
a_table_that_is_named_as_data_is_not_written_over(void **state)
{
	struct place *p = *state;

	for (uint64_t table = 0; table < 5; table++) {
		struct maker m = { 0 };
		struct disk *disk;
		uint8_t before[4096], after[4096], bytes[4096];
		int code;

		/* Cluster 4 becomes the L2 table. */
		maker_open(&m, p->a);
		assert_int_equal(
		    ftruncate(m.fd, (off_t)maker_cluster(&m, 5)), 0);
		maker_put64(&m, maker_cluster(&m, 2) + 8, UINT64_C(1) << 48);
		maker_put64(&m, maker_cluster(&m, 3),
		    QCOW2_COPIED | maker_cluster(&m, 4));
		maker_put64(&m, maker_cluster(&m, 4),
		    QCOW2_COPIED | maker_cluster(&m, table));
		assert_int_equal(pread(m.fd, before, sizeof(before),
				     (off_t)maker_cluster(&m, table)),
		    sizeof(before));
		if (table > 0)
			check_says(p->a, 1, "overlaps");
		memset(bytes, 0x5a, sizeof(bytes));
		disk = disk_open(p->set, p->a, DISK_WRITE, &code, NULL);
		if (disk != NULL) {
			disk_write(disk, bytes, sizeof(bytes), 0, NULL);
			disk_discard(disk, 0, sizeof(bytes), NULL);
			disk_write(disk, bytes, sizeof(bytes), 0, NULL);
			disk_flush(disk, NULL);
			disk_close(disk, NULL);
		}
		assert_int_equal(pread(m.fd, after, sizeof(after),
				     (off_t)maker_cluster(&m, table)),
		    sizeof(after));
		/* Other entries of the tables may have changed. */
		assert_memory_not_equal(after, bytes, sizeof(after));
		assert_memory_equal(after, before, 16);
		maker_close(&m);
	}
}

static void
two_l2_tables_in_one_cluster_are_refused(void **state)
{
	struct place *p = *state;
	struct maker m = { .size = 8 << 20 };

	maker_open(&m, p->a);
	assert_int_equal(ftruncate(m.fd, (off_t)maker_cluster(&m, 5)), 0);
	for (uint64_t i = 0; i < 2; i++)
		maker_put64(&m, maker_cluster(&m, 3) + i * 8,
		    QCOW2_COPIED | maker_cluster(&m, 4));
	maker_close(&m);
	is_refused(p, p->a, 0, -EINVAL, "is used twice");
}

/* 4 Mi L1 entries, each with an L2 table of 2 MiB in a hole. */
static void
tables_in_holes_cost_no_time(void **state)
{
	struct place *p = *state;
	struct maker m = { .cluster_bits = 21, .size = UINT64_C(1) << 40 };
	enum { ENTRIES = 1 << 22 };
	uint8_t *l1 = calloc(ENTRIES, 8);

	maker_open(&m, p->a);
	assert_int_equal(
	    ftruncate(m.fd, (off_t)maker_cluster(&m, ENTRIES + 64)), 0);
	for (uint64_t i = 0; i < ENTRIES; i++)
		for (int k = 0; k < 8; k++)
			l1[i * 8 + k] = (uint8_t)(maker_cluster(&m, i + 40) >>
			    (56 - k * 8));
	assert_int_equal(
	    pwrite(m.fd, l1, (size_t)ENTRIES * 8, (off_t)maker_cluster(&m, 8)),
	    (ssize_t)ENTRIES * 8);
	free(l1);
	maker_put32(&m, 36, ENTRIES);
	maker_put64(&m, 40, maker_cluster(&m, 8));
	maker_close(&m);
	check_says(p->a, 0, "");
}

/* 65,535 internal snapshots that all have the active tables. */
static void
tables_named_many_times_are_followed_once(void **state)
{
	struct place *p = *state;
	enum { SNAPSHOTS = 65535 };
	struct maker m = { .size = 256 << 20 };
	uint64_t at;

	maker_open(&m, p->a);
	at = maker_cluster(&m, 200);
	assert_int_equal(ftruncate(m.fd, 16 << 20), 0);
	for (uint64_t i = 0; i < 128; i++)
		maker_put64(&m, maker_cluster(&m, 3) + i * 8,
		    maker_cluster(&m, 10 + i));
	for (uint64_t i = 0; i < 128 * 512; i++)
		maker_put64(&m, maker_cluster(&m, 10) + i * 8,
		    maker_cluster(&m, 150 + i % 40));
	maker_put32(&m, 60, SNAPSHOTS);
	maker_put64(&m, 64, at);
	for (uint64_t i = 0; i < SNAPSHOTS; i++) {
		maker_put64(&m, at + i * 40, maker_cluster(&m, 3));
		maker_put32(&m, at + i * 40 + 8, 128);
	}
	maker_close(&m);
	check_says(p->a, 1, "overlaps");
}

/* All entries of a table of 8 MiB name one block, of single bits. */
static void
a_block_named_many_times_is_compared_once(void **state)
{
	struct place *p = *state;
	struct maker m = { .cluster_bits = 21, .count_bits = 1 };

	maker_open(&m, p->a);
	maker_put32(&m, 56, 4);
	maker_put64(&m, 48, maker_cluster(&m, 4));
	assert_int_equal(ftruncate(m.fd, (off_t)maker_cluster(&m, 8)), 0);
	for (uint64_t i = 0; i < 1 << 20; i++)
		maker_put64(
		    &m, maker_cluster(&m, 4) + i * 8, maker_cluster(&m, 2));
	maker_close(&m);
	check_says(p->a, 1, "overlaps");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(names_that_leave_the_directory_are_refused),
		T(names_that_are_no_files_are_refused),
		T(a_chain_without_an_end_is_refused),
		T(a_backing_format_that_is_not_read_is_refused),
		T(what_is_called_raw_stays_raw_beside_one_who_guesses),
		T(other_formats_are_not_taken_for_raw),
		T(a_guest_cannot_make_its_raw_disk_a_qcow2_image),
		T(a_table_that_is_named_as_data_is_not_written_over),
		T(two_l2_tables_in_one_cluster_are_refused),
		T(tables_in_holes_cost_no_time),
		T(tables_named_many_times_are_followed_once),
		T(a_block_named_many_times_is_compared_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
