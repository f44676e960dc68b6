/*
 * Copies are views of the same bytes, sent as bursts of their own: to a guest
 * that listens they are copied into its ring as any other frame is.
 */
#include "switch/switch_state.h"

#include <errno.h>

static void
send_copy(const struct mirror *mirror, struct burst *copy)
{
	if (copy->n > 0 &&
	    guard_mirror(switch_port_of(mirror->options.to), copy))
		port_send(mirror->options.to, copy);
}

static bool
is_wanted(const struct mirror *mirror, const struct switch_port *from,
    const struct plan *plan, unsigned int i)
{
	const struct mirror_options *m = &mirror->options;

	if (port_set_has(&m->in, from->index))
		return true;
	return m->vlan != 0 && plan->tag[i].vlan == m->vlan;
}

void
mirror_in(struct lan_switch *sw, const struct switch_port *from,
    const struct burst *in, const struct plan *plan)
{
	for (unsigned int m = 0; m < SWITCH_MIRRORS; m++) {
		struct burst copy;

		if (!sw->mirror[m].used)
			continue;
		burst_clear(&copy);
		for (unsigned int i = 0; i < in->n; i++) {
			struct frame *frame = &copy.frame[copy.n];

			if (!is_wanted(&sw->mirror[m], from, plan, i))
				continue;
			*frame = in->frame[i];
			frame->cause = &in->frame[i].verdict;
			frame->verdict = (struct verdict){
				.journey = in->frame[i].verdict.journey
			};
			copy.flags |= frame->flags;
			copy.n++;
		}
		send_copy(&sw->mirror[m], &copy);
	}
}

void
mirror_out(const struct switch_port *port, const struct burst *out)
{
	const struct lan_switch *sw = port->sw;

	for (unsigned int m = 0; m < SWITCH_MIRRORS; m++) {
		const struct mirror *mirror = &sw->mirror[m];
		struct burst copy;

		if (!mirror->used ||
		    !port_set_has(&mirror->options.out, port->index))
			continue;
		copy.n = out->n;
		copy.flags = out->flags;
		memcpy(copy.frame, out->frame, out->n * sizeof(out->frame[0]));
		send_copy(mirror, &copy);
	}
}

/* ---- what is set ---- */

void
mirror_flags(struct lan_switch *sw)
{
	for (unsigned int i = 1; i < sw->nports; i++) {
		uint32_t flags = 0;

		for (unsigned int m = 0; m < SWITCH_MIRRORS; m++) {
			const struct mirror_options *o = &sw->mirror[m].options;

			if (!sw->mirror[m].used || sw->port[i] == NULL)
				continue;
			if (port_set_has(&o->in, i) || o->vlan != 0)
				flags |= PORT_MIRROR_IN;
			if (port_set_has(&o->out, i))
				flags |= PORT_MIRROR_OUT;
			if (o->to == &sw->port[i]->port)
				flags |= PORT_MIRROR_TO;
		}
		/* What a port is for that shows copies is not looked at. */
		if (flags & PORT_MIRROR_TO)
			flags = PORT_MIRROR_TO;
		if (sw->port[i] != NULL)
			port_flags(sw->port[i], flags,
			    PORT_MIRROR_IN | PORT_MIRROR_OUT | PORT_MIRROR_TO);
	}
}

int
switch_add_mirror(struct lan_switch *sw, const struct mirror_options *options)
{
	const struct switch_port *to = switch_port_of(options->to);
	int number = -ENOSPC;

	if (to->sw != sw || to->lead != to || to->index >= PORT_SET_MAX ||
	    port_set_has(&options->in, to->index) ||
	    port_set_has(&options->out, to->index))
		return -EBUSY;
	for (int m = SWITCH_MIRRORS - 1; m >= 0; m--) {
		if (!sw->mirror[m].used) {
			number = m;
			continue;
		}
		if (port_set_has(&sw->mirror[m].options.in, to->index) ||
		    port_set_has(&sw->mirror[m].options.out, to->index))
			return -EBUSY;
	}
	if (number < 0)
		return number;
	sw->mirror[number] = (struct mirror){ true, *options };
	fdb_forget_port(sw->fdb, to->index, NULL, NULL);
	mirror_flags(sw);
	return number;
}

void
switch_remove_mirror(struct lan_switch *sw, unsigned int number)
{
	if (number >= SWITCH_MIRRORS)
		return;
	sw->mirror[number].used = false;
	mirror_flags(sw);
}

void
mirror_forget_port(struct lan_switch *sw, const struct switch_port *port)
{
	for (unsigned int m = 0; m < SWITCH_MIRRORS; m++) {
		struct mirror *mirror = &sw->mirror[m];

		port_set_remove(&mirror->options.in, port->index);
		port_set_remove(&mirror->options.out, port->index);
		if (mirror->used && mirror->options.to == &port->port)
			switch_remove_mirror(sw, m);
	}
}
