/*
 * Interfaces that we made: they have an end with us, so nothing is undone here
 * unless that failed.
 */
#include "bridge/host_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/tc_act/tc_mirred.h>
#include <net/if.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/qdisc.h>
#include <netlink/route/tc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bridge/privilege.h"

static int
refused(const char *who, const char *name, const char *what, int nle,
    struct err *err)
{
	const char *remedy = nle == -NLE_PERM ? privilege_remedy(EPERM) : NULL;

	return err_set(err, -EIO, "%s: interface %s: %s: %s%s%s", who, name,
	    what, nl_geterror(nle), remedy != NULL ? "; " : "",
	    remedy != NULL ? remedy : "");
}

static struct nl_sock *
connected(const char *who, struct err *err)
{
	struct nl_sock *sock = nl_socket_alloc();
	int e = sock == NULL ? -NLE_NOMEM : nl_connect(sock, NETLINK_ROUTE);

	if (e == 0)
		return sock;
	nl_socket_free(sock);
	err_set(err, -EIO, "%s: netlink: %s", who, nl_geterror(e));
	return NULL;
}

int
host_interface_is_free(const char *who, const char *name, struct err *err)
{
	if (name[0] == '\0' || strlen(name) >= HOST_LINK_NAME_BYTES)
		return err_set(err, -EINVAL,
		    "%s: \"%.40s\" cannot be the name of an interface; use 1 "
		    "to "
		    "%d characters",
		    who, name, HOST_LINK_NAME_BYTES - 1);
	if (if_nametoindex(name) == 0)
		return 0;
	return err_set(err, -EEXIST,
	    "%s: there is an interface %s already, which would be changed; "
	    "name another one, or remove it: ip link del %s",
	    who, name, name);
}

int
host_interface_promiscuity(const char *name)
{
	struct err err;
	struct nl_sock *sock = connected(name, &err);
	struct rtnl_link *link = NULL;
	int count = -1;

	if (sock != NULL && rtnl_link_get_kernel(sock, 0, name, &link) == 0)
		count = (int)rtnl_link_get_promiscuity(link);
	rtnl_link_put(link);
	nl_socket_free(sock);
	return count;
}

int
host_interface_remove(const char *who, const char *name, struct err *err)
{
	struct nl_sock *sock = connected(who, err);
	struct rtnl_link *link = NULL;
	int e;

	if (sock == NULL)
		return -EIO;
	e = rtnl_link_get_kernel(sock, 0, name, &link);
	if (e == 0)
		e = rtnl_link_delete(sock, link);
	if (e < 0)
		e = refused(who, name, "cannot be removed", e, err);
	rtnl_link_put(link);
	nl_socket_free(sock);
	return e;
}

/* ---- addresses ---- */

static int
change_link(struct nl_sock *sock, const struct host_interface *as)
{
	struct rtnl_link *old = NULL, *new = rtnl_link_alloc();
	struct nl_addr *mac =
	    nl_addr_build(AF_LLC, as->mac.b, sizeof(as->mac.b));
	int e = new == NULL || mac == NULL
	    ? -NLE_NOMEM
	    : rtnl_link_get_kernel(sock, 0, as->name, &old);

	if (e == 0) {
		rtnl_link_set_addr(new, mac);
		rtnl_link_set_mtu(new, as->mtu);
		rtnl_link_set_flags(new, IFF_UP);
		e = rtnl_link_change(sock, old, new, 0);
	}
	nl_addr_put(mac);
	rtnl_link_put(new);
	rtnl_link_put(old);
	return e;
}

static int
add_address(struct nl_sock *sock, const struct host_interface *as)
{
	struct rtnl_addr *address = rtnl_addr_alloc();
	uint32_t number = htonl(as->address.addr);
	uint32_t everybody = htonl(ip4_net_broadcast(as->address));
	struct nl_addr *local = nl_addr_build(AF_INET, &number, 4);
	struct nl_addr *broadcast = nl_addr_build(AF_INET, &everybody, 4);
	int e = -NLE_NOMEM;

	if (address != NULL && local != NULL && broadcast != NULL) {
		rtnl_addr_set_ifindex(address, (int)if_nametoindex(as->name));
		nl_addr_set_prefixlen(local, as->address.prefix);
		e = rtnl_addr_set_local(address, local);
		if (e == 0 && everybody != 0)
			e = rtnl_addr_set_broadcast(address, broadcast);
		if (e == 0)
			e = rtnl_addr_add(sock, address, 0);
	}
	nl_addr_put(local);
	nl_addr_put(broadcast);
	rtnl_addr_put(address);
	return e;
}

