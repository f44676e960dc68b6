/*
 * The state machine of a DHCP client: what it sends and when, by a clock that
 * the test moves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/loop.h"
#include "router/dhcp_client.h"

#define IP(a, b, c, d)                                                    \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | \
	    (uint32_t)(d))

#define SERVER IP(192, 0, 2, 1)
#define OTHER  IP(192, 0, 2, 2)
#define OURS   IP(192, 0, 2, 77)
#define S(n)   ((uint64_t)(n)*NS_PER_S)

static const struct mac mac = { { 2, 0, 0, 0, 0, 9 } };
static const struct mac stranger = { { 2, 0, 0, 0, 0, 8 } };

/* A client, and all that it has done. */
struct box {
	struct dhcp_client client;
	uint64_t now_ns;
	unsigned int sent, probes, announcements, nbound, nlost, nrefused;
	struct dhcp message; /* the last one */
	uint8_t id[UINT8_MAX];
	uint32_t src, dst;
	uint32_t arp; /* the last address asked for, or announced */
	enum reason verdict, why;
	enum dhcp_client_loss loss;
	bool was_bound;
	struct dhcp_offer lease;
};

static void
on_send(void *arg, const struct dhcp *m, uint32_t src, uint32_t dst)
{
	struct box *b = arg;
	uint8_t out[600];
	struct writer w = writer(out, sizeof(out));
	struct dhcp again;
	struct cursor c;

	dhcp_write(&w, m);
	assert_false(w.overrun);
	c = cursor(out, (size_t)(w.at - out));
	assert_int_equal(dhcp_parse(&again, &c), DROP_NONE);
	b->message = *m;
	memcpy(b->id, m->client_id, m->client_id_bytes);
	b->message.client_id = b->id;
	b->src = src;
	b->dst = dst;
	b->sent++;
}

static void
on_probe(void *arg, uint32_t addr)
{
	struct box *b = arg;

	b->probes++;
	b->arp = addr;
}

static void
on_announce(void *arg, uint32_t addr)
{
	struct box *b = arg;

	b->announcements++;
	b->arp = addr;
}

static enum reason
on_judge(void *arg, const struct dhcp_offer *offer)
{
	const struct box *b = arg;

	assert_int_not_equal(offer->address.addr, 0);
	return b->verdict;
}

static void
on_refused(void *arg, const struct dhcp_offer *offer, enum reason why)
{
	struct box *b = arg;

	(void)offer;
	b->why = why;
	b->nrefused++;
}

static void
on_bound(void *arg, const struct dhcp_offer *lease)
{
	struct box *b = arg;

	b->lease = *lease;
	b->nbound++;
}

static void
on_lost(void *arg, const struct dhcp_offer *lease, enum dhcp_client_loss why,
    bool was_bound)
{
	struct box *b = arg;

	assert_int_not_equal(lease->address.addr, 0);
	b->loss = why;
	b->was_bound = was_bound;
	b->nlost++;
}

static const struct dhcp_client_calls calls = { .send = on_send,
	.probe = on_probe,
	.announce = on_announce,
	.judge = on_judge,
	.refused = on_refused,
	.bound = on_bound,
	.lost = on_lost };

static struct box *
box_new(uint64_t probe_ns, uint32_t known)
{
	struct dhcp_client_options o = {
		.mac = mac, .hostname = "home", .probe_ns = probe_ns, .seed = 42
	};
	struct box *b = calloc(1, sizeof(*b));

	dhcp_client_init(&b->client, &o, &calls, b);
	dhcp_client_start(&b->client, known, 0);
	return b;
}

/* Goes to when something is due, and does it. */
static void
step(struct box *b)
{
	assert_int_not_equal(b->client.due_ns, UINT64_MAX);
	if (b->client.due_ns > b->now_ns)
		b->now_ns = b->client.due_ns;
	dhcp_client_due(&b->client, b->now_ns);
}

/* Lets time pass. */
static void
wait_until(struct box *b, uint64_t ns)
{
	while (b->client.due_ns <= ns)
		step(b);
	b->now_ns = ns;
}

