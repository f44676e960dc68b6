/*
 * fabric.h - the nodes and cables of a lab, alive in one loop.
 *
 * Everything but the VMs themselves: switches, routers, built-in hosts, plugs,
 * bridges, and the vhost-user ports that VMs connect to.  Loop thread only.
 */
#ifndef LAB_FABRIC_H
#define LAB_FABRIC_H

#include "base/loop.h"
#include "lab/model.h"
#include "lab/switch_control.h"
#include "router/router.h"
#include "switch/port.h"
#include "switch/stp_switch.h"
#include "switch/switch.h"
#include "switch/traffic.h"

struct fabric {
	struct loop *loop;
	const struct lab *lab;
	struct lan_switch **switches; /* in the lab's order, as the next */
	struct stp_switch **trees;    /* of the switches; NULL: none */
	struct switch_control *controls;
	struct router **routers;
	struct serving *serving; /* of the routers */
	struct traffic **hosts;
	struct node *outside; /* of each VM, plug and bridge */
	struct port **ports;  /* of each lab_port */
	/* Both ends of every cable, for tables: a pair each. */
	struct port *(*cables)[2];
	struct cable **cable; /* what happens on each */
	unsigned int ncables, max_cables;
};

/* Builds all of it.  sockets is the directory for VMs' vhost-user sockets,
 * "NODE.PORT.sock"; NULL if the lab has no VMs.  Borrows loop and lab.  NULL:
 * *err says why, with nothing left behind. */
struct fabric *fabric_new(struct loop *loop, const struct lab *lab,
    uint64_t seed, const char *sockets, struct err *err);
/* Nodes say goodbye to whom it may concern. */
void fabric_stop(struct fabric *fabric);
void fabric_free(struct fabric *fabric); /* NULL is fine */

/* A port of a node ("gw.inside") or of a switch ("lan.gw.inside"). */
struct port *fabric_port(const struct fabric *fabric, const char *name);

/* Calls each for every node: switches, routers, hosts, VMs, plugs, bridges, and
 * both directions of each cable. */
void fabric_each_node(const struct fabric *fabric,
    void (*each)(void *arg, struct node *node), void *arg);

/* The switch of that name, as its place in the lab, or -1. */
int fabric_switch(const struct fabric *fabric, const char *name);
/* The same of the switch whose port it is. */
int fabric_switch_of(const struct fabric *fabric, const struct port *port);

/* The IPv4 address that a port has now: by the lab file, or, as a router's may,
 * by DHCP.  addr 0: none that is known here. */
struct ip4_net fabric_address(
    const struct fabric *fabric, const struct lab_port *port);

/* Has routers tell what becomes of addresses that they get from others. */
void fabric_on_address(const struct fabric *fabric,
    void (*tell)(void *arg, const char *sentence), void *arg);

struct router *fabric_router(const struct fabric *fabric, const char *name);

/* Says which names of ports are nearest to one that is not there. */
int fabric_no_port(
    const struct fabric *fabric, const char *name, struct err *err);

#endif
