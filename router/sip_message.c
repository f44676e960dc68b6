/*
 * A message is read line by line.  Of a header's value only what a host and its
 * port can stand in is looked at:
 *
 *    Via: SIP/2.0/UDP host[:port];branch=...          the first value
 *    Contact: "name" <sip:user@host[:port];...>, ...  each URI
 *    INVITE sip:user@host[:port] SIP/2.0              the Request-URI
 *
 * A line that is continued on the next one (RFC 3261 7.3.1, which nobody should
 * write) is read as far as it goes.  A message that claims another length of
 * its body than the datagram has is left alone: whoever reads it may see
 * another one than we do.
 */
#include "router/sip_message.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "net/cursor.h"

struct span {
	const uint8_t *at, *end;
};

struct reader {
	struct sip_edits *edits;
	const uint8_t *data;
	const struct sip_ends *ends;
	sip_map *map; /* NULL: inwards */
	void *arg;
	bool failed;
	bool unordered; /* what is edited now comes before the last */
	/* The value of Content-Length. */
	struct span length;
};

/* ---- text ---- */

static size_t
span_bytes(struct span s)
{
	return (size_t)(s.end - s.at);
}

/* The next line, without its end.  False: there is none. */
static bool
next_line(struct span *text, struct span *line)
{
	const uint8_t *feed;

	if (text->at == text->end)
		return false;
	feed = memchr(text->at, '\n', span_bytes(*text));
	*line = (struct span){ text->at, feed != NULL ? feed : text->end };
	text->at = feed != NULL ? feed + 1 : text->end;
	if (line->end > line->at && line->end[-1] == '\r')
		line->end--;
	return true;
}

static bool
skip_word(struct span *s, const char *word)
{
	size_t n = strlen(word);

	if (span_bytes(*s) < n ||
	    strncasecmp((const char *)s->at, word, n) != 0)
		return false;
	s->at += n;
	return true;
}

static void
skip_space(struct span *s)
{
	while (s->at < s->end && (*s->at == ' ' || *s->at == '\t'))
		s->at++;
}

/* The value of a header that has this name, or its short form. */
static bool
is_header(
    struct span line, const char *name, const char *brief, struct span *value)
{
	*value = line;
	if (!skip_word(value, name)) {
		*value = line;
		if (!skip_word(value, brief))
			return false;
	}
	skip_space(value);
	if (!skip_word(value, ":"))
		return false;
	skip_space(value);
	return true;
}

static bool
is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* A number of up to five digits that no other follows. */
static bool
read_number(struct span *s, uint32_t max, uint32_t *number)
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
read_address(struct span *s, uint32_t *ip)
{
	*ip = 0;
	for (int i = 0; i < 4; i++) {
		uint32_t n;

		if ((i > 0 && !skip_word(s, ".")) || !read_number(s, 255, &n))
			return false;
		*ip = *ip << 8 | n;
	}
	return s->at == s->end || (*s->at != '.' && *s->at != '-');
}

/* ---- changes ---- */

static void
edit(struct reader *r, const uint8_t *from, const uint8_t *to, const char *text)
{
	struct sip_edit *e = &r->edits->edit[r->edits->n];
	const struct sip_edit *last = e - 1;
	size_t n = strlen(text);

	if (r->failed || r->edits->n == SIP_EDITS || n > SIP_TEXT_BYTES ||
	    (r->edits->n > 0 && !r->unordered &&
		from < r->data + last->at + last->old_bytes)) {
		r->failed = true;
		return;
	}
	e->at = (size_t)(from - r->data);
	e->old_bytes = (size_t)(to - from);
	e->new_bytes = (uint8_t)n;
	memcpy(e->text, text, n);
	r->edits->n++;
}

static void
edit_address(struct reader *r, struct span from, uint32_t ip, uint16_t port)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%u.%u.%u.%u", ip >> 24,
	    ip >> 16 & 255, ip >> 8 & 255, ip & 255);

	if (port != 0)
		snprintf(text + n, sizeof(text) - (size_t)n, ":%u", port);
	edit(r, from.at, from.end, text);
}

static void
edit_number(struct reader *r, struct span from, unsigned int number)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", number);
	edit(r, from.at, from.end, text);
}

/* A host with its port, if it is an address; then it may be changed. */
static void
read_host(struct reader *r, struct span s)
{
	const struct sip_ends *e = r->ends;
	struct span whole = { s.at, s.at };
	uint32_t ip, port = SIP_PORT;
	bool has_port;
	uint16_t to;

	if (!read_address(&s, &ip))
		return;
	whole.end = s.at;
	has_port = skip_word(&s, ":");
	if (has_port && !read_number(&s, 65535, &port))
		return;
	if (has_port)
		whole.end = s.at;
	if (r->map == NULL) {
		if (ip == e->out_ip && port == e->out_port)
			edit_address(r, whole, e->in_ip,
			    has_port || e->in_port != SIP_PORT ? e->in_port
							       : 0);
		return;
	}
	if (ip != e->in_ip || port == 0)
		return;
	to = port == e->in_port
	    ? e->out_port
	    : r->map(r->arg, SIP_SIGNALLING, (uint16_t)port);
	if (to != 0)
		edit_address(
		    r, whole, e->out_ip, has_port || to != SIP_PORT ? to : 0);
}

