/*
 * cable_way.h - one direction of a cable, for its own files only.
 *
 *     cable.c        its life, its settings, its ends
 *     cable_flow.c   the way of a frame: in, queue, line, out
 *     cable_order.c  frames by the time at which they are to leave the line
 */
#ifndef SWITCH_CABLE_WAY_H
#define SWITCH_CABLE_WAY_H

#include "switch/cable.h"
#include "switch/cable_chance.h"
#include "switch/cable_store.h"
#include "switch/codel.h"

/* A frame on its way: a piece of the store, with the frame's bytes behind. */
struct held {
	struct held *next; /* in the queue or the line */
	uint64_t at_ns;    /* when it entered; on the line: when it leaves */
	uint64_t order;    /* of entering, for those that leave together */
	uint64_t line_ns;  /* its delay on the line */
	uint32_t len, journey;
	uint32_t wire_frames, wire_bytes; /* that the transmitter works on */
	uint16_t csum_start, csum_offset, gso_bytes, header_bytes;
	uint16_t reason; /* enum reason, the cable's verdict */
	uint8_t flags;   /* as struct frame has them */
	bool late;
	uint8_t data[];
};

struct held_list {
	struct held *first, **end;
};

/* Frames on the line: those that leave in the order in which they came are a
 * list; others a heap. */
struct held_order {
	struct held_list list;
	uint64_t tail_ns; /* when the list's last one leaves */
	uint64_t last_ns; /* the latest that any leaves who is not late */
	struct held_slot {
		uint64_t at_ns;
		struct held *held;
	} * heap; /* NULL: not open; from 1 on */
	uint32_t nheap, heap_max;
};

struct cable_way {
	struct cable *cable;
	struct loop *loop;
	struct node node;
	struct port *from, *to; /* NULL: pulled */
	struct cable_settings settings;
	struct jitter_table *table; /* NULL: none */
	struct chance chance;
	struct store store;
	struct held_list queue;
	uint64_t queued_bytes; /* in wire_bytes */
	uint32_t queued;       /* in wire_frames */
	uint64_t free_ns;      /* when the transmitter is */
	uint64_t rest;         /* of its time: numerator over rate_bps */
	uint64_t longest_bytes;
	struct codel codel;
	struct held_order line;
	uint64_t order;
	struct loop_timer timer;
	struct loop_defer due; /* something leaves in this round */
	bool leaving;          /* frames are being handed over */
	uint8_t carries;       /* of FRAME_TODO */
	struct cable_stats stats;
};

struct cable {
	struct loop *loop;
	struct cable_way way[2]; /* by enum cable_side */
};

/* ---- cable_order.c ---- */

void held_list_init(struct held_list *list);
void held_list_add(struct held_list *list, struct held *held);
/* The first one, taken out; NULL: none. */
struct held *held_list_take(struct held_list *list);

void held_order_init(struct held_order *order);
/* Room for max frames that leave out of order.  0 or -ENOMEM. */
int held_order_open(struct held_order *order, size_t max);
void held_order_close(struct held_order *order);
/* By held->at_ns. */
void held_order_add(struct held_order *order, struct held *held);
/* The one that leaves next, taken out if that is by now_ns; or NULL. */
struct held *held_order_take(struct held_order *order, uint64_t now_ns);
/* When the next one leaves; UINT64_MAX: none does. */
uint64_t held_order_next_ns(const struct held_order *order);

/* ---- cable_flow.c ---- */

void cable_flow_init(struct cable_way *way);
/* Drops all that is on its way. */
void cable_flow_drop(struct cable_way *way, enum reason reason);
/* Moves on what was transmitted until now, and finds out when to look again:
 * before anybody reads the queue, and after the settings changed. */
void cable_flow_look(struct cable_way *way);
/* What superframes and unfinished checksums such a way takes (FRAME_TODO). */
uint8_t cable_flow_carries(const struct cable_settings *settings);

/* ---- cable.c ---- */

/* The last frame that was held has left. */
void cable_emptied(struct cable_way *way);

#endif
