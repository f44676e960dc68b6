/*
 * What lanyard check finds is what would be refused when the NAT is made, and
 * more: it knows the other nodes of the lab.
 */
#include "lab/outside.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lab/units.h"
#include "net/ip4.h"
#include "router/nat_addresses.h"

#define POOL_MAX   (NAT_ADDRESSES_MAX - 1) /* and the router's own */
#define EXEMPT_MAX 1024

/* ---- reading ---- */

/* Copies text up to at, or all if that is NULL.  False: it is too long. */
static bool
cut(char *out, size_t len, const char *text, const char *at)
{
	size_t n = at != NULL ? (size_t)(at - text) : strlen(text);

	if (n >= len)
		return false;
	memcpy(out, text, n);
	out[n] = '\0';
	return true;
}

static bool
read_port(uint16_t *port, const char *text)
{
	uint64_t n;

	if (!count_read(&n, text, NULL) || n == 0 || n > 65535)
		return false;
	*port = (uint16_t)n;
	return true;
}

/* "10.0.0.5:80" */
static bool
read_endpoint(uint32_t *ip, uint16_t *port, const char *text)
{
	const char *colon = strchr(text, ':');
	char address[IP4_TEXT_BYTES];

	return colon != NULL && cut(address, sizeof(address), text, colon) &&
	    ip4_read(ip, address) && *ip != 0 && read_port(port, colon + 1);
}

/* "tcp:8080", "tcp:203.0.113.9:8080" */
static bool
read_outside(struct router_forward *forward, const char *text)
{
	forward->out_ip = 0;
	if (strncmp(text, "tcp:", 4) == 0)
		forward->protocol = IP_TCP;
	else if (strncmp(text, "udp:", 4) == 0)
		forward->protocol = IP_UDP;
	else
		return false;
	return read_port(&forward->out_port, text + 4) ||
	    read_endpoint(&forward->out_ip, &forward->out_port, text + 4);
}

int
outside_read_forward(
    struct router_forward *forward, const char *text, struct err *err)
{
	const char *equals = strchr(text, '=');
	char out[40];

	if (equals != NULL && cut(out, sizeof(out), text, equals) &&
	    read_outside(forward, out) &&
	    read_endpoint(&forward->in_ip, &forward->in_port, equals + 1))
		return 0;
	return err_set(err, -EINVAL,
	    "\"%.60s\" is no forward; write it as tcp:8080=10.0.0.5:80, or "
	    "with an outside address as udp:203.0.113.9:5060=10.0.0.5:5060",
	    text);
}

int
outside_read_end(
    struct router_forward *forward, const char *text, struct err *err)
{
	if (read_outside(forward, text))
		return 0;
	return err_set(err, -EINVAL,
	    "\"%.60s\" is no outside port; write it as tcp:8080, or with an "
	    "address as udp:203.0.113.9:5060",
	    text);
}

/* "203.0.113.5", "203.0.113.200-203.0.113.210" */
static int
read_range(struct lab_range *range, const char *text, struct err *err)
{
	const char *dash = strchr(text, '-');
	char first[IP4_TEXT_BYTES];

	if (cut(first, sizeof(first), text, dash) &&
	    ip4_read(&range->first, first) && range->first != 0 &&
	    ip4_read(&range->last, dash != NULL ? dash + 1 : first) &&
	    range->first <= range->last)
		return 0;
	return err_set(err, -EINVAL,
	    "\"%.60s\" are no addresses; write one as 203.0.113.5, or several "
	    "as 203.0.113.5-203.0.113.9, the lower one first",
	    text);
}

/* "203.0.113.7=10.0.0.5" */
static int
read_pair(struct router_nat_pair *pair, const char *text, struct err *err)
{
	const char *equals = strchr(text, '=');
	char out[IP4_TEXT_BYTES];

	if (equals != NULL && cut(out, sizeof(out), text, equals) &&
	    ip4_read(&pair->out_ip, out) && pair->out_ip != 0 &&
	    ip4_read(&pair->in_ip, equals + 1) && pair->in_ip != 0)
		return 0;
	return err_set(err, -EINVAL,
	    "\"%.60s\" is no pair of addresses; write it as "
	    "203.0.113.7=10.0.0.5, the outside one first",
	    text);
}

/* "198.51.100.0/24", "198.51.100.7" */
static int
read_net(struct ip4_net *net, const char *text, struct err *err)
{
	net->prefix = 32;
	if (strchr(text, '/') != NULL ? ip4_net_read(net, text)
				      : ip4_read(&net->addr, text)) {
		if ((net->addr & ~ip4_mask(net->prefix)) == 0)
			return 0;
	}
	return err_set(err, -EINVAL,
	    "\"%.60s\" is no network; write it as 198.51.100.0/24, without "
	    "bits behind the prefix, or as one address",
	    text);
}

