/*
 * A TAP port (switch/port_tap.c) that this port stands before:
 *
 *     LAN == port | inner == TAP port -- interface
 *               judged
 *
 * All of them are of one node, which counts each frame once: here what is
 * refused, at the TAP or in the LAN what passes.  The link of the interface
 * follows that of the port.
 *
 * What is judged is copied first: a guest may change its frame meanwhile.
 */
#include "bridge/port_host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/frame_head.h"
#include "bridge/host_link.h"
#include "bridge/host_only.h"
#include "bridge/privilege.h"
#include "switch/locator.h"

struct host_port {
	struct port port; /* first: ports of this kind are these */
	struct port inner, *tap;
	struct locator at;
	struct ip4_net address;
	struct frame_head head[BURST_MAX];
};

static struct host_port *
host_of(const struct port *port)
{
	return (struct host_port *)(uintptr_t)port;
}

static struct host_port *
host_of_inner(struct port *inner)
{
	return (struct host_port *)(void *)((char *)inner -
	    offsetof(struct host_port, inner));
}

/* ---- frames ---- */

/* Sends on by to what judge lets pass, and hands each frame its verdict. */
static void
pass(struct host_port *h, struct port *to, struct burst *burst,
    enum reason (*judge)(struct ip4_net host, const uint8_t *head, size_t n))
{
	struct burst good;
	unsigned int of[BURST_MAX];

	burst_clear(&good);
	for (unsigned int i = 0; i < burst->n; i++) {
		struct frame *view = &good.frame[good.n];
		enum reason reason = DROP_TOO_LONG;

		*view = burst->frame[i];
		if (frame_head_take(&h->head[good.n], view))
			reason = judge(h->address, h->head[good.n].bytes,
			    h->head[good.n].n);
		if (reason != DROP_NONE) {
			node_judge(h->port.node, &burst->frame[i], reason);
			continue;
		}
		good.flags |= view->flags;
		of[good.n++] = i;
	}
	if (good.n == 0)
		return;
	port_send(to, &good);
	for (unsigned int k = 0; k < good.n; k++)
		burst->frame[of[k]].verdict = good.frame[k].verdict;
}

static void
take(struct port *port, struct burst *burst)
{
	struct host_port *h = host_of(port);

	pass(h, &h->inner, burst, host_only_in);
}

static void
take_inner(struct port *inner, struct burst *burst)
{
	struct host_port *h = host_of_inner(inner);

	pass(h, &h->port, burst, host_only_out);
}

static void
link_changed(struct port *port, bool up)
{
	port_set_down(&host_of(port)->inner, !up);
}

static const char *
describe(const struct port *port, char *out, size_t len)
{
	const struct host_port *h = host_of(port);
	char net[NET_TEXT_BYTES];

	snprintf(out, len, "host interface %s, %s", h->at.place,
	    ip4_net_text(net, h->address));
	return out;
}

static void
close_host(struct port *port)
{
	struct host_port *h = host_of(port);

	port_close(h->tap);
	free(h);
}

static const struct port_ops host_ops = {
	.take = take,
	.link = link_changed,
	.close = close_host,
	.describe = describe,
};

static const struct port_ops inner_ops = {
	.take = take_inner,
};

/* ---- opening ---- */

static int
read_options(
    struct host_port *h, const char *rest, uint64_t *mtu, struct err *err)
{
	static const char *const keys[] = { "address", "mtu", NULL };
	const char *address;

	if (locator_read(&h->at, h->port.name, rest, keys, err) < 0 ||
	    !locator_number(&h->at, "mtu", PORT_HOST_MTU_MIN, PORT_HOST_MTU_MAX,
		1500, mtu, err))
		return -EINVAL;
	address = locator_get(&h->at, "address", 0);
	if (address == NULL || ip4_net_read(&h->address, address) == false)
		return err_set(err, -EINVAL,
		    "%s: address=%.40s: give the host's address in the LAN, as "
		    "host:%s?address=192.168.56.1/24",
		    h->port.name, address != NULL ? address : "", h->at.place);
	return 0;
}

static int
prepare(
    struct host_port *h, struct loop *loop, const char *rest, struct err *err)
{
	uint64_t mtu = 0;
	int e = read_options(h, rest, &mtu, err);
	const struct host_interface as = {
		.name = h->at.place,
		.address = h->address,
		.mac = mac_of_name(h->port.name),
		.mtu = (unsigned int)mtu,
	};

	if (e == 0)
		e = privilege_need(h->port.name, err);
	if (e == 0)
		e = host_interface_is_free(h->port.name, h->at.place, err);
	if (e < 0)
		return e;
	h->tap =
	    port_tap.open(loop, h->port.node, h->port.name, h->at.place, err);
	if (h->tap == NULL)
		return -EIO;
	e = cable_join(&h->inner, h->tap);
	if (e < 0)
		return err_set(err, e, "%s: no cable", h->port.name);
	port_set_down(&h->inner, true); /* no cable to the LAN yet */
	return host_interface_set(h->port.name, &as, err);
}

static struct port *
open_host(struct loop *loop, struct node *node, const char *name,
    const char *rest, struct err *err)
{
	struct host_port *h = calloc(1, sizeof(*h));

	if (h == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", name);
		return NULL;
	}
	port_init(&h->port, &host_ops, node, name);
	port_init(&h->inner, &inner_ops, node, name);
	if (prepare(h, loop, rest, err) == 0)
		return &h->port;
	close_host(&h->port);
	return NULL;
}

const struct port_kind port_host = {
	.scheme = "host",
	.syntax = "host:NAME?address=ADDRESS/PREFIX",
	.open = open_host,
};
