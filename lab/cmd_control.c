/*
 * exec and capture: what is done in a running lab.
 */
#include "lab/command.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lab/client.h"

/* ---- exec ---- */

/* The words joined by blanks, the caller's to free.  NULL: no memory. */
static char *
join_words(char *const *words, int n)
{
	size_t len = 1;
	char *out;

	for (int i = 0; i < n; i++)
		len += strlen(words[i]) + 1;
	out = calloc(1, len);
	for (int i = 0; i < n && out != NULL; i++) {
		if (i > 0)
			strcat(out, " ");
		strcat(out, words[i]);
	}
	return out;
}

static int
run_exec(struct call *call)
{
	struct client_link link;
	char *command =
	    join_words(call->options.args + 2, call->options.nargs - 2);
	json_t *reply;
	int status = 2, e = -ENOMEM;

	if (command != NULL)
		e = client_open(&link, call->options.args[0], &call->err);
	if (e == 0)
		e = client_send(&link,
		    json_pack("{s:s,s:s,s:s}", "call", "exec", "node",
			call->options.args[1], "run", command),
		    &call->err);
	free(command);
	while (e == 0) {
		reply = client_receive(&link, &call->err);
		if (reply == NULL)
			break;
		if (json_object_get(reply, "ok") != NULL) {
			status = (int)json_integer_value(
			    json_object_get(reply, "status"));
			json_decref(reply);
			break;
		}
		fputs(json_string_value(json_object_get(reply, "output")),
		    call->out);
		fflush(call->out);
		json_decref(reply);
	}
	if (e != -ENOMEM)
		client_close(&link);
	return status;
}

const struct command command_exec = {
	.name = "exec",
	.arguments = "LAB VM -- COMMAND...",
	.summary = "runs a command in a VM",
	.help = "Runs a command in a VM of a running lab, prints its output, "
		"and exits with its\nstatus.  Ctrl-C interrupts it.",
	.min_args = 3,
	.max_args = -1,
	.run = run_exec,
};

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

/* The path by which the lab's process opens the file.  Our standard output it
 * finds below /proc: pipes and files can be opened there by the same user. */
static char *
path_for_lab(const char *file)
{
	char dir[4096], *out = NULL;
	int n;

	if (strcmp(file, "-") == 0)
		n = asprintf(&out, "/proc/%d/fd/1", (int)getpid());
	else if (file[0] == '/')
		n = asprintf(&out, "%s", file);
	else if (getcwd(dir, sizeof(dir)) != NULL)
		n = asprintf(&out, "%s/%s", dir, file);
	else
		n = -1;
	return n < 0 ? NULL : out;
}

static json_t *
capture_request(struct call *call, const char *path)
{
	const char *filter = option_get(&call->options, "filter");
	json_t *at = json_array();

	for (int i = 1; i < call->options.nargs; i++)
		json_array_append_new(at, json_string(call->options.args[i]));
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

static int
run_capture(struct call *call)
{
	const char *file = option_get(&call->options, "write");
	const struct sigaction act = { .sa_handler = on_signal };
	struct client_link link;
	json_t *reply;
	char *path;

	if (file == NULL) {
		err_set(&call->err, -EINVAL,
		    "where to? add -w FILE, or -w - for a pipe");
		return 2;
	}
	if (client_open(&link, call->options.args[0], &call->err) < 0)
		return 2;
	path = path_for_lab(file);
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	reply = path == NULL
	    ? NULL
	    : client_call(&link, capture_request(call, path), &call->err);
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

const struct command command_capture = {
	.name = "capture",
	.arguments = "LAB NODE.PORT... -w FILE",
	.summary = "captures at ports of a running lab",
	.help = "Captures what passes at ports of a running lab, until "
		"Ctrl-C.  To see it live:\n"
		"  lanyard capture nat gw.outside -w - | wireshark -k -i -",
	.options = capture_options,
	.min_args = 2,
	.max_args = 65,
	.run = run_capture,
};
