/*
 * Making checkpoints.
 *
 * The images of a checkpoint's memories are made under temporary names, which
 * hold the process's number, and written like any disk: a page that the image
 * reads already, from itself or from what it stands on, is left alone, and one
 * of zeros is marked as such.  So writing a page twice, or one that has not
 * changed since the last checkpoint, costs reading it.
 *
 * Committing prepares the disks' snapshots, freezes the disks, syncs the
 * memories, and then writes the catalogue with all in it at once.
 *
 * Rejected: a file of memory as it is, which is simpler, but neither finds what
 * differs nor can be looked into by others.
 */
#include "disk/checkpoint.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "disk/file.h"
#include "disk/snapshot.h"

#define PAGE_BITS   12
#define PIECE_BYTES (256u << 10) /* compared at a time */
#define CONFIG      "config"

struct memory {
	char what[17];
	char file[NAME_MAX + 1], temporary[NAME_MAX + 1];
	char path[PATH_MAX]; /* of temporary */
	struct disk *disk;
	bool made;
};

struct checkpoint {
	char directory[PATH_MAX], vm[129], name[129], full[260];
	struct disk_set *set;
	size_t n;
	struct memory memories[CHECKPOINT_MAX_MEMORIES];
	/* while it is committed */
	struct tree tree;
	const struct checkpoint_rest *rest;
	bool committed;
};

/* ---- names ---- */

static int
part_file(const struct checkpoint *cp, const char *name, const char *what,
    char *file, size_t len, struct err *err)
{
	bool image = strcmp(what, CONFIG) != 0;

	if ((size_t)snprintf(file, len, "%s@%s~%s%s", cp->vm, name, what,
		image ? ".qcow2" : "") < len &&
	    strlen(file) <= 220)
		return 0;
	return err_set(err, -ENAMETOOLONG,
	    "%.40s@%.40s: the names are too long", cp->vm, name);
}

static int
take_names(
    struct checkpoint *cp, const struct checkpoint_plan *plan, struct err *err)
{
	const char *wrong = !snapshot_is_name(plan->vm) ? plan->vm
	    : !snapshot_is_name(plan->name)             ? plan->name
							: NULL;

	if (wrong != NULL)
		return err_set(err, -EINVAL,
		    "\"%.60s\" is no name for a checkpoint or its VM; use up "
		    "to 128 characters without / ~ @",
		    wrong);
	if (strlen(plan->directory) >= sizeof(cp->directory))
		return err_set(err, -ENAMETOOLONG, "%.60s...: is too long",
		    plan->directory);
	strcpy(cp->directory, plan->directory);
	strcpy(cp->vm, plan->vm);
	strcpy(cp->name, plan->name);
	snprintf(cp->full, sizeof(cp->full), "%s@%s", cp->vm, cp->name);
	return 0;
}

/* ---- memories ---- */

/* The image of the earlier checkpoint's memory, if it has one of this size. */
static int
find_since(struct checkpoint *cp, const char *since, const struct memory *m,
    uint64_t bytes, char *file, size_t len, struct err *err)
{
	char path[PATH_MAX + NAME_MAX];
	struct disk *disk;
	uint64_t has;
	int error = part_file(cp, since, m->what, file, len, err);

	if (error != 0)
		return error;
	snprintf(path, sizeof(path), "%s%s", cp->directory, file);
	disk = disk_open(cp->set, path, 0, &error, err);
	if (disk == NULL)
		return error;
	has = disk_size(disk);
	disk_close(disk, NULL);
	if (has == bytes)
		return 0;
	return err_set(err, -EINVAL,
	    "%s: has %" PRIu64 " bytes, the VM now %" PRIu64
	    "; make a checkpoint that stands alone",
	    path, has, bytes);
}

static int
make_memory(struct checkpoint *cp, struct memory *m, const char *what,
    uint64_t bytes, const char *since, struct err *err)
{
	char backing[NAME_MAX + 1];
	struct disk_options options = {
		.size = bytes, .cluster_bits = PAGE_BITS, .replace = true
	};
	int error;

	if (strlen(what) >= sizeof(m->what) || strcmp(what, CONFIG) == 0 ||
	    strcmp(what, "disk") == 0 || bytes % CHECKPOINT_PAGE != 0 ||
	    bytes == 0)
		return err_set(
		    err, -EINVAL, "%.20s: is no memory of whole pages", what);
	strcpy(m->what, what);
	error = part_file(cp, cp->name, what, m->file, sizeof(m->file), err);
	if (error != 0)
		return error;
	snprintf(m->temporary, sizeof(m->temporary), "%.*s~new.%ld",
	    (int)sizeof(m->temporary) - 32, m->file, (long)getpid());
	if ((size_t)snprintf(m->path, sizeof(m->path), "%s%s", cp->directory,
		m->temporary) >= sizeof(m->path))
		return err_set(
		    err, -ENAMETOOLONG, "%.60s...: is too long", cp->directory);
	if (since != NULL) {
		error = find_since(
		    cp, since, m, bytes, backing, sizeof(backing), err);
		options.backing = backing;
	}
	if (error == 0)
		error = disk_create(m->path, &options, err);
	if (error != 0)
		return error;
	m->made = true;
	m->disk = disk_open(cp->set, m->path, DISK_WRITE, &error, err);
	return error;
}

