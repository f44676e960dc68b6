#include "net/eth.h"

enum reason
eth_parse(struct eth *eth, struct cursor *c)
{
	struct eth e = { .nvlans = 0 };

	cur_mac(c, &e.dst);
	cur_mac(c, &e.src);
	e.type = cur_be16(c);
	while ((e.type == ETH_VLAN || e.type == ETH_QINQ) &&
	    e.nvlans < ETH_MAX_VLANS) {
		e.vlan[e.nvlans].tpid = e.type;
		e.vlan[e.nvlans].tci = cur_be16(c);
		e.nvlans++;
		e.type = cur_be16(c);
	}
	if (c->overrun)
		return DROP_SHORT;
	if (mac_is_group(&e.src))
		return DROP_ETH_SOURCE;
	*eth = e;
	return DROP_NONE;
}

void
eth_write(struct writer *w, const struct eth *eth)
{
	wr_mac(w, &eth->dst);
	wr_mac(w, &eth->src);
	for (int i = 0; i < eth->nvlans && i < ETH_MAX_VLANS; i++) {
		wr_be16(w, eth->vlan[i].tpid);
		wr_be16(w, eth->vlan[i].tci);
	}
	wr_be16(w, eth->type);
}
