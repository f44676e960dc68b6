/*
 * tap:NAME - a TAP interface of the host.
 *
 * One system call moves one frame, so batches save only the work behind it: up
 * to a burst of frames is read and sent as one (lookout.c).
 *
 * The virtio-net header goes along in both directions (IFF_VNET_HDR): between
 * the host's TCP and an offloading guest 64 KiB frames stay whole.
 *
 * The interface comes up by itself, with its carrier following the cable.  One
 * that did not exist is gone when the port closes.  One that is deleted under
 * us takes the link down; the lab goes on.
 *
 * Multiple queues and vhost-net were rejected for now: the former helps only
 * with more than one loop, the latter needs the frames in guest rings.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "net/eth.h"
#include "switch/port.h"
#include "switch/join.h"
#include "switch/lookout.h"
#include "switch/vnet.h"

extern const struct port_kind port_tap;

#define READ_BYTES (VNET_BYTES + FRAME_MAX_BYTES) /* of one frame */
#define POOL_BYTES (256 * 1024)                   /* of one burst */
#define PIECES_MAX JOIN_PIECES /* of a frame that is written without joining */

static_assert(POOL_BYTES >= READ_BYTES, "no room for a frame");

struct tap {
	struct port port;       /* first: ports of this kind are these */
	struct lookout lookout; /* over fd */
	int fd;
	bool gone; /* the interface, and the watch sleeps */
	char interface[IFNAMSIZ];
	uint8_t pool[POOL_BYTES];        /* frames read, during their burst */
	uint8_t joined[FRAME_MAX_BYTES]; /* a frame of many pieces */
};

/* ---- from the host ---- */

/* The interface is not there any more, as a rule because it was deleted. */
static void
lose(struct tap *tap, int error)
{
	if (tap->gone)
		return;
	tap->gone = true;
	lookout_rest(&tap->lookout);
	log_warn("%s: lost the interface %s: %s; the link is down",
	    tap->port.name, tap->interface, strerror(error));
	port_set_down(&tap->port, true);
}

/* Reads one frame to where at points.  False: no more for now. */
static bool
read_frame(struct tap *tap, uint8_t *at, struct burst *burst)
{
	struct frame *frame;
	ssize_t n;

	do
		n = read(tap->fd, at, READ_BYTES);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		if (errno != EAGAIN)
			lose(tap, errno);
		return false;
	}
	if (n < VNET_BYTES)
		n = VNET_BYTES; /* an empty frame, which is refused as one */
	frame = burst_add(burst, at + VNET_BYTES, (size_t)n - VNET_BYTES);
	if (vnet_parse(frame, at) != DROP_NONE) {
		/* The kernel would have to be wrong: refused by itself. */
		struct burst bad = { .n = 1, .frame = { *frame } };

		burst->n--;
		port_refuse(&tap->port, &bad, DROP_VNET_HEADER);
		return true;
	}
	burst->flags |= frame->flags;
	return true;
}

static bool
read_burst(void *arg)
{
	struct tap *tap = arg;
	struct burst burst;
	size_t used = 0;

	burst_clear(&burst);
	for (unsigned int i = 0; i < BURST_MAX; i++) {
		unsigned int n = burst.n;

		if (POOL_BYTES - used < READ_BYTES)
			break;
		if (!read_frame(tap, tap->pool + used, &burst))
			break;
		if (burst.n > n)
			used += (VNET_BYTES + burst.frame[n].len + 15) & ~15u;
	}
	if (burst.n == 0)
		return false;
	port_send(&tap->port, &burst);
	return true;
}

static const struct lookout_ops lookout_ops = { .read = read_burst };

/* ---- to the host ---- */

/* The frame as pieces behind its header; returns how many. */
static unsigned int
pieces_of(struct tap *tap, const struct frame *frame, struct iovec *piece)
{
	if (frame->head == frame->len || frame->ntail > PIECES_MAX) {
		const uint8_t *data = frame->data;

		if (frame->head != frame->len) {
			frame_copy(tap->joined, frame, 0, frame->len);
			data = tap->joined;
		}
		piece[0].iov_base = (void *)(uintptr_t)data;
		piece[0].iov_len = frame->len;
		return 1;
	}
	piece[0].iov_base = (void *)(uintptr_t)frame->data;
	piece[0].iov_len = frame->head;
	memcpy(&piece[1], frame->tail, frame->ntail * sizeof(piece[0]));
	return 1 + frame->ntail;
}

static enum reason
write_frame(struct tap *tap, const struct frame *frame)
{
	struct iovec iov[2 + PIECES_MAX];
	uint8_t header[VNET_BYTES];
	unsigned int n;
	ssize_t written;

	if (tap->gone)
		return DROP_IO;
	vnet_write(header, frame);
	iov[0].iov_base = header;
	iov[0].iov_len = sizeof(header);
	n = 1 + pieces_of(tap, frame, iov + 1);
	do
		written = writev(tap->fd, iov, (int)n);
	while (written < 0 && errno == EINTR);
	if (written >= 0)
		return REASON_DELIVERED;
	if (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM)
		return DROP_PORT_FULL;
	return DROP_IO;
}

