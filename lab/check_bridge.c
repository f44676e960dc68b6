#include "lab/check_bridge.h"

#include <inttypes.h>
#include <string.h>

#include "lab/bridging.h"

static bool
is_given(const struct lab_bridge *bridge, const char *key)
{
	return yaml_get(bridge->item.node, key) != NULL;
}

/* Keys that say nothing in the bridge's mode. */
static void
check_keys(const struct lab_bridge *bridge, struct problems *problems)
{
	enum {
		BRIDGED = 1 << BRIDGE_BRIDGED,
		MAC_NAT = 1 << BRIDGE_MAC_NAT,
		MONITOR = 1 << BRIDGE_MONITOR,
		HOST_ONLY = 1 << BRIDGE_HOST_ONLY
	};
	static const struct {
		const char *key;
		int modes;
		const char *means;
	} keys[] = {
		{ "nic", BRIDGED | MAC_NAT | MONITOR,
		    "\"mode: bridged\", \"mode: mac-nat\" and \"mode: "
		    "monitor\"" },
		{ "bssid", MONITOR, "\"mode: monitor\"" },
		{ "channel", MONITOR, "\"mode: monitor\"" },
		{ "host", BRIDGED, "\"mode: bridged\"" },
		{ "address", HOST_ONLY, "\"mode: host-only\"" },
		{ "interface", HOST_ONLY, "\"mode: host-only\"" },
		{ "mtu", HOST_ONLY, "\"mode: host-only\"" },
	};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (is_given(bridge, keys[i].key) &&
		    !(keys[i].modes & 1 << bridge->mode))
			problem_add(problems,
			    lab_place(&bridge->item, keys[i].key),
			    "%s is for %s; set that, or remove the key",
			    keys[i].key, keys[i].means);
}

/* Whose NIC, or interface, is that already?  Frames would go round. */
static void
check_shared(const struct lab *lab, unsigned int i, struct problems *problems)
{
	const struct lab_bridge *bridge = &lab->bridges[i];
	char name[BRIDGING_NAME_BYTES], other[BRIDGING_NAME_BYTES];

	for (unsigned int k = 0; k < i; k++) {
		const struct lab_bridge *before = &lab->bridges[k];

		if ((before->mode == BRIDGE_HOST_ONLY) !=
		    (bridge->mode == BRIDGE_HOST_ONLY))
			continue;
		bridging_interface(name, lab, bridge);
		bridging_interface(other, lab, before);
		if (name[0] == '\0' || strcmp(name, other) != 0)
			continue;
		if (bridge->mode == BRIDGE_HOST_ONLY)
			problem_add(problems,
			    lab_place(&bridge->item, "interface"),
			    "interface \"%s\" is that of bridge \"%s\" "
			    "already; "
			    "name another by \"interface:\"",
			    name, before->item.name);
		else
			problem_add(problems, lab_place(&bridge->item, "nic"),
			    "NIC \"%s\" is in bridge \"%s\" already; a NIC is "
			    "in one bridge of a lab",
			    name, before->item.name);
	}
}

/* A loop over two NICs is found by frames that come back as they were sent, and
 * MAC-NAT lets none pass so. */
static void
check_loop(const struct lab *lab, unsigned int i, check_together *together,
    const void *arg, struct problems *problems)
{
	const struct lab_bridge *bridge = &lab->bridges[i];

	for (unsigned int k = 0; k < i; k++) {
		const struct lab_bridge *before = &lab->bridges[k];

		if (before->mode == BRIDGE_HOST_ONLY ||
		    bridge->mode == BRIDGE_HOST_ONLY ||
		    (before->mode != BRIDGE_MAC_NAT &&
			bridge->mode != BRIDGE_MAC_NAT) ||
		    !together(arg, &before->port, &bridge->port))
			continue;
		problem_add(problems, lab_place(&bridge->item, "switch"),
		    "the LAN of bridge \"%s\" is behind MAC-NAT, and this "
		    "second NIC could make a loop that nobody finds; use one "
		    "NIC, or put a router between two LANs",
		    before->item.name);
		return;
	}
}

static void
check_name(const struct lab_bridge *bridge, const char *key, const char *name,
    struct problems *problems)
{
	if (name != NULL &&
	    (name[0] == '\0' || strlen(name) >= BRIDGING_NAME_BYTES ||
		strpbrk(name, "/: ?&=%") != NULL))
		problem_add(problems, lab_place(&bridge->item, key),
		    "%s \"%.40s\" cannot be an interface; use 1 to %d "
		    "characters other than space, /, :, ?, &, = and %%",
		    key, name, BRIDGING_NAME_BYTES - 1);
}

static void
check_monitor(const struct lab_bridge *bridge, struct problems *problems)
{
	if (!is_given(bridge, "bssid"))
		problem_add(problems, lab_place(&bridge->item, NULL),
		    "bridge \"%s\" has no bssid; add \"bssid: "
		    "02:00:00:00:00:01\", the access point's address",
		    bridge->item.name);
	if (bridge->channel > 14 && bridge->channel < 36)
		problem_add(problems, lab_place(&bridge->item, "channel"),
		    "channel %" PRIu64 ": there is none; use 1 to 14, or 36 to "
		    "177",
		    bridge->channel);
}

void
lab_check_bridges(const struct lab *lab, check_together *together,
    const void *arg, struct problems *problems)
{
	for (unsigned int i = 0; i < lab->nbridges; i++) {
		const struct lab_bridge *bridge = &lab->bridges[i];
		bool host_only = bridge->mode == BRIDGE_HOST_ONLY;
		const char *needs = host_only ? "address" : "nic";

		if (bridge->item.node == NULL)
			continue;
		check_keys(bridge, problems);
		if (!is_given(bridge, needs))
			problem_add(problems, lab_place(&bridge->item, NULL),
			    "bridge \"%s\" has no %s; add \"%s: %s\"",
			    bridge->item.name, needs, needs,
			    host_only ? "192.168.56.1/24" : "eth0");
		if (bridge->mode == BRIDGE_MONITOR)
			check_monitor(bridge, problems);
		check_name(bridge, "nic", bridge->nic, problems);
		check_name(bridge, "interface", bridge->interface, problems);
		check_shared(lab, i, problems);
		check_loop(lab, i, together, arg, problems);
	}
}
