/*
 * Captures, events and expectations: where and when they look, and for what.
 */
#include "lab/check_parts.h"

#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "bridge/port_wifi.h"
#include "lab/capturing.h"
#include "lab/check_wire.h"
#include "lab/filter.h"
#include "lab/port_kinds.h"

#define COMMAND_MAX_BYTES 500
#define REGEX_MAX_BYTES   200

/* ---- captures, events, expectations ---- */

static void
check_filter(struct check *c, const struct lab_item *item, const char *filter)
{
	struct err err = { "" };

	if (filter != NULL && filter_check(filter, FILTER_ETHERNET, &err) < 0)
		problem_add(
		    c->problems, lab_place(item, "filter"), "%s", err.text);
}

static bool
is_node(const struct lab *lab, const char *name)
{
	size_t n = strlen(name);

	for (unsigned int i = 0; i < lab->nports; i++) {
		const char *full = lab->ports[i]->full;

		if (strncmp(full, name, n) == 0 && full[n] == '.')
			return true;
	}
	return lab_switch(lab, name) != NULL;
}

/* Is name NODE.radio? */
static bool
is_radio_of(const char *name, const char *node)
{
	size_t n = strlen(node);

	return strncmp(name, node, n) == 0 && strcmp(name + n, ".radio") == 0;
}

/* The radio of a plug or a bridge. */
static bool
is_radio(const struct lab *lab, const char *name)
{
	for (unsigned int i = 0; i < lab->nplugs; i++) {
		const struct lab_plug *plug = &lab->plugs[i];

		if (is_radio_of(name, plug->item.name))
			return plug->locator != NULL &&
			    port_kind_of(port_kinds, plug->locator) ==
			    &port_wifi;
	}
	for (unsigned int i = 0; i < lab->nbridges; i++)
		if (is_radio_of(name, lab->bridges[i].item.name))
			return lab->bridges[i].mode == BRIDGE_MONITOR;
	return false;
}

/* One place of a capture: capturing.h says how it is named. */
static void
check_point(struct check *c, const struct lab_text *at)
{
	struct err err = { "" };
	const char *filter;
	size_t n = capturing_name(at->text, &filter);
	char name[128];
	bool radio;

	snprintf(name, sizeof(name), "%.*s", (int)n, at->text);
	radio = is_radio(c->lab, name);
	if (strcmp(name, CAPTURING_ALL) != 0 &&
	    strcmp(name, CAPTURE_BIN) != 0 && !is_node(c->lab, name) &&
	    !lab_has_port(c->lab, name) && !radio)
		check_no_such_port(c, at->node->at, name);
	if (filter != NULL &&
	    filter_check(filter, radio ? FILTER_RADIO : FILTER_ETHERNET, &err) <
		0)
		problem_add(c->problems, at->node->at, "%s", err.text);
}

void
check_capture(struct check *c, const struct lab_capture *capture)
{
	const struct lab *lab = c->lab;

	for (unsigned int i = 0; i < capture->at.n; i++) {
		const struct lab_text *at = &capture->at.list[i];

		check_point(c, at);
		for (unsigned int k = 0; k < i; k++)
			if (strcmp(capture->at.list[k].text, at->text) == 0)
				problem_add(c->problems, at->node->at,
				    "\"%s\" is named twice; once is enough",
				    at->text);
	}
	check_filter(c, &capture->item, capture->filter);
	if (capture->files != 0 && capture->file_bytes == 0 &&
	    capture->file_ns == 0)
		problem_add(c->problems, lab_place(&capture->item, "files"),
		    "files are kept of a capture that is never cut; add "
		    "file-size or file-time");
	for (unsigned int i = 0; i < lab->ncaptures; i++) {
		const struct lab_capture *other = &lab->captures[i];

		if (other == capture)
			break;
		if (other->file != NULL && capture->file != NULL &&
		    strcmp(other->file, capture->file) == 0)
			problem_add(c->problems,
			    lab_place(&capture->item, "file"),
			    "file \"%.100s\" is written by the capture in line "
			    "%u already; name another",
			    capture->file, other->item.node->at.line);
	}
}

/* The VM and command of an event or expectation. */
static void
check_run(struct check *c, const struct lab_item *item, const char *vm,
    const char *run)
{
	bool has_vm = yaml_get(item->node, "vm") != NULL;
	bool has_run = yaml_get(item->node, "run") != NULL;

	if (has_vm != has_run)
		problem_add(c->problems, lab_place(item, has_vm ? "vm" : "run"),
		    "%s without %s; a command needs both",
		    has_vm ? "vm" : "run", has_vm ? "run" : "vm");
	if (vm != NULL && lab_vm(c->lab, vm) == NULL)
		check_no_such_vm(c, lab_place(item, "vm"), vm);
	if (run != NULL && strlen(run) > COMMAND_MAX_BYTES)
		problem_add(c->problems, lab_place(item, "run"),
		    "run is longer than %d letters; shorten it",
		    COMMAND_MAX_BYTES);
}

