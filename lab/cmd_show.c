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

static const struct option_row show_options[] = {
	{ "json", 0, NULL, "as JSON" },
	{ "follow", 'f', NULL, "again every second, until Ctrl-C" },
	{ 0 },
};

/* 1: the table was shown; 0: the lab has ended; -1: *err. */
static int
show_once(
    struct call *call, struct client_link *link, const struct table_head *head)
{
	json_t *reply = client_call(link,
	    json_pack("{s:s,s:s}", "call", "show", "what", head->name),
	    &call->err);
	json_int_t left_out;

	if (reply == NULL)
		return -1;
	if (option_get(&call->options, "follow") != NULL &&
	    isatty(fileno(call->out)))
		fputs("\033[H\033[J", call->out);
	print_rows(call, head, json_object_get(reply, "rows"));
	left_out = json_integer_value(json_object_get(reply, "left_out"));
	if (left_out > 0)
		fprintf(call->notes, "%lld more rows are left out\n",
		    (long long)left_out);
	fflush(call->out);
	json_decref(reply);
	return 1;
}

static int
run_show(struct call *call)
{
	const char *lab = call->options.args[0];
	const char *what =
	    call->options.nargs > 1 ? call->options.args[1] : "ports";
	const struct table_head *head = show_head(what, &call->err);
	bool follow = option_get(&call->options, "follow") != NULL;
	struct client_link link;
	int shown;

	if (head == NULL || client_open(&link, lab, &call->err) < 0)
		return 2;
	do {
		shown = show_once(call, &link, head);
		if (follow && shown > 0)
			nanosleep(&(struct timespec){ .tv_sec = 1 }, NULL);
	} while (follow && shown > 0);
	client_close(&link);
	return shown > 0 ? 0 : 2;
}

const struct command command_show = {
	.name = "show",
	.arguments = "LAB [TABLE]",
	.summary = "shows a table of a running lab",
	.help = "Shows a table of a running lab:\n"
		"  ports     every port, its cable, and what passed it (the "
		"default)\n"
		"  macs      the addresses that switches have learned\n"
		"  vlans     the VLANs of switches, and their ports\n"
		"  nat       the NAT tables of routers\n"
		"  nat-rules how the NATs of routers behave\n"
		"  refusals  what routers refused from outside\n"
		"  flows     the flows of IPv6 that routers let in\n"
		"  arp       the neighbours that routers have resolved\n"
		"  leases    the addresses that routers gave by DHCP\n"
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
	.max_args = 2,
	.run = run_show,
};
