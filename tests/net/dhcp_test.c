#include "net/dhcp.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/net/exact.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

#define FIXED    240 /* up to and with the magic cookie */
#define AT_SNAME 44
#define AT_FILE  108
#define AT_MAGIC 236

/* A request of client 52:54:00:12:34:56, all its fields different, with the
 * options given. */
static struct exact
message(const uint8_t *options, size_t len)
{
	uint8_t bytes[FIXED + 255 + 2] = { 1, 1, 6, 9, 0x11, 0x22, 0x33, 0x44,
		0x00, 0x07, 0x80, 0x00, 10, 0, 0, 1, 10, 0, 0, 2, 10, 0, 0, 3,
		10, 0, 0, 4, 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };

	put_be32(bytes + AT_MAGIC, 0x63825363);
	if (len > 0)
		memcpy(bytes + FIXED, options, len);
	return exact(bytes, FIXED + len);
}

static enum reason
parse_options(struct dhcp *dhcp, const uint8_t *options, size_t len)
{
	struct exact e = message(options, len);
	enum reason reason = dhcp_parse(dhcp, &e.c);

	/* What is borrowed goes with the message. */
	if (reason == DROP_NONE) {
		dhcp->client_id = dhcp->parameters = NULL;
		assert_int_equal(cur_left(&e.c), 0);
	}
	exact_free(&e);
	return reason;
}

static void
the_fixed_fields_are_read(void **state)
{
	static const struct mac mac = { { 0x52, 0x54, 0x00, 0x12, 0x34,
	    0x56 } };
	static const uint8_t options[] = { 53, 1, 1, 255 };
	struct dhcp d;

	(void)state;
	assert_int_equal(
	    parse_options(&d, options, sizeof(options)), DROP_NONE);
	assert_int_equal(d.op, DHCP_BOOTREQUEST);
	assert_int_equal(d.xid, 0x11223344);
	assert_int_equal(d.secs, 7);
	assert_int_equal(d.flags, DHCP_BROADCAST);
	assert_int_equal(d.ciaddr, 0x0a000001);
	assert_int_equal(d.yiaddr, 0x0a000002);
	assert_int_equal(d.siaddr, 0x0a000003);
	assert_int_equal(d.giaddr, 0x0a000004);
	assert_true(mac_equal(&d.chaddr, &mac));
	assert_int_equal(d.type, DHCP_DISCOVER);
}

/* Every option that is known, one value each. */
static const uint8_t all_options[] = { 53, 1, 5, 54, 4, 10, 0, 0, 1, 50, 4, 10,
	0, 0, 100, 51, 4, 0, 0, 0x0e, 0x10, 58, 4, 0, 0, 7, 8, 59, 4, 0, 0,
	0x0c, 0x4e, 1, 4, 255, 255, 255, 0, 3, 8, 10, 0, 0, 1, 10, 0, 0, 2, 26,
	2, 0x05, 0xdc, 12, 5, 'a', 'l', 'i', 'c', 'e', 15, 3, 'l', 'a', 'n', 6,
	8, 10, 0, 0, 1, 9, 9, 9, 9, 61, 7, 1, 0x52, 0x54, 0, 0x12, 0x34, 0x56,
	55, 3, 1, 3, 6, 255 };

static void
all_options_are_read(void **state)
{
	struct exact e = message(all_options, sizeof(all_options));
	struct dhcp d;

	(void)state;
	assert_int_equal(dhcp_parse(&d, &e.c), DROP_NONE);
	assert_int_equal(d.type, DHCP_ACK);
	assert_int_equal(d.server, 0x0a000001);
	assert_int_equal(d.requested, 0x0a000064);
	assert_int_equal(d.lease_s, 3600);
	assert_int_equal(d.renewal_s, 0x708);
	assert_int_equal(d.rebinding_s, 0xc4e);
	assert_int_equal(d.mask, 0xffffff00);
	assert_int_equal(d.router, 0x0a000001);
	assert_int_equal(d.mtu, 1500);
	assert_string_equal(d.hostname, "alice");
	assert_string_equal(d.domain, "lan");
	assert_int_equal(d.ndns, 2);
	assert_int_equal(d.dns[1], 0x09090909);
	assert_int_equal(d.client_id_bytes, 7);
	assert_int_equal(d.client_id[0], 1);
	assert_int_equal(d.nparameters, 3);
	assert_memory_equal(d.parameters, "\1\3\6", 3);
	exact_free(&e);
}

