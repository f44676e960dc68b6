/*
 * power.h - the commands poweroff and reboot of the Linux guest.
 */
#ifndef VMM_LINUX_POWER_H
#define VMM_LINUX_POWER_H

/* name is "poweroff" or "reboot".  Returns an exit status only if it failed. */
int power_main(int argc, char **argv, const char *name);

#endif
