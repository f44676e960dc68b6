/*
 * tree.h - the images of one directory as a tree: snapshots, rollback, commit,
 * clones.
 *
 * A disk bob.qcow2 keeps its name; its snapshot "before" is bob@before.qcow2,
 * frozen, which bob.qcow2 then stands on.  What stands on what is read from the
 * images themselves, those made by other programs included; what is frozen, and
 * operations under way, from the catalogue (catalogue.h).  After a crash at any
 * moment the tree is the old one or the new one, and no frozen image's contents
 * have changed.
 *
 * Names with ~ are the tree's own, for images that are being made, or that are
 * hidden: their name went to another one, and they stay while others need them.
 *
 * One operation at a time in a directory, by a lock on it.
 */
#ifndef DISK_TREE_H
#define DISK_TREE_H

#include <limits.h>
#include <sys/types.h>
#include <stdio.h>

#include "disk/catalogue.h"
#include "disk/disk.h"

#define TREE_MAX_SYNCS 64

struct tree_node {
	char *file;                   /* its name in the directory */
	char *backing;                /* as the image says, or NULL */
	struct tree_node *parent;     /* NULL: none, or outside the directory */
	unsigned int children, named; /* by this name of the file */
	bool qcow2, frozen, hidden;
	bool changed;           /* since it was frozen, by others */
	bool another;           /* file of that name, it seems */
	const char *busy;       /* what it is being merged into, or NULL */
	const char *checkpoint; /* that it is a part of, or NULL */
	uint64_t size, file_bytes, frozen_at;
	dev_t device;
	ino_t inode;
	nlink_t links;
};

struct tree {
	char directory[PATH_MAX]; /* with a slash at the end, or "" */
	int fd;
	struct catalogue catalogue;
	int syncs[TREE_MAX_SYNCS + 1]; /* files for tree_commit() */
	size_t nsyncs;
	bool switched;           /* see tree_commit() */
	struct tree_node *nodes; /* sorted by name; after tree_scan() */
	size_t n;
	char unread[256]; /* one that may not be read; "": none */
};

/* Told as a long operation goes on; false ends it with -EINTR.  It goes on from
 * there when it is started again. */
struct tree_progress {
	bool (*step)(void *arg, const char *what, uint64_t done, uint64_t all);
	void *arg;
};

/* Opens the directory of path (an image, or the directory with a slash at the
 * end), and does what the catalogue says is left to do. */
int tree_open(struct tree *tree, const char *path, struct err *err);
void tree_close(struct tree *tree);
/* Whether somebody else waits to open it, or for what it has in use. */
bool tree_is_wanted(const struct tree *tree);
/* Others may know that it is closed soon after somebody wants it. */
void tree_show_yielding(const struct tree *tree);
/* Reads which images there are, and removes what was left behind. */
int tree_scan(struct tree *tree, struct err *err);
/* For who changes what others may stand on: 0, or -EACCES. */
int tree_knows_all(const struct tree *tree, struct err *err);
struct tree_node *tree_find(const struct tree *tree, const char *file);
/* The path of a file of the tree. */
int tree_path(const struct tree *tree, const char *file, char *path, size_t len,
    struct err *err);
/* The name of a path's file without its directory. */
const char *tree_base_name(const char *path);
/* Refuses disks that are not all in the tree's directory, or frozen. */
int tree_check_disks(const struct tree *tree, const char *const *disks,
    size_t n, struct err *err);
void tree_draw(const struct tree *tree, FILE *out);

/* Takes fd, a file that tree_commit() shall first see on the disk; with too
 * many of them it is synced at once. */
int tree_sync_first(struct tree *tree, int fd, struct err *err);
/* Writes the catalogue, after which the new tree is valid, and does what it
 * lists as left to do.  If it fails with switched set, the catalogue may be the
 * new one already; what is left is done by whoever opens the tree next. */
int tree_commit(struct tree *tree, struct err *err);
/* -EBUSY if something is being merged into file. */
int tree_is_busy(const struct tree *tree, const char *file, struct err *err);
/* Makes file, which is not in use, frozen from the next tree_commit() on. */
int tree_freeze(struct tree *tree, const char *file, const char *stays_as,
    enum catalogue_kind kind, struct err *err);

/* Whether it must not be written to. */
bool tree_is_frozen(const struct tree *tree, const char *file);
/* file, if it is frozen, is about to be written to without a change of what it
 * shows: from the next tree_commit() on, until tree_freeze(). */
void tree_unstamp(struct tree *tree, const char *file);

/* A compaction that goes on by itself in the directory of path is asked to end.
 * True: one did, so that what was in use may not be any more. */
bool tree_ask_yield(const char *path);

/* ---- operations; disks are paths of images in one directory ---- */

/* Freezes each disk as its snapshot called name, at one moment.  live: those
 * that this process has open, NULL for the others; or NULL. */
int tree_snapshot(const char *const *disks, size_t n, const char *name,
    struct disk *const *live, struct err *err);

/* Each disk goes on from its snapshot called name; what was written since is
 * lost. */
int tree_rollback(
    const char *const *disks, size_t n, const char *name, struct err *err);

enum tree_commit_way {
	TREE_COMMIT,        /* refuses when others stand on the same image */
	TREE_KEEP_SIBLINGS, /* first gives them what they would lose */
	TREE_RELABEL        /* copies nothing: names change hands */
};

/* What the disk has itself goes into the image it stands on, and the disk goes
 * on empty. */
int tree_commit_disk(const char *disk, enum tree_commit_way way,
    const struct tree_progress *progress, struct err *err);

/* Merges hidden images that only one other needs into that one, unless it is in
 * use.  yields: ends as soon as somebody else waits for the directory, and may
 * return -EINTR then.  *merged how many. */
int tree_compact(const char *directory, bool yields,
    const struct tree_progress *progress, unsigned int *merged,
    struct err *err);

/* As disk_check() with repair; a frozen image stays known as it then is. */
struct check;
int tree_repair(const char *path, struct check *check, struct err *err);

/* A new disk on top of source, which is frozen from then on. */
int tree_clone_linked(const char *source, const char *path, struct err *err);

/* A new disk that stands alone. */
int tree_clone_full(const char *source, const char *path,
    const struct tree_progress *progress, struct err *err);

/* Calls each with what differs in content between two disks; where both have
 * the same bytes of the same image nothing is read. */
int tree_diff(const char *a, const char *b,
    void (*each)(void *arg, uint64_t offset, uint64_t len), void *arg,
    const struct tree_progress *progress, struct err *err);

#endif
