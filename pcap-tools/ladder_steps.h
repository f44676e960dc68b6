/*
 * ladder_steps.h - a capture as steps from column to column, for the painters.
 */
#ifndef PCAP_TOOLS_LADDER_STEPS_H
#define PCAP_TOOLS_LADDER_STEPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "pcap-tools/ladder.h"

#define LADDER_LINE_BYTES 160

/* A line of text, and which of its words differ from those of the step that
 * this one came from. */
struct ladder_line {
	char text[LADDER_LINE_BYTES];
	uint32_t changed; /* bit n: word n, counted from 0 */
};

struct ladder_step {
	uint64_t at_ns;               /* since the first step */
	uint64_t number;              /* of the frame */
	unsigned int from, to;        /* columns; equal: nobody knows whereto */
	bool drop, new_journey;       /* comes of none of the steps before */
	struct ladder_line line[2];   /* addresses, then the rest; "" if none */
	char note[LADDER_LINE_BYTES]; /* the verdict, "" if none */
};

struct ladder_column {
	char name[64];
};

struct ladder_model {
	struct ladder_column columns[LADDER_COLUMNS_MAX];
	unsigned int ncolumns;
	struct ladder_step *steps;
	unsigned int nsteps, max_steps;
	unsigned int left_out;
	uint64_t start_ns; /* of the first step, since 1970 */
};

/* 0, or -Exxx.  The caller frees in any case. */
int ladder_read(struct ladder_model *model, const char *path,
    const struct ladder_options *options, struct err *err);
void ladder_free(struct ladder_model *model);

/* The painters, each in a file of its own. */
void ladder_text(const struct ladder_model *model, FILE *out);
void ladder_svg(const struct ladder_model *model, FILE *out);

/* The next word at *text: its length, 0 at the end; *text is moved to it. */
unsigned int ladder_word(const char **text);

/* Columns between lifelines, in letters: gap[i] right of column i, with the
 * last for notes. */
void ladder_gaps(
    const struct ladder_model *model, unsigned int gap[LADDER_COLUMNS_MAX]);

#endif
