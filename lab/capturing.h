/*
 * capturing.h - at which ports a capture looks, as people say it.
 *
 *     gw.inside          a port
 *     gw.inside icmp     the same, only frames that match pcap-filter(7)
 *     gw                 all ports of a node
 *     all                every port of routers, VMs, hosts, plugs and bridges,
 *                        and one end of every uplink
 *     air.radio          what passes the radio of a node that has one
 *     bin                frames that ended anywhere, or met an accident on a
 *                        cable (capture.h), on an interface of that name
 */
#ifndef LAB_CAPTURING_H
#define LAB_CAPTURING_H

#include <stddef.h>

#include "lab/fabric.h"
#include "pcap-tools/capture.h"

#define CAPTURING_ALL "all"

/* How long the name at the start of words is; *filter is what follows it, or
 * NULL. */
size_t capturing_name(const char *words, const char **filter);

/* Whether words mean something in fabric; else -Exxx with *err. */
int capturing_find(
    const struct fabric *fabric, const char *words, struct err *err);

/* Adds to capture what words say, with filter (or NULL) where they have none.
 * 0, or -Exxx with *err. */
int capturing_add(struct capture *capture, const struct fabric *fabric,
    const char *words, const char *filter, struct err *err);

#endif
