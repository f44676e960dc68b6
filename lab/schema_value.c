/*
 * One function per type.  Types are what the schema says; nothing is guessed
 * from how a value looks, so "no", "010" and "22:22" are never more than the
 * text they are.
 */
#include "lab/schema_value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "lab/names.h"
#include "lab/nearest.h"

bool
schema_is_name(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len <= LAB_NAME_MAX &&
	    strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == len &&
	    text[0] != '-' && text[len - 1] != '-';
}

static bool
in_range(struct schema_reader *r, const struct schema_key *key,
    const struct yaml *node, uint64_t value,
    char *(*text)(char out[UNITS_TEXT_BYTES], uint64_t value))
{
	char min[UNITS_TEXT_BYTES], max[UNITS_TEXT_BYTES];

	if (value >= key->min && (key->max == 0 || value <= key->max))
		return true;
	problem_add(r->problems, node->at, "%s %s is too %s; use %s to %s",
	    node->key != NULL ? node->key : "value", node->text,
	    value < key->min ? "small" : "large", text(min, key->min),
	    text(max, key->max));
	return false;
}

static char *
count_text(char out[UNITS_TEXT_BYTES], uint64_t value)
{
	snprintf(out, UNITS_TEXT_BYTES, "%" PRIu64, value);
	return out;
}

/* Adds "key: sentence of err" at node. */
static bool
bad_value(
    struct schema_reader *r, const struct yaml *node, const struct err *err)
{
	problem_add(r->problems, node->at, "%s: %s",
	    node->key != NULL ? node->key : "value", err->text);
	return false;
}

static bool
read_count(struct schema_reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	struct err err = { "" };
	uint64_t *out = to;

	if (!count_read(out, node->text, &err))
		return bad_value(r, node, &err);
	return in_range(r, key, node, *out, count_text);
}

static bool
read_duration(struct schema_reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	struct err err = { "" };
	uint64_t *out = to;

	if (!duration_read(out, node->text, &err))
		return bad_value(r, node, &err);
	return in_range(r, key, node, *out, duration_text);
}

static bool
read_size(struct schema_reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	struct err err = { "" };
	uint64_t *out = to;

	if (!size_read(out, node->text, &err))
		return bad_value(r, node, &err);
	return in_range(r, key, node, *out, size_text);
}

static bool
read_compare(struct schema_reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	struct err err = { "" };

	(void)key;
	return compare_read(to, node->text, &err) || bad_value(r, node, &err);
}

static bool
read_bool(struct schema_reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	bool *out = to;

	(void)key;
	*out = strcmp(node->text, "true") == 0;
	if (*out || strcmp(node->text, "false") == 0)
		return true;
	problem_add(r->problems, node->at,
	    "%s is \"%.40s\"; write true or false", node->key, node->text);
	return false;
}

static bool
read_text(struct schema_reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	const char **out = to;

	(void)key;
	if (yaml_is_empty(node)) {
		problem_add(r->problems, node->at,
		    "%s has no value; write one, or remove the key", node->key);
		return false;
	}
	*out = node->text;
	return true;
}

static bool
read_name(struct schema_reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	struct names names;

	if (!read_text(r, key, node, to))
		return false;
	if (schema_is_name(node->text) ||
	    (key->ranges && names_read(&names, node->text) &&
		names_are_good(&names)))
		return true;
	problem_add(r->problems, node->at,
	    "%s \"%.60s\" is not a name; use a to z, 0 to 9 and - inside, at "
	    "most %d letters",
	    node->key, node->text, LAB_NAME_MAX);
	return false;
}

/* The index of text in choices, or -1 with a problem. */
static int
choose(struct schema_reader *r, const char *const *choices, const char *what,
    const struct yaml *node)
{
	char list[400] = "";
	size_t used = 0;
	struct nearest near;

	nearest_init(&near, node->text);
	for (int i = 0; choices[i] != NULL; i++) {
		if (strcmp(choices[i], node->text) == 0)
			return i;
		nearest_try(&near, choices[i]);
		if (used < sizeof(list))
			used += (size_t)snprintf(list + used,
			    sizeof(list) - used, "%s%s",
			    i == 0                       ? ""
				: choices[i + 1] != NULL ? ", "
							 : " or ",
			    choices[i]);
	}
	if (near.best != NULL)
		problem_add(r->problems, node->at,
		    "%s \"%.40s\" is not known; did you mean \"%s\"?", what,
		    node->text, near.best);
	else
		problem_add(r->problems, node->at,
		    "%s \"%.40s\" is not known; use %s", what, node->text,
		    list);
	return -1;
}