/* Within the fixed fields a message is short, within an option it contradicts
 * itself, between two it is a shorter one. */
static void
messages_cut_off_anywhere_are_refused(void **state)
{
	struct exact whole = message(all_options, sizeof(all_options));
	size_t next = FIXED; /* where an option starts */

	(void)state;
	for (size_t len = 0; len < whole.len; len++) {
		struct exact e = exact(whole.data, len);
		struct dhcp d = { .op = 77 };
		enum reason want = DROP_DHCP;

		if (len < FIXED)
			want = DROP_SHORT;
		else if (len == next) {
			want = DROP_NONE;
			if (whole.data[next] != 255) /* the end */
				next += 2u + whole.data[next + 1];
		}
		assert_int_equal(dhcp_parse(&d, &e.c), want);
		if (want != DROP_NONE)
			assert_int_equal(d.op, 77);
		exact_free(&e);
	}
	exact_free(&whole);
}

static void
each_fixed_field_is_checked(void **state)
{
	static const struct {
		size_t at;
		uint8_t byte;
		enum reason reason;
	} cases[] = {
		{ 0, 0, DROP_DHCP },
		{ 0, 2, DROP_NONE },
		{ 0, 3, DROP_DHCP },
		{ 0, 255, DROP_DHCP },
		{ 1, 0, DROP_DHCP },
		{ 1, 6, DROP_DHCP },
		{ 2, 0, DROP_DHCP },
		{ 2, 16, DROP_DHCP },
		{ 2, 255, DROP_DHCP },
		{ 3, 255, DROP_NONE },
		{ AT_MAGIC, 0x62, DROP_DHCP },
		{ AT_MAGIC + 3, 0x64, DROP_DHCP },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		struct exact e = message(all_options, sizeof(all_options));
		struct dhcp d;

		e.data[cases[i].at] = cases[i].byte;
		assert_int_equal(dhcp_parse(&d, &e.c), cases[i].reason);
		exact_free(&e);
	}
}

static void
each_option_has_its_lengths(void **state)
{
	/* The lengths from min to max are taken, in steps; all else refused. */
	static const struct {
		uint8_t code, min, max, step;
	} cases[] = {
		{ DHCP_OPT_MASK, 4, 4, 1 }, { DHCP_OPT_ROUTER, 4, 252, 4 },
		{ DHCP_OPT_DNS, 4, 252, 4 }, { DHCP_OPT_HOSTNAME, 0, 255, 1 },
		{ DHCP_OPT_DOMAIN, 0, 255, 1 }, { DHCP_OPT_MTU, 2, 2, 1 },
		{ DHCP_OPT_REQUESTED, 4, 252, 4 }, { DHCP_OPT_LEASE, 4, 4, 1 },
		{ DHCP_OPT_OVERLOAD, 1, 1, 1 }, { DHCP_OPT_TYPE, 1, 1, 1 },
		{ DHCP_OPT_SERVER, 4, 252, 4 },
		{ DHCP_OPT_PARAMETERS, 1, 255, 1 },
		{ DHCP_OPT_RENEWAL, 4, 4, 1 }, { DHCP_OPT_REBINDING, 4, 4, 1 },
		{ DHCP_OPT_CLIENT_ID, 2, 255, 1 },
		{ DHCP_OPT_MESSAGE, 0, 255, 1 }, /* not read */
		{ 200, 0, 255, 1 },              /* nor known */
	};
	uint8_t option[2 + 255] = { 0 };

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++)
		for (unsigned int len = 0; len < 256; len++) {
			bool good = len >= cases[i].min &&
			    len <= cases[i].max && len % cases[i].step == 0;
			struct dhcp d;

			option[0] = cases[i].code;
			option[1] = (uint8_t)len;
			/* A value that all forms can take; a mask has it
			 * differently, and small numbers are 1. */
			memset(option + 2, 0x01, sizeof(option) - 2);
			if (cases[i].code == DHCP_OPT_MASK)
				memset(option + 2, 0xff, 4);
			assert_int_equal(parse_options(&d, option, len + 2),
			    good ? DROP_NONE : DROP_DHCP);
		}
}

