/*
 * The schema for others: JSON schema for editors, a table for the manual.
 */
#include "lab/schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What a value of each type looks like. */
static const struct {
	const char *name;    /* in the manual */
	const char *pattern; /* of the text, or NULL */
} forms[SCHEMA_NTYPES] = {
	[SCHEMA_MAP] = { "keys", NULL },
	[SCHEMA_ENTRIES] = { "named entries", NULL },
	[SCHEMA_ITEMS] = { "list", NULL },
	[SCHEMA_NAME] = { "name", "^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$" },
	[SCHEMA_TEXT] = { "text", NULL },
	[SCHEMA_TEXTS] = { "text or list", NULL },
	[SCHEMA_CHOICE] = { "word", NULL },
	[SCHEMA_BOOL] = { "true or false", NULL },
	[SCHEMA_COUNT] = { "number", NULL },
	[SCHEMA_DURATION] = { "duration",
	    "^(0|[1-9][0-9]*)(\\.[0-9]+)?(ns|us|ms|s|m|h|d)$" },
	[SCHEMA_SIZE] = { "size", "^(0|[1-9][0-9]*)(\\.[0-9]+)?[BKMG]$" },
	[SCHEMA_IP] = { "address", "^[0-9]{1,3}(\\.[0-9]{1,3}){3}$" },
	[SCHEMA_NET] = { "address/prefix",
	    "^[0-9]{1,3}(\\.[0-9]{1,3}){3}/[0-9]{1,2}$" },
	[SCHEMA_NET_DHCP] = { "address/prefix or dhcp",
	    "^([0-9]{1,3}(\\.[0-9]{1,3}){3}/[0-9]{1,2}|dhcp)$" },
	[SCHEMA_ANY_IP] = { "address", "^[0-9a-fA-F:.]+$" },
	[SCHEMA_ANY_NET] = { "address/prefix", "^[0-9a-fA-F:.]+/[0-9]{1,3}$" },
	[SCHEMA_NETS6] = { "IPv6 addresses", "^[0-9a-fA-F:.]+/[0-9]{1,3}$" },
	[SCHEMA_GUEST6] = { "IPv6 addresses, auto or none",
	    "^(auto|none|[0-9a-fA-F:.]+/[0-9]{1,3})$" },
	[SCHEMA_IPS6] = { "IPv6 addresses", "^[0-9a-fA-F:.]+$" },
	[SCHEMA_PREFIX64] = { "IPv6 prefix",
	    "^[0-9a-fA-F:.]+/(32|40|48|56|64|96)$" },
	[SCHEMA_RANGE] = { "address range",
	    "^[0-9]{1,3}(\\.[0-9]{1,3}){3}-[0-9]{1,3}(\\.[0-9]{1,3}){3}$" },
	[SCHEMA_MAC] = { "MAC address",
	    "^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$" },
	[SCHEMA_COMPARE] = { "comparison", "^(>=|<=|==|>|<)? *[0-9]+$" },
	[SCHEMA_PERCENT] = { "share", "^(0|[1-9][0-9]*)(\\.[0-9]+)?%$" },
	[SCHEMA_RATE] = { "rate", "^(0|[1-9][0-9]*)(\\.[0-9]+)?[kMG]?bit/s$" },
	[SCHEMA_COUNTS] = { "numbers", "^[0-9]+( *, *[0-9]+)*$" },
	[SCHEMA_SPELLS] = { "shares",
	    "^[0-9.]+%/[0-9.]+%(/[0-9.]+%(/[0-9.]+%)?)?$" },
	[SCHEMA_VLANS] = { "VLANs",
	    "^(all|[0-9]+(-[0-9]+)?( *, *[0-9]+(-[0-9]+)?)*)$" },
	[SCHEMA_STATICS] = { "MAC addresses",
	    "^[0-9a-fA-F:-]{17}(/[0-9]+)?( *, "
	    "*[0-9a-fA-F:-]{17}(/[0-9]+)?)*$" },
	[SCHEMA_KEYSET] = { "keys", NULL },
	[SCHEMA_KEYS] = { "keys", NULL },
	[SCHEMA_ABSENT] = { "", NULL },
};

/* The part of row's path that is its key below path, or NULL. */
static const char *
key_below(const struct schema_key *row, const char *path)
{
	size_t len = strlen(path);
	const char *p = row->path;

	if (row->type == SCHEMA_ABSENT || strncmp(p, path, len) != 0)
		return NULL;
	p += len;
	if (len > 0 && *p++ != '.')
		return NULL;
	return strpbrk(p, ".*[") == NULL ? p : NULL;
}

static json_t *object_schema(const char *path, bool may_be_empty);

