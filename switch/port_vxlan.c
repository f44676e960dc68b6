/*
 * vxlan:ADDRESS[:PORT]?vni=N[&OPTION=VALUE...] - a LAN that goes on at other
 * machines, by VXLAN (RFC 7348).
 *
 *    this lab                             192.0.2.1
 *     switch ── port ══ UDP ══╤══════════ another lab, a kernel's vxlan,
 *                             │           Open vSwitch, ...
 *                             ╘══════════ 192.0.2.3
 *
 * A frame to an address that was seen behind one of the remote machines goes
 * there; any other, and all to groups, goes to each of them, which is what the
 * RFC's multicast group does in a network that has multicast (4.2).  What came
 * in from one machine is never sent on to another, so that all of them may
 * name one another.
 *
 * The source address is all that tells who sent a datagram.  That keeps out
 * who is not one of the remotes, but not a forger, who can put frames into the
 * lab and move addresses; "learn=no" with "mac=" settles where each one is.
 *
 * Tags inside are carried (6.1 lets that be configured), and addresses are
 * learned whatever the tag.  A datagram beyond the path's MTU goes in
 * fragments, though 4.3 forbids that to those who can tell hosts to send less;
 * 50 bytes (70 with IPv6) are what a frame's IP packet grows by.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "net/eth.h"
#include "net/vxlan.h"
#include "switch/fdb.h"
#include "switch/locator.h"
#include "switch/vxlan_socket.h"

#define REMOTES_MAX (1 + LOCATOR_OPTIONS_MAX)
#define MACS_MAX    16384
#define AGE_NS      (300 * NS_PER_S)

/* What a locator says. */
struct plan {
	uint32_t vni;
	struct inet local;
	struct inet remote[REMOTES_MAX];
	unsigned int nremotes;
	struct {
		struct mac mac;
		unsigned int remote;
	} pin[LOCATOR_OPTIONS_MAX];
	unsigned int npins;
	bool learn;
};

struct vxlan {
	struct port port; /* first: ports of this kind are these */
	struct vxlan_member member;
	struct loop *loop;
	struct plan plan;
	struct fdb *fdb; /* its ports are the remotes */
};

/* The port is the peer's own affair: many vary it by flow. */
static bool
same_address(const struct inet *a, const struct inet *b)
{
	if (a->sa.sa_family != b->sa.sa_family)
		return false;
	return a->sa.sa_family == AF_INET6
	    ? memcmp(&a->in6.sin6_addr, &b->in6.sin6_addr,
		  sizeof(a->in6.sin6_addr)) == 0
	    : a->in.sin_addr.s_addr == b->in.sin_addr.s_addr;
}

static int
remote_of(const struct plan *plan, const struct inet *inet)
{
	for (unsigned int i = 0; i < plan->nremotes; i++)
		if (same_address(&plan->remote[i], inet))
			return (int)i;
	return -1;
}

/* ---- in ---- */

static enum reason
admit(struct vxlan_member *member, const struct inet *from,
    const struct frame *frame)
{
	struct vxlan *v = (struct vxlan *)member->port;
	struct cursor c = cursor(frame->data, frame->len);
	int remote = remote_of(&v->plan, from);
	struct mac src;

	if (remote < 0)
		return DROP_VXLAN_REMOTE;
	cur_skip(&c, sizeof(src.b));
	cur_mac(&c, &src);
	if (c.overrun || frame->len < ETH_HEADER_BYTES)
		return DROP_SHORT;
	/* A group's address or a pinned one is not learned, and what to do
	 * about it is the switch's to say. */
	if (v->plan.learn)
		(void)fdb_learn(v->fdb, &src, 0, (unsigned int)remote,
		    loop_now_ns(v->loop));
	return DROP_NONE;
}

/* ---- out ---- */

/* The machine behind which the frame's destination is, or FDB_FLOOD. */
static int
machine_of(const struct vxlan *v, const struct frame *frame)
{
	struct mac dst;

	frame_copy(&dst, frame, 0, sizeof(dst));
	return mac_is_group(&dst)
	    ? FDB_FLOOD
	    : fdb_find(v->fdb, &dst, 0, loop_now_ns(v->loop));
}

