/*
 * command_net.c - interfaces and their addresses.
 */
#include <string.h>

#include "vmm/guest/command.h"
#include "vmm/guest/stack.h"
#include "vmm/guest/text.h"

#define DHCP_PATIENCE_US (15 * US_PER_S)

/* The interface that argv[1] names, eth0 without one; NULL after having said
 * that there is none. */
static struct netif *
choose_nif(struct shell *sh, const char *command, const char *name)
{
	struct netif *nif = stack_nif(sh->stack, name);

	if (nif == NULL)
		command_say(sh, command, "%s: no such interface", name);
	return nif;
}

static void
print_lease(struct shell *sh, const struct netif *nif)
{
	const struct dhcpc *d = &nif->dhcp;
	const uint64_t now_us = sh->stack->now_us;
	char server[IP4_TEXT_BYTES];

	if (nif->source != NETIF_DHCP)
		return;
	shell_printf(sh, "    dhcp %s", dhcpc_state_name(d->state));
	if (d->state >= DHCPC_BOUND) {
		shell_printf(sh, ", server %s", ip4_text(server, d->server));
		if (d->expire_us == TIMER_NEVER)
			shell_printf(sh, ", for ever");
		else
			shell_printf(sh, ", %lu s left",
			    (d->expire_us - now_us) / US_PER_S);
	}
	shell_printf(sh, "\n");
}

static void
print_counters(struct shell *sh, const struct netif *nif)
{
	const char *separator = "    dropped: ";

	shell_printf(sh,
	    "    in %lu frames, %lu bytes; out %lu frames, %lu bytes\n",
	    nif->rx_frames, nif->rx_bytes, nif->tx_frames, nif->tx_bytes);
	for (unsigned int r = 0; r < REASON_COUNT; r++) {
		if (nif->drops[r] == 0)
			continue;
		shell_printf(sh, "%s%u %s", separator, nif->drops[r],
		    reason_name((enum reason)r));
		separator = ", ";
	}
	if (*separator == ',')
		shell_printf(sh, "\n");
}

static void
print_ip6(struct shell *sh, const struct netif *nif)
{
	const struct netif6 *six = &nif->ip6;
	char net[IP6_NET_TEXT_BYTES], addr[IP6_TEXT_BYTES], mac[MAC_TEXT_BYTES];

	for (unsigned int i = 0; i < NETIF_ADDRS6; i++) {
		const struct addr6 *a = &six->addr[i];

		if (a->state != ADDR6_FREE)
			shell_printf(sh, "    address %s %s\n",
			    ip6_net_text(net, &a->net), addr6_state_name(a));
	}
	for (unsigned int i = 0; i < NETIF_ROUTERS6; i++)
		if (six->gateway[i].used)
			shell_printf(sh, "    gateway %s\n",
			    ip6_text(addr, &six->gateway[i].addr));
	for (unsigned int i = 0; i < NETIF_DNS6; i++)
		if (six->dns[i].used)
			shell_printf(sh, "    dns %s\n",
			    ip6_text(addr, &six->dns[i].addr));
	if (six->conflicts > 0)
		shell_printf(sh,
		    "    IPv6 address also used by %s (%u times)\n",
		    mac_text(mac, &six->conflict_mac), six->conflicts);
}

static void
print_nif(struct shell *sh, const struct netif *nif)
{
	char mac[MAC_TEXT_BYTES], net[NET_TEXT_BYTES], addr[IP4_TEXT_BYTES];

	shell_printf(sh, "%s: link %s, mac %s, mtu %u\n", nif->name,
	    nif->up ? "up" : "down", mac_text(mac, &nif->mac), nif->mtu_bytes);
	if (nif->net.addr != 0)
		shell_printf(
		    sh, "    address %s\n", ip4_net_text(net, nif->net));
	if (nif->gateway != 0)
		shell_printf(
		    sh, "    gateway %s\n", ip4_text(addr, nif->gateway));
	for (uint8_t i = 0; i < nif->ndns; i++)
		shell_printf(sh, "    dns %s\n", ip4_text(addr, nif->dns[i]));
	print_lease(sh, nif);
	print_ip6(sh, nif);
	if (nif->conflicts > 0)
		shell_printf(sh, "    address also used by %s (%u times)\n",
		    mac_text(mac, &nif->conflict_mac), nif->conflicts);
	print_counters(sh, nif);
}

static int
ip(struct shell *sh, int argc, char **argv)
{
	const struct netif *nif;

	if (argc > 2)
		return STATUS_USAGE;
	if (argc == 2) {
		nif = choose_nif(sh, argv[0], argv[1]);
		if (nif == NULL)
			return STATUS_ERROR;
		print_nif(sh, nif);
		return STATUS_OK;
	}
	for (unsigned int i = 0; i < sh->stack->nnifs; i++)
		print_nif(sh, &sh->stack->nif[i]);
	return sh->stack->nnifs > 0 ? STATUS_OK : STATUS_FAILED;
}

static int
mac(struct shell *sh, int argc, char **argv)
{
	char text[MAC_TEXT_BYTES];

	(void)argv;
	if (argc != 1)
		return STATUS_USAGE;
	for (unsigned int i = 0; i < sh->stack->nnifs; i++)
		shell_printf(sh, "%s %s\n", sh->stack->nif[i].name,
		    mac_text(text, &sh->stack->nif[i].mac));
	return STATUS_OK;
}

