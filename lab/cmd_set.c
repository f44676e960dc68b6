/*
 * set: changes a running lab.
 *
 * The words behind the port become one request: they are all done, or none is.
 */
#include "lab/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lab/client.h"
#include "lab/nat_keys.h"
#include "lab/nearest.h"
#include "lab/outside.h"
#include "lab/rules.h"
#include "lab/schema.h"
#include "lab/tree.h"
#include "lab/wire.h"

/* A file is named from where the command is given, and opened by the lab. */
static json_t *
value_of(const char *key, const char *text)
{
	char dir[4096], *path = NULL;
	json_t *value;

	if (strcmp(key, "jitter-table") != 0 || text[0] == '/' ||
	    strcmp(text, "none") == 0 || getcwd(dir, sizeof(dir)) == NULL ||
	    asprintf(&path, "%s/%s", dir, text) < 0)
		return json_string(text);
	value = json_string(path);
	free(path);
	return value;
}

static int
no_such_key(const char *key, struct err *err)
{
	static const struct keyset *const sets[] = { &wire_keys, &rules_keys,
		&nat_keys };
	struct nearest near;

	nearest_init(&near, key);
	for (int i = 0; i < 3; i++)
		for (const struct schema_key *row = sets[i]->rows;
		     row->path != NULL; row++)
			nearest_try(&near, row->path);
	return err_set(err, -EINVAL, "\"%.40s\" cannot be set; %s%s%s", key,
	    near.best != NULL ? "did you mean \""
			      : "the keys are in lanyard.lab(5)",
	    near.best != NULL ? near.best : "", near.best != NULL ? "\"?" : "");
}

/* Ports to forward are no rule of NAT, and stand alone. */
static int
read_nat(struct lab_nat_rules *nat, const char *key, const char *text,
    struct err *err)
{
	struct router_forward forward;

	if (strcmp(key, "forward") == 0)
		return outside_read_forward(&forward, text, err);
	if (strcmp(key, "unforward") == 0)
		return outside_read_end(&forward, text, err);
	return keyset_read(&nat_keys, nat, key, text, err);
}

/* "delay=20ms" and "stp-cost=100" into the request, the former for way.  What
 * a spanning tree is told is looked at in the lab: some depends on what is set
 * there.  0, or -EINVAL with *err. */
static int
read_pair(json_t *request, const char *way, const char *word, struct err *err)
{
	const char *equals = strchr(word, '=');
	struct lab_wire wire = { .given = 0 };
	struct lab_rules rules = { .given = 0 };
	struct lab_nat_rules nat = { .given = 0 };
	json_t *value, *pairs;
	char key[40];
	int e = 0;

	snprintf(key, sizeof(key), "%.*s", (int)(equals - word), word);
	if (strncmp(key, TREE_KEY_PREFIX, strlen(TREE_KEY_PREFIX)) == 0) {
		way = "stp";
	} else if (strncmp(key, NAT_KEY_PREFIX, strlen(NAT_KEY_PREFIX)) == 0) {
		way = "nat";
		memmove(key, key + strlen(NAT_KEY_PREFIX),
		    strlen(key + strlen(NAT_KEY_PREFIX)) + 1);
		e = read_nat(&nat, key, equals + 1, err);
	} else if (keyset_row(&wire_keys, key) != NULL) {
		e = keyset_read(&wire_keys, &wire, key, equals + 1, err);
	} else if (keyset_row(&rules_keys, key) != NULL) {
		e = keyset_read(&rules_keys, &rules, key, equals + 1, err);
		way = "switch";
	} else {
		e = no_such_key(key, err);
	}
	if (e < 0)
		return e;
	value = value_of(key, equals + 1);
	if (value == NULL)
		return err_set(err, -EINVAL, "%s: is not UTF-8", key);
	pairs = json_object_get(request, way);
	if (pairs == NULL) {
		pairs = json_object();
		json_object_set_new(request, way, pairs);
	}
	if (strcmp(way, "nat") == 0 && json_object_get(pairs, key) != NULL) {
		json_decref(value);
		return err_set(
		    err, -EINVAL, "nat.%s is there twice; say it once", key);
	}
	json_object_set_new(pairs, key, value);
	return 0;
}

