#include "pcap-tools/reader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

#include "pcap-tools/pcapng.h"

/* ---- files, put together in either byte order ---- */

struct made {
	uint8_t data[8192];
	size_t n;
	bool big;
};

static void
bytes(struct made *m, const void *data, size_t n)
{
	assert_true(sizeof(m->data) - m->n >= n);
	if (n > 0)
		memcpy(m->data + m->n, data, n);
	m->n += n;
}

static void
u8(struct made *m, uint8_t v)
{
	bytes(m, &v, 1);
}

static void
u16(struct made *m, uint16_t v)
{
	u8(m, (uint8_t)(m->big ? v >> 8 : v));
	u8(m, (uint8_t)(m->big ? v : v >> 8));
}

static void
u32(struct made *m, uint32_t v)
{
	u16(m, (uint16_t)(m->big ? v >> 16 : v));
	u16(m, (uint16_t)(m->big ? v : v >> 16));
}

static void
pad(struct made *m)
{
	while (m->n % 4 != 0)
		u8(m, 0);
}

static void
option(struct made *m, uint16_t code, const void *value, uint16_t n)
{
	u16(m, code);
	u16(m, n);
	bytes(m, value, n);
	pad(m);
}

static size_t
begin(struct made *m, uint32_t type)
{
	size_t start = m->n;

	u32(m, type);
	u32(m, 0);
	return start;
}

static void
end(struct made *m, size_t start)
{
	uint32_t total = (uint32_t)(m->n - start) + 4;
	size_t n = m->n;

	u32(m, total);
	n = m->n;
	m->n = start + 4;
	u32(m, total);
	m->n = n;
}

static void
section(struct made *m, bool big)
{
	size_t b;

	m->big = big;
	b = begin(m, 0x0a0d0d0a);
	u32(m, 0x1a2b3c4d);
	u16(m, 1);
	u16(m, 0);
	u32(m, UINT32_MAX);
	u32(m, UINT32_MAX);
	end(m, b);
}

/* resolution 0: not said. */
static void
interface(
    struct made *m, const char *name, uint32_t snaplen, uint8_t resolution)
{
	size_t b = begin(m, 1);

	u16(m, 1);
	u16(m, 0);
	u32(m, snaplen);
	option(m, 2, name, (uint16_t)strlen(name));
	option(m, 0x7abc, "what nobody knows", 17);
	if (resolution != 0)
		option(m, 9, &resolution, 1);
	option(m, 0, NULL, 0);
	end(m, b);
}

static void
packet(struct made *m, uint32_t number, uint64_t stamp, const char *data,
    uint32_t len, const char *comment)
{
	uint32_t kept = (uint32_t)strlen(data);
	size_t b = begin(m, 6);

	u32(m, number);
	u32(m, (uint32_t)(stamp >> 32));
	u32(m, (uint32_t)stamp);
	u32(m, kept);
	u32(m, len);
	bytes(m, data, kept);
	pad(m);
	if (comment != NULL) {
		u16(m, 2);
		u16(m, 4);
		u32(m, PCAPNG_OUTBOUND);
		option(m, 1, comment, (uint16_t)strlen(comment));
		option(m, 1, "another", 7);
		option(m, 0, NULL, 0);
	}
	end(m, b);
}

static void
pcap_header(struct made *m, uint32_t magic, bool big, uint32_t network)
{
	m->big = big;
	u32(m, magic);
	u16(m, 2);
	u16(m, 4);
	u32(m, 0);
	u32(m, 0);
	u32(m, 65535);
	u32(m, network);
}

static void
pcap_record(struct made *m, uint32_t s, uint32_t fraction, const char *data,
    uint32_t len, unsigned int more)
{
	u32(m, s);
	u32(m, fraction);
	u32(m, (uint32_t)strlen(data));
	u32(m, len);
	while (more-- > 0)
		u8(m, 0);
	bytes(m, data, strlen(data));
}

/* ---- reading them ---- */

static char path[] = "/tmp/reader_testXXXXXX";

static int
make_path(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	close(fd);
	return fd < 0;
}

