#include "net/eth.h"

static bool
is_tag(uint16_t type)
{
	return type == ETH_VLAN || type == ETH_QINQ;
}

/* Reads tags from the first one's type on, into *eth. */
static void
read_tags(struct eth *eth, struct cursor *c)
{
	while (is_tag(eth->type) && eth->nvlans < ETH_MAX_VLANS) {
		eth->vlan[eth->nvlans].tpid = eth->type;
		eth->vlan[eth->nvlans].tci = cur_be16(c);
		eth->nvlans++;
		eth->type = cur_be16(c);
	}
}

/* Most frames have no tags: then nothing is written twice. */
enum reason
eth_parse(struct eth *eth, struct cursor *c)
{
	const uint8_t *header = cur_bytes(c, ETH_HEADER_BYTES);
	struct eth tagged = { .nvlans = 0 };

	if (header == NULL)
		return DROP_SHORT;
	tagged.type = get_be16(header + 12);
	if (is_tag(tagged.type))
		read_tags(&tagged, c);
	if (c->overrun)
		return DROP_SHORT;
	if (header[sizeof(eth->dst)] & 1) /* a group */
		return DROP_ETH_SOURCE;
	if (tagged.nvlans > 0)
		*eth = tagged;
	eth->type = tagged.type;
	eth->nvlans = tagged.nvlans;
	memcpy(eth->dst.b, header, sizeof(eth->dst.b));
	memcpy(eth->src.b, header + sizeof(eth->dst), sizeof(eth->src.b));
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
