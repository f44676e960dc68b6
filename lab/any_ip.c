#include "lab/any_ip.h"

char *
any_ip_text(char *out, const struct any_ip *ip)
{
	return ip->family == ANY_IP6 ? ip6_text(out, &ip->ip6)
				     : ip4_text(out, ip->ip4);
}

char *
any_net_text(char *out, const struct any_net *net)
{
	return net->family == ANY_IP6 ? ip6_net_text(out, &net->ip6)
				      : ip4_net_text(out, net->ip4);
}

bool
any_ip_read(struct any_ip *out, const char *text)
{
	struct any_ip ip = { .family = ANY_IP4 };

	if (!ip4_read(&ip.ip4, text)) {
		ip.family = ANY_IP6;
		if (!ip6_read(&ip.ip6, text))
			return false;
	}
	*out = ip;
	return true;
}

bool
any_net_read(struct any_net *out, const char *text)
{
	struct any_net net = { .family = ANY_IP4 };

	if (!ip4_net_read(&net.ip4, text)) {
		net.family = ANY_IP6;
		if (!ip6_net_read(&net.ip6, text))
			return false;
	}
	*out = net;
	return true;
}
