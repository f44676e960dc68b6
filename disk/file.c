#include "disk/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define MIN(a, b) ((a) < (b) ? (a) : (b))

/* A call of at most this many bytes is not cut short by Linux. */
#define CALL_MAX_BYTES (1u << 30)

int
file_read(int fd, void *to, size_t len, uint64_t offset)
{
	uint8_t *p = to;

	while (len > 0) {
		ssize_t n =
		    pread(fd, p, MIN(len, CALL_MAX_BYTES), (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0) {
			memset(p, 0, len);
			return 0;
		}
		p += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

static size_t
iov_bytes(const struct iovec *iov, int n)
{
	size_t sum = 0;

	for (int i = 0; i < n; i++)
		sum += iov[i].iov_len;
	return sum;
}

/* The rest of a transfer of which done bytes are over. */
static int
readv_rest(int fd, const struct iovec *iov, int n, uint64_t offset, size_t done)
{
	for (int i = 0; i < n; i++) {
		size_t skip = MIN(done, iov[i].iov_len);
		int error;

		done -= skip;
		error = file_read(fd, (uint8_t *)iov[i].iov_base + skip,
		    iov[i].iov_len - skip, offset + skip);
		if (error != 0)
			return error;
		offset += iov[i].iov_len;
	}
	return 0;
}

int
file_readv(int fd, const struct iovec *iov, int n, uint64_t offset)
{
	ssize_t got;

	assert(n <= FILE_MAX_IOV);
	do {
		got = preadv(fd, iov, n, (off_t)offset);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	if ((size_t)got == iov_bytes(iov, n))
		return 0;
	return readv_rest(fd, iov, n, offset, (size_t)got);
}

int
file_readv_cached(int fd, const struct iovec *iov, int n, uint64_t offset)
{
	ssize_t got = preadv2(fd, iov, n, (off_t)offset, RWF_NOWAIT);

	return got >= 0 && (size_t)got == iov_bytes(iov, n) ? 0 : -EAGAIN;
}

bool
file_is_hole(int fd, uint64_t offset, uint64_t len)
{
	off_t data = lseek(fd, (off_t)offset, SEEK_DATA);

	return data < 0 ? errno == ENXIO : (uint64_t)data >= offset + len;
}

int
file_write(int fd, const void *from, size_t len, uint64_t offset)
{
	const uint8_t *p = from;

	while (len > 0) {
		ssize_t n =
		    pwrite(fd, p, MIN(len, CALL_MAX_BYTES), (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

int
file_writev(int fd, const struct iovec *iov, int n, uint64_t offset)
{
	size_t done;
	ssize_t got;

	assert(n <= FILE_MAX_IOV);
	do {
		got = pwritev(fd, iov, n, (off_t)offset);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	done = (size_t)got;
	for (int i = 0; i < n; i++) {
		size_t skip = MIN(done, iov[i].iov_len);
		int error;

		done -= skip;
		error = file_write(fd, (uint8_t *)iov[i].iov_base + skip,
		    iov[i].iov_len - skip, offset + skip);
		if (error != 0)
			return error;
		offset += iov[i].iov_len;
	}
	return 0;
}

int
file_sync(int fd)
{
	return fdatasync(fd) < 0 ? -errno : 0;
}

#define SYNCS 8 /* at a time */

struct sync {
	pthread_t thread;
	int fd, error;
	bool started;
};

static void *
run_sync(void *arg)
{
	struct sync *s = arg;

	s->error = fsync(s->fd) < 0 ? -errno : 0;
	return NULL;
}

/* A journal writes once for all that ask for it at one time. */
int
file_sync_all(const int *fds, size_t n)
{
	int error = 0;

	for (size_t i = 0; i < n; i += SYNCS) {
		struct sync syncs[SYNCS] = { 0 };
		size_t now = MIN(n - i, SYNCS);

		for (size_t k = 0; k < now; k++) {
			struct sync *s = &syncs[k];

			s->fd = fds[i + k];
			s->started = k + 1 < now &&
			    pthread_create(&s->thread, NULL, run_sync, s) == 0;
			if (!s->started)
				run_sync(s);
		}
		for (size_t k = 0; k < now; k++) {
			if (syncs[k].started)
				pthread_join(syncs[k].thread, NULL);
			if (error == 0)
				error = syncs[k].error;
		}
	}
	return error;
}

size_t
file_directory_bytes(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? (size_t)(slash - path) + 1 : 0;
}

int
file_open_directory(const char *path)
{
	char directory[PATH_MAX];
	size_t n = file_directory_bytes(path);
	int fd;

	if (n >= sizeof(directory))
		return -ENAMETOOLONG;
	memcpy(directory, n > 0 ? path : ".", n > 0 ? n : 1);
	directory[n > 0 ? n : 1] = '\0';
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? fd : -errno;
}

int
file_sync_directory(const char *path)
{
	int fd = file_open_directory(path), error = 0;

	if (fd < 0)
		return fd;
	if (fsync(fd) < 0)
		error = -errno;
	close(fd);
	return error;
}
