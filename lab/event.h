/*
 * event.h - what a lab file says is to be done, done at its time.
 */
#ifndef LAB_EVENT_H
#define LAB_EVENT_H

#include "lab/fabric.h"
#include "lab/guest.h"
#include "lab/output.h"

struct events;

struct event {
	struct events *all;
	const struct lab_event *what;
	struct loop_timer timer;
	struct job job;
	struct output output;
	uint64_t started_ns;
	struct err why; /* what was to be set, and cannot */
};

struct events {
	struct loop *loop;
	const struct lab *lab;
	struct fabric *fabric;
	struct guests *guests;
	struct event *list;
	unsigned int nopen; /* not done yet */
	/* An event is done; status of its command; for others 0, or 1 with
	 * event->why. */
	void (*done)(void *arg, struct event *event, int status);
	void *arg;
};

/* Time counts from now.  0, or -ENOMEM. */
int events_start(struct events *events, struct loop *loop,
    const struct lab *lab, struct fabric *fabric, struct guests *guests,
    void (*done)(void *arg, struct event *event, int status), void *arg);
void events_free(struct events *events);

#endif
