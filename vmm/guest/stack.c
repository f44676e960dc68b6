#include "vmm/guest/stack.h"

#include <string.h>

#include "vmm/guest/text.h"

void
stack_init(
    struct stack *stack, const char *name, uint64_t seed_a, uint64_t seed_b)
{
	text_copy(stack->name, sizeof(stack->name), name);
	random_seed(&stack->random, seed_a, seed_b);
	ip_init(stack);
	tcpconn_init(stack);
}

void
stack_round(struct stack *stack, uint64_t now_us)
{
	if (now_us > stack->now_us)
		stack->now_us = now_us;
	timers_run(&stack->timers, stack->now_us);
}

bool
stack_flush(struct stack *stack)
{
	bool more = tcpconn_run_events(stack);

	more |= ip_run_loop(stack);

	for (unsigned int i = 0; i < stack->nnifs; i++) {
		struct netif *nif = &stack->nif[i];

		if (nif->busy) {
			nif->busy = false;
			nif->ops->flush(nif);
		}
	}
	return more;
}

uint64_t
stack_next_us(const struct stack *stack)
{
	return timers_next(&stack->timers);
}

struct netif *
stack_nif(struct stack *stack, const char *name)
{
	for (unsigned int i = 0; i < stack->nnifs; i++) {
		if (strcmp(stack->nif[i].name, name) == 0)
			return &stack->nif[i];
	}
	return NULL;
}

bool
stack_owns(struct stack *stack, const struct ip6_addr *addr)
{
	uint32_t ip4;

	return ip6_to_ip4(&ip4, addr) ? ipv4_owns(stack, ip4)
				      : ipv6_owner(stack, addr) != NULL;
}

/* ---- the kernel command line ---- */

struct configuring {
	struct stack *stack;
	void (*complain)(void *arg, const char *sentence);
	void *arg;
};

static void
complain(const struct configuring *at, const char *word, const char *what)
{
	char sentence[200];

	text_format(sentence, sizeof(sentence), "%s: %s", word, what);
	at->complain(at->arg, sentence);
}

/* Reads ",gw=A,dns=B,dns=C" into nif.  What is wrong, or NULL. */
static const char *
read_extras(struct netif *nif, char *rest)
{
	while (rest != NULL) {
		char *word = rest, *comma = strchr(rest, ',');
		uint32_t addr;

		rest = comma;
		if (comma != NULL) {
			*comma = '\0';
			rest = comma + 1;
		}
		if (strncmp(word, "gw=", 3) == 0) {
			if (!ip4_read(&nif->gateway, word + 3))
				return "gw= is not an address";
		} else if (strncmp(word, "dns=", 4) == 0) {
			if (!ip4_read(&addr, word + 4))
				return "dns= is not an address";
			if (nif->ndns < NETIF_MAX_DNS)
				nif->dns[nif->ndns++] = addr;
		} else
			return "after the address come gw= and dns= only";
	}
	return NULL;
}

/* Is net an address that a host may have on that link? */
static bool
is_host(struct ip4_net net)
{
	if (net.addr == 0 || net.addr >> 28 >= 0xe || ip4_is_loopback(net.addr))
		return false;
	return net.prefix > 30 ||
	    (net.addr != ip4_net_broadcast(net) &&
		(net.addr & ~ip4_mask(net.prefix)) != 0);
}

const char *
stack_set_address(struct netif *nif, char *text)
{
	struct ip4_net net;
	char *comma = strchr(text, ',');

	if (comma != NULL)
		*comma++ = '\0';
	if (!ip4_net_read(&net, text) || !is_host(net))
		return "not an address like 10.0.0.1/24";
	if (nif->dhcp.state != DHCPC_OFF)
		dhcpc_release(nif);
	nif->gateway = 0;
	nif->ndns = 0;
	netif_address(nif, NETIF_FIXED, net);
	return read_extras(nif, comma);
}

static void
configure_nif(const struct configuring *at, char *word, char *value)
{
	const char *wrong = NULL;
	char *dot = strchr(word + strlen("lanyard."), '.'), name[16];
	struct netif *nif;

	text_copy(name, sizeof(name), word + strlen("lanyard."));
	if (dot != NULL && strcmp(dot, ".ip6") == 0 &&
	    strchr(name, '.') != NULL)
		*strchr(name, '.') = '\0';
	nif = stack_nif(at->stack, name);
	if (nif == NULL)
		wrong = "there is no such interface";
	else if (dot != NULL)
		wrong = ipv6_configure(nif, value);
	else if (strcmp(value, "dhcp") == 0)
		dhcpc_start(nif);
	else if (strcmp(value, "none") != 0)
		wrong = stack_set_address(nif, value);
	if (wrong != NULL)
		complain(at, word, wrong);
}

static void
configure_word(const struct configuring *at, char *word)
{
	char *value = strchr(word, '=');

	if (strncmp(word, "lanyard.", strlen("lanyard.")) != 0)
		return;
	if (value == NULL) {
		complain(at, word, "it needs a value");
		return;
	}
	*value++ = '\0';
	if (strcmp(word, "lanyard.name") == 0)
		text_copy(at->stack->name, sizeof(at->stack->name), value);
	else
		configure_nif(at, word, value);
}

void
stack_configure(struct stack *stack, const char *cmdline,
    void (*complain_to)(void *arg, const char *sentence), void *arg)
{
	const struct configuring at = { stack, complain_to, arg };
	char word[512];

	for (;;) {
		size_t len = 0;

		while (*cmdline == ' ' || *cmdline == '\n')
			cmdline++;
		if (*cmdline == '\0')
			return;
		for (; *cmdline > ' '; cmdline++) {
			if (len < sizeof(word) - 1)
				word[len++] = *cmdline;
		}
		while (*cmdline != '\0' && *cmdline != ' ' && *cmdline != '\n')
			cmdline++;
		word[len] = '\0';
		configure_word(&at, word);
	}
}
