/*
 * program.h - programs of others.
 */
#ifndef LAB_PROGRAM_H
#define LAB_PROGRAM_H

#include "base/err.h"

/* Is it in PATH?  0, or -ENOENT with *err saying which package has it. */
int program_find(const char *name, const char *package, struct err *err);

#endif
