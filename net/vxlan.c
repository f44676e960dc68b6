#include "net/vxlan.h"

#define FLAG_VNI 0x08

enum reason
vxlan_parse(uint32_t *vni, struct cursor *c)
{
	uint32_t flags = cur_be32(c), number = cur_be32(c);

	if (c->overrun)
		return DROP_SHORT;
	if ((flags >> 24 & FLAG_VNI) == 0)
		return DROP_VXLAN;
	*vni = number >> 8;
	return DROP_NONE;
}

void
vxlan_write(struct writer *w, uint32_t vni)
{
	wr_be32(w, (uint32_t)FLAG_VNI << 24);
	wr_be32(w, vni << 8);
}
