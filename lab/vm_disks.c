#include "lab/vm_disks.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "disk/disk.h"
#include "disk/tree.h"
#include "vmm/blk_image.h"

/* In the directory of path. */
static char *
beside(struct arena *arena, const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	int n = slash != NULL ? (int)(slash + 1 - path) : 0;

	return arena_printf(arena, "%.*s%s", n, path, name);
}

static int
make_disk(const struct lab *lab, const struct lab_vm *vm,
    const struct lab_disk *disk, struct arena *arena, struct err *err)
{
	struct disk_options options = { .size = disk->size_bytes };
	char *path = lab_path(arena, lab, disk->file), *base = NULL;
	struct err why = { "" };
	struct stat st;
	int e;

	if (disk->base != NULL && path != NULL)
		base = beside(arena, path, disk->base);
	if (arena_failed(arena))
		return err_set(err, -ENOMEM, "out of memory");
	if (lstat(path, &st) == 0 || (base == NULL && options.size == 0))
		return 0;
	options.raw = !blk_image_named(path);
	e = base != NULL ? tree_clone_linked(base, path, &why)
			 : disk_create(path, &options, &why);
	if (e < 0)
		return err_set(err, e, "vm %s: %s", vm->item.name, why.text);
	return 0;
}

int
vm_disks_make(const struct lab *lab, struct err *err)
{
	struct arena *arena = arena_new();
	int e = 0;

	if (arena == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	for (unsigned int i = 0; i < lab->nvms; i++)
		for (unsigned int k = 0; k < lab->vms[i].ndisks && e == 0; k++)
			e = make_disk(lab, &lab->vms[i], &lab->vms[i].disks[k],
			    arena, err);
	arena_free(arena);
	return e;
}
