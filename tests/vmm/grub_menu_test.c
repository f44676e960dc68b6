/*
 * What a boot loader's menu would start.
 */
#include "vmm/boot_menu.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

/* ---- a few files ---- */

struct file {
	const char *root, *path, *text;
};

static const struct file *disk;
static size_t nfiles;

static char *
read_file(void *arg, const char *root, const char *path, size_t *bytes)
{
	(void)arg;
	for (size_t i = 0; i < nfiles; i++)
		if (strcmp(disk[i].root, root) == 0 &&
		    strcmp(disk[i].path, path) == 0) {
			*bytes = strlen(disk[i].text);
			return strdup(disk[i].text);
		}
	return NULL;
}

static void
list(void *arg, const char *root, const char *path,
    bool (*each)(void *each_arg, const char *name), void *each_arg)
{
	size_t n = strlen(path);

	(void)arg;
	for (size_t i = 0; i < nfiles; i++)
		if (strcmp(disk[i].root, root) == 0 &&
		    strncmp(disk[i].path, path, n) == 0 &&
		    disk[i].path[n] == '/' &&
		    !each(each_arg, disk[i].path + n + 1))
			return;
}

static const struct boot_files files = { read_file, list, NULL };

static int
menu(struct boot_item *item, const char *text, struct err *err)
{
	/* Exactly so long, so that a read behind it is seen. */
	size_t n = strlen(text);
	char *copy = malloc(n + 1);
	int r;

	memcpy(copy, text, n);
	r = grub_menu(item, &files, "/boot/grub", copy, n, err);
	free(copy);
	return r;
}

static void
expect(
    const char *text, const char *kernel, const char *args, const char *initrd)
{
	struct boot_item item;
	struct err err = { "" };

	if (menu(&item, text, &err) != 0)
		fail_msg("%s\n%s", text, err.text);
	assert_string_equal(item.kernel, kernel);
	assert_string_equal(item.args, args);
	assert_string_equal(item.initrd[0], initrd);
	assert_int_equal(item.ninitrds, initrd[0] != '\0');
}

/* ---- GRUB ---- */

/* Parts of what grub-mkconfig writes, with its peculiarities. */
static const char debian[] =
    "if [ -s $prefix/grubenv ]; then\n"
    "  set have_grubenv=true\n"
    "  load_env\n"
    "fi\n"
    "if [ \"${next_entry}\" ] ; then\n"
    "   set default=\"${next_entry}\"\n"
    "   set next_entry=\n"
    "   save_env next_entry\n"
    "else\n"
    "   set default=\"${saved_entry}\"\n"
    "fi\n"
    "if [ x\"${feature_menuentry_id}\" = xy ]; then\n"
    "  menuentry_id_option=\"--id\"\n"
    "else\n"
    "  menuentry_id_option=\"\"\n"
    "fi\n"
    "export menuentry_id_option\n"
    "function load_video {\n"
    "  if [ x$feature_all_video_module = xy ]; then\n"
    "    insmod all_video\n"
    "  fi\n"
    "}\n"
    "if [ x$feature_default_font_path = xy ] ; then\n"
    "   font=unicode\n"
    "else\n"
    "insmod ext2\n"
    "set root='hd9,gpt9'\n"
    "fi\n"
    "if loadfont $font ; then\n"
    "  set gfxmode=auto\n"
    "fi\n"
    "set timeout=5 # seconds\n"
    "menuentry 'Debian GNU/Linux' --class debian --class gnu "
    "$menuentry_id_option 'simple' {\n"
    "\tload_video\n"
    "\tif [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi\n"
    "\tset root='hd0,gpt1'\n"
    "\tif [ x$feature_platform_search_hint = xy ]; then\n"
    "\t  search --no-floppy --fs-uuid --set=root "
    "--hint-bios=hd0,gpt1 --hint-efi=hd0,gpt1  AB-cd\n"
    "\telse\n"
    "\t  search --no-floppy --fs-uuid --set=root AB-cd\n"
    "\tfi\n"
    "\techo\t'Loading Linux 6.1.0 ...'\n"
    "\tlinux\t/boot/vmlinuz-6.1.0 root=PARTUUID=12 ro  console=tty0 \\\n"
    "\t    console=ttyS0,115200\n"
    "\tinitrd\t/boot/initrd.img-6.1.0\n"
    "}\n"
    "submenu 'Advanced options' $menuentry_id_option 'advanced' {\n"
    "\tmenuentry 'Debian, with Linux 6.1.0' $menuentry_id_option 'a-6.1.0' {\n"
    "\t\tlinux\t/boot/vmlinuz-6.1.0 advanced\n"
    "\t}\n"
    "\tmenuentry 'recovery mode' $menuentry_id_option 'recovery' {\n"
    "\t\tlinux\t(hd0,msdos5)/vmlinuz single\n"
    "\t\tinitrd\t(hd0,msdos5)/initrd\n"
    "\t}\n"
    "}\n"
    "menuentry 'Firmware' $menuentry_id_option 'uefi-firmware' {\n"
    "\tfwsetup\n"
    "}\n";

