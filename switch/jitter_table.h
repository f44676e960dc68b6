/*
 * jitter_table.h - a distribution of delays, measured somewhere and kept in a
 * file: the format of netem's distribution tables (tc-netem(8)).
 *
 * Whole numbers between blanks, with comments from "#" to the end of a line:
 * the values of the inverse of the distribution function at equal steps, each
 * in 1/8192 of the standard deviation.  In any order: they are sorted.
 */
#ifndef SWITCH_JITTER_TABLE_H
#define SWITCH_JITTER_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define JITTER_TABLE_MAX   16384 /* as in netem */
#define JITTER_TABLE_SCALE 8192
#define JITTER_FILE_MAX    (1u << 20)

struct jitter_table {
	uint32_t n;
	int16_t value[JITTER_TABLE_MAX]; /* ascending */
};

/* Reads text.  0, or -EINVAL with *err saying in which line. */
int jitter_table_read(
    struct jitter_table *table, const char *text, size_t len, struct err *err);

/* Reads the file at path.  0, or -Exxx with *err. */
int jitter_table_load(
    struct jitter_table *table, const char *path, struct err *err);

#endif
