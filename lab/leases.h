/*
 * leases.h - leases that outlive the lab, in a file for each router.
 *
 * The file is JSON, is read before the first frame, and is written anew, in one
 * step, a second after a lease has changed and at the lab's end.  What was saved
 * and does not fit any more, since the lab file has changed, is left out.  While
 * the lab was not running, leases ran out as ever; with virtual time, time
 * stood still.
 */
#ifndef LAB_LEASES_H
#define LAB_LEASES_H

#include "lab/fabric.h"

struct leases;

/* Restores the leases of all routers that have a file.  NULL: *err says why. */
struct leases *leases_new(
    struct loop *loop, const struct fabric *fabric, struct err *err);

/* Writes what has changed.  0, or -Exxx when a file is not up to date.  NULL is
 * fine. */
int leases_free(struct leases *leases, struct err *err);

#endif
