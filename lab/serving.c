#include "lab/serving.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/loop.h"
#include "lab/filter.h"
#include "lab/guest_ip.h"
#include "net/dns.h"
#include "router/wan.h"

/* ---- options of DHCP ---- */

static int
digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "0a 00 01", with or without blanks. */
static bool
read_hex(struct dhcp_extra *out, const char *text)
{
	size_t n = 0;

	for (; *text != '\0'; text++) {
		int high, low;

		if (*text == ' ')
			continue;
		high = digit(text[0]);
		low = high < 0 ? -1 : digit(text[1]);
		if (low < 0 || n == sizeof(out->data))
			return false;
		out->data[n++] = (uint8_t)(high << 4 | low);
		text++;
	}
	out->len = (uint8_t)n;
	return n > 0;
}

static bool
read_addresses(struct dhcp_extra *out, const struct lab_texts *texts)
{
	for (unsigned int i = 0; i < texts->n; i++) {
		uint32_t addr;

		if (out->len + 4u > sizeof(out->data) ||
		    !ip4_read(&addr, texts->list[i].text))
			return false;
		put_be32(out->data + out->len, addr);
		out->len = (uint8_t)(out->len + 4);
	}
	return true;
}

/* Options that follow from other keys, or from the protocol. */
static bool
is_taken(uint64_t code)
{
	switch (code) {
	case DHCP_OPT_MASK:
	case DHCP_OPT_ROUTER:
	case DHCP_OPT_DNS:
	case DHCP_OPT_DOMAIN:
	case DHCP_OPT_MTU:
	case DHCP_OPT_BROADCAST:
	case DHCP_OPT_REQUESTED:
	case DHCP_OPT_LEASE:
	case DHCP_OPT_OVERLOAD:
	case DHCP_OPT_TYPE:
	case DHCP_OPT_SERVER:
	case DHCP_OPT_PARAMETERS:
	case DHCP_OPT_MESSAGE:
	case DHCP_OPT_MAX_BYTES:
	case DHCP_OPT_RENEWAL:
	case DHCP_OPT_REBINDING:
	case DHCP_OPT_CLIENT_ID:
	case DHCP_OPT_RELAY_INFO: return true;
	default: return false; /* open: others exist */
	}
}

bool
serving_option(struct dhcp_extra *out, const struct lab_dhcp_option *option,
    const char **why)
{
	int given = (option->text != NULL) + (option->hex != NULL) +
	    (option->addresses.n > 0);

	*out = (struct dhcp_extra){ .code = (uint8_t)option->code };
	*why = "is made of other keys, or of the protocol; leave it out";
	if (is_taken(option->code))
		return false;
	*why = "has no value, or more than one; write one of text, "
	       "addresses, hex";
	if (given != 1)
		return false;
	*why = "is not bytes as \"0a 00 ff\", 128 at most; write two digits "
	       "for each";
	if (option->hex != NULL)
		return read_hex(out, option->hex);
	*why = "is not addresses as 10.0.0.9, 32 at most; write them so";
	if (option->text == NULL)
		return read_addresses(out, &option->addresses);
	*why = "is longer than 128 bytes, or empty; shorten it";
	if (option->text[0] == '\0' || strlen(option->text) > DHCP_EXTRA_BYTES)
		return false;
	out->len = (uint8_t)strlen(option->text);
	memcpy(out->data, option->text, out->len);
	return true;
}

/* ---- DHCP ---- */

/* The name server that clients are told. */
static uint32_t
name_server(const struct lab_port *lp)
{
	/* The item is the first member of its router. */
	const struct lab_router *router = (const struct lab_router *)lp->owner;

	if (lp->dns != 0 || router->dns.item.node == NULL)
		return lp->dns;
	return lp->address.addr;
}

const char *
serving_domain(const struct lab_port *lp)
{
	const struct lab_router *router = (const struct lab_router *)lp->owner;

	if (lp->domain != NULL || router->dns.item.node == NULL)
		return lp->domain;
	return router->dns.domain != NULL ? router->dns.domain : "lab";
}

static int
serve_relay(struct router *router, struct port *port, const struct lab_port *lp,
    struct err *err)
{
	struct router_dhcp_relay_options options = { .info = lp->relay_info };

