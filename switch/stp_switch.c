/*
 * One timer for all that is due.  It is set anew after each event; what is to
 * be sent is due at once, and so leaves in the next round of the loop, never
 * within a take().
 */
#include "switch/stp_switch.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "net/eth.h"

#define LENGTH_MAX 1500 /* beyond it, what it is goes by EtherType */

struct stp_switch {
	struct switch_protocol protocol; /* first */
	struct stp *stp;
	struct loop_timer timer;
	struct port **port; /* by number; NULL: none */
	unsigned int nports;
	bool ticking;
};

static_assert(STP_MSTIS_MAX + 1 == SWITCH_TREES, "a tree for each instance");

static uint64_t
now_ns(const struct stp_switch *s)
{
	return loop_now_ns(switch_loop(s->protocol.sw));
}

static void
arm(struct stp_switch *s)
{
	uint64_t deadline;

	if (s->ticking)
		return;
	deadline = stp_deadline_ns(s->stp);
	if (deadline == STP_NEVER)
		loop_timer_unset(&s->timer);
	else
		loop_timer_set(&s->timer, deadline);
}

static void
tick(void *arg)
{
	struct stp_switch *s = arg;

	s->ticking = true;
	stp_tick(s->stp, now_ns(s));
	s->ticking = false;
	arm(s);
}

/* ---- what the tree wants of the switch ---- */

static void
send(void *arg, unsigned int number, const struct bpdu *bpdu)
{
	const struct stp_switch *s = arg;
	struct port *port = s->port[number];
	const struct mac mac = switch_port_mac(port);
	uint8_t bytes[BPDU_FRAME_BYTES];
	struct writer w = writer(bytes, sizeof(bytes));

	bpdu_write(&w, &mac, bpdu);
	assert(!w.overrun);
	switch_send(port, bytes, (size_t)(w.at - bytes));
}

static void
set_state(
    void *arg, unsigned int number, unsigned int tree, enum stp_state state)
{
	static const enum switch_state states[] = {
		[STP_DISCARDING] = SWITCH_DISCARDING,
		[STP_LEARNING] = SWITCH_LEARNING,
		[STP_FORWARDING] = SWITCH_FORWARDING,
	};
	const struct stp_switch *s = arg;

	switch_set_state(s->port[number], tree, states[state]);
}

static void
flush(void *arg, unsigned int number, unsigned int tree)
{
	const struct stp_switch *s = arg;

	switch_flush(s->port[number], tree);
}

static const struct stp_ops stp_ops = {
	.send = send,
	.state = set_state,
	.flush = flush,
};

/* ---- what the switch tells ---- */

static enum reason
input(struct switch_protocol *protocol, struct switch_input *in)
{
	struct stp_switch *s = (struct stp_switch *)protocol;
	struct cursor c = cursor(in->bytes, in->len);
	struct bpdu bpdu;
	enum reason reason;

	if (in->tagged || in->type > LENGTH_MAX)
		return REASON_NONE;
	cur_skip(&c, in->payload - sizeof(in->type));
	reason = bpdu_parse(&bpdu, &c);
	if (reason != DROP_NONE)
		return reason;
	reason =
	    stp_receive(s->stp, switch_port_index(in->port), &bpdu, in->now_ns);
	arm(s);
	return reason;
}

/* Room for a port of that number. */
static int
grow(struct stp_switch *s, unsigned int number)
{
	struct port **port;

	if (number < s->nports)
		return 0;
	port = reallocarray(s->port, number + 1, sizeof(port[0]));
	if (port == NULL)
		return -ENOMEM;
	while (s->nports <= number)
		port[s->nports++] = NULL;
	s->port = port;
	return 0;
}

/* In all trees from first on. */
static void
set_trees(struct port *port, unsigned int first, enum switch_state state)
{
	for (unsigned int tree = first; tree < SWITCH_TREES; tree++)
		switch_set_state(port, tree, state);
}

/* One that has no place in the tree must not close a loop. */
static void
port_added(struct switch_protocol *protocol, struct port *port)
{
	struct stp_switch *s = (struct stp_switch *)protocol;
	unsigned int number = switch_port_index(port);
	struct stp_port_options options;

	if (number > STP_PORTS_MAX || grow(s, number) < 0) {
		set_trees(port, 0, SWITCH_DISCARDING);
		return;
	}
	s->port[number] = port;
	stp_port_options_init(&options);
	if (stp_add_port(s->stp, number, &options, now_ns(s)) < 0) {
		s->port[number] = NULL;
		set_trees(port, 0, SWITCH_DISCARDING);
	}
	arm(s);
}

