/*
 * Which loader a kernel file needs, and what all of them share: the map of
 * memory and the initial RAM disk.
 *
 * Left to choose (BOOT_AUTO), we take Linux's protocol before PVH before
 * Multiboot.  Nothing in a 64-bit ELF file says that its entry is meant for
 * Linux's protocol; so one with a Multiboot header, which no Linux has, is
 * entered by PVH, or by Multiboot if it has no note for that.  A Multiboot
 * header with addresses is there so that an ELF header is not used; it decides
 * at once.
 *
 * The guest enters in the mode that its protocol wants, without any code of
 * ours: no firmware, no real mode, nothing before the kernel's first
 * instruction.
 */
#include "vmm/boot.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/boot_parts.h"

#define INITRD_MAX_DEFAULT UINT64_C(0x37ffffff)
#define PAGE_MASK          ((uint64_t)MEMORY_PAGE_BYTES - 1)

unsigned int
boot_map(const struct memory *memory, struct boot_map map[BOOT_MAP_MAX])
{
	struct memory_region region[MEMORY_REGIONS];
	unsigned int n = memory_regions(memory, region), used = 0;

	map[used++] = (struct boot_map){
		.start = 0, .bytes = BOOT_LOW_END, .type = BOOT_MAP_RAM
	};
	map[used++] = (struct boot_map){ .start = BOOT_LOW_END,
		.bytes = BOOT_KERNEL_MIN - BOOT_LOW_END,
		.type = BOOT_MAP_RESERVED };
	map[used++] = (struct boot_map){ .start = BOOT_KERNEL_MIN,
		.bytes = region[0].bytes - BOOT_KERNEL_MIN,
		.type = BOOT_MAP_RAM };
	if (n > 1)
		map[used++] = (struct boot_map){ .start = region[1].start,
			.bytes = region[1].bytes,
			.type = BOOT_MAP_RAM };
	return used;
}

