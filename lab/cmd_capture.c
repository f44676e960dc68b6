/*
 * capture, and extcap, by which Wireshark does the same: what passes in a
 * running lab.  The lab's process writes; a client only holds the connection,
 * whose end is the capture's.
 */
#include "lab/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lab/capturing.h"
#include "lab/client.h"
#include "lab/rundir.h"

/* ---- capture ---- */

static const struct option_row capture_options[] = {
	{ "write", 'w', "FILE",
	    "where to: a file, or - for standard output (a pipe)" },
	{ "filter", 'f', "FILTER", "only frames that match pcap-filter(7)" },
	{ 0 },
};

static volatile sig_atomic_t interrupted;

static void
on_signal(int signal)
{
	(void)signal;
	interrupted = 1;
}

/* Waits for a FIFO's reader, which Wireshark becomes late: the lab's process
 * does not wait.  Its descriptor, which stays open; -1 if it is none. */
static int
open_fifo(const char *file)
{
	struct stat st;

	if (stat(file, &st) < 0 || !S_ISFIFO(st.st_mode))
		return -1;
	return open(file, O_WRONLY | O_CLOEXEC);
}

/* The path by which the lab's process opens the file.  Our descriptors it finds
 * below /proc: pipes and files can be opened there by the same user. */
static char *
path_for_lab(const char *file)
{
	char dir[4096], *out = NULL;
	bool standard = strcmp(file, "-") == 0;
	int fd = standard ? STDOUT_FILENO : open_fifo(file), n;

	if (fd >= 0)
		n = asprintf(&out, "/proc/%d/fd/%d", (int)getpid(), fd);
	else if (file[0] == '/')
		n = asprintf(&out, "%s", file);
	else if (getcwd(dir, sizeof(dir)) != NULL)
		n = asprintf(&out, "%s/%s", dir, file);
	else
		n = -1;
	return n < 0 ? NULL : out;
}

static json_t *
capture_request(
    const char *path, char *const *points, int n, const char *filter)
{
	json_t *at = json_array();

	for (int i = 0; i < n; i++)
		json_array_append_new(at, json_string(points[i]));
	if (n == 0)
		json_array_append_new(at, json_string(CAPTURING_ALL));
	return json_pack("{s:s,s:o,s:s,s:s*}", "call", "capture", "at", at,
	    "file", path, "filter", filter);
}

/* Waits for a signal or the lab's end, then for the final count. */
static json_t *
finish_capture(struct call *call, struct client_link *link)
{
	char byte;

	while (!interrupted) {
		ssize_t n = recv(link->fd, &byte, 1, MSG_PEEK);

		if (n == 0 || (n < 0 && errno != EINTR))
			break;
		if (n > 0)
			break; /* it says why it cannot go on */
	}
	shutdown(link->fd, SHUT_WR);
	return client_receive(link, &call->err);
}

/* Captures at n points of a lab (all of it if there are none) until a signal or
 * its end.  The exit status. */
static int
capture(struct call *call, const char *lab, char *const *points, int n,
    const char *filter, const char *file)
{
	const struct sigaction act = { .sa_handler = on_signal };
	struct client_link link;
	char *path = path_for_lab(file);
	json_t *reply = NULL;

	if (client_open(&link, lab, &call->err) < 0) {
		free(path);
		return 2;
	}
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	if (path != NULL)
		reply = client_call(&link,
		    capture_request(path, points, n, filter), &call->err);
	free(path);
	if (reply != NULL) {
		json_decref(reply);
		fprintf(call->notes,
		    "capturing to %s, until Ctrl-C or the lab's end\n", file);
		reply = finish_capture(call, &link);
	}
	client_close(&link);
	if (reply == NULL)
		return 2;
	fprintf(call->notes, "%lld frames, %lld lost\n",
	    (long long)json_integer_value(json_object_get(reply, "frames")),
	    (long long)json_integer_value(json_object_get(reply, "lost")));
	json_decref(reply);
	return 0;
}

static int
run_capture(struct call *call)
{
	const char *file = option_get(&call->options, "write");

	if (file == NULL) {
		err_set(&call->err, -EINVAL,
		    "where to? add -w FILE, or -w - for a pipe");
		return 2;
	}
	return capture(call, call->options.args[0], call->options.args + 1,
	    call->options.nargs - 1, option_get(&call->options, "filter"),
	    file);
}

const struct command command_capture = {
	.name = "capture",
	.arguments = "LAB [POINT...] -w FILE",
	.summary = "captures at ports of a running lab",
	.help = "Captures what passes in a running lab, until Ctrl-C.  A point "
		"is a port, a node\n(all its ports), or \"all\", which is "
		"what no point means; with a filter of its own\nit is one "
		"word: \"gw.inside icmp\".  To see it live:\n"
		"  lanyard capture nat gw.outside -w - | wireshark -k -i -",
	.options = capture_options,
	.min_args = 1,
	.max_args = 65,
	.run = run_capture,
};

/* ---- extcap ---- */

