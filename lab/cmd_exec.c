#include "lab/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lab/client.h"

static int
run_exec(struct call *call)
{
	struct client_link link;
	char *command = options_words(&call->options, 2);
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
