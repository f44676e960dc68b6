/*
 * The one program of ours in the Linux guest, by the name it is called by.
 */
#include <string.h>

#include "vmm/linux/agent.h"
#include "vmm/linux/power.h"

int
main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	const char *name = slash != NULL ? slash + 1 : argv[0];

	if (strcmp(name, "poweroff") == 0 || strcmp(name, "reboot") == 0)
		return power_main(argc, argv, name);
	return agent_main(argc > 1 ? argv[1] : "/dev/ttyS1");
}
