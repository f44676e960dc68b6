/* libs: switch/lldp_agent.c net base */
#include "switch/lldp_agent.h"

#include <stdlib.h>

#define CHECK(claim) ((claim) ? (void)0 : abort())

#define S UINT64_C(1000000000)

static void
check_bytes(
    const struct lldp_bytes *b, const uint8_t *message, size_t size, size_t max)
{
	CHECK(b->len <= max);
	CHECK(b->data == NULL ||
	    (b->data >= message && b->data + b->len <= message + size));
}

static void
check_texts(const struct lldp *l)
{
	char text[40];

	for (size_t n = 1; n <= sizeof(text); n += 13) {
		CHECK(strlen(lldp_chassis_text(text, n, &l->chassis)) < n);
		CHECK(strlen(lldp_port_text(text, n, &l->port)) < n);
		CHECK(strlen(lldp_text(text, n, &l->description)) < n);
		CHECK(strlen(lldp_capabilities_text(text, n, l->capabilities)) <
		    n);
		if (l->nmgmt > 0)
			CHECK(strlen(lldp_address_text(text, n,
				  l->mgmt[0].family, &l->mgmt[0].address)) < n);
	}
	for (const char *at = text; *at != '\0'; at++)
		CHECK(*at >= ' ' && *at < 0x7f);
}

static bool
same(const struct lldp_bytes *a, const struct lldp_bytes *b)
{
	return a->len == b->len && (a->data == NULL) == (b->data == NULL) &&
	    (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static void
check_again(const struct lldp *l)
{
	uint8_t out[4096];
	struct writer w = writer(out, sizeof(out));
	struct lldp again;
	struct cursor c;

	lldp_write(&w, &lldp_group, l);
	CHECK(!w.overrun && w.at - out >= 60);
	c = cursor(out + 14, (size_t)(w.at - out - 14));
	CHECK(lldp_parse(&again, &c) == DROP_NONE);
	CHECK(again.wrong + again.beyond + again.unknown == 0);
	CHECK(same(&l->chassis.id, &again.chassis.id));
	CHECK(same(&l->port.id, &again.port.id));
	CHECK(l->ttl_s == again.ttl_s && l->nmgmt == again.nmgmt);
	CHECK(same(&l->port_description, &again.port_description));
	CHECK(same(&l->name, &again.name));
	CHECK(same(&l->description, &again.description));
	CHECK(l->capabilities == again.capabilities);
	CHECK(l->enabled == again.enabled && l->nvlans == again.nvlans);
	for (unsigned int i = 0; i < l->nmgmt; i++)
		CHECK(same(&l->mgmt[i].address, &again.mgmt[i].address) &&
		    l->mgmt[i].number == again.mgmt[i].number);
	for (unsigned int i = 0; i < l->nvlans; i++)
		CHECK(l->vlan[i].id == again.vlan[i].id &&
		    same(&l->vlan[i].name, &again.vlan[i].name));
	CHECK(l->pvid == again.pvid);
	CHECK(l->max_frame_bytes == again.max_frame_bytes);
	CHECK(l->aggregation == again.aggregation);
	CHECK(l->aggregation_port == again.aggregation_port);
}

static void
check_message(const uint8_t *m, size_t size)
{
	struct cursor c = cursor(m, size);
	enum reason reason;
	struct lldp l;

	reason = lldp_parse(&l, &c);
	CHECK(c.at >= m && c.at <= m + size);
	if (reason != DROP_NONE) {
		CHECK(reason == DROP_SHORT || reason == DROP_LLDP);
		return;
	}
	check_bytes(&l.chassis.id, m, size, 255);
	check_bytes(&l.port.id, m, size, 255);
	CHECK(l.chassis.id.len > 0 && l.port.id.len > 0);
	check_bytes(&l.port_description, m, size, LLDP_TEXT_MAX);
	check_bytes(&l.name, m, size, LLDP_TEXT_MAX);
	check_bytes(&l.description, m, size, LLDP_TEXT_MAX);
	CHECK(l.nmgmt <= LLDP_MGMT_MAX && l.nvlans <= LLDP_VLANS_MAX);
	for (unsigned int i = 0; i < l.nmgmt; i++)
		check_bytes(&l.mgmt[i].address, m, size, 31);
	for (unsigned int i = 0; i < l.nvlans; i++)
		check_bytes(&l.vlan[i].name, m, size, LLDP_VLAN_NAME);
	check_texts(&l);
	check_again(&l);
}

/* ---- the agent ---- */

struct sent {
	uint64_t now_ns, at_ns[LLDP_CREDIT];
	unsigned int n;
};

static void
send(void *arg, unsigned int port, uint16_t ttl_s)
{
	struct sent *s = arg;

	CHECK(port == 0 && ttl_s > 0);
	/* One more than there is credit for comes a second later. */
	CHECK(s->n < LLDP_CREDIT ||
	    s->now_ns >= s->at_ns[s->n % LLDP_CREDIT] + S);
	s->at_ns[s->n++ % LLDP_CREDIT] = s->now_ns;
}

static void
count(void *arg, unsigned int port, const struct lldp *l, uint64_t left_ns)
{
	(void)l;
	CHECK(port == 0 && left_ns > 0 && left_ns <= 65535 * S);
	++*(unsigned int *)arg;
}

static void
pass(struct lldp_agent *agent, struct sent *s, uint64_t ns)
{
	uint64_t end_ns = s->now_ns + ns, next;
	unsigned int n = 0;

	while ((next = lldp_agent_run(agent, s->now_ns)) <= end_ns) {
		CHECK(next > s->now_ns);
		s->now_ns = next;
	}
	s->now_ns = end_ns;
	lldp_agent_each(agent, end_ns, count, &n);
	CHECK(n <= LLDP_NEIGHBOURS);
}

static void
drive(struct cursor c)
{
	const struct lldp_agent_options options = { .send = true,
		.receive = true };
	struct sent s = { .now_ns = 0 };
	struct lldp_agent *agent = lldp_agent_new(&options, send, &s);
	unsigned int n = 0;

	CHECK(agent != NULL && lldp_agent_add(agent, 0) == 0);
	lldp_agent_link(agent, 0, true, 0);
	for (int i = 0; i < 100 && cur_left(&c) > 0; i++) {
		uint8_t op = cur_u8(&c), len = cur_u8(&c);
		struct cursor m;

		switch (op & 3) {
		case 0: pass(agent, &s, (uint64_t)len * S / 16); break;
		case 1: pass(agent, &s, (uint64_t)len * S); break;
		case 2:
			lldp_agent_link(agent, 0, len & 1, s.now_ns);
			if (len & 2)
				lldp_agent_changed(agent, 0, s.now_ns);
			break;
		case 3:
			m = cur_sub(&c, len);
			(void)lldp_agent_receive(
			    agent, 0, m.at, cur_left(&m), s.now_ns);
			break;
		}
	}
	s.now_ns += 65536 * S;
	pass(agent, &s, 0);
	lldp_agent_each(agent, s.now_ns, count, &n);
	CHECK(n == 0);
	lldp_agent_free(agent);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t begin[] = { 2, 2, 4, 1, 4, 2, 5, 'a', 6, 2, 0, 9 };
	uint8_t *m = malloc(size + sizeof(begin));

	CHECK(m != NULL);
	if (size > 0)
		memcpy(m, data, size);
	check_message(m, size);
	/* spares the fuzzer the search for these */
	memcpy(m, begin, sizeof(begin));
	if (size > 0)
		memcpy(m + sizeof(begin), data, size);
	check_message(m, size + sizeof(begin));
	free(m);
	drive(cursor(data, size));
	return 0;
}
