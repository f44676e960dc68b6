#include "disk/pieces.h"

#include <errno.h>

int
pieces_each(struct disk *disk, const char *what,
    int (*each)(const struct disk_extent *x, void *arg, struct err *err),
    void *arg, const struct tree_progress *progress, struct err *err)
{
	uint64_t size = disk_size(disk);
	struct disk_info info;
	int error = 0;

	disk_info(disk, &info);
	for (uint64_t at = 0; at < size && error == 0;) {
		struct disk_extent x;

		error = disk_extent(disk, at, size - at, &x, err);
		if (error != 0)
			break;
		if (x.present && x.data && x.len > PIECE_MAX_BYTES)
			x.len = PIECE_MAX_BYTES;
		if (x.present)
			error = each(&x, arg, err);
		at += x.len;
		if (error == 0 && progress != NULL &&
		    !progress->step(progress->arg, what, at, size))
			error = err_set(err, -EINTR,
			    "%s: interrupted; nothing is lost, run it again "
			    "to finish",
			    info.path);
	}
	return error;
}

int
piece_keep(const struct disk_extent *x, void *arg, struct err *err)
{
	struct disk *disk = arg;
	uint64_t size = disk_size(disk), len = x->len;

	if (x->offset >= size)
		return 0;
	if (len > size - x->offset)
		len = size - x->offset;
	return disk_own(disk, x->offset, len, err);
}
