#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/boot.h"
#include "vmm/boot_parts.h"
#include "vmm/le.h"

#define MIB(n)     ((uint64_t)(n) << 20)
#define FILE_BYTES 0x3000
#define HEADER_AT  0x40
#define MAGIC      0x1badb002
#define ADDRESSES  0x10000u
#define LOAD       0x200000
#define LOAD_AT    0x20 /* in the file */
#define LOAD_BYTES 0x1000
#define BSS_BYTES  0x2000
#define ENTRY      (LOAD + 0x100)
#define ELF_CODE   0x1000
#define PVH        (LOAD + 8)

static void
put_header(uint8_t *file, size_t at, uint32_t flags)
{
	put_le32(file + at, MAGIC);
	put_le32(file + at + 4, flags);
	put_le32(file + at + 8, -(MAGIC + flags));
}

/* A flat file: its bytes from LOAD_AT on go to LOAD. */
static void
make_flat(uint8_t file[FILE_BYTES])
{
	for (unsigned int i = 0; i < FILE_BYTES; i++)
		file[i] = (uint8_t)(i * 7 + 1);
	put_header(file, HEADER_AT, ADDRESSES | 3);
	put_le32(file + HEADER_AT + 12, LOAD + HEADER_AT - LOAD_AT);
	put_le32(file + HEADER_AT + 16, LOAD);
	put_le32(file + HEADER_AT + 20, LOAD + LOAD_BYTES);
	put_le32(file + HEADER_AT + 24, LOAD + LOAD_BYTES + BSS_BYTES);
	put_le32(file + HEADER_AT + 28, ENTRY);
}

/* An ELF32 file with a header behind its own, and a note if asked for. */
static void
make_elf(uint8_t file[FILE_BYTES], uint32_t flags, bool note)
{
	uint8_t *ph = file + 52;

	memset(file, 0, FILE_BYTES);
	memcpy(file,
	    "\x7f"
	    "ELF\x01\x01\x01",
	    7);
	put_le16(file + 16, 2);
	put_le16(file + 18, 3);
	put_le32(file + 24, LOAD + 4);
	put_le32(file + 28, 52);
	put_le16(file + 42, 32);
	put_le16(file + 44, 2);
	put_le32(ph, 1);
	put_le32(ph + 4, ELF_CODE);
	put_le32(ph + 12, LOAD);
	put_le32(ph + 16, 16);
	put_le32(ph + 20, 0x2010);
	ph += 32;
	put_le32(ph, note ? 4 : 0);
	put_le32(ph + 4, 0x200);
	put_le32(ph + 16, 20);
	put_le32(file + 0x200, 4);
	put_le32(file + 0x204, 4);
	put_le32(file + 0x208, 18);
	memcpy(file + 0x20c, "Xen", 4);
	put_le32(file + 0x210, PVH);
	put_header(file, 0x400, flags);
	memcpy(file + ELF_CODE, "the kernel code!", 16);
}

/* The same as an ELF64. */
static void
make_elf64(uint8_t file[FILE_BYTES], uint32_t flags, bool note)
{
	uint8_t *ph = file + 64;

	make_elf(file, flags, note);
	memset(file + 24, 0, 0x100 - 24);
	file[4] = 2;
	put_le16(file + 18, 62);
	put_le64(file + 24, LOAD + 4);
	put_le64(file + 32, 64);
	put_le16(file + 54, 56);
	put_le16(file + 56, 2);
	put_le32(ph, 1);
	put_le64(ph + 8, ELF_CODE);
	put_le64(ph + 24, LOAD);
	put_le64(ph + 32, 16);
	put_le64(ph + 40, 0x2010);
	ph += 56;
	put_le32(ph, note ? 4 : 0);
	put_le64(ph + 8, 0x200);
	put_le64(ph + 32, 20);
}

static int
load(const struct memory *memory, const uint8_t *file, size_t bytes,
    enum boot_protocol protocol, struct boot_entry *entry, struct err *err)
{
	struct boot_config config = { .kernel_name = "kernel.bin",
		.kernel = file,
		.kernel_bytes = bytes,
		.initrd_fd = -1,
		.cmdline = "a=1 b",
		.protocol = protocol };

	return boot_load(memory, &config, entry, err);
}

