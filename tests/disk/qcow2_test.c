/*
 * The qcow2 header and its entries, by bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <errno.h>

#include "disk/file.h"
#include "disk/qcow2.h"
#include "disk/refcount.h"

#define FILE_BYTES (UINT64_C(1) << 20)

static void
good_header(uint8_t bytes[4096])
{
	struct qcow2 h = { .cluster_bits = 16,
		.size = 1 << 30,
		.l1_entries = 2,
		.l1_offset = 3 << 16,
		.refcount_offset = 1 << 16,
		.refcount_clusters = 1,
		.refcount_order = 4 };

	strcpy(h.backing, "base.qcow2");
	strcpy(h.backing_format, "qcow2");
	qcow2_write_header(&h, bytes, 4096);
}

static void
what_is_written_is_read(void **state)
{
	uint8_t bytes[4096];
	struct qcow2 h;
	struct err err = { 0 };

	(void)state;
	good_header(bytes);
	assert_int_equal(
	    qcow2_read_header(&h, bytes, sizeof(bytes), FILE_BYTES, "t", &err),
	    0);
	assert_int_equal(h.version, 3);
	assert_int_equal(h.size, 1 << 30);
	assert_int_equal(h.l1_entries, 2);
	assert_string_equal(h.backing, "base.qcow2");
	assert_string_equal(h.backing_format, "qcow2");
	assert_int_equal(h.refcount_order, 4);
	assert_true(h.extensions_end <= h.backing_offset);
}

static void
each_wrong_field_is_refused_with_its_reason(void **state)
{
	static const struct {
		size_t at;
		int bytes; /* 4 or 8 */
		uint64_t value;
		int code;
		const char *says;
	} rows[] = {
		{ 0, 4, 0x514649fa, -EINVAL, "no qcow2" },
		{ 4, 4, 1, -ENOTSUP, "version 1" },
		{ 4, 4, 4, -ENOTSUP, "version 4" },
		{ 8, 8, 65535, -EINVAL, "backing file's name" },
		{ 8, 8, UINT64_MAX, -EINVAL, "backing file's name" },
		{ 16, 4, 1024, -EINVAL, "name of 1024 bytes" },
		{ 16, 4, 0, -EINVAL, "name of 0 bytes" },
		{ 20, 4, 8, -EINVAL, "clusters of 2^8" },
		{ 20, 4, 22, -EINVAL, "clusters of 2^22" },
		{ 20, 4, UINT32_MAX, -EINVAL, "clusters" },
		{ 24, 8, (UINT64_C(1) << 46) + 1, -EFBIG, "too large" },
		{ 24, 8, (UINT64_C(1) << 30) + 1, -EINVAL, "L1 table of 2" },
		{ 32, 4, 2, -ENOTSUP, "encrypted" },
		{ 36, 4, UINT32_MAX, -EINVAL, "L1 table" },
		{ 36, 4, 1, -EINVAL, "L1 table of 1" },
		{ 40, 8, 0, -EINVAL, "L1 table at 0" },
		{ 40, 8, 3 << 16 | 512, -EINVAL, "L1 table" },
		{ 40, 8, UINT64_MAX << 16, -EINVAL, "L1 table" },
		{ 40, 8, FILE_BYTES, -EINVAL, "not within the file" },
		{ 48, 8, 0, -EINVAL, "refcount table" },
		{ 48, 8, 513, -EINVAL, "refcount table" },
		{ 48, 8, FILE_BYTES, -EINVAL, "refcount table" },
		{ 56, 4, 0, -EINVAL, "refcount table of 0" },
		{ 56, 4, 129, -EINVAL, "refcount table of 129" },
		{ 72, 8, 1 << 5, -ENOTSUP, "0x20" },
		{ 72, 8, UINT64_C(1) << 63, -ENOTSUP, "unknown here" },
		{ 72, 8, QCOW2_DATA_FILE, -ENOTSUP, "another file" },
		{ 72, 8, QCOW2_COMPRESSION, -EINVAL, "contradicts" },
		{ 96, 4, 7, -EINVAL, "2^7 bits" },
		{ 100, 4, 103, -EINVAL, "header of 103" },
		{ 100, 4, 96, -EINVAL, "header of 96" },
		{ 100, 4, 1 << 17, -EINVAL, "header of" },
		{ 104, 4, 0x01000000, -EINVAL, "contradicts" },
		{ 116, 4, UINT32_MAX, -EINVAL, "too long" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t bytes[4096];
		struct qcow2 h;
		struct err err = { 0 };

		good_header(bytes);
		if (rows[i].bytes == 4)
			put_be32(bytes + rows[i].at, (uint32_t)rows[i].value);
		else
			put_be64(bytes + rows[i].at, rows[i].value);
		assert_int_equal(qcow2_read_header(&h, bytes, sizeof(bytes),
				     FILE_BYTES, "t", &err),
		    rows[i].code);
		if (strstr(err.text, rows[i].says) == NULL)
			fail_msg("row %zu says: %s", i, err.text);
	}
}

