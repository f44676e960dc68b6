/*
 * output.h - what a command in a guest wrote, kept for people.
 *
 * Bounded: of a long output the beginning and the latest part are kept.  The
 * guest may write anything; what is shown is UTF-8 without control characters.
 */
#ifndef LAB_OUTPUT_H
#define LAB_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

#define OUTPUT_MAX_BYTES 8192

struct output {
	char text[OUTPUT_MAX_BYTES + 1]; /* always ended */
	size_t len;
	size_t dropped; /* bytes from the middle */
};

void output_clear(struct output *output);
void output_add(struct output *output, const char *bytes, size_t len);

/* Each line behind indent, but those that wanted does not want (NULL: all);
 * at most max_lines, the last ones. */
void output_print(const struct output *output, const char *indent,
    unsigned int max_lines, bool (*wanted)(void *arg, const char *line),
    void *arg, FILE *out);

/* Makes bytes fit to show, in place: tabs and line breaks stay, what is no
 * UTF-8 or controls a terminal becomes '?'. */
void output_clean(char *bytes, size_t len);

/* How many of the bytes do not end within a UTF-8 character. */
size_t output_whole(const char *bytes, size_t len);

#endif
