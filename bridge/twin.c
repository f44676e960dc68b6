/*
 *     twin_send()        TAP ly-1234            NIC
 *       raw socket --> out by it --tc--> in --> taps, host
 *                                         ^- all but our own socket, which
 *                                            leaves out what has the mark
 *
 * tc(8) redirects what leaves by the TAP to the other's ingress (clsact, u32,
 * mirred).  Nobody reads the TAP.
 *
 * Rejected: giving the TAP an address in the LAN, since the host would go on to
 * send to the LAN's addresses by the NIC; moving the NIC's addresses, which a
 * kill would leave moved; macvtap, whose frames do not reach the NIC's own
 * address either.
 *
 * An interface that went away and came back has another index, to which nothing
 * can be redirected any more without CAP_NET_ADMIN.
 */
#include "bridge/twin.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bridge/host_link.h"
#include "bridge/privilege.h"
#include "bridge/raw_socket.h"

struct twin {
	int tap;
	char name[IFNAMSIZ];
	struct raw_socket *socket;
};

/* The kernel makes up a name. */
static int
make_tap(struct twin *twin, const char *who, struct err *err)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI,
		.ifr_name = "lanyard%d" };

	twin->tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (twin->tap < 0 || ioctl(twin->tap, TUNSETIFF, &ifr) < 0)
		return err_sys(err, -errno, privilege_remedy(errno),
		    "%s: cannot make a TAP interface that leads to the host",
		    who);
	memcpy(twin->name, ifr.ifr_name, IFNAMSIZ);
	return 0;
}

struct twin *
twin_new(const char *who, int ifindex, struct err *err)
{
	const struct raw_options options = {
		.name = who, .mark = TWIN_MARK, .send_only = true
	};
	struct twin *twin = calloc(1, sizeof(*twin));

	if (twin == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", who);
		return NULL;
	}
	twin->tap = -1;
	if (privilege_need(who, err) < 0 || make_tap(twin, who, err) < 0 ||
	    host_interface_funnel(who, twin->name, ifindex, err) < 0)
		goto fail;
	twin->socket = raw_new(&options, err);
	if (twin->socket != NULL &&
	    raw_bind(
		twin->socket, (int)if_nametoindex(twin->name), false, err) == 0)
		return twin;
fail:
	twin_free(twin);
	return NULL;
}

void
twin_free(struct twin *twin)
{
	if (twin == NULL)
		return;
	raw_free(twin->socket);
	if (twin->tap >= 0)
		close(twin->tap);
	free(twin);
}

const char *
twin_interface(const struct twin *twin)
{
	return twin->name;
}

void
twin_send(struct twin *twin, const struct frame *const *frames, unsigned int n,
    enum reason *reason)
{
	raw_send(twin->socket, frames, n, reason);
}