static int
remove_path(void **state)
{
	(void)state;
	return unlink(path);
}

static struct reader *
open_bytes(const void *data, size_t n, struct err *err)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
	err_clear(err);
	return reader_open(path, err);
}

static void
expect(struct reader *r, struct reader_frame *f, uint32_t number,
    const char *data, uint64_t at_ns)
{
	struct err err = { "" };

	if (reader_next(r, f, &err) != 1)
		fail_msg("no frame: %s", err.text);
	assert_int_equal(f->interface, number);
	assert_int_equal(f->kept_bytes, strlen(data));
	assert_memory_equal(f->data, data, f->kept_bytes);
	assert_int_equal(f->at_ns, at_ns);
}

static void
expect_end(struct reader *r)
{
	struct reader_frame f;
	struct err err = { "" };

	assert_int_equal(reader_next(r, &f, &err), 0);
	assert_string_equal(err.text, "");
	reader_free(r);
}

/* Two sections, the second in the other byte order, of every kind of block. */
static void
make_both(struct made *m, bool big)
{
	size_t b;

	*m = (struct made){ .n = 0 };
	section(m, big);
	interface(m, "gw.inside", 0, 9);
	interface(m, "gw.outside", 7, 0x80 | 10);
	packet(m, 0, 1700000000000000001ULL, "first", 60, "because");
	b = begin(m, 0x12345678);
	bytes(m, "a block that nobody knows...", 28);
	end(m, b);
	packet(m, 1, 3 * 1024 + 512, "second", 6, NULL);
	section(m, !big);
	interface(m, "lan.a", 3, 0);
	b = begin(m, 3);
	u32(m, 10);
	bytes(m, "sim", 3);
	pad(m);
	end(m, b);
	b = begin(m, 2);
	u16(m, 0);
	u16(m, 5);
	u32(m, 0);
	u32(m, 1500000);
	u32(m, 3);
	u32(m, 3);
	bytes(m, "old", 3);
	pad(m);
	end(m, b);
	b = begin(m, 5);
	u32(m, 0);
	u32(m, 0);
	u32(m, 0);
	u16(m, 4);
	u16(m, 8);
	u32(m, m->big ? 0 : 9);
	u32(m, m->big ? 9 : 0);
	u16(m, 5);
	u16(m, 8);
	u32(m, m->big ? 0 : 2);
	u32(m, m->big ? 2 : 0);
	end(m, b);
}

static void
sections_of_both_byte_orders_with_every_kind_of_block(void **state)
{
	(void)state;
	for (int big = 0; big < 2; big++) {
		struct made m;
		struct reader_frame f;
		struct reader *r;
		struct err err;
		const uint8_t *text;
		size_t n;

		make_both(&m, big);
		r = open_bytes(m.data, m.n, &err);
		assert_non_null(r);
		expect(r, &f, 0, "first", 1700000000000000001ULL);
		assert_int_equal(f.number, 1);
		assert_int_equal(f.len_bytes, 60);
		assert_int_equal(f.flags, PCAPNG_OUTBOUND);
		text = reader_option(&f, 1, 0, &n);
		assert_non_null(text);
		assert_int_equal(n, 7);
		assert_memory_equal(text, "because", 7);
		text = reader_option(&f, 1, 1, &n);
		assert_non_null(text);
		assert_memory_equal(text, "another", 7);
		assert_null(reader_option(&f, 1, 2, &n));
		expect(r, &f, 1, "second", 3500000000);
		assert_null(reader_option(&f, 1, 0, &n));
		expect(r, &f, 2, "sim", 0);
		assert_false(f.stamped);
		assert_int_equal(f.len_bytes, 10);
		expect(r, &f, 2, "old", 1500000000);
		assert_int_equal(reader_interfaces(r), 3);
		assert_string_equal(reader_interface(r, 1)->name, "gw.outside");
		assert_int_equal(reader_interface(r, 2)->section, 1);
		assert_false(reader_interface(r, 2)->counted);
		assert_int_equal(reader_next(r, &f, &err), 0);
		assert_true(reader_interface(r, 2)->counted);
		assert_int_equal(reader_interface(r, 2)->received, 9);
		assert_int_equal(reader_interface(r, 2)->dropped, 2);
		reader_free(r);
	}
}

