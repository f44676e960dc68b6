/*
 * cable.h - what a cable does to the frames that pass it.
 *
 * cable_join() makes a plain cable, which is nothing.  A struct cable beside it
 * holds what is to happen to the frames in each of its two directions, and can
 * be changed at any time.  In one direction a frame meets, in this order:
 *
 *     chance      lost, duplicated, a bit of it flipped, held back
 *     the queue   FIFO or CoDel, before a transmitter of some rate
 *     the line    delay and jitter
 *
 * What chance does is settled when the frame enters: its sender's verdict says
 * so, and it depends on nothing but the seed and the frames before it.  A frame
 * that goes on is copied; it leaves when its time has come, to be judged by the
 * taker, with the cable's verdict as its cause.
 *
 * Chance, and a queue that a superframe (FRAME_TSO*) would not fit through,
 * concern frames as a wire carries them: superframes are then cut before they
 * enter.  Elsewhere they stay whole, and a rate charges them for the frames
 * that they would be.
 *
 * Counters always add up, whatever is changed in between:
 *
 *     entered + duplicated == left + dropped + held
 *
 * Copies lie in memory of their own, of at most memory_bytes per direction;
 * when that is full, frames are dropped as DROP_CABLE_MEMORY.  When the link
 * goes down or the cable is pulled, what was on its way is lost.
 *
 * Loop thread only; never within a take(), but for cable_stats().
 */
#ifndef SWITCH_CABLE_H
#define SWITCH_CABLE_H

#include "switch/jitter_table.h"
#include "switch/port.h"

#define CABLE_ALWAYS       UINT64_C(1000000000) /* 100 % in billionths */
#define CABLE_DELAY_MAX_NS (3600 * NS_PER_S)
#define CABLE_RATE_MIN     UINT64_C(1000)
#define CABLE_RATE_MAX     UINT64_C(1000000000000)
#define CABLE_LOSE_MAX     16
#define CABLE_SPAN_NS      (10 * NS_PER_MS) /* default of reorder_by_ns */
#define CABLE_QUEUE_FRAMES 1000             /* default with a rate */
#define CABLE_MEMORY_MIN   (UINT64_C(4) << 20)
#define CABLE_MEMORY_BYTES (UINT64_C(64) << 20) /* default */
#define CABLE_MEMORY_MAX   (UINT64_C(16) << 30)

enum cable_spread { CABLE_UNIFORM, CABLE_NORMAL, CABLE_PARETO, CABLE_TABLE };
enum cable_discipline { CABLE_FIFO, CABLE_CODEL };

/* A chain of two states (Gilbert, Elliott): what follows from enter_ppb being
 * 0 is that it is not used. */
struct cable_spells {
	uint64_t enter_ppb, leave_ppb; /* per frame: into and out of "bad" */
	uint64_t bad_ppb, good_ppb;    /* loss in each state */
};

/* The frames of these numbers are lost; the first one after the list was given
 * has number 1. */
struct cable_lose {
	uint64_t n;
	uint64_t frame[CABLE_LOSE_MAX];
};

/* One direction.  All zero: a plain cable.  Chances in billionths (ppb). */
struct cable_settings {
	uint64_t delay_ns;
	uint64_t jitter_ns; /* CABLE_UNIFORM: up to +-; else the deviation */
	int spread;         /* enum cable_spread */
	uint64_t alike_ppb; /* correlation of one frame's jitter to the next */
	bool overtake;      /* jitter may let frames overtake each other */
	uint64_t loss_ppb;
	struct cable_spells spells;
	struct cable_lose lose;
	uint64_t duplicate_ppb, corrupt_ppb, reorder_ppb;
	uint64_t reorder_by_ns;  /* how much later; 0: CABLE_SPAN_NS */
	uint64_t rate_bps;       /* 0: any */
	uint64_t overhead_bytes; /* charged for each frame, beside its own */
	int discipline;          /* enum cable_discipline */
	uint64_t queue_bytes;    /* with overhead; 0: any */
	uint64_t queue_frames;   /* 0: CABLE_QUEUE_FRAMES */
	uint64_t target_ns, interval_ns; /* 0: CoDel's own */
	bool ecn;                        /* CoDel marks instead of drops */
	uint64_t mark_ns;                /* marks who waits longer; 0: nobody */
	uint64_t memory_bytes;           /* 0: CABLE_MEMORY_BYTES */
};

/* In frames as the cable holds them. */
struct cable_stats {
	uint64_t entered, duplicated; /* came in; and were made in here */
	uint64_t left, dropped;       /* went out; dropped, by any reason */
	uint64_t corrupted, reordered, marked; /* of those that went on */
	uint32_t held;                         /* at this moment */
	uint32_t queued;                       /* of these, before the rate */
	uint64_t queued_bytes;                 /* with overhead */
};

enum cable_side { CABLE_A, CABLE_B }; /* the direction from that end */

struct cable;

/*
 * For the plain cable between a and b, which cable_join() made.  Frames from a
 * are judged by a node called "cable NAME out", those from b by "cable NAME
 * in".  The caller's to free, before the ports are.  NULL: *err says why.
 */
struct cable *cable_new(struct loop *loop, struct port *a, struct port *b,
    const char *name, uint64_t seed, struct err *err);
/* The cable is plain again; frames on their way are dropped.  NULL is fine. */
void cable_free(struct cable *cable);

/* What cannot be: -EINVAL with *err saying what to do; else 0. */
int cable_check(const struct cable_settings *settings, struct err *err);

/*
 * What is to happen from now on in the direction from side.  Frames on their
 * way keep what they were given, and none that enters later overtakes them but
 * by reordering.  table, for CABLE_TABLE, is copied.  0, or -Exxx with *err.
 */
int cable_set(struct cable *cable, enum cable_side side,
    const struct cable_settings *settings, const struct jitter_table *table,
    struct err *err);

const struct cable_settings *cable_settings(
    const struct cable *cable, enum cable_side side);
struct cable_stats cable_stats(struct cable *cable, enum cable_side side);
struct node *cable_node(struct cable *cable, enum cable_side side);
/* The end that the direction begins at; NULL: the cable was pulled. */
struct port *cable_port(const struct cable *cable, enum cable_side side);

/* For port.c: the ports part, or the link goes down. */
void cable_pulled(struct cable *cable);
void cable_link_down(struct cable *cable);

/* For port.c: what a port's way carries of FRAME_TODO, and how it takes a
 * burst, whose verdicts it writes. */
uint8_t cable_carries(const struct cable_way *way);
void cable_enter(struct cable_way *way, struct burst *burst);

#endif
