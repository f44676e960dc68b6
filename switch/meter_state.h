/*
 * meter_state.h - a meter's parts; for switch/meter*.c alone.
 */
#ifndef SWITCH_METER_STATE_H
#define SWITCH_METER_STATE_H

#include "net/eth.h"
#include "switch/meter.h"

enum meter_phase {
	METER_IDLE,
	METER_ASKING,
	METER_WARMING,
	METER_SENDING,
	METER_DRAINING,
	METER_NPHASES
};

struct meter {
	struct port port; /* first: ports of this kind are these */
	struct loop *loop;
	struct meter_address address;
	struct test_fill fill;

	/* ---- the sender ---- */
	enum meter_phase phase;
	struct meter_options options;
	struct test_shape shape;
	struct meter *to; /* of the last run, too; NULL: it has gone */
	uint16_t run;     /* of the next stream's number */
	uint32_t hop4;    /* who is asked for */
	struct ip6_addr hop6;
	bool routed;        /* the hop is a router */
	bool known;         /* its address is in shape.dst */
	unsigned int tries; /* of asking and warming */
	uint64_t sent, sent_bytes;
	uint64_t start_ns, stop_ns;
	uint64_t due_ns, rest; /* of the next frame: due_ns + rest / rate */
	uint64_t late_ns;      /* the longest that one was overdue */
	uint64_t waiting;      /* due since the last burst, not charged yet */
	uint32_t sweep;        /* the next size */
	uint64_t random;
	uint64_t teach_ns; /* when the switches are told where "to" is */
	const char *why;
	struct loop_timer timer;
	struct loop_defer again; /* as fast as possible */
	void (*done)(void *arg);
	void *arg;
	struct burst burst;
	uint8_t frame[BURST_MAX][TEST_FRAME_MAX];

	/* ---- the receiver ---- */
	struct meter *fed_by; /* whose stream is counted, or NULL */
	struct meter *last;   /* whose was, or is; NULL: it has gone */
	uint16_t stream;      /* its number */
	bool warm;            /* a warm-up frame came */
	struct tally tally;
	uint8_t scratch[TEST_FRAME_MAX];
};

/* meter_receive.c */
void meter_take(struct port *port, struct burst *burst);
/* Who has the next hop's address? */
void meter_ask(struct meter *meter);
/* Tells all who listen where this meter is. */
void meter_teach(struct meter *meter, uint16_t vlan);

/* meter.c: the hop has answered; the receiver has a warm-up frame, or all. */
void meter_hop_known(struct meter *meter, const struct mac *mac);
void meter_heard(struct meter *from);

/* For whoever makes one, zeroed, with its port and address. */
void meter_init(struct meter *meter, struct loop *loop);
/* Before it is freed. */
void meter_leave(struct meter *meter);

#endif
