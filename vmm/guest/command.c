#include "vmm/guest/command.h"

#include <stdarg.h>
#include <string.h>

#include "vmm/guest/resolve.h"
#include "vmm/guest/stack.h"
#include "vmm/guest/text.h"

#define LEASE_US (5 * US_PER_S) /* patience with a DHCP server */
#define LOOK_US  (2 * US_PER_MS)

static const struct command *const tables[] = { commands_net, commands_ping,
	commands_tcp, commands_nat, commands_pcp, commands_system };

const struct command *
command_find(const char *name)
{
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		for (const struct command *c = tables[t]; c->name != NULL;
		     c++) {
			if (strcmp(c->name, name) == 0)
				return c;
		}
	}
	return NULL;
}

static int
help(struct shell *sh, int argc, char **argv)
{
	const struct command *c;

	if (argc > 2)
		return STATUS_USAGE;
	if (argc == 2) {
		c = command_find(argv[1]);
		if (c == NULL) {
			command_say(sh, "help", "no such command: %s", argv[1]);
			return STATUS_ERROR;
		}
		shell_printf(sh, "%s: %s\nusage: %s %s\n", c->name, c->does,
		    c->name, c->usage);
		return STATUS_OK;
	}
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
		for (c = tables[t]; c->name != NULL; c++)
			shell_printf(sh, "%-11s %s\n", c->name, c->does);
	}
	return STATUS_OK;
}

static int
uptime(struct shell *sh, int argc, char **argv)
{
	const uint64_t now_us = sh->stack->now_us;

	(void)argv;
	if (argc != 1)
		return STATUS_USAGE;
	shell_printf(sh, "up %lu.%03lu s\n", now_us / US_PER_S,
	    now_us % US_PER_S / US_PER_MS);
	return STATUS_OK;
}

static int
poweroff(struct shell *sh, int argc, char **argv)
{
	(void)argv;
	if (argc != 1)
		return STATUS_USAGE;
	sh->ops->end(sh, SHELL_POWEROFF);
	return STATUS_OK;
}

static int
reboot(struct shell *sh, int argc, char **argv)
{
	(void)argv;
	if (argc != 1)
		return STATUS_USAGE;
	sh->ops->end(sh, SHELL_REBOOT);
	return STATUS_OK;
}

const struct command commands_system[] = {
	{ "help", "[COMMAND]", "the commands, or how one is used", help },
	{ "uptime", "", "time since the start", uptime },
	{ "reboot", "", "starts anew", reboot },
	{ "poweroff", "", "ends the machine", poweroff },
	{ NULL, NULL, NULL, NULL },
};

/* ---- options ---- */

void
command_say(struct shell *sh, const char *command, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	text_vformat(text, sizeof(text), format, args);
	va_end(args);
	shell_printf(sh, "%s: %s\n", command, text);
}

int
options_next(struct options *o)
{
	const char *letter;
	char c;

	if (o->rest == NULL || *o->rest == '\0') {
		if (o->at >= o->argc || o->argv[o->at][0] != '-' ||
		    o->argv[o->at][1] == '\0')
			return 0;
		o->rest = o->argv[o->at++] + 1;
		if (strcmp(o->rest, "-") == 0)
			return 0;
	}
	c = *o->rest++;
	letter = c != ':' ? strchr(o->letters, c) : NULL;
	if (letter == NULL) {
		command_say(o->sh, o->argv[0], "no such option: -%c", c);
		return -1;
	}
	if (letter[1] != ':')
		return c;
	o->value = *o->rest != '\0' ? o->rest
	    : o->at < o->argc       ? o->argv[o->at++]
				    : NULL;
	o->rest = NULL;
	if (o->value == NULL) {
		command_say(o->sh, o->argv[0], "-%c needs a value", c);
		return -1;
	}
	return c;
}

bool
options_number(const struct options *o, int letter, uint32_t *out, uint32_t min,
    uint32_t max)
{
	if (text_number(out, o->value, min, max))
		return true;
	command_say(o->sh, o->argv[0], "-%c %s: not a number from %u to %u",
	    letter, o->value, min, max);
	return false;
}

bool
options_seconds(
    const struct options *o, int letter, uint64_t *out_us, uint32_t max_s)
{
	if (text_seconds(out_us, o->value, max_s))
		return true;
	command_say(o->sh, o->argv[0],
	    "-%c %s: not a number of seconds from 0 to %u", letter, o->value,
	    max_s);
	return false;
}

/* ---- hosts and reasons ---- */

/* Does an interface ask for a lease, and has not done so for long? */
static bool
lease_is_coming(const struct stack *stack)
{
	for (unsigned int i = 0; i < stack->nnifs; i++) {
		const struct netif *nif = &stack->nif[i];

		if (nif->source == NETIF_DHCP &&
		    (nif->dhcp.state == DHCPC_SELECTING ||
			nif->dhcp.state == DHCPC_REQUESTING) &&
		    stack->now_us - nif->dhcp.since_us < LEASE_US)
			return true;
	}
	return false;
}

