#include "lab/nat_facts.h"

#include <stdio.h>
#include <string.h>

#include "lab/nat_keys.h"
#include "lab/nat_words.h"
#include "pcap-tools/reader.h"

struct text {
	char *at;
	size_t left;
};

static void
add(void *arg, const char *key, const char *value)
{
	struct text *t = arg;
	int n = snprintf(t->at, t->left, "%s%s=%s",
	    t->left == NAT_FACTS_BYTES ? "" : " ", key, value);

	if (n < 0 || (size_t)n >= t->left) {
		*t->at = '\0'; /* words are whole or not there */
		return;
	}
	t->at += n;
	t->left -= (size_t)n;
}

char *
nat_facts_text(char out[NAT_FACTS_BYTES], const char *router,
    const char *outside, const struct nat_rules *rules)
{
	struct text t = { .at = out, .left = NAT_FACTS_BYTES };

	add(&t, "nat", router);
	add(&t, "outside", outside);
	nat_words(rules, add, &t);
	return out;
}

/* ---- and back ---- */

static void
take(struct nat_facts *facts, struct lab_nat_rules *said, char *word)
{
	char *value = strchr(word, '=');
	struct err err;

	if (value == NULL)
		return;
	*value++ = '\0';
	if (strcmp(word, "nat") == 0)
		snprintf(facts->router, sizeof(facts->router), "%s", value);
	else if (strcmp(word, "outside") == 0)
		snprintf(facts->outside, sizeof(facts->outside), "%s", value);
	else if (keyset_row(&nat_keys, word) != NULL)
		(void)keyset_read(&nat_keys, said, word, value, &err);
}

bool
nat_facts_read(struct nat_facts *facts, const char *text)
{
	struct lab_nat_rules said = { .given = 0 };
	char copy[READER_TEXT_MAX + 1], *rest;
	struct err err;

	*facts = (struct nat_facts){ .rules = nat_rules_default };
	/* What is said of keys may point into it. */
	snprintf(copy, sizeof(copy), "%s", text);
	for (char *word = strtok_r(copy, " ", &rest); word != NULL;
	     word = strtok_r(NULL, " ", &rest))
		take(facts, &said, word);
	if (nat_keys_apply(&said, &facts->rules, &err) < 0)
		facts->rules = nat_rules_default;
	return facts->router[0] != '\0' && facts->outside[0] != '\0';
}
