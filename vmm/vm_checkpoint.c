/*
 * Going back to a checkpoint.
 *
 * All of its files are opened before the machine's process is confined, and read
 * when the machine is there.
 */
#include "vmm/vm_checkpoint.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "disk/checkpoint.h"

#define PIECE_BYTES (UINT64_C(256) << 10)
#define NAME_BYTES  300

/* ---- where ---- */

bool
vm_checkpoint_keeps(const struct vm_disk *disk)
{
	return !disk->read_only;
}

/* The directory of a path, with the slash; "" for the present one. */
static void
directory_of(const char *path, char *out, size_t len)
{
	const char *slash = strrchr(path, '/');

	snprintf(out, len, "%.*s", slash != NULL ? (int)(slash + 1 - path) : 0,
	    path);
}

static int
made_for_it(const char *directory, struct err *err)
{
	if (mkdir(directory, 0700) == 0 || errno == EEXIST)
		return 0;
	return err_sys(err, -errno, NULL, "%s: cannot be made", directory);
}

int
vm_checkpoint_directory(
    const struct vm_config *config, char *out, size_t len, struct err *err)
{
	char other[PATH_MAX];
	unsigned int n = 0;

	for (unsigned int i = 0; i < config->ndisks; i++) {
		const struct vm_disk *disk = &config->disk[i];

		if (!vm_checkpoint_keeps(disk))
			continue;
		if (!disk->image)
			return err_set(err, -EINVAL,
			    "%s: a raw disk cannot be kept; make an image of "
			    "it, or make it read-only",
			    disk->path);
		if (n++ == 0) {
			directory_of(disk->path, out, len);
			continue;
		}
		directory_of(disk->path, other, sizeof(other));
		if (strcmp(out, other) != 0)
			return err_set(err, -EINVAL,
			    "%s: not in the directory of the first disk; put "
			    "all disks into one",
			    disk->path);
	}
	if (n > 0)
		return 0;
	if (config->checkpoints == NULL)
		return err_set(err, -EINVAL,
		    "a machine without a disk has no place for its "
		    "checkpoints; give it one by --checkpoints");
	if ((size_t)snprintf(out, len, "%s/", config->checkpoints) >= len)
		return err_set(err, -ENAMETOOLONG, "%.60s...: is too long",
		    config->checkpoints);
	return made_for_it(config->checkpoints, err);
}

/* ---- a machine that is off ---- */

int
vm_checkpoint_make_off(
    const struct vm_config *config, const char *name, struct err *err)
{
	char directory[PATH_MAX];
	struct checkpoint_plan plan = {
		.directory = directory, .vm = config->name, .name = name
	};
	const char *disks[VM_DISKS_MAX];
	struct checkpoint_rest rest = { .disks = disks };
	struct checkpoint *cp = NULL;
	struct archive head;
	int r =
	    vm_checkpoint_directory(config, directory, sizeof(directory), err);

	if (r < 0)
		return r;
	archive_save(&head);
	vm_state_head(&head, config);
	if (head.failed)
		r = err_set(err, -ENOMEM, "%s", head.err.text);
	else
		cp = checkpoint_begin(&plan, &r, err);
	for (unsigned int i = 0; i < config->ndisks; i++)
		if (vm_checkpoint_keeps(&config->disk[i]))
			disks[rest.n++] = config->disk[i].path;
	rest.config = head.bytes;
	rest.config_bytes = head.at;
	if (r == 0)
		r = checkpoint_commit(cp, &rest, err);
	checkpoint_free(cp);
	archive_free(&head);
	return r;
}

/* ---- going back ---- */

struct vm_checkpoint {
	char directory[PATH_MAX], name[NAME_BYTES];
	struct checkpoint_view *view;
	struct archive a;
	bool off;
	struct disk_set *set;
	struct disk *ram;
};

static const char *
ram_path(const struct vm_checkpoint *from)
{
	const struct checkpoint_info *info = &from->view->info;

	for (size_t i = 0; i < info->n; i++)
		if (strcmp(info->parts[i].what, VM_CHECKPOINT_RAM) == 0)
			return info->parts[i].path;
	return NULL;
}

