/*
 * Images as stores: each operation is one of disk/'s, which any thread may call.
 *
 * A raw disk whose guest writes an image's header into it would name any file of
 * the host as what stands behind it, at the next start.  So formats are never
 * guessed: the name decides, or the command line.
 *
 * Snapshots are taken while the guest goes on: "disk snapshot" asks us for them
 * (disk/live.h).
 */
#include "vmm/blk_image.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "disk/disk.h"
#include "disk/live.h"

#define SUFFIX ".qcow2"

struct blk_image {
	struct blk_store store; /* first */
	struct disk_set *set;
	struct disk *disk;
	struct live *live; /* NULL: nobody may ask for snapshots */
	const struct sandbox *sandbox;
};

static struct disk *
disk_of(const struct blk_store *store)
{
	return ((const struct blk_image *)store)->disk;
}

static int
image_read(struct blk_store *store, const struct iovec *piece, unsigned int n,
    uint64_t offset)
{
	return disk_readv(disk_of(store), piece, (int)n, offset, NULL);
}

static int
image_read_cached(struct blk_store *store, const struct iovec *piece,
    unsigned int n, uint64_t offset)
{
	return disk_readv_cached(disk_of(store), piece, (int)n, offset);
}

static int
image_write(struct blk_store *store, const struct iovec *piece, unsigned int n,
    uint64_t offset)
{
	return disk_writev(disk_of(store), piece, (int)n, offset, NULL);
}

static int
image_zero(struct blk_store *store, uint64_t offset, uint64_t bytes, bool keep)
{
	(void)keep; /* what is marked as zeros keeps no room */
	return disk_zero(disk_of(store), offset, bytes, NULL);
}

static int
image_discard(struct blk_store *store, uint64_t offset, uint64_t bytes)
{
	return disk_discard(disk_of(store), offset, bytes, NULL);
}

static int
image_flush(struct blk_store *store)
{
	return disk_flush(disk_of(store), NULL);
}

static void
image_close(struct blk_store *store)
{
	struct blk_image *image = (struct blk_image *)store;
	struct err err = { "" };

	live_free(image->live);
	if (disk_close(image->disk, &err) < 0)
		log_error("%s", err.text);
	disk_set_free(image->set);
	free(image);
}

static const struct blk_store_ops image_ops = {
	.read = image_read,
	.read_cached = image_read_cached,
	.write = image_write,
	.zero = image_zero,
	.discard = image_discard,
	.flush = image_flush,
	.close = image_close,
};

bool
blk_image_named(const char *path)
{
	size_t n = strlen(path), suffix = strlen(SUFFIX);

	return n > suffix && strcmp(path + n - suffix, SUFFIX) == 0;
}

static int
check(const struct disk *disk, const char *path, struct err *err)
{
	struct disk_info info;

	disk_info(disk, &info);
	if (info.cluster_bits == 0)
		return err_set(err, -EINVAL,
		    "%s: not a qcow2 image; add format=raw if it is a raw "
		    "disk, or make an image by lanyard disk create",
		    path);
	if (info.size < BLK_SECTOR_BYTES)
		return err_set(err, -EINVAL,
		    "%s: has no sector of %d bytes; make it larger", path,
		    BLK_SECTOR_BYTES);
	return 0;
}

void
blk_image_places(const struct disk *disk, struct blk_image_places *places)
{
	unsigned int n = 0;
	const char *path;

	for (unsigned int depth = 0; n < BLK_IMAGE_PLACES &&
	     (path = disk_layer_path(disk, depth)) != NULL;
	     depth++) {
		const char *slash = strrchr(path, '/');
		char *directory = places->directory[n];

		snprintf(directory, PATH_MAX, "%.*s",
		    slash != NULL ? (int)(slash - path + 1) : 1,
		    slash != NULL ? path : ".");
		places->place[n] = (struct sandbox_place){ directory, n == 0 };
		if (n == 0 || strcmp(directory, places->directory[n - 1]) != 0)
			n++;
	}
	places->n = n;
}

/* In the thread that takes snapshots. */
static void
confine(void *arg)
{
	const struct blk_image *image = arg;
	struct blk_image_places places;

	blk_image_places(image->disk, &places);
	sandbox_enter(image->sandbox, SANDBOX_FILES, places.place, places.n);
}

static struct live *
take_snapshots(struct blk_image *image, const char *path)
{
	struct err err = { "" };
	struct live *live = live_new(image->disk, confine, image, &err);

	if (live == NULL)
		log_warn("%s; no snapshots of %s while it is in use", err.text,
		    path);
	return live;
}

struct blk_store *
blk_image_open(const char *path, bool read_only, const struct sandbox *sandbox,
    struct err *err)
{
	struct blk_image *image = calloc(1, sizeof(*image));
	int code = 0;

	if (image == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", path);
		return NULL;
	}
	image->sandbox = sandbox;
	image->set = disk_set_new();
	if (image->set == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", path);
		goto fail;
	}
	image->disk =
	    disk_open(image->set, path, read_only ? 0 : DISK_WRITE, &code, err);
	if (image->disk == NULL || check(image->disk, path, err) < 0)
		goto fail;
	image->store = (struct blk_store){ .ops = &image_ops,
		.bytes = disk_size(image->disk) / BLK_SECTOR_BYTES *
		    BLK_SECTOR_BYTES,
		.read_only = read_only };
	if (!read_only)
		image->live = take_snapshots(image, path);
	return &image->store;
fail:
	disk_close(image->disk, NULL);
	if (image->set != NULL)
		disk_set_free(image->set);
	free(image);
	return NULL;
}

struct disk *
blk_image_disk(const struct blk_store *store)
{
	return store != NULL && store->ops == &image_ops ? disk_of(store)
							 : NULL;
}
