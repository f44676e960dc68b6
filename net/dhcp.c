/*
 * DHCP messages in and out.
 *
 * Options are one table: code, form, and the field of struct dhcp.  A form
 * checks the length that the code demands; one that does not fit refuses the
 * whole message, because what follows cannot be trusted to be where it seems.
 * Codes without a row are skipped.
 *
 * Of an option that comes twice the first counts; but name servers add up, and
 * routes are joined as pieces of one option, as RFC 3442 demands.  The pieces
 * of others (RFC 3396) are not: nothing else that is read here is that long.
 * More routes than there is room for refuse the message, too.  A name that could not be printed
 * or is too long for us is left out rather than changed into another one.  A
 * list that ends without the end option but at the end of its field is taken:
 * some clients leave it away.
 */
#include "net/dhcp.h"

#define MAGIC          UINT32_C(0x63825363)
#define HTYPE_ETHER    1
#define CHADDR_BYTES   16
#define SNAME_BYTES    64
#define FILE_BYTES     128
#define OPT_PAD        0
#define OPT_END        255
#define OVERLOAD_FILE  1
#define OVERLOAD_SNAME 2
#define MIN_MTU        68 /* RFC 2132 5.1 */
#define MIN_CLIENT_ID  2  /* RFC 2132 9.14 */

enum form {
	FORM_IP4,  /* one address, or the first of several */
	FORM_MASK, /* ones, then zeros */
	FORM_TIME, /* seconds */
	FORM_MTU,
	FORM_NAME,
};

static const struct row {
	uint8_t code;
	enum form form;
	size_t field; /* offset in struct dhcp */
} rows[] = {
	{ DHCP_OPT_SERVER, FORM_IP4, offsetof(struct dhcp, server) },
	{ DHCP_OPT_REQUESTED, FORM_IP4, offsetof(struct dhcp, requested) },
	{ DHCP_OPT_LEASE, FORM_TIME, offsetof(struct dhcp, lease_s) },
	{ DHCP_OPT_RENEWAL, FORM_TIME, offsetof(struct dhcp, renewal_s) },
	{ DHCP_OPT_REBINDING, FORM_TIME, offsetof(struct dhcp, rebinding_s) },
	{ DHCP_OPT_MASK, FORM_MASK, offsetof(struct dhcp, mask) },
	{ DHCP_OPT_ROUTER, FORM_IP4, offsetof(struct dhcp, router) },
	{ DHCP_OPT_BROADCAST, FORM_IP4, offsetof(struct dhcp, broadcast) },
	{ DHCP_OPT_MTU, FORM_MTU, offsetof(struct dhcp, mtu) },
	{ DHCP_OPT_MAX_BYTES, FORM_MTU, offsetof(struct dhcp, max_bytes) },
	{ DHCP_OPT_HOSTNAME, FORM_NAME, offsetof(struct dhcp, hostname) },
	{ DHCP_OPT_DOMAIN, FORM_NAME, offsetof(struct dhcp, domain) },
};
#define NROWS (sizeof(rows) / sizeof(rows[0]))

/* ---- reading ---- */

/* A name that is empty, long or not printable leaves out empty. */
static void
read_name(char out[DHCP_MAX_NAME], const uint8_t *data, size_t len)
{
	while (len > 0 && data[len - 1] == '\0') /* RFC 2132 2 */
		len--;
	if (len >= DHCP_MAX_NAME)
		return;
	for (size_t i = 0; i < len; i++)
		if (data[i] <= ' ' || data[i] >= 0x7f)
			return;
	memcpy(out, data, len);
	out[len] = '\0';
}

static bool
is_mask(uint32_t mask)
{
	uint32_t host = ~mask;

	return (host & (host + 1)) == 0;
}

/* Reads one option of a form into its field, unless that is filled already.
 * False: the value cannot be one. */
