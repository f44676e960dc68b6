/*
 * privilege.h - what of the host's network a process may touch, and for how
 * long.
 *
 * Interfaces are opened when a lab starts; what is opened stays open.  Then the
 * process gives CAP_NET_RAW and CAP_NET_ADMIN away, for itself and for all that
 * it starts.
 */
#ifndef BRIDGE_PRIVILEGE_H
#define BRIDGE_PRIVILEGE_H

#include "base/err.h"

/* What to do about an errno that says that a capability is missing: the line
 * to type, good until the next call; NULL for any other. */
const char *privilege_remedy(int error);

/* 0 if we have CAP_NET_ADMIN; else -EPERM, *err saying who needs it and how to
 * get it. */
int privilege_need(const char *who, struct err *err);

/* For ever.  0, also when there was nothing to give; or -Exxx. */
int privilege_drop(struct err *err);

#endif