/* ---- headers ---- */

static void
read_via(struct reader *r, struct span value)
{
	if (!skip_word(&value, "SIP/2.0/UDP"))
		return;
	skip_space(&value);
	read_host(r, value);
}

/* The host of a URI that begins here, if one does.  Returns where to go on. */
static const uint8_t *
read_uri(struct reader *r, struct span s)
{
	const uint8_t *at = s.at;

	if (!skip_word(&s, "sip:"))
		return at + 1;
	for (at = s.at; at<s.end && * at> ' ' && *at != '>' && *at != ','; at++)
		if (*at == '@') {
			s.at = at + 1;
			break;
		}
	read_host(r, s);
	return s.at;
}

static void
read_contact(struct reader *r, struct span value)
{
	bool quoted = false;

	while (value.at < value.end && !r->failed) {
		if (*value.at == '\\' && quoted && span_bytes(value) > 1)
			value.at++;
		else if (*value.at == '"')
			quoted = !quoted;
		else if (!quoted) {
			value.at = read_uri(r, value);
			continue;
		}
		value.at++;
	}
}

/* The Request-URI; a response has none. */
static bool
read_first(struct reader *r, struct span line)
{
	struct span s = line;
	const uint8_t *space;

	if (skip_word(&s, "SIP/2.0 "))
		return true;
	if (span_bytes(line) < 8 || memcmp(line.end - 8, " SIP/2.0", 8) != 0)
		return false;
	space = memchr(line.at, ' ', span_bytes(line));
	if (r->map == NULL)
		read_uri(r, (struct span){ space + 1, line.end });
	return true;
}

/* ---- the session's description ---- */

/* The address in a line as "c=IN IP4 10.0.0.10". */
static bool
read_connection(struct span line, uint32_t *ip, struct span *where)
{
	if (!skip_word(&line, "c=IN IP4 "))
		return false;
	where->at = line.at;
	if (!read_address(&line, ip))
		return false;
	where->end = line.at;
	return true;
}

/* "o=alice 1 1 IN IP4 10.0.0.10": the last word. */
static void
read_origin(struct reader *r, struct span line)
{
	struct span s = line;
	uint32_t ip;

	for (const uint8_t *at = line.at; at < line.end; at++)
		if (*at == ' ')
			s.at = at + 1;
	line.at = s.at;
	if (read_address(&s, &ip) && s.at == s.end && ip == r->ends->in_ip)
		edit_address(r, line, r->ends->out_ip, 0);
}

/* Where the media of a section goes that begins behind an m= line. */
static uint32_t
section_address(struct span text, uint32_t session)
{
	struct span line, where;
	uint32_t ip;

	while (next_line(&text, &line) &&
	    !(span_bytes(line) > 1 && memcmp(line.at, "m=", 2) == 0))
		if (read_connection(line, &ip, &where))
			return ip;
	return session;
}

/* "m=audio 4000 RTP/AVP 0" */
static void
read_media(struct reader *r, struct span line, uint32_t ip)
{
	const uint8_t *space = memchr(line.at, ' ', span_bytes(line));
	struct span s = { space, line.end };
	uint32_t port;
	uint16_t to;

	if (space == NULL || ip != r->ends->in_ip)
		return;
	s.at++;
	line.at = s.at;
	if (!read_number(&s, 65535, &port) || port == 0)
		return;
	line.end = s.at;
	to = r->map(r->arg, SIP_MEDIA, (uint16_t)port);
	if (to != 0)
		edit_number(r, line, to);
}

/* "a=rtcp:4001 IN IP4 10.0.0.10", of media that go to ip (RFC 3605 2.1).  The
 * address may be missing. */
static void
read_rtcp(struct reader *r, struct span line, uint32_t ip)
{
	struct span number, where;
	uint32_t port;
	uint16_t to;

	skip_word(&line, "a=rtcp:");
	number = line;
	if (!read_number(&line, 65535, &port) || port == 0)
		return;
	number.end = line.at;
	where = line;
	if (skip_word(&line, " IN IP4 ")) {
		where.at = line.at;
		if (!read_address(&line, &ip))
			return;
	}
	where.end = line.at;
	if (ip != r->ends->in_ip || line.at != line.end)
		return;
	to = r->map(r->arg, SIP_MEDIA, (uint16_t)port);
	if (to == 0)
		return;
	edit_number(r, number, to);
	if (where.at != number.end)
		edit_address(r, where, r->ends->out_ip, 0);
}

