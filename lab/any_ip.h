/*
 * any_ip.h - addresses of either family, as a lab file has them.
 */
#ifndef LAB_ANY_IP_H
#define LAB_ANY_IP_H

#include "net/addr.h"
#include "net/ip6.h"
#include "router/router.h"

enum any_family { ANY_NONE, ANY_IP4, ANY_IP6 }; /* NONE: with a problem */

struct any_ip {
	enum any_family family;
	uint32_t ip4;
	struct ip6_addr ip6;
};

struct any_net {
	enum any_family family;
	struct ip4_net ip4;
	struct ip6_net ip6;
};

/* A word in the place of addresses, of guests only. */
enum nets6_word { NETS6_NO_WORD, NETS6_AUTO, NETS6_NONE };

/* IPv6 addresses with their prefixes. */
struct nets6 {
	struct ip6_net net[ROUTER_ADDRESSES6];
	unsigned int n;
	enum nets6_word word;
};

/* IPv6 addresses. */
struct ips6 {
	struct ip6_addr addr[ROUTER_RA_SERVERS];
	unsigned int n;
};

#define ANY_NET_TEXT_BYTES IP6_NET_TEXT_BYTES

/* Text, in out.  Returns out. */
char *any_ip_text(char *out, const struct any_ip *ip);
char *any_net_text(char *out, const struct any_net *net);

/* All of text.  False leaves *out alone. */
bool any_ip_read(struct any_ip *out, const char *text);
bool any_net_read(struct any_net *out, const char *text);

#endif
