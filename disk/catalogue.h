/*
 * catalogue.h - what a directory of images knows about them besides what is in
 * the images: which are frozen, which are hidden, and what is left to do.
 *
 * A plain text file, lanyard.disks, beside the images.  It is always replaced as
 * a whole (write, sync, rename, sync), which is the moment at which an operation
 * on the tree has happened; what it still lists as to be done is done, in its
 * order, by whoever opens it next.  The images need none of it to be read.
 *
 *     lanyard disks 1
 *     generation 7
 *     frozen bob@before.qcow2 196616 1764025633.250000000 1764025633
 *     hidden bob~5.qcow2 327680 1764025650.125000000 1764025650
 *     rebase alice.qcow2 bob~5.qcow2
 *     rename bob.qcow2~7 bob.qcow2
 *     remove bob~4.qcow2
 *     checkpoint vm@one 1764025633 config vm@one~config disk bob@one.qcow2
 *     end
 *
 * After the name of an image: size and time of its last change when it was
 * frozen, and when that was.  After that of a checkpoint: when it was made, and
 * what it consists of, each a word that says what it is and a file.  Names are one directory's, without slashes; a
 * byte that is no plain printing character stands as %XX.
 */
#ifndef DISK_CATALOGUE_H
#define DISK_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define CATALOGUE_NAME      "lanyard.disks"
#define CATALOGUE_MAX_BYTES (8u << 20)
#define CATALOGUE_MAX_LINES 65536

enum catalogue_kind {
	CATALOGUE_FROZEN, /* others may stand on it; never written */
	CATALOGUE_HIDDEN, /* frozen, and only there because others need it */
	CATALOGUE_RENAME, /* name becomes to */
	CATALOGUE_REMOVE, /* name goes */
	CATALOGUE_MERGE,  /* name is being merged into to */
	CATALOGUE_REBASE, /* name will stand on to, which is what it stands on */
	CATALOGUE_CHECKPOINT /* a VM's, of parts */
};

#define CATALOGUE_MAX_PARTS 64

struct catalogue_part {
	char *what, *file;
};

struct catalogue_line {
	enum catalogue_kind kind;
	char *name, *to;
	uint64_t size, seconds, nanoseconds, frozen_at;
	struct catalogue_part *parts; /* of a checkpoint, made at frozen_at */
	size_t nparts;
};

struct catalogue {
	uint64_t generation;
	struct catalogue_line *lines;
	size_t n, room;
};

/* Reads the text.  0 or -EINVAL with a sentence that begins with path and a
 * line number. */
int catalogue_parse(struct catalogue *c, const char *text, size_t len,
    const char *path, struct err *err);

/* The text, the caller's to free; NULL: no memory. */
char *catalogue_text(const struct catalogue *c, size_t *len);

void catalogue_free(struct catalogue *c);

/* The line of this kind about name, or NULL. */
struct catalogue_line *catalogue_find(
    const struct catalogue *c, enum catalogue_kind kind, const char *name);

/* Copies the strings; to may be NULL.  NULL: no memory. */
struct catalogue_line *catalogue_add(struct catalogue *c,
    enum catalogue_kind kind, const char *name, const char *to);

/* One part more; what is one word of a-z and 0-9.  0, or -ENOMEM, or -EFBIG:
 * there are CATALOGUE_MAX_PARTS. */
int catalogue_add_part(
    struct catalogue_line *line, const char *what, const char *file);

/* The checkpoint that file is a part of, or NULL. */
const struct catalogue_line *catalogue_checkpoint_of(
    const struct catalogue *c, const char *file);

void catalogue_remove(struct catalogue *c, struct catalogue_line *line);

/* Whether it can be a file of the directory: not empty, no slash, no "..". */
bool catalogue_is_name(const char *name);

#endif
