/*
 * nat_history.h - NAT tables as they were at a frame of a capture that was made
 * at routers' ports.
 *
 * What a router made of a frame stands in the capture (pcap-tools/crossing.h),
 * how its NAT behaves, with its interfaces (nat_facts.h).  From these the
 * entries follow as the router had them, with ends, states, times and counts.
 */
#ifndef LAB_NAT_HISTORY_H
#define LAB_NAT_HISTORY_H

#include "lab/table.h"
#include "pcap-tools/crossing.h"
#include "router/router.h"

#define NAT_HISTORY_ROUTERS 64
#define NAT_HISTORY_ENTRIES (1u << 20) /* of all routers */

struct nat_history;

struct nat_history *nat_history_new(void); /* NULL: no memory */
void nat_history_free(struct nat_history *history);

/* The next frame of reader, which all are from.  0, or -Exxx: no memory, or
 * more routers or entries than it keeps. */
int nat_history_add(struct nat_history *history, const struct reader *reader,
    const struct crossing *crossing);

/* How many routers with NAT the capture has told of so far. */
unsigned int nat_history_routers(const struct nat_history *history);

/* The entries that are alive at the time of the last frame, by router and
 * number. */
void nat_history_each(struct nat_history *history,
    void (*each)(void *arg, const char *router, const struct nat_row *row),
    void *arg);

#endif