static void
pcap_of_both_byte_orders_resolutions_and_old_record_lengths(void **state)
{
	static const struct {
		uint32_t magic;
		unsigned int more;
		uint32_t ns_per_unit;
	} cases[] = {
		{ 0xa1b2c3d4, 0, 1000 },
		{ 0xa1b23c4d, 0, 1 },
		{ 0xa1b2c3d4, 4, 1000 },
		{ 0xa1b2cd34, 8, 1000 },
		{ 0xa1b2cd34, 12, 1000 },
	};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		struct made m = { .n = 0 };
		struct reader_frame f;
		struct reader *r;
		struct err err;

		pcap_header(&m, cases[i / 2].magic, i % 2, 0x54000069);
		for (unsigned int k = 0; k < 3; k++)
			pcap_record(&m, 1700000000 + k, 999999,
			    k == 1 ? "a longer one of them" : "frame", 40,
			    cases[i / 2].more);
		r = open_bytes(m.data, m.n, &err);
		assert_non_null(r);
		for (uint64_t k = 0; k < 3; k++)
			expect(r, &f, 0,
			    k == 1 ? "a longer one of them" : "frame",
			    (1700000000 + k) * 1000000000 +
				999999ULL * cases[i / 2].ns_per_unit);
		assert_int_equal(f.len_bytes, 40);
		assert_int_equal(reader_interface(r, 0)->linktype, 105);
		assert_int_equal(reader_interface(r, 0)->fcs_bytes, 10);
		expect_end(r);
	}
}

/* Frames of a file that is cut after n bytes; err says how it ended. */
static unsigned int
frames_of(const struct made *m, size_t n, struct err *err)
{
	struct reader *r = open_bytes(m->data, n, err);
	struct reader_frame f;
	unsigned int frames = 0;

	while (r != NULL && reader_next(r, &f, err) == 1)
		frames++;
	reader_free(r);
	return frames;
}

static void
a_file_cut_anywhere_gives_its_whole_frames_and_says_so(void **state)
{
	struct made m;

	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		unsigned int before = 0, changes = 0;
		struct err err;

		if (kind < 2) {
			make_both(&m, kind);
		} else {
			m = (struct made){ .n = 0 };
			pcap_header(&m, 0xa1b2c3d4, false, 1);
			pcap_record(&m, 1, 2, "one", 3, 0);
			pcap_record(&m, 3, 4, "two", 3, 0);
		}
		for (size_t n = 1; n <= m.n; n++) {
			unsigned int frames = frames_of(&m, n, &err);

			assert_true(frames >= before);
			changes += frames > before;
			before = frames;
			if (err.text[0] == '\0')
				continue; /* between two blocks */
			assert_true(strncmp(err.text, path, strlen(path)) == 0);
			assert_true(strstr(err.text, "ends in the middle") ||
			    strstr(err.text, "not a capture"));
		}
		assert_int_equal(changes, kind < 2 ? 4 : 2);
	}
}