struct checkpoint *
checkpoint_begin(const struct checkpoint_plan *plan, int *code, struct err *err)
{
	struct checkpoint *cp = calloc(1, sizeof(*cp));

	assert(plan->n <= CHECKPOINT_MAX_MEMORIES);
	if (cp == NULL || (cp->set = disk_set_new()) == NULL) {
		free(cp);
		*code = err_set(err, -ENOMEM, "%s: out of memory", plan->vm);
		return NULL;
	}
	*code = take_names(cp, plan, err);
	for (; cp->n < plan->n && *code == 0; cp->n++)
		*code = make_memory(cp, &cp->memories[cp->n],
		    plan->memories[cp->n].what, plan->memories[cp->n].bytes,
		    plan->since, err);
	if (*code == 0)
		return cp;
	checkpoint_free(cp);
	return NULL;
}

static bool
is_zero(const uint8_t *page)
{
	return page[0] == 0 && memcmp(page, page + 1, CHECKPOINT_PAGE - 1) == 0;
}

enum page { PAGE_SAME, PAGE_ZERO, PAGE_DATA };

static enum page
judge_page(const uint8_t *page, const uint8_t *old)
{
	if (memcmp(page, old, CHECKPOINT_PAGE) == 0)
		return PAGE_SAME;
	return is_zero(page) ? PAGE_ZERO : PAGE_DATA;
}

/* At most PIECE_BYTES. */
static int
write_piece(struct disk *disk, uint64_t offset, const uint8_t *bytes,
    size_t len, uint8_t *old, struct err *err)
{
	int error = disk_read(disk, old, len, offset, err);

	for (size_t at = 0, n; at < len && error == 0; at += n) {
		enum page page = judge_page(bytes + at, old + at);

		n = CHECKPOINT_PAGE;
		while (at + n < len &&
		    judge_page(bytes + at + n, old + at + n) == page)
			n += CHECKPOINT_PAGE;
		if (page == PAGE_ZERO)
			error = disk_zero(disk, offset + at, n, err);
		else if (page == PAGE_DATA)
			error =
			    disk_write(disk, bytes + at, n, offset + at, err);
	}
	return error;
}

int
checkpoint_write(struct checkpoint *cp, size_t memory, uint64_t offset,
    const void *bytes, size_t len, struct err *err)
{
	const uint8_t *from = bytes;
	uint8_t *old;
	int error = 0;

	assert(memory < cp->n && offset % CHECKPOINT_PAGE == 0 &&
	    len % CHECKPOINT_PAGE == 0);
	old = malloc(PIECE_BYTES);
	if (old == NULL)
		return err_set(err, -ENOMEM, "%s: out of memory", cp->full);
	while (len > 0 && error == 0) {
		size_t n = len < PIECE_BYTES ? len : PIECE_BYTES;

		error = write_piece(
		    cp->memories[memory].disk, offset, from, n, old, err);
		offset += n;
		from += n;
		len -= n;
	}
	free(old);
	return error;
}

int
checkpoint_sync(struct checkpoint *cp, struct err *err)
{
	int error = 0;

	for (size_t i = 0; i < cp->n && error == 0; i++)
		error = disk_flush(cp->memories[i].disk, err);
	return error;
}

/* ---- committing ---- */

static int
check_new(const struct checkpoint *cp, struct err *err)
{
	if (catalogue_find(
		&cp->tree.catalogue, CATALOGUE_CHECKPOINT, cp->full) == NULL)
		return 0;
	return err_set(err, -EEXIST,
	    "%s%s: is a checkpoint already; choose another name", cp->directory,
	    cp->full);
}

/* The file will be called so, and is a part of the checkpoint. */
static int
add_part(struct checkpoint *cp, const char *temporary, const char *what,
    const char *file, struct err *err)
{
	struct catalogue *c = &cp->tree.catalogue;
	struct catalogue_line *line;
	int error = 0;

	if (temporary != NULL &&
	    catalogue_add(c, CATALOGUE_RENAME, temporary, file) == NULL)
		error = -ENOMEM;
	line = catalogue_find(c, CATALOGUE_CHECKPOINT, cp->full);
	if (error == 0)
		error = catalogue_add_part(line, what, file);
	if (error == 0)
		return 0;
	return err_set(err, error,
	    error == -ENOMEM ? "%s: out of memory"
			     : "%s: a checkpoint has at most 64 parts",
	    cp->full);
}

