/*
 * stack.h - the whole network stack of one guest.
 *
 * Everything it knows is in struct stack, so that a test runs two of them.
 * Nothing in it waits: frames and the clock come in, frames go out, and
 * commands are woken by a flag.
 *
 *     driver -> netif -> arp  -> neigh
 *                     -> ipv4 -> icmp4 -> icmp -> ping sockets
 *                     -> ipv6 -> icmp6 -'
 *                                      -> nd6 (neigh), autoconf, mld6
 *                             -> udp   -> sockets, dhcpc
 *                             -> tcp   -> connections
 */
#ifndef GUEST_STACK_H
#define GUEST_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/guest/addr6.h"
#include "vmm/guest/arp.h"
#include "vmm/guest/autoconf.h"
#include "vmm/guest/icmp.h"
#include "vmm/guest/icmp4.h"
#include "vmm/guest/icmp6.h"
#include "vmm/guest/ip.h"
#include "vmm/guest/ipv4.h"
#include "vmm/guest/ipv6.h"
#include "vmm/guest/mld6.h"
#include "vmm/guest/nd6.h"
#include "vmm/guest/neigh.h"
#include "vmm/guest/netif.h"
#include "vmm/guest/packet.h"
#include "vmm/guest/random.h"
#include "vmm/guest/stund.h"
#include "vmm/guest/tcpconn.h"
#include "vmm/guest/timer.h"
#include "vmm/guest/udpsock.h"

#define STACK_NICS       8
#define STACK_NAME_BYTES 64

struct stack {
	char name[STACK_NAME_BYTES];
	uint64_t now_us; /* of this round */
	struct timers timers;
	struct random random;
	struct netif nif[STACK_NICS];
	unsigned int nnifs;
	struct packets packets;
	struct neighs neighs;
	struct ip ip;
	struct ipv6 ipv6;
	struct icmp_state icmp;
	struct udpsocks udp;
	struct tcpconns tcp;
	struct stund stund;
};

/* seed_a and seed_b: numbers that strangers do not know. */
void stack_init(
    struct stack *stack, const char *name, uint64_t seed_a, uint64_t seed_b);

/* Sets the clock of the round that begins, and runs the timers due. */
void stack_round(struct stack *stack, uint64_t now_us);
/* Ends it: delivers what was sent to ourselves, tells the devices.  Call
 * until it returns false: then nothing is left for now. */
bool stack_flush(struct stack *stack);
/* When the next round must be, TIMER_NEVER if nothing is set. */
uint64_t stack_next_us(const struct stack *stack);

/*
 * Reads "lanyard.name=alice lanyard.eth0=dhcp" and addresses as
 * "203.0.113.10/24,gw=203.0.113.1,dns=10.0.0.1,dns=...", "none" for no address;
 * and of IPv6 "lanyard.eth0.ip6=auto" or what ipv6_configure() reads.
 * What cannot be read is told to complain, a sentence without its end, and
 * otherwise ignored.
 */
void stack_configure(struct stack *stack, const char *cmdline,
    void (*complain)(void *arg, const char *sentence), void *arg);

/* Gives nif what text says, which it may change: an address and extras as
 * above.  NULL, or what is wrong with it. */
const char *stack_set_address(struct netif *nif, char *text);

/* The interface of that name, or NULL. */
struct netif *stack_nif(struct stack *stack, const char *name);
/* Is addr one of ours, or a loopback address? */
bool stack_owns(struct stack *stack, const struct ip6_addr *addr);

#endif
