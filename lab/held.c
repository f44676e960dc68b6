#include "lab/held.h"

#include "switch/cable.h"

void
held_each(const struct fabric *f,
    void (*each)(void *arg, const struct node *node, enum reason reason,
	uint64_t frames),
    void *arg)
{
	for (unsigned int i = 0; i < f->lab->nrouters; i++) {
		const struct node *node = router_node(f->routers[i]);
		struct router_held held = router_held(f->routers[i]);

		if (held.neighbours != 0)
			each(arg, node, REASON_ARP_QUEUED, held.neighbours);
		if (held.neighbours6 != 0)
			each(arg, node, REASON_ND_QUEUED, held.neighbours6);
		if (held.fragments != 0)
			each(arg, node, REASON_FRAGMENT_HELD, held.fragments);
	}
	for (unsigned int i = 0; i < f->lab->nhosts; i++) {
		unsigned int held = traffic_stats(f->hosts[i]).held;

		if (held != 0)
			each(arg, traffic_node(f->hosts[i]), REASON_ARP_QUEUED,
			    held);
	}
	for (unsigned int i = 0; i < f->ncables * 2; i++) {
		struct cable *cable = f->cable[i / 2];
		enum cable_side side = i % 2 ? CABLE_B : CABLE_A;
		uint32_t held = cable_stats(cable, side).held;

		if (held != 0)
			each(arg, cable_node(cable, side), REASON_CABLE_HELD,
			    held);
	}
}
