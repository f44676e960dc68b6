/*
 * nat test: has guests find out how a router's NAT behaves.
 *
 * Who takes part is found by asking the guests for their addresses: who is in a
 * LAN of the router's other ports is inside, who is in that of its outside port
 * is outside.  The guests are told each other's addresses and nothing else; what
 * the router is told to be is asked for afterwards.
 */
#include "lab/command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"
#include "lab/client.h"
#include "lab/nat_examine.h"
#include "lab/table.h"
#include "lab/units.h"
#include "net/addr.h"

#define OUTPUT_MAX 65536 /* of a guest's command */
#define NETS_MAX   32
#define PATIENCE_S 5 /* with a guest that is just starting */

struct place {
	const char *vm;
	uint32_t addr[2]; /* the second one 0: it has one */
};

struct test {
	struct call *call;
	const char *lab, *router;
	struct client_link link, neighbour_link;
	json_t *rules;  /* {KEY: VALUE} */
	json_t *routes; /* of the lab's routers */
	json_t *vms;
	struct place in[2], out[2];
	unsigned int nin, nout;
	uint32_t server[2];
	char neighbour[32]; /* its end, "" without one */
	char output[OUTPUT_MAX];
};

/* ---- asking the lab ---- */

static json_t *
rows_of(struct test *t, const char *what)
{
	json_t *reply = client_call(&t->link,
	    json_pack("{s:s,s:s}", "call", "show", "what", what),
	    &t->call->err);
	json_t *rows = json_incref(json_object_get(reply, "rows"));

	json_decref(reply);
	return rows;
}

static const char *
cell(const json_t *row, const char *key)
{
	const char *text = json_string_value(json_object_get(row, key));

	return text != NULL ? text : "";
}

/* What the router is told to be.  -Exxx: it has no NAT. */
static int
read_rules(struct test *t)
{
	json_t *rows = rows_of(t, "nat-rules");
	const json_t *row;
	size_t i;

	if (rows == NULL)
		return -EIO;
	json_decref(t->rules);
	t->rules = json_object();
	json_array_foreach(
	    rows, i, row) if (strcmp(cell(row, "router"), t->router) == 0)
	    json_object_set(
		t->rules, cell(row, "key"), json_object_get(row, "value"));
	json_decref(rows);
	if (json_object_size(t->rules) == 0)
		return err_set(&t->call->err, -ENOENT,
		    "lab %.40s: \"%.40s\" is no router with NAT; see lanyard "
		    "show %.40s nat-rules",
		    t->lab, t->router, t->lab);
	return 0;
}

/* ---- asking guests ---- */

/* Adds what one reply says to output; false with *status at the end. */
static bool
take(struct test *t, json_t *reply, size_t *len, int *status)
{
	const char *text = cell(reply, "output");
	size_t n = strlen(text);
	bool more = json_object_get(reply, "ok") == NULL;

	if (n > sizeof(t->output) - 1 - *len)
		n = sizeof(t->output) - 1 - *len;
	memcpy(t->output + *len, text, n);
	*len += n;
	t->output[*len] = '\0';
	if (!more)
		*status =
		    (int)json_integer_value(json_object_get(reply, "status"));
	json_decref(reply);
	return more;
}

/* Runs a line in a guest; its output is in t->output.  The status, or -1. */
static int
ask(struct test *t, struct client_link *link, const char *vm, const char *line)
{
	size_t len = 0;
	int status = -1;
	json_t *reply;

	t->output[0] = '\0';
	if (client_send(link,
		json_pack(
		    "{s:s,s:s,s:s}", "call", "exec", "node", vm, "run", line),
		&t->call->err) < 0)
		return -1;
	do
		reply = client_receive(link, &t->call->err);
	while (reply != NULL && take(t, reply, &len, &status));
	return status;
}

static int __attribute__((format(printf, 3, 4)))
ask_line(struct test *t, const char *vm, const char *format, ...)
{
	char line[200];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	return ask(t, &t->link, vm, line);
}

/* ---- who takes part ---- */

