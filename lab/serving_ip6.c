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
