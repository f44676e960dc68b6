/*
 * On their way out, frames leave those behind that do not belong to the port's
 * VLAN, tree or group or are too large for it, and get the tag that it wants.
 * Memory for new heads is on the stack, for half a burst: what does not fit is
 * sent in a second one, in order.
 */
#include "switch/switch_state.h"

/* Frames on their way out of one port. */
struct exit {
	struct switch_port *port;
	struct burst out;
	struct retag retag;
};

void
egress_send(struct switch_port *port, struct burst *out)
{
	if (out->n == 0)
		return;
	if (port->flags & PORT_MIRROR_OUT)
		mirror_out(port, out);
	if (port->flags & PORT_BOND)
		bond_send(port, out);
	else
		port_send(&port->port, out);
}

static void
flush(struct exit *e)
{
	egress_send(e->port, &e->out);
	burst_clear(&e->out);
	e->retag.n = e->retag.pieces = 0;
}

static void
refuse(struct exit *e, const struct frame *frame, enum reason reason)
{
	struct burst one;

	flush(e); /* in order */
	burst_clear(&one);
	one.frame[one.n++] = *frame;
	one.flags = frame->flags;
	port_refuse(&e->port->port, &one, reason);
}

/* Adds a frame to what goes out, with the tag that the port wants. */
static void
add(struct exit *e, const struct frame *in, const struct tagging *tag)
{
	struct new_tag new = { .changed = false };
	struct frame frame = *in;
	enum reason reason = DROP_NONE;

	frame.cause = &in->verdict;
	frame.verdict = (struct verdict){ .journey = in->verdict.journey };
	if (e->port->flags & PORT_VLANS)
		new = vlan_new_tag(e->port, tag);
	if (new.changed) {
		reason = vlan_retag(&e->retag, &frame, tag->bytes, &new);
		if (reason == DROP_PORT_FULL) {
			flush(e);
			reason =
			    vlan_retag(&e->retag, &frame, tag->bytes, &new);
		}
	}
	if (reason != DROP_NONE) {
		refuse(e, &frame, reason);
		return;
	}
	e->out.frame[e->out.n++] = frame;
	e->out.flags |= frame.flags;
}

/* Does frame i of a burst, which is flooded, leave by this port? */
static bool
leaves_by(const struct switch_port *port, const struct switch_port *from,
    const struct plan *plan, unsigned int i)
{
	return (plan->only[i] == NULL ||
		   port_set_has(plan->only[i], port->index)) &&
	    decide_exit(from, port, plan->tag[i].vlan) == DROP_NONE;
}

void
egress_special(struct switch_port *port, const struct burst *in,
    const struct plan *plan, const struct switch_port *from, unsigned int first)
{
	struct exit e;

	e.port = port;
	e.retag.n = e.retag.pieces = 0;
	burst_clear(&e.out);
	for (unsigned int i = first; i < in->n; i++) {
		const struct frame *frame = &in->frame[i];

		if (plan->to[i] != port->index &&
		    (plan->to[i] != TO_ALL || !leaves_by(port, from, plan, i)))
			continue;
		if (port->flags & PORT_MTU &&
		    payload_bytes(frame, &plan->head[i]) > port->mtu) {
			struct frame out = *frame;

			out.cause = &frame->verdict;
			refuse(&e, &out, DROP_TOO_LONG);
			continue;
		}
		add(&e, frame, &plan->tag[i]);
	}
	flush(&e);
}
