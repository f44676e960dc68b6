/*
 * A mover for the bench of rings (tests/bench/switch/rings.h): a router with
 * NAT, and a vhost-user port at each end.  A sends datagrams of 256 flows.
 */
#include <stdio.h>
#include <stdlib.h>

#include "net/arp.h"
#include "net/eth.h"
#include "net/ip4.h"
#include "net/udp.h"
#include "router/router.h"
#include "switch/port_vhost.h"
#include "tests/bench/switch/rings.h"

#define FRAME_BYTES 60
#define INSIDE      UINT32_C(0x0a000001)
#define OUTSIDE     UINT32_C(0xcb007101)

static const struct port_kind *const kinds[] = { &port_vhost, NULL };
static const struct mac gw_mac = { { 2, 0, 0, 0, 0, 9 } };

static void
write_frame(uint8_t *at, unsigned int n)
{
	static const uint8_t payload[18] = { 0, 0, 0, 0, 255, 255, 255, 255 };
	struct writer w = writer(at, FRAME_BYTES);
	struct eth eth = { .dst = gw_mac, .type = ETH_IPV4 };
	struct ip4 ip = { .ttl = 64,
		.protocol = IP_UDP,
		.src = INSIDE + 1,
		.dst = OUTSIDE + 1,
		.total_bytes = FRAME_BYTES - ETH_HEADER_BYTES };
	struct udp udp = { .sport = (uint16_t)(20000 + n),
		.dport = 9,
		.data = payload,
		.data_bytes = sizeof(payload) };

	memcpy(eth.src.b, mac_a, sizeof(eth.src.b));
	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	udp_write(&w, &udp, ip.src, ip.dst);
}

static void
write_hello(uint8_t *at)
{
	struct writer w = writer(at, FRAME_BYTES);
	struct eth eth = { .dst = mac_broadcast, .type = ETH_ARP };
	struct arp arp = { .op = ARP_REQUEST,
		.sender_ip = OUTSIDE + 1,
		.target_ip = OUTSIDE };

	memcpy(eth.src.b, mac_b, sizeof(eth.src.b));
	arp.sender_mac = eth.src;
	eth_write(&w, &eth);
	arp_write(&w, &arp);
}

const struct dress nat_dress = {
	.frame = write_frame,
	.hello = write_hello,
	.mark_at = ETH_HEADER_BYTES + IP4_HEADER_BYTES + UDP_HEADER_BYTES,
};

struct fabric {
	struct loop *loop;
	struct bench *bench;
	struct loop_timer timer;
	struct node node[2];
	struct port *end[2];
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
	if (good)
		return;
	fprintf(stderr, "%s\n", err->text);
	exit(1);
}

/* The n-th port, of an address, with its guest. */
static struct port *
add_port(struct fabric *fabric, struct router *router, unsigned int n,
    struct ip4_net address)
{
	struct router_port_options options = { .mac = gw_mac,
		.address = address };
	struct err err = { "" };
	char name[32], at[112];
	struct port *port;

	snprintf(name, sizeof(name), "gw.p%u", n);
	port = router_add_port(router, name, &options, &err);
	must(&err, port != NULL);
	snprintf(name, sizeof(name), "g%u", n);
	node_init(&fabric->node[n], name);
	snprintf(name, sizeof(name), "g%u.eth0", n);
	snprintf(at, sizeof(at), "vhost-user:%s", fabric->bench->path[n]);
	fabric->end[n] =
	    port_open(kinds, fabric->loop, &fabric->node[n], name, at, &err);
	must(&err, fabric->end[n] != NULL);
	cable_join(fabric->end[n], port);
	return port;
}

void
nat_run(struct bench *bench)
{
	struct fabric fabric = { .bench = bench };
	struct router_nat_options nat = { .max_entries = 0 };
	struct err err = { "" };
	struct router *router;

	fabric.loop = loop_new(LOOP_REAL, &err);
	must(&err, fabric.loop != NULL);
	router = router_new(fabric.loop, "gw", 1, &err);
	must(&err, router != NULL);
	add_port(&fabric, router, 0, (struct ip4_net){ INSIDE, 24 });
	nat.outside =
	    add_port(&fabric, router, 1, (struct ip4_net){ OUTSIDE, 24 });
	must(&err, router_set_nat(router, &nat, &err) == 0);
	loop_timer_init(&fabric.timer, fabric.loop, check_stop, &fabric);
	loop_timer_set(&fabric.timer, 0);
	loop_run(fabric.loop);
	loop_timer_unset(&fabric.timer);
	for (unsigned int n = 0; n < 2; n++)
		port_close(fabric.end[n]);
	router_free(router);
	loop_free(fabric.loop);
}