static bool
is_known(const struct stp_switch *s, const struct port *port)
{
	unsigned int number = switch_port_index(port);

	return number < s->nports && s->port[number] == port;
}

static void
port_removed(struct switch_protocol *protocol, struct port *port)
{
	struct stp_switch *s = (struct stp_switch *)protocol;
	unsigned int number = switch_port_index(port);

	if (!is_known(s, port))
		return;
	stp_remove_port(s->stp, number, now_ns(s));
	s->port[number] = NULL;
	arm(s);
}

static void
link_changed(struct switch_protocol *protocol, struct port *port, bool up)
{
	struct stp_switch *s = (struct stp_switch *)protocol;

	stp_set_link(s->stp, switch_port_index(port), up, now_ns(s));
	arm(s);
}

static size_t
describe(const struct switch_protocol *protocol, const struct port *port,
    char *out, size_t len)
{
	const struct stp_switch *s = (const struct stp_switch *)protocol;
	struct stp_port_view view;
	int n;

	if (!is_known(s, port) ||
	    !stp_view_port(s->stp, switch_port_index(port), 0, &view))
		n = snprintf(out, len, "too many ports for the spanning tree");
	else if (view.guarded)
		n = snprintf(out, len, "closed by the BPDU guard");
	else
		n = snprintf(out, len, "%s, %s", stp_role_name(view.role),
		    stp_state_name(view.state));
	return n < 0 ? 0 : (size_t)n < len ? (size_t)n : len - 1;
}

static const struct switch_protocol_ops protocol_ops = {
	.name = "stp",
	.reserved = 1u << RESERVED_BRIDGE,
	.input = input,
	.port_added = port_added,
	.port_removed = port_removed,
	.link = link_changed,
	.describe = describe,
};

/* ---- options ---- */

/* Gives each VLAN its tree.  0 or -ENOMEM, which can happen but once. */
static int
set_vlans(struct lan_switch *sw, const struct stp_options *options)
{
	for (unsigned int vlan = 0; vlan < STP_VLANS; vlan++) {
		int e =
		    switch_set_tree(sw, (uint16_t)vlan, options->tree[vlan]);

		if (e < 0)
			return e;
	}
	return 0;
}

int
stp_switch_set(struct stp_switch *s, const struct stp_options *options)
{
	const struct stp_options was = *stp_get_options(s->stp);
	int e = stp_set_options(s->stp, options, now_ns(s));

	if (e == 0)
		e = set_vlans(s->protocol.sw, options);
	if (e < 0)
		stp_set_options(s->stp, &was, now_ns(s));
	/* Trees that are no more: nobody is in them. */
	for (unsigned int i = 0; i < s->nports; i++)
		if (s->port[i] != NULL)
			set_trees(
			    s->port[i], stp_trees(s->stp), SWITCH_FORWARDING);
	arm(s);
	return e;
}

void
stp_switch_set_port(struct stp_switch *s, struct port *port,
    const struct stp_port_options *options)
{
	stp_set_port_options(
	    s->stp, switch_port_index(port), options, now_ns(s));
	arm(s);
}

void
stp_switch_check_protocol(struct stp_switch *s, struct port *port)
{
	stp_check_protocol(s->stp, switch_port_index(port), now_ns(s));
	arm(s);
}

const struct stp *
stp_switch_tree(const struct stp_switch *s)
{
	return s->stp;
}

/* ---- all of it ---- */

struct stp_switch *
stp_switch_new(
    struct lan_switch *sw, const struct stp_options *options, struct err *err)
{
	const struct mac mac = switch_mac(sw);
	const char *name = switch_node(sw)->name;
	struct stp_switch *s = calloc(1, sizeof(*s));

	if (s == NULL)
		goto fail;
	s->protocol.ops = &protocol_ops;
	loop_timer_init(&s->timer, switch_loop(sw), tick, s);
	s->stp = stp_new(name, options, &mac, &stp_ops, s);
	if (s->stp == NULL || set_vlans(sw, options) < 0 ||
	    switch_join(sw, &s->protocol) < 0)
		goto fail;
	return s;
fail:
	if (s != NULL)
		stp_free(s->stp);
	free(s);
	err_sys(err, -ENOMEM, NULL, "%s", name);
	return NULL;
}

static void
open_port(void *arg, struct port *port)
{
	(void)arg;
	set_trees(port, 0, SWITCH_FORWARDING);
}

void
stp_switch_free(struct stp_switch *s)
{
	struct lan_switch *sw;

	if (s == NULL)
		return;
	sw = s->protocol.sw;
	loop_timer_unset(&s->timer);
	switch_leave(&s->protocol);
	switch_each_port(sw, false, open_port, NULL);
	stp_free(s->stp);
	free(s->port);
	free(s);
}
