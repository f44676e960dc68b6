/*
 * From a disk to a kernel: partitions, file systems, menu, files.
 *
 * The menu of the lowest partition that has one counts, as the one that an
 * installer's GRUB is told of.  Its paths may lead to other partitions: by
 * number, or by what "search" is to find.
 *
 * A serial console is the only one there is, so that a kernel that is told of
 * none gets it.
 */
#include "vmm/boot_disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "vmm/ext_files.h"

#define CONSOLE      "console=ttyS0"
#define BUDGET_BYTES (UINT64_C(256) << 20) /* besides files */

struct search {
	struct blk_store *store;
	const char *name; /* the disk's */
	uint64_t left;    /* bytes that may still be copied */
	struct partitions partitions;
	struct ext_files *files[PARTITIONS_MAX]; /* NULL: not readable */
	unsigned int menu;                       /* whose menu is read */
	struct boot_files calls;
	struct err first; /* what was wrong with a menu */
};

static int
read_store(void *arg, uint64_t offset, void *to, size_t bytes)
{
	struct blk_store *store = arg;
	struct iovec piece = { to, bytes };

	if (offset > store->bytes || bytes > store->bytes - offset)
		return -EIO;
	return store->ops->read(store, &piece, 1, offset);
}

/* ---- which file system ---- */

/* Does the root mean this file system? */
static bool
is_root(const struct search *s, unsigned int i, const char *root)
{
	struct ext_files *files = s->files[i];
	const char *end;

	if (files == NULL)
		return false;
	if (root[0] == '\0')
		return i == s->menu;
	if (strncmp(root, "uuid:", 5) == 0)
		return strcasecmp(root + 5, ext_files_uuid(files)) == 0;
	if (strncmp(root, "label:", 6) == 0)
		return strcmp(root + 6, ext_files_label(files)) == 0;
	if (strncmp(root, "file:", 5) == 0)
		return ext_files_has(files, root + 5);
	/* hd0,gpt1; hd0,msdos1; hd0,1 */
	if (strncmp(root, "hd0,", 4) != 0)
		return false;
	end = root + 4 + strcspn(root + 4, "0123456789");
	return strtoul(end, NULL, 10) == s->partitions.list[i].number;
}

static struct ext_files *
find_root(const struct search *s, const char *root)
{
	for (unsigned int i = 0; i < s->partitions.n; i++)
		if (is_root(s, i, root))
			return s->files[i];
	return NULL;
}

/* ---- what menus read ---- */

struct text {
	char *bytes;
	size_t n;
};

static int
take_text(void *arg, const void *bytes, size_t n)
{
	struct text *text = arg;
	char *more = realloc(text->bytes, text->n + n + 1);

	if (more == NULL)
		return -ENOMEM;
	memcpy(more + text->n, bytes, n);
	text->bytes = more;
	text->n += n;
	more[text->n] = '\0';
	return 0;
}

static char *
read_text(void *arg, const char *root, const char *path, size_t *bytes)
{
	struct ext_files *files = find_root(arg, root);
	struct text text = { NULL, 0 };

	if (files == NULL ||
	    ext_files_read(
		files, path, BOOT_MENU_FILE_BYTES, take_text, &text) != 0) {
		free(text.bytes);
		return NULL;
	}
	if (text.bytes == NULL)
		text.bytes = strdup("");
	*bytes = text.n;
	return text.bytes;
}

static void
list_directory(void *arg, const char *root, const char *path,
    bool (*each)(void *each_arg, const char *name), void *each_arg)
{
	struct ext_files *files = find_root(arg, root);

	if (files != NULL)
		ext_files_list(files, path, each, each_arg);
}

/* ---- menus ---- */

static const char *
no_variable(void *arg, const char *name)
{
	(void)arg;
	(void)name;
	return NULL;
}