static struct dhcp
reply(const struct box *b, enum dhcp_type type)
{
	return (struct dhcp){ .op = DHCP_BOOTREPLY,
		.xid = b->client.xid,
		.chaddr = mac,
		.type = type,
		.yiaddr = type == DHCP_NAK ? 0 : OURS,
		.server = SERVER,
		.mask = IP(255, 255, 255, 0),
		.router = SERVER,
		.lease_s = type == DHCP_NAK ? 0 : 1000 };
}

static enum reason
take(struct box *b, const struct dhcp *m)
{
	return dhcp_client_take(&b->client, m, b->now_ns);
}

static enum reason
take_type(struct box *b, enum dhcp_type type)
{
	struct dhcp m = reply(b, type);

	return take(b, &m);
}

/* A client that has an address, since b->now_ns. */
static struct box *
bound_box(void)
{
	struct box *b = box_new(0, 0);

	step(b);
	assert_int_equal(take_type(b, DHCP_OFFER), REASON_DELIVERED);
	assert_int_equal(take_type(b, DHCP_ACK), REASON_DELIVERED);
	assert_int_equal(b->client.state, DHCP_CLIENT_BOUND);
	return b;
}

/* ---- the usual way ---- */

static void
it_discovers_requests_probes_and_announces(void **state)
{
	struct box *b = box_new(S(1), 0);
	uint32_t xid;

	(void)state;
	assert_int_equal(b->sent, 0);
	assert_true(b->client.due_ns < S(1));
	step(b);
	assert_int_equal(b->message.type, DHCP_DISCOVER);
	assert_int_equal(b->src, 0);
	assert_int_equal(b->dst, IP4_BROADCAST);
	assert_int_equal(b->message.server, 0);
	assert_int_equal(b->message.requested, 0);
	assert_string_equal(b->message.hostname, "home");
	assert_int_equal(b->message.client_id_bytes, 7);
	assert_memory_equal(b->id + 1, mac.b, 6);
	/* RFC 3442: routes are asked for before the router. */
	assert_true(dhcp_wants(&b->message, DHCP_OPT_ROUTES));
	assert_true(memchr(b->message.parameters, DHCP_OPT_ROUTES, 32) <
	    memchr(b->message.parameters, DHCP_OPT_ROUTER, 32));
	xid = b->message.xid;
	assert_int_equal(take_type(b, DHCP_OFFER), REASON_DELIVERED);
	assert_int_equal(b->message.type, DHCP_REQUEST);
	assert_int_equal(b->message.xid, xid);
	assert_int_equal(b->message.requested, OURS);
	assert_int_equal(b->message.server, SERVER);
	assert_int_equal(b->message.ciaddr, 0);
	assert_int_equal(b->dst, IP4_BROADCAST);
	assert_int_equal(take_type(b, DHCP_ACK), REASON_DELIVERED);
	assert_int_equal(b->client.state, DHCP_CLIENT_PROBING);
	for (unsigned int i = 1; i <= 3; i++) {
		step(b);
		assert_int_equal(b->probes, i);
		assert_int_equal(b->arp, OURS);
		assert_int_equal(b->nbound, 0);
	}
	step(b);
	assert_int_equal(b->nbound, 1);
	assert_int_equal(b->lease.address.addr, OURS);
	assert_int_equal(b->lease.address.prefix, 24);
	assert_int_equal(b->lease.gateway, SERVER);
	step(b);
	step(b);
	assert_int_equal(b->announcements, 2);
	assert_int_equal(b->client.due_ns, b->client.t1_ns);
	free(b);
}

static void
silence_is_answered_by_ever_longer_waits(void **state)
{
	static const uint64_t waits_s[] = { 4, 8, 16, 32, 64, 64, 64 };
	struct box *b = box_new(0, 0);
	uint64_t last;

	(void)state;
	step(b);
	last = b->now_ns;
	for (size_t i = 0; i < sizeof(waits_s) / sizeof(waits_s[0]); i++) {
		uint64_t waited;

		step(b);
		waited = b->now_ns - last;
		assert_in_range(
		    waited, S(waits_s[i]) - S(1), S(waits_s[i]) + S(1));
		assert_int_equal(b->message.type, DHCP_DISCOVER);
		last = b->now_ns;
	}
	assert_true(b->message.secs >= 4 + 8 + 16 + 32 + 64 * 2);
	free(b);
}

