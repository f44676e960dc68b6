/*
 * The 8254 (Intel 231164).
 *
 * Nothing ticks.  A counter that counts is a count and the tick that took it;
 * what it shows and its OUT follow from how many ticks that is ago.  sync()
 * brings the few things up to date that happen at a certain tick.
 *
 * A tick's number is the time in periods of the chip's clock, rounded down, in
 * 128 bits on the way: no error adds up.  Ticks are compared by differences,
 * for in mode 3 a count may be taken in the middle of a cycle that, with this
 * count, would have begun before time did.
 *
 * A count of 1 in modes 2 and 3, which the data sheet forbids, counts as 2.
 * BCD counts with digits above 9 count as the sum of their digits'
 * weights.
 */
#include "vmm/chips/pit.h"

#include <assert.h>
#include <string.h>

#define NS_PER_S UINT64_C(1000000000)

#define SPEAKER_BITS 0x0f /* that can be written */
#define SPEAKER_GATE 0x01
#define REFRESH_BIT  0x10 /* toggles every 16 us, for old delay loops */
#define REFRESH_NS   16384
#define OUT2_BIT     0x20

#define CONTROL_READ_BACK 3
#define READ_BACK_COUNT   0x20 /* when clear */
#define READ_BACK_STATUS  0x10 /* when clear */
#define STATUS_OUT        0x80
#define STATUS_NULL       0x40 /* a count that was written is not yet taken */

static uint64_t
tick_of(uint64_t ns)
{
	return (uint64_t)((unsigned __int128)ns * PIT_HZ / NS_PER_S);
}

/* The first instant of a tick. */
static uint64_t
ns_of(uint64_t tick)
{
	unsigned __int128 ns =
	    ((unsigned __int128)tick * NS_PER_S + PIT_HZ - 1) / PIT_HZ;

	return ns < PIT_NEVER ? (uint64_t)ns : PIT_NEVER;
}

static bool
reached(uint64_t tick, uint64_t at)
{
	return (int64_t)(tick - at) >= 0;
}

/* ---- a counter at a tick ---- */

/* The first part of mode 3's cycle, when OUT is high. */
static uint32_t
high_part(uint32_t count)
{
	return (count + 1) / 2;
}

static bool
is_periodic(const struct pit_counter *c)
{
	return c->mode == 2 || c->mode == 3;
}

/* Modes that a rising gate starts. */
static bool
is_triggered(const struct pit_counter *c)
{
	return c->mode == 1 || c->mode == 5;
}

/* A count written while another one was running takes over. */
static void
take_next(struct pit_counter *c)
{
	bool high = c->mode == 2 || (c->take_at - c->start) % c->count == 0;

	c->start = c->take_at;
	if (!high) /* the new count's low part begins */
		c->start -= high_part(c->next);
	c->count = c->next;
	c->has_next = false;
}

static void
sync(struct pit_counter *c, uint64_t tick)
{
	if (c->state == PIT_LOADING && reached(tick, c->start))
		c->state = PIT_COUNTING;
	if (c->state == PIT_COUNTING && is_periodic(c) && c->has_next &&
	    reached(tick, c->take_at))
		take_next(c);
}

static uint32_t
modulus(const struct pit_counter *c)
{
	return c->bcd ? 10000 : 65536;
}

/* What the counter holds, as a number. */
static uint32_t
holds(const struct pit_counter *c, uint64_t tick)
{
	uint64_t past = tick - c->start;
	uint64_t m = modulus(c);
	uint32_t at;

	if (c->state == PIT_HELD && !is_periodic(c))
		past = c->elapsed;
	else if (c->state != PIT_COUNTING)
		return c->shown;
	switch (c->mode) {
	case 2: return c->count - (uint32_t)(past % c->count);
	case 3:
		at = (uint32_t)(past % c->count);
		if (at >= high_part(c->count))
			at -= high_part(c->count);
		return (c->count & ~1u) - 2 * at;
	default: return (uint32_t)((c->count + m - past % m) % m);
	}
}

