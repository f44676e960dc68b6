/*
 * checkpoint.h - a VM at one moment: its disks, its memory and all else, which
 * this calls its configuration and does not look into.
 *
 * A checkpoint is one record of the catalogue in the directory of the VM's disks
 * (tree.h): it is there with all of its parts, or not at all.  Its disks are
 * snapshots as others are; each of its memories, RAM or ROM, is an image with
 * clusters of a page, in which pages of zeros take no room, and which stands on
 * that of an earlier checkpoint if told so and then has what differs.
 *
 * Memory can be written while the VM runs, and again where it changes, so that
 * the VM need only stop for the last of it:
 *
 *     checkpoint_begin
 *     checkpoint_write ...    the VM runs, and notes what it changes
 *     checkpoint_sync
 *                             the VM stops
 *     checkpoint_write ...    what it has changed
 *     checkpoint_commit       which says when it may go on
 *     checkpoint_free
 */
#ifndef DISK_CHECKPOINT_H
#define DISK_CHECKPOINT_H

#include "disk/disk.h"

#define CHECKPOINT_PAGE         4096
#define CHECKPOINT_MAX_MEMORIES 8
#define CHECKPOINT_MAX_CONFIG   (64u << 20)

/* ---- making one ---- */

struct checkpoint_plan {
	const char *directory; /* with a slash at its end, or "" */
	const char *vm, *name; /* vm@name is the checkpoint's */
	const char *since;     /* the same VM's earlier one; NULL: none */
	size_t n;
	struct {
		const char *what; /* "ram": a word of a-z and 0-9 */
		uint64_t bytes;   /* whole pages */
	} memories[CHECKPOINT_MAX_MEMORIES];
};

struct checkpoint;

/* NULL with *code and err set.  What it makes has names that nobody uses. */
struct checkpoint *checkpoint_begin(
    const struct checkpoint_plan *plan, int *code, struct err *err);

/* Whole pages of a memory, by its number in the plan.  Those never written are
 * since's, or zeros.  Any thread, each for pages of its own. */
int checkpoint_write(struct checkpoint *cp, size_t memory, uint64_t offset,
    const void *bytes, size_t len, struct err *err);

/* What has been written so far is on the disk: less for checkpoint_commit(). */
int checkpoint_sync(struct checkpoint *cp, struct err *err);

struct checkpoint_rest {
	const void *config;
	size_t config_bytes;
	const char *const *disks; /* paths, in the plan's directory */
	struct disk *const *live; /* as the VM has them open, or NULL */
	size_t n;                 /* of disks */
	/* The disks are frozen: the VM may go on.  May be NULL. */
	void (*frozen)(void *arg);
	void *arg;
};

/* Freezes the disks and makes the record.  Once only. */
int checkpoint_commit(
    struct checkpoint *cp, const struct checkpoint_rest *rest, struct err *err);

/* What was not committed is removed.  NULL is fine. */
void checkpoint_free(struct checkpoint *cp);

/* ---- what there is ---- */

struct checkpoint_info {
	const char *name; /* vm@name */
	uint64_t made_at; /* s since 1970 */
	size_t n;
	struct {
		const char *what; /* "config", "disk", or a memory's word */
		const char *path;
	} parts[64];
};

/* Calls each for every checkpoint of the directory, oldest first. */
int checkpoint_list(const char *directory,
    void (*each)(void *arg, const struct checkpoint_info *info), void *arg,
    struct err *err);

/* One of them, to be read: its configuration, and of the other parts the paths,
 * to be given to disk_open().  Parts that were changed since are refused.
 * NULL with *code and err set. */
struct checkpoint_view {
	struct checkpoint_info info;
	void *config;
	size_t config_bytes;
};

struct checkpoint_view *checkpoint_open(
    const char *directory, const char *name, int *code, struct err *err);
void checkpoint_close(struct checkpoint_view *view); /* NULL is fine */

/* The disks go on from the checkpoint, all or none of them; what was written
 * since is lost.  Nobody may be using them. */
int checkpoint_rollback(
    const char *directory, const char *name, struct err *err);

/* Forgets it.  What its images have goes to those that stand on them, if they
 * are not in use; else with the next compaction (tree.h). */
int checkpoint_delete(const char *directory, const char *name, struct err *err);

#endif
