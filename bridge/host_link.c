/*
 * An event is only a reason to look: what holds is asked for by name, so that
 * events that were lost, renames, and an interface that went and came back
 * between two rounds of the loop leave nothing stale.  Two sockets: an answer
 * is not to be taken for an event.
 */
#include "bridge/host_link.h"

#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <stdlib.h>
#include <string.h>

struct host_watch {
	struct nl_sock *events, *questions;
	struct loop_watch *watch;
	void (*changed)(void *arg);
	void *arg;
};

static int
ignore(struct nl_msg *message, void *arg)
{
	(void)message;
	(void)arg;
	return NL_OK;
}

static void
readable(void *arg, unsigned int events)
{
	struct host_watch *w = arg;

	(void)events;
	/* More than the socket could hold is as good as one. */
	(void)nl_recvmsgs_default(w->events);
	w->changed(w->arg);
}

static int
connect_both(struct host_watch *w)
{
	int e;

	if (w->events == NULL || w->questions == NULL)
		return -NLE_NOMEM;
	nl_socket_disable_seq_check(w->events);
	nl_socket_modify_cb(w->events, NL_CB_VALID, NL_CB_CUSTOM, ignore, NULL);
	e = nl_connect(w->events, NETLINK_ROUTE);
	if (e == 0)
		e = nl_connect(w->questions, NETLINK_ROUTE);
	if (e == 0)
		e = nl_socket_add_memberships(w->events, RTNLGRP_LINK, 0);
	if (e == 0)
		e = nl_socket_set_nonblocking(w->events);
	return e;
}

struct host_watch *
host_watch_new(
    struct loop *loop, void (*changed)(void *arg), void *arg, struct err *err)
{
	struct host_watch *w = calloc(1, sizeof(*w));
	int e;

	if (w == NULL) {
		err_sys(err, -ENOMEM, NULL, "netlink");
		return NULL;
	}
	w->changed = changed;
	w->arg = arg;
	w->events = nl_socket_alloc();
	w->questions = nl_socket_alloc();
	e = connect_both(w);
	if (e < 0) {
		err_set(err, -EIO, "netlink: %s", nl_geterror(e));
		goto fail;
	}
	w->watch = loop_watch_new(
	    loop, nl_socket_get_fd(w->events), LOOP_READ, readable, w, err);
	if (w->watch != NULL)
		return w;
fail:
	host_watch_free(w);
	return NULL;
}

void
host_watch_free(struct host_watch *w)
{
	if (w == NULL)
		return;
	loop_watch_free(w->watch);
	nl_socket_free(w->events);
	nl_socket_free(w->questions);
	free(w);
}

bool
host_watch_look(struct host_watch *w, const char *name, struct host_link *link)
{
	struct rtnl_link *found = NULL;
	struct nl_addr *address;
	unsigned int flags;
	int e = rtnl_link_get_kernel(w->questions, 0, name, &found);

	*link = (struct host_link){ .index = 0 };
	if (e == -NLE_NODEV || e == -NLE_OBJ_NOTFOUND)
		return true;
	if (e < 0)
		return false;
	flags = rtnl_link_get_flags(found);
	link->index = rtnl_link_get_ifindex(found);
	link->running = (flags & IFF_UP) && (flags & IFF_RUNNING);
	link->hardware = (int)rtnl_link_get_arptype(found);
	link->ethernet = link->hardware == ARPHRD_ETHER;
	link->mtu = rtnl_link_get_mtu(found);
	address = rtnl_link_get_addr(found);
	if (address != NULL && nl_addr_get_len(address) == sizeof(link->mac.b))
		memcpy(link->mac.b, nl_addr_get_binary_addr(address),
		    sizeof(link->mac.b));
	rtnl_link_put(found);
	return true;
}