static int
read_all(int fd, uint8_t *to, uint64_t bytes)
{
	for (uint64_t done = 0; done < bytes;) {
		ssize_t n = pread(fd, to + done, bytes - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (uint64_t)n;
	}
	return 0;
}

/* Its size, or -Exxx with *err. */
static int64_t
initrd_bytes(const struct boot_config *config, struct err *err)
{
	struct stat st;

	if (fstat(config->initrd_fd, &st) < 0)
		return err_sys(err, -errno, NULL, "%s", config->initrd_name);
	if (st.st_size <= 0 || (uint64_t)st.st_size > BOOT_FILE_MAX_BYTES)
		return err_set(err, -EINVAL,
		    "%s: %" PRId64 " bytes are no initial RAM disk; give one "
		    "of up to 1 GiB",
		    config->initrd_name, (int64_t)st.st_size);
	return st.st_size;
}

/* To its address, which leaves room below limit, or is refused. */
static int
place_initrd(const struct boot_initrd *initrd, const struct memory *memory,
    const struct boot_config *config, uint64_t kernel_end, uint64_t limit,
    struct err *err)
{
	int r;

	if (initrd->address < kernel_end || initrd->address > limit ||
	    initrd->bytes > limit - initrd->address)
		return err_set(err, -ENOMEM,
		    "%s: no room for %" PRIu64 " bytes between the kernel's "
		    "end at 0x%" PRIx64 " and 0x%" PRIx64 "; give the guest "
		    "more memory",
		    config->initrd_name, initrd->bytes, kernel_end, limit);
	r = read_all(config->initrd_fd,
	    memory_at(memory, initrd->address, initrd->bytes), initrd->bytes);
	if (r < 0)
		return err_sys(err, r, NULL,
		    "%s: cannot read %" PRIu64 " bytes", config->initrd_name,
		    initrd->bytes);
	return 0;
}

int
boot_initrd_load(struct boot_initrd *initrd, const struct memory *memory,
    const struct boot_config *config, uint64_t kernel_end, uint64_t max,
    struct err *err)
{
	uint64_t limit = memory->low_bytes;
	int64_t bytes;

	*initrd = (struct boot_initrd){ 0 };
	if (config->initrd_fd < 0)
		return 0;
	bytes = initrd_bytes(config, err);
	if (bytes < 0)
		return (int)bytes;
	if (max + 1 < limit)
		limit = max + 1;
	initrd->bytes = (uint64_t)bytes;
	if (initrd->bytes < limit)
		initrd->address = (limit - initrd->bytes) & ~PAGE_MASK;
	return place_initrd(initrd, memory, config, kernel_end, limit, err);
}

int
boot_initrd_load_low(struct boot_initrd *initrd, const struct memory *memory,
    const struct boot_config *config, uint64_t kernel_end, struct err *err)
{
	int64_t bytes;

	*initrd = (struct boot_initrd){ 0 };
	if (config->initrd_fd < 0)
		return 0;
	bytes = initrd_bytes(config, err);
	if (bytes < 0)
		return (int)bytes;
	initrd->bytes = (uint64_t)bytes;
	if (kernel_end < BOOT_KERNEL_MIN)
		kernel_end = BOOT_KERNEL_MIN;
	initrd->address = (kernel_end + PAGE_MASK) & ~PAGE_MASK;
	return place_initrd(
	    initrd, memory, config, kernel_end, memory->low_bytes, err);
}

/* The file with that header. */
static int
load_multiboot(const struct memory *memory, const struct boot_config *config,
    const struct multiboot *mb, struct boot_entry *entry, struct err *err)
{
	struct elf_image image;
	struct boot_initrd initrd;
	uint64_t end;
	int r;

	r = multiboot_parse(&image, mb, config->kernel_name, config->kernel,
	    config->kernel_bytes, err);
	if (r == 0)
		r = elf_load(&image, memory, &end, err);
	if (r == 0)
		r = boot_initrd_load_low(&initrd, memory, config, end, err);
	if (r < 0)
		return r;
	*entry = (struct boot_entry){ .protocol = BOOT_MULTIBOOT,
		.rip = image.entry };
	return multiboot_prepare(memory, config, &initrd, err);
}

static int
load_elf(const struct memory *memory, const struct boot_config *config,
    const struct elf_image *elf, enum boot_protocol protocol,
    struct boot_entry *entry, struct err *err)
{
	struct boot_initrd initrd;
	uint64_t end;
	int r;

	if (protocol == BOOT_LINUX && (!elf->is64 || elf->entry == 0))
		return err_set(err, -ENOEXEC,
		    "%s: has no 64-bit entry; use --boot pvh or multiboot",
		    elf->name);
	if (protocol == BOOT_PVH && elf->pvh_entry == 0)
		return err_set(err, -ENOEXEC,
		    "%s: has no note with a PVH entry%s", elf->name,
		    elf->is64 ? "; use --boot linux"
			      : "; use a 64-bit kernel, or one with a "
				"Multiboot header");
	r = elf_load(elf, memory, &end, err);
	if (r == 0)
		r = boot_initrd_load(
		    &initrd, memory, config, end, INITRD_MAX_DEFAULT, err);
	if (r < 0)
		return r;
	*entry = (struct boot_entry){ .protocol = protocol,
		.rip = protocol == BOOT_PVH ? elf->pvh_entry : elf->entry };
	if (protocol == BOOT_PVH)
		return pvh_prepare(memory, config, &initrd, err);
	return linux_prepare(memory, config, NULL, 0, &initrd, err);
}

static int
load_elf_file(const struct memory *memory, const struct boot_config *config,
    struct boot_entry *entry, struct err *err)
{
	enum boot_protocol protocol = config->protocol;
	struct elf_image elf;
	struct multiboot mb;
	struct err complaint = { "" };
	int has, r;

	has = multiboot_find(&mb, config->kernel_name, config->kernel,
	    config->kernel_bytes, &complaint);
	if (protocol == BOOT_AUTO && has == 0 && mb.has_addresses)
		return load_multiboot(memory, config, &mb, entry, err);
	r = elf_parse(&elf, config->kernel_name, config->kernel,
	    config->kernel_bytes, has == 0 ? BOOT_MULTIBOOT_INFO : 0, err);
	if (r < 0)
		return r;
	if (protocol == BOOT_AUTO) {
		if (elf.is64 && elf.entry != 0 && has != 0)
			protocol = BOOT_LINUX;
		else if (elf.pvh_entry != 0 || has == -ENOENT)
			protocol = BOOT_PVH;
		else if (has == 0)
			return load_multiboot(memory, config, &mb, entry, err);
		else
			return err_set(err, has, "%s", complaint.text);
	}
	/* Others than Multiboot have their tables where it may lie. */
	r = elf_parse(&elf, config->kernel_name, config->kernel,
	    config->kernel_bytes, 0, err);
	if (r < 0)
		return r;
	return load_elf(memory, config, &elf, protocol, entry, err);
}

/* The ELF kernel inside of a bzImage. */
static int
load_payload(const struct memory *memory, const struct boot_config *config,
    const struct bzimage *image, struct boot_entry *entry, struct err *err)
{
	struct unpacked unpacked;
	struct elf_image elf;
	struct boot_initrd initrd;
	uint64_t end;
	int r;

	r = unpack(
	    &unpacked, image->name, image->payload, image->payload_bytes, err);
	if (r < 0)
		return r;
	if (!elf_is(unpacked.data, unpacked.bytes))
		r = err_set(err, -ENOEXEC,
		    "%s: its payload is not an ELF kernel; the file is "
		    "damaged",
		    image->name);
	if (r == 0)
		r = elf_parse(
		    &elf, image->name, unpacked.data, unpacked.bytes, 0, err);
	if (r == 0 && config->protocol == BOOT_PVH) {
		r = load_elf(memory, config, &elf, BOOT_PVH, entry, err);
	} else if (r == 0) {
		r = !elf.is64 || elf.entry == 0
		    ? err_set(err, -ENOEXEC,
			  "%s: a 32-bit kernel; use a 64-bit one", image->name)
		    : elf_load(&elf, memory, &end, err);
		if (r == 0)
			r = boot_initrd_load(&initrd, memory, config, end,
			    image->initrd_max, err);
		if (r == 0)
			r = linux_prepare(memory, config, image->header,
			    image->header_bytes, &initrd, err);
		*entry = (struct boot_entry){ .protocol = BOOT_LINUX,
			.rip = elf.entry };
	}
	unpack_free(&unpacked);
	return r;
}

static int
load_bzimage(const struct memory *memory, const struct boot_config *config,
    struct boot_entry *entry, struct err *err)
{
	struct bzimage image;
	struct boot_initrd initrd;
	uint64_t end;
	int r;

	r = bzimage_parse(&image, config->kernel_name, config->kernel,
	    config->kernel_bytes, err);
	if (r < 0)
		return r;
	if (image.payload != NULL &&
	    unpack_kind(image.payload, image.payload_bytes) != NULL)
		return load_payload(memory, config, &image, entry, err);
	if (config->protocol == BOOT_PVH)
		return err_set(err, -ENOEXEC,
		    "%s: packed in an unknown way, so its PVH entry cannot be "
		    "found; use --boot linux",
		    image.name);
	r = bzimage_load(&image, memory, &end, err);
	if (r == 0)
		r = boot_initrd_load(
		    &initrd, memory, config, end, image.initrd_max, err);
	if (r < 0)
		return r;
	*entry = (struct boot_entry){ .protocol = BOOT_LINUX,
		.rip = image.load + 0x200 };
	return linux_prepare(
	    memory, config, image.header, image.header_bytes, &initrd, err);
}

int
boot_load(const struct memory *memory, const struct boot_config *config,
    struct boot_entry *entry, struct err *err)
{
	enum boot_protocol protocol = config->protocol;
	struct multiboot mb;
	int r;

	if (protocol != BOOT_MULTIBOOT &&
	    elf_is(config->kernel, config->kernel_bytes))
		return load_elf_file(memory, config, entry, err);
	if (protocol != BOOT_MULTIBOOT &&
	    bzimage_is(config->kernel, config->kernel_bytes))
		return load_bzimage(memory, config, entry, err);
	r = -ENOENT;
	if (protocol == BOOT_AUTO || protocol == BOOT_MULTIBOOT)
		r = multiboot_find(&mb, config->kernel_name, config->kernel,
		    config->kernel_bytes, err);
	if (r == 0)
		return load_multiboot(memory, config, &mb, entry, err);
	if (r == -ENOENT && protocol == BOOT_MULTIBOOT)
		return err_set(err, -ENOEXEC,
		    "%s: has no Multiboot header in its first %d bytes; give "
		    "it one, or leave out --boot",
		    config->kernel_name, MULTIBOOT_SEARCH_BYTES);
	if (r == -ENOENT)
		return err_set(err, -ENOEXEC,
		    "%s: neither an ELF kernel nor a Linux bzImage nor a "
		    "Multiboot kernel; give one of these",
		    config->kernel_name);
	return r;
}

void
boot_cpu(const struct boot_entry *entry, struct cpu_state *state)
{
	switch (entry->protocol) {
	case BOOT_AUTO:
	case BOOT_LINUX: linux_cpu(entry->rip, state); break;
	case BOOT_PVH: pvh_cpu(entry->rip, state); break;
	case BOOT_MULTIBOOT: multiboot_cpu(entry->rip, state); break;
	}
}
