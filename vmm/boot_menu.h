/*
 * boot_menu.h - which kernel a disk's own boot loader would start.
 *
 * By GRUB's grub.cfg, whose script is followed as far as menus need it (tests,
 * variables, its environment block, submenus, the default entry), or by the
 * entries of the Boot Loader Specification.  Nothing is written back: an entry
 * that was to be started once is not taken.
 *
 * The texts are hostile: a menu takes time and memory bounded by their lengths,
 * which are at most BOOT_MENU_FILE_BYTES each.
 */
#ifndef VMM_BOOT_MENU_H
#define VMM_BOOT_MENU_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define BOOT_MENU_FILE_BYTES (1u << 20)
#define BOOT_MENU_NAME_BYTES 256
#define BOOT_MENU_PATH_BYTES 1024
#define BOOT_MENU_ARGS_BYTES 2048
#define BOOT_MENU_INITRDS    8

/* What is to be started.  Paths may begin with "(root)", a root says on which
 * file system of the disk they are: "" or none the one with the menu; "hd0,gpt1"
 * a partition; "uuid:U", "label:L" and "file:P" one that has these. */
struct boot_item {
	char title[BOOT_MENU_NAME_BYTES];
	char kernel[BOOT_MENU_PATH_BYTES];
	char args[BOOT_MENU_ARGS_BYTES];
	char initrd[BOOT_MENU_INITRDS][BOOT_MENU_PATH_BYTES];
	unsigned int ninitrds;
};

/* The disk's files. */
struct boot_files {
	/* The text, at most BOOT_MENU_FILE_BYTES of it, the caller's to free,
	 * with a zero after it.  NULL: there is no such file. */
	char *(*read)(
	    void *arg, const char *root, const char *path, size_t *bytes);
	/* Calls each with the names in a directory, "." and ".." among them,
	 * until it returns false. */
	void (*list)(void *arg, const char *root, const char *path,
	    bool (*each)(void *each_arg, const char *name), void *each_arg);
	void *arg;
};

/* The default entry of directory's grub.cfg, whose text is given.  0, or -Exxx
 * with *err, which does not name the file. */
int grub_menu(struct boot_item *item, const struct boot_files *files,
    const char *directory, const char *text, size_t bytes, struct err *err);

/* ---- bls_menu.c ---- */

#define BLS_ENTRIES_MAX 64

/* One entry's file. */
struct bls_entry {
	char id[BOOT_MENU_NAME_BYTES]; /* its name, without .conf */
	char *text;
};

struct bls_entries {
	unsigned int n;
	struct bls_entry list[BLS_ENTRIES_MAX]; /* the newest first */
};

/* Reads a directory's entries, perhaps none. */
void bls_read(struct bls_entries *entries, const struct boot_files *files,
    const char *root, const char *directory);
void bls_free(struct bls_entries *entries);

/* The value of a variable in an entry's options, or NULL. */
typedef const char *bls_variable_fn(void *arg, const char *name);

/* What the entry says.  False: it has no kernel, or is too long. */
bool bls_item(struct boot_item *item, const struct bls_entry *entry,
    bls_variable_fn *variable, void *arg);

/* ---- for both ---- */

/* Copies, or adds behind a space.  False: no room, and nothing is changed. */
bool boot_menu_set(char *to, size_t room, const char *text);
bool boot_menu_add(char *to, size_t room, const char *text);

#endif
