/*
 * Chance.
 *
 * Every kind of accident has its own stream of random numbers (splitmix64), so
 * that a changed loss does not change which frames are duplicated, and a run
 * can be compared with another that differs in one setting.
 *
 * Loss in bursts is the chain of two states of Gilbert ("Capacity of a
 * burst-noise channel", Bell System Technical Journal 39, 1960), with loss in
 * both states by Elliott ("Estimates of error rates for codes on burst-noise
 * channels", the same 42, 1963):
 *
 *              enter
 *     GOOD --------------> BAD       one step per frame, before its fate
 *      |  <--------------   |
 *    good     leave        bad       loss in each state
 *
 * In the long run the share of frames in BAD is enter / (enter + leave), and a
 * bad spell lasts 1 / leave frames.
 *
 * Jitter.  Each frame has a number u in (0, 1), and its deviation is where the
 * distribution function of the jitter reaches u.  u is taken from a normal
 * deviate z that follows the one before (a Gaussian copula):
 *
 *     z' = r z + sqrt(1 - r^2) e,  e normal,  u = F(z')
 *
 * so that neighbours are alike (r) while the distribution as a whole stays what
 * was asked for.  netem adds r parts of the last value to 1 - r of a new one,
 * which narrows the distribution; with r = 0 both are the same.
 *
 *     uniform   flat from -jitter to +jitter
 *     normal    standard deviation jitter
 *     pareto    exponent 3, moved and scaled to mean 0 and deviation jitter:
 *               a long tail of late frames, the sharp edge at -0.58 jitter
 *     table     a file's, in deviations
 *
 * A delay is never negative and at most CABLE_DELAY_MAX_NS: what lies outside
 * is brought to the edge.
 */
#include "switch/cable_chance.h"

#include <math.h>

#define PARETO_MEAN 1.5                 /* of exponent 3 and least value 1 */
#define PARETO_DEV  0.86602540378443865 /* sqrt(3) / 2 */

static uint64_t
mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static uint64_t
draw(struct chance *c, enum chance_stream stream)
{
	c->state[stream] += UINT64_C(0x9e3779b97f4a7c15);
	return mix(c->state[stream]);
}

/* True in so many of a billion cases; draws nothing if that is none. */
static bool
happens(struct chance *c, enum chance_stream stream, uint64_t ppb)
{
	return ppb != 0 && ((draw(c, stream) >> 32) * CABLE_ALWAYS) >> 32 < ppb;
}

void
chance_init(struct chance *c, uint64_t seed)
{
	*c = (struct chance){ 0 };
	for (unsigned int i = 0; i < CHANCE_STREAMS; i++)
		c->state[i] = mix(seed ^ mix(i + 1));
}

uint64_t
chance_bit(struct chance *c, uint64_t bits)
{
	return ((draw(c, CHANCE_BIT) >> 32) * bits) >> 32;
}

/* ---- jitter ---- */

/* Between 0 and 1, never either. */
static double
draw_unit(struct chance *c)
{
	return ((double)(draw(c, CHANCE_JITTER) >> 12) + 0.5) * 0x1p-52;
}

static double
horner(const double *k, int n, double x)
{
	double y = k[0];

	for (int i = 1; i < n; i++)
		y = y * x + k[i];
	return y;
}

/* Where the normal distribution function reaches u: Acklam's rational
 * approximation, to nine digits. */
static double
normal_quantile(double u)
{
	static const double a[] = { -3.969683028665376e+01,
		2.209460984245205e+02, -2.759285104469687e+02,
		1.383577518672690e+02, -3.066479806614716e+01,
		2.506628277459239e+00 };
	static const double b[] = { -5.447609879822406e+01,
		1.615858368580409e+02, -1.556989798598866e+02,
		6.680131188771972e+01, -1.328068155288572e+01, 1 };
	static const double c[] = { -7.784894002430293e-03,
		-3.223964580411365e-01, -2.400758277161838e+00,
		-2.549732539343734e+00, 4.374664141464968e+00,
		2.938163982698783e+00 };
	static const double d[] = { 7.784695709041462e-03,
		3.224671290700398e-01, 2.445134137142996e+00,
		3.754408661907416e+00, 1 };
	const double tail = 0.02425;

	if (u < tail || u > 1 - tail) {
		double q = sqrt(-2 * log(u < tail ? u : 1 - u));
		double z = horner(c, 6, q) / horner(d, 5, q);

		return u < tail ? z : -z;
	}
	return (u - 0.5) * horner(a, 6, (u - 0.5) * (u - 0.5)) /
	    horner(b, 6, (u - 0.5) * (u - 0.5));
}

