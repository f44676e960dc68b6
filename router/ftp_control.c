/*
 * Only what comes in order is read, and each byte once: a line that was passed
 * on as it is cannot be replaced when it is sent again.  A segment that comes
 * early is therefore dropped, and sent again in its place; but after EARLY_MAX
 * of them in a row, reading goes on where the next line begins, so that nothing
 * gets stuck because of us.
 *
 *    speaker    ...\r\nPORT 10,0,0,10,15,161\r\n
 *                      |--- held back --->|
 *    receiver   ...\r\n                          until the line feed comes, with
 *                      PORT 203,0,113,1,...\r\n  which all of it is sent
 *
 * What was held back is replaced together with the first byte that was not (by
 * itself, if need be).  Whenever that byte is sent again, so is all that was
 * held back, and that byte is sent again until the receiver acknowledges it.
 *
 * The first line decides whether it is FTP at all: else a web page could have a
 * browser send a line that opens a port of its host, as part of what it posts to
 * port 21.
 */
#include "router/ftp_control.h"

#include <assert.h>
#include <string.h>

#include "base/loop.h"
#include "net/ip4.h"
#include "router/nat_pin.h"

#define LINE_MAX_BYTES 512
#define PORT_MIN       1024
#define EARLY_MAX      8

static_assert(FTP_HELD_BYTES + FTP_TEXT_BYTES <= TCP_EDIT_BYTES,
    "a line that was held back fits into an edit");

/* One call of ftp_control_read(). */
struct reading {
	struct ftp_control *c;
	struct nat *nat;
	const struct ftp_segment *segment;
	uint64_t now_ns;
	enum reason reason;
};

static const uint8_t pin_nonce[12] = "ftp alg";

static int32_t
behind(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b);
}

void
ftp_control_begin(
    struct ftp_control *c, const struct ftp_ends *ends, uint32_t seq)
{
	*c = (struct ftp_control){ .ends = *ends,
		.speaker =
		    ends->remote_port == FTP_PORT ? FTP_CLIENT : FTP_SERVER,
		.first = seq,
		.expect = seq + 1,
		.edits.acked = seq };
}

bool
ftp_control_wants(const struct ftp_control *c, uint32_t seq, size_t n)
{
	return c->held ||
	    (!c->deaf && behind(seq + (uint32_t)n, c->expect) > 0) ||
	    tcp_edits_touch(&c->edits, seq, n);
}

/* ---- a whole line ---- */

/* Pins the inside end, for the host at the other end.  False: it cannot be. */
static bool
pin(struct reading *r, uint16_t port, struct nat_pin *p)
{
	struct ftp_control *c = r->c;

	*p = (struct nat_pin){ .protocol = IP_TCP,
		.in_ip = c->ends.in_ip,
		.in_port = c->pinned,
		.by = NAT_PIN_BY_FTP,
		.until_ns = r->now_ns + FTP_PIN_S * NS_PER_S,
		.nfilters = 1,
		.filters = { { .ip = c->ends.remote_ip, .prefix = 32 } } };
	memcpy(p->nonce, pin_nonce, sizeof(p->nonce));
	if (c->pinned != 0 && c->pinned != port)
		nat_pin_delete(r->nat, p, r->now_ns);
	c->pinned = 0;
	p->in_port = port;
	p->out_ip = r->segment->out;
	p->out_port = port;
	switch (nat_pin_set(r->nat, p, r->now_ns)) {
	case NAT_PIN_MADE:
	case NAT_PIN_RENEWED: c->pinned = port; return true;
	case NAT_PIN_OTHERS: return true; /* it does as well */
	case NAT_PIN_TAKEN:
	case NAT_PIN_FOREIGN:
	case NAT_PIN_FULL:
	case NAT_PIN_HOST_FULL: return false;
	}
	return false;
}

/* Decides by the first line, of which n bytes are there. */
static void
open_by(struct ftp_control *c, const uint8_t *line, size_t n)
{
	if (!c->opened && !ftp_is_opening(line, n, c->speaker))
		c->deaf = true;
	c->opened = true;
}

/* Writes what the end that a line names becomes.  False: it names none, or none
 * that is replaced. */
