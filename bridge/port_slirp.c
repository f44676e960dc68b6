/*
 * libslirp ends the LAN's TCP connections and carries what they say on by
 * connections of this process; likewise UDP and pings.  So what goes out is
 * what any program of the user could send, and the host's firewall sees it as
 * such.
 *
 *     LAN == port | slirp_admit ─> libslirp ── sockets ── the host's networks
 *                 |   waiting   <─
 *
 * libslirp hands us frames from within its own calls and is not to be called
 * again there; so they wait, until all that called it have returned.  What
 * finds no room there is refused as DROP_PORT_FULL, and TCP sends it again.
 *
 * What a guest sends is judged by slirp_admit.h, and that which libslirp takes
 * counts as delivered: what it does with it, it does not tell.  A flow is a
 * socket; when there are PORT_SLIRP_FLOWS_MAX, frames that could begin another
 * one are refused (DROP_PORT_FULL), those of UDP and ICMP all: libslirp does not
 * tell which flows it knows.
 */
#include "bridge/port_slirp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/inet.h"
#include "base/log.h"
#include "bridge/slirp_admit.h"
#include "bridge/slirp_sockets.h"
#include "net/eth.h"
#include "net/ip4.h"
#include "switch/backlog.h"
#include "switch/locator.h"

#define MTU           1500
#define WAITING_BYTES (1024 * 1024)
#define NET           "10.0.2.0/24"
#define PREFIX_MAX    27 /* so that DHCP has addresses */

enum { ROUTER_HOST = 2, DNS_HOST, DHCP_HOST = 15 };

/* A port of the host's that leads into the LAN. */
struct forward {
	bool udp;
	struct inet host, guest;
};

struct plan {
	struct ip4_net net;
	struct in6_addr prefix; /* ::: no IPv6 */
	bool ipv6, restricted, host;
	struct forward forward[LOCATOR_OPTIONS_MAX];
	unsigned int nforwards;
};

struct slirp_port {
	struct port port; /* first: ports of this kind are these */
	struct loop *loop;
	struct plan plan;
	Slirp *slirp;
	struct slirp_sockets sockets;
	struct backlog waiting; /* for the LAN */
	struct loop_defer deliver;
	unsigned int begun; /* flows, perhaps, since the sockets were counted */
	uint64_t complaints;
	uint8_t frame[ETH_HEADER_BYTES + MTU];
};

/* A timer of libslirp's. */
struct slirp_time {
	struct loop_timer timer;
	SlirpTimerCb call;
	void *arg;
};

/* ---- what libslirp asks of us ---- */

static ssize_t
send_packet(const void *bytes, size_t len, void *opaque)
{
	struct slirp_port *s = opaque;
	struct frame frame = {
		.data = bytes, .len = (uint32_t)len, .head = (uint32_t)len
	};

	if (len < ETH_HEADER_BYTES || len > sizeof(s->frame))
		return (ssize_t)len;
	if (backlog_add(&s->waiting, NULL, 0, &frame, 0)) {
		loop_defer_ask(&s->deliver);
	} else {
		struct burst burst;

		burst_clear(&burst);
		burst.frame[burst.n++] = frame;
		port_refuse(&s->port, &burst, DROP_PORT_FULL);
	}
	return (ssize_t)len;
}

static void
guest_error(const char *what, void *opaque)
{
	struct slirp_port *s = opaque;

	s->complaints++;
	log_debug("%s: %s", s->port.name, what);
}

static int64_t
clock_get_ns(void *opaque)
{
	const struct slirp_port *s = opaque;

	return (int64_t)loop_now_ns(s->loop);
}

static void
time_over(void *arg)
{
	struct slirp_time *t = arg;

	t->call(t->arg);
}

static void *
timer_new(SlirpTimerCb call, void *arg, void *opaque)
{
	const struct slirp_port *s = opaque;
	struct slirp_time *t = calloc(1, sizeof(*t));

	if (t == NULL)
		abort(); /* as libslirp does without memory */
	t->call = call;
	t->arg = arg;
	loop_timer_init(&t->timer, s->loop, time_over, t);
	return t;
}

