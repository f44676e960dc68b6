#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/fw_cfg.h"
#include "vmm/le.h"

#define GIB(n) ((uint64_t)(n) << 30)

struct rig {
	struct fw_cfg fw;
	struct bus bus;
	struct memory memory;
};

static int
setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_int_equal(memory_init(&rig->memory, GIB(5), NULL), 0);
	fw_cfg_init(&rig->fw, &rig->memory, 3, "quiet x=1");
	assert_int_equal(bus_add(&rig->bus, &rig->fw.range), 0);
	*state = rig;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *rig = *state;

	memory_free(&rig->memory);
	free(rig);
	return 0;
}

static void
choose(struct rig *rig, uint16_t key)
{
	bus_write(&rig->bus, 0x510, 2, key);
}

static void
take(struct rig *rig, uint8_t *to, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		to[i] = (uint8_t)bus_read(&rig->bus, 0x511, 1);
}

static void
the_signature_is_there_at_once(void **state)
{
	struct rig *rig = *state;
	uint8_t got[8];

	take(rig, got, 8);
	assert_memory_equal(got, "QEMU\0\0\0\0", 8);
	choose(rig, 5);
	fw_cfg_reset(&rig->fw);
	take(rig, got, 4);
	assert_memory_equal(got, "QEMU", 4);
}

static void
numbers_are_little_endian_and_end_in_zeros(void **state)
{
	static const struct {
		uint16_t key;
		uint64_t value; /* of 8 bytes, those behind its end are 0 */
	} t[] = {
		{ 0x00, 0x554d4551 }, { 0x01, 1 }, { 0x03, GIB(5) },
		{ 0x05, 3 }, { 0x0f, 3 }, { 0x14, 10 },
		{ 0x4005, 3 }, /* the bit for writing */
	};
	struct rig *rig = *state;
	uint8_t got[8];

	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		choose(rig, t[i].key);
		take(rig, got, 8);
		assert_int_equal(get_le64(got), t[i].value);
		take(rig, got, 8);
		assert_int_equal(get_le64(got), 0);
	}
}

static void
what_is_not_there_is_empty(void **state)
{
	static const uint16_t keys[] = { 0x02, 0x04, 0x18, 0x1a, 0x21, 0x2f,
		0x30, 0x3fff, 0x4030, 0x7fff, 0x8000, 0x8003, 0x8005, 0xc005,
		0xffff };
	struct rig *rig = *state;
	uint8_t got[4];

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		choose(rig, keys[i]);
		take(rig, got, 4);
		assert_memory_equal(got, "\0\0\0\0", 4);
	}
}

static void
choosing_again_goes_back_to_the_start(void **state)
{
	struct rig *rig = *state;
	uint8_t got[10];

	choose(rig, 0x15);
	take(rig, got, 4);
	choose(rig, 0x15);
	take(rig, got, 10);
	assert_string_equal((char *)got, "quiet x=1");
}

/* Accesses of other widths, and writes, change nothing. */
static void
only_a_word_chooses_and_only_a_byte_reads(void **state)
{
	struct rig *rig = *state;
	uint8_t got[4];

	choose(rig, 0);
	bus_write(&rig->bus, 0x510, 1, 5);
	bus_write(&rig->bus, 0x511, 1, 5);
	assert_int_equal(bus_read(&rig->bus, 0x510, 2), 0);
	take(rig, got, 2);
	assert_memory_equal(got, "QE", 2);
	/* The ports overlap: the next byte is at both. */
	assert_int_equal(bus_read(&rig->bus, 0x510, 1), 'M');
	take(rig, got, 1);
	assert_int_equal(got[0], 'U');
	/* A write of four bytes has a word for the selector. */
	bus_write(&rig->bus, 0x510, 4, 0x00030005);
	take(rig, got, 2);
	assert_int_equal(get_le16(got), 3);
}

/* The directory's entry of that name: its key, 0 if there is none. */
static uint16_t
find(struct rig *rig, const char *name, uint32_t *bytes)
{
	uint8_t count[4], entry[64];

	choose(rig, 0x19);
	take(rig, count, 4);
	for (unsigned int i = 0; i < count[3]; i++) {
		take(rig, entry, 64);
		*bytes = (uint32_t)entry[0] << 24 | entry[1] << 16 |
		    entry[2] << 8 | entry[3];
		if (strcmp((char *)entry + 8, name) == 0)
			return (uint16_t)(entry[4] << 8 | entry[5]);
	}
	return 0;
}

static void
the_map_of_memory_is_a_file(void **state)
{
	static const struct {
		uint64_t start, bytes;
		uint32_t type;
	} t[] = {
		{ 0, 0x9fc00, 1 },
		{ 0x9fc00, 0x60400, 2 },
		{ 0x100000, GIB(3) - 0x100000, 1 },
		{ GIB(4), GIB(2), 1 },
	};
	struct rig *rig = *state;
	uint32_t bytes = 0;
	uint16_t key = find(rig, "etc/e820", &bytes);
	uint8_t entry[20];

	assert_int_equal(key, 0x20);
	assert_int_equal(bytes, sizeof(t) / sizeof(t[0]) * 20);
	choose(rig, key);
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		take(rig, entry, 20);
		assert_int_equal(get_le64(entry), t[i].start);
		assert_int_equal(get_le64(entry + 8), t[i].bytes);
		assert_int_equal(get_le32(entry + 16), t[i].type);
	}
}

static void
files_are_added_until_the_directory_is_full(void **state)
{
	static const uint8_t data[] = "text";
	struct rig *rig = *state;
	char name[FW_CFG_NAME_BYTES + 1] = "";
	uint32_t bytes = 0;
	uint8_t got[5];

	assert_int_equal(fw_cfg_add_file(&rig->fw, "", data, 4), -EINVAL);
	assert_int_equal(
	    fw_cfg_add_file(&rig->fw, "etc/e820", data, 4), -EINVAL);
	memset(name, 'n', FW_CFG_NAME_BYTES);
	assert_int_equal(fw_cfg_add_file(&rig->fw, name, data, 4), -EINVAL);
	name[FW_CFG_NAME_BYTES - 1] = '\0';
	assert_int_equal(fw_cfg_add_file(&rig->fw, name, data, 4), 0);
	assert_int_equal(find(rig, name, &bytes), 0x21);
	assert_int_equal(bytes, 4);
	choose(rig, 0x21);
	take(rig, got, 5);
	assert_memory_equal(got, "text\0", 5);
	for (unsigned int i = 2; i < FW_CFG_FILES_MAX; i++) {
		snprintf(name, sizeof(name), "opt/%u", i);
		assert_int_equal(
		    fw_cfg_add_file(&rig->fw, name, data, i % 4), 0);
	}
	assert_int_equal(fw_cfg_add_file(&rig->fw, "opt/x", data, 4), -ENOSPC);
	assert_int_equal(find(rig, "opt/15", &bytes), 0x2f);
	assert_int_equal(bytes, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    the_signature_is_there_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    numbers_are_little_endian_and_end_in_zeros, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    what_is_not_there_is_empty, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    choosing_again_goes_back_to_the_start, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    only_a_word_chooses_and_only_a_byte_reads, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    the_map_of_memory_is_a_file, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    files_are_added_until_the_directory_is_full, setup,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
