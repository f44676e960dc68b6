/*
 * lldp_agent.h - when LLDP speaks on each port, and the neighbours it has heard
 * of (IEEE 802.1AB-2016, clause 9).
 *
 * A pure module: messages, link changes and time are arguments; what to say is
 * its user's.  Its user calls lldp_agent_run() after each change and at the
 * time that it returned.  Ports are numbered by the user, from 0.
 *
 * Each port remembers up to LLDP_NEIGHBOURS neighbours.  One more is not
 * remembered, and counted, until another leaves: whoever floods a port with
 * names does not push out the neighbour that was there before.
 */
#ifndef SWITCH_LLDP_AGENT_H
#define SWITCH_LLDP_AGENT_H

#include <stdint.h>

#include "net/lldp.h"

#define LLDP_NEIGHBOURS  8  /* of a port */
#define LLDP_INTERVAL_S  30 /* between messages */
#define LLDP_HOLD        4  /* intervals that a message is believed */
#define LLDP_FAST_S      1  /* between messages when a neighbour is new */
#define LLDP_FAST        4  /* so many of them */
#define LLDP_CREDIT      5  /* messages that may leave in one second */
#define LLDP_AGENT_NEVER UINT64_MAX

struct lldp_agent_options {
	uint64_t interval_ns; /* 0: LLDP_INTERVAL_S */
	unsigned int hold;    /* 0: LLDP_HOLD */
	bool send, receive;
};

/* Sends a message that holds for ttl_s.  May not call lldp_agent_run(). */
typedef void lldp_agent_send(void *arg, unsigned int port, uint16_t ttl_s);

struct lldp_agent;

/* The caller's to free, without a word to the neighbours.  NULL: no memory. */
struct lldp_agent *lldp_agent_new(
    const struct lldp_agent_options *options, lldp_agent_send *send, void *arg);
void lldp_agent_free(struct lldp_agent *agent); /* NULL is fine */

/* A port is there, down: 0, or -ENOMEM.  Or is no more. */
int lldp_agent_add(struct lldp_agent *agent, unsigned int port);
void lldp_agent_remove(struct lldp_agent *agent, unsigned int port);
/* A link that is down has no neighbours. */
void lldp_agent_link(
    struct lldp_agent *agent, unsigned int port, bool up, uint64_t now_ns);
/* What is to be said by port is not what it was. */
void lldp_agent_changed(
    struct lldp_agent *agent, unsigned int port, uint64_t now_ns);

/* Takes what follows the EtherType.  REASON_DELIVERED, or why not. */
enum reason lldp_agent_receive(struct lldp_agent *agent, unsigned int port,
    const uint8_t *bytes, size_t len, uint64_t now_ns);

/* Does what is due.  When to be called again, or LLDP_AGENT_NEVER. */
uint64_t lldp_agent_run(struct lldp_agent *agent, uint64_t now_ns);

/* Tells the neighbours that it goes away, and takes all links for down. */
void lldp_agent_stop(struct lldp_agent *agent, uint64_t now_ns);

struct lldp_port_counts {
	uint64_t out, in, refused; /* messages */
	uint64_t parts_wrong, parts_unknown;
	uint64_t aged, crowded; /* neighbours: timed out, too many */
};

const struct lldp_port_counts *lldp_agent_counts(
    const struct lldp_agent *agent, unsigned int port);

/* Calls each for every neighbour, by port; what it is told is borrowed. */
void lldp_agent_each(const struct lldp_agent *agent, uint64_t now_ns,
    void (*each)(void *arg, unsigned int port, const struct lldp *neighbour,
	uint64_t left_ns),
    void *arg);

#endif
