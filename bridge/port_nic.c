/*
 * The frames of the ring (raw_socket.c) are sent into the LAN from where the
 * kernel put them, a burst at a time (lookout.c).
 *
 *     GONE --it is there--> DOWN --runs--> UP
 *       ^                    |  ^--stops----'|
 *       '---it is not there--'---------------'
 *
 * What the kernel says of the interface (host_link.c) leads from state to
 * state.  The link of the port is down but in UP.  Without the interface the
 * socket waits, with its ring, to be bound to another one of the same name:
 * that needs no capability, which is gone by then.  The interface itself is
 * never brought up or down here.
 *
 * A link that was taken down by command stays down: only what this file took
 * down, it takes up again.
 */
#include "bridge/port_nic.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "bridge/raw_socket.h"
#include "bridge/twin.h"
#include "switch/lookout.h"
#include "switch/locator.h"

enum nic_state { NIC_GONE, NIC_DOWN, NIC_UP, NIC_NSTATES };

struct nic {
	struct port port; /* first: ports of this kind are these */
	struct locator at;
	struct raw_socket *socket;
	struct lookout lookout; /* over the socket */
	struct host_watch *watch;
	struct host_link link; /* as it was bound */
	enum nic_state state;
	bool lowered; /* by us */
	struct nic_hook *hook;
	struct verdict cause[BURST_MAX];   /* of a burst, by the hook */
	struct twin *twin;                 /* to the host, or NULL */
	struct frame_head head[BURST_MAX]; /* of a burst, for the hook */
	struct burst burst;
};

#define TO(state) (1u << NIC_##state)

static const struct {
	const char *name;
	unsigned int next;
} nic_fsm[] = {
	[NIC_GONE] = { "gone", TO(DOWN) },
	[NIC_DOWN] = { "down", TO(GONE) | TO(UP) },
	[NIC_UP] = { "up", TO(GONE) | TO(DOWN) },
};
static_assert(
    sizeof(nic_fsm) / sizeof(nic_fsm[0]) == NIC_NSTATES, "a state has no row");

static const struct port_ops nic_ops;

static struct nic *
nic_of(const struct port *port)
{
	return (struct nic *)(uintptr_t)port;
}

/* ---- the interface ---- */

static void
nic_set(struct nic *nic, enum nic_state to)
{
	if (nic->state == to)
		return;
	assert(nic_fsm[nic->state].next & 1u << to);
	log_debug("%s: interface %s: %s -> %s", nic->port.name, nic->at.place,
	    nic_fsm[nic->state].name, nic_fsm[to].name);
	nic->state = to;
	if (to == NIC_UP && nic->lowered) {
		nic->lowered = false;
		port_set_down(&nic->port, false);
	} else if (to != NIC_UP && !nic->port.down) {
		nic->lowered = true;
		port_set_down(&nic->port, true);
	}
}

/* Takes up the interface that is there now.  False: it cannot be. */
static bool
take_up(struct nic *nic, const struct host_link *link)
{
	struct err err = { "" };

	if (!link->ethernet) {
		log_warn("%s: interface %s is no Ethernet any more; it is "
			 "left alone",
		    nic->port.name, nic->at.place);
		return false;
	}
	if (raw_bind(nic->socket, link->index, true, &err) < 0) {
		log_warn("%s: %s", nic->port.name, err.text);
		return false;
	}
	nic->link = *link;
	return true;
}

/* Looks what has become of the interface. */
static void
changed(void *arg)
{
	struct nic *nic = arg;
	struct host_link link;

	if (!host_watch_look(nic->watch, nic->at.place, &link))
		return;
	if (nic->state != NIC_GONE && link.index != nic->link.index) {
		log_warn("%s: interface %s has gone; the link is down until "
			 "it is back",
		    nic->port.name, nic->at.place);
		nic->link.index = 0;
		nic_set(nic, NIC_GONE);
	}
	if (nic->state == NIC_GONE && link.index != 0 && take_up(nic, &link)) {
		log_info(
		    "%s: interface %s is back", nic->port.name, nic->at.place);
		nic_set(nic, NIC_DOWN);
	}
	if (nic->state == NIC_GONE)
		return;
	nic->link = link;
	nic_set(nic, link.running ? NIC_UP : NIC_DOWN);
	if (nic->hook != NULL && nic->hook->changed != NULL)
		nic->hook->changed(nic->hook);
}

/* ---- from the interface ---- */

/* What the hook lets pass stays in the burst. */
static void
hook_in(struct nic *nic, struct burst *burst)
{
	unsigned int kept = 0;

	burst->flags = 0;
	for (unsigned int i = 0; i < burst->n; i++) {
		struct frame *frame = &burst->frame[i];
		enum reason reason = nic->hook->in(nic->hook, frame,
		    (uint8_t *)(uintptr_t)frame->data, frame->head);

		if (reason_is_drop(reason)) {
			struct burst bad = { .n = 1, .frame = { *frame } };

			port_refuse(&nic->port, &bad, reason);
			continue;
		}
		burst->flags |= frame->flags;
		if (reason != DROP_NONE) {
			nic->port.node->count[reason]++;
			nic->cause[kept] = (struct verdict){
				.node = nic->port.node,
				.out = &nic->port,
				.reason = (uint16_t)reason,
				.nout = 1,
				.entry = frame->verdict.entry,
			};
			frame->cause = &nic->cause[kept];
		}
		burst->frame[kept++] = *frame;
	}
	burst->n = kept;
}

