#include "lab/run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/loop.h"
#include "tests/lab/load.h"

/* A lab run in virtual time: its status, and what it printed. */
struct ran {
	int status;
	char *out;
	struct err err;
};

static struct ran
run_text(const char *text, uint64_t seed, uint64_t for_ns, bool json)
{
	struct ran ran = { .err = { "" } };
	struct run_options options = {
		.virtual_time = true,
		.seed = seed,
		.for_ns = for_ns,
		.json = json,
		.notes = stderr,
	};
	struct loaded l;
	size_t len;

	load_text(&l, "t.yaml", text, strlen(text));
	if (l.lab == NULL)
		problems_print(&l.problems, stderr);
	assert_non_null(l.lab);
	options.out = open_memstream(&ran.out, &len);
	ran.status = run_lab(l.lab, &options, &ran.err);
	fclose(options.out);
	load_free(&l);
	return ran;
}

#define TWO_HOSTS                                                        \
	"lab: t\n"                                                       \
	"switches: {lan: }\n"                                            \
	"hosts:\n"                                                       \
	"  a: {switch: lan, address: 10.0.0.1/24, send: {to: 10.0.0.2, " \
	"every: 1s, count: 5}}\n"                                        \
	"  b: {switch: lan, address: 10.0.0.2/24}\n"

static void
expectations_that_are_met_end_the_lab(void **state)
{
	struct ran ran = run_text(TWO_HOSTS
	    "expect:\n"
	    "  - {within: 9s, at: b.eth0, filter: icmp, frames: \">=4\"}\n",
	    1, 0, false);

	(void)state;
	assert_int_equal(ran.status, 0);
	assert_non_null(strstr(ran.out, "1 of 1 expectations met"));
	assert_non_null(strstr(ran.out, "10.0.0.1 > 10.0.0.2"));
	free(ran.out);
}

static void
an_expectation_fails_when_its_time_is_over(void **state)
{
	struct ran ran = run_text(TWO_HOSTS
	    "expect:\n"
	    "  - {within: 3s, at: b.eth0, filter: icmp, frames: \">=99\"}\n",
	    1, 0, false);

	(void)state;
	assert_int_equal(ran.status, 1);
	assert_non_null(strstr(ran.out, "time is over"));
	assert_non_null(strstr(ran.out, "0 of 1 expectations met, 3.00 s"));
	free(ran.out);
}

static void
a_lab_waits_for_its_events_unless_it_failed(void **state)
{
#define EVENT "events:\n  - {at: 1h, set: a.eth0, down: true}\n"
	struct ran ran = run_text(TWO_HOSTS EVENT
	    "expect:\n"
	    "  - {within: 3s, at: b.eth0, filter: icmp, frames: \">=99\"}\n",
	    1, 0, false);

	(void)state;
	assert_int_equal(ran.status, 1);
	assert_non_null(strstr(ran.out, "0 of 1 expectations met, 3.00 s"));
	free(ran.out);
	ran = run_text(TWO_HOSTS EVENT
	    "expect:\n"
	    "  - {within: 3s, at: b.eth0, filter: icmp, frames: \">=1\"}\n",
	    1, 0, false);
	assert_int_equal(ran.status, 0);
	assert_non_null(strstr(ran.out, "a.eth0: the link is down"));
	free(ran.out);
#undef EVENT
}

static void
what_must_never_be_seen_fails_at_once(void **state)
{
	struct ran ran = run_text(TWO_HOSTS
	    "expect:\n"
	    "  - {within: 1h, at: b.eth0, filter: icmp, frames: 0}\n",
	    1, 0, false);

	(void)state;
	assert_int_equal(ran.status, 1);
	assert_non_null(strstr(ran.out, "too many"));
	assert_null(strstr(ran.out, "3600"));
	free(ran.out);
}

static void
always_is_judged_at_the_end(void **state)
{
	struct ran ran = run_text(TWO_HOSTS
	    "expect:\n"
	    "  - {always: true, at: a.eth0, filter: udp, frames: 0}\n"
	    "  - {always: true, at: a.eth0, filter: icmp, frames: \"<5\"}\n",
	    1, 20 * NS_PER_S, false);

	(void)state;
	assert_int_equal(ran.status, 1);
	assert_non_null(strstr(ran.out, "1 of 2 expectations met"));
	free(ran.out);
}

static void
after_begins_to_count_only_then(void **state)
{
	/* Five requests and replies, in the seconds from 0 to 4. */
	struct ran ran = run_text(TWO_HOSTS
	    "expect:\n"
	    "  - {after: 6s, within: 9s, at: b.eth0, filter: icmp, frames: 0}\n"
	    "  - {within: 9s, at: b.eth0, filter: icmp, frames: 10}\n",
	    1, 0, false);

	(void)state;
	assert_int_equal(ran.status, 0);
	free(ran.out);
}

