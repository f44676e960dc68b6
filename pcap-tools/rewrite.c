/*
 * A checksum is brought up to date by what changed (RFC 1624), so that one that
 * was wrong in the capture stays wrong.
 */
#include "pcap-tools/rewrite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/arp.h"
#include "net/checksum.h"
#include "net/eth.h"
#include "net/ip4.h"
#include "net/tcp.h"
#include "net/udp.h"

#define VLAN_ID_MAX 4094

/* ---- rules ---- */

static bool
read_vlan(uint32_t *out, const char *text)
{
	unsigned long v;
	char *end;

	v = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || v == 0 ||
	    v > VLAN_ID_MAX)
		return false;
	*out = (uint32_t)v;
	return true;
}

int
rewrite_add(struct rewrite *r, const char *name, const char *kind,
    const char *text, struct err *err)
{
	const char *arrow = strchr(text, '>');
	char old[64], new[64];
	bool good = false;

	if (r->nrules == REWRITE_RULES_MAX)
		return err_set(err, -EINVAL, "%s: more than %d rules", name,
		    REWRITE_RULES_MAX);
	if (arrow != NULL && arrow - text < 60 && strlen(arrow) < 60) {
		snprintf(old, sizeof(old), "%.*s", (int)(arrow - text), text);
		snprintf(new, sizeof(new), "%s", arrow + 1);
		if (strcmp(kind, "mac") == 0) {
			r->rule[r->nrules].what = REWRITE_MAC;
			good = mac_read(&r->rule[r->nrules].mac_from, old) &&
			    mac_read(&r->rule[r->nrules].mac_to, new);
		} else if (strcmp(kind, "ip") == 0) {
			r->rule[r->nrules].what = REWRITE_IP;
			good = ip4_read(&r->rule[r->nrules].from, old) &&
			    ip4_read(&r->rule[r->nrules].to, new);
		} else {
			r->rule[r->nrules].what = REWRITE_VLAN;
			good = read_vlan(&r->rule[r->nrules].from, old) &&
			    read_vlan(&r->rule[r->nrules].to, new);
		}
	}
	if (!good)
		return err_set(err, -EINVAL,
		    "%s: %s=%.60s is no rule; use OLD>NEW", name, kind, text);
	r->nrules++;
	return 0;
}

/* ---- one value at a place ---- */

static void
change_mac(const struct rewrite *r, uint8_t *at)
{
	for (unsigned int i = 0; i < r->nrules; i++)
		if (r->rule[i].what == REWRITE_MAC &&
		    memcmp(at, r->rule[i].mac_from.b, 6) == 0) {
			memcpy(at, r->rule[i].mac_to.b, 6);
			return;
		}
}

/* What an IPv4 address becomes. */
static uint32_t
new_ip(const struct rewrite *r, uint32_t ip)
{
	for (unsigned int i = 0; i < r->nrules; i++)
		if (r->rule[i].what == REWRITE_IP && r->rule[i].from == ip)
			return r->rule[i].to;
	return ip;
}

static void
change_vlan(const struct rewrite *r, uint8_t *tci)
{
	uint16_t is = get_be16(tci);

	for (unsigned int i = 0; i < r->nrules; i++)
		if (r->rule[i].what == REWRITE_VLAN &&
		    r->rule[i].from == (is & 0xfffu)) {
			put_be16(
			    tci, (uint16_t)((is & 0xf000u) | r->rule[i].to));
			return;
		}
}

/* ---- layers ---- */

/* Where the checksum lies that covers the addresses too, in a transport of
 * bytes; NULL if there is none. */
static uint8_t *
pseudo_checksum(uint8_t protocol, uint8_t *transport, size_t bytes)
{
	if (protocol == IP_TCP && bytes >= TCP_HEADER_BYTES)
		return transport + TCP_OFF_CHECKSUM;
	if (protocol == IP_UDP && bytes >= UDP_HEADER_BYTES &&
	    get_be16(transport + UDP_OFF_CHECKSUM) != 0)
		return transport + UDP_OFF_CHECKSUM;
	return NULL;
}

static void
update(uint8_t *checksum, uint32_t from, uint32_t to, bool udp)
{
	uint16_t sum = csum_update32(get_be16(checksum), from, to);

	put_be16(checksum, udp && sum == 0 ? 0xffff : sum);
}

static void
change_ip(const struct rewrite *r, uint8_t *ip, size_t len)
{
	size_t header = (size_t)(ip[0] & 15) * 4;
	bool later;
	uint8_t *sum;

	if (len < IP4_HEADER_BYTES || ip[0] >> 4 != 4 ||
	    header < IP4_HEADER_BYTES || header > len)
		return;
	later = (get_be16(ip + IP4_OFF_FRAGMENT) & 0x1fff) != 0;
	sum = later
	    ? NULL
	    : pseudo_checksum(ip[IP4_OFF_PROTOCOL], ip + header, len - header);
	for (size_t at = IP4_OFF_SRC; at <= IP4_OFF_DST; at += 4) {
		uint32_t is = get_be32(ip + at), to = new_ip(r, is);

		if (to == is)
			continue;
		put_be32(ip + at, to);
		update(ip + IP4_OFF_CHECKSUM, is, to, false);
		if (sum != NULL)
			update(sum, is, to, ip[IP4_OFF_PROTOCOL] == IP_UDP);
	}
}

static void
change_arp(const struct rewrite *r, uint8_t *arp, size_t len)
{
	if (len < ARP_BYTES || get_be16(arp) != 1 ||
	    get_be16(arp + 2) != ETH_IPV4)
		return;
	change_mac(r, arp + 8);
	put_be32(arp + 14, new_ip(r, get_be32(arp + 14)));
	change_mac(r, arp + 18);
	put_be32(arp + 24, new_ip(r, get_be32(arp + 24)));
}

void
rewrite_apply(const struct rewrite *r, uint8_t *frame, size_t len)
{
	size_t at = ETH_HEADER_BYTES - 2;
	uint16_t type;

	if (r->nrules == 0 || len < ETH_HEADER_BYTES)
		return;
	change_mac(r, frame);
	change_mac(r, frame + 6);
	type = get_be16(frame + at);
	for (int i = 0; i < ETH_MAX_VLANS &&
	     (type == ETH_VLAN || type == ETH_QINQ) && len - at >= 6;
	     i++) {
		change_vlan(r, frame + at + 2);
		at += ETH_VLAN_BYTES;
		type = get_be16(frame + at);
	}
	at += 2;
	if (type == ETH_IPV4 && len > at)
		change_ip(r, frame + at, len - at);
	else if (type == ETH_ARP)
		change_arp(r, frame + at, len - at);
}
