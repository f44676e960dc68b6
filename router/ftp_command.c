/*
 * Both replies put what counts somewhere in a sentence: 227 as the first six
 * numbers with commas between them (RFC 1123 4.1.2.6 has clients search for
 * them), 229 in parentheses.
 */
#include "router/ftp_command.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "net/cursor.h"

#define NUMBERS 6

/* What is left of a line while it is read. */
struct scan {
	const uint8_t *at, *end;
};

static bool
is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* A decimal number of up to five digits, at most max. */
static bool
scan_number(struct scan *s, uint32_t max, uint32_t *number)
{
	const uint8_t *begin = s->at;
	uint32_t n = 0;

	while (s->at < s->end && is_digit(*s->at) && s->at - begin < 5)
		n = n * 10 + (uint32_t)(*s->at++ - '0');
	*number = n;
	return s->at > begin && n <= max &&
	    (s->at == s->end || !is_digit(*s->at));
}

static bool
scan_byte(struct scan *s, uint8_t byte)
{
	if (s->at == s->end || *s->at != byte)
		return false;
	s->at++;
	return true;
}

/* Four numbers with separators between them. */
static bool
scan_address(struct scan *s, uint8_t separator, uint32_t *ip)
{
	*ip = 0;
	for (int i = 0; i < 4; i++) {
		uint32_t n;

		if ((i > 0 && !scan_byte(s, separator)) ||
		    !scan_number(s, 255, &n))
			return false;
		*ip = *ip << 8 | n;
	}
	return true;
}

static bool
scan_numbers(struct scan *s, struct ftp_end *end)
{
	uint32_t high, low;

	if (!scan_address(s, ',', &end->ip) || !scan_byte(s, ',') ||
	    !scan_number(s, 255, &high) || !scan_byte(s, ',') ||
	    !scan_number(s, 255, &low))
		return false;
	end->form = FTP_NUMBERS;
	end->port = (uint16_t)(high << 8 | low);
	return true;
}

static bool
scan_delimited(struct scan *s, struct ftp_end *end)
{
	uint8_t d = s->at < s->end ? *s->at : 0;
	uint32_t family, port;

	if (d < 33 || d > 126 || is_digit(d) || d == '.' || !scan_byte(s, d) ||
	    !scan_number(s, 2, &family) || family != 1 || !scan_byte(s, d) ||
	    !scan_address(s, '.', &end->ip) || !scan_byte(s, d) ||
	    !scan_number(s, 65535, &port) || !scan_byte(s, d))
		return false;
	end->form = FTP_DELIMITED;
	end->delimiter = d;
	end->port = (uint16_t)port;
	return true;
}

static bool
at_line_end(struct scan s)
{
	scan_byte(&s, '\r');
	return scan_byte(&s, '\n') && s.at == s.end;
}

static void
place(struct ftp_end *end, const uint8_t *line, const uint8_t *from,
    const uint8_t *to)
{
	end->from = (size_t)(from - line);
	end->bytes = (size_t)(to - from);
}

static bool
starts_with(const uint8_t *line, size_t n, const char *word)
{
	size_t len = strlen(word);

	return n > len && strncasecmp((const char *)line, word, len) == 0;
}

static bool
read_command(const uint8_t *line, size_t n, struct ftp_end *end)
{
	struct scan s = { line + 5, line + n };
	const uint8_t *from;
	bool is_port = starts_with(line, n, "PORT ");

	if (!is_port && !starts_with(line, n, "EPRT "))
		return false;
	while (s.at < s.end && *s.at == ' ')
		s.at++;
	from = s.at;
	if (!(is_port ? scan_numbers(&s, end) : scan_delimited(&s, end)) ||
	    !at_line_end(s))
		return false;
	place(end, line, from, s.at);
	return true;
}

static bool
read_passive(const uint8_t *line, size_t n, struct ftp_end *end)
{
	for (size_t i = 4; i < n; i++) {
		struct scan s = { line + i, line + n };

		if (!is_digit(line[i]) || is_digit(line[i - 1]) ||
		    !scan_numbers(&s, end))
			continue;
		place(end, line, line + i, s.at);
		return true;
	}
	return false;
}

static bool
read_extended_passive(const uint8_t *line, size_t n, struct ftp_end *end)
{
	const uint8_t *open = memchr(line, '(', n);
	struct scan s = { open, line + n };
	uint32_t port;
	uint8_t d;

	if (open == NULL || ++s.at == s.end)
		return false;
	d = *s.at;
	if (d < 33 || d > 126 || is_digit(d) || !scan_byte(&s, d) ||
	    !scan_byte(&s, d) || !scan_byte(&s, d))
		return false;
	open = s.at;
	if (!scan_number(&s, 65535, &port))
		return false;
	place(end, line, open, s.at);
	if (!scan_byte(&s, d) || !scan_byte(&s, ')'))
		return false;
	end->form = FTP_PORT_ONLY;
	end->ip = 0;
	end->port = (uint16_t)port;
	return true;
}

bool
ftp_read(const uint8_t *line, size_t n, enum ftp_speaker speaker,
    struct ftp_end *end)
{
	if (n == 0 || line[n - 1] != '\n')
		return false;
	if (speaker == FTP_CLIENT)
		return read_command(line, n, end);
	if (starts_with(line, n, "227 "))
		return read_passive(line, n, end);
	return starts_with(line, n, "229 ") &&
	    read_extended_passive(line, n, end);
}

bool
ftp_may_name(const uint8_t *begin, size_t n, enum ftp_speaker speaker)
{
	static const char *const words[2][2] = {
		[FTP_CLIENT] = { "PORT ", "EPRT " },
		[FTP_SERVER] = { "227 ", "229 " },
	};

	for (int i = 0; i < 2; i++) {
		const char *word = words[speaker][i];
		size_t len = strlen(word) < n ? strlen(word) : n;

		if (strncasecmp((const char *)begin, word, len) == 0)
			return true;
	}
	return false;
}

size_t
ftp_write(const struct ftp_end *end, uint32_t ip, uint16_t port,
    uint8_t text[FTP_TEXT_BYTES])
{
	unsigned int a = ip >> 24, b = ip >> 16 & 255, c = ip >> 8 & 255,
		     d = ip & 255, high = port >> 8, low = port & 255;
	char *out = (char *)text;
	char sep = (char)end->delimiter;
	int n = 0;

	switch (end->form) {
	case FTP_NUMBERS:
		n = snprintf(out, FTP_TEXT_BYTES, "%u,%u,%u,%u,%u,%u", a, b, c,
		    d, high, low);
		break;
	case FTP_DELIMITED:
		n = snprintf(out, FTP_TEXT_BYTES, "%c1%c%u.%u.%u.%u%c%u%c", sep,
		    sep, a, b, c, d, sep, port, sep);
		break;
	case FTP_PORT_ONLY:
		n = snprintf(out, FTP_TEXT_BYTES, "%u", port);
		break;
	}
	return (size_t)n;
}

bool
ftp_is_opening(const uint8_t *line, size_t n, enum ftp_speaker speaker)
{
	static const char *const verbs[] = { "USER", "AUTH", "HOST", "FEAT",
		"OPTS", "CLNT", "SYST", "LANG", "NOOP", "HELP", "STAT",
		"QUIT" };

	if (speaker == FTP_SERVER)
		return starts_with(line, n, "220") ||
		    starts_with(line, n, "120");
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (starts_with(line, n, verbs[i]) &&
		    (line[4] == ' ' || line[4] == '\r' || line[4] == '\n'))
			return true;
	return false;
}
