/*
 * vm_command.h - `lanyard vm`: one VM without a lab; also what `lanyard run`
 * starts for each VM of one.
 */
#ifndef VMM_VM_COMMAND_H
#define VMM_VM_COMMAND_H

/* argv[0] is "vm" or the like.  The exit code: 0 the guest powered off or was
 * told to stop, 1 it crashed or could not be run, 2 wrong command line or
 * file, or the status that it gave at its exit port.  Says on standard error
 * what is wrong. */
int vm_command(int argc, char **argv);

/* Its first word being "save". */
int vm_save_command(int argc, char **argv);

#endif