void
check_event(struct check *c, const struct lab_event *event)
{
	const struct lab_item *item = &event->item;
	bool runs = yaml_get(item->node, "vm") != NULL ||
	    yaml_get(item->node, "run") != NULL;
	bool changes = event->sets_link || lab_says_something(event->wire) ||
	    event->rules.given != 0;
	bool sets = yaml_get(item->node, "set") != NULL || changes;

	if (runs == sets) {
		problem_add(c->problems, item->node->at,
		    runs ? "an event that both runs a command and sets a port; "
			   "make it two"
			 : "an event that does nothing; add vm and run, or set "
			   "and what to set");
		return;
	}
	if (runs) {
		check_run(c, item, event->vm, event->run);
		return;
	}
	if (yaml_get(item->node, "set") == NULL)
		problem_add(c->problems, item->node->at,
		    "of which port? add \"set: NODE.PORT\"");
	else if (!changes)
		problem_add(c->problems, item->node->at,
		    "what is to be set? write \"set: NODE.PORT, down: true\" "
		    "or \"set: NODE.PORT, delay: 20ms\"");
	if (event->set != NULL && !lab_has_port(c->lab, event->set))
		check_no_such_port(c, lab_place(item, "set"), event->set);
}

static void
check_regex(struct check *c, const struct lab_expect *e)
{
	struct place at = lab_place(&e->item, "output");
	const char *brace;
	regex_t regex;
	char why[100];
	int code;

	if (e->output == NULL)
		return;
	brace = strchr(e->output, '{');
	if (strlen(e->output) > REGEX_MAX_BYTES ||
	    (brace != NULL && strchr(brace + 1, '{') != NULL)) {
		problem_add(c->problems, at,
		    "output: more than %d letters or more than one {n,m}; "
		    "write a simpler expression",
		    REGEX_MAX_BYTES);
		return;
	}
	code = regcomp(&regex, e->output, REG_EXTENDED | REG_NOSUB);
	if (code == 0) {
		regfree(&regex);
		return;
	}
	regerror(code, NULL, why, sizeof(why));
	problem_add(c->problems, at,
	    "output: \"%.60s\" is no regular expression (%s); see regex(7)",
	    e->output, why);
}

/* Keys of the other kinds of expectation. */
static void
check_expect_keys(struct check *c, const struct lab_expect *e)
{
	static const struct {
		const char *key;
		enum expect_kind kind;
	} keys[] = {
		{ "vm", EXPECT_RUN },
		{ "run", EXPECT_RUN },
		{ "status", EXPECT_RUN },
		{ "output", EXPECT_RUN },
		{ "at", EXPECT_FRAMES },
		{ "filter", EXPECT_FRAMES },
		{ "verdict", EXPECT_FRAMES },
		{ "frames", EXPECT_FRAMES },
		{ "router", EXPECT_NAT },
		{ "nat", EXPECT_NAT },
		{ "from", EXPECT_MEASURE },
		{ "to", EXPECT_MEASURE },
		{ "measure", EXPECT_MEASURE },
		{ "lost", EXPECT_MEASURE },
		{ "latency", EXPECT_MEASURE },
	};
	static const char *const about[] = {
		[EXPECT_RUN] = "a command (vm, run, output, status)",
		[EXPECT_FRAMES] = "frames (at, filter, verdict, frames)",
		[EXPECT_NAT] = "a NAT table (router, nat)",
		[EXPECT_MEASURE] =
		    "a stream (from, to, measure, lost, latency)",
	};

	for (unsigned int i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].kind != e->kind &&
		    yaml_get(e->item.node, keys[i].key) != NULL)
			problem_add(c->problems,
			    lab_place(&e->item, keys[i].key),
			    "%s does not belong to an expectation about %s; "
			    "make it another one",
			    keys[i].key, about[e->kind]);
}

static void
check_expect_time(struct check *c, const struct lab_expect *e)
{
	const struct yaml *node = e->item.node;
	bool within = yaml_get(node, "within") != NULL;

	if (within == (yaml_get(node, "always") != NULL))
		problem_add(c->problems, node->at,
		    within ? "within and always exclude each other; keep one"
			   : "when must it be seen? add \"within: 10s\" or "
			     "\"always: true\"");
	else if (!within && !e->always)
		problem_add(c->problems, lab_place(&e->item, "always"),
		    "always can only be true; write \"within: TIME\" instead");
	else if (within && e->within_ns != 0 && e->after_ns >= e->within_ns)
		problem_add(c->problems, lab_place(&e->item, "after"),
		    "after is not before within; both count from the lab's "
		    "start");
	if (e->always && e->kind == EXPECT_RUN)
		problem_add(c->problems, lab_place(&e->item, "always"),
		    "a command cannot be seen always; use \"within: TIME\"");
	if (e->always && e->kind == EXPECT_MEASURE)
		problem_add(c->problems, lab_place(&e->item, "always"),
		    "a stream has an end; use \"within: TIME\"");
}

