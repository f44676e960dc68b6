#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pcap-tools/pcapng.h"
#include "tests/pcap-tools/blocks.h"

static uint8_t buffer[PCAPNG_BLOCK_MAX];

static struct writer
fresh(void)
{
	memset(buffer, 0xee, sizeof(buffer));
	return writer(buffer, sizeof(buffer));
}

static void
assert_bytes(const struct writer *w, const uint8_t *want, size_t n)
{
	assert_false(w->overrun);
	assert_int_equal(w->at - buffer, n);
	assert_memory_equal(buffer, want, n);
}

static void
section_is_these_bytes(void **state)
{
	static const uint8_t want[] = {
		0x0a, 0x0d, 0x0d, 0x0a, /* type */
		0x38, 0, 0, 0,          /* 56 bytes in all */
		0x4d, 0x3c, 0x2b, 0x1a, /* byte order */
		1, 0, 0, 0,             /* version 1.0 */
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 4, 0, 7, 0, 'l',
		'a', 'n', 'y', 'a', 'r', 'd', 0, 1, 0, 5, 0, 'h', 'e', 'l', 'l',
		'o', 0, 0, 0, 0, 0, 0, 0, /* end of options */
		0x38, 0, 0, 0,            /* 56 again */
	};
	struct writer w = fresh();

	(void)state;
	pcapng_section(&w, "lanyard", "hello");
	assert_bytes(&w, want, sizeof(want));
}

static void
interface_is_these_bytes(void **state)
{
	static const uint8_t want[] = {
		1,
		0,
		0,
		0, /* type */
		0x38,
		0,
		0,
		0, /* 56 bytes in all */
		1,
		0,
		0,
		0, /* Ethernet, reserved */
		0x80,
		0,
		0,
		0, /* snaplen 128 */
		2,
		0,
		4,
		0,
		'g',
		'w',
		'.',
		'o',
		3,
		0,
		1,
		0,
		'd',
		0,
		0,
		0,
		9,
		0,
		1,
		0,
		9,
		0,
		0,
		0, /* 10^-9 s */
		11,
		0,
		4,
		0,
		0,
		'a',
		'r',
		'p', /* 0: libpcap's */
		0,
		0,
		0,
		0,
		0x38,
		0,
		0,
		0,
	};
	struct pcapng_interface i = { "gw.o", "d", "arp", 128, 0, NULL };
	struct writer w = fresh();

	(void)state;
	pcapng_interface(&w, &i);
	assert_bytes(&w, want, sizeof(want));
}

static void
an_interface_of_another_link_says_so(void **state)
{
	struct pcapng_interface i = { .name = "air.radio", .linktype = 127 };
	struct writer w = fresh();
	uint8_t *block = w.at;

	(void)state;
	pcapng_interface(&w, &i);
	assert_int_equal(block[8] | block[9] << 8, 127);
}

static void
facts_of_an_interface_are_in_an_option_of_ours(void **state)
{
	struct pcapng_interface i = { .facts = "nat=gw" };
	static const uint8_t want[] = { 0xac, 0x0b, 18, 0, 0xd9, 0x7e, 0, 0,
		'l', 'a', 'n', 'y', 'a', 'r', 'd', ' ', 'n', 'a', 't', '=', 'g',
		'w', 0, 0, 0, 0, 0, 0 };
	struct writer w = fresh();
	uint8_t *block = w.at;

	(void)state;
	pcapng_interface(&w, &i);
	/* behind the header and the resolution of stamps */
	assert_memory_equal(block + 16 + 8, want, sizeof(want));
}

static void
packet_is_these_bytes(void **state)
{
	static const uint8_t data[] = { 1, 2, 3, 4, 5 };
	static const uint8_t want[] = {
		6,
		0,
		0,
		0, /* type */
		0x40,
		0,
		0,
		0, /* 64 bytes in all */
		7,
		0,
		0,
		0, /* interface */
		0x11,
		0x22,
		0x33,
		0x44, /* upper half of the stamp */
		0x55,
		0x66,
		0x77,
		0x88, /* lower half */
		5,
		0,
		0,
		0, /* kept */
		0x40,
		0,
		0,
		0, /* of 64 */
		1,
		2,
		3,
		4,
		5,
		0,
		0,
		0,
		2,
		0,
		4,
		0,
		2,
		0,
		0,
		0, /* outbound */
		1,
		0,
		6,
		0,
		'l',
		'a',
		'n',
		':',
		' ',
		'x',
		0,
		0,
		0,
		0,
		0,
		0,
		0x40,
		0,
		0,
		0,
	};
	struct pcapng_packet p = {
		.interface = 7,
		.flags = PCAPNG_OUTBOUND,
		.at_ns = UINT64_C(0x4433221188776655),
		.kept_bytes = 5,
		.len_bytes = 64,
		.comment_bytes = 6,
		.data = data,
		.comment = "lan: x",
	};
	struct writer w = fresh();

	(void)state;
	pcapng_packet(&w, &p);
	assert_bytes(&w, want, sizeof(want));
}

static void
packet_without_options_has_no_end_of_options(void **state)
{
	struct pcapng_packet p = { .data = (const uint8_t *)"" };
	struct writer w = fresh();

	(void)state;
	pcapng_packet(&w, &p);
	assert_int_equal(w.at - buffer, 32);
}

