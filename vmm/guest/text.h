/*
 * text.h - lines out and words in, without a C library.
 */
#ifndef GUEST_TEXT_H
#define GUEST_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * As vsnprintf() for %s %c %d %u %x and %%, with the flags - and 0, a width
 * (also *), a precision of %s, and the lengths l, ll and z.  Anything else is
 * written as it stands.  Returns the whole text's length; out always has an
 * end if size is not 0.
 */
size_t text_vformat(char *out, size_t size, const char *format, va_list args);
size_t text_format(char *out, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Copies text, cut to size with its end. */
void text_copy(char *out, size_t size, const char *text);

/* All of text as a decimal number from min to max, without sign or leading
 * zeros.  False leaves *out alone. */
bool text_number(uint32_t *out, const char *text, uint32_t min, uint32_t max);

/* All of text as seconds, "1" or "0.25" (up to six digits behind the point),
 * at most max_s; in microseconds.  False leaves *out alone. */
bool text_seconds(uint64_t *out_us, const char *text, uint32_t max_s);

#endif
