/*
 * ask_line.h - one question and its answer, a line each, over a socket.
 */
#ifndef BASE_ASK_LINE_H
#define BASE_ASK_LINE_H

#include <stddef.h>

/* Sends a line, its end added; blocks no longer than flags (send(2)) let it.  0
 * or -Exxx. */
int ask_line_send(int fd, const char *line, int flags);

/* Asks, and waits for the answer: a line of at most len - 1 bytes, cut there,
 * without its end.  -EPIPE: there was none. */
int ask_line(int fd, const char *question, char *answer, size_t len);

#endif
