#include "lab/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/loop.h"

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit durations[] = {
	{ "ns", 1 },
	{ "us", NS_PER_US },
	{ "ms", NS_PER_MS },
	{ "s", NS_PER_S },
	{ "m", 60 * NS_PER_S },
	{ "h", 3600 * NS_PER_S },
	{ "d", 86400 * NS_PER_S },
	{ NULL, 0 },
};

static const struct unit sizes[] = {
	{ "B", 1 },
	{ "K", UINT64_C(1) << 10 },
	{ "M", UINT64_C(1) << 20 },
	{ "G", UINT64_C(1) << 30 },
	{ NULL, 0 },
};

#define PPB_PER_PERCENT UINT64_C(10000000)

static const struct unit percents[] = {
	{ "%", PPB_PER_PERCENT },
	{ NULL, 0 },
};

static const struct unit rates[] = {
	{ "bit/s", 1 },
	{ "kbit/s", 1000 },
	{ "Mbit/s", 1000000 },
	{ "Gbit/s", 1000000000 },
	{ NULL, 0 },
};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads digits at *text, up to 18 of them, and moves on.  False: none, too
 * many, or a leading zero. */
static bool
read_digits(uint64_t *out, const char **text)
{
	const char *p = *text;
	uint64_t value = 0;

	if (!is_digit(*p) || (p[0] == '0' && is_digit(p[1])))
		return false;
	for (; is_digit(*p); p++) {
		if (p - *text == 18)
			return false;
		value = value * 10 + (uint64_t)(*p - '0');
	}
	*out = value;
	*text = p;
	return true;
}

/* The digits behind a point, as billionths.  False: none or more than nine. */
static bool
read_fraction(uint64_t *billionths, const char **text)
{
	uint64_t value = 0, place = 100000000;
	const char *p = *text;

	if (!is_digit(*p))
		return false;
	for (; is_digit(*p); p++, place /= 10) {
		if (place == 0)
			return false;
		value += (uint64_t)(*p - '0') * place;
	}
	*billionths = value;
	*text = p;
	return true;
}

static bool
scale(uint64_t *out, uint64_t whole, uint64_t billionths, uint64_t factor)
{
	uint64_t part;

	if (whole > (UINT64_MAX >> 1) / factor)
		return false;
	/* factor is at most 8.64e13: the product needs 128 bits */
	part = (uint64_t)((unsigned __int128)billionths * factor / 1000000000);
	if ((unsigned __int128)part * 1000000000 !=
	    (unsigned __int128)billionths * factor)
		return false; /* less than one of the smallest */
	*out = whole * factor + part;
	return true;
}

static bool
quantity_read(uint64_t *out, const char *text, const struct unit *units,
    const char *what, const char *example, struct err *err)
{
	const char *p = text;
	uint64_t whole, billionths = 0;
	const struct unit *unit = units;

	if (!read_digits(&whole, &p))
		goto not_a_number;
	if (*p == '.') {
		p++;
		if (!read_fraction(&billionths, &p))
			goto not_a_number;
	}
	if (*p == '\0') {
		err_set(err, -EINVAL, "\"%.40s\" has no unit; write %s", text,
		    example);
		return false;
	}
	while (unit->name != NULL && strcmp(unit->name, p) != 0)
		unit++;
	if (unit->name == NULL) {
		err_set(err, -EINVAL,
		    "\"%.40s\" has an unknown unit \"%.20s\"; write %s", text,
		    p, example);
		return false;
	}
	if (scale(out, whole, billionths, unit->factor))
		return true;
	err_set(err, -EINVAL, "\"%.40s\" cannot be held exactly; write %s",
	    text, example);
	return false;
not_a_number:
	err_set(
	    err, -EINVAL, "\"%.40s\" is not %s; write %s", text, what, example);
	return false;
}

bool
duration_read(uint64_t *ns, const char *text, struct err *err)
{
	return quantity_read(ns, text, durations, "a duration",
	    "a number and ns, us, ms, s, m, h or d, as 20ms", err);
}

bool
size_read(uint64_t *bytes, const char *text, struct err *err)
{
	return quantity_read(bytes, text, sizes, "a size",
	    "a number and B, K, M or G, as 256M", err);
}

bool
percent_read(uint64_t *ppb, const char *text, struct err *err)
{
	uint64_t value;

	if (!quantity_read(&value, text, percents, "a share",
		"a number and %, as 0.5%", err))
		return false;
	if (value > 100 * PPB_PER_PERCENT) {
		err_set(err, -EINVAL,
		    "\"%.40s\" is more than all; write 0%% to 100%%", text);
		return false;
	}
	*ppb = value;
	return true;
}

bool
rate_read(uint64_t *bps, const char *text, struct err *err)
{
	return quantity_read(bps, text, rates, "a rate",
	    "a number and bit/s, kbit/s, Mbit/s or Gbit/s, as 10Mbit/s", err);
}

