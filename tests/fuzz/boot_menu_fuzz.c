/* libs: vmm/grub_menu.c vmm/grub_script.c vmm/bls_menu.c vmm/partitions.c base */
/*
 * Boot loaders' menus and partition tables.  The first byte says which.  A menu
 * gives paths that end, or a sentence; partitions lie on the disk, in the order
 * in which they were found, and cost a bounded number of reads.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/boot_menu.h"
#include "vmm/partitions.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SECTOR 512

struct input {
	const uint8_t *data;
	size_t size;
	unsigned int reads;
};

/* ---- menus: all files are the input ---- */

static char *
read_input(void *arg, const char *root, const char *path, size_t *bytes)
{
	struct input *in = arg;
	char *text;

	assert(strlen(root) < BOOT_MENU_NAME_BYTES);
	assert(strlen(path) < 2 * BOOT_MENU_PATH_BYTES + 64);
	if (path[0] != '/' || in->reads++ > 16)
		return NULL;
	text = malloc(in->size + 1);
	memcpy(text, in->data, in->size);
	text[in->size] = '\0';
	*bytes = in->size;
	return text;
}

static void
list_input(void *arg, const char *root, const char *path,
    bool (*each)(void *each_arg, const char *name), void *each_arg)
{
	struct input *in = arg;
	char name[300];
	size_t n = in->size < sizeof(name) - 6 ? in->size : sizeof(name) - 6;

	(void)root;
	(void)path;
	memcpy(name, in->data, n);
	memcpy(name + n, ".conf", 6);
	for (unsigned int i = 0; i < 100; i++)
		if (!each(each_arg, i == 0 ? name : "a.conf"))
			return;
}

static void
check_text(const char *text, size_t room)
{
	assert(memchr(text, '\0', room) != NULL);
}

static void
check_menu(const uint8_t *data, size_t size)
{
	struct input in = { data, size, 0 };
	const struct boot_files files = { read_input, list_input, &in };
	struct boot_item item;
	struct err err = { "" };
	char *text = malloc(size);
	int r;

	memcpy(text, data, size);
	r = grub_menu(&item, &files, "/boot/grub", text, size, &err);
	free(text);
	assert((r == 0) == (err.text[0] == '\0'));
	if (r != 0)
		return;
	assert(item.kernel[0] != '\0');
	assert(item.ninitrds <= BOOT_MENU_INITRDS);
	check_text(item.title, sizeof(item.title));
	check_text(item.kernel, sizeof(item.kernel));
	check_text(item.args, sizeof(item.args));
	for (unsigned int i = 0; i < item.ninitrds; i++)
		check_text(item.initrd[i], sizeof(item.initrd[i]));
}

/* ---- tables: the disk is the input, again and again ---- */

static int
read_sectors(void *arg, uint64_t offset, void *to, size_t bytes)
{
	struct input *in = arg;
	uint8_t *p = to;

	assert(offset % SECTOR == 0 && bytes % SECTOR == 0);
	in->reads++;
	for (size_t i = 0; i < bytes; i++)
		p[i] = in->data[(offset + i) % in->size];
	return 0;
}

static void
check_table(const uint8_t *data, size_t size)
{
	struct input in = { data, size, 0 };
	const struct partitions_disk disk = { UINT64_C(1) << 30, read_sectors,
		&in };
	static struct partitions p;

	if (size == 0)
		return;
	assert(partitions_read(&p, &disk) == 0);
	assert(in.reads < 4 * PARTITIONS_MAX + 16);
	assert(p.n <= PARTITIONS_MAX);
	for (unsigned int i = 0; i < p.n; i++) {
		assert(p.list[i].bytes > 0 && p.list[i].start < disk.bytes);
		assert(p.list[i].bytes <= disk.bytes - p.list[i].start);
		assert(p.list[i].start > 0 || p.list[i].number == 0);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > BOOT_MENU_FILE_BYTES)
		return 0;
	if (data[0] & 1)
		check_table(data + 1, size - 1);
	else
		check_menu(data + 1, size - 1);
	return 0;
}
