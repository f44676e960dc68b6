#include "lab/rules.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lab/schema.h"
#include "lab/units.h"
#include "switch/protocol.h"

#define KEY(p, t, m) \
	.path = (p), .type = SCHEMA_##t, .into = offsetof(struct lab_rules, m)

static const char *const reactions[] = {
	[MAC_DROP] = "drop", [MAC_SHUT] = "shut", [MAC_EVICT] = "evict", NULL
};
static const char *const tags[] = {
	[RULES_CUSTOMER] = "802.1q", [RULES_PROVIDER] = "802.1ad", NULL
};

static const struct schema_key keys[] = {
	{ KEY("vlan", COUNT, vlan), .min = 1, .max = VLAN_MAX,
	    .help = "The port is in this VLAN alone, and its frames have no "
		    "tags.  Ports without vlan, trunk or tunnel are "
		    "transparent: tags pass untouched." },
	{ KEY("trunk", VLANS, trunk),
	    .help = "The port is in these VLANs, as 10,20-30 or all, and its "
		    "frames have tags." },
	{ KEY("native", COUNT, native), .min = 1, .max = VLAN_MAX,
	    .help = "With trunk: the VLAN of frames without a tag; else they "
		    "are refused." },
	{ KEY("tags", CHOICE, tags), .choices = tags, .preset = "802.1q",
	    .help = "With trunk: a customer's tags (0x8100) or a provider's "
		    "(0x88a8)." },
	{ KEY("tunnel", COUNT, tunnel), .min = 1, .max = VLAN_MAX,
	    .help = "A provider's port to a customer (QinQ): frames, with all "
		    "tags they have, are wrapped in this VLAN's tag." },
	{ KEY("isolated", BOOL, isolated), .preset = "false",
	    .help = "Isolated ports of a switch exchange no frames with each "
		    "other, only with the rest." },
	{ KEY("max-macs", COUNT, max_macs), .min = 1, .max = FDB_LIMIT_MAX,
	    .preset = "any",
	    .help = "How many addresses may be behind the port." },
	{ KEY("over-max", CHOICE, over_max), .choices = reactions,
	    .preset = "drop",
	    .help = "What a frame from one address more brings about: it is "
		    "refused; the port's link goes down as well, until it is "
		    "set up; or the address that was learned first is "
		    "forgotten." },
	{ KEY("sticky", BOOL, sticky), .preset = "false",
	    .help = "With max-macs: an address that was learned stays the "
		    "port's, and is refused at others." },
	{ KEY("static", STATICS, statics),
	    .help = "Addresses that are behind the port and nowhere else, up "
		    "to 16, as 52:54:00:12:34:56, or with their VLAN, as "
		    "52:54:00:12:34:56/10." },
	{ KEY("storm-broadcast", COUNT, storm[STORM_BROADCAST]), .min = 1,
	    .max = 1000000000, .preset = "any",
	    .help = "How many broadcasts may come in by the port each "
		    "second; a second's worth may come at once." },
	{ KEY("storm-unknown", COUNT, storm[STORM_UNKNOWN]), .min = 1,
	    .max = 1000000000, .preset = "any",
	    .help = "The same for frames to addresses that are not known." },
	{ KEY("storm-multicast", COUNT, storm[STORM_MULTICAST]), .min = 1,
	    .max = 1000000000, .preset = "any",
	    .help = "The same for multicasts." },
	{ KEY("max-packet", COUNT, max_packet), .min = SWITCH_MTU_MIN,
	    .max = SWITCH_MTU_MAX, .preset = "any",
	    .help = "The largest packet, in bytes without Ethernet header and "
		    "tags, that passes the port either way." },
	{ .path = NULL },
};

const struct keyset rules_keys = { "keys of switch ports", keys,
	offsetof(struct lab_rules, given) };

static bool
is_given(const struct lab_rules *rules, const char *name)
{
	return keyset_is_given(&rules_keys, rules, name);
}

static bool
has_trunk(const struct lab_rules *rules)
{
	static const struct vlan_set none;

	return memcmp(&rules->trunk, &none, sizeof(none)) != 0;
}

void
rules_merge(struct lab_rules *to, const struct lab_rules *from)
{
	bool vlan = is_given(from, "vlan") && from->vlan != 0;
	bool tunnel = is_given(from, "tunnel") && from->tunnel != 0;
	bool trunk = is_given(from, "trunk") && has_trunk(from);

	if (vlan || tunnel || trunk) {
		to->vlan = to->tunnel = 0;
		to->trunk = (struct vlan_set){ { 0 } };
	}
	if (vlan || tunnel) {
		to->native = 0;
		to->tags = RULES_CUSTOMER;
	}
	keyset_merge(&rules_keys, to, from);
	if (to->max_macs == 0 && is_given(from, "max-macs")) {
		to->sticky = false;
		to->over_max = MAC_DROP;
	}
}

