#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <lz4.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "vmm/boot.h"
#include "vmm/boot_parts.h"
#include "vmm/le.h"

#define MIB(n)     ((uint64_t)(n) << 20)
#define ENTRY      0x200000
#define PVH        0x200008
#define ELF_BYTES  0x300
#define PHDRS_AT   64
#define PHDR_BYTES 56
#define NOTE_AT    0x200
#define CODE_AT    0x280
#define CODE_BYTES 16
#define BSS_BYTES  0x1000

/* An ELF64 kernel: 16 bytes at 2 MiB, some zeros behind, a PVH note. */
static void
make_elf64(uint8_t elf[ELF_BYTES])
{
	uint8_t *ph = elf + PHDRS_AT;

	memset(elf, 0, ELF_BYTES);
	memcpy(elf,
	    "\x7f"
	    "ELF\x02\x01\x01",
	    7);
	put_le16(elf + 16, 2);
	put_le16(elf + 18, 62);
	put_le32(elf + 20, 1);
	put_le64(elf + 24, ENTRY);
	put_le64(elf + 32, PHDRS_AT);
	put_le16(elf + 52, 64);
	put_le16(elf + 54, PHDR_BYTES);
	put_le16(elf + 56, 2);
	put_le32(ph, 1); /* PT_LOAD */
	put_le64(ph + 8, CODE_AT);
	put_le64(ph + 24, ENTRY);
	put_le64(ph + 32, CODE_BYTES);
	put_le64(ph + 40, CODE_BYTES + BSS_BYTES);
	ph += PHDR_BYTES;
	put_le32(ph, 4); /* PT_NOTE */
	put_le64(ph + 8, NOTE_AT);
	put_le64(ph + 32, 20);
	put_le32(elf + NOTE_AT, 4);
	put_le32(elf + NOTE_AT + 4, 4);
	put_le32(elf + NOTE_AT + 8, 18);
	memcpy(elf + NOTE_AT + 12, "Xen", 4);
	put_le32(elf + NOTE_AT + 16, PVH);
	memcpy(elf + CODE_AT, "the kernel code!", CODE_BYTES);
}

/* The same as an ELF32, which has only the PVH entry. */
static void
make_elf32(uint8_t elf[ELF_BYTES])
{
	uint8_t *ph = elf + PHDRS_AT;

	make_elf64(elf);
	memset(elf + 24, 0, NOTE_AT - 24);
	elf[4] = 1;
	put_le16(elf + 18, 3);
	put_le32(elf + 24, ENTRY);
	put_le32(elf + 28, PHDRS_AT);
	put_le16(elf + 42, 32);
	put_le16(elf + 44, 2);
	put_le32(ph, 1);
	put_le32(ph + 4, CODE_AT);
	put_le32(ph + 12, ENTRY);
	put_le32(ph + 16, CODE_BYTES);
	put_le32(ph + 20, CODE_BYTES + BSS_BYTES);
	put_le32(ph + 32, 4);
	put_le32(ph + 32 + 4, NOTE_AT);
	put_le32(ph + 32 + 16, 20);
}

/* ---- bzImages ---- */

#define SETUP_BYTES   1024 /* boot sector and one more */
#define PAYLOAD_AT    0x400
#define PREFERRED     0x400000
#define BZIMAGE_BYTES 0x2000

static size_t
make_bzimage(uint8_t *image, const uint8_t *payload, size_t bytes)
{
	memset(image, 0, BZIMAGE_BYTES);
	image[0x1f1] = 1;
	put_le16(image + 0x1fe, 0xaa55);
	image[0x200] = 0xeb;
	image[0x201] = 0x6a;
	memcpy(image + 0x202, "HdrS", 4);
	put_le16(image + 0x206, 0x20f);
	put_le32(image + 0x22c, 0x7fffffff);
	image[0x234] = 1;
	put_le16(image + 0x236, 1);
	put_le32(image + 0x248, PAYLOAD_AT);
	put_le32(image + 0x24c, (uint32_t)bytes);
	put_le64(image + 0x258, PREFERRED);
	put_le32(image + 0x260, 0x100000);
	memset(image + SETUP_BYTES, 0xc0, PAYLOAD_AT);
	memcpy(image + SETUP_BYTES + PAYLOAD_AT, payload, bytes);
	return SETUP_BYTES + PAYLOAD_AT + bytes;
}

