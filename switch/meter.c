/*
 * The sender: a run from its first question to its result.
 *
 * A stream's clock is exact: the instant at which frame n is due is kept as
 * whole nanoseconds and a rest in parts of the rate, so that no error adds up.
 * Frames of a burst are charged at its end.  A loop that was late sends what is
 * due at once, a round at a time, so the mean rate holds as long as this thread
 * can do it; what it cannot shows in the result's own rate.
 *
 * A frame's mark has the time at which it was sent, not that at which it was
 * due: what is measured is the network, not this thread.
 *
 * Where a router is on the way it may have to find its own next hop first, and
 * keeps one frame meanwhile, so frames that are not counted go before the
 * stream until one has come through (RFC 2544, 23).  Without a router none do:
 * the stream's frame 1 is the cable's.
 */
#include "switch/meter.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "switch/meter_state.h"

#define DISCARD     9
#define SOURCE_PORT 49152
#define TRIES       3
#define ASK_NS      NS_PER_S
#define WARM_NS     (100 * NS_PER_MS)
#define WARM_TRIES  30
#define TEACH_NS    (60 * NS_PER_S)

static void enter_asking(struct meter *m);
static void enter_warming(struct meter *m);
static void enter_sending(struct meter *m);
static void enter_draining(struct meter *m);
static void enter_idle(struct meter *m);

#define TO(phase) (1u << METER_##phase)

static const struct {
	const char *name;
	unsigned int next; /* phases we may leave for */
	void (*enter)(struct meter *m);
} phases[] = {
	[METER_IDLE] = { "idle", TO(ASKING) | TO(SENDING), enter_idle },
	[METER_ASKING] = { "asking", TO(WARMING) | TO(SENDING) | TO(IDLE),
	    enter_asking },
	[METER_WARMING] = { "warming", TO(SENDING) | TO(IDLE), enter_warming },
	[METER_SENDING] = { "sending", TO(DRAINING) | TO(IDLE), enter_sending },
	[METER_DRAINING] = { "draining", TO(IDLE), enter_draining },
};
static_assert(
    sizeof(phases) / sizeof(phases[0]) == METER_NPHASES, "a phase has no row");

static void
set_phase(struct meter *m, enum meter_phase to)
{
	assert(phases[m->phase].next & 1u << to);
	m->phase = to;
	phases[to].enter(m);
}

static void
later(struct meter *m, uint64_t ns)
{
	loop_timer_set(&m->timer, loop_now_ns(m->loop) + ns);
}

/* ---- one frame ---- */

static uint64_t
mix(uint64_t x)
{
	x ^= x << 13;
	x ^= x >> 7;
	return x ^ x << 17;
}

static uint32_t
next_size(struct meter *m)
{
	const struct meter_sizes *s = &m->options.sizes;
	uint32_t bytes;

	switch (s->order) {
	case METER_IN_TURN: return s->bytes[m->sent % s->n];
	case METER_SWEEP:
		bytes = m->sweep++;
		if (m->sweep > s->bytes[1])
			m->sweep = s->bytes[0];
		return bytes;
	case METER_RANDOM:
		m->random = mix(m->random);
		return s->bytes[0] +
		    (uint32_t)((m->random >> 16) %
			(s->bytes[1] - s->bytes[0] + 1));
	}
	return s->bytes[0];
}

static void
flush(struct meter *m)
{
	if (m->burst.n > 0)
		port_send(&m->port, &m->burst);
	burst_clear(&m->burst);
}

static void
stage(struct meter *m, uint32_t bytes, uint32_t number)
{
	uint8_t *out = m->frame[m->burst.n];

	test_frame_make(
	    out, bytes, &m->shape, &m->fill, number, loop_now_ns(m->loop));
	burst_add(&m->burst, out, bytes);
	if (m->burst.n == BURST_MAX)
		flush(m);
}

/* Time that the frames since the last charge take at the rate. */
static void
charge(struct meter *m)
{
	uint64_t rate = m->options.fps + m->options.bps;

	if (rate == 0)
		return;
	m->rest += m->waiting * NS_PER_S;
	m->due_ns += m->rest / rate;
	m->rest %= rate;
	m->waiting = 0;
}

