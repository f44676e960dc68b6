#include "lab/output.h"

#include <stdint.h>
#include <string.h>

#define HEAD_BYTES (OUTPUT_MAX_BYTES / 2)

void
output_clear(struct output *output)
{
	output->len = output->dropped = 0;
	output->text[0] = '\0';
}

void
output_add(struct output *output, const char *bytes, size_t len)
{
	size_t tail = OUTPUT_MAX_BYTES - HEAD_BYTES, over;

	if (output->len < HEAD_BYTES) {
		size_t n = HEAD_BYTES - output->len;

		n = len < n ? len : n;
		memcpy(output->text + output->len, bytes, n);
		output->len += n;
		bytes += n;
		len -= n;
	}
	if (len > tail) {
		output->dropped += len - tail;
		bytes += len - tail;
		len = tail;
	}
	over = output->len + len > OUTPUT_MAX_BYTES
	    ? output->len + len - OUTPUT_MAX_BYTES
	    : 0;
	if (over > 0) {
		memmove(output->text + HEAD_BYTES,
		    output->text + HEAD_BYTES + over,
		    output->len - HEAD_BYTES - over);
		output->len -= over;
		output->dropped += over;
	}
	memcpy(output->text + output->len, bytes, len);
	output->len += len;
	output->text[output->len] = '\0';
}

/* The bytes of the UTF-8 character at p, or 0 if it is none that may be shown
 * (RFC 3629, section 4). */
static size_t
utf8_len(const unsigned char *p, size_t len)
{
	uint32_t c;
	size_t n;

	if (p[0] < 0x80)
		return (p[0] >= 0x20 && p[0] != 0x7f) || p[0] == '\n' ||
			p[0] == '\t'
		    ? 1
		    : 0;
	n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || n > len)
		return 0;
	c = p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if ((n == 2 && c < 0xa0) || (n == 3 && c < 0x800) ||
	    (n == 4 && (c < 0x10000 || c > 0x10ffff)) ||
	    (c >= 0xd800 && c < 0xe000))
		return 0;
	return n;
}

void
output_clean(char *bytes, size_t len)
{
	for (size_t i = 0; i < len;) {
		size_t n = utf8_len((const unsigned char *)bytes + i, len - i);

		if (n == 0) {
			/* A serial line ends lines by two characters. */
			bytes[i] = bytes[i] == '\r' ? ' ' : '?';
			n = 1;
		}
		i += n;
	}
}

size_t
output_whole(const char *bytes, size_t len)
{
	size_t back = 0;

	/* A character has at most three bytes behind its first. */
	while (back < 3 && back < len &&
	    ((unsigned char)bytes[len - 1 - back] & 0xc0) == 0x80)
		back++;
	if (back < len) {
		unsigned char c = (unsigned char)bytes[len - 1 - back];
		size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;

		if (n > back + 1)
			return len - 1 - back;
	}
	return len;
}

/* Cuts off the next line of *text.  NULL: there is none. */
static char *
next_line(char **text)
{
	char *line = *text, *end;

	if (line == NULL || *line == '\0')
		return NULL;
	end = strchr(line, '\n');
	*text = end != NULL ? end + 1 : NULL;
	if (end != NULL)
		*end = '\0';
	return line;
}

void
output_print(const struct output *output, const char *indent,
    unsigned int max_lines, bool (*wanted)(void *arg, const char *line),
    void *arg, FILE *out)
{
	char text[OUTPUT_MAX_BYTES + 1], *rest, *line;
	unsigned int lines = 0;

	/* Once to count, once to print. */
	for (int pass = 0; pass < 2; pass++) {
		memcpy(text, output->text, output->len + 1);
		output_clean(text, output->len);
		if (pass == 1 && output->dropped > 0)
			fprintf(out, "%s(%zu bytes are left out)\n", indent,
			    output->dropped);
		rest = text;
		while ((line = next_line(&rest)) != NULL) {
			if (wanted != NULL && !wanted(arg, line))
				continue;
			if (pass == 0)
				lines++;
			else if (lines-- <= max_lines)
				fprintf(out, "%s%s\n",
				    line[0] != '\0' ? indent : "", line);
		}
	}
}