/* ---- all of them ---- */

struct pool {
	uint32_t ip[POOL_MAX];
	unsigned int n;
};

/* Adds the addresses of a range.  0, or -Exxx with *err. */
static int
add_range(struct pool *pool, struct lab_range range, struct err *err)
{
	char text[IP4_TEXT_BYTES];

	if (range.last - range.first >= POOL_MAX - pool->n)
		return err_set(err, -ENOSPC,
		    "a NAT has at most %d addresses and its own; use fewer",
		    POOL_MAX);
	for (uint32_t ip = range.first; ip - 1 != range.last; ip++) {
		for (unsigned int i = 0; i < pool->n; i++)
			if (pool->ip[i] == ip)
				return err_set(err, -EEXIST,
				    "%s is there already; name each address "
				    "once",
				    ip4_text(text, ip));
		pool->ip[pool->n++] = ip;
	}
	return 0;
}

static int
read_pool(struct pool *pool, const struct lab_text *text, struct err *err)
{
	struct lab_range range;
	int e = read_range(&range, text->text, err);

	return e < 0 ? e : add_range(pool, range, err);
}

/* ---- checking ---- */

static void
tell(struct problems *problems, const struct lab_text *text, const char *key,
    const struct err *err)
{
	problem_add(problems, text->node->at, "%s: %s", key, err->text);
}

/* Has another port of the lab the address? */
static const struct lab_port *
owner_of(const struct lab *lab, const struct lab_nat *nat, uint32_t ip)
{
	for (unsigned int i = 0; i < lab->nports; i++)
		if (lab->ports[i] != nat->out &&
		    lab->ports[i]->address.addr == ip)
			return lab->ports[i];
	return NULL;
}

static void
check_pool(const struct lab *lab, const struct lab_nat *nat, struct pool *pool,
    struct problems *problems)
{
	for (unsigned int i = 0; i < nat->addresses.n; i++) {
		const struct lab_text *text = &nat->addresses.list[i];
		unsigned int from = pool->n;
		struct err err = { "" };

		if (read_pool(pool, text, &err) < 0)
			tell(problems, text, "addresses", &err);
		for (unsigned int k = from; k < pool->n; k++) {
			const struct lab_port *owner =
			    owner_of(lab, nat, pool->ip[k]);
			char ip[IP4_TEXT_BYTES];

			if (owner != NULL)
				problem_add(problems, text->node->at,
				    "addresses: %s is that of \"%s\"; leave it "
				    "out",
				    ip4_text(ip, pool->ip[k]), owner->full);
		}
	}
}

static bool
is_of_nat(const struct lab_nat *nat, const struct pool *pool, uint32_t ip)
{
	for (unsigned int i = 0; i < pool->n; i++)
		if (pool->ip[i] == ip)
			return true;
	return ip == 0 || (nat->out != NULL && nat->out->address.addr == ip);
}

/* Is it beyond the NAT, as far as the lab file knows? */
static bool
is_outside(const struct lab_nat *nat, uint32_t ip)
{
	return nat->out != NULL && !nat->out->by_dhcp &&
	    ip4_net_has(nat->out->address, ip);
}

static void
check_pair(const struct lab *lab, const struct lab_nat *nat, unsigned int i,
    const struct pool *pool, struct problems *problems)
{
	const struct lab_text *text = &nat->pairs.list[i];
	struct router_nat_pair pair, other;
	const struct lab_port *owner;
	char ip[IP4_TEXT_BYTES];
	struct err err = { "" };

	if (read_pair(&pair, text->text, &err) < 0) {
		tell(problems, text, "one-to-one", &err);
		return;
	}
	owner = owner_of(lab, nat, pair.out_ip);
	if (owner != NULL)
		problem_add(problems, text->node->at,
		    "one-to-one: %s is that of \"%s\"; use a free one",
		    ip4_text(ip, pair.out_ip), owner->full);
	if (is_of_nat(nat, pool, pair.out_ip))
		problem_add(problems, text->node->at,
		    "one-to-one: %s is for all hosts; take it out of "
		    "addresses, or use another one than outside's",
		    ip4_text(ip, pair.out_ip));
	if (is_outside(nat, pair.in_ip))
		problem_add(problems, text->node->at,
		    "one-to-one: %s is outside; name a host inside",
		    ip4_text(ip, pair.in_ip));
	for (unsigned int k = 0; k < i; k++)
		if (read_pair(&other, nat->pairs.list[k].text, NULL) == 0 &&
		    (other.out_ip == pair.out_ip || other.in_ip == pair.in_ip))
			problem_add(problems, text->node->at,
			    "one-to-one: \"%s\" and \"%s\" have an address in "
			    "common; each has one other",
			    nat->pairs.list[k].text, text->text);
}