static void
send_next(struct meter *m)
{
	uint32_t bytes = next_size(m);

	m->waiting +=
	    m->options.bps != 0 ? (bytes + METER_WIRE_BYTES) * UINT64_C(8) : 1;
	m->sent_bytes += bytes;
	/* Before it is on its way: the receiver looks. */
	stage(m, bytes, (uint32_t)m->sent++);
	if (m->sent % m->options.burst == 0)
		charge(m);
}

/* ---- sending ---- */

static bool
is_paced(const struct meter *m)
{
	return m->options.fps + m->options.bps != 0;
}

static bool
has_more(const struct meter *m)
{
	const struct meter_options *o = &m->options;
	uint64_t at = is_paced(m) ? m->due_ns : loop_now_ns(m->loop);

	return m->sent < METER_COUNT_MAX &&
	    (o->count == 0 || m->sent < o->count) &&
	    (o->for_ns == 0 || at - m->start_ns < o->for_ns);
}

static void
teach(struct meter *m, uint64_t now)
{
	if (m->shape.pattern != TEST_ETHERNET || now < m->teach_ns)
		return;
	m->teach_ns = now + TEACH_NS;
	meter_teach(m->to, m->options.vlan);
}

/* A round of frames. */
static void
send_round(struct meter *m)
{
	uint64_t now;

	loop_update_now(m->loop);
	now = loop_now_ns(m->loop);
	teach(m, now);
	if (is_paced(m) && now > m->due_ns && now - m->due_ns > m->late_ns)
		m->late_ns = now - m->due_ns;
	for (unsigned int i = 0; i < METER_ROUND && has_more(m) &&
	     (!is_paced(m) || m->due_ns <= now);
	     i++)
		send_next(m);
	flush(m);
	if (!has_more(m)) {
		charge(m);
		loop_update_now(m->loop);
		now = loop_now_ns(m->loop);
		m->stop_ns = is_paced(m) && m->due_ns > now ? m->due_ns : now;
		set_phase(m, METER_DRAINING);
	} else if (is_paced(m)) {
		loop_timer_set(&m->timer, m->due_ns);
	} else {
		loop_defer_ask(&m->again);
	}
}

static void
send_more(void *arg)
{
	send_round(arg);
}

static void
enter_sending(struct meter *m)
{
	loop_update_now(m->loop);
	m->start_ns = m->due_ns = loop_now_ns(m->loop);
	loop_timer_set(&m->timer, m->start_ns);
}

/* ---- before and after ---- */

static void
fail(struct meter *m, const char *why)
{
	m->why = why;
	set_phase(m, METER_IDLE);
}

static void
enter_asking(struct meter *m)
{
	m->tries = 0;
	loop_timer_set(&m->timer, loop_now_ns(m->loop));
}

static void
ask(struct meter *m)
{
	if (m->known) {
		set_phase(m, m->routed ? METER_WARMING : METER_SENDING);
	} else if (m->tries++ < TRIES) {
		later(m, ASK_NS);
		meter_ask(m);
	} else {
		fail(m,
		    m->routed ? "the gateway does not answer for its "
				"address"
			      : "the receiver does not answer for its "
				"address; nothing comes through");
	}
}

void
meter_hop_known(struct meter *m, const struct mac *mac)
{
	if (m->phase != METER_ASKING)
		return;
	m->shape.dst = *mac;
	m->known = true;
	loop_timer_set(&m->timer, loop_now_ns(m->loop));
}

static void
enter_warming(struct meter *m)
{
	m->tries = 0;
	loop_timer_set(&m->timer, loop_now_ns(m->loop));
}

static void
warm_up(struct meter *m)
{
	if (m->to->warm) {
		set_phase(m, METER_SENDING);
	} else if (m->tries++ < WARM_TRIES) {
		later(m, WARM_NS);
		stage(m, (uint32_t)test_frame_min(&m->shape), TEST_WARM_UP);
		flush(m);
	} else {
		fail(m,
		    "no frame comes through the gateway; lanyard show "
		    "LAB drops says where they end");
	}
}

void
meter_heard(struct meter *m)
{
	if (m->phase == METER_WARMING || m->phase == METER_DRAINING)
		loop_timer_set(&m->timer, loop_now_ns(m->loop));
}

static void
enter_draining(struct meter *m)
{
	if (m->to->tally.received == m->sent)
		later(m, 0);
	else
		later(m, m->options.wait_ns);
}

