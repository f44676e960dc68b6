/*
 * slirp_admit.h - what of a LAN may go the rootless way out.
 *
 * libslirp does with its sockets what guests say.  What would reach the host
 * itself by an address that no wire carries is refused before.
 */
#ifndef BRIDGE_SLIRP_ADMIT_H
#define BRIDGE_SLIRP_ADMIT_H

#include <stdbool.h>
#include <stddef.h>

#include "net/reason.h"

/* Judges a frame: DROP_NONE, and whether it may be the first of a flow, which
 * takes a socket; or why it may not pass. */
enum reason slirp_admit(
    const void *frame, size_t len, bool ipv6, bool *may_begin);

#endif
