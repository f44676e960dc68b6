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

/* ---- interfaces that we made ---- */

struct host_interface {
	const char *name;
	struct ip4_net address; /* addr 0: none */
	struct mac mac;
	unsigned int mtu; /* bytes */
};

/* 0 if there is no interface of that name yet, else -EEXIST.  who begins the
 * sentence, as in the next. */
int host_interface_is_free(const char *who, const char *name, struct err *err);

/* For how many the interface is promiscuous; -1: it is not there. */
int host_interface_promiscuity(const char *name);

/* 0 or -Exxx. */
int host_interface_remove(const char *who, const char *name, struct err *err);

/* Gives an interface its addresses and MTU.  0 or -Exxx. */
int host_interface_set(
    const char *who, const struct host_interface *as, struct err *err);

/* Brings an interface up that carries nothing of the host's own (no IPv6), and
 * has what leaves by it arrive at interface to, as if received there.  0 or
 * -Exxx. */
int host_interface_funnel(
    const char *who, const char *name, int to, struct err *err);

#endif