static void
stage(struct vxlan *v, const struct frame *frame, enum reason *result)
{
	int to = machine_of(v, frame);

	if (to != FDB_FLOOD) {
		vxlan_add(&v->member, &v->plan.remote[to], frame, result);
		return;
	}
	for (unsigned int i = 0; i < v->plan.nremotes; i++)
		vxlan_add(&v->member, &v->plan.remote[i], frame, result);
}

static void
take(struct port *port, struct burst *burst)
{
	struct vxlan *v = (struct vxlan *)port;
	enum reason result[BURST_MAX] = { DROP_NONE };

	for (unsigned int i = 0; i < burst->n; i++)
		if (burst->frame[i].len < ETH_HEADER_BYTES)
			result[i] = DROP_SHORT;
		else
			stage(v, &burst->frame[i], &result[i]);
	vxlan_flush(&v->member);
	for (unsigned int i = 0; i < burst->n; i++)
		node_judge(port->node, &burst->frame[i], result[i]);
}

static void
close_vxlan(struct port *port)
{
	struct vxlan *v = (struct vxlan *)port;

	vxlan_leave(&v->member);
	fdb_free(v->fdb);
	free(v);
}

static const char *
describe(const struct port *port, char *out, size_t len)
{
	const struct vxlan *v = (const struct vxlan *)port;
	char local[INET_TEXT_BYTES], remote[INET_TEXT_BYTES];
	unsigned int more = v->plan.nremotes - 1;
	int n = snprintf(out, len, "VNI %u at %s to %s", v->plan.vni,
	    inet_text(local, &v->plan.local),
	    inet_text(remote, &v->plan.remote[0]));

	if (more > 0 && n > 0 && (size_t)n < len)
		n += snprintf(out + n, len - (size_t)n, " and %u more", more);
	if (n > 0 && (size_t)n < len)
		snprintf(out + n, len - (size_t)n, ", %u addresses",
		    fdb_count(v->fdb));
	return out;
}

static const struct port_ops vxlan_ops = {
	.take = take,
	.close = close_vxlan,
	.describe = describe,
};

/* ---- opening ---- */

static bool
is_group(const struct inet *inet)
{
	return inet->sa.sa_family == AF_INET6
	    ? IN6_IS_ADDR_MULTICAST(&inet->in6.sin6_addr)
	    : IN_MULTICAST(ntohl(inet->in.sin_addr.s_addr));
}

static int
add_remote(struct plan *plan, const char *name, const char *text, uint16_t port,
    struct err *err)
{
	struct inet *remote = &plan->remote[plan->nremotes];

	if (!inet_read(remote, text, port) || is_group(remote))
		return err_set(err, -EINVAL,
		    "%s: \"%s\" is no address of a machine; use one, as "
		    "vxlan:192.0.2.1?vni=7 or vxlan:[2001:db8::1]:4789?vni=7",
		    name, text);
	if (plan->nremotes > 0 &&
	    remote->sa.sa_family != plan->remote[0].sa.sa_family)
		return err_set(err, -EINVAL,
		    "%s: \"remote=%s\" is of another family than the first "
		    "machine; use either IPv4 or IPv6",
		    name, text);
	if (remote_of(plan, remote) >= 0)
		return err_set(err, -EINVAL,
		    "%s: \"remote=%s\" is there already; remove one", name,
		    text);
	plan->nremotes++;
	return 0;
}

static int
read_local(struct plan *plan, const char *name, const char *text, uint16_t port,
    struct err *err)
{
	int family = plan->remote[0].sa.sa_family;

	if (text == NULL) {
		plan->local = (struct inet){ .len = plan->remote[0].len };
		plan->local.sa.sa_family = (sa_family_t)family;
		inet_set_port(&plan->local, port);
		return 0;
	}
	if (!inet_read(&plan->local, text, port) ||
	    plan->local.sa.sa_family != family)
		return err_set(err, -EINVAL,
		    "%s: \"local=%s\" is no address of the remote's family; "
		    "use one of this machine, as 192.0.2.2",
		    name, text);
	return 0;
}

