/*
 * setting.h - what "set" asks of a running lab: a cable, a switch's port, its
 * spanning tree, a router's NAT.
 *
 * Loop thread only.
 */
#ifndef LAB_SETTING_H
#define LAB_SETTING_H

#include "lab/fabric.h"
#include "lab/request.h"

/* Does it; nothing is done before all of it is known to be right.  *up: the
 * port's link, or true of what is no port.  0, or negative errno with *err. */
int setting_do(
    const struct fabric *f, const struct request *r, bool *up, struct err *err);

#endif