#define SIMPLE                                                    \
	"(uuid:AB-cd)/boot/vmlinuz-6.1.0",                        \
	    "BOOT_IMAGE=/boot/vmlinuz-6.1.0 root=PARTUUID=12 ro " \
	    "console=tty0 console=ttyS0,115200",                  \
	    "(uuid:AB-cd)/boot/initrd.img-6.1.0"
#define RECOVERY                                                          \
	"(hd0,msdos5)/vmlinuz", "BOOT_IMAGE=(hd0,msdos5)/vmlinuz single", \
	    "(hd0,msdos5)/initrd"

static void
with_environment(const char *text)
{
	static struct file environment = { "", "/boot/grub/grubenv", NULL };

	environment.text = text;
	disk = &environment;
	nfiles = text != NULL;
}

static void
the_default_entry_is_the_one_that_its_environment_saved(void **state)
{
	static const struct {
		const char *environment, *kernel, *args, *initrd;
	} cases[] = {
		{ NULL, SIMPLE },
		{ "", SIMPLE },
		{ "# GRUB Environment Block\n####", SIMPLE },
		{ "# GRUB\nsaved_entry=0\n", SIMPLE },
		{ "saved_entry=simple\n", SIMPLE },
		{ "saved_entry=Debian GNU/Linux\n", SIMPLE },
		{ "saved_entry=nothing\n", SIMPLE },
		{ "saved_entry=7\n", SIMPLE },
		{ "saved_entry=1>1\n", RECOVERY },
		{ "saved_entry=advanced>recovery\n", RECOVERY },
		{ "saved_entry=Advanced options>recovery mode\n", RECOVERY },
		{ "saved_entry=1\n", "()/boot/vmlinuz-6.1.0",
		    "BOOT_IMAGE=/boot/vmlinuz-6.1.0 advanced", "" },
		/* It is for one start, which we could not take note of. */
		{ "next_entry=1>1\nsaved_entry=0\n", SIMPLE },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		with_environment(cases[i].environment);
		expect(debian, cases[i].kernel, cases[i].args, cases[i].initrd);
	}
}

static void
words_are_as_grub_reads_them(void **state)
{
	static const struct {
		const char *script, *args;
	} cases[] = {
		{ "linux /k a 'b c' \"d e\"", "a b c d e" },
		{ "linux /k $a ${a}b x$none y", "1 1b x y" },
		{ "linux /k \"$a\" '$a' \\$a \"\\$a\" \"\\x\"",
		    "1 $a $a $a \\x" },
		{ "linux /k a#b #c\n", "a#b" },
		{ "linux /k a\\\nb \\\n c", "ab c" },
		{ "linux /k \"a\\\nb\"", "ab" },
		{ "linux /k '' x; linux16 /k last", "last" },
		{ "linux /k a=b \"c=d\" {x}", "a=b c=d {x}" },
		{ "linux --verbose /k a", "a" },
		{ "if true; then linux /k yes; else linux /k no; fi", "yes" },
		{ "if [ ! $a ]; then linux /k yes; else linux /k no; fi",
		    "no" },
		{ "if [ $a -gt 0 -a $a != 2 ]; then linux /k yes; else linux "
		  "/k no; fi",
		    "yes" },
		{ "if [ $a = 2 -o -z $none ]; then linux /k yes; fi", "yes" },
		{ "if [ $a = 2 ]; then linux /k 2; elif [ $a = 1 ]; then "
		  "linux /k 1; elif true; then linux /k 0; else linux /k 3; fi",
		    "1" },
		{ "if false; then if true; then linux /k in; else linux /k x; "
		  "fi; else linux /k out; fi",
		    "out" },
		{ "if test -f /there; then linux /k yes; fi", "yes" },
		{ "if test -f (hd0,gpt2)/there; then linux /k no; else linux "
		  "/k out; fi",
		    "out" },
		{ "linux /k for; for x in 1 2; do linux /k $x; done", "for" },
	};
	static const struct file there = { "", "/there", "x" };

	(void)state;
	disk = &there;
	nfiles = 1;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		char text[512], args[512];
		struct boot_item item;
		struct err err = { "" };

		snprintf(text, sizeof(text), "a=1\nmenuentry x {\n%s\n}\n",
		    cases[i].script);
		snprintf(args, sizeof(args), "BOOT_IMAGE=/k %s", cases[i].args);
		if (menu(&item, text, &err) != 0)
			fail_msg("%s\n%s", cases[i].script, err.text);
		if (strcmp(item.args, args) != 0)
			fail_msg("%s\ngives %s", cases[i].script, item.args);
	}
}

