/*
 * DNS questions, and the addresses and names that answer them.
 *
 * A name is labels, and may end in a pointer to the rest of it.  A pointer may
 * only lead to before the piece of name that it ends: so each step goes back,
 * no chain of pointers can loop, and its length is bounded by the message's.
 *
 * Names become text, lower case, so that they compare by strcmp().  A label
 * whose bytes would say something else as text (a dot, a space, a byte that
 * does not print) refuses the message.
 *
 * An answer counts if it belongs to the name asked for, or to the alias that
 * an earlier answer made of it: in the order that RFC 1034 4.3.2 has servers
 * write them.  A name server's other gifts are not taken.
 */
#include "net/dns.h"

#define HEADER_BYTES 12
#define MAX_LABEL    63
#define MAX_NAME     253  /* as text: 255 on the wire */
#define POINTER      0xc0 /* upper two bits of a length: not a length */
#define TYPE_CNAME   5
#define TYPE_OPT     41                   /* RFC 6891 6.1 */
#define OPT_DO       0x8000               /* in its time to live (RFC 3225 3) */
#define BAD_VERSION  UINT32_C(0x01000000) /* likewise (RFC 6891 6.1.3) */
#define MAX_OTHERS   4      /* records behind a question that are read */
#define NAME_POINTER 0xc00c /* to the question's name, behind the header */
#define A_BYTES      4
#define AAAA_BYTES   16
#define TTL_MAX      INT32_MAX /* RFC 2181 8 */

/* ---- reading ---- */

/* Appends a label and a dot to the name of *len bytes. */
static bool
add_label(char *name, size_t *len, const uint8_t *label, size_t n)
{
	if (*len + n + 1 > MAX_NAME + 1)
		return false;
	for (size_t i = 0; i < n; i++) {
		char ch = (char)label[i];

		if (label[i] <= ' ' || label[i] >= 0x7f || ch == '.')
			return false;
		if (ch >= 'A' && ch <= 'Z')
			ch = (char)(ch - 'A' + 'a');
		name[(*len)++] = ch;
	}
	name[(*len)++] = '.';
	return true;
}

/* Moves walk, which read a pointer of a name's piece from piece on, to where
 * that points. */
static bool
follow(struct cursor *walk, const uint8_t *message, const uint8_t *piece,
    size_t offset)
{
	if (offset < HEADER_BYTES || offset >= (size_t)(piece - message))
		return false;
	walk->at = message + offset;
	return true;
}

/* Reads a name at *c, and moves on past it. */
static enum reason
read_name(char name[DNS_NAME_BYTES], struct cursor *c, const uint8_t *message)
{
	struct cursor walk = *c;
	const uint8_t *piece = walk.at;
	size_t len = 0;
	bool jumped = false;

	for (;;) {
		uint8_t n = cur_u8(&walk);
		const uint8_t *label;

		if (walk.overrun)
			return DROP_SHORT;
		if ((n & POINTER) == POINTER) {
			size_t offset = (size_t)(n & ~POINTER) << 8;

			offset |= cur_u8(&walk);
			if (walk.overrun)
				return DROP_SHORT;
			if (!jumped)
				*c = walk;
			jumped = true;
			if (!follow(&walk, message, piece, offset))
				return DROP_DNS;
			piece = walk.at;
			continue;
		}
		if (n > MAX_LABEL)
			return DROP_DNS;
		if (n == 0)
			break;
		label = cur_bytes(&walk, n);
		if (label == NULL)
			return DROP_SHORT;
		if (!add_label(name, &len, label, n))
			return DROP_DNS;
	}
	if (!jumped)
		*c = walk;
	name[len > 0 ? len - 1 : 0] = '\0'; /* over the last dot */
	return DROP_NONE;
}

struct record {
	char name[DNS_NAME_BYTES];
	uint16_t type, class;
	uint32_t ttl_s;
	struct cursor data;
};