static void
statistics_are_these_options(void **state)
{
	static const struct {
		uint32_t code;
		uint64_t value;
	} want[] = {
		{ 4, UINT64_C(0x123456789a) },
		{ 5, 3 },
		{ 6, 70 },
		{ 8, 67 },
	};
	struct pcapng_statistics s = {
		.interface = 2,
		.start_ns = UINT64_C(0x0102030405060708),
		.end_ns = UINT64_C(0x1112131415161718),
		.received = UINT64_C(0x123456789a),
		.accepted = 70,
		.dropped = 3,
		.delivered = 67,
	};
	struct writer w = fresh();
	struct bytes file;
	struct block b;

	(void)state;
	pcapng_statistics(&w, &s);
	file = (struct bytes){ buffer, (size_t)(w.at - buffer) };
	b = block_at(&file, BLOCK_STATISTICS, 0);
	assert_int_equal(le32(b.body), 2);
	assert_true(stamp(b.body + 4) == s.end_ns);
	assert_true(stamp(find_option(&b, 12, 2).value) == s.start_ns);
	assert_true(stamp(find_option(&b, 12, 3).value) == s.end_ns);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct option o = find_option(&b, 12, want[i].code);

		assert_int_equal(o.n, 8);
		assert_true(le64(o.value) == want[i].value);
	}
}

static void
text_is_made_utf8(void **state)
{
	static const struct {
		const char *text, *written;
	} rows[] = {
		{ "plain", "plain" },
		{ "", "" },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
		{ "\xe2\x82\xac\xf0\x9f\x98\x80",
		    "\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "a\xff"
		  "b",
		    "a?b" },
		{ "\xc3", "?" },                /* cut off */
		{ "\xe2\x82", "??" },           /* cut off */
		{ "\xc0\xaf", "??" },           /* overlong */
		{ "\xe0\x80\xaf", "???" },      /* overlong */
		{ "\xed\xa0\x80", "???" },      /* a surrogate */
		{ "\xf4\x90\x80\x80", "????" }, /* beyond U+10FFFF */
		{ "\xf0\x80\x80\x80", "????" }, /* overlong */
		{ "\x80z", "?z" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char repaired[32];
		struct writer w = fresh();
		struct bytes file;
		struct block b;

		pcapng_section(&w, rows[i].text, NULL);
		file = (struct bytes){ buffer, (size_t)(w.at - buffer) };
		b = block_at(&file, BLOCK_SECTION, 0);
		assert_option(&b, 16, 4, rows[i].written);
		strcpy(repaired, rows[i].text);
		pcapng_repair(repaired);
		assert_string_equal(repaired, rows[i].written);
	}
}

static void
long_text_is_cut_between_characters(void **state)
{
	char text[PCAPNG_TEXT_MAX + 100];
	struct writer w = fresh();
	struct bytes file;
	struct block b;

	(void)state;
	memset(text, 'a', sizeof(text));
	memcpy(text + PCAPNG_TEXT_MAX - 1, "\xe2\x82\xac", 3);
	text[sizeof(text) - 1] = '\0';
	pcapng_section(&w, text, NULL);
	file = (struct bytes){ buffer, (size_t)(w.at - buffer) };
	b = block_at(&file, BLOCK_SECTION, 0);
	text[PCAPNG_TEXT_MAX - 1] = '\0';
	assert_option(&b, 16, 4, text);
}

static void
block_that_does_not_fit_is_not_begun(void **state)
{
	struct pcapng_interface i = { "gw.outside", "port of gw", "arp", 0, 0,
		"nat=gw" };
	struct pcapng_packet p = { .data = (const uint8_t *)"12345678",
		.kept_bytes = 8,
		.len_bytes = 8,
		.flags = PCAPNG_INBOUND };
	struct pcapng_statistics s = { 0 };
	size_t room = 0;
	unsigned int fit = 0;

	(void)state;
	for (; room < 200; room++) {
		uint8_t *exact = malloc(room + 1);
		struct writer w[4];

		for (int k = 0; k < 4; k++)
			w[k] = writer(exact, room);
		pcapng_section(&w[0], "lanyard", NULL);
		pcapng_interface(&w[1], &i);
		pcapng_packet(&w[2], &p);
		pcapng_statistics(&w[3], &s);
		for (int k = 0; k < 4; k++) {
			assert_int_equal(w[k].overrun, w[k].at == exact);
			fit += !w[k].overrun;
		}
		free(exact);
	}
	assert_true(fit > 0);
}

static void
largest_blocks_fit_what_is_promised(void **state)
{
	char text[PCAPNG_TEXT_MAX + 1];
	struct pcapng_interface i = { text, text, text, 1, 0, text };
	struct pcapng_packet p = {
		.flags = 1,
		.data = (const uint8_t *)"123",
		.kept_bytes = 3,
		.len_bytes = 3,
		.comment = text,
		.comment_bytes = PCAPNG_TEXT_MAX,
	};
	uint8_t room[PCAPNG_PACKET_MAX(3)];
	struct writer w = fresh();

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	pcapng_interface(&w, &i);
	assert_false(w.overrun);
	w = fresh();
	pcapng_section(&w, text, text);
	assert_false(w.overrun);
	w = writer(room, sizeof(room));
	pcapng_packet(&w, &p);
	assert_false(w.overrun);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(section_is_these_bytes),
		cmocka_unit_test(interface_is_these_bytes),
		cmocka_unit_test(an_interface_of_another_link_says_so),
		cmocka_unit_test(
		    facts_of_an_interface_are_in_an_option_of_ours),
		cmocka_unit_test(packet_is_these_bytes),
		cmocka_unit_test(packet_without_options_has_no_end_of_options),
		cmocka_unit_test(statistics_are_these_options),
		cmocka_unit_test(text_is_made_utf8),
		cmocka_unit_test(long_text_is_cut_between_characters),
		cmocka_unit_test(block_that_does_not_fit_is_not_begun),
		cmocka_unit_test(largest_blocks_fit_what_is_promised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
