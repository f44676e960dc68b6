/*
 * Priority vectors (802.1D-2004, 17.5 and 17.6; 802.1Q-2018, 13.10 and 13.11),
 * and the times that travel with them.
 *
 * Times are whole seconds, as the standard has them rounded.  What a neighbour
 * says is brought within the bounds of table 17-1: a forward delay of 0 would
 * open loops.
 */
#include "switch/stp_state.h"

#include <string.h>

#define SYSTEM_BITS 48
#define MAC_MASK    ((UINT64_C(1) << SYSTEM_BITS) - 1)
#define PORT_MASK   0x0fff

static int
cmp(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

int
stp_vector_cmp(const struct stp_vector *a, const struct stp_vector *b)
{
	int order = cmp(a->root, b->root);

	if (order == 0)
		order = cmp(a->external_cost, b->external_cost);
	if (order == 0)
		order = cmp(a->regional_root, b->regional_root);
	if (order == 0)
		order = cmp(a->internal_cost, b->internal_cost);
	if (order == 0)
		order = cmp(a->bridge, b->bridge);
	return order != 0 ? order : cmp(a->port, b->port);
}

bool
stp_vector_same_port(const struct stp_vector *a, const struct stp_vector *b)
{
	return ((a->sender ^ b->sender) & MAC_MASK) == 0 &&
	    ((a->port ^ b->port) & PORT_MASK) == 0;
}

bool
stp_times_same(bool cist, const struct stp_times *a, const struct stp_times *b)
{
	if (a->hops != b->hops)
		return false;
	return !cist ||
	    (a->message_age_s == b->message_age_s &&
		a->max_age_s == b->max_age_s && a->hello_s == b->hello_s &&
		a->forward_delay_s == b->forward_delay_s);
}

static uint16_t
seconds(uint16_t time, uint16_t min, uint16_t max)
{
	uint16_t s = (uint16_t)((time + BPDU_SECOND / 2) / BPDU_SECOND);

	return s < min ? min : s > max ? max : s;
}

/* To a bridge of RSTP a region is one bridge, named by its Regional Root. */
static void
read_cist(struct stp_branch *b, const struct bpdu *bpdu)
{
	const struct stp *stp = b->port->stp;
	bool mst = bpdu->version == BPDU_MSTP;
	bool names = mst && stp->options.mode == STP_MODE_MSTP;

	b->msg_priority = (struct stp_vector){
		.root = bpdu->root,
		.external_cost = bpdu->external_cost,
		.regional_root = bpdu->bridge,
		.internal_cost = names ? bpdu->internal_cost : 0,
		.bridge = names ? bpdu->sender : bpdu->bridge,
		.port = bpdu->port,
		.sender = mst ? bpdu->sender : bpdu->bridge,
	};
	b->msg_times = (struct stp_times){
		.message_age_s = seconds(bpdu->message_age, 0, UINT8_MAX),
		.max_age_s = seconds(
		    bpdu->max_age, STP_MAX_AGE_MIN_S, STP_MAX_AGE_MAX_S),
		.hello_s =
		    seconds(bpdu->hello, STP_HELLO_MIN_S, STP_HELLO_MAX_S),
		.forward_delay_s = seconds(
		    bpdu->forward_delay, STP_DELAY_MIN_S, STP_DELAY_MAX_S),
		.hops =
		    b->port->rcvd_internal ? bpdu->hops : stp->options.max_hops,
	};
}

/* The upper four bits are an octet of their own in a message of an MSTI. */
static void
read_msti(struct stp_branch *b, const struct bpdu *bpdu)
{
	const struct bpdu_msti *m = b->msg;

	b->msg_priority = (struct stp_vector){
		.regional_root = m->regional_root,
		.internal_cost = m->internal_cost,
		.bridge = (uint64_t)(m->bridge_priority & 0xf0) << 56 |
		    (uint64_t)b->tree->id << SYSTEM_BITS |
		    (bpdu->sender & MAC_MASK),
		.port = (uint16_t)((m->port_priority & 0xf0) << 8 |
		    (bpdu->port & PORT_MASK)),
		.sender = bpdu->sender,
	};
	b->msg_times = (struct stp_times){ .hops = m->hops };
}

void
stp_read_message(struct stp_branch *b, const struct bpdu *bpdu)
{
	if (stp_is_cist(b))
		read_cist(b, bpdu);
	else
		read_msti(b, bpdu);
}

static uint32_t
add(uint32_t a, uint32_t b)
{
	return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

struct stp_vector
stp_root_path(const struct stp_branch *b)
{
	struct stp_vector v = b->port_priority;

	if (b->port->info_internal || !stp_is_cist(b)) {
		v.internal_cost = add(v.internal_cost, b->cost);
		return v;
	}
	v.external_cost = add(v.external_cost, b->cost);
	v.regional_root = b->tree->bridge;
	v.internal_cost = 0;
	return v;
}