static int
arp(struct shell *sh, int argc, char **argv)
{
	char addr[IP6_TEXT_BYTES], text[MAC_TEXT_BYTES];
	const struct neigh *n = &sh->stack->neighs.set[0][0];

	if (argc == 2 && strcmp(argv[1], "-d") == 0) {
		for (unsigned int i = 0; i < sh->stack->nnifs; i++)
			neigh_forget(&sh->stack->nif[i]);
		return STATUS_OK;
	}
	if (argc != 1)
		return STATUS_USAGE;
	for (unsigned int i = 0; i < NEIGH_SETS * NEIGH_WAYS; i++, n++) {
		if (n->state == NEIGH_FREE)
			continue;
		shell_printf(sh, "%-15s %-17s %s %s\n", ip6_text(addr, &n->ip),
		    neigh_ready(n) ? mac_text(text, &n->mac) : "-",
		    n->nif->name, neigh_state_name(n->state));
	}
	return STATUS_OK;
}

/* Waits until there is a lease that was granted after now. */
static int
await_lease(struct shell *sh, struct netif *nif)
{
	const uint64_t until_us = sh->stack->now_us + DHCP_PATIENCE_US;
	const uint32_t acks = nif->dhcp.acks;
	char text[NET_TEXT_BYTES];
	bool done = false;

	nif->dhcp.wake = &sh->woken;
	dhcpc_renew(nif);
	while (!done && sh->stack->now_us < until_us) {
		if (!shell_wait(sh, until_us))
			break;
		done = nif->dhcp.state == DHCPC_BOUND && nif->dhcp.acks != acks;
	}
	nif->dhcp.wake = NULL;
	if (!done && !sh->interrupted)
		command_say(sh, "dhcp", "%s: no server answers", nif->name);
	if (done)
		shell_printf(
		    sh, "%s: %s\n", nif->name, ip4_net_text(text, nif->net));
	return done ? STATUS_OK : STATUS_FAILED;
}

static int
dhcp(struct shell *sh, int argc, char **argv)
{
	struct options o = { sh, argc, argv, "r", 1, NULL, NULL };
	struct netif *nif;
	bool release = false;
	int c;

	while ((c = options_next(&o)) > 0)
		release = true;
	if (c < 0 || argc - o.at > 1)
		return STATUS_USAGE;
	nif = choose_nif(sh, argv[0], o.at < argc ? argv[o.at] : "eth0");
	if (nif == NULL)
		return STATUS_ERROR;
	if (release) {
		dhcpc_release(nif);
		return STATUS_OK;
	}
	if (!nif->up) {
		command_say(sh, "dhcp", "%s: the link is down", nif->name);
		return STATUS_FAILED;
	}
	if (nif->dhcp.wake != NULL) {
		command_say(
		    sh, "dhcp", "%s: it is being asked for already", nif->name);
		return STATUS_FAILED;
	}
	return await_lease(sh, nif);
}

/* "auto" or an address of IPv6, and what belongs to it. */
static int
set_ip6(struct shell *sh, struct netif *nif, int argc, char **argv)
{
	char text[SHELL_LINE_BYTES];
	size_t len = text_format(text, sizeof(text), "%s", argv[2]);
	const char *wrong;

	for (int i = 3; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "gw") != 0 && strcmp(argv[i], "dns") != 0)
			return STATUS_USAGE;
		len += text_format(text + len, sizeof(text) - len, ",%s=%s",
		    argv[i], argv[i + 1]);
	}
	if (argc % 2 == 0)
		return STATUS_USAGE;
	wrong = ipv6_configure(nif, text);
	if (wrong == NULL)
		return STATUS_OK;
	command_say(sh, "set", "%s: %s", argv[2], wrong);
	return STATUS_ERROR;
}

static int
set(struct shell *sh, int argc, char **argv)
{
	char text[64];
	const char *wrong;
	struct netif *nif;
	uint32_t addr;

	if (argc < 3)
		return STATUS_USAGE;
	nif = choose_nif(sh, argv[0], argv[1]);
	if (nif == NULL)
		return STATUS_ERROR;
	if (strcmp(argv[2], "auto") == 0 || strchr(argv[2], ':') != NULL)
		return set_ip6(sh, nif, argc, argv);
	for (int i = 3; i < argc; i += 2) {
		if (i + 1 == argc ||
		    (strcmp(argv[i], "gw") != 0 && strcmp(argv[i], "dns") != 0))
			return STATUS_USAGE;
		if (!ip4_read(&addr, argv[i + 1])) {
			command_say(
			    sh, "set", "%s: not an address", argv[i + 1]);
			return STATUS_ERROR;
		}
	}
	text_copy(text, sizeof(text), argv[2]);
	if (strchr(text, ',') != NULL)
		return STATUS_USAGE;
	wrong = stack_set_address(nif, text);
	if (wrong != NULL) {
		command_say(sh, "set", "%s: %s", argv[2], wrong);
		return STATUS_ERROR;
	}
	for (int i = 3; i < argc; i += 2) {
		(void)ip4_read(&addr, argv[i + 1]);
		if (strcmp(argv[i], "gw") == 0)
			nif->gateway = addr;
		else if (nif->ndns < NETIF_MAX_DNS)
			nif->dns[nif->ndns++] = addr;
	}
	return STATUS_OK;
}

const struct command commands_net[] = {
	{ "ip", "[NIC]", "interfaces: addresses, lease, counters", ip },
	{ "mac", "", "the hardware addresses", mac },
	{ "arp", "[-d]", "the neighbours that are known; -d forgets them",
	    arp },
	{ "dhcp", "[-r] [NIC]", "gets or renews an address; -r gives it back",
	    dhcp },
	{ "set", "NIC ADDRESS/LENGTH|auto [gw ADDRESS] [dns ADDRESS]...",
	    "gives an interface an address; auto: those of IPv6 that routers"
	    " advertise",
	    set },
	{ NULL, NULL, NULL, NULL },
};