static void
each_value_is_checked(void **state)
{
	static const struct {
		const char *what;
		uint8_t options[8];
		size_t len;
		enum reason reason;
	} cases[] = {
		{ "no type", { 255 }, 1, DROP_NONE },
		{ "type 0", { 53, 1, 0 }, 3, DROP_DHCP },
		{ "type 8", { 53, 1, 8 }, 3, DROP_NONE },
		{ "type 9", { 53, 1, 9 }, 3, DROP_DHCP },
		{ "type 255", { 53, 1, 255 }, 3, DROP_DHCP },
		{ "mtu 67", { 26, 2, 0, 67 }, 4, DROP_DHCP },
		{ "mtu 68", { 26, 2, 0, 68 }, 4, DROP_NONE },
		{ "mtu 65535", { 26, 2, 255, 255 }, 4, DROP_NONE },
		{ "mask /0", { 1, 4, 0, 0, 0, 0 }, 6, DROP_NONE },
		{ "mask /1", { 1, 4, 128, 0, 0, 0 }, 6, DROP_NONE },
		{ "mask /32", { 1, 4, 255, 255, 255, 255 }, 6, DROP_NONE },
		{ "mask with a hole", { 1, 4, 255, 0, 255, 0 }, 6, DROP_DHCP },
		{ "mask upside down", { 1, 4, 0, 0, 0, 255 }, 6, DROP_DHCP },
		{ "overload 0", { 52, 1, 0 }, 3, DROP_DHCP },
		{ "overload 4", { 52, 1, 4 }, 3, DROP_DHCP },
		{ "only padding", { 0, 0, 0, 0 }, 4, DROP_NONE },
		{ "no options", { 0 }, 0, DROP_NONE },
		{ "ends at the edge", { 53, 1, 1, 255 }, 4, DROP_NONE },
		{ "ends beyond it", { 53, 2, 1 }, 3, DROP_DHCP },
		{ "no length", { 53, 1, 1, 12 }, 4, DROP_DHCP },
		{ "unknown, beyond the edge", { 200, 255, 1 }, 3, DROP_DHCP },
		{ "behind the end, anything", { 255, 53, 1, 99 }, 4,
		    DROP_NONE },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		struct dhcp d;
		enum reason reason =
		    parse_options(&d, cases[i].options, cases[i].len);

		if (reason != cases[i].reason)
			fail_msg("%s: %s", cases[i].what, reason_name(reason));
	}
}

static void
of_an_option_that_comes_twice_the_first_counts(void **state)
{
	static const uint8_t options[] = { 53, 1, 1, 53, 1, 3, 54, 4, 1, 1, 1,
		1, 54, 4, 2, 2, 2, 2, 12, 1, 'a', 12, 1, 'b', 26, 2, 2, 0, 26,
		2, 3, 0 };
	static const uint8_t wrong[] = { 53, 1, 1, 53, 1, 99 };
	static const uint8_t borrowed[] = { 61, 2, 1, 2, 61, 3, 3, 4, 5, 55, 1,
		9, 55, 2, 8, 8 };
	struct exact e;
	struct dhcp d;

	(void)state;
	assert_int_equal(
	    parse_options(&d, options, sizeof(options)), DROP_NONE);
	assert_int_equal(d.type, DHCP_DISCOVER);
	assert_int_equal(d.server, 0x01010101);
	assert_string_equal(d.hostname, "a");
	assert_int_equal(d.mtu, 512);
	assert_int_equal(parse_options(&d, wrong, sizeof(wrong)), DROP_DHCP);

	e = message(borrowed, sizeof(borrowed));
	assert_int_equal(dhcp_parse(&d, &e.c), DROP_NONE);
	assert_int_equal(d.client_id_bytes, 2);
	assert_memory_equal(d.client_id, "\1\2", 2);
	assert_int_equal(d.nparameters, 1);
	assert_int_equal(d.parameters[0], 9);
	exact_free(&e);
}

