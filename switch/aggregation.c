/*
 * A PDU is taken in as it comes, and what follows from it is done at the end of
 * the round: which wires carry may not change while a burst is on its way.
 */
#include "switch/aggregation.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "net/eth.h"

static_assert(BOND_WIRES_MAX <= LACP_LINKS_MAX, "each wire is a link");

struct wire {
	struct port *port; /* NULL: the place is free */
	uint16_t priority;
	bool up;
};

struct agg_bond {
	STAILQ_ENTRY(agg_bond) next;
	struct aggregation *aggregation;
	struct port *port;
	struct bond_options options;
	struct lacp *lacp; /* NULL: static */
	struct wire wire[BOND_WIRES_MAX];
	struct loop_timer timer;
	bool changed; /* to be run at the end of this round */
};

struct aggregation {
	struct switch_protocol protocol; /* first */
	STAILQ_HEAD(, agg_bond) bonds;
	unsigned int nbonds;
	struct loop_defer defer;
};

static struct aggregation *
aggregation_of(struct switch_protocol *protocol)
{
	return (struct aggregation *)protocol;
}

static uint64_t
now_of(const struct aggregation *a)
{
	return loop_now_ns(switch_loop(a->protocol.sw));
}

static void
ask(struct agg_bond *b)
{
	b->changed = true;
	loop_defer_ask(&b->aggregation->defer);
}

/* The bond that a wire belongs to and its number in it, or NULL. */
static struct agg_bond *
find_wire(struct aggregation *a, const struct port *port, unsigned int *number)
{
	struct agg_bond *b;

	STAILQ_FOREACH (b, &a->bonds, next)
		for (unsigned int i = 0; i < BOND_WIRES_MAX; i++)
			if (b->wire[i].port == port) {
				*number = i;
				return b;
			}
	return NULL;
}

/* ---- what follows ---- */

static void
send_pdu(void *arg, unsigned int link, const struct slow *pdu)
{
	struct agg_bond *b = arg;
	struct port *port = b->wire[link].port;
	struct mac mac = switch_port_mac(port);
	uint8_t frame[LACP_FRAME_BYTES];
	struct writer w = writer(frame, sizeof(frame));

	slow_write(&w, &mac, pdu);
	assert(!w.overrun);
	switch_send(port, frame, sizeof(frame));
}

static void
use_wire(void *arg, unsigned int link, bool collecting, bool distributing)
{
	struct agg_bond *b = arg;

	switch_bond_use(b->wire[link].port, collecting, distributing);
}

static const struct lacp_calls calls = { send_pdu, use_wire };

/* Without a protocol, all carry or none. */
static void
run_static(struct agg_bond *b)
{
	unsigned int n = 0, min = b->options.min_links;

	for (unsigned int i = 0; i < BOND_WIRES_MAX; i++)
		n += b->wire[i].port != NULL && b->wire[i].up;
	for (unsigned int i = 0; i < BOND_WIRES_MAX; i++)
		if (b->wire[i].port != NULL)
			switch_bond_use(b->wire[i].port,
			    b->wire[i].up && n >= min,
			    b->wire[i].up && n >= min);
}

static void
run_bond(void *arg)
{
	struct agg_bond *b = arg;
	uint64_t next;

	if (b->lacp == NULL) {
		run_static(b);
		return;
	}
	next = lacp_run(b->lacp, now_of(b->aggregation));
	if (next == LACP_NEVER)
		loop_timer_unset(&b->timer);
	else
		loop_timer_set(&b->timer, next);
}

static void
run_changed(void *arg)
{
	struct aggregation *a = arg;
	struct agg_bond *b;

	STAILQ_FOREACH (b, &a->bonds, next)
		if (b->changed) {
			b->changed = false;
			run_bond(b);
		}
}

/* ---- what the switch tells ---- */

static enum reason
input(struct switch_protocol *protocol, struct switch_input *in)
{
	struct aggregation *a = aggregation_of(protocol);
	struct cursor c = cursor(in->bytes, in->len);
	struct slow pdu;
	unsigned int i;
	struct agg_bond *b = find_wire(a, in->port, &i);
	enum reason reason;

	if (in->type != ETH_SLOW || b == NULL || b->lacp == NULL)
		return REASON_NONE;
	cur_skip(&c, in->payload);
	reason = slow_parse(&pdu, &c);
	if (reason != DROP_NONE)
		return reason;
	lacp_receive(b->lacp, i, &pdu, in->now_ns);
	ask(b);
	return REASON_DELIVERED;
}

static void
link(struct switch_protocol *protocol, struct port *port, bool up)
{
	unsigned int i;
	struct agg_bond *b = find_wire(aggregation_of(protocol), port, &i);

	if (b == NULL)
		return;
	b->wire[i].up = up;
	if (b->lacp != NULL)
		lacp_link(b->lacp, i, up);
	ask(b);
}

static void
port_removed(struct switch_protocol *protocol, struct port *port)
{
	struct aggregation *a = aggregation_of(protocol);
	unsigned int i;
	struct agg_bond *b = find_wire(a, port, &i);

	if (b == NULL)
		return;
	if (b->lacp != NULL)
		lacp_remove(b->lacp, i, now_of(a));
	b->wire[i] = (struct wire){ 0 };
	ask(b);
}

