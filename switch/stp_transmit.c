/*
 * Port Transmit (17.26): what is told to the neighbour, and when.  One for each
 * port.
 *
 *                link up                 new_info, and the budget allows
 *    DISABLED ------------> IDLE --------------------------------------.
 *        ^                  |  ^    [a Configuration, TCN, RST or MST  |
 *        |    link down     |  |     BPDU; hello_when begins anew]     |
 *        '------------------'  |                                       |
 *                              +---------------------------------------'
 *                              '-- hello_when ran out [periodic] --
 *
 * The budget: no more than Transmit Hold Count BPDUs at once, and one more for
 * each second that passes.
 */
#include "switch/stp_state.h"

#include <assert.h>

static uint8_t
role_flags(const struct stp_branch *b)
{
	switch (b->role) {
	case STP_ROOT: return BPDU_ROLE_ROOT;
	case STP_DESIGNATED: return BPDU_ROLE_DESIGNATED;
	case STP_ALTERNATE:
	case STP_BACKUP: return BPDU_ROLE_ALTERNATE;
	case STP_MASTER:
	case STP_DISABLED:
	case STP_NROLES: break;
	}
	return BPDU_ROLE_UNKNOWN;
}

static uint8_t
flags_of(const struct stp_branch *b)
{
	return (uint8_t)(role_flags(b) |
	    (stp_runs(b->port->stp, b->tc_while) ? BPDU_TC : 0) |
	    (b->proposing ? BPDU_PROPOSAL : 0) |
	    (stp_is_learning(b) ? BPDU_LEARNING : 0) |
	    (stp_is_forwarding(b) ? BPDU_FORWARDING : 0) |
	    (b->agree ? BPDU_AGREEMENT : 0));
}

static uint16_t
time_of(unsigned int seconds)
{
	return (uint16_t)((seconds > UINT8_MAX ? UINT8_MAX : seconds) *
	    BPDU_SECOND);
}

static void
write_cist(struct bpdu *bpdu, const struct stp_branch *b)
{
	const struct stp_vector *v = &b->designated_priority;
	const struct stp_times *t = &b->designated_times;

	bpdu->root = v->root;
	bpdu->external_cost = v->external_cost;
	bpdu->bridge = v->regional_root;
	bpdu->port = v->port;
	bpdu->message_age = time_of(t->message_age_s);
	bpdu->max_age = time_of(t->max_age_s);
	bpdu->hello = time_of(t->hello_s);
	bpdu->forward_delay = time_of(t->forward_delay_s);
}

/* The way out of the region is by this port (802.1Q-2018, 13.27, master). */
static bool
is_way_to_master(const struct stp_branch *b)
{
	struct stp_port *p;

	if (b->role != STP_ROOT && b->role != STP_DESIGNATED)
		return false;
	STP_EACH_PORT(b->port->stp, p)
	{
		const struct stp_branch *other = &p->branch[b->tree->index];

		if (other != b &&
		    (other->role == STP_MASTER ||
			(other->mastered &&
			    (other->role == STP_ROOT ||
				other->role == STP_DESIGNATED))))
			return true;
	}
	return false;
}

static void
write_msti(struct bpdu_msti *m, const struct stp_branch *b)
{
	const struct stp_vector *v = &b->designated_priority;

	m->flags =
	    (uint8_t)(flags_of(b) | (is_way_to_master(b) ? BPDU_MASTER : 0));
	m->regional_root = v->regional_root;
	m->internal_cost = v->internal_cost;
	m->bridge_priority = (uint8_t)(v->bridge >> 56 & 0xf0);
	m->port_priority = (uint8_t)(v->port >> 8 & 0xf0);
	m->hops = b->designated_times.hops;
}

static void
write_mst(struct bpdu *bpdu, const struct stp_port *p)
{
	const struct stp_branch *cist = p->branch;

	bpdu->region = p->stp->region;
	bpdu->internal_cost = cist->designated_priority.internal_cost;
	bpdu->sender = cist->designated_priority.bridge;
	bpdu->hops = cist->designated_times.hops;
	bpdu->nmstis = p->stp->ntrees - 1;
	for (unsigned int i = 0; i < bpdu->nmstis; i++)
		write_msti(&bpdu->msti[i], &p->branch[i + 1]);
}