static void
a_request_without_answer_begins_anew_after_four(void **state)
{
	struct box *b = box_new(0, 0);

	(void)state;
	step(b);
	take_type(b, DHCP_OFFER);
	for (int i = 0; i < 3; i++) {
		step(b);
		assert_int_equal(b->message.type, DHCP_REQUEST);
	}
	assert_int_equal(b->sent, 5);
	step(b);
	assert_int_equal(b->client.state, DHCP_CLIENT_WAITING);
	step(b);
	assert_int_equal(b->message.type, DHCP_DISCOVER);
	free(b);
}

/* ---- renewal ---- */

static void
a_lease_is_renewed_by_its_server_then_by_any_then_lost(void **state)
{
	struct box *b = bound_box();
	uint64_t from = b->now_ns;

	(void)state;
	while (b->client.state == DHCP_CLIENT_BOUND)
		step(b);
	assert_in_range(b->now_ns - from, S(500) - S(500) / 32, S(500));
	assert_int_equal(b->client.state, DHCP_CLIENT_RENEWING);
	assert_int_equal(b->message.type, DHCP_REQUEST);
	assert_int_equal(b->message.ciaddr, OURS);
	assert_int_equal(b->message.requested, 0);
	assert_int_equal(b->message.server, 0);
	assert_int_equal(b->src, OURS);
	assert_int_equal(b->dst, SERVER);
	/* Half of the time that is left, but not under a minute. */
	step(b);
	assert_in_range(b->now_ns - from, S(679), S(688));
	while (b->client.state == DHCP_CLIENT_RENEWING)
		step(b);
	assert_int_equal(b->now_ns - from, S(875));
	assert_int_equal(b->client.state, DHCP_CLIENT_REBINDING);
	assert_int_equal(b->message.ciaddr, OURS);
	assert_int_equal(b->dst, IP4_BROADCAST);
	assert_int_equal(b->src, OURS);
	assert_int_equal(b->nlost, 0);
	while (b->client.state == DHCP_CLIENT_REBINDING)
		step(b);
	assert_int_equal(b->now_ns - from, S(1000));
	assert_int_equal(b->nlost, 1);
	assert_int_equal(b->loss, DHCP_CLIENT_EXPIRED);
	assert_true(b->was_bound);
	step(b);
	assert_int_equal(b->message.type, DHCP_DISCOVER);
	/* It would like to have the same one again. */
	assert_int_equal(b->message.requested, OURS);
	free(b);
}

static void
a_renewal_counts_from_when_it_was_asked_for(void **state)
{
	struct box *b = bound_box();
	uint64_t asked;
	struct dhcp ack;

	(void)state;
	while (b->client.state == DHCP_CLIENT_BOUND)
		step(b);
	asked = b->now_ns;
	b->now_ns += S(5);
	ack = reply(b, DHCP_ACK);
	ack.lease_s = 2000;
	ack.router = OTHER;
	assert_int_equal(take(b, &ack), REASON_DELIVERED);
	assert_int_equal(b->client.state, DHCP_CLIENT_BOUND);
	assert_int_equal(b->client.expires_ns, asked + S(2000));
	assert_int_equal(b->nbound, 2);
	assert_int_equal(b->lease.gateway, OTHER);
	/* No second announcement. */
	assert_int_equal(b->client.due_ns, b->client.t1_ns);
	free(b);
}

static void
any_server_may_renew_when_rebinding(void **state)
{
	struct box *b = bound_box();
	struct dhcp ack;

	(void)state;
	while (b->client.state != DHCP_CLIENT_REBINDING)
		step(b);
	ack = reply(b, DHCP_ACK);
	ack.server = OTHER;
	assert_int_equal(take(b, &ack), REASON_DELIVERED);
	assert_int_equal(b->client.offer.server, OTHER);
	while (b->client.state == DHCP_CLIENT_BOUND)
		step(b);
	assert_int_equal(b->dst, OTHER);
	free(b);
}