static void
name_servers_add_up_to_what_there_is_room_for(void **state)
{
	static const uint8_t options[] = { 6, 8, 1, 1, 1, 1, 2, 2, 2, 2, 6, 16,
		0, 0, 0, 0, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5 };
	struct dhcp d;

	(void)state;
	assert_int_equal(
	    parse_options(&d, options, sizeof(options)), DROP_NONE);
	assert_int_equal(d.ndns, DHCP_MAX_DNS);
	for (uint32_t i = 0; i < DHCP_MAX_DNS; i++)
		assert_int_equal(d.dns[i], (i + 1) * 0x01010101);
}

static void
names_that_would_have_to_change_are_left_out(void **state)
{
	static const struct {
		uint8_t option[10];
		const char *name;
	} cases[] = {
		{ { 12, 3, 'b', 'o', 'b' }, "bob" },
		{ { 12, 5, 'b', 'o', 'b', 0, 0 }, "bob" },
		{ { 12, 0 }, "" }, /* from clients without one */
		{ { 12, 2, 0, 0 }, "" },
		{ { 12, 3, 'b', 0, 'b' }, "" },
		{ { 12, 3, 'b', ' ', 'b' }, "" },
		{ { 12, 3, 'b', '\n', 'b' }, "" },
		{ { 12, 3, 'b', 27, 'b' }, "" },
		{ { 12, 3, 'b', 127, 'b' }, "" },
		{ { 12, 3, 'b', 0xc3, 0xa4 }, "" },
		{ { 12, 3, '!', '~', '%' }, "!~%" },
	};
	uint8_t option[2 + DHCP_MAX_NAME];
	struct dhcp d;

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		assert_int_equal(
		    parse_options(&d, cases[i].option, 2u + cases[i].option[1]),
		    DROP_NONE);
		assert_string_equal(d.hostname, cases[i].name);
	}
	memset(option, 'x', sizeof(option));
	option[0] = DHCP_OPT_DOMAIN;
	option[1] = DHCP_MAX_NAME - 1;
	assert_int_equal(
	    parse_options(&d, option, 1 + DHCP_MAX_NAME), DROP_NONE);
	assert_int_equal(strlen(d.domain), DHCP_MAX_NAME - 1);
	option[1] = DHCP_MAX_NAME;
	assert_int_equal(
	    parse_options(&d, option, 2 + DHCP_MAX_NAME), DROP_NONE);
	assert_string_equal(d.domain, "");
}

/* Options in file and sname count as option 52 says, file first. */
static void
options_overloaded_into_file_and_sname_are_read(void **state)
{
	static const uint8_t file[] = { 54, 4, 1, 1, 1, 1, 12, 1, 'f', 255 };
	static const uint8_t sname[] = { 51, 4, 0, 0, 0, 9, 12, 1, 's', 255 };
	static const struct {
		uint8_t overload;
		uint32_t server, lease_s;
		const char *hostname;
	} cases[] = {
		{ 1, 0x01010101, 0, "f" },
		{ 2, 0, 9, "s" },
		{ 3, 0x01010101, 9, "f" },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		uint8_t options[] = { 52, 1, cases[i].overload, 53, 1, 2, 255 };
		struct exact e = message(options, sizeof(options));
		struct dhcp d;

		memcpy(e.data + AT_FILE, file, sizeof(file));
		memcpy(e.data + AT_SNAME, sname, sizeof(sname));
		assert_int_equal(dhcp_parse(&d, &e.c), DROP_NONE);
		assert_int_equal(d.type, DHCP_OFFER);
		assert_int_equal(d.server, cases[i].server);
		assert_int_equal(d.lease_s, cases[i].lease_s);
		assert_string_equal(d.hostname, cases[i].hostname);
		exact_free(&e);
	}
}

static void
file_and_sname_without_overload_are_not_read(void **state)
{
	static const uint8_t options[] = { 53, 1, 2, 255 };
	struct exact e = message(options, sizeof(options));
	struct dhcp d;

	(void)state;
	memset(e.data + AT_SNAME, 0x35, 64 + 128);
	assert_int_equal(dhcp_parse(&d, &e.c), DROP_NONE);
	assert_int_equal(d.type, DHCP_OFFER);
	exact_free(&e);
}