static void
need(struct check *c, const struct lab_expect *e, const char *key,
    const char *remedy)
{
	if (yaml_get(e->item.node, key) == NULL)
		problem_add(c->problems, e->item.node->at,
		    "the expectation lacks %s; %s", key, remedy);
}

static void
check_expect_frames(struct check *c, const struct lab_expect *e)
{
	struct nearest near;

	need(c, e, "frames", "add \"frames: \">=1\"\" or \"frames: 0\"");
	if (!lab_has_port(c->lab, e->at))
		check_no_such_port(c, lab_place(&e->item, "at"), e->at);
	check_filter(c, &e->item, e->filter);
	if (e->verdict == NULL ||
	    (e->reason != REASON_COUNT && e->reason != REASON_NONE))
		return;
	nearest_init(&near, e->verdict);
	for (int i = 1; i < REASON_COUNT; i++)
		nearest_try(&near, reason_name((enum reason)i));
	problem_add(c->problems, lab_place(&e->item, "verdict"),
	    "verdict \"%.40s\" is not known; %s%s%s", e->verdict,
	    near.best != NULL ? "did you mean \""
			      : "\"lanyard reasons\" lists them",
	    near.best != NULL ? near.best : "", near.best != NULL ? "\"?" : "");
}

static void
check_expect_nat(struct check *c, const struct lab_expect *e)
{
	const struct lab_router *router = lab_router(c->lab, e->router);
	struct nearest near;

	need(c, e, "nat", "add \"nat: \">=1\"\"");
	if (router != NULL && router->nat.item.node == NULL)
		problem_add(c->problems, lab_place(&e->item, "router"),
		    "router \"%s\" has no NAT; add \"nat:\" to it", e->router);
	if (router != NULL)
		return;
	nearest_init(&near, e->router);
	for (unsigned int i = 0; i < c->lab->nrouters; i++)
		nearest_try(&near, c->lab->routers[i].item.name);
	check_missing(c, lab_place(&e->item, "router"), "router", e->router,
	    &near, "add it below routers");
}

/* One end of a stream. */
static void
check_meter(struct check *c, const struct lab_expect *e, const char *key,
    const char *name)
{
	struct nearest near;

	need(c, e, key, "name a plug whose locator is \"traffic:...\"");
	if (name == NULL)
		return;
	nearest_init(&near, name);
	for (unsigned int i = 0; i < c->lab->nplugs; i++) {
		const struct lab_plug *plug = &c->lab->plugs[i];
		bool measures = plug->locator != NULL &&
		    port_kind_of(port_kinds, plug->locator) == &port_traffic;

		if (measures && strcmp(plug->item.name, name) == 0)
			return;
		if (measures)
			nearest_try(&near, plug->item.name);
	}
	check_missing(c, lab_place(&e->item, key), "traffic plug", name, &near,
	    "add it below plugs");
}

static void
check_expect_measure(struct check *c, const struct lab_expect *e)
{
	struct meter_options options;
	struct err err = { "" };

	check_meter(c, e, "from", e->from);
	check_meter(c, e, "to", e->to);
	if (!e->has_lost && !e->has_latency)
		problem_add(c->problems, e->item.node->at,
		    "the expectation lacks what is to come out; add \"lost: "
		    "0\" or \"latency: 10ms\"");
	if (measure_options(&e->measure, &options, &err) < 0)
		problem_add(c->problems, lab_place(&e->item, "measure"), "%s",
		    err.text);
}

void
check_expect(struct check *c, const struct lab_expect *e)
{
	static const char *const subjects[] = { "vm", "run", "at", "router",
		"frames", "nat", "filter", "verdict", "from", "to" };
	bool about = false;

	for (unsigned int i = 0; i < sizeof(subjects) / sizeof(subjects[0]);
	     i++)
		about |= yaml_get(e->item.node, subjects[i]) != NULL;
	check_expect_time(c, e);
	if (!about) {
		problem_add(c->problems, e->item.node->at,
		    "an expectation about nothing; add vm and run, at and "
		    "frames, router and nat, or from and to");
		return;
	}
	check_expect_keys(c, e);
	switch (e->kind) {
	case EXPECT_RUN:
		check_run(c, &e->item, e->vm, e->run);
		check_regex(c, e);
		return;
	case EXPECT_FRAMES: check_expect_frames(c, e); return;
	case EXPECT_NAT: check_expect_nat(c, e); return;
	case EXPECT_MEASURE: check_expect_measure(c, e); return;
	}
}
