/*
 * rings.h - guests and what moves frames between them, for the bench.
 *
 *     guests (one process)               mover (another, other processor)
 *     fill A's transmit ring  ------->   the fabric, the ceiling, or another
 *     empty the others' receive rings <- switch that serves vhost-user sockets
 *
 * With a router for a mover, A is inside and B is outside.
 *
 * Front 0 is A.  Front 1 is B; those behind it receive broadcasts, or idle.
 */
#ifndef TESTS_BENCH_SWITCH_RINGS_H
#define TESTS_BENCH_SWITCH_RINGS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/switch/vhost_frontend.h"

#define FRONTS_MAX 256
#define SIZE       256
#define STRIDE     2048
#define HEADER     12
#define BURST      64

enum { FLAGS, IDX, RING };

/* What guests and mover share beside the rings. */
struct shared {
	_Atomic uint64_t stop;
	double result; /* frames per second, or nanoseconds */
	double lost;
};

/* What frames are, where a switch would not do. */
struct dress {
	void (*frame)(uint8_t *at, unsigned int n); /* the n-th of A's ring */
	void (*hello)(uint8_t *at); /* of 60 bytes: B says where it is */
	unsigned int mark_at;       /* 8 bytes that may be of any value and
	                               have the same sum */
};

struct bench {
	struct shared *shared;
	const struct dress *dress; /* NULL: payload without a meaning */
	struct front front[FRONTS_MAX];
	char path[FRONTS_MAX][96];
	unsigned int nfronts;
	unsigned int nreceivers; /* from B on */
	unsigned int nmacs;      /* behind B, that A sends to in no order */
	unsigned int bytes;
	double seconds;
	bool events, broadcast;
	bool kicks; /* A kicks when asked to; else its ring is polled */
};

extern const uint8_t mac_a[6], mac_b[6];

static inline uint16_t
load(const uint16_t *at)
{
	return __atomic_load_n(at, __ATOMIC_ACQUIRE);
}

static inline void
store(uint16_t *at, uint16_t v)
{
	__atomic_store_n(at, v, __ATOMIC_RELEASE);
}

/* ---- main.c ---- */
double now_s(void);
_Noreturn void die(const char *what);
void notify(int fd); /* an eventfd */
void drain(int fd);

/* ---- guests.c ---- */

/* Memory and rings of all fronts; A's frames are ready. */
void guests_lay_out(struct bench *bench);
/* Connects all fronts to their sockets, and has B say where it is. */
void guests_plug_in(struct bench *bench);
/* Sends and receives for so many seconds; result and lost are filled in. */
void guests_run(struct bench *bench);
/* One frame at a time, a millisecond apart, all asleep between: result is the
 * median time from A's kick to B's wake. */
void guests_ping(struct bench *bench);

/* ---- movers: until stop ---- */
void ceiling_run(struct bench *bench);
void bare_run(struct bench *bench); /* answers kicks, moves nothing */
void fabric_run(struct bench *bench);
void nat_run(struct bench *bench); /* tests/bench/nat/router.c */

extern const struct dress nat_dress;

#endif
