/*
 * write(2) on a pipe whose reader sleeps would block for ever, and non-blocking
 * mode belongs to the open file that standard output shares with other
 * programs.  So a pipe is asked by poll(2) first, and given no more than
 * PIPE_BUF at a time, which it then takes at once (pipe(7)).
 */
#include "pcap-tools/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#define POLL_MS 100
#define LEVEL   3 /* zstd's own choice */

static int
open_path(const char *path)
{
	int fd, flags;

	/* O_NONBLOCK: a FIFO without a reader says so instead of waiting. */
	fd = open(
	    path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0666);
	if (fd < 0)
		return -1;
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static const char *
remedy(int error)
{
	switch (error) {
	case ENXIO: return "start the program that reads the pipe first";
	case ENOENT: return "make its directory first";
	case EACCES: return "choose a name where you may write";
	case EISDIR: return "give the name of a file";
	default: return NULL;
	}
}

static bool
ends_in(const char *path, const char *suffix)
{
	size_t len = strlen(path), n = strlen(suffix);

	return len >= n && strcmp(path + len - n, suffix) == 0;
}

static int
open_zstd(struct output *output, const char *path, struct err *err)
{
	output->zstd = ZSTD_createCCtx();
	output->packed = malloc(ZSTD_CStreamOutSize());
	if (output->zstd != NULL && output->packed != NULL)
		return 0;
	(void)output_close(output);
	return err_sys(err, -ENOMEM, NULL, "%s", path);
}

int
output_open(struct output *output, const char *path, const atomic_bool *hurry,
    struct err *err)
{
	struct stat st;

	*output = (struct output){ .hurry = hurry };
	output->fd = strcmp(path, "-") == 0
	    ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)
	    : open_path(path);
	if (output->fd < 0) {
		int error = errno;

		return err_sys(
		    err, -error, remedy(error), "%s: cannot write", path);
	}
	output->file = fstat(output->fd, &st) == 0 && S_ISREG(st.st_mode);
	return ends_in(path, OUTPUT_ZSTD) ? open_zstd(output, path, err) : 0;
}

/* Waits until the reader takes something.  0, or -ETIMEDOUT. */
static int
wait_for_reader(const struct output *output)
{
	struct pollfd p = { .fd = output->fd, .events = POLLOUT };
	int waited_ms = 0;

	for (;;) {
		int n = poll(&p, 1, POLL_MS);

		if (n > 0 || (n < 0 && errno != EINTR))
			return 0; /* write(2) knows what is wrong */
		waited_ms =
		    atomic_load(output->hurry) ? waited_ms + POLL_MS : 0;
		if (waited_ms >= OUTPUT_PATIENCE_MS)
			return -ETIMEDOUT;
	}
}

/* Leaves the file with whole pieces only. */
static int
give_up(struct output *output, int error)
{
	output->error = error;
	if (output->file &&
	    ftruncate(output->fd, (off_t)output->good_bytes) == 0)
		(void)lseek(output->fd, (off_t)output->good_bytes, SEEK_SET);
	return error;
}

static int
write_all(struct output *output, const uint8_t *at, size_t left)
{
	while (left > 0) {
		size_t part = left;
		ssize_t wrote;

		if (!output->file) {
			if (wait_for_reader(output) != 0)
				return give_up(output, -ETIMEDOUT);
			if (part > PIPE_BUF)
				part = PIPE_BUF;
		}
		wrote = write(output->fd, at, part);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return give_up(output, -errno);
		at += wrote;
		left -= (size_t)wrote;
		output->wrote_bytes += (size_t)wrote;
	}
	return 0;
}

/* Compresses n bytes; how says what is to be done with what is left over. */
static int
pack(struct output *output, const void *data, size_t n, ZSTD_EndDirective how)
{
	ZSTD_inBuffer in = { .src = data, .size = n };
	size_t more;

	do {
		ZSTD_outBuffer out = { .dst = output->packed,
			.size = ZSTD_CStreamOutSize() };

		more = ZSTD_compressStream2(output->zstd, &out, &in, how);
		if (ZSTD_isError(more))
			return give_up(output, -ENOMEM);
		if (write_all(output, output->packed, out.pos) != 0)
			return output->error;
	} while (how == ZSTD_e_continue ? in.pos < in.size : more > 0);
	return 0;
}

int
output_write(struct output *output, const void *data, size_t n)
{
	if (output->error != 0)
		return output->error;
	if (output->zstd != NULL) {
		output->unflushed = true;
		return pack(output, data, n, ZSTD_e_continue);
	}
	if (write_all(output, data, n) != 0)
		return output->error;
	output->good_bytes = output->wrote_bytes;
	return 0;
}

int
output_flush(struct output *output)
{
	if (output->error != 0 || !output->unflushed)
		return output->error;
	output->unflushed = false;
	if (pack(output, NULL, 0, ZSTD_e_end) == 0)
		output->good_bytes = output->wrote_bytes;
	return output->error;
}

int
output_close(struct output *output)
{
	(void)output_flush(output);
	if (close(output->fd) < 0 && output->error == 0)
		output->error = -errno;
	ZSTD_freeCCtx(output->zstd);
	free(output->packed);
	output->zstd = NULL;
	output->packed = NULL;
	output->fd = -1;
	return output->error;
}