static json_t *
text_schema(const struct schema_key *row)
{
	json_t *s = json_pack("{s:s}", "type", "string");

	if (forms[row->type].pattern != NULL)
		json_object_set_new(
		    s, "pattern", json_string(forms[row->type].pattern));
	if (row->choices != NULL) {
		json_t *words = json_array();

		for (int i = 0; row->choices[i] != NULL; i++)
			json_array_append_new(
			    words, json_string(row->choices[i]));
		json_object_set_new(s, "enum", words);
	}
	return s;
}

static void add_keys(json_t *properties, const struct keyset *set);

static json_t *
keyset_schema(const struct keyset *set)
{
	json_t *properties = json_object();

	add_keys(properties, set);
	return json_pack("{s:s,s:o,s:b}", "type", "object", "properties",
	    properties, "additionalProperties", 0);
}

static json_t *
value_schema(const struct schema_key *row)
{
	char path[128];
	json_t *s;

	switch (row->type) {
	case SCHEMA_MAP: return object_schema(row->path, false);
	case SCHEMA_ENTRIES:
		snprintf(path, sizeof(path), "%s.*", row->path);
		s = json_pack("{s:s,s:o}", "type", "object",
		    "additionalProperties", object_schema(path, true));
		if (row->plain)
			s = json_pack("{s:[{s:s},{s:s,s:{s:s}},o]}", "anyOf",
			    "type", "string", "type", "array", "items", "type",
			    "string", s);
		return s;
	case SCHEMA_ITEMS:
		snprintf(path, sizeof(path), "%s[]", row->path);
		return json_pack("{s:s,s:o}", "type", "array", "items",
		    object_schema(path, false));
	case SCHEMA_NETS6:
	case SCHEMA_GUEST6:
	case SCHEMA_IPS6:
	case SCHEMA_TEXTS:
		return json_pack("{s:[o,{s:s,s:o}]}", "anyOf", text_schema(row),
		    "type", "array", "items", text_schema(row));
	case SCHEMA_BOOL: return json_pack("{s:s}", "type", "boolean");
	case SCHEMA_COUNT:
		s = json_pack("{s:s,s:I}", "type", "integer", "minimum",
		    (json_int_t)row->min);
		if (row->max != 0)
			json_object_set_new(
			    s, "maximum", json_integer((json_int_t)row->max));
		return s;
	case SCHEMA_COUNTS:
		return json_pack("{s:[{s:s,s:i},{s:s,s:{s:s}},o]}", "anyOf",
		    "type", "integer", "minimum", 1, "type", "array", "items",
		    "type", "integer", text_schema(row));
	case SCHEMA_VLANS:
		return json_pack("{s:[{s:s,s:i,s:i},{s:s,s:{s:[s,s]}},o]}",
		    "anyOf", "type", "integer", "minimum", 1, "maximum",
		    VLAN_MAX, "type", "array", "items", "type", "integer",
		    "string", text_schema(row));
	case SCHEMA_STATICS:
		return json_pack("{s:[{s:s,s:{s:s}},o]}", "anyOf", "type",
		    "array", "items", "type", "string", text_schema(row));
	case SCHEMA_KEYSET: return keyset_schema(row->keys);
	case SCHEMA_COMPARE:
		return json_pack("{s:[{s:s,s:i},o]}", "anyOf", "type",
		    "integer", "minimum", 0, text_schema(row));
	default: return text_schema(row);
	}
}

static void
add_property(json_t *properties, const char *key, const struct schema_key *row)
{
	json_t *value = value_schema(row);

	json_object_set_new(value, "description", json_string(row->help));
	if (row->preset != NULL)
		json_object_set_new(value, "default", json_string(row->preset));
	json_object_set_new(properties, key, value);
}

/* Any of them may be "none". */
static void
add_keys(json_t *properties, const struct keyset *set)
{
	for (const struct schema_key *row = set->rows; row->path != NULL;
	     row++) {
		json_t *value;

		add_property(properties, row->path, row);
		value = json_object_get(properties, row->path);
		json_object_set_new(properties, row->path,
		    json_pack(
			"{s:[O,{s:s}]}", "anyOf", value, "const", "none"));
	}
}

static json_t *
object_schema(const char *path, bool may_be_empty)
{
	json_t *properties = json_object(), *required = json_array(), *s;

	for (unsigned int i = 0; i < schema_nkeys; i++) {
		const struct schema_key *row = &schema_keys[i];
		const char *key = key_below(row, path);

		if (key == NULL)
			continue;
		if (row->type == SCHEMA_KEYS) {
			add_keys(properties, row->keys);
			continue;
		}
		add_property(properties, key, row);
		if (row->required)
			json_array_append_new(required, json_string(key));
	}
	may_be_empty &= json_array_size(required) == 0;
	s = json_pack("{s:o,s:b,s:o}", "properties", properties,
	    "additionalProperties", 0, "required", required);
	if (may_be_empty)
		json_object_set_new(
		    s, "type", json_pack("[s,s]", "object", "null"));
	else
		json_object_set_new(s, "type", json_string("object"));
	return s;
}

