/*
 * The new name is written into a free part of the first cluster and synced;
 * then one write within the first sector, which reaches the disk whole or not
 * at all, makes it valid together with its length and format.
 */
#include "disk/backing.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "disk/disk.h"
#include "disk/file.h"
#include "disk/layer.h"

#define SECTOR     512
#define EXT_FORMAT UINT32_C(0xe2792aca)

/* Puts the format into its extension in the first sector. */
static int
set_format(uint8_t *sector, const struct qcow2 *h, const char *format,
    const char *path, struct err *err)
{
	size_t at = h->version >= 3 ? get_be32(sector + 100) : 72;
	size_t n = strlen(format);

	while (at + 16 <= SECTOR && get_be32(sector + at) != 0) {
		uint32_t len = get_be32(sector + at + 4);

		if (get_be32(sector + at) == EXT_FORMAT &&
		    at + 8 + len <= SECTOR && n <= ((len + 7) & ~UINT32_C(7))) {
			put_be32(sector + at + 4, (uint32_t)n);
			memcpy(sector + at + 8, format, n);
			return 0;
		}
		if (len > SECTOR)
			break;
		at += 8 + ((len + 7) & ~UINT32_C(7));
	}
	if (strcmp(format, h->backing_format) == 0 || format[0] == '\0' ||
	    (h->backing_format[0] == '\0' && strcmp(format, "qcow2") == 0))
		return 0;
	return err_set(err, -ENOTSUP,
	    "%s: there is no room for the format of a backing file; use "
	    "qemu-img rebase -u",
	    path);
}

/* Where in the first cluster a name of n bytes can stand beside the old one. */
static uint64_t
find_room(const struct qcow2 *h, size_t n)
{
	uint64_t old = h->backing_offset, old_end = old + strlen(h->backing);
	uint64_t first = (h->extensions_end + 7) & ~UINT64_C(7);
	uint64_t after =
	    ((old_end > first ? old_end : first) + 7) & ~UINT64_C(7);

	if (old != 0 && first + n <= old)
		return first;
	return after + n <= qcow2_cluster_bytes(h) ? after : 0;
}

static int
write_bytes(const struct layer *layer, const void *p, size_t n, uint64_t at)
{
	int error = file_write(layer->fd, p, n, at);

	return error == 0 ? file_sync(layer->fd) : error;
}

/* With write false only tells whether it could be done. */
static int
set_name(struct layer *layer, const char *name, const char *format, bool write,
    struct err *err)
{
	uint8_t sector[SECTOR];
	size_t n = strlen(name);
	uint64_t at = n > 0 ? find_room(&layer->header, n) : 0;
	int error = 0;

	if (n > QCOW2_MAX_NAME_BYTES || (n > 0 && at == 0))
		return err_set(err, -ENAMETOOLONG,
		    "%s: there is no room for the backing file's name %s",
		    layer->path, name);
	if (write && n > 0)
		error = write_bytes(layer, name, n, at);
	/* The name may be in the first sector, too. */
	if (error == 0)
		error = file_read(layer->fd, sector, sizeof(sector), 0);
	if (error == 0 && n > 0) {
		error = set_format(
		    sector, &layer->header, format, layer->path, err);
		if (error != 0)
			return error;
	}
	put_be64(sector + 8, at);
	put_be32(sector + 16, (uint32_t)n);
	if (error == 0 && write)
		error = write_bytes(layer, sector, sizeof(sector), 0);
	return error == 0
	    ? 0
	    : err_sys(err, error, NULL, "%s: the header cannot be written",
		  layer->path);
}

static int
open_and_set(const char *path, const char *name, const char *format, bool write,
    struct err *err)
{
	struct disk_set *set = disk_set_new();
	struct layer *layer;
	int code;

	if (set == NULL)
		return err_set(err, -ENOMEM, "%s: out of memory", path);
	layer = layer_open(set, path, "qcow2",
	    LAYER_ALONE | LAYER_WRITE | LAYER_FROZEN, &code, err);
	if (layer != NULL) {
		code = set_name(layer, name, format, write, err);
		layer_release(set, layer);
	}
	disk_set_free(set);
	return code;
}

int
backing_set(
    const char *path, const char *name, const char *format, struct err *err)
{
	return open_and_set(path, name, format, true, err);
}

int
backing_fits(
    const char *path, const char *name, const char *format, struct err *err)
{
	return open_and_set(path, name, format, false, err);
}