static bool
translate(struct reading *r, const uint8_t *line, size_t n, struct ftp_end *end,
    struct tcp_edit *edit)
{
	struct ftp_control *c = r->c;
	struct nat_pin p;

	if (!ftp_read(line, n, c->speaker, end) ||
	    end->bytes > FTP_TEXT_BYTES || end->port < PORT_MIN ||
	    (end->form != FTP_PORT_ONLY && end->ip != c->ends.in_ip) ||
	    !pin(r, end->port, &p))
		return false;
	edit->old_bytes = (uint8_t)end->bytes;
	edit->new_bytes =
	    (uint8_t)ftp_write(end, p.out_ip, p.out_port, edit->text);
	return true;
}

/* A line that is whole in its segment, where it has number seq. */
static void
read_line(struct reading *r, uint32_t seq, const uint8_t *line, size_t n)
{
	struct ftp_control *c = r->c;
	struct tcp_edit edit;
	struct ftp_end end;

	open_by(c, line, n);
	if (c->deaf || !ftp_may_name(line, n, c->speaker))
		return;
	if (n > LINE_MAX_BYTES || !tcp_edits_have_room(&c->edits)) {
		r->reason = REASON_NAT_ALG_LEFT;
		return;
	}
	if (!translate(r, line, n, &end, &edit))
		return;
	edit.at = seq + (uint32_t)end.from;
	if (edit.new_bytes != edit.old_bytes ||
	    memcmp(edit.text, line + end.from, end.bytes) != 0)
		tcp_edits_add(&c->edits, &edit);
}

/* ---- a line in pieces ---- */

/* What was held back, n bytes, goes with the byte behind it, and with what of
 * the line is replaced beyond that; end NULL: nothing of it is. */
static void
let_go(struct ftp_control *c, size_t n, uint8_t next, const struct ftp_end *end,
    const struct tcp_edit *text)
{
	struct tcp_edit edit = { .at = c->line_at };
	size_t old = n + 1, len = 0, from = 0;

	if (end != NULL) {
		if (end->from + end->bytes > old)
			old = end->from + end->bytes;
		memcpy(edit.text, c->line, end->from);
		memcpy(edit.text + end->from, text->text, text->new_bytes);
		len = end->from + text->new_bytes;
		from = end->from + end->bytes;
	}
	for (; from < old; from++)
		edit.text[len++] = from == n ? next : c->line[from];
	edit.old_bytes = (uint8_t)old;
	edit.new_bytes = (uint8_t)len;
	tcp_edits_add(&c->edits, &edit); /* there is room since it was held */
	c->held = false;
}

/* The line ends, which was not whole before. */
static void
end_line(struct reading *r, size_t held, uint8_t next)
{
	struct ftp_control *c = r->c;
	struct tcp_edit text;
	struct ftp_end end;
	size_t n = c->line_bytes;

	open_by(c, c->line, n < sizeof(c->line) ? n : sizeof(c->line));
	c->line_bytes = 0;
	if (!c->held)
		return;
	if (translate(r, c->line, n, &end, &text))
		let_go(c, held, next, &end, &text);
	else
		let_go(c, held, next, NULL, NULL);
}

static bool
may_hold(const struct reading *r, size_t n)
{
	const struct ftp_control *c = r->c;

	return c->opened && !r->segment->whole && !r->segment->off &&
	    ftp_may_name(c->line, n, c->speaker) &&
	    (c->held || tcp_edits_have_room(&c->edits));
}

/* Adds n bytes to the line.  How many there were before. */
static size_t
keep(struct ftp_control *c, const uint8_t *data, size_t n)
{
	size_t before = c->line_bytes, room = sizeof(c->line) - before;

	if (before <= sizeof(c->line))
		memcpy(c->line + before, data, n < room ? n : room);
	else
		room = 0;
	/* One more than there is room for stands for any more. */
	c->line_bytes = (uint16_t)(n > room ? sizeof(c->line) + 1 : before + n);
	return before;
}

/* Up to the end of a line, or of the segment. */
static void
read_piece(
    struct reading *r, uint32_t seq, const uint8_t *data, size_t n, bool ends)
{
	struct ftp_control *c = r->c;
	size_t before;

