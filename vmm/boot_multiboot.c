/*
 * Multiboot (the specification's version 0.6.96): a header in the first 8 KiB
 * of the kernel file, 32-bit protected mode without paging (boot_flat32.c), a
 * magic number in EAX, and EBX pointing to a structure with the amount and the
 * map of memory, the command line and the initial RAM disk as a module.
 *
 * A header with addresses says by itself what is to be loaded, whatever the
 * file is ("flat", or the "a.out kludge"); without them the file is ELF, also
 * of 64 bits as long as its entry lies below 4 GiB.
 *
 * Kernels may lie below 1 MiB, too, since those that call real mode do.
 *
 * As other loaders do, we begin the command line with the kernel's name, and
 * put the module into the page that follows the kernel, for kernels that see
 * only the first few MiB.  The module's string is the file's name.  A header
 * that asks for a video mode gets none, since there is no display; other
 * features that we do not know are refused, if the header insists on them.
 * There is no BIOS to be called, no boot device, and no symbols are passed.
 */
#include "vmm/boot_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "vmm/le.h"

#define HEADER_MAGIC    0x1badb002u
#define LOADER_MAGIC    0x2badb002u
#define HEADER_BYTES    12
#define WITH_ADDRESSES  32
#define WITH_VIDEO      48
#define WANT_PAGES      0x00000001u /* modules at pages: they always are */
#define WANT_MEMORY     0x00000002u /* sizes and map: they are always told */
#define WANT_VIDEO      0x00000004u
#define MUST            0x0000ffffu /* the rest may be ignored */
#define HAS_ADDRESSES   0x00010000u
#define KNOWN           (WANT_PAGES | WANT_MEMORY | WANT_VIDEO)
#define INFO_MEMORY     0x001u
#define INFO_CMDLINE    0x004u
#define INFO_MODULES    0x008u
#define INFO_MAP        0x040u
#define INFO_LOADER     0x200u
#define MODULES_AT      (BOOT_MULTIBOOT_INFO + 0x80)
#define MAP_AT          (BOOT_MULTIBOOT_INFO + 0xc0)
#define MAP_ENTRY_BYTES 20 /* without the field that says so */
#define NAME_MAX_BYTES  4096
#define LINE_AT         (BOOT_MULTIBOOT_INFO + 0x200)
#define LINE_BYTES      (NAME_MAX_BYTES + BOOT_CMDLINE_BYTES)
#define MODULE_NAME_AT  (LINE_AT + LINE_BYTES)
#define LOADER_NAME_AT  (MODULE_NAME_AT + NAME_MAX_BYTES)

static const char loader_name[] = "lanyard";

static_assert(LOADER_NAME_AT + sizeof(loader_name) < BOOT_LOW_END,
    "strings end below the reserved part of memory");

/* ---- the header ---- */

static size_t
header_bytes(uint32_t flags)
{
	if (flags & WANT_VIDEO)
		return WITH_VIDEO;
	return flags & HAS_ADDRESSES ? WITH_ADDRESSES : HEADER_BYTES;
}

static uint32_t
header_sum(const uint8_t *header)
{
	return get_le32(header) + get_le32(header + 4) + get_le32(header + 8);
}

/* What keeps the first magic number from being a header. */
static int
complain(const char *name, const uint8_t *data, size_t limit, struct err *err)
{
	for (size_t at = 0; at + 4 <= limit; at++) {
		if (get_le32(data + at) != HEADER_MAGIC)
			continue;
		if (at % 4 != 0)
			return err_set(err, -ENOEXEC,
			    "%s: its Multiboot header at byte %zu is not "
			    "aligned; move it to a multiple of 4",
			    name, at);
		if (at + HEADER_BYTES <= limit && header_sum(data + at) != 0)
			return err_set(err, -ENOEXEC,
			    "%s: its Multiboot header at byte %zu has the "
			    "checksum 0x%08x; make it 0x%08x",
			    name, at, get_le32(data + at + 8),
			    -(HEADER_MAGIC + get_le32(data + at + 4)));
		return err_set(err, -ENOEXEC,
		    "%s: its Multiboot header at byte %zu does not end in the "
		    "file's first %d bytes; move it to the front",
		    name, at, MULTIBOOT_SEARCH_BYTES);
	}
	return -ENOENT;
}

