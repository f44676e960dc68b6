/*
 * complaint.h - what is said about somebody outside who misbehaves, at a rate
 * for people.
 *
 * One struct for each somebody.  At most one line a second is written; the
 * next one tells how many were not.
 */
#ifndef BASE_COMPLAINT_H
#define BASE_COMPLAINT_H

#include <stdint.h>

struct complaint {
	uint64_t said_ns; /* time of the last line, 0: never */
	uint64_t unsaid;  /* since */
};

/* Warns "WHO: ..." at now_ns of the caller's loop. */
void complain(struct complaint *complaint, uint64_t now_ns, const char *who,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