static bool
read_burst(void *arg)
{
	struct nic *nic = arg;
	unsigned int bad = raw_read(nic->socket, &nic->burst);
	bool any = nic->burst.n > 0 || bad > 0;

	nic->port.node->count[DROP_VNET_HEADER] += bad;
	if (nic->hook != NULL)
		hook_in(nic, &nic->burst);
	if (nic->burst.n > 0)
		port_send(&nic->port, &nic->burst);
	raw_done(nic->socket);
	return any;
}

static void
read_error(void *arg)
{
	struct nic *nic = arg;

	(void)raw_error(nic->socket); /* netlink tells the same */
}

static const struct lookout_ops lookout_ops = {
	.read = read_burst,
	.empty = read_error,
};

/* ---- to the interface ---- */

/* The hook sees a copy of the description: the sender's stays as it was. */
static enum reason
hook_out(struct nic *nic, struct frame_head *head, struct frame *frame)
{
	if (!frame_head_take(head, frame))
		return DROP_TOO_LONG;
	return nic->hook->out(nic->hook, frame, head->bytes, head->n);
}

/* Frames that are for the host too, or for it alone; whose bytes a guest may
 * change meanwhile, which misleads nothing but that frame. */
static bool
is_for_host(const struct nic *nic, const struct frame *frame)
{
	return frame->len >= 6 &&
	    ((frame->data[0] & 1) ||
		memcmp(frame->data, nic->link.mac.b, 6) == 0);
}

/* Gives the host its part, and closes up the rest: returns how many are left,
 * with where they stand in the burst. */
static unsigned int
serve_host(struct nic *nic, struct burst *burst, const struct frame **out,
    unsigned int *of, unsigned int n)
{
	const struct frame *host[BURST_MAX] = { NULL };
	enum reason fate[BURST_MAX];
	unsigned int whose[BURST_MAX], m = 0, left = 0;

	for (unsigned int k = 0; k < n; k++)
		if (is_for_host(nic, out[k])) {
			host[m] = out[k];
			whose[m++] = k;
		}
	twin_send(nic->twin, host, m, fate);
	for (unsigned int k = 0, j = 0; k < n; k++) {
		bool its = j < m && whose[j] == k;

		if (its && !(out[k]->data[0] & 1)) {
			node_judge(
			    nic->port.node, &burst->frame[of[k]], fate[j++]);
			continue;
		}
		j += its;
		out[left] = out[k];
		of[left++] = of[k];
	}
	return left;
}

static void
take(struct port *port, struct burst *burst)
{
	struct nic *nic = nic_of(port);
	struct frame view[BURST_MAX];
	const struct frame *out[BURST_MAX] = { NULL };
	enum reason fate[BURST_MAX], said[BURST_MAX];
	unsigned int of[BURST_MAX], n = 0;

	for (unsigned int i = 0; i < burst->n; i++) {
		enum reason reason = DROP_NONE;

		out[n] = &burst->frame[i];
		if (nic->hook != NULL) {
			view[i] = burst->frame[i];
			out[n] = &view[i];
			reason = hook_out(nic, &nic->head[i], &view[i]);
		}
		said[i] = reason;
		if (reason_is_drop(reason))
			node_judge(port->node, &burst->frame[i], reason);
		else
			of[n++] = i;
	}
	if (nic->twin != NULL)
		n = serve_host(nic, burst, out, of, n);
	raw_send(nic->socket, out, n, fate);
	for (unsigned int k = 0; k < n; k++) {
		unsigned int i = of[k];
		bool left = fate[k] == REASON_DELIVERED;

		if (!left || said[i] == DROP_NONE) {
			node_judge(port->node, &burst->frame[i], fate[k]);
			continue;
		}
		node_judge(port->node, &burst->frame[i], said[i]);
		burst->frame[i].verdict.entry = view[i].verdict.entry;
	}
}

enum reason
port_nic_transmit(struct port *port, const void *bytes, size_t len)
{
	const struct frame frame = {
		.data = bytes, .len = (uint32_t)len, .head = (uint32_t)len
	};
	const struct frame *out[1] = { &frame };
	enum reason fate = DROP_IO;

	raw_send(nic_of(port)->socket, out, 1, &fate);
	return fate;
}

/* ---- the port ---- */

bool
port_nic_is(const struct port *port)
{
	return port->ops == &nic_ops;
}

const char *
port_nic_interface(const struct port *port)
{
	return nic_of(port)->at.place;
}