/* What the words say, as a request; NULL: *err. */
static json_t *
read_words(char *const *words, int n, struct err *err)
{
	json_t *request = json_pack("{s:s}", "call", "set");
	const char *way = "both";

	for (int i = 0; i < n; i++) {
		const char *word = words[i];

		if (strcmp(word, "down") == 0 || strcmp(word, "up") == 0) {
			json_object_set_new(request, "down",
			    json_boolean(strcmp(word, "down") == 0));
		} else if (strcmp(word, "plain") == 0) {
			json_object_set_new(request, "plain", json_true());
		} else if (strcmp(word, "in") == 0 ||
		    strcmp(word, "out") == 0 || strcmp(word, "both") == 0) {
			way = word;
		} else if (strchr(word, '=') != NULL) {
			if (read_pair(request, way, word, err) < 0)
				goto fail;
		} else {
			err_set(err, -EINVAL,
			    "\"%.40s\" cannot be set; use down, up, plain, in, "
			    "out, both or KEY=VALUE, as delay=20ms",
			    word);
			goto fail;
		}
	}
	return request;
fail:
	json_decref(request);
	return NULL;
}

static int
run_set(struct call *call)
{
	char **args = call->options.args;
	struct client_link link;
	json_t *request, *reply;
	bool goes_up;

	request = read_words(args + 2, call->options.nargs - 2, &call->err);
	if (request == NULL)
		return 2;
	goes_up = json_is_false(json_object_get(request, "down"));
	json_object_set_new(request, "port", json_string(args[1]));
	if (client_open(&link, args[0], &call->err) < 0) {
		json_decref(request);
		return 2;
	}
	reply = client_call(&link, request, &call->err);
	client_close(&link);
	if (reply == NULL)
		return 2;
	if (goes_up && !json_is_true(json_object_get(reply, "up")))
		fprintf(call->notes,
		    "%s is up, but the other end of its cable is not\n",
		    args[1]);
	json_decref(reply);
	return 0;
}

const struct command command_set = {
	.name = "set",
	.arguments = "LAB NODE[.PORT] [in|out|both] KEY=VALUE... "
		     "[down|up|plain]",
	.summary = "changes a running lab",
	.help =
	    "Changes what happens on the cable of a port in a running lab, "
	    "what "
	    "the switch that\nit is plugged into does, or takes its link down, "
	    "or up again.  KEY=VALUE are the\nkeys of cables and of ports of "
	    "switches in lanyard.lab(5), as\n"
	    "  lanyard set nat bob.eth0 delay=20ms jitter=5ms loss=1%\n"
	    "  lanyard set nat bob.eth0 out rate=10Mbit/s in rate=50Mbit/s\n"
	    "  lanyard set nat bob.eth0 vlan=20 max-macs=1 over-max=shut\n"
	    "Those of cables are for both directions, or for the one behind in "
	    "or out, as seen\nfrom NODE.  \"none\" takes back what a key said, "
	    "plain all that happens on the\ncable.\n"
	    "Keys that begin with stp- are those of stp: in lanyard.lab(5), of "
	    "a switch or of\none of its ports, as\n"
	    "  lanyard set nat lan stp-priority=4096\n"
	    "  lanyard set nat lan.core stp-cost=100 stp-cost/1=20000\n"
	    "where /1 is for instance 1.\n"
	    "Keys that begin with nat. are those of NAT in lanyard.lab(5), of "
	    "a router, as\n"
	    "  lanyard set nat gw nat.preset=symmetric nat.udp-idle=60s\n"
	    "nat.forward leads a port to a host inside, nat.unforward ends "
	    "that:\n"
	    "  lanyard set nat gw nat.forward=tcp:8080=10.0.0.5:80\n"
	    "  lanyard set nat gw nat.unforward=tcp:8080\n"
	    "Entries that live go on as they are, but for their timers.",
	.min_args = 3,
	.max_args = -1,
	.run = run_set,
};
