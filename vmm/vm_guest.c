#include "vmm/vm_guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/acpi.h"
#include "vmm/boot_disk.h"
#include "vmm/tiny_image.h"

static int
open_file(const char *path, int *fd, struct err *err)
{
	if (path == NULL)
		return 0;
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*fd >= 0)
		return 0;
	err_sys(err, -errno, "give the path of a file", "%s", path);
	return -EINVAL;
}

int
vm_guest_open(
    struct vm_guest *guest, const struct vm_config *config, struct err *err)
{
	int r;

	*guest = (struct vm_guest){
		.config = config, .kernel_fd = -1, .initrd_fd = -1
	};
	if (config->from_disk && config->ndisks == 0)
		return err_set(err, -EINVAL,
		    "no disk to boot from; give one, or a kernel");
	if (config->from_disk && config->initrd != NULL)
		return err_set(err, -EINVAL,
		    "%s: an initial RAM disk without a kernel; give that, too",
		    config->initrd);
	r = open_file(config->kernel, &guest->kernel_fd, err);
	return r < 0 ? r : open_file(config->initrd, &guest->initrd_fd, err);
}

void
vm_guest_close(struct vm_guest *guest)
{
	if (guest->kernel_fd >= 0)
		close(guest->kernel_fd);
	if (guest->initrd_fd >= 0)
		close(guest->initrd_fd);
	guest->kernel_fd = guest->initrd_fd = -1;
}

static int
read_boot_name(const char *name, enum boot_protocol *protocol, struct err *err)
{
	if (name == NULL || strcmp(name, "auto") == 0)
		*protocol = BOOT_AUTO;
	else if (strcmp(name, "linux") == 0)
		*protocol = BOOT_LINUX;
	else if (strcmp(name, "pvh") == 0)
		*protocol = BOOT_PVH;
	else if (strcmp(name, "multiboot") == 0)
		*protocol = BOOT_MULTIBOOT;
	else
		return err_set(err, -EINVAL,
		    "boot protocol \"%s\" is not known; use auto, linux, pvh "
		    "or multiboot",
		    name);
	return 0;
}

/* The whole kernel, whose name is there already; *room is to be unmapped. */
static int
read_kernel(
    int kernel_fd, struct boot_config *boot, void **room, struct err *err)
{
	struct stat st;
	size_t done = 0;

	*room = NULL;
	if (fstat(kernel_fd, &st) < 0)
		return err_sys(err, -errno, NULL, "%s", boot->kernel_name);
	if (!S_ISREG(st.st_mode) || st.st_size == 0 ||
	    (uint64_t)st.st_size > BOOT_FILE_MAX_BYTES)
		return err_set(err, -EINVAL,
		    "%s: not a file of 1 byte to 1 GiB; give a kernel",
		    boot->kernel_name);
	*room = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (*room == MAP_FAILED) {
		*room = NULL;
		return err_sys(err, -ENOMEM, NULL, "%s", boot->kernel_name);
	}
	boot->kernel = *room;
	boot->kernel_bytes = (size_t)st.st_size;
	while (done < boot->kernel_bytes) {
		ssize_t n = pread(kernel_fd, (uint8_t *)*room + done,
		    boot->kernel_bytes - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_sys(err, n < 0 ? -errno : -EIO, NULL,
			    "%s: cannot read it", boot->kernel_name);
		done += (size_t)n;
	}
	return 0;
}

static int
load_file(const struct memory *memory, int kernel_fd, struct boot_config *boot,
    struct boot_entry *entry, struct err *err)
{
	void *room = NULL;
	int r = read_kernel(kernel_fd, boot, &room, err);

	if (r == 0)
		r = boot_load(memory, boot, entry, err);
	if (room != NULL)
		munmap(room, boot->kernel_bytes);
	return r;
}

/* The menu's command line, and what the VM is told besides. */
static int
load_disk(const struct vm_guest *guest, const struct memory *memory,
    struct blk_store *disk, struct boot_config *boot, struct boot_entry *entry,
    struct err *err)
{
	struct boot_disk *found = malloc(sizeof(*found));
	int r;

	if (found == NULL)
		return err_sys(err, -ENOMEM, NULL, "boot from a disk");
	r = boot_disk_find(
	    found, disk, guest->config->disk[0].path, memory->size_bytes, err);
	if (r == 0 &&
	    !boot_menu_add(found->args, sizeof(found->args), boot->cmdline))
		r = err_set(err, -EINVAL,
		    "%s: its command line leaves no room for \"%.80s\"; "
		    "shorten one of them",
		    guest->config->disk[0].path, boot->cmdline);
	if (r == 0) {
		boot->kernel_name = found->kernel_name;
		boot->initrd_name = found->initrd_name;
		boot->initrd_fd = found->initrd_fd;
		boot->cmdline = found->args;
		r = load_file(memory, found->kernel_fd, boot, entry, err);
	}
	boot_disk_close(found);
	free(found);
	return r;
}

int
vm_guest_load(const struct vm_guest *guest, const struct memory *memory,
    struct blk_store *disk, struct boot_entry *entry, struct err *err)
{
	const struct vm_config *config = guest->config;
	struct boot_config boot = { .kernel_name = config->kernel,
		.initrd_name = config->initrd,
		.initrd_fd = guest->initrd_fd,
		.cmdline = config->cmdline != NULL ? config->cmdline : "" };
	int r = read_boot_name(config->boot, &boot.protocol, err);

	if (r < 0)
		return r;
	/* A system from a disk switches itself off by ACPI. */
	if (config->vcpus > 1 || config->acpi || config->from_disk)
		boot.rsdp = acpi_write(memory, config->vcpus);
	if (config->from_disk)
		return load_disk(guest, memory, disk, &boot, entry, err);
	if (guest->kernel_fd >= 0)
		return load_file(memory, guest->kernel_fd, &boot, entry, err);
	boot.kernel_name = "tiny";
	boot.kernel = tiny_image;
	boot.kernel_bytes = tiny_image_bytes;
	return boot_load(memory, &boot, entry, err);
}
