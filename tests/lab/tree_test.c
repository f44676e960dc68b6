/*
 * Spanning trees of a lab: from the file into the switches, and changed there.
 */
#include "lab/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lab/fabric.h"
#include "lab/tree_change.h"
#include "tests/lab/load.h"

static const char text[] =
    "lab: t\n"
    "switches:\n"
    "  a: {uplinks: [b, c], stp: {priority: 4096, hello: 1s, max-age: 10s,\n"
    "      forward-delay: 8s, ports: [{to: b, cost: 100, priority: 16},\n"
    "      {to: h1.eth0, edge: no, bpdu-guard: true}]}}\n"
    "  b: {uplinks: [c], stp: {mode: mstp, region: r, revision: 3,\n"
    "      instances: [{id: 7, vlans: '10-12,4094', priority: 0},\n"
    "      {id: 2, vlans: 5}], ports: [{to: c, point-to-point: false,\n"
    "      instances: [{id: 7, cost: 9, priority: 0}, {id: 2}]}]}}\n"
    "  c: {stp: }\n"
    "  d: \n"
    "hosts:\n"
    "  h1: {switch: a, address: 10.0.0.1/24}\n"
    "  h2: {switch: b, address: 10.0.0.2/24}\n"
    "  h3: {switch: d, address: 10.0.1.3/24}\n"
    "  h4: {cable: h5.eth0, address: 10.0.2.4/24}\n"
    "  h5: {address: 10.0.2.5/24}\n";

struct scene {
	struct loaded l;
	struct loop *loop;
	struct fabric *fabric;
};

static int
set_up(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct err err = { "" };

	load_text(&s->l, "t.yaml", text, sizeof(text) - 1);
	if (s->l.lab == NULL)
		fail_msg("%s", load_problems(&s->l));
	s->loop = loop_new(LOOP_VIRTUAL, &err);
	s->fabric = fabric_new(s->loop, s->l.lab, 1, NULL, &err);
	assert_string_equal(err.text, "");
	*state = s;
	return 0;
}

static int
tear_down(void **state)
{
	struct scene *s = *state;

	fabric_free(s->fabric);
	loop_free(s->loop);
	load_free(&s->l);
	free(s);
	return 0;
}

static const struct stp *
tree(const struct scene *s, const char *sw)
{
	return stp_switch_tree(s->fabric->trees[fabric_switch(s->fabric, sw)]);
}

static const struct stp_port_options *
port(const struct scene *s, const char *name)
{
	struct port *p = fabric_port(s->fabric, name);
	int i = fabric_switch_of(s->fabric, p);

	return stp_get_port_options(
	    stp_switch_tree(s->fabric->trees[i]), switch_port_index(p));
}

static void
what_the_file_says_of_switches_is_set(void **state)
{
	struct scene *s = *state;
	const struct stp_options *o = stp_get_options(tree(s, "a"));

	assert_int_equal(o->mode, STP_MODE_RSTP);
	assert_int_equal(o->priority, 4096);
	assert_int_equal(o->hello_s, 1);
	assert_int_equal(o->max_age_s, 10);
	assert_int_equal(o->forward_delay_s, 8);
	assert_int_equal(o->hold, STP_HOLD);
	o = stp_get_options(tree(s, "b"));
	assert_int_equal(o->mode, STP_MODE_MSTP);
	assert_string_equal(o->region, "r");
	assert_int_equal(o->revision, 3);
	/* sorted by number */
	assert_int_equal(o->nmstis, 2);
	assert_int_equal(o->msti[0].id, 2);
	assert_int_equal(o->msti[0].priority, STP_PRIORITY);
	assert_int_equal(o->msti[1].id, 7);
	assert_int_equal(o->msti[1].priority, 0);
	assert_int_equal(o->tree[5], 1);
	assert_int_equal(o->tree[9], 0);
	assert_int_equal(o->tree[10], 2);
	assert_int_equal(o->tree[12], 2);
	assert_int_equal(o->tree[13], 0);
	assert_int_equal(o->tree[4094], 2);
	/* an empty entry is all presets, none is no tree */
	o = stp_get_options(tree(s, "c"));
	assert_int_equal(o->mode, STP_MODE_RSTP);
	assert_int_equal(o->hello_s, STP_HELLO_S);
	assert_null(s->fabric->trees[fabric_switch(s->fabric, "d")]);
}

static void
what_the_file_says_of_ports_is_set(void **state)
{
	struct scene *s = *state;

	assert_int_equal(port(s, "a.b")->cost, 100);
	assert_int_equal(port(s, "a.b")->priority, 16);
	assert_int_equal(port(s, "a.b")->edge, STP_EDGE_AUTO);
	assert_int_equal(port(s, "a.c")->cost, STP_COST);
	assert_int_equal(port(s, "a.h1.eth0")->edge, STP_EDGE_NO);
	assert_true(port(s, "a.h1.eth0")->bpdu_guard);
	/* a built-in host is no bridge */
	assert_int_equal(port(s, "b.h2.eth0")->edge, STP_EDGE_YES);
	assert_false(port(s, "b.c")->point_to_point);
	assert_int_equal(port(s, "b.c")->msti_cost[1], 9);
	assert_int_equal(port(s, "b.c")->msti_priority[1], 0);
	assert_int_equal(port(s, "b.c")->msti_cost[0], 0);
	assert_int_equal(port(s, "b.c")->msti_priority[0], STP_AS_PORT);
}