/* In which LAN of the router is addr: 1 outside, 0 inside, -1 none. */
static int
side_of(const struct test *t, uint32_t addr)
{
	const char *outside =
	    json_string_value(json_object_get(t->rules, "outside"));
	const json_t *row;
	size_t i;

	json_array_foreach(t->routes, i, row)
	{
		struct ip4_net net;

		if (strcmp(cell(row, "router"), t->router) != 0 ||
		    strcmp(cell(row, "via"), "connected") != 0 ||
		    !ip4_net_read(&net, cell(row, "to")) ||
		    !ip4_net_has(net, addr))
			continue;
		return outside != NULL &&
		    strcmp(cell(row, "port"), outside) == 0;
	}
	return -1;
}

/* The next address in the output of the guest's "ip". */
static bool
next_address(const char **at, uint32_t *addr)
{
	static const char before[] = "    address ";

	while ((*at = strstr(*at, before)) != NULL) {
		char text[20];
		size_t n;

		*at += sizeof(before) - 1;
		n = strcspn(*at, "/ \n");
		if (n >= sizeof(text))
			continue;
		memcpy(text, *at, n);
		text[n] = '\0';
		if (ip4_read(addr, text))
			return true;
	}
	return false;
}

/* Is it a guest that can, and where is it?  forced is the side that the command
 * line names it for, or -1. */
static void
place(struct test *t, const char *vm, int forced)
{
	struct place sides[2] = { { .vm = vm }, { .vm = vm } };
	unsigned int n[2] = { 0, 0 };
	const char *at;
	uint32_t addr;

	if (ask_line(t, vm, "help nattest") != 0 || ask_line(t, vm, "ip") != 0)
		return;
	at = t->output;
	while (next_address(&at, &addr)) {
		int side = forced >= 0 ? forced : side_of(t, addr);

		if (side >= 0 && n[side] < 2)
			sides[side].addr[n[side]++] = addr;
	}
	if (n[1] > 0 && t->nout < 2)
		t->out[t->nout++] = sides[1];
	else if (n[1] == 0 && n[0] > 0 && t->nin < 2)
		t->in[t->nin++] = sides[0];
}

/* Those that an option names, "alice,bob". */
static bool
place_named(struct test *t, const char *names, int side)
{
	const unsigned int *n = side == 1 ? &t->nout : &t->nin;

	while (*names != '\0') {
		size_t len = strcspn(names, ",");
		const json_t *row;
		unsigned int before = *n;
		size_t i;

		json_array_foreach(
		    t->vms, i, row) if (strlen(cell(row, "vm")) == len &&
		    strncmp(cell(row, "vm"), names, len) == 0)
		    place(t, cell(row, "vm"), side);
		if (*n == before) {
			err_clear(&t->call->err);
			err_set(&t->call->err, -ENOENT,
			    "\"%.*s\" is no VM of lab %.40s that runs the tiny "
			    "guest and has an address",
			    (int)(len < 40 ? len : 40), names, t->lab);
			return false;
		}
		names += len + (names[len] == ',');
	}
	return true;
}

static void
look_around(struct test *t, bool in, bool out)
{
	const json_t *row;
	size_t i;

	json_array_foreach(t->vms, i, row)
	{
		const char *vm = cell(row, "vm");
		unsigned int nin = t->nin, nout = t->nout;

		if (strcmp(cell(row, "state"), "off") == 0 ||
		    strcmp(cell(row, "state"), "died") == 0 ||
		    (t->nin == 2 && t->nout == 2))
			continue;
		place(t, vm, -1);
		if (!in)
			t->nin = nin;
		if (!out)
			t->nout = nout;
	}
}

/* The two addresses that servers have. */
static bool
choose_servers(struct test *t)
{
	if (t->nout > 0) {
		t->server[0] = t->out[0].addr[0];
		t->server[1] =
		    t->nout > 1 ? t->out[1].addr[0] : t->out[0].addr[1];
	}
	return t->server[1] != 0;
}