/* Loads it into 16 MiB and expects this sentence. */
static void
refused(const uint8_t *file, size_t bytes, enum boot_protocol protocol,
    const char *sentence)
{
	struct memory memory;
	struct boot_entry entry;
	struct err err = { "" };
	/* Exactly its bytes, so that a read past them is seen. */
	uint8_t *copy = malloc(bytes > 0 ? bytes : 1);

	if (bytes > 0)
		memcpy(copy, file, bytes);
	assert_int_equal(memory_init(&memory, MIB(16), NULL), 0);
	assert_int_equal(
	    load(&memory, copy, bytes, protocol, &entry, &err), -ENOEXEC);
	assert_string_equal(err.text, sentence);
	memory_free(&memory);
	free(copy);
}

static const char *
string_at(const struct memory *memory, uint32_t address)
{
	return memory_at(memory, address, 1);
}

static void
the_cpu_enters_as_the_specification_says(void **state)
{
	static const uint32_t flat =
	    CPU_SEG_PRESENT | CPU_SEG_CODE | CPU_SEG_PAGES | CPU_SEG_32;
	struct memory memory;
	struct boot_entry entry;
	struct cpu_state cpu = { .cr0 = 0xe0000010,
		.cr4 = 0x20,
		.rflags = 0x202,
		.msr[CPU_MSR_EFER] = 0x500 };
	uint8_t file[FILE_BYTES];

	(void)state;
	make_flat(file);
	memory_init(&memory, MIB(16), NULL);
	assert_int_equal(
	    load(&memory, file, sizeof(file), BOOT_AUTO, &entry, NULL), 0);
	assert_int_equal(entry.protocol, BOOT_MULTIBOOT);
	boot_cpu(&entry, &cpu);
	assert_int_equal(cpu.rip, ENTRY);
	assert_int_equal(cpu.gpr[CPU_RAX], 0x2badb002);
	assert_non_null(memory_at(&memory, cpu.gpr[CPU_RBX], 88));
	assert_int_equal(cpu.cr0 & 0x80000001, 1); /* PE without PG */
	assert_int_equal(cpu.msr[CPU_MSR_EFER], 0);
	assert_int_equal(cpu.rflags & 0x20200, 0); /* neither VM nor IF */
	for (unsigned int i = CPU_ES; i <= CPU_GS; i++) {
		assert_int_equal(cpu.seg[i].base, 0);
		assert_int_equal(cpu.seg[i].limit, 0xffffffff);
		assert_int_equal(cpu.seg[i].attributes & ~CPU_SEG_TYPE, flat);
		assert_int_equal(cpu.seg[i].attributes & CPU_SEG_TYPE,
		    i == CPU_CS ? 0xb : 0x3);
	}
	memory_free(&memory);
}

static void
flat_files_are_loaded_by_their_headers_addresses(void **state)
{
	struct memory memory;
	struct boot_entry entry;
	uint8_t file[FILE_BYTES];
	const uint8_t *at;

	(void)state;
	make_flat(file);
	memory_init(&memory, MIB(16), NULL);
	assert_int_equal(
	    load(&memory, file, sizeof(file), BOOT_AUTO, &entry, NULL), 0);
	at = memory_at(&memory, LOAD, LOAD_BYTES + BSS_BYTES);
	assert_memory_equal(at, file + LOAD_AT, LOAD_BYTES);
	for (unsigned int i = 0; i < BSS_BYTES; i++)
		assert_int_equal(at[LOAD_BYTES + i], 0);
	memory_free(&memory);
	/* Without ends: all that follows in the file. */
	put_le32(file + HEADER_AT + 20, 0);
	put_le32(file + HEADER_AT + 24, 0);
	memory_init(&memory, MIB(16), NULL);
	assert_int_equal(
	    load(&memory, file, sizeof(file), BOOT_AUTO, &entry, NULL), 0);
	at = memory_at(&memory, LOAD, FILE_BYTES);
	assert_memory_equal(at, file + LOAD_AT, FILE_BYTES - LOAD_AT);
	assert_int_equal(at[FILE_BYTES - LOAD_AT], 0);
	memory_free(&memory);
}

