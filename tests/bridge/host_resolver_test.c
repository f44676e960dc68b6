#include "bridge/host_resolver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))

static void
the_first_address_that_is_named_answers(void **state)
{
	static const struct {
		const char *text;
		uint32_t addr;
	} each[] = {
		{ "", 0 },
		{ "nameserver 192.0.2.53\n", 0xc0000235 },
		{ "nameserver 192.0.2.53", 0xc0000235 },
		{ "\t nameserver\t192.0.2.53 # ours\n", 0xc0000235 },
		{ "nameserver 192.0.2.1\nnameserver 192.0.2.2\n", 0xc0000201 },
		{ "search example\nnameserver 2001:db8::1\n"
		  "nameserver 127.0.0.53\n",
		    0x7f000035 },
		{ "#nameserver 192.0.2.1\n", 0 },
		{ "; nameserver 192.0.2.1\n", 0 },
		{ "options nameserver 192.0.2.1\n", 0 },
		{ "nameservers 192.0.2.1\n", 0 },
		{ "nameserver\n192.0.2.1\n", 0 },
		{ "nameserver 192.0.2\n", 0 },
		{ "nameserver 192.0.2.1.2.3.4.5.6.7.8.9\n", 0 },
		{ "nameserver", 0 },
	};

	(void)state;
	for (size_t i = 0; i < NITEMS(each); i++)
		if (host_resolver_find(each[i].text, strlen(each[i].text)) !=
		    each[i].addr)
			fail_msg("\"%s\"", each[i].text);
}

static void
nothing_behind_the_end_is_read(void **state)
{
	const char *text = "nameserver 192.0.2.1";

	(void)state;
	assert_int_equal(host_resolver_find(text, strlen(text) - 1), 0);
	assert_int_equal(host_resolver_find(text, 10), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_address_that_is_named_answers),
		cmocka_unit_test(nothing_behind_the_end_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