/* 0, or what it says. */
static const char *
change(
    const struct scene *s, const char *name, const char *key, const char *value)
{
	static struct err err;
	struct tree_change c;

	err_clear(&err);
	if (tree_change_begin(&c, s->fabric, name, &err) < 0 ||
	    tree_change_add(&c, key, value, &err) < 0 ||
	    tree_change_do(&c, &err) < 0)
		return err.text;
	return NULL;
}

static void
a_running_tree_is_changed(void **state)
{
	struct scene *s = *state;

	assert_null(change(s, "c", "stp-priority", "0"));
	assert_int_equal(stp_get_options(tree(s, "c"))->priority, 0);
	assert_null(change(s, "a", "stp-hello", "2s"));
	assert_int_equal(stp_get_options(tree(s, "a"))->hello_s, 2);
	assert_int_equal(stp_get_options(tree(s, "a"))->forward_delay_s, 8);
	assert_null(change(s, "b", "stp-priority/7", "8192"));
	assert_int_equal(stp_get_options(tree(s, "b"))->msti[1].priority, 8192);
	/* its VLANs stay */
	assert_null(change(s, "b", "stp-max-hops", "9"));
	assert_int_equal(stp_get_options(tree(s, "b"))->tree[10], 2);
	assert_int_equal(stp_get_options(tree(s, "b"))->max_hops, 9);
	assert_null(change(s, "a.b", "stp-cost", "7"));
	assert_int_equal(port(s, "a.b")->cost, 7);
	assert_int_equal(port(s, "a.b")->priority, 16);
	/* by its other end */
	assert_null(change(s, "h1.eth0", "stp-root-guard", "true"));
	assert_true(port(s, "a.h1.eth0")->root_guard);
	assert_true(port(s, "a.h1.eth0")->bpdu_guard);
	assert_null(change(s, "b.c", "stp-cost/2", "44"));
	assert_int_equal(port(s, "b.c")->msti_cost[0], 44);
	assert_int_equal(port(s, "b.c")->msti_priority[0], STP_AS_PORT);
	assert_int_equal(port(s, "b.c")->msti_cost[1], 9);
	assert_null(change(s, "a.b", "stp-check", "true"));
}

static void
what_cannot_be_changed_is_said(void **state)
{
	static const struct {
		const char *name, *key, *value, *says;
	} bad[] = {
		{ "d", "stp-priority", "0", "has no spanning tree" },
		{ "x", "stp-priority", "0", "is not in lab" },
		{ "h3.eth0", "stp-cost", "1", "has no spanning tree" },
		{ "h4.eth0", "stp-cost", "1", "not plugged into a switch" },
		{ "a", "stp-priority", "1", "multiple of 4096" },
		{ "a", "stp-prioriti", "0", "did you mean \"priority\"" },
		{ "a", "stp-instances", "0", "cannot be set here" },
		{ "a", "stp-mode", "pvst", "use stp, rstp or mstp" },
		{ "a", "stp-max-age", "40s", "outlives" },
		{ "a", "stp-hello", "1500ms", "whole seconds" },
		{ "a", "stp-priority/7", "0", "has no instance 7" },
		{ "a", "stp-priority/x", "0", "names no instance" },
		{ "b", "stp-mode", "rstp", "has no instances" },
		{ "b", "stp-priority/7", "1", "multiple of 4096" },
		{ "a.b", "stp-cost", "0", "too small" },
		{ "a.b", "stp-edge", "perhaps", "auto, yes or no" },
		{ "a.b", "stp-cost/1", "5", "has no instance 1" },
		{ "a.b", "stp-check", "no", "can only be true" },
		{ "a.b", "stp-to", "c", "cannot be set here" },
	};
	struct scene *s = *state;
	unsigned int wrong = 0;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *why =
		    change(s, bad[i].name, bad[i].key, bad[i].value);

		if (why != NULL && strstr(why, bad[i].says) != NULL)
			continue;
		print_error("%s %s=%s: %s\n", bad[i].name, bad[i].key,
		    bad[i].value, why != NULL ? why : "was done");
		wrong++;
	}
	assert_int_equal(wrong, 0);
	assert_int_equal(stp_get_options(tree(s, "a"))->priority, 4096);
}

static void
switch_ports_have_names(void **state)
{
	struct scene *s = *state;

	assert_true(lab_has_port(s->l.lab, "h1.eth0"));
	assert_true(lab_has_port(s->l.lab, "a.h1.eth0"));
	assert_true(lab_has_port(s->l.lab, "a.b"));
	assert_true(lab_has_port(s->l.lab, "b.a"));
	assert_false(lab_has_port(s->l.lab, "b.h1.eth0"));
	assert_false(lab_has_port(s->l.lab, "a.d"));
	assert_false(lab_has_port(s->l.lab, "a"));
	assert_false(lab_has_port(s->l.lab, "a."));
	assert_false(lab_has_port(s->l.lab, NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    what_the_file_says_of_switches_is_set, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    what_the_file_says_of_ports_is_set, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    a_running_tree_is_changed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    what_cannot_be_changed_is_said, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    switch_ports_have_names, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