/* And as its bits. */
static uint16_t
shows(const struct pit_counter *c, uint64_t tick)
{
	uint32_t v = holds(c, tick);

	if (!c->bcd)
		return (uint16_t)v;
	return (uint16_t)(v / 1000 % 10 << 12 | v / 100 % 10 << 8 |
	    v / 10 % 10 << 4 | v % 10);
}

static bool
out_after(const struct pit_counter *c, uint64_t past)
{
	switch (c->mode) {
	case 2: return past % c->count != c->count - 1;
	case 3: return past % c->count < high_part(c->count);
	case 4:
	case 5: return past != c->count;
	default: return past >= c->count;
	}
}

static bool
out(const struct pit_counter *c, uint64_t tick)
{
	switch (c->state) {
	case PIT_EMPTY:
	case PIT_READY: return c->mode != 0;
	case PIT_LOADING: return c->mode != 0 && c->out;
	case PIT_HELD: return c->mode != 0 || c->elapsed >= c->count;
	case PIT_COUNTING: break;
	}
	return out_after(c, tick - c->start);
}

/* ---- what happens to it ---- */

static void
rest(struct pit_counter *c, enum pit_state state, uint64_t tick)
{
	c->shown = holds(c, tick);
	c->out = out(c, tick);
	c->state = state;
}

static void
load(struct pit_counter *c, uint64_t tick)
{
	rest(c, PIT_LOADING, tick);
	c->start = tick + 1;
	if (c->has_next) {
		c->count = c->next;
		c->has_next = false;
	}
}

/* Modes 0 and 4 stand still ... */
static void
hold(struct pit_counter *c, uint64_t tick)
{
	c->elapsed = c->state == PIT_COUNTING ? tick - c->start : 0;
	if (c->mode == 4 && c->elapsed == c->count)
		c->elapsed++; /* the strobe is not held */
	rest(c, PIT_HELD, tick);
}

/* ... and go on, behind the tick that takes the count. */
static void
go_on(struct pit_counter *c, uint64_t tick)
{
	if (c->elapsed != 0 || reached(tick, c->start))
		c->start = tick - c->elapsed;
	c->state = PIT_COUNTING;
	if (!reached(tick, c->start))
		c->state = PIT_LOADING;
}

static void
gate(struct pit_counter *c, bool level, uint64_t tick)
{
	bool counts = c->state == PIT_LOADING || c->state == PIT_COUNTING;

	if (level == c->gate)
		return;
	c->gate = level;
	if (is_triggered(c)) {
		if (level && c->state != PIT_EMPTY)
			load(c, tick);
	} else if (!level && counts) {
		hold(c, tick);
	} else if (level && c->state == PIT_HELD) {
		if (is_periodic(c))
			load(c, tick);
		else
			go_on(c, tick);
	}
}

/* When the present cycle, or half of it, ends. */
static uint64_t
cycle_end(const struct pit_counter *c, uint64_t tick)
{
	uint64_t past = tick - c->start;
	uint64_t begun = c->start + past / c->count * c->count;

	if (c->mode == 3 && past % c->count < high_part(c->count))
		return begun + high_part(c->count);
	return begun + c->count;
}

static void
write_count(struct pit_counter *c, uint16_t value, uint64_t tick)
{
	uint32_t n = value;

	if (c->bcd)
		n = (n >> 12) * 1000 + (n >> 8 & 15) * 100 +
		    (n >> 4 & 15) * 10 + (n & 15);
	c->next = n != 0 ? n : modulus(c);
	if (is_periodic(c) && c->next == 1)
		c->next = 2;
	c->has_next = true;
	if (is_triggered(c)) {
		if (c->state == PIT_EMPTY)
			c->state = PIT_READY;
		else if (c->state == PIT_LOADING)
			load(c, tick); /* the trigger's tick is yet to come */
	} else if (is_periodic(c) && c->state == PIT_COUNTING) {
		c->take_at = cycle_end(c, tick);
	} else if (!is_periodic(c) || c->state != PIT_HELD) {
		load(c, tick);
		if (c->gate)
			return;
		c->state = PIT_HELD; /* taken, but not counted */
		c->elapsed = 0;
		c->shown = c->mode == 3 ? c->count & ~1u : c->count;
	}
}

