/*
 * The mover that is measured: a switch, and a vhost-user port for each front.
 */
#include <stdio.h>
#include <stdlib.h>

#include "switch/port_vhost.h"
#include "switch/switch.h"
#include "tests/bench/switch/rings.h"

static const struct port_kind *const kinds[] = { &port_vhost, NULL };

struct fabric {
	struct loop *loop;
	struct bench *bench;
	struct loop_timer timer;
	struct lan_switch *sw;
	struct node node[FRONTS_MAX];
	struct port *port[FRONTS_MAX];
};

static void
check_stop(void *arg)
{
	struct fabric *fabric = arg;

	if (atomic_load(&fabric->bench->shared->stop))
		loop_stop(fabric->loop);
	else
		loop_timer_set(
		    &fabric->timer, loop_now_ns(fabric->loop) + 5 * NS_PER_MS);
}

static void
must(const struct err *err, bool good)
{
	if (!good) {
		fprintf(stderr, "%s\n", err->text);
		exit(1);
	}
}

static void
add_port(struct fabric *fabric, unsigned int i)
{
	struct err err = { "" };
	char name[32], at[112], far[40];
	struct port *end;

	snprintf(name, sizeof(name), "g%u", i);
	node_init(&fabric->node[i], name);
	snprintf(name, sizeof(name), "g%u.eth0", i);
	snprintf(at, sizeof(at), "vhost-user:%s", fabric->bench->path[i]);
	snprintf(far, sizeof(far), "lan.%s", name);
	fabric->port[i] =
	    port_open(kinds, fabric->loop, &fabric->node[i], name, at, &err);
	must(&err, fabric->port[i] != NULL);
	end = switch_add_port(fabric->sw, far, &err);
	must(&err, end != NULL);
	cable_join(fabric->port[i], end);
}

void
fabric_run(struct bench *bench)
{
	static struct fabric fabric;
	struct switch_options options = { .max_macs = 200000 };
	struct err err = { "" };

	fabric.bench = bench;
	fabric.loop = loop_new(LOOP_REAL, &err);
	must(&err, fabric.loop != NULL);
	fabric.sw = switch_new(fabric.loop, "lan", &options, &err);
	must(&err, fabric.sw != NULL);
	for (unsigned int i = 0; i < bench->nfronts; i++)
		add_port(&fabric, i);
	loop_timer_init(&fabric.timer, fabric.loop, check_stop, &fabric);
	loop_timer_set(&fabric.timer, 0);
	loop_run(fabric.loop);
	loop_timer_unset(&fabric.timer);
	for (unsigned int i = 0; i < bench->nfronts; i++)
		port_close(fabric.port[i]);
	switch_free(fabric.sw);
	loop_free(fabric.loop);
}
