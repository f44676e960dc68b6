#include "net/dns.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/net/exact.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

/* A message of fewer than 512 bytes, made piece by piece. */
struct made {
	uint8_t bytes[1024];
	struct writer w;
};

static void
start(struct made *m, uint16_t flags, uint16_t nquestions, uint16_t nanswers)
{
	m->w = writer(m->bytes, sizeof(m->bytes));
	wr_be16(&m->w, 0x1234);
	wr_be16(&m->w, flags);
	wr_be16(&m->w, nquestions);
	wr_be16(&m->w, nanswers);
	wr_be32(&m->w, 0);
}

static void
add(struct made *m, const void *bytes, size_t len)
{
	wr_bytes(&m->w, bytes, len);
	assert_false(m->w.overrun);
}

/* Text, without its end, as bytes. */
#define ADD(m, text) add(m, text, sizeof(text) - 1)

static struct exact
done(const struct made *m)
{
	return exact(m->bytes, (size_t)(m->w.at - m->bytes));
}

static enum reason
parse(struct dns *dns, const struct made *m)
{
	struct exact e = done(m);
	enum reason reason = dns_parse(dns, &e.c);

	assert_true(e.c.at <= e.c.end && e.c.at >= e.data);
	exact_free(&e);
	return reason;
}

#define QUESTION "\6server\3lan\0\0\1\0\1"

static void
a_question_is_read(void **state)
{
	struct made m;
	struct dns d;

	(void)state;
	start(&m, DNS_FLAG_RECURSE, 1, 0);
	ADD(&m, "\6SerVer\3LAN\0\0\34\0\1");
	assert_int_equal(parse(&d, &m), DROP_NONE);
	assert_int_equal(d.id, 0x1234);
	assert_int_equal(d.flags, DNS_FLAG_RECURSE);
	assert_string_equal(d.name, "server.lan");
	assert_int_equal(d.type, DNS_TYPE_AAAA);
	assert_int_equal(d.class, DNS_CLASS_IN);
	assert_int_equal(d.naddrs, 0);
	assert_int_equal(d.ttl_s, 0);
}

/* RFC 6891 6.1.3: the flag DO is the highest bit of the lower half of what is a
 * time to live elsewhere. */
static void
a_validators_question_is_known_by_its_flag(void **state)
{
	struct made m;
	struct dns d;

	(void)state;
	for (int validator = 0; validator <= 1; validator++) {
		start(&m, DNS_FLAG_RECURSE | DNS_FLAG_CHECKING, 1, 0);
		put_be16(m.bytes + 10, 1);
		ADD(&m, QUESTION);
		if (validator)
			ADD(&m, "\0\0\51\20\0\0\0\200\0\0\0");
		else
			ADD(&m, "\0\0\51\20\0\0\0\0\0\0\0");
		assert_int_equal(parse(&d, &m), DROP_NONE);
		assert_int_equal(d.dnssec, validator);
		assert_true(d.flags & DNS_FLAG_CHECKING);
	}
}

static void
ip6_addresses_and_names_are_read_through_aliases(void **state)
{
	struct made m;
	struct dns d;

	(void)state;
	start(&m, DNS_FLAG_RESPONSE, 1, 2);
	ADD(&m, "\6server\3lan\0\0\34\0\1");
	ADD(&m, "\300\14\0\5\0\1\0\0\0\11\0\7\1b\3lan\0");
	ADD(&m,
	    "\1b\3lan\0\0\34\0\1\0\0\0\7\0\20"
	    "\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\5");
	assert_int_equal(parse(&d, &m), DROP_NONE);
	assert_int_equal(d.naddrs6, 1);
	assert_int_equal(d.addr6[0].b[0], 0x20);
	assert_int_equal(d.addr6[0].b[15], 5);
	assert_string_equal(d.alias, "b.lan");
	assert_int_equal(d.ttl_s, 7);

	start(&m, DNS_FLAG_RESPONSE, 1, 1);
	ADD(&m, "\1a\3lan\0\0\14\0\1");
	ADD(&m, "\300\14\0\14\0\1\0\0\0\7\0\7\1c\3lan\0");
	assert_int_equal(parse(&d, &m), DROP_NONE);
	assert_string_equal(d.host, "c.lan");
	/* An address of a wrong length. */
	start(&m, DNS_FLAG_RESPONSE, 1, 1);
	ADD(&m, "\1a\3lan\0\0\34\0\1");
	ADD(&m, "\300\14\0\34\0\1\0\0\0\7\0\4\1\2\3\4");
	assert_int_equal(parse(&d, &m), DROP_DNS);
}