static size_t
describe(const struct switch_protocol *protocol, const struct port *port,
    char *out, size_t len)
{
	struct aggregation *a =
	    aggregation_of((struct switch_protocol *)(uintptr_t)protocol);
	struct lacp_row row;
	unsigned int i;
	const struct agg_bond *b = find_wire(a, port, &i);
	int n;

	if (b == NULL || b->lacp == NULL || !lacp_row(b->lacp, i, &row))
		return 0;
	n = snprintf(out, len, "lacp %s%s%s", row.state,
	    row.why[0] != '\0' ? ": " : "", row.why);
	return n < 0 ? 0 : (size_t)n < len ? (size_t)n : len - 1;
}

static const struct switch_protocol_ops ops = {
	.name = "lacp",
	.wires = true,
	.reserved = 1 << RESERVED_SLOW,
	.input = input,
	.port_removed = port_removed,
	.link = link,
	.describe = describe,
};

/* ---- bonds ---- */

struct aggregation *
aggregation_new(struct lan_switch *sw, struct err *err)
{
	struct aggregation *a = calloc(1, sizeof(*a));

	if (a == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", switch_node(sw)->name);
		return NULL;
	}
	STAILQ_INIT(&a->bonds);
	a->protocol.ops = &ops;
	loop_defer_init(&a->defer, switch_loop(sw), run_changed, a);
	switch_join(sw, &a->protocol);
	return a;
}

void
aggregation_free(struct aggregation *aggregation)
{
	if (aggregation == NULL)
		return;
	loop_defer_cancel(&aggregation->defer);
	switch_leave(&aggregation->protocol);
	while (!STAILQ_EMPTY(&aggregation->bonds)) {
		struct agg_bond *b = STAILQ_FIRST(&aggregation->bonds);

		STAILQ_REMOVE_HEAD(&aggregation->bonds, next);
		loop_timer_unset(&b->timer);
		lacp_free(b->lacp);
		free(b);
	}
	free(aggregation);
}

static int
start_lacp(struct agg_bond *b)
{
	const struct bond_options *o = &b->options;
	const struct lacp_options options = {
		.system = switch_mac(b->aggregation->protocol.sw),
		.system_priority = o->system_priority,
		.key = o->key != 0 ? o->key
				   : (uint16_t)(b->aggregation->nbonds + 1),
		.active = o->mode == BOND_ACTIVE,
		.fast = o->fast,
		.min_links = o->min_links,
		.max_links = o->max_links,
		.individual = o->individual,
	};

	if (o->mode == BOND_STATIC)
		return 0;
	b->lacp = lacp_new(&options, &calls, b);
	return b->lacp == NULL ? -ENOMEM : 0;
}

struct port *
aggregation_add(struct aggregation *aggregation, const char *name,
    const struct bond_options *options, struct err *err)
{
	struct lan_switch *sw = aggregation->protocol.sw;
	struct agg_bond *b = calloc(1, sizeof(*b));

	if (b == NULL)
		goto fail;
	b->aggregation = aggregation;
	b->options = *options;
	if (start_lacp(b) < 0)
		goto fail;
	b->port = switch_add_bond(sw, name, &options->hash, err);
	if (b->port == NULL)
		goto fail;
	loop_timer_init(&b->timer, switch_loop(sw), run_bond, b);
	STAILQ_INSERT_TAIL(&aggregation->bonds, b, next);
	aggregation->nbonds++;
	return b->port;
fail:
	if (b != NULL)
		lacp_free(b->lacp);
	free(b);
	err_sys(err, -ENOMEM, NULL, "%s", name);
	return NULL;
}

int
aggregation_join(struct aggregation *aggregation, struct port *bond,
    struct port *wire, uint16_t priority, struct err *err)
{
	struct agg_bond *b;
	unsigned int i = 0;
	int e;

	STAILQ_FOREACH (b, &aggregation->bonds, next)
		if (b->port == bond)
			break;
	assert(b != NULL);
	while (i < BOND_WIRES_MAX && b->wire[i].port != NULL)
		i++;
	e = i == BOND_WIRES_MAX ? -ENOSPC : switch_bond_join(bond, wire);
	if (e == -ENOSPC)
		return err_set(err, e,
		    "%s: bond \"%s\" has %d ports, which is the most; use "
		    "another bond",
		    wire->name, bond->name, BOND_WIRES_MAX);
	if (e < 0)
		return err_set(err, e,
		    "%s: is in a bond already; name one bond", wire->name);
	b->wire[i].port = wire;
	b->wire[i].priority = priority;
	if (b->lacp != NULL)
		lacp_add(b->lacp, i, priority);
	link(&aggregation->protocol, wire, switch_port_link(wire));
	return 0;
}

/* ---- asking ---- */

void
aggregation_each(const struct aggregation *aggregation,
    void (*each)(void *arg, const struct bond_row *row), void *arg)
{
	const struct agg_bond *b;

	STAILQ_FOREACH (b, &aggregation->bonds, next)
		for (unsigned int i = 0; i < BOND_WIRES_MAX; i++) {
			const struct wire *w = &b->wire[i];
			struct bond_row row = { .bond = b->port,
				.wire = w->port,
				.mode = b->options.mode,
				.link = {
				    .state = w->up ? "distributing" : "down",
				    .why = "" } };

			if (w->port == NULL)
				continue;
			if (b->lacp != NULL)
				(void)lacp_row(b->lacp, i, &row.link);
			row.out_frames = w->port->out_frames;
			row.in_frames = w->port->in_frames;
			each(arg, &row);
		}
}