static void
timer_free(void *timer, void *opaque)
{
	struct slirp_time *t = timer;

	(void)opaque;
	if (t != NULL)
		loop_timer_unset(&t->timer);
	free(t);
}

static void
timer_mod(void *timer, int64_t at_ms, void *opaque)
{
	struct slirp_time *t = timer;

	(void)opaque;
	loop_timer_set(&t->timer, (uint64_t)at_ms * NS_PER_MS);
}

static void
poll_begins(int fd, void *opaque)
{
	(void)fd; /* it is asked for each time */
	(void)opaque;
}

static void
poll_ends(int fd, void *opaque)
{
	struct slirp_port *s = opaque;

	slirp_sockets_closing(&s->sockets, fd);
}

static void
notify(void *opaque)
{
	struct slirp_port *s = opaque;

	slirp_sockets_changed(&s->sockets);
}

static const SlirpCb callbacks = {
	.send_packet = send_packet,
	.guest_error = guest_error,
	.clock_get_ns = clock_get_ns,
	.timer_new = timer_new,
	.timer_free = timer_free,
	.timer_mod = timer_mod,
	.register_poll_fd = poll_begins,
	.unregister_poll_fd = poll_ends,
	.notify = notify,
};

/* ---- to the LAN ---- */

static void
deliver(void *arg)
{
	struct slirp_port *s = arg;
	struct iovec piece[BURST_MAX];
	struct burst burst;

	burst_clear(&burst);
	burst.n = backlog_peek(&s->waiting, piece, BURST_MAX);
	for (unsigned int i = 0; i < burst.n; i++)
		burst.frame[i] = (struct frame){ .data = piece[i].iov_base,
			.len = (uint32_t)piece[i].iov_len,
			.head = (uint32_t)piece[i].iov_len };
	if (burst.n == 0)
		return;
	port_send(&s->port, &burst);
	backlog_pop(&s->waiting, burst.n);
	if (s->waiting.n > 0)
		loop_defer_ask(&s->deliver);
}

static void
looked(void *arg)
{
	struct slirp_port *s = arg;

	s->begun = 0;
}

/* ---- from the LAN ---- */

static bool
has_socket_for_another(struct slirp_port *s)
{
	unsigned int used = s->sockets.nwant;

	if (used + s->begun < PORT_SLIRP_FLOWS_MAX) {
		s->begun++;
		return true;
	}
	if (used >= PORT_SLIRP_FLOWS_MAX)
		return false;
	slirp_sockets_look(&s->sockets); /* most began nothing */
	s->begun = 1;
	return s->sockets.nwant < PORT_SLIRP_FLOWS_MAX;
}

static enum reason
take_one(struct slirp_port *s, const struct frame *frame)
{
	bool may_begin;
	enum reason reason;

	frame_copy(s->frame, frame, 0, frame->len);
	reason = slirp_admit(s->frame, frame->len, s->plan.ipv6, &may_begin);
	if (reason != DROP_NONE)
		return reason;
	if (may_begin && !has_socket_for_another(s))
		return DROP_PORT_FULL;
	slirp_input(s->slirp, s->frame, (int)frame->len);
	return REASON_DELIVERED;
}

static void
take(struct port *port, struct burst *burst)
{
	struct slirp_port *s = (struct slirp_port *)port;

	for (unsigned int i = 0; i < burst->n; i++)
		node_judge(port->node, &burst->frame[i],
		    take_one(s, &burst->frame[i]));
	slirp_sockets_changed(&s->sockets);
}

static void
close_slirp(struct port *port)
{
	struct slirp_port *s = (struct slirp_port *)port;

	if (s->slirp != NULL)
		slirp_cleanup(s->slirp);
	slirp_sockets_free(&s->sockets);
	if (s->loop != NULL)
		loop_defer_cancel(&s->deliver);
	backlog_free(&s->waiting);
	free(s);
}

static const char *
describe(const struct port *port, char *out, size_t len)
{
	const struct slirp_port *s = (const struct slirp_port *)port;
	char net[NET_TEXT_BYTES];

	snprintf(out, len, "%s%s, %u flows", ip4_net_text(net, s->plan.net),
	    s->plan.restricted ? " restricted" : "",
	    s->sockets.nwant > s->plan.nforwards
		? s->sockets.nwant - s->plan.nforwards
		: 0);
	return out;
}

