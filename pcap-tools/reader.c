/*
 * What the formats share: the file, the interfaces, the sentences.
 */
#include "pcap-tools/reader.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pcap-tools/reader_parts.h"

#define START_BYTES 12 /* tell the formats apart */
#define SKIP_BYTES  (64u * 1024)

static const struct reader_format *const formats[] = { &reader_pcapng,
	&reader_pcap };

int
reader_broken(struct reader *reader, struct err *err, const char *format, ...)
{
	char what[ERR_MAX_BYTES];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	return err_set(err, -EINVAL, "%s: byte %llu: %s; %llu whole frame%s",
	    reader->path, (unsigned long long)input_at(reader->input), what,
	    (unsigned long long)reader->frames,
	    reader->frames == 1 ? " is before it" : "s are before it");
}

int
reader_want(struct reader *reader, size_t n, const uint8_t **data,
    const char *what, struct err *err)
{
	size_t got;

	*data = input_want(reader->input, n, &got, err);
	if (*data == NULL)
		return -EIO;
	if (got == n)
		return 0;
	reader_broken(reader, err, "the file ends in the middle of %s", what);
	return -ENODATA;
}

int
reader_skip(
    struct reader *reader, uint64_t n, const char *what, struct err *err)
{
	while (n > 0) {
		size_t piece = n < SKIP_BYTES ? (size_t)n : SKIP_BYTES;
		const uint8_t *data;
		int e = reader_want(reader, piece, &data, what, err);

		if (e < 0)
			return e;
		input_skip(reader->input, piece);
		n -= piece;
	}
	return 0;
}

struct reader_source *
reader_add(struct reader *reader, struct err *err)
{
	struct reader_source *source;

	if (reader->nsources == READER_INTERFACES_MAX) {
		reader_broken(reader, err, "more than %u interfaces",
		    READER_INTERFACES_MAX);
		return NULL;
	}
	if (reader->nsources == reader->max_sources) {
		uint32_t max =
		    reader->max_sources != 0 ? reader->max_sources * 2 : 8;
		void *grown =
		    realloc(reader->sources, max * sizeof(*reader->sources));

		if (grown == NULL) {
			err_set(
			    err, -ENOMEM, "%s: out of memory", reader->path);
			return NULL;
		}
		reader->sources = grown;
		reader->max_sources = max;
	}
	source = &reader->sources[reader->nsources++];
	*source = (struct reader_source){
		.interface = { .section = reader->section,
		    .name = "",
		    .description = "",
		    .filter = "" },
		.units_per_s = 1000000,
	};
	return source;
}

uint64_t
reader_stamp(const struct reader_source *source, uint64_t units)
{
	__int128 ns = (__int128)units * NS_PER_S / source->units_per_s +
	    (__int128)source->offset_s * NS_PER_S;

	if (ns < 0)
		return 0;
	return ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

struct reader *
reader_open(const char *path, struct err *err)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	const uint8_t *start;
	size_t n;

	if (reader == NULL ||
	    (reader->path = strdup(
		 strcmp(path, "-") == 0 ? "standard input" : path)) == NULL) {
		err_set(err, -ENOMEM, "%s: out of memory", path);
		goto fail;
	}
	reader->input = input_open(path, err);
	if (reader->input == NULL)
		goto fail;
	start = input_want(reader->input, START_BYTES, &n, err);
	if (start == NULL)
		goto fail;
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (formats[i]->is(start, n))
			reader->format = formats[i];
	if (reader->format == NULL) {
		err_set(err, -EINVAL,
		    n == 0 ? "%s: the file is empty"
			   : "%s: not a capture: neither pcapng nor pcap",
		    reader->path);
		goto fail;
	}
	if (reader->format->begin(reader, err) < 0)
		goto fail;
	return reader;
fail:
	reader_free(reader);
	return NULL;
}

void
reader_free(struct reader *reader)
{
	if (reader == NULL)
		return;
	for (uint32_t i = 0; i < reader->nsources; i++) {
		free(reader->sources[i].name);
		free(reader->sources[i].description);
		free(reader->sources[i].filter);
	}
	free(reader->sources);
	input_free(reader->input);
	free(reader->path);
	free(reader);
}

int
reader_next(struct reader *reader, struct reader_frame *frame, struct err *err)
{
	int e = reader->format->next(reader, frame, err);

	if (e == 1)
		frame->number = ++reader->frames;
	return e;
}

uint32_t
reader_interfaces(const struct reader *reader)
{
	return reader->nsources;
}

const struct reader_interface *
reader_interface(const struct reader *reader, uint32_t interface)
{
	assert(interface < reader->nsources);
	return &reader->sources[interface].interface;
}
