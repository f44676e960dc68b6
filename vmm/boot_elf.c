/*
 * ELF kernels: the segments, the entry, and the note that names a PVH entry.
 *
 * Only executables at fixed addresses: a kernel that wants to be relocated
 * comes as a bzImage.  Physical addresses count (p_paddr); both entries must
 * lie in what was loaded, the ELF header's by either address.  Segments may not overlap: then the result would
 * depend on their order.
 */
#include "vmm/boot_parts.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "vmm/le.h"

#define NOTE_PVH_ENTRY 18 /* XEN_ELFNOTE_PHYS32_ENTRY */

bool
elf_is(const uint8_t *data, size_t bytes)
{
	return bytes >= SELFMAG && memcmp(data, ELFMAG, SELFMAG) == 0;
}

static bool
within(uint64_t offset, uint64_t n, uint64_t bytes)
{
	return offset <= bytes && n <= bytes - offset;
}

/* One program header, of either class. */
struct phdr {
	uint32_t type;
	uint64_t offset, file_bytes, address, memory_bytes, align;
	uint64_t virtual_address;
};

static struct phdr
read_phdr(const uint8_t *p, bool is64)
{
	if (is64)
		return (struct phdr){
			.type = get_le32(p),
			.offset = get_le64(p + 8),
			.virtual_address = get_le64(p + 16),
			.address = get_le64(p + 24),
			.file_bytes = get_le64(p + 32),
			.memory_bytes = get_le64(p + 40),
			.align = get_le64(p + 48),
		};
	return (struct phdr){
		.type = get_le32(p),
		.offset = get_le32(p + 4),
		.virtual_address = get_le32(p + 8),
		.address = get_le32(p + 12),
		.file_bytes = get_le32(p + 16),
		.memory_bytes = get_le32(p + 20),
		.align = get_le32(p + 28),
	};
}

bool
elf_may_lie(uint64_t address, uint64_t bytes, uint64_t low_end)
{
	if (address >= BOOT_KERNEL_MIN)
		return true;
	return address >= BOOT_LOW_START && bytes <= low_end &&
	    address <= low_end - bytes;
}

static int
add_segment(struct elf_image *elf, const struct phdr *ph, uint64_t low_end,
    struct err *err)
{
	if (ph->memory_bytes == 0)
		return 0;
	if (ph->file_bytes > ph->memory_bytes)
		return err_set(err, -ENOEXEC,
		    "%s: a segment has %" PRIu64 " bytes in the file and "
		    "%" PRIu64 " in memory; the file is damaged",
		    elf->name, ph->file_bytes, ph->memory_bytes);
	if (!within(ph->offset, ph->file_bytes, elf->bytes))
		return err_set(err, -ENOEXEC,
		    "%s: a segment ends at byte %" PRIu64 "+%" PRIu64
		    " of a file of %zu; the file is cut short",
		    elf->name, ph->offset, ph->file_bytes, elf->bytes);
	if (ph->address + ph->memory_bytes < ph->address)
		return err_set(err, -ENOEXEC,
		    "%s: the segment at 0x%" PRIx64 " wraps around; the file "
		    "is damaged",
		    elf->name, ph->address);
	if (!elf_may_lie(ph->address, ph->memory_bytes, low_end))
		return err_set(err, -ENOEXEC,
		    "%s: the segment at 0x%" PRIx64 " lies below 1 MiB; link "
		    "the kernel to 0x%x or above",
		    elf->name, ph->address, BOOT_KERNEL_MIN);
	for (unsigned int i = 0; i < elf->nsegments; i++) {
		const struct elf_segment *s = &elf->segment[i];

		if (ph->address < s->address + s->memory_bytes &&
		    s->address < ph->address + ph->memory_bytes)
			return err_set(err, -ENOEXEC,
			    "%s: the segments at 0x%" PRIx64 " and 0x%" PRIx64
			    " overlap; the file is damaged",
			    elf->name, s->address, ph->address);
	}
	if (elf->nsegments == ELF_SEGMENTS_MAX)
		return err_set(err, -ENOEXEC,
		    "%s: more than %d segments to load; link it with fewer",
		    elf->name, ELF_SEGMENTS_MAX);
	elf->segment[elf->nsegments++] = (struct elf_segment){
		.offset = ph->offset,
		.file_bytes = ph->file_bytes,
		.address = ph->address,
		.memory_bytes = ph->memory_bytes,
		.virtual_address = ph->virtual_address,
	};
	return 0;
}

/* Looks for the PVH entry among the notes.  Other notes are not our business,
 * and a list that runs out of its segment just ends. */
static void
read_notes(struct elf_image *elf, const struct phdr *ph)
{
	const uint8_t *p = elf->data + ph->offset;
	uint64_t align = ph->align == 8 ? 8 : 4;
	uint64_t at = 0;

	while (within(at, 12, ph->file_bytes)) {
		uint32_t name_bytes = get_le32(p + at);
		uint32_t desc_bytes = get_le32(p + at + 4);
		uint32_t type = get_le32(p + at + 8);
		uint64_t name = at + 12;
		uint64_t desc = (name + name_bytes + align - 1) & ~(align - 1);

		if (!within(name, name_bytes, ph->file_bytes) ||
		    !within(desc, desc_bytes, ph->file_bytes))
			return;
		if (type == NOTE_PVH_ENTRY && name_bytes == 4 &&
		    memcmp(p + name, "Xen", 4) == 0 && desc_bytes >= 4)
			elf->pvh_entry = get_le32(p + desc);
		at = (desc + desc_bytes + align - 1) & ~(align - 1);
	}
}