static void
enter_idle(struct meter *m)
{
	tally_finish(&m->to->tally, m->sent);
	m->to->fed_by = NULL;
	m->done(m->arg);
}

static void
timer_is_over(void *arg)
{
	struct meter *m = arg;

	switch (m->phase) {
	case METER_IDLE: return;
	case METER_ASKING: ask(m); return;
	case METER_WARMING: warm_up(m); return;
	case METER_SENDING: send_round(m); return;
	case METER_DRAINING: set_phase(m, METER_IDLE); return;
	case METER_NPHASES: break;
	}
}

/* ---- runs ---- */

static enum test_pattern
pattern_of(const struct meter *from, const struct meter *to,
    const struct meter_options *o)
{
	if (!o->any_pattern)
		return o->pattern;
	if (from->address.ip4.addr != 0 && to->address.ip4.addr != 0)
		return TEST_UDP4;
	if (!ip6_is_zero(&from->address.ip6) && !ip6_is_zero(&to->address.ip6))
		return TEST_UDP6;
	return TEST_ETHERNET;
}

static int
no_address(const struct meter *m, const char *family, struct err *err)
{
	return err_set(err, -EINVAL,
	    "%s has no IPv%s address; give it one in its locator, or use "
	    "another pattern",
	    m->port.name, family);
}

static int
no_way(const struct meter *m, struct err *err)
{
	return err_set(err, -EINVAL,
	    "%s: the receiver is on another network, and it has no gateway; "
	    "give it one in its locator",
	    m->port.name);
}

/* Where the frames go first. */
static int
find_hop4(struct meter *m, struct err *err)
{
	if (m->address.ip4.addr == 0)
		return no_address(m, "4", err);
	if (m->to->address.ip4.addr == 0)
		return no_address(m->to, "4", err);
	m->routed = !ip4_net_has(m->address.ip4, m->to->address.ip4.addr);
	m->hop4 = m->routed ? m->address.gateway4 : m->to->address.ip4.addr;
	return m->hop4 == 0 ? no_way(m, err) : 0;
}

static int
find_hop6(struct meter *m, struct err *err)
{
	if (ip6_is_zero(&m->address.ip6))
		return no_address(m, "6", err);
	if (ip6_is_zero(&m->to->address.ip6))
		return no_address(m->to, "6", err);
	m->routed = ip6_common_bits(&m->address.ip6, &m->to->address.ip6) <
	    m->address.prefix6;
	m->hop6 = m->routed ? m->address.gateway6 : m->to->address.ip6;
	return ip6_is_zero(&m->hop6) ? no_way(m, err) : 0;
}

static int
find_hop(struct meter *m, struct err *err)
{
	m->known = false;
	m->routed = false;
	switch (m->shape.pattern) {
	case TEST_ETHERNET:
		m->shape.dst = m->to->address.mac;
		m->known = true;
		return 0;
	case TEST_UDP4: return find_hop4(m, err);
	case TEST_UDP6: return find_hop6(m, err);
	}
	return 0;
}

static int
check_sizes(const struct meter *m, struct err *err)
{
	const struct meter_sizes *s = &m->options.sizes;
	unsigned int n = s->order == METER_IN_TURN ? s->n : 2;
	size_t least = test_frame_min(&m->shape);

	for (unsigned int i = 0; i < n; i++)
		if (s->bytes[i] < least)
			return err_set(err, -EINVAL,
			    "frames of %u bytes have no room for what is "
			    "measured; use %zu or more",
			    s->bytes[i] + 4, least + 4);
	return 0;
}

static void
set_shape(struct meter *m, const struct meter_options *o)
{
	m->shape = (struct test_shape){
		.pattern = pattern_of(m, m->to, o),
		.stream = m->run,
		.src = m->address.mac,
		.vlan = o->vlan,
		.src4 = m->address.ip4.addr,
		.dst4 = m->to->address.ip4.addr,
		.src6 = m->address.ip6,
		.dst6 = m->to->address.ip6,
		.sport = SOURCE_PORT,
		.dport = o->port != 0 ? o->port : DISCARD,
		.flows = (uint32_t)o->flows,
		.macs = (uint32_t)o->macs,
	};
}

