#include "base/inet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
addresses_are_literal(void **state)
{
	static const struct {
		const char *text;
		uint16_t port;
		const char *is; /* NULL: none */
	} rows[] = {
		{ "192.0.2.1:5000", 0, "192.0.2.1:5000" },
		{ "192.0.2.1", 4789, "192.0.2.1:4789" },
		{ "192.0.2.1:1", 4789, "192.0.2.1:1" },
		{ "[2001:db8::1]:5000", 0, "[2001:db8::1]:5000" },
		{ "2001:db8::1", 4789, "[2001:db8::1]:4789" },
		{ "[2001:db8::1]", 4789, "[2001:db8::1]:4789" },
		{ "::1", 4789, "[::1]:4789" },
		{ "192.0.2.1", 0, NULL },
		{ "192.0.2.1:0", 0, NULL },
		{ "192.0.2.1:65536", 0, NULL },
		{ "192.0.2.1:http", 0, NULL },
		{ "192.0.2.1: 5", 0, NULL },
		{ "192.0.2.1:", 4789, NULL },
		{ "192.0.2:5000", 0, NULL },
		{ "1:5000", 0, NULL },
		{ "example.org:5000", 0, NULL },
		{ "localhost", 4789, NULL },
		{ "", 4789, NULL },
		{ ":5000", 0, NULL },
		{ "[]:5000", 0, NULL },
		{ "[2001:db8::1:5000", 0, NULL },
		{ "[192.0.2.256]", 4789, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[INET_TEXT_BYTES];
		struct inet inet;
		bool is = inet_read(&inet, rows[i].text, rows[i].port);

		if (is != (rows[i].is != NULL))
			fail_msg("%s: %d", rows[i].text, is);
		if (is)
			assert_string_equal(inet_text(text, &inet), rows[i].is);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_literal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