/* Has a router been asked for addresses, or is one being looked for? */
static bool
ip6_is_coming(const struct stack *stack)
{
	for (unsigned int i = 0; i < stack->nnifs; i++) {
		if (addr6_is_coming(&stack->nif[i]) ||
		    autoconf_is_waiting(&stack->nif[i]))
			return true;
	}
	return false;
}

static const struct ip6_addr no_address;

static bool
has_way(struct shell *sh, const struct ip6_addr *addr)
{
	struct ip6_addr src;

	return ip_source(sh->stack, addr, &no_address, &src);
}

/* Is there a name server that can be reached? */
static bool
has_server(struct shell *sh)
{
	struct ip6_addr list[RESOLVE_SERVERS];
	const unsigned int n = resolve_servers(sh->stack, list);

	for (unsigned int i = 0; i < n; i++)
		if (has_way(sh, &list[i]))
			return true;
	return false;
}

/* Is there something to wait for that is needed to reach addr (NULL: a name
 * server, and what a name may stand for)? */
static bool
must_wait(struct shell *sh, const struct ip6_addr *addr)
{
	const bool ip4 = lease_is_coming(sh->stack),
		   ip6 = ip6_is_coming(sh->stack);

	if (addr != NULL)
		return (ip_is4(addr) ? ip4 : ip6) && !has_way(sh, addr);
	return ip6 || (ip4 && !has_server(sh));
}

/* A command may come a moment before the address does that it needs.  Two may
 * wait, and the client wakes one only: so it looks again and again.  False:
 * interrupted. */
static bool
await_address(struct shell *sh, const struct ip6_addr *addr)
{
	const uint64_t until_us = sh->stack->now_us + LEASE_US;

	while (sh->stack->now_us < until_us && must_wait(sh, addr))
		if (!shell_sleep(sh, sh->stack->now_us + LOOK_US))
			return false;
	return true;
}

/* Says why a name was not resolved. */
static void
say_unresolved(
    struct shell *sh, const char *command, const char *name, enum resolved how)
{
	switch (how) {
	case RESOLVE_OK:
	case RESOLVE_INTERRUPTED: break;
	case RESOLVE_BAD_NAME:
		command_say(sh, command, "%s: not a name", name);
		break;
	case RESOLVE_NO_SERVER:
		command_say(sh, command, "%s: no name server is known", name);
		break;
	case RESOLVE_NO_ANSWER:
		command_say(sh, command, "%s: no name server answers", name);
		break;
	case RESOLVE_NO_NAME:
		command_say(sh, command, "%s: there is no such name", name);
		break;
	case RESOLVE_REFUSED:
		command_say(sh, command, "%s: the name server refuses", name);
		break;
	}
}

bool
command_resolve(struct shell *sh, const char *command, const char *name,
    uint16_t type, struct dns *answer)
{
	enum resolved how;

	if (!await_address(sh, NULL))
		return false;
	how = resolve(sh, name, type, answer);
	say_unresolved(sh, command, name, how);
	return how == RESOLVE_OK;
}

/* By which kinds of IP do we reach beyond the link? */
static void
kinds(const struct stack *stack, bool *ip4, bool *ip6)
{
	*ip4 = *ip6 = false;
	for (unsigned int i = 0; i < stack->nnifs; i++) {
		*ip4 |= stack->nif[i].net.addr != 0;
		*ip6 |= addr6_has_global(&stack->nif[i]);
	}
}

/* An address of a name: of IPv6 (RFC 6724), else of IPv4. */
static bool
host_of_name(struct shell *sh, const char *command, const char *name,
    enum host_kind kind, struct ip6_addr *addr)
{
	enum resolved how = RESOLVE_NO_NAME;
	struct dns answer;
	bool ip4, ip6;

	if (!await_address(sh, NULL))
		return false;
	kinds(sh->stack, &ip4, &ip6);
	if (kind == HOST_IP6 || (kind == HOST_ANY && ip6)) {
		how = resolve(sh, name, DNS_TYPE_AAAA, &answer);
		if (how == RESOLVE_OK) {
			*addr = answer.addr6[0];
			if (!ip4 || kind == HOST_IP6 || has_way(sh, addr))
				return true;
		}
	}
	if (kind == HOST_IP4 || (kind == HOST_ANY && (ip4 || !ip6))) {
		how = resolve(sh, name, DNS_TYPE_A, &answer);
		if (how == RESOLVE_OK) {
			*addr = ip6_of_ip4(answer.addr[0]);
			return true;
		}
	}
	say_unresolved(sh, command, name, how);
	return false;
}