static void
take(struct port *port, struct burst *burst)
{
	struct tap *tap = (struct tap *)port;
	const struct frame *frames[BURST_MAX] = { NULL };
	struct frame *next = burst->frame;
	struct join join;

	for (unsigned int i = 0; i < burst->n; i++)
		frames[i] = &burst->frame[i];
	join_frames(&join, frames, burst->n);
	for (unsigned int k = 0; k < join.n; k++) {
		enum reason reason = write_frame(tap, join.frame[k]);

		for (unsigned int i = 0; i < join.of[k]; i++)
			node_judge(port->node, next++, reason);
	}
}

static void
link_changed(struct port *port, bool up)
{
	struct tap *tap = (struct tap *)port;
	int carrier = up;

	/* Linux before 5.0 cannot: then it does not know. */
	if (!tap->gone)
		(void)ioctl(tap->fd, TUNSETCARRIER, &carrier);
}

static void
close_tap(struct port *port)
{
	struct tap *tap = (struct tap *)port;

	lookout_close(&tap->lookout);
	if (tap->fd >= 0)
		close(tap->fd);
	free(tap);
}

static const char *
describe(const struct port *port, char *out, size_t len)
{
	const struct tap *tap = (const struct tap *)port;

	snprintf(out, len, "interface %s%s", tap->interface,
	    tap->gone ? ", lost" : "");
	return out;
}

static const struct port_ops tap_ops = {
	.take = take,
	.link = link_changed,
	.close = close_tap,
	.describe = describe,
};

/* ---- opening ---- */

/* What Linux takes as a name (dev_valid_name()), but for '%', with which it
 * would make up one of its own. */
static bool
is_interface_name(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n >= IFNAMSIZ || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0)
		return false;
	for (size_t i = 0; i < n; i++)
		if (name[i] <= ' ' || name[i] == 0x7f ||
		    strchr("/:%", name[i]) != NULL)
			return false;
	return true;
}

static const char *
remedy_of(int error)
{
	switch (error) {
	case EPERM:
	case EACCES: return "run as root or grant CAP_NET_ADMIN";
	case EBUSY: return "another program has it open; use another name";
	case EINVAL: return "it is no plain TAP interface; use another name";
	case ENOENT:
	case ENODEV:
	case ENXIO: return "load the kernel module tun (modprobe tun)";
	default: return NULL;
	}
}

static int
attach(struct tap *tap, struct err *err)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int header_bytes = VNET_BYTES, little = 1;

	tap->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap->fd < 0)
		return err_sys(err, -errno, remedy_of(errno),
		    "%s: tap:%s: cannot open /dev/net/tun", tap->port.name,
		    tap->interface);
	memcpy(ifr.ifr_name, tap->interface, sizeof(ifr.ifr_name));
	if (ioctl(tap->fd, TUNSETIFF, &ifr) < 0)
		return err_sys(err, -errno, remedy_of(errno),
		    "%s: tap:%s: cannot attach to the interface",
		    tap->port.name, tap->interface);
	if (ioctl(tap->fd, TUNSETVNETHDRSZ, &header_bytes) < 0 ||
	    ioctl(tap->fd, TUNSETVNETLE, &little) < 0)
		return err_sys(err, -errno, "use Linux 4.2 or later",
		    "%s: tap:%s: cannot set its virtio-net header",
		    tap->port.name, tap->interface);
	/* If it cannot, it gives us finished frames. */
	(void)ioctl(
	    tap->fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6);
	return 0;
}

/* Brings the interface up. */
static int
bring_up(const struct tap *tap, struct err *err)
{
	struct ifreq ifr = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int error = 0;

	memcpy(ifr.ifr_name, tap->interface, sizeof(ifr.ifr_name));
	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &ifr) < 0)
		error = errno;
	ifr.ifr_flags |= IFF_UP;
	if (error == 0 && ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		error = errno;
	if (fd >= 0)
		close(fd);
	if (error == 0)
		return 0;
	return err_sys(err, -error, remedy_of(error),
	    "%s: tap:%s: cannot bring the interface up", tap->port.name,
	    tap->interface);
}

static int
check_tap(const char *name, const char *rest, struct err *err)
{
	if (is_interface_name(rest))
		return 0;
	return err_set(err, -EINVAL,
	    "%s: \"tap:%s\" names no interface; use tap: and 1 to %d "
	    "characters other than space, /, : and %%",
	    name, rest, IFNAMSIZ - 1);
}

static struct port *
open_tap(struct loop *loop, struct node *node, const char *name,
    const char *rest, struct err *err)
{
	struct tap *tap = calloc(1, sizeof(*tap));

	if (tap == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", name);
		return NULL;
	}
	port_init(&tap->port, &tap_ops, node, name);
	tap->fd = -1;
	snprintf(tap->interface, sizeof(tap->interface), "%s", rest);
	if (attach(tap, err) < 0)
		goto fail;
	if (lookout_open(&tap->lookout, loop, tap->fd, &lookout_ops, tap, err) <
	    0)
		goto fail;
	link_changed(&tap->port, false); /* no cable yet */
	if (bring_up(tap, err) < 0)
		goto fail;
	return &tap->port;
fail:
	close_tap(&tap->port);
	return NULL;
}

const struct port_kind port_tap = {
	.scheme = "tap",
	.syntax = "tap:NAME",
	.check = check_tap,
	.open = open_tap,
};