/* The ways to a menu on one file system.  1: found, 0: there is none. */
static int
try_grub(struct search *s, struct boot_item *item)
{
	static const char *const directories[] = { "/boot/grub", "/boot/grub2",
		"/grub", "/grub2" };

	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]);
	     i++) {
		char path[64], *text;
		struct err err = { "" };
		size_t bytes;
		int r;

		snprintf(path, sizeof(path), "%s/grub.cfg", directories[i]);
		text = read_text(s, "", path, &bytes);
		if (text == NULL)
			continue;
		r = grub_menu(
		    item, &s->calls, directories[i], text, bytes, &err);
		free(text);
		if (r == 0)
			return 1;
		if (s->first.text[0] == '\0')
			err_set(&s->first, r, "%s: partition %u: %s: %s",
			    s->name, s->partitions.list[s->menu].number, path,
			    err.text);
	}
	return 0;
}

static int
try_bls(struct search *s, struct boot_item *item)
{
	static const char *const directories[] = { "/boot/loader/entries",
		"/loader/entries" };
	int found = 0;

	for (unsigned int i = 0; i < 2 && !found; i++) {
		struct bls_entries *e = calloc(1, sizeof(*e));

		if (e == NULL)
			return 0;
		bls_read(e, &s->calls, "", directories[i]);
		for (unsigned int k = 0; k < e->n && !found; k++) {
			memset(item, 0, sizeof(*item));
			found = bls_item(item, &e->list[k], no_variable, NULL);
		}
		bls_free(e);
		free(e);
	}
	return found;
}

static int
try_links(struct search *s, struct boot_item *item)
{
	static const char *const names[][2] = { { "/vmlinuz", "/initrd.img" },
		{ "/boot/vmlinuz", "/boot/initrd.img" } };
	struct ext_files *files = s->files[s->menu];

	for (unsigned int i = 0; i < 2; i++) {
		if (!ext_files_has(files, names[i][0]))
			continue;
		memset(item, 0, sizeof(*item));
		snprintf(item->title, sizeof(item->title), "%s", names[i][0]);
		snprintf(item->kernel, sizeof(item->kernel), "%s", names[i][0]);
		snprintf(item->args, sizeof(item->args), "root=UUID=%s ro",
		    ext_files_uuid(files));
		if (ext_files_has(files, names[i][1]))
			snprintf(item->initrd[item->ninitrds++],
			    BOOT_MENU_PATH_BYTES, "%s", names[i][1]);
		return 1;
	}
	return 0;
}

static int
find_item(struct search *s, struct boot_item *item, struct err *err)
{
	static int (*const ways[])(struct search * s,
	    struct boot_item * item) = { try_grub, try_bls, try_links };

	for (unsigned int i = 0; i < 3; i++)
		for (s->menu = 0; s->menu < s->partitions.n; s->menu++)
			if (s->files[s->menu] != NULL && ways[i](s, item))
				return 0;
	if (s->first.text[0] != '\0')
		return err_set(err, -ENOEXEC, "%s; give a kernel by --kernel",
		    s->first.text);
	return err_set(err, -ENOEXEC,
	    "%s: nothing to boot is found on it: no ext file system has a "
	    "grub.cfg, loader entries or vmlinuz; give a kernel by --kernel",
	    s->name);
}

/* ---- files ---- */

struct copy {
	int fd;
	uint64_t *left; /* is at least what is given at a time */
};

