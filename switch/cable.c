/*
 * A cable's life: made beside a plain one, set, pulled, freed.
 *
 *     PLAIN ------ set ------> ON THE WAY ------ set to nothing ------> PLAIN
 *                                  |      ... when the last one left      ^
 *                                  '---- pulled, link down: all dropped --'
 *
 * port->way is what port_send() looks at: NULL on a plain cable, so that its
 * cost is one branch.  It stays until the last frame has left a way that is to
 * be plain again, since a frame that took the short cut would overtake it.
 *
 * The store is opened when a direction first holds frames back, and anew, when
 * its size was changed, once it is empty.
 */
#include "switch/cable.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "switch/cable_way.h"

/* ---- settings ---- */

static bool
is_plain(const struct cable_settings *s)
{
	return s->delay_ns == 0 && s->jitter_ns == 0 && s->rate_bps == 0 &&
	    !chance_concerns_frames(s);
}

int
cable_check(const struct cable_settings *s, struct err *err)
{
	if (s->jitter_ns > s->delay_ns)
		return err_set(err, -EINVAL,
		    "jitter is more than delay, and no frame arrives before "
		    "it was sent; use a delay of at least the jitter");
	if (s->rate_bps == 0 &&
	    (s->queue_bytes != 0 || s->queue_frames != 0 ||
		s->discipline != CABLE_FIFO || s->mark_ns != 0))
		return err_set(err, -EINVAL,
		    "a queue without a rate never holds a frame; add a rate");
	if (s->ecn && s->discipline != CABLE_CODEL)
		return err_set(err, -EINVAL,
		    "ecn is what CoDel does instead of dropping; use queue "
		    "codel, or mark");
	if (s->reorder_by_ns != 0 && s->reorder_ppb == 0)
		return err_set(err, -EINVAL,
		    "reorder-by says how late frames are, but none is; add "
		    "reorder");
	return 0;
}

static uint64_t
memory_of(const struct cable_settings *s)
{
	return s->memory_bytes != 0 ? s->memory_bytes : CABLE_MEMORY_BYTES;
}

/* ---- the store ---- */

static bool
has_store(const struct cable_way *way)
{
	uint64_t bytes = memory_of(&way->settings);

	return way->store.base != NULL &&
	    way->store.limit_bytes == bytes - bytes % STORE_CHUNK_BYTES;
}

static void
close_store(struct cable_way *way)
{
	store_close(&way->store);
	held_order_close(&way->line);
}

/* Only while nothing is held. */
static int
open_store(struct cable_way *way)
{
	close_store(way);
	if (store_open(&way->store, memory_of(&way->settings)) < 0)
		return -ENOMEM;
	if (held_order_open(
		&way->line, way->store.limit_bytes / STORE_PIECE_MIN) == 0)
		return 0;
	store_close(&way->store);
	return -ENOMEM;
}

/* ---- on and off ---- */

static void
detach(struct cable_way *way)
{
	if (way->from != NULL)
		way->from->way = NULL;
	close_store(way);
}

void
cable_emptied(struct cable_way *way)
{
	if (is_plain(&way->settings))
		detach(way);
	else if (!has_store(way) && open_store(way) < 0)
		detach(way); /* no memory: a plain cable is what is left */
}

/* ---- life ---- */

static void
way_init(struct cable *cable, enum cable_side side, struct port *from,
    struct port *to, const char *name, uint64_t seed)
{
	struct cable_way *way = &cable->way[side];
	char text[NODE_NAME_BYTES];

	snprintf(text, sizeof(text), "cable %.50s %s", name,
	    side == CABLE_A ? "out" : "in");
	node_init(&way->node, text);
	way->cable = cable;
	way->loop = cable->loop;
	way->from = from;
	way->to = to;
	way->carries = FRAME_TODO;
	chance_init(&way->chance, seed + side);
	cable_flow_init(way);
	from->cable = cable;
}