static void
a_lease_for_ever_is_not_renewed(void **state)
{
	struct box *b = box_new(0, 0);
	struct dhcp m;

	(void)state;
	step(b);
	m = reply(b, DHCP_OFFER);
	m.lease_s = DHCP_LEASE_FOREVER;
	take(b, &m);
	m = reply(b, DHCP_ACK);
	m.lease_s = DHCP_LEASE_FOREVER;
	take(b, &m);
	step(b);
	step(b);
	assert_int_equal(b->announcements, 2);
	assert_int_equal(b->client.due_ns, UINT64_MAX);
	free(b);
}

/* ---- refusals ---- */

static void
a_nak_begins_anew_and_waits_longer_each_time(void **state)
{
	struct box *b = bound_box();
	uint64_t waits[4];

	(void)state;
	while (b->client.state == DHCP_CLIENT_BOUND)
		step(b);
	assert_int_equal(take_type(b, DHCP_NAK), REASON_DELIVERED);
	assert_int_equal(b->nlost, 1);
	assert_int_equal(b->loss, DHCP_CLIENT_NAK);
	assert_true(b->was_bound);
	for (int i = 0; i < 4; i++) {
		waits[i] = b->client.due_ns - b->now_ns;
		step(b);
		assert_int_equal(b->message.type, DHCP_DISCOVER);
		assert_int_equal(b->message.requested, 0);
		assert_int_equal(take_type(b, DHCP_OFFER), REASON_DELIVERED);
		assert_int_equal(take_type(b, DHCP_NAK), REASON_DELIVERED);
		assert_false(b->was_bound);
	}
	assert_true(waits[0] < S(1));
	assert_in_range(waits[1], S(3), S(5));
	assert_in_range(waits[2], S(7), S(9));
	assert_in_range(waits[3], S(15), S(17));
	free(b);
}

static void
an_address_in_use_is_declined(void **state)
{
	static const struct {
		uint32_t ip, target;
		const struct mac *mac;
		bool is_heard;
	} cases[] = {
		{ OURS, OURS, &mac, false },       /* our own, come back */
		{ OTHER, OURS, &stranger, false }, /* only asks for it */
		{ 0, OTHER, &stranger, false }, { OURS, 0, &stranger, true },
		{ 0, OURS, &stranger, true }, /* probes for it, too */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct box *b = box_new(S(1), 0);
		bool heard;

		step(b);
		take_type(b, DHCP_OFFER);
		take_type(b, DHCP_ACK);
		step(b);
		heard = dhcp_client_heard(&b->client, cases[i].ip,
		    cases[i].target, cases[i].mac, b->now_ns);
		assert_int_equal(heard, cases[i].is_heard);
		if (heard) {
			assert_int_equal(b->message.type, DHCP_DECLINE);
			assert_int_equal(b->message.requested, OURS);
			assert_int_equal(b->message.server, SERVER);
			assert_int_equal(b->message.ciaddr, 0);
			assert_null(b->message.parameters);
			assert_int_equal(b->dst, IP4_BROADCAST);
			assert_int_equal(b->loss, DHCP_CLIENT_IN_USE);
			/* RFC 2131 3.1: ten seconds at least. */
			assert_true(b->client.due_ns >= b->now_ns + S(10));
			step(b);
			assert_int_equal(b->message.requested, 0);
		} else {
			assert_int_equal(b->client.state, DHCP_CLIENT_PROBING);
		}
		free(b);
	}
}

static void
what_the_router_cannot_live_with_is_not_asked_for(void **state)
{
	struct box *b = box_new(0, 0);

	(void)state;
	step(b);
	b->verdict = DROP_DHCP_CONFLICT;
	assert_int_equal(take_type(b, DHCP_OFFER), DROP_DHCP_CONFLICT);
	assert_int_equal(b->why, DROP_DHCP_CONFLICT);
	assert_int_equal(b->sent, 1);
	/* Another server's may be better. */
	assert_int_equal(b->client.state, DHCP_CLIENT_SELECTING);
	b->verdict = REASON_NONE;
	assert_int_equal(take_type(b, DHCP_OFFER), REASON_DELIVERED);
	/* And what the ACK says is judged again. */
	b->verdict = DROP_DHCP_CONFLICT;
	assert_int_equal(take_type(b, DHCP_ACK), DROP_DHCP_CONFLICT);
	assert_int_equal(b->client.state, DHCP_CLIENT_WAITING);
	assert_int_equal(b->nbound, 0);
	free(b);
}

