/*
 * A port's sending side (9.2.8 to 9.2.10, the timers folded into one state):
 *
 *                            4 sent
 *      DOWN --link up--> FAST -----> SLOW
 *       ^                 | ^----------|   a new neighbour
 *       '--- link down ---'------------'
 *
 * FAST sends each second, SLOW each interval.  A change is told at once.  Never
 * do more than LLDP_CREDIT messages leave in a row, and then one a second.
 *
 * A neighbour is kept as the message that it sent, and parsed again when
 * somebody asks: it is the only form that loses nothing, and nobody asks often.
 * Two messages are of the same neighbour if their first two parts, chassis and
 * port, are the same bytes.
 */
#include "switch/lldp_agent.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/log.h"

#define NITEMS(a)     (sizeof(a) / sizeof((a)[0]))
#define NS_PER_S      UINT64_C(1000000000)
#define TX_TO(state)  (1u << TX_##state)
#define PART_BYTES(p) (2u + ((unsigned int)((p)[0] & 1) << 8 | (p)[1]))

enum tx { TX_DOWN, TX_FAST, TX_SLOW, TX_NSTATES };

struct neighbour {
	LIST_ENTRY(neighbour) link;
	uint64_t until_ns;
	size_t len, name_len; /* of the message, of its first two parts */
	uint8_t message[];
};

struct lldp_port {
	struct lldp_agent *agent;
	unsigned int index;
	bool used;
	uint8_t tx;        /* enum tx */
	unsigned int fast; /* messages left of FAST */
	uint64_t next_ns;  /* the next message */
	uint64_t paid_ns;  /* credit is used up for the time before */
	LIST_HEAD(, neighbour) neighbours;
	unsigned int nneighbours;
	struct lldp_port_counts counts;
};

struct lldp_agent {
	struct lldp_agent_options options;
	lldp_agent_send *send;
	void *arg;
	struct lldp_port **port; /* NULL: never added */
	unsigned int nports;
};

/* ---- sending ---- */

static void
enter_down(struct lldp_port *p, uint64_t now_ns)
{
	(void)now_ns;
	p->next_ns = LLDP_AGENT_NEVER;
}

static void
enter_fast(struct lldp_port *p, uint64_t now_ns)
{
	p->fast = LLDP_FAST;
	p->next_ns = now_ns;
}

static void
enter_slow(struct lldp_port *p, uint64_t now_ns)
{
	p->next_ns = now_ns + p->agent->options.interval_ns;
}

static const struct {
	const char *name;
	unsigned int next; /* states we may leave for */
	void (*enter)(struct lldp_port *p, uint64_t now_ns);
} tx_fsm[] = {
	[TX_DOWN] = { "down", TX_TO(FAST), enter_down },
	[TX_FAST] = { "fast", TX_TO(FAST) | TX_TO(SLOW) | TX_TO(DOWN),
	    enter_fast },
	[TX_SLOW] = { "slow", TX_TO(FAST) | TX_TO(DOWN), enter_slow },
};
static_assert(NITEMS(tx_fsm) == TX_NSTATES, "a state has no row");

static void
tx_set(struct lldp_port *p, enum tx to, uint64_t now_ns)
{
	assert(tx_fsm[p->tx].next & 1u << to);
	log_debug("lldp port %u: %s -> %s", p->index, tx_fsm[p->tx].name,
	    tx_fsm[to].name);
	p->tx = (uint8_t)to;
	tx_fsm[to].enter(p, now_ns);
}

/* The first moment at or after at_ns when there is credit for a message. */
static uint64_t
credit_ns(const struct lldp_port *p, uint64_t at_ns)
{
	const uint64_t most = (LLDP_CREDIT - 1) * NS_PER_S;
	uint64_t first = p->paid_ns > most ? p->paid_ns - most : 0;

	return at_ns > first ? at_ns : first;
}

static void
take_credit(struct lldp_port *p, uint64_t now_ns)
{
	p->paid_ns = (p->paid_ns > now_ns ? p->paid_ns : now_ns) + NS_PER_S;
}

static uint16_t
ttl_of(const struct lldp_agent *agent)
{
	uint64_t ttl_s =
	    (agent->options.interval_ns * agent->options.hold + NS_PER_S - 1) /
		NS_PER_S +
	    1;

	return (uint16_t)(ttl_s < UINT16_MAX ? ttl_s : UINT16_MAX);
}

