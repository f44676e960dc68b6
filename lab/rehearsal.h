/*
 * rehearsal.h - what would become of a frame, without sending it.
 *
 * The frame is sent in a copy of the lab, a process of its own, which ends with
 * that.  So the verdicts are those that it would get: of switches, routers,
 * NATs as they are at this moment.  What belongs to others (guests, TAPs) is
 * not asked, but answers ARP for the addresses that are known.  Cables deliver
 * at once; what they would do is told.  Loop thread only.
 */
#ifndef LAB_REHEARSAL_H
#define LAB_REHEARSAL_H

#include <jansson.h>

#include "lab/fabric.h"

#define REHEARSAL_STEPS 400 /* told; more are only counted */

struct rehearsal;

/*
 * Sends the bytes out of port, which is a node's or a switch's, to the other
 * end of its cable.  Later done is called, once, with what happened, which it
 * takes: {"steps": [...], "left_out": N}; or with NULL and *err.  NULL: *err
 * says why it cannot begin.
 */
struct rehearsal *rehearsal_new(const struct fabric *f, struct port *port,
    const uint8_t *bytes, size_t len,
    void (*done)(void *arg, json_t *reply, const struct err *err), void *arg,
    struct err *err);
/* Ends it before it is done; NULL is fine. */
void rehearsal_cancel(struct rehearsal *rehearsal);

#endif
