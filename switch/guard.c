/*
 * Loops that no spanning tree keeps open are found by the trace they leave: an
 * address that was behind one port shows up behind another, or a frame comes in
 * that is still being sent.  A station that was moved looks the same, so the
 * port where it showed up is probed: the switch sends a broadcast of its own
 * there, in the VLAN concerned, and if that comes back, by whatever port, there
 * is a loop.  A quiet LAN without such traces carries no probe.
 *
 *     PLAIN --trace--> PROBED --it comes back--> LOOPED (one of the two ports)
 *       ^                 | it does not            |  | probed every second
 *       '-----------------'                        |  '--- it comes back
 *       ^------------- none for a while -----------'
 *
 * Of the two ports that a probe left and came back by, the one whose link came
 * up last is blocked: most likely that cable made the loop.  Two switches that
 * find the same ring at once may block a port each; they wait for different
 * times before they open it again, and the second one finds the loop closed but
 * for its own port.
 *
 * Where frames go round one way only, since something lets the others not pass,
 * addresses stay where they are.  A port that floods FLOOD_LOOK bursts within
 * FLOOD_LOOK_NS is therefore suspect too: then all are probed.
 *
 * A mirror whose copies come round leaves no trace: they enter by one port and
 * leave by another, always.  So the port that they leave by is probed, once in
 * MIRROR_LOOK copies, also where there is a spanning tree, which knows nothing
 * of mirrors; and if that comes back, it is the mirror's port that is blocked.
 *
 * Storm control and limits of addresses let probes pass, ADMIT_MAX in ADMIT_NS:
 * else a storm of other frames than broadcasts, or of stations that were known
 * before, would hide behind them.  Whoever feigns probes gets so many more
 * frames in.  A VLAN lets none pass.
 *
 * A probe has no state.  It says where and when it was sent and proves it by a
 * keyed hash, and is good for five seconds: cables can delay.  Whoever can
 * receive and send on both sides can feign a loop, which is to say that it is
 * one.  At most ten probes a second leave by a port, but one more for each
 * FLOOD_LOOK bursts that are flooded.
 */
#include "switch/switch_state.h"

#include <stdio.h>

#include "base/log.h"

#define PROBE_BYTES    (ETH_MIN_BYTES + ETH_MAX_VLANS * ETH_VLAN_BYTES)
#define PROBE_GAP_NS   (100 * NS_PER_MS)
#define PROBE_GOOD_NS  (5 * NS_PER_S)
#define MIRROR_LOOK    1024 /* copies */
#define ADMIT_MAX      64   /* probes of one port, in ... */
#define ADMIT_NS       (100 * NS_PER_MS)
#define FLOOD_LOOK     2048 /* bursts of one port, in ... */
#define FLOOD_LOOK_NS  (100 * NS_PER_MS)
#define BLOCKED_GAP_NS NS_PER_S
#define WAIT_MIN_NS    (3 * NS_PER_S) /* without a probe before it opens */
#define WAIT_MORE_MS   3000           /* and up to so much more */

static const uint8_t magic[8] = { 'l', 'a', 'n', 'y', 'a', 'r', 'd', 1 };

static uint64_t
keyed(uint64_t seed, uint64_t a, uint64_t b)
{
	uint64_t h = (seed ^ a) * UINT64_C(0x9e3779b97f4a7c15);

	h = (h ^ h >> 29 ^ b) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ h >> 32 ^ seed) * UINT64_C(0x94d049bb133111eb);
	return h ^ h >> 31;
}

/* ---- probes ---- */