	if (c->lost) {
		c->lost = !ends;
		return;
	}
	if (c->line_bytes == 0 && ends) {
		read_line(r, seq, data, n);
		return;
	}
	if (c->line_bytes == 0)
		c->line_at = seq;
	before = keep(c, data, n);
	if (c->line_bytes > sizeof(c->line) &&
	    (c->held || (before == 0 && may_hold(r, sizeof(c->line)))))
		r->reason = REASON_NAT_ALG_LEFT;
	if (c->held &&
	    (c->line_bytes > sizeof(c->line) ||
		(!ends && !may_hold(r, c->line_bytes))))
		let_go(c, before, data[0], NULL, NULL);
	if (ends)
		end_line(r, before, data[0]);
	else if (before == 0 && c->line_bytes <= sizeof(c->line))
		c->held = may_hold(r, c->line_bytes);
}

/* ---- segments ---- */

static size_t
until_held(const struct ftp_control *c, const struct ftp_segment *segment)
{
	int32_t n = behind(c->line_at, segment->seq);

	if (!c->held || n >= (int32_t)segment->n)
		return segment->n;
	return n > 0 ? (size_t)n : 0;
}

static enum reason
come_early(struct ftp_control *c, const struct ftp_segment *segment)
{
	if (c->held || c->early < EARLY_MAX) {
		c->early++;
		return DROP_NAT_ALG_ORDER;
	}
	ftp_control_skip(c, segment->seq, segment->n);
	c->lost = segment->data[segment->n - 1] != '\n';
	return REASON_NONE;
}

void
ftp_control_skip(struct ftp_control *c, uint32_t seq, size_t n)
{
	uint32_t end = seq + (uint32_t)n;

	if (n == 0 || c->held || behind(end, c->expect) <= 0)
		return;
	c->expect = end;
	c->line_bytes = 0;
	c->early = 0;
	c->lost = true;
	c->deaf = c->deaf || !c->opened;
}

static void
read_new(struct reading *r, const uint8_t *at, const uint8_t *stop)
{
	struct ftp_control *c = r->c;
	uint32_t seq = c->expect;

	c->expect += (uint32_t)(stop - at);
	c->early = 0;
	while (at < stop && !c->deaf) {
		const uint8_t *feed = memchr(at, '\n', (size_t)(stop - at));
		size_t n = (size_t)((feed != NULL ? feed + 1 : stop) - at);

		read_piece(r, seq, at, n, feed != NULL);
		at += n;
		seq += (uint32_t)n;
	}
}

enum reason
ftp_control_read(struct ftp_control *c, struct nat *nat,
    const struct ftp_segment *segment, uint64_t now_ns, size_t *pass)
{
	struct reading r = { .c = c,
		.nat = nat,
		.segment = segment,
		.now_ns = now_ns,
		.reason = REASON_NONE };
	uint32_t end = segment->seq + (uint32_t)segment->n;
	bool had = c->held;

	*pass = segment->n;
	if (c->deaf || segment->n == 0)
		return REASON_NONE;
	if (segment->off && !had) {
		c->deaf = true;
		return REASON_NONE;
	}
	if (behind(segment->seq, c->expect) > 0)
		return come_early(c, segment);
	if (behind(end, c->expect) > 0)
		read_new(&r, segment->data + (c->expect - segment->seq),
		    segment->data + segment->n);
	*pass = until_held(c, segment);
	return *pass < segment->n ? REASON_NAT_ALG_HELD : r.reason;
}

/* ---- numbers ---- */

uint32_t
ftp_control_out(const struct ftp_control *c, uint32_t seq, size_t n)
{
	uint32_t ahead = c->expect - seq;

	/* What asks whether the receiver is alive is one before the next. */
	if (c->held && n == 0 && ahead <= 1)
		return tcp_edits_out(&c->edits, c->line_at) - ahead;
	if (c->held && behind(seq, c->line_at) > 0)
		seq = c->line_at;
	return tcp_edits_out(&c->edits, seq);
}

uint32_t
ftp_control_acked(struct ftp_control *c, uint32_t ack)
{
	uint32_t back = tcp_edits_back(&c->edits, ack);

	tcp_edits_settle(&c->edits, back);
	return c->held && back == c->line_at ? c->expect : back;
}

bool
ftp_control_owes_ack(const struct ftp_control *c)
{
	return c->held && c->edits.acked == c->line_at;
}
