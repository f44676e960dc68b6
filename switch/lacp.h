/*
 * lacp.h - which links of a bond carry frames, as two systems agree (IEEE
 * 802.1AX-2014, clause 6).
 *
 * A bond is one aggregator and its links.  The links that lead to the same
 * partner and key become one; others wait.  A pure module: PDUs, link changes
 * and time are arguments, what it wants is told by calls.  Its user calls
 * lacp_run() after each change and at the time that it returned.
 *
 * Links are numbered by the user, from 0; a PDU calls them one higher.
 */
#ifndef SWITCH_LACP_H
#define SWITCH_LACP_H

#include <stdint.h>

#include "net/lacp.h"

#define LACP_LINKS_MAX 16
#define LACP_PRIORITY  32768 /* default of systems and ports */

#define LACP_FAST_S  1  /* between PDUs, to a partner that wants them fast */
#define LACP_SLOW_S  30 /* and to one that does not */
#define LACP_SHORT_S 3  /* without a PDU, a link expires */
#define LACP_LONG_S  90
#define LACP_WAIT_S  2  /* for more links, before a bond starts */
#define LACP_CHURN_S 60 /* a link that does not settle for so long churns */

#define LACP_NEVER UINT64_MAX /* no time */

struct lacp_options {
	struct mac system;
	uint16_t system_priority; /* 0: LACP_PRIORITY */
	uint16_t key;             /* 1 or more */
	bool active;              /* or only answers */
	bool fast;                /* asks its partner for a PDU each second */
	unsigned int min_links;   /* fewer carry nothing; 0: 1 */
	unsigned int max_links;   /* more stand by; 0: all */
	bool individual;          /* one link may carry without a partner */
};

/* May not call lacp_run(). */
struct lacp_calls {
	/* A PDU is to be sent. */
	void (*send)(void *arg, unsigned int link, const struct slow *pdu);
	/* A link takes frames, or sends them, from now on or no longer. */
	void (*mux)(
	    void *arg, unsigned int link, bool collecting, bool distributing);
};

struct lacp;

/* The caller's to free.  NULL: no memory. */
struct lacp *lacp_new(const struct lacp_options *options,
    const struct lacp_calls *calls, void *arg);
void lacp_free(struct lacp *lacp); /* NULL is fine */

/* A link is there, down; priority 0: LACP_PRIORITY.  Or is no more. */
void lacp_add(struct lacp *lacp, unsigned int link, uint16_t priority);
void lacp_remove(struct lacp *lacp, unsigned int link, uint64_t now_ns);
void lacp_link(struct lacp *lacp, unsigned int link, bool up);

/* A PDU came.  Markers are answered at once (6.5.4.2). */
void lacp_receive(struct lacp *lacp, unsigned int link, const struct slow *pdu,
    uint64_t now_ns);

/* Does what is due.  The time to be called again, or LACP_NEVER. */
uint64_t lacp_run(struct lacp *lacp, uint64_t now_ns);

/* What a link is at. */
struct lacp_row {
	const char *state; /* "distributing" */
	const char *why;   /* why no more than that; "" */
	const char *receive, *periodic, *mux;
	struct lacp_info actor, partner;
	bool churning;
	uint64_t in, out, markers; /* PDUs */
};

/* False: there is no such link. */
bool lacp_row(const struct lacp *lacp, unsigned int link, struct lacp_row *row);

#endif
