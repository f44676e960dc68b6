/*
 * disk_command.h - `lanyard disk`: images from the command line.
 */
#ifndef DISK_DISK_COMMAND_H
#define DISK_DISK_COMMAND_H

/* argv[0] is "disk" or the like.  The exit code: 0 it did it, 1 it did, and a
 * check found something, 2 the command line or a file was wrong, or it could
 * not be done.  Says on standard error what is wrong. */
int disk_command(int argc, char **argv);

#endif