static void
the_kernel_is_told_of_memory_and_names(void **state)
{
	struct memory memory;
	struct boot_entry entry;
	struct cpu_state cpu = { 0 };
	uint8_t file[FILE_BYTES];
	const uint8_t *info, *map;

	(void)state;
	make_flat(file);
	memory_init(&memory, MIB(5 * 1024), NULL);
	assert_int_equal(
	    load(&memory, file, sizeof(file), BOOT_AUTO, &entry, NULL), 0);
	boot_cpu(&entry, &cpu);
	info = memory_at(&memory, cpu.gpr[CPU_RBX], 88);
	assert_int_equal(get_le32(info), 0x24d);
	assert_int_equal(get_le32(info + 4), 639);
	assert_int_equal(get_le32(info + 8), (MIB(3 * 1024) - MIB(1)) >> 10);
	assert_string_equal(
	    string_at(&memory, get_le32(info + 16)), "kernel.bin a=1 b");
	assert_int_equal(get_le32(info + 20), 0);
	assert_string_equal(string_at(&memory, get_le32(info + 64)), "lanyard");
	assert_int_equal(get_le32(info + 44), 4 * 24);
	map = memory_at(&memory, get_le32(info + 48), 4 * 24);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(get_le32(map + 24 * i), 20);
	assert_int_equal(get_le64(map + 4), 0);
	assert_int_equal(get_le32(map + 20), 1);
	assert_int_equal(get_le32(map + 24 + 20), 2);
	assert_int_equal(get_le64(map + 48 + 4), MIB(1));
	assert_int_equal(get_le64(map + 48 + 12), MIB(3 * 1024 - 1));
	assert_int_equal(get_le64(map + 72 + 4), MIB(4096));
	assert_int_equal(get_le64(map + 72 + 12), MIB(2048));
	assert_int_equal(get_le32(map + 72 + 20), 1);
	memory_free(&memory);
}

/* Loaded to where, with how much behind it, and whether that is taken. */
static void
kernels_may_lie_below_the_loaders_tables(void **state)
{
	static const struct {
		uint32_t load, end;
		bool taken;
	} t[] = {
		{ 0x1000, 0x3000, true },
		{ 0xff0, 0x3000, false },
		{ 0x8000, 0x9c000, true },
		{ 0x8000, 0x9c001, false },
		{ 0x9b000, 0x9c000, true },
		{ 0x9d000, 0x9e000, false },
		{ 0xff000, 0x101000, false },
		{ 0x8000, 0x200000, false },
		{ 0x100000, 0x200000, true },
	};
	uint8_t file[FILE_BYTES];

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(t) / sizeof(t[0]); i++) {
		uint32_t at = t[i / 2].load, bytes = t[i / 2].end - at;
		struct memory memory;
		struct boot_entry entry;
		struct cpu_state cpu = { 0 };

		if (i % 2 == 0) {
			make_flat(file);
			put_le32(file + HEADER_AT + 12, at + 0x20);
			put_le32(file + HEADER_AT + 16, at);
			put_le32(file + HEADER_AT + 20, at + 0x100);
			put_le32(file + HEADER_AT + 24, at + bytes);
			put_le32(file + HEADER_AT + 28, at);
		} else {
			make_elf(file, 0, false);
			put_le32(file + 24, at);
			put_le32(file + 52 + 12, at);
			put_le32(file + 52 + 20, bytes);
		}
		memory_init(&memory, MIB(16), NULL);
		assert_int_equal(
		    load(&memory, file, sizeof(file), BOOT_AUTO, &entry, NULL),
		    t[i / 2].taken ? 0 : -ENOEXEC);
		if (t[i / 2].taken) {
			boot_cpu(&entry, &cpu);
			assert_int_equal(cpu.rip, at);
			assert_int_equal(
			    get_le32(memory_at(&memory, cpu.gpr[CPU_RBX], 4)),
			    0x24d);
			assert_memory_equal(memory_at(&memory, at, 16),
			    file + (i % 2 == 0 ? LOAD_AT : ELF_CODE), 16);
		}
		memory_free(&memory);
	}
}

/* By PVH, whose tables are there, they may not. */
static void
low_kernels_are_for_multiboot_alone(void **state)
{
	uint8_t file[FILE_BYTES];

	(void)state;
	make_elf(file, 0, true);
	put_le32(file + 24, 0x6000);
	put_le32(file + 52 + 12, 0x6000);
	put_le32(file + 0x210, 0x6008);
	refused(file, sizeof(file), BOOT_PVH,
	    "kernel.bin: the segment at 0x6000 lies below 1 MiB; link the "
	    "kernel to 0x100000 or above");
	refused(file, sizeof(file), BOOT_AUTO,
	    "kernel.bin: the segment at 0x6000 lies below 1 MiB; link the "
	    "kernel to 0x100000 or above");
}

