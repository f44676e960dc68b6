/*
 * twin.h - the way from a LAN to the host behind a NIC.
 *
 * A frame that is injected on an interface leaves by it, and is not seen by the
 * host that the interface belongs to.  What is given to a twin arrives at the
 * interface as if it had been received there.
 *
 * It takes a TAP interface that leads to the other one, and is gone with the
 * process, however that ends.  Making one takes CAP_NET_ADMIN.
 */
#ifndef BRIDGE_TWIN_H
#define BRIDGE_TWIN_H

#include "base/err.h"
#include "switch/port.h"

#define TWIN_MARK 0x6c616e79 /* of frames on their way to the host (skb mark) */

struct twin;

/* Leads to the interface with that index.  who begins messages.  NULL: *err
 * says why. */
struct twin *twin_new(const char *who, int ifindex, struct err *err);
void twin_free(struct twin *twin); /* NULL is fine */

/* The name of its interface. */
const char *twin_interface(const struct twin *twin);

/* As raw_send(). */
void twin_send(struct twin *twin, const struct frame *const *frames,
    unsigned int n, enum reason *reason);

#endif