int
rules_check(const struct lab_rules *rules, struct err *err)
{
	bool trunk = has_trunk(rules);

	if ((rules->vlan != 0) + (rules->tunnel != 0) + trunk > 1)
		return err_set(err, -EINVAL,
		    "of vlan, trunk and tunnel a port has one; keep one");
	if (rules->native != 0 && !trunk)
		return err_set(err, -EINVAL,
		    "native is for a trunk; add \"trunk:\", or write vlan");
	if (rules->tags != RULES_CUSTOMER && !trunk)
		return err_set(
		    err, -EINVAL, "tags is for a trunk; add \"trunk:\"");
	if (rules->sticky && rules->max_macs == 0)
		return err_set(err, -EINVAL,
		    "sticky without max-macs would fill the table; add "
		    "\"max-macs:\"");
	if (rules->over_max != MAC_DROP && rules->max_macs == 0)
		return err_set(err, -EINVAL,
		    "over-max without max-macs; add \"max-macs:\"");
	return 0;
}

/* ---- static addresses ---- */

/* "52:54:00:12:34:56/10", of len letters. */
static bool
add_static(struct rules_statics *statics, const char *text, size_t len)
{
	char one[MAC_TEXT_BYTES + 8] = "", *slash;
	uint64_t vlan = 0;
	struct mac *mac;

	if (statics->n == RULES_STATICS || len >= sizeof(one))
		return false;
	memcpy(one, text, len);
	slash = strchr(one, '/');
	if (slash != NULL) {
		*slash = '\0';
		if (!count_read(&vlan, slash + 1, NULL) || vlan == 0 ||
		    vlan > VLAN_MAX)
			return false;
	}
	mac = &statics->of[statics->n].mac;
	if (!mac_read(mac, one) || mac_is_group(mac) || mac_is_zero(mac))
		return false;
	statics->of[statics->n++].vlan = (uint16_t)vlan;
	return true;
}

bool
rules_statics_read(struct rules_statics *statics, const char *text)
{
	for (;;) {
		size_t len;

		text += strspn(text, " ");
		len = strcspn(text, ", ");
		if (!add_static(statics, text, len))
			return false;
		text += len;
		text += strspn(text, " ");
		if (*text == '\0')
			return true;
		text += *text == ',';
	}
}

char *
rules_statics_text(char *out, size_t len, const struct rules_statics *statics)
{
	size_t used = 0;

	out[0] = '\0';
	for (unsigned int i = 0; i < statics->n && used < len; i++) {
		char text[MAC_TEXT_BYTES], vlan[8] = "";

		if (statics->of[i].vlan != 0)
			snprintf(
			    vlan, sizeof(vlan), "/%u", statics->of[i].vlan);
		used += (size_t)snprintf(out + used, len - used, "%s%s%s",
		    i > 0 ? "," : "", mac_text(text, &statics->of[i].mac),
		    vlan);
	}
	return out;
}

/* ---- of a running switch ---- */

struct port *
rules_port(struct port *port)
{
	if (switch_of(port) == NULL)
		port = port->peer;
	return port != NULL && switch_of(port) != NULL
	    ? switch_bridge_port(port)
	    : NULL;
}

struct collector {
	const struct port *port;
	struct lab_rules *rules;
};

static void
collect_static(void *arg, const struct fdb_row *row, const struct port *port)
{
	const struct collector *c = arg;
	struct rules_statics *s = &c->rules->statics;

	if (port != c->port || row->kind != FDB_STATIC || s->n == RULES_STATICS)
		return;
	s->of[s->n].mac = row->mac;
	s->of[s->n++].vlan = row->vlan;
}

/* What holds at a switch's port. */
static void
read_rules(struct lab_rules *rules, const struct port *port)
{
	struct vlan_options vlans;
	struct switch_limits limits;

	*rules = (struct lab_rules){ .given = 0 };
	switch_get_vlan(port, &vlans);
	switch_get_limits(port, &limits);
	switch (vlans.mode) {
	case VLAN_TRANSPARENT: break;
	case VLAN_ACCESS: rules->vlan = vlans.vlan; break;
	case VLAN_TUNNEL: rules->tunnel = vlans.vlan; break;
	case VLAN_TRUNK:
		rules->trunk = vlans.allowed;
		rules->native = vlans.vlan;
		rules->tags = vlans.provider ? RULES_PROVIDER : RULES_CUSTOMER;
		break;
	}
	rules->isolated = limits.isolated;
	rules->sticky = limits.sticky;
	rules->max_packet = limits.mtu;
	rules->max_macs = limits.max_macs;
	rules->over_max = (int)limits.reaction;
	for (int i = 0; i < STORM_CLASSES; i++)
		rules->storm[i] = limits.storm[i];
	switch_each_mac(switch_of(port), collect_static,
	    &(struct collector){ port, rules });
}