static int
file_of(size_t bytes, uint8_t fill)
{
	int fd = memfd_create("module", MFD_CLOEXEC);

	for (size_t i = 0; i < bytes; i++)
		assert_int_equal(write(fd, &fill, 1), 1);
	return fd;
}

static void
the_module_follows_the_kernel_at_a_page(void **state)
{
	struct memory memory;
	struct boot_entry entry;
	struct cpu_state cpu = { 0 };
	uint8_t file[FILE_BYTES];
	const uint8_t *info, *module;
	struct err err = { "" };
	struct boot_config config = { .kernel_name = "kernel.bin",
		.kernel = file,
		.kernel_bytes = sizeof(file),
		.initrd_name = "/tmp/a file",
		.initrd_fd = file_of(5000, 0x5a),
		.cmdline = "" };

	(void)state;
	make_flat(file);
	put_le32(file + HEADER_AT + 24, LOAD + 0x3001);
	memory_init(&memory, MIB(16), NULL);
	assert_int_equal(boot_load(&memory, &config, &entry, NULL), 0);
	boot_cpu(&entry, &cpu);
	info = memory_at(&memory, cpu.gpr[CPU_RBX], 88);
	assert_string_equal(
	    string_at(&memory, get_le32(info + 16)), "kernel.bin");
	assert_int_equal(get_le32(info + 20), 1);
	module = memory_at(&memory, get_le32(info + 24), 16);
	assert_int_equal(get_le32(module), LOAD + 0x4000);
	assert_int_equal(get_le32(module + 4), LOAD + 0x4000 + 5000);
	assert_string_equal(
	    string_at(&memory, get_le32(module + 8)), "/tmp/a file");
	assert_int_equal(*string_at(&memory, LOAD + 0x4000 + 4999), 0x5a);
	assert_int_equal(*string_at(&memory, LOAD + 0x4000 + 5000), 0);
	memory_free(&memory);
	put_le32(file + HEADER_AT + 24, MIB(16) - 0x1000);
	memory_init(&memory, MIB(16), NULL);
	assert_int_equal(boot_load(&memory, &config, &entry, &err), -ENOMEM);
	assert_string_equal(err.text,
	    "/tmp/a file: no room for 5000 bytes between the kernel's end at "
	    "0xfff000 and 0x1000000; give the guest more memory");
	close(config.initrd_fd);
	memory_free(&memory);
}

/* What file is made, and by which protocol it is entered if nobody says. */
static void
linux_comes_before_pvh_before_multiboot(void **state)
{
	static const struct {
		void (*make)(uint8_t *file, uint32_t flags, bool note);
		uint32_t flags;
		bool header, note;
		enum boot_protocol protocol;
		uint64_t entry;
	} t[] = {
		{ make_elf, 3, true, false, BOOT_MULTIBOOT, LOAD + 4 },
		{ make_elf, 3, true, true, BOOT_PVH, PVH },
		{ make_elf, 3, false, true, BOOT_PVH, PVH },
		{ make_elf64, 3, false, false, BOOT_LINUX, LOAD + 4 },
		{ make_elf64, 3, false, true, BOOT_LINUX, LOAD + 4 },
		{ make_elf64, 3, true, false, BOOT_MULTIBOOT, LOAD + 4 },
		{ make_elf64, 3, true, true, BOOT_PVH, PVH },
		{ make_elf64, ADDRESSES, true, true, BOOT_MULTIBOOT, LOAD + 6 },
	};
	uint8_t file[FILE_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct memory memory;
		struct boot_entry entry;

		t[i].make(file, t[i].flags, t[i].note);
		if (!t[i].header)
			memset(file + 0x400, 0, 12);
		if (t[i].flags & ADDRESSES) {
			put_le32(file + 0x40c, LOAD);
			put_le32(file + 0x410, LOAD);
			put_le32(file + 0x41c, LOAD + 6);
		}
		memory_init(&memory, MIB(16), NULL);
		assert_int_equal(
		    load(&memory, file, sizeof(file), BOOT_AUTO, &entry, NULL),
		    0);
		assert_int_equal(entry.protocol, t[i].protocol);
		assert_int_equal(entry.rip, t[i].entry);
		memory_free(&memory);
	}
}