const char *
port_nic_twin(const struct port *port)
{
	const struct twin *twin = nic_of(port)->twin;

	return twin != NULL ? twin_interface(twin) : NULL;
}

const struct mac *
port_nic_mac(const struct port *port)
{
	return &nic_of(port)->link.mac;
}

void
port_nic_set_hook(struct port *port, struct nic_hook *hook)
{
	assert(nic_of(port)->hook == NULL);
	nic_of(port)->hook = hook;
}

struct nic_hook *
port_nic_hook(const struct port *port)
{
	return nic_of(port)->hook;
}

static const char *
describe(const struct port *port, char *out, size_t len)
{
	struct nic *nic = nic_of(port);
	uint64_t lost = raw_lost(nic->socket);
	char more[48] = "";

	if (lost != 0)
		snprintf(more, sizeof(more),
		    ", %" PRIu64 " frames came too fast", lost);
	snprintf(out, len, "interface %s %s%s", nic->at.place,
	    nic_fsm[nic->state].name, more);
	return out;
}

static void
close_nic(struct port *port)
{
	struct nic *nic = nic_of(port);

	if (nic->hook != NULL)
		nic->hook->close(nic->hook);
	host_watch_free(nic->watch);
	lookout_close(&nic->lookout);
	twin_free(nic->twin);
	raw_free(nic->socket);
	free(nic);
}

static const struct port_ops nic_ops = {
	.take = take,
	.close = close_nic,
	.describe = describe,
};

/* ---- opening ---- */

static int
find(struct nic *nic, struct host_link *link, struct err *err)
{
	const char *name = nic->at.place;

	if (name[0] == '\0' || strlen(name) >= HOST_LINK_NAME_BYTES)
		return err_set(err, -EINVAL,
		    "%s: nic:%.60s names no interface; \"ip link\" lists "
		    "them",
		    nic->port.name, name);
	if (!host_watch_look(nic->watch, name, link))
		return err_set(err, -EIO,
		    "%s: nic:%s: the kernel does not answer by netlink",
		    nic->port.name, name);
	if (link->index == 0)
		return err_set(err, -ENODEV,
		    "%s: nic:%s: there is no interface of that name; \"ip "
		    "link\" lists them",
		    nic->port.name, name);
	if (!link->ethernet)
		return err_set(err, -EINVAL,
		    "%s: nic:%s is no Ethernet interface (ARP hardware type "
		    "%d); use one that is",
		    nic->port.name, name, link->hardware);
	return 0;
}

static int
read_host(const struct nic *nic, bool *host, struct err *err)
{
	const char *text = locator_get(&nic->at, "host", 0);

	*host = text != NULL && strcmp(text, "yes") == 0;
	if (text == NULL || *host || strcmp(text, "no") == 0)
		return 0;
	return err_set(err, -EINVAL, "%s: host=%.40s: use yes or no",
	    nic->port.name, text);
}

static int
prepare(struct nic *nic, struct loop *loop, const char *rest, struct err *err)
{
	static const char *const keys[] = { "host", NULL };
	struct raw_options options = { .name = nic->port.name };
	struct host_link link;
	bool host = false;
	int e = locator_read(&nic->at, nic->port.name, rest, keys, err);

	if (e == 0)
		e = read_host(nic, &host, err);
	if (e < 0)
		return e;
	nic->watch = host_watch_new(loop, changed, nic, err);
	if (nic->watch == NULL)
		return -EIO;
	e = find(nic, &link, err);
	if (e < 0)
		return e;
	if (host) {
		nic->twin = twin_new(nic->port.name, link.index, err);
		if (nic->twin == NULL)
			return -EIO;
		options.with_outgoing = true;
		options.without_mark = TWIN_MARK;
	}
	nic->socket = raw_new(&options, err);
	if (nic->socket == NULL)
		return -EIO;
	e = raw_bind(nic->socket, link.index, true, err);
	if (e < 0)
		return e;
	e = lookout_open(
	    &nic->lookout, loop, raw_fd(nic->socket), &lookout_ops, nic, err);
	if (e < 0)
		return e;
	nic->link = link;
	nic->state = NIC_DOWN;
	nic->port.down = nic->lowered = true;
	nic_set(nic, link.running ? NIC_UP : NIC_DOWN);
	if (!link.running)
		log_warn("%s: interface %s is down; the port's link follows it",
		    nic->port.name, nic->at.place);
	return 0;
}

static struct port *
open_nic(struct loop *loop, struct node *node, const char *name,
    const char *rest, struct err *err)
{
	struct nic *nic = calloc(1, sizeof(*nic));

	if (nic == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", name);
		return NULL;
	}
	port_init(&nic->port, &nic_ops, node, name);
	nic->port.accepts = FRAME_TODO;
	if (prepare(nic, loop, rest, err) == 0)
		return &nic->port;
	close_nic(&nic->port);
	return NULL;
}

const struct port_kind port_nic = {
	.scheme = "nic",
	.syntax = "nic:INTERFACE",
	.open = open_nic,
};