/* ---- the CPU's side ---- */

static void
counter_write(struct pit_counter *c, uint8_t value, uint64_t tick)
{
	switch (c->access) {
	case PIT_NO_ACCESS: break;
	case PIT_LOW: write_count(c, value, tick); break;
	case PIT_HIGH: write_count(c, (uint16_t)(value << 8), tick); break;
	case PIT_BOTH:
		c->second_write = !c->second_write;
		if (!c->second_write) {
			write_count(
			    c, (uint16_t)(value << 8 | c->low_written), tick);
			break;
		}
		c->low_written = value;
		if (c->mode == 0) /* half a count stops it */
			rest(c, PIT_EMPTY, tick);
		break;
	}
}

static uint8_t
counter_read(struct pit_counter *c, uint64_t tick)
{
	uint16_t v = c->latched ? c->latch : shows(c, tick);

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	if (c->access == PIT_BOTH) {
		c->second_read = !c->second_read;
		if (c->second_read)
			return (uint8_t)v;
	}
	c->latched = false;
	return (uint8_t)(c->access == PIT_LOW ? v : v >> 8);
}

static void
latch_count(struct pit_counter *c, uint64_t tick)
{
	if (c->latched)
		return;
	c->latched = true;
	c->latch = shows(c, tick);
}

static void
latch_status(struct pit_counter *c, uint64_t tick)
{
	bool taken =
	    c->state != PIT_EMPTY && c->state != PIT_LOADING && !c->has_next;

	if (c->status_latched)
		return;
	c->status_latched = true;
	c->status = (uint8_t)((out(c, tick) ? STATUS_OUT : 0) |
	    (taken ? 0 : STATUS_NULL) | c->access << 4 | c->mode << 1 | c->bcd);
}

static void
read_back(struct pit *pit, uint8_t value, uint64_t tick)
{
	for (unsigned int i = 0; i < PIT_COUNTERS; i++) {
		if (!(value >> (i + 1) & 1))
			continue;
		sync(&pit->counter[i], tick);
		if (!(value & READ_BACK_COUNT))
			latch_count(&pit->counter[i], tick);
		if (!(value & READ_BACK_STATUS))
			latch_status(&pit->counter[i], tick);
	}
}

static void
control(struct pit *pit, uint8_t value, uint64_t tick)
{
	struct pit_counter *c;
	unsigned int mode = value >> 1 & 7;

	if (value >> 6 == CONTROL_READ_BACK) {
		read_back(pit, value, tick);
		return;
	}
	c = &pit->counter[value >> 6];
	sync(c, tick);
	if ((value >> 4 & 3) == 0) {
		latch_count(c, tick);
		return;
	}
	rest(c, PIT_EMPTY, tick);
	c->access = (enum pit_access)(value >> 4 & 3);
	c->mode = (uint8_t)(mode > 5 ? mode - 4 : mode);
	c->bcd = value & 1;
	c->has_next = false;
	c->second_write = c->second_read = false;
	c->latched = c->status_latched = false;
}

/* ---- the whole ---- */

void
pit_init(struct pit *pit)
{
	memset(pit, 0, sizeof(*pit));
	for (unsigned int i = 0; i < PIT_COUNTERS; i++) {
		pit->counter[i].gate = i != 2; /* the others' are wired high */
		pit->counter[i].mode = 3;
		pit->counter[i].count = 2;
	}
}

static bool
is_count(const struct pit_counter *c, uint32_t n)
{
	return n >= (is_periodic(c) ? 2 : 1) && n <= 65536;
}

