#include "lab/setting.h"

#include <errno.h>

#include "lab/cabling.h"
#include "lab/nat_keys.h"
#include "lab/outside.h"
#include "lab/tree_change.h"

/* {KEY: VALUE} into the values of a set of keys. */
static int
read_keys(
    const struct keyset *set, void *values, json_t *pairs, struct err *err)
{
	const char *key;
	json_t *value;
	int e;

	json_object_foreach(pairs, key, value)
	{
		e = keyset_read(
		    set, values, key, json_string_value(value), err);
		if (e < 0)
			return e;
	}
	return 0;
}

static int
read_wire(struct lab_wire *wire, json_t *pairs, struct err *err)
{
	int e = read_keys(&wire_keys, wire, pairs, err);

	if (e < 0)
		return e;
	if (wire->table != NULL && wire->table[0] != '/')
		return err_set(
		    err, -EINVAL, "\"jitter-table\" must be an absolute path");
	return 0;
}

/* What is set on a cable; *says: anything. */
static int
read_cabling(struct cabling_change *change, bool *says, const struct request *r,
    struct err *err)
{
	json_t *const pairs[] = {
		[WIRE_BOTH] = r->both, [WIRE_OUT] = r->out, [WIRE_IN] = r->in
	};

	*change = (struct cabling_change){
		.sets_link = r->link != NULL, .down = r->down, .plain = r->plain
	};
	*says = change->sets_link || change->plain;
	for (int way = 0; way < WIRE_DIRECTIONS; way++) {
		if (read_wire(&change->wire[way], pairs[way], err) < 0)
			return -EINVAL;
		*says |= change->wire[way].given != 0;
	}
	if (read_keys(&rules_keys, &change->rules, r->rules, err) < 0)
		return -EINVAL;
	*says |= change->rules.given != 0;
	return 0;
}

static int
read_tree(struct tree_change *change, const struct fabric *f,
    const struct request *r, struct err *err)
{
	const char *key;
	json_t *value;
	int e = tree_change_begin(change, f, r->port, err);

	if (e < 0)
		return e;
	json_object_foreach(r->stp, key, value)
	{
		e = tree_change_add(change, key, json_string_value(value), err);
		if (e < 0)
			return e;
	}
	return 0;
}

/* One port that is forwarded from now on, or not any more. */
static int
set_forward(struct router *router, json_t *nat, struct err *err)
{
	const char *add = json_string_value(json_object_get(nat, "forward"));
	const char *end = json_string_value(json_object_get(nat, "unforward"));
	struct router_forward forward;
	int e;

	if (json_object_size(nat) != 1)
		return err_set(err, -EINVAL,
		    "nat.forward and nat.unforward are set alone; say the rest "
		    "by another command");
	e = add != NULL ? outside_read_forward(&forward, add, err)
			: outside_read_end(&forward, end, err);
	if (e < 0)
		return e;
	return add != NULL ? router_add_forward(router, &forward, err)
			   : router_end_forward(router, &forward, err);
}

/* How a router's NAT behaves from now on. */
static int
set_nat(const struct fabric *f, const struct request *r, struct err *err)
{
	struct router *router = fabric_router(f, r->port);
	struct lab_nat_rules said = { .given = 0 };
	struct nat_rules rules;

	if (router == NULL)
		return err_set(err, -ENOENT,
		    "\"%.40s\" is no router of this lab; what begins with nat. "
		    "is set at a router",
		    r->port);
	if (r->both != NULL || r->in != NULL || r->out != NULL ||
	    r->rules != NULL || r->stp != NULL || r->link != NULL || r->plain)
		return err_set(err, -EINVAL,
		    "\"%.40s\" is a router; what is set of a cable or switch "
		    "is "
		    "set at a port",
		    r->port);
	if (json_object_get(r->nat, "forward") != NULL ||
	    json_object_get(r->nat, "unforward") != NULL)
		return set_forward(router, r->nat, err);
	rules = router_nat_rules(router) != NULL ? *router_nat_rules(router)
						 : nat_rules_default;
	if (read_keys(&nat_keys, &said, r->nat, err) < 0 ||
	    nat_keys_apply(&said, &rules, err) < 0)
		return -EINVAL;
	return router_change_nat(router, &rules, err);
}

static int
set(const struct fabric *f, struct port *port, const struct request *r,
    struct err *err)
{
	struct cabling_change cabling;
	struct tree_change tree;
	bool says;
	int e;

	if (r->nat != NULL)
		return set_nat(f, r, err);
	e = read_cabling(&cabling, &says, r, err);
	if (e == 0 && r->stp != NULL)
		e = read_tree(&tree, f, r, err);
	if (e < 0)
		return e;
	if (port == NULL && (says || r->stp == NULL))
		return fabric_no_port(f, r->port, err);
	if (!says && r->stp == NULL)
		return err_set(err, -EINVAL,
		    "nothing is to be set; say \"down\", what happens on the "
		    "cable by \"both\", \"in\" or \"out\", or what the "
		    "switch does by \"switch\" or \"stp\"");
	if (says)
		e = cabling_change(port, &cabling, err);
	return e < 0 || r->stp == NULL ? e : tree_change_do(&tree, err);
}

int
setting_do(
    const struct fabric *f, const struct request *r, bool *up, struct err *err)
{
	struct port *port = fabric_port(f, r->port);
	int e = set(f, port, r, err);

	*up = port == NULL || port_is_up(port);
	return e;
}
