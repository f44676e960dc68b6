#include "lab/capturing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bridge/port_wifi.h"
#include "lab/nat_words.h"

size_t
capturing_name(const char *words, const char **filter)
{
	size_t n = strcspn(words, " ");
	size_t blanks = strspn(words + n, " ");

	*filter = words[n + blanks] != '\0' ? words + n + blanks : NULL;
	return n;
}

static bool
is_word(const char *name, size_t n, const char *word)
{
	return strlen(word) == n && memcmp(name, word, n) == 0;
}

/* Whether port is the n letters at name, or a port of the node so named. */
static bool
is_meant(const struct port *port, const char *name, size_t n)
{
	return strncmp(port->name, name, n) == 0 &&
	    (port->name[n] == '\0' ||
		(port->name[n] == '.' && memchr(name, '.', n) == NULL));
}

static bool
is_of_lab(const struct fabric *f, const struct port *port)
{
	for (unsigned int i = 0; i < f->lab->nports; i++)
		if (f->ports[i] == port)
			return true;
	return false;
}

/* Calls each for the ports that are meant, until it fails.  How many, or its
 * error. */
static int
each_port(const struct fabric *f, const char *name, size_t n,
    int (*each)(void *arg, struct port *port), void *arg)
{
	bool all = is_word(name, n, CAPTURING_ALL);
	int found = 0, e = 0;

	for (unsigned int i = 0; all && i < f->lab->nports && e == 0; i++) {
		e = each(arg, f->ports[i]);
		found++;
	}
	for (unsigned int i = 0; i < f->lab->nports && e == 0; i++) {
		struct port *radio = port_wifi_radio(f->ports[i]);

		if (radio == NULL || (!all && !is_meant(radio, name, n)))
			continue;
		e = each(arg, radio);
		found++;
	}
	for (unsigned int i = 0; i < f->ncables && e == 0; i++) {
		struct port *const *ends = f->cables[i];

		if (all && !is_of_lab(f, ends[0]) && !is_of_lab(f, ends[1])) {
			e = each(arg, ends[0]);
			found++;
		}
		for (unsigned int k = 0; k < 2 && !all && e == 0; k++) {
			if (!is_meant(ends[k], name, n))
				continue;
			e = each(arg, ends[k]);
			found++;
		}
	}
	return e < 0 ? e : found;
}

static int
nothing(void *arg, struct port *port)
{
	(void)arg;
	(void)port;
	return 0;
}

int
capturing_find(const struct fabric *f, const char *words, struct err *err)
{
	const char *filter;
	size_t n = capturing_name(words, &filter);
	char name[NODE_NAME_BYTES];

	if (is_word(words, n, CAPTURE_BIN) ||
	    (n > 0 && each_port(f, words, n, nothing, NULL) > 0))
		return 0;
	snprintf(name, sizeof(name), "%.*s", (int)n, words);
	return fabric_no_port(f, name, err);
}

struct adding {
	const struct fabric *fabric;
	struct capture *capture;
	const char *filter;
	struct err *err;
};

/* Both ends of every cable. */
static int
add_bin(const struct adding *a, const struct fabric *f)
{
	int e = 0;

	for (unsigned int i = 0; i < f->ncables && e == 0; i++)
		for (unsigned int k = 0; k < 2 && e == 0; k++)
			e = capture_add_bin(
			    a->capture, f->cables[i][k], a->filter, a->err);
	return e;
}

/* What is said of a port of a router with NAT, in out; else NULL. */
static const char *
facts_of(
    char out[NAT_FACTS_BYTES], const struct fabric *f, const struct port *port)
{
	for (unsigned int i = 0; i < f->lab->nrouters; i++) {
		const struct lab_router *r = &f->lab->routers[i];
		const struct nat_rules *rules = router_nat_rules(f->routers[i]);

		for (unsigned int k = 0; k < r->nports && rules != NULL; k++)
			if (strcmp(r->ports[k].full, port->name) == 0)
				return nat_facts_text(
				    out, r->item.name, r->nat.out->full, rules);
	}
	return NULL;
}

static int
add(void *arg, struct port *port)
{
	const struct adding *a = arg;
	char facts[NAT_FACTS_BYTES];

	return capture_add_told(a->capture, port, a->filter,
	    facts_of(facts, a->fabric, port), a->err);
}

int
capturing_add(struct capture *capture, const struct fabric *f,
    const char *words, const char *filter, struct err *err)
{
	struct adding a = { .fabric = f, .capture = capture, .err = err };
	size_t n = capturing_name(words, &a.filter);
	int found;

	if (a.filter == NULL)
		a.filter = filter;
	if (is_word(words, n, CAPTURE_BIN))
		return add_bin(&a, f);
	found = each_port(f, words, n, add, &a);
	if (found == 0)
		return capturing_find(f, words, err);
	return found < 0 ? found : 0;
}
