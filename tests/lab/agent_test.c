#include "lab/agent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct heard {
	struct agent agent;
	unsigned int ready, done;
	int status;
	char output[256];
	size_t len;
};

static void
on_ready(void *arg)
{
	struct heard *h = arg;

	h->ready++;
}

static void
on_output(void *arg, const char *bytes, size_t len)
{
	struct heard *h = arg;

	assert_true(h->len + len < sizeof(h->output));
	memcpy(h->output + h->len, bytes, len);
	h->len += len;
	h->output[h->len] = '\0';
}

static void
on_done(void *arg, int status)
{
	struct heard *h = arg;

	h->done++;
	h->status = status;
}

static const struct agent_calls calls = { on_ready, on_output, on_done };

static int
setup(void **state)
{
	struct heard *h = calloc(1, sizeof(*h));

	agent_init(&h->agent, &calls, h);
	*state = h;
	return 0;
}

static int
teardown(void **state)
{
	free(*state);
	return 0;
}

static void
feed(struct heard *h, const char *text)
{
	agent_feed(&h->agent, text, strlen(text));
}

static void
a_command_has_output_and_a_status(void **state)
{
	struct heard *h = *state;

	feed(h,
	    "noise of the start\x1e"
	    "ready\n");
	assert_int_equal(h->ready, 1);
	assert_int_equal(h->len, 0);
	agent_started(&h->agent);
	feed(h,
	    "PING\nPONG\n\x1e"
	    "3\n");
	assert_string_equal(h->output, "PING\nPONG\n");
	assert_int_equal(h->done, 1);
	assert_int_equal(h->status, 3);
	assert_false(h->agent.busy);
}

static void
bytes_may_come_one_by_one(void **state)
{
	struct heard *h = *state;
	static const char text[] = "\x1e"
				   "ready\n"
				   "a\nb"
				   "\x1e"
				   "255\n";

	for (size_t i = 0; i < sizeof(text) - 1; i++) {
		agent_feed(&h->agent, text + i, 1);
		if (i == 6)
			agent_started(&h->agent);
	}
	assert_string_equal(h->output, "a\nb");
	assert_int_equal(h->status, 255);
}

static void
records_without_sense_are_counted(void **state)
{
	static const char *const records[] = { "\x1e\n",
		"\x1e"
		"256\n",
		"\x1e"
		"-1\n",
		"\x1e"
		"1 \n",
		"\x1e"
		"0x1\n",
		"\x1e"
		"ready \n",
		"\x1e"
		"0000\n",
		"\x1e"
		"a very long record that does not end soon\n" };
	struct heard *h = *state;

	feed(h,
	    "\x1e"
	    "ready\n");
	agent_started(&h->agent);
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++)
		feed(h, records[i]);
	assert_int_equal(h->agent.refused, 8);
	assert_int_equal(h->done, 0);
	assert_true(h->agent.busy);
	feed(h,
	    "\x1e"
	    "0\n");
	assert_int_equal(h->done, 1);
	/* A status that nobody waits for. */
	feed(h,
	    "\x1e"
	    "0\n");
	assert_int_equal(h->done, 1);
	assert_int_equal(h->agent.refused, 9);
}

static void
a_guest_may_start_anew_amid_a_command(void **state)
{
	struct heard *h = *state;

	feed(h,
	    "\x1e"
	    "ready\n");
	agent_started(&h->agent);
	feed(h,
	    "half of a li\x1e"
	    "ready\n");
	assert_int_equal(h->ready, 2);
	assert_int_equal(h->done, 0);
	assert_false(h->agent.busy);
}

static void
commands_are_one_printable_line(void **state)
{
	(void)state;
	assert_true(agent_can_run("ping -c 1 10.0.0.1"));
	assert_true(agent_can_run("nc 10.0.0.1 80 gr\xc3\xbc\xc3\x9f"));
	assert_false(agent_can_run("ip\nip"));
	assert_false(agent_can_run("ip\x1e"));
	assert_false(agent_can_run("ip\x7f"));
}

/* In pieces of each length: what came back of the question may be cut. */
static void
a_guest_that_runs_a_command_is_adopted(void **state)
{
	struct heard *h = *state;
	static const char says[] = "anybody-7 of before\x1e"
				   "1\n";
	static const char answer[] = "sh: anybody-1f: not found\n\x1e"
				     "127\n";

	for (size_t piece = 1; piece < sizeof(answer); piece++) {
		agent_init(&h->agent, &calls, h);
		h->ready = h->done = 0;
		assert_string_equal(
		    agent_adopt(&h->agent, 0x1f), "anybody-1f\n");
		feed(h, says);
		assert_int_equal(h->ready, 0);
		for (size_t at = 0; at < sizeof(answer) - 1; at += piece) {
			size_t n = sizeof(answer) - 1 - at;

			agent_feed(
			    &h->agent, answer + at, n < piece ? n : piece);
		}
		assert_int_equal(h->ready, 1);
		assert_int_equal(h->done, 0);
	}
	agent_started(&h->agent);
	feed(h,
	    "anybody-1f\n\x1e"
	    "2\n");
	assert_int_equal(h->done, 1);
	assert_int_equal(h->status, 2);
}

/* It was starting when it was kept: the answer comes after that, and is none of
 * the first command. */
static void
a_guest_that_starts_is_adopted(void **state)
{
	struct heard *h = *state;

	agent_adopt(&h->agent, 1);
	feed(h,
	    "\x1e"
	    "ready\n");
	assert_int_equal(h->ready, 1);
	agent_started(&h->agent);
	feed(h,
	    "anybody-1: no such command; try help\n\x1e"
	    "127\n");
	assert_int_equal(h->done, 0);
	feed(h,
	    "yes\n\x1e"
	    "0\n");
	assert_int_equal(h->done, 1);
	assert_int_equal(h->status, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    a_command_has_output_and_a_status, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    bytes_may_come_one_by_one, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    records_without_sense_are_counted, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_guest_may_start_anew_amid_a_command, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_guest_that_runs_a_command_is_adopted, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    a_guest_that_starts_is_adopted, setup, teardown),
		cmocka_unit_test(commands_are_one_printable_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