static void
make_rst(struct bpdu *bpdu, const struct stp_port *p)
{
	bool mst = p->stp->options.mode == STP_MODE_MSTP;

	bpdu->type = BPDU_TYPE_RST;
	bpdu->version = mst ? BPDU_MSTP : BPDU_RSTP;
	bpdu->flags = flags_of(p->branch);
	write_cist(bpdu, p->branch);
	if (mst)
		write_mst(bpdu, p);
}

static void
make_config(struct bpdu *bpdu, const struct stp_port *p)
{
	bpdu->type = BPDU_TYPE_CONFIG;
	bpdu->flags = (uint8_t)((flags_of(p->branch) & BPDU_TC) |
	    (p->tc_ack ? BPDU_TC_ACK : 0));
	write_cist(bpdu, p->branch);
	bpdu->bridge = p->branch->designated_priority.bridge;
}

static void
send(struct stp_port *p)
{
	struct stp *stp = p->stp;
	struct bpdu bpdu = { .type = BPDU_TYPE_TCN };

	if (p->send_rstp)
		make_rst(&bpdu, p);
	else if (p->branch->role == STP_DESIGNATED)
		make_config(&bpdu, p);
	p->new_info = false;
	if (p->send_rstp)
		p->new_info_msti = false;
	if (bpdu.type != BPDU_TYPE_TCN)
		p->tc_ack = false;
	p->hello_when = stp_in_s(stp, stp_hello_s(p->branch));
	if (p->tx_count++ == 0)
		p->tx_decay = stp_in_s(stp, 1);
	p->out_bpdus++;
	/* Last: it may come back at once by a looped cable. */
	stp->ops->send(stp->arg, p->number, &bpdu);
}

/* ---- moves ---- */

static bool
is_hello_due_in(const struct stp_branch *b)
{
	return b->role == STP_DESIGNATED ||
	    (b->role == STP_ROOT && stp_runs(b->port->stp, b->tc_while));
}

static void
periodic(struct stp_port *p)
{
	struct stp_branch *b;

	STP_EACH_BRANCH(p, b)
	if (is_hello_due_in(b))
		stp_new_info(b);
	p->hello_when = stp_in_s(p->stp, stp_hello_s(p->branch));
}

static void
regain_budget(struct stp_port *p)
{
	for (; p->tx_count > 0 && p->tx_decay <= p->stp->now_ns; p->tx_count--)
		p->tx_decay += STP_NS_PER_S;
}

static bool
is_ready(const struct stp_port *p)
{
	const struct stp_branch *b;

	STP_EACH_BRANCH(p, b)
	if (!stp_is_settled(b))
		return false;
	return p->enabled && p->branch->role != STP_DISABLED;
}

static bool
has_news(const struct stp_port *p)
{
	const struct stp_branch *b;

	if (!p->send_rstp)
		return p->new_info &&
		    (p->branch->role == STP_DESIGNATED ||
			p->branch->role == STP_ROOT);
	if (p->new_info)
		return true;
	/* Beyond the region nobody reads of the instances. */
	STP_EACH_BRANCH(p, b)
	if (b->role == STP_MASTER)
		return false;
	return p->new_info_msti;
}

bool
stp_transmit_step(struct stp_port *p)
{
	if (!p->enabled) {
		stp_transmit_begin(p);
		return false;
	}
	if (!is_ready(p))
		return false;
	if (!stp_runs(p->stp, p->hello_when)) {
		periodic(p);
		return true;
	}
	regain_budget(p);
	if (!has_news(p) || p->tx_count >= p->stp->options.hold)
		return false;
	send(p);
	return true;
}

uint64_t
stp_transmit_deadline_ns(const struct stp_port *p)
{
	if (!is_ready(p))
		return STP_NEVER;
	if (!has_news(p))
		return p->hello_when;
	if (p->tx_count >= p->stp->options.hold && p->tx_decay < p->hello_when)
		return p->tx_decay;
	return p->tx_count >= p->stp->options.hold ? p->hello_when : 0;
}

void
stp_transmit_begin(struct stp_port *p)
{
	p->new_info = p->new_info_msti = true;
	p->tx_count = 0;
	p->hello_when = p->stp->now_ns;
}
