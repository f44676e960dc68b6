#include "lab/command.h"

#include <errno.h>
#include <string.h>

#include "lab/check_vm.h"
#include "lab/program.h"
#include "lab/qemu_args.h"
#include "lab/run.h"
#include "lab/vm_disks.h"
#include "vmm/engine.h"
#include "vmm/linux_image.h"

static const struct option_row options[] = {
	{ "for", 0, "DURATION", "end after this time, as 10s" },
	{ "virtual-time", 0, NULL,
	    "let the lab's clock jump; for labs without VMs, plugs and "
	    "bridges" },
	{ "seed", 0, "NUMBER",
	    "of everything random; the same seed, the same run (1)" },
	{ "engine", 0, "ENGINE",
	    "of all VMs, whatever the file says: auto, kvm, emulate or qemu" },
	{ "no-sandbox", 0, NULL,
	    "let the VMs' processes keep all rights, for debugging" },
	{ "json", 0, NULL, "the results as JSON" },
	{ 0 },
};

static int
read_options(struct call *call, struct run_options *run)
{
	const char *limit = option_get(&call->options, "for");
	const char *seed = option_get(&call->options, "seed");

	*run = (struct run_options){
		.virtual_time =
		    option_get(&call->options, "virtual-time") != NULL,
		.seed = 1,
		.json = option_get(&call->options, "json") != NULL,
		.out = call->out,
		.notes = call->notes,
	};
	if (limit != NULL && !duration_read(&run->for_ns, limit, &call->err))
		return -EINVAL;
	if (seed != NULL && !count_read(&run->seed, seed, &call->err))
		return -EINVAL;
	return 0;
}

/* In virtual time a lab that never ends would never end at all. */
static int
check_end(const struct lab *lab, const struct run_options *run, struct err *err)
{
	if (!run->virtual_time || run->for_ns != 0)
		return 0;
	for (unsigned int i = 0; i < lab->nexpects; i++)
		if (!lab->expects[i].always)
			return 0;
	for (unsigned int i = 0; i < lab->nhosts; i++)
		if (lab->hosts[i].send.item.node != NULL &&
		    lab->hosts[i].send.count == 0)
			return err_set(err, -EINVAL,
			    "host \"%s\" sends without end, and nothing else "
			    "ends the lab; add --for, or \"within\" to an "
			    "expectation",
			    lab->hosts[i].item.name);
	return 0;
}

/* A name of lab_engines[], or -EINVAL. */
static int
engine_of(const char *name, struct err *err)
{
	for (int i = 0; lab_engines[i] != NULL; i++)
		if (strcmp(lab_engines[i], name) == 0)
			return i;
	return err_set(err, -EINVAL,
	    "--engine %.40s is not known; use auto, kvm, emulate or qemu",
	    name);
}

static int
check_qemu(const struct lab_vm *vm, struct err *err)
{
	const char *key, *why = qemu_refusal(vm, &key);

	if (why != NULL)
		return err_set(
		    err, -EINVAL, "vm %s: %s: %s", vm->item.name, key, why);
	return program_find(QEMU_PROGRAM, "qemu-system-x86", err);
}

/* Settles what auto is here, once for all VMs; and, before anything is started,
 * whether there is the guest that they ask for. */
static int
prepare_vms(struct lab *lab, int engine, bool no_sandbox, struct err *err)
{
	const struct engine *found = NULL;
	struct linux_image image;
	int e = 0;

	for (unsigned int i = 0; i < lab->nvms && e == 0; i++) {
		struct lab_vm *vm = &lab->vms[i];

		vm->no_sandbox = no_sandbox;
		if (engine >= 0)
			vm->engine = engine;
		if (vm->engine == ENGINE_AUTO && found == NULL)
			found = engine_find("auto", err);
		if (vm->engine == ENGINE_AUTO && found != NULL)
			vm->engine = engine_of(found->name, err);
		if (vm->engine == ENGINE_QEMU)
			e = check_qemu(vm, err);
		if (e == 0 && vm->guest == GUEST_LINUX && vm->kernel == NULL)
			e = linux_image_find(&image, "/proc/self/exe", err);
	}
	return e;
}

static int
run_run(struct call *call)
{
	const char *name = option_get(&call->options, "engine");
	int engine = name != NULL ? engine_of(name, &call->err) : -1;
	struct run_options run;
	struct lab *lab;
	int e;

	if ((name != NULL && engine < 0) || read_options(call, &run) < 0)
		return 2;
	lab = command_load(call, call->options.args[0]);
	if (lab == NULL)
		return 2;
	e = check_end(lab, &run, &call->err);
	if (e == 0)
		e = prepare_vms(lab, engine,
		    option_get(&call->options, "no-sandbox") != NULL,
		    &call->err);
	if (e == 0)
		e = vm_disks_make(lab, &call->err);
	if (e == 0)
		e = run_lab(lab, &run, &call->err);
	lab_free(lab);
	return e < 0 ? 2 : e;
}

const struct command command_run = {
	.name = "run",
	.arguments = "FILE",
	.summary = "brings a lab up and judges its expectations",
	.help = "Brings up the lab of a file, in the foreground, until all of "
		"its expectations are\ndecided; without any, until --for or "
		"Ctrl-C.  Then prints each expectation with\nits evidence, the "
		"tables that the file's show: names, and what became of "
		"frames\nthat did not arrive.  Exit status 0: all were met; 1: "
		"not all.",
	.options = options,
	.min_args = 1,
	.max_args = 1,
	.run = run_run,
};
