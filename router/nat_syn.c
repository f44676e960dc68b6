#include "router/nat_syn.h"

#include <string.h>

#include "base/loop.h"

static bool
has_ends(const struct nat_syn *syn, const struct nat_syn *ends)
{
	return syn->port == ends->port && syn->remote_ip == ends->remote_ip &&
	    syn->remote_port == ends->remote_port && syn->ip == ends->ip;
}

bool
nat_syn_keep(struct nat_syns *syns, const struct nat_syn *ends,
    const uint8_t *packet, uint32_t bytes, uint64_t now_ns)
{
	struct nat_syn *syn;

	/* One that came again is answered once. */
	for (uint32_t i = 0; i < syns->n; i++) {
		syn = &syns->ring[(syns->first + i) % NAT_SYN_MAX];
		if (syn->len != 0 && has_ends(syn, ends))
			return true;
	}
	if (syns->n == NAT_SYN_MAX)
		return false;
	syn = &syns->ring[(syns->first + syns->n++) % NAT_SYN_MAX];
	*syn = *ends;
	syn->due_ns = now_ns + NAT_SYN_WAIT_S * NS_PER_S;
	syn->len = (uint8_t)(bytes < NAT_SYN_BYTES ? bytes : NAT_SYN_BYTES);
	memcpy(syn->bytes, packet, syn->len);
	return true;
}

void
nat_syn_forget(struct nat_syns *syns, const struct nat_syn *ends)
{
	for (uint32_t i = 0; i < syns->n; i++) {
		struct nat_syn *syn =
		    &syns->ring[(syns->first + i) % NAT_SYN_MAX];

		if (has_ends(syn, ends))
			syn->len = 0;
	}
}

uint64_t
nat_syn_due_ns(const struct nat_syns *syns)
{
	return syns->n == 0 ? UINT64_MAX : syns->ring[syns->first].due_ns;
}

bool
nat_syn_pop(struct nat_syns *syns, uint64_t now_ns, struct nat_syn *syn)
{
	while (nat_syn_due_ns(syns) <= now_ns) {
		*syn = syns->ring[syns->first];
		syns->first = (syns->first + 1) % NAT_SYN_MAX;
		syns->n--;
		if (syn->len != 0)
			return true;
	}
	return false;
}
