#include "lab/command.h"

#include "disk/disk_command.h"

const struct command command_disk = {
	.name = "disk",
	.arguments = "COMMAND ...",
	.summary = "differential disks: snapshots, clones, commit",
	.raw = disk_command,
};