static void
send_due(struct lldp_port *p, uint64_t now_ns)
{
	take_credit(p, now_ns);
	p->counts.out++;
	if (p->tx == TX_FAST && p->fast > 1) {
		p->fast--;
		p->next_ns = now_ns + LLDP_FAST_S * NS_PER_S;
	} else if (p->tx == TX_FAST) {
		tx_set(p, TX_SLOW, now_ns);
	} else {
		enter_slow(p, now_ns);
	}
	p->agent->send(p->agent->arg, p->index, ttl_of(p->agent));
}

/* ---- neighbours ---- */

static void
forget(struct lldp_port *p, struct neighbour *n)
{
	LIST_REMOVE(n, link);
	p->nneighbours--;
	free(n);
}

static void
forget_all(struct lldp_port *p)
{
	while (!LIST_EMPTY(&p->neighbours))
		forget(p, LIST_FIRST(&p->neighbours));
}

/* The bytes of a message's first two parts, which the parser has checked. */
static size_t
name_bytes(const uint8_t *message)
{
	size_t chassis = PART_BYTES(message);

	return chassis + PART_BYTES(message + chassis);
}

static struct neighbour *
find(const struct lldp_port *p, const uint8_t *message)
{
	size_t len = name_bytes(message);
	struct neighbour *n;

	LIST_FOREACH (n, &p->neighbours, link)
		if (n->name_len == len && memcmp(n->message, message, len) == 0)
			break;
	return n;
}

/* Keeps a message in place of old, which may be NULL. */
static void
keep(struct lldp_port *p, struct neighbour *old, const uint8_t *message,
    size_t len, uint64_t until_ns)
{
	struct neighbour *n;

	if (old != NULL && old->len == len) {
		memcpy(old->message, message, len);
		old->until_ns = until_ns;
		return;
	}
	n = malloc(sizeof(*n) + len);
	if (n == NULL) { /* as if there were no room */
		p->counts.crowded++;
		return;
	}
	n->until_ns = until_ns;
	n->len = len;
	n->name_len = name_bytes(message);
	memcpy(n->message, message, len);
	if (old != NULL)
		forget(p, old);
	LIST_INSERT_HEAD(&p->neighbours, n, link);
	p->nneighbours++;
}

static void
learn(struct lldp_port *p, const uint8_t *message, size_t len, uint16_t ttl_s,
    uint64_t now_ns)
{
	struct neighbour *old = find(p, message);

	if (ttl_s == 0) {
		if (old != NULL)
			forget(p, old);
		return;
	}
	if (old == NULL && p->nneighbours == LLDP_NEIGHBOURS) {
		p->counts.crowded++;
		return;
	}
	keep(p, old, message, len, now_ns + ttl_s * NS_PER_S);
	/* It does not know us yet. */
	if (old == NULL && p->tx != TX_DOWN && p->agent->options.send)
		tx_set(p, TX_FAST, now_ns);
}

enum reason
lldp_agent_receive(struct lldp_agent *agent, unsigned int port,
    const uint8_t *bytes, size_t len, uint64_t now_ns)
{
	struct lldp_port *p = agent->port[port];
	struct cursor c = cursor(bytes, len);
	enum reason reason = DROP_LLDP;
	struct lldp lldp;

	if (!agent->options.receive)
		return REASON_DELIVERED;
	if (len <= LLDP_MAX_BYTES)
		reason = lldp_parse(&lldp, &c);
	if (reason != DROP_NONE) {
		p->counts.refused++;
		return reason;
	}
	p->counts.in++;
	p->counts.parts_wrong += lldp.wrong;
	p->counts.parts_unknown += lldp.unknown;
	learn(p, bytes, len, lldp.ttl_s, now_ns);
	return REASON_DELIVERED;
}

/* ---- time ---- */

/* Forgets whom it has not heard of; the next to be forgotten is at... */
static uint64_t
age(struct lldp_port *p, uint64_t now_ns)
{
	uint64_t next = LLDP_AGENT_NEVER;
	struct neighbour *n, *after;

	for (n = LIST_FIRST(&p->neighbours); n != NULL; n = after) {
		after = LIST_NEXT(n, link);
		if (now_ns >= n->until_ns) {
			p->counts.aged++;
			forget(p, n);
		} else if (n->until_ns < next) {
			next = n->until_ns;
		}
	}
	return next;
}

static uint64_t
run_port(struct lldp_port *p, uint64_t now_ns)
{
	uint64_t age_ns = age(p, now_ns), send_ns;

	if (p->tx == TX_DOWN || !p->agent->options.send)
		return age_ns;
	if (now_ns >= credit_ns(p, p->next_ns))
		send_due(p, now_ns);
	send_ns = credit_ns(p, p->next_ns);
	return send_ns < age_ns ? send_ns : age_ns;
}

