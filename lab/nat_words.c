#include "lab/nat_words.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/loop.h"
#include "lab/nat_facts.h"
#include "lab/nat_keys.h"
#include "lab/schema.h"

struct words {
	void (*each)(void *arg, const char *key, const char *value);
	void *arg;
};

static void
choice(const struct words *w, const char *key, int value)
{
	const struct schema_key *row = keyset_row(&nat_keys, key);

	assert(row != NULL && row->choices != NULL);
	w->each(w->arg, key, row->choices[value]);
}

static void
truth(const struct words *w, const char *key, bool value)
{
	w->each(w->arg, key, value ? "true" : "false");
}

static void
count(const struct words *w, const char *key, uint32_t value)
{
	char text[NAT_WORD_BYTES];

	snprintf(text, sizeof(text), "%" PRIu32, value);
	w->each(w->arg, key, text);
}

static void
seconds(const struct words *w, const char *key, uint64_t ns)
{
	char text[NAT_WORD_BYTES];

	snprintf(text, sizeof(text), "%" PRIu64 "s", ns / NS_PER_S);
	w->each(w->arg, key, text);
}

static void
timers(const struct words *w, const struct nat_rules *rules)
{
	for (int t = 0; t < NAT_TIMERS; t++)
		/* One that is not set is not the same as one like udp-idle. */
		if (t != NAT_TIMER_UDP_DNS || rules->idle_s[t] != 0)
			seconds(w, nat_timer_keys[t],
			    nat_idle_ns(rules, (enum nat_timer)t));
}

void
nat_words(const struct nat_rules *rules,
    void (*each)(void *arg, const char *key, const char *value), void *arg)
{
	const struct words w = { each, arg };

	choice(&w, "mapping", (int)rules->mapping);
	choice(&w, "filtering", (int)rules->filtering);
	if (rules->tcp_apart)
		choice(&w, "tcp-filtering", (int)rules->tcp_filtering);
	choice(&w, "ports", (int)rules->ports);
	truth(&w, "parity", !rules->any_parity);
	choice(&w, "pooling", (int)rules->pooling);
	if (rules->ports == NAT_PORTS_BLOCKS)
		count(&w, "block",
		    rules->block_ports != 0 ? rules->block_ports
					    : NAT_BLOCK_PORTS);
	if (rules->host_sessions != 0)
		count(&w, "host-limit", rules->host_sessions);
	seconds(&w, "port-rest", nat_rest_ns(rules));
	if (rules->rest_ports != 0)
		count(&w, "port-rest-limit", rules->rest_ports);
	truth(&w, "hairpin", rules->hairpin);
	choice(&w, "hairpin-source", rules->hairpin_internal);
	choice(&w, "refresh", (int)rules->refresh);
	choice(&w, "unsolicited-syn", rules->refuse_syn);
	truth(&w, "ftp", rules->ftp);
	timers(&w, rules);
}

/* ---- facts ---- */

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