static void
send_probe(struct switch_port *port, uint64_t now_ns)
{
	struct lan_switch *sw = port->sw;
	struct tagging in = { .vlan = port->guard.vlan, .tpid = ETH_VLAN };
	uint8_t bytes[PROBE_BYTES] = { 0 };
	struct writer w = { .at = bytes, .end = bytes + sizeof(bytes) };
	struct new_tag tag = { .changed = false };

	if (port->flags & PORT_MIRROR_TO)
		tag = (struct new_tag){ .changed = in.vlan != 0,
			.tpid = ETH_VLAN,
			.tci = in.vlan };
	else if (port->flags & PORT_VLANS)
		tag = vlan_new_tag(port, &in);
	wr_mac(&w, &mac_broadcast);
	wr_mac(&w, &sw->mac);
	if (tag.changed) {
		wr_be16(&w, tag.tpid);
		wr_be16(&w, tag.tci);
	}
	wr_be16(&w, ETH_LOCAL);
	wr_bytes(&w, magic, sizeof(magic));
	wr_be16(&w, port->index);
	wr_be32(&w, (uint32_t)(now_ns >> 32));
	wr_be32(&w, (uint32_t)now_ns);
	{
		uint64_t proof = keyed(sw->guard.seed, port->index, now_ns);

		wr_be32(&w, (uint32_t)(proof >> 32));
		wr_be32(&w, (uint32_t)proof);
	}
	port->guard.next_ns = now_ns + PROBE_GAP_NS;
	switch_send(&port->port, bytes, sizeof(bytes));
}

static uint64_t
read_be64(struct cursor *c)
{
	uint64_t high = cur_be32(c);

	return high << 32 | cur_be32(c);
}

/* The port by which a probe left, or NULL if it is none of ours. */
static struct switch_port *
read_probe(struct lan_switch *sw, const struct frame *frame, uint64_t now_ns)
{
	uint8_t bytes[ETH_MIN_BYTES];
	struct cursor c = cursor(bytes, ETH_MIN_BYTES);
	const uint8_t *word;
	struct eth eth;
	uint16_t index;
	uint64_t sent_ns, proof;

	if (frame->len < ETH_MIN_BYTES) /* tags may have been taken off */
		return NULL;
	frame_copy(bytes, frame, 0, ETH_MIN_BYTES);
	if (eth_parse(&eth, &c) != DROP_NONE || eth.type != ETH_LOCAL)
		return NULL;
	word = cur_bytes(&c, sizeof(magic));
	index = cur_be16(&c);
	sent_ns = read_be64(&c);
	proof = read_be64(&c);
	if (c.overrun || memcmp(word, magic, sizeof(magic)) != 0 ||
	    proof != keyed(sw->guard.seed, index, sent_ns) ||
	    sent_ns > now_ns || now_ns - sent_ns > PROBE_GOOD_NS ||
	    index == SELF_INDEX || index >= sw->nports)
		return NULL;
	return sw->port[index];
}

bool
guard_admits(
    struct switch_port *port, const struct frame *frame, uint64_t now_ns)
{
	uint8_t bytes[ETH_MIN_BYTES];
	struct cursor c = cursor(bytes, ETH_MIN_BYTES);
	const uint8_t *word;
	struct eth eth;

	if (now_ns - port->guard.admitted_ns > ADMIT_NS) {
		port->guard.admitted_ns = now_ns;
		port->guard.admitted = 0;
	}
	if (frame->len < ETH_MIN_BYTES || port->guard.admitted == ADMIT_MAX)
		return false;
	frame_copy(bytes, frame, 0, ETH_MIN_BYTES);
	if (eth_parse(&eth, &c) != DROP_NONE || eth.type != ETH_LOCAL)
		return false;
	word = cur_bytes(&c, sizeof(magic));
	if (word == NULL || memcmp(word, magic, sizeof(magic)) != 0)
		return false;
	port->guard.admitted++;
	return true;
}

/* ---- blocking ---- */

static void
open_again(struct switch_port *port)
{
	if (!(port->flags & PORT_LOOPED))
		return;
	port_flags(port, 0, PORT_LOOPED);
	port->sw->guard.nblocked--;
}

