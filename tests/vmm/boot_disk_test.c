/*
 * Kernels found on disks, whose file systems mke2fs makes.
 */
#include "vmm/boot_disk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/blk_file.h"
#include "vmm/le.h"

#define SECTOR  UINT64_C(512)
#define MOST    (UINT64_C(1) << 20)
#define UUID    "01234567-89ab-cdef-0123-456789abcdef"
#define ROOT_AT 2048
#define BOOT_AT 20480
#define SECTORS 32768

struct rig {
	char dir[64];
};

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void
run(const char *format, ...)
{
	char command[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	if (system(command) != 0)
		fail_msg("%s", command);
}

static int
setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	*state = r;
	strcpy(r->dir, "/tmp/boot-disk-XXXXXX");
	if (mkdtemp(r->dir) == NULL)
		return -1;
	run("mkdir -p %s/root/boot/grub %s/boot/grub", r->dir, r->dir);
	return 0;
}

static int
teardown(void **state)
{
	struct rig *r = *state;

	run("rm -rf %s", r->dir);
	free(r);
	return 0;
}

static void
put_file(const struct rig *r, const char *path, const char *text)
{
	char name[256];
	FILE *f;

	snprintf(name, sizeof(name), "%s/%s", r->dir, path);
	f = fopen(name, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
put_partition(FILE *f, unsigned int i, uint32_t first, uint32_t sectors)
{
	uint8_t entry[16] = { [4] = 0x83 };

	put_le32(entry + 8, first);
	put_le32(entry + 12, sectors);
	fseek(f, 446 + 16 * (long)i, SEEK_SET);
	fwrite(entry, sizeof(entry), 1, f);
}

/* Two partitions: root and boot of the rig's directory. */
static void
make_disk(const struct rig *r)
{
	char name[128];
	FILE *f;

	snprintf(name, sizeof(name), "%s/disk", r->dir);
	f = fopen(name, "w");
	assert_non_null(f);
	put_partition(f, 0, ROOT_AT, BOOT_AT - ROOT_AT);
	put_partition(f, 2, BOOT_AT, SECTORS - BOOT_AT);
	fseek(f, 510, SEEK_SET);
	fwrite("\x55\xaa", 2, 1, f);
	fclose(f);
	run("truncate -s %d %s", (int)(SECTORS * SECTOR), name);
	run("mke2fs -q -t ext4 -U " UUID " -d %s/root -E offset=%d %s %dk",
	    r->dir, (int)(ROOT_AT * SECTOR), name, (BOOT_AT - ROOT_AT) / 2);
	run("mke2fs -q -t ext2 -L boot -d %s/boot -E offset=%d %s %dk", r->dir,
	    (int)(BOOT_AT * SECTOR), name, (SECTORS - BOOT_AT) / 2);
}

static int
find(const struct rig *r, struct boot_disk *found, struct err *err)
{
	struct blk_store *store;
	char name[128];
	int code;

	snprintf(name, sizeof(name), "%s/disk", r->dir);
	store = blk_file_open(name, true, err);
	assert_non_null(store);
	code = boot_disk_find(found, store, "disk", MOST, err);
	store->ops->close(store);
	return code;
}

static void
is_content(int fd, const char *text, size_t n)
{
	char got[64];

	assert_int_equal(pread(fd, got, sizeof(got), 0), n);
	assert_memory_equal(got, text, n);
}

static void
paths_of_the_menu_lead_to_other_partitions(void **state)
{
	static const char *const roots[] = { "search --set=root --label boot",
		"set root='hd0,msdos3'", "search --set=root --file /kernel" };
	const struct rig *r = *state;

	put_file(r, "boot/kernel", "the kernel");
	put_file(r, "boot/one", "12345");
	put_file(r, "root/two", "6789");
	for (unsigned int i = 0; i < 3; i++) {
		struct boot_disk found;
		struct err err = { "" };
		char menu[512];

		snprintf(menu, sizeof(menu),
		    "%s\nmenuentry 'One' {\nlinux /kernel root=UUID=" UUID
		    "\nset one=($root)/one\n"
		    "search --fs-uuid 01234567-89AB-cdef-0123-456789abcdef "
		    "--set=root\ninitrd $one /two\n}\n",
		    roots[i]);
		put_file(r, "root/boot/grub/grub.cfg", menu);
		make_disk(r);
		if (find(r, &found, &err) != 0)
			fail_msg("%s: %s", roots[i], err.text);
		assert_string_equal(found.args,
		    "BOOT_IMAGE=/kernel root=UUID=" UUID " console=ttyS0");
		assert_string_equal(found.kernel_name, "disk: /kernel");
		is_content(found.kernel_fd, "the kernel", 10);
		is_content(found.initrd_fd, "12345\0\0\0006789", 12);
		boot_disk_close(&found);
	}
}

static void
links_will_do_where_there_is_no_menu(void **state)
{
	const struct rig *r = *state;
	struct boot_disk found;
	struct err err = { "" };

	put_file(r, "root/boot/vmlinuz-1", "kernel");
	run("ln -s boot/vmlinuz-1 %s/root/vmlinuz", r->dir);
	make_disk(r);
	assert_int_equal(find(r, &found, &err), 0);
	assert_string_equal(found.args, "root=UUID=" UUID " ro console=ttyS0");
	is_content(found.kernel_fd, "kernel", 6);
	assert_int_equal(found.initrd_fd, -1);
	boot_disk_close(&found);
}

static void
a_console_that_is_there_stays(void **state)
{
	const struct rig *r = *state;
	struct boot_disk found;
	struct err err = { "" };

	put_file(r, "boot/kernel", "kernel");
	put_file(r, "boot/grub/grub.cfg",
	    "menuentry x {\nlinux /kernel console=ttyS0,9600\n}\n");
	make_disk(r);
	assert_int_equal(find(r, &found, &err), 0);
	assert_string_equal(
	    found.args, "BOOT_IMAGE=/kernel console=ttyS0,9600");
	boot_disk_close(&found);
}

static void
what_cannot_be_booted_is_told(void **state)
{
	static const struct {
		const char *menu, *words;
	} cases[] = {
		{ NULL, "disk: nothing to boot is found on it" },
		{ "",
		    "disk: partition 1: /boot/grub/grub.cfg: has no entries; "
		    "give a kernel by --kernel" },
		{ "menuentry x {\nlinux /none\n}\n", "disk: /none: No such" },
		{ "menuentry x {\nlinux /boot\n}\n", "disk: /boot: Invalid" },
		{ "menuentry x {\nlinux /loop\n}\n", "disk: /loop: " },
		{ "menuentry x {\nlinux (hd1,1)/kernel\n}\n",
		    "disk: \"hd1,1\", where /kernel is to be, is no ext" },
		{ "menuentry x {\nlinux /large\n}\n",
		    "/large is larger than the guest's memory" },
		{ "menuentry x {\nlinux /half\ninitrd /half /half\n}\n",
		    "/half is larger than the guest's memory" },
	};
	const struct rig *r = *state;

	run("truncate -s %d %s/root/large", (int)MOST + 1, r->dir);
	run("truncate -s %d %s/root/half", (int)MOST / 2, r->dir);
	run("ln -s loop %s/root/loop", r->dir);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct boot_disk found;
		struct err err = { "" };

		if (cases[i].menu != NULL)
			put_file(r, "root/boot/grub/grub.cfg", cases[i].menu);
		make_disk(r);
		assert_int_not_equal(find(r, &found, &err), 0);
		if (strstr(err.text, cases[i].words) == NULL)
			fail_msg("%s\n%s", cases[i].menu, err.text);
		boot_disk_close(&found);
	}
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(paths_of_the_menu_lead_to_other_partitions),
		T(links_will_do_where_there_is_no_menu),
		T(a_console_that_is_there_stays),
		T(what_cannot_be_booted_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