int
host_interface_set(
    const char *who, const struct host_interface *as, struct err *err)
{
	struct nl_sock *sock = connected(who, err);
	char net[NET_TEXT_BYTES], what[64];
	int e;

	if (sock == NULL)
		return -EIO;
	e = change_link(sock, as);
	if (e < 0) {
		e = refused(who, as->name, "cannot be set up", e, err);
	} else if (as->address.addr != 0) {
		e = add_address(sock, as);
		snprintf(what, sizeof(what), "cannot have the address %s",
		    ip4_net_text(net, as->address));
		if (e < 0)
			e = refused(who, as->name, what, e, err);
	}
	nl_socket_free(sock);
	return e;
}

/* ---- a funnel ---- */

/* Fine where there is no IPv6. */
static void
without_ip6(const char *name)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path),
	    "/proc/sys/net/ipv6/conf/%.15s/disable_ipv6", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, "1", 1) < 0)
		(void)errno;
	close(fd);
}

static int
bring_up(struct nl_sock *sock, const char *name)
{
	struct rtnl_link *old = NULL, *new = rtnl_link_alloc();
	int e = new == NULL ? -NLE_NOMEM
			    : rtnl_link_get_kernel(sock, 0, name, &old);

	if (e == 0) {
		rtnl_link_set_flags(new, IFF_UP | IFF_NOARP);
		e = rtnl_link_change(sock, old, new, 0);
	}
	rtnl_link_put(new);
	rtnl_link_put(old);
	return e;
}

static int
add_hook(struct nl_sock *sock, int ifindex)
{
	struct rtnl_qdisc *qdisc = rtnl_qdisc_alloc();
	int e;

	if (qdisc == NULL)
		return -NLE_NOMEM;
	rtnl_tc_set_ifindex(TC_CAST(qdisc), ifindex);
	rtnl_tc_set_parent(TC_CAST(qdisc), TC_H_CLSACT);
	rtnl_tc_set_handle(
	    TC_CAST(qdisc), TC_HANDLE(TC_H_MAJ(TC_H_CLSACT) >> 16, 0));
	e = rtnl_tc_set_kind(TC_CAST(qdisc), "clsact");
	if (e == 0)
		e = rtnl_qdisc_add(sock, qdisc, NLM_F_CREATE | NLM_F_EXCL);
	rtnl_qdisc_put(qdisc);
	return e;
}

/* What a filter that catches everything does with it. */
static int
put_filter(struct nl_msg *msg, int to)
{
	struct {
		struct tc_u32_sel sel;
		struct tc_u32_key key; /* of no bits */
	} all = { .sel = { .flags = TC_U32_TERMINAL, .nkeys = 1 } };
	const struct tc_mirred parms = {
		.action = TC_ACT_STOLEN,
		.eaction = TCA_INGRESS_REDIR,
		.ifindex = (uint32_t)to,
	};
	struct nlattr *options, *actions, *first, *its;

	if (nla_put_string(msg, TCA_KIND, "u32") < 0 ||
	    (options = nla_nest_start(msg, TCA_OPTIONS)) == NULL ||
	    nla_put(msg, TCA_U32_SEL, sizeof(all), &all) < 0 ||
	    (actions = nla_nest_start(msg, TCA_U32_ACT)) == NULL ||
	    (first = nla_nest_start(msg, 1)) == NULL ||
	    nla_put_string(msg, TCA_ACT_KIND, "mirred") < 0 ||
	    (its = nla_nest_start(msg, TCA_ACT_OPTIONS)) == NULL ||
	    nla_put(msg, TCA_MIRRED_PARMS, sizeof(parms), &parms) < 0)
		return -NLE_MSGSIZE;
	nla_nest_end(msg, its);
	nla_nest_end(msg, first);
	nla_nest_end(msg, actions);
	nla_nest_end(msg, options);
	return 0;
}

/* libnl-route would refuse to redirect to where frames come in. */
static int
redirect(struct nl_sock *sock, int from, int to)
{
	const struct tcmsg head = {
		.tcm_family = AF_UNSPEC,
		.tcm_ifindex = from,
		.tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS),
		.tcm_info = TC_H_MAKE(1u << 16, htons(ETH_P_ALL)),
	};
	struct nl_msg *msg =
	    nlmsg_alloc_simple(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL);
	int e = msg == NULL
	    ? -NLE_NOMEM
	    : nlmsg_append(msg, (void *)(uintptr_t)&head, sizeof(head), 4);

	if (e == 0)
		e = put_filter(msg, to);
	if (e < 0) {
		nlmsg_free(msg);
		return e;
	}
	return nl_send_sync(sock, msg); /* takes msg */
}

int
host_interface_funnel(
    const char *who, const char *name, int to, struct err *err)
{
	struct nl_sock *sock = connected(who, err);
	int ifindex = (int)if_nametoindex(name), e;

	if (sock == NULL)
		return -EIO;
	without_ip6(name);
	e = add_hook(sock, ifindex);
	if (e == 0)
		e = redirect(sock, ifindex, to);
	if (e == 0)
		e = bring_up(sock, name);
	if (e < 0)
		e = refused(who, name, "cannot lead to the host", e, err);
	nl_socket_free(sock);
	return e;
}