static bool
find_guests(struct test *t)
{
	const char *in = option_get(&t->call->options, "inside");
	const char *out = option_get(&t->call->options, "outside");

	t->vms = rows_of(t, "vms");
	t->routes = rows_of(t, "routes");
	if (t->vms == NULL || t->routes == NULL)
		return false;
	if ((in != NULL && !place_named(t, in, 0)) ||
	    (out != NULL && !place_named(t, out, 1)))
		return false;
	if (in == NULL || out == NULL)
		look_around(t, in == NULL, out == NULL);
	err_clear(&t->call->err);
	if (t->nin == 0)
		err_set(&t->call->err, -ENOENT,
		    "lab %.40s has no tiny guest in a LAN inside of %.40s; add "
		    "one, or name it by --inside",
		    t->lab, t->router);
	else if (!choose_servers(t))
		err_set(&t->call->err, -ENOENT,
		    "lab %.40s has no two tiny guests, nor one with two "
		    "addresses, in the LAN outside of %.40s; add one, or name "
		    "them by --outside",
		    t->lab, t->router);
	return t->nin > 0 && t->server[1] != 0;
}

/* ---- the examination ---- */

static bool
start_servers(struct test *t)
{
	char text[IP4_TEXT_BYTES];

	for (unsigned int i = 0; i < t->nout; i++) {
		int status = t->nout > 1
		    ? ask_line(t, t->out[i].vm, "stund %s",
			  ip4_text(text, t->server[!i]))
		    : ask_line(t, t->out[i].vm, "stund on");

		if (status == 0)
			continue;
		if (t->call->err.text[0] == '\0')
			err_set(&t->call->err, -EIO, "%s: %.200s", t->out[i].vm,
			    t->output);
		return false;
	}
	return true;
}

static void
stop_servers(struct test *t)
{
	struct err kept = t->call->err;

	for (unsigned int i = 0; i < t->nout; i++)
		(void)ask_line(t, t->out[i].vm, "stund off");
	t->call->err = kept;
}

/* Has the second guest inside hold ports, until its link is closed. */
static bool
start_neighbour(struct test *t)
{
	char line[64], server[IP4_TEXT_BYTES];
	size_t len = 0;
	int status = -1;
	json_t *reply;

	if (t->nin < 2)
		return true;
	if (client_open(&t->neighbour_link, t->lab, &t->call->err) < 0)
		return false;
	snprintf(line, sizeof(line), "nattest -n %s",
	    ip4_text(server, t->server[0]));
	t->output[0] = '\0';
	if (client_send(&t->neighbour_link,
		json_pack("{s:s,s:s,s:s}", "call", "exec", "node", t->in[1].vm,
		    "run", line),
		&t->call->err) < 0)
		return false;
	while (strchr(t->output, '\n') == NULL) {
		reply = client_receive(&t->neighbour_link, &t->call->err);
		if (reply == NULL)
			return false;
		if (!take(t, reply, &len, &status))
			break;
	}
	if (sscanf(t->output, "neighbour %31s is ", t->neighbour) == 1)
		return true;
	err_set(&t->call->err, -EIO, "%s: %.200s", t->in[1].vm, t->output);
	return false;
}

/* Prints the table.  The exit status. */
static int
judge(struct test *t)
{
	struct table table;
	const char *bad = "";
	int differing;
	json_t *rows;

	if (table_init(&table, &nat_examine_head) < 0) {
		err_set(&t->call->err, -ENOMEM, "out of memory");
		return 2;
	}
	differing = nat_examine(
	    &table, t->rules, t->neighbour[0] != '\0', t->output, &bad);
	if (differing < 0) {
		err_set(&t->call->err, -EPROTO, "%s: %.*s", t->in[0].vm,
		    (int)strcspn(bad, "\n"), bad);
		table_free(&table);
		return 2;
	}
	rows = table_json(&table);
	if (option_get(&t->call->options, "json") != NULL) {
		json_dumpf(rows, t->call->out, JSON_INDENT(2));
		fputc('\n', t->call->out);
	} else {
		table_print(&nat_examine_head, rows, "", t->call->out);
	}
	json_decref(rows);
	table_free(&table);
	return differing > 0 ? 1 : 0;
}

