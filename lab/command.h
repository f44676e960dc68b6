/*
 * command.h - the commands of lanyard, in one table.
 *
 * A command writes what was asked for to out, leaves the sentence of what went
 * wrong in err, and returns the exit status: 0 it did it, 1 it ran and a check
 * failed, 2 the command line or a file was wrong.  Only main() prints err and
 * exits.
 */
#ifndef LAB_COMMAND_H
#define LAB_COMMAND_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"
#include "lab/options.h"

struct call {
	struct options options;
	FILE *out;   /* what was asked for */
	FILE *notes; /* problems of a file, progress */
	struct err err;
};

struct command {
	const char *name;
	const char *arguments; /* "FILE" */
	const char *summary;   /* one line of `lanyard help` */
	const char *help;      /* a paragraph */
	const struct option_row *options;
	int min_args, max_args; /* max -1: any number */
	int (*run)(struct call *call);
	/* Instead of run: reads its own command line, argv[0] being name. */
	int (*raw)(int argc, char **argv);
	/* Instead of run: the commands of which the next word names one.  Their
	 * names are whole: "pcap pair".  NULL at the end. */
	const struct command *const *parts;
};

extern const struct command *const commands[]; /* NULL at the end */

extern const struct command command_run, command_check, command_draw,
    command_ls, command_show, command_exec, command_console, command_checkpoint,
    command_restore, command_set, command_explain, command_measure, command_nat,
    command_pcap_nat, command_capture, command_extcap, command_pcap,
    command_doctor, command_vm, command_disk, command_schema, command_reasons,
    command_complete, command_help;

/* Runs argv[1] with what follows.  Returns the exit status; call->err has the
 * sentence to print, if any. */
int command_dispatch(struct call *call, int argc, char **argv);

/* Reads and checks a lab file and writes its problems to call->notes.  NULL:
 * it cannot be used. */
struct lab *command_load(struct call *call, const char *path);

#define LANYARD_VERSION "0.1"

#endif