/* An overloaded field is a field: its options end in it, up to its edge. */
static void
overloaded_options_end_with_their_field(void **state)
{
	static const struct {
		uint8_t overload;
		size_t at, len;
	} fields[] = { { 1, AT_FILE, 128 }, { 2, AT_SNAME, 64 } };

	(void)state;
	for (size_t i = 0; i < NITEMS(fields); i++)
		for (int over = 0; over < 2; over++) {
			uint8_t options[] = { 52, 1, fields[i].overload, 255 };
			struct exact e = message(options, sizeof(options));
			uint8_t *last;
			struct dhcp d;

			/* Padding, then one that ends at the edge, or one
			 * byte behind it. */
			last = e.data + fields[i].at + fields[i].len - 6;
			last[0] = DHCP_OPT_SERVER;
			last[1] = (uint8_t)(4 + 4 * over);
			put_be32(last + 2, 0x01020304);
			assert_int_equal(
			    dhcp_parse(&d, &e.c), over ? DROP_DHCP : DROP_NONE);
			if (!over)
				assert_int_equal(d.server, 0x01020304);
			exact_free(&e);
		}
}

/* An overload option within an overloaded field does not overload further. */
static void
overload_does_not_nest(void **state)
{
	static const uint8_t options[] = { 52, 1, 1, 255 };
	static const uint8_t file[] = { 52, 1, 3, 255 };
	struct exact e = message(options, sizeof(options));
	struct dhcp d;

	(void)state;
	memcpy(e.data + AT_FILE, file, sizeof(file));
	memset(e.data + AT_SNAME, 0x35, 64); /* no options at all */
	assert_int_equal(dhcp_parse(&d, &e.c), DROP_NONE);
	exact_free(&e);
}

static struct dhcp
full(void)
{
	static const uint8_t id[] = { 1, 2, 3, 4, 5, 6, 7 };
	static const uint8_t parameters[] = { 1, 3, 6, 15 };

	return (struct dhcp){
		.op = DHCP_BOOTREPLY,
		.xid = 0xdeadbeef,
		.secs = 0xffff,
		.flags = DHCP_BROADCAST,
		.ciaddr = 1,
		.yiaddr = 2,
		.siaddr = 3,
		.giaddr = 4,
		.chaddr = { { 0x52, 1, 2, 3, 4, 5 } },
		.type = DHCP_ACK,
		.server = 0x0a000001,
		.requested = 0x0a000064,
		.mask = 0xffffff00,
		.router = 0x0a000001,
		.dns = { 0x01010101, 0x02020202, 0x03030303, 0x04040404 },
		.ndns = 4,
		.mtu = 1500,
		.lease_s = 0xffffffff,
		.renewal_s = 1,
		.rebinding_s = 2,
		.hostname = "alice",
		.domain = "lab.example",
		.client_id = id,
		.client_id_bytes = sizeof(id),
		.parameters = parameters,
		.nparameters = sizeof(parameters),
	};
}

static void
what_is_written_reads_back(void **state)
{
	struct dhcp in = full(), d;
	uint8_t out[600];
	struct writer w = writer(out, sizeof(out));
	struct exact e;

	(void)state;
	dhcp_write(&w, &in);
	assert_false(w.overrun);
	e = exact(out, (size_t)(w.at - out));
	assert_true(e.len >= DHCP_MIN_BYTES);
	assert_int_equal(dhcp_parse(&d, &e.c), DROP_NONE);
	assert_int_equal(d.client_id_bytes, in.client_id_bytes);
	assert_memory_equal(d.client_id, in.client_id, d.client_id_bytes);
	assert_int_equal(d.nparameters, in.nparameters);
	assert_memory_equal(d.parameters, in.parameters, d.nparameters);
	d.client_id = in.client_id;
	d.parameters = in.parameters;
	assert_int_equal(d.op, in.op);
	assert_int_equal(d.xid, in.xid);
	assert_int_equal(d.secs, in.secs);
	assert_int_equal(d.flags, in.flags);
	assert_memory_equal(&d.ciaddr, &in.ciaddr, 16);
	assert_true(mac_equal(&d.chaddr, &in.chaddr));
	assert_int_equal(d.type, in.type);
	assert_int_equal(d.server, in.server);
	assert_int_equal(d.requested, in.requested);
	assert_int_equal(d.mask, in.mask);
	assert_int_equal(d.router, in.router);
	assert_memory_equal(d.dns, in.dns, sizeof(in.dns));
	assert_int_equal(d.ndns, in.ndns);
	assert_int_equal(d.mtu, in.mtu);
	assert_int_equal(d.lease_s, in.lease_s);
	assert_int_equal(d.renewal_s, in.renewal_s);
	assert_int_equal(d.rebinding_s, in.rebinding_s);
	assert_string_equal(d.hostname, in.hostname);
	assert_string_equal(d.domain, in.domain);
	exact_free(&e);
}