static void
block(struct switch_port *port, struct switch_port *with,
    const struct switch_port *left, uint64_t now_ns)
{
	struct lan_switch *sw = port->sw;

	if (port == with)
		log_warn("%s: a loop behind this port; it is blocked until "
			 "the loop is gone",
		    port->port.name);
	else
		log_warn("%s: a loop leads from here to %s; this port is "
			 "blocked until the loop is gone",
		    port->port.name, with->port.name);
	port_flags(port, PORT_LOOPED, 0);
	port->guard.with = with->index;
	port->guard.prober = left->index;
	port->guard.back_ns = now_ns;
	/* What came round taught wrong addresses. */
	fdb_forget_port(sw->fdb, port->index, NULL, NULL);
	fdb_forget_port(sw->fdb, with->index, NULL, NULL);
	if (sw->guard.nblocked++ == 0)
		loop_timer_set(&sw->guard.timer, now_ns + BLOCKED_GAP_NS);
}

/* Nobody wants its ports guarded. */
static bool
is_off(const struct switch_port *port)
{
	return port->flags & PORT_MIRROR_TO ? port->sw->guard_unwanted
					    : port->sw->guard.off;
}

static bool
came_up_later(const struct switch_port *a, const struct switch_port *b)
{
	if (a->guard.up_ns != b->guard.up_ns)
		return a->guard.up_ns > b->guard.up_ns;
	return a->index > b->index;
}

void
guard_own_frame(struct switch_port *port, const struct frame *frame)
{
	struct lan_switch *sw = port->sw;
	uint64_t now_ns = loop_now_ns(sw->loop);
	struct switch_port *left = read_probe(sw, frame, now_ns);

	if (left == NULL || is_off(left->lead))
		return;
	left = left->lead;
	if ((left->flags | port->flags) & PORT_LOOPED) {
		left->guard.back_ns = port->guard.back_ns = now_ns;
		return;
	}
	if (!left->up || !port->up)
		return;
	if ((left->flags & PORT_MIRROR_TO) || came_up_later(left, port))
		block(left, port, left, now_ns);
	else
		block(port, left, left, now_ns);
}

/* ---- suspicion ---- */

void
guard_suspect(struct switch_port *port, uint16_t vlan)
{
	struct guard_port *g = &port->guard;
	uint64_t now_ns = loop_now_ns(port->sw->loop);

	if (is_off(port) || g->suspect || (port->flags & PORT_LOOPED) ||
	    now_ns < g->next_ns)
		return;
	g->suspect = true;
	g->vlan = vlan;
	loop_defer_ask(&port->sw->guard.defer);
}

void
guard_flood(struct switch_port *port, uint16_t vlan, uint64_t now_ns)
{
	struct guard_port *g = &port->guard;
	struct guard *guard = &port->sw->guard;

	if (now_ns - g->flooded_ns > FLOOD_LOOK_NS) {
		g->flooded_ns = now_ns;
		g->flooded = 0;
	}
	if (++g->flooded < FLOOD_LOOK || guard->off)
		return;
	g->flooded = 0;
	guard->everywhere = true;
	guard->vlan = vlan;
	loop_defer_ask(&guard->defer);
}

/* Marks those that may be probed, and are not blocked. */
static void
suspect_all(struct lan_switch *sw)
{
	sw->guard.everywhere = false;
	for (unsigned int i = 0; i < sw->nports; i++) {
		struct switch_port *port = sw->port[i];

		if (port == NULL || port->lead != port ||
		    port->index == SELF_INDEX ||
		    (port->flags & (PORT_LOOPED | PORT_MIRROR_TO)) ||
		    (sw->nvlan_ports > 0 &&
			!vlan_carries(port, sw->guard.vlan)))
			continue;
		port->guard.suspect = true;
		port->guard.vlan = sw->guard.vlan;
	}
}

