/*
 * The newest crossings stand in a ring; those of one journey, or of one
 * content, are chained from the newest to the oldest.  A chain is as good as
 * ended where it leads out of the ring, which its numbers tell.
 *
 * By journey: what goes out of a node came from the crossing in that has the
 * verdict of that node, the cause; what comes in was the crossing out with the
 * same verdict, at the other end of the cable.  Where such a hop was not
 * captured, it was the newest crossing of the journey at all.
 *
 * By content: of those that have no successor yet the one with most of its
 * addresses, ports and identification the same, and of these the oldest, so that
 * frames alike in everything are paired in order.
 */
#include "pcap-tools/pair.h"

#include <stdlib.h>
#include <string.h>

#define HASH_SIZE (2 * PAIR_WINDOW)
#define STEPS_MAX 4096 /* along a chain: who fills one finds less */

struct seen {
	struct paired is;
	uint64_t key; /* journey, or hash of the content */
	uint64_t
	    before; /* number of the next older one in the chain; 0: none */
	uint16_t ip_id;
	bool by_journey, out, followed;
};

struct pairing {
	uint64_t next;              /* number of the next crossing, from 1 */
	uint64_t newest[HASH_SIZE]; /* of each chain */
	struct seen ring[PAIR_WINDOW];
};

struct pairing *
pairing_new(void)
{
	struct pairing *p = calloc(1, sizeof(*p));

	if (p != NULL)
		p->next = 1;
	return p;
}

void
pairing_free(struct pairing *p)
{
	free(p);
}

/* The crossing of that number, or NULL when it is forgotten. */
static struct seen *
seen_at(struct pairing *p, uint64_t number)
{
	if (number == 0 || number + PAIR_WINDOW <= p->next)
		return NULL;
	return &p->ring[number % PAIR_WINDOW];
}

static size_t
slot(uint64_t key, bool by_journey)
{
	uint64_t h = (key * 2 + by_journey) * 0x9e3779b97f4a7c15u;

	return (size_t)(h >> 32) % HASH_SIZE;
}

static bool
is_like(const struct seen *s, const struct seen *other)
{
	return s->key == other->key && s->by_journey == other->by_journey;
}

static bool
same_place(const struct seen *a, const struct seen *b)
{
	return a->is.file == b->is.file && a->is.point == b->is.point;
}

/* Whether s, out of a node or into one, was just before it. */
static bool
led_to(const struct seen *s, const struct seen *it, const char *cause)
{
	if (it->out)
		return !s->out && cause[0] != '\0' &&
		    strcmp(s->is.node, cause) == 0;
	return s->out && it->is.node[0] != '\0' &&
	    strcmp(s->is.node, it->is.node) == 0;
}

static struct seen *
before_by_journey(struct pairing *p, const struct seen *it, const char *cause)
{
	struct seen *newest = NULL, *s;
	unsigned int steps = 0;

	for (uint64_t n = p->newest[slot(it->key, true)];
	     (s = seen_at(p, n)) != NULL && steps < STEPS_MAX;
	     n = s->before, steps++) {
		if (!is_like(s, it) || same_place(s, it))
			continue;
		if (led_to(s, it, cause))
			return s;
		if (newest == NULL)
			newest = s;
	}
	return newest;
}

/* How much of the ends and of IPv4's identification is the same: a NAT leaves the
 * far end, and often the number of a port or an echo. */
static unsigned int
likeness(const struct seen *s, const struct seen *other)
{
	const struct packet_flow *a = &s->is.flow, *b = &other->is.flow;

	return (s->ip_id == other->ip_id) +
	    (memcmp(a->src.address, b->src.address, sizeof(a->src.address)) ==
		0) +
	    (memcmp(a->dst.address, b->dst.address, sizeof(a->dst.address)) ==
		0) +
	    (a->src.port == b->src.port) + (a->dst.port == b->dst.port);
}

static struct seen *
before_by_content(struct pairing *p, const struct seen *it)
{
	struct seen *oldest = NULL, *s;
	unsigned int steps = 0, best = 0, like;

	for (uint64_t n = p->newest[slot(it->key, false)];
	     (s = seen_at(p, n)) != NULL && steps < STEPS_MAX;
	     n = s->before, steps++) {
		if (s->is.at_ns + PAIR_PATIENCE_NS < it->is.at_ns)
			break;
		if (!is_like(s, it) || same_place(s, it) || s->followed)
			continue;
		like = likeness(s, it);
		if (oldest == NULL || like >= best) {
			oldest = s;
			best = like;
		}
	}
	return oldest;
}

static void
copy_name(char *to, const char *from, size_t bytes)
{
	size_t n = strnlen(from, bytes - 1);

	memcpy(to, from, n);
	to[n] = '\0';
}

bool
pairing_next(struct pairing *p, const struct crossing *c, uint32_t file,
    uint32_t point, struct paired *from, struct paired *to)
{
	struct seen *it = &p->ring[p->next % PAIR_WINDOW], *before = NULL;
	uint64_t *chain;

	memset(it, 0, sizeof(*it));
	it->is = (struct paired){
		.number = c->frame.number,
		.file = file,
		.point = point,
		.at_ns = c->frame.at_ns,
		.flow = c->packet.flow,
		.entry = c->verdict.entry,
		.drop = c->verdict.drop,
	};
	copy_name(it->is.node, c->verdict.node, sizeof(it->is.node));
	copy_name(it->is.verdict, c->verdict.name, sizeof(it->is.verdict));
	it->ip_id = c->packet.ip_id;
	it->out = c->out;
	it->by_journey = c->journey != 0;
	it->key = it->by_journey ? c->journey : packet_content_hash(&c->packet);
	if (it->by_journey)
		before = before_by_journey(p, it, c->cause.node);
	else if (c->readable)
		before = before_by_content(p, it);
	if (before != NULL) {
		before->followed = true;
		*from = before->is;
		*to = it->is;
	}
	chain = &p->newest[slot(it->key, it->by_journey)];
	it->before = *chain;
	*chain = p->next++;
	return before != NULL;
}