static void
a_link_that_an_event_takes_down_refuses_frames(void **state)
{
	struct ran ran = run_text(TWO_HOSTS
	    "events:\n"
	    "  - {at: 2500ms, set: b.eth0, down: true}\n"
	    "expect:\n"
	    "  - {within: 9s, at: b.eth0, filter: icmp, frames: \">=2\"}\n"
	    "  - {within: 9s, after: 2600ms, at: b.eth0, frames: 0}\n"
	    "show: [drops]\n",
	    1, 0, false);

	(void)state;
	assert_int_equal(ran.status, 0);
	assert_non_null(strstr(ran.out, "b.eth0: the link is down"));
	assert_non_null(strstr(ran.out, "no-other-port"));
	free(ran.out);
}

static void
a_direct_cable_needs_no_switch(void **state)
{
	struct ran ran = run_text(
	    "lab: t\n"
	    "hosts:\n"
	    "  a: {cable: b.eth0, address: 10.0.0.1/24, send: {to: 10.0.0.2}}\n"
	    "  b: {address: 10.0.0.2/24}\n"
	    "expect:\n"
	    "  - {within: 5s, at: a.eth0, filter: icmp, frames: \">=2\"}\n",
	    1, 0, false);

	(void)state;
	assert_int_equal(ran.status, 0);
	free(ran.out);
}

#define NAT                                                                  \
	"lab: t\n"                                                           \
	"switches: {lan: , net: , far: {uplinks: net}}\n"                    \
	"routers:\n"                                                         \
	"  gw:\n"                                                            \
	"    ports:\n"                                                       \
	"      in: {switch: lan, address: 10.0.0.1/24}\n"                    \
	"      out: {switch: net, address: 203.0.113.1/24}\n"                \
	"    nat: {outside: out}\n"                                          \
	"hosts:\n"                                                           \
	"  a: {switch: lan, address: 10.0.0.2/24, gateway: 10.0.0.1, send: " \
	"{to: 203.0.113.9, protocol: udp, port: 7, source-port: 4000, "      \
	"every: 100ms, count: 9}}\n"                                         \
	"  s: {switch: far, address: 203.0.113.9/24, send: {to: "            \
	"203.0.113.1, protocol: udp, port: 4444, count: 3}}\n"

static void
a_nat_lab_shows_entries_and_refusals(void **state)
{
	struct ran ran = run_text(NAT
	    "expect:\n"
	    "  - {within: 9s, router: gw, nat: 1}\n"
	    "  - {within: 9s, at: gw.out, verdict: nat-unsolicited, "
	    "frames: \">=3\"}\n"
	    "  - {always: true, at: gw.out, filter: net 10.0.0.0/8, "
	    "frames: 0}\n"
	    "show: [nat, refusals, macs, arp, routes, ports, cables]\n",
	    1, 0, false);

	(void)state;
	assert_int_equal(ran.status, 0);
	assert_non_null(strstr(ran.out, "10.0.0.2:4000"));
	assert_non_null(strstr(ran.out, "203.0.113.9:7"));
	assert_non_null(strstr(ran.out, "203.0.113.1:4444"));
	assert_non_null(strstr(ran.out, reason_sentence(DROP_NAT_UNSOLICITED)));
	assert_non_null(strstr(ran.out, "far.net"));
	free(ran.out);
}

static void
results_are_json_on_request(void **state)
{
	struct ran ran = run_text(NAT "expect:\n"
				      "  - {within: 9s, router: gw, nat: 1}\n",
	    1, 0, true);
	json_t *all = json_loads(ran.out, 0, NULL);
	json_t *nat = json_object_get(json_object_get(all, "tables"), "nat");

	(void)state;
	assert_int_equal(ran.status, 0);
	assert_non_null(all);
	assert_true(json_is_true(json_object_get(all, "met")));
	assert_int_equal(json_array_size(nat), 1);
	assert_string_equal(json_string_value(json_object_get(
				json_array_get(nat, 0), "inside")),
	    "10.0.0.2:4000");
	json_decref(all);
	free(ran.out);
}

