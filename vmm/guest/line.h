/*
 * line.h - the line that a person edits on the console.
 *
 * Keys in, echo out: printable characters, backspace, ^U (whole line), ^W
 * (last word), ^C (give up), and up and down through the last lines.
 */
#ifndef GUEST_LINE_H
#define GUEST_LINE_H

#include <stddef.h>

#include "vmm/guest/shell.h"

#define LINE_HISTORY 8

enum line_event { LINE_MORE, LINE_DONE, LINE_GIVEN_UP };

struct line {
	char text[SHELL_LINE_BYTES];
	size_t len;
	unsigned int escape; /* how far into an arrow key we are */
	char last;           /* key, so that CR LF is one end */
	char history[LINE_HISTORY][SHELL_LINE_BYTES];
	unsigned int kept, shown; /* lines in history; 0: the line itself */
};

/* Takes one key.  echo(arg, ...) is given what the terminal is to show.  After
 * LINE_DONE text is the line, good until the next key. */
enum line_event line_key(struct line *line, char key,
    void (*echo)(void *arg, const char *data, size_t len), void *arg);

#endif
