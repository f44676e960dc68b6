/*
 * What a switch's port is, in words.
 */
#include "switch/switch_state.h"

#include <stdarg.h>
#include <stdio.h>

/* Text that grows by parts, and is cut when it is full. */
struct text {
	char *out;
	size_t len, used;
};

static void add(struct text *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
add(struct text *t, const char *format, ...)
{
	const char *comma = t->used > 0 ? ", " : "";
	va_list args;
	int n;

	if (t->used + 3 >= t->len)
		return;
	memcpy(t->out + t->used, comma, strlen(comma));
	t->used += strlen(comma);
	va_start(args, format);
	n = vsnprintf(t->out + t->used, t->len - t->used, format, args);
	va_end(args);
	t->used += n > 0 ? (size_t)n : 0;
	t->used = t->used < t->len ? t->used : t->len - 1;
}

static void
add_vlans(struct text *t, const struct vlan_options *vlans)
{
	char list[60];

	switch (vlans->mode) {
	case VLAN_TRANSPARENT: return;
	case VLAN_ACCESS: add(t, "vlan %u", vlans->vlan); return;
	case VLAN_TUNNEL: add(t, "tunnel %u", vlans->vlan); return;
	case VLAN_TRUNK:
		add(t, "%strunk %s", vlans->provider ? "provider " : "",
		    vlan_set_text(list, sizeof(list), &vlans->allowed));
		if (vlans->vlan != 0)
			add(t, "native %u", vlans->vlan);
		return;
	}
}

static void
add_mirror(struct text *t, const struct switch_port *p)
{
	if (p->flags & PORT_MIRROR_TO)
		add(t, "shows a mirror");
}

static void
add_protocols(struct text *t, const struct switch_port *p)
{
	for (const struct switch_protocol *a = p->sw->protocols; a != NULL;
	     a = a->next) {
		char text[80];
		const bool its = a->ops->wires ? p->bond == NULL : p->lead == p;

		if (a->ops->describe != NULL && its &&
		    a->ops->describe(a, &p->port, text, sizeof(text)) > 0)
			add(t, "%s", text);
	}
}

const char *
switch_describe(const struct port *port, char *out, size_t len)
{
	static const char *const classes[STORM_CLASSES] = {
		[STORM_BROADCAST] = "broadcast",
		[STORM_UNKNOWN] = "unknown",
		[STORM_MULTICAST] = "multicast",
	};
	const struct switch_port *p = switch_port_of(port);
	struct text t = { out, len, 0 };
	char text[NODE_NAME_BYTES + 40];

	out[0] = '\0';
	if (guard_describe(p, text, sizeof(text)) > 0)
		add(&t, "%s", text);
	if (p->flags & PORT_MEMBER)
		add(&t, "in %s%s", p->lead->port.name,
		    p->collecting && p->distributing ? "" : ", idle");
	if (p->bond != NULL)
		add(&t, "%u of %u wires", p->bond->nsending, p->bond->nwires);
	add_vlans(&t, &p->vlans);
	add_mirror(&t, p);
	if (p->flags & PORT_ISOLATED)
		add(&t, "isolated");
	if (p->mtu != 0)
		add(&t, "mtu %u", p->mtu);
	for (unsigned int i = 0; i < STORM_CLASSES; i++)
		if (p->storm[i].rate != 0)
			add(&t, "%s %u/s", classes[i], p->storm[i].rate);
	if (p->max_macs != 0)
		add(&t, "%u %saddress%s", p->max_macs,
		    p->sticky ? "sticky " : "", p->max_macs == 1 ? "" : "es");
	add_protocols(&t, p);
	return out;
}