static void
generation_name(
    const struct checkpoint *cp, const char *file, char *name, size_t len)
{
	snprintf(name, len, "%.*s~%" PRIu64, (int)len - 32, file,
	    cp->tree.catalogue.generation + 1);
}

static int
write_config(struct checkpoint *cp, struct err *err)
{
	const struct checkpoint_rest *rest = cp->rest;
	char file[NAME_MAX + 1], temporary[NAME_MAX + 1], path[PATH_MAX];
	int fd,
	    error = part_file(cp, cp->name, CONFIG, file, sizeof(file), err);

	if (error != 0)
		return error;
	generation_name(cp, file, temporary, sizeof(temporary));
	error = tree_path(&cp->tree, temporary, path, sizeof(path), err);
	if (error != 0)
		return error;
	fd = open(
	    path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	error = fd < 0 ? -errno
		       : file_write(fd, rest->config, rest->config_bytes, 0);
	if (error != 0) {
		if (fd >= 0)
			close(fd);
		return err_sys(err, error, NULL, "%s: cannot be written", path);
	}
	error = tree_sync_first(&cp->tree, fd, err);
	return error == 0 ? add_part(cp, temporary, CONFIG, file, err) : error;
}

/* After the moment: the memories are as the VM was then. */
static int
close_memories(void *arg, struct err *err)
{
	struct checkpoint *cp = arg;
	int error = 0;

	for (size_t i = 0; i < cp->n && error == 0; i++) {
		struct memory *m = &cp->memories[i];

		error = disk_close(m->disk, err);
		m->disk = NULL;
		if (error == 0)
			error = tree_freeze(&cp->tree, m->temporary, m->file,
			    CATALOGUE_FROZEN, err);
	}
	return error;
}

static void
tell_moment(void *arg)
{
	const struct checkpoint *cp = arg;

	if (cp->rest->frozen != NULL)
		cp->rest->frozen(cp->rest->arg);
}

/* What the catalogue names to be renamed has a name that is used only once. */
static int
claim_memory(struct checkpoint *cp, struct memory *m, struct err *err)
{
	char path[PATH_MAX];
	int error;

	generation_name(cp, m->file, m->temporary, sizeof(m->temporary));
	error = tree_path(&cp->tree, m->temporary, path, sizeof(path), err);
	if (error == 0 && rename(m->path, path) < 0)
		error = err_sys(
		    err, -errno, NULL, "%s: cannot be renamed", m->path);
	if (error == 0)
		strcpy(m->path, path);
	return error == 0 ? add_part(cp, m->temporary, m->what, m->file, err)
			  : error;
}

static int
add_parts(struct checkpoint *cp, const struct snapshots *disks, struct err *err)
{
	struct catalogue_line *line = catalogue_add(
	    &cp->tree.catalogue, CATALOGUE_CHECKPOINT, cp->full, NULL);
	int error;

	if (line == NULL)
		return err_set(err, -ENOMEM, "%s: out of memory", cp->full);
	line->frozen_at = (uint64_t)time(NULL);
	error = write_config(cp, err);
	for (size_t i = 0; i < cp->n && error == 0; i++)
		error = claim_memory(cp, &cp->memories[i], err);
	for (size_t i = 0; i < cp->rest->n && error == 0; i++)
		error =
		    add_part(cp, NULL, "disk", snapshots_file(disks, i), err);
	return error;
}

int
checkpoint_commit(
    struct checkpoint *cp, const struct checkpoint_rest *rest, struct err *err)
{
	struct disk_freeze_calls calls = { tell_moment, close_memories, cp };
	struct snapshots *disks = NULL;
	int error;

	assert(!cp->committed);
	cp->rest = rest;
	if (rest->config_bytes > CHECKPOINT_MAX_CONFIG)
		return err_set(err, -EFBIG, "%s: %zu bytes of configuration",
		    cp->full, rest->config_bytes);
	error = tree_open(&cp->tree, cp->directory, err);
	if (error == 0)
		error = check_new(cp, err);
	if (error == 0)
		error = snapshots_prepare(&disks, &cp->tree, rest->disks,
		    rest->n, cp->name, rest->live, err);
	if (error == 0)
		error = add_parts(cp, disks, err);
	if (error == 0)
		error = snapshots_take(disks, &calls, err);
	cp->committed = error == 0;
	snapshots_free(disks);
	tree_close(&cp->tree);
	return error;
}

void
checkpoint_free(struct checkpoint *cp)
{
	if (cp == NULL)
		return;
	for (size_t i = 0; i < CHECKPOINT_MAX_MEMORIES; i++) {
		struct memory *m = &cp->memories[i];

		disk_close(m->disk, NULL);
		if (m->made && !cp->committed)
			unlink(m->path);
	}
	disk_set_free(cp->set);
	free(cp);
}