static bool
read_form(enum form form, void *field, struct cursor value)
{
	size_t len = cur_left(&value);
	uint32_t number;

	switch (form) {
	case FORM_NAME:
		/* Clients without a name send an empty one, against RFC 2132. */
		if (len > 0 && *(char *)field == '\0')
			read_name(field, value.at, len);
		return true;
	case FORM_MTU:
		number = cur_be16(&value);
		if (*(uint16_t *)field == 0)
			*(uint16_t *)field = (uint16_t)number;
		return len == 2 && number >= MIN_MTU;
	case FORM_IP4:
	case FORM_MASK:
	case FORM_TIME:
		number = cur_be32(&value);
		if (*(uint32_t *)field == 0)
			*(uint32_t *)field = number;
		if (form == FORM_IP4)
			return len > 0 && len % 4 == 0;
		return len == 4 && (form != FORM_MASK || is_mask(number));
	}
	return false;
}

static bool
read_dns(struct dhcp *d, struct cursor value)
{
	if (cur_left(&value) == 0 || cur_left(&value) % 4 != 0)
		return false;
	while (cur_left(&value) > 0) {
		uint32_t addr = cur_be32(&value);

		if (addr != 0 && d->ndns < DHCP_MAX_DNS)
			d->dns[d->ndns++] = addr;
	}
	return true;
}

static bool
read_type(struct dhcp *d, struct cursor value)
{
	size_t len = cur_left(&value);
	uint8_t type = cur_u8(&value);

	if (len != 1 || type < DHCP_DISCOVER || type > DHCP_INFORM)
		return false;
	if (d->type == DHCP_NO_TYPE)
		d->type = (enum dhcp_type)type;
	return true;
}

/* Borrows the bytes of an option, unless that was done already. */
static bool
borrow(const uint8_t **data, uint8_t *bytes, struct cursor value, size_t min)
{
	if (cur_left(&value) < min)
		return false;
	if (*data == NULL) {
		*bytes = (uint8_t)cur_left(&value);
		*data = value.at;
	}
	return true;
}

/* One more piece of the routes. */
static bool
read_routes(struct dhcp *d, struct cursor value)
{
	size_t len = cur_left(&value);

	if (len > sizeof(d->routes) - d->routes_bytes)
		return false;
	memcpy(d->routes + d->routes_bytes, value.at, len);
	d->routes_bytes = (uint16_t)(d->routes_bytes + len);
	return true;
}

bool
dhcp_read_route(struct cursor *c, struct ip4_net *to, uint32_t *via)
{
	uint32_t addr = 0;
	uint8_t prefix;

	if (cur_left(c) == 0)
		return false;
	prefix = cur_u8(c);
	if (prefix > 32) {
		c->overrun = true;
		return false;
	}
	for (int i = 0; i < 4; i++)
		addr = addr << 8 | (i < (prefix + 7) / 8 ? cur_u8(c) : 0);
	*to = (struct ip4_net){ addr & ip4_mask(prefix), prefix };
	*via = cur_be32(c);
	return !c->overrun;
}

static bool
routes_are_whole(const struct dhcp *d)
{
	struct cursor c = cursor(d->routes, d->routes_bytes);
	struct ip4_net to;
	uint32_t via;

	while (dhcp_read_route(&c, &to, &via))
		continue;
	return !c.overrun;
}

static bool
read_overload(uint8_t *overload, struct cursor value)
{
	size_t len = cur_left(&value);
	uint8_t fields = cur_u8(&value);

	if (len != 1 || fields < OVERLOAD_FILE ||
	    fields > (OVERLOAD_FILE | OVERLOAD_SNAME))
		return false;
	*overload = fields;
	return true;
}

