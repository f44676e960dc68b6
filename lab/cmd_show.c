/*
 * ls and show: what runs, and its tables.
 */
#include "lab/command.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lab/client.h"
#include "lab/rundir.h"
#include "lab/show.h"

/* ---- ls ---- */

static const struct table_head ls_head = {
	.name = "ls",
	.columns = {
		{ "lab", "LAB" },
		{ "pid", "PID" },
		{ "running_s", "RUNNING" },
		{ "switches", "SWITCHES" },
		{ "routers", "ROUTERS" },
		{ "vms", "VMS" },
		{ "ready", "READY" },
		{ "hosts", "HOSTS" },
		{ "plugs", "PLUGS" },
		{ "bridges", "BRIDGES" },
		{ "file", "FILE" },
		{ NULL, NULL },
	},
};

static void
add_lab(void *arg, const char *lab, pid_t pid)
{
	json_t *rows = arg, *info = NULL;
	struct client_link link;
	struct err err = { "" };

	if (client_open(&link, lab, &err) == 0)
		info = client_call(
		    &link, json_pack("{s:s}", "call", "info"), &err);
	client_close(&link);
	if (info == NULL) /* it is just starting or ending */
		info = json_pack("{s:s,s:i}", "lab", lab, "pid", (int)pid);
	json_object_del(info, "ok");
	json_array_append_new(rows, info);
}

static void
print_rows(struct call *call, const struct table_head *head, const json_t *rows)
{
	if (option_get(&call->options, "json") != NULL) {
		json_dumpf(rows, call->out, JSON_INDENT(2));
		fputc('\n', call->out);
	} else {
		table_print(head, rows, "", call->out);
	}
}

static int
run_ls(struct call *call)
{
	json_t *rows = json_array();
	int e = rundir_each(add_lab, rows, &call->err);

	if (e == 0)
		print_rows(call, &ls_head, rows);
	json_decref(rows);
	return e < 0 ? 2 : 0;
}

static const struct option_row ls_options[] = {
	{ "json", 0, NULL, "as JSON" },
	{ 0 },
};

const struct command command_ls = {
	.name = "ls",
	.arguments = "",
	.summary = "lists the labs that run",
	.help = "Lists the labs of this user that run, with their processes.",
	.options = ls_options,
	.run = run_ls,
};

/* ---- show ---- */

#define SHOW_MAX 8 /* tables at a time */

static const struct option_row show_options[] = {
	{ "json", 0, NULL, "as JSON" },
	{ "follow", 'f', NULL, "again every second, until Ctrl-C" },
	{ 0 },
};

/* One table as it is now: its rows, the caller's.  NULL: *err. */
static json_t *
ask_rows(
    struct call *call, struct client_link *link, const struct table_head *head)
{
	json_t *reply = client_call(link,
	    json_pack("{s:s,s:s}", "call", "show", "what", head->name),
	    &call->err);
	json_t *rows = json_incref(json_object_get(reply, "rows"));
	json_int_t left_out =
	    json_integer_value(json_object_get(reply, "left_out"));

	if (left_out > 0)
		fprintf(call->notes, "%lld more rows are left out\n",
		    (long long)left_out);
	json_decref(reply);
	return rows;
}

/* Several tables have headings; in JSON they are one object. */
static void
print_tables(struct call *call, const struct table_head *const *heads, int n,
    json_t *const *rows)
{
	json_t *all;

	if (n == 1) {
		print_rows(call, heads[0], rows[0]);
		return;
	}
	if (option_get(&call->options, "json") == NULL) {
		for (int i = 0; i < n; i++) {
			fprintf(call->out, "%s%s: %s\n", i > 0 ? "\n" : "",
			    heads[i]->name, heads[i]->help);
			table_print(heads[i], rows[i], "  ", call->out);
		}
		return;
	}
	all = json_object();
	for (int i = 0; i < n; i++)
		json_object_set(all, heads[i]->name, rows[i]);
	json_dumpf(all, call->out, JSON_INDENT(2));
	fputc('\n', call->out);
	json_decref(all);
}

/* False: the lab has ended, *err. */
static bool
show_once(struct call *call, struct client_link *link,
    const struct table_head *const *heads, int n)
{
	json_t *rows[SHOW_MAX];
	int got = 0;

	while (
	    got < n && (rows[got] = ask_rows(call, link, heads[got])) != NULL)
		got++;
	if (got == n && option_get(&call->options, "follow") != NULL &&
	    isatty(fileno(call->out)))
		fputs("\033[H\033[J", call->out);
	if (got == n)
		print_tables(call, heads, n, rows);
	fflush(call->out);
	for (int i = 0; i < got; i++)
		json_decref(rows[i]);
	return got == n;
}

/* The tables that are asked for.  How many, or -1 with *err. */
static int
find_heads(struct call *call, const struct table_head *heads[SHOW_MAX])
{
	const struct options *o = &call->options;
	int n = 0;

	if (o->nargs == 1)
		heads[n++] = show_head("ports", &call->err);
	for (int i = 1; i < o->nargs; i++) {
		heads[n] = show_head(o->args[i], &call->err);
		if (heads[n++] == NULL)
			return -1;
	}
	return n;
}

static int
run_show(struct call *call)
{
	const struct table_head *heads[SHOW_MAX];
	int n = find_heads(call, heads);
	bool follow = option_get(&call->options, "follow") != NULL, shown;
	struct client_link link;

	if (n < 0 || client_open(&link, call->options.args[0], &call->err) < 0)
		return 2;
	do {
		shown = show_once(call, &link, heads, n);
		if (follow && shown)
			nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
	} while (follow && shown);
	client_close(&link);
	return shown ? 0 : 2;
}

const struct command command_show = {
	.name = "show",
	.arguments = "LAB [TABLE...]",
	.summary = "shows tables of a running lab",
	.help = "Shows tables of a running lab:\n"
		"  ports     every port, its cable, and what passed it (the "
		"default)\n"
		"  macs      the addresses that switches have learned\n"
		"  vlans     the VLANs of switches, and their ports\n"
		"  nat       the NAT tables of routers\n"
		"  nat-rules how the NATs of routers behave\n"
		"  refusals  what NATs refused\n"
		"  flows     the flows of IPv6 that routers let in\n"
		"  arp       the neighbours that routers have resolved\n"
		"  leases    the addresses that routers gave by DHCP\n"
		"  wan       the addresses that routers got by DHCP\n"
		"  routes    the routes of routers\n"
		"  vms       the virtual machines and their processes\n"
		"  cables    which port is joined to which, and what happens "
		"on the way\n"
		"  drops     frames that ended or are kept at a node, and why\n"
		"  bonds     the links of bonds, and what LACP has agreed\n"
		"  lldp      the neighbours heard of by LLDP\n"
		"  groups    the ports that want multicast groups\n"
		"  mrouters  multicast routers and queriers\n"
		"  macnat    which guest has which IP address, behind MAC-NAT\n"
		"  traffic   the ports that measure, and what came",
	.options = show_options,
	.min_args = 1,
	.max_args = 1 + SHOW_MAX,
	.run = run_show,
};