static bool
read_choice(struct schema_reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	int choice = choose(r, key->choices, node->key, node);
	int *out = to;

	if (choice >= 0)
		*out = choice;
	return choice >= 0;
}

static bool
read_ip(struct schema_reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	uint32_t *out = to;

	(void)key;
	if (ip4_read(out, node->text) && *out != 0)
		return true;
	problem_add(r->problems, node->at,
	    "%s \"%.40s\" is not an IPv4 address; write one as 10.0.0.1",
	    node->key, node->text);
	return false;
}

static bool
read_net(struct schema_reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	uint32_t addr;

	(void)key;
	if (ip4_net_read(to, node->text))
		return true;
	if (ip4_read(&addr, node->text))
		problem_add(r->problems, node->at,
		    "%s \"%s\" has no prefix length; write it as %s/24",
		    node->key, node->text, node->text);
	else
		problem_add(r->problems, node->at,
		    "%s \"%.40s\" is not an address with its prefix length; "
		    "write it as 10.0.0.1/24",
		    node->key, node->text);
	return false;
}

static bool
read_net_dhcp(struct schema_reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	if (strcmp(node->text, "dhcp") == 0) {
		*(struct ip4_net *)to = (struct ip4_net){ 0, 0 };
		return true;
	}
	if (strpbrk(node->text, "0123456789") != NULL)
		return read_net(r, key, node, to);
	problem_add(r->problems, node->at,
	    "%s \"%.40s\" is not an address with its prefix length; write it "
	    "as 10.0.0.1/24, or dhcp",
	    node->key, node->text);
	return false;
}

static bool
read_range(struct schema_reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	const char *dash = strchr(node->text, '-');
	char first[IP4_TEXT_BYTES] = "";
	struct lab_range *out = to;

	(void)key;
	if (dash != NULL && (size_t)(dash - node->text) < sizeof(first)) {
		memcpy(first, node->text, (size_t)(dash - node->text));
		if (ip4_read(&out->first, first) &&
		    ip4_read(&out->last, dash + 1) && out->first != 0 &&
		    out->last != 0)
			return true;
	}
	*out = (struct lab_range){ 0 };
	problem_add(r->problems, node->at,
	    "%s \"%.50s\" is not a range of addresses; write it as "
	    "10.0.0.100-10.0.0.199",
	    node->key, node->text);
	return false;
}

static bool
read_mac(struct schema_reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	struct mac *out = to;

	(void)key;
	if (!mac_read(out, node->text)) {
		problem_add(r->problems, node->at,
		    "%s \"%.40s\" is not a MAC address; write it as "
		    "52:54:00:12:34:56",
		    node->key, node->text);
		return false;
	}
	if (!mac_is_group(out) && !mac_is_zero(out))
		return true;
	problem_add(r->problems, node->at,
	    "%s %s is no station's address%s; make its first byte even, as 52",
	    node->key, node->text,
	    mac_is_group(out) ? ", it means a group" : "");
	return false;
}

static bool
read_percent(struct schema_reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	struct err err = { "" };

	(void)key;
	return percent_read(to, node->text, &err) || bad_value(r, node, &err);
}

static bool
read_rate(struct schema_reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	struct err err = { "" };
	uint64_t *out = to;

	if (!rate_read(out, node->text, &err))
		return bad_value(r, node, &err);
	return in_range(r, key, node, *out, rate_text);
}