static int
take_into(void *arg, const void *bytes, size_t n)
{
	struct copy *copy = arg;

	*copy->left -= n;
	while (n > 0) {
		ssize_t done = write(copy->fd, bytes, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return -ENOMEM;
		bytes = (const uint8_t *)bytes + done;
		n -= (size_t)done;
	}
	return 0;
}

/* Adds a file to what is in fd; its name without the root goes to *path. */
static int
copy_file(struct search *s, const char *full, int fd, const char **path,
    struct err *err)
{
	const char *end = full[0] == '(' ? strchr(full, ')') : NULL;
	char root[BOOT_MENU_PATH_BYTES] = "";
	struct copy copy = { fd, &s->left };
	struct ext_files *files;
	int r;

	*path = end != NULL ? end + 1 : full;
	if (end != NULL)
		snprintf(root, sizeof(root), "%.*s", (int)(end - full - 1),
		    full + 1);
	files = find_root(s, root);
	if (files == NULL)
		return err_set(err, -ENOEXEC,
		    "%s: \"%.80s\", where %.200s is to be, is no ext file "
		    "system of this disk; give a kernel by --kernel",
		    s->name, root, *path);
	r = ext_files_read(files, *path, s->left, take_into, &copy);
	if (r == -EFBIG)
		return err_set(err, -ENOMEM,
		    "%s: %.200s is larger than the guest's memory; give it "
		    "more by --memory",
		    s->name, *path);
	if (r < 0)
		return err_sys(err, r, NULL, "%s: %.200s", s->name, *path);
	return 0;
}

static int
open_copy(const char *what, int *fd, struct err *err)
{
	*fd = memfd_create(what, MFD_CLOEXEC);
	return *fd >= 0 ? 0 : err_sys(err, -errno, NULL, "%s", what);
}

static int
copy_item(struct search *s, struct boot_disk *found,
    const struct boot_item *item, struct err *err)
{
	static const uint8_t padding[3];
	const char *path = "";
	int r = open_copy("kernel", &found->kernel_fd, err);

	if (r == 0)
		r = copy_file(s, item->kernel, found->kernel_fd, &path, err);
	snprintf(found->kernel_name, sizeof(found->kernel_name),
	    "%.500s: %.900s", s->name, path);
	if (r == 0 && item->ninitrds > 0)
		r = open_copy("initrd", &found->initrd_fd, err);
	for (unsigned int i = 0; r == 0 && i < item->ninitrds; i++) {
		/* Archives begin at multiples of four. */
		off_t at = lseek(found->initrd_fd, 0, SEEK_CUR);

		if (write(found->initrd_fd, padding, -(size_t)at & 3) < 0)
			r = err_sys(err, -errno, NULL, "initrd");
		if (r == 0)
			r = copy_file(
			    s, item->initrd[i], found->initrd_fd, &path, err);
	}
	snprintf(found->initrd_name, sizeof(found->initrd_name),
	    "%.500s: %.900s", s->name, path);
	return r;
}

static int
finish(struct search *s, struct boot_disk *found, const struct boot_item *item,
    struct err *err)
{
	snprintf(found->title, sizeof(found->title), "%s", item->title);
	snprintf(found->args, sizeof(found->args), "%s", item->args);
	if (strstr(found->args, "console=ttyS") == NULL &&
	    !boot_menu_add(found->args, sizeof(found->args), CONSOLE))
		return err_set(err, -EINVAL,
		    "%s: the command line of \"%.80s\" leaves no room for "
		    "\"" CONSOLE "\"; shorten it",
		    s->name, item->title);
	log_info("%s: boots \"%.100s\" of partition %u: %s", s->name,
	    found->title, s->partitions.list[s->menu].number,
	    found->kernel_name + strlen(s->name) + 2);
	return 0;
}

int
boot_disk_find(struct boot_disk *found, struct blk_store *store,
    const char *name, uint64_t most, struct err *err)
{
	const struct partitions_disk disk = { store->bytes, read_store, store };
	struct search *s = calloc(1, sizeof(*s));
	struct boot_item *item = calloc(1, sizeof(*item));
	int r = -ENOMEM;

	*found = (struct boot_disk){ .kernel_fd = -1, .initrd_fd = -1 };
	if (s == NULL || item == NULL) {
		err_sys(err, r, NULL, "%s", name);
		goto done;
	}
	s->store = store;
	s->name = name;
	s->left = most;
	s->calls = (struct boot_files){ read_text, list_directory, s };
	r = partitions_read(&s->partitions, &disk);
	if (r < 0) {
		err_sys(err, r, NULL, "%s: its partitions", name);
		goto done;
	}
	for (unsigned int i = 0; i < s->partitions.n; i++)
		s->files[i] = ext_files_open(
		    &disk, &s->partitions.list[i], BUDGET_BYTES + most);
	r = find_item(s, item, err);
	if (r == 0)
		r = copy_item(s, found, item, err);
	if (r == 0)
		r = finish(s, found, item, err);
	for (unsigned int i = 0; i < s->partitions.n; i++)
		ext_files_close(s->files[i]);
done:
	free(item);
	free(s);
	return r;
}

void
boot_disk_close(struct boot_disk *found)
{
	if (found->kernel_fd >= 0)
		close(found->kernel_fd);
	if (found->initrd_fd >= 0)
		close(found->initrd_fd);
	found->kernel_fd = found->initrd_fd = -1;
}
