/*
 * New images: header, refcount table, refcount blocks, L1 table, in this order,
 * each a whole number of clusters.  The file is written under a temporary name
 * and renamed when it is on the disk, so that there is never half an image.
 */
#include "disk/create.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/file.h"
#include "disk/qcow2.h"
#include "disk/refcount.h"

#define REFCOUNT_ORDER 4

/* How many clusters of a new image are what. */
struct plan {
	uint64_t l1, table, blocks, all;
};

static void
plan_image(const struct qcow2 *h, struct plan *plan)
{
	uint64_t cluster = qcow2_cluster_bytes(h);
	uint64_t per = cluster * 8 >> REFCOUNT_ORDER;

	plan->l1 = ((uint64_t)h->l1_entries * 8 + cluster - 1) / cluster;
	plan->table = plan->blocks = 1;
	do {
		plan->all = 1 + plan->table + plan->blocks + plan->l1;
		plan->blocks = (plan->all + per - 1) / per;
		plan->table = (plan->blocks * 8 + cluster - 1) / cluster;
	} while (plan->all != 1 + plan->table + plan->blocks + plan->l1);
}

static int
write_image(int fd, struct qcow2 *h, const struct plan *plan)
{
	uint64_t cluster = qcow2_cluster_bytes(h);
	uint64_t bytes = (1 + plan->table + plan->blocks) * cluster;
	uint8_t *image = calloc(1, bytes);
	int error;

	if (image == NULL)
		return -ENOMEM;
	h->refcount_order = REFCOUNT_ORDER;
	h->refcount_offset = cluster;
	h->refcount_clusters = (uint32_t)plan->table;
	h->l1_offset = bytes;
	qcow2_write_header(h, image, cluster);
	for (uint64_t i = 0; i < plan->blocks; i++)
		put_be64(
		    image + cluster + i * 8, (1 + plan->table + i) * cluster);
	for (uint64_t i = 0; i < plan->all; i++)
		refcount_put(
		    image + (1 + plan->table) * cluster, i, REFCOUNT_ORDER, 1);
	/* The L1 table is zeros, so a hole. */
	error = ftruncate(fd, (off_t)(plan->all * cluster)) < 0 ? -errno : 0;
	if (error == 0)
		error = file_write(fd, image, bytes, 0);
	free(image);
	return error;
}

static int
fill_header(const char *path, const struct disk_options *o, struct qcow2 *h,
    struct err *err)
{
	*h = (struct qcow2){ .version = 3,
		.cluster_bits = o->cluster_bits != 0 ? o->cluster_bits : 16,
		.size = o->size };
	if (h->cluster_bits < 12 || h->cluster_bits > QCOW2_MAX_CLUSTER_BITS)
		return err_set(err, -EINVAL,
		    "%s: clusters of 2^%u bytes; use 4 KiB to 2 MiB", path,
		    h->cluster_bits);
	if (o->size > QCOW2_MAX_BYTES ||
	    qcow2_l1_needed(h, o->size) * 8 > QCOW2_MAX_L1_BYTES)
		return err_set(err, -EFBIG,
		    "%s: %" PRIu64 " bytes are too large; at most 64 TiB, "
		    "with clusters of 4 KiB 8 TiB",
		    path, o->size);
	h->l1_entries = (uint32_t)qcow2_l1_needed(h, o->size);
	if (h->l1_entries == 0)
		h->l1_entries = 1;
	if (o->backing == NULL)
		return 0;
	if (strlen(o->backing) > QCOW2_MAX_NAME_BYTES || o->backing[0] == '\0')
		return err_set(err, -ENAMETOOLONG,
		    "%s: the backing file's name is too long; at most %d bytes",
		    path, QCOW2_MAX_NAME_BYTES);
	strcpy(h->backing, o->backing);
	snprintf(h->backing_format, sizeof(h->backing_format), "%s",
	    o->backing_format != NULL ? o->backing_format : "qcow2");
	return 0;
}

static int
write_file(
    int fd, const char *path, const struct disk_options *o, struct err *err)
{
	struct qcow2 h;
	struct plan plan;
	int error;

	if (o->raw) {
		error = ftruncate(fd, (off_t)o->size) < 0 ? -errno : 0;
	} else {
		error = fill_header(path, o, &h, err);
		if (error != 0)
			return error;
		plan_image(&h, &plan);
		error = write_image(fd, &h, &plan);
	}
	return error == 0
	    ? 0
	    : err_sys(err, error, NULL, "%s: cannot be written", path);
}

static int
check_options(const char *path, const struct disk_options *o, struct err *err)
{
	assert(!o->raw || o->backing == NULL);
	if (o->size != 0)
		return 0;
	return err_set(
	    err, -EINVAL, "%s: a disk of 0 bytes; give it a size", path);
}

int
create_unsynced(const char *path, const struct disk_options *options, int *fd,
    struct err *err)
{
	int error = check_options(path, options, err);

	*fd = -1;
	if (error != 0)
		return error;
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(err, -errno, NULL, "%s: cannot be made", path);
	*fd = open(
	    path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (*fd < 0)
		return err_sys(err, -errno, NULL, "%s: cannot be made", path);
	error = write_file(*fd, path, options, err);
	if (error == 0)
		return 0;
	close(*fd);
	*fd = -1;
	unlink(path);
	return error;
}

/* The temporary file becomes path. */
static int
put_in_place(
    const char *temporary, const char *path, bool replace, struct err *err)
{
	int error = 0;

	if (replace ? rename(temporary, path) < 0
		    : link(temporary, path) < 0 || unlink(temporary) < 0)
		return err_sys(err, -errno, NULL, "%s: cannot be made", path);
	error = file_sync_directory(path);
	return error == 0 ? 0
			  : err_sys(err, error, NULL,
				"%s: its directory cannot be synced", path);
}

int
disk_create(
    const char *path, const struct disk_options *options, struct err *err)
{
	char temporary[PATH_MAX];
	struct stat st;
	int fd, error = check_options(path, options, err);

	if (error != 0)
		return error;
	if (!options->replace && lstat(path, &st) == 0)
		return err_set(err, -EEXIST,
		    "%s: exists already; choose another name or remove it",
		    path);
	if ((size_t)snprintf(temporary, sizeof(temporary), "%s~new.%ld", path,
		(long)getpid()) >= sizeof(temporary))
		return err_set(
		    err, -ENAMETOOLONG, "%.60s...: is too long", path);
	error = create_unsynced(temporary, options, &fd, err);
	if (error != 0)
		return error;
	error = file_sync(fd);
	close(fd);
	if (error != 0)
		err_sys(err, error, NULL, "%s: cannot be written", path);
	else
		error = put_in_place(temporary, path, options->replace, err);
	if (error != 0)
		unlink(temporary);
	return error;
}