	while (options.nservers < lp->relay.n &&
	    options.nservers < ROUTER_RELAY_SERVERS &&
	    ip4_read(&options.servers[options.nservers],
		lp->relay.list[options.nservers].text))
		options.nservers++;
	return router_set_dhcp_relay(router, port, &options, err);
}

/* As on the port's link, but for these. */
static int
serve_relayed(struct router *router, struct port *port,
    const struct lab_relayed *relayed,
    const struct router_dhcp_options *options, struct err *err)
{
	struct router_dhcp_options o = *options;

	o.first = relayed->range.first;
	o.last = relayed->range.last;
	if (relayed->dns != 0)
		o.dns = relayed->dns;
	return router_add_dhcp_relayed(router, port, relayed->relay, &o, err);
}

int
serving_dhcp(struct router *router, struct port *port,
    const struct lab_port *lp, struct err *err)
{
	struct dhcp_extra extra[DHCP_EXTRAS];
	struct router_dhcp_options options = {
		.first = lp->dhcp.first,
		.last = lp->dhcp.last,
		.lease_s = (uint32_t)(lp->lease_ns / NS_PER_S),
		.short_s = lp->instead.addr != 0 ? WAN_SHORT_S : 0,
		.dns = name_server(lp),
		.probe_ns = lp->probe_ns,
		.per_station = (uint32_t)lp->per_station,
		.extra = extra,
	};
	const char *why;
	int e = 0;

	if (lp->relay.n > 0)
		return serve_relay(router, port, lp, err);
	if (serving_domain(lp) != NULL)
		snprintf(options.domain, sizeof(options.domain), "%s",
		    serving_domain(lp));
	for (unsigned int i = 0; i < lp->noptions && i < DHCP_EXTRAS; i++)
		if (serving_option(&extra[i], &lp->options[i], &why))
			options.nextra++;
	if (lp->dhcp.first != 0)
		e = router_set_dhcp(router, port, &options, err);
	for (unsigned int i = 0; i < lp->nrelayed && e == 0; i++)
		e = serve_relayed(router, port, &lp->relayed[i], &options, err);
	for (unsigned int i = 0; i < lp->nreserve && e == 0; i++)
		e = router_add_reservation(router, port,
		    &lp->reserve[i].of->mac, lp->reserve[i].address, err);
	return e;
}

/* ---- DNS ---- */

/* What the look-up of a name knows. */
struct finding {
	const struct lab *lab;
	const char *name; /* without domain */
	size_t len;
	struct ip6_addr *addr;
	unsigned int n, max;
	bool known; /* the name is one of the lab's */
};

static void
found6(struct finding *f, const struct ip6_addr *addr)
{
	for (unsigned int i = 0; i < f->n; i++)
		if (ip6_equal(&f->addr[i], addr))
			return;
	if (f->n < f->max)
		f->addr[f->n++] = *addr;
}

static void
found(struct finding *f, uint32_t addr)
{
	const struct ip6_addr within = ip6_of_ip4(addr);

	f->known = true;
	if (addr != 0)
		found6(f, &within);
}

/* A port of a node of that name. */
static void
found_port(
    struct finding *f, const struct fabric *fabric, const struct lab_port *port)
{
	struct ip6_addr addr[DNS_MAX_ANSWERS];
	unsigned int n = guest_ip6(f->lab, port, addr, DNS_MAX_ANSWERS);

	found(f, fabric_address(fabric, port).addr);
	for (unsigned int i = 0; i < n; i++)
		found6(f, &addr[i]);
}

static bool
is_name(const struct finding *f, const char *name)
{
	return strlen(name) == f->len &&
	    strncasecmp(name, f->name, f->len) == 0;
}

/* A lease of a host that calls itself so, or of a port of a node so called. */
static void
try_lease(void *arg, const struct lease_row *row)
{
	struct finding *f = arg;

	if (strcmp(row->state, "leased") != 0)
		return;
	for (unsigned int i = 0; i < f->lab->nports; i++) {
		const struct lab_port *port = f->lab->ports[i];

		if (!mac_equal(&port->mac, &row->mac))
			continue;
		/* The lab's names are its own. */
		if (is_name(f, port->owner->name))
			found(f, row->ip);
		return;
	}
	if (!f->known && is_name(f, row->hostname))
		found(f, row->ip);
}

