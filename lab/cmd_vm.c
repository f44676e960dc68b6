#include "lab/command.h"

#include "vmm/vm_command.h"

const struct command command_vm = {
	.name = "vm",
	.arguments = "[OPTION]...",
	.summary = "runs one VM without a lab",
	.raw = vm_command,
};