static void
the_root_has_an_empty_name(void **state)
{
	struct made m;
	struct dns d;

	(void)state;
	start(&m, 0, 1, 0);
	ADD(&m, "\0\0\1\0\1");
	assert_int_equal(parse(&d, &m), DROP_NONE);
	assert_string_equal(d.name, "");
}

static void
other_counts_of_questions_are_refused(void **state)
{
	static const uint16_t counts[] = { 0, 2, 256, 65535 };
	struct made m;
	struct dns d;

	(void)state;
	for (size_t i = 0; i < NITEMS(counts); i++) {
		start(&m, 0, counts[i], 0);
		ADD(&m, QUESTION QUESTION);
		assert_int_equal(parse(&d, &m), DROP_DNS);
	}
	/* A question that carries answers is none. */
	start(&m, 0, 1, 1);
	ADD(&m, QUESTION "\300\14\0\1\0\1\0\0\0\1\0\4\1\2\3\4");
	assert_int_equal(parse(&d, &m), DROP_DNS);
}

/* An answer of an alias, an address of that, one of another name, one of
 * another type, and a second address. */
static void
make_answer(struct made *m)
{
	start(m, DNS_FLAG_RESPONSE | DNS_FLAG_RECURSION, 1, 5);
	ADD(m, "\3www\3lan\0\0\1\0\1"); /* 12: www.lan, 16: lan */
	ADD(m, "\300\14\0\5\0\1\0\0\0\144\0\11\6server\300\20"); /* 37 */
	ADD(m, "\300\45\0\1\0\1\0\0\0\62\0\4\12\0\0\1");
	ADD(m, "\4evil\300\20\0\1\0\1\0\0\0\1\0\4\6\6\6\6");
	ADD(m, "\300\45\0\20\0\1\0\0\0\1\0\3\2hi");
	ADD(m, "\6SERVER\3lan\0\0\1\0\1\0\0\0\74\0\4\12\0\0\2");
}

static void
answers_are_read_through_aliases(void **state)
{
	struct made m;
	struct dns d;

	(void)state;
	make_answer(&m);
	assert_int_equal(parse(&d, &m), DROP_NONE);
	assert_string_equal(d.name, "www.lan");
	assert_int_equal(d.naddrs, 2);
	assert_int_equal(d.addr[0], 0x0a000001);
	assert_int_equal(d.addr[1], 0x0a000002);
	assert_int_equal(d.ttl_s, 50);
}

static void
messages_cut_off_anywhere_are_refused(void **state)
{
	struct made m;
	struct exact whole;

	(void)state;
	make_answer(&m);
	whole = done(&m);
	for (size_t len = 0; len < whole.len; len++) {
		struct exact e = exact(whole.data, len);
		struct dns d = { .type = 77 };

		assert_int_equal(dns_parse(&d, &e.c), DROP_SHORT);
		assert_int_equal(d.type, 77);
		assert_true(e.c.at <= e.c.end);
		exact_free(&e);
	}
	exact_free(&whole);
}

/* Names that begin at byte 12, behind the header. */
static void
names_that_cannot_be_are_refused(void **state)
{
	static const struct {
		const char *what;
		const char *bytes;
		size_t len;
		enum reason reason;
	} cases[] = {
#define NAME(what, text, reason) { what, text, sizeof(text) - 1, reason }
		NAME("a pointer to itself", "\300\14", DROP_DNS),
		NAME("a pointer forwards", "\300\16\0", DROP_DNS),
		NAME("a pointer into its own piece", "\1a\300\14", DROP_DNS),
		NAME("a pointer to its own second label", "\1a\1b\300\16",
		    DROP_DNS),
		NAME("a pointer behind the end", "\377\377", DROP_DNS),
		NAME("a pointer into the header", "\1a\300\0", DROP_DNS),
		NAME("a pointer to the header's end", "\1a\300\13", DROP_DNS),
		NAME("half a pointer", "\1a\300", DROP_SHORT),
		NAME("a label of 64", "\100aaaaaaaa", DROP_DNS),
		NAME("a label of 128", "\200aaaaaaaa", DROP_DNS),
		NAME("a dot in a label", "\3a.b\0\0\1\0\1", DROP_DNS),
		NAME("a space in a label", "\3a b\0\0\1\0\1", DROP_DNS),
		NAME("an end in a label", "\3a\0b\0\0\1\0\1", DROP_DNS),
		NAME("an escape in a label", "\3a\33b\0\0\1\0\1", DROP_DNS),
		NAME("a delete in a label", "\3a\177b\0\0\1\0\1", DROP_DNS),
		NAME("not ASCII", "\3a\344b\0\0\1\0\1", DROP_DNS),
		NAME("a label beyond the end", "\77abc", DROP_SHORT),
		NAME("no end", "\1a", DROP_SHORT),
		NAME("service labels", "\4_sip\4_udp\1a\0\0\1\0\1", DROP_NONE),
#undef NAME
	};
	struct made m;
	struct dns d;

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		enum reason reason;

		start(&m, 0, 1, 0);
		add(&m, cases[i].bytes, cases[i].len);
		reason = parse(&d, &m);
		if (reason != cases[i].reason)
			fail_msg("%s: %s", cases[i].what, reason_name(reason));
	}
}

