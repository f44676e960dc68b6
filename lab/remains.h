/*
 * remains.h - what of a lab is left when its process was killed, and is cleaned
 * up by the next command.
 *
 * Interfaces that a lab made, and what it set of others, end with its process.
 * The lab notes them nevertheless, in "host" in its run directory, so that who
 * cleans up can look, and say so.
 */
#ifndef LAB_REMAINS_H
#define LAB_REMAINS_H

#include <stdio.h>

#include "lab/fabric.h"
#include "lab/rundir.h"

/* Once the fabric is there.  0, or -Exxx. */
int remains_note(
    const struct rundir *dir, const struct fabric *fabric, struct err *err);

/* Cleans up after all labs whose processes have gone, a line about each. */
void remains_clear(FILE *notes);

#endif
