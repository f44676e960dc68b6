/*
 * rewrite.h - other addresses in frames that were recorded elsewhere.
 *
 * MAC addresses in the Ethernet header and in ARP; IPv4 addresses in the IP
 * header and in ARP, with the checksums of IP, TCP and UDP; VLAN ids.  What a payload says stays as it is.
 */
#ifndef PCAP_TOOLS_REWRITE_H
#define PCAP_TOOLS_REWRITE_H

#include "base/err.h"
#include "net/addr.h"

#define REWRITE_RULES_MAX 32

struct rewrite {
	struct {
		enum { REWRITE_MAC, REWRITE_IP, REWRITE_VLAN } what;
		struct mac mac_from, mac_to;
		uint32_t from, to; /* IPv4 address, VLAN id */
	} rule[REWRITE_RULES_MAX];
	unsigned int nrules;
};

/* A rule "OLD>NEW" of kind "mac", "ip" or "vlan".  name is for messages. */
int rewrite_add(struct rewrite *rewrite, const char *name, const char *kind,
    const char *text, struct err *err);

/* Applies the rules to a frame, which is whole. */
void rewrite_apply(const struct rewrite *rewrite, uint8_t *frame, size_t len);

#endif