static void
a_bad_renewal_leaves_the_lease_as_it_was(void **state)
{
	struct box *b = bound_box();
	struct dhcp ack;

	(void)state;
	while (b->client.state == DHCP_CLIENT_BOUND)
		step(b);
	ack = reply(b, DHCP_ACK);
	ack.mask = 0;
	assert_int_equal(take(b, &ack), DROP_DHCP_MASK);
	assert_int_equal(b->client.state, DHCP_CLIENT_RENEWING);
	assert_int_equal(b->nlost, 0);
	ack = reply(b, DHCP_ACK);
	ack.yiaddr = OURS + 1;
	assert_int_equal(take(b, &ack), DROP_DHCP_UNASKED);
	assert_int_equal(b->nbound, 1);
	free(b);
}

/* ---- what is not for it ---- */

static void
answers_that_nobody_waits_for_are_refused(void **state)
{
	struct box *b = box_new(S(1), 0);
	struct dhcp m;

	(void)state;
	m = reply(b, DHCP_OFFER);
	assert_int_equal(take(b, &m), DROP_DHCP_UNASKED); /* too early */
	step(b);
	m = reply(b, DHCP_OFFER);
	m.xid++;
	assert_int_equal(take(b, &m), DROP_DHCP_UNASKED);
	m = reply(b, DHCP_OFFER);
	m.chaddr = stranger;
	assert_int_equal(take(b, &m), DROP_NOT_OURS);
	m = reply(b, DHCP_OFFER);
	m.op = DHCP_BOOTREQUEST;
	assert_int_equal(take(b, &m), DROP_DHCP);
	assert_int_equal(take_type(b, DHCP_ACK), DROP_DHCP_UNASKED);
	assert_int_equal(take_type(b, DHCP_NAK), DROP_DHCP_UNASKED);
	assert_int_equal(take_type(b, DHCP_NO_TYPE), DROP_DHCP);
	assert_int_equal(take_type(b, DHCP_INFORM), DROP_DHCP);
	assert_int_equal(take_type(b, DHCP_OFFER), REASON_DELIVERED);
	/* Another server's, and another address. */
	m = reply(b, DHCP_ACK);
	m.server = OTHER;
	assert_int_equal(take(b, &m), DROP_DHCP_UNASKED);
	m = reply(b, DHCP_ACK);
	m.yiaddr = OURS + 1;
	assert_int_equal(take(b, &m), DROP_DHCP_UNASKED);
	m = reply(b, DHCP_NAK);
	m.server = OTHER;
	assert_int_equal(take(b, &m), DROP_DHCP_UNASKED);
	m.server = 0;
	assert_int_equal(take(b, &m), DROP_DHCP_UNASKED);
	assert_int_equal(b->nlost, 0);
	assert_int_equal(take_type(b, DHCP_ACK), REASON_DELIVERED);
	assert_int_equal(take_type(b, DHCP_ACK), DROP_DHCP_UNASKED);
	free(b);
}

/* ---- an address of before, and the end ---- */

static void
a_known_address_is_asked_for_at_once(void **state)
{
	struct box *b = box_new(0, OURS);
	struct dhcp m;

	(void)state;
	assert_int_equal(b->sent, 1);
	assert_int_equal(b->message.type, DHCP_REQUEST);
	assert_int_equal(b->message.requested, OURS);
	assert_int_equal(b->message.server, 0);
	assert_int_equal(b->message.ciaddr, 0);
	assert_int_equal(b->dst, IP4_BROADCAST);
	m = reply(b, DHCP_ACK);
	m.yiaddr = OURS + 1;
	assert_int_equal(take(b, &m), DROP_DHCP_UNASKED);
	m = reply(b, DHCP_ACK);
	m.server = OTHER; /* any may say so */
	assert_int_equal(take(b, &m), REASON_DELIVERED);
	assert_int_equal(b->nbound, 1);
	free(b);
}