/* ENTER/LEAVE[/BAD[/GOOD]] */
static bool
read_spells(struct schema_reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	struct cable_spells *spells = to;
	uint64_t value[4] = { 0, 0, CABLE_ALWAYS, 0 };
	const char *p = node->text;
	struct err err = { "" };
	int n = 0;

	(void)key;
	for (; n < 4; n++) {
		size_t len = strcspn(p, "/");
		char text[UNITS_TEXT_BYTES] = "";

		if (len >= sizeof(text))
			len = sizeof(text) - 1;
		memcpy(text, p, len);
		if (!percent_read(&value[n], text, &err))
			return bad_value(r, node, &err);
		p += len;
		if (*p != '/')
			break;
		p++;
	}
	if (*p != '\0' || n < 1 || n == 4 || value[0] == 0) {
		problem_add(r->problems, node->at,
		    "%s \"%.60s\" is not two to four shares with / between; "
		    "write ENTER/LEAVE/BAD/GOOD as 1%%/10%%, ENTER above 0%%",
		    node->key, node->text);
		return false;
	}
	*spells =
	    (struct cable_spells){ value[0], value[1], value[2], value[3] };
	return true;
}

/* A number that is one of several, the text of which ends at end. */
static bool
add_count(struct schema_reader *r, const struct yaml *node, const char *text,
    size_t len, struct cable_lose *lose)
{
	struct err err = { "" };
	char one[UNITS_TEXT_BYTES] = "";

	if (lose->n == CABLE_LOSE_MAX) {
		problem_add(r->problems, node->at,
		    "more than %d numbers; write fewer", CABLE_LOSE_MAX);
		return false;
	}
	memcpy(one, text, len < sizeof(one) ? len : sizeof(one) - 1);
	if (!count_read(&lose->frame[lose->n], one, &err))
		return bad_value(r, node, &err);
	if (lose->frame[lose->n++] != 0)
		return true;
	problem_add(r->problems, node->at,
	    "there is no frame 0; the first one has number 1");
	return false;
}

/* A list, or a text with commas. */
static bool
read_counts(struct schema_reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	struct cable_lose lose = { 0 };
	const char *p = node->text;
	bool good = true;

	(void)key;
	for (const struct yaml *e = node->first; e != NULL; e = e->next)
		good &= e->kind == YAML_SCALAR
		    ? add_count(r, e, e->text, strlen(e->text), &lose)
		    : bad_value(r, e, &(struct err){ "not a number" });
	while (node->kind == YAML_SCALAR && good) {
		size_t len;

		p += strspn(p, " ");
		len = strcspn(p, ", ");
		good = add_count(r, node, p, len, &lose);
		p += len;
		p += strspn(p, " ");
		if (*p == '\0')
			break;
		p += *p == ',';
	}
	memcpy(to, &lose, sizeof(lose));
	return good;
}

/* "10" or "20-30", of len letters, into set. */
static bool
add_vlans(struct schema_reader *r, const struct yaml *node, const char *text,
    size_t len, struct vlan_set *set)
{
	struct err err = { "" };
	char one[UNITS_TEXT_BYTES] = "", *dash;
	uint64_t first = 0, last = 0;
	bool good;

	memcpy(one, text, len < sizeof(one) ? len : sizeof(one) - 1);
	dash = strchr(one, '-');
	if (dash != NULL)
		*dash = '\0';
	good = count_read(&first, one, &err);
	last = first;
	if (dash != NULL)
		good = good && count_read(&last, dash + 1, &err);
	if (good && first >= 1 && first <= last && last <= VLAN_MAX) {
		vlan_set_add(set, (unsigned int)first, (unsigned int)last);
		return true;
	}
	problem_add(r->problems, node->at,
	    "\"%.40s\" is no VLAN; write 1 to %d, as 10,20-30, or all",
	    node->text, VLAN_MAX);
	return false;
}

static bool
add_vlan_list(
    struct schema_reader *r, const struct yaml *node, struct vlan_set *set)
{
	const char *p = node->text;

	if (strcmp(p, "all") == 0) {
		vlan_set_add(set, 1, VLAN_MAX);
		return true;
	}
	for (;;) {
		size_t len;

		p += strspn(p, " ");
		len = strcspn(p, ", ");
		if (!add_vlans(r, node, p, len, set))
			return false;
		p += len;
		p += strspn(p, " ");
		if (*p == '\0')
			return true;
		p += *p == ',';
	}
}

