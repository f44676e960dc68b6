#include "router/dns64.h"

#include <stdio.h>

#define WELL_KNOWN   0xc00000aa /* 192.0.0.170 */
#define NIBBLES      32
#define IP6_ARPA     ".ip6.arpa"
#define IN_ADDR_ARPA ".in-addr.arpa"

bool
dns64_sift(struct dns_answer *answer)
{
	uint8_t n = 0;
	uint32_t ip4;

	for (uint8_t i = 0; i < answer->naddrs; i++)
		if (!ip6_to_ip4(&ip4, &answer->addr[i]))
			answer->addr[n++] = answer->addr[i];
	answer->naddrs = n;
	return n > 0;
}

bool
dns64_make(const struct ip64_prefix *prefix, const struct dns_answer *a,
    struct dns_answer *out)
{
	struct dns_answer made = { .rcode = a->rcode,
		.ttl_s = a->ttl_s < DNS64_TTL_S ? a->ttl_s : DNS64_TTL_S };
	uint32_t ip4;

	for (uint8_t i = 0; i < a->naddrs; i++)
		if (ip6_to_ip4(&ip4, &a->addr[i]) &&
		    ip64_may_embed(prefix, ip4))
			made.addr[made.naddrs++] = ip64_embed(prefix, ip4);
	*out = made;
	return made.naddrs > 0;
}

bool
dns64_well_known(const struct ip64_prefix *prefix, const char *name,
    uint16_t type, struct dns_answer *answer)
{
	if (strcmp(name, "ipv4only.arpa") != 0)
		return false;
	*answer = (struct dns_answer){ .naddrs = 2, .ttl_s = DNS64_TTL_S };
	for (uint32_t i = 0; i < 2; i++)
		answer->addr[i] = type == DNS_TYPE_AAAA
		    ? ip64_embed(prefix, WELL_KNOWN + i)
		    : ip6_of_ip4(WELL_KNOWN + i);
	return true;
}

/* ---- names of addresses ---- */

static int
nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool
dns64_reverse(const struct ip64_prefix *prefix, const char *name, uint32_t *ip4)
{
	struct ip6_addr addr;

	if (strlen(name) != 2 * NIBBLES - 1 + sizeof(IP6_ARPA) - 1 ||
	    strcmp(name + 2 * NIBBLES - 1, IP6_ARPA) != 0)
		return false;
	for (int i = 0; i < NIBBLES; i++) {
		int value = nibble(name[2 * i]);
		uint8_t *byte = &addr.b[(NIBBLES - 1 - i) / 2];

		if (value < 0 || name[2 * i + 1] != '.')
			return false;
		if (i % 2 == 0)
			*byte = (uint8_t)value;
		else
			*byte = (uint8_t)(*byte | value << 4);
	}
	return ip64_extract(prefix, &addr, ip4);
}

char *
reverse4_text(char out[REVERSE4_BYTES], uint32_t ip4)
{
	snprintf(out, REVERSE4_BYTES, "%u.%u.%u.%u" IN_ADDR_ARPA, ip4 & 0xff,
	    ip4 >> 8 & 0xff, ip4 >> 16 & 0xff, ip4 >> 24);
	return out;
}

bool
reverse4_read(const char *name, uint32_t *ip4)
{
	size_t len = strlen(name), tail = sizeof(IN_ADDR_ARPA) - 1;
	char text[IP4_TEXT_BYTES];
	uint32_t backwards;

	if (len <= tail || len - tail >= sizeof(text) ||
	    strcmp(name + len - tail, IN_ADDR_ARPA) != 0)
		return false;
	memcpy(text, name, len - tail);
	text[len - tail] = '\0';
	if (!ip4_read(&backwards, text))
		return false;
	*ip4 = __builtin_bswap32(backwards);
	return true;
}