static enum reason
read_record(struct record *r, struct cursor *c, const uint8_t *message)
{
	enum reason reason = read_name(r->name, c, message);

	if (reason != DROP_NONE)
		return reason;
	r->type = cur_be16(c);
	r->class = cur_be16(c);
	r->ttl_s = cur_be32(c);
	if (r->ttl_s > TTL_MAX && r->type != TYPE_OPT)
		r->ttl_s = 0;
	r->data = cur_sub(c, cur_be16(c));
	return c->overrun ? DROP_SHORT : DROP_NONE;
}

static void
take_ip4(struct dns *d, struct cursor *data)
{
	if (d->naddrs < DNS_MAX_ANSWERS)
		d->addr[d->naddrs++] = cur_be32(data);
	else
		cur_skip(data, A_BYTES);
}

static void
take_ip6(struct dns *d, struct cursor *data)
{
	if (d->naddrs6 < DNS_MAX_ANSWERS)
		cur_ip6(data, &d->addr6[d->naddrs6++]);
	else
		cur_skip(data, AAAA_BYTES);
}

/* Takes what record says about the name that is looked for. */
static enum reason
take_answer(struct dns *d, char wanted[DNS_NAME_BYTES], struct record *r,
    const uint8_t *message)
{
	enum reason reason = DROP_NONE;

	if (r->class != DNS_CLASS_IN || strcmp(r->name, wanted) != 0)
		return DROP_NONE;
	switch (r->type) {
	case TYPE_CNAME:
		reason = read_name(wanted, &r->data, message);
		if (wanted[0] == '\0')
			return DROP_DNS;
		memcpy(d->alias, wanted, sizeof(d->alias));
		break;
	case DNS_TYPE_PTR:
		reason = read_name(d->host, &r->data, message);
		break;
	case DNS_TYPE_A: take_ip4(d, &r->data); break;
	case DNS_TYPE_AAAA: take_ip6(d, &r->data); break;
	default: return DROP_NONE; /* open: others exist */
	}
	if (reason != DROP_NONE)
		return reason;
	if (r->data.overrun || cur_left(&r->data) > 0)
		return DROP_DNS;
	if (r->ttl_s < d->ttl_s)
		d->ttl_s = r->ttl_s;
	return DROP_NONE;
}

static enum reason
read_answers(struct dns *d, struct cursor *c, const uint8_t *message,
    unsigned int nanswers)
{
	char wanted[DNS_NAME_BYTES];
	struct record r;

	memcpy(wanted, d->name, sizeof(wanted));
	d->ttl_s = TTL_MAX;
	for (unsigned int i = 0; i < nanswers; i++) {
		enum reason reason = read_record(&r, c, message);

		if (reason == DROP_NONE)
			reason = take_answer(d, wanted, &r, message);
		if (reason != DROP_NONE)
			return reason;
	}
	if (d->naddrs == 0 && d->naddrs6 == 0 && d->host[0] == '\0') {
		d->alias[0] = '\0'; /* of nothing */
		d->ttl_s = 0;
	}
	return DROP_NONE;
}

/* What stands behind a question, as far as it can be read. */
static void
read_others(
    struct dns *d, struct cursor *c, const uint8_t *message, unsigned int n)
{
	struct record r;

	for (unsigned int i = 0; i < n && i < MAX_OTHERS; i++) {
		if (read_record(&r, c, message) != DROP_NONE)
			return;
		if (r.type != TYPE_OPT)
			continue;
		d->edns = true;
		d->dnssec = (r.ttl_s & OPT_DO) != 0;
		d->udp_bytes = r.class;
		d->version = (uint8_t)(r.ttl_s >> 16);
	}
}