/* Two answers whose names point at each other, back and forth. */
static void
pointers_cannot_loop(void **state)
{
	struct made m;
	struct dns d;

	(void)state;
	start(&m, DNS_FLAG_RESPONSE, 1, 2);
	ADD(&m, "\1a\0\0\1\0\1");                          /* 12..18 */
	ADD(&m, "\1b\300\43\0\1\0\1\0\0\0\1\0\4\1\2\3\4"); /* 19: to 35 */
	ADD(&m, "\1c\300\23\0\1\0\1\0\0\0\1\0\4\1\2\3\4");
	assert_int_equal(parse(&d, &m), DROP_DNS);
}

/* Each name is a label and a pointer to the one before: the chain is as long
 * as the message allows, and each step goes back. */
static void
long_chains_of_pointers_end(void **state)
{
	struct made m;
	struct dns d;
	size_t at = 12;

	(void)state;
	start(&m, DNS_FLAG_RESPONSE, 1, 40);
	ADD(&m, "\1a\0\0\1\0\1");
	for (int i = 0; i < 40; i++) {
		size_t here = (size_t)(m.w.at - m.bytes);

		ADD(&m, "\1b");
		wr_be16(&m.w, (uint16_t)(0xc000 | at));
		ADD(&m, "\0\1\0\1\0\0\0\1\0\4\1\2\3\4");
		at = here;
	}
	assert_int_equal(parse(&d, &m), DROP_NONE);
	assert_int_equal(d.naddrs, 0);
}

/* Labels of 1, and one that fills up to len of text. */
static void
add_long_name(struct made *m, size_t len)
{
	static const char filler[64] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
				       "xxxxxxxxxxxxxxxxxxxxxxxxxx";

	while (len > 0) {
		size_t n = len > 63 ? 63 : len;

		if (len == 64) /* leaves one for a dot and none behind it */
			n = 62;
		wr_u8(&m->w, (uint8_t)n);
		wr_bytes(&m->w, filler, n);
		len -= n;
		if (len > 0)
			len--; /* the dot */
	}
	wr_u8(&m->w, 0);
}

static void
the_longest_name_is_253_letters(void **state)
{
	struct made m;
	struct dns d;

	(void)state;
	for (size_t len = 1; len < 400; len++) {
		start(&m, 0, 1, 0);
		add_long_name(&m, len);
		ADD(&m, "\0\1\0\1");
		assert_int_equal(
		    parse(&d, &m), len <= 253 ? DROP_NONE : DROP_DNS);
		if (len <= 253)
			assert_int_equal(strlen(d.name), len);
	}
}

