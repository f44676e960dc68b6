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

#define START_BYTES   12 /* tell the formats apart */
#define SKIP_BYTES    (64u * 1024)
#define EDITCAP_BYTES 4096 /* more than what it writes before frames */

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
		    .filter = "",
		    .facts = "" },
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

static const struct reader_format *
format_of(const uint8_t *start, size_t n)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (formats[i]->is(start, n))
			return formats[i];
	return NULL;
}

/* Looks at the first bytes.  0, with or without a format; or -Exxx. */
static int
recognise(struct reader *reader, size_t *n, struct err *err)
{
	const uint8_t *start = input_want(reader->input, START_BYTES, n, err);

	if (start == NULL)
		return -EIO;
	reader->format = format_of(start, *n);
	return 0;
}

static int
start_editcap(struct reader *reader, bool ethernet, struct err *err)
{
	int fd = foreign_start(&reader->editcap, reader->path, ethernet, err);

	input_free(reader->input);
	reader->input = fd >= 0 ? input_of(fd, reader->path, err) : NULL;
	return reader->input != NULL ? 0 : -EIO;
}

/* Has editcap read the file again.  When it ends at once, and not well, it may
 * be for want of a type of frames. */
static int
go_by_editcap(struct reader *reader, struct err *err)
{
	char said[FOREIGN_SAID_BYTES] = "";
	size_t n;
	int e = start_editcap(reader, false, err);

	if (e == 0 && input_want(reader->input, EDITCAP_BYTES, &n, err) == NULL)
		e = -EIO;
	if (e == 0 && n < EDITCAP_BYTES &&
	    foreign_end(&reader->editcap, said) < 0)
		e = start_editcap(reader, true, err);
	if (e == 0)
		e = recognise(reader, &n, err);
	if (e == 0 && reader->format == NULL)
		e = err_set(err, -EINVAL,
		    "%s: not a capture: neither pcapng nor pcap, and editcap "
		    "says: %s",
		    reader->path, said);
	return e;
}

static struct reader *
open_reader(const char *path, bool any, struct err *err)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	bool standard = strcmp(path, "-") == 0;
	size_t n;

	if (reader == NULL ||
	    (reader->path = strdup(standard ? "standard input" : path)) ==
		NULL) {
		err_set(err, -ENOMEM, "%s: out of memory", path);
		goto fail;
	}
	reader->input = input_open(path, err);
	if (reader->input == NULL || recognise(reader, &n, err) < 0)
		goto fail;
	if (reader->format == NULL && any && n > 0 && !standard &&
	    go_by_editcap(reader, err) < 0)
		goto fail;
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

struct reader *
reader_open(const char *path, struct err *err)
{
	return open_reader(path, false, err);
}

struct reader *
reader_open_any(const char *path, struct err *err)
{
	return open_reader(path, true, err);
}

void
reader_free(struct reader *reader)
{
	char said[FOREIGN_SAID_BYTES];

	if (reader == NULL)
		return;
	for (uint32_t i = 0; i < reader->nsources; i++) {
		free(reader->sources[i].name);
		free(reader->sources[i].description);
		free(reader->sources[i].filter);
		free(reader->sources[i].facts);
	}
	free(reader->sources);
	input_free(reader->input);
	(void)foreign_end(&reader->editcap, said);
	free(reader->path);
	free(reader);
}

int
reader_next(struct reader *reader, struct reader_frame *frame, struct err *err)
{
	int e = reader->format->next(reader, frame, err);
	char said[FOREIGN_SAID_BYTES];

	if (e == 1)
		frame->number = ++reader->frames;
	if (e == 0 && foreign_end(&reader->editcap, said) < 0)
		return err_set(err, -EINVAL,
		    "%s: editcap says after %llu frames: %s", reader->path,
		    (unsigned long long)reader->frames, said);
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