static void
any_file_with_a_header_is_entered_when_asked_to(void **state)
{
	struct memory memory;
	struct boot_entry entry;
	uint8_t file[FILE_BYTES];

	(void)state;
	for (int pass = 0; pass < 3; pass++) {
		if (pass == 0)
			make_flat(file);
		else if (pass == 1)
			make_elf(file, 0, true);
		else
			make_elf64(file, 0, true);
		memory_init(&memory, MIB(16), NULL);
		assert_int_equal(load(&memory, file, sizeof(file),
				     BOOT_MULTIBOOT, &entry, NULL),
		    0);
		assert_int_equal(entry.protocol, BOOT_MULTIBOOT);
		if (pass > 0)
			assert_memory_equal(memory_at(&memory, LOAD, 16),
			    "the kernel code!", 16);
		memory_free(&memory);
	}
	make_flat(file);
	refused(file, sizeof(file), BOOT_LINUX,
	    "kernel.bin: neither an ELF kernel nor a Linux bzImage nor a "
	    "Multiboot kernel; give one of these");
}

static void
a_header_is_found_up_to_8_kib_and_not_beyond(void **state)
{
	struct memory memory;
	struct boot_entry entry;
	uint8_t file[FILE_BYTES];

	(void)state;
	/* One without addresses has 12 bytes. */
	for (size_t at = 8192 - 16; at <= 8192; at += 4) {
		struct err err = { "" };

		make_elf(file, 0, false);
		memset(file + 0x400, 0, 12);
		put_header(file, at, 0);
		memory_init(&memory, MIB(16), NULL);
		if (at + 12 <= 8192)
			assert_int_equal(load(&memory, file, sizeof(file),
					     BOOT_AUTO, &entry, &err),
			    0);
		memory_free(&memory);
		if (at == 8192 - 8)
			refused(file, sizeof(file), BOOT_AUTO,
			    "kernel.bin: its Multiboot header at byte 8184 "
			    "does not end in the file's first 8192 bytes; "
			    "move it to the front");
		if (at == 8192)
			refused(file, sizeof(file), BOOT_MULTIBOOT,
			    "kernel.bin: has no Multiboot header in its first "
			    "8192 bytes; give it one, or leave out --boot");
	}
	/* One with addresses has 32. */
	make_elf(file, 0, false);
	memset(file + 0x400, 0, 12);
	put_header(file, 8192 - 28, ADDRESSES);
	refused(file, sizeof(file), BOOT_MULTIBOOT,
	    "kernel.bin: its Multiboot header at byte 8164 does not end in "
	    "the file's first 8192 bytes; move it to the front");
}

static void
a_wrong_header_before_the_right_one_does_no_harm(void **state)
{
	struct memory memory;
	struct boot_entry entry;
	uint8_t file[FILE_BYTES];

	(void)state;
	make_flat(file);
	put_le32(file + 4, MAGIC);
	put_le32(file + 17, MAGIC);
	memory_init(&memory, MIB(16), NULL);
	assert_int_equal(
	    load(&memory, file, sizeof(file), BOOT_AUTO, &entry, NULL), 0);
	assert_int_equal(entry.rip, ENTRY);
	memory_free(&memory);
}