static void
answers_that_contradict_themselves_are_refused(void **state)
{
	static const struct {
		const char *what;
		const char *bytes;
		size_t len;
		enum reason reason;
	} cases[] = {
#define RECORD(what, text, reason) { what, text, sizeof(text) - 1, reason }
		RECORD("an address of 3 bytes",
		    "\300\14\0\1\0\1\0\0\0\1\0\3\1\2\3", DROP_DNS),
		RECORD("an address of 5 bytes",
		    "\300\14\0\1\0\1\0\0\0\1\0\5\1\2\3\4\5", DROP_DNS),
		RECORD("an address of 0 bytes", "\300\14\0\1\0\1\0\0\0\1\0\0",
		    DROP_DNS),
		RECORD("data beyond the end",
		    "\300\14\0\1\0\1\0\0\0\1\377\377\1\2\3\4", DROP_SHORT),
		RECORD("an alias that ends before its data",
		    "\300\14\0\5\0\1\0\0\0\1\0\4\1x\0\0", DROP_DNS),
		RECORD("an alias that ends behind its data",
		    "\300\14\0\5\0\1\0\0\0\1\0\2\1x\0", DROP_SHORT),
		RECORD("an alias that points to itself",
		    "\300\14\0\5\0\1\0\0\0\1\0\2\300\51", DROP_DNS),
		RECORD("an alias of itself is one",
		    "\300\14\0\5\0\1\0\0\0\1\0\2\300\14", DROP_NONE),
		RECORD("another type may have any data",
		    "\300\14\0\20\0\1\0\0\0\1\0\0", DROP_NONE),
		RECORD("another class is not ours",
		    "\300\14\0\1\0\3\0\0\0\1\0\0", DROP_NONE),
#undef RECORD
	};
	struct made m;
	struct dns d;

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		enum reason reason;

		start(&m, DNS_FLAG_RESPONSE, 1, 1);
		ADD(&m, QUESTION);
		add(&m, cases[i].bytes, cases[i].len);
		reason = parse(&d, &m);
		if (reason != cases[i].reason)
			fail_msg("%s: %s", cases[i].what, reason_name(reason));
		if (reason == DROP_NONE)
			assert_int_equal(d.naddrs, 0);
	}
}

static void
a_count_of_answers_that_lies_is_short(void **state)
{
	struct made m;
	struct dns d;

	(void)state;
	start(&m, DNS_FLAG_RESPONSE, 1, 65535);
	ADD(&m, QUESTION "\300\14\0\1\0\1\0\0\0\1\0\4\1\2\3\4");
	assert_int_equal(parse(&d, &m), DROP_SHORT);
}

static void
more_answers_than_there_is_room_for_are_left(void **state)
{
	struct made m;
	struct dns d;

	(void)state;
	start(&m, DNS_FLAG_RESPONSE, 1, 20);
	ADD(&m, QUESTION);
	for (int i = 0; i < 20; i++) {
		ADD(&m, "\300\14\0\1\0\1");
		wr_be32(&m.w, 100 - (uint32_t)i);
		ADD(&m, "\0\4\12\0\0");
		wr_u8(&m.w, (uint8_t)i);
	}
	assert_int_equal(parse(&d, &m), DROP_NONE);
	assert_int_equal(d.naddrs, DNS_MAX_ANSWERS);
	assert_int_equal(d.addr[7], 0x0a000007);
	assert_int_equal(d.ttl_s, 81);
}

static void
a_time_to_live_is_31_bits(void **state)
{
	static const struct {
		uint32_t sent, read;
	} cases[] = { { 0, 0 }, { 0x7fffffff, 0x7fffffff }, { 0x80000000, 0 },
		{ 0xffffffff, 0 } };
	struct made m;
	struct dns d;

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		start(&m, DNS_FLAG_RESPONSE, 1, 1);
		ADD(&m, QUESTION "\300\14\0\1\0\1");
		wr_be32(&m.w, cases[i].sent);
		ADD(&m, "\0\4\1\2\3\4");
		assert_int_equal(parse(&d, &m), DROP_NONE);
		assert_int_equal(d.ttl_s, cases[i].read);
	}
}

static void
sections_behind_the_answers_are_not_looked_at(void **state)
{
	struct made m;
	struct dns d;

	(void)state;
	start(&m, DNS_FLAG_RECURSE, 1, 0);
	m.bytes[11] = 1; /* one additional record: EDNS, as resolvers send */
	ADD(&m, QUESTION "\0\0\51\20\0\0\0\0\0\0\0");
	assert_int_equal(parse(&d, &m), DROP_NONE);
	assert_string_equal(d.name, "server.lan");
}

