#include "switch/look.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "switch/switch_state.h"

struct text {
	char *out;
	size_t len, used;
};

static void say(struct text *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
say(struct text *t, const char *format, ...)
{
	va_list args;
	int n;

	if (t->used + 3 >= t->len)
		return;
	if (t->used > 0) {
		memcpy(t->out + t->used, "; ", 2);
		t->used += 2;
	}
	va_start(args, format);
	n = vsnprintf(t->out + t->used, t->len - t->used, format, args);
	va_end(args);
	t->used += n > 0 ? (size_t)n : 0;
	t->used = t->used < t->len ? t->used : t->len - 1;
}

static void
say_address(struct text *t, const struct lan_switch *sw, const struct mac *mac,
    uint16_t vlan)
{
	char text[MAC_TEXT_BYTES];
	struct fdb_row row;

	mac_text(text, mac);
	if (!fdb_look_up(sw->fdb, mac, vlan, loop_now_ns(sw->loop), &row) ||
	    row.port == SELF_INDEX) {
		say(t, "%s is not known", text);
		return;
	}
	switch (row.kind) {
	case FDB_LEARNED:
		say(t, "%s was learned on %s, heard %.1f s ago", text,
		    sw->port[row.port]->port.name, (double)row.age_ns / 1e9);
		return;
	case FDB_STICKY:
		say(t, "%s sticks to %s", text, sw->port[row.port]->port.name);
		return;
	case FDB_STATIC:
		say(t, "%s is pinned to %s", text,
		    sw->port[row.port]->port.name);
		return;
	}
}

/* What learning its source will find. */
static void
say_source(struct text *t, const struct passing *p)
{
	const struct lan_switch *sw = p->from->sw;
	char text[MAC_TEXT_BYTES];
	int learned = fdb_would_learn(sw->fdb, &p->head->src, p->tag.vlan,
	    p->from->index, loop_now_ns(sw->loop));

	mac_text(text, &p->head->src);
	if (learned > 0)
		say(t, "%s moves here from %s", text,
		    sw->port[FDB_MOVED_FROM(learned)]->port.name);
	else if (learned < 0 && learned != -EINVAL)
		say_address(t, sw, &p->head->src, p->tag.vlan);
}

const char *
switch_look(
    const struct port *port, const struct frame *frame, char *out, size_t len)
{
	const struct switch_port *wire = switch_port_of(port);
	struct text t = { out, len, 0 };
	struct head head = { .type = { 0 } };
	struct passing p = { .frame = frame, .head = &head };
	const char *protocol;
	bool learns;

	out[0] = '\0';
	if (switch_of(port) == NULL || frame->head < ETH_HEADER_BYTES)
		return out;
	memcpy(&head, frame->data,
	    frame->head < sizeof(head) ? frame->head : sizeof(head));
	p.wire = wire;
	p.from = wire->lead;
	decide_entry(&p, &learns);
	if (wire->lead != wire)
		say(&t, "by bond %s", wire->lead->port.name);
	if (p.from->flags & PORT_VLANS && p.tag.vlan != 0)
		say(&t, "VLAN %u", p.tag.vlan);
	if (learns)
		say_source(&t, &p);
	protocol = protocol_of(p.from->sw, &p);
	if (protocol != NULL)
		say(&t, "read by %s", protocol);
	else if (!mac_is_group(&head.dst))
		say_address(&t, p.from->sw, &head.dst, p.tag.vlan);
	return out;
}