/* Reads one option.  False: it contradicts itself. */
static bool
read_option(
    struct dhcp *d, uint8_t *overload, uint8_t code, struct cursor value)
{
	switch (code) {
	case DHCP_OPT_TYPE: return read_type(d, value);
	case DHCP_OPT_DNS: return read_dns(d, value);
	case DHCP_OPT_ROUTES: return read_routes(d, value);
	case DHCP_OPT_OVERLOAD: return read_overload(overload, value);
	case DHCP_OPT_CLIENT_ID:
		return borrow(
		    &d->client_id, &d->client_id_bytes, value, MIN_CLIENT_ID);
	case DHCP_OPT_RELAY_INFO:
		return borrow(&d->relay_info, &d->relay_info_bytes, value, 1);
	case DHCP_OPT_PARAMETERS:
		return borrow(&d->parameters, &d->nparameters, value, 1);
	default: break; /* a row, or not for us */
	}
	for (size_t i = 0; i < NROWS; i++)
		if (rows[i].code == code)
			return read_form(
			    rows[i].form, (char *)d + rows[i].field, value);
	return true;
}

static bool
read_options(struct dhcp *d, uint8_t *overload, struct cursor c)
{
	while (cur_left(&c) > 0) {
		uint8_t code = cur_u8(&c);
		struct cursor value;

		if (code == OPT_PAD)
			continue;
		if (code == OPT_END)
			break;
		value = cur_sub(&c, cur_u8(&c));
		if (c.overrun || !read_option(d, overload, code, value))
			return false;
	}
	return true;
}

enum reason
dhcp_parse(struct dhcp *dhcp, struct cursor *c)
{
	struct dhcp d = { .op = cur_u8(c) };
	uint8_t htype = cur_u8(c), hlen = cur_u8(c);
	uint8_t overload = 0, ignored = 0;
	struct cursor sname, file;
	uint32_t magic;

	d.hops = cur_u8(c);
	d.xid = cur_be32(c);
	d.secs = cur_be16(c);
	d.flags = cur_be16(c);
	d.ciaddr = cur_be32(c);
	d.yiaddr = cur_be32(c);
	d.siaddr = cur_be32(c);
	d.giaddr = cur_be32(c);
	cur_mac(c, &d.chaddr);
	cur_skip(c, CHADDR_BYTES - sizeof(d.chaddr.b));
	sname = cur_sub(c, SNAME_BYTES);
	file = cur_sub(c, FILE_BYTES);
	magic = cur_be32(c);
	if (c->overrun)
		return DROP_SHORT;
	if ((d.op != DHCP_BOOTREQUEST && d.op != DHCP_BOOTREPLY) ||
	    htype != HTYPE_ETHER || hlen != sizeof(d.chaddr.b) ||
	    magic != MAGIC)
		return DROP_DHCP;
	if (!read_options(&d, &overload, cur_sub(c, cur_left(c))))
		return DROP_DHCP;
	/* RFC 2131 4.1: options, then file, then sname. */
	if (overload & OVERLOAD_FILE && !read_options(&d, &ignored, file))
		return DROP_DHCP;
	if (overload & OVERLOAD_SNAME && !read_options(&d, &ignored, sname))
		return DROP_DHCP;
	if (!routes_are_whole(&d))
		return DROP_DHCP;
	*dhcp = d;
	return DROP_NONE;
}

uint32_t
dhcp_relay_address(const struct dhcp *dhcp, uint8_t sub_option)
{
	struct cursor c;

	if (dhcp->relay_info == NULL)
		return 0;
	c = cursor(dhcp->relay_info, dhcp->relay_info_bytes);
	while (cur_left(&c) >= 2) {
		uint8_t code = cur_u8(&c);
		struct cursor value = cur_sub(&c, cur_u8(&c));

		if (!c.overrun && code == sub_option && cur_left(&value) == 4)
			return cur_be32(&value);
	}
	return 0;
}

/* ---- writing ---- */

static void
write_bytes(struct writer *w, uint8_t code, const void *data, size_t len)
{
	if (data == NULL || len == 0)
		return;
	if (len > UINT8_MAX)
		len = UINT8_MAX;
	wr_u8(w, code);
	wr_u8(w, (uint8_t)len);
	wr_bytes(w, data, len);
}

