/*
 * options.h - a command's options and arguments, by a table.
 *
 * "--name value", "--name=value", "--name" for a switch, "-f value" where the
 * row has a letter; "--" ends the options.  --help and --json need no special
 * treatment: they are rows like others.
 */
#ifndef LAB_OPTIONS_H
#define LAB_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"

#define OPTIONS_MAX 16

struct option_row {
	const char *name;  /* "for"; NULL ends the table */
	char letter;       /* 'w' for -w; 0: none */
	const char *value; /* "DURATION"; NULL: a switch */
	const char *help;
};

struct options {
	const struct option_row *rows;
	const char *values[OPTIONS_MAX]; /* "" for a switch; NULL: not given */
	char **args;                     /* what is no option, in order */
	int nargs;
};

/* Sorts argv[0] to argv[argc - 1] (without the command's name) into options
 * and arguments, in place.  0, or -EINVAL with *err. */
int options_read(struct options *options, const struct option_row *rows,
    int argc, char **argv, struct err *err);

/* The value of an option, or NULL when it was not given. */
const char *option_get(const struct options *options, const char *name);

/* The arguments from the first one on, joined by blanks; the caller's to free.
 * NULL: no memory. */
char *options_words(const struct options *options, int first);

void options_help(const struct option_row *rows, FILE *out);

#endif