static void
a_seed_gives_the_same_bytes_again(void **state)
{
	static const uint64_t seeds[] = { 7, 7, 8 };
	char *bytes[3];
	size_t len[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		char dir[] = "/tmp/lanyard-test-XXXXXX", text[2048], file[64];
		struct ran ran;

		assert_non_null(mkdtemp(dir));
		snprintf(file, sizeof(file), "%s/t.pcapng", dir);
		snprintf(text, sizeof(text),
		    NAT "captures: [{at: [gw.in, gw.out], file: %s}]\n", file);
		ran = run_text(text, seeds[i], 20 * NS_PER_S, false);
		assert_int_equal(ran.status, 0);
		free(ran.out);
		bytes[i] = load_bytes(file, &len[i]);
		assert_true(len[i] > 1000);
		unlink(file);
		rmdir(dir);
	}
	assert_int_equal(len[0], len[1]);
	assert_memory_equal(bytes[0], bytes[1], len[0]);
	assert_false(
	    len[0] == len[2] && memcmp(bytes[0], bytes[2], len[0]) == 0);
	for (int i = 0; i < 3; i++)
		free(bytes[i]);
}

static void
a_capture_that_cannot_be_made_leaves_nothing(void **state)
{
	struct ran ran = run_text(TWO_HOSTS
	    "captures: [{at: a.eth0, file: /nonexistent/a.pcapng}]\n",
	    1, 0, false);

	(void)state;
	assert_true(ran.status < 0);
	assert_non_null(strstr(ran.err.text, "/nonexistent/a.pcapng"));
	free(ran.out);
}

static void
vms_and_plugs_refuse_virtual_time(void **state)
{
	struct ran ran = run_text(
	    "lab: t\n"
	    "switches: {lan: }\n"
	    "vms: {v: {ports: {eth0: {switch: lan, address: 10.0.0.1/24}}}}\n",
	    1, 0, false);

	(void)state;
	assert_int_equal(ran.status, -EINVAL);
	assert_non_null(strstr(ran.err.text, "has VMs (\"v\")"));
	free(ran.out);
	ran = run_text("lab: t\n"
		       "switches: {lan: }\n"
		       "plugs: {p: {switch: lan, locator: \"tap:x\"}}\n",
	    1, 0, false);
	assert_int_equal(ran.status, -EINVAL);
	assert_non_null(strstr(ran.err.text, "has a plug (\"p\") that"));
	free(ran.out);
}

static void
a_ring_of_routers_does_not_overflow_the_stack(void **state)
{
	/* Two send what they do not know to each other, until TTL ends it. */
	struct ran ran = run_text(
	    "lab: t\n"
	    "switches: {lan: , mid: }\n"
	    "routers:\n"
	    "  a:\n"
	    "    ports:\n"
	    "      x: {switch: lan, address: 10.0.0.1/24}\n"
	    "      y: {switch: mid, address: 10.0.1.1/24}\n"
	    "    routes: [{to: 0.0.0.0/0, via: 10.0.1.2}]\n"
	    "  b:\n"
	    "    ports: {y: {switch: mid, address: 10.0.1.2/24}}\n"
	    "    routes: [{to: 0.0.0.0/0, via: 10.0.1.3}]\n"
	    "  c:\n"
	    "    ports: {y: {switch: mid, address: 10.0.1.3/24}}\n"
	    "    routes: [{to: 0.0.0.0/0, via: 10.0.1.2}]\n"
	    "hosts: {h: {switch: lan, address: 10.0.0.2/24, gateway: "
	    "10.0.0.1, send: {to: 192.0.2.1, count: 3}}}\n"
	    "expect:\n"
	    "  - {within: 9s, at: b.y, filter: icmp and host 192.0.2.1, "
	    "frames: \">=100\"}\n"
	    "show: [drops]\n",
	    1, 0, false);

	(void)state;
	assert_int_equal(ran.status, 0);
	assert_non_null(strstr(ran.out, "ttl"));
	free(ran.out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expectations_that_are_met_end_the_lab),
		cmocka_unit_test(an_expectation_fails_when_its_time_is_over),
		cmocka_unit_test(a_lab_waits_for_its_events_unless_it_failed),
		cmocka_unit_test(what_must_never_be_seen_fails_at_once),
		cmocka_unit_test(always_is_judged_at_the_end),
		cmocka_unit_test(after_begins_to_count_only_then),
		cmocka_unit_test(
		    a_link_that_an_event_takes_down_refuses_frames),
		cmocka_unit_test(a_direct_cable_needs_no_switch),
		cmocka_unit_test(a_nat_lab_shows_entries_and_refusals),
		cmocka_unit_test(results_are_json_on_request),
		cmocka_unit_test(a_seed_gives_the_same_bytes_again),
		cmocka_unit_test(a_capture_that_cannot_be_made_leaves_nothing),
		cmocka_unit_test(vms_and_plugs_refuse_virtual_time),
		cmocka_unit_test(a_ring_of_routers_does_not_overflow_the_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
