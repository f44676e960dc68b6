/*
 * The host's addresses are asked for when something about its interfaces has
 * changed, not for each frame.
 */
#include "bridge/macnat_hook.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/port_nic.h"

struct macnat_hook {
	struct nic_hook hook; /* first */
	struct port *port;
	struct loop *loop;
	struct macnat *macnat;
};

static enum reason
translate(struct macnat_hook *h, struct frame *frame, uint8_t *head, size_t n,
    enum reason (*way)(struct macnat *, struct macnat_frame *, uint64_t))
{
	struct macnat_frame f = {
		.data = head,
		.head = n,
		.len = frame->len,
		.unfinished = (frame->flags & FRAME_CSUM) != 0,
	};
	enum reason reason = way(h->macnat, &f, loop_now_ns(h->loop));

	frame->verdict.entry = f.entry;
	return reason;
}

static enum reason
hook_in(struct nic_hook *hook, struct frame *frame, uint8_t *head, size_t n)
{
	return translate((struct macnat_hook *)hook, frame, head, n, macnat_in);
}

static enum reason
hook_out(struct nic_hook *hook, struct frame *frame, uint8_t *head, size_t n)
{
	return translate(
	    (struct macnat_hook *)hook, frame, head, n, macnat_out);
}

/* ---- whose addresses ---- */

static void
reserve(struct macnat *m, const struct sockaddr *address)
{
	struct ip6_addr a;

	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)address;

		a = ip6_of_ip4(ntohl(in->sin_addr.s_addr));
	} else if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)address;

		memcpy(a.b, in6->sin6_addr.s6_addr, sizeof(a.b));
	} else {
		return;
	}
	(void)macnat_reserve(m, &a); /* beyond some, guests may err */
}

static void
changed(struct nic_hook *hook)
{
	struct macnat_hook *h = (struct macnat_hook *)hook;
	const char *name = port_nic_interface(h->port);
	struct ifaddrs *all;

	macnat_set_nic(h->macnat, port_nic_mac(h->port));
	if (getifaddrs(&all) < 0)
		return;
	macnat_reserve_none(h->macnat);
	for (const struct ifaddrs *a = all; a != NULL; a = a->ifa_next)
		if (a->ifa_addr != NULL && strcmp(a->ifa_name, name) == 0)
			reserve(h->macnat, a->ifa_addr);
	freeifaddrs(all);
}

/* ---- made and closed ---- */

static void
close_hook(struct nic_hook *hook)
{
	struct macnat_hook *h = (struct macnat_hook *)hook;

	macnat_free(h->macnat);
	free(h);
}

static int
add_hook(struct port *port, struct loop *loop, struct err *err)
{
	const struct macnat_options options = { .nic = *port_nic_mac(port),
		.seed = loop_wall_ns(loop) };
	struct macnat_hook *h = calloc(1, sizeof(*h));

	if (h != NULL)
		h->macnat = macnat_new(&options);
	if (h == NULL || h->macnat == NULL) {
		free(h);
		return err_set(err, -ENOMEM, "%s: out of memory", port->name);
	}
	h->hook = (struct nic_hook){
		.in = hook_in,
		.out = hook_out,
		.changed = changed,
		.close = close_hook,
	};
	h->port = port;
	h->loop = loop;
	changed(&h->hook);
	port_nic_set_hook(port, &h->hook);
	return 0;
}

struct macnat *
macnat_hook_table(const struct port *port)
{
	struct nic_hook *hook;

	if (!port_nic_is(port))
		return NULL;
	hook = port_nic_hook(port);
	return hook != NULL && hook->in == hook_in
	    ? ((struct macnat_hook *)hook)->macnat
	    : NULL;
}

static struct port *
open_macnat(struct loop *loop, struct node *node, const char *name,
    const char *rest, struct err *err)
{
	struct port *port = port_nic.open(loop, node, name, rest, err);

	if (port == NULL || add_hook(port, loop, err) == 0)
		return port;
	port_close(port);
	return NULL;
}

const struct port_kind port_macnat = {
	.scheme = "mac-nat",
	.syntax = "mac-nat:INTERFACE",
	.open = open_macnat,
};
