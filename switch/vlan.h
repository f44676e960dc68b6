/*
 * vlan.h - the VLANs of a switch's ports (IEEE 802.1Q-2018, 5.4, 6.9, 8.6).
 *
 * A switch none of whose ports has VLANs looks at no tag.  Once one has, each
 * frame belongs to a VLAN, addresses are learned by VLAN, and a port is one of
 *
 *   transparent  the default: in all VLANs, by the tags that frames have;
 *                frames without a tag are in VLAN 0, which only transparent
 *                ports carry
 *   access       in one VLAN, without tags
 *   trunk        in many, with tags, but for the native VLAN's frames
 *   tunnel       in one, which is a provider's: customers' frames are wrapped
 *                in its tag with all tags that they have (QinQ, clause 15)
 *
 * Tags of a trunk are a customer's (0x8100) or a provider's (0x88a8); the other
 * kind is payload there.  Priority-tagged frames (VID 0) are like untagged ones.
 */
#ifndef SWITCH_VLAN_H
#define SWITCH_VLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "switch/switch.h"

#define VLAN_MAX 4094

struct vlan_set {
	uint64_t word[64];
};

static inline void
vlan_set_add(struct vlan_set *set, unsigned int first, unsigned int last)
{
	for (unsigned int v = first; v <= last && v <= VLAN_MAX; v++)
		set->word[v / 64] |= UINT64_C(1) << (v % 64);
}

static inline bool
vlan_set_has(const struct vlan_set *set, uint16_t vlan)
{
	return (set->word[(vlan & 0xfff) / 64] >> (vlan % 64) & 1) != 0;
}

/* "10,20-30", "all", and "..." at the end if it is cut.  Returns out. */
char *vlan_set_text(char *out, size_t len, const struct vlan_set *set);

enum vlan_mode { VLAN_TRANSPARENT, VLAN_ACCESS, VLAN_TRUNK, VLAN_TUNNEL };

struct vlan_options {
	enum vlan_mode mode;
	uint16_t vlan; /* of access and tunnel; a trunk's native one, or 0 */
	bool provider; /* a trunk's tags: 0x88a8, else 0x8100 */
	struct vlan_set allowed; /* of a trunk, beside the native one */
};

/* Sets a port's VLANs and forgets what was learned on it.  0, or -EINVAL for a
 * VLAN beyond 1 to VLAN_MAX. */
int switch_set_vlan(struct port *port, const struct vlan_options *options);
void switch_get_vlan(const struct port *port, struct vlan_options *options);

#endif