/* Has it taken its count, or will it in time? */
static bool
is_in_time(const struct pit_counter *c, uint64_t tick)
{
	switch (c->state) {
	case PIT_EMPTY:
	case PIT_READY:
	case PIT_HELD: return true;
	case PIT_LOADING: return (int64_t)(c->start - tick) <= 1;
	case PIT_COUNTING: break;
	}
	if (c->has_next && (int64_t)(c->take_at - tick) > 65536)
		return false;
	return reached(tick, c->start) &&
	    (!c->has_next || !is_periodic(c) || reached(c->take_at, c->start));
}

bool
pit_is_sane(const struct pit *pit, uint64_t now_ns)
{
	for (unsigned int i = 0; i < PIT_COUNTERS; i++) {
		const struct pit_counter *c = &pit->counter[i];

		if (c->mode > 5 || (unsigned int)c->access > PIT_BOTH ||
		    (unsigned int)c->state > PIT_HELD || c->shown > 65536)
			return false;
		/* What is not counted with may be left of another mode. */
		if ((c->state != PIT_EMPTY && c->state != PIT_READY &&
			!is_count(c, c->count)) ||
		    (c->has_next && !is_count(c, c->next)) || c->count == 0 ||
		    c->count > 65536 || !is_in_time(c, tick_of(now_ns)))
			return false;
	}
	return (pit->speaker & ~SPEAKER_BITS) == 0;
}

uint8_t
pit_read(struct pit *pit, uint16_t port, uint64_t now_ns)
{
	uint64_t tick = tick_of(now_ns);

	if (port == PIT_PORT_SPEAKER)
		return (uint8_t)(pit->speaker |
		    (now_ns / REFRESH_NS & 1 ? REFRESH_BIT : 0) |
		    (pit_out(pit, 2, now_ns) ? OUT2_BIT : 0));
	assert(port >= PIT_PORT && port <= PIT_PORT_CONTROL);
	if (port == PIT_PORT_CONTROL)
		return 0xff; /* write-only */
	sync(&pit->counter[port - PIT_PORT], tick);
	return counter_read(&pit->counter[port - PIT_PORT], tick);
}

void
pit_write(struct pit *pit, uint16_t port, uint8_t value, uint64_t now_ns)
{
	uint64_t tick = tick_of(now_ns);

	if (port == PIT_PORT_SPEAKER) {
		pit->speaker = value & SPEAKER_BITS;
		sync(&pit->counter[2], tick);
		gate(&pit->counter[2], value & SPEAKER_GATE, tick);
		return;
	}
	assert(port >= PIT_PORT && port <= PIT_PORT_CONTROL);
	if (port == PIT_PORT_CONTROL) {
		control(pit, value, tick);
		return;
	}
	sync(&pit->counter[port - PIT_PORT], tick);
	counter_write(&pit->counter[port - PIT_PORT], value, tick);
}

bool
pit_out(struct pit *pit, unsigned int counter, uint64_t now_ns)
{
	uint64_t tick = tick_of(now_ns);

	assert(counter < PIT_COUNTERS);
	sync(&pit->counter[counter], tick);
	return out(&pit->counter[counter], tick);
}

/* Of a periodic counter, which counts or is about to. */
static uint64_t
next_cycle(const struct pit_counter *c, uint64_t tick)
{
	uint64_t end;

	if (c->state == PIT_LOADING)
		return c->start + c->count;
	end = cycle_end(c, tick);
	if (c->mode == 3 && out(c, tick)) /* that was the high part's */
		end += c->has_next ? c->next / 2 : c->count / 2;
	return end;
}

uint64_t
pit_next_rise_ns(struct pit *pit, uint64_t now_ns)
{
	struct pit_counter *c = &pit->counter[0];
	uint64_t tick = tick_of(now_ns), at;

	sync(c, tick);
	if (c->state != PIT_LOADING && c->state != PIT_COUNTING)
		return PIT_NEVER;
	if (is_periodic(c))
		return ns_of(next_cycle(c, tick));
	/* Modes 1 and 5 need a gate, which this counter's is not. */
	at = c->start + c->count + (c->mode == 4);
	return reached(tick, at) ? PIT_NEVER : ns_of(at);
}
