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

/* A command may come a moment before the lease does that it needs to reach
 * addr (0: a name server).  Two may wait, and the client wakes one only: so it
 * looks again and again.  False: interrupted. */
static bool
await_lease(struct shell *sh, uint32_t addr)
{
	while ((addr == 0 || ipv4_source(sh->stack, addr) == 0) &&
	    lease_is_coming(sh->stack))
		if (!shell_sleep(sh, sh->stack->now_us + LOOK_US))
			return false;
	return true;
}

bool
command_resolve(
    struct shell *sh, const char *command, const char *name, struct dns *answer)
{
	if (!await_lease(sh, 0))
		return false;
	switch (resolve(sh, name, answer)) {
	case RESOLVE_OK: return true;
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
	return false;
}

bool
command_host(
    struct shell *sh, const char *command, const char *host, uint32_t *addr)
{
	struct dns answer;

	if (ip4_read(addr, host))
		return await_lease(sh, *addr);
	if (strcmp(host, "localhost") == 0) {
		*addr = UINT32_C(0x7f000001);
		return true;
	}
	if (!command_resolve(sh, command, host, &answer))
		return false;
	*addr = answer.addr[0];
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

void
command_icmp_text(char *out, size_t size, const struct icmp_note *note)
{
	static const char *const unreachable[] = {
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
	const size_t known = sizeof(unreachable) / sizeof(unreachable[0]);

	if (note->type == ICMP_TIME_EXCEEDED)
		text_copy(out, size,
		    note->code == 0 ? "Time to live exceeded"
				    : "Frag reassembly time exceeded");
	else if (note->type != ICMP_UNREACHABLE)
		text_format(
		    out, size, "Parameter problem, code %u", note->code);
	else if (note->code == ICMP_UNREACH_NEEDFRAG)
		text_format(
		    out, size, "Frag needed and DF set (mtu = %u)", note->mtu);
	else if (note->code < known)
		text_copy(out, size, unreachable[note->code]);
	else
		text_format(out, size, "Destination unreachable, bad code: %u",
		    note->code);
}
