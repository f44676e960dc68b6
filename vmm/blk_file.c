/*
 * Raw files and block devices.
 *
 * Through the page cache: guests of a lab read the same blocks, and what the
 * cache has is read without another thread (RWF_NOWAIT).  A flush is
 * fdatasync().
 *
 * Zeros and discards are fallocate() for both, which block devices have had
 * since Linux 4.9.  Where the file system or the device cannot, zeros are
 * written, and a discard does nothing: it is a hint.
 */
#include "vmm/blk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "disk/lock.h"

#define ZEROS_BYTES (64u << 10)

struct blk_file {
	struct blk_store store; /* first */
	int fd;
};

static int
fd_of(const struct blk_store *store)
{
	return ((const struct blk_file *)store)->fd;
}

typedef ssize_t transfer_fn(
    int fd, const struct iovec *piece, int n, off_t offset, int flags);

/* All of the pieces, whatever a call takes of them.  A file that has become
 * shorter cannot be read beyond its end. */
static int
transfer(transfer_fn *fn, const struct blk_store *store,
    const struct iovec *piece, unsigned int n, uint64_t offset, int flags)
{
	unsigned int i = 0;
	size_t skip = 0; /* of piece i */

	while (i < n) {
		struct iovec part = { (uint8_t *)piece[i].iov_base + skip,
			piece[i].iov_len - skip };
		ssize_t got = skip != 0
		    ? fn(fd_of(store), &part, 1, (off_t)offset, flags)
		    : fn(fd_of(store), piece + i, (int)(n - i), (off_t)offset,
			  flags);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EIO;
		offset += (uint64_t)got;
		skip += (size_t)got;
		while (i < n && skip >= piece[i].iov_len)
			skip -= piece[i++].iov_len;
	}
	return 0;
}

static int
file_read(struct blk_store *store, const struct iovec *piece, unsigned int n,
    uint64_t offset)
{
	return transfer(preadv2, store, piece, n, offset, 0);
}

static int
file_read_cached(struct blk_store *store, const struct iovec *piece,
    unsigned int n, uint64_t offset)
{
	int r = transfer(preadv2, store, piece, n, offset, RWF_NOWAIT);

	return r == -EOPNOTSUPP ? -EAGAIN : r;
}

static int
file_write(struct blk_store *store, const struct iovec *piece, unsigned int n,
    uint64_t offset)
{
	return transfer(pwritev2, store, piece, n, offset, 0);
}

static bool
unsupported(int r)
{
	return r == -EOPNOTSUPP || r == -ENOSYS || r == -ENODEV || r == -EINVAL;
}

static int
allocate(
    const struct blk_store *store, int mode, uint64_t offset, uint64_t bytes)
{
	int r;

	do
		r = fallocate(fd_of(store), mode, (off_t)offset, (off_t)bytes);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static int
write_zeros(struct blk_store *store, uint64_t offset, uint64_t bytes)
{
	static const uint8_t zeros[ZEROS_BYTES];
	int r = 0;

	while (r == 0 && bytes > 0) {
		uint64_t n = bytes < ZEROS_BYTES ? bytes : ZEROS_BYTES;
		struct iovec piece = { (void *)(uintptr_t)zeros, n };

		r = file_write(store, &piece, 1, offset);
		offset += n;
		bytes -= n;
	}
	return r;
}

static int
file_zero(struct blk_store *store, uint64_t offset, uint64_t bytes, bool keep)
{
	int r = -EOPNOTSUPP;

	if (!keep)
		r = allocate(store, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		    offset, bytes);
	if (unsupported(r))
		r = allocate(store, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
		    offset, bytes);
	return unsupported(r) ? write_zeros(store, offset, bytes) : r;
}

static int
file_discard(struct blk_store *store, uint64_t offset, uint64_t bytes)
{
	int r = allocate(
	    store, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, bytes);

	return unsupported(r) ? 0 : r;
}

static int
file_flush(struct blk_store *store)
{
	return fdatasync(fd_of(store)) < 0 ? -errno : 0;
}

static void
file_close(struct blk_store *store)
{
	close(fd_of(store));
	free(store);
}

static const struct blk_store_ops file_ops = {
	.read = file_read,
	.read_cached = file_read_cached,
	.write = file_write,
	.zero = file_zero,
	.discard = file_discard,
	.flush = file_flush,
	.close = file_close,
};

static int
find_size(int fd, const char *path, uint64_t *bytes, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, -errno, NULL, "%s", path);
	*bytes = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, bytes) < 0)
		return err_sys(err, -errno, NULL, "%s: its size", path);
	if (!S_ISBLK(st.st_mode) && !S_ISREG(st.st_mode))
		return err_set(err, -EINVAL,
		    "%s: not a disk; give a file or a block device", path);
	if (*bytes % BLK_SECTOR_BYTES != 0)
		log_warn("%s: its last %u bytes do not fill a sector and are "
			 "not shown to the guest",
		    path, (unsigned int)(*bytes % BLK_SECTOR_BYTES));
	*bytes -= *bytes % BLK_SECTOR_BYTES;
	if (*bytes == 0)
		return err_set(err, -EINVAL,
		    "%s: has no sector of %d bytes; make it larger, as by "
		    "truncate -s 1G",
		    path, BLK_SECTOR_BYTES);
	return 0;
}

struct blk_store *
blk_file_open(const char *path, bool read_only, struct err *err)
{
	unsigned int used = read_only ? RIGHT_READ : RIGHT_READ | RIGHT_WRITE;
	struct blk_file *file;
	uint64_t bytes;
	/* Not blocking: a FIFO would wait for its other end. */
	int fd = open(
	    path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0) {
		err_sys(err, -errno,
		    read_only ? "give the path of a disk"
			      : "give the path of a disk that can be written, "
				"or add ,ro",
		    "%s", path);
		return NULL;
	}
	file = malloc(sizeof(*file));
	if (file == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", path);
		goto fail;
	}
	if (find_size(fd, path, &bytes, err) < 0 ||
	    lock_take(fd, used, RIGHT_WRITE, path, err) < 0)
		goto fail;
	*file = (struct blk_file){ .store = { .ops = &file_ops,
				       .bytes = bytes,
				       .read_only = read_only },
		.fd = fd };
	return &file->store;
fail:
	free(file);
	close(fd);
	return NULL;
}