json_t *
schema_json(void)
{
	json_t *s = object_schema("", false);

	json_object_set_new(s, "$schema",
	    json_string("https://json-schema.org/draft/2020-12/schema"));
	json_object_set_new(s, "title", json_string("lanyard lab file"));
	return s;
}

/* ---- the manual ---- */

/* "routers.*.ports.*.mtu" with the names a reader knows. */
static void
print_path(const char *path, FILE *out)
{
	for (; *path != '\0'; path++) {
		if (*path == '*') {
			fputs("NAME", out);
		} else if (*path == '+') {
			fputs("KEY", out); /* of a set, whose name follows */
			return;
		} else if (path[0] == '[') {
			path++; /* "[]": the list is plain from its row */
		} else {
			fputc(*path, out);
		}
	}
}

static void
print_range(const struct schema_key *row, FILE *out)
{
	char min[UNITS_TEXT_BYTES], max[UNITS_TEXT_BYTES];

	switch (row->type) {
	case SCHEMA_COUNT:
		if (row->max != 0)
			fprintf(out, ", %" PRIu64 " to %" PRIu64, row->min,
			    row->max);
		return;
	case SCHEMA_DURATION:
		if (row->max != 0)
			fprintf(out, ", %s to %s", duration_text(min, row->min),
			    duration_text(max, row->max));
		return;
	case SCHEMA_RATE:
		fprintf(out, ", %s to %s", rate_text(min, row->min),
		    rate_text(max, row->max));
		return;
	case SCHEMA_SIZE:
		if (row->max != 0)
			fprintf(out, ", %s to %s", size_text(min, row->min),
			    size_text(max, row->max));
		return;
	default: return;
	}
}

static void
print_row(const struct schema_key *row, FILE *out)
{
	fprintf(out, ".It Ic ");
	print_path(row->path, out);
	fprintf(out, " No ( ");
	fprintf(out, "%s", forms[row->type].name);
	for (int k = 0; row->choices != NULL && row->choices[k] != NULL; k++)
		fprintf(out, "%s%s", k == 0 ? ": " : ", ", row->choices[k]);
	print_range(row, out);
	if (row->required)
		fprintf(out, "; required");
	else if (row->preset != NULL)
		fprintf(out, "; default %s", row->preset);
	fprintf(out, " )\n%s\n", row->help);
}

static void
print_rows(const struct schema_key *row, FILE *out)
{
	fprintf(out, ".Bl -tag -width Ds\n");
	for (; row->path != NULL; row++)
		print_row(row, out);
	fprintf(out, ".El\n");
}

void
schema_manual(FILE *out)
{
	fprintf(out, ".Bl -tag -width Ds\n");
	for (unsigned int i = 0; i < schema_nkeys; i++)
		if (schema_keys[i].type != SCHEMA_ABSENT)
			print_row(&schema_keys[i], out);
	fprintf(out,
	    ".El\n"
	    ".Ss Cables\n"
	    "These keys stand at a port, for both directions of its cable; "
	    "below its\n.Ic in\nor\n.Ic out ,\nfor one of them; in an event "
	    "with\n.Ic set ;\nand behind\n.Ic lanyard set .\n"
	    "A value of\n.Ql none\ntakes back what was said.\n");
	print_rows(wire_keys.rows, out);
	fprintf(out,
	    ".Ss Ports of switches\n"
	    "These keys stand at a port that is plugged into a switch, and are "
	    "about the\nswitch's end of the cable; at an uplink, for both of "
	    "its ends; in an event with\n.Ic set ;\nand behind\n"
	    ".Ic lanyard set .\n"
	    "A value of\n.Ql none\ntakes back what was said.\n");
	print_rows(rules_keys.rows, out);
	fprintf(out,
	    ".Ss NAT\n"
	    "These keys stand at\n.Ic nat\nof a router, and behind\n"
	    ".Ic lanyard set\nwith\n.Ql nat.\nbefore them.\n");
	print_rows(nat_keys.rows, out);
	fprintf(out,
	    ".Ss Measurements\n"
	    "These keys stand below\n.Ic measure\n"
	    "of an expectation, and behind\n.Ic lanyard measure .\n");
	print_rows(measure_keys.rows, out);
}