/* Reads an address with its interface, "fe80::1%eth0". */
static bool
read_zone(struct shell *sh, const char *text, struct host *host)
{
	char addr[IP6_TEXT_BYTES];
	const char *zone = strchr(text, '%');
	struct netif *nif;

	if (zone == NULL)
		return ip6_read(&host->addr, text);
	if ((size_t)(zone - text) >= sizeof(addr))
		return false;
	text_copy(addr, (size_t)(zone - text) + 1, text);
	nif = stack_nif(sh->stack, zone + 1);
	if (nif == NULL || !ip6_read(&host->addr, addr))
		return false;
	/* There is none yet: then it is waited for. */
	(void)ipv6_source(nif, &host->addr, &host->from);
	return true;
}

static bool
is_of_kind(const struct ip6_addr *addr, enum host_kind kind)
{
	return kind == HOST_ANY || ip_is4(addr) == (kind == HOST_IP4);
}

bool
command_host(struct shell *sh, const char *command, const char *text,
    enum host_kind kind, struct host *host)
{
	uint32_t ip4;
	bool is_address = ip4_read(&ip4, text);

	*host = (struct host){ .addr = ip6_of_ip4(is_address ? ip4 : 0) };
	if (!is_address && strcmp(text, "localhost") == 0 && kind != HOST_IP6) {
		host->addr = ip6_of_ip4(UINT32_C(0x7f000001));
		return true;
	}
	is_address = is_address || read_zone(sh, text, host);
	if (!is_address)
		return host_of_name(sh, command, text, kind, &host->addr);
	if (!is_of_kind(&host->addr, kind)) {
		command_say(sh, command, "%s: not an address of IPv%c", text,
		    kind == HOST_IP4 ? '4' : '6');
		return false;
	}
	return await_address(sh, &host->addr) &&
	    (strchr(text, '%') == NULL || read_zone(sh, text, host));
}

bool
command_host4(
    struct shell *sh, const char *command, const char *text, uint32_t *addr)
{
	struct host host;

	if (!command_host(sh, command, text, HOST_IP4, &host))
		return false;
	*addr = ip_get4(&host.addr);
	return true;
}

const char *
command_reason(enum reason why)
{
	switch (why) {
	case DROP_NO_ROUTE: return "no route to host";
	case DROP_MTU: return "message too long";
	case DROP_TOO_LONG: return "message too long";
	case DROP_LINK_DOWN: return "the link is down";
	default: return reason_sentence(why);
	}
}

static void
unreachable_text(char *out, size_t size, const struct icmp_note *note)
{
	static const char *const of4[] = {
		"Destination Net Unreachable",
		"Destination Host Unreachable",
		"Destination Protocol Unreachable",
		"Destination Port Unreachable",
		NULL,
		"Source Route Failed",
		"Destination Net Unknown",
		"Destination Host Unknown",
		"Source Host Isolated",
		"Destination Net Prohibited",
		"Destination Host Prohibited",
		"Destination Net Unreachable for Type of Service",
		"Destination Host Unreachable for Type of Service",
		"Packet filtered",
	};
	static const char *const of6[] = {
		"Destination unreachable: No route",
		"Destination unreachable: Administratively prohibited",
		"Destination unreachable: Beyond scope of source address",
		"Destination unreachable: Address unreachable",
		"Destination unreachable: Port unreachable",
		"Destination unreachable: Source address failed policy",
		"Destination unreachable: Reject route",
	};
	const char *const *texts = note->ip6 ? of6 : of4;
	const size_t known = note->ip6 ? sizeof(of6) / sizeof(of6[0])
				       : sizeof(of4) / sizeof(of4[0]);

	if (note->code < known && texts[note->code] != NULL)
		text_copy(out, size, texts[note->code]);
	else
		text_format(out, size, "Destination unreachable, bad code: %u",
		    note->code);
}

void
command_icmp_text(char *out, size_t size, const struct icmp_note *note)
{
	switch (note->kind) {
	case ICMP_NOTE_REPLY: text_copy(out, size, "Reply"); break;
	case ICMP_NOTE_UNREACHABLE: unreachable_text(out, size, note); break;
	case ICMP_NOTE_TOO_BIG:
		text_format(out, size,
		    note->ip6 ? "Packet too big: mtu=%u"
			      : "Frag needed and DF set (mtu = %u)",
		    note->mtu);
		break;
	case ICMP_NOTE_EXPIRED:
		text_copy(out, size,
		    note->code != 0 ? "Frag reassembly time exceeded"
			: note->ip6 ? "Time exceeded: Hop limit"
				    : "Time to live exceeded");
		break;
	case ICMP_NOTE_PROBLEM:
		text_format(
		    out, size, "Parameter problem, code %u", note->code);
		break;
	}
}