static int
read_head(
    struct vm_checkpoint *from, const struct vm_config *config, struct err *err)
{
	if (from->view->config == NULL)
		return err_set(err, -EINVAL,
		    "%s%s: has no state, and is no machine", from->directory,
		    from->name);
	archive_load(&from->a, from->view->config, from->view->config_bytes);
	vm_state_head(&from->a, config);
	if (from->a.failed)
		return err_set(
		    err, -EINVAL, "%.100s: %s", from->name, from->a.err.text);
	from->off = from->a.at == from->a.whole;
	if (from->off != (ram_path(from) == NULL))
		return err_set(err, -EINVAL, "%s%s: has %s; use another one",
		    from->directory, from->name,
		    from->off ? "memory, but no state that it had"
			      : "a state, but no memory");
	return 0;
}

static int
open_memory(struct vm_checkpoint *from, uint64_t bytes, struct err *err)
{
	const char *path = ram_path(from);
	int r = 0;

	from->set = disk_set_new();
	if (from->set == NULL)
		return err_sys(err, -ENOMEM, NULL, "%s", path);
	from->ram = disk_open(from->set, path, 0, &r, err);
	if (r == 0 && disk_size(from->ram) != bytes)
		r = err_set(err, -EINVAL,
		    "%s: has %" PRIu64 " bytes, the machine %" PRIu64, path,
		    disk_size(from->ram), bytes);
	return r;
}

struct vm_checkpoint *
vm_checkpoint_open(
    const struct vm_config *config, const char *name, struct err *err)
{
	struct vm_checkpoint *from = calloc(1, sizeof(*from));
	int r;

	if (from == NULL) {
		err_sys(err, -ENOMEM, NULL, "checkpoint %s", name);
		return NULL;
	}
	r = vm_checkpoint_directory(
	    config, from->directory, sizeof(from->directory), err);
	if (r == 0 &&
	    (size_t)snprintf(from->name, sizeof(from->name), "%s@%s",
		config->name, name) >= sizeof(from->name))
		r = err_set(err, -ENAMETOOLONG, "%.60s...: is too long", name);
	if (r == 0)
		from->view =
		    checkpoint_open(from->directory, from->name, &r, err);
	if (r == 0)
		r = read_head(from, config, err);
	if (r == 0 && !from->off)
		r = open_memory(from, config->memory_bytes, err);
	if (r == 0)
		r = checkpoint_rollback(from->directory, from->name, err);
	if (r == 0)
		return from;
	vm_checkpoint_close(from);
	return NULL;
}

bool
vm_checkpoint_is_off(const struct vm_checkpoint *from)
{
	return from->off;
}

void
vm_checkpoint_close(struct vm_checkpoint *from)
{
	if (from == NULL)
		return;
	disk_close(from->ram, NULL);
	if (from->set != NULL)
		disk_set_free(from->set);
	checkpoint_close(from->view);
	free(from);
}

static bool
is_zero(const uint8_t *bytes, size_t len)
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, len - 1) == 0;
}

/* Pages of zeros stay holes. */
static int
read_piece(struct disk *disk, const struct memory *memory, uint64_t at,
    uint64_t bytes, uint8_t *piece, struct err *err)
{
	int r = disk_read(disk, piece, bytes, at, err);

	for (uint64_t i = 0, n; r == 0 && i < bytes; i += n) {
		n = bytes - i < CHECKPOINT_PAGE ? bytes - i : CHECKPOINT_PAGE;
		if (!is_zero(piece + i, n))
			memcpy(memory->base + at + i, piece + i, n);
	}
	return r;
}

static int
read_all(struct disk *disk, const struct memory *memory, struct err *err)
{
	uint8_t *piece = malloc(PIECE_BYTES);
	uint64_t size = memory->size_bytes;
	int r =
	    piece != NULL ? 0 : err_sys(err, -ENOMEM, NULL, VM_CHECKPOINT_RAM);

	for (uint64_t at = 0, limit; r == 0 && at < size;) {
		struct disk_extent extent;

		limit = size - at < PIECE_BYTES ? size - at : PIECE_BYTES;
		r = disk_extent(disk, at, limit, &extent, err);
		if (r == 0 && extent.data)
			r = read_piece(
			    disk, memory, at, extent.len, piece, err);
		if (r == 0)
			at += extent.len;
	}
	free(piece);
	return r;
}

int
vm_checkpoint_load(
    struct vm_checkpoint *from, const struct vm_parts *parts, struct err *err)
{
	int r = read_all(from->ram, parts->board->machine.memory, err);

	if (r < 0)
		return r;
	vm_state_archive(&from->a, parts);
	if (!from->a.failed)
		return 0;
	return err_set(
	    err, -EINVAL, "%.100s: %s", from->name, from->a.err.text);
}