static int
look_up(void *arg, const char *name, struct ip6_addr *addr, unsigned int max)
{
	const struct serving *serving = arg;
	const struct fabric *fabric = serving->fabric;
	struct finding f = { .lab = fabric->lab,
		.name = name,
		.len = strcspn(name, "."),
		.addr = addr,
		.max = max };

	if (name[f.len] == '.' &&
	    strcasecmp(name + f.len + 1, serving->domain) != 0)
		return -1;
	for (unsigned int i = 0; i < f.lab->nports; i++)
		if (is_name(&f, f.lab->ports[i]->owner->name))
			found_port(&f, fabric, f.lab->ports[i]);
	for (unsigned int i = 0; i < f.lab->nrouters; i++)
		router_each_lease(fabric->routers[i], try_lease, &f);
	if (f.known)
		return (int)f.n;
	return name[f.len] == '.' ? -ENOENT : -1;
}

/* Whose address is looked for. */
struct owner {
	const struct lab *lab;
	uint32_t addr;
	char *name;
	size_t bytes;
	bool found;
};

static void
try_owner(void *arg, const struct lease_row *row)
{
	struct owner *o = arg;
	const char *name = row->hostname;

	if (o->found || row->ip != o->addr || strcmp(row->state, "leased") != 0)
		return;
	for (unsigned int i = 0; i < o->lab->nports; i++)
		if (mac_equal(&o->lab->ports[i]->mac, &row->mac))
			name = o->lab->ports[i]->owner->name;
	o->found = name[0] != '\0';
	snprintf(o->name, o->bytes, "%s", name);
}

/* The name of an address, by which it is found. */
static bool
look_back(void *arg, uint32_t addr, char *name, size_t bytes)
{
	const struct serving *serving = arg;
	const struct fabric *fabric = serving->fabric;
	struct owner o = {
		.lab = fabric->lab, .addr = addr, .name = name, .bytes = bytes
	};
	size_t len;

	for (unsigned int i = 0; i < o.lab->nports && !o.found; i++) {
		const struct lab_port *port = o.lab->ports[i];

		if (addr == 0 || fabric_address(fabric, port).addr != addr)
			continue;
		snprintf(name, bytes, "%s", port->owner->name);
		o.found = true;
	}
	for (unsigned int i = 0; i < o.lab->nrouters && !o.found; i++)
		router_each_lease(fabric->routers[i], try_owner, &o);
	len = o.found ? strlen(name) : 0;
	if (o.found)
		snprintf(name + len, bytes - len, ".%s", serving->domain);
	return o.found;
}

static bool
has_ip6(const struct lab_router *router)
{
	for (unsigned int i = 0; i < router->nports; i++)
		if (router->ports[i].address6.n > 0)
			return true;
	return router->dns.dns64.bits != 0;
}

int
serving_dns(struct serving *serving, const struct fabric *fabric,
    const struct lab_router *lr, struct router *router, struct err *err)
{
	struct router_dns_options options = { .lookup = look_up,
		.reverse = look_back,
		.arg = serving,
		.upstream_port = (uint16_t)lr->dns.port,
		.ip6 = has_ip6(lr),
		.dns64 = lr->dns.dns64 };

	while (options.nupstreams < lr->dns.upstream.n &&
	    options.nupstreams < ROUTER_DNS_UPSTREAMS &&
	    ip4_read(&options.upstream[options.nupstreams],
		lr->dns.upstream.list[options.nupstreams].text))
		options.nupstreams++;
	serving->fabric = fabric;
	serving->domain = lr->dns.domain != NULL ? lr->dns.domain : "lab";
	return lr->dns.item.node == NULL
	    ? 0
	    : router_set_dns(router, &options, err);
}

/* ---- PCP ---- */

int
serving_pcp(const struct lab_router *lr, struct router *router, struct err *err)
{
	const struct router_pcp_options options = {
		.protocols = (enum router_pcp_protocols)lr->pcp.protocols,
		.opcodes = (enum router_pcp_opcodes)lr->pcp.opcodes,
		.third_party = lr->pcp.third_party,
		.min_s = (uint32_t)(lr->pcp.min_ns / NS_PER_S),
		.max_s = (uint32_t)(lr->pcp.max_ns / NS_PER_S)
	};

	return lr->pcp.item.node == NULL
	    ? 0
	    : router_set_pcp(router, &options, err);
}