static struct vlan_options
vlans_of(const struct lab_rules *rules)
{
	struct vlan_options o = { .mode = VLAN_TRANSPARENT };

	if (rules->vlan != 0) {
		o.mode = VLAN_ACCESS;
		o.vlan = (uint16_t)rules->vlan;
	} else if (rules->tunnel != 0) {
		o.mode = VLAN_TUNNEL;
		o.vlan = (uint16_t)rules->tunnel;
	} else if (has_trunk(rules)) {
		o.mode = VLAN_TRUNK;
		o.allowed = rules->trunk;
		o.vlan = (uint16_t)rules->native;
		o.provider = rules->tags == RULES_PROVIDER;
	}
	return o;
}

static void
unpin_all(struct port *port, const struct rules_statics *statics)
{
	for (unsigned int i = 0; i < statics->n; i++)
		switch_unpin(port, &statics->of[i].mac, statics->of[i].vlan);
}

/* Those that were pinned before give way to those that are to be.  All of them,
 * or none. */
static int
pin_all(struct port *port, const struct lab_rules *rules, struct err *err)
{
	struct lab_rules before;
	char text[MAC_TEXT_BYTES];
	unsigned int i = 0;
	int e = 0;

	read_rules(&before, port);
	unpin_all(port, &before.statics);
	for (; i < rules->statics.n && e == 0; i++) {
		uint16_t vlan = rules->statics.of[i].vlan;

		if (vlan == 0)
			vlan = (uint16_t)rules->vlan;
		e = switch_pin(port, &rules->statics.of[i].mac, vlan);
		if (e < 0)
			err_set(err, e,
			    "%s: static address %s is another port's already, "
			    "or the switch's table is full of such",
			    port->name,
			    mac_text(text, &rules->statics.of[i].mac));
	}
	if (e == 0)
		return 0;
	for (; i > 1; i--)
		switch_unpin(port, &rules->statics.of[i - 2].mac,
		    rules->statics.of[i - 2].vlan != 0
			? rules->statics.of[i - 2].vlan
			: (uint16_t)rules->vlan);
	for (i = 0; i < before.statics.n; i++)
		switch_pin(
		    port, &before.statics.of[i].mac, before.statics.of[i].vlan);
	return e;
}

static bool
same_vlans(const struct vlan_options *a, const struct vlan_options *b)
{
	return a->mode == b->mode && a->vlan == b->vlan &&
	    a->provider == b->provider &&
	    memcmp(&a->allowed, &b->allowed, sizeof(a->allowed)) == 0;
}

/* What would hold at port then. */
static int
plan(struct lab_rules *now, const struct port *port,
    const struct lab_rules *rules, struct err *err)
{
	struct err why = { "" };
	int e;

	read_rules(now, port);
	rules_merge(now, rules);
	e = rules_check(now, &why);
	return e < 0 ? err_set(err, e, "%s: %s", port->name, why.text) : 0;
}

int
rules_would_change(
    struct port *port, const struct lab_rules *rules, struct err *err)
{
	struct lab_rules now;

	return rules->given == 0 ? 0 : plan(&now, port, rules, err);
}

int
rules_change(struct port *port, const struct lab_rules *rules, struct err *err)
{
	struct lab_rules now;
	struct vlan_options vlans, before;
	int e;

	if (rules->given == 0)
		return 0;
	e = plan(&now, port, rules, err);
	if (e < 0)
		return e;
	if (is_given(rules, "static"))
		e = pin_all(port, &now, err);
	if (e < 0)
		return e;
	e = switch_limit_macs(port, (uint32_t)now.max_macs,
	    (enum mac_reaction)now.over_max, now.sticky);
	if (e < 0)
		return err_sys(err, e, NULL, "%s", port->name);
	vlans = vlans_of(&now);
	switch_get_vlan(port, &before);
	if (!same_vlans(&vlans, &before)) /* it would forget addresses */
		switch_set_vlan(port, &vlans);
	switch_set_isolated(port, now.isolated);
	switch_set_mtu(port, (uint32_t)now.max_packet);
	for (int i = 0; i < STORM_CLASSES; i++)
		switch_limit_storm(
		    port, (enum storm_class)i, (uint32_t)now.storm[i]);
	return 0;
}