#define PREFIX "lanyard:" /* of an interface's name, lanyard:LAB[:PORT] */

static const struct option_row extcap_options[] = {
	{ "extcap-interfaces", 0, NULL, "list labs and their ports" },
	{ "extcap-dlts", 0, NULL, "say what kind of frames there are" },
	{ "extcap-config", 0, NULL, "say which options there are" },
	{ "extcap-interface", 0, "NAME", "lanyard:LAB or lanyard:LAB:PORT" },
	{ "extcap-version", 0, "VERSION", "who asks" },
	{ "extcap-capture-filter", 0, "FILTER", "of libpcap" },
	{ "capture", 0, NULL, "capture" },
	{ "fifo", 0, "FILE", "where to" },
	{ "points", 0, "POINTS", "instead of all, separated by commas" },
	{ 0 },
};

static void
list_ports(FILE *out, const char *lab)
{
	struct client_link link;
	struct err err = { "" };
	json_t *reply = NULL, *row;
	size_t i;

	fprintf(out,
	    "interface {value=" PREFIX "%s}{display=lanyard lab %s, all "
	    "ports}\n",
	    lab, lab);
	if (client_open(&link, lab, &err) == 0)
		reply = client_call(&link,
		    json_pack("{s:s,s:s}", "call", "show", "what", "ports"),
		    &err);
	client_close(&link);
	json_array_foreach(json_object_get(reply, "rows"), i, row)
	{
		const char *port =
		    json_string_value(json_object_get(row, "port"));

		if (port != NULL)
			fprintf(out,
			    "interface {value=" PREFIX "%s:%s}{display=lanyard "
			    "lab %s, port %s}\n",
			    lab, port, lab, port);
	}
	json_decref(reply);
}

static void
list_lab(void *arg, const char *lab, pid_t pid)
{
	(void)pid;
	list_ports(arg, lab);
}

static int
list_interfaces(struct call *call)
{
	fprintf(call->out,
	    "extcap {version=" LANYARD_VERSION "}{help=man lanyard}\n");
	return rundir_each(list_lab, call->out, &call->err) < 0 ? 2 : 0;
}

/* The words between commas, in place; how many. */
static int
split(char *text, char **words, int max)
{
	int n = 0;

	for (char *word = strtok(text, ","); word != NULL && n < max;
	     word = strtok(NULL, ","))
		words[n++] = word;
	return n;
}

static int
extcap_capture(struct call *call, const char *name)
{
	const char *fifo = option_get(&call->options, "fifo");
	const char *points = option_get(&call->options, "points");
	const char *filter =
	    option_get(&call->options, "extcap-capture-filter");
	char text[1024], lab[128], *words[64], *port;
	int n = 0;

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0 || fifo == NULL) {
		err_set(&call->err, -EINVAL,
		    "--extcap-interface lanyard:LAB and --fifo FILE are "
		    "needed");
		return 2;
	}
	snprintf(lab, sizeof(lab), "%s", name + strlen(PREFIX));
	port = strchr(lab, ':');
	if (port != NULL) {
		*port = '\0';
		words[n++] = port + 1;
	} else if (points != NULL) {
		snprintf(text, sizeof(text), "%s", points);
		n = split(text, words, 64);
	}
	if (filter != NULL && filter[0] == '\0')
		filter = NULL;
	return capture(call, lab, words, n, filter, fifo);
}

static int
run_extcap(struct call *call)
{
	const char *name = option_get(&call->options, "extcap-interface");

	if (option_get(&call->options, "extcap-interfaces") != NULL)
		return list_interfaces(call);
	if (name == NULL) {
		err_set(&call->err, -EINVAL,
		    "this is for Wireshark to call; see \"lanyard help "
		    "extcap\"");
		return 2;
	}
	if (option_get(&call->options, "extcap-dlts") != NULL) {
		fprintf(call->out,
		    "dlt {number=1}{name=EN10MB}{display=Ethernet}\n");
		return 0;
	}
	if (option_get(&call->options, "extcap-config") != NULL) {
		if (strchr(name + strcspn(name, ":") + 1, ':') == NULL)
			fprintf(call->out,
			    "arg {number=0}{call=--points}{display=Points}"
			    "{type=string}{tooltip=Ports and nodes, separated "
			    "by commas; empty: all}\n");
		return 0;
	}
	if (option_get(&call->options, "capture") == NULL)
		return 0; /* a filter to be judged, or what is yet to come */
	return extcap_capture(call, name);
}

const struct command command_extcap = {
	.name = "extcap",
	.arguments = "--extcap-...",
	.summary = "running labs as interfaces in Wireshark",
	.help = "What Wireshark calls to list running labs and their ports "
		"among its interfaces, and\nto capture there.  A link with "
		"the name lanyard-extcap in its extcap folder does it:\n"
		"  mkdir -p ~/.config/wireshark/extcap\n"
		"  ln -s \"$(command -v lanyard)\" "
		"~/.config/wireshark/extcap/lanyard-extcap",
	.options = extcap_options,
	.max_args = 0,
	.run = run_extcap,
};