int
multiboot_find(struct multiboot *mb, const char *name, const uint8_t *data,
    size_t bytes, struct err *err)
{
	size_t limit =
	    bytes < MULTIBOOT_SEARCH_BYTES ? bytes : MULTIBOOT_SEARCH_BYTES;

	for (size_t at = 0; at + HEADER_BYTES <= limit; at += 4) {
		uint32_t flags = get_le32(data + at + 4);

		if (get_le32(data + at) != HEADER_MAGIC ||
		    header_sum(data + at) != 0 ||
		    header_bytes(flags) > limit - at)
			continue;
		*mb = (struct multiboot){ .at = at,
			.flags = flags,
			.has_addresses = flags & HAS_ADDRESSES };
		return 0;
	}
	return complain(name, data, limit, err);
}

/* ---- what is to be loaded ---- */

/* The addresses of a header; 0 in the last two means "none". */
struct addresses {
	uint64_t header, load, entry, load_end, bss_end;
};

static int
check_addresses(const struct multiboot *mb, const char *name,
    const struct addresses *a, uint64_t file_bytes, uint64_t end,
    struct err *err)
{
	if (a->load_end != 0 && a->load_end < a->load)
		return err_set(err, -ENOEXEC,
		    "%s: its Multiboot header says to load from 0x%" PRIx64
		    " to 0x%" PRIx64 "; the first must be the lower one",
		    name, a->load, a->load_end);
	if (a->bss_end != 0 && a->bss_end < a->load + file_bytes)
		return err_set(err, -ENOEXEC,
		    "%s: its Multiboot header says that it ends at 0x%" PRIx64
		    ", but 0x%" PRIx64 " is what it loads up to; mend "
		    "bss_end_addr",
		    name, a->bss_end, a->load + file_bytes);
	if (!elf_may_lie(a->load, end - a->load, BOOT_MULTIBOOT_INFO))
		return err_set(err, -ENOEXEC,
		    "%s: its Multiboot header says to load it from 0x%" PRIx64
		    " to 0x%" PRIx64 "; below 1 MiB there is room from 0x%x to "
		    "0x%x",
		    name, a->load, end, BOOT_LOW_START, BOOT_MULTIBOOT_INFO);
	if (a->entry < a->load || a->entry >= end)
		return err_set(err, -ENOEXEC,
		    "%s: the entry 0x%" PRIx64 " in its Multiboot header (byte "
		    "%zu) lies outside of what it loads, 0x%" PRIx64
		    " to 0x%" PRIx64 "; mend entry_addr",
		    name, a->entry, mb->at, a->load, end);
	return 0;
}

/* A file whose header has addresses: one segment. */
static int
parse_flat(struct elf_image *image, const struct multiboot *mb, struct err *err)
{
	const uint8_t *h = image->data + mb->at;
	struct addresses a = { .header = get_le32(h + 12),
		.load = get_le32(h + 16),
		.load_end = get_le32(h + 20),
		.bss_end = get_le32(h + 24),
		.entry = get_le32(h + 28) };
	uint64_t offset, file_bytes, end;
	int r;

	if (a.load > a.header || a.header - a.load > mb->at)
		return err_set(err, -ENOEXEC,
		    "%s: its Multiboot header is at byte %zu and says to be at "
		    "0x%" PRIx64 " when the file is loaded to 0x%" PRIx64
		    "; mend header_addr or load_addr",
		    image->name, mb->at, a.header, a.load);
	offset = mb->at - (a.header - a.load);
	file_bytes = image->bytes - offset;
	if (a.load_end != 0)
		file_bytes = a.load_end - a.load;
	end = a.bss_end != 0 ? a.bss_end : a.load + file_bytes;
	r = check_addresses(mb, image->name, &a, file_bytes, end, err);
	if (r < 0)
		return r;
	if (file_bytes > image->bytes - offset)
		return err_set(err, -ENOEXEC,
		    "%s: its Multiboot header wants %" PRIu64 " bytes from "
		    "byte %" PRIu64 " of a file of %zu; the file is cut short",
		    image->name, file_bytes, offset, image->bytes);
	image->entry = a.entry;
	image->segment[0] = (struct elf_segment){ .offset = offset,
		.file_bytes = file_bytes,
		.address = a.load,
		.memory_bytes = end - a.load };
	image->nsegments = 1;
	return 0;
}

static int
parse_elf(struct elf_image *image, const char *name, const uint8_t *data,
    size_t bytes, struct err *err)
{
	int r;

	if (!elf_is(data, bytes))
		return err_set(err, -ENOEXEC,
		    "%s: its Multiboot header has no addresses and the file is "
		    "not ELF; set flag 16 and the addresses",
		    name);
	r = elf_parse(image, name, data, bytes, BOOT_MULTIBOOT_INFO, err);
	if (r < 0)
		return r;
	if (image->entry == 0 || image->entry > UINT32_MAX)
		return err_set(err, -ENOEXEC,
		    "%s: its entry 0x%" PRIx64 " is not one that Multiboot can "
		    "enter; link it below 4 GiB",
		    name, image->entry);
	return 0;
}

