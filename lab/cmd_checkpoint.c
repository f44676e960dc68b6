#include "lab/command.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lab/client.h"
#include "vmm/vm_command.h"
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

/* Of a VM that is off: this process makes it, as its own would, run by these
 * words. */
static int
save_off(const json_t *words, const char *name)
{
	static char program[] = "vm", option[] = "--save";
	size_t n = json_array_size(words);
	char **argv = calloc(n + 3, sizeof(*argv));
	int argc = 0, status;

	if (argv == NULL)
		return 1;
	argv[argc++] = program;
	for (size_t i = 2; i < n; i++) /* "lanyard", "vm" */
		argv[argc++] = (char *)(uintptr_t)json_string_value(
		    json_array_get(words, i));
	argv[argc++] = option;
	argv[argc++] = (char *)(uintptr_t)name;
	status = vm_command(argc, argv);
	free(argv);
	return status;
}

/* The VM does it; the lab knows where that listens. */
static int
run_checkpoint(struct call *call)
{
	char *const *args = call->options.args;
	json_t *reply =
	    ask(call, json_pack("{s:s,s:s}", "call", "vm", "node", args[1]));
	const json_t *words;
	const char *path;
	int status = 0;

	if (reply == NULL)
		return 2;
	path = json_string_value(json_object_get(reply, "control"));
	words = json_object_get(reply, "words");
	if (words != NULL) {
		status = save_off(words, args[2]);
	} else if (path == NULL) {
		err_set(&call->err, -EINVAL, "the lab's answer makes no sense");
		status = 2;
	} else if (vm_control_ask_save(path, args[2],
		       option_get(&call->options, "stop") != NULL,
		       &call->err) < 0) {
		status = 1;
	}
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
	    "back there.  That of a VM that is off\nhas its disks, from which "
	    "it "
	    "starts.  It is in the directory of its disks, or in\n"
	    "LAB.checkpoints beside the lab file; \"lanyard disk tree\" lists "
	    "what there is.",
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