/* What of a flat file is changed, and what is said about it. */
static void
bad_headers_are_refused_by_name(void **state)
{
	static const struct {
		unsigned int at;
		uint32_t value;
		const char *sentence;
	} t[] = {
		{ 8, 0x1234,
		    "kernel.bin: its Multiboot header at byte 64 has the "
		    "checksum 0x00001234; make it 0xe4514ffb" },
		{ 12, LOAD - 1,
		    "kernel.bin: its Multiboot header is at byte 64 and says "
		    "to be at 0x1fffff when the file is loaded to 0x200000; "
		    "mend header_addr or load_addr" },
		{ 12, LOAD + HEADER_AT + 1,
		    "kernel.bin: its Multiboot header is at byte 64 and says "
		    "to be at 0x200041 when the file is loaded to 0x200000; "
		    "mend header_addr or load_addr" },
		{ 16, 0,
		    "kernel.bin: its Multiboot header is at byte 64 and says "
		    "to be at 0x200020 when the file is loaded to 0x0; mend "
		    "header_addr or load_addr" },
		{ 20, LOAD - 1,
		    "kernel.bin: its Multiboot header says to load from "
		    "0x200000 to 0x1fffff; the first must be the lower one" },
		{ 20, LOAD,
		    NULL }, /* nothing from the file, all zeros: odd, but so */
		{ 20, LOAD + 0x2fe1,
		    "kernel.bin: its Multiboot header wants 12257 bytes from "
		    "byte 32 of a file of 12288; the file is cut short" },
		{ 24, LOAD + LOAD_BYTES - 1,
		    "kernel.bin: its Multiboot header says that it ends at "
		    "0x200fff, but 0x201000 is what it loads up to; mend "
		    "bss_end_addr" },
		{ 24, 0xffffffff,
		    "kernel.bin: wants 4292870143 bytes at 0x200000 and the "
		    "guest's memory ends before; give it more memory" },
		{ 28, LOAD - 1,
		    "kernel.bin: the entry 0x1fffff in its Multiboot header "
		    "(byte 64) lies outside of what it loads, 0x200000 to "
		    "0x203000; mend entry_addr" },
		{ 28, LOAD + LOAD_BYTES + BSS_BYTES,
		    "kernel.bin: the entry 0x203000 in its Multiboot header "
		    "(byte 64) lies outside of what it loads, 0x200000 to "
		    "0x203000; mend entry_addr" },
	};
	uint8_t file[FILE_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct memory memory;
		struct boot_entry entry;
		struct err err = { "" };

		make_flat(file);
		put_le32(file + HEADER_AT + t[i].at, t[i].value);
		memory_init(&memory, MIB(16), NULL);
		load(&memory, file, sizeof(file), BOOT_AUTO, &entry, &err);
		assert_string_equal(
		    err.text, t[i].sentence != NULL ? t[i].sentence : "");
		memory_free(&memory);
	}
}

static void
low_loads_and_misplaced_headers_are_refused(void **state)
{
	uint8_t file[FILE_BYTES];

	(void)state;
	make_flat(file);
	put_le32(file + HEADER_AT + 12, 0xc20);
	put_le32(file + HEADER_AT + 16, 0xc00);
	put_le32(file + HEADER_AT + 20, 0x1c00);
	put_le32(file + HEADER_AT + 24, 0);
	put_le32(file + HEADER_AT + 28, 0xc00);
	refused(file, sizeof(file), BOOT_AUTO,
	    "kernel.bin: its Multiboot header says to load it from 0xc00 to "
	    "0x1c00; below 1 MiB there is room from 0x1000 to 0x9c000");
	memset(file, 0, sizeof(file));
	put_header(file, 0x102, 0);
	refused(file, sizeof(file), BOOT_AUTO,
	    "kernel.bin: its Multiboot header at byte 258 is not aligned; "
	    "move it to a multiple of 4");
	memset(file, 0, sizeof(file));
	put_header(file, 0x100, 3);
	refused(file, sizeof(file), BOOT_AUTO,
	    "kernel.bin: its Multiboot header has no addresses and the file "
	    "is not ELF; set flag 16 and the addresses");
}

static void
features_that_must_be_understood_are_refused(void **state)
{
	struct memory memory;
	struct boot_entry entry;
	uint8_t file[FILE_BYTES];

	(void)state;
	make_elf(file, 0x800a, false);
	refused(file, sizeof(file), BOOT_AUTO,
	    "kernel.bin: its Multiboot header asks for features 0x8008 that "
	    "nobody has defined; clear these flags");
	/* Those that may be ignored, and a video mode, are. */
	make_elf(file, 0xfffe0007, false);
	memory_init(&memory, MIB(16), NULL);
	assert_int_equal(
	    load(&memory, file, sizeof(file), BOOT_AUTO, &entry, NULL), 0);
	assert_int_equal(
	    get_le32(memory_at(&memory, BOOT_MULTIBOOT_INFO, 4)), 0x24d);
	memory_free(&memory);
}

