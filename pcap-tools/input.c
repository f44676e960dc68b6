/*
 * One buffer, which grows to what is wanted; bytes that are left are moved to
 * its start when more must be read behind them.  zlib passes plain files
 * through as they are, so it stands in front of all; zstd's frames are
 * recognised in what it gives.
 */
#include "pcap-tools/input.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define CHUNK_BYTES ((size_t)256 * 1024)
#define ZSTD_MAGIC  "\x28\xb5\x2f\xfd"

struct input {
	gzFile gz;
	ZSTD_DStream *zstd; /* NULL: not compressed by it */
	ZSTD_inBuffer packed;
	bool unfinished; /* within a frame of zstd's */
	bool ended;
	uint8_t *data;
	size_t from, to, max; /* of data: what is left, and its size */
	uint64_t skipped;
	char *path;
	uint8_t chunk[CHUNK_BYTES]; /* what zstd reads from */
};

/* Up to n bytes of the file; 0 at its end, or -EIO. */
static int
read_file(struct input *in, void *to, size_t n, struct err *err)
{
	int got = gzread(in->gz, to, (unsigned int)n), code = Z_OK;
	const char *why;

	if (got == 0) {
		why = gzerror(in->gz, &code);
		if (code == Z_BUF_ERROR)
			return err_set(err, -EIO,
			    "%s: the compressed data end in the middle",
			    in->path);
	}
	if (got >= 0)
		return got;
	why = gzerror(in->gz, &code);
	if (code == Z_ERRNO)
		return err_sys(err, -EIO, NULL, "%s: cannot read", in->path);
	return err_set(err, -EIO, "%s: the compressed data are damaged: %s",
	    in->path, why);
}

/* The same, decompressed by zstd. */
static int
read_zstd(struct input *in, void *to, size_t n, struct err *err)
{
	ZSTD_outBuffer out = { .dst = to, .size = n };

	while (out.pos == 0) {
		size_t more;

		if (in->packed.pos == in->packed.size) {
			int got = read_file(in, in->chunk, CHUNK_BYTES, err);

			if (got < 0)
				return got;
			if (got == 0 && in->unfinished)
				return err_set(err, -EIO,
				    "%s: the compressed data end in the middle",
				    in->path);
			if (got == 0)
				return 0;
			in->packed.size = (size_t)got;
			in->packed.pos = 0;
		}
		more = ZSTD_decompressStream(in->zstd, &out, &in->packed);
		if (ZSTD_isError(more))
			return err_set(err, -EIO,
			    "%s: the compressed data are damaged: %s", in->path,
			    ZSTD_getErrorName(more));
		in->unfinished = more != 0;
	}
	return (int)out.pos;
}

static int
make_room(struct input *in, size_t n, struct err *err)
{
	size_t max = in->max;
	uint8_t *data;

	memmove(in->data, in->data + in->from, in->to - in->from);
	in->to -= in->from;
	in->from = 0;
	while (max < n)
		max *= 2;
	if (max == in->max)
		return 0;
	data = realloc(in->data, max);
	if (data == NULL)
		return err_set(err, -ENOMEM, "%s: out of memory", in->path);
	in->data = data;
	in->max = max;
	return 0;
}

static int
fill(struct input *in, size_t n, struct err *err)
{
	int got;

	if (in->max - in->from < n && make_room(in, n, err) < 0)
		return -ENOMEM;
	while (in->to - in->from < n && !in->ended) {
		got = in->zstd != NULL
		    ? read_zstd(in, in->data + in->to, in->max - in->to, err)
		    : read_file(in, in->data + in->to, in->max - in->to, err);
		if (got < 0)
			return got;
		in->ended = got == 0;
		in->to += (size_t)got;
	}
	return 0;
}

const uint8_t *
input_want(struct input *in, size_t n, size_t *got, struct err *err)
{
	assert(n <= INPUT_WANT_MAX);
	if (in->to - in->from < n && fill(in, n, err) < 0)
		return NULL;
	*got = in->to - in->from < n ? in->to - in->from : n;
	return in->data + in->from;
}

void
input_skip(struct input *in, size_t n)
{
	assert(n <= in->to - in->from);
	in->from += n;
	in->skipped += n;
}

uint64_t
input_at(const struct input *in)
{
	return in->skipped;
}

/* Puts zstd between if the first bytes are its. */
static int
recognise(struct input *in, struct err *err)
{
	if (fill(in, 4, err) < 0)
		return -EIO;
	if (in->to < 4 || memcmp(in->data, ZSTD_MAGIC, 4) != 0)
		return 0;
	in->zstd = ZSTD_createDStream();
	if (in->zstd == NULL)
		return err_set(err, -ENOMEM, "%s: out of memory", in->path);
	memcpy(in->chunk, in->data, in->to);
	in->packed = (ZSTD_inBuffer){ .src = in->chunk, .size = in->to };
	in->to = 0;
	in->ended = false;
	in->unfinished = true;
	return 0;
}

struct input *
input_of(int fd, const char *name, struct err *err)
{
	struct input *in = calloc(1, sizeof(*in));

	if (in == NULL)
		goto memory;
	in->path = strdup(name);
	in->data = malloc(CHUNK_BYTES);
	if (in->path == NULL || in->data == NULL)
		goto memory;
	in->max = CHUNK_BYTES;
	in->gz = gzdopen(fd, "rb");
	if (in->gz == NULL)
		goto memory;
	fd = -1; /* gz's now */
	if (recognise(in, err) < 0)
		goto fail;
	return in;
memory:
	err_set(err, -ENOMEM, "%s: out of memory", name);
fail:
	if (fd >= 0)
		close(fd);
	input_free(in);
	return NULL;
}

struct input *
input_open(const char *path, struct err *err)
{
	bool standard = strcmp(path, "-") == 0;
	int fd = standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
			  : open(path, O_RDONLY | O_CLOEXEC);

	if (standard)
		path = "standard input";
	if (fd < 0) {
		err_sys(err, -errno, NULL, "%s: cannot open it", path);
		return NULL;
	}
	return input_of(fd, path, err);
}

void
input_free(struct input *in)
{
	if (in == NULL)
		return;
	if (in->gz != NULL)
		gzclose(in->gz);
	ZSTD_freeDStream(in->zstd);
	free(in->data);
	free(in->path);
	free(in);
}
