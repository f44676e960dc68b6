#include <stdio.h>

#include "lab/command.h"

int
main(int argc, char **argv)
{
	struct call call = { .out = stdout, .notes = stderr };
	int status = command_dispatch(&call, argc, argv);

	if (fflush(stdout) != 0 && status == 0) {
		fprintf(stderr, "lanyard: cannot write to standard output\n");
		return 2;
	}
	if (call.err.text[0] != '\0')
		fprintf(stderr, "lanyard: %s\n", call.err.text);
	return status;
}
