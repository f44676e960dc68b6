#include "lab/request.h"

#include <errno.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int
reads(struct request *r, const char *line, struct err *err)
{
	err_clear(err);
	return request_read(r, line, strlen(line), err);
}

static void
every_call_is_read(void **state)
{
	struct request r;
	struct err err;

	(void)state;
	assert_int_equal(reads(&r, "{\"call\": \"info\"}", &err), 0);
	assert_int_equal(r.call, REQUEST_INFO);
	request_free(&r);
	assert_int_equal(
	    reads(&r, "{\"call\": \"show\", \"what\": \"nat\"}", &err), 0);
	assert_int_equal(r.call, REQUEST_SHOW);
	assert_string_equal(r.what, "nat");
	request_free(&r);
	assert_int_equal(reads(&r,
			     "{\"run\": \"ip\", \"node\": \"alice\", "
			     "\"call\": \"exec\"}",
			     &err),
	    0);
	assert_string_equal(r.node, "alice");
	assert_string_equal(r.run, "ip");
	request_free(&r);
	assert_int_equal(reads(&r,
			     "{\"call\": \"set\", \"port\": \"a.eth0\", "
			     "\"down\": true}",
			     &err),
	    0);
	assert_true(r.down);
	assert_non_null(r.link);
	assert_null(r.both);
	request_free(&r);
	assert_int_equal(reads(&r,
			     "{\"call\": \"set\", \"port\": \"a.eth0\", "
			     "\"plain\": true, \"in\": {\"delay\": \"2ms\"}}",
			     &err),
	    0);
	assert_null(r.link);
	assert_true(r.plain);
	assert_string_equal(
	    json_string_value(json_object_get(r.in, "delay")), "2ms");
	request_free(&r);
	assert_int_equal(reads(&r,
			     "{\"call\": \"capture\", \"at\": [\"a.eth0\", "
			     "\"b.eth0\"], \"file\": \"/tmp/x\"}",
			     &err),
	    0);
	assert_int_equal(r.nports, 2);
	assert_string_equal(r.at[1], "b.eth0");
	assert_null(r.filter);
	request_free(&r);
	assert_int_equal(reads(&r, "{\"call\": \"stop\"}", &err), 0);
	assert_int_equal(r.call, REQUEST_STOP);
	request_free(&r);
}

static void
malformed_requests_are_refused_in_words(void **state)
{
	static const struct {
		const char *line, *says;
	} cases[] = {
		{ "", "not JSON" },
		{ "{", "not JSON" },
		{ "show nat", "not JSON" },
		{ "{\"call\": \"info\"} x", "not JSON" },
		{ "{\"call\": \"info\", \"call\": \"stop\"}", "not JSON" },
		{ "[]", "\"call\": NAME" },
		{ "{}", "\"call\": NAME" },
		{ "{\"call\": 1}", "\"call\": NAME" },
		{ "{\"call\": \"shwo\"}", "did you mean \"show\"?" },
		{ "{\"call\": \"dance\"}", "not known" },
		{ "{\"call\": \"show\"}", "lacks \"what\"" },
		{ "{\"call\": \"show\", \"what\": 1}", "must be text" },
		{ "{\"call\": \"show\", \"what\": null}", "must be text" },
		{ "{\"call\": \"info\", \"x\": 1}", "\"x\" is not known" },
		{ "{\"call\": \"set\", \"port\": \"a\", \"down\": 1}",
		    "true or false" },
		{ "{\"call\": \"set\", \"port\": \"a\", \"in\": []}",
		    "must be {KEY: VALUE}" },
		{ "{\"call\": \"set\", \"port\": \"a\", \"both\": "
		  "{\"delay\": 1}}",
		    "must be text" },
		{ "{\"call\": \"capture\", \"file\": \"/x\", \"at\": []}",
		    "list of 1 to" },
		{ "{\"call\": \"capture\", \"file\": \"/x\", \"at\": [1]}",
		    "list of names" },
		{ "{\"call\": \"capture\", \"file\": \"/x\", \"at\": \"a\"}",
		    "list of 1 to" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct request r;
		struct err err;

		assert_int_equal(reads(&r, cases[i].line, &err), -EINVAL);
		if (strstr(err.text, cases[i].says) == NULL)
			print_error("%s: %s\n", cases[i].line, err.text);
		assert_non_null(strstr(err.text, cases[i].says));
		assert_null(r.json);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_is_read),
		cmocka_unit_test(malformed_requests_are_refused_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