static void
read_description(struct reader *r, struct span text)
{
	uint32_t session = section_address(text, 0), ip, media = session;
	struct span line, where;

	while (next_line(&text, &line) && !r->failed) {
		if (span_bytes(line) > 1 && memcmp(line.at, "o=", 2) == 0)
			read_origin(r, line);
		else if (read_connection(line, &ip, &where) &&
		    ip == r->ends->in_ip)
			edit_address(r, where, r->ends->out_ip, 0);
		else if (span_bytes(line) > 1 &&
		    memcmp(line.at, "m=", 2) == 0) {
			media = section_address(text, session);
			read_media(r, line, media);
		} else if (span_bytes(line) > 7 &&
		    memcmp(line.at, "a=rtcp:", 7) == 0)
			read_rtcp(r, line, media);
	}
}

/* ---- a message ---- */

/* Reads what comes before the body.  False: it is not SIP. */
static bool
read_headers(struct reader *r, struct span *text, bool *described)
{
	struct span line, value;
	bool had_via = false;

	*described = false;
	if (!next_line(text, &line) || !read_first(r, line))
		return false;
	while (next_line(text, &line) && span_bytes(line) > 0) {
		if (!had_via && is_header(line, "Via", "v", &value)) {
			had_via = true;
			read_via(r, value);
		} else if (is_header(line, "Contact", "m", &value))
			read_contact(r, value);
		else if (is_header(line, "Content-Length", "l", &value))
			r->length = value;
		else if (is_header(line, "Content-Type", "c", &value))
			*described = skip_word(&value, "application/sdp");
	}
	return had_via;
}

/* Is the body as long as is said? */
static bool
length_is_right(struct reader *r, size_t body_bytes)
{
	struct span s = r->length;
	uint32_t n;

	if (s.at == NULL)
		return true;
	if (!read_number(&s, 65535, &n) || n != body_bytes)
		return false;
	r->length.end = s.at;
	return true;
}

/* Puts the length where it belongs, now that it is known. */
static void
edit_length(struct reader *r, size_t body_bytes, unsigned int nheaders)
{
	struct sip_edits *e = r->edits;
	size_t bytes = body_bytes;
	struct sip_edit last;
	unsigned int i;

	if (r->length.at == NULL || nheaders == e->n)
		return;
	for (i = nheaders; i < e->n; i++)
		bytes = bytes + e->edit[i].new_bytes - e->edit[i].old_bytes;
	r->unordered = true;
	edit_number(r, r->length, (unsigned int)bytes);
	if (r->failed)
		return;
	last = e->edit[e->n - 1];
	for (i = e->n - 1; i > 0 && e->edit[i - 1].at > last.at; i--)
		e->edit[i] = e->edit[i - 1];
	e->edit[i] = last;
}

static bool
read_message(struct reader *r, const uint8_t *data, size_t n)
{
	struct span text = { data, data + n };
	bool described;
	unsigned int nheaders;
	size_t body_bytes;

	r->data = data;
	r->edits->n = 0;
	if (!read_headers(r, &text, &described))
		return false;
	body_bytes = span_bytes(text);
	nheaders = r->edits->n;
	if (!length_is_right(r, body_bytes))
		return false;
	if (described && r->map != NULL)
		read_description(r, text);
	edit_length(r, body_bytes, nheaders);
	return !r->failed;
}

bool
sip_read_out(struct sip_edits *edits, const uint8_t *data, size_t n,
    const struct sip_ends *ends, sip_map *map, void *arg)
{
	struct reader r = {
		.edits = edits, .ends = ends, .map = map, .arg = arg
	};

	return read_message(&r, data, n);
}

bool
sip_read_in(struct sip_edits *edits, const uint8_t *data, size_t n,
    const struct sip_ends *ends)
{
	struct reader r = { .edits = edits, .ends = ends };

	return read_message(&r, data, n);
}

size_t
sip_apply(const struct sip_edits *edits, const uint8_t *data, size_t n,
    uint8_t *out, size_t room)
{
	size_t from = 0, len = 0;

	for (unsigned int i = 0; i < edits->n; i++) {
		const struct sip_edit *e = &edits->edit[i];

		if (len + (e->at - from) + e->new_bytes > room)
			return 0;
		memcpy(out + len, data + from, e->at - from);
		len += e->at - from;
		memcpy(out + len, e->text, e->new_bytes);
		len += e->new_bytes;
		from = e->at + e->old_bytes;
	}
	if (len + (n - from) > room)
		return 0;
	memcpy(out + len, data + from, n - from);
	return len + (n - from);
}
