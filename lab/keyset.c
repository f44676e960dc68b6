#include "lab/keyset.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lab/nearest.h"
#include "lab/schema.h"
#include "lab/units.h"

const struct schema_key *
keyset_row(const struct keyset *set, const char *name)
{
	for (const struct schema_key *row = set->rows; row->path != NULL; row++)
		if (strcmp(row->path, name) == 0)
			return row;
	return NULL;
}

/* How long a row's value is. */
static size_t
bytes_of(const struct schema_key *row)
{
	switch (row->type) {
	case SCHEMA_BOOL: return sizeof(bool);
	case SCHEMA_CHOICE: return sizeof(int);
	case SCHEMA_TEXT: return sizeof(const char *);
	case SCHEMA_COUNTS: return sizeof(struct cable_lose);
	case SCHEMA_SPELLS: return sizeof(struct cable_spells);
	case SCHEMA_VLANS: return sizeof(struct vlan_set);
	case SCHEMA_STATICS: return sizeof(struct rules_statics);
	default: return sizeof(uint64_t);
	}
}

static uint64_t
given_of(const struct keyset *set, const void *values)
{
	uint64_t given;

	memcpy(
	    &given, (const unsigned char *)values + set->given, sizeof(given));
	return given;
}

static bool
has(const struct keyset *set, const void *values, const struct schema_key *row)
{
	return given_of(set, values) >> (row - set->rows) & 1;
}

void
keyset_give(
    const struct keyset *set, void *values, const struct schema_key *row)
{
	uint64_t given =
	    given_of(set, values) | UINT64_C(1) << (row - set->rows);

	memcpy((unsigned char *)values + set->given, &given, sizeof(given));
}

void
keyset_take_back(
    const struct keyset *set, void *values, const struct schema_key *row)
{
	keyset_clear(values, row);
	keyset_give(set, values, row);
}

void
keyset_clear(void *values, const struct schema_key *row)
{
	memset((unsigned char *)values + row->into, 0, bytes_of(row));
}

bool
keyset_is_given(const struct keyset *set, const void *values, const char *name)
{
	const struct schema_key *row = keyset_row(set, name);

	return row != NULL && has(set, values, row);
}

void
keyset_merge(const struct keyset *set, void *to, const void *from)
{
	for (const struct schema_key *row = set->rows; row->path != NULL;
	     row++) {
		if (!has(set, from, row))
			continue;
		memcpy((unsigned char *)to + row->into,
		    (const unsigned char *)from + row->into, bytes_of(row));
		keyset_give(set, to, row);
	}
}

int
keyset_read(const struct keyset *set, void *values, const char *key,
    const char *text, struct err *err)
{
	const struct schema_key *row = keyset_row(set, key);
	struct nearest near;

	if (row != NULL)
		return schema_read_value(set, values, row, text, err);
	nearest_init(&near, key);
	for (row = set->rows; row->path != NULL; row++)
		nearest_try(&near, row->path);
	return err_set(err, -EINVAL, "\"%.40s\" cannot be set; %s%s%s", key,
	    near.best != NULL ? "did you mean \""
			      : "the keys are in lanyard.lab(5)",
	    near.best != NULL ? near.best : "", near.best != NULL ? "\"?" : "");
}

/* ---- to text ---- */

static char *
spells_text(char *out, size_t len, const struct cable_spells *s)
{
	char enter[UNITS_TEXT_BYTES], leave[UNITS_TEXT_BYTES],
	    bad[UNITS_TEXT_BYTES], good[UNITS_TEXT_BYTES];

	snprintf(out, len, "%s/%s/%s/%s", percent_text(enter, s->enter_ppb),
	    percent_text(leave, s->leave_ppb), percent_text(bad, s->bad_ppb),
	    percent_text(good, s->good_ppb));
	return out;
}

static char *
lose_text(char *out, size_t len, const struct cable_lose *lose)
{
	size_t used = 0;

	out[0] = '\0';
	for (uint64_t i = 0; i < lose->n && used < len; i++)
		used += (size_t)snprintf(out + used, len - used, "%s%" PRIu64,
		    i == 0 ? "" : ",", lose->frame[i]);
	return out;
}

/* The value at, as a lab file has it. */
static const char *
value_text(char *out, size_t len, const struct schema_key *row, const void *at)
{
	char text[UNITS_TEXT_BYTES];
	uint64_t number = 0;

	if (bytes_of(row) == sizeof(number))
		memcpy(&number, at, sizeof(number));
	switch (row->type) {
	case SCHEMA_BOOL: return "true"; /* shown only if it is */
	case SCHEMA_CHOICE: return row->choices[*(const int *)at];
	case SCHEMA_TEXT: return *(const char *const *)at;
	case SCHEMA_COUNTS: return lose_text(out, len, at);
	case SCHEMA_SPELLS: return spells_text(out, len, at);
	case SCHEMA_VLANS: return vlan_set_text(out, len, at);
	case SCHEMA_STATICS: return rules_statics_text(out, len, at);
	case SCHEMA_DURATION: duration_text(text, number); break;
	case SCHEMA_PERCENT: percent_text(text, number); break;
	case SCHEMA_RATE: rate_text(text, number); break;
	case SCHEMA_SIZE: size_text(text, number); break;
	default: snprintf(text, sizeof(text), "%" PRIu64, number); break;
	}
	snprintf(out, len, "%s", text);
	return out;
}

static bool
is_zero(const unsigned char *at, size_t n)
{
	while (n > 0)
		if (at[--n] != 0)
			return false;
	return true;
}

char *
keyset_text(char *out, size_t len, const struct keyset *set, const void *values)
{
	size_t used = 0;

	out[0] = '\0';
	for (const struct schema_key *row = set->rows;
	     row->path != NULL && used < len; row++) {
		const unsigned char *at =
		    (const unsigned char *)values + row->into;
		char value[400];

		if (is_zero(at, bytes_of(row)))
			continue;
		used += (size_t)snprintf(out + used, len - used, "%s%s %s",
		    used == 0 ? "" : ", ", row->path,
		    value_text(value, sizeof(value), row, at));
	}
	return out;
}
