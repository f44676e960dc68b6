#include "vmm/guest/stack.h"
void
tcpconn_init(struct stack *stack)
{
	(void)stack;
}
enum reason
tcpconn_input(
    struct netif *nif, const struct ip4 *ip, struct cursor *c, unsigned int how)
{
	(void)nif;
	(void)ip;
	(void)c;
	(void)how;
	return DROP_NO_LISTENER;
}
enum reason
tcpconn_note(struct stack *stack, uint16_t port, uint32_t dst, uint16_t dport,
    const struct icmp_note *note)
{
	(void)stack;
	(void)port;
	(void)dst;
	(void)dport;
	(void)note;
	return DROP_NO_LISTENER;
}
void
tcpconn_address_lost(struct stack *stack, uint32_t addr)
{
	(void)stack;
	(void)addr;
}