bool
guard_mirror(struct switch_port *port, const struct burst *copies)
{
	struct guard_port *g = &port->guard;
	const struct frame *frame = &copies->frame[0];

	if (port->flags & PORT_LOOPED)
		return false;
	if (g->copied < MIRROR_LOOK)
		g->copied += (uint16_t)copies->n;
	if (g->copied < MIRROR_LOOK || is_off(port) ||
	    loop_now_ns(port->sw->loop) < g->next_ns)
		return true;
	g->copied = 0;
	g->vlan = frame->head >= ETH_HEADER_BYTES + ETH_VLAN_BYTES &&
		get_be16(frame->data + 12) == ETH_VLAN
	    ? get_be16(frame->data + 14) & 0xfff
	    : 0;
	g->suspect = true;
	loop_defer_ask(&port->sw->guard.defer);
	return true;
}

/* Once the round's frames are on their way. */
static void
probe_suspects(void *arg)
{
	struct lan_switch *sw = arg;

	if (sw->guard.everywhere)
		suspect_all(sw);
	for (unsigned int i = 0; i < sw->nports; i++) {
		struct switch_port *port = sw->port[i];

		if (port == NULL || !port->guard.suspect)
			continue;
		port->guard.suspect = false;
		if (port->up && !(port->flags & PORT_LOOPED))
			send_probe(port, loop_now_ns(sw->loop));
	}
}

/* How long a port stays blocked without a probe that came back: different for
 * each, so that two ends of a ring do not open at once. */
static uint64_t
wait_ns(const struct switch_port *port)
{
	struct mac mac = mac_of_name(port->port.name);

	return WAIT_MIN_NS + get_be32(mac.b + 2) % WAIT_MORE_MS * NS_PER_MS;
}

static void
probe_blocked(void *arg)
{
	struct lan_switch *sw = arg;
	uint64_t now_ns = loop_now_ns(sw->loop);

	for (unsigned int i = 0; i < sw->nports; i++) {
		struct switch_port *port = sw->port[i], *prober;

		if (port == NULL || !(port->flags & PORT_LOOPED))
			continue;
		prober = sw->port[port->guard.prober];
		if (now_ns - port->guard.back_ns > wait_ns(port)) {
			log_warn("%s: the loop is gone; this port forwards "
				 "again",
			    port->port.name);
			open_again(port);
		} else if (prober != NULL) {
			/* That way round it came back; the other may not be. */
			prober->guard.vlan = port->guard.vlan;
			send_probe(prober, now_ns);
		}
	}
	if (sw->guard.nblocked > 0)
		loop_timer_set(&sw->guard.timer, now_ns + BLOCKED_GAP_NS);
}

void
guard_link_changed(struct switch_port *port)
{
	port->guard.suspect = false;
	if (port->up)
		port->guard.up_ns = loop_now_ns(port->sw->loop);
	else
		open_again(port);
}

size_t
guard_describe(const struct switch_port *port, char *out, size_t len)
{
	const struct switch_port *with;

	if (!(port->flags & PORT_LOOPED))
		return 0;
	with = port->guard.with < port->sw->nports
	    ? port->sw->port[port->guard.with]
	    : NULL;
	if (with == port || with == NULL)
		return (size_t)snprintf(out, len, "blocked: a loop behind it");
	return (size_t)snprintf(
	    out, len, "blocked: a loop with %s", with->port.name);
}

/* ---- of a switch ---- */

void
guard_init(struct lan_switch *sw, uint64_t seed, bool off)
{
	sw->guard.off = off;
	sw->guard.seed = seed;
	loop_defer_init(&sw->guard.defer, sw->loop, probe_suspects, sw);
	loop_timer_init(&sw->guard.timer, sw->loop, probe_blocked, sw);
}

void
guard_set_off(struct lan_switch *sw, bool off)
{
	sw->guard.off = off;
	for (unsigned int i = 0; off && i < sw->nports; i++)
		if (sw->port[i] != NULL)
			open_again(sw->port[i]);
}

void
guard_free(struct lan_switch *sw)
{
	loop_defer_cancel(&sw->guard.defer);
	loop_timer_unset(&sw->guard.timer);
}
