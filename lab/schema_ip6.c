/*
 * Values that are IPv6 addresses, or addresses of either family.
 */
#include "lab/schema_value.h"

#include <string.h>

bool
schema_any_ip_read(struct schema_reader *r, const struct schema_key *row,
    const struct yaml *node, void *to)
{
	(void)row;
	if (any_ip_read(to, node->text))
		return true;
	problem_add(r->problems, node->at,
	    "%s \"%.50s\" is not an IP address; write one as 10.0.0.1 or "
	    "2001:db8::1",
	    node->key, node->text);
	return false;
}

bool
schema_any_net_read(struct schema_reader *r, const struct schema_key *row,
    const struct yaml *node, void *to)
{
	struct any_ip ip;

	(void)row;
	if (any_net_read(to, node->text))
		return true;
	if (any_ip_read(&ip, node->text))
		problem_add(r->problems, node->at,
		    "%s \"%s\" has no prefix length; write it as %s/%d",
		    node->key, node->text, node->text,
		    ip.family == ANY_IP4 ? 24 : 64);
	else
		problem_add(r->problems, node->at,
		    "%s \"%.60s\" is not an address with its prefix length; "
		    "write it as 10.0.0.1/24 or 2001:db8::1/64",
		    node->key, node->text);
	return false;
}

static bool
add_net(struct schema_reader *r, const struct yaml *node, const char *key,
    struct nets6 *nets)
{
	struct ip6_addr addr;

	if (nets->n == ROUTER_ADDRESSES6) {
		problem_add(r->problems, node->at,
		    "%s: more than %d addresses; write fewer", key,
		    ROUTER_ADDRESSES6);
		return false;
	}
	if (node->kind == YAML_SCALAR &&
	    ip6_net_read(&nets->net[nets->n], node->text)) {
		nets->n++;
		return true;
	}
	if (node->kind == YAML_SCALAR && ip6_read(&addr, node->text))
		problem_add(r->problems, node->at,
		    "%s \"%s\" has no prefix length; write it as %s/64", key,
		    node->text, node->text);
	else
		problem_add(r->problems, node->at,
		    "%s \"%.60s\" is not an IPv6 address with its prefix "
		    "length; write it as 2001:db8::1/64",
		    key, node->kind == YAML_SCALAR ? node->text : "");
	return false;
}

bool
schema_nets6_read(struct schema_reader *r, const struct schema_key *row,
    const struct yaml *node, void *to)
{
	struct nets6 *nets = to;
	bool good = true;

	(void)row;
	if (node->kind != YAML_LIST)
		return add_net(r, node, node->key, nets);
	for (const struct yaml *e = node->first; e != NULL; e = e->next)
		good &= add_net(r, e, node->key, nets);
	return good;
}

bool
schema_guest6_read(struct schema_reader *r, const struct schema_key *row,
    const struct yaml *node, void *to)
{
	struct nets6 *nets = to;
	const char *text = node->kind == YAML_SCALAR ? node->text : "";

	if (strcmp(text, "auto") == 0)
		nets->word = NETS6_AUTO;
	else if (strcmp(text, "none") == 0)
		nets->word = NETS6_NONE;
	else
		return schema_nets6_read(r, row, node, to);
	return true;
}

static bool
add_ip(struct schema_reader *r, const struct yaml *node, const char *key,
    struct ips6 *ips)
{
	if (ips->n == ROUTER_RA_SERVERS) {
		problem_add(r->problems, node->at,
		    "%s: more than %d addresses; write fewer", key,
		    ROUTER_RA_SERVERS);
		return false;
	}
	if (node->kind == YAML_SCALAR &&
	    ip6_read(&ips->addr[ips->n], node->text)) {
		ips->n++;
		return true;
	}
	problem_add(r->problems, node->at,
	    "%s \"%.60s\" is not an IPv6 address; write one as 2001:db8::1",
	    key, node->kind == YAML_SCALAR ? node->text : "");
	return false;
}

bool
schema_ips6_read(struct schema_reader *r, const struct schema_key *row,
    const struct yaml *node, void *to)
{
	struct ips6 *ips = to;
	bool good = true;

	(void)row;
	if (node->kind != YAML_LIST)
		return add_ip(r, node, node->key, ips);
	for (const struct yaml *e = node->first; e != NULL; e = e->next)
		good &= add_ip(r, e, node->key, ips);
	return good;
}

bool
schema_prefix64_read(struct schema_reader *r, const struct schema_key *row,
    const struct yaml *node, void *to)
{
	struct ip6_net net;
	struct ip64_prefix prefix;

	(void)row;
	if (ip6_net_read(&net, node->text)) {
		prefix = (struct ip64_prefix){ net.addr, net.prefix };
		if (ip64_is_prefix(&prefix)) {
			memcpy(to, &prefix, sizeof(prefix));
			return true;
		}
	}
	problem_add(r->problems, node->at,
	    "%s \"%.60s\" is no prefix that IPv4 addresses can stand behind; "
	    "write one of 32, 40, 48, 56, 64 or 96 bits, as 64:ff9b::/96",
	    node->key, node->text);
	return false;
}