/* "52:54:00:00:00:01@192.0.2.3": that address is at that machine. */
static int
add_pin(struct plan *plan, const char *name, const char *text, struct err *err)
{
	const char *at = strchr(text, '@');
	char mac[MAC_TEXT_BYTES] = "";
	struct inet inet;
	int remote = -1;

	if (at != NULL && (size_t)(at - text) < sizeof(mac))
		memcpy(mac, text, (size_t)(at - text));
	if (at != NULL && inet_read(&inet, at + 1, VXLAN_PORT))
		remote = remote_of(plan, &inet);
	if (remote < 0 || !mac_read(&plan->pin[plan->npins].mac, mac) ||
	    mac_is_group(&plan->pin[plan->npins].mac))
		return err_set(err, -EINVAL,
		    "%s: \"mac=%s\" does not say which address is at which "
		    "remote; use, for one, mac=52:54:00:00:00:01@192.0.2.1",
		    name, text);
	plan->pin[plan->npins++].remote = (unsigned int)remote;
	return 0;
}

static int
read_locator(
    struct plan *plan, const char *name, const char *rest, struct err *err)
{
	static const char *const keys[] = { "vni", "remote", "local", "port",
		"mac", "learn", NULL };
	uint64_t vni, port;
	const char *text;
	struct locator l;
	int e = locator_read(&l, name, rest, keys, err);

	*plan = (struct plan){ .nremotes = 0 };
	if (e < 0)
		return e;
	if (!locator_number(
		&l, "vni", 0, VXLAN_VNI_MAX, UINT32_MAX, &vni, err) ||
	    !locator_number(
		&l, "port", 1, UINT16_MAX, VXLAN_PORT, &port, err) ||
	    !locator_flag(&l, "learn", true, &plan->learn, err))
		return -EINVAL;
	if (vni == UINT32_MAX)
		return err_set(err, -EINVAL,
		    "%s: \"vxlan:%s\" names no network; add ?vni=N", name,
		    rest);
	plan->vni = (uint32_t)vni;
	e = add_remote(plan, name, l.place, (uint16_t)port, err);
	for (unsigned int i = 0; e == 0; i++) {
		text = locator_get(&l, "remote", i);
		if (text == NULL)
			break;
		e = add_remote(plan, name, text, (uint16_t)port, err);
	}
	for (unsigned int i = 0; e == 0; i++) {
		text = locator_get(&l, "mac", i);
		if (text == NULL)
			break;
		e = add_pin(plan, name, text, err);
	}
	if (e == 0)
		e = read_local(plan, name, locator_get(&l, "local", 0),
		    (uint16_t)port, err);
	return e;
}

static int
check_vxlan(const char *name, const char *rest, struct err *err)
{
	struct plan plan;

	return read_locator(&plan, name, rest, err);
}

/* Its table of addresses; they are the machines' hosts', which may be hostile:
 * the key is not to be guessed. */
static int
make_table(struct vxlan *v, struct err *err)
{
	uint64_t key = 0;

	(void)!getrandom(&key, sizeof(key), GRND_NONBLOCK);
	v->fdb = fdb_new(MACS_MAX, AGE_NS, key);
	if (v->fdb == NULL || fdb_ports(v->fdb, v->plan.nremotes) < 0)
		return err_sys(err, -ENOMEM, NULL, "%s", v->port.name);
	for (unsigned int i = 0; i < v->plan.npins; i++)
		if (fdb_pin(v->fdb, &v->plan.pin[i].mac, 0,
			v->plan.pin[i].remote) < 0)
			return err_set(err, -EINVAL,
			    "%s: the same address stands in \"mac=\" twice; "
			    "remove one",
			    v->port.name);
	return 0;
}

static struct port *
open_vxlan(struct loop *loop, struct node *node, const char *name,
    const char *rest, struct err *err)
{
	struct vxlan *v = calloc(1, sizeof(*v));

	if (v == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", name);
		return NULL;
	}
	port_init(&v->port, &vxlan_ops, node, name);
	v->port.accepts = 0;
	v->port.mtu_bytes = DGRAM_FRAME_BYTES;
	v->loop = loop;
	if (read_locator(&v->plan, name, rest, err) < 0 ||
	    make_table(v, err) < 0)
		goto fail;
	v->member.vni = v->plan.vni;
	v->member.port = &v->port;
	v->member.admit = admit;
	if (vxlan_join(&v->member, loop, &v->plan.local, err) < 0)
		goto fail;
	return &v->port;
fail:
	close_vxlan(&v->port);
	return NULL;
}

const struct port_kind port_vxlan = {
	.scheme = "vxlan",
	.syntax = "vxlan:ADDRESS?vni=N",
	.check = check_vxlan,
	.open = open_vxlan,
};