static void
search_says_where_paths_are(void **state)
{
	static const struct {
		const char *command, *kernel;
	} cases[] = {
		{ "set root=(hd0,1)", "(hd0,1)/k" },
		{ "set root='hd0,msdos1'", "(hd0,msdos1)/k" },
		{ "search.fs_uuid 12ab root hd0,gpt3", "(uuid:12ab)/k" },
		{ "search -l --set root boot", "(label:boot)/k" },
		{ "search --label boot --set", "(label:boot)/k" },
		{ "search --file /etc/x --set=other", "()/k" },
		{ "search --set=root", "()/k" },
	};

	(void)state;
	nfiles = 0;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		char text[256];
		struct boot_item item;
		struct err err = { "" };

		snprintf(text, sizeof(text), "%s\nmenuentry x { linux /k\n }",
		    cases[i].command);
		assert_int_equal(menu(&item, text, &err), 0);
		if (strcmp(item.kernel, cases[i].kernel) != 0)
			fail_msg("%s\ngives %s", cases[i].command, item.kernel);
	}
}

static void
menus_that_start_no_linux_are_refused(void **state)
{
	char *deep = calloc(1, 100000), *wide = calloc(1, 100000);
	const struct {
		const char *text, *words;
		int r;
	} cases[] = {
		{ "", "has no entries", -ENOENT },
		{ "menuentry", "starts no Linux", -ENOENT },
		{ "} } fi else elif done", "has no entries", -ENOENT },
		{ "menuentry a { chainloader +1\n }", "entry \"a\" starts no",
		    -ENOENT },
		{ "submenu a {\n }", "has no entries", -ENOENT },
		{ "menuentry 'a { linux /k", "starts no Linux", -ENOENT },
		{ deep, "nest too deeply", -ENOEXEC },
		{ wide, "longer than a kernel", -ENOEXEC },
	};
	struct boot_item item;

	(void)state;
	nfiles = 0;
	for (unsigned int i = 0; i < 5000; i++)
		strcat(deep + 5 * i, "if a;");
	strcat(wide, "menuentry w {\nlinux /k");
	for (unsigned int i = 0; i < 300; i++)
		strcat(wide, " 0123456789");
	strcat(wide, "\n}\n");
	for (size_t i = 0; i < NITEMS(cases); i++) {
		struct err err = { "" };

		assert_int_equal(menu(&item, cases[i].text, &err), cases[i].r);
		assert_non_null(strstr(err.text, cases[i].words));
	}
	free(deep);
	free(wide);
}

static void
variables_that_grow_have_an_end(void **state)
{
	char text[4096] = "a=xxxxxxxx\n";
	struct boot_item item;
	struct err err = { "" };

	(void)state;
	for (unsigned int i = 0; i < 100; i++)
		strcat(text, "a=\"$a$a\"\n");
	strcat(text, "menuentry x {\nlinux /k\n}\n");
	assert_int_equal(menu(&item, text, &err), 0);
}

/* ---- Boot Loader Specification ---- */

static const struct file fedora[] = {
	{ "", "/boot/grub/grubenv",
	    "# GRUB\nsaved_entry=id-6.9.1\nkernelopts=root=/dev/vda4 ro \n" },
	{ "", "/boot/loader/entries/id-6.9.1.conf",
	    "title Old\nversion 6.9.1\nlinux /vmlinuz-6.9.1\n"
	    "initrd /initramfs-6.9.1.img $tuned_initrd\n"
	    "options $kernelopts quiet $tuned_params\n" },
	{ "", "/boot/loader/entries/id-6.10.2.conf",
	    "title\tNew\r\nlinux   /vmlinuz-6.10.2\r\n# no comment\n"
	    "options a\noptions b\ninitrd /one\ninitrd /two\n" },
	{ "", "/boot/loader/entries/readme", "linux /none\n" },
};

static void
loader_entries_stand_in_grubs_menu(void **state)
{
	(void)state;
	disk = fedora;
	nfiles = NITEMS(fedora);
	expect("load_env\nset default=\"${saved_entry}\"\nblscfg\n",
	    "/vmlinuz-6.9.1", "root=/dev/vda4 ro  quiet ",
	    "/initramfs-6.9.1.img");
}

static const char *
no_variable(void *arg, const char *name)
{
	(void)arg;
	(void)name;
	return NULL;
}

static void
the_newest_loader_entry_comes_first(void **state)
{
	struct bls_entries *entries = calloc(1, sizeof(*entries));
	struct boot_item item = { .kernel = "" };

	(void)state;
	disk = fedora;
	nfiles = NITEMS(fedora);
	bls_read(entries, &files, "", "/boot/loader/entries");
	assert_int_equal(entries->n, 2);
	assert_string_equal(entries->list[0].id, "id-6.10.2");
	assert_true(bls_item(&item, &entries->list[0], no_variable, NULL));
	assert_string_equal(item.title, "New");
	assert_string_equal(item.kernel, "/vmlinuz-6.10.2");
	assert_string_equal(item.args, "a b");
	assert_int_equal(item.ninitrds, 2);
	assert_string_equal(item.initrd[1], "/two");
	bls_free(entries);
	free(entries);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    the_default_entry_is_the_one_that_its_environment_saved),
		cmocka_unit_test(words_are_as_grub_reads_them),
		cmocka_unit_test(search_says_where_paths_are),
		cmocka_unit_test(menus_that_start_no_linux_are_refused),
		cmocka_unit_test(variables_that_grow_have_an_end),
		cmocka_unit_test(loader_entries_stand_in_grubs_menu),
		cmocka_unit_test(the_newest_loader_entry_comes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
