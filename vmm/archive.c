/*
 * A section is the length of its name in a byte, the name, the length of its
 * contents in 32 bits, and these.
 */
#include "vmm/archive.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/le.h"

#define FIRST_BYTES 4096

void
archive_save(struct archive *a)
{
	*a = (struct archive){ .loads = false };
}

void
archive_load(struct archive *a, const void *bytes, size_t len)
{
	*a = (struct archive){
		.loads = true, .from = bytes, .end = len, .whole = len
	};
}

void
archive_free(struct archive *a)
{
	free(a->bytes);
	a->bytes = NULL;
	a->max = a->at = 0;
}

void
archive_fail(struct archive *a, const char *format, ...)
{
	char text[ERR_MAX_BYTES / 2];
	va_list args;

	if (a->failed)
		return;
	a->failed = true;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (a->section[0] != '\0')
		err_set(&a->err, -EINVAL, "%s: %s", a->section, text);
	else
		err_set(&a->err, -EINVAL, "%s", text);
}

static void
put(struct archive *a, const void *bytes, size_t len)
{
	if (a->failed)
		return;
	if (a->max - a->at < len) {
		size_t max = (a->max + len) * 2 + FIRST_BYTES;
		uint8_t *more = realloc(a->bytes, max);

		if (more == NULL) {
			archive_fail(a, "out of memory");
			return;
		}
		a->bytes = more;
		a->max = max;
	}
	memcpy(a->bytes + a->at, bytes, len);
	a->at += len;
}

static void
get(struct archive *a, void *bytes, size_t len)
{
	if (!a->failed && a->end - a->at < len)
		archive_fail(a, "is cut off");
	if (a->failed) {
		memset(bytes, 0, len);
		return;
	}
	memcpy(bytes, a->from + a->at, len);
	a->at += len;
}

void
archive_bytes(struct archive *a, void *bytes, size_t len)
{
	if (len == 0)
		return;
	if (a->loads)
		get(a, bytes, len);
	else
		put(a, bytes, len);
}

static uint64_t
number(struct archive *a, uint64_t value, unsigned int bytes)
{
	uint8_t image[8];

	put_le64(image, value);
	archive_bytes(a, image, bytes);
	return a->loads ? get_le(image, bytes) : value;
}

void
archive_u8(struct archive *a, uint8_t *value)
{
	*value = (uint8_t)number(a, *value, 1);
}

void
archive_u16(struct archive *a, uint16_t *value)
{
	*value = (uint16_t)number(a, *value, 2);
}

void
archive_u32(struct archive *a, uint32_t *value)
{
	*value = (uint32_t)number(a, *value, 4);
}

void
archive_u64(struct archive *a, uint64_t *value)
{
	*value = number(a, *value, 8);
}

void
archive_bool(struct archive *a, bool *value)
{
	*value = number(a, *value, 1) != 0;
}

void
archive_uint(
    struct archive *a, unsigned int *value, unsigned int most, const char *what)
{
	uint64_t got = number(a, *value, 4);

	if (a->loads && got > most) {
		archive_fail(
		    a, "%s of %" PRIu64 " is more than %u", what, got, most);
		got = 0;
	}
	*value = (unsigned int)got;
}

void
archive_same(struct archive *a, uint64_t value, const char *what)
{
	uint64_t got = number(a, value, 8);

	if (a->loads && got != value)
		archive_fail(a,
		    "%s was %" PRIu64 " and is %" PRIu64
		    " here; make it the same",
		    what, got, value);
}

void
archive_begin(struct archive *a, const char *name)
{
	size_t len = strlen(name);
	uint8_t n = (uint8_t)len;
	char found[ARCHIVE_NAME_BYTES] = "";
	uint32_t bytes = 0;

	assert(len < ARCHIVE_NAME_BYTES && a->section[0] == '\0');
	memcpy(found, name, len);
	archive_u8(a, &n);
	if (n >= sizeof(found))
		archive_fail(a, "this is no saved machine");
	else
		archive_bytes(a, found, n);
	archive_u32(a, &bytes);
	memcpy(a->section, name, len + 1);
	a->begins = a->at;
	if (!a->loads || a->failed)
		return;
	if (n != len || memcmp(found, name, len) != 0)
		archive_fail(a, "is not what was saved there");
	else if (bytes > a->end - a->at)
		archive_fail(a, "is cut off");
	else
		a->end = a->at + bytes;
}

void
archive_finish(struct archive *a)
{
	if (!a->failed && !a->loads)
		put_le32(
		    a->bytes + a->begins - 4, (uint32_t)(a->at - a->begins));
	if (!a->failed && a->loads && a->at != a->end)
		archive_fail(a, "has more than is known of it");
	a->end = a->whole;
	a->section[0] = '\0';
}
