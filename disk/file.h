/*
 * file.h - whole reads and writes of image files, and big-endian numbers.
 *
 * Any thread.  Functions return 0 or -Exxx and say nothing: the caller knows
 * which file and why.
 */
#ifndef DISK_FILE_H
#define DISK_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Reads len bytes at offset; what lies past the end of the file is zeros, as
 * every reader of sparse images has it. */
int file_read(int fd, void *to, size_t len, uint64_t offset);

/* The same into n iovecs, at most FILE_MAX_IOV of them. */
#define FILE_MAX_IOV 64
int file_readv(int fd, const struct iovec *iov, int n, uint64_t offset);

/* As file_readv(), but only what is in the page cache: -EAGAIN if any of it is
 * not, and then *iov holds anything. */
int file_readv_cached(int fd, const struct iovec *iov, int n, uint64_t offset);

/* Whether nothing was ever written to these bytes, so that they are zeros;
 * false if the file system does not say. */
bool file_is_hole(int fd, uint64_t offset, uint64_t len);

int file_write(int fd, const void *from, size_t len, uint64_t offset);
int file_writev(int fd, const struct iovec *iov, int n, uint64_t offset);

/* All that was written reaches the disk, and what is needed to find it. */
int file_sync(int fd);

/* The same for n files at one time, and the times of their last change. */
int file_sync_all(const int *fds, size_t n);

/* A descriptor of the directory of path, or -Exxx. */
int file_open_directory(const char *path);

/* The names in the directory of path reach the disk. */
int file_sync_directory(const char *path);

/* The directory of path with its slash, or "" for the current one, is the
 * first so many bytes of it. */
size_t file_directory_bytes(const char *path);

static inline uint16_t
get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t
get_be32(const uint8_t *p)
{
	return (uint32_t)get_be16(p) << 16 | get_be16(p + 2);
}

static inline uint64_t
get_be64(const uint8_t *p)
{
	return (uint64_t)get_be32(p) << 32 | get_be32(p + 4);
}

static inline void
put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void
put_be32(uint8_t *p, uint32_t v)
{
	put_be16(p, (uint16_t)(v >> 16));
	put_be16(p + 2, (uint16_t)v);
}

static inline void
put_be64(uint8_t *p, uint64_t v)
{
	put_be32(p, (uint32_t)(v >> 32));
	put_be32(p + 4, (uint32_t)v);
}

#endif
