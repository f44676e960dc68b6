/* libs: switch/lacp.c switch/lacp_receive.c switch/lacp_periodic.c switch/lacp_mux.c switch/lacp_select.c net base */
#include "switch/lacp.h"

#include <stdlib.h>

#define CHECK(claim) ((claim) ? (void)0 : abort())

#define S     UINT64_C(1000000000)
#define LINKS 5

/* What the bond has told, per link. */
struct seen {
	bool collecting, distributing;
	uint64_t sent_ns[4]; /* of the last PDUs */
	unsigned int sent, answers;
	struct lacp_info last; /* as which we have spoken */
};

struct state {
	struct lacp *lacp;
	struct lacp_options options;
	struct seen link[LINKS];
	uint64_t now_ns;
	unsigned int calls;
};

static void
send(void *arg, unsigned int link, const struct slow *pdu)
{
	struct state *s = arg;
	struct seen *l = &s->link[link];

	CHECK(link < LINKS);
	s->calls++;
	if (pdu->kind == SLOW_MARKER) {
		CHECK(pdu->marker.response);
		l->answers++;
		return;
	}
	/* No more than three in a second. */
	CHECK(l->sent < 3 || s->now_ns >= l->sent_ns[(l->sent - 3) % 4] + S);
	l->sent_ns[l->sent % 4] = s->now_ns;
	l->sent++;
	l->last = pdu->lacp.actor;
}

static void
mux(void *arg, unsigned int link, bool collecting, bool distributing)
{
	struct state *s = arg;

	CHECK(link < LINKS);
	CHECK(collecting || !distributing);
	s->calls++;
	s->link[link].collecting = collecting;
	s->link[link].distributing = distributing;
}

static const struct lacp_calls calls = { send, mux };

static bool
has(uint8_t state, uint8_t bits)
{
	return (state & bits) == bits;
}

/* What must hold at any time. */
static void
check(struct state *s)
{
	const struct lacp_info *first = NULL;
	struct lacp_row row[LINKS];
	unsigned int carry = 0, alone = 0;

	for (unsigned int i = 0; i < LINKS; i++) {
		const struct seen *l = &s->link[i];
		uint8_t state;

		CHECK(lacp_row(s->lacp, i, &row[i]));
		state = row[i].actor.state;
		CHECK(has(state, LACP_COLLECTING) == l->collecting);
		CHECK(has(state, LACP_DISTRIBUTING) == l->distributing);
		CHECK(!l->collecting || has(state, LACP_SYNC));
		CHECK((row[i].why[0] == '\0') == l->distributing);
		if (!l->collecting)
			continue;
		carry++;
		if (has(state, LACP_DEFAULTED) ||
		    !has(row[i].partner.state, LACP_AGGREGATION)) {
			alone++;
			continue;
		}
		/* All lead to the same partner. */
		if (first == NULL)
			first = &row[i].partner;
		CHECK(mac_equal(&first->system, &row[i].partner.system));
		CHECK(first->key == row[i].partner.key);
	}
	CHECK(alone <= 1 && (alone == 0 || carry == 1));
	CHECK(alone == 0 || s->options.individual);
	CHECK(s->options.max_links == 0 || carry <= s->options.max_links ||
	    alone > 0);
}

static void
run(struct state *s)
{
	uint64_t next = lacp_run(s->lacp, s->now_ns);
	unsigned int before = s->calls;

	CHECK(next > s->now_ns);
	check(s);
	/* Nothing is left to be done. */
	CHECK(lacp_run(s->lacp, s->now_ns) == next);
	CHECK(s->calls == before);
}

static uint64_t
pass(struct state *s, uint64_t ns)
{
	uint64_t end_ns = s->now_ns + ns, next;

	while ((next = lacp_run(s->lacp, s->now_ns)) <= end_ns) {
		CHECK(next > s->now_ns);
		s->now_ns = next;
		check(s);
	}
	s->now_ns = end_ns;
	run(s);
	return end_ns;
}

/* A PDU of a partner that knows us, but for what the input says. */
static void
likely_pdu(struct state *s, unsigned int link, struct cursor *c)
{
	uint8_t what = cur_u8(c);
	struct slow pdu = { .kind = SLOW_LACP,
		.lacp = { .actor = { .system_priority = cur_u8(c),
			      .system = { { 2, 0, 0, 0, 0, what & 1 } },
			      .key = what >> 1 & 1,
			      .port_priority = cur_u8(c),
			      .port = (uint16_t)(link + (what >> 2 & 1)),
			      .state = cur_u8(c) },
		    .partner = s->link[link].last } };

	if (what & 8)
		pdu.lacp.partner.state = cur_u8(c);
	if (what & 16)
		pdu.lacp.partner.port ^= 1;
	lacp_receive(s->lacp, link, &pdu, s->now_ns);
}

/* Bytes from the wire. */
static void
raw_pdu(struct state *s, unsigned int link, struct cursor *c)
{
	struct cursor bytes = cur_sub(c, cur_u8(c));
	uint8_t out[LACP_FRAME_BYTES];
	struct writer w = writer(out, sizeof(out));
	struct slow pdu, again;

	if (slow_parse(&pdu, &bytes) != DROP_NONE)
		return;
	slow_write(&w, &lacp_group, &pdu);
	CHECK(!w.overrun && w.at == w.end);
	bytes = cursor(out + 14, LACP_PDU_BYTES);
	CHECK(slow_parse(&again, &bytes) == DROP_NONE);
	CHECK(again.kind == pdu.kind);
	lacp_receive(s->lacp, link, &pdu, s->now_ns);
}

static void
step(struct state *s, struct cursor *c)
{
	uint8_t op = cur_u8(c);
	unsigned int link = (op >> 3) % LINKS;

	switch (op & 7) {
	case 0: lacp_link(s->lacp, link, true); break;
	case 1: lacp_link(s->lacp, link, false); break;
	case 2: pass(s, cur_u8(c) * S / 16); break;
	case 3: pass(s, cur_u8(c) * S); break;
	case 4:
		lacp_remove(s->lacp, link, s->now_ns);
		CHECK(!s->link[link].collecting);
		lacp_add(s->lacp, link, cur_u8(c));
		s->link[link].sent = 0; /* the count begins anew */
		break;
	case 5: raw_pdu(s, link, c); break;
	default: likely_pdu(s, link, c); break;
	}
	run(s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor(data, size);
	uint8_t options = cur_u8(&c), links = cur_u8(&c);
	struct state s = { .options = {
			       .system = { { 2, 0, 0, 0, 0, 9 } },
			       .key = 1,
			       .active = options & 1,
			       .fast = options >> 1 & 1,
			       .individual = options >> 2 & 1,
			       .system_priority = options >> 3,
			       .min_links = links & 3,
			       .max_links = links >> 2 & 3,
			   } };

	s.lacp = lacp_new(&s.options, &calls, &s);
	CHECK(s.lacp != NULL);
	for (unsigned int i = 0; i < LINKS; i++) {
		lacp_add(s.lacp, i, 0);
		lacp_link(s.lacp, i, true);
	}
	run(&s);
	for (int i = 0; i < 200 && cur_left(&c) > 0; i++)
		step(&s, &c);
	/* Everybody falls silent: nothing is carried but by one alone. */
	pass(&s, 200 * S);
	for (unsigned int i = 0; i < LINKS; i++)
		CHECK(!s.link[i].collecting || s.options.individual);
	lacp_free(s.lacp);
	return 0;
}