/* ---- filter ---- */

static const struct lab_port *
port_of(const struct lab_router *router, const char *name)
{
	for (unsigned int i = 0; i < router->nports; i++)
		if (strcmp(router->ports[i].item.name, name) == 0)
			return &router->ports[i];
	return NULL;
}

static const struct port *
made_port(const struct fabric *fabric, const struct lab_router *router,
    const char *name)
{
	const struct lab_port *port =
	    name == NULL ? NULL : port_of(router, name);

	for (unsigned int i = 0; port != NULL && i < fabric->lab->nports; i++)
		if (fabric->lab->ports[i] == port)
			return fabric->ports[i];
	return NULL;
}

int
serving_filter(const struct fabric *fabric, const struct lab_router *lr,
    struct router *router, struct err *err)
{
	int e = 0;

	for (unsigned int i = 0; i < lr->nfilter && e == 0; i++) {
		const struct lab_filter *rule = &lr->filter[i];

		e = router_add_filter(router, made_port(fabric, lr, rule->in),
		    made_port(fabric, lr, rule->out), rule->match,
		    (enum router_filter_do)rule->what, err);
	}
	return e;
}

void
serving_check_filter(const struct lab_router *router, struct problems *problems)
{
	for (unsigned int i = 0; i < router->nfilter; i++) {
		const struct lab_filter *rule = &router->filter[i];
		const char *const ports[] = { rule->in, rule->out };
		struct err err = { "" };

		if (rule->in != NULL && rule->out != NULL)
			problem_add(problems, lab_place(&rule->item, "out"),
			    "a rule has in or out; write two rules for both");
		for (int k = 0; k < 2; k++)
			if (ports[k] != NULL &&
			    port_of(router, ports[k]) == NULL)
				problem_add(problems,
				    lab_place(&rule->item, k ? "out" : "in"),
				    "\"%s\" is no port of router \"%s\"; use "
				    "one of its ports",
				    ports[k], router->item.name);
		if (rule->match != NULL &&
		    filter_check(rule->match, FILTER_ETHERNET, &err) < 0)
			problem_add(problems, lab_place(&rule->item, "match"),
			    "%s", err.text);
	}
	if (router->nfilter > 256)
		problem_add(problems, lab_place(&router->item, "filter"),
		    "filter: %u rules are more than 256; join some by \"or\"",
		    router->nfilter);
}

/* ---- checks ---- */

void
serving_check(const struct lab_port *port, struct problems *problems)
{
	static const char *const only_with[] = { "lease", "domain", "reserve",
		"dhcp-probe", "dhcp-per-station", "dhcp-options" };
	size_t bytes = 0;

	for (size_t i = 0; i < sizeof(only_with) / sizeof(only_with[0]); i++)
		if (yaml_get(port->item.node, "dhcp") == NULL &&
		    port->nrelayed == 0 &&
		    yaml_get(port->item.node, only_with[i]) != NULL &&
		    !(port->by_dhcp && strcmp(only_with[i], "dhcp-probe") == 0))
			problem_add(problems,
			    lab_place(&port->item, only_with[i]),
			    "%s without dhcp; add \"dhcp: FIRST-LAST\"",
			    only_with[i]);
	for (unsigned int i = 0; i < port->noptions; i++) {
		const struct lab_dhcp_option *option = &port->options[i];
		struct dhcp_extra extra;
		const char *why;

		if (!serving_option(&extra, option, &why))
			problem_add(problems, lab_place(&option->item, NULL),
			    "option %u %s", (unsigned int)option->code, why);
		bytes += 2u + extra.len;
	}
	if (port->noptions > DHCP_EXTRAS || bytes > DHCP_EXTRA_BYTES)
		problem_add(problems, lab_place(&port->item, "dhcp-options"),
		    "%u options of %zu bytes do not fit into a message; use "
		    "up to %d with %d bytes, two more for each than its value",
		    port->noptions, bytes, DHCP_EXTRAS, DHCP_EXTRA_BYTES);
}
