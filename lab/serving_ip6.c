#include "lab/serving.h"

#include <stdio.h>
#include <string.h>

int
serving_ra(struct router *router, struct port *port, const struct lab_port *lp,
    struct err *err)
{
	/* The item is the first member of its router. */
	const struct lab_router *lr = (const struct lab_router *)lp->owner;
	const struct lab_ra *ra = &lp->ra;
	const char *domain =
	    ra->domain != NULL ? ra->domain : serving_domain(lp);
	struct router_ra_options options = {
		.interval_s = (uint32_t)(ra->interval_ns / NS_PER_S),
		.managed = ra->managed,
		.other = ra->other,
		.not_on_link = !ra->on_link,
		.not_autonomous = !ra->autonomous,
		.valid_s = (uint32_t)(ra->valid_ns / NS_PER_S),
		.preferred_s = (uint32_t)(ra->preferred_ns / NS_PER_S),
		.hop_limit = (uint8_t)ra->hop_limit,
		.ndns = ra->dns.n,
	};

	if (ra->item.node == NULL)
		return 0;
	if (yaml_get(ra->item.node, "lifetime") != NULL) {
		options.has_lifetime = true;
		options.lifetime_s = (uint32_t)(ra->lifetime_ns / NS_PER_S);
	}
	memcpy(options.dns, ra->dns.addr, sizeof(options.dns));
	if (ra->dns.n == 0 && lr->dns.item.node != NULL) {
		options.dns[0] = lp->address6.net[0].addr;
		options.ndns = 1;
	}
	if (domain != NULL)
		snprintf(options.domain, sizeof(options.domain), "%s", domain);
	return router_set_ra(router, port, &options, err);
}

/* The router's port of that one of the lab's. */
static struct port *
port_of(const struct fabric *f, const struct lab_port *lp)
{
	for (unsigned int i = 0; i < f->lab->nports; i++)
		if (f->lab->ports[i] == lp)
			return f->ports[i];
	return NULL;
}

int
serving_outside6(const struct fabric *fabric, const struct lab_router *lr,
    struct router *router, struct err *err)
{
	const struct lab_firewall6 *fw = &lr->firewall6;
	int e = 0;

	if (fw->item.node != NULL) {
		struct router_filter6_options o = {
			.outside = port_of(fabric, fw->out),
			.filtering = (enum nat_behaviour)fw->filtering,
			.max_flows = (uint32_t)fw->flows,
			.per_station = (uint32_t)fw->per_station,
			.only_asked = !fw->unasked,
		};

		e = router_set_filter6(router, &o, err);
	}
	for (unsigned int i = 0; i < lr->nnpt6 && e == 0; i++)
		e = router_add_npt6(router, port_of(fabric, lr->npt6[i].port),
		    &lr->npt6[i].inside.ip6, &lr->npt6[i].outside.ip6, err);
	return e;
}
