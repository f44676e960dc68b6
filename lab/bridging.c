#include "lab/bridging.h"

#include <inttypes.h>
#include <stdio.h>

#include "lab/port_kinds.h"

char *
bridging_interface(char out[BRIDGING_NAME_BYTES], const struct lab *lab,
    const struct lab_bridge *bridge)
{
	const char *given =
	    bridge->mode == BRIDGE_HOST_ONLY ? bridge->interface : bridge->nic;

	if (given != NULL)
		snprintf(out, BRIDGING_NAME_BYTES, "%s", given);
	else if (bridge->mode == BRIDGE_HOST_ONLY && lab->name != NULL)
		snprintf(out, BRIDGING_NAME_BYTES, "%.7s-%.7s", lab->name,
		    bridge->item.name);
	else
		out[0] = '\0';
	return out;
}

struct port *
bridging_open(struct loop *loop, struct node *node, const struct lab *lab,
    const struct lab_bridge *bridge, struct err *err)
{
	char name[BRIDGING_NAME_BYTES], net[NET_TEXT_BYTES];
	char mac[MAC_TEXT_BYTES], locator[128];

	bridging_interface(name, lab, bridge);
	switch ((enum lab_bridge_mode)bridge->mode) {
	case BRIDGE_BRIDGED:
		snprintf(locator, sizeof(locator), "nic:%s%s", name,
		    bridge->host ? "?host=yes" : "");
		break;
	case BRIDGE_MAC_NAT:
		snprintf(locator, sizeof(locator), "mac-nat:%s", name);
		break;
	case BRIDGE_MONITOR:
		snprintf(locator, sizeof(locator),
		    "wifi:%s?bssid=%s&channel=%" PRIu64, name,
		    mac_text(mac, &bridge->bssid), bridge->channel);
		break;
	case BRIDGE_HOST_ONLY:
		snprintf(locator, sizeof(locator),
		    "host:%s?address=%s&mtu=%" PRIu64, name,
		    ip4_net_text(net, bridge->port.address),
		    bridge->port.mtu != 0 ? bridge->port.mtu : 1500);
		break;
	}
	return port_open(
	    port_kinds, loop, node, bridge->port.full, locator, err);
}