int
multiboot_parse(struct elf_image *image, const struct multiboot *mb,
    const char *name, const uint8_t *data, size_t bytes, struct err *err)
{
	*image =
	    (struct elf_image){ .name = name, .data = data, .bytes = bytes };
	if (mb->flags & MUST & ~KNOWN)
		return err_set(err, -ENOEXEC,
		    "%s: its Multiboot header asks for features 0x%x that "
		    "nobody has defined; clear these flags",
		    name, mb->flags & MUST & ~KNOWN);
	if (mb->flags & WANT_VIDEO)
		log_warn(
		    "%s: asks for a video mode; there is no display", name);
	if (mb->has_addresses)
		return parse_flat(image, mb, err);
	return parse_elf(image, name, data, bytes, err);
}

/* ---- what the kernel is told ---- */

static int
put_strings(uint8_t *low, const struct boot_config *config, bool has_module,
    struct err *err)
{
	const char *module = has_module ? config->initrd_name : "";
	size_t cmdline = strlen(config->cmdline);

	if (cmdline >= BOOT_CMDLINE_BYTES)
		return err_set(err, -EINVAL,
		    "the kernel command line has %zu bytes; use at most %d",
		    cmdline, BOOT_CMDLINE_BYTES - 1);
	if (strlen(config->kernel_name) >= NAME_MAX_BYTES ||
	    strlen(module) >= NAME_MAX_BYTES)
		return err_set(err, -ENAMETOOLONG,
		    "the name of the kernel or of the initial RAM disk is too "
		    "long; use one of up to %d bytes",
		    NAME_MAX_BYTES - 1);
	snprintf((char *)low + LINE_AT, LINE_BYTES, "%s%s%s",
	    config->kernel_name, cmdline > 0 ? " " : "", config->cmdline);
	memcpy(low + MODULE_NAME_AT, module, strlen(module) + 1);
	memcpy(low + LOADER_NAME_AT, loader_name, sizeof(loader_name));
	return 0;
}

/* Each entry begins with its size, which does not count that field. */
static unsigned int
put_map(uint8_t *at, const struct memory *memory)
{
	struct boot_map map[BOOT_MAP_MAX];
	unsigned int n = boot_map(memory, map);

	for (unsigned int i = 0; i < n; i++) {
		put_le32(at, MAP_ENTRY_BYTES);
		put_le64(at + 4, map[i].start);
		put_le64(at + 12, map[i].bytes);
		put_le32(at + 20, map[i].type);
		at += 4 + MAP_ENTRY_BYTES;
	}
	return n * (4 + MAP_ENTRY_BYTES);
}

int
multiboot_prepare(const struct memory *memory, const struct boot_config *config,
    const struct boot_initrd *initrd, struct err *err)
{
	uint8_t *low = memory_at(memory, 0, BOOT_KERNEL_MIN);
	uint8_t *info = low + BOOT_MULTIBOOT_INFO;
	bool has_module = initrd->bytes != 0;
	int r = put_strings(low, config, has_module, err);

	if (r < 0)
		return r;
	put_le32(info,
	    INFO_MEMORY | INFO_CMDLINE | INFO_MODULES | INFO_MAP | INFO_LOADER);
	put_le32(info + 4, BOOT_LOW_END >> 10);
	put_le32(
	    info + 8, (uint32_t)((memory->low_bytes - BOOT_KERNEL_MIN) >> 10));
	put_le32(info + 16, LINE_AT);
	put_le32(info + 20, has_module ? 1 : 0);
	put_le32(info + 24, MODULES_AT);
	put_le32(info + 44, put_map(low + MAP_AT, memory));
	put_le32(info + 48, MAP_AT);
	put_le32(info + 64, LOADER_NAME_AT);
	if (has_module) {
		put_le32(low + MODULES_AT, (uint32_t)initrd->address);
		put_le32(low + MODULES_AT + 4,
		    (uint32_t)(initrd->address + initrd->bytes));
		put_le32(low + MODULES_AT + 8, MODULE_NAME_AT);
	}
	flat32_prepare(low);
	return 0;
}

void
multiboot_cpu(uint64_t rip, struct cpu_state *state)
{
	flat32_cpu(rip, state);
	state->gpr[CPU_RAX] = LOADER_MAGIC;
	state->gpr[CPU_RBX] = BOOT_MULTIBOOT_INFO;
}