uint64_t
lldp_agent_run(struct lldp_agent *agent, uint64_t now_ns)
{
	uint64_t next = LLDP_AGENT_NEVER;

	for (unsigned int i = 0; i < agent->nports; i++)
		if (agent->port[i] != NULL && agent->port[i]->used) {
			uint64_t at = run_port(agent->port[i], now_ns);

			next = at < next ? at : next;
		}
	return next;
}

/* ---- ports ---- */

void
lldp_agent_link(
    struct lldp_agent *agent, unsigned int port, bool up, uint64_t now_ns)
{
	struct lldp_port *p = agent->port[port];

	if (up == (p->tx != TX_DOWN))
		return;
	tx_set(p, up ? TX_FAST : TX_DOWN, now_ns);
	if (!up)
		forget_all(p);
}

void
lldp_agent_changed(struct lldp_agent *agent, unsigned int port, uint64_t now_ns)
{
	struct lldp_port *p = agent->port[port];

	if (p->tx != TX_DOWN)
		p->next_ns = now_ns;
}

static int
make_room(struct lldp_agent *agent, unsigned int port)
{
	struct lldp_port **more;

	if (port < agent->nports)
		return 0;
	more = reallocarray(agent->port, port + 1, sizeof(more[0]));
	if (more == NULL)
		return -ENOMEM;
	agent->port = more;
	while (agent->nports <= port)
		more[agent->nports++] = NULL;
	return 0;
}

int
lldp_agent_add(struct lldp_agent *agent, unsigned int port)
{
	struct lldp_port *p;

	if (make_room(agent, port) < 0)
		return -ENOMEM;
	p = agent->port[port];
	assert(p == NULL || !p->used);
	if (p == NULL)
		p = agent->port[port] = malloc(sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	*p = (struct lldp_port){ .agent = agent,
		.index = port,
		.used = true,
		.tx = TX_DOWN,
		.next_ns = LLDP_AGENT_NEVER };
	LIST_INIT(&p->neighbours);
	return 0;
}

void
lldp_agent_remove(struct lldp_agent *agent, unsigned int port)
{
	forget_all(agent->port[port]);
	agent->port[port]->used = false;
}

struct lldp_agent *
lldp_agent_new(
    const struct lldp_agent_options *options, lldp_agent_send *send, void *arg)
{
	struct lldp_agent *agent = calloc(1, sizeof(*agent));

	if (agent == NULL)
		return NULL;
	agent->options = *options;
	if (agent->options.interval_ns == 0)
		agent->options.interval_ns = LLDP_INTERVAL_S * NS_PER_S;
	if (agent->options.hold == 0)
		agent->options.hold = LLDP_HOLD;
	agent->send = send;
	agent->arg = arg;
	return agent;
}

void
lldp_agent_free(struct lldp_agent *agent)
{
	if (agent == NULL)
		return;
	for (unsigned int i = 0; i < agent->nports; i++)
		if (agent->port[i] != NULL) {
			if (agent->port[i]->used)
				forget_all(agent->port[i]);
			free(agent->port[i]);
		}
	free(agent->port);
	free(agent);
}

void
lldp_agent_stop(struct lldp_agent *agent, uint64_t now_ns)
{
	for (unsigned int i = 0; i < agent->nports; i++) {
		struct lldp_port *p = agent->port[i];

		if (p == NULL || !p->used || p->tx == TX_DOWN)
			continue;
		if (p->counts.out > 0)
			agent->send(agent->arg, i, 0);
		lldp_agent_link(agent, i, false, now_ns);
	}
}

/* ---- asking ---- */

const struct lldp_port_counts *
lldp_agent_counts(const struct lldp_agent *agent, unsigned int port)
{
	return &agent->port[port]->counts;
}

void
lldp_agent_each(const struct lldp_agent *agent, uint64_t now_ns,
    void (*each)(void *arg, unsigned int port, const struct lldp *neighbour,
	uint64_t left_ns),
    void *arg)
{
	for (unsigned int i = 0; i < agent->nports; i++) {
		const struct neighbour *n;

		if (agent->port[i] == NULL || !agent->port[i]->used)
			continue;
		LIST_FOREACH (n, &agent->port[i]->neighbours, link) {
			struct cursor c = cursor(n->message, n->len);
			struct lldp lldp;

			if (now_ns < n->until_ns &&
			    lldp_parse(&lldp, &c) == DROP_NONE)
				each(arg, i, &lldp, n->until_ns - now_ns);
		}
	}
}