static bool
read_vlans(struct schema_reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	struct vlan_set set = { { 0 } };
	bool good = node->kind == YAML_LIST || add_vlan_list(r, node, &set);

	(void)key;
	for (const struct yaml *e = node->first; e != NULL; e = e->next)
		good &= e->kind == YAML_SCALAR
		    ? add_vlan_list(r, e, &set)
		    : bad_value(r, e, &(struct err){ "not a VLAN" });
	if (node->kind == YAML_LIST && node->first == NULL)
		good = bad_value(r, node, &(struct err){ "no VLAN is named" });
	memcpy(to, &set, sizeof(set));
	return good;
}

static bool
add_statics(struct schema_reader *r, const struct yaml *node,
    struct rules_statics *statics)
{
	if (node->kind == YAML_SCALAR &&
	    rules_statics_read(statics, node->text))
		return true;
	problem_add(r->problems, node->at,
	    "static \"%.40s\" is no station's address, or one more than %d; "
	    "write it as 52:54:00:12:34:56, or with a VLAN as "
	    "52:54:00:12:34:56/10",
	    node->kind == YAML_SCALAR ? node->text : "", RULES_STATICS);
	return false;
}

static bool
read_statics(struct schema_reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	struct rules_statics statics = { .n = 0 };
	bool good = true;

	(void)key;
	if (node->kind == YAML_SCALAR)
		good = add_statics(r, node, &statics);
	for (const struct yaml *e = node->first; e != NULL; e = e->next)
		good &= add_statics(r, e, &statics);
	memcpy(to, &statics, sizeof(statics));
	return good;
}

bool
schema_texts_read(struct schema_reader *r, const struct schema_key *key,
    const struct yaml *node, void *to)
{
	struct lab_texts *out = to;
	const struct yaml *first = node;
	unsigned int n = 1;
	bool good = true;

	if (node->kind == YAML_LIST) {
		first = node->first;
		n = node->nchildren;
	}
	out->list = arena_array(r->lab->arena, n, sizeof(out->list[0]));
	if (out->list == NULL)
		return false;
	for (const struct yaml *e = first; e != NULL && out->n < n;
	     e = e->next) {
		if (e->kind != YAML_SCALAR || yaml_is_empty(e)) {
			problem_add(r->problems, e->at,
			    "%s wants text here, not %s", node->key,
			    yaml_kind_name(e));
			good = false;
			continue;
		}
		if (key->choices != NULL &&
		    choose(r, key->choices, node->key, e) < 0) {
			good = false;
			continue;
		}
		out->list[out->n++] = (struct lab_text){ e->text, e };
	}
	return good;
}

/* ---- all of them ---- */

static bool (*const scalar_readers[SCHEMA_NTYPES])(struct schema_reader *r,
    const struct schema_key *key, const struct yaml *node, void *to) = {
	[SCHEMA_NAME] = read_name,
	[SCHEMA_TEXT] = read_text,
	[SCHEMA_CHOICE] = read_choice,
	[SCHEMA_BOOL] = read_bool,
	[SCHEMA_COUNT] = read_count,
	[SCHEMA_DURATION] = read_duration,
	[SCHEMA_SIZE] = read_size,
	[SCHEMA_IP] = read_ip,
	[SCHEMA_NET] = read_net,
	[SCHEMA_NET_DHCP] = read_net_dhcp,
	[SCHEMA_RANGE] = read_range,
	[SCHEMA_MAC] = read_mac,
	[SCHEMA_COMPARE] = read_compare,
	[SCHEMA_PERCENT] = read_percent,
	[SCHEMA_RATE] = read_rate,
	[SCHEMA_COUNTS] = read_counts,
	[SCHEMA_SPELLS] = read_spells,
	[SCHEMA_VLANS] = read_vlans,
	[SCHEMA_STATICS] = read_statics,
	[SCHEMA_ANY_IP] = schema_any_ip_read,
	[SCHEMA_ANY_NET] = schema_any_net_read,
	[SCHEMA_NETS6] = schema_nets6_read,
	[SCHEMA_GUEST6] = schema_guest6_read,
	[SCHEMA_IPS6] = schema_ips6_read,
	[SCHEMA_PREFIX64] = schema_prefix64_read,
};

bool
schema_value_read(struct schema_reader *r, const struct schema_key *row,
    const struct yaml *node, void *to)
{
	return scalar_readers[row->type](r, row, node, to);
}
