/*
 * Words "key=value", as the keys of a lab file write them.  Only what a table's
 * history follows from is read: timers, and what refreshes.
 */
#include "lab/nat_facts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pcap-tools/reader.h"

#define LONGEST_S (7u * 86400) /* as the keys' */

const char *const nat_timer_keys[NAT_TIMERS] = {
	[NAT_TIMER_UDP] = "udp-idle",
	[NAT_TIMER_UDP_ONE_WAY] = "udp-one-way",
	[NAT_TIMER_UDP_DNS] = "udp-dns",
	[NAT_TIMER_TCP] = "tcp-idle",
	[NAT_TIMER_TCP_OPENING] = "tcp-opening",
	[NAT_TIMER_TCP_CLOSING] = "tcp-closing",
	[NAT_TIMER_ICMP] = "icmp-idle",
};

static const char *const refreshes[NAT_REFRESHES] = {
	[NAT_REFRESH_BOTH] = "both",
	[NAT_REFRESH_OUTBOUND] = "outbound",
	[NAT_REFRESH_INBOUND] = "inbound",
};

static void
take_timer(struct nat_rules *rules, enum nat_timer timer, const char *value)
{
	char *end;
	unsigned long s = strtoul(value, &end, 10);

	if (end != value && strcmp(end, "s") == 0 && s > 0 && s <= LONGEST_S)
		rules->idle_s[timer] = (uint32_t)s;
}

static void
take(struct nat_facts *facts, char *word)
{
	char *value = strchr(word, '=');

	if (value == NULL)
		return;
	*value++ = '\0';
	if (strcmp(word, "nat") == 0)
		snprintf(facts->router, sizeof(facts->router), "%s", value);
	if (strcmp(word, "outside") == 0)
		snprintf(facts->outside, sizeof(facts->outside), "%s", value);
	for (int t = 0; t < NAT_TIMERS; t++)
		if (strcmp(word, nat_timer_keys[t]) == 0)
			take_timer(&facts->rules, (enum nat_timer)t, value);
	for (int r = 0; r < NAT_REFRESHES; r++)
		if (strcmp(word, "refresh") == 0 &&
		    strcmp(value, refreshes[r]) == 0)
			facts->rules.refresh = (enum nat_refresh)r;
}

bool
nat_facts_read(struct nat_facts *facts, const char *text)
{
	char copy[READER_TEXT_MAX + 1], *rest;

	*facts = (struct nat_facts){ .rules = nat_rules_default };
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *word = strtok_r(copy, " ", &rest); word != NULL;
	     word = strtok_r(NULL, " ", &rest))
		take(facts, word);
	return facts->router[0] != '\0' && facts->outside[0] != '\0';
}
