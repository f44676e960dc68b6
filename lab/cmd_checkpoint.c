#include "lab/command.h"

#include <errno.h>
#include <string.h>

#include "lab/client.h"
#include "vmm/vm_control.h"

static json_t *
ask(struct call *call, json_t *request)
{
	struct client_link link;
	json_t *reply = NULL;

	if (client_open(&link, call->options.args[0], &call->err) < 0) {
		json_decref(request);
		return NULL;
	}
	reply = client_call(&link, request, &call->err);
	client_close(&link);
	return reply;
}

/* The VM does it; the lab knows where that listens. */
static int
run_checkpoint(struct call *call)
{
	char *const *args = call->options.args;
	json_t *reply =
	    ask(call, json_pack("{s:s,s:s}", "call", "vm", "node", args[1]));
	const char *path, *state;
	int status = 0;

	if (reply == NULL)
		return 2;
	path = json_string_value(json_object_get(reply, "control"));
	state = json_string_value(json_object_get(reply, "state"));
	if (path == NULL || state == NULL)
		err_set(&call->err, -EINVAL, "the lab's answer makes no sense");
	else if (strcmp(state, "off") == 0 || strcmp(state, "died") == 0)
		err_set(
		    &call->err, -ESRCH, "VM \"%s\" is not running", args[1]);
	if (call->err.text[0] != '\0')
		status = 2;
	else if (vm_control_ask_save(path, args[2],
		     option_get(&call->options, "stop") != NULL,
		     &call->err) < 0)
		status = 1;
	json_decref(reply);
	return status;
}

static int
run_restore(struct call *call)
{
	char *const *args = call->options.args;
	json_t *reply = ask(call,
	    json_pack("{s:s,s:s,s:s}", "call", "restore", "node", args[1],
		"checkpoint", args[2]));

	if (reply == NULL)
		return 2;
	json_decref(reply);
	return 0;
}

static const struct option_row checkpoint_options[] = {
	{ "stop", 0, NULL, "the VM does not go on but ends" },
	{ NULL, 0, NULL, NULL },
};

const struct command command_checkpoint = {
	.name = "checkpoint",
	.arguments = "LAB VM NAME",
	.summary = "keeps a VM as it is at this moment",
	.help =
	    "Makes a checkpoint of a VM of a running lab: its memory, CPUs, "
	    "devices and disks.\nThe VM goes on; \"lanyard restore\" takes it "
	    "back there.  It is in the directory of\nits disks, or in "
	    "LAB.checkpoints beside the lab file; \"lanyard disk tree\" lists "
	    "what\nthere is.",
	.options = checkpoint_options,
	.min_args = 3,
	.max_args = 3,
	.run = run_checkpoint,
};

const struct command command_restore = {
	.name = "restore",
	.arguments = "LAB VM NAME",
	.summary = "takes a VM back to a checkpoint",
	.help =
	    "Ends a VM of a running lab, if it runs, and lets it go on from a "
	    "checkpoint.  What\nit has done since, on its disks, too, is "
	    "lost.  It may be another run of the lab\nand another engine, but "
	    "the VM has to have the same memory, CPUs and devices.",
	.min_args = 3,
	.max_args = 3,
	.run = run_restore,
};