/* Each packs n bytes into out, with what a kernel's makefile appends. */
static size_t
pack_gzip(const uint8_t *in, size_t n, uint8_t *out, size_t room)
{
	z_stream z = { .next_in = (uint8_t *)in,
		.avail_in = (uInt)n,
		.next_out = out,
		.avail_out = (uInt)room };

	assert_int_equal(
	    deflateInit2(&z, 9, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return room - z.avail_out;
}

static size_t
with_size(uint8_t *out, size_t at, size_t n)
{
	put_le32(out + at, (uint32_t)n);
	return at + 4;
}

static size_t
pack_lz4(const uint8_t *in, size_t n, uint8_t *out, size_t room)
{
	size_t at = 4;

	put_le32(out, 0x184c2102);
	/* Two blocks; the format knows them by their size alone. */
	for (size_t done = 0; done < n; done += n / 2) {
		int packed = LZ4_compress_default((const char *)in + done,
		    (char *)out + at + 4, (int)(n / 2), (int)(room - at - 4));

		assert_true(packed > 0);
		put_le32(out + at, (uint32_t)packed);
		at += 4 + (size_t)packed;
	}
	return with_size(out, at, n);
}

static size_t
pack_xz(const uint8_t *in, size_t n, uint8_t *out, size_t room)
{
	size_t at = 0;

	assert_int_equal(lzma_easy_buffer_encode(
			     6, LZMA_CHECK_CRC32, NULL, in, n, out, &at, room),
	    LZMA_OK);
	return with_size(out, at, n);
}

static size_t
pack_lzma(const uint8_t *in, size_t n, uint8_t *out, size_t room)
{
	lzma_stream s = LZMA_STREAM_INIT;
	lzma_options_lzma options;

	lzma_lzma_preset(&options, 6);
	assert_int_equal(lzma_alone_encoder(&s, &options), LZMA_OK);
	s.next_in = in;
	s.avail_in = n;
	s.next_out = out;
	s.avail_out = room;
	assert_int_equal(lzma_code(&s, LZMA_FINISH), LZMA_STREAM_END);
	lzma_end(&s);
	return with_size(out, room - s.avail_out, n);
}

static size_t
pack_zstd(const uint8_t *in, size_t n, uint8_t *out, size_t room)
{
	size_t got = ZSTD_compress(out, room, in, n, 3);

	assert_false(ZSTD_isError(got));
	return with_size(out, got, n);
}

static const struct {
	const char *name;
	size_t (*pack)(const uint8_t *in, size_t n, uint8_t *out, size_t room);
} packings[] = {
	{ "gzip", pack_gzip },
	{ "lz4", pack_lz4 },
	{ "xz", pack_xz },
	{ "lzma", pack_lzma },
	{ "zstd", pack_zstd },
};

/* ---- loading ---- */

static int
load(const struct memory *memory, const void *kernel, size_t bytes,
    enum boot_protocol protocol, struct boot_entry *entry, struct err *err)
{
	struct boot_config config = { .kernel_name = "vmlinux",
		.kernel = kernel,
		.kernel_bytes = bytes,
		.initrd_fd = -1,
		.cmdline = "quiet",
		.protocol = protocol };

	return boot_load(memory, &config, entry, err);
}

/* Loads kernel into 16 MiB and expects this sentence. */
static void
refused(const void *kernel, size_t bytes, enum boot_protocol protocol,
    const char *sentence)
{
	struct memory memory;
	struct boot_entry entry;
	struct err err = { "" };
	/* Exactly its bytes, so that a read past them is seen. */
	uint8_t *copy = malloc(bytes > 0 ? bytes : 1);

	if (bytes > 0)
		memcpy(copy, kernel, bytes);
	assert_int_equal(memory_init(&memory, MIB(16), NULL), 0);
	assert_true(load(&memory, copy, bytes, protocol, &entry, &err) < 0);
	assert_string_equal(err.text, sentence);
	memory_free(&memory);
	free(copy);
}

static void
elf64_enters_by_the_linux_protocol(void **state)
{
	struct memory memory;
	struct boot_entry entry;
	struct cpu_state cpu = { .cr0 = 0x60000010 };
	uint8_t elf[ELF_BYTES];
	const uint8_t *params;
	uint64_t gdt;

	(void)state;
	make_elf64(elf);
	memory_init(&memory, MIB(16), NULL);
	assert_int_equal(
	    load(&memory, elf, sizeof(elf), BOOT_AUTO, &entry, NULL), 0);
	assert_int_equal(entry.protocol, BOOT_LINUX);
	assert_memory_equal(
	    memory_at(&memory, ENTRY, 16), "the kernel code!", 16);
	boot_cpu(&entry, &cpu);
	assert_int_equal(cpu.rip, ENTRY);
	assert_int_equal(cpu.msr[CPU_MSR_EFER], 0x500);
	assert_int_equal(cpu.cr0, 0x80000031);
	assert_int_equal(cpu.cr4, 0x20);
	assert_int_equal(cpu.rflags, 2);
	assert_int_equal(cpu.seg[CPU_CS].selector, 0x10);
	assert_int_equal(cpu.seg[CPU_DS].selector, 0x18);
	assert_int_equal(cpu.seg[CPU_SS].selector, 0x18);
	gdt = get_le64(memory_at(&memory, cpu.gdt.base + 0x10, 8));
	assert_int_equal(gdt, 0x00af9b000000ffff);
	params = memory_at(&memory, cpu.gpr[CPU_RSI], 4096);
	assert_memory_equal(params + 0x202, "HdrS", 4);
	assert_int_equal(params[0x210], 0xff);
	assert_string_equal(
	    (char *)memory_at(&memory, get_le32(params + 0x228), 6), "quiet");
	assert_int_equal(params[0x1e8], 3); /* e820 entries */
	assert_int_equal(get_le64(params + 0x2d0 + 40), 0x100000);
	assert_int_equal(get_le64(params + 0x2d0 + 48), MIB(15));
	assert_int_equal(get_le32(params + 0x2d0 + 56), 1);
	memory_free(&memory);
}

static uint64_t
walk(const struct memory *memory, uint64_t cr3, uint64_t address)
{
	uint64_t at = cr3;

	for (int shift = 39; shift >= 21; shift -= 9) {
		uint64_t entry = get_le64(
		    memory_at(memory, at + (address >> shift & 511) * 8, 8));

		assert_true(entry & 1);
		at = entry & ~UINT64_C(0xfff);
		if (entry & 0x80)
			return at + (address & 0x1fffff);
	}
	fail();
	return 0;
}

static void
first_four_gib_are_mapped_to_themselves(void **state)
{
	static const uint64_t at[] = { 0, 0x1fffff, 0x200000, 0x3fffffff,
		0x40000000, 0xc0000000, 0xe0001234, 0xffffffff };
	struct memory memory;
	struct boot_entry entry;
	uint8_t elf[ELF_BYTES];

	(void)state;
	make_elf64(elf);
	memory_init(&memory, MIB(16), NULL);
	load(&memory, elf, sizeof(elf), BOOT_AUTO, &entry, NULL);
	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
		assert_int_equal(walk(&memory, BOOT_PML4, at[i]), at[i]);
	memory_free(&memory);
}

static void
pvh_enters_in_32_bits(void **state)
{
	struct memory memory;
	struct boot_entry entry;
	struct cpu_state cpu = { .cr0 = 0x60000010 };
	uint8_t elf[ELF_BYTES];
	const uint8_t *info, *map;

	(void)state;
	for (int pass = 0; pass < 2; pass++) {
		if (pass == 0)
			make_elf32(elf);
		else
			make_elf64(elf);
		memory_init(&memory, MIB(16), NULL);
		assert_int_equal(
		    load(&memory, elf, sizeof(elf),
			pass == 0 ? BOOT_AUTO : BOOT_PVH, &entry, NULL),
		    0);
		assert_int_equal(entry.protocol, BOOT_PVH);
		boot_cpu(&entry, &cpu);
		assert_int_equal(cpu.rip, PVH);
		assert_int_equal(cpu.cr0, 0x11);
		assert_int_equal(cpu.msr[CPU_MSR_EFER], 0);
		assert_int_equal(
		    cpu.seg[CPU_CS].attributes & CPU_SEG_32, CPU_SEG_32);
		info = memory_at(&memory, cpu.gpr[CPU_RBX], 56);
		assert_int_equal(get_le32(info), 0x336ec578);
		assert_int_equal(get_le32(info + 12), 0);
		assert_string_equal(
		    (char *)memory_at(&memory, get_le64(info + 24), 6),
		    "quiet");
		assert_int_equal(get_le32(info + 48), 3);
		map = memory_at(&memory, get_le64(info + 40), 72);
		assert_int_equal(get_le64(map + 48), 0x100000);
		memory_free(&memory);
	}
}

/* What of the ELF64 file is changed, and what is said about it. */
static void
broken_elf_files_are_refused_by_name(void **state)
{
	static const struct {
		unsigned int at, bytes;
		uint64_t value;
		const char *sentence;
	} t[] = {
		{ 4, 1, 3,
		    "vmlinux: ELF class 3, byte order 1; use a little-endian "
		    "x86 kernel" },
		{ 5, 1, 2,
		    "vmlinux: ELF class 2, byte order 2; use a little-endian "
		    "x86 kernel" },
		{ 16, 2, 3,
		    "vmlinux: ELF type 3 is not an executable at a fixed "
		    "address; use a kernel linked to one" },
		{ 18, 2, 183,
		    "vmlinux: made for ELF machine 183; use an x86 kernel" },
		{ 24, 8, 0x300000,
		    "vmlinux: its entry 0x300000 lies outside of what it "
		    "loads; give the physical address" },
		{ 24, 8, UINT64_C(0xffffffff81000000),
		    "vmlinux: its entry 0xffffffff81000000 lies outside of "
		    "what it loads; give the physical address" },
		{ 32, 8, 0x2c0,
		    "vmlinux: 2 program headers of 56 bytes at 704 do not fit "
		    "a file of 768; the file is damaged" },
		{ 32, 8, UINT64_MAX,
		    "vmlinux: 2 program headers of 56 bytes at "
		    "18446744073709551615 do not fit a file of 768; the file "
		    "is damaged" },
		{ 54, 2, 32,
		    "vmlinux: 2 program headers of 32 bytes at 64 do not fit "
		    "a file of 768; the file is damaged" },
		{ 56, 2, 65535,
		    "vmlinux: 65535 program headers of 56 bytes at 64 do not "
		    "fit a file of 768; the file is damaged" },
		{ 56, 2, 0, "vmlinux: nothing to load; give a linked kernel" },
		{ PHDRS_AT + 8, 8, 0x2f8,
		    "vmlinux: a segment ends at byte 760+16 of a file of 768; "
		    "the file is cut short" },
		{ PHDRS_AT + 8, 8, UINT64_MAX,
		    "vmlinux: a segment ends at byte 18446744073709551615+16 "
		    "of a file of 768; the file is cut short" },
		{ PHDRS_AT + 24, 8, 0x7c00,
		    "vmlinux: the segment at 0x7c00 lies below 1 MiB; link "
		    "the kernel to 0x100000 or above" },
		{ PHDRS_AT + 24, 8, UINT64_C(0xfffffffffffff800),
		    "vmlinux: the segment at 0xfffffffffffff800 wraps around; "
		    "the file is damaged" },
		{ PHDRS_AT + 40, 8, 8,
		    "vmlinux: a segment has 16 bytes in the file and 8 in "
		    "memory; the file is damaged" },
		{ PHDRS_AT + 40, 8, 0x10000000,
		    "vmlinux: wants 268435456 bytes at 0x200000 and the "
		    "guest's memory ends before; give it more memory" },
		{ NOTE_AT + 16, 4, 0x100000,
		    "vmlinux: its PVH entry 0x100000 lies outside of what it "
		    "loads; the file is damaged" },
	};
	uint8_t elf[ELF_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		make_elf64(elf);
		put_le(elf + t[i].at, t[i].bytes, t[i].value);
		refused(elf, sizeof(elf), BOOT_AUTO, t[i].sentence);
	}
}

static void
overlapping_segments_are_refused(void **state)
{
	uint8_t elf[ELF_BYTES];
	uint8_t *second = elf + PHDRS_AT + PHDR_BYTES;

	(void)state;
	make_elf64(elf);
	put_le32(second, 1);
	put_le64(second + 24, ENTRY + 0x1000);
	put_le64(second + 32, 4);
	put_le64(second + 40, 0x1000);
	refused(elf, sizeof(elf), BOOT_AUTO,
	    "vmlinux: the segments at 0x200000 and 0x201000 overlap; the file "
	    "is damaged");
}

static void
every_truncation_is_refused(void **state)
{
	struct memory memory;
	struct boot_entry entry;
	uint8_t elf[ELF_BYTES];

	(void)state;
	make_elf64(elf);
	memory_init(&memory, MIB(16), NULL);
	for (size_t n = 0; n < CODE_AT + CODE_BYTES; n++) {
		uint8_t *copy = malloc(n > 0 ? n : 1);
		struct err err = { "" };

		memcpy(copy, elf, n);
		assert_true(
		    load(&memory, copy, n, BOOT_AUTO, &entry, &err) < 0);
		assert_true(strlen(err.text) > 20);
		free(copy);
	}
	memory_free(&memory);
}

static void
an_entry_as_the_kernel_sees_it_is_made_physical(void **state)
{
	struct memory memory;
	struct boot_entry entry;
	uint8_t elf[ELF_BYTES];

	(void)state;
	make_elf64(elf);
	put_le64(elf + PHDRS_AT + 16, UINT64_C(0xffffffff80200000));
	put_le64(elf + 24, UINT64_C(0xffffffff80200004));
	memory_init(&memory, MIB(16), NULL);
	assert_int_equal(
	    load(&memory, elf, sizeof(elf), BOOT_AUTO, &entry, NULL), 0);
	assert_int_equal(entry.rip, ENTRY + 4);
	memory_free(&memory);
	put_le64(
	    elf + 24, UINT64_C(0xffffffff80200000) + CODE_BYTES + BSS_BYTES);
	refused(elf, sizeof(elf), BOOT_AUTO,
	    "vmlinux: its entry 0xffffffff80201010 lies outside of what it "
	    "loads; give the physical address");
}

static void
an_entry_that_is_missing_is_told(void **state)
{
	uint8_t elf[ELF_BYTES];

	(void)state;
	make_elf64(elf);
	put_le32(elf + NOTE_AT + 8, 17); /* another note */
	refused(elf, sizeof(elf), BOOT_PVH,
	    "vmlinux: has no note with a PVH entry; use --boot linux");
	put_le64(elf + 24, 0);
	refused(elf, sizeof(elf), BOOT_AUTO,
	    "vmlinux: no entry; give a linked kernel");
	make_elf32(elf);
	refused(elf, sizeof(elf), BOOT_LINUX,
	    "vmlinux: has no 64-bit entry; use --boot pvh or multiboot");
	put_le32(elf + NOTE_AT + 8, 17);
	refused(elf, sizeof(elf), BOOT_AUTO,
	    "vmlinux: has no note with a PVH entry; use a 64-bit kernel, or "
	    "one with a Multiboot header");
	refused("#!/bin/sh\n", 10, BOOT_AUTO,
	    "vmlinux: neither an ELF kernel nor a Linux bzImage nor a "
	    "Multiboot kernel; give one of these");
}

static void
each_packing_of_a_bzimage_is_unpacked(void **state)
{
	uint8_t elf[ELF_BYTES], packed[4096], image[BZIMAGE_BYTES];

	(void)state;
	make_elf64(elf);
	for (size_t i = 0; i < sizeof(packings) / sizeof(packings[0]); i++) {
		struct memory memory;
		struct boot_entry entry;
		struct err err = { "" };
		size_t n =
		    packings[i].pack(elf, sizeof(elf), packed, sizeof(packed));
		const uint8_t *params;

		assert_string_equal(unpack_kind(packed, n), packings[i].name);
		n = make_bzimage(image, packed, n);
		memory_init(&memory, MIB(16), NULL);
		assert_int_equal(
		    load(&memory, image, n, BOOT_AUTO, &entry, &err), 0);
		assert_int_equal(entry.rip, ENTRY);
		assert_memory_equal(
		    memory_at(&memory, ENTRY, 16), "the kernel code!", 16);
		params = memory_at(&memory, BOOT_PARAMS, 4096);
		assert_int_equal(get_le16(params + 0x206), 0x20f);
		assert_int_equal(get_le32(params + 0x228), BOOT_CMDLINE);
		memory_free(&memory);
	}
}

static void
damaged_payloads_are_refused(void **state)
{
	uint8_t elf[ELF_BYTES], packed[4096], image[BZIMAGE_BYTES];

	(void)state;
	make_elf64(elf);
	for (size_t i = 0; i < sizeof(packings) / sizeof(packings[0]); i++) {
		char sentence[128];
		size_t n =
		    packings[i].pack(elf, sizeof(elf), packed, sizeof(packed));

		/* It says one byte more, one byte less, and far too many. */
		put_le32(packed + n - 4, ELF_BYTES + 1);
		snprintf(sentence, sizeof(sentence),
		    "vmlinux: its %s payload does not unpack to %d bytes; the "
		    "file is damaged",
		    packings[i].name, ELF_BYTES + 1);
		refused(
		    image, make_bzimage(image, packed, n), BOOT_AUTO, sentence);
		put_le32(packed + n - 4, ELF_BYTES - 1);
		snprintf(sentence, sizeof(sentence),
		    "vmlinux: its %s payload does not unpack to %d bytes; the "
		    "file is damaged",
		    packings[i].name, ELF_BYTES - 1);
		refused(
		    image, make_bzimage(image, packed, n), BOOT_AUTO, sentence);
		put_le32(packed + n - 4, 0xffffffff);
		refused(image, make_bzimage(image, packed, n), BOOT_AUTO,
		    "vmlinux: says that it unpacks to 4294967295 bytes, more "
		    "than 536870912; the file is damaged");
	}
}

static void
unknown_packings_unpack_themselves(void **state)
{
	struct memory memory;
	struct boot_entry entry;
	uint8_t image[BZIMAGE_BYTES];
	size_t n = make_bzimage(image, (const uint8_t *)"BZh9 and so on", 14);

	(void)state;
	memory_init(&memory, MIB(16), NULL);
	assert_int_equal(load(&memory, image, n, BOOT_AUTO, &entry, NULL), 0);
	assert_int_equal(entry.protocol, BOOT_LINUX);
	assert_int_equal(entry.rip, PREFERRED + 0x200);
	assert_memory_equal(
	    memory_at(&memory, PREFERRED, 16), image + SETUP_BYTES, 16);
	memory_free(&memory);
	refused(image, n, BOOT_PVH,
	    "vmlinux: packed in an unknown way, so its PVH entry cannot be "
	    "found; use --boot linux");
}

static void
broken_bzimages_are_refused_by_name(void **state)
{
	static const struct {
		unsigned int at, bytes;
		uint64_t value;
		const char *sentence;
	} t[] = {
		{ 0x1f1, 1, 200,
		    "vmlinux: a set-up part of 200 sectors does not fit a "
		    "file of 2062 bytes; the file is cut short" },
		{ 0x248, 4, 0x10000,
		    "vmlinux: its payload of 14 bytes at 65536 does not fit "
		    "into its 1038; the file is cut short" },
		{ 0x24c, 4, 0xffffffff,
		    "vmlinux: its payload of 4294967295 bytes at 1024 does "
		    "not fit into its 1038; the file is cut short" },
		{ 0x236, 2, 0,
		    "vmlinux: neither a packing that we know nor a 64-bit "
		    "entry; use a 64-bit kernel packed by gzip, lz4, xz or "
		    "zstd" },
		{ 0x206, 2, 0x20b,
		    "vmlinux: neither a packing that we know nor a 64-bit "
		    "entry; use a 64-bit kernel packed by gzip, lz4, xz or "
		    "zstd" },
		{ 0x258, 8, 0x1000,
		    "vmlinux: wants to be loaded at 0x1000, below 1 MiB; the "
		    "file is damaged" },
		{ 0x258, 8, UINT64_MAX,
		    "vmlinux: wants 1048576 bytes at 0xffffffffffffffff and "
		    "the guest's memory ends before; give it more memory" },
		{ 0x260, 4, 0x7fffffff,
		    "vmlinux: wants 2147483647 bytes at 0x400000 and the "
		    "guest's memory ends before; give it more memory" },
	};
	uint8_t image[BZIMAGE_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		size_t n =
		    make_bzimage(image, (const uint8_t *)"BZh9 and so on", 14);

		put_le(image + t[i].at, t[i].bytes, t[i].value);
		refused(image, n, BOOT_AUTO, t[i].sentence);
	}
	make_bzimage(image, (const uint8_t *)"BZh9", 4);
	refused(image, 0x240, BOOT_AUTO,
	    "vmlinux: 576 bytes are too few for a bzImage; the file is cut "
	    "short");
}

static void
a_payload_that_is_no_kernel_is_refused(void **state)
{
	uint8_t packed[4096], image[BZIMAGE_BYTES];
	size_t n = pack_gzip(
	    (const uint8_t *)"not a kernel", 12, packed, sizeof(packed));

	(void)state;
	refused(image, make_bzimage(image, packed, n), BOOT_AUTO,
	    "vmlinux: its payload is not an ELF kernel; the file is damaged");
}

static int
file_of(size_t bytes, uint8_t fill)
{
	int fd = memfd_create("initrd", MFD_CLOEXEC);

	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(write(fd, &fill, 1), 1);
	return fd;
}

static void
initrd_goes_to_the_top(void **state)
{
	struct memory memory;
	struct boot_entry entry;
	uint8_t elf[ELF_BYTES];
	const uint8_t *params;
	struct boot_config config = { .kernel_name = "vmlinux",
		.kernel = elf,
		.kernel_bytes = sizeof(elf),
		.initrd_name = "initrd",
		.initrd_fd = file_of(5000, 0x5a),
		.cmdline = "" };

	(void)state;
	make_elf64(elf);
	memory_init(&memory, MIB(16), NULL);
	assert_int_equal(boot_load(&memory, &config, &entry, NULL), 0);
	params = memory_at(&memory, BOOT_PARAMS, 4096);
	assert_int_equal(get_le32(params + 0x218), MIB(16) - 8192);
	assert_int_equal(get_le32(params + 0x21c), 5000);
	assert_int_equal(
	    *(uint8_t *)memory_at(&memory, MIB(16) - 8192 + 4999, 1), 0x5a);
	assert_int_equal(
	    *(uint8_t *)memory_at(&memory, MIB(16) - 8192 + 5000, 1), 0);
	close(config.initrd_fd);
	memory_free(&memory);
}

static void
initrd_without_room_is_refused(void **state)
{
	struct memory memory;
	struct boot_entry entry;
	uint8_t elf[ELF_BYTES];
	struct err err = { "" };
	struct boot_config config = { .kernel_name = "vmlinux",
		.kernel = elf,
		.kernel_bytes = sizeof(elf),
		.initrd_name = "initrd",
		.initrd_fd = file_of(5000, 0x5a),
		.cmdline = "" };

	(void)state;
	make_elf64(elf);
	put_le64(elf + PHDRS_AT + 40, MIB(14) - 0x1000);
	memory_init(&memory, MIB(16), NULL);
	assert_int_equal(boot_load(&memory, &config, &entry, &err), -ENOMEM);
	assert_string_equal(err.text,
	    "initrd: no room for 5000 bytes between the kernel's end at "
	    "0xfff000 and 0x1000000; give the guest more memory");
	close(config.initrd_fd);
	config.initrd_fd = file_of(0, 0);
	err_clear(&err);
	assert_int_equal(boot_load(&memory, &config, &entry, &err), -EINVAL);
	assert_string_equal(err.text,
	    "initrd: 0 bytes are no initial RAM disk; give one of up to 1 "
	    "GiB");
	close(config.initrd_fd);
	memory_free(&memory);
}

static void
long_command_lines_are_refused(void **state)
{
	struct memory memory;
	struct boot_entry entry;
	uint8_t elf[ELF_BYTES];
	char line[BOOT_CMDLINE_BYTES + 1];
	struct boot_config config = { .kernel_name = "vmlinux",
		.kernel = elf,
		.kernel_bytes = sizeof(elf),
		.initrd_fd = -1,
		.cmdline = line };

	(void)state;
	make_elf64(elf);
	memory_init(&memory, MIB(16), NULL);
	memset(line, 'x', sizeof(line));
	for (unsigned int pvh = 0; pvh < 2; pvh++) {
		struct err err = { "" };

		config.protocol = pvh ? BOOT_PVH : BOOT_LINUX;
		line[BOOT_CMDLINE_BYTES - 1] = '\0';
		assert_int_equal(boot_load(&memory, &config, &entry, NULL), 0);
		line[BOOT_CMDLINE_BYTES - 1] = 'x';
		line[BOOT_CMDLINE_BYTES] = '\0';
		assert_int_equal(
		    boot_load(&memory, &config, &entry, &err), -EINVAL);
		assert_string_equal(err.text,
		    "the kernel command line has 2048 bytes; use at most "
		    "2047");
	}
	memory_free(&memory);
}

static void
high_memory_is_on_the_map(void **state)
{
	struct memory memory;
	struct boot_map map[BOOT_MAP_MAX];

	(void)state;
	memory_init(&memory, MIB(5 * 1024), NULL);
	assert_int_equal(boot_map(&memory, map), 4);
	assert_int_equal(map[2].start + map[2].bytes, MEMORY_HOLE_START);
	assert_int_equal(map[3].start, MEMORY_HOLE_END);
	assert_int_equal(map[3].bytes, MIB(2 * 1024));
	memory_free(&memory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elf64_enters_by_the_linux_protocol),
		cmocka_unit_test(first_four_gib_are_mapped_to_themselves),
		cmocka_unit_test(pvh_enters_in_32_bits),
		cmocka_unit_test(broken_elf_files_are_refused_by_name),
		cmocka_unit_test(overlapping_segments_are_refused),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(
		    an_entry_as_the_kernel_sees_it_is_made_physical),
		cmocka_unit_test(an_entry_that_is_missing_is_told),
		cmocka_unit_test(each_packing_of_a_bzimage_is_unpacked),
		cmocka_unit_test(damaged_payloads_are_refused),
		cmocka_unit_test(unknown_packings_unpack_themselves),
		cmocka_unit_test(broken_bzimages_are_refused_by_name),
		cmocka_unit_test(a_payload_that_is_no_kernel_is_refused),
		cmocka_unit_test(initrd_goes_to_the_top),
		cmocka_unit_test(initrd_without_room_is_refused),
		cmocka_unit_test(long_command_lines_are_refused),
		cmocka_unit_test(high_memory_is_on_the_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
