/*
 * Port Receive (17.23): a BPDU for the other machines.  One for each port.
 *
 *    DISCARD ---- a BPDU, link up ----> RECEIVE -- the next --.
 *       ^                                  |  ^               |
 *       '----------- link down ------------'  '---------------'
 *
 * A BPDU is taken in to the end before the next one comes, so RECEIVE needs no
 * state of its own.
 */
#include "switch/stp_state.h"

#include <string.h>

void
stp_receive_begin(struct stp_port *p)
{
	struct stp_branch *b;

	p->rcvd_rstp = p->rcvd_stp = false;
	STP_EACH_BRANCH(p, b)
	b->rcvd_msg = false;
	p->edge_delay_while =
	    p->enabled ? stp_in_s(p->stp, STP_MIGRATE_S) : STP_HELD;
}

/* fromSameRegion (802.1Q-2018, 13.29). */
static bool
from_same_region(const struct stp_port *p)
{
	const struct bpdu_region *own = &p->stp->region;
	const struct bpdu_region *other = &p->bpdu->region;

	return p->stp->options.mode == STP_MODE_MSTP &&
	    p->bpdu->version == BPDU_MSTP && own->selector == other->selector &&
	    own->revision == other->revision &&
	    memcmp(own->name, other->name, sizeof(own->name)) == 0 &&
	    memcmp(own->digest, other->digest, sizeof(own->digest)) == 0;
}

static const struct bpdu_msti *
find_msti(const struct bpdu *bpdu, uint16_t id)
{
	for (unsigned int i = 0; i < bpdu->nmstis; i++)
		if ((bpdu->msti[i].regional_root >> 48 & 0xfff) == id)
			return &bpdu->msti[i];
	return NULL;
}

/* setRcvdMsgs (802.1Q-2018, 13.29). */
static void
set_rcvd_msgs(struct stp_port *p)
{
	struct stp_branch *b;

	STP_EACH_BRANCH(p, b)
	{
		b->msg =
		    p->rcvd_internal ? find_msti(p->bpdu, b->tree->id) : NULL;
		b->rcvd_msg = stp_is_cist(b) || b->msg != NULL;
	}
}

void
stp_receive_message(struct stp_port *p)
{
	if (p->bpdu->version >= BPDU_RSTP)
		p->rcvd_rstp = true;
	else
		p->rcvd_stp = true;
	p->rcvd_internal = from_same_region(p);
	set_rcvd_msgs(p);
	p->oper_edge = false;
	p->edge_delay_while = stp_in_s(p->stp, STP_MIGRATE_S);
	p->in_bpdus++;
}