static const struct port_ops slirp_ops = {
	.take = take,
	.close = close_slirp,
	.describe = describe,
};

/* ---- opening ---- */

/* "tcp:127.0.0.1:8080-10.0.2.15:80", where the first address may be left out. */
static int
read_forward(
    struct plan *plan, const char *name, const char *text, struct err *err)
{
	struct forward *f = &plan->forward[plan->nforwards];
	const char *colon = strchr(text, ':'), *dash = strchr(text, '-');
	char host[INET_TEXT_BYTES];
	bool tcp = strncmp(text, "tcp:", 4) == 0;

	f->udp = strncmp(text, "udp:", 4) == 0;
	if ((!tcp && !f->udp) || colon == NULL || dash == NULL ||
	    dash - colon > INET_TEXT_BYTES / 2)
		goto wrong;
	colon++;
	snprintf(host, sizeof(host), "%s%.*s",
	    memchr(colon, ':', (size_t)(dash - colon)) == NULL ? "127.0.0.1:"
							       : "",
	    (int)(dash - colon), colon);
	if (!inet_read(&f->host, host, 0) ||
	    !inet_read(&f->guest, dash + 1, 0) ||
	    f->host.sa.sa_family != AF_INET ||
	    f->guest.sa.sa_family != AF_INET ||
	    !ip4_net_has(plan->net, ntohl(f->guest.in.sin_addr.s_addr)))
		goto wrong;
	plan->nforwards++;
	return 0;
wrong:
	return err_set(err, -EINVAL,
	    "%s: \"forward=%s\" does not say which port of the host is which "
	    "of the LAN's; use, for one, forward=tcp:127.0.0.1:8080-"
	    "10.0.2.15:80",
	    name, text);
}

static int
read_net(struct plan *plan, const char *name, const char *text, struct err *err)
{
	struct ip4_net *net = &plan->net;

	if (!ip4_net_read(net, text != NULL ? text : NET) ||
	    net->prefix > PREFIX_MAX || net->prefix < 8 ||
	    (net->addr & ~ip4_mask(net->prefix)) != 0 ||
	    ip4_is_loopback(net->addr) || ip4_is_multicast(net->addr))
		return err_set(err, -EINVAL,
		    "%s: \"net=%s\" is no network with room for the LAN; use "
		    "one of /8 to /%d, as " NET,
		    name, text, PREFIX_MAX);
	return 0;
}

static int
read_prefix(
    struct plan *plan, const char *name, const char *text, struct err *err)
{
	const char *slash = text != NULL ? strchr(text, '/') : NULL;
	char address[INET6_ADDRSTRLEN] = "";
	const uint8_t *b = plan->prefix.s6_addr;

	if (text == NULL)
		return 0;
	if (slash != NULL && (size_t)(slash - text) < sizeof(address))
		memcpy(address, text, (size_t)(slash - text));
	if (slash == NULL || strcmp(slash, "/64") != 0 ||
	    inet_pton(AF_INET6, address, &plan->prefix) != 1 || b[0] == 0 ||
	    b[0] >= 0xfe || memcmp(b + 8, &(uint64_t){ 0 }, 8) != 0)
		return err_set(err, -EINVAL,
		    "%s: \"ipv6=%s\" is no network for the LAN; use one of "
		    "/64, as fd00:0:0:2::/64",
		    name, text);
	plan->ipv6 = true;
	return 0;
}

static int
read_locator(
    struct plan *plan, const char *name, const char *rest, struct err *err)
{
	static const char *const keys[] = { "net", "ipv6", "restrict", "host",
		"forward", NULL };
	struct locator l;
	const char *text;
	int e = locator_read(&l, name, rest, keys, err);