/* Writes the option of row, if its field is set. */
static void
write_row(struct writer *w, const struct row *row, const struct dhcp *dhcp)
{
	const void *field = (const char *)dhcp + row->field;
	uint8_t value[4];
	const char *end;

	switch (row->form) {
	case FORM_IP4:
	case FORM_MASK:
	case FORM_TIME:
		put_be32(value, *(const uint32_t *)field);
		if (*(const uint32_t *)field != 0)
			write_bytes(w, row->code, value, 4);
		return;
	case FORM_MTU:
		put_be16(value, *(const uint16_t *)field);
		if (*(const uint16_t *)field != 0)
			write_bytes(w, row->code, value, 2);
		return;
	case FORM_NAME:
		end = memchr(field, '\0', DHCP_MAX_NAME);
		write_bytes(w, row->code, field,
		    end != NULL ? (size_t)(end - (const char *)field)
				: DHCP_MAX_NAME);
		return;
	}
}

static void
write_options(struct writer *w, const struct dhcp *dhcp)
{
	uint8_t type = (uint8_t)dhcp->type;
	uint8_t ndns = dhcp->ndns < DHCP_MAX_DNS ? dhcp->ndns : DHCP_MAX_DNS;

	if (dhcp->type != DHCP_NO_TYPE)
		write_bytes(w, DHCP_OPT_TYPE, &type, 1);
	for (size_t i = 0; i < NROWS; i++)
		write_row(w, &rows[i], dhcp);
	if (ndns > 0) {
		wr_u8(w, DHCP_OPT_DNS);
		wr_u8(w, (uint8_t)(ndns * 4));
		for (uint8_t i = 0; i < ndns; i++)
			wr_be32(w, dhcp->dns[i]);
	}
	for (size_t at = 0; at < dhcp->routes_bytes; at += UINT8_MAX)
		write_bytes(w, DHCP_OPT_ROUTES, dhcp->routes + at,
		    dhcp->routes_bytes - at);
	if (dhcp->message != NULL)
		write_bytes(
		    w, DHCP_OPT_MESSAGE, dhcp->message, strlen(dhcp->message));
	write_bytes(
	    w, DHCP_OPT_CLIENT_ID, dhcp->client_id, dhcp->client_id_bytes);
	write_bytes(
	    w, DHCP_OPT_PARAMETERS, dhcp->parameters, dhcp->nparameters);
	for (uint8_t i = 0; i < dhcp->nextra && i < DHCP_EXTRAS; i++)
		write_bytes(w, dhcp->extra[i]->code, dhcp->extra[i]->data,
		    dhcp->extra[i]->len);
	/* The last one, so that a relay finds it (RFC 3046 2.1). */
	write_bytes(
	    w, DHCP_OPT_RELAY_INFO, dhcp->relay_info, dhcp->relay_info_bytes);
	wr_u8(w, OPT_END);
}

void
dhcp_write(struct writer *w, const struct dhcp *dhcp)
{
	const uint8_t *start = w->at;
	size_t len;

	wr_u8(w, dhcp->op);
	wr_u8(w, HTYPE_ETHER);
	wr_u8(w, sizeof(dhcp->chaddr.b));
	wr_u8(w, dhcp->hops);
	wr_be32(w, dhcp->xid);
	wr_be16(w, dhcp->secs);
	wr_be16(w, dhcp->flags);
	wr_be32(w, dhcp->ciaddr);
	wr_be32(w, dhcp->yiaddr);
	wr_be32(w, dhcp->siaddr);
	wr_be32(w, dhcp->giaddr);
	wr_mac(w, &dhcp->chaddr);
	wr_zeros(w, CHADDR_BYTES - sizeof(dhcp->chaddr.b));
	wr_zeros(w, SNAME_BYTES + FILE_BYTES);
	wr_be32(w, MAGIC);
	write_options(w, dhcp);
	len = (size_t)(w->at - start);
	if (len < DHCP_MIN_BYTES)
		wr_zeros(w, DHCP_MIN_BYTES - len);
}

bool
dhcp_wants(const struct dhcp *dhcp, uint8_t option)
{
	if (dhcp->parameters == NULL)
		return true;
	return memchr(dhcp->parameters, option, dhcp->nparameters) != NULL;
}
