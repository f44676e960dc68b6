/*
 * wire.h - guests' stacks on a simulated wire, for the tests of vmm/guest.
 *
 * Time is virtual: it jumps to the next frame or timer.  The wire loses,
 * doubles, delays and reorders by a seeded generator, so a test that failed
 * fails again.  A test may also be a station itself: it is shown each frame
 * that a stack sends, and puts frames on the wire.
 */
#ifndef TESTS_GUEST_WIRE_H
#define TESTS_GUEST_WIRE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/guest/shell.h"
#include "vmm/guest/stack.h"

#define WIRE_STATIONS 2
#define WIRE_FRAMES   1024
#define WIRE_MTU      1500

struct wire;

struct station {
	struct wire *wire;
	struct stack stack;
	struct netif *nif;
	uint8_t room[NETIF_MTU_MAX + ETH_HEADER_BYTES];
};

struct wire_frame {
	uint64_t at_us;
	uint64_t order;
	unsigned int to;
	size_t len;
	uint8_t *data;
};

struct wire {
	uint64_t now_us, order;
	struct station *station[WIRE_STATIONS];
	struct wire_frame frame[WIRE_FRAMES];
	unsigned int nframes;
	/* Of 1000 frames. */
	unsigned int lose, twice, late;
	uint64_t delay_us, late_us;
	uint64_t seed;
	/* What a stack sends; NULL: goes to the other station. */
	void (*sent)(struct wire *wire, unsigned int from, const uint8_t *frame,
	    size_t len);
	void *arg;
	unsigned int lost, sent_frames;
};

static inline uint32_t
wire_random(struct wire *wire)
{
	uint64_t z = wire->seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ z >> 31) >> 32);
}

static inline void
wire_queue(struct wire *wire, unsigned int to, const uint8_t *data, size_t len,
    uint64_t at_us)
{
	struct wire_frame *f;

	if (wire->nframes == WIRE_FRAMES)
		return;
	f = &wire->frame[wire->nframes++];
	f->at_us = at_us;
	f->order = wire->order++;
	f->to = to;
	f->len = len;
	f->data = malloc(len > 0 ? len : 1);
	assert_non_null(f->data);
	memcpy(f->data, data, len);
}

/* Puts a frame on the wire, with all that may happen to it. */
static inline void
wire_put(struct wire *wire, unsigned int to, const uint8_t *data, size_t len)
{
	uint64_t at_us = wire->now_us + wire->delay_us;

	if (wire_random(wire) % 1000 < wire->lose) {
		wire->lost++;
		return;
	}
	if (wire_random(wire) % 1000 < wire->late)
		at_us += wire_random(wire) % (wire->late_us + 1);
	wire_queue(wire, to, data, len, at_us);
	if (wire_random(wire) % 1000 < wire->twice)
		wire_queue(wire, to, data, len,
		    at_us + wire_random(wire) % (wire->late_us + 1));
}

static inline uint8_t *
station_room(struct netif *nif, size_t len_bytes)
{
	struct station *s = nif->driver;

	return len_bytes <= sizeof(s->room) ? s->room : NULL;
}

static inline void
station_send(struct netif *nif, size_t len_bytes)
{
	struct station *s = nif->driver;
	struct wire *wire = s->wire;
	const unsigned int me = wire->station[0] == s ? 0 : 1;

	wire->sent_frames++;
	if (wire->sent != NULL)
		wire->sent(wire, me, s->room, len_bytes);
	else
		wire_put(wire, 1 - me, s->room, len_bytes);
}

static inline void
station_flush(struct netif *nif)
{
	(void)nif;
}

static const struct netif_ops station_ops = { station_room, station_send,
	station_flush };

/* A stack on the wire; address NULL: none.  Freed by wire_free(). */
static inline struct stack *
wire_station(struct wire *wire, unsigned int i, const char *address)
{
	struct station *s = calloc(1, sizeof(*s));
	struct mac mac = { { 2, 0, 0, 0, 0, (uint8_t)(i + 1) } };
	char text[64];

	assert_non_null(s);
	wire->station[i] = s;
	s->wire = wire;
	stack_init(&s->stack, i == 0 ? "alice" : "bob", wire->seed + i, 42);
	s->nif = netif_add(&s->stack, &station_ops, s, &mac, WIRE_MTU);
	netif_link(s->nif, true);
	if (address != NULL) {
		strcpy(text, address);
		assert_null(stack_set_address(s->nif, text));
	}
	return &s->stack;
}

static inline struct wire *
wire_new(uint64_t seed)
{
	struct wire *wire = calloc(1, sizeof(*wire));

	assert_non_null(wire);
	wire->seed = seed;
	wire->delay_us = 500;
	wire->now_us = 1000000;
	return wire;
}

