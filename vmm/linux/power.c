/*
 * Ends the machine at once: disks are brought into order, processes are not
 * asked.
 *
 * Without ACPI tables Linux does not know how to switch the machine off and
 * halts.  The port that the tables would name is there all the same, so we
 * write it ourselves: PM1 control, SLP_EN with the sleep type of S5.
 */
#include "vmm/linux/power.h"

#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

#define PM1_CONTROL 0x604
#define SLP_S5      0x2000
#define ACPI        "/sys/firmware/acpi/tables"

/* What somebody still writes to stays writable, and is synced at least. */
static void
settle_disks(void)
{
	FILE *mounts = setmntent("/proc/mounts", "re");
	const struct mntent *m;

	sync();
	while (mounts != NULL && (m = getmntent(mounts)) != NULL)
		if (strncmp(m->mnt_fsname, "/dev/", 5) == 0)
			mount(NULL, m->mnt_dir, NULL, MS_REMOUNT | MS_RDONLY,
			    NULL);
	if (mounts != NULL)
		endmntent(mounts);
}

int
power_main(int argc, char **argv, const char *name)
{
	const int off = strcmp(name, "poweroff") == 0;

	if (argc > 2 || (argc == 2 && strcmp(argv[1], "-f") != 0)) {
		fprintf(stderr, "usage: %s [-f]\n", name);
		return 2;
	}
	settle_disks();
	if (off && access(ACPI, F_OK) < 0 && iopl(3) == 0)
		outw(SLP_S5, PM1_CONTROL);
	reboot(off ? RB_POWER_OFF : RB_AUTOBOOT);
	fprintf(
	    stderr, "%s: %s; only root may do this\n", name, strerror(errno));
	return EXIT_FAILURE;
}
