#include "lab/command.h"

#include "lab/model.h"

static int
run_check(struct call *call)
{
	struct lab *lab = command_load(call, call->options.args[0]);

	if (lab == NULL)
		return 2;
	fprintf(call->out,
	    "%s: lab \"%s\" is right: %u switches, %u routers, %u VMs, %u "
	    "hosts, %u plugs, %u expectations\n",
	    call->options.args[0], lab->name, lab->nswitches, lab->nrouters,
	    lab->nvms, lab->nhosts, lab->nplugs, lab->nexpects);
	lab_free(lab);
	return 0;
}

const struct command command_check = {
	.name = "check",
	.arguments = "FILE",
	.summary = "reads a lab file and says everything wrong with it",
	.help = "Reads a lab file and says everything that is wrong with it, "
		"each with line and\ncolumn, in one go.  Starts nothing.",
	.min_args = 1,
	.max_args = 1,
	.run = run_check,
};