static bool
same_end(const struct router_forward *a, const struct router_forward *b)
{
	return (a->out_ip == b->out_ip && a->out_port == b->out_port) ||
	    (a->in_ip == b->in_ip && a->in_port == b->in_port);
}

static void
check_forward(const struct lab_nat *nat, unsigned int i,
    const struct pool *pool, struct problems *problems)
{
	const struct lab_text *text = &nat->forwards.list[i];
	struct router_forward forward, other;
	char ip[IP4_TEXT_BYTES];
	struct err err = { "" };

	if (outside_read_forward(&forward, text->text, &err) < 0) {
		tell(problems, text, "forwards", &err);
		return;
	}
	if (!is_of_nat(nat, pool, forward.out_ip))
		problem_add(problems, text->node->at,
		    "forwards: %s is no address of the NAT; add it to "
		    "addresses, or leave it out",
		    ip4_text(ip, forward.out_ip));
	if (is_outside(nat, forward.in_ip))
		problem_add(problems, text->node->at,
		    "forwards: %s is outside; name a host inside",
		    ip4_text(ip, forward.in_ip));
	for (unsigned int k = 0; k < i; k++)
		if (outside_read_forward(
			&other, nat->forwards.list[k].text, NULL) == 0 &&
		    other.protocol == forward.protocol &&
		    same_end(&forward, &other))
			problem_add(problems, text->node->at,
			    "forwards: \"%s\" and \"%s\" have an end in "
			    "common; each end, inside or outside, has one "
			    "other",
			    nat->forwards.list[k].text, text->text);
}

void
outside_check(
    const struct lab *lab, const struct lab_nat *nat, struct problems *problems)
{
	struct pool pool = { .n = 0 };

	check_pool(lab, nat, &pool, problems);
	for (unsigned int i = 0; i < nat->pairs.n; i++)
		check_pair(lab, nat, i, &pool, problems);
	for (unsigned int i = 0; i < nat->forwards.n; i++)
		check_forward(nat, i, &pool, problems);
	for (unsigned int i = 0; i < nat->exempt.n; i++) {
		const struct lab_text *text = &nat->exempt.list[i];
		struct err err = { "" };
		struct ip4_net net;

		if (i >= EXEMPT_MAX)
			err_set(&err, -ENOSPC,
			    "there are more than %d; use fewer, wider ones",
			    EXEMPT_MAX);
		if (i >= EXEMPT_MAX || read_net(&net, text->text, &err) < 0)
			tell(problems, text, "exempt", &err);
		if (i >= EXEMPT_MAX)
			break;
	}
}

/* ---- making ---- */

static int
add_forwards(struct router *router, const struct lab_nat *nat, struct err *err)
{
	for (unsigned int i = 0; i < nat->forwards.n; i++) {
		struct router_forward forward;
		int e = outside_read_forward(
		    &forward, nat->forwards.list[i].text, err);

		if (e == 0)
			e = router_add_forward(router, &forward, err);
		if (e < 0)
			return e;
	}
	return 0;
}

int
outside_make(struct router *router, const struct lab_nat *nat,
    struct router_nat_options *options, struct err *err)
{
	struct router_nat_pair pairs[POOL_MAX];
	struct ip4_net exempt[EXEMPT_MAX];
	struct pool pool = { .n = 0 };
	int e = 0;

	for (unsigned int i = 0; i < nat->addresses.n && e == 0; i++)
		e = read_pool(&pool, &nat->addresses.list[i], err);
	if (nat->pairs.n > POOL_MAX)
		return err_set(err, -ENOSPC,
		    "more than %d hosts have their own outside address",
		    POOL_MAX);
	for (unsigned int i = 0; i < nat->pairs.n && e == 0; i++)
		e = read_pair(&pairs[i], nat->pairs.list[i].text, err);
	if (nat->exempt.n > EXEMPT_MAX)
		return err_set(
		    err, -ENOSPC, "more than %d nets are exempt", EXEMPT_MAX);
	for (unsigned int i = 0; i < nat->exempt.n && e == 0; i++)
		e = read_net(&exempt[i], nat->exempt.list[i].text, err);
	if (e < 0)
		return e;
	options->pool = pool.ip;
	options->npool = pool.n;
	options->pairs = pairs;
	options->npairs = nat->pairs.n;
	options->exempt = exempt;
	options->nexempt = nat->exempt.n;
	e = router_set_nat(router, options, err);
	options->pool = NULL; /* they were borrowed */
	options->pairs = NULL;
	options->exempt = NULL;
	return e < 0 ? e : add_forwards(router, nat, err);
}