static void
a_header_that_reaches_further_asks_for_its_cluster(void **state)
{
	uint8_t bytes[4096];
	struct qcow2 h;
	struct err err = { 0 };

	(void)state;
	good_header(bytes);
	put_be64(bytes + 8, 5000);
	assert_int_equal(
	    qcow2_read_header(&h, bytes, sizeof(bytes), FILE_BYTES, "t", &err),
	    -ERANGE);
	assert_string_equal(err.text, "");
	assert_int_equal(h.cluster_bits, 16);
}

static void
entries_are_judged_by_version_and_kind(void **state)
{
	static const struct {
		unsigned int version;
		bool extended;
		uint64_t entry;
		bool good;
	} rows[] = {
		{ 3, false, 0, true },
		{ 3, false, QCOW2_COPIED | 5 << 16, true },
		{ 3, false, QCOW2_ZERO, true },
		{ 3, false, QCOW2_ZERO | QCOW2_COPIED | 5 << 16, true },
		{ 2, false, QCOW2_ZERO, false },
		{ 3, true, QCOW2_ZERO, false },
		{ 3, false, 5 << 16 | 512, false },
		{ 3, false, 5 << 16 | 2, false },
		{ 3, false, UINT64_C(1) << 56, false },
		{ 3, false, UINT64_C(1) << 61, false },
		{ 3, false, QCOW2_COMPRESSED | 12345, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct qcow2 h = { .version = rows[i].version,
			.cluster_bits = 16,
			.extended_l2 = rows[i].extended };

		assert_int_equal(
		    qcow2_bad_l2(&h, rows[i].entry) == NULL, rows[i].good);
	}
}

static void
compressed_descriptors_have_their_place_and_sectors(void **state)
{
	static const struct {
		unsigned int cluster_bits;
		uint64_t entry, offset;
		uint32_t len;
	} rows[] = {
		/* bits of the offset: 62 - (cluster_bits - 8) */
		{ 16, QCOW2_COMPRESSED | 0x50003, 0x50003, 509 },
		{ 16, QCOW2_COMPRESSED | UINT64_C(3) << 54 | 0x50003, 0x50003,
		    2045 },
		{ 9, QCOW2_COMPRESSED | UINT64_C(1) << 61 | 0x600, 0x600,
		    1024 },
		{ 21, QCOW2_COMPRESSED | UINT64_C(0x1fff) << 49 | 512, 512,
		    8192 * 512 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct qcow2 h = { .version = 3,
			.cluster_bits = rows[i].cluster_bits };
		uint64_t offset;
		uint32_t len;

		qcow2_compressed(&h, rows[i].entry, &offset, &len);
		assert_int_equal(offset, rows[i].offset);
		assert_int_equal(len, rows[i].len);
	}
}

static void
counts_of_each_width_keep_their_neighbours(void **state)
{
	(void)state;
	for (unsigned int order = 0; order <= 6; order++) {
		uint8_t block[512];
		uint64_t most = order == 6 ? UINT64_MAX
					   : (UINT64_C(1) << (1u << order)) - 1;
		size_t n = sizeof(block) * 8 >> order;

		memset(block, 0xff, sizeof(block));
		for (size_t i = 0; i < n; i++) {
			refcount_put(block, i, order, 0);
			assert_int_equal(refcount_get(block, i, order), 0);
			if (i + 1 < n)
				assert_int_equal(
				    refcount_get(block, i + 1, order), most);
			refcount_put(block, i, order, most);
			assert_int_equal(refcount_get(block, i, order), most);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(each_wrong_field_is_refused_with_its_reason),
		cmocka_unit_test(
		    a_header_that_reaches_further_asks_for_its_cluster),
		cmocka_unit_test(entries_are_judged_by_version_and_kind),
		cmocka_unit_test(
		    compressed_descriptors_have_their_place_and_sectors),
		cmocka_unit_test(counts_of_each_width_keep_their_neighbours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