enum reason
dns_parse(struct dns *dns, struct cursor *c)
{
	const uint8_t *message = c->at; /* what pointers count from */
	uint16_t id = cur_be16(c), flags = cur_be16(c);
	uint16_t nquestions = cur_be16(c), nanswers = cur_be16(c);
	struct dns d = { .id = id, .flags = flags };
	unsigned int nothers = cur_be16(c); /* of authority, additional */
	enum reason reason;

	nothers += cur_be16(c);
	if (c->overrun)
		return DROP_SHORT;
	if (nquestions != 1)
		return DROP_DNS;
	reason = read_name(d.name, c, message);
	if (reason != DROP_NONE)
		return reason;
	d.type = cur_be16(c);
	d.class = cur_be16(c);
	if (c->overrun)
		return DROP_SHORT;
	if (d.flags & DNS_FLAG_RESPONSE) {
		reason = read_answers(&d, c, message, nanswers);
		if (reason != DROP_NONE)
			return reason;
	} else if (nanswers != 0)
		return DROP_DNS;
	else
		read_others(&d, c, message, nothers);
	*dns = d;
	return DROP_NONE;
}

/* ---- writing ---- */

void
dns_write_name(struct writer *w, const char *name)
{
	const char *at = name;

	if (strlen(name) > MAX_NAME) {
		w->overrun = true;
		return;
	}
	while (*at != '\0') {
		const char *dot = strchr(at, '.');
		size_t n = dot != NULL ? (size_t)(dot - at) : strlen(at);

		if (n == 0 || n > MAX_LABEL) {
			w->overrun = true;
			return;
		}
		wr_u8(w, (uint8_t)n);
		wr_bytes(w, at, n);
		at += n;
		if (*at == '.')
			at++;
	}
	wr_u8(w, 0);
}

/* The beginning of a record of the name that the answers are of, up to its
 * length. */
static void
write_owner(struct writer *w, const struct dns *dns, uint16_t type)
{
	if (dns->alias[0] != '\0' && type != TYPE_CNAME)
		dns_write_name(w, dns->alias);
	else
		wr_be16(w, NAME_POINTER);
	wr_be16(w, type);
	wr_be16(w, DNS_CLASS_IN);
	wr_be32(w, dns->ttl_s);
}

/* A record that holds a name. */
static void
write_pointer(
    struct writer *w, const struct dns *dns, uint16_t type, const char *name)
{
	uint8_t *length;

	write_owner(w, dns, type);
	length = wr_room(w, 2);
	dns_write_name(w, name);
	if (length != NULL)
		put_be16(length, (uint16_t)(w->at - length - 2));
}

static void
write_edns(struct writer *w, const struct dns *dns)
{
	wr_u8(w, 0);
	wr_be16(w, TYPE_OPT);
	wr_be16(w, DNS_EDNS_BYTES);
	wr_be32(w,
	    (dns->version != 0 ? BAD_VERSION : 0) | (dns->dnssec ? OPT_DO : 0));
	wr_be16(w, 0);
}

void
dns_write(struct writer *w, const struct dns *dns)
{
	uint8_t naddrs =
	    dns->naddrs < DNS_MAX_ANSWERS ? dns->naddrs : DNS_MAX_ANSWERS;
	uint8_t naddrs6 =
	    dns->naddrs6 < DNS_MAX_ANSWERS ? dns->naddrs6 : DNS_MAX_ANSWERS;
	bool alias = dns->alias[0] != '\0', host = dns->host[0] != '\0';

	wr_be16(w, dns->id);
	wr_be16(w, dns->flags);
	wr_be16(w, 1);
	wr_be16(w, (uint16_t)(alias + naddrs + naddrs6 + host));
	wr_be16(w, 0);
	wr_be16(w, dns->edns);
	dns_write_name(w, dns->name);
	wr_be16(w, dns->type);
	wr_be16(w, dns->class);
	if (alias)
		write_pointer(w, dns, TYPE_CNAME, dns->alias);
	for (uint8_t i = 0; i < naddrs; i++) {
		write_owner(w, dns, DNS_TYPE_A);
		wr_be16(w, A_BYTES);
		wr_be32(w, dns->addr[i]);
	}
	for (uint8_t i = 0; i < naddrs6; i++) {
		write_owner(w, dns, DNS_TYPE_AAAA);
		wr_be16(w, AAAA_BYTES);
		wr_ip6(w, &dns->addr6[i]);
	}
	if (host)
		write_pointer(w, dns, DNS_TYPE_PTR, dns->host);
	if (dns->edns)
		write_edns(w, dns);
}