static inline void
wire_free(struct wire *wire)
{
	for (unsigned int i = 0; i < wire->nframes; i++)
		free(wire->frame[i].data);
	for (unsigned int i = 0; i < WIRE_STATIONS; i++)
		free(wire->station[i]);
	free(wire);
}

/* The next thing that happens; TIMER_NEVER if nothing will. */
static inline uint64_t
wire_next_us(const struct wire *wire)
{
	uint64_t next_us = TIMER_NEVER, us;

	for (unsigned int i = 0; i < wire->nframes; i++)
		if (wire->frame[i].at_us < next_us)
			next_us = wire->frame[i].at_us;
	for (unsigned int i = 0; i < WIRE_STATIONS; i++) {
		if (wire->station[i] == NULL)
			continue;
		us = stack_next_us(&wire->station[i]->stack);
		if (us < next_us)
			next_us = us;
	}
	return next_us;
}

static inline void
wire_deliver(struct wire *wire)
{
	for (;;) {
		struct wire_frame *first = NULL, f;

		for (unsigned int i = 0; i < wire->nframes; i++) {
			struct wire_frame *g = &wire->frame[i];

			if (g->at_us <= wire->now_us &&
			    (first == NULL || g->at_us < first->at_us ||
				(g->at_us == first->at_us &&
				    g->order < first->order)))
				first = g;
		}
		if (first == NULL)
			return;
		f = *first;
		*first = wire->frame[--wire->nframes];
		if (wire->station[f.to] != NULL)
			netif_input(wire->station[f.to]->nif, f.data, f.len, 0);
		free(f.data);
	}
}

/* One round of everybody at the present time. */
static inline void
wire_round(struct wire *wire)
{
	for (unsigned int i = 0; i < WIRE_STATIONS; i++)
		if (wire->station[i] != NULL)
			stack_round(&wire->station[i]->stack, wire->now_us);
	wire_deliver(wire);
	for (unsigned int i = 0; i < WIRE_STATIONS; i++)
		if (wire->station[i] != NULL)
			while (stack_flush(&wire->station[i]->stack))
				;
}

/* Runs until until_us, or until done says so. */
static inline void
wire_run(struct wire *wire, uint64_t until_us, const bool *done)
{
	wire_round(wire);
	while (done == NULL || !*done) {
		const uint64_t next_us = wire_next_us(wire);

		if (next_us > until_us) {
			if (until_us > wire->now_us && until_us != TIMER_NEVER)
				wire->now_us = until_us;
			wire_round(wire);
			return;
		}
		if (next_us > wire->now_us)
			wire->now_us = next_us;
		wire_round(wire);
	}
}

static inline void
wire_pass(struct wire *wire, uint64_t us)
{
	wire_run(wire, wire->now_us + us, NULL);
}

/* ---- a shell whose output is kept and whose waiting runs the wire ---- */

struct wire_shell {
	struct shell shell;
	struct wire *wire;
	char text[65536];
	size_t len;
	uint64_t interrupt_us; /* when it is; 0: never */
	bool ended;
	enum shell_end how;
};

static inline void
wire_shell_write(struct shell *sh, const char *data, size_t len)
{
	struct wire_shell *s = sh->arg;

	assert_true(s->len + len < sizeof(s->text));
	memcpy(s->text + s->len, data, len);
	s->len += len;
	s->text[s->len] = '\0';
}

static inline void
wire_shell_wait(struct shell *sh, uint64_t until_us)
{
	struct wire_shell *s = sh->arg;

	if (s->interrupt_us != 0 && s->interrupt_us <= until_us) {
		wire_run(s->wire, s->interrupt_us, &sh->woken);
		if (s->wire->now_us >= s->interrupt_us) {
			s->interrupt_us = 0;
			sh->interrupted = true;
		}
		return;
	}
	assert_true(
	    until_us != TIMER_NEVER || wire_next_us(s->wire) != TIMER_NEVER);
	wire_run(s->wire, until_us, &sh->woken);
}

static inline void
wire_shell_end(struct shell *sh, enum shell_end how)
{
	struct wire_shell *s = sh->arg;

	s->ended = true;
	s->how = how;
}

static const struct shell_ops wire_shell_ops = { wire_shell_write,
	wire_shell_wait, wire_shell_end };

static inline void
wire_shell_init(struct wire_shell *s, struct wire *wire, unsigned int station)
{
	*s = (struct wire_shell){ .wire = wire };
	s->shell.stack = &wire->station[station]->stack;
	s->shell.ops = &wire_shell_ops;
	s->shell.arg = s;
}

/* Runs a line and returns its status; the output is in s->text. */
static inline int
wire_shell_run(struct wire_shell *s, const char *line)
{
	char copy[SHELL_LINE_BYTES];

	assert_true(strlen(line) < sizeof(copy));
	strcpy(copy, line);
	s->len = 0;
	s->text[0] = '\0';
	wire_round(s->wire);
	return shell_run(&s->shell, copy);
}

#endif
