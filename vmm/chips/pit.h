/*
 * pit.h - the 8254 timer of a PC and the speaker port that belongs to it.
 *
 * Three counters at 1.193182 MHz: 0 gives line 0 its edges, 1 once refreshed
 * the memory, 2 sounds the speaker and is what guests measure time with.  Time
 * is an argument: nanoseconds that never go back.  The caller holds the
 * machine's lock.
 */
#ifndef VMM_CHIPS_PIT_H
#define VMM_CHIPS_PIT_H

#include <stdbool.h>
#include <stdint.h>

#define PIT_HZ           1193182
#define PIT_COUNTERS     3
#define PIT_PORT         0x40 /* three counters and the control word */
#define PIT_PORT_CONTROL 0x43
#define PIT_PORT_SPEAKER 0x61
#define PIT_NEVER        UINT64_MAX

/* Which bytes of a count are read and written. */
enum pit_access { PIT_NO_ACCESS, PIT_LOW, PIT_HIGH, PIT_BOTH };

/*
 *   any state ---- control word --> EMPTY     OUT at rest, no count
 *   EMPTY -------- count ---------> LOADING   takes it at the next tick
 *   EMPTY -------- count ---------> READY     modes 1 and 5 wait for the gate
 *   READY -------- gate rises ----> LOADING
 *   LOADING ------ a tick --------> COUNTING
 *   COUNTING ----- gate falls ----> HELD      modes 0, 2, 3 and 4
 *   HELD --------- gate rises ----> COUNTING  modes 0 and 4 go on
 *   HELD --------- gate rises ----> LOADING   modes 2 and 3 begin anew
 *   COUNTING ----- gate rises ----> LOADING   modes 1 and 5
 *   COUNTING ----- count ---------> LOADING   modes 0 and 4
 */
enum pit_state {
	PIT_EMPTY,
	PIT_READY,
	PIT_LOADING,
	PIT_COUNTING,
	PIT_HELD,
};

struct pit_counter {
	uint8_t mode; /* 0 to 5 */
	enum pit_access access;
	bool bcd, gate;
	enum pit_state state;
	uint32_t count; /* from which it counts down, 1 to 65,536 */
	uint64_t start; /* the tick that takes count or has taken it */
	/* A count that was written and is not yet taken: by modes 2 and 3 when
	 * a cycle ends (take_at), by modes 1 and 5 at the next trigger. */
	bool has_next;
	uint32_t next;
	uint64_t take_at;
	uint64_t elapsed; /* HELD, modes 0 and 4: ticks counted so far */
	uint32_t shown;   /* the counter while it does not count */
	bool out;         /* LOADING: as it was before */
	/* the CPU's side */
	bool second_write, second_read;
	uint8_t low_written;
	bool latched, status_latched;
	uint16_t latch;
	uint8_t status;
};

struct pit {
	struct pit_counter counter[PIT_COUNTERS];
	uint8_t speaker; /* bits 0 to 3 of its port */
};

/* At rest: no counter runs before a guest has programmed it. */
void pit_init(struct pit *pit);

/* Could it have come about by now?  For a state from outside. */
bool pit_is_sane(const struct pit *pit, uint64_t now_ns);

/* The ports named above, a byte each. */
uint8_t pit_read(struct pit *pit, uint16_t port, uint64_t now_ns);
void pit_write(struct pit *pit, uint16_t port, uint8_t value, uint64_t now_ns);

/* A counter's OUT. */
bool pit_out(struct pit *pit, unsigned int counter, uint64_t now_ns);

/* When counter 0's OUT rises next, after now; PIT_NEVER if it does not before
 * somebody writes to it. */
uint64_t pit_next_rise_ns(struct pit *pit, uint64_t now_ns);

#endif
