/*
 * layer.h - the image files of this process, each opened once, in their chains.
 *
 * A layer is one file, qcow2 or raw, and knows its parent, the backing file.
 * Layers that are only read are shared by all disks of a set that stand on
 * them, together with their maps (map.h).  Layers count from the base, which
 * is 0, so that a layer has the same number below each of its branches.
 *
 * Any thread; the set's lock guards what changes.
 */
#ifndef DISK_LAYER_H
#define DISK_LAYER_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "disk/qcow2.h"
#include "disk/slot.h"

#define LAYER_MAX_DEPTH    (1u << 14)
#define LAYER_MAX_L1_BYTES (UINT64_C(256) << 20) /* of all layers of a chain */

struct chunk;

struct layer {
	LIST_ENTRY(layer) entry;
	struct layer *parent; /* NULL: the base */
	unsigned int number;  /* of parents below it */
	unsigned int users;   /* disks and children */
	int fd;               /* -1: there is a slot */
	struct slot *slot;    /* NULL: the file stays open */
	bool qcow2;           /* else raw */
	bool guessed;         /* raw because it looks like nothing else */
	bool writable;
	dev_t device;
	ino_t inode;
	uint64_t size;                   /* of the disk, bytes */
	unsigned int granule_bits;       /* what its table can tell apart */
	struct qcow2 header;             /* qcow2 only */
	uint64_t *l1;                    /* in host order */
	_Atomic(struct chunk *) *chunks; /* NULL until the first one is built */
	size_t nchunks;                  /* 0 until map_prepare() */
	char *path;
};

struct disk_set {
	pthread_mutex_t lock;
	struct slots *slots;
	LIST_HEAD(, layer) layers;
};

enum {
	LAYER_WRITE = 1 << 0,   /* the top one; never shared */
	LAYER_NO_LOCK = 1 << 1, /* reads what others may be writing */
	LAYER_OUTSIDE = 1 << 2, /* backing files outside its directory, too */
	LAYER_ALONE = 1 << 3,   /* without its parents, to look at itself */
	LAYER_REPAIR = 1 << 4,  /* may be written although it is marked bad */
	LAYER_FROZEN = 1 << 5,  /* may be written although its mode says no */
};

/* Opens the file and, iteratively, its backing files.  format "raw" or "qcow2",
 * NULL: by its first bytes; a raw image that looks like qcow2 must be called
 * raw.  Returns NULL with err set, and *code -Exxx. */
struct layer *layer_open(struct disk_set *set, const char *path,
    const char *format, unsigned int flags, int *code, struct err *err);

/* Lets go of it, and of each parent that nobody else uses. */
void layer_release(struct disk_set *set, struct layer *layer);

/* One more user. */
void layer_hold(struct disk_set *set, struct layer *layer);

/* The layer's descriptor, until layer_unpin(); or -Exxx. */
static inline int
layer_pin(const struct layer *layer, struct err *err)
{
	return layer->slot == NULL ? layer->fd : slot_pin(layer->slot, err);
}

static inline void
layer_unpin(const struct layer *layer)
{
	if (layer->slot != NULL)
		slot_unpin(layer->slot);
}

/* Reads count L2 entries from the one of guest byte offset on, which must lie
 * in one L2 table, in host order; a row has two numbers where L2 entries are
 * extended.  *table gets the host offset of the table, 0: there is none, and
 * then nothing is read. */
int layer_read_l2(const struct layer *layer, uint64_t offset, uint64_t *rows,
    size_t count, uint64_t *table, struct err *err);

/* Reads the compressed cluster at guest byte offset into to, all of it. */
int layer_read_compressed(
    const struct layer *layer, uint64_t offset, uint8_t *to, struct err *err);

#endif
