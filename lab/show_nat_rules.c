/*
 * How routers' NATs behave.
 */
#include "lab/nat_words.h"
#include "lab/show_rows.h"

const struct table_head nat_rules_head = {
	.name = "nat-rules",
	.help = "how the NATs of routers behave",
	.columns = {
		{ "router", "ROUTER" },
		{ "key", "KEY" },
		{ "value", "VALUE" },
		{ NULL, NULL },
	},
};

static void
rule_row(void *arg, const char *key, const char *value)
{
	struct rows *rows = arg;

	table_add(rows->table, "[s,s,s]", rows->node, key, value);
}

void
show_nat_rules(struct rows *rows)
{
	const struct fabric *f = rows->show->fabric;

	for (unsigned int i = 0; i < f->lab->nrouters; i++) {
		const struct lab_router *router = &f->lab->routers[i];
		const struct nat_rules *rules = router_nat_rules(f->routers[i]);

		rows->node = router->item.name;
		if (rules == NULL)
			continue;
		rule_row(rows, "outside", router->nat.out->full);
		for (unsigned int k = 0; k < router->nat.addresses.n; k++)
			rule_row(rows, "addresses",
			    router->nat.addresses.list[k].text);
		nat_words(rules, rule_row, rows);
	}
}