struct cable *
cable_new(struct loop *loop, struct port *a, struct port *b, const char *name,
    uint64_t seed, struct err *err)
{
	struct cable *cable;

	if (a->peer != b || a->cable != NULL) {
		err_set(err, -EBUSY, "%s, %s: are not joined, or have a cable",
		    a->name, b->name);
		return NULL;
	}
	cable = calloc(1, sizeof(*cable));
	if (cable == NULL) {
		err_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	cable->loop = loop;
	way_init(cable, CABLE_A, a, b, name, seed);
	way_init(cable, CABLE_B, b, a, name, seed);
	return cable;
}

void
cable_pulled(struct cable *cable)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct cable_way *way = &cable->way[i];

		if (way->from == NULL)
			continue;
		cable_flow_drop(way, DROP_NO_CABLE);
		way->from->way = NULL;
		way->from->cable = NULL;
		way->from = way->to = NULL;
	}
}

void
cable_link_down(struct cable *cable)
{
	for (unsigned int i = 0; i < 2; i++)
		cable_flow_drop(&cable->way[i], DROP_LINK_DOWN);
}

void
cable_free(struct cable *cable)
{
	if (cable == NULL)
		return;
	cable_pulled(cable);
	for (unsigned int i = 0; i < 2; i++) {
		close_store(&cable->way[i]);
		free(cable->way[i].table);
	}
	free(cable);
}

/* ---- changes ---- */

static int
set_table(struct cable_way *way, const struct cable_settings *s,
    const struct jitter_table *table, struct err *err)
{
	if (s->spread != CABLE_TABLE)
		return 0;
	if (table == NULL && way->table == NULL)
		return err_set(err, -EINVAL, "no table of jitter is given");
	if (table == NULL)
		return 0;
	if (way->table == NULL)
		way->table = malloc(sizeof(*way->table));
	if (way->table == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	*way->table = *table;
	return 0;
}

/* Another CoDel begins anew. */
static void
set_codel(struct cable_way *way, const struct cable_settings *s)
{
	const struct codel codel = {
		.target_ns = s->target_ns != 0 ? s->target_ns : CODEL_TARGET_NS,
		.interval_ns =
		    s->interval_ns != 0 ? s->interval_ns : CODEL_INTERVAL_NS,
	};

	if (s->discipline != CABLE_CODEL ||
	    way->codel.target_ns != codel.target_ns ||
	    way->codel.interval_ns != codel.interval_ns)
		way->codel = codel;
}

static void
take_settings(struct cable_way *way, const struct cable_settings *s)
{
	const struct cable_lose *was = &way->settings.lose;

	if (memcmp(was, &s->lose, sizeof(*was)) != 0)
		way->chance.frames = 0;
	if (s->spells.enter_ppb == 0)
		way->chance.bad = false;
	way->settings = *s;
	way->rest = 0;
	way->carries = cable_flow_carries(s);
	set_codel(way, s);
}

int
cable_set(struct cable *cable, enum cable_side side,
    const struct cable_settings *s, const struct jitter_table *table,
    struct err *err)
{
	struct cable_way *way = &cable->way[side];
	struct cable_settings before = way->settings;
	int e;

	if (way->from == NULL)
		return err_set(err, -ENODEV, "the cable was pulled");
	if (cable_check(s, err) < 0)
		return -EINVAL;
	e = set_table(way, s, table, err);
	if (e < 0)
		return e;
	take_settings(way, s);
	if (is_plain(s) && way->stats.held == 0) {
		detach(way);
		return 0;
	}
	if (way->stats.held == 0 && !has_store(way) && open_store(way) < 0) {
		take_settings(way, &before);
		return err_set(err, -ENOMEM,
		    "no %" PRIu64 " bytes for frames on their way; use less "
		    "memory",
		    memory_of(s));
	}
	way->from->way = way;
	cable_flow_look(way);
	return 0;
}

/* ---- looks ---- */

const struct cable_settings *
cable_settings(const struct cable *cable, enum cable_side side)
{
	return &cable->way[side].settings;
}

struct cable_stats
cable_stats(struct cable *cable, enum cable_side side)
{
	struct cable_way *way = &cable->way[side];

	/* What was transmitted since somebody last looked is in no queue. */
	if (way->from != NULL && way->stats.held != 0 && !way->leaving)
		cable_flow_look(way);
	way->stats.queued = way->queued;
	way->stats.queued_bytes = way->queued_bytes;
	return way->stats;
}

struct node *
cable_node(struct cable *cable, enum cable_side side)
{
	return &cable->way[side].node;
}

struct port *
cable_port(const struct cable *cable, enum cable_side side)
{
	return cable->way[side].from;
}

uint8_t
cable_carries(const struct cable_way *way)
{
	return way->carries;
}
