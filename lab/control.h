/*
 * control.h - a running lab's control socket.
 *
 * Requests and replies are JSON, one to a line (request.h).  Every request has
 * a last reply with "ok": true, or false and "error"; an exec is preceded by
 * replies with "output".  A capture lasts until its client shuts down its
 * sending side, and is then answered.
 *
 * Loop thread only.  Clients that read nothing are cut off once their replies
 * fill CONTROL_OUT_BYTES.
 */
#ifndef LAB_CONTROL_H
#define LAB_CONTROL_H

#include "lab/show.h"

#define CONTROL_CLIENTS_MAX 32
#define CONTROL_OUT_BYTES   ((size_t)32 << 20)

struct control;

struct control_config {
	struct loop *loop;
	const char *path; /* of the socket */
	struct fabric *fabric;
	struct guests *guests;
	void (*stop)(void *arg); /* somebody asks the lab to end */
	void *arg;
};

/* NULL: *err says why. */
struct control *control_new(
    const struct control_config *config, struct err *err);
void control_free(struct control *control); /* NULL is fine */

#endif
