/*
 * agent.h - runs commands in the Linux guest for whoever holds the other end of
 * a serial port.
 *
 *     agent:  \x1e ready \n                 once, when it starts
 *     host:   ping -c 1 10.0.0.1 \n         a command
 *     agent:  ...output... \x1e 0 \n        and its exit status
 *     host:   \x03                          interrupts the command: status 130
 *
 * Output holds no \x1e: those of the command are left out.  126: the command
 * could not be run.
 */
#ifndef VMM_LINUX_AGENT_H
#define VMM_LINUX_AGENT_H

#define AGENT_COMMAND_MAX 4095 /* bytes of a command; a longer one is refused */

/* Serves the serial port; one that is not there is said on standard error and
 * waited for in vain.  Returns an exit status when the port breaks. */
int agent_main(const char *tty);

#endif