static void
a_message_of_nothing_has_the_least_length(void **state)
{
	struct dhcp in = { .op = DHCP_BOOTREQUEST }, d;
	uint8_t out[DHCP_MIN_BYTES + 1];
	struct writer w = writer(out, sizeof(out));
	struct exact e;

	(void)state;
	dhcp_write(&w, &in);
	assert_false(w.overrun);
	assert_ptr_equal(w.at, out + DHCP_MIN_BYTES);
	e = exact(out, DHCP_MIN_BYTES);
	assert_int_equal(e.data[FIXED], 255);
	assert_int_equal(dhcp_parse(&d, &e.c), DROP_NONE);
	assert_int_equal(d.type, DHCP_NO_TYPE);
	assert_int_equal(d.server, 0);
	assert_string_equal(d.hostname, "");
	assert_null(d.client_id);
	exact_free(&e);
}

static void
a_refusal_carries_its_message_cut_to_an_option(void **state)
{
	struct dhcp in = { .op = DHCP_BOOTREPLY, .type = DHCP_NAK };
	char text[300];
	uint8_t out[600];
	struct writer w = writer(out, sizeof(out));

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	in.message = text;
	dhcp_write(&w, &in);
	assert_false(w.overrun);
	assert_int_equal(out[FIXED + 3], DHCP_OPT_MESSAGE);
	assert_int_equal(out[FIXED + 4], 255);
	assert_int_equal(out[FIXED + 5 + 255], 255); /* the end option */
	w = writer(out, sizeof(out));
	in.message = "no";
	dhcp_write(&w, &in);
	assert_memory_equal(out + FIXED, "\x35\1\6\x38\2no\xff\0", 9);
}

static void
a_message_that_does_not_fit_is_said(void **state)
{
	struct dhcp in = full();
	uint8_t out[600];
	struct writer w = writer(out, sizeof(out));
	size_t need;

	(void)state;
	dhcp_write(&w, &in);
	need = (size_t)(w.at - out);
	for (size_t room = 0; room <= need; room++) {
		struct exact e = exact(out, room);

		w = writer(e.data, room);
		dhcp_write(&w, &in);
		assert_int_equal(w.overrun, room < need);
		exact_free(&e);
	}
}

static void
without_a_list_every_option_is_wanted(void **state)
{
	static const uint8_t list[] = { DHCP_OPT_MASK, DHCP_OPT_ROUTER };
	struct dhcp d = { .op = DHCP_BOOTREQUEST };

	(void)state;
	assert_true(dhcp_wants(&d, DHCP_OPT_DNS));
	d.parameters = list;
	d.nparameters = 2;
	assert_true(dhcp_wants(&d, DHCP_OPT_MASK));
	assert_true(dhcp_wants(&d, DHCP_OPT_ROUTER));
	assert_false(dhcp_wants(&d, DHCP_OPT_DNS));
	d.nparameters = 1;
	assert_false(dhcp_wants(&d, DHCP_OPT_ROUTER));
}

/* ---- classless routes (RFC 3442) ---- */

