#include "vmm/guest/text.h"

#include <string.h>

struct sink {
	char *out;
	size_t size, len;
};

static void
put(struct sink *sink, char c)
{
	if (sink->len + 1 < sink->size)
		sink->out[sink->len] = c;
	sink->len++;
}

static void
pad(struct sink *sink, char c, int n)
{
	while (n-- > 0)
		put(sink, c);
}

/* What stands between % and the letter. */
struct spec {
	bool left, zero;
	int width, precision;
	unsigned int longs;
};

static void
put_text(struct sink *sink, const struct spec *spec, const char *text)
{
	size_t len = 0;

	while (text[len] != '\0' &&
	    (spec->precision < 0 || len < (size_t)spec->precision))
		len++;
	if (!spec->left)
		pad(sink, ' ', spec->width - (int)len);
	for (size_t i = 0; i < len; i++)
		put(sink, text[i]);
	if (spec->left)
		pad(sink, ' ', spec->width - (int)len);
}

static void
put_number(struct sink *sink, const struct spec *spec, uint64_t value,
    bool minus, unsigned int base)
{
	char digits[20];
	int n = 0, room;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0);
	room = spec->width - n - minus;
	if (!spec->left && !spec->zero)
		pad(sink, ' ', room);
	if (minus)
		put(sink, '-');
	if (!spec->left && spec->zero)
		pad(sink, '0', room);
	while (n > 0)
		put(sink, digits[--n]);
	if (spec->left)
		pad(sink, ' ', room);
}

static const char *
read_spec(struct spec *spec, const char *f, va_list *args)
{
	*spec = (struct spec){ .precision = -1 };
	for (; *f == '-' || *f == '0'; f++) {
		spec->left |= *f == '-';
		spec->zero |= *f == '0';
	}
	if (*f == '*') {
		spec->width = va_arg(*args, int);
		f++;
	}
	for (; *f >= '0' && *f <= '9'; f++)
		spec->width = spec->width * 10 + (*f - '0');
	if (*f == '.' && f[1] == '*') {
		spec->precision = va_arg(*args, int);
		f += 2;
	} else if (*f == '.') {
		spec->precision = 0;
		for (f++; *f >= '0' && *f <= '9'; f++)
			spec->precision = spec->precision * 10 + (*f - '0');
	}
	for (; *f == 'l' || *f == 'z'; f++)
		spec->longs++;
	return f;
}

size_t
text_vformat(char *out, size_t size, const char *format, va_list given)
{
	struct sink sink = { .out = out, .size = size };
	struct spec spec;
	va_list args;
	int64_t n;

	va_copy(args, given);
	for (const char *f = format; *f != '\0'; f++) {
		if (*f != '%') {
			put(&sink, *f);
			continue;
		}
		f = read_spec(&spec, f + 1, &args);
		switch (*f) {
		case 's':
			put_text(&sink, &spec, va_arg(args, const char *));
			break;
		case 'c': put(&sink, (char)va_arg(args, int)); break;
		case 'd':
			n = spec.longs ? va_arg(args, long) : va_arg(args, int);
			put_number(&sink, &spec,
			    n < 0 ? -(uint64_t)n : (uint64_t)n, n < 0, 10);
			break;
		case 'u':
		case 'x':
			put_number(&sink, &spec,
			    spec.longs ? va_arg(args, unsigned long)
				       : va_arg(args, unsigned int),
			    false, *f == 'x' ? 16 : 10);
			break;
		case '\0': f--; break;
		default: put(&sink, *f); break;
		}
	}
	va_end(args);
	if (size > 0)
		out[sink.len < size ? sink.len : size - 1] = '\0';
	return sink.len;
}

size_t
text_format(char *out, size_t size, const char *format, ...)
{
	va_list args;
	size_t len;

	va_start(args, format);
	len = text_vformat(out, size, format, args);
	va_end(args);
	return len;
}

void
text_copy(char *out, size_t size, const char *text)
{
	size_t len = strlen(text);

	if (size == 0)
		return;
	if (len > size - 1)
		len = size - 1;
	memcpy(out, text, len);
	out[len] = '\0';
}

bool
text_number(uint32_t *out, const char *text, uint32_t min, uint32_t max)
{
	uint64_t value = 0;

	if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
		return false;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (uint64_t)(*text - '0');
		if (value > max)
			return false;
	}
	if (value < min)
		return false;
	*out = (uint32_t)value;
	return true;
}

bool
text_seconds(uint64_t *out_us, const char *text, uint32_t max_s)
{
	uint64_t whole = 0, part = 0, unit = 1000000;
	const char *p = text;

	for (; *p >= '0' && *p <= '9'; p++) {
		whole = whole * 10 + (uint64_t)(*p - '0');
		if (whole > max_s)
			return false;
	}
	if (p == text)
		return false;
	if (*p == '.') {
		for (p++; *p >= '0' && *p <= '9' && unit > 1; p++) {
			unit /= 10;
			part += unit * (uint64_t)(*p - '0');
		}
		if (unit == 1000000)
			return false;
	}
	if (*p != '\0')
		return false;
	*out_us = whole * 1000000 + part;
	return true;
}
