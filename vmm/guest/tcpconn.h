#ifndef GUEST_TCPCONN_H
#define GUEST_TCPCONN_H
#include "net/tcp.h"
#include "vmm/guest/icmp4.h"
struct tcpconns {
	int none;
};
struct stack;
struct netif;
void tcpconn_init(struct stack *stack);
enum reason tcpconn_input(struct netif *nif, const struct ip4 *ip,
    struct cursor *c, unsigned int how);
enum reason tcpconn_note(struct stack *stack, uint16_t port, uint32_t dst,
    uint16_t dport, const struct icmp_note *note);
void tcpconn_address_lost(struct stack *stack, uint32_t addr);
#endif
