/*
 * diff.h - whether two captures tell the same, frame by frame.
 *
 * Compared are the points' names, and of each frame, in the order of the files,
 * its point, its stamp, its length, its bytes, and its verdict where the
 * captures have one.
 */
#ifndef PCAP_TOOLS_DIFF_H
#define PCAP_TOOLS_DIFF_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

struct diff_options {
	bool ignore_times;
};

/* Writes what differs first to out, or how many frames are alike.  0: they are
 * alike; 1: they are not; -Exxx with *err: one of them cannot be read. */
int capture_diff(const char *a, const char *b,
    const struct diff_options *options, FILE *out, struct err *err);

#endif