static void
a_known_address_may_be_refused_or_unknown(void **state)
{
	struct box *b = box_new(0, OURS);

	(void)state;
	assert_int_equal(take_type(b, DHCP_NAK), REASON_DELIVERED);
	assert_int_equal(b->loss, DHCP_CLIENT_NAK);
	assert_false(b->was_bound);
	step(b);
	assert_int_equal(b->message.type, DHCP_DISCOVER);
	assert_int_equal(b->message.requested, 0);
	free(b);
	b = box_new(0, OURS);
	step(b);
	assert_int_equal(b->message.type, DHCP_REQUEST);
	step(b);
	assert_int_equal(b->message.type, DHCP_DISCOVER);
	assert_int_equal(b->message.requested, OURS);
	assert_in_range(b->now_ns, S(10), S(14));
	free(b);
}

static void
who_leaves_releases_what_it_has(void **state)
{
	struct box *b = bound_box();

	(void)state;
	wait_until(b, S(20));
	dhcp_client_stop(&b->client, true, b->now_ns);
	assert_int_equal(b->message.type, DHCP_RELEASE);
	assert_int_equal(b->message.ciaddr, OURS);
	assert_int_equal(b->message.server, SERVER);
	assert_int_equal(b->message.requested, 0);
	assert_null(b->message.parameters);
	assert_int_equal(b->src, OURS);
	assert_int_equal(b->dst, SERVER);
	assert_int_equal(b->loss, DHCP_CLIENT_LEFT);
	assert_int_equal(b->client.due_ns, UINT64_MAX);
	free(b);
	b = box_new(0, 0);
	step(b);
	dhcp_client_stop(&b->client, true, b->now_ns);
	assert_int_equal(b->sent, 1); /* it has nothing */
	assert_int_equal(b->nlost, 0);
	free(b);
}

static void
a_link_that_comes_back_may_be_another(void **state)
{
	struct box *b = bound_box();

	(void)state;
	wait_until(b, S(20));
	dhcp_client_link_up(&b->client, b->now_ns);
	assert_int_equal(b->client.state, DHCP_CLIENT_REBINDING);
	assert_int_equal(b->message.ciaddr, OURS);
	assert_int_equal(b->dst, IP4_BROADCAST);
	assert_int_equal(b->nlost, 0);
	dhcp_client_link_up(&b->client, b->now_ns);
	assert_int_equal(take_type(b, DHCP_NAK), REASON_DELIVERED);
	assert_int_equal(b->nlost, 1);
	step(b);
	step(b);
	assert_int_equal(b->message.type, DHCP_DISCOVER);
	/* Nor does it wait for long on one. */
	dhcp_client_link_up(&b->client, b->now_ns);
	assert_int_equal(b->client.due_ns, b->now_ns);
	free(b);
}

/* Whatever a server answers, time passes between two of its rounds. */
static void
no_server_makes_it_send_more_than_some_a_second(void **state)
{
	struct box *b = box_new(0, 0);
	unsigned int before;

	(void)state;
	while (b->now_ns < S(600)) {
		struct dhcp m;

		step(b);
		m = reply(b, DHCP_OFFER);
		m.lease_s = DHCP_LEASE_MIN_S;
		m.renewal_s = 1;
		m.rebinding_s = 2;
		take(b, &m);
		m.type = DHCP_ACK;
		m.xid = b->client.xid;
		take(b, &m);
	}
	before = b->sent;
	assert_true(before < 600 * 2);
	free(b);
}

int
main(void)
{
#define T(name) cmocka_unit_test(name)
	const struct CMUnitTest tests[] = {
		T(it_discovers_requests_probes_and_announces),
		T(silence_is_answered_by_ever_longer_waits),
		T(a_request_without_answer_begins_anew_after_four),
		T(a_lease_is_renewed_by_its_server_then_by_any_then_lost),
		T(a_renewal_counts_from_when_it_was_asked_for),
		T(any_server_may_renew_when_rebinding),
		T(a_lease_for_ever_is_not_renewed),
		T(a_nak_begins_anew_and_waits_longer_each_time),
		T(an_address_in_use_is_declined),
		T(what_the_router_cannot_live_with_is_not_asked_for),
		T(a_bad_renewal_leaves_the_lease_as_it_was),
		T(answers_that_nobody_waits_for_are_refused),
		T(a_known_address_is_asked_for_at_once),
		T(a_known_address_may_be_refused_or_unknown),
		T(who_leaves_releases_what_it_has),
		T(a_link_that_comes_back_may_be_another),
		T(no_server_makes_it_send_more_than_some_a_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