static bool
loaded(const struct elf_image *elf, uint64_t address)
{
	for (unsigned int i = 0; i < elf->nsegments; i++)
		if (address >= elf->segment[i].address &&
		    address - elf->segment[i].address <
			elf->segment[i].memory_bytes)
			return true;
	return false;
}

/* Kernels that live in the upper half of an address space may name their entry
 * as they see it themselves. */
static uint64_t
physical(const struct elf_image *elf, uint64_t entry)
{
	if (entry == 0 || loaded(elf, entry))
		return entry;
	for (unsigned int i = 0; i < elf->nsegments; i++) {
		const struct elf_segment *s = &elf->segment[i];

		if (entry >= s->virtual_address &&
		    entry - s->virtual_address < s->memory_bytes)
			return s->address + (entry - s->virtual_address);
	}
	return entry;
}

static int
check_entries(struct elf_image *elf, struct err *err)
{
	elf->entry = physical(elf, elf->entry);
	if (elf->nsegments == 0)
		return err_set(err, -ENOEXEC,
		    "%s: nothing to load; give a linked kernel", elf->name);
	if (elf->entry != 0 && !loaded(elf, elf->entry))
		return err_set(err, -ENOEXEC,
		    "%s: its entry 0x%" PRIx64 " lies outside of what it "
		    "loads; give the physical address",
		    elf->name, elf->entry);
	if (elf->pvh_entry != 0 && !loaded(elf, elf->pvh_entry))
		return err_set(err, -ENOEXEC,
		    "%s: its PVH entry 0x%x lies outside of what it loads; "
		    "the file is damaged",
		    elf->name, elf->pvh_entry);
	if (elf->entry == 0 && elf->pvh_entry == 0)
		return err_set(err, -ENOEXEC,
		    "%s: no entry; give a linked kernel", elf->name);
	return 0;
}

/* The header: class, machine and kind that we can run. */
static int
check_header(struct elf_image *elf, struct err *err)
{
	const uint8_t *d = elf->data;
	uint16_t machine, type;

	if (elf->bytes < sizeof(Elf32_Ehdr) ||
	    (d[EI_CLASS] == ELFCLASS64 && elf->bytes < sizeof(Elf64_Ehdr)))
		return err_set(err, -ENOEXEC,
		    "%s: %zu bytes are too few for an ELF file; the file is "
		    "cut short",
		    elf->name, elf->bytes);
	if (d[EI_DATA] != ELFDATA2LSB ||
	    (d[EI_CLASS] != ELFCLASS32 && d[EI_CLASS] != ELFCLASS64))
		return err_set(err, -ENOEXEC,
		    "%s: ELF class %u, byte order %u; use a little-endian "
		    "x86 kernel",
		    elf->name, d[EI_CLASS], d[EI_DATA]);
	elf->is64 = d[EI_CLASS] == ELFCLASS64;
	type = get_le16(d + 16);
	machine = get_le16(d + 18);
	if (machine != (elf->is64 ? EM_X86_64 : EM_386))
		return err_set(err, -ENOEXEC,
		    "%s: made for ELF machine %u; use an x86 kernel", elf->name,
		    machine);
	if (type != ET_EXEC)
		return err_set(err, -ENOEXEC,
		    "%s: ELF type %u is not an executable at a fixed address; "
		    "use a kernel linked to one",
		    elf->name, type);
	return 0;
}

int
elf_parse(struct elf_image *elf, const char *name, const uint8_t *data,
    size_t bytes, uint64_t low_end, struct err *err)
{
	uint64_t table;
	unsigned int n, each, want;
	int r;

	*elf = (struct elf_image){ .name = name, .data = data, .bytes = bytes };
	r = check_header(elf, err);
	if (r < 0)
		return r;
	elf->entry = elf->is64 ? get_le64(data + 24) : get_le32(data + 24);
	table = elf->is64 ? get_le64(data + 32) : get_le32(data + 28);
	each = get_le16(data + (elf->is64 ? 54 : 42));
	n = get_le16(data + (elf->is64 ? 56 : 44));
	want = elf->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	if (each != want || !within(table, (uint64_t)n * each, bytes))
		return err_set(err, -ENOEXEC,
		    "%s: %u program headers of %u bytes at %" PRIu64
		    " do not fit a file of %zu; the file is damaged",
		    name, n, each, table, bytes);
	for (unsigned int i = 0; i < n; i++) {
		struct phdr ph =
		    read_phdr(data + table + (uint64_t)i * each, elf->is64);

		if (ph.type == PT_LOAD)
			r = add_segment(elf, &ph, low_end, err);
		else if (ph.type == PT_NOTE &&
		    within(ph.offset, ph.file_bytes, bytes))
			read_notes(elf, &ph);
		if (r < 0)
			return r;
	}
	return check_entries(elf, err);
}

int
elf_load(const struct elf_image *elf, const struct memory *memory,
    uint64_t *end, struct err *err)
{
	*end = 0;
	for (unsigned int i = 0; i < elf->nsegments; i++) {
		const struct elf_segment *s = &elf->segment[i];
		void *to = memory_at(memory, s->address, s->memory_bytes);

		if (to == NULL)
			return err_set(err, -ENOMEM,
			    "%s: wants %" PRIu64 " bytes at 0x%" PRIx64
			    " and the guest's memory ends before; give it "
			    "more memory",
			    elf->name, s->memory_bytes, s->address);
		if (s->file_bytes > 0)
			memcpy(to, elf->data + s->offset, s->file_bytes);
		if (s->address + s->memory_bytes > *end)
			*end = s->address + s->memory_bytes;
	}
	return 0;
}