static double
normal_below(double z)
{
	return 0.5 * erfc(-z * M_SQRT1_2);
}

static double
table_quantile(const struct jitter_table *table, double u)
{
	double at = u * (table->n - 1);
	uint32_t i = (uint32_t)at;
	double low = table->value[i];
	double high = table->value[i + 1 < table->n ? i + 1 : i];

	return (low + (high - low) * (at - i)) / JITTER_TABLE_SCALE;
}

/* u and, as its normal deviate, z; in multiples of jitter. */
static double
deviation(enum cable_spread spread, const struct jitter_table *table, double u,
    double z)
{
	switch (spread) {
	case CABLE_UNIFORM: return 2 * u - 1;
	case CABLE_NORMAL: return z;
	case CABLE_PARETO: return (1 / cbrt(1 - u) - PARETO_MEAN) / PARETO_DEV;
	case CABLE_TABLE: return table_quantile(table, u);
	}
	return 0;
}

static uint64_t
line_ns(struct chance *c, const struct cable_settings *s,
    const struct jitter_table *table)
{
	double u, z, ns, alike = (double)s->alike_ppb / (double)CABLE_ALWAYS;

	if (s->jitter_ns == 0)
		return s->delay_ns;
	u = draw_unit(c);
	z = normal_quantile(u);
	if (alike != 0 && c->drawn) {
		z = alike * c->deviate + sqrt(1 - alike * alike) * z;
		u = normal_below(z);
	}
	c->deviate = z;
	c->drawn = true;
	ns = (double)s->delay_ns +
	    (double)s->jitter_ns *
		deviation((enum cable_spread)s->spread, table, u, z);
	if (!(ns > 0))
		return 0;
	return ns < (double)CABLE_DELAY_MAX_NS ? (uint64_t)ns
					       : CABLE_DELAY_MAX_NS;
}

/* ---- all of it ---- */

static bool
is_named(const struct cable_lose *lose, uint64_t frame)
{
	for (uint64_t i = 0; i < lose->n; i++)
		if (lose->frame[i] == frame)
			return true;
	return false;
}

static bool
lost_in_spell(struct chance *c, const struct cable_spells *s)
{
	if (s->enter_ppb == 0)
		return false;
	if (happens(c, CHANCE_SPELL, c->bad ? s->leave_ppb : s->enter_ppb))
		c->bad = !c->bad;
	return happens(c, CHANCE_SPELL, c->bad ? s->bad_ppb : s->good_ppb);
}

struct fate
chance_next(struct chance *c, const struct cable_settings *s,
    const struct jitter_table *table)
{
	struct fate fate = { .drop = DROP_NONE };

	c->frames++;
	if (lost_in_spell(c, &s->spells))
		fate.drop = DROP_CABLE_SPELL;
	if (happens(c, CHANCE_LOSS, s->loss_ppb))
		fate.drop = DROP_CABLE_LOSS;
	if (is_named(&s->lose, c->frames))
		fate.drop = DROP_CABLE_CHOSEN;
	if (fate.drop != DROP_NONE)
		return fate;
	fate.duplicate = happens(c, CHANCE_DUPLICATE, s->duplicate_ppb);
	fate.corrupt = happens(c, CHANCE_CORRUPT, s->corrupt_ppb);
	fate.late = happens(c, CHANCE_REORDER, s->reorder_ppb);
	fate.line_ns = line_ns(c, s, table);
	if (fate.late)
		fate.line_ns +=
		    s->reorder_by_ns != 0 ? s->reorder_by_ns : CABLE_SPAN_NS;
	return fate;
}

bool
chance_concerns_frames(const struct cable_settings *s)
{
	return s->loss_ppb != 0 || s->spells.enter_ppb != 0 || s->lose.n != 0 ||
	    s->duplicate_ppb != 0 || s->corrupt_ppb != 0 || s->reorder_ppb != 0;
}