static int
examine(struct test *t, uint64_t longest_ns)
{
	char server[IP4_TEXT_BYTES], longest[48] = "", neighbour[64] = "";
	int status;

	if (!start_servers(t) || !start_neighbour(t))
		return 2;
	if (t->neighbour[0] != '\0')
		snprintf(neighbour, sizeof(neighbour), " -b %s", t->neighbour);
	if (longest_ns > 0)
		snprintf(longest, sizeof(longest), " -t %" PRIu64,
		    (longest_ns + NS_PER_S - 1) / NS_PER_S);
	status = ask_line(t, t->in[0].vm, "nattest%s%s %s", neighbour, longest,
	    ip4_text(server, t->server[0]));
	if (status != 0) {
		size_t n = strlen(t->output);

		while (n > 0 && t->output[n - 1] == '\n')
			t->output[--n] = '\0';
		if (t->call->err.text[0] == '\0')
			err_set(&t->call->err, -EIO, "%s: %.400s", t->in[0].vm,
			    t->output);
		return 2;
	}
	return read_rules(t) < 0 ? 2 : judge(t);
}

static void
say_who(const struct test *t)
{
	char a[IP4_TEXT_BYTES], b[IP4_TEXT_BYTES];
	FILE *out = t->call->out;

	if (option_get(&t->call->options, "json") != NULL)
		return;
	fprintf(out, "%s asks %s and %s", t->in[0].vm,
	    ip4_text(a, t->server[0]), ip4_text(b, t->server[1]));
	if (t->nin > 1)
		fprintf(out, "; %s is its neighbour", t->in[1].vm);
	fputs("\n\n", out);
	fflush(out);
}

static int
run_nat_test(struct call *call)
{
	struct test *t = calloc(1, sizeof(*t));
	const char *timers = option_get(&call->options, "timers");
	uint64_t longest_ns = 0;
	int status = 2;

	if (t == NULL) {
		err_set(&call->err, -ENOMEM, "out of memory");
		return 2;
	}
	t->call = call;
	t->lab = call->options.args[0];
	t->router = call->options.args[1];
	if ((timers == NULL ||
		duration_read(&longest_ns, timers, &call->err)) &&
	    client_open(&t->link, t->lab, &call->err) == 0) {
		if (read_rules(t) == 0 && find_guests(t)) {
			say_who(t);
			status = examine(t, longest_ns);
			stop_servers(t);
		}
		if (t->neighbour_link.in != NULL)
			client_close(&t->neighbour_link);
		client_close(&t->link);
	}
	json_decref(t->rules);
	json_decref(t->routes);
	json_decref(t->vms);
	free(t);
	return status;
}

static const struct option_row nat_test_options[] = {
	{ "inside", 'i', "VM[,VM]", "the guest that asks, and its neighbour" },
	{ "outside", 'o', "VM[,VM]",
	    "the guests that answer; one is enough if it has two addresses" },
	{ "timers", 't', "DURATION",
	    "also how long entries live, up to so long; takes about three "
	    "times that" },
	{ "json", 0, NULL, "for programs" },
	{ 0 },
};

static const struct command command_nat_test = {
	.name = "nat test",
	.arguments = "LAB ROUTER",
	.summary = "finds out how a NAT behaves, by packets alone",
	.help = "Has tiny guests of a running lab find out how a router's NAT "
		"behaves, by packets\nalone, and compares that with what the "
		"router is told to be.  The exit status is 1\nif something "
		"differs.\n\n"
		"It takes one guest inside and two addresses outside; a second "
		"guest inside shows\nmore: what becomes of ports that two "
		"hosts want, and hairpins.",
	.options = nat_test_options,
	.min_args = 2,
	.max_args = 2,
	.run = run_nat_test,
};

static const struct command *const parts[] = {
	&command_nat_test,
	NULL,
};

const struct command command_nat = {
	.name = "nat",
	.arguments = "COMMAND ...",
	.summary = "examines NATs: test",
	.help = "Finds out how NATs behave.",
	.parts = parts,
};
