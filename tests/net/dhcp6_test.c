#include "net/dhcp6.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/net/exact.h"

static const struct mac server = { { 2, 0, 0, 0, 0, 1 } };

#define BYTES(...) { __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

static void
requests_are_read_or_refused(void **state)
{
	static const struct {
		uint8_t bytes[64];
		size_t n;
		enum reason reason;
		uint16_t client_bytes;
		bool dns, domain;
	} rows[] = {
		{ BYTES(11, 1, 2, 3), REASON_NONE, 0, false, false },
		{ BYTES(11, 1, 2, 3, 0, 1, 0, 3, 7, 8, 9, 0, 6, 0, 4, 0, 23, 0,
		      24),
		    REASON_NONE, 3, true, true },
		{ BYTES(11, 1, 2, 3, 0, 6, 0, 2, 0, 24, 0, 8, 0, 2, 0, 0),
		    REASON_NONE, 0, false, true },
		/* for this server, and for another one */
		{ BYTES(11, 1, 2, 3, 0, 2, 0, 10, 0, 3, 0, 1, 2, 0, 0, 0, 0, 1),
		    REASON_NONE, 0, false, false },
		{ BYTES(11, 1, 2, 3, 0, 2, 0, 10, 0, 3, 0, 1, 2, 0, 0, 0, 0, 2),
		    DROP_DHCP6, 0, false, false },
		/* with an address asked for */
		{ BYTES(11, 1, 2, 3, 0, 3, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0,
		      0, 0),
		    DROP_DHCP6, 0, false, false },
		{ BYTES(1, 1, 2, 3), DROP_DHCP6_STATEFUL, 0, false, false },
		{ BYTES(3, 1, 2, 3), DROP_DHCP6_STATEFUL, 0, false, false },
		{ BYTES(7, 1, 2, 3), DROP_DHCP6_STATEFUL, 0, false, false },
		{ BYTES(12, 1, 2, 3), DROP_DHCP6, 0, false, false },
		{ BYTES(0, 1, 2, 3), DROP_DHCP6, 0, false, false },
		{ BYTES(11, 1, 2), DROP_SHORT, 0, false, false },
		{ BYTES(11, 1, 2, 3, 0, 1, 0), DROP_SHORT, 0, false, false },
		{ BYTES(11, 1, 2, 3, 0, 1, 0, 3, 7, 8), DROP_SHORT, 0, false,
		    false },
		{ BYTES(11, 1, 2, 3, 0, 1, 0, 0), DROP_DHCP6, 0, false, false },
		{ BYTES(11, 1, 2, 3, 0, 1, 0, 1, 7, 0, 1, 0, 1, 7), DROP_DHCP6,
		    0, false, false },
		{ BYTES(11, 1, 2, 3, 0, 6, 0, 3, 0, 23, 0), DROP_DHCP6, 0,
		    false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct exact e = exact(rows[i].bytes, rows[i].n);
		struct dhcp6_request r = { .id = 0 };

		print_message("row %zu\n", i);
		assert_int_equal(
		    dhcp6_parse(&r, &e.c, &server), rows[i].reason);
		assert_int_equal(r.client_bytes, rows[i].client_bytes);
		assert_int_equal(r.wants_dns, rows[i].dns);
		assert_int_equal(r.wants_domain, rows[i].domain);
		if (rows[i].reason == REASON_NONE)
			assert_int_equal(r.id, 0x010203);
		exact_free(&e);
	}
}

static void
an_answer_has_what_was_asked_for(void **state)
{
	static const uint8_t want[] = { 7, 1, 2, 3, 0, 2, 0, 10, 0, 3, 0, 1, 2,
		0, 0, 0, 0, 1, 0, 1, 0, 2, 8, 9, 0, 23, 0, 16, 0x20, 1, 0xd,
		0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 24, 0, 5, 3, 'l',
		'a', 'b', 0, 0, 32, 0, 4, 0, 1, 0x51, 0x80 };
	struct dhcp6_request request = { .id = 0x010203,
		.client = { 8, 9 },
		.client_bytes = 2,
		.wants_dns = true,
		.wants_domain = true };
	struct dhcp6_reply reply = { .server = server,
		.dns = { { { 0x20, 1, 0xd, 0xb8, [15] = 1 } } },
		.ndns = 1,
		.domain = "lab",
		.refresh_s = 86400 };
	uint8_t bytes[512];
	struct writer w = writer(bytes, sizeof(bytes));

	(void)state;
	dhcp6_write(&w, &request, &reply);
	assert_int_equal(w.at - bytes, sizeof(want));
	assert_memory_equal(bytes, want, sizeof(want));
	request.wants_dns = request.wants_domain = false;
	w = writer(bytes, sizeof(bytes));
	dhcp6_write(&w, &request, &reply);
	assert_int_equal(w.at - bytes, 4 + 14 + 6 + 8);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_are_read_or_refused),
		cmocka_unit_test(an_answer_has_what_was_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
