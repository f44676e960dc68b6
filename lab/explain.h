/*
 * explain.h - a frame in words, rehearsed (rehearsal.h).
 */
#ifndef LAB_EXPLAIN_H
#define LAB_EXPLAIN_H

#include "lab/rehearsal.h"

/* What would become of the frame (frame_text.h) that the port of that name
 * sends.  Where it does not say from whom to whom, it is addressed as the
 * port's node would.  Else as rehearsal_new(). */
struct rehearsal *explain(const struct fabric *f, const char *port,
    const char *frame,
    void (*done)(void *arg, json_t *reply, const struct err *err), void *arg,
    struct err *err);

#endif