static void
an_elf_entry_that_cannot_be_entered_is_refused(void **state)
{
	uint8_t file[FILE_BYTES];

	(void)state;
	make_elf(file, 0, true);
	put_le32(file + 24, 0);
	refused(file, sizeof(file), BOOT_MULTIBOOT,
	    "kernel.bin: its entry 0x0 is not one that Multiboot can enter; "
	    "link it below 4 GiB");
	make_elf64(file, 0, false);
	put_le64(file + 64 + 24, MIB(4096));
	put_le64(file + 24, MIB(4096));
	refused(file, sizeof(file), BOOT_MULTIBOOT,
	    "kernel.bin: its entry 0x100000000 is not one that Multiboot can "
	    "enter; link it below 4 GiB");
}

static void
every_truncation_is_refused(void **state)
{
	struct memory memory;
	struct boot_entry entry;
	uint8_t file[FILE_BYTES];

	(void)state;
	make_flat(file);
	memory_init(&memory, MIB(16), NULL);
	for (size_t n = 0; n < LOAD_AT + LOAD_BYTES; n += n < 0x80 ? 1 : 61) {
		uint8_t *copy = malloc(n > 0 ? n : 1);
		struct err err = { "" };

		memcpy(copy, file, n);
		assert_int_equal(
		    load(&memory, copy, n, BOOT_AUTO, &entry, &err), -ENOEXEC);
		assert_true(strlen(err.text) > 20);
		free(copy);
	}
	memory_free(&memory);
}

static void
long_names_and_command_lines_are_refused(void **state)
{
	static char name[4097], line[BOOT_CMDLINE_BYTES + 1];
	struct memory memory;
	struct boot_entry entry;
	struct cpu_state cpu = { 0 };
	struct err err = { "" };
	uint8_t file[FILE_BYTES];
	struct boot_config config = { .kernel_name = name,
		.kernel = file,
		.kernel_bytes = sizeof(file),
		.initrd_fd = -1,
		.cmdline = line };
	const uint8_t *info;

	(void)state;
	make_flat(file);
	memset(name, 'k', 4095);
	memset(line, 'x', BOOT_CMDLINE_BYTES - 1);
	memory_init(&memory, MIB(16), NULL);
	assert_int_equal(boot_load(&memory, &config, &entry, NULL), 0);
	boot_cpu(&entry, &cpu);
	info = memory_at(&memory, cpu.gpr[CPU_RBX], 88);
	assert_int_equal(strlen(string_at(&memory, get_le32(info + 16))),
	    4095 + 1 + BOOT_CMDLINE_BYTES - 1);
	assert_string_equal(string_at(&memory, get_le32(info + 64)), "lanyard");
	name[4095] = 'k';
	assert_int_equal(
	    boot_load(&memory, &config, &entry, &err), -ENAMETOOLONG);
	assert_string_equal(err.text,
	    "the name of the kernel or of the initial RAM disk is too long; "
	    "use one of up to 4095 bytes");
	line[BOOT_CMDLINE_BYTES - 1] = 'x';
	err_clear(&err);
	assert_int_equal(boot_load(&memory, &config, &entry, &err), -EINVAL);
	assert_string_equal(err.text,
	    "the kernel command line has 2048 bytes; use at most 2047");
	memory_free(&memory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_cpu_enters_as_the_specification_says),
		cmocka_unit_test(
		    flat_files_are_loaded_by_their_headers_addresses),
		cmocka_unit_test(the_kernel_is_told_of_memory_and_names),
		cmocka_unit_test(kernels_may_lie_below_the_loaders_tables),
		cmocka_unit_test(low_kernels_are_for_multiboot_alone),
		cmocka_unit_test(the_module_follows_the_kernel_at_a_page),
		cmocka_unit_test(linux_comes_before_pvh_before_multiboot),
		cmocka_unit_test(
		    any_file_with_a_header_is_entered_when_asked_to),
		cmocka_unit_test(a_header_is_found_up_to_8_kib_and_not_beyond),
		cmocka_unit_test(
		    a_wrong_header_before_the_right_one_does_no_harm),
		cmocka_unit_test(bad_headers_are_refused_by_name),
		cmocka_unit_test(low_loads_and_misplaced_headers_are_refused),
		cmocka_unit_test(features_that_must_be_understood_are_refused),
		cmocka_unit_test(
		    an_elf_entry_that_cannot_be_entered_is_refused),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(long_names_and_command_lines_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