	*plan = (struct plan){ .nforwards = 0 };
	if (e < 0)
		return e;
	if (l.place[0] != '\0')
		return err_set(err, -EINVAL,
		    "%s: \"slirp:%s\": there is nothing to name; use slirp: or "
		    "slirp:?net=" NET,
		    name, rest);
	e = read_net(plan, name, locator_get(&l, "net", 0), err);
	if (e == 0)
		e = read_prefix(plan, name, locator_get(&l, "ipv6", 0), err);
	if (e == 0 &&
	    (!locator_flag(&l, "restrict", false, &plan->restricted, err) ||
		!locator_flag(&l, "host", false, &plan->host, err)))
		e = -EINVAL;
	for (unsigned int i = 0; e == 0; i++) {
		text = locator_get(&l, "forward", i);
		if (text == NULL)
			break;
		e = read_forward(plan, name, text, err);
	}
	return e;
}

static int
check_slirp(const char *name, const char *rest, struct err *err)
{
	struct plan plan;

	return read_locator(&plan, name, rest, err);
}

static struct in_addr
host_of(const struct plan *plan, uint32_t number)
{
	return (struct in_addr){ htonl(plan->net.addr + number) };
}

static struct in6_addr
host6_of(const struct plan *plan, uint8_t number)
{
	struct in6_addr addr = plan->prefix;

	addr.s6_addr[15] = number;
	return addr;
}

static int
start(struct slirp_port *s, struct err *err)
{
	const struct plan *plan = &s->plan;
	const SlirpConfig config = {
		.version = 1,
		.restricted = plan->restricted,
		.in_enabled = true,
		.vnetwork = host_of(plan, 0),
		.vnetmask = { htonl(ip4_mask(plan->net.prefix)) },
		.vhost = host_of(plan, ROUTER_HOST),
		.in6_enabled = plan->ipv6,
		.vprefix_addr6 = plan->prefix,
		.vprefix_len = 64,
		.vhost6 = host6_of(plan, ROUTER_HOST),
		.vdhcp_start = host_of(plan, DHCP_HOST),
		.vnameserver = host_of(plan, DNS_HOST),
		.vnameserver6 = host6_of(plan, DNS_HOST),
		.if_mtu = MTU,
		.if_mru = MTU,
		.disable_host_loopback = !plan->host,
	};

	s->slirp = slirp_new(&config, &callbacks, s);
	if (s->slirp == NULL)
		return err_sys(err, -ENOMEM, NULL, "%s", s->port.name);
	return slirp_sockets_init(
	    &s->sockets, s->slirp, s->loop, looked, s, err);
}

static int
open_forwards(struct slirp_port *s, struct err *err)
{
	for (unsigned int i = 0; i < s->plan.nforwards; i++) {
		const struct forward *f = &s->plan.forward[i];
		char text[INET_TEXT_BYTES];

		if (slirp_add_hostfwd(s->slirp, f->udp, f->host.in.sin_addr,
			inet_port(&f->host), f->guest.in.sin_addr,
			inet_port(&f->guest)) < 0)
			return err_sys(err, -errno,
			    errno == EADDRINUSE
				? "use another port, or end who has it"
				: "use an address of this machine and a port "
				  "from 1024 on",
			    "%s: cannot listen at %s", s->port.name,
			    inet_text(text, &f->host));
	}
	return 0;
}

static struct port *
open_slirp(struct loop *loop, struct node *node, const char *name,
    const char *rest, struct err *err)
{
	struct slirp_port *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", name);
		return NULL;
	}
	port_init(&s->port, &slirp_ops, node, name);
	s->port.accepts = 0;
	s->port.mtu_bytes = sizeof(s->frame);
	s->loop = loop;
	s->sockets.epoll = -1;
	loop_defer_init(&s->deliver, loop, deliver, s);
	if (read_locator(&s->plan, name, rest, err) < 0)
		goto fail;
	if (backlog_init(&s->waiting, WAITING_BYTES) < 0) {
		err_sys(err, -ENOMEM, NULL, "%s", name);
		goto fail;
	}
	if (start(s, err) < 0 || open_forwards(s, err) < 0)
		goto fail;
	return &s->port;
fail:
	close_slirp(&s->port);
	return NULL;
}

const struct port_kind port_slirp = {
	.scheme = "slirp",
	.syntax = "slirp:",
	.check = check_slirp,
	.open = open_slirp,
};
