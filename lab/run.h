/*
 * run.h - a lab from its start to its end.
 *
 * Brings up what a checked lab file names, runs its events, watches its
 * expectations, and ends when all of them are decided, when time is over, or
 * when somebody asks.  Whatever happens, nothing of it is left behind: no
 * process, no socket, no directory.
 */
#ifndef LAB_RUN_H
#define LAB_RUN_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"
#include "lab/model.h"

struct run_options {
	bool virtual_time;
	uint64_t seed;
	uint64_t for_ns; /* 0: no limit */
	bool json;       /* the result as one JSON object */
	FILE *out;       /* what happens, and the results */
	FILE *notes;     /* progress on a terminal */
};

/* 0: all expectations were met.  1: not all, or a VM died.  -Exxx: it could
 * not be run; *err says why. */
int run_lab(
    const struct lab *lab, const struct run_options *options, struct err *err);

#endif