static int
check_free(const struct meter *from, const struct meter *to, struct err *err)
{
	if (from == to)
		return err_set(err, -EINVAL,
		    "%s cannot measure the way to itself; name another one",
		    from->port.name);
	if (from->loop != to->loop)
		return err_set(err, -EINVAL,
		    "%s and %s have different clocks; use two of one lab",
		    from->port.name, to->port.name);
	if (from->phase != METER_IDLE)
		return err_set(err, -EBUSY,
		    "%s sends already; wait until that run is over",
		    from->port.name);
	if (to->fed_by != NULL)
		return err_set(err, -EBUSY,
		    "%s receives from %s already; wait until that run is over",
		    to->port.name, to->fed_by->port.name);
	return 0;
}

int
meter_start(struct meter *m, struct meter *to,
    const struct meter_options *options, void (*done)(void *arg), void *arg,
    struct err *err)
{
	int e = check_free(m, to, err);

	if (e == 0)
		e = meter_options_check(options, err);
	if (e < 0)
		return e;
	if (options->fps + options->bps == 0 &&
	    loop_clock(m->loop) == LOOP_VIRTUAL)
		return err_set(err, -EINVAL,
		    "in virtual time nothing is as fast as possible; "
		    "give a rate");
	if (m->to != NULL && m->to->last == m)
		m->to->last = NULL;
	m->to = to;
	m->options = *options;
	set_shape(m, options);
	e = find_hop(m, err);
	if (e == 0)
		e = check_sizes(m, err);
	if (e < 0) {
		m->to = NULL;
		return e;
	}
	m->done = done;
	m->arg = arg;
	m->sent = m->sent_bytes = m->rest = m->waiting = m->late_ns = 0;
	m->start_ns = m->stop_ns = m->teach_ns = 0;
	m->sweep = options->sizes.bytes[0];
	m->random = options->seed * 2 + 1;
	m->why = NULL;
	/* What it counted for another is no more. */
	if (to->last != NULL && to->last != m && to->last->to == to)
		to->last->to = NULL;
	tally_clear(&to->tally);
	to->fed_by = to->last = m;
	to->stream = m->run++;
	to->warm = false;
	set_phase(m, m->known ? METER_SENDING : METER_ASKING);
	return 0;
}

void
meter_stop(struct meter *m)
{
	loop_timer_unset(&m->timer);
	loop_defer_cancel(&m->again);
	if (m->phase == METER_IDLE)
		return;
	m->to->fed_by = NULL;
	m->phase = METER_IDLE; /* without its enter(): nobody waits */
}

bool
meter_result(const struct meter *m, struct meter_result *r)
{
	uint64_t end =
	    m->phase == METER_SENDING ? loop_now_ns(m->loop) : m->stop_ns;

	if (m->to == NULL)
		return false;
	*r = (struct meter_result){
		.pattern = m->shape.pattern,
		.sent = m->sent,
		.sent_bytes = m->sent_bytes,
		.sent_ns = end > m->start_ns ? end - m->start_ns : 0,
		.late_ns = m->late_ns,
		.tally = &m->to->tally,
		.why = m->why,
	};
	return true;
}

/* ---- for tables ---- */

const struct port *
meter_port(const struct meter *m)
{
	return &m->port;
}

const char *
meter_state(const struct meter *m)
{
	return phases[m->phase].name;
}

const struct tally *
meter_tally(const struct meter *m)
{
	return &m->tally;
}

const struct port *
meter_to(const struct meter *m)
{
	return m->to != NULL ? &m->to->port : NULL;
}

const struct port *
meter_fed_by(const struct meter *m)
{
	return m->fed_by != NULL ? &m->fed_by->port : NULL;
}

/* ---- the port ---- */

void
meter_init(struct meter *m, struct loop *loop)
{
	m->loop = loop;
	/* Streams of different senders, and of one that began anew, are told
	 * apart. */
	for (int i = 0; i < 6; i++)
		m->run = (uint16_t)(m->run * 31 + m->address.mac.b[i]);
	test_fill_make(&m->fill);
	loop_timer_init(&m->timer, loop, timer_is_over, m);
	loop_defer_init(&m->again, loop, send_more, m);
}

void
meter_leave(struct meter *m)
{
	meter_stop(m);
	if (m->fed_by != NULL)
		meter_stop(m->fed_by);
	if (m->last != NULL && m->last->to == m)
		m->last->to = NULL;
	if (m->to != NULL && m->to->last == m)
		m->to->last = NULL;
}
