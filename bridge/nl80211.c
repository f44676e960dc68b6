/*
 * A monitor interface is made to be owned by the netlink socket
 * (NL80211_ATTR_SOCKET_OWNER): the kernel removes it when that is closed, after
 * a kill too, and nobody needs a capability for it.
 *
 * Switching the interface itself to monitor mode was rejected: it would end the
 * host's own connection, and would have to be undone.
 */
#include "bridge/nl80211.h"

#include <errno.h>
#include <linux/nl80211.h>
#include <net/if.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/privilege.h"

struct nl80211 {
	const char *name;
	struct nl_sock *socket;
	int family;
};

/* ---- messages ---- */

unsigned int
nl80211_mhz(unsigned int channel)
{
	if (channel == 14)
		return 2484;
	if (channel >= 1 && channel <= 13)
		return 2407 + 5 * channel;
	/* 36, 40 to 64, 100 to 144, 149 to 177 */
	if ((channel >= 36 && channel <= 64 && channel % 4 == 0) ||
	    (channel >= 100 && channel <= 144 && channel % 4 == 0) ||
	    (channel >= 149 && channel <= 177 && channel % 4 == 1))
		return 5000 + 5 * channel;
	return 0;
}

static bool
begin(struct nl_msg *msg, int family, uint8_t command, int ifindex)
{
	return genlmsg_put(msg, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, 0,
		   command, 0) != NULL &&
	    nla_put_u32(msg, NL80211_ATTR_IFINDEX, (uint32_t)ifindex) == 0;
}

int
nl80211_write_monitor(
    struct nl_msg *msg, int family, int ifindex, const char *monitor)
{
	if (!begin(msg, family, NL80211_CMD_NEW_INTERFACE, ifindex) ||
	    nla_put_string(msg, NL80211_ATTR_IFNAME, monitor) < 0 ||
	    nla_put_u32(msg, NL80211_ATTR_IFTYPE, NL80211_IFTYPE_MONITOR) < 0 ||
	    nla_put_flag(msg, NL80211_ATTR_SOCKET_OWNER) < 0)
		return -ENOBUFS;
	return 0;
}

int
nl80211_write_tune(
    struct nl_msg *msg, int family, int ifindex, unsigned int mhz)
{
	if (!begin(msg, family, NL80211_CMD_SET_WIPHY, ifindex) ||
	    nla_put_u32(msg, NL80211_ATTR_WIPHY_FREQ, mhz) < 0 ||
	    nla_put_u32(msg, NL80211_ATTR_CHANNEL_WIDTH,
		NL80211_CHAN_WIDTH_20_NOHT) < 0)
		return -ENOBUFS;
	return 0;
}

/* ---- the socket ---- */

void
nl80211_free(struct nl80211 *nl)
{
	if (nl == NULL)
		return;
	nl_socket_free(nl->socket);
	free(nl);
}

struct nl80211 *
nl80211_new(const char *name, struct err *err)
{
	struct nl80211 *nl = calloc(1, sizeof(*nl));
	int e;

	if (nl != NULL)
		nl->socket = nl_socket_alloc();
	if (nl == NULL || nl->socket == NULL) {
		err_set(err, -ENOMEM, "%s: out of memory", name);
		nl80211_free(nl);
		return NULL;
	}
	nl->name = name;
	e = genl_connect(nl->socket);
	if (e == 0)
		e = nl->family =
		    genl_ctrl_resolve(nl->socket, NL80211_GENL_NAME);
	if (e >= 0)
		return nl;
	err_set(err, -ENODEV,
	    "%s: the kernel has no WiFi (nl80211: %s); load the driver of the "
	    "WiFi interface",
	    name, nl_geterror(e));
	nl80211_free(nl);
	return NULL;
}

/* Sends msg and waits for the kernel's answer, which is an errno. */
static int
ask(struct nl80211 *nl, struct nl_msg *msg)
{
	struct nlmsgerr *answer;
	struct sockaddr_nl from;
	unsigned char *bytes = NULL;
	int e = nl_send_auto(nl->socket, msg), n;

	if (e < 0)
		return -EIO;
	n = nl_recv(nl->socket, &from, &bytes, NULL);
	e = -EIO;
	if (n >= (int)NLMSG_HDRLEN + (int)sizeof(*answer)) {
		const struct nlmsghdr *h = (const struct nlmsghdr *)bytes;

		answer = nlmsg_data(h);
		if (h->nlmsg_type == NLMSG_ERROR)
			e = answer->error;
	}
	free(bytes);
	return e;
}

static int
bring_up(const char *interface)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_flags = 0 };
	int e = 0;

	if (fd < 0)
		return -errno;
	strncpy(ifr.ifr_name, interface, sizeof(ifr.ifr_name) - 1);
	if (ioctl(fd, SIOCGIFFLAGS, &ifr) < 0)
		e = -errno;
	ifr.ifr_flags |= IFF_UP;
	if (e == 0 && ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		e = -errno;
	close(fd);
	return e;
}

static int
index_of(struct nl80211 *nl, const char *interface, struct err *err)
{
	int index = (int)if_nametoindex(interface);

	if (index > 0)
		return index;
	return err_set(err, -ENODEV,
	    "%s: there is no interface \"%s\"; \"ip link\" lists them",
	    nl->name, interface);
}

int
nl80211_add_monitor(struct nl80211 *nl, const char *interface,
    const char *monitor, struct err *err)
{
	int index = index_of(nl, interface, err), e = -ENOMEM;
	struct nl_msg *msg;

	if (index < 0)
		return index;
	msg = nlmsg_alloc();
	if (msg != NULL)
		e = nl80211_write_monitor(msg, nl->family, index, monitor);
	if (e == 0)
		e = ask(nl, msg);
	nlmsg_free(msg);
	if (e == 0)
		e = bring_up(monitor);
	if (e == 0)
		return 0;
	return err_sys(err, e, privilege_remedy(-e),
	    "%s: cannot make the monitor interface %s beside %s", nl->name,
	    monitor, interface);
}

int
nl80211_tune(struct nl80211 *nl, const char *interface, unsigned int channel,
    struct err *err)
{
	int index = index_of(nl, interface, err), e = -ENOMEM;
	struct nl_msg *msg;

	if (index < 0)
		return index;
	msg = nlmsg_alloc();
	if (msg != NULL)
		e = nl80211_write_tune(
		    msg, nl->family, index, nl80211_mhz(channel));
	if (e == 0)
		e = ask(nl, msg);
	nlmsg_free(msg);
	if (e == 0)
		return 0;
	return err_sys(err, e,
	    e == -EBUSY ? "the interface is connected; take its connection "
			  "down, or leave the channel out"
			: privilege_remedy(-e),
	    "%s: cannot tune %s to channel %u", nl->name, interface, channel);
}