bool
count_read(uint64_t *count, const char *text, struct err *err)
{
	const char *p = text;
	uint64_t value;

	if (!read_digits(&value, &p) || *p != '\0') {
		err_set(err, -EINVAL,
		    "\"%.40s\" is not a number; write decimal digits", text);
		return false;
	}
	*count = value;
	return true;
}

/* ---- comparisons ---- */

static const char *const compare_signs[] = {
	[COMPARE_EQ] = "==",
	[COMPARE_GE] = ">=",
	[COMPARE_GT] = ">",
	[COMPARE_LE] = "<=",
	[COMPARE_LT] = "<",
};

bool
compare_read(struct compare *compare, const char *text, struct err *err)
{
	static const enum compare_op longest_first[] = { COMPARE_GE, COMPARE_LE,
		COMPARE_EQ, COMPARE_GT, COMPARE_LT };
	struct compare c = { .op = COMPARE_EQ };
	const char *p = text;

	for (unsigned int i = 0; i < 5; i++) {
		const char *sign = compare_signs[longest_first[i]];

		if (strncmp(p, sign, strlen(sign)) == 0) {
			c.op = longest_first[i];
			p += strlen(sign);
			break;
		}
	}
	p += strspn(p, " ");
	if (!read_digits(&c.value, &p) || *p != '\0') {
		err_set(err, -EINVAL,
		    "\"%.40s\" is not a number or comparison; write 0, \">=3\" "
		    "or \"<10\"",
		    text);
		return false;
	}
	*compare = c;
	return true;
}

bool
compare_holds(struct compare compare, uint64_t count)
{
	switch (compare.op) {
	case COMPARE_EQ: return count == compare.value;
	case COMPARE_GE: return count >= compare.value;
	case COMPARE_GT: return count > compare.value;
	case COMPARE_LE: return count <= compare.value;
	case COMPARE_LT: return count < compare.value;
	}
	return false;
}

bool
compare_is_final(struct compare compare)
{
	return compare.op == COMPARE_GE || compare.op == COMPARE_GT;
}

bool
compare_is_lost(struct compare compare, uint64_t count)
{
	switch (compare.op) {
	case COMPARE_EQ: return count > compare.value;
	case COMPARE_LE: return count > compare.value;
	case COMPARE_LT: return count >= compare.value;
	case COMPARE_GE:
	case COMPARE_GT: return false;
	}
	return false;
}

char *
compare_text(char out[UNITS_TEXT_BYTES], struct compare compare)
{
	snprintf(out, UNITS_TEXT_BYTES, "%s%" PRIu64,
	    compare.op == COMPARE_EQ ? "" : compare_signs[compare.op],
	    compare.value);
	return out;
}

/* ---- text ---- */

static char *
exact_text(char *out, uint64_t value, const struct unit *units)
{
	const struct unit *best = units;

	for (const struct unit *u = units; u->name != NULL; u++)
		if (value != 0 && value % u->factor == 0)
			best = u;
	snprintf(out, UNITS_TEXT_BYTES, "%" PRIu64 "%s", value / best->factor,
	    best->name);
	return out;
}

char *
duration_text(char out[UNITS_TEXT_BYTES], uint64_t ns)
{
	return ns == 0 ? strcpy(out, "0s") : exact_text(out, ns, durations);
}

char *
size_text(char out[UNITS_TEXT_BYTES], uint64_t bytes)
{
	return exact_text(out, bytes, sizes);
}

char *
rate_text(char out[UNITS_TEXT_BYTES], uint64_t bps)
{
	return exact_text(out, bps, rates);
}

char *
percent_text(char out[UNITS_TEXT_BYTES], uint64_t ppb)
{
	int n = snprintf(out, UNITS_TEXT_BYTES, "%" PRIu64 ".%07" PRIu64,
	    ppb / PPB_PER_PERCENT, ppb % PPB_PER_PERCENT);

	while (n > 0 && out[n - 1] == '0')
		n--;
	if (n > 0 && out[n - 1] == '.')
		n--;
	snprintf(out + n, (size_t)(UNITS_TEXT_BYTES - n), "%%");
	return out;
}

char *
duration_about(char out[UNITS_TEXT_BYTES], uint64_t ns)
{
	static const struct unit about[] = { { "s", NS_PER_S },
		{ "ms", NS_PER_MS }, { "us", NS_PER_US }, { "ns", 1 } };
	const struct unit *unit = about;
	double value;

	while (unit->factor > 1 && ns < unit->factor)
		unit++;
	value = (double)ns / (double)unit->factor;
	snprintf(out, UNITS_TEXT_BYTES, "%.*f %s",
	    unit->factor == 1 || value >= 100 ? 0
		: value >= 10                 ? 1
					      : 2,
	    value, unit->name);
	return out;
}
