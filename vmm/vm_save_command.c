#include "vmm/vm_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "vmm/vm_control.h"

#define EXIT_BAD_USE 2

static const char usage[] =
    "usage: lanyard vm save [--stop] SOCKET NAME\n"
    "\n"
    "Makes a checkpoint of the VM that was started with --control SOCKET:\n"
    "its memory, its CPUs and devices, and its disks.  The VM goes on, or\n"
    "ends at that moment with --stop; the command that started it begins\n"
    "there again with --restore NAME, on any engine.\n"
    "\n"
    "Exit code: 0 it is there, 1 it could not be made, 2 wrong command line.\n";

int
vm_save_command(int argc, char **argv)
{
	struct err err = { "" };
	bool stop;

	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--help") == 0) {
			fputs(usage, stdout);
			return 0;
		}
	stop = argc > 1 && strcmp(argv[1], "--stop") == 0;
	if (argc != 3 + stop || argv[1 + stop][0] == '-') {
		log_error("a socket and a name are needed; try lanyard vm save "
			  "--help");
		return EXIT_BAD_USE;
	}
	if (vm_control_ask_save(argv[1 + stop], argv[2 + stop], stop, &err) ==
	    0)
		return 0;
	log_error("%s", err.text);
	return EXIT_FAILURE;
}