static void
routes_are_read_however_they_are_cut_in_pieces(void **state)
{
	static const struct {
		uint8_t n, options[40];
		enum reason reason;
		uint8_t nroutes;
		struct ip4_net last;
	} cases[] = {
		{ 8, { 121, 5, 0, 10, 0, 0, 1, 255 }, DROP_NONE, 1, { 0, 0 } },
		{ 12, { 121, 9, 32, 10, 198, 122, 47, 10, 0, 0, 1, 255 },
		    DROP_NONE, 1, { 0x0ac67a2f, 32 } },
		/* RFC 3442's own example, with bits behind the prefix */
		{ 12, { 121, 9, 25, 129, 210, 177, 132, 10, 0, 0, 1, 255 },
		    DROP_NONE, 1, { 0x81d2b180, 25 } },
		/* in the middle of a route, as RFC 3396 has it */
		{ 18,
		    { 121, 3, 8, 10, 10, 53, 1, 5, 121, 8, 0, 0, 1, 0, 10, 0, 0,
			2 },
		    DROP_NONE, 2, { 0, 0 } },
		{ 7, { 121, 4, 0, 10, 0, 0, 255 }, DROP_DHCP, 0, { 0, 0 } },
		{ 8, { 121, 5, 33, 10, 0, 0, 1, 255 }, DROP_DHCP, 0, { 0, 0 } },
		{ 9, { 121, 6, 0, 10, 0, 0, 1, 8, 255 }, DROP_DHCP, 0,
		    { 0, 0 } },
		{ 3, { 121, 0, 255 }, DROP_NONE, 0, { 0, 0 } },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		struct dhcp d;
		struct ip4_net to = { 1, 1 };
		struct cursor c;
		uint32_t via;
		unsigned int n = 0;

		assert_int_equal(
		    parse_options(&d, cases[i].options, cases[i].n),
		    cases[i].reason);
		if (cases[i].reason != DROP_NONE)
			continue;
		c = cursor(d.routes, d.routes_bytes);
		while (dhcp_read_route(&c, &to, &via))
			n++;
		assert_false(c.overrun);
		assert_int_equal(n, cases[i].nroutes);
		if (n == 0)
			continue;
		assert_int_equal(to.addr, cases[i].last.addr);
		assert_int_equal(to.prefix, cases[i].last.prefix);
	}
}

static void
more_routes_than_there_is_room_for_are_refused(void **state)
{
	uint8_t bytes[FIXED + 3 * 202] = { 2, 1, 6 }, *at = bytes + FIXED;
	struct dhcp d;

	(void)state;
	put_be32(bytes + AT_MAGIC, 0x63825363);
	for (int piece = 0; piece < 3; piece++) {
		*at++ = 121;
		*at++ = 200; /* 40 default routes */
		at += 200;
	}
	for (int pieces = 1; pieces <= 3; pieces++) {
		struct exact e = exact(bytes, FIXED + (size_t)pieces * 202);

		assert_int_equal(dhcp_parse(&d, &e.c),
		    pieces * 200 <= DHCP_ROUTE_BYTES ? DROP_NONE : DROP_DHCP);
		exact_free(&e);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    routes_are_read_however_they_are_cut_in_pieces),
		cmocka_unit_test(
		    more_routes_than_there_is_room_for_are_refused),
		cmocka_unit_test(the_fixed_fields_are_read),
		cmocka_unit_test(all_options_are_read),
		cmocka_unit_test(messages_cut_off_anywhere_are_refused),
		cmocka_unit_test(each_fixed_field_is_checked),
		cmocka_unit_test(each_option_has_its_lengths),
		cmocka_unit_test(each_value_is_checked),
		cmocka_unit_test(
		    of_an_option_that_comes_twice_the_first_counts),
		cmocka_unit_test(name_servers_add_up_to_what_there_is_room_for),
		cmocka_unit_test(names_that_would_have_to_change_are_left_out),
		cmocka_unit_test(
		    options_overloaded_into_file_and_sname_are_read),
		cmocka_unit_test(file_and_sname_without_overload_are_not_read),
		cmocka_unit_test(overloaded_options_end_with_their_field),
		cmocka_unit_test(overload_does_not_nest),
		cmocka_unit_test(what_is_written_reads_back),
		cmocka_unit_test(a_message_of_nothing_has_the_least_length),
		cmocka_unit_test(
		    a_refusal_carries_its_message_cut_to_an_option),
		cmocka_unit_test(a_message_that_does_not_fit_is_said),
		cmocka_unit_test(without_a_list_every_option_is_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
