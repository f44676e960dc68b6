/*
 * lacp_state.h - a bond's links and their machines, for the lacp_*.c files.
 *
 * Each machine is stepped: it makes one legal move if its time has come, and
 * says so.  lacp_run() steps all until none moves.
 */
#ifndef SWITCH_LACP_STATE_H
#define SWITCH_LACP_STATE_H

#include "switch/lacp.h"

#define LACP_NS_PER_S UINT64_C(1000000000)

enum lacp_rx {
	RX_INITIALIZE,
	RX_PORT_DISABLED,
	RX_EXPIRED,
	RX_DEFAULTED,
	RX_CURRENT,
	RX_NSTATES,
};

enum lacp_periodic {
	PERIODIC_NONE,
	PERIODIC_FAST,
	PERIODIC_SLOW,
	PERIODIC_TX,
	PERIODIC_NSTATES,
};

enum lacp_mux {
	MUX_DETACHED,
	MUX_WAITING,
	MUX_ATTACHED,
	MUX_COLLECTING,
	MUX_DISTRIBUTING,
	MUX_NSTATES,
};

enum lacp_churn { CHURN_MONITOR, CHURN_NONE, CHURN_FOUND, CHURN_NSTATES };

enum lacp_selected { LACP_UNSELECTED, LACP_STANDBY, LACP_SELECTED };

/* Of one end: ours, or the partner's (6.4.17). */
struct lacp_churner {
	uint8_t state; /* enum lacp_churn */
	uint64_t at_ns;
};

struct lacp_link {
	struct lacp *lacp;
	unsigned int index;
	bool used, up;
	uint8_t rx, periodic, mux; /* the machines' enums */
	uint8_t selected;          /* enum lacp_selected */
	bool ntt;                  /* a PDU needs to be sent */
	struct lacp_churner actor_churn, partner_churn;
	struct lacp_info actor, partner; /* in operation */
	uint64_t current_while_ns;       /* LACP_NEVER: not running */
	uint64_t periodic_ns, wait_while_ns;
	uint64_t sent_ns[3]; /* of the last PDUs, a ring */
	unsigned int sent;
	uint64_t in, out, markers;
};

struct lacp {
	struct lacp_options options;
	const struct lacp_calls *calls;
	void *arg;
	struct lacp_link link[LACP_LINKS_MAX];
	unsigned int nlinks; /* above the highest in use */
};

/* lacp_receive.c */
void lacp_rx_begin(struct lacp_link *l);
bool lacp_rx_step(struct lacp_link *l, uint64_t now_ns);
void lacp_rx_pdu(struct lacp_link *l, const struct slow *pdu, uint64_t now_ns);
const char *lacp_rx_name(enum lacp_rx state);

/* lacp_periodic.c */
bool lacp_periodic_step(struct lacp_link *l, uint64_t now_ns);
bool lacp_churn_step(struct lacp_link *l, uint64_t now_ns);
void lacp_churn_begin(struct lacp_link *l); /* down to begin with */
/* When a PDU may be sent: no more than three a second (6.4.16). */
uint64_t lacp_may_send_ns(const struct lacp_link *l);
void lacp_transmit(struct lacp_link *l, uint64_t now_ns);
const char *lacp_periodic_name(enum lacp_periodic state);

/* lacp_mux.c */
bool lacp_mux_step(struct lacp_link *l, uint64_t now_ns);
const char *lacp_mux_name(enum lacp_mux state);

/* lacp_select.c */
bool lacp_select(struct lacp *lacp);           /* did it change anything? */
bool lacp_is_alone(const struct lacp_link *l); /* may carry by itself */
const char *lacp_why(const struct lacp_link *l);

static inline bool
lacp_has(const struct lacp_info *info, uint8_t bits)
{
	return (info->state & bits) != 0;
}

static inline void
lacp_put(struct lacp_info *info, uint8_t bits, bool on)
{
	info->state = on ? info->state | bits : info->state & (uint8_t)~bits;
}

#endif