static void
what_is_written_reads_back(void **state)
{
	static const struct dns cases[] = {
		{ .id = 1,
		    .flags = DNS_FLAG_RECURSE,
		    .name = "server.lan",
		    .type = DNS_TYPE_A,
		    .class = DNS_CLASS_IN },
		{ .id = 0xffff,
		    .flags = DNS_FLAG_RESPONSE | DNS_FLAG_AUTHORITY,
		    .name = "a",
		    .type = DNS_TYPE_A,
		    .class = DNS_CLASS_IN,
		    .naddrs = 1,
		    .addr = { 0x0a000001 },
		    .ttl_s = 60 },
		{ .flags = DNS_FLAG_RESPONSE,
		    .name = "x.y.z.example",
		    .type = DNS_TYPE_A,
		    .class = DNS_CLASS_IN,
		    .naddrs = 8,
		    .addr = { 1, 2, 3, 4, 5, 6, 7, 0xffffffff },
		    .ttl_s = 0 },
		{ .flags = DNS_FLAG_RESPONSE | DNS_NXDOMAIN,
		    .name = "",
		    .type = DNS_TYPE_AAAA,
		    .class = 255 },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		uint8_t out[DNS_MAX_BYTES];
		struct writer w = writer(out, sizeof(out));
		struct exact e;
		struct dns d;

		dns_write(&w, &cases[i]);
		assert_false(w.overrun);
		e = exact(out, (size_t)(w.at - out));
		assert_int_equal(dns_parse(&d, &e.c), DROP_NONE);
		assert_int_equal(cur_left(&e.c), 0);
		assert_int_equal(d.id, cases[i].id);
		assert_int_equal(d.flags, cases[i].flags);
		assert_string_equal(d.name, cases[i].name);
		assert_int_equal(d.type, cases[i].type);
		assert_int_equal(d.class, cases[i].class);
		assert_int_equal(d.naddrs, cases[i].naddrs);
		assert_memory_equal(d.addr, cases[i].addr, sizeof(d.addr));
		assert_int_equal(d.ttl_s, cases[i].ttl_s);
		exact_free(&e);
	}
}

static void
names_that_cannot_be_are_not_written(void **state)
{
	static const char *const cases[] = { ".", "a..b", ".a", "a.." };
	uint8_t out[DNS_MAX_BYTES];

	(void)state;
	for (size_t i = 0; i < NITEMS(cases); i++) {
		struct dns d = { .type = DNS_TYPE_A };
		struct writer w = writer(out, sizeof(out));

		strcpy(d.name, cases[i]);
		dns_write(&w, &d);
		assert_true(w.overrun);
	}
	for (size_t len = 60; len < DNS_NAME_BYTES; len++) {
		struct dns d = { .type = DNS_TYPE_A };
		struct writer w = writer(out, sizeof(out));

		/* One label, then many. */
		memset(d.name, 'x', len);
		dns_write(&w, &d);
		assert_int_equal(w.overrun, len > 63);
		for (size_t at = 1; at < len - 1; at += 2)
			d.name[at] = '.';
		w = writer(out, sizeof(out));
		dns_write(&w, &d);
		assert_int_equal(w.overrun, len > 253);
	}
}

static void
a_message_that_does_not_fit_is_said(void **state)
{
	struct dns d = { .flags = DNS_FLAG_RESPONSE,
		.name = "server.lan",
		.type = DNS_TYPE_A,
		.class = DNS_CLASS_IN,
		.naddrs = 2 };
	const size_t need = 12 + 12 + 4 + 2 * 16;
	uint8_t out[DNS_MAX_BYTES] = { 0 };

	(void)state;
	for (size_t room = 0; room <= need; room++) {
		struct exact e = exact(out, room);
		struct writer w = writer(e.data, room);

		dns_write(&w, &d);
		assert_int_equal(w.overrun, room < need);
		exact_free(&e);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_question_is_read),
		cmocka_unit_test(a_validators_question_is_known_by_its_flag),
		cmocka_unit_test(
		    ip6_addresses_and_names_are_read_through_aliases),
		cmocka_unit_test(the_root_has_an_empty_name),
		cmocka_unit_test(other_counts_of_questions_are_refused),
		cmocka_unit_test(answers_are_read_through_aliases),
		cmocka_unit_test(messages_cut_off_anywhere_are_refused),
		cmocka_unit_test(names_that_cannot_be_are_refused),
		cmocka_unit_test(pointers_cannot_loop),
		cmocka_unit_test(long_chains_of_pointers_end),
		cmocka_unit_test(the_longest_name_is_253_letters),
		cmocka_unit_test(
		    answers_that_contradict_themselves_are_refused),
		cmocka_unit_test(a_count_of_answers_that_lies_is_short),
		cmocka_unit_test(more_answers_than_there_is_room_for_are_left),
		cmocka_unit_test(a_time_to_live_is_31_bits),
		cmocka_unit_test(sections_behind_the_answers_are_not_looked_at),
		cmocka_unit_test(what_is_written_reads_back),
		cmocka_unit_test(names_that_cannot_be_are_not_written),
		cmocka_unit_test(a_message_that_does_not_fit_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