static void
what_contradicts_itself_is_an_error_with_its_place(void **state)
{
	static const struct {
		size_t at; /* from the end of the section and interface */
		uint32_t is;
		const char *says;
	} cases[] = {
		{ 4, 13, "a block of 13 bytes" },
		{ 4, 8, "a block of 8 bytes" },
		{ 4, 0x7ffffffc, "a block of 2147483644 bytes makes no sense" },
		{ 8, 1, "interface 1, of 1 that were described" },
		{ 20, 6, "a packet of 6 bytes in a block that has 4" },
		{ 20, 0xffffffff, "a packet of 4294967295 bytes in a block" },
		{ 32, 40, "a block of 36 bytes that ends as one of 40" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct made m = { .n = 0 };
		struct err err;
		size_t start, n;

		section(&m, false);
		interface(&m, "x", 0, 0);
		start = m.n;
		packet(&m, 0, 0, "abcd", 4, NULL);
		n = m.n;
		m.n = start + cases[i].at;
		u32(&m, cases[i].is);
		assert_int_equal(frames_of(&m, n, &err), 0);
		if (strstr(err.text, cases[i].says) == NULL)
			fail_msg(
			    "\"%s\" is not in \"%s\"", cases[i].says, err.text);
	}
}

static void
compressed_files_are_read_as_if_they_were_not(void **state)
{
	struct made m;
	uint8_t packed[sizeof(m.data)];
	uLongf n;
	size_t z;
	gzFile gz;
	struct reader *r;
	struct reader_frame f;
	struct err err;

	(void)state;
	make_both(&m, false);
	gz = gzopen(path, "wb");
	assert_non_null(gz);
	assert_int_equal(gzwrite(gz, m.data, (unsigned int)m.n), m.n);
	assert_int_equal(gzclose(gz), Z_OK);
	err_clear(&err);
	r = reader_open(path, &err);
	assert_non_null(r);
	for (int i = 0; i < 4; i++)
		assert_int_equal(reader_next(r, &f, &err), 1);
	expect_end(r);

	z = ZSTD_compress(packed, sizeof(packed), m.data, m.n, 3);
	assert_false(ZSTD_isError(z));
	r = open_bytes(packed, z, &err);
	assert_non_null(r);
	for (int i = 0; i < 4; i++)
		assert_int_equal(reader_next(r, &f, &err), 1);
	expect_end(r);

	/* Cut or damaged, they say so. */
	for (n = 5; n < z; n++) {
		int e = 1;

		r = open_bytes(packed, n, &err);
		while (r != NULL && e == 1)
			e = reader_next(r, &f, &err);
		assert_true(r == NULL || e < 0);
		assert_non_null(strstr(err.text, "compressed data"));
		reader_free(r);
	}
}

static void
memory_does_not_grow_with_unknown_blocks(void **state)
{
	struct made m = { .n = 0 };
	struct err err = { "" };
	struct reader_frame f;
	FILE *out = fopen(path, "wb");
	struct reader *r;
	uint32_t total = 64u << 20;
	uint8_t *zeros = calloc(1, total);

	(void)state;
	section(&m, false);
	interface(&m, "x", 0, 9);
	u32(&m, 0x00000bad);
	u32(&m, total);
	assert_int_equal(fwrite(m.data, 1, m.n, out), m.n);
	memcpy(zeros + total - 12, &total, 4);
	assert_int_equal(fwrite(zeros, 1, total - 8, out), total - 8);
	m.n = 0;
	packet(&m, 0, 5, "behind it", 9, NULL);
	assert_int_equal(fwrite(m.data, 1, m.n, out), m.n);
	fclose(out);
	free(zeros);
	r = reader_open(path, &err);
	assert_non_null(r);
	expect(r, &f, 0, "behind it", 5);
	expect_end(r);
}

static void
what_is_no_capture_is_refused(void **state)
{
	struct err err;

	(void)state;
	assert_null(open_bytes("", 0, &err));
	assert_non_null(strstr(err.text, "the file is empty"));
	assert_null(open_bytes("#!/bin/sh\necho hello\n", 21, &err));
	assert_non_null(strstr(err.text, "neither pcapng nor pcap"));
	err_clear(&err);
	assert_null(reader_open("/nowhere/x.pcapng", &err));
	assert_non_null(strstr(err.text, "/nowhere/x.pcapng: cannot open"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    sections_of_both_byte_orders_with_every_kind_of_block),
		cmocka_unit_test(
		    pcap_of_both_byte_orders_resolutions_and_old_record_lengths),
		cmocka_unit_test(
		    a_file_cut_anywhere_gives_its_whole_frames_and_says_so),
		cmocka_unit_test(
		    what_contradicts_itself_is_an_error_with_its_place),
		cmocka_unit_test(compressed_files_are_read_as_if_they_were_not),
		cmocka_unit_test(memory_does_not_grow_with_unknown_blocks),
		cmocka_unit_test(what_is_no_capture_is_refused),
	};

	return cmocka_run_group_tests(tests, make_path, remove_path);
}
