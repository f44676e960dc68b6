/*
 * host_link.h - interfaces of the host, by netlink (libnl).
 */
#ifndef BRIDGE_HOST_LINK_H
#define BRIDGE_HOST_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "net/addr.h"

#define HOST_LINK_NAME_BYTES 16 /* with its end */

/* What the kernel says of an interface. */
struct host_link {
	int index;        /* 0: there is none of that name */
	bool running;     /* up, and with a carrier */
	bool ethernet;    /* frames are those of Ethernet */
	int hardware;     /* ARPHRD_* */
	unsigned int mtu; /* bytes */
	struct mac mac;
};

/* Calls, in the loop, whenever something about interfaces has changed: look
 * again.  Events may be for others, and one may stand for many. */
struct host_watch;

struct host_watch *host_watch_new(
    struct loop *loop, void (*changed)(void *arg), void *arg, struct err *err);
void host_watch_free(struct host_watch *watch); /* NULL is fine */

/* Looks.  False: netlink failed; *link says nothing then. */
bool host_watch_look(
    struct host_watch *watch, const char *name, struct host_link *link);

#endif
